//! Budgets at work: before each launch, while a run lives, and at its end. What is spent is decided by [`domain::budget`].

use domain::budget::{Account, Budgets, Cap, DAY_MS, Exhausted, Left, Scope, exhausted, left};
use domain::cost::{Price, Spent, Usage};
use domain::document::Role;
use domain::effect::{Claim, Effect, run_of};
use domain::event::{Event, RunOutcome, Withholder};
use domain::ids::{JobId, ProjectName, RunId};
use domain::task::Task;
use domain::time::{Milliseconds, Timestamp};

use crate::Conductor;
use crate::converse::Ear;
use crate::dialect::Told;
use crate::ports::runs::{Ending, ExitRecord, RunState};
use crate::ports::store::{RunRow, StoreError, Terms};
use crate::project::{ProjectSettings, Worker};

/// From one look at what a living run has used to the next. It goes along with the first tick after its time.
pub(crate) const WEIGH_INTERVAL: Milliseconds = Milliseconds::from_seconds(5);

/// What a living run has used so far.
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    project: ProjectName,
    live: LiveRun,
}

/// A living run, as far as it was listened to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveRun {
    /// What it said that it used.
    pub usage: Usage,
    /// What counts so far.
    pub spent: Spent,
    /// Tools that it used.
    pub steps: u32,
    /// What it does, in a line.
    pub doing: Option<String>,
    /// The model that works, where it says so.
    pub model: Option<String>,
}

/// Whether a run may begin.
pub(crate) enum Begin {
    /// No: the task was told, and is held.
    Told,
    /// Yes; for no more than this, where a budget bounds it.
    Within(Left),
}

/// What a role's run may cost.
fn cap_of(settings: &ProjectSettings, role: Role) -> Cap {
    match settings.workers.get(&role) {
        Some(Worker::Agent(agent)) => agent.cap,
        _ => Cap::default(),
    }
}

/// The terms of a worker: a plain command costs time and nothing else.
pub(crate) fn terms(settings: &ProjectSettings, worker: &Worker) -> Terms {
    let (price, budget, grace) = match worker {
        Worker::Agent(agent) => (settings.price, agent.budget, agent.grace),
        Worker::Command(command) => (Price::default(), command.budget, command.grace),
    };
    Terms { price, longest: Milliseconds(budget.0.saturating_add(grace.0)) }
}

impl Conductor {
    /// What a living run has used and what counts so far, where this host watches it.
    pub fn live_usage(&self, run: RunId) -> Option<(Usage, Spent)> {
        self.live_run(run).map(|live| (live.usage, live.spent))
    }

    /// All that is known of a living run, where this host watches it.
    pub fn live_run(&self, run: RunId) -> Option<LiveRun> {
        self.meters().get(&JobId(run.0)).map(|meter| meter.live.clone())
    }

    /// What may be spent in a project; of one that no file speaks of: as much as it likes, for nobody works there.
    pub fn budgets(&self, project: &ProjectName) -> Budgets {
        self.settings(project).map(|settings| settings.budgets).unwrap_or_default()
    }

    /// The budgets that a run of this role stands under, with what was spent; `own` is the run's.
    fn accounts(&self, task: &Task, role: Role, run: RunId, own: Spent) -> Result<Vec<Account>, StoreError> {
        let Some(settings) = self.settings(&task.project) else { return Ok(Vec::new()) };
        let cap = cap_of(&settings, role);
        let budgets = settings.budgets;
        let mut accounts = vec![
            Account { scope: Scope::Run(role), cap, spent: own },
            Account { scope: Scope::Task, cap: budgets.task, spent: task.spent.plus(own) },
        ];
        if budgets.day != Cap::default() || budgets.total != Cap::default() {
            let ended = self.outside.store.spending(&task.project, self.now().0 / DAY_MS)?;
            let others = self.others(&task.project, run);
            let with = |ended: Spent| ended.plus(others).plus(own);
            accounts.push(Account { scope: Scope::Day, cap: budgets.day, spent: with(ended.day) });
            accounts.push(Account { scope: Scope::Total, cap: budgets.total, spent: with(ended.total) });
        }
        Ok(accounts)
    }

    /// What the other living runs of a project have used so far.
    fn others(&self, project: &ProjectName, run: RunId) -> Spent {
        let meters = self.meters();
        let others = meters.iter().filter(|(job, meter)| job.0 != run.0 && meter.project == *project);
        others.fold(Spent::default(), |sum, (_, meter)| sum.plus(meter.live.spent))
    }

    /// Nothing is launched over budget: the task is held, at the cost of no attempt.
    pub(crate) fn may_begin(&self, claim: &Claim, role: Role) -> Result<Begin, StoreError> {
        let accounts = self.accounts(&self.fresh(claim)?, role, run_of(claim.job.id), Spent::default())?;
        let Some(spent) = exhausted(&accounts) else { return Ok(Begin::Within(left(&accounts))) };
        let event = Event::Withheld {
            epoch: claim.job.epoch,
            by: Withholder::Budget,
            reason: format!("nothing is launched: {spent}"),
        };
        self.complete(claim, event, None, None)?;
        Ok(Begin::Told)
    }

    /// A living run is looked at: what it has used is known to others, and past a budget it is ended. That it shall be is
    /// written down before.
    pub(crate) fn weigh(&self, claim: &Claim) -> Result<(), StoreError> {
        let run = run_of(claim.job.id);
        let Effect::Launch { role, .. } = claim.job.effect else { return Ok(()) };
        // Its end is told by whoever watches it.
        let Ok(RunState::Live { .. }) = self.outside.runs.inspect(run) else { return Ok(()) };
        let row = self.outside.store.run(run)?;
        let task = self.fresh(claim)?;
        let ear = self.ear(&task, role);
        let told = if ear.reader.streams() { self.outside.runs.told(run, &ear.reader) } else { Told::default() };
        let usage = ear.own(&row, &told.usage);
        let Some(spent) = counted(&row, &usage, self.now()) else { return Ok(()) };
        let Told { steps, doing, model, .. } = told;
        let live = LiveRun { usage, spent, steps, doing, model };
        self.put_meter(claim.job.id, Meter { project: task.project.clone(), live });
        if row.over_budget.is_none() {
            let Some(spent) = self.exhausted_by(&task, role, run, spent)? else { return Ok(()) };
            tracing::info!(%run, %spent, "a run is ended");
            self.outside.store.put_over_budget(claim.job.id, claim.token, &spent.to_string())?;
        }
        // Also where an earlier look wrote it down and came no further.
        if let Err(error) = self.outside.runs.end_over_budget(run) {
            tracing::error!(%run, %error, "a run that is over its budget could not be ended; it is tried again");
        }
        Ok(())
    }

    fn exhausted_by(&self, task: &Task, role: Role, run: RunId, own: Spent) -> Result<Option<Exhausted>, StoreError> {
        Ok(exhausted(&self.accounts(task, role, run, own)?))
    }

    /// What the end of a run means where a budget is spent: what was delivered is taken all the same; what was not costs no
    /// attempt, and a person must look.
    pub(crate) fn within_budget(
        &self,
        task: &Task,
        row: &RunRow,
        record: Option<&ExitRecord>,
        outcome: RunOutcome,
    ) -> Result<RunOutcome, StoreError> {
        let cause = match &outcome {
            RunOutcome::Undelivered { cause, .. } => cause,
            // It was told how much is left of the smallest budget, and not of which.
            RunOutcome::OverBudget { cause } => {
                let Some(own) = row.spent else { return Ok(outcome) };
                let Some(spent) = self.exhausted_by(task, row.role, row.id, own)? else { return Ok(outcome) };
                return Ok(RunOutcome::OverBudget { cause: format!("{spent}; the agent ended itself: {cause}") });
            }
            _ => return Ok(outcome),
        };
        let was_ended = record.is_some_and(|record| match record.ending {
            Ending::OverBudget => true,
            // A shim of an earlier version knows one word for both.
            Ending::Cancelled => row.over_budget.is_some(),
            _ => false,
        });
        let why = match &row.over_budget {
            Some(why) if was_ended => Some(why.clone()),
            _ => match row.spent {
                Some(own) => {
                    let spent = self.exhausted_by(task, row.role, row.id, own)?;
                    spent.map(|spent| format!("{spent}; the run did not deliver: {cause}"))
                }
                None => None,
            },
        };
        let ended = || "it was ended for a budget that holds no more".to_owned();
        Ok(match why.or_else(|| was_ended.then(ended)) {
            Some(cause) => RunOutcome::OverBudget { cause },
            None => outcome,
        })
    }

    /// What a run used as its log says, and what counts: `None` where it never began, or is no role's.
    /// The answer is all that it said.
    pub(crate) fn settle_cost(&self, row: &mut RunRow, ear: &Ear, record: Option<&ExitRecord>) -> Told {
        if record.is_some_and(|record| matches!(record.ending, Ending::NotStarted(_))) {
            return Told::default();
        }
        let told = self.hear_out(ear, row);
        row.spent = match row.terms {
            Some(Terms { price, longest }) => {
                // Lost: nobody knows when it ended, and longer than it was allowed to it did not live.
                let wall = record.map_or_else(
                    || self.now().since(row.started_at),
                    |record| record.ended_at.since(record.started_at),
                );
                Some(price.count(&row.usage, wall.min(longest)))
            }
            // An earlier version of the host launched it.
            None => row.usage.is_known().then(|| Price::default().count(&row.usage, Milliseconds::default())),
        };
        told
    }
}

/// What counts for a living run so far.
fn counted(row: &RunRow, usage: &Usage, now: Timestamp) -> Option<Spent> {
    let Terms { price, longest } = row.terms?;
    Some(price.count(usage, now.since(row.started_at).min(longest)))
}
