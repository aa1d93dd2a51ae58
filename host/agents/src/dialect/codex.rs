//! Codex's `--json`: `thread.started`, `item.…`, and as the last one `turn.completed` or `turn.failed`. What it has used so far
//! stands in its own record of the conversation.

use conductor::dialect::{Complaint, End, Told};
use conductor::project::Pointers;
use domain::cost::Usage;
use serde_json::Value;

use super::{DOING_CHARACTERS, WORDS_CHARACTERS, one_line, session, text};
use crate::report::usage_of;
use crate::stream::joined;

/// Its figures are those of the whole conversation, earlier runs included; and those of the cache are among those of the input.
#[derive(Debug, Default)]
pub(super) struct Speech {
    told: Told,
    words: String,
}

fn total(object: &Value, at: &str) -> Usage {
    let pointer = |name: &str| Some(format!("{at}/{name}"));
    let said = usage_of(
        &Pointers {
            input_tokens: pointer("input_tokens"),
            output_tokens: pointer("output_tokens"),
            cache_read_tokens: pointer("cached_input_tokens"),
            cache_creation_tokens: pointer("cache_write_input_tokens"),
            cost_usd: None,
        },
        object,
    );
    let cached = said.cache_read_tokens.unwrap_or(0).saturating_add(said.cache_creation_tokens.unwrap_or(0));
    Usage { input_tokens: said.input_tokens.map(|input| input.saturating_sub(cached)), ..said }
}

impl Speech {
    pub(super) fn session(&self) -> Option<&str> {
        self.told.session.as_deref()
    }

    pub(super) fn hear(&mut self, object: &Value) {
        let failed = |words: Option<&str>| {
            let words = one_line(words.unwrap_or_default(), WORDS_CHARACTERS);
            Some(End::Bad(Complaint { status: status(&words), words, reason: None }))
        };
        match text(object, "/type") {
            Some("thread.started") if self.told.session.is_none() => {
                self.told.session = text(object, "/thread_id").and_then(session);
            }
            Some("turn.started") => self.told.end = None,
            Some("item.started" | "item.completed") => self.hear_item(object),
            Some("turn.completed") => {
                self.count(&total(object, "/usage"));
                self.told.end = Some(End::Good { words: self.words.clone(), denied: Vec::new() });
            }
            Some("turn.failed") => self.told.end = failed(text(object, "/error/message")),
            _ => {}
        }
    }

    fn hear_item(&mut self, object: &Value) {
        let begins = text(object, "/type") == Some("item.started");
        let words = |pointer: &str| text(object, pointer).map(|words| one_line(words, DOING_CHARACTERS));
        let doing = match text(object, "/item/type") {
            Some("command_execution") if begins => words("/item/command"),
            Some("file_change" | "mcp_tool_call" | "web_search") if begins => words("/item/type"),
            Some("agent_message") => {
                self.words = one_line(text(object, "/item/text").unwrap_or_default(), WORDS_CHARACTERS);
                words("/item/text")
            }
            _ => return,
        };
        self.told.steps = self.told.steps.saturating_add(u32::from(begins));
        self.told.doing = doing.or_else(|| self.told.doing.take());
    }

    /// A line of its record.
    pub(super) fn hear_record(&mut self, object: &Value) {
        match text(object, "/type") {
            Some("token_usage_record") => {
                self.count(&total(object, "/payload/thread_token_usage"));
                let last = total(object, "/payload/usage");
                let read = [last.input_tokens, last.cache_read_tokens, last.cache_creation_tokens];
                self.told.context = Some(read.into_iter().flatten().fold(0, u64::saturating_add));
            }
            Some("turn_context") => {
                let model = text(object, "/payload/model").map(|model| one_line(model, 100));
                self.told.model = model.or_else(|| self.told.model.take());
            }
            _ => {}
        }
    }

    fn count(&mut self, total: &Usage) {
        self.told.usage = joined(&self.told.usage, total, u64::max);
    }

    pub(super) fn told(&self) -> Told {
        self.told.clone()
    }
}

/// The status that it names in words: `last status: 429`, `unexpected status 401`.
fn status(words: &str) -> Option<u16> {
    let behind = words.split("status").nth(1)?.trim_start_matches([':', ' ']);
    let digits = behind.split(|character: char| !character.is_ascii_digit()).next()?;
    digits.parse().ok().filter(|status| (400..600).contains(status))
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

    #[test]
    fn a_turn_that_completed_has_its_words_and_the_figures_of_its_conversation() {
        let told = heard(&[
            json!({"type": "thread.started", "thread_id": "01a1-x"}),
            json!({"type": "turn.started"}),
            json!({"type": "item.started", "item": {"type": "command_execution", "command": "make check"}}),
            json!({"type": "item.completed", "item": {"type": "command_execution", "command": "make check"}}),
            json!({"type": "error", "message": "Reconnecting... 1/2"}),
            json!({"type": "item.completed", "item": {"type": "agent_message", "text": "all is\nwell"}}),
            json!({"type": "turn.completed", "usage": {"input_tokens": 900, "cached_input_tokens": 600,
                "cache_write_input_tokens": 100, "output_tokens": 7, "reasoning_output_tokens": 3}}),
        ]);
        assert_eq!(told.session.as_deref(), Some("01a1-x"));
        assert_eq!((told.steps, told.doing.as_deref()), (1, Some("all is well")));
        assert_eq!(told.end, Some(End::Good { words: "all is well".to_owned(), denied: Vec::new() }));
        let expected = Usage {
            input_tokens: Some(200),
            output_tokens: Some(7),
            cache_read_tokens: Some(600),
            cache_creation_tokens: Some(100),
            cost_microusd: None,
        };
        assert_eq!(told.usage, expected);
    }

    #[test]
    fn its_record_tells_what_it_has_used_so_far() {
        let mut speech = Speech::default();
        let figures = |input: u64| json!({"input_tokens": input, "cached_input_tokens": 40, "output_tokens": 5});
        speech.hear_record(&json!({"type": "turn_context", "payload": {"model": "gpt-x"}}));
        for total in [100, 300, 200] {
            speech.hear_record(&json!({"type": "token_usage_record",
                "payload": {"usage": figures(100), "thread_token_usage": figures(total)}}));
        }
        let told = speech.told();
        assert_eq!((told.usage.input_tokens, told.usage.output_tokens), (Some(260), Some(5)), "nothing is lowered");
        assert_eq!((told.context, told.model.as_deref()), (Some(100), Some("gpt-x")));
    }

    #[test]
    fn a_failure_says_its_status_where_its_words_do() {
        for (words, expected) in [
            ("exceeded retry limit, last status: 429 Too Many Requests, request id: 9", Some(429)),
            ("unexpected status 401 Unauthorized: no", Some(401)),
            ("stream disconnected before completion: the status is unknown", None),
            ("status 77777", None),
        ] {
            let told = heard(&[json!({"type": "turn.failed", "error": {"message": words}})]);
            let complaint = Complaint { words: words.to_owned(), status: expected, reason: None };
            assert_eq!(told.end, Some(End::Bad(complaint)));
        }
        assert_eq!(heard(&[json!({"type": "error", "message": "Reconnecting"})]).end, None, "that is no end");
    }
}
