//! The head of a judge's document, as far as the host must understand it: is there a verdict that the gates can read?
//!
//! A gate reads the head with a whole YAML parser. Here stands a strict reader of its plain form, `key: value`, so that whoever
//! wrote a head that no gate can read is asked again, and not the developer. What is nested below a key is stepped over.

use crate::document::DocumentKind;

/// As the gates have it, in bytes.
const HEAD_BYTES: usize = 64 << 10;

/// What of a word is shown, in characters.
const SHOWN: usize = 60;

/// The words that a test report is known by (catalogue F3), as the gate `tests-passed` reads them: in any case, in compounds.
const RESULT_WORDS: &[&str] = &[
    "ABORTED",
    "APPROVED",
    "BLOCKED",
    "BROKEN",
    "CANCELED",
    "CANCELLED",
    "CHANGES",
    "CRASHED",
    "ERROR",
    "ERRORS",
    "FAIL",
    "FAILED",
    "FAILING",
    "FAILS",
    "FAILURE",
    "FAILURES",
    "FLAKY",
    "GREEN",
    "INCOMPLETE",
    "INCONCLUSIVE",
    "NO",
    "NOK",
    "NOT",
    "PARTIAL",
    "PARTIALLY",
    "PASS",
    "PASSED",
    "PENDING",
    "RED",
    "REJECT",
    "REJECTED",
    "SKIPPED",
    "SUCCESS",
    "SUCCESSFUL",
    "TIMED",
    "TIMEOUT",
    "UNSTABLE",
];

/// How a kind of document says its verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wording {
    /// One of these keys is enough; the first is the one to write.
    pub keys: &'static [&'static str],
    /// For people: what may stand there.
    pub words: &'static [&'static str],
    /// The component that reads exactly this.
    pub gate: &'static str,
}

impl Wording {
    /// Of kinds that judge (catalogue F2 to F5); none: nothing is judged by it.
    pub const fn of(kind: DocumentKind) -> Option<Self> {
        let (keys, words, gate): (&[&str], &[&str], _) = match kind {
            DocumentKind::Review => (&["verdict"], &["APPROVED", "REQUEST_CHANGES"], "review-verdict"),
            DocumentKind::TestReport => (&["result", "verdict", "status"], &["PASS", "FAIL"], "tests-passed"),
            DocumentKind::StagingLog => (&["staging_status"], &["SUCCESS", "FAILED"], "staging-status"),
            DocumentKind::DeployLog => (&["deploy_status"], &["SUCCESS", "FAILED"], "deploy-status"),
            _ => return None,
        };
        Some(Self { keys, words, gate })
    }

    /// What is wrong with a document's head; none: the gate can read it. Without `words` any plain head is good: another
    /// component judges it, and the words are its own.
    pub fn flaw(self, text: &str, words: bool) -> Option<String> {
        let head = match Head::read(text) {
            Ok(head) => head,
            Err(flaw) => return Some(format!("{flaw}; {}", self.right())),
        };
        if !words {
            return None;
        }
        let mut filled = Vec::new();
        for key in self.keys {
            match head.value(key) {
                Some(Value::Plain(value)) if !value.is_empty() => filled.push((key, value)),
                Some(Value::Nested) => {
                    return Some(format!("the key `{key}` in its frontmatter holds no plain value; {}", self.right()));
                }
                _ => {}
            }
        }
        let Some((key, value)) = filled.first() else {
            return Some(format!("its frontmatter says nothing under `{}`; {}", self.keys[0], self.right()));
        };
        if filled.iter().any(|(_, value)| self.knows(value)) {
            return None;
        }
        let shown: String = value.chars().filter(|character| !character.is_control()).take(SHOWN).collect();
        Some(format!("`{key}: {shown}` is no verdict; {}", self.right()))
    }

    fn knows(self, value: &str) -> bool {
        if self.keys.len() == 1 {
            return self.words.contains(&value);
        }
        let said: Vec<String> = value
            .split(|character: char| !character.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_uppercase)
            .collect();
        said.windows(3).any(|words| words == ["READY", "TO", "DEPLOY"])
            || said.iter().any(|word| RESULT_WORDS.contains(&word.as_str()))
    }

    /// What would be right.
    pub fn right(self) -> String {
        let lines: Vec<String> = self.words.iter().map(|word| format!("`{}: {word}`", self.keys[0])).collect();
        format!("it must begin with a line `---`, then {}, then a line `---`", lines.join(" or "))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    /// Trimmed, without quotes; empty: the key alone stands there.
    Plain(String),
    /// A list, a mapping, a text of more lines, an alias.
    Nested,
}

struct Head {
    fields: Vec<(String, Value)>,
}

impl Head {
    fn read(text: &str) -> Result<Self, String> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut lines = text.lines().enumerate().skip_while(|(_, line)| line.trim().is_empty());
        if lines.next().is_none_or(|(_, line)| line.trim_end() != "---") {
            return Err("it does not begin with frontmatter between `---` lines".to_owned());
        }
        let mut head = Self { fields: Vec::new() };
        let mut bytes = 0;
        for (index, line) in lines {
            if line.trim_end() == "---" {
                return Ok(head);
            }
            bytes += line.len() + 1;
            if bytes > HEAD_BYTES {
                return Err("its frontmatter is longer than 64 KiB".to_owned());
            }
            head.line(line).map_err(|why| format!("its frontmatter cannot be read: line {}: {why}", index + 1))?;
        }
        Err("its frontmatter has no closing `---` line".to_owned())
    }

    fn value(&self, key: &str) -> Option<&Value> {
        self.fields.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        let is_below = line.starts_with([' ', '\t']) || line == "-" || line.starts_with("- ");
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            return Ok(());
        }
        if is_below {
            let Some((_, value)) = self.fields.last_mut() else {
                return Err("there is no key above it".to_owned());
            };
            // `a: b` with `c: d` below it is neither a text nor a mapping.
            if matches!(value, Value::Plain(text) if !text.is_empty()) && (line.starts_with('-') || has_key(line)) {
                return Err("it stands below a key that has a value already".to_owned());
            }
            *value = Value::Nested;
            return Ok(());
        }
        let (key, rest) = split_key(line).ok_or("it is not of the form `key: value`")?;
        if self.value(key).is_some() {
            return Err(format!("the key `{key}` stands there twice"));
        }
        self.fields.push((key.to_owned(), value(rest.trim())?));
        Ok(())
    }
}

fn has_key(line: &str) -> bool {
    line.contains(": ") || line.trim_end().ends_with(':')
}

fn split_key(line: &str) -> Option<(&str, &str)> {
    let (key, rest) = match line.as_bytes().first()? {
        quote @ (b'"' | b'\'') => {
            let (key, rest) = line[1..].split_once(char::from(*quote))?;
            (key, rest.trim_start().strip_prefix(':')?)
        }
        b'[' | b'{' | b'&' | b'*' | b'!' | b'|' | b'>' | b'%' | b'@' | b'`' | b'?' | b',' | b']' | b'}' => return None,
        _ => line.split_once(": ").or_else(|| Some((line.trim_end().strip_suffix(':')?, "")))?,
    };
    let key = key.trim_end();
    (!key.is_empty() && !key.contains(": ") && (rest.is_empty() || !rest.starts_with(':'))).then_some((key, rest))
}

/// What stands behind a key, trimmed.
fn value(text: &str) -> Result<Value, String> {
    let Some(first) = text.chars().next() else { return Ok(Value::Plain(String::new())) };
    match first {
        '#' => Ok(Value::Plain(String::new())),
        '"' | '\'' => quoted(&text[1..], first),
        // A list or mapping that goes on below is not looked into.
        '[' | '{' => match text.matches(['[', '{']).count().cmp(&text.matches([']', '}']).count()) {
            std::cmp::Ordering::Less => Err("it closes more brackets than it opens".to_owned()),
            std::cmp::Ordering::Equal => Ok(Value::Nested),
            std::cmp::Ordering::Greater => Err("a bracket is not closed".to_owned()),
        },
        '|' | '>' | '&' | '*' | '!' => Ok(Value::Nested),
        '%' | '@' | '`' | ']' | '}' | ',' => Err(format!("a value cannot begin with `{first}` unless it is quoted")),
        _ => {
            let text = text.split_once(" #").map_or(text, |(text, _)| text).trim_end();
            if has_key(text) || text.starts_with("- ") || text == "-" || text.starts_with("? ") {
                return Err("its value must be quoted, for it looks like another key or a list".to_owned());
            }
            let is_null = matches!(text, "~" | "null" | "Null" | "NULL");
            Ok(Value::Plain(if is_null { String::new() } else { text.to_owned() }))
        }
    }
}

fn quoted(rest: &str, quote: char) -> Result<Value, String> {
    // Escapes stand in no verdict: with one in it the value is not looked into.
    if (quote == '"' && rest.contains('\\')) || (quote == '\'' && rest.contains("''")) {
        return Ok(Value::Nested);
    }
    let (text, after) = rest.split_once(quote).ok_or("its quotes are not closed")?;
    let after = after.trim();
    if !after.is_empty() && !after.starts_with('#') {
        return Err("something stands behind its closing quotes".to_owned());
    }
    Ok(Value::Plain(text.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flaw(kind: DocumentKind, head: &str) -> Option<String> {
        Wording::of(kind).unwrap().flaw(&format!("---\n{head}\n---\n# All of it\nverdict: APPROVED\n"), true)
    }

    #[test]
    fn f2_f3_f4_f5_what_the_gates_read_is_well_formed() {
        use DocumentKind::{DeployLog, Review, StagingLog, TestReport};
        for (kind, head) in [
            (Review, "verdict: APPROVED"),
            (Review, "verdict: \"REQUEST_CHANGES\"  # at last\r"),
            (Review, "# a head\n\nauthor: me\nverdict:   'APPROVED'\nfiles: [a, b]\nnote: |\n  verdict: x\n  more"),
            (Review, "findings:\n- P0: one\n- P1\nverdict: APPROVED\nlinks:\n  see: http://x/y\nurl: http://x/y"),
            (Review, "title: a text\n  of two lines\nverdict: APPROVED\n\"quoted\": x"),
            (TestReport, "result: PASS"),
            (TestReport, "verdict: approved"),
            (TestReport, "status: blocked"),
            (TestReport, "result: PASS \u{2014} ready-to-deploy\nstatus: final"),
            (TestReport, "result: null\nstatus: ready to deploy"),
            (StagingLog, "staging_status: SUCCESS"),
            (DeployLog, "deploy_status: FAILED"),
        ] {
            assert_eq!(flaw(kind, head), None, "{head}");
        }
    }

    #[test]
    fn f2_f3_f4_f5_what_no_gate_reads_is_named_with_the_words_that_are_right() {
        use DocumentKind::{DeployLog, Review, StagingLog, TestReport};
        for (kind, head, expected) in [
            (Review, "verdict: CHANGES_REQUESTED", "`verdict: CHANGES_REQUESTED` is no verdict"),
            (Review, "verdict: request_changes", "`verdict: request_changes` is no verdict"),
            (Review, "verdict: approved", "`verdict: approved` is no verdict"),
            (Review, "verdict:", "says nothing under `verdict`"),
            (Review, "verdict: ~", "says nothing under `verdict`"),
            (Review, "result: PASS", "says nothing under `verdict`"),
            (Review, "Verdict: APPROVED", "says nothing under `verdict`"),
            (Review, "verdict: [APPROVED]", "holds no plain value"),
            (Review, "verdict:\n  APPROVED: yes", "holds no plain value"),
            (Review, "verdict: APPROVED\n  and more", "holds no plain value"),
            (Review, "verdict: APPROVED\nverdict: REQUEST_CHANGES", "line 3: the key `verdict` stands there twice"),
            (Review, "title: fix: it\nverdict: APPROVED", "line 2: its value must be quoted"),
            (Review, "verdict: \"APPROVED", "line 2: its quotes are not closed"),
            (Review, "verdict: [", "line 2: a bracket is not closed"),
            (Review, "verdict APPROVED", "line 2: it is not of the form"),
            (Review, "  verdict: APPROVED", "line 2: there is no key above it"),
            (Review, "title: x\n  verdict: APPROVED", "line 3: it stands below a key"),
            (Review, "verdict: @APPROVED", "line 2: a value cannot begin with `@`"),
            (TestReport, "result: final", "`result: final` is no verdict"),
            (TestReport, "result: PASS\nstatus: [FAILED]", "`status` in its frontmatter holds no plain value"),
            (StagingLog, "staging_status: success", "is no verdict"),
            (DeployLog, "status: SUCCESS", "says nothing under `deploy_status`"),
        ] {
            let told = flaw(kind, head).unwrap_or_else(|| panic!("{head}"));
            let words = Wording::of(kind).unwrap().right();
            assert!(told.contains(expected) && told.ends_with(&words), "{head}: {told}");
        }
        let right = Wording::of(Review).unwrap().right();
        assert!(right.contains("`verdict: APPROVED` or `verdict: REQUEST_CHANGES`"), "{right}");
    }

    #[test]
    fn f0_2_a_document_without_a_whole_head_is_none() {
        let review = Wording::of(DocumentKind::Review).unwrap();
        for (text, expected) in [
            ("# Review\nverdict: APPROVED\n", "does not begin with frontmatter"),
            ("", "does not begin with frontmatter"),
            ("---\nverdict: APPROVED\n", "no closing `---` line"),
        ] {
            for words in [true, false] {
                assert!(review.flaw(text, words).is_some_and(|told| told.contains(expected)), "{text:?}");
            }
        }
        assert!(review.flaw(&format!("---\n{}---\n", "a\n".repeat(40_000)), true).is_some());
        assert_eq!(review.flaw("\u{feff}\n---\nverdict: APPROVED\n---\n", true), None);
        // Another component's words are its own.
        assert_eq!(review.flaw("---\nmood: LGTM\n---\n", false), None);
        assert_eq!(Wording::of(DocumentKind::Brd), None);
    }

    /// A word that only the gate knows would send a report back to a tester who wrote it right.
    #[test]
    fn f3_the_gate_and_the_host_know_the_same_words() {
        let gate = include_str!("../../../plugins/tests-passed/src/words.rs");
        let lists = gate.split("#[derive").next().unwrap();
        let of_gate: Vec<&str> = lists.split("&[").skip(1).filter_map(|list| list.split(']').next()).collect();
        let mut words: Vec<&str> = of_gate.iter().flat_map(|list| list.split('"').skip(1).step_by(2)).collect();
        words.sort_unstable();
        assert_eq!(words, RESULT_WORDS);
    }
}
