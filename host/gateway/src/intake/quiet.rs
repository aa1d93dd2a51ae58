//! What the log says of refusals. Anybody may cause them, so each peer and reason has a line once, and then a count at intervals;
//! how many lines that can be is bounded, whoever sends what from how many addresses.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use domain::time::{Milliseconds, Timestamp};

/// Peers and reasons that have a line of their own; all others are counted together.
const LINES: usize = 64;
/// From one count to the next; what did not come again in such a time is forgotten.
pub(super) const INTERVAL: Milliseconds = Milliseconds::from_seconds(600);

/// What is counted together: from whom, at which door, why.
type Kind = (IpAddr, &'static str, &'static str);

/// What was refused so far.
#[derive(Default)]
pub(super) struct Quiet(Mutex<Kinds>);

#[derive(Default)]
struct Kinds {
    known: BTreeMap<Kind, Count>,
    others: Option<Count>,
}

#[derive(Clone, Copy)]
struct Count {
    since: Timestamp,
    /// Refusals that no line told of.
    untold: u64,
}

impl Count {
    fn is_due(self, now: Timestamp) -> bool {
        // A clock that was set back silences nobody for long.
        now < self.since || now.since(self.since) >= INTERVAL
    }
}

/// Refusals that a line tells of together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct More {
    /// None: of many peers or for many reasons.
    pub(super) kind: Option<Kind>,
    pub(super) count: u64,
    pub(super) since: Timestamp,
}

impl Quiet {
    /// A refusal. True: it has a line of its own.
    pub(super) fn note(&self, kind: Kind, now: Timestamp) -> bool {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = kinds.known.len() >= LINES;
        if let Some(count) = kinds.known.get_mut(&kind) {
            count.untold += 1;
            return false;
        }
        if is_full {
            kinds.others.get_or_insert(Count { since: now, untold: 0 }).untold += 1;
            return false;
        }
        kinds.known.insert(kind, Count { since: now, untold: 0 });
        true
    }

    /// The counts whose time has come.
    pub(super) fn due(&self, now: Timestamp) -> Vec<More> {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        kinds.known.retain(|kind, count| {
            let is_due = count.is_due(now);
            let (told, since) = (count.untold, count.since);
            if is_due && told > 0 {
                due.push(More { kind: Some(*kind), count: told, since });
                *count = Count { since: now, untold: 0 };
            }
            !is_due || told > 0
        });
        if let Some(others) = kinds.others.filter(|others| others.is_due(now)) {
            due.push(More { kind: None, count: others.untold, since: others.since });
            kinds.others = None;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn at(number: u32) -> IpAddr {
        Ipv4Addr::from(0x0a00_0000 + number).into()
    }

    #[test]
    fn one_line_and_then_a_count_at_intervals() {
        let (quiet, kind) = (Quiet::default(), (at(1), "gitea", "signature"));
        let start = Timestamp(1_000_000);
        assert!(quiet.note(kind, start));
        assert!((0..99_999).all(|_| !quiet.note(kind, start)), "all others are only counted");
        assert!(quiet.note((at(1), "gitea", "too-large"), start), "another reason has a line");
        assert!(quiet.note((at(2), "gitea", "signature"), start), "and another peer");
        assert_eq!(quiet.due(Timestamp(start.0 + INTERVAL.0 - 1)), []);
        let later = start.plus(INTERVAL);
        assert_eq!(quiet.due(later), [More { kind: Some(kind), count: 99_999, since: start }]);
        assert_eq!(quiet.due(later), []);
        assert!(!quiet.note(kind, later), "who goes on is counted on");
        assert!(quiet.note((at(2), "gitea", "signature"), later), "who ceased and comes again has a line again");
    }

    /// A stranger who has a network of addresses fills neither the disk nor the memory.
    #[test]
    fn however_many_send_the_lines_and_the_memory_are_bounded() {
        let quiet = Quiet::default();
        let mut lines = 0;
        for second in 0..86_400_u64 {
            let now = Timestamp(1_000_000 + second * 1_000);
            lines += (0..2).filter(|n| quiet.note((at(second as u32 * 2 + n), "plane", "signature"), now)).count();
            lines += quiet.due(now).len();
            let kinds = quiet.0.lock().unwrap();
            assert!(kinds.known.len() <= LINES);
        }
        let most = (86_400_000 / INTERVAL.0 as usize + 1) * (LINES + 1);
        assert!(lines <= most, "{lines} lines in a day, and at most {most}");
        assert_eq!(quiet.due(Timestamp(5)).len(), 1, "a clock that was set back: the count of all others");
    }
}
