//! Agents that are known by name: which conversation a run has, what it tells while it works, and what its last word means.

use domain::cost::Usage;
use domain::document::Role;
use domain::effect::{Claim, run_of};
use domain::event::{FailureClass, RunOutcome};
use domain::ids::RunId;
use domain::task::Task;
use domain::time::Milliseconds;

use crate::Conductor;
use crate::dialect::{Ask, Dialect, End, Home, Judged, Session, Told, is_worth_resuming};
use crate::failure;
use crate::finish::{LOST, complaint};
use crate::launch::agent_environment;
use crate::ports::forge::PreparedClone;
use crate::ports::runs::{AgentHome, ExitRecord, Launch};
use crate::ports::store::{Conversation, RunRow, StoreError};
use crate::project::{AgentSpec, UsageReader, Worker};

/// Among so many of a task's runs the one before stands.
const LATEST_RUNS: u32 = 20;
/// What is read of the end of a log for what stands beside an agent's own words.
const TAIL: u64 = 16 * 1024;

/// How a run's conversation begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beginning {
    /// With nothing.
    Anew,
    /// Where a run ended well.
    Afterwards,
    /// Where a run was lost.
    InTheMidst,
}

/// How a worker's runs are listened to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ear {
    pub(crate) reader: UsageReader,
    pub(crate) dialect: Dialect,
}

impl Ear {
    pub(crate) fn of(worker: Option<&Worker>) -> Self {
        match worker {
            Some(Worker::Agent(agent)) => Self { reader: agent.usage.clone(), dialect: agent.dialect.clone() },
            _ => Self::default(),
        }
    }

    /// What a run used of what it says.
    pub(crate) fn own(&self, row: &RunRow, said: &Usage) -> Usage {
        let before = row.conversation.as_ref().map(|conversation| conversation.before).unwrap_or_default();
        self.dialect.own(said, &before)
    }
}

impl Conductor {
    /// How the runs of a role are listened to.
    pub(crate) fn ear(&self, task: &Task, role: Role) -> Ear {
        let settings = self.settings(&task.project);
        Ear::of(settings.as_ref().and_then(|settings| settings.workers.get(&role)))
    }

    /// What a run that is over said, written into its row.
    pub(crate) fn hear_out(&self, ear: &Ear, row: &mut RunRow) -> Told {
        let told = self.outside.runs.told(row.id, &ear.reader);
        row.usage = ear.own(row, &told.usage);
        row.steps = told.steps;
        row.doing.clone_from(&told.doing);
        if row.model.is_none() {
            row.model.clone_from(&told.model);
        }
        if let Some(conversation) = &mut row.conversation {
            conversation.id = told.session.clone().or_else(|| conversation.id.take());
            conversation.context = told.context;
            conversation.total = told.usage;
        }
        told
    }

    /// An agent's launch, and the conversation that it will have.
    pub(crate) fn agent_launch(
        &self,
        claim: &Claim,
        task: &Task,
        role: Role,
        agent: &AgentSpec,
        brief: String,
        clone: &PreparedClone,
    ) -> Result<(Launch, Option<Conversation>), StoreError> {
        let run = run_of(claim.job.id);
        let (conversation, beginning) = self.conversation(task, role, agent, run)?.unzip();
        let home = agent.dialect.home().map(|kind| {
            let before = conversation.as_ref().and_then(|it| Some((it.resumed?, it.id.clone()?)));
            AgentHome { kind, carried: before }
        });
        let mut environment = agent_environment(task, role, &clone.path, agent);
        environment.extend(agent.dialect.environment());
        let launch = Launch {
            run,
            argv: argv(agent, conversation.as_ref(), beginning.unwrap_or(Beginning::Anew)),
            workdir: clone.path.clone(),
            environment,
            pass_environment: agent.pass_environment.clone(),
            held_key: agent.dialect.held_key().cloned(),
            brief: Some(brief),
            readable: [agent.readable.clone(), vec![clone.readable.clone()]].concat(),
            writable: agent.writable.clone(),
            network: agent.network.clone(),
            budget: agent.budget,
            grace: agent.grace,
            limits: agent.limits,
            confinement: agent.dialect.confinement(),
            home,
        };
        Ok((launch, conversation))
    }

    /// The conversation of a run that begins. It goes on with that of the same role's last run that ended well, or was lost after that,
    /// where that is still there, is of the same model, and is cheaper than to begin anew: of what failed since, only what passes by
    /// itself leaves it there. Who judges always begins anew: it shall see the work, and not what it thought of it before.
    fn conversation(
        &self,
        task: &Task,
        role: Role,
        agent: &AgentSpec,
        run: RunId,
    ) -> Result<Option<(Conversation, Beginning)>, StoreError> {
        let Some(home) = agent.dialect.home() else { return Ok(None) };
        let new = Conversation {
            id: matches!(agent.dialect, Dialect::ClaudeCode(_)).then(|| session_of(run)),
            ..Conversation::default()
        };
        if !agent.dialect.resumes() || role.judges() {
            return Ok(Some((new, Beginning::Anew)));
        }
        for row in self.outside.store.runs(task.id, LATEST_RUNS)?.iter().filter(|row| row.role == role && row.id != run)
        {
            let Some(beginning) = row.outcome.as_deref().and_then(goes_on) else { continue };
            let gone_on_with = self.gone_on_with(agent, home, row);
            // What was before a run that ended well is over.
            if gone_on_with.is_some() || beginning == Beginning::Afterwards {
                return Ok(Some(gone_on_with.map_or((new, Beginning::Anew), |found| (found, beginning))));
            }
        }
        Ok(Some((new, Beginning::Anew)))
    }

    /// The conversation of that run, gone on with; none: it is not there, or not worth it.
    fn gone_on_with(&self, agent: &AgentSpec, home: Home, row: &RunRow) -> Option<Conversation> {
        let said = row.conversation.as_ref()?;
        let id = said.id.as_ref()?;
        let is_same = agent.model.is_none() || agent.model == row.model;
        let is_worth = is_worth_resuming(said.context?, &row.usage);
        (is_same && is_worth && self.outside.runs.has_session(row.id, home, id)).then(|| Conversation {
            id: Some(id.clone()),
            resumed: Some(row.id),
            context: None,
            before: said.total,
            total: Usage::default(),
        })
    }

    /// What a run of an agent comes to. What it left is only taken where its own last word does not say that it failed.
    #[expect(clippy::too_many_arguments, reason = "all that is known of an end")]
    pub(crate) fn agent_outcome(
        &self,
        claim: &Claim,
        task: &Task,
        role: Role,
        worker: Option<&Worker>,
        ear: &Ear,
        told: &Told,
        record: &ExitRecord,
        row: &mut RunRow,
    ) -> Result<RunOutcome, StoreError> {
        let tail = self.outside.runs.log_tail(row.id, TAIL);
        let is_resumed = row.conversation.as_ref().is_some_and(|conversation| conversation.resumed.is_some());
        let judged = ear.dialect.judge(&record.ending, told, &String::from_utf8_lossy(&tail), is_resumed);
        Ok(match judged {
            None => match complaint(record) {
                Some(cause) => self.failed(task, worker, record, &cause, row.id),
                None => self.take_over(claim, task, role, row)?,
            },
            Some(Judged::Well) => with_words(self.take_over(claim, task, role, row)?, told),
            Some(Judged::Failed { cause, failure }) => RunOutcome::Undelivered {
                cause: self.with_excerpt(&cause, row.id),
                retry_after: (failure.class == FailureClass::Transient)
                    .then(|| failure::pause(task.transient_retries, failure.told, self.outside.clock.random())),
                class: failure.class,
            },
            Some(Judged::Forgotten) => {
                // The next one finds none to go on with.
                if let Some(before) = row.conversation.take().and_then(|conversation| conversation.resumed) {
                    self.outside.runs.keep_session(before, None);
                }
                RunOutcome::Undelivered {
                    cause: "the conversation that it should go on with is gone; it begins a new one".to_owned(),
                    retry_after: Some(Milliseconds(0)),
                    class: FailureClass::Transient,
                }
            }
            Some(Judged::OverBudget { cause }) => RunOutcome::OverBudget { cause },
        })
    }

    /// What of a run's state is kept once it is over: the conversation that a later run may go on with.
    pub(crate) fn keep_conversation(&self, role: Role, ear: &Ear, outcome: &RunOutcome, row: &RunRow) {
        let (Some(home), Some(conversation)) = (ear.dialect.home(), &row.conversation) else {
            if ear.dialect.home().is_some() {
                self.outside.runs.keep_session(row.id, None);
            }
            return;
        };
        let is_well = matches!(outcome, RunOutcome::Delivered { .. } | RunOutcome::Trespassed { .. });
        let keeps = is_well && ear.dialect.resumes() && !role.judges();
        let session = conversation.id.as_deref().filter(|_| keeps).map(|id| (home, id));
        self.outside.runs.keep_session(row.id, session);
        // What it did is gone with its clone; what it went on from is not, and whoever tries again goes on from there.
        let passes_by_itself = matches!(outcome, RunOutcome::Undelivered { class: FailureClass::Transient, .. });
        if let Some(before) = conversation.resumed.filter(|_| !passes_by_itself) {
            self.outside.runs.keep_session(before, None);
        }
    }

    /// Of a run that was lost its conversation may be all that is left: where its record is there, the next run goes on with that,
    /// and else with what this one went on from.
    pub(crate) fn keep_lost_conversation(&self, role: Role, ear: &Ear, row: &RunRow) {
        let Some(home) = ear.dialect.home() else { return };
        let conversation = row.conversation.as_ref().filter(|_| ear.dialect.resumes() && !role.judges());
        let id = conversation.and_then(|conversation| conversation.id.as_deref());
        let own = id.filter(|id| self.outside.runs.has_session(row.id, home, id));
        self.outside.runs.keep_session(row.id, own.map(|id| (home, id)));
        if let Some(before) = conversation.and_then(|conversation| conversation.resumed).filter(|_| own.is_some()) {
            self.outside.runs.keep_session(before, None);
        }
    }

    /// A task that has ended needs no conversation any more.
    pub(crate) fn forget_conversations(&self, task: &Task) -> Result<(), StoreError> {
        for row in self.outside.store.runs(task.id, LATEST_RUNS)? {
            if row.conversation.is_some() {
                self.outside.runs.keep_session(row.id, None);
            }
        }
        Ok(())
    }
}

/// How the next run goes on, as the row of this one says how it ended; none: not with this one.
fn goes_on(outcome: &str) -> Option<Beginning> {
    if outcome == "delivered" || outcome.starts_with("trespassed") {
        return Some(Beginning::Afterwards);
    }
    let is_lost = outcome.strip_prefix("undelivered: ").is_some_and(|cause| cause == LOST);
    is_lost.then_some(Beginning::InTheMidst)
}

/// The command of a run, as the host composes it, or as the operator wrote it.
fn argv(agent: &AgentSpec, conversation: Option<&Conversation>, beginning: Beginning) -> Vec<String> {
    let id = conversation.and_then(|conversation| conversation.id.as_deref()).unwrap_or_default();
    let before = conversation.and_then(|conversation| conversation.before.cost_microusd).unwrap_or(0);
    let ask = Ask {
        program: agent.argv.first().map_or("", String::as_str),
        names_model: agent.model.is_some(),
        names_effort: agent.effort.is_some(),
        session: match beginning {
            Beginning::Anew => Session::New(id),
            Beginning::Afterwards => Session::Resumed(id),
            Beginning::InTheMidst => Session::CutOff(id),
        },
        // What it counts is its whole conversation.
        cap_microusd: agent.cap.cost_microusd.map(|cap| cap.saturating_add(before)),
    };
    agent.dialect.compose(&ask).unwrap_or_else(|| agent.argv.clone())
}

/// A UUID that no other run of this host has.
fn session_of(run: RunId) -> String {
    format!("{:08x}-0000-4000-8000-{:012x}", run.0 >> 48, run.0 & 0xffff_ffff_ffff)
}

/// Why nothing came of a run that ended well mostly stands in what it said, or was refused.
fn with_words(outcome: RunOutcome, told: &Told) -> RunOutcome {
    let RunOutcome::Undelivered { mut cause, retry_after, class } = outcome else { return outcome };
    if let Some(End::Good { words, denied }) = &told.end {
        if !denied.is_empty() {
            cause = format!("{cause}; it was refused the use of {}: see `tools` of its role", denied.join(", "));
        }
        if !words.is_empty() {
            cause = format!("{cause}; it said: {words}");
        }
    }
    RunOutcome::Undelivered { cause, retry_after, class }
}
