//! What an agent's line says to a person: its words, the tools that it calls, what they answered, how it ended.
//!
//! A pure function over one line, for a page shows any part of a log. The lines are those of `claude --output-format stream-json`
//! and of `codex exec --json`; every other line is [`None`], and is shown as it was written. What stands in a line was written by
//! an agent, and by whatever it read: nothing here is believed, all of it is text.

use domain::cost::dollars;
use serde_json::Value;

use crate::show::{logged, one_line_of};
use crate::tongue::{Tongue, say};

mod claude;
mod codex;

/// Characters of a tool's input.
const LONGEST_INPUT: usize = 300;
/// Characters of what an agent says: a long answer, and not a book.
const LONGEST_WORDS: usize = 8000;
/// Characters of what a tool answered: its beginning, and its end, where what went wrong stands most often.
const LONGEST_ANSWER: (usize, usize) = (500, 300);
/// Microdollars of a dollar.
const MICROS: f64 = 1_000_000.0;

/// What kind of saying it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The agent speaks.
    Words,
    /// It thinks.
    Thought,
    /// It calls a tool.
    Tool,
    /// What the tool answered.
    Answer,
    /// Something went wrong.
    Error,
    /// How it began, and what else is worth a line.
    Note,
    /// How it ended, and what it used.
    End,
}

/// One thing that a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Saying {
    pub(crate) kind: Kind,
    /// A tool's name; empty: nothing has one.
    pub(crate) name: String,
    /// Already fit to be shown.
    pub(crate) text: String,
}

impl Saying {
    fn new(kind: Kind, text: String) -> Self {
        Self { kind, name: String::new(), text }
    }

    fn tool(name: &str, input: String) -> Self {
        Self { kind: Kind::Tool, name: one_line_of(name, 100), text: input }
    }

    /// The class of its line.
    pub(crate) const fn class(&self) -> &'static str {
        match self.kind {
            Kind::Words => "words",
            Kind::Thought => "thought",
            Kind::Tool => "tool",
            Kind::Answer => "answer",
            Kind::Error => "wrong",
            Kind::Note => "note",
            Kind::End => "end",
        }
    }

    /// Who speaks, or what it is.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
    pub(crate) const fn label(&self, t: &Tongue) -> &'static str {
        match self.kind {
            Kind::Words => t.of("agent", "агент"),
            Kind::Thought => t.of("thinks", "думает"),
            Kind::Tool => t.of("calls", "вызов"),
            Kind::Answer => t.of("answer", "ответ"),
            Kind::Error => t.of("error", "ошибка"),
            Kind::Note => t.of("note", "заметка"),
            Kind::End => t.of("end", "итог"),
        }
    }

    pub(crate) fn is_error(&self) -> bool {
        self.kind == Kind::Error
    }
}

/// What a line says. None: it is none of an agent's stream, or of a kind that is not known here.
pub(crate) fn told(t: Tongue, line: &str) -> Option<Vec<Saying>> {
    let line = line.trim();
    if !(line.starts_with('{') && line.ends_with('}')) {
        return None;
    }
    let object: Value = serde_json::from_str(line).ok()?;
    let kind = text(&object, "/type")?;
    claude::told(t, kind, &object).or_else(|| codex::told(t, kind, &object))
}

/// A text as a JSON string holds it, for whoever looks for it letter by letter; none: it is the same.
pub(crate) fn as_written(text: &str) -> Option<String> {
    let written = serde_json::to_string(text).ok()?;
    let inside = &written[1..written.len() - 1];
    (inside != text).then(|| inside.to_owned())
}

fn text<'v>(object: &'v Value, pointer: &str) -> Option<&'v str> {
    object.pointer(pointer)?.as_str()
}

fn number(object: &Value, pointer: &str) -> Option<u64> {
    object.pointer(pointer)?.as_u64()
}

fn words(kind: Kind, text: &str) -> Saying {
    Saying::new(kind, shortened(text, (LONGEST_WORDS, 0)))
}

fn answer(text: &str, is_error: bool) -> Saying {
    Saying::new(if is_error { Kind::Error } else { Kind::Answer }, shortened(text, LONGEST_ANSWER))
}

/// The beginning and the end of a long text, with what was left out between them.
fn shortened(text: &str, (head, tail): (usize, usize)) -> String {
    let text = text.trim_matches('\n');
    let length = text.chars().count();
    if length <= head + tail {
        return logged(text);
    }
    let place = |characters| text.char_indices().nth(characters).map_or(text.len(), |(place, _)| place);
    let (first, last) = (&text[..place(head)], &text[place(length - tail)..]);
    format!("{} […{}…] {}", logged(first), length - head - tail, logged(last)).trim_end().to_owned()
}

/// What a tool is given, in a line: what says most of it, or all of it.
fn input(given: &Value) -> String {
    const TELLING: [&str; 9] =
        ["command", "file_path", "notebook_path", "path", "pattern", "query", "url", "description", "prompt"];
    let telling = TELLING.iter().find_map(|name| given.get(name)?.as_str());
    let shown = match (telling, given) {
        (Some(text), _) => text.to_owned(),
        (None, Value::Null) => String::new(),
        (None, Value::Object(fields)) if fields.is_empty() => String::new(),
        (None, Value::String(text)) => text.clone(),
        (None, other) => other.to_string(),
    };
    one_line_of(&shown, LONGEST_INPUT)
}

/// What was used, of what is said of it.
fn used(t: Tongue, taken: Option<u64>, cached: Option<u64>, given: Option<u64>) -> Vec<String> {
    let said = [
        taken.map(|tokens| say!(t, "{tokens} tokens in", "токенов на входе: {tokens}")),
        cached.map(|tokens| say!(t, "{tokens} of a cache", "из кеша: {tokens}")),
        given.map(|tokens| say!(t, "{tokens} tokens out", "токенов на выходе: {tokens}")),
    ];
    said.into_iter().flatten().collect()
}

/// What an agent says that it cost; a number that is none is not said.
fn cost(usd: Option<f64>) -> Option<String> {
    let usd = usd.filter(|usd| usd.is_finite() && (0.0..1e9).contains(usd))?;
    Some(dollars((usd * MICROS).round() as u64))
}

#[cfg(test)]
mod tests;
