//! Claude Code's `stream-json`: `system`, `assistant`, `user` and, as the last one, `result`.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

use conductor::dialect::{Complaint, End, Told};
use conductor::project::Pointers;
use domain::cost::Usage;
use serde_json::Value;

use super::{DOING_CHARACTERS, WORDS_CHARACTERS, one_line, session, text};
use crate::report::usage_of;
use crate::stream::joined;

/// Messages whose figures may still change: each of its blocks is a line of its own, and the messages of agents that work side by
/// side stand among each other. There are far fewer of them.
const OPEN_MESSAGES: usize = 64;
/// A token is about four bytes of text.
const BYTES_PER_TOKEN: u64 = 4;

#[derive(Debug, Default)]
pub(super) struct Speech {
    told: Told,
    /// What the messages said that are closed.
    before: Usage,
    open: VecDeque<Message>,
    /// What the last word said, once it is spoken.
    result: Option<Usage>,
}

#[derive(Debug)]
struct Message {
    id: u64,
    usage: Usage,
    /// Of its text so far.
    bytes: u64,
}

impl Message {
    /// A line carries the figures of its message's beginning, when nothing had been written yet: what was written counts at least.
    fn counted(&self) -> Usage {
        let written = self.bytes / BYTES_PER_TOKEN;
        let output_tokens = self.usage.output_tokens.map(|said| said.max(written));
        Usage { output_tokens, ..self.usage }
    }
}

fn tokens(at: &str) -> Pointers {
    let pointer = |name: &str| Some(format!("{at}/{name}"));
    Pointers {
        input_tokens: pointer("input_tokens"),
        output_tokens: pointer("output_tokens"),
        cache_read_tokens: pointer("cache_read_input_tokens"),
        cache_creation_tokens: pointer("cache_creation_input_tokens"),
        cost_usd: None,
    }
}

fn sum(one: &Usage, other: &Usage) -> Usage {
    joined(one, other, u64::saturating_add)
}

impl Speech {
    pub(super) fn hear(&mut self, object: &Value) {
        let told = text(object, "/session_id").and_then(session);
        self.told.session = told.or_else(|| self.told.session.take());
        match text(object, "/type") {
            Some("system") if text(object, "/subtype") == Some("init") => {
                self.told.model = text(object, "/model").map(|model| one_line(model, 100));
            }
            Some("assistant") => self.hear_message(object),
            Some("result") => self.hear_result(object),
            _ => {}
        }
    }

    fn hear_message(&mut self, object: &Value) {
        // It speaks of a refusal as if its model had said it.
        if text(object, "/message/model") == Some("<synthetic>") {
            return;
        }
        let mut bytes = 0;
        for block in object.pointer("/message/content").and_then(Value::as_array).into_iter().flatten() {
            bytes += block.to_string().len() as u64;
            match text(block, "/type") {
                Some("tool_use") => {
                    self.told.steps = self.told.steps.saturating_add(1);
                    self.told.doing = Some(one_line(&tool(block), DOING_CHARACTERS));
                }
                Some("text") => {
                    let words = one_line(text(block, "/text").unwrap_or_default(), DOING_CHARACTERS);
                    if !words.is_empty() {
                        self.told.doing = Some(words);
                    }
                }
                _ => {}
            }
        }
        let usage = usage_of(&tokens("/message/usage"), object);
        if !usage.is_known() {
            return;
        }
        let read = [usage.input_tokens, usage.cache_read_tokens, usage.cache_creation_tokens];
        // A helper's conversation is its own.
        if object.pointer("/parent_tool_use_id").is_none_or(Value::is_null) {
            self.told.context = Some(read.into_iter().flatten().fold(0, u64::saturating_add));
        }
        let mut hasher = DefaultHasher::new();
        text(object, "/message/id").hash(&mut hasher);
        let id = hasher.finish();
        if let Some(known) = self.open.iter_mut().find(|message| message.id == id) {
            known.usage = joined(&known.usage, &usage, u64::max);
            known.bytes = known.bytes.saturating_add(bytes);
            return;
        }
        if self.open.len() >= OPEN_MESSAGES
            && let Some(closed) = self.open.pop_front()
        {
            self.before = sum(&self.before, &closed.counted());
        }
        self.open.push_back(Message { id, usage, bytes });
    }

    fn hear_result(&mut self, object: &Value) {
        let cost = Pointers { cost_usd: Some("/total_cost_usd".to_owned()), ..Pointers::default() };
        let cost = usage_of(&cost, object).cost_microusd;
        let said = usage_of(&tokens("/usage"), object);
        // Of a run that failed it says zeros, whatever its calls had used before.
        let is_said = [said.input_tokens, said.output_tokens, said.cache_read_tokens, said.cache_creation_tokens]
            .into_iter()
            .flatten()
            .any(|figure| figure > 0);
        let streamed = self.streamed();
        // Of one that its budget ended it leaves the last call out.
        let is_whole = said.input_tokens >= streamed.input_tokens;
        let most = joined(&said, &streamed, u64::max);
        let counted = if is_whole { Usage { output_tokens: said.output_tokens, ..most } } else { most };
        let is_free = !is_said && cost == Some(0) && streamed.is_known();
        self.result = Some(Usage { cost_microusd: cost.filter(|_| !is_free), ..counted });
        self.told.end = Some(end(object));
    }

    fn streamed(&self) -> Usage {
        self.open.iter().fold(self.before, |all, message| sum(&all, &message.counted()))
    }

    pub(super) fn told(&self) -> Told {
        Told { usage: self.result.unwrap_or_else(|| self.streamed()), ..self.told.clone() }
    }
}

/// `subtype` says "success" of an API error too: `is_error` tells.
fn end(object: &Value) -> End {
    let words = |pointer: &str| text(object, pointer).map(|words| one_line(words, WORDS_CHARACTERS));
    let subtype = text(object, "/subtype").unwrap_or_default();
    if object.pointer("/is_error") == Some(&Value::Bool(false)) && subtype == "success" {
        let asked = object.pointer("/permission_denials").and_then(Value::as_array).into_iter().flatten();
        let denied = asked.filter_map(|denial| text(denial, "/tool_name")).map(|name| one_line(name, 100));
        return End::Good { words: words("/result").unwrap_or_default(), denied: denied.take(20).collect() };
    }
    let reason =
        if subtype.is_empty() || subtype == "success" { text(object, "/terminal_reason") } else { Some(subtype) };
    let status =
        object.pointer("/api_error_status").and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok());
    let said = words("/result").or_else(|| words("/errors/0"));
    End::Bad(Complaint { words: said.unwrap_or_default(), status, reason: reason.map(|reason| one_line(reason, 100)) })
}

/// A tool and what it is used on.
fn tool(block: &Value) -> String {
    let name = text(block, "/name").unwrap_or("a tool");
    let on = ["command", "file_path", "path", "pattern", "description", "prompt", "url", "query"];
    let on = on.into_iter().find_map(|key| block.pointer("/input")?.get(key)?.as_str());
    on.map_or_else(|| name.to_owned(), |on| format!("{name}: {on}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn heard(lines: &[Value]) -> Told {
        let mut speech = Speech::default();
        for line in lines {
            speech.hear(line);
        }
        speech.told()
    }

    fn message(id: &str, usage: [u64; 4], block: &Value) -> Value {
        json!({"type": "assistant", "session_id": "7d0c3e52-0000-4000-8000-000000000001", "parent_tool_use_id": null,
            "message": {"id": id, "model": "claude-x", "content": [block], "usage": {"input_tokens": usage[0],
            "cache_read_input_tokens": usage[1], "cache_creation_input_tokens": usage[2], "output_tokens": usage[3]}}})
    }

    fn words(words: &str) -> Value {
        json!({"type": "text", "text": words})
    }

    fn result(more: &Value) -> Value {
        let mut line = json!({"type": "result", "subtype": "success", "is_error": false, "total_cost_usd": 0.25,
            "usage": {"input_tokens": 30, "output_tokens": 9}, "result": "done", "permission_denials": []});
        let more = more.as_object().unwrap().clone();
        line.as_object_mut().unwrap().extend(more);
        line
    }

    #[test]
    fn while_it_works_each_message_counts_once_and_its_tool_is_told() {
        let bash =
            json!({"type": "tool_use", "name": "Bash", "input": {"command": "cargo  test\n\u{1b}[31m \u{202e}x"}});
        let told = heard(&[
            json!({"type": "system", "subtype": "init", "model": "claude-x"}),
            message("a", [10, 300, 5, 2], &words("I look.")),
            message("a", [10, 300, 5, 2], &bash),
            // Of a helper that works beside it.
            message("b", [7, 0, 0, 1], &words("hm")),
            message("a", [10, 300, 5, 40], &words("and so on")),
        ]);
        assert_eq!((told.usage.input_tokens, told.usage.cache_read_tokens), (Some(17), Some(300)));
        assert_eq!(told.usage.cost_microusd, None);
        assert!(told.usage.output_tokens >= Some(41), "{:?}", told.usage);
        assert_eq!((told.model.as_deref(), told.steps, told.end), (Some("claude-x"), 1, None));
        assert_eq!(told.session.as_deref(), Some("7d0c3e52-0000-4000-8000-000000000001"));
        let told = heard(&[message("a", [1, 0, 0, 1], &bash)]);
        assert_eq!(told.doing.as_deref(), Some("Bash: cargo test \u{b7}[31m \u{b7}x"));
    }

    #[test]
    fn what_it_has_written_counts_though_its_figures_are_those_of_the_beginning() {
        let told = heard(&[message("a", [10, 0, 0, 1], &words(&"word ".repeat(1000)))]);
        assert!((1250..1300).contains(&told.usage.output_tokens.unwrap()), "{:?}", told.usage);
    }

    #[test]
    fn the_last_word_replaces_the_figures_unless_it_says_nothing_of_them() {
        let spoken = message("a", [10, 0, 0, 1], &words("hm"));
        let told = heard(&[spoken.clone(), result(&json!({}))]);
        let expected = Usage {
            input_tokens: Some(30),
            output_tokens: Some(9),
            cache_read_tokens: Some(0),
            cache_creation_tokens: Some(0),
            cost_microusd: Some(250_000),
        };
        assert_eq!(told.usage, expected);
        let zeros = json!({"usage": {"input_tokens": 0, "output_tokens": 0}, "is_error": true, "total_cost_usd": 0});
        let told = heard(&[spoken, result(&zeros)]);
        assert_eq!((told.usage.input_tokens, told.usage.cost_microusd), (Some(10), None), "a price counts then");
        assert_eq!(heard(&[result(&zeros)]).usage.cost_microusd, Some(0), "no call was made");
    }

    #[test]
    fn an_error_is_none_of_its_successes_whatever_the_subtype_says() {
        let bad = |more: Value| match heard(&[result(&more)]).end {
            Some(End::Bad(complaint)) => complaint,
            end => panic!("{end:?}"),
        };
        let refused = json!({"is_error": true, "api_error_status": 429, "terminal_reason": "api_error", "result": "API Error: no"});
        let expected =
            Complaint { words: "API Error: no".to_owned(), status: Some(429), reason: Some("api_error".to_owned()) };
        assert_eq!(bad(refused), expected);
        let spent = json!({"is_error": true, "subtype": "error_max_budget_usd", "errors": ["enough"], "result": null});
        assert_eq!(
            (bad(spent.clone()).reason.as_deref(), bad(spent).words.as_str()),
            (Some("error_max_budget_usd"), "enough")
        );
        for odd in
            [json!({"is_error": null}), json!({"is_error": "false"}), json!({"subtype": "error_during_execution"})]
        {
            bad(odd);
        }
        let denied = json!({"permission_denials": [{"tool_name": "Bash", "tool_input": {}}, 7]});
        let expected = End::Good { words: "done".to_owned(), denied: vec!["Bash".to_owned()] };
        assert_eq!(heard(&[result(&denied)]).end, Some(expected));
        assert_eq!(
            heard(&[result(&json!({"is_error": true})), result(&json!({}))])
                .end
                .map(|end| matches!(end, End::Good { .. })),
            Some(true)
        );
    }

    #[test]
    fn what_is_no_speech_says_nothing() {
        for line in [
            json!({}),
            json!({"type": 7}),
            json!({"type": "assistant"}),
            json!({"type": "assistant", "message": {"content": "x"}}),
        ] {
            assert_eq!(heard(&[line]), Told::default());
        }
        let odd = json!({"type": "system", "session_id": "../../etc/passwd"});
        assert_eq!(heard(&[odd]).session, None, "it would become a path");
    }
}
