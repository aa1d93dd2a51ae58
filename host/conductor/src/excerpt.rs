//! What of a run's log stands in a finding, a report or a reason.

use domain::ids::RunId;

use crate::Conductor;

/// How much of a log stands in a finding or a report, in bytes.
const EXCERPT: u64 = 6_000;
/// And of one of its lines, in characters: a line of a megabyte floods whoever reads it.
const EXCERPT_LINE: usize = 300;
/// How much of a log is searched for what the network refused, in bytes.
const REFUSALS: u64 = 256 * 1024;
/// How many refusals are told.
const TOLD_REFUSALS: usize = 3;

impl Conductor {
    pub(crate) fn excerpt(&self, run: RunId) -> String {
        visible(&String::from_utf8_lossy(&self.outside.runs.log_tail(run, EXCERPT)))
    }

    pub(crate) fn with_excerpt(&self, cause: &str, run: RunId) -> String {
        let log = self.excerpt(run);
        // What an agent says in JSON is for programs; its words stand in the cause already.
        let last = log
            .lines()
            .filter(|line| !line.starts_with("{\""))
            .rev()
            .take(5)
            .map(|line| shortened(line, EXCERPT_LINE))
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect::<Vec<_>>()
            .join("\n");
        let cause = match refused(&visible(&String::from_utf8_lossy(&self.outside.runs.log_tail(run, REFUSALS)))) {
            Some(refused) => format!("{cause}; {refused}"),
            None => cause.to_owned(),
        };
        if last.trim().is_empty() { cause } else { format!("{cause}; the end of its log:\n{last}") }
    }
}

/// The line, or its beginning and a mark.
fn shortened(line: &str, longest: usize) -> String {
    match line.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// What the proxy refused, where the log says so: it is often why a run failed, and seldom what it says last.
fn refused(log: &str) -> Option<String> {
    let mut told = Vec::new();
    for line in log.lines().filter_map(|line| line.strip_prefix("gatewright: the network refused ")) {
        if !told.contains(&line) && told.len() < TOLD_REFUSALS {
            told.push(line);
        }
    }
    (!told.is_empty()).then(|| format!("the network refused {}", told.join("; and ")))
}

/// A log as text: control characters would play with the reader's terminal.
fn visible(log: &str) -> String {
    log.chars()
        .map(|character| match character {
            '\n' | '\t' => character,
            '\r' => '\n',
            other if other.is_control() => '\u{b7}',
            other => other,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::refused;

    #[test]
    fn what_the_network_refused_is_told_once_each_and_three_at_most() {
        let line = |name: &str| format!("gatewright: the network refused {name}: it is not named\n");
        let log = ["a.example:443", "a.example:443", "b:1", "c:2", "d:3"].map(line).concat() + "error: exit 1\n";
        let told = refused(&log).unwrap_or_default();
        assert_eq!(told.matches("a.example:443").count(), 1, "{told}");
        assert!(told.starts_with("the network refused a.example:443: it is not named; and b:1"), "{told}");
        assert!(!told.contains("d:3"), "{told}");
        assert_eq!(refused("all is well\n"), None);
    }
}
