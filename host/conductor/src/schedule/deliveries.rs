//! Deliveries that cannot be expanded now, through nobody's fault who moved a card, and effects that failed.

use std::collections::BTreeMap;

use domain::ids::{DeliveryId, JobId};
use domain::time::{Milliseconds, Timestamp};

use super::{Conductor, UNANSWERED_PAUSE};

/// So many looks, two minutes of them, does a delivery wait for its row to show in the tracker's log (B2). They are counted, for a
/// clock may jump.
const LOOKS: u32 = 24;
/// However long somebody wants not to be asked, the item is looked at this often: it may have been stopped meanwhile.
pub(super) const LONGEST_PUT_OFF: Milliseconds = Milliseconds::from_seconds(30);

/// Deliveries that are looked at, beside those that are put off: many of one tracker must not stand before another's.
const AT_ONCE: usize = 32;
/// What is put off counts up to here.
const MOST_PUT_OFF: usize = 4096;
/// No mapper is left alone for longer.
const LONGEST_PAUSE: Milliseconds = Milliseconds::from_seconds(900);

/// What this host knows of them; another one begins anew.
#[derive(Default)]
pub(super) struct Unheard {
    /// Until when each waits.
    pub(super) put_off: BTreeMap<DeliveryId, Timestamp>,
    /// Whose row the log does not show yet, and how often it was looked for.
    unseen: BTreeMap<DeliveryId, u32>,
    /// Whose mapper does not want to be asked before.
    not_before: BTreeMap<DeliveryId, Timestamp>,
}

impl Conductor {
    /// How many deliveries a look asks for.
    pub(super) fn deliveries_at_once(&self) -> u32 {
        (AT_ONCE + self.state().unheard.put_off.len().min(MOST_PUT_OFF)) as u32
    }

    /// The delivery is looked at again after a pause; its place among those of its item stays.
    pub(crate) fn put_off(&self, delivery: DeliveryId) {
        let at = self.now().plus(UNANSWERED_PAUSE);
        self.state().unheard.put_off.insert(delivery, at);
    }

    /// The same for one whose mapper is asked again after this pause.
    pub(crate) fn put_off_by(&self, delivery: DeliveryId, pause: Milliseconds) {
        let (now, pause) = (self.now(), pause.min(LONGEST_PAUSE));
        let mut state = self.state();
        state.unheard.not_before.insert(delivery, now.plus(pause));
        state.unheard.put_off.insert(delivery, now.plus(pause.min(LONGEST_PUT_OFF)));
    }

    /// How long the mapper is left alone yet.
    pub(crate) fn pause_left(&self, delivery: DeliveryId) -> Option<Milliseconds> {
        let until = self.state().unheard.not_before.get(&delivery).copied()?;
        let left = until.since(self.now());
        // Nor does a clock that went back make it longer.
        (Milliseconds::default() < left && left <= LONGEST_PAUSE).then_some(left)
    }

    /// The row of a delivery is not in the tracker's log: whether it is worth another look.
    pub(crate) fn looks_again(&self, delivery: DeliveryId) -> bool {
        let mut state = self.state();
        let looks = state.unheard.unseen.entry(delivery).or_default();
        *looks += 1;
        *looks < LOOKS
    }

    /// The delivery is expanded, or parked.
    pub(crate) fn needs_no_look(&self, delivery: DeliveryId) {
        let mut state = self.state();
        state.unheard.unseen.remove(&delivery);
        state.unheard.not_before.remove(&delivery);
    }

    /// How often this effect has failed now, as far as this host saw.
    pub(crate) fn failed_again(&self, job: JobId) -> u32 {
        let mut state = self.state();
        let failures = state.failures.entry(job).or_default();
        *failures = failures.saturating_add(1);
        *failures
    }

    /// The effect is told, or given up.
    pub(crate) fn forget_failures(&self, job: JobId) {
        self.state().failures.remove(&job);
    }
}
