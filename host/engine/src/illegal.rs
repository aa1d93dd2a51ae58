//! Why an event means nothing where its task stands: what is said of it to people is worded from these values.

use domain::event::Intent;
use domain::ids::{LeaseName, StepName, WorkItemId};
use serde::{Serialize, Serializer};

use crate::dependencies::MOST_NEEDS;

/// One such reason. Its text is what the records keep.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    /// What a person wants has no meaning while the task stands so.
    #[error("{}", unasked(*.intent, .stands))]
    Unasked {
        /// What is wanted.
        intent: Intent,
        /// The word for what the task does.
        stands: &'static str,
    },
    /// The hold is no answer of a step.
    #[error("no answer of a step holds, so there is nothing to waive; `resume` asks again")]
    NoAnswerHolds,
    /// The hold is a run's.
    #[error("a run holds, not a step: there is nothing to waive; `resume` launches it again")]
    RunHolds,
    /// Nobody may go over this step.
    #[error("`{step}` can never be waived")]
    NeverWaived {
        /// Which one.
        step: StepName,
    },
    /// The pipeline changed.
    #[error("`{step}` is no step of this edge any more; `resume` goes on with the next one")]
    StepGone {
        /// Which one.
        step: StepName,
    },
    /// The other task may wait for this one's lease.
    #[error("the task holds the lease `{lease}`, and {on} may need it")]
    HoldsLease {
        /// Which one.
        lease: LeaseName,
        /// What it should need.
        on: WorkItemId,
    },
    /// It needs as many as one task may.
    #[error("the task needs {MOST_NEEDS} others already, and more are not kept")]
    NeedsMany,
    /// It does not need that one.
    #[error("the task does not need {on}")]
    NeedsNot {
        /// Which one.
        on: WorkItemId,
    },
    /// Nothing more can hold it.
    #[error("a held task stands still already")]
    StandsStill,
    /// What is begun there cannot be taken back.
    #[error("an irreversible step is under way")]
    Irreversible,
    /// The same, where the step itself will tell.
    #[error("an irreversible step is under way; its answer says what stands there")]
    IrreversibleTells,
    /// No clean-up was begun.
    #[error("nothing is being cleaned up")]
    NoCleanUp,
    /// The host works on this task itself.
    #[error("only an observed task is carried on by other hands")]
    NotCarriedOn,
    /// The host ends this task itself.
    #[error("only an observed task is ended by other hands")]
    NotEndedByOthers,
    /// No other hand does.
    #[error("only a person ends a hold")]
    OnlyAPerson,
    /// The forge's word is not enough.
    #[error("an observed task is ended by what git shows, whoever tells of a merge")]
    OnlyGit,
    /// It did not ask for it.
    #[error("the task does not stand in line for this lease")]
    NotInLine,
    /// Guards and budgets are not asked about steps.
    #[error("they keep back launches alone")]
    LaunchesAlone,
    /// The work item was never taken up.
    #[error("the work item has no task")]
    NoTask,
    /// Nothing of this kind is awaited.
    #[error("`{event}` while {stands}")]
    Unawaited {
        /// The event's name.
        event: &'static str,
        /// The word for what the task does.
        stands: &'static str,
    },
}

fn unasked(intent: Intent, stands: &str) -> String {
    match intent {
        Intent::Approve => {
            format!("`approve` answers a step that asks for it; the task is {stands}")
        }
        Intent::ConfirmDeploy => {
            format!("`confirm-deploy` answers a step that asks for it; the task is {stands}")
        }
        Intent::Reject => {
            format!("`reject` answers a step that asks a person, or a hold; the task is {stands}")
        }
        Intent::Resume | Intent::Waive => {
            format!("only a held task can be let on; this one is {stands}")
        }
        Intent::Estimate => "an estimate changes no task".to_owned(),
        Intent::Start | Intent::Stop | Intent::Pause => format!("the task is {stands}"),
    }
}

/// As its text.
impl Serialize for Illegal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
