//! The findings of a review that asks for changes, word for word.
//!
//! A reviewer is an agent: what it writes is a list, headings or a table, with P0 to P3 somewhere at the front of a line. Each
//! such line begins a finding, which runs to the next one or to a heading. What stands outside of these and is a point, a heading
//! or a row with words of its own is carried as a finding without a mark, which advises. Where nothing that must be mended is
//! marked, the whole section is one finding.

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
    let mut items = items(&section);
    items.retain(Item::says_something);
    if items.iter().any(|item| matches!(item.severity, Some(Severity::Blocker | Severity::Major))) {
        return items.into_iter().map(Item::into_finding).collect();
    }
    // What bears no mark stands in the whole.
    let whole = Finding::new(RULE, Severity::Major, asks).with_detail(section.join("\n").trim());
    let marked = items.into_iter().filter(|item| item.severity.is_some()).map(Item::into_finding);
    std::iter::once(whole).chain(marked).collect()
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
    /// None: it bears no mark.
    severity: Option<Severity>,
    text: String,
}

fn items(section: &[&str]) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    let mut in_code = false;
    for line in section {
        in_code ^= is_code_fence(line);
        let severity = if in_code { None } else { mark(line) };
        let begins = match items.last() {
            _ if in_code => false,
            _ if severity.is_some() => true,
            // Below a mark that stands alone, and below a heading, a point belongs to what is above it.
            Some(item) => {
                heading_rank(line).is_some()
                    || (is_laid_out(line) && !line.starts_with([' ', '\t']) && !item.is_opened(line))
            }
            None => is_laid_out(line),
        };
        match items.last_mut() {
            Some(item) if !begins => {
                item.text.push('\n');
                item.text.push_str(line);
            }
            _ if begins => items.push(Item { severity, text: (*line).to_owned() }),
            _ => {}
        }
    }
    items
}

/// A point, a heading or a row.
fn is_laid_out(line: &str) -> bool {
    let trimmed = line.trim();
    without_marker(trimmed).len() < trimmed.len()
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
        Finding::new(RULE, self.severity.unwrap_or(Severity::Minor), title(&named)).with_detail(text)
    }

    /// It begins with a heading, under which this line, no heading itself, belongs.
    fn is_opened(&self, line: &str) -> bool {
        let first = self.text.trim_start().lines().next().unwrap_or_default();
        heading_rank(first).is_some() && heading_rank(line).is_none()
    }

    /// A rubric with nothing below it, and the head of a table, say nothing.
    fn says_something(&self) -> bool {
        match self.severity {
            Some(_) => !self.says_none(),
            None => self.advises(),
        }
    }

    fn advises(&self) -> bool {
        let mut lines = self.text.lines().map(str::trim).filter(|line| !line.is_empty());
        let Some(first) = lines.next() else { return false };
        let below = lines.collect::<Vec<_>>().join(" ");
        let said = if heading_rank(first).is_some() { below.as_str() } else { without_marker(first) };
        let said: Vec<String> = said
            .split(|character: char| !character.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect();
        let is_table_head = first.starts_with('|') && said.iter().any(|word| word == "severity" || word == "priority");
        !is_table_head
            && !matches!(said.join(" ").as_str(), "" | "none" | "nothing" | "нет" | "0" | "n a" | "no findings")
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
