//! What is wrong in a file, where, and what would be right; and how that is shown.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde::Serialize;

use crate::secret;

/// Values of a file that are quoted in a message are cut to this many characters.
const QUOTED_CHARACTERS: usize = 80;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// The file, relative to the state folder.
    pub file: String,
    /// Where in it; none: the file as a whole.
    pub place: Option<Place>,
    /// What is wrong, as one sentence without a full stop.
    pub message: String,
    /// What stands beside the caret.
    pub label: String,
    /// What to do, the likeliest first.
    pub helps: Vec<String>,
    /// The file's text as it may be shown: secrets are blotted out.
    #[serde(skip)]
    text: Arc<str>,
}

/// Where something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// Bytes from the file's beginning.
    pub start: usize,
    /// The first byte after it.
    pub end: usize,
}

/// A finding on its way into the report.
pub(crate) struct Problem {
    span: Option<Range<usize>>,
    message: String,
    label: String,
    helps: Vec<String>,
}

impl Problem {
    pub(crate) fn at(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span: Some(span), message: message.into(), label: String::new(), helps: Vec::new() }
    }

    pub(crate) fn of_file(message: impl Into<String>) -> Self {
        Self { span: None, message: message.into(), label: String::new(), helps: Vec::new() }
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.helps.push(help.into());
        self
    }

    /// A help that is likelier than those that stand there.
    pub(crate) fn first_help(mut self, help: impl Into<String>) -> Self {
        self.helps.insert(0, help.into());
        self
    }

    /// Adds "did you mean" where a choice is near, and the choices themselves.
    pub(crate) fn choices<'c>(mut self, what: &str, word: &str, choices: impl IntoIterator<Item = &'c str>) -> Self {
        let choices: Vec<&str> = choices.into_iter().collect();
        if let Some(near) = nearest(word, &choices) {
            self.helps.push(format!("did you mean `{near}`?"));
        }
        let list = choices.iter().map(|choice| format!("`{choice}`")).collect::<Vec<_>>().join(", ");
        self.helps.push(format!("{what}: {}", if list.is_empty() { "none" } else { list.as_str() }));
        self
    }
}

/// Collects what is wrong in one file.
pub(crate) struct Report {
    file: String,
    text: String,
    problems: RefCell<Vec<Problem>>,
}

impl Report {
    pub(crate) fn new(file: impl Into<String>, text: impl Into<String>) -> Self {
        Self { file: file.into(), text: text.into(), problems: RefCell::default() }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn add(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    pub(crate) fn count(&self) -> usize {
        self.problems.borrow().len()
    }

    /// The findings in the file's order, without what must not be shown.
    pub(crate) fn finish(self) -> Vec<Diagnostic> {
        let secrets = secret::find(&self.text);
        for found in &secrets {
            self.add(found.problem());
        }
        let shown: Arc<str> = secret::blot(&self.text, &secrets).into();
        let hidden: Vec<&str> = secrets.iter().map(|found| &self.text[found.span.clone()]).collect();
        let clean = |words: String| secret::blot_message(words, &hidden);
        let mut all: Vec<Diagnostic> = self
            .problems
            .into_inner()
            .into_iter()
            .map(|problem| Diagnostic {
                file: self.file.clone(),
                place: problem.span.map(|span| Place::of(&self.text, span)),
                message: clean(problem.message),
                label: clean(problem.label),
                helps: problem.helps.into_iter().map(clean).collect(),
                text: Arc::clone(&shown),
            })
            .collect();
        all.sort_by_key(|diagnostic| diagnostic.place);
        all.dedup();
        all
    }
}

impl Place {
    /// The place of a span, cut to its first line: a caret under a whole file helps nobody.
    fn of(text: &str, span: Range<usize>) -> Self {
        let start = floor(text, span.start);
        let line_end = text[start..].find('\n').map_or(text.len(), |end| start + end);
        let end = floor(text, span.end).clamp(start, line_end);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            start,
            end,
        }
    }
}

fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The choice that was probably meant.
pub(crate) fn nearest<'c>(word: &str, choices: &[&'c str]) -> Option<&'c str> {
    let word = word.to_lowercase().replace('_', "-");
    let bound = (word.chars().count() / 3).max(1);
    choices
        .iter()
        .map(|choice| (strsim::damerau_levenshtein(&word, &choice.to_lowercase()), *choice))
        .filter(|(distance, _)| *distance <= bound)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, choice)| choice)
}

/// A value of a file within a message: cut, and with nothing in it that a terminal obeys.
pub(crate) fn quoted(value: &str) -> String {
    let mut text = String::from("`");
    for (count, character) in value.chars().enumerate() {
        if count == QUOTED_CHARACTERS {
            text.push('…');
            break;
        }
        if character.is_control() || is_invisible(character) {
            text.extend(character.escape_unicode());
        } else {
            text.push(character);
        }
    }
    text.push('`');
    text
}

/// Direction marks and characters without width: a name that shows as another.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// All findings as text for people, with a last line that counts them.
pub fn render(diagnostics: &[Diagnostic], color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let mut text = String::new();
    for diagnostic in diagnostics {
        text.push_str(&renderer.render(&[group(diagnostic)]));
        text.push_str("\n\n");
    }
    let mut files: Vec<&str> = diagnostics.iter().map(|diagnostic| diagnostic.file.as_str()).collect();
    files.sort_unstable();
    files.dedup();
    let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    text.push_str(&format!("{} in {}\n", plural(diagnostics.len(), "error"), plural(files.len(), "file")));
    text
}

fn group(diagnostic: &Diagnostic) -> Group<'_> {
    let title = Level::ERROR.primary_title(diagnostic.message.as_str());
    let shown = match &diagnostic.place {
        Some(place) => {
            let mut caret = AnnotationKind::Primary.span(place.start..place.end);
            if !diagnostic.label.is_empty() {
                caret = caret.label(diagnostic.label.as_str());
            }
            title.element(Snippet::source(&*diagnostic.text).path(diagnostic.file.as_str()).annotation(caret))
        }
        None => title.element(Origin::path(diagnostic.file.as_str())),
    };
    shown.elements(diagnostic.helps.iter().map(|help| Level::HELP.message(help.as_str())))
}
