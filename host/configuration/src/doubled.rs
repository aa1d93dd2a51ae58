//! A key or a table that stands twice in a file that is no TOML for it: where the first one is, and what the second one would say.

use std::ops::Range;

/// The line, from 0, of the first of two keys or tables of one name, of which the second is at this byte.
pub(crate) fn first(text: &str, second: usize) -> Option<usize> {
    let lines: Vec<&str> = text.lines().collect();
    let here = line_of(text, second);
    // One more of a list that begins as a table: which is meant, nobody knows.
    if lines.get(here).is_some_and(|line| line.trim_start().starts_with("[[")) {
        return None;
    }
    if let Some(name) = lines.get(here).and_then(|line| head(line)) {
        return lines[..here].iter().position(|line| head(line) == Some(name));
    }
    let name = key(lines.get(here)?)?;
    let table = lines[..here].iter().rposition(|line| head(line).is_some()).map_or(0, |line| line + 1);
    lines[table..here].iter().position(|line| key(line) == Some(name)).map(|line| table + line)
}

/// The text without the first of two tables of one name, all else at its place, and the lines of the second.
pub(crate) fn second_table(text: &str, second: usize) -> Option<(String, Range<usize>)> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let here = line_of(text, second);
    let name = head(lines.get(here)?)?;
    let end = |line: usize| {
        lines
            .iter()
            .skip(line + 1)
            .position(|line| head(line).is_some())
            .map_or(lines.len(), |length| line + 1 + length)
    };
    let others: Vec<Range<usize>> = (0..lines.len())
        .filter(|line| *line != here && head(lines[*line]) == Some(name))
        .map(|line| line..end(line))
        .collect();
    let blank = |line: &str| line.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect::<String>();
    let is_other = |number: usize| others.iter().any(|lines| lines.contains(&number));
    let kept =
        lines.iter().enumerate().map(|(number, line)| if is_other(number) { blank(line) } else { (*line).to_owned() });
    Some((kept.collect(), here..end(here)))
}

fn line_of(text: &str, at: usize) -> usize {
    text.get(..at).map_or(0, |before| before.matches('\n').count())
}

/// The name of the table that begins in a line.
fn head(line: &str) -> Option<&str> {
    let name = line.trim_start().strip_prefix('[')?;
    Some(name.split(']').next().unwrap_or(name).trim())
}

/// The key that a line gives a value.
fn key(line: &str) -> Option<&str> {
    let (name, _) = line.split_once('=')?;
    Some(name.trim().trim_matches(['"', '\'']))
}
