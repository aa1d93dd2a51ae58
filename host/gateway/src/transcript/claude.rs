//! The lines of `claude --print --output-format stream-json`, and its one line of `json`.

use domain::time::Milliseconds;
use serde_json::Value;

use super::{Kind, Saying, answer, cost, input, number, text, used, words};
use crate::show::{one_line_of, span_in};
use crate::tongue::{Tongue, say};

pub(super) fn told(t: Tongue, kind: &str, object: &Value) -> Option<Vec<Saying>> {
    match kind {
        "system" if text(object, "/subtype") == Some("init") => Some(vec![began(t, object)]),
        "assistant" => blocks(object, spoken),
        "user" => match object.pointer("/message/content")? {
            Value::String(said) => Some(vec![words(Kind::Note, said)]),
            _ => blocks(object, answered),
        },
        "result" => ended(t, object),
        _ => None,
    }
}

fn began(t: Tongue, object: &Value) -> Saying {
    let model = one_line_of(text(object, "/model").unwrap_or("?"), 100);
    let tools = object.pointer("/tools").and_then(Value::as_array).map_or(0, Vec::len) as u64;
    let tools = t.count(tools, ["tool", "tools"], ["инструмент", "инструмента", "инструментов"]);
    Saying::new(Kind::Note, say!(t, "began: {model}, {tools}", "начало: {model}, {tools}"))
}

/// Each block of a message; none: one of them is of a kind that is not known, and the line is shown as it is.
fn blocks(object: &Value, read: fn(&Value) -> Option<Saying>) -> Option<Vec<Saying>> {
    let blocks = object.pointer("/message/content")?.as_array()?;
    blocks.iter().map(read).collect::<Option<Vec<_>>>().filter(|said| !said.is_empty())
}

fn spoken(block: &Value) -> Option<Saying> {
    match text(block, "/type")? {
        "text" => Some(words(Kind::Words, text(block, "/text")?)),
        "thinking" => Some(words(Kind::Thought, text(block, "/thinking")?)),
        "redacted_thinking" => Some(words(Kind::Thought, "…")),
        "tool_use" | "server_tool_use" => {
            Some(Saying::tool(text(block, "/name")?, input(block.get("input").unwrap_or(&Value::Null))))
        }
        _ => None,
    }
}

fn answered(block: &Value) -> Option<Saying> {
    match text(block, "/type")? {
        "text" => Some(words(Kind::Note, text(block, "/text")?)),
        "tool_result" => {
            let is_error = block.get("is_error").and_then(Value::as_bool).unwrap_or(false);
            Some(answer(&contents(block.get("content")), is_error))
        }
        _ => None,
    }
}

/// Of a tool's answer what is text; of anything else only that it is there.
fn contents(content: Option<&Value>) -> String {
    match content {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(blocks)) => {
            let one = |block: &Value| match text(block, "/text") {
                Some(text) => text.to_owned(),
                None => format!("[{}]", text(block, "/type").unwrap_or("?")),
            };
            blocks.iter().map(one).collect::<Vec<_>>().join("\n")
        }
        Some(other) => other.to_string(),
    }
}

/// Its words stand in the line before; of an error they stand nowhere else.
fn ended(t: Tongue, object: &Value) -> Option<Vec<Saying>> {
    let subtype = text(object, "/subtype")?;
    let is_error = object.get("is_error").and_then(Value::as_bool).unwrap_or(false) || subtype != "success";
    let mut said = Vec::new();
    if is_error {
        let all = object.pointer("/errors").and_then(Value::as_array);
        let all = all.map(|all| all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n"));
        let why = text(object, "/result").map(str::to_owned).or(all).filter(|why| !why.is_empty());
        said.push(words(Kind::Error, &why.unwrap_or_else(|| subtype.to_owned())));
    }
    let mut facts = vec![one_line_of(if is_error { subtype } else { "success" }, 100)];
    facts.extend(number(object, "/num_turns").map(|turns| say!(t, "turns: {turns}", "ходов: {turns}")));
    facts.extend(number(object, "/duration_ms").map(|took| span_in(t, Milliseconds(took))));
    let (taken, given) = (number(object, "/usage/input_tokens"), number(object, "/usage/output_tokens"));
    facts.extend(used(t, taken, number(object, "/usage/cache_read_input_tokens"), given));
    facts.extend(cost(object.pointer("/total_cost_usd").and_then(Value::as_f64)));
    let denied = object.pointer("/permission_denials").and_then(Value::as_array).map_or(0, Vec::len);
    if denied > 0 {
        facts.push(say!(t, "tools refused: {denied}", "инструментов запрещено: {denied}"));
    }
    said.push(Saying::new(Kind::End, facts.join(", ")));
    Some(said)
}
