//! Observed projects: every decision is made, and what would be done outside is written down instead of done.
//!
//! Two kinds of tasks meet here. A task that **began observed** is followed to its end, whatever its project's file says later:
//! others do the work, and what they did is looked at ([`crate::follow`]). A task that began before its project was observed is
//! **put off**: nothing is done for it and nothing that others do is taken for its work, until the project acts again.

use domain::document::Role;
use domain::effect::{Claim, Effect, run_of};
use domain::event::Event;
use domain::pipeline::Action;
use domain::task::Task;
use domain::time::Milliseconds;

use crate::guard::Guarded;
use crate::launch::wanted_branch;
use crate::ports::forge::Forge;
use crate::ports::runs::RunState;
use crate::ports::store::{NewWould, StoreError};
use crate::project::{HookName, Worker, command_line};
use crate::{Conductor, Work};

/// With this every reason of an observed task begins.
const OBSERVED: &str = "observed";
/// From one look at what others did to the next a task waits so many intervals of the forges more, up to this many: five minutes
/// by default, for others may take days.
const LONGEST_PAUSE: u32 = 30;
/// A summary is for a line of a report, in characters.
const SUMMARY: usize = 300;

/// What is done about a task's effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// They are performed.
    Act,
    /// They are written down; others' work carries the task on.
    Follow,
    /// They are written down, and wait until the project acts again.
    PutOff,
}

/// An effect that would be performed.
pub(crate) struct Would {
    /// As guards name it.
    pub(crate) effect: &'static str,
    /// On what.
    pub(crate) target: String,
    /// With what.
    pub(crate) summary: String,
}

impl Conductor {
    pub(crate) fn mode(&self, task: &Task) -> Mode {
        if task.observed {
            return Mode::Follow;
        }
        let observed = self.settings(&task.project).is_some_and(|settings| settings.observe);
        if observed { Mode::PutOff } else { Mode::Act }
    }

    /// Performs what has no outside effect, and writes the rest down.
    pub(crate) fn perform_observed(&self, claim: &Claim, mode: Mode) -> Result<(), StoreError> {
        match (&claim.job.effect, mode) {
            (Effect::Timer, _) => {
                let event = Event::TimerFired { epoch: claim.job.epoch };
                self.complete(claim, event, None, None).map(|_| ())
            }
            // Each of them asks for the mode just before it would act.
            (Effect::SetStatus { phase }, _) => self.set_status(claim, phase),
            (Effect::Comment { text }, _) => self.comment(claim, text),
            (Effect::Notify { notice, text }, _) => self.notify(claim, *notice, text),
            // It reads, and nothing else.
            (Effect::Act { step, action: action @ Action::ProveMerged }, Mode::PutOff) => {
                self.act(claim, step, *action)
            }
            (Effect::Judge { step, plugin }, Mode::PutOff) if claim.task.branch.is_some() => {
                self.judge(claim, step, plugin)
            }
            (Effect::Launch { .. } | Effect::Act { .. }, Mode::PutOff) => self.put_off_run(claim),
            (Effect::Judge { .. } | Effect::CleanUp | Effect::Tidy, Mode::PutOff) => self.put_off_until_it_acts(claim),
            (Effect::Launch { role, .. }, _) => self.follow_run(claim, *role),
            (Effect::Judge { step, plugin }, _) => self.follow_gate(claim, step, plugin),
            (Effect::Act { step, action }, _) => self.follow_action(claim, step, *action),
            // Nothing of the task's lies outside.
            (Effect::CleanUp, _) => {
                if self.waits_for_its_runs(claim)? {
                    return Ok(());
                }
                self.write_down(claim, &claim.task, &tidied(&claim.task, "clean-up"))?;
                self.complete(claim, Event::CleanedUp { epoch: claim.job.epoch }, None, None).map(|_| ())
            }
            (Effect::Tidy, _) => self.told_instead(claim, &claim.task, &tidied(&claim.task, "tidy")),
        }
    }

    /// A run that was launched while the project acted lives on, and what it left waits.
    fn put_off_run(&self, claim: &Claim) -> Result<(), StoreError> {
        match self.outside.runs.inspect(run_of(claim.job.id)) {
            Ok(RunState::Live { pid }) => self.adopt(claim, pid),
            Ok(RunState::Ended(_) | RunState::Lost) => self.put_off_its_end(claim),
            Ok(RunState::Absent | RunState::Prepared) => self.put_off_until_it_acts(claim),
            Err(error) => {
                self.look_later(Work::Perform(Box::new(claim.clone())), &error);
                Ok(())
            }
        }
    }

    pub(crate) fn put_off_its_end(&self, claim: &Claim) -> Result<(), StoreError> {
        self.look_again(claim, "what its run left is taken over when the project acts again")
    }

    fn put_off_until_it_acts(&self, claim: &Claim) -> Result<(), StoreError> {
        let would = self.would_of(claim, &claim.task, None);
        if self.write_down_once(claim, &claim.task, &would)? {
            let why = format!("{} waits until the project acts again", would.effect);
            self.look_again(claim, &why)?;
        }
        Ok(())
    }

    /// What a driving job would do.
    pub(crate) fn would_of(&self, claim: &Claim, task: &Task, forge: Option<&dyn Forge>) -> Would {
        let settings = self.settings(&task.project);
        let branch = task.branch.as_ref().map_or_else(|| wanted_branch(task), ToString::to_string);
        let head = task.head.as_ref().map_or_else(|| "its base".to_owned(), ToString::to_string);
        let hook = |name: HookName| {
            let hook = settings.as_ref().and_then(|settings| settings.hooks.get(&name));
            let command =
                hook.map_or_else(|| "a command that no file names".to_owned(), |hook| command_line(&hook.argv));
            format!("`{command}` in a clean checkout of {head}")
        };
        let act = |effect, summary| Would { effect, target: branch.clone(), summary };
        match &claim.job.effect {
            Effect::Launch { role, attempt } => {
                let worker = settings.as_ref().and_then(|settings| settings.workers.get(role));
                let command = match worker {
                    Some(Worker::Agent(agent)) => command_line(&agent.argv),
                    Some(Worker::Command(command)) => command_line(&command.argv),
                    None => "nobody".to_owned(),
                };
                let place = if task.branch.is_some() { "on" } else { "on the new branch" };
                let summary = format!("`{command}`, attempt {attempt}, {place} {branch} at {head}");
                Would { effect: "launch-agent", target: role.to_string(), summary }
            }
            Effect::Act { action, .. } => match action {
                Action::Rebase => {
                    let onto = forge.and_then(|forge| forge.base_head(&task.base_branch).ok());
                    let onto = onto.map_or_else(String::new, |onto| format!(" at {onto}"));
                    act("rebase", format!("put {head} on top of {}{onto}", task.base_branch))
                }
                Action::Retest => act("retest", hook(HookName::Test)),
                Action::Staging => act("staging", hook(HookName::Staging)),
                Action::Deploy => act("deploy", hook(HookName::Deploy)),
                Action::Merge => act("merge", format!("bring {head} into {}", task.base_branch)),
                Action::ProveMerged => act("prove-merged", format!("look for {head} in {}", task.base_branch)),
            },
            Effect::CleanUp => tidied(task, "clean-up"),
            Effect::Tidy => tidied(task, "tidy"),
            _ => act("cut-branch", format!("cut {branch} from {}", task.base_branch)),
        }
    }

    /// Asks the guards, as before performing it, and writes it down; both once. False: they answered the job.
    pub(crate) fn write_down_once(&self, claim: &Claim, task: &Task, would: &Would) -> Result<bool, StoreError> {
        if self.outside.store.has_would(&task.project, &key(claim))? {
            return Ok(true);
        }
        let guarded = match &claim.job.effect {
            Effect::Launch { role, .. } => Some(("launch-agent", role.as_str())),
            Effect::Act { action, .. } => crate::act::guarded_kind(*action).map(|kind| (kind, would.target.as_str())),
            _ => None,
        };
        if let Some((kind, object)) = guarded {
            let asked = self.guard(claim, kind, object, |effect| effect.commit.clone_from(&task.head))?;
            if matches!(asked, Guarded::Done) {
                return Ok(false);
            }
        }
        self.write_down(claim, task, would)?;
        Ok(true)
    }

    fn write_down(&self, claim: &Claim, task: &Task, would: &Would) -> Result<(), StoreError> {
        let position = &task.position;
        let at_step = position.activity.step().map_or_else(String::new, |step| format!(" at `{step}`"));
        let new = NewWould {
            project: task.project.clone(),
            key: key(claim),
            task: Some(task.id),
            work_item: task.work_item.clone(),
            effect: would.effect.to_owned(),
            target: would.target.clone(),
            summary: would.summary.chars().take(SUMMARY).collect(),
            why: format!("{}, visit {}: {}{at_step}", position.stage, position.visit, position.activity.name()),
            at: self.now(),
        };
        self.outside.store.put_would(&new).map(|_| ())
    }

    /// Of aftermath: it is written down, and with that it is over.
    pub(crate) fn told_instead(&self, claim: &Claim, task: &Task, would: &Would) -> Result<(), StoreError> {
        self.write_down(claim, task, would)?;
        self.told(claim, format!("{OBSERVED}: {} was not performed: {}", would.effect, would.summary))
    }

    /// The job is given back until the next look at what others did.
    pub(crate) fn look_again(&self, claim: &Claim, why: &str) -> Result<(), StoreError> {
        let interval = self.intervals().forges;
        let at =
            self.now().plus(Milliseconds(interval.0.saturating_mul(claim.job.attempt.clamp(1, LONGEST_PAUSE).into())));
        self.outside.store.give_back(claim.job.id, claim.token, at, &format!("{OBSERVED}: {why}"))
    }
}

/// An effect stands once, over all attempts of its job.
fn key(claim: &Claim) -> String {
    format!("job-{}", claim.job.id)
}

fn tidied(task: &Task, effect: &'static str) -> Would {
    let target = task.branch.as_ref().map_or_else(|| wanted_branch(task), ToString::to_string);
    Would { effect, target, summary: "remove the task's clones and its branch".to_owned() }
}

/// Who would be launched, for people.
pub(crate) fn launches(role: Role) -> String {
    format!("the {role} would be launched")
}
