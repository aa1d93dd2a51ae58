//! What the agents that the host knows by name print while they work, read as it comes: what they used, what they do, how they
//! ended. It is an agent's word, read defensively: what is missing, absurd or of another shape says nothing.

mod claude_code;
mod codex;

use std::fs::File;
use std::io;
use std::path::Path;

use conductor::dialect::Told;
use serde_json::Value;

use crate::lines::Lines;

/// What a run did last is a line of this many characters at most.
const DOING_CHARACTERS: usize = 160;
/// Of what it says at its end.
const WORDS_CHARACTERS: usize = 2000;

/// A known agent's log that is read as it grows.
#[derive(Debug)]
pub(crate) struct Reader {
    lines: Lines,
    speech: Speech,
}

#[derive(Debug)]
enum Speech {
    ClaudeCode(claude_code::Speech),
    /// Codex says in its log what it used only at its end, and in its own record of the conversation after each call.
    Codex(codex::Speech, Lines),
}

impl Reader {
    pub(crate) fn claude_code() -> Self {
        Self { lines: Lines::default(), speech: Speech::ClaudeCode(claude_code::Speech::default()) }
    }

    pub(crate) fn codex() -> Self {
        Self { lines: Lines::default(), speech: Speech::Codex(codex::Speech::default(), Lines::default()) }
    }

    /// Reads what is new. `record` opens a conversation's record by its name.
    pub(crate) fn read(
        &mut self,
        log: &Path,
        is_over: bool,
        record: impl FnOnce(&str) -> Option<File>,
    ) -> io::Result<()> {
        match &mut self.speech {
            Speech::ClaudeCode(speech) => self.lines.read(log, is_over, &mut |object| speech.hear(object)),
            Speech::Codex(speech, lines) => {
                self.lines.read(log, is_over, &mut |object| speech.hear(object))?;
                match speech.session().and_then(record) {
                    Some(record) => lines.read_file(record, is_over, &mut |object| speech.hear_record(object)),
                    None => Ok(()),
                }
            }
        }
    }

    /// What it has said so far.
    pub(crate) fn told(&self) -> Told {
        match &self.speech {
            Speech::ClaudeCode(speech) => speech.told(),
            Speech::Codex(speech, _) => speech.told(),
        }
    }
}

fn text<'v>(object: &'v Value, pointer: &str) -> Option<&'v str> {
    object.pointer(pointer)?.as_str()
}

/// A text as one line: what would play with a reader's terminal, or hides, is shown as a dot.
fn one_line(text: &str, most: usize) -> String {
    let hides = |character: char| {
        character.is_control()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let shown = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut characters = shown.chars().map(|character| if hides(character) { '\u{b7}' } else { character });
    let line: String = characters.by_ref().take(most).collect();
    if characters.next().is_some() { line + "…" } else { line }
}

/// The name of a conversation, if it is one: it becomes part of a path and of a command line.
fn session(name: &str) -> Option<String> {
    conductor::dialect::is_session(name).then(|| name.to_owned())
}
