//! Why an agent's run failed, as far as its exit and the end of its own log tell: by what passes by itself (a rate limit, an
//! overload), or not; and how long to wait before it is tried again (catalogue C3). Pure: the log, the exit and the luck are
//! arguments. The log is that of the very run, by its number: an old one of another run in the same folder once had a say.

use domain::event::FailureClass;
use domain::time::Milliseconds;

use crate::ports::runs::Ending;
use crate::project::TransientSigns;

/// What is looked at: only the end of the log. A service's refusal is what ends a run, so it stands there; further up an agent
/// may speak of rate limits because its work is about them.
pub const TAIL_BYTES: u64 = 8 * 1024;
/// No longer wait than this is believed (C3 is silent): a day is the longest window in which services count.
pub const LONGEST_WAIT: Milliseconds = Milliseconds::from_seconds(24 * 3600);
/// The longest pause before the first new try, where the service names none (C3 is silent): the shortest windows in which
/// services count are a minute, and the bound doubles to it at the second try.
pub const FIRST_PAUSE: Milliseconds = Milliseconds::from_seconds(15);
/// No pause of our own choice is longer (C3 is silent): when a service is well again, nobody shall wait for hours.
pub const LONGEST_PAUSE: Milliseconds = Milliseconds::from_seconds(30 * 60);
/// `EX_TEMPFAIL` of `sysexits.h`: the program itself asks to be tried again later.
const TEMPORARY: i32 = 75;
/// Words of the services that agents speak to.
const PASSING: [&str; 9] = [
    "rate limit",
    "rate_limit",
    "rate-limit",
    "ratelimit",
    "too many requests",
    "overloaded",
    "service unavailable",
    "status 529",
    "error 529",
];

/// What a failed run calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which budget the next attempt is of.
    pub class: FailureClass,
    /// How long the service asked to wait.
    pub told: Option<Milliseconds>,
}

const PERMANENT: Failure = Failure { class: FailureClass::Permanent, told: None };

/// Reads how a run ended and the end of its own log. Only a run that ended by itself can have been refused: one whose time was
/// up, whose log was full, that was killed or never began is permanent, whatever it printed (C3.4).
pub fn classify(ending: &Ending, log: &[u8], own: &TransientSigns) -> Failure {
    let Ending::Exited(code) = ending else { return PERMANENT };
    if *code == 0 {
        return PERMANENT;
    }
    let end = &log[log.len().saturating_sub(TAIL_BYTES as usize)..];
    let text = String::from_utf8_lossy(end).to_lowercase();
    let is_named = PASSING.iter().any(|words| text.contains(words))
        || own.words.iter().any(|words| text.contains(&words.to_lowercase()));
    // Who says when to come again refuses for now. In prose ("retry after 3 failures") it is only read beside another sign.
    let told = wait_behind(&text, &["retry-after", "retry_after"]);
    let is_code = *code == TEMPORARY || own.exit_codes.contains(code);
    if told.is_some() || is_code || is_named || names_status(&text, "429") {
        let told = told.or_else(|| wait_behind(&text, &["retry after"]));
        return Failure { class: FailureClass::Transient, told };
    }
    PERMANENT
}

/// How long to wait before a run is tried again that failed transiently, after so many transient failures before it: somewhere
/// below a bound that doubles, and as long as the service says where that is longer. The whole span is drawn by `luck` (full
/// jitter), for those that one service refused at one moment shall not all come again at one moment. What is told never makes it
/// shorter: the words are those of the agent's log, and a wait of 0 would launch it again and again at once.
pub fn pause(before: u32, told: Option<Milliseconds>, luck: u64) -> Milliseconds {
    let drawn = Milliseconds(luck % (bound(before).0 + 1));
    drawn.max(told.unwrap_or_default().min(LONGEST_WAIT))
}

/// The longest pause after so many transient failures.
pub fn bound(before: u32) -> Milliseconds {
    Milliseconds(FIRST_PAUSE.0.saturating_mul(1 << before.min(20)).min(LONGEST_PAUSE.0))
}

/// The number as a word of its own, beside a word that makes it a status: line 429 of a file is none.
fn names_status(text: &str, status: &str) -> bool {
    text.lines().any(|line| {
        let mut words = line.split(|character: char| !character.is_ascii_alphanumeric());
        words.any(|word| word == status) && ["http", "status", "error", "api"].iter().any(|hint| line.contains(hint))
    })
}

/// In whole seconds, as the header has it. Its other form, a date, is not read: the doubling pause stands in.
fn wait_behind(text: &str, names: &[&str]) -> Option<Milliseconds> {
    let behind = names.iter().find_map(|name| Some(&text[text.rfind(name)? + name.len()..]))?;
    let digits = behind.trim_start_matches([':', '=', '"', '\'', ' ', '\t']);
    let end = digits.find(|character: char| !character.is_ascii_digit()).unwrap_or(digits.len());
    let is_date = digits[end..].starts_with(['-', ':', '/']);
    let seconds = digits[..end].parse::<u64>().ok().filter(|_| !is_date)?;
    Some(Milliseconds(seconds.saturating_mul(1000)).min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> TransientSigns {
        TransientSigns { exit_codes: vec![42], words: vec!["Quota exceeded".to_owned()] }
    }

    fn refused(seconds: Option<u64>) -> Failure {
        Failure { class: FailureClass::Transient, told: seconds.map(Milliseconds::from_seconds) }
    }

    #[test]
    fn c3_1_what_passes_by_itself_is_transient_and_its_wait_is_read() {
        let table: [(i32, &str, Failure); 19] = [
            (1, "HTTP status 429 Too Many Requests\nRetry-After: 30\n", refused(Some(30))),
            (1, "{\"error\":{\"type\":\"overloaded_error\"}}", refused(None)),
            (1, "API Error: 429 {\"retry_after\": 12}", refused(Some(12))),
            (1, "rate limit, retry_after=99999999999", refused(Some(24 * 3600))),
            (1, "rate-limited; retry-after: Wed, 21 Oct 2026 07:28:00 GMT", refused(None)),
            (1, "too many requests, retry after 2026-10-21", refused(None)),
            (2, "503 Service Unavailable", refused(None)),
            (75, "", refused(None)),
            (42, "nothing is said", refused(None)),
            (1, "error: QUOTA EXCEEDED for this account", refused(None)),
            (1, "", PERMANENT),
            (1, "panicked at src/main.rs:429:1", PERMANENT),
            (1, "assertion failed: 429", PERMANENT),
            (1, "error[E0429]", PERMANENT),
            (41, "nothing is said", PERMANENT),
            (1, "Retry-After: 30", refused(Some(30))),
            (1, "we retry after 3 failures, and then give up", PERMANENT),
            (1, "rate limit; please retry after 20 seconds", refused(Some(20))),
            (0, "HTTP status 429 Too Many Requests", PERMANENT),
        ];
        for (code, log, expected) in table {
            assert_eq!(classify(&Ending::Exited(code), log.as_bytes(), &own()), expected, "{code} {log}");
        }
        let unknown = TransientSigns::default();
        assert_eq!(
            classify(&Ending::Exited(42), b"quota exceeded", &unknown),
            PERMANENT,
            "only where the file says so"
        );
        assert_eq!(classify(&Ending::Exited(1), b"\xff\xfe", &unknown), PERMANENT);
    }

    #[test]
    fn c3_4_what_was_ended_by_its_time_or_by_a_hand_is_permanent_whatever_it_printed() {
        let log = b"HTTP status 429\nRetry-After: 30\n";
        let ends = [
            Ending::TimedOut,
            Ending::Signaled(9),
            Ending::LogFull,
            Ending::Cancelled,
            Ending::NotStarted("no memory".to_owned()),
        ];
        for ending in ends {
            assert_eq!(classify(&ending, log, &own()), PERMANENT, "{ending:?}");
        }
    }

    #[test]
    fn only_the_end_is_looked_at() {
        let mut log = b"rate limit\n".to_vec();
        log.extend(vec![b'x'; TAIL_BYTES as usize]);
        assert_eq!(classify(&Ending::Exited(1), &log, &own()), PERMANENT);
    }

    #[test]
    fn c3_2_the_pause_doubles_up_to_its_ceiling_with_luck_and_what_is_told_counts() {
        let bounds: Vec<u64> = (0..9).map(|before| bound(before).0 / 1000).collect();
        assert_eq!(bounds, [15, 30, 60, 120, 240, 480, 960, 1800, 1800]);
        assert_eq!(bound(u32::MAX), LONGEST_PAUSE);
        for before in 0..40 {
            for luck in [0, 1, 14_999, 15_000, 15_001, u64::MAX / 3, u64::MAX] {
                assert!(pause(before, None, luck) <= bound(before));
                for told in [0, 30_000, LONGEST_WAIT.0] {
                    let drawn = pause(before, None, luck);
                    assert_eq!(pause(before, Some(Milliseconds(told)), luck), drawn.max(Milliseconds(told)));
                }
            }
            assert_eq!(
                (pause(before, None, 0), pause(before, None, bound(before).0)),
                (Milliseconds(0), bound(before))
            );
        }
        assert_eq!(pause(0, Some(Milliseconds(u64::MAX)), 0), LONGEST_WAIT);
    }
}
