//! Between places of a file and its keys: which key a span belongs to, and where a key stands.

use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Code, Diagnostic, Problem, Report, Severity};
use crate::load::{read_text, shown};

/// What somebody else found wrong with a value of a project's file: its place is looked up by its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// Where, from the file's top: the longest beginning of it that stands in the file gets the caret. Empty: the file as a whole.
    pub key: Vec<String>,
    /// Of what sort.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, as one sentence without a full stop.
    pub message: String,
    /// What to do.
    pub helps: Vec<String>,
    /// What is wrong is this word, and these are right.
    pub choices: Option<(String, Vec<String>)>,
}

/// Findings of others about a file of the state folder, with line and caret.
pub fn complain(dir: &Path, source: &Path, complaints: Vec<Complaint>) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    let name = shown(dir, source);
    let Some(text) = read_text(source, &name, &mut diagnostics) else { return diagnostics };
    let report = Report::new(name, text);
    let (table, _) = DeTable::parse_recoverable(report.text());
    let placed = complaints.into_iter().map(|complaint| {
        let key: Vec<&str> = complaint.key.iter().map(String::as_str).collect();
        // Where the key itself is the wrong word, the caret is below it and not below its value.
        let is_wrong = complaint.choices.as_ref().is_some_and(|(word, _)| key.last() == Some(&word.as_str()));
        let problem = match span_of(table.get_ref(), &key, is_wrong) {
            Some(span) => Problem::at(span, complaint.message),
            None => Problem::of_file(complaint.message),
        };
        let problem = complaint.helps.into_iter().fold(problem, Problem::help);
        let problem = problem.code(complaint.code).severity(complaint.severity);
        match &complaint.choices {
            Some((word, choices)) => problem.choices("it is one of", word, choices.iter().map(String::as_str)),
            None => problem,
        }
    });
    placed.collect::<Vec<_>>().into_iter().for_each(|problem| report.add(problem));
    drop(table);
    diagnostics.extend(report.finish());
    diagnostics
}

/// The key, with dots, that a span is or belongs to.
pub(crate) fn key_at(table: &DeTable<'_>, span: &Range<usize>) -> Option<String> {
    let mut best: Option<Vec<String>> = None;
    in_table(table, span, &mut Vec::new(), &mut best);
    best.map(|path| path.join("."))
}

fn in_table(table: &DeTable<'_>, span: &Range<usize>, path: &mut Vec<String>, best: &mut Option<Vec<String>>) {
    for (key, value) in table {
        path.push(key.get_ref().to_string());
        if holds(&key.span(), span) {
            longer(path, best);
        }
        in_value(value, span, path, best);
        path.pop();
    }
}

fn in_value(value: &Spanned<DeValue<'_>>, span: &Range<usize>, path: &mut Vec<String>, best: &mut Option<Vec<String>>) {
    if holds(&value.span(), span) {
        longer(path, best);
    }
    // A table's own span is its head: what is below it lies elsewhere.
    match value.get_ref() {
        DeValue::Table(table) => in_table(table, span, path, best),
        DeValue::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                path.push(number.to_string());
                in_value(item, span, path, best);
                path.pop();
            }
        }
        _ => {}
    }
}

fn holds(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end && outer.start < outer.end
}

fn longer(path: &[String], best: &mut Option<Vec<String>>) {
    if best.as_ref().is_none_or(|best| best.len() < path.len()) {
        *best = Some(path.to_vec());
    }
}

/// Where the longest beginning of a key stands; none: not even its first part does.
fn span_of(table: &DeTable<'_>, key: &[&str], at_key: bool) -> Option<Range<usize>> {
    let (first, rest) = key.split_first()?;
    let (name, value) = table.get_key_value(*first)?;
    let here = if rest.is_empty() && !at_key && !value.get_ref().is_table() { value.span() } else { name.span() };
    Some(below(value, rest, at_key).unwrap_or(here))
}

fn below(value: &Spanned<DeValue<'_>>, rest: &[&str], at_key: bool) -> Option<Range<usize>> {
    let (first, deeper) = rest.split_first()?;
    match value.get_ref() {
        DeValue::Table(table) => span_of(table, rest, at_key),
        DeValue::Array(items) => {
            let item = items.get(first.parse::<usize>().ok()?)?;
            Some(below(item, deeper, at_key).unwrap_or_else(|| item.span()))
        }
        _ => None,
    }
}
