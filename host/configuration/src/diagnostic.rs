//! What is wrong in a file, where, and what would be right; and how that is shown.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

use toml::de::DeTable;

use crate::locate::key_at;
use crate::near::nearest;
use crate::secret;

/// Values of a file that are quoted in a message are cut to this many characters.
const QUOTED_CHARACTERS: usize = 80;

/// Of what sort a finding is, for programs that read it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The file cannot be read at all.
    UnreadableFile,
    /// It is not TOML.
    NotToml,
    /// There is no such key.
    UnknownKey,
    /// A key must be there and is not.
    MissingKey,
    /// A text where a number is wanted, and the like.
    WrongType,
    /// Less or more than may be.
    OutOfBounds,
    /// None of the words that may stand there.
    UnknownWord,
    /// A token, password or key that was written into a file.
    SecretInFile,
    /// The component itself does not take these settings.
    RefusedByComponent,
    /// The component cannot be loaded, or does not answer.
    BrokenComponent,
    /// A program that is not on this machine.
    MissingProgram,
    /// A name of the environment without a value.
    UnsetVariable,
    /// A path that is not there, or may not be used or shown.
    UnusablePath,
    /// A branch that is not in the repository.
    MissingBranch,
    /// Anything else that cannot be as it is.
    #[default]
    Invalid,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Nothing starts with it.
    #[default]
    Error,
    /// It starts, and somebody should know.
    Warning,
}

/// One thing that is wrong. As JSON it is flat: `file`, `line`, `column`, `key`, `code`, `severity`, `message`, `label`, `help`,
/// `choices`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Of what sort it is.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// The key that it is about, with dots; an entry of a list by its number from 0.
    pub key: Option<String>,
    /// What may stand there, where that can be listed.
    pub choices: Vec<String>,
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
    text: Arc<str>,
}

impl Serialize for Diagnostic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Diagnostic", 10)?;
        fields.serialize_field("file", &self.file)?;
        fields.serialize_field("line", &self.place.map(|place| place.line))?;
        fields.serialize_field("column", &self.place.map(|place| place.column))?;
        fields.serialize_field("key", &self.key)?;
        fields.serialize_field("code", &self.code)?;
        fields.serialize_field("severity", &self.severity)?;
        fields.serialize_field("message", &self.message)?;
        fields.serialize_field("label", &self.label)?;
        fields.serialize_field("help", &self.helps)?;
        fields.serialize_field("choices", &self.choices)?;
        fields.end()
    }
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
    code: Code,
    /// The value is wrong by itself, whatever else the file says.
    of_value: bool,
    severity: Severity,
    span: Option<Range<usize>>,
    message: String,
    label: String,
    helps: Vec<String>,
    choices: Vec<String>,
}

impl Problem {
    pub(crate) fn at(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span: Some(span), ..Self::of_file(message) }
    }

    pub(crate) fn of_file(message: impl Into<String>) -> Self {
        Self {
            code: Code::default(),
            of_value: false,
            severity: Severity::default(),
            span: None,
            message: message.into(),
            label: String::new(),
            helps: Vec::new(),
            choices: Vec::new(),
        }
    }

    /// The value is wrong by itself, whatever else the file says: true also of a file of which not all can be read.
    pub(crate) fn of_value(mut self) -> Self {
        self.of_value = true;
        self
    }

    pub(crate) fn code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    pub(crate) fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
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
    pub(crate) fn choices<'c>(self, what: &str, word: &str, choices: impl IntoIterator<Item = &'c str>) -> Self {
        let choices: Vec<&str> = choices.into_iter().collect();
        let near = nearest(word, &choices);
        self.choices_and(what, near, &choices)
    }

    /// Likewise, where it is known which of them is near.
    pub(crate) fn choices_and(mut self, what: &str, near: Option<&str>, choices: &[&str]) -> Self {
        if self.code == Code::default() {
            self.code = Code::UnknownWord;
        }
        self.choices = choices.iter().map(|choice| (*choice).to_owned()).collect();
        if let Some(near) = near {
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
    /// A carriage return alone ends no line of TOML. It is told once, however many there are, and the rest is read as if each were the
    /// end that it was meant to be: so nothing else is told of it, and all else is.
    pub(crate) fn new(file: impl Into<String>, text: impl Into<String>) -> Self {
        let text: String = text.into();
        let lone: Vec<usize> = text
            .match_indices('\r')
            .map(|(at, _)| at)
            .filter(|at| text.as_bytes().get(at + 1) != Some(&b'\n'))
            .collect();
        let report = Self { file: file.into(), text: with_ends(text, &lone), problems: RefCell::default() };
        if let Some(first) = lone.first() {
            let problem = Problem::at(*first..*first, "this is not TOML: a line ends with a carriage return alone");
            let count = lone.len();
            report.add(problem.code(Code::NotToml).help(format!(
                "lines end with LF, or with CR and LF; of such returns there {} {count} here",
                if count == 1 { "is" } else { "are" }
            )));
        }
        report
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

    /// Moves what another look at the same text found into this report: what is true whatever else the file says, and stands at a
    /// place that `keep` wants.
    pub(crate) fn take(&self, other: Report, keep: impl Fn(usize) -> bool) {
        let found = other.problems.into_inner().into_iter();
        let is_own = |problem: &Problem| {
            problem.of_value || matches!(problem.code, Code::UnknownKey | Code::WrongType | Code::OutOfBounds)
        };
        let kept =
            found.filter(|problem| is_own(problem) && problem.span.as_ref().is_some_and(|span| keep(span.start)));
        self.problems.borrow_mut().extend(kept);
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
        let (table, _) = DeTable::parse_recoverable(&self.text);
        let key = |span: &Range<usize>| key_at(table.get_ref(), span).map(|key| clean(visible(&key)));
        let mut all: Vec<Diagnostic> = self
            .problems
            .into_inner()
            .into_iter()
            .map(|problem| Diagnostic {
                code: problem.code,
                severity: problem.severity,
                key: problem.span.as_ref().and_then(&key),
                choices: problem.choices,
                file: self.file.clone(),
                place: problem.span.map(|span| Place::of(&self.text, span)),
                message: clean(problem.message),
                label: clean(problem.label),
                helps: problem.helps.into_iter().map(clean).collect(),
                text: Arc::clone(&shown),
            })
            .collect();
        all.sort_by_key(|diagnostic| diagnostic.place);
        let mut told = std::collections::BTreeSet::new();
        all.retain(|diagnostic| told.insert((diagnostic.place, diagnostic.message.clone())));
        all
    }
}

/// A text with line ends at these places; nothing else moves.
fn with_ends(text: String, places: &[usize]) -> String {
    let mut places = places.iter().copied().peekable();
    let mut ended = String::with_capacity(text.len());
    for (at, character) in text.char_indices() {
        ended.push(if places.next_if_eq(&at).is_some() { '\n' } else { character });
    }
    ended
}

impl Place {
    /// The place of a span, cut to its first line: a caret under a whole file helps nobody.
    pub(crate) fn of(text: &str, span: Range<usize>) -> Self {
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

/// A key of a file as it may be shown.
pub(crate) fn visible(key: &str) -> String {
    let quoted = quoted(key);
    quoted.trim_matches('`').to_owned()
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
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
    let warnings = match diagnostics.len() - errors {
        0 => String::new(),
        count => format!(" and {}", plural(count, "warning")),
    };
    text.push_str(&format!("{}{warnings} in {}\n", plural(errors, "error"), plural(files.len(), "file")));
    text
}

fn group(diagnostic: &Diagnostic) -> Group<'_> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(diagnostic.message.as_str());
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
