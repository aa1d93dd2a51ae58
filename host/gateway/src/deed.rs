//! What a person can do about a task as it stands: the likeliest first, each with its line of the command line.

use std::fmt::Display;

use conductor::ports::store::WaitReason;
use domain::event::Intent;
use domain::ids::ProjectName;
use domain::pipeline::{Consent, EdgeStep};
use domain::task::{Activity, Hold, HoldKind, Task};

use crate::standing::Scene;

/// Edges of a cycle that are offered to be taken away.
const EDGES: usize = 3;

/// One thing that a person can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Deed {
    /// What a page can offer as a button; none: only the line.
    pub(crate) intent: Option<Intent>,
    /// By the command line.
    pub(crate) line: String,
}

impl Scene {
    pub(crate) fn deeds(&self, task: &Task) -> Vec<Deed> {
        let give = |intent: Intent| Deed { intent: Some(intent), line: command(intent, &task.work_item) };
        match &task.position.activity {
            Activity::AwaitingPerson { consent, .. } => {
                let yes = if *consent == Consent::Approve { Intent::Approve } else { Intent::ConfirmDeploy };
                vec![give(yes), give(Intent::Reject)]
            }
            Activity::Held { hold } => {
                let cycle = task.needs.iter().filter(|_| hold.kind == HoldKind::DependencyCycle);
                let mut deeds = cycle.take(EDGES).map(|needs| undepend(task, needs)).collect::<Vec<_>>();
                deeds.push(give(Intent::Resume));
                if hold.kind != HoldKind::Paused {
                    deeds.push(give(Intent::Reject));
                    deeds.extend(self.can_waive(task, hold).then(|| give(Intent::Waive)));
                }
                // Held, it keeps all later ones waiting; paused, it does not.
                deeds.extend((self.is_serial(&task.project) && !task.is_paused()).then(|| give(Intent::Pause)));
                deeds.push(give(Intent::Stop));
                deeds
            }
            Activity::Stopping | Activity::Settled { .. } => Vec::new(),
            _ if task.paused => vec![give(Intent::Resume), give(Intent::Stop)],
            _ => {
                let mut deeds = self.wait(task).map(|(why, _)| moved_by(task, why)).unwrap_or_default();
                deeds.extend([give(Intent::Pause), give(Intent::Stop)]);
                deeds
            }
        }
    }

    fn is_serial(&self, project: &ProjectName) -> bool {
        self.projects.iter().any(|row| row.name == *project && row.serial)
    }

    fn can_waive(&self, task: &Task, hold: &Hold) -> bool {
        let pipeline = self.pipeline(&task.project);
        let step =
            pipeline.zip(hold.step.as_ref()).and_then(|(pipeline, step)| pipeline.step(&task.position.stage, step));
        step.is_some_and(EdgeStep::waivable)
    }
}

/// What a person can do about a wait at once.
fn moved_by(task: &Task, why: &WaitReason) -> Vec<Deed> {
    match why {
        WaitReason::Freeze => vec![line(format!("gatewright project unfreeze {}", task.project))],
        WaitReason::Dependency { waits_for, .. } => vec![undepend(task, &waits_for.work_item)],
        WaitReason::ActiveTask { waits_for } => vec![line(command(Intent::Pause, &waits_for.work_item))],
        WaitReason::Lease
        | WaitReason::Space
        | WaitReason::Program
        | WaitReason::Slot
        | WaitReason::Breaker
        | WaitReason::Time => Vec::new(),
    }
}

fn undepend(task: &Task, needs: &dyn Display) -> Deed {
    line(format!("gatewright task undepend {} --on {needs}", task.work_item))
}

const fn line(line: String) -> Deed {
    Deed { intent: None, line }
}

/// The line of the command line that gives this intent.
pub(crate) fn command(intent: Intent, item: &dyn Display) -> String {
    match intent {
        Intent::Approve => format!("gatewright task approve {item}"),
        Intent::Reject => format!("gatewright task reject {item} --note \"what is wrong\""),
        Intent::ConfirmDeploy => format!("gatewright task confirm-deploy {item}"),
        Intent::Stop => format!("gatewright task stop {item}"),
        Intent::Resume => format!("gatewright task resume {item}"),
        Intent::Waive => format!("gatewright task waive {item} --note \"why it may pass\""),
        Intent::Pause => format!("gatewright task pause {item}"),
        Intent::Start | Intent::Estimate => format!("gatewright task show {item}"),
    }
}
