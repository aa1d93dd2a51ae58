//! How a task stands, in a word with a shape, a sentence, and the lines by which a person can act.

use std::collections::HashMap;

use conductor::ports::store::{JobRow, Project, StoreError, Unmet, WaitReason};
use domain::effect::JobClass;
use domain::event::Intent;
use domain::ids::{ProjectName, TaskId};
use domain::pipeline::{Consent, Pipeline, StageKind};
use domain::task::{Activity, Hold, HoldKind, Task, Terminality};

use crate::api::{Standing, State, TaskView};
use crate::app::GatewayState;
use crate::show::Moment;

/// Rows of the queue that are looked through for the reason why a task waits.
const JOBS: u32 = 1000;
/// Edges of a cycle that are offered to be taken away.
const EDGES: usize = 3;

/// The word with which the host itself gives jobs of observed projects back.
const OBSERVED: &str = "observed";

impl State {
    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NeedsYou => "Needs you",
            Self::Failed => "Failed",
            Self::Held => "Held",
            Self::Paused => "Paused",
            Self::Retrying => "Retrying",
            Self::Working => "Working",
            Self::Queued => "Queued",
            Self::Done => "Done",
            Self::Stopped => "Stopped",
            Self::Skipped => "Not started",
        }
    }

    /// The shape; only what needs a person is filled.
    pub const fn shape(self) -> &'static str {
        match self {
            Self::NeedsYou => "◆",
            Self::Failed => "✕",
            Self::Held => "▲",
            Self::Paused => "‖",
            Self::Retrying => "↻",
            Self::Working => "◐",
            Self::Queued => "○",
            Self::Done => "✓",
            Self::Stopped => "⊘",
            Self::Skipped => "–",
        }
    }

    /// The group that shares a colour.
    pub const fn group(self) -> &'static str {
        match self {
            Self::NeedsYou => "you",
            Self::Failed => "failed",
            Self::Held => "held",
            Self::Working | Self::Retrying => "moving",
            Self::Done => "done",
            Self::Queued | Self::Paused | Self::Stopped | Self::Skipped => "neutral",
        }
    }
}

/// What a standing is told from: read once, used for every task of an answer.
pub(crate) struct Scene {
    pub(crate) projects: Vec<Project>,
    /// The driving job of each task that waits in the queue, and why.
    waits: HashMap<TaskId, (WaitReason, Option<String>)>,
}

impl Scene {
    pub(crate) fn read(state: &GatewayState) -> Result<Self, StoreError> {
        let jobs = state.store.jobs(&state.desk.limits(), state.now(), JOBS)?;
        Ok(Self::of(state.store.projects()?, &jobs))
    }

    pub(crate) fn of(projects: Vec<Project>, jobs: &[JobRow]) -> Self {
        let driving = jobs.iter().filter(|job| job.class == JobClass::Drive && job.effect != "timer");
        let waits = driving.filter_map(|job| Some((job.task, (job.reason.clone()?, job.note.clone())))).collect();
        Self { projects, waits }
    }

    fn pipeline(&self, project: &ProjectName) -> Option<&Pipeline> {
        self.projects.iter().find(|row| row.name == *project).map(|row| &row.pipeline)
    }

    pub(crate) fn view(&self, task: Task) -> TaskView {
        let (phase, standing) = (task.phase(), self.standing(&task));
        TaskView { task, phase, standing }
    }

    pub(crate) fn standing(&self, task: &Task) -> Standing {
        let (state, mut sentence) = self.sentence(task);
        if task.observed && task.end().is_none() && !sentence.contains(OBSERVED) {
            sentence = format!("{OBSERVED}, nothing is done for it: {sentence}");
        }
        if task.stop_requested && task.end().is_none() {
            sentence.push_str("; it stops once that has answered");
        } else if task.paused && !matches!(task.position.activity, Activity::Held { .. }) {
            sentence.push_str("; it pauses after that");
        }
        let commands = self.commands(task);
        let needs_person = matches!(task.position.activity, Activity::AwaitingPerson { .. } | Activity::Held { .. })
            || self.wait(task).is_some_and(|(reason, _)| waits_for_a_person(reason));
        Standing { state, sentence, needs_person, commands }
    }

    fn sentence(&self, task: &Task) -> (State, String) {
        let stage = &task.position.stage;
        match &task.position.activity {
            Activity::Running { attempt } => {
                let who = self.worker(task);
                self.queued(task).unwrap_or_else(|| (State::Working, format!("{who} works, attempt {attempt}")))
            }
            Activity::Judging { step } => {
                self.queued(task).unwrap_or_else(|| (State::Working, format!("the gate `{step}` is asked")))
            }
            Activity::Acting { step } => {
                self.queued(task).unwrap_or_else(|| (State::Working, format!("the host performs `{step}`")))
            }
            Activity::Waiting { step, until, why, .. } => {
                let what = step.as_ref().map_or_else(|| "the run".to_owned(), |step| format!("`{step}`"));
                (State::Retrying, format!("{what} is tried again by {}: {why}", Moment::of(*until).text))
            }
            Activity::AwaitingPerson { consent: Consent::Approve, step } => {
                (State::NeedsYou, format!("approve the work, or reject it (`{step}`)"))
            }
            Activity::AwaitingPerson { consent: Consent::Confirm, step } => {
                (State::NeedsYou, format!("confirm the deploy, or reject it (`{step}`)"))
            }
            Activity::Held { hold } => held(hold),
            Activity::Stopping => (State::Stopped, "it was stopped; its run and its clone are going".to_owned()),
            Activity::Settled { end: Terminality::Done } => (State::Done, done(task)),
            Activity::Settled { end: Terminality::Cancelled } => {
                (State::Stopped, format!("it was stopped in `{stage}`"))
            }
        }
    }

    fn worker(&self, task: &Task) -> String {
        let stage = self.pipeline(&task.project).and_then(|pipeline| pipeline.stage(&task.position.stage));
        match stage.map(|stage| &stage.kind) {
            Some(StageKind::Work { role }) => format!("the {role}"),
            _ => "a run".to_owned(),
        }
    }

    /// Why the job that would move the task is not claimed.
    fn wait(&self, task: &Task) -> Option<&(WaitReason, Option<String>)> {
        let wants = matches!(
            task.position.activity,
            Activity::Running { .. } | Activity::Judging { .. } | Activity::Acting { .. }
        );
        self.waits.get(&task.id).filter(|_| wants)
    }

    fn queued(&self, task: &Task) -> Option<(State, String)> {
        let (reason, note) = self.wait(task)?;
        let state = if waits_for_a_person(reason) { State::NeedsYou } else { State::Queued };
        let says_itself = |note: &&String| match reason {
            WaitReason::Slot | WaitReason::Breaker | WaitReason::Program => true,
            WaitReason::Time => note.starts_with(OBSERVED),
            _ => false,
        };
        let why = note.as_ref().filter(says_itself);
        let why = why.cloned().unwrap_or_else(|| reason.to_string());
        Some((state, format!("it waits: {why}")))
    }

    fn is_serial(&self, project: &ProjectName) -> bool {
        self.projects.iter().any(|row| row.name == *project && row.serial)
    }

    fn commands(&self, task: &Task) -> Vec<String> {
        let line = |intent: Intent| command(intent, task);
        match &task.position.activity {
            Activity::AwaitingPerson { consent, .. } => {
                let yes = if *consent == Consent::Approve { Intent::Approve } else { Intent::ConfirmDeploy };
                vec![line(yes), line(Intent::Reject)]
            }
            Activity::Held { hold } => {
                let cycle = task.needs.iter().filter(|_| hold.kind == HoldKind::DependencyCycle);
                let mut lines = cycle.take(EDGES).map(|needs| undepend(task, needs)).collect::<Vec<_>>();
                lines.push(line(Intent::Resume));
                if hold.kind != HoldKind::Paused {
                    lines.push(line(Intent::Reject));
                    lines.extend(self.can_waive(task, hold).then(|| line(Intent::Waive)));
                }
                // Held, it keeps all later ones waiting; paused, it does not.
                lines.extend((self.is_serial(&task.project) && !task.is_paused()).then(|| line(Intent::Pause)));
                lines.push(line(Intent::Stop));
                lines
            }
            Activity::Stopping | Activity::Settled { .. } => Vec::new(),
            _ if task.paused => vec![line(Intent::Resume), line(Intent::Stop)],
            _ => {
                let mut lines = self.wait(task).map(|(why, _)| moved_by(task, why)).unwrap_or_default();
                lines.extend([line(Intent::Pause), line(Intent::Stop)]);
                lines
            }
        }
    }

    fn can_waive(&self, task: &Task, hold: &Hold) -> bool {
        let pipeline = self.pipeline(&task.project);
        let step =
            pipeline.zip(hold.step.as_ref()).and_then(|(pipeline, step)| pipeline.step(&task.position.stage, step));
        step.is_some_and(domain::pipeline::EdgeStep::waivable)
    }
}

/// Without a person this never ends.
const fn waits_for_a_person(why: &WaitReason) -> bool {
    matches!(why, WaitReason::Dependency { prerequisite: Unmet::Cancelled, .. })
}

/// What a person can do about it at once.
fn moved_by(task: &Task, why: &WaitReason) -> Vec<String> {
    match why {
        WaitReason::Freeze => vec![format!("gatewright project unfreeze {}", task.project)],
        WaitReason::Dependency { waits_for, .. } => vec![undepend(task, &waits_for.work_item)],
        WaitReason::ActiveTask { waits_for } => vec![format!("gatewright task pause {}", waits_for.work_item)],
        WaitReason::Lease
        | WaitReason::Space
        | WaitReason::Program
        | WaitReason::Slot
        | WaitReason::Breaker
        | WaitReason::Time => Vec::new(),
    }
}

fn undepend(task: &Task, needs: &dyn std::fmt::Display) -> String {
    format!("gatewright task undepend {} --on {needs}", task.work_item)
}

fn held(hold: &Hold) -> (State, String) {
    let state = match hold.kind {
        HoldKind::NeedsInput
        | HoldKind::Blocked
        | HoldKind::GoneFromBoard
        | HoldKind::RefusedAtForge
        | HoldKind::DependencyCycle => State::NeedsYou,
        HoldKind::Paused => State::Paused,
        HoldKind::Escalated => State::Failed,
        HoldKind::InfraExhausted
        | HoldKind::PatienceExhausted
        | HoldKind::Undelivered
        | HoldKind::OverBudget
        | HoldKind::PipelineChanged
        | HoldKind::DeployedNotInMain
        | HoldKind::MergedUntested
        | HoldKind::FateUnknown
        | HoldKind::NotProven
        | HoldKind::Panicked => State::Held,
    };
    let at = hold.step.as_ref().map(|step| format!(" at `{step}`")).unwrap_or_default();
    (state, format!("held{at}: {}", hold.reason))
}

fn done(task: &Task) -> String {
    match &task.merged {
        Some(commit) => format!("it is in `{}` as {}", task.base_branch, &commit.as_str()[..12]),
        None => "it is done".to_owned(),
    }
}

/// The line of the CLI that gives this intent.
pub(crate) fn command(intent: Intent, task: &Task) -> String {
    let item = &task.work_item;
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
