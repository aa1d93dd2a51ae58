//! Telling the notifiers. One notice is one job for all of them; who was told already is read from what they were asked, so that
//! one that fails makes nobody hear it twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::effect::{Claim, Notice};
use domain::ids::PluginId;
use domain::plugin::{Failure, NoticeView, NotifierNotice, Urgency};
use domain::task::Task;
use domain::time::{Milliseconds, Timestamp};
use serde_json::Value;

use crate::Conductor;
use crate::aftermath::{GAVE_UP, OK, TRIES, pause, said, word};
use crate::guard::Guarded;
use crate::judge::not_asked;
use crate::ports::plugins::{NotifyCall, World};
use crate::ports::store::{EvaluationRow, StoreError};
use crate::view::task_view;
use crate::would::{Mode, Would};

/// How far one notifier is with one notice.
enum Telling {
    /// It took it.
    Told,
    /// It never will: why.
    GivenUp(String),
    /// It failed so often.
    Failed(u32),
}

/// Who is told.
struct Notifier<'a> {
    plugin: &'a PluginId,
    settings: &'a Value,
    /// As what its answers are kept.
    step: String,
}

/// What is told, and about what.
struct Told<'a> {
    claim: &'a Claim,
    task: &'a Task,
    notice: Notice,
    text: &'a str,
    world: Result<Arc<dyn World>, String>,
}

impl Conductor {
    /// Unkeyed: after a crash a notice may repeat once; its id is the same each time.
    pub(crate) fn notify(&self, claim: &Claim, notice: Notice, text: &str) -> Result<(), StoreError> {
        let effect = match self.guard(claim, "notify", notice.word(), |effect| effect.text = Some(text.to_owned()))? {
            Guarded::Go(effect) => effect,
            Guarded::Done => return Ok(()),
        };
        let text = effect.text.unwrap_or_else(|| text.to_owned());
        let task = self.fresh(claim)?;
        if self.settings(&task.project).is_none_or(|settings| settings.notifiers.is_empty()) {
            return self.told(claim, format!("told nobody, for the project has no notifier: {}", notice.word()));
        }
        if self.mode(&task) != Mode::Act {
            return self.would_notify(claim, &task, notice, &text);
        }
        let kept = self.outside.store.evaluations_of(claim.job.id)?;
        self.outside.store.attempted(claim.job.id, claim.token, self.now())?;
        let told = Told { claim, task: &task, notice, text: &text, world: self.world_to_show(&task) };
        let settings = self.settings(&task.project);
        let notifiers = settings.iter().flat_map(|settings| &settings.notifiers);
        let (mut again, mut given_up) = (None, String::new());
        let mut places = BTreeMap::<&PluginId, u32>::new();
        for (plugin, settings) in notifiers {
            let place = places.entry(plugin).and_modify(|place| *place += 1).or_insert(1);
            let notifier = Notifier { plugin, settings, step: step(*place) };
            let telling = match telling(&kept, &notifier) {
                Telling::Failed(before) => self.tell(&told, &notifier, before, &mut again)?,
                ended => ended,
            };
            if let Telling::GivenUp(why) = telling {
                given_up.push_str(&format!("; {plugin} was given up: {why}"));
            }
        }
        match again {
            None => self.told(claim, format!("told the notifiers: {}{given_up}", notice.word())),
            Some((pause, why)) => self.outside.store.give_back(claim.job.id, claim.token, self.now().plus(pause), &why),
        }
    }

    /// A notifier that is asked sends: so none is.
    fn would_notify(&self, claim: &Claim, task: &Task, notice: Notice, text: &str) -> Result<(), StoreError> {
        let settings = self.settings(&task.project);
        let notifiers = settings.iter().flat_map(|settings| &settings.notifiers);
        let names = notifiers.map(|(plugin, _)| plugin.to_string()).collect::<Vec<_>>();
        let summary = format!("{}: {text}", notice.word());
        self.told_instead(claim, task, &Would { effect: "notify", target: names.join(", "), summary })
    }

    fn world_to_show(&self, task: &Task) -> Result<Arc<dyn World>, String> {
        let forge = self.forge(&task.project).ok_or_else(|| "the project has no forge".to_owned())?;
        match self.world(task, forge) {
            Ok(world) => Ok(Arc::new(world)),
            Err(error) => Err(format!("the repository cannot be read: {error}")),
        }
    }

    /// Tells one of them, and keeps what it said. `again` is the longest pause that one of them wants, with its reason.
    fn tell(
        &self,
        told: &Told<'_>,
        notifier: &Notifier<'_>,
        before: u32,
        again: &mut Option<(Milliseconds, String)>,
    ) -> Result<Telling, StoreError> {
        let plugin = notifier.plugin;
        let evaluation = match &told.world {
            Ok(world) => {
                let notice = self.notice(told, notifier.settings);
                let call = NotifyCall { asking: self.asking(told.task, plugin), notice };
                self.outside.plugins.notify(call, Arc::clone(world))
            }
            Err(why) => not_asked(plugin, why),
        };
        let summary = evaluation.answer.as_ref().map_or_else(said, |()| told.text.to_owned());
        let verdict = serde_json::to_vec(&evaluation.answer).map_err(|error| StoreError::inside(error.to_string()))?;
        let answer = word(&evaluation.answer);
        let kept = self.keep_evaluation(told.claim, &notifier.step, &evaluation, answer, &summary, &verdict)?;
        self.outside.store.put_evaluation(&kept)?;
        Ok(match evaluation.answer {
            Ok(()) => Telling::Told,
            Err(Failure::Retry { after, .. }) if before + 1 < TRIES => {
                let wanted = pause(before + 1, after.unwrap_or_default());
                if again.as_ref().is_none_or(|(longest, _)| *longest < wanted) {
                    *again = Some((wanted, format!("{plugin}: {summary}")));
                }
                Telling::Failed(before + 1)
            }
            Err(_) => Telling::GivenUp(summary),
        })
    }

    fn notice(&self, told: &Told<'_>, settings: &Value) -> NotifierNotice {
        NotifierNotice {
            id: told.claim.job.id,
            // Jobs are numbered in the order in which they came about.
            sequence: told.claim.job.id.0,
            attempt: told.claim.job.attempt,
            at: self.now(),
            project: told.task.project.clone(),
            event: told.notice.word().to_owned(),
            urgency: urgency(told.notice),
            text: told.text.to_owned(),
            links: Vec::new(),
            view: Some(view(told.task, self.now())),
            settings: settings.to_string(),
            more: Vec::new(),
        }
    }
}

/// One plugin may be told under several settings, in this order.
fn step(place: u32) -> String {
    if place == 1 { "notify".to_owned() } else { format!("notify {place}") }
}

/// How far this notifier came in earlier attempts, by what was kept of them.
fn telling(kept: &[EvaluationRow], notifier: &Notifier<'_>) -> Telling {
    let mut failures = 0;
    let asked = kept.iter().map(|row| &row.evaluation);
    for evaluation in asked.filter(|kept| kept.step == notifier.step && kept.plugin == *notifier.plugin) {
        match evaluation.answer.as_str() {
            OK => return Telling::Told,
            GAVE_UP => return Telling::GivenUp(evaluation.summary.clone()),
            _ => failures += 1,
        }
        if failures >= TRIES {
            return Telling::GivenUp(evaluation.summary.clone());
        }
    }
    Telling::Failed(failures)
}

fn view(task: &Task, now: Timestamp) -> NoticeView {
    NoticeView {
        task: task_view(task),
        status_line: task.phase(),
        rows: Vec::new(),
        links: Vec::new(),
        total_cost_microusd: task.spent.cost_microusd,
        total_wall_ms: now.since(task.created_at).0,
        agents_ms: task.spent.wall.0,
        people_ms: 0,
        more: Vec::new(),
    }
}

fn urgency(notice: Notice) -> Urgency {
    match notice {
        Notice::StageEntered | Notice::Released => Urgency::Quiet,
        Notice::Escalated | Notice::InfraExhausted | Notice::DeployFailed | Notice::AgentFailed => Urgency::Alarm,
        _ => Urgency::Ping,
    }
}
