//! Reads tables key by key, keeps going after each finding, and knows where everything stands. serde stops at the first
//! error and forgets the place; this does neither.

use std::ops::{Range, RangeInclusive};

use domain::time::Milliseconds;
use serde_json::Value;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Code, Problem, Report, quoted};
use crate::duration;
use crate::keys::{self, Shape};
use crate::near::nearest_key;

/// Tables and lists within settings: a plugin's answer to "why so deep" would be no better.
const SETTINGS_DEPTH: usize = 16;

/// A table under its name.
pub(crate) struct Section<'f> {
    pub(crate) report: &'f Report,
    /// As messages call it, e.g. `[roles.developer]`.
    pub(crate) name: String,
    /// Where its head stands.
    pub(crate) span: Range<usize>,
    table: &'f DeTable<'f>,
    /// None: the operator chooses the keys.
    shape: Option<&'static Shape>,
}

/// A value under its key.
#[derive(Clone)]
pub(crate) struct Node<'f> {
    pub(crate) report: &'f Report,
    /// As messages call it, e.g. "`timeout` of [roles.developer]".
    pub(crate) what: String,
    pub(crate) span: Range<usize>,
    value: &'f DeValue<'f>,
}

/// A value with its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Range<usize>,
}

impl<'f> Section<'f> {
    /// A whole file. The keys that are unknown are told at once.
    pub(crate) fn of_file(report: &'f Report, table: &'f DeTable<'f>, shape: &'static Shape) -> Self {
        let section = Self { report, name: String::new(), span: 0..0, table, shape: Some(shape) };
        section.tell_unknown();
        section
    }

    fn unknown_keys(&self) -> impl Iterator<Item = (&str, Range<usize>)> {
        let known = self.shape.map(|shape| shape.keys);
        let keys = self.table.keys().map(|key| (&**key.get_ref(), key.span()));
        keys.filter(move |(word, _)| known.is_some_and(|known| !known.contains(word)))
    }

    fn tell_unknown(&self) {
        let known = self.shape.map(|shape| shape.keys).unwrap_or_default();
        for (word, span) in self.unknown_keys() {
            let place = if self.name.is_empty() { "this file" } else { self.name.as_str() };
            let problem = Problem::at(span, format!("{place} has no key {}", quoted(word)));
            let problem = problem.label("unknown key").code(Code::UnknownKey);
            let near = nearest_key(word, known);
            let below = self.shape.filter(|_| near.is_none()).and_then(|shape| keys::below(shape, word));
            let problem = match below {
                Some((key, place)) => problem.help(format!("did you mean `{key}` of {place}?")),
                None => problem,
            };
            self.report.add(problem.choices_and("the keys here are", near, known));
        }
    }

    /// An unknown key was told that probably means this one: that it is missing need not be told as well.
    pub(crate) fn has_slip_of(&self, key: &str) -> bool {
        let known = self.shape.map(|shape| shape.keys).unwrap_or_default();
        self.get(key).is_none() && self.unknown_keys().any(|(word, _)| nearest_key(word, known) == Some(key))
    }

    /// The value of a key, if the file has it.
    pub(crate) fn get(&self, key: &str) -> Option<Node<'f>> {
        let (key, value) = self.table.get_key_value(key)?;
        let what = if self.name.is_empty() {
            format!("`{}`", key.get_ref())
        } else {
            format!("`{}` of {}", key.get_ref(), self.name)
        };
        Some(Node { report: self.report, what, span: value.span(), value: value.get_ref() })
    }

    /// The value of a key that must be there.
    pub(crate) fn need(&self, key: &str, example: &str) -> Option<Node<'f>> {
        let node = self.get(key);
        if node.is_none() && !self.has_slip_of(key) {
            let place = if self.name.is_empty() { "the file".to_owned() } else { self.name.clone() };
            let message = format!("{place} lacks `{key}`");
            let problem =
                if self.name.is_empty() { Problem::of_file(message) } else { Problem::at(self.span.clone(), message) };
            self.report.add(problem.code(Code::MissingKey).help(format!("add, for example: {example}")));
        }
        node
    }

    /// The keys with their values, in the file's order.
    pub(crate) fn entries(&self) -> Vec<(At<String>, Node<'f>)> {
        let mut entries: Vec<_> = self
            .table
            .iter()
            .map(|(key, value)| {
                let at = At { value: key.get_ref().to_string(), span: key.span() };
                let what = format!("{} of {}", quoted(key.get_ref()), self.name);
                (at, Node { report: self.report, what, span: value.span(), value: value.get_ref() })
            })
            .collect();
        entries.sort_by_key(|(key, _)| key.span.start);
        entries
    }

    /// A table of its own under a key.
    pub(crate) fn section(&self, key: &str, shape: &'static Shape) -> Option<Section<'f>> {
        self.get(key)?.table(shape.name, shape)
    }

    /// The tables of an array of tables, in order.
    pub(crate) fn sections(&self, key: &str, shape: &'static Shape) -> Vec<Section<'f>> {
        let Some(node) = self.get(key) else { return Vec::new() };
        let name = shape.name;
        let DeValue::Array(list) = node.value else {
            let table = node.value.is_table();
            node.refuse(
                &format!("{name}, a list of tables"),
                if table { "write two brackets on each side" } else { "" },
            );
            return Vec::new();
        };
        list.iter()
            .filter_map(|item| {
                Node {
                    report: self.report,
                    what: format!("an entry of {name}"),
                    span: item.span(),
                    value: item.get_ref(),
                }
                .table(name, shape)
            })
            .collect()
    }

    /// A text under a key that must be there.
    pub(crate) fn need_text(&self, key: &str, example: &str) -> Option<At<String>> {
        self.need(key, example)?.text()
    }

    /// A text under a key.
    pub(crate) fn text(&self, key: &str) -> Option<At<String>> {
        self.get(key)?.text()
    }

    /// A whole number within bounds, or what holds without the key.
    pub(crate) fn whole(&self, key: &str, bounds: RangeInclusive<u64>, without: u64) -> u64 {
        self.get(key).and_then(|node| node.whole(bounds)).unwrap_or(without)
    }

    /// A span of time within bounds, or what holds without the key.
    pub(crate) fn duration(&self, key: &str, bounds: RangeInclusive<u64>, without: Milliseconds) -> Milliseconds {
        self.get(key).and_then(|node| node.duration(&bounds)).unwrap_or(without)
    }

    /// Yes or no, or what holds without the key.
    pub(crate) fn flag(&self, key: &str, without: bool) -> bool {
        self.get(key).and_then(|node| node.flag()).unwrap_or(without)
    }

    /// A list of texts; empty without the key.
    pub(crate) fn texts(&self, key: &str) -> Vec<At<String>> {
        self.get(key).map(|node| node.texts()).unwrap_or_default()
    }

    /// Settings of a plugin: a table that becomes JSON; `{}` without the key.
    pub(crate) fn settings(&self, key: &str) -> Value {
        self.get(key).and_then(|node| node.json()).unwrap_or_else(|| Value::Object(serde_json::Map::new()))
    }
}

impl<'f> Node<'f> {
    fn refuse(&self, wanted: &str, help: &str) {
        let problem = self.of_another_type(wanted);
        self.report.add(if help.is_empty() { problem } else { problem.help(help) });
    }

    fn of_another_type(&self, wanted: &str) -> Problem {
        let found = match self.value {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let problem =
            Problem::at(self.span.clone(), format!("{} must be {wanted}", self.what)).label(format!("this is {found}"));
        problem.code(Code::WrongType)
    }

    pub(crate) fn is_text(&self) -> bool {
        self.value.is_str()
    }

    pub(crate) fn is_table(&self) -> bool {
        self.value.is_table()
    }

    pub(crate) fn text(&self) -> Option<At<String>> {
        let Some(text) = self.value.as_str() else {
            self.refuse("a text in quotes", "");
            return None;
        };
        if text.trim().is_empty() {
            self.report.add(Problem::at(self.span.clone(), format!("{} is empty", self.what)).of_value());
            return None;
        }
        if text.contains('\0') {
            self.report.add(Problem::at(self.span.clone(), format!("{} holds a NUL", self.what)).of_value());
            return None;
        }
        Some(At { value: text.to_owned(), span: self.span.clone() })
    }

    /// A text that may be empty.
    pub(crate) fn argument(&self) -> Option<At<String>> {
        match self.value.as_str() {
            Some(blank) if blank.trim().is_empty() => Some(At { value: blank.to_owned(), span: self.span.clone() }),
            _ => self.text(),
        }
    }

    pub(crate) fn flag(&self) -> Option<bool> {
        let flag = self.value.as_bool();
        if flag.is_none() {
            self.refuse("true or false", "without quotes");
        }
        flag
    }

    pub(crate) fn whole(&self, bounds: RangeInclusive<u64>) -> Option<u64> {
        let Some(number) = self.value.as_integer() else {
            self.refuse("a whole number", "");
            return None;
        };
        let value = u64::from_str_radix(number.as_str(), number.radix()).ok().filter(|value| bounds.contains(value));
        if value.is_none() {
            let message = format!("{} must lie between {} and {}", self.what, bounds.start(), bounds.end());
            self.report.add(Problem::at(self.span.clone(), message).code(Code::OutOfBounds));
        }
        value
    }

    /// US dollars, in millionths; so are the bounds.
    pub(crate) fn microusd(&self, bounds: &RangeInclusive<u64>) -> Option<u64> {
        let text = match self.value {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            _ => {
                self.refuse("a number of US dollars", "such as 5 or 0.25, without quotes");
                return None;
            }
        };
        let micros = text.parse::<f64>().ok().map(|dollars| (dollars * 1e6).round());
        // A float beyond the bounds becomes the nearest whole number, which is beyond them too.
        let amount = micros.filter(|micros| *micros > 0.0).map(|micros| micros as u64);
        let amount = amount.filter(|amount| bounds.contains(amount));
        if amount.is_none() {
            let [from, to] = [bounds.start(), bounds.end()].map(|bound| *bound as f64 / 1e6);
            let message = format!("{} must lie between {from} and {to} US dollars", self.what);
            self.report.add(Problem::at(self.span.clone(), message).code(Code::OutOfBounds));
        }
        amount
    }

    /// A text as it is written, where it is one.
    pub(crate) fn literal(&self) -> Option<&str> {
        self.value.as_str()
    }

    /// Bounds are in milliseconds.
    pub(crate) fn duration(&self, bounds: &RangeInclusive<u64>) -> Option<Milliseconds> {
        let Some(text) = self.value.as_str() else {
            let seconds = self.value.as_integer().map(|number| format!("write \"{}s\" for seconds", number.as_str()));
            self.refuse(duration::SPELLING, seconds.as_deref().unwrap_or(""));
            return None;
        };
        match duration::parse(text) {
            Ok(span) if bounds.contains(&span.0) => Some(span),
            Ok(_) => {
                let range = format!("{} and {}", spelled(*bounds.start()), spelled(*bounds.end()));
                let message = format!("{} must lie between {range}", self.what);
                self.report.add(Problem::at(self.span.clone(), message).code(Code::OutOfBounds));
                None
            }
            Err(why) => {
                let message = format!("{} must be {}", self.what, duration::SPELLING);
                self.report.add(Problem::at(self.span.clone(), message).of_value().label(why));
                None
            }
        }
    }

    pub(crate) fn texts(&self) -> Vec<At<String>> {
        let Some(items) = self.items() else { return Vec::new() };
        items.iter().filter_map(Node::text).collect()
    }

    /// The items of a list.
    pub(crate) fn items(&self) -> Option<Vec<Node<'f>>> {
        let DeValue::Array(list) = self.value else {
            let help = match self.value.as_str() {
                Some(text) => format!("write {}", list_of_words(text)),
                None => String::new(),
            };
            self.refuse("a list, e.g. [\"a\", \"b\"]", &help);
            return None;
        };
        let what = format!("an entry of {}", self.what);
        Some(
            list.iter()
                .map(|item| Node { report: self.report, what: what.clone(), span: item.span(), value: item.get_ref() })
                .collect(),
        )
    }

    pub(crate) fn table(&self, name: &str, shape: &'static Shape) -> Option<Section<'f>> {
        if !self.is_table() {
            self.report.add(self.of_another_type("a table").choices("its keys are", "", shape.keys.iter().copied()));
            return None;
        }
        let section = Section { shape: Some(shape), ..self.free_table(name)? };
        section.tell_unknown();
        Some(section)
    }

    /// A table whose keys the operator chooses.
    pub(crate) fn free_table(&self, name: &str) -> Option<Section<'f>> {
        let Some(table) = self.value.as_table() else {
            self.refuse("a table", "");
            return None;
        };
        Some(Section { report: self.report, name: name.to_owned(), span: self.span.clone(), table, shape: None })
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        if !self.is_text() {
            let words = choices.iter().map(|(word, _)| *word);
            self.report.add(self.of_another_type("a text in quotes").choices("it is one of", "", words));
            return None;
        }
        let text = self.text()?;
        let found = choices.iter().find(|(word, _)| *word == text.value).map(|(_, value)| *value);
        if found.is_none() {
            let problem = Problem::at(text.span, format!("{} cannot be {}", self.what, quoted(&text.value))).of_value();
            self.report.add(problem.choices("it is one of", &text.value, choices.iter().map(|(word, _)| *word)));
        }
        found
    }

    /// Something that is parsed from a text.
    pub(crate) fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(&self) -> Option<At<T>> {
        let text = self.text()?;
        match text.value.parse() {
            Ok(value) => Some(At { value, span: text.span }),
            Err(error) => {
                let problem =
                    Problem::at(text.span, format!("{} cannot be {}", self.what, quoted(&text.value))).of_value();
                self.report.add(problem.help(error.to_string()));
                None
            }
        }
    }

    /// A table as JSON.
    pub(crate) fn json(&self) -> Option<Value> {
        if !self.is_table() {
            self.refuse("a table", "");
            return None;
        }
        match json(self.value, SETTINGS_DEPTH) {
            Ok(value) => Some(value),
            Err(why) => {
                self.report
                    .add(Problem::at(self.span.clone(), format!("{} cannot be handed to a plugin: {why}", self.what)));
                None
            }
        }
    }
}

fn json(value: &DeValue<'_>, depth: usize) -> Result<Value, String> {
    let deeper = depth.checked_sub(1).ok_or_else(|| format!("it is nested deeper than {SETTINGS_DEPTH}"))?;
    Ok(match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(Value::from)
            .map_err(|_| format!("the number {number} is too large"))?,
        DeValue::Float(number) => number
            .as_str()
            .parse::<f64>()
            .ok()
            .and_then(serde_json::Number::from_f64)
            .map(Value::Number)
            .ok_or_else(|| format!("JSON has no number {number}"))?,
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(date) => Value::String(date.to_string()),
        DeValue::Array(list) => {
            Value::Array(list.iter().map(|item| json(item.get_ref(), deeper)).collect::<Result<_, _>>()?)
        }
        DeValue::Table(table) => {
            let mut object = serde_json::Map::new();
            for (key, value) in table {
                object.insert(key.get_ref().to_string(), json(value.get_ref(), deeper)?);
            }
            Value::Object(object)
        }
    })
}

/// A line as it would be typed in a shell, as the list that the file wants.
pub(crate) fn list_of_words(line: &str) -> String {
    let words: Vec<String> = line.split_whitespace().map(|word| Value::from(word).to_string()).collect();
    format!("[{}]", words.join(", "))
}

/// A bound in milliseconds, as files spell it.
pub(crate) fn spelled(milliseconds: u64) -> String {
    [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")]
        .into_iter()
        .find(|(unit, _)| milliseconds >= *unit && milliseconds.is_multiple_of(*unit))
        .map_or_else(|| format!("{milliseconds}ms"), |(unit, name)| format!("{}{name}", milliseconds / unit))
}
