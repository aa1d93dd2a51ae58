//! What somebody wanted at the door and might not, as lines of the audit: so few that nobody fills it by asking, and none of it
//! uncounted.
//!
//! Whoever is denied something leaves a line at once. What the same token wants and may not within the next minute is counted, and
//! told by one more line. Wrong tokens that are not even looked at, for there were too many, are counted alone.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use conductor::ports::access::{Deed, Record};
use domain::ids::{Actor, TokenName};
use domain::time::{Milliseconds, Timestamp};

/// For so long what follows is counted.
pub(crate) const WINDOW: Milliseconds = Milliseconds::from_seconds(60);
/// Of what was counted so many are named.
const NAMED: usize = 5;
/// Characters of the name of what was wanted.
const LONGEST: usize = 200;

/// What was denied.
pub(crate) struct Denied {
    pub(crate) actor: Actor,
    pub(crate) peer: IpAddr,
    /// The method and the path.
    pub(crate) what: String,
    /// Which right is missing.
    pub(crate) why: String,
}

/// What is counted at present.
#[derive(Default)]
pub(crate) struct Denials(Mutex<HashMap<Option<TokenName>, Counted>>);

/// What came of one token since its line; or, of those that are none, since the first that was not looked at.
struct Counted {
    since: Timestamp,
    more: u64,
    named: BTreeSet<String>,
    actor: Actor,
    peer: IpAddr,
}

/// What is to be written, and whether somebody must look again when the minute is over.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) records: Vec<Record>,
    pub(crate) counts: bool,
}

impl Denials {
    /// A known token wanted what it may not.
    pub(crate) fn denied(&self, name: &TokenName, denied: Denied, now: Timestamp) -> Told {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut records = over(&mut counted, now);
        let Denied { actor, peer, what, why } = denied;
        let what: String = what.chars().take(LONGEST).collect();
        if let Some(known) = counted.get_mut(&Some(name.clone())) {
            known.add(Some(what), peer);
            return Told { records, counts: known.more == 1 };
        }
        records.push(Record {
            outcome: "refused",
            peer: Some(peer.to_string()),
            subject: Some(what),
            why,
            ..Record::done(actor.clone(), Deed::Denied)
        });
        let begun = Counted { since: now, more: 0, named: BTreeSet::new(), actor, peer };
        counted.insert(Some(name.clone()), begun);
        Told { records, counts: false }
    }

    /// A token that is none was not looked at.
    pub(crate) fn held_up(&self, peer: IpAddr, now: Timestamp) -> Told {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let records = over(&mut counted, now);
        let known = counted.entry(None).or_insert_with(|| Counted {
            since: now,
            more: 0,
            named: BTreeSet::new(),
            actor: Actor::Person("nobody".to_owned()),
            peer,
        });
        known.add(None, peer);
        Told { records, counts: known.more == 1 }
    }

    /// What was counted and is over.
    pub(crate) fn over(&self, now: Timestamp) -> Vec<Record> {
        over(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), now)
    }

    /// All that was counted: nobody will ask again.
    pub(crate) fn all(&self) -> Vec<Record> {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counted.drain().filter_map(|(name, counted)| counted.record(name.is_some())).collect()
    }
}

fn over(counted: &mut HashMap<Option<TokenName>, Counted>, now: Timestamp) -> Vec<Record> {
    let ended = counted.extract_if(|_, counted| now.since(counted.since).0 >= WINDOW.0);
    ended.filter_map(|(name, counted)| counted.record(name.is_some())).collect()
}

impl Counted {
    fn add(&mut self, what: Option<String>, peer: IpAddr) {
        (self.more, self.peer) = (self.more + 1, peer);
        if self.named.len() < NAMED {
            self.named.extend(what);
        }
    }

    /// None: nothing followed.
    fn record(self, of_token: bool) -> Option<Record> {
        let Self { since, more, named, actor, peer } = self;
        let since = crate::show::Moment::of(since).text;
        let why = match (more, of_token) {
            (0, _) => return None,
            (more, true) => format!("{more} more since {since}"),
            (more, false) => format!("too many: {more} more were not looked at since {since}"),
        };
        let what = if of_token { Deed::Denied } else { Deed::LogIn };
        let subject = (!named.is_empty()).then(|| named.into_iter().collect::<Vec<_>>().join(", "));
        let peer = Some(peer.to_string());
        Some(Record { outcome: "refused", peer, subject, why, ..Record::done(actor, what) })
    }
}
