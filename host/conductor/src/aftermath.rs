//! Telling the world: the board's status, comments. None of it moves a stage.

use domain::effect::Claim;
use domain::event::Event;
use domain::plugin::{Failure, Standing};
use domain::time::Milliseconds;

use crate::Conductor;
use crate::guard::{Guarded, LONGEST_PAUSE};
use crate::ports::plugins::OutboundCall;
use crate::ports::store::StoreError;
use crate::ports::tracker::TrackerError;
use crate::view::task_view;
use crate::would::{Mode, Would};

/// Failures of an aftermath effect before it is given up.
pub(crate) const TRIES: u32 = 8;
/// The first pause between two of them; it doubles.
const PAUSE: Milliseconds = Milliseconds::from_seconds(1);

/// Doublings of the pause for a tracker that does not answer: four minutes at most.
const DOUBLINGS: u32 = 8;

/// The word under which an answer is kept.
pub(crate) const OK: &str = "ok";
/// The word for a failure that asking again does not mend.
pub(crate) const GAVE_UP: &str = "give-up";

impl Conductor {
    /// Level: what the task wants *now* is shown, whatever was wanted when the job was made.
    pub(crate) fn set_status(&self, claim: &Claim, _wanted: &str) -> Result<(), StoreError> {
        let task = self.fresh(claim)?;
        let phase = task.phase();
        let effect = match self.guard(claim, "set-status", "", |effect| effect.phase = Some(phase.clone()))? {
            Guarded::Go(effect) => effect,
            Guarded::Done => return Ok(()),
        };
        let phase = effect.phase.unwrap_or(phase);
        let tracker = &self.outside.tracker;
        let board = match tracker.statuses(&task.project) {
            Ok(board) => board,
            Err(error) => return self.not_taken(claim, &error),
        };
        let Some(settings) = self.settings(&task.project) else {
            return self.wait_for_an_answer(claim, "the project is not configured on this host");
        };
        let (plugin, mapper_settings) = &settings.status_mapper;
        let standing = Standing {
            project: task.project.clone(),
            work_item: task.work_item.clone(),
            task: Some(task_view(&task)),
            phase: phase.clone(),
            board: board.clone(),
            settings: mapper_settings.to_string(),
            more: Vec::new(),
        };
        let evaluation =
            self.outside.plugins.map_outbound(OutboundCall { asking: self.asking(&task, plugin), standing });
        let verdict = serde_json::to_vec(&evaluation.answer).map_err(|error| StoreError::inside(error.to_string()))?;
        let kept = self.keep_evaluation(claim, "outbound", &evaluation, word(&evaluation.answer), &phase, &verdict)?;
        self.outside.store.put_evaluation(&kept)?;
        let names = match evaluation.answer {
            Ok(names) => names,
            Err(failure) => return self.mapper_failed(claim, &failure),
        };
        let found = names.iter().find_map(|name| board.iter().find(|status| status.name.eq_ignore_ascii_case(name)));
        let Some(status) = found else {
            return self.told(claim, format!("the board is left as it is: it has no status for {phase}"));
        };
        if self.mode(&task) != Mode::Act {
            let summary = format!("show {}", status.name);
            let would = Would { effect: "set-status", target: task.work_item.to_string(), summary };
            return self.told_instead(claim, &task, &would);
        }
        match tracker.set_status(&task.project, &task.work_item, &status.name, self.now()) {
            Ok(()) => self.told(claim, format!("the board shows {}", status.name)),
            Err(TrackerError::Gone) => self.told(claim, "the work item is gone: its status was not written".to_owned()),
            Err(error) => self.not_taken(claim, &error),
        }
    }

    /// Keyed: the job's number is the comment's external id.
    pub(crate) fn comment(&self, claim: &Claim, text: &str) -> Result<(), StoreError> {
        let effect = match self.guard(claim, "post-comment", "", |effect| effect.text = Some(text.to_owned()))? {
            Guarded::Go(effect) => effect,
            Guarded::Done => return Ok(()),
        };
        let text = effect.text.unwrap_or_else(|| text.to_owned());
        let task = &claim.task;
        if self.mode(task) != Mode::Act {
            let would = Would { effect: "post-comment", target: task.work_item.to_string(), summary: text };
            return self.told_instead(claim, task, &would);
        }
        let key = format!("gatewright-job-{}", claim.job.id);
        self.outside.store.attempted(claim.job.id, claim.token, self.now())?;
        match self.outside.tracker.comment(&task.project, &task.work_item, &key, &text, self.now()) {
            Ok(()) => self.told(claim, format!("commented: {}", first_line(&text))),
            Err(TrackerError::Gone) => self.told(claim, "the work item is gone: no comment was written".to_owned()),
            Err(error) => self.not_taken(claim, &error),
        }
    }

    pub(crate) fn told(&self, claim: &Claim, note: String) -> Result<(), StoreError> {
        self.forget_failures(claim.job.id);
        self.complete(claim, Event::AftermathEnded { note }, None, None).map(|_| ())
    }

    /// A tracker that does not answer is nobody's fault: what it shall show waits as long as it takes. What it refuses it is asked for
    /// a few times more.
    fn not_taken(&self, claim: &Claim, error: &TrackerError) -> Result<(), StoreError> {
        match error {
            TrackerError::Unavailable(_) => self.wait_for_an_answer(claim, &error.to_string()),
            TrackerError::Gone | TrackerError::Refused(_) => {
                self.try_again(claim, &error.to_string(), Milliseconds::default())
            }
        }
    }

    fn wait_for_an_answer(&self, claim: &Claim, why: &str) -> Result<(), StoreError> {
        let at = self.now().plus(pause(claim.job.attempt.min(DOUBLINGS), Milliseconds::default()));
        self.outside.store.give_back(claim.job.id, claim.token, at, why)
    }

    fn mapper_failed(&self, claim: &Claim, failure: &Failure) -> Result<(), StoreError> {
        match failure {
            Failure::Retry { after, .. } => self.try_again(claim, &said(failure), after.unwrap_or_default()),
            Failure::GiveUp { .. } => self.given_up(claim, &said(failure)),
        }
    }

    /// Again later, with doubling pauses; given up with an entry in the end. What counts is what failed, not what a host that died
    /// had begun, and not what a guard put off.
    pub(crate) fn try_again(&self, claim: &Claim, why: &str, at_least: Milliseconds) -> Result<(), StoreError> {
        let tries = self.failed_again(claim.job.id);
        if tries >= TRIES {
            return self.given_up(claim, why);
        }
        let at = self.now().plus(pause(tries, at_least));
        self.outside.store.give_back(claim.job.id, claim.token, at, why)
    }

    fn given_up(&self, claim: &Claim, why: &str) -> Result<(), StoreError> {
        self.told(claim, format!("{} was given up: {why}", claim.job.effect.name()))
    }
}

/// The pause after so many tries: at least what was asked for, within bounds.
pub(crate) fn pause(tries: u32, at_least: Milliseconds) -> Milliseconds {
    Milliseconds(PAUSE.0 << tries.min(10)).max(at_least.min(LONGEST_PAUSE))
}

pub(crate) fn word<A>(answer: &Result<A, Failure>) -> &'static str {
    match answer {
        Ok(_) => OK,
        Err(Failure::Retry { .. }) => "failure",
        Err(Failure::GiveUp { .. }) => GAVE_UP,
    }
}

pub(crate) fn said(failure: &Failure) -> String {
    match failure {
        Failure::Retry { cause, message, .. } => format!("{cause}: {message}"),
        Failure::GiveUp { message } => message.clone(),
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(120).collect()
}
