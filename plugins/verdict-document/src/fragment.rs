//! What of a report the next run has to see: the lines that say what failed, word for word.

const LINES_MAX: usize = 80;
const LINE_CHARACTERS_MAX: usize = 400;
const CHARACTERS_MAX: usize = 12_000;
/// Where no line says what failed, the end of a report says most.
const TAIL_LINES: usize = 40;

/// In lower case. A line that holds one of these is quoted.
const SIGNS: &[&str] = &[
    "fail",
    "error",
    "panic",
    "assert",
    "exception",
    "blocked",
    "timeout",
    "timed out",
    "fatal",
    "summary",
    "✗",
    "✘",
    "❌",
];

/// The failing lines of a report's body, each with the one below it, truncated with a word about it.
pub fn failing_fragment(body: &str) -> String {
    let lines: Vec<&str> = body.trim().lines().collect();
    let telling: Vec<bool> = lines.iter().map(|line| tells(line)).collect();
    let mut chosen: Vec<&str> = lines
        .iter()
        .enumerate()
        .filter(|(index, line)| telling[*index] || (*index > 0 && telling[index - 1] && !line.trim().is_empty()))
        .map(|(_, line)| *line)
        .collect();
    if chosen.is_empty() {
        chosen = lines[lines.len().saturating_sub(TAIL_LINES)..].to_vec();
    }
    cut(&chosen)
}

fn tells(line: &str) -> bool {
    let line = line.to_lowercase();
    SIGNS.iter().any(|sign| line.contains(sign))
}

fn cut(chosen: &[&str]) -> String {
    let mut quoted = String::new();
    let mut characters = 0;
    for (index, line) in chosen.iter().enumerate() {
        let end = line.char_indices().nth(LINE_CHARACTERS_MAX).map_or(line.len(), |(end, _)| end);
        characters += end.min(LINE_CHARACTERS_MAX) + 1;
        if index == LINES_MAX || characters > CHARACTERS_MAX {
            quoted.push_str(&format!("… ({} more lines like these)", chosen.len() - index));
            break;
        }
        quoted.push_str(&line[..end]);
        quoted.push_str(if end < line.len() { "…\n" } else { "\n" });
    }
    quoted.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failing_lines_are_quoted_with_what_stands_below() {
        let body = "# Report\nall fine\ntest lock ... FAILED\n  left: 1\n  right: 2\n\nSummary: 1 of 23\n";
        assert_eq!(failing_fragment(body), "test lock ... FAILED\n  left: 1\nSummary: 1 of 23");
    }

    #[test]
    fn without_a_failing_line_the_end_is_quoted() {
        assert_eq!(failing_fragment("one\ntwo\n"), "one\ntwo");
        let long = (0..100).map(|number| format!("line {number}")).collect::<Vec<_>>().join("\n");
        assert!(failing_fragment(&long).starts_with("line 60\n"));
        assert_eq!(failing_fragment(""), "");
    }

    #[test]
    fn a_flood_is_cut_and_says_so() {
        let flood = "error\n".repeat(200);
        assert!(failing_fragment(&flood).ends_with("error\n… (120 more lines like these)"));
        let wide = "é".repeat(LINE_CHARACTERS_MAX + 1);
        assert_eq!(failing_fragment(&wide), format!("{}…", "é".repeat(LINE_CHARACTERS_MAX)));
        let both = format!("error {wide}\n").repeat(LINES_MAX);
        assert!(failing_fragment(&both).ends_with("… (51 more lines like these)"));
    }
}
