//! What browsers' sessions did lately: a page says that something was done only where it was, by whoever looks at it. What an address
//! says alone anybody can make up.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use domain::ids::{SessionId, WorkItemId};
use domain::time::{Milliseconds, Timestamp};

/// So long after a press its page says so.
const SAID_FOR: Milliseconds = Milliseconds::from_seconds(10 * 60);
/// Presses that are remembered, those of everybody together. One that is forgotten was done all the same.
const REMEMBERED: usize = 4096;

/// What a button did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Done {
    /// The page that says so.
    pub(crate) page: String,
    /// The word of the deed.
    pub(crate) did: String,
    /// Of which work item, where it was one's.
    pub(crate) item: Option<WorkItemId>,
}

impl Done {
    /// As an address says it: nobody has to believe that. None: it says nothing that could be.
    pub(crate) fn told_by(address: &str) -> Option<Self> {
        let (page, query) = address.split_once('?')?;
        let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let item = value("item").map(str::parse::<WorkItemId>).transpose().ok()?;
        Some(Self { page: page.to_owned(), did: value("did")?.to_owned(), item })
    }

    /// The address that says so.
    pub(crate) fn address(&self) -> String {
        let Self { page, did, item } = self;
        let item = item.as_ref().map(|item| format!("&item={item}")).unwrap_or_default();
        format!("{page}?did={did}{item}")
    }
}

/// What was done, by whom and when; the newest last. A life of the host begins with none.
#[derive(Debug, Default)]
pub(crate) struct Presses(Mutex<VecDeque<(Timestamp, SessionId, Done)>>);

impl Presses {
    /// A session did that now.
    pub(crate) fn put(&self, session: SessionId, done: Done, now: Timestamp) {
        let mut presses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        presses.retain(|(at, ..)| is_fresh(*at, now));
        if presses.len() >= REMEMBERED {
            presses.pop_front();
        }
        presses.push_back((now, session, done));
    }

    /// Whether this session did that lately.
    pub(crate) fn has(&self, session: SessionId, done: &Done, now: Timestamp) -> bool {
        let presses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        presses.iter().any(|(at, by, known)| *by == session && known == done && is_fresh(*at, now))
    }
}

fn is_fresh(at: Timestamp, now: Timestamp) -> bool {
    now.since(at) < SAID_FOR
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_presses_are_kept_than_there_is_room_for() {
        let presses = Presses::default();
        let done = |number: usize| Done { page: "/".to_owned(), did: number.to_string(), item: None };
        (0..=REMEMBERED).for_each(|number| presses.put(SessionId(1), done(number), Timestamp(1)));
        let has = |number| presses.has(SessionId(1), &done(number), Timestamp(1));
        assert!(!has(0) && has(1) && has(REMEMBERED));
        presses.put(SessionId(2), done(1), Timestamp(SAID_FOR.0 + 1));
        assert_eq!(presses.0.lock().unwrap().len(), 1, "what is said no more is not kept");
    }

    #[test]
    fn an_address_says_what_a_press_wrote() {
        let done = Done { page: "/t/A-1".to_owned(), did: "stop".to_owned(), item: Some("A-1".parse().unwrap()) };
        assert_eq!(done.address(), "/t/A-1?did=stop&item=A-1");
        assert_eq!(Done::told_by(&done.address()), Some(done));
        for nothing in ["/", "/?item=A-1", "/?did=stop&item=%3Cb%3E", "/?undid=stop"] {
            assert_eq!(Done::told_by(nothing), None, "{nothing}");
        }
    }
}
