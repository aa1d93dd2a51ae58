//! The lines of `codex exec --json`.

use serde_json::Value;

use super::{Kind, Saying, answer, input, number, text, used, words};
use crate::show::one_line_of;
use crate::tongue::{Tongue, say};

pub(super) fn told(t: Tongue, kind: &str, object: &Value) -> Option<Vec<Saying>> {
    let note = |text: String| Saying::new(Kind::Note, text);
    let one = match kind {
        "thread.started" => {
            let thread = one_line_of(text(object, "/thread_id")?, 100);
            note(say!(t, "began: conversation {thread}", "начало: разговор {thread}"))
        }
        "turn.started" => note(t.of("a turn begins", "ход начат").to_owned()),
        "item.started" => started(object.get("item")?)?,
        "item.completed" => completed(t, object.get("item")?)?,
        "turn.completed" => {
            let usage = object.get("usage")?;
            let (taken, given) = (number(usage, "/input_tokens"), number(usage, "/output_tokens"));
            Saying::new(Kind::End, used(t, taken, number(usage, "/cached_input_tokens"), given).join(", "))
        }
        "turn.failed" => words(Kind::Error, text(object, "/error/message")?),
        "error" => words(Kind::Error, text(object, "/message")?),
        _ => return None,
    };
    Some(vec![one])
}

/// Of most kinds only the end is worth a line: what begins here is a tool.
fn started(item: &Value) -> Option<Saying> {
    match text(item, "/type")? {
        "command_execution" => Some(Saying::tool("command", one_command(item)?)),
        "mcp_tool_call" => Some(Saying::tool(&tool(item)?, input(item.get("arguments").unwrap_or(&Value::Null)))),
        "web_search" => Some(Saying::tool("web_search", input(item))),
        _ => None,
    }
}

fn completed(t: Tongue, item: &Value) -> Option<Saying> {
    match text(item, "/type")? {
        "agent_message" => Some(words(Kind::Words, text(item, "/text")?)),
        "reasoning" => Some(words(Kind::Thought, text(item, "/text")?)),
        "command_execution" => {
            let code = item.get("exit_code").and_then(Value::as_i64);
            let failed = code.is_some_and(|code| code != 0) || text(item, "/status") == Some("failed");
            let output = text(item, "/aggregated_output").unwrap_or_default();
            let code = code.map_or_else(|| "?".to_owned(), |code| code.to_string());
            Some(answer(&say!(t, "exit {code}\n{output}", "код {code}\n{output}"), failed))
        }
        "mcp_tool_call" => {
            let failed = text(item, "/error/message");
            let result = item.get("result").filter(|result| !result.is_null()).map(ToString::to_string);
            Some(answer(failed.or(result.as_deref()).unwrap_or_default(), failed.is_some()))
        }
        "file_change" => {
            let changes = item.pointer("/changes")?.as_array()?.iter();
            let one = |change: &Value| Some(format!("{} {}", text(change, "/kind")?, text(change, "/path")?));
            let all = changes.map(one).collect::<Option<Vec<_>>>()?.join(", ");
            Some(Saying::tool("file_change", one_line_of(&all, super::LONGEST_INPUT)))
        }
        "web_search" => Some(Saying::new(Kind::Answer, input(item))),
        "error" => Some(words(Kind::Error, text(item, "/message")?)),
        _ => None,
    }
}

fn tool(item: &Value) -> Option<String> {
    Some(format!("{}.{}", text(item, "/server")?, text(item, "/tool")?))
}

fn one_command(item: &Value) -> Option<String> {
    Some(one_line_of(text(item, "/command")?, super::LONGEST_INPUT))
}
