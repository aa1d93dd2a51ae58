//! How a task comes to be held, at once or once an irreversible step has answered.

use domain::effect::Notice;
use domain::entry::Entry;
use domain::ids::StepName;
use domain::pipeline::{Action, StepKind};
use domain::task::{Activity, Hold, HoldKind};

use crate::plan::{Plan, cut, keeps_leases};

impl Plan<'_> {
    pub(crate) fn hold_if_paused(&mut self, step: Option<&StepName>) -> bool {
        if !self.task.paused {
            return false;
        }
        self.note(Entry::PauseSet { on: false });
        self.release_leases_unless_deployed();
        let hold = Hold { kind: HoldKind::Paused, reason: "paused".to_owned(), step: step.cloned() };
        self.enter_activity(Activity::Held { hold });
        true
    }

    pub(crate) fn pause_now(&mut self) {
        self.note(Entry::PauseSet { on: true });
        let step = self.task.position.activity.step().cloned();
        self.hold_if_paused(step.as_ref());
    }

    pub(crate) fn hold(&mut self, kind: HoldKind, reason: &str) {
        let notice = match kind {
            HoldKind::NeedsInput => Notice::Questions,
            HoldKind::InfraExhausted => Notice::InfraExhausted,
            HoldKind::Undelivered => Notice::AgentFailed,
            _ => Notice::Held,
        };
        self.hold_with(kind, reason, notice);
    }

    /// Because of something that is no answer of the step under way. What cannot be taken back is not cut short by it: half of a
    /// deploy is worse than a whole one that nobody wants any more.
    pub(crate) fn hold_from_outside(&mut self, kind: HoldKind, reason: &str) {
        if self.in_critical_window() {
            self.note(Entry::HoldDeferred { kind, reason: cut(reason) });
        } else {
            self.hold(kind, reason);
        }
    }

    pub(crate) fn hold_with(&mut self, kind: HoldKind, reason: &str, notice: Notice) {
        let text = self.hold_silently(kind, reason);
        self.tell(notice, &text);
        if kind != HoldKind::GoneFromBoard {
            self.comment(text);
        }
    }

    /// Holds without a word; what would be said.
    pub(crate) fn hold_silently(&mut self, kind: HoldKind, reason: &str) -> String {
        if keeps_leases(kind) {
            self.leave_lines();
        } else {
            self.release_leases_unless_deployed();
        }
        let reason = cut(reason);
        let step = self.task.position.activity.step().cloned();
        let text = format!("{} is held: {reason}", self.task.work_item);
        self.enter_activity(Activity::Held { hold: Hold { kind, reason, step } });
        text
    }

    /// Between the start of an irreversible action and its answer: a stop only takes note, and no lease is passed on. What a step
    /// does that the pipeline has no more is not known: it may be such a one.
    pub(crate) fn in_critical_window(&self) -> bool {
        let Activity::Acting { step } = &self.task.position.activity else { return false };
        self.pipeline.step(&self.task.position.stage, step).is_none_or(|step| {
            matches!(step.kind, StepKind::Action { action: Action::Deploy | Action::Merge | Action::ProveMerged })
                && self.lease_of(step).is_none_or(|lease| self.task.leases.contains_key(&lease))
        })
    }
}
