//! Telling the world: the board's status, comments, notices; tidying up. None of it moves a stage.

use domain::effect::{Claim, Notice};
use domain::event::Event;
use domain::plugin::{Failure, NoticeView, NotifierNotice, Standing, Urgency};
use domain::time::Milliseconds;

use crate::Conductor;
use crate::guard::Guarded;
use crate::ports::plugins::{NotifyCall, OutboundCall};
use crate::ports::store::StoreError;
use crate::ports::tracker::TrackerError;
use crate::view::task_view;

/// Tries of an aftermath effect before it is given up.
const TRIES: u32 = 8;
/// The first pause between two of them; it doubles.
const PAUSE: Milliseconds = Milliseconds::from_seconds(1);

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
            Err(error) => return self.aftermath_failed(claim, &error.to_string()),
        };
        let Some(settings) = self.settings(&task.project) else {
            return self.aftermath_failed(claim, "the project is not configured on this host");
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
        let verdict = serde_json::to_vec(&evaluation.answer).map_err(|error| StoreError::Refused(error.to_string()))?;
        let kept = self.keep_evaluation(claim, "outbound", &evaluation, word(&evaluation.answer), &phase, &verdict)?;
        self.outside.store.put_evaluation(&kept)?;
        let names = match evaluation.answer {
            Ok(names) => names,
            Err(failure) => return self.aftermath_failed(claim, &said(&failure)),
        };
        let found = names.iter().find_map(|name| board.iter().find(|status| status.name.eq_ignore_ascii_case(name)));
        let Some(status) = found else {
            return self.told(claim, format!("the board is left as it is: it has no status for {phase}"));
        };
        match tracker.set_status(&task.project, &task.work_item, &status.name, self.now()) {
            Ok(()) => self.told(claim, format!("the board shows {}", status.name)),
            Err(TrackerError::Gone) => self.told(claim, "the work item is gone: its status was not written".to_owned()),
            Err(error) => self.aftermath_failed(claim, &error.to_string()),
        }
    }

    /// Keyed: the job's number is the comment's external id.
    pub(crate) fn comment(&self, claim: &Claim, text: &str) -> Result<(), StoreError> {
        let effect = match self.guard(claim, "post-comment", "", |effect| effect.text = Some(text.to_owned()))? {
            Guarded::Go(effect) => effect,
            Guarded::Done => return Ok(()),
        };
        let text = effect.text.unwrap_or_else(|| text.to_owned());
        let key = format!("gatewright-job-{}", claim.job.id);
        self.outside.store.attempted(claim.job.id, claim.token, self.now())?;
        let task = &claim.task;
        match self.outside.tracker.comment(&task.project, &task.work_item, &key, &text, self.now()) {
            Ok(()) => self.told(claim, format!("commented: {}", first_line(&text))),
            Err(TrackerError::Gone) => self.told(claim, "the work item is gone: no comment was written".to_owned()),
            Err(error) => self.aftermath_failed(claim, &error.to_string()),
        }
    }

    /// Unkeyed: after a crash a notice may repeat once; its id is the same each time.
    pub(crate) fn notify(&self, claim: &Claim, notice: Notice, text: &str) -> Result<(), StoreError> {
        let Some(settings) = self.settings(&claim.task.project) else {
            return self.aftermath_failed(claim, "the project is not configured on this host");
        };
        let effect = match self.guard(claim, "notify", notice.word(), |effect| effect.text = Some(text.to_owned()))? {
            Guarded::Go(effect) => effect,
            Guarded::Done => return Ok(()),
        };
        let text = effect.text.unwrap_or_else(|| text.to_owned());
        let task = self.fresh(claim)?;
        self.outside.store.attempted(claim.job.id, claim.token, self.now())?;
        let mut failed = None;
        for (plugin, plugin_settings) in &settings.notifiers {
            let told = NotifierNotice {
                id: claim.job.id,
                sequence: claim.job.version.0,
                attempt: claim.job.attempt,
                at: self.now(),
                project: task.project.clone(),
                event: notice.word().to_owned(),
                urgency: urgency(notice),
                text: text.clone(),
                links: Vec::new(),
                view: Some(NoticeView {
                    task: task_view(&task),
                    status_line: task.phase(),
                    rows: Vec::new(),
                    links: Vec::new(),
                    total_cost_microusd: task.spent.cost_microusd,
                    total_wall_ms: self.now().since(task.created_at).0,
                    agents_ms: task.spent.wall.0,
                    people_ms: 0,
                    more: Vec::new(),
                }),
                settings: plugin_settings.to_string(),
                more: Vec::new(),
            };
            let Some(forge) = self.forge(&task.project) else {
                continue;
            };
            let world = match self.world(&task, forge) {
                Ok(world) => world,
                Err(error) => {
                    failed = Some(error.to_string());
                    continue;
                }
            };
            let call = NotifyCall { asking: self.asking(&task, plugin), notice: told };
            let evaluation = self.outside.plugins.notify(call, std::sync::Arc::new(world));
            let verdict =
                serde_json::to_vec(&evaluation.answer).map_err(|error| StoreError::Refused(error.to_string()))?;
            let kept = self.keep_evaluation(claim, "notify", &evaluation, word(&evaluation.answer), &text, &verdict)?;
            self.outside.store.put_evaluation(&kept)?;
            if let Err(failure) = evaluation.answer {
                failed = Some(said(&failure));
            }
        }
        match failed {
            None => self.told(claim, format!("told the notifiers: {}", notice.word())),
            Some(why) => self.aftermath_failed(claim, &why),
        }
    }

    fn told(&self, claim: &Claim, note: String) -> Result<(), StoreError> {
        self.complete(claim, Event::AftermathEnded { note }, None, None).map(|_| ())
    }

    /// Again later, with doubling pauses; given up with an entry in the end.
    fn aftermath_failed(&self, claim: &Claim, why: &str) -> Result<(), StoreError> {
        if claim.job.attempt >= TRIES {
            return self.told(claim, format!("{} was given up: {why}", claim.job.effect.name()));
        }
        let pause = Milliseconds(PAUSE.0 << claim.job.attempt.min(10));
        self.outside.store.give_back(claim.job.id, claim.token, self.now().plus(pause), why)
    }
}

fn word<A>(answer: &Result<A, Failure>) -> &'static str {
    if answer.is_ok() { "ok" } else { "failure" }
}

fn said(failure: &Failure) -> String {
    match failure {
        Failure::Retry { cause, message, .. } => format!("{cause}: {message}"),
        Failure::GiveUp { message } => message.clone(),
    }
}

fn urgency(notice: Notice) -> Urgency {
    match notice {
        Notice::StageEntered | Notice::Released => Urgency::Quiet,
        Notice::Escalated | Notice::InfraExhausted | Notice::DeployFailed | Notice::AgentFailed => Urgency::Alarm,
        _ => Urgency::Ping,
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(120).collect()
}
