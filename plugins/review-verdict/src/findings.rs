//! The findings of a review that asks for changes, word for word.
//!
//! A reviewer is an agent: what it writes is a list, headings or a table, with P0 to P3 somewhere at the front of a line. Each
//! such line begins a finding, which runs to the next one or to a heading. Where nothing that must be mended is marked, the
//! whole section is one finding.

use gatewright_sdk::gate::{Finding, Severity};
use verdict_document::title;

const RULE: &str = "review";
/// Where in a point, a heading or a row a mark may stand: `### F-1 (P1): …` yes, a sentence that mentions P1 no.
const MARK_CHARACTERS_MAX: usize = 24;

/// Never empty, and at least one must be mended.
pub(crate) fn of_review(document: &str, body: &str) -> Vec<Finding> {
    let asks = format!("{document} asks for changes");
    let Some(section) = section(body) else {
        let whole = format!("It has no section `## Findings`. All that it says:\n\n{}", body.trim());
        return vec![Finding::new(RULE, Severity::Major, asks).with_detail(whole)];
    };
    let mut findings: Vec<Finding> =
        items(&section).into_iter().filter(|item| !item.says_none()).map(Item::into_finding).collect();
    if !findings.iter().any(|finding| matches!(finding.severity, Severity::Blocker | Severity::Major)) {
        let whole = section.join("\n");
        findings.insert(0, Finding::new(RULE, Severity::Major, asks).with_detail(whole.trim()));
    }
    findings
}

/// The lines below `## Findings`, up to the next heading of that rank. A heading inside a code block is code.
fn section(body: &str) -> Option<Vec<&str>> {
    let mut found: Option<Vec<&str>> = None;
    let mut in_code = false;
    for line in body.lines() {
        in_code ^= is_code_fence(line);
        let rank = if in_code { None } else { heading_rank(line) };
        match (&mut found, rank) {
            (None, Some(2)) if without_marker(line).to_lowercase().starts_with("findings") => found = Some(Vec::new()),
            (None, _) => {}
            (Some(_), Some(1 | 2)) => break,
            (Some(lines), _) => lines.push(line),
        }
    }
    found
}

struct Item {
    severity: Severity,
    text: String,
}

fn items(section: &[&str]) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    let mut open = false;
    let mut in_code = false;
    for line in section {
        in_code ^= is_code_fence(line);
        if let (false, Some(severity)) = (in_code, mark(line)) {
            items.push(Item { severity, text: (*line).to_owned() });
            open = true;
            continue;
        }
        open &= in_code || heading_rank(line).is_none();
        if let (true, Some(item)) = (open, items.last_mut()) {
            item.text.push('\n');
            item.text.push_str(line);
        }
    }
    items
}

impl Item {
    fn into_finding(self) -> Finding {
        let text = self.text.trim();
        let mut lines = text.lines().map(without_marker).filter(|line| !line.is_empty());
        let first = lines.next().unwrap_or_default();
        // `### P1` alone says nothing: the line below it does.
        let named = if first.chars().filter(|character| character.is_alphanumeric()).count() > 2 {
            first.to_owned()
        } else {
            format!("{first} {}", lines.next().unwrap_or_default())
        };
        Finding::new(RULE, self.severity, title(&named)).with_detail(text)
    }

    /// `P0: none`: a heading that a template demands, with nothing under it.
    fn says_none(&self) -> bool {
        let words: Vec<String> = self
            .text
            .split(|character: char| !character.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect();
        match words.get(1..) {
            None | Some([]) => true,
            Some([word]) => matches!(word.as_str(), "none" | "nothing" | "нет" | "0"),
            Some([first, second]) => matches!(
                (first.as_str(), second.as_str()),
                ("no", "findings" | "issues") | ("none" | "not", "found") | ("n", "a")
            ),
            Some(_) => false,
        }
    }
}

/// The severity that a line is marked with: `P0` to `P3` as a word of its own near the front.
fn mark(line: &str) -> Option<Severity> {
    let trimmed = line.trim_start();
    let bare = without_marker(trimmed);
    // A paragraph must begin with it; in what is laid out as a point, a number or a name may come before.
    let laid_out = bare.len() < trimmed.len();
    let front: String = bare.chars().take(MARK_CHARACTERS_MAX).collect();
    let mut words = front.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty());
    if laid_out { words.find_map(severity) } else { words.next().and_then(severity) }
}

fn severity(word: &str) -> Option<Severity> {
    match word {
        "P0" | "p0" => Some(Severity::Blocker),
        "P1" | "p1" => Some(Severity::Major),
        "P2" | "p2" => Some(Severity::Minor),
        "P3" | "p3" => Some(Severity::Note),
        _ => None,
    }
}

fn heading_rank(line: &str) -> Option<usize> {
    let rank = line.bytes().take_while(|byte| *byte == b'#').count();
    (1..=6).contains(&rank).then_some(rank).filter(|rank| line[*rank..].starts_with([' ', '\t']))
}

fn is_code_fence(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("```") || line.starts_with("~~~")
}

/// A line without what lays it out: heading marks, the bullet or number of a point, the bar of a row.
fn without_marker(line: &str) -> &str {
    let line = line.trim();
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let bare = match heading_rank(line) {
        Some(rank) => &line[rank..],
        None if digits > 0 && line[digits..].starts_with(['.', ')']) => &line[digits + 1..],
        None if ["- ", "* ", "+ ", "|"].iter().any(|marker| line.starts_with(marker)) => &line[1..],
        None => line,
    };
    bare.trim()
}

#[cfg(test)]
#[path = "findings_tests.rs"]
mod tests;
