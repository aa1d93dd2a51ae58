//! One call of a plugin: a permit, a fresh store, the guest, and what came of it. On the caller's thread, from first to last.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use conductor::ports::plugins::{Asking, Evaluation};
use domain::plugin::{Amendable, Denial, Grant, Limits, PluginInfo};
use domain::verdict::InfraCause;
use wasmtime::{Engine, Store};

use crate::answer::{Raw, Reading, read};
use crate::broker::{Broker, Phase, Remembered, Source};
use crate::compile::{Guest, Ready};
use crate::exchange::Exchange;
use crate::fault::{Fault, denied, limited};
use crate::meter::Meter;
use crate::output::{LogLevel, LogLine, Output};
use crate::permit::Pool;
use crate::policy::Policy;
use crate::state::{Random, State};
use crate::transcript::{Answer, Question, TRANSCRIPT_VERSION, Transcript};
use crate::worker::{Workers, panic_text};

/// What most transcripts fit into.
const TRANSCRIPT_BYTES: usize = 8 * 1024;

/// A component under a name, in a project, with what it may do there.
pub(crate) struct Loaded {
    pub(crate) info: PluginInfo,
    pub(crate) ready: Arc<Ready>,
    pub(crate) policy: Arc<Policy>,
    pub(crate) amend: Vec<Amendable>,
    /// What the project gave it.
    pub(crate) grant: Grant,
    pub(crate) limits: Limits,
}

/// What a call runs on.
pub(crate) struct Ground {
    pub(crate) engine: Engine,
    pub(crate) pool: Arc<Pool>,
    pub(crate) workers: Arc<Workers>,
}

/// What came of a call.
pub(crate) struct Outcome {
    pub(crate) transcript: Transcript,
    /// Replay: the first call that was not the recorded one.
    pub(crate) diverged: Option<String>,
    /// Replay: recorded calls that were not made.
    pub(crate) unasked: usize,
}

impl Outcome {
    /// The port's form, with the answer taken out.
    pub(crate) fn evaluation<A>(self, take: impl FnOnce(Answer) -> A) -> Evaluation<A> {
        let transcript = self.transcript;
        // A transcript is made of texts and numbers: it cannot fail to be JSON. If it ever did, the answer still counts.
        let mut encoded = Vec::with_capacity(TRANSCRIPT_BYTES);
        if serde_json::to_writer(&mut encoded, &transcript).is_err() {
            encoded.clear();
        }
        Evaluation {
            answer: take(transcript.answer),
            transcript: encoded,
            plugin: transcript.plugin,
            digest: Some(transcript.digest),
            micros: transcript.micros,
            denials: transcript.denials,
            limits_hit: transcript.limits_hit,
        }
    }
}

/// What a guest did, before its answer is judged.
struct Ran {
    raw: Result<Raw, Fault>,
    remembered: Remembered,
    log: Vec<LogLine>,
    hit: Vec<InfraCause>,
    micros: u64,
}

impl Ground {
    /// Asks a plugin.
    pub(crate) fn ask(&self, plugin: &Loaded, asking: Asking, question: Question, source: Source) -> Outcome {
        let permit = self.pool.acquire(plugin.limits.memory_bytes);
        let broker = Broker::new(Arc::clone(&plugin.policy), Arc::clone(&self.workers), source);
        let ran = self.run(plugin, &asking, &question, broker);
        drop(permit);
        let (answer, notes) = judge(plugin, &asking, &question, ran.raw, &ran.remembered, &ran.hit);
        let Remembered { exchanges, denials, diverged, unasked, .. } = ran.remembered;
        trace(&asking, &question, &ran.log, &denials, ran.micros);
        let parts = Parts { calls: exchanges, log: ran.log, denials, limits_hit: ran.hit, micros: ran.micros };
        Outcome { transcript: transcript(plugin, asking, question, answer, notes, parts), diverged, unasked }
    }

    fn run(&self, plugin: &Loaded, asking: &Asking, question: &Question, broker: Broker) -> Ran {
        let started = Instant::now();
        let mut store = self.store(plugin, asking, broker);
        // A panic in a host function comes out here, over the guest's frames: it ends this call, not the host.
        let ended = catch_unwind(AssertUnwindSafe(|| call(&mut store, &plugin.ready, question)));
        let state = store.into_data();
        let micros = started.elapsed().as_micros() as u64;
        let mut hit = state.meter.hit().to_vec();
        let log = state.output.finish();
        let raw = match ended {
            Ok(Ok(raw)) => Ok(raw),
            Ok(Err(error)) => Err(Fault::of(&error, &hit, last_words(&log).as_deref())),
            Err(panic) => {
                let message = format!("a host function panicked: {}", panic_text(&*panic));
                Err(Fault::new(InfraCause::Host("panic".to_owned()), message))
            }
        };
        if let Err(fault) = &raw
            && is_limit(&fault.cause)
            && !hit.contains(&fault.cause)
        {
            hit.push(fault.cause.clone());
        }
        Ran { raw, remembered: state.broker.finish(), log, hit, micros }
    }

    fn store(&self, plugin: &Loaded, asking: &Asking, broker: Broker) -> Store<State> {
        let limits = plugin.limits;
        let state = State {
            meter: Meter::new(limits),
            broker,
            output: Output::new(limits.output_bytes),
            now: asking.at,
            random: Random::new(asking.seed),
        };
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.meter);
        store.set_hostcall_fuel(usize::try_from(limits.answer_bytes).unwrap_or(usize::MAX));
        store.set_max_component_handles(limits.resources as usize);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut context| Ok(context.data_mut().meter.tick()?));
        store
    }
}

/// From the first start function to the end of post-return.
fn call(store: &mut Store<State>, ready: &Ready, question: &Question) -> wasmtime::Result<Raw> {
    let instance = ready.pre.instantiate(&mut *store)?;
    let guest = ready.exports.load(store, &instance)?;
    let phase = if let Question::Validate { .. } = question { Phase::Settings } else { Phase::Asked };
    store.data_mut().broker.enter(phase);
    Ok(match (guest, question) {
        (Guest::Gate(guest), Question::Evaluate { subject, .. }) => {
            Raw::Verdict(guest.call_evaluate(store, &(**subject).clone().into())?)
        }
        (Guest::Guard(guest), Question::Decide { question, .. }) => {
            Raw::Decision(guest.call_decide(store, &(**question).clone().into())?)
        }
        (Guest::Estimator(guest), Question::Estimate { question }) => {
            Raw::Forecast(guest.call_estimate(store, &question.clone().into())?)
        }
        (Guest::Notifier(guest), Question::Notify { notice }) => {
            Raw::Notified(guest.call_notify(store, &(**notice).clone().into())?)
        }
        (Guest::StatusMapper(guest), Question::Inbound { change }) => {
            Raw::Intent(guest.call_inbound(store, &(**change).clone().into())?)
        }
        (Guest::StatusMapper(guest), Question::Outbound { standing }) => {
            Raw::Names(guest.call_outbound(store, &(**standing).clone().into())?)
        }
        (guest, Question::Validate { settings }) => Raw::Flaws(match guest {
            Guest::Gate(guest) => guest.call_validate(store, settings)?,
            Guest::Guard(guest) => guest.call_validate(store, settings)?,
            Guest::Estimator(guest) => guest.call_validate(store, settings)?,
            Guest::Notifier(guest) => guest.call_validate(store, settings)?,
            Guest::StatusMapper(guest) => guest.call_validate(store, settings)?,
        }),
        (_, question) => {
            let message = format!("the plugin is of another kind: it has no function `{}`", question.function());
            return Err(crate::meter::Stop::new(InfraCause::Unavailable, message).into());
        }
    })
}

/// The answer that stands: the guest's by all rules, unless a limit or a denial that it swallowed takes its word away.
fn judge(
    plugin: &Loaded,
    asking: &Asking,
    question: &Question,
    raw: Result<Raw, Fault>,
    remembered: &Remembered,
    hit: &[InfraCause],
) -> (Answer, Vec<String>) {
    let raw = match raw {
        Ok(raw) => raw,
        Err(fault) => return (fault.answer(question), Vec::new()),
    };
    let (answer, notes) = read(raw, Reading::new(asking.plugin.as_str(), asking.at, &plugin.amend, question));
    let answer = match answer {
        Ok(answer) => answer,
        Err(fault) => return (fault.answer(question), notes),
    };
    if !answer.opens() {
        return (answer, notes);
    }
    if let Some(limit) = hit.first() {
        return (limited(limit).answer(question), notes);
    }
    if let Some(denial) = &remembered.fatal {
        return (denied(denial, &asking.project, &asking.plugin).answer(question), notes);
    }
    (answer, notes)
}

/// Causes that depend on how much a call may use, so that a replay elsewhere may end otherwise.
fn is_limit(cause: &InfraCause) -> bool {
    matches!(
        cause,
        InfraCause::Time
            | InfraCause::Calls
            | InfraCause::Memory
            | InfraCause::Table
            | InfraCause::Stack
            | InfraCause::Resources
            | InfraCause::Output
            | InfraCause::TooLarge
            | InfraCause::Exhausted
    )
}

/// What a guest said last on stderr: of a Rust guest, its panic.
fn last_words(log: &[LogLine]) -> Option<String> {
    let said = log.iter().rev().find(|line| line.level == LogLevel::Stderr && !line.text.trim().is_empty())?;
    let words = said.text.trim().replace('\n', " ");
    let from = words.char_indices().rev().nth(299).map_or(0, |(at, _)| at);
    Some(words[from..].to_owned())
}

struct Parts {
    calls: Vec<Exchange>,
    log: Vec<LogLine>,
    denials: Vec<Denial>,
    limits_hit: Vec<InfraCause>,
    micros: u64,
}

fn transcript(
    plugin: &Loaded,
    asking: Asking,
    question: Question,
    answer: Answer,
    notes: Vec<String>,
    parts: Parts,
) -> Transcript {
    Transcript {
        version: TRANSCRIPT_VERSION,
        project: asking.project,
        plugin: asking.plugin,
        digest: plugin.info.digest.clone(),
        kind: plugin.info.kind,
        at: asking.at,
        seed: asking.seed,
        limits: plugin.limits,
        amend: plugin.amend.clone(),
        question,
        calls: parts.calls,
        log: parts.log,
        answer,
        notes,
        denials: parts.denials,
        limits_hit: parts.limits_hit,
        micros: parts.micros,
    }
}

fn trace(asking: &Asking, question: &Question, log: &[LogLine], denials: &[Denial], micros: u64) {
    let (project, plugin, function) = (asking.project.as_str(), asking.plugin.as_str(), question.function());
    for line in log {
        match line.level {
            LogLevel::Error => tracing::error!(project, plugin, "{}", line.text),
            LogLevel::Warn => tracing::warn!(project, plugin, "{}", line.text),
            LogLevel::Info => tracing::info!(project, plugin, "{}", line.text),
            LogLevel::Debug | LogLevel::Stdout | LogLevel::Stderr => tracing::debug!(project, plugin, "{}", line.text),
        }
    }
    for denial in denials {
        tracing::warn!(project, plugin, "{denial}");
    }
    tracing::debug!(project, plugin, function, micros, "asked a plugin");
}
