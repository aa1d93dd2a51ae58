//! Deliveries that cannot be expanded now, through nobody's fault who moved a card.

use domain::ids::DeliveryId;

use super::{Conductor, UNANSWERED_PAUSE};

/// So many looks, two minutes of them, does a delivery wait for its row to show in the tracker's log (B2). They are counted, for a
/// clock may jump.
const LOOKS: u32 = 24;

impl Conductor {
    /// The delivery is looked at again after a pause; its place among those of its item stays.
    pub(crate) fn put_off(&self, delivery: DeliveryId) {
        let at = self.now().plus(UNANSWERED_PAUSE);
        self.state().put_off.insert(delivery, at);
    }

    /// The row of a delivery is not in the tracker's log: whether it is worth another look.
    pub(crate) fn looks_again(&self, delivery: DeliveryId) -> bool {
        let mut state = self.state();
        let looks = state.unseen.entry(delivery).or_default();
        *looks += 1;
        *looks < LOOKS
    }

    /// The delivery is expanded, or parked.
    pub(crate) fn needs_no_look(&self, delivery: DeliveryId) {
        self.state().unseen.remove(&delivery);
    }
}
