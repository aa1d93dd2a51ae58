//! The head of a document: YAML between two lines of `---`. A verdict is read from a field there and nowhere else.
//!
//! Only the top level's plain values can be asked for; what is nested is stepped over. Aliases are never expanded, so there is
//! nothing to inflate.
//!
//! ```
//! use gatewright_sdk::frontmatter::{Frontmatter, Unread};
//!
//! let document = "---\nverdict: APPROVED  # at last\n---\n# Review\nThe first try was REQUEST_CHANGES.\n";
//! let head = Frontmatter::read(document).unwrap();
//! assert_eq!(head.value("verdict").unwrap(), "APPROVED");
//! assert_eq!(head.value("result").unwrap_err(), Unread::MissingKey { key: "result".to_owned() });
//! assert!(head.body.starts_with("# Review"));
//! ```

use std::fmt;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

/// The most that stands between the two lines. A head is a dozen fields; a scanner has no business with more.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;
/// How deep its values may nest.
pub const DEPTH_MAX: usize = 32;

/// A document's head and the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frontmatter<'document> {
    fields: Vec<(String, Value)>,
    /// What comes after the head.
    pub body: &'document str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Plain(String),
    /// A list, a mapping, an alias: nothing that a verdict is read from.
    Nested,
}

/// Why a field's value could not be read. Each is a distinct mistake of whoever wrote the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unread {
    /// The first line is not `---`.
    NoFrontmatter,
    /// What stands there is no YAML mapping that could be read.
    Broken {
        /// Counts from 1, in the document.
        line: usize,
        /// For people.
        why: String,
    },
    /// The head has no such key.
    MissingKey {
        /// The key that was asked for.
        key: String,
    },
    /// The key is there, its value is not.
    EmptyKey {
        /// The key that was asked for.
        key: String,
    },
    /// The value is a list, a mapping or an alias.
    NotPlain {
        /// The key that was asked for.
        key: String,
    },
}

impl fmt::Display for Unread {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFrontmatter => formatter.write_str("it has no frontmatter: its first line is not `---`"),
            Self::Broken { line, why } => write!(formatter, "its frontmatter is no YAML mapping: line {line}: {why}"),
            Self::MissingKey { key } => write!(formatter, "its frontmatter has no key `{key}`"),
            Self::EmptyKey { key } => write!(formatter, "the key `{key}` in its frontmatter is empty"),
            Self::NotPlain { key } => write!(formatter, "the key `{key}` in its frontmatter holds no plain value"),
        }
    }
}

impl std::error::Error for Unread {}

impl<'document> Frontmatter<'document> {
    /// Reads the head of a document.
    pub fn read(document: &'document str) -> Result<Self, Unread> {
        let (head, body, lines_before) = split(document)?;
        let fields = Reader { lines_before, fields: Vec::new() }.read(head)?;
        Ok(Self { fields, body })
    }

    /// The trimmed text of a plain value, as it was written: `yes` is `"yes"`, `1.0` is `"1.0"`.
    pub fn value(&self, key: &str) -> Result<&str, Unread> {
        let key_owned = || key.to_owned();
        match self.fields.iter().find(|(name, _)| name == key) {
            None => Err(Unread::MissingKey { key: key_owned() }),
            Some((_, Value::Nested)) => Err(Unread::NotPlain { key: key_owned() }),
            Some((_, Value::Plain(text))) if text.trim().is_empty() => Err(Unread::EmptyKey { key: key_owned() }),
            Some((_, Value::Plain(text))) => Ok(text.trim()),
        }
    }

    /// The keys of the top level, in their order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(name, _)| name.as_str())
    }
}

/// The head, the body, and how many lines of the document stand before the head.
fn split(document: &str) -> Result<(&str, &str, usize), Unread> {
    let document = document.strip_prefix('\u{feff}').unwrap_or(document);
    let mut offset = 0;
    let mut head_start = None;
    for (number, line) in document.split_inclusive('\n').enumerate() {
        let (start, end) = (offset, offset + line.len());
        offset = end;
        match (head_start, is_fence(line)) {
            (None, true) => head_start = Some((end, number + 1)),
            (None, false) if line.trim().is_empty() => {}
            (None, false) => return Err(Unread::NoFrontmatter),
            (Some((head, lines_before)), true) => {
                return Ok((&document[head..start], &document[end..], lines_before));
            }
            (Some((head, lines_before)), false) if end - head > HEAD_BYTES_MAX => {
                return Err(Unread::Broken { line: lines_before, why: "it is longer than 64 KiB".to_owned() });
            }
            (Some(_), false) => {}
        }
    }
    match head_start {
        Some((_, line)) => Err(Unread::Broken { line, why: "the closing line `---` is missing".to_owned() }),
        None => Err(Unread::NoFrontmatter),
    }
}

fn is_fence(line: &str) -> bool {
    line.trim_end() == "---"
}

struct Reader {
    lines_before: usize,
    fields: Vec<(String, Value)>,
}

impl Reader {
    fn read(mut self, head: &str) -> Result<Vec<(String, Value)>, Unread> {
        let mut events = Parser::new_from_str(head);
        // A head of nothing but comments has no document, hence no fields.
        let mut seen_document = false;
        while let Some((event, span)) = self.next(&mut events)? {
            match event {
                Event::DocumentStart(_) if seen_document => {
                    return Err(self.broken(&span, "it holds more than one YAML document"));
                }
                Event::DocumentStart(_) => seen_document = true,
                Event::MappingStart(..) => self.read_fields(&mut events)?,
                Event::Scalar(text, ScalarStyle::Plain, ..) if text.is_empty() || text == "~" => {}
                Event::Scalar(..) | Event::SequenceStart(..) | Event::Alias(_) => {
                    return Err(self.broken(&span, "its top level is not `key: value`"));
                }
                _ => {}
            }
        }
        Ok(self.fields)
    }

    fn read_fields<'head>(&mut self, events: &mut impl Events<'head>) -> Result<(), Unread> {
        loop {
            let (key, span) = self.must(events)?;
            let name = match key {
                Event::MappingEnd => return Ok(()),
                Event::Scalar(text, ..) => text.into_owned(),
                opening => {
                    self.step_over(&opening, events)?;
                    let (value, _) = self.must(events)?;
                    self.step_over(&value, events)?;
                    continue;
                }
            };
            if self.fields.iter().any(|(known, _)| *known == name) {
                // Which of the two counts would be the reader's choice, and a reviewer sees only one of them.
                return Err(self.broken(&span, &format!("the key `{name}` stands there twice")));
            }
            let (value, _) = self.must(events)?;
            self.step_over(&value, events)?;
            self.fields.push((name, plain(value)));
        }
    }

    /// Reads on to the end of a list or mapping that `opening` began; anything else has ended already.
    fn step_over<'head>(&self, opening: &Event<'head>, events: &mut impl Events<'head>) -> Result<(), Unread> {
        let mut depth = depth_change(opening);
        while depth > 0 {
            let (event, span) = self.must(events)?;
            depth += depth_change(&event);
            if depth.unsigned_abs() > DEPTH_MAX {
                return Err(self.broken(&span, "it nests deeper than 32 levels"));
            }
        }
        Ok(())
    }

    fn must<'head>(&self, events: &mut impl Events<'head>) -> Result<(Event<'head>, Span), Unread> {
        self.next(events)?.ok_or_else(|| Unread::Broken { line: self.lines_before, why: "it ends too soon".to_owned() })
    }

    fn next<'head>(&self, events: &mut impl Events<'head>) -> Result<Option<(Event<'head>, Span)>, Unread> {
        events.next().transpose().map_err(|error| Unread::Broken {
            line: self.lines_before + error.marker().line(),
            why: error.info().to_owned(),
        })
    }

    fn broken(&self, span: &Span, why: &str) -> Unread {
        Unread::Broken { line: self.lines_before + span.start.line(), why: why.to_owned() }
    }
}

/// What the parser yields.
trait Events<'head>: Iterator<Item = Result<(Event<'head>, Span), ScanError>> {}
impl<'head, I: Iterator<Item = Result<(Event<'head>, Span), ScanError>>> Events<'head> for I {}

fn depth_change(event: &Event<'_>) -> isize {
    match event {
        Event::SequenceStart(..) | Event::MappingStart(..) => 1,
        Event::SequenceEnd | Event::MappingEnd => -1,
        _ => 0,
    }
}

fn plain(value: Event<'_>) -> Value {
    match value {
        Event::Scalar(text, ScalarStyle::Plain, ..) if matches!(&*text, "~" | "null" | "Null" | "NULL") => {
            Value::Plain(String::new())
        }
        Event::Scalar(text, ..) => Value::Plain(text.into_owned()),
        _ => Value::Nested,
    }
}

#[cfg(test)]
#[path = "frontmatter_tests.rs"]
mod tests;
