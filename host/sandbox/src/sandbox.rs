//! The public face: what is loaded, and asking it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use conductor::ports::plugins::{
    Asking, EstimateCall, Evaluation, GateCall, GuardCall, InboundCall, NotifyCall, OutboundCall, Plugins,
    ValidateCall, World,
};
use domain::ids::{Digest, PluginId, ProjectName};
use domain::plugin::{
    Ceiling, Failure, Flaw, Forecast, Grant, GuardDecision, Limits, MapperIntent, PluginInfo, PluginKind,
};
use domain::verdict::{InfraCause, Verdict};
use wasmtime::Engine;
use wasmtime::component::Linker;

use crate::broker::Source;
use crate::compile::{Ready, linker, ready};
use crate::compiler::{Compiler, Workshop};
use crate::config::SandboxConfig;
use crate::engine::{Ticker, engine_config};
use crate::evaluate::{Ground, Loaded, Outcome};
use crate::fault::Fault;
use crate::load::error::LoadError;
use crate::load::{self, grant};
use crate::permit::Pool;
use crate::replay::{ReplayError, Replayed, open_grant, read_transcript};
use crate::state::State;
use crate::transcript::{Answer, Question};
use crate::worker::Workers;

/// Bytes of settings.
const SETTINGS_BYTES: usize = 64 * 1024;
/// Components of which it is kept what they said: more than a house has, and little each.
const KNOWN: usize = 1_000;

/// The sandbox could not be made: the engine, or its thread.
#[derive(Debug, thiserror::Error)]
#[error("the sandbox does not start: {0}")]
pub struct StartError(String);

/// All plugins of all projects.
pub struct Sandbox {
    config: SandboxConfig,
    ground: Ground,
    linker: Linker<State>,
    plugins: RwLock<HashMap<(ProjectName, PluginId), Arc<Loaded>>>,
    /// Compiled components by digest, as long as anyone has them loaded.
    workshop: Workshop,
    compiled: Mutex<HashMap<Digest, Weak<Ready>>>,
    /// What components said of themselves that were looked at: reading one takes some milliseconds, and each project loads ours.
    known: Mutex<HashMap<Digest, PluginInfo>>,
    /// Last, so that time passes for whatever is dropped before it.
    _ticker: Ticker,
}

/// What is to be loaded under a name, in one project.
#[derive(Clone, Debug)]
pub struct PluginSpec {
    /// The name.
    pub id: PluginId,
    /// The component.
    pub bytes: Arc<[u8]>,
    /// The sha256 that the project pinned.
    pub digest: Digest,
    /// What the project granted for that digest.
    pub grant: Grant,
    /// What the host's file allows at most.
    pub ceiling: Ceiling,
    /// What one call may use.
    pub limits: Limits,
}

impl Sandbox {
    /// Makes the engine, its pool and the thread that lets its time pass.
    pub fn new(config: SandboxConfig) -> Result<Self, StartError> {
        Self::with_compiler(config, Compiler::Here)
    }

    /// As [`Self::new`], with a place where components are compiled.
    pub fn with_compiler(config: SandboxConfig, compiler: Compiler) -> Result<Self, StartError> {
        let failed = |error: wasmtime::Error| StartError(format!("{error:#}"));
        let engine = Engine::new(&engine_config(&config)).map_err(failed)?;
        let linker = linker(&engine).map_err(failed)?;
        let ticker = Ticker::start(&engine).map_err(|error| StartError(error.to_string()))?;
        let pool = Pool::new(config.pool_memory_bytes, config.concurrent_calls);
        let workers = Arc::new(Workers::new(config.stuck_workers));
        Ok(Self {
            config,
            ground: Ground { engine, pool, workers },
            linker,
            plugins: RwLock::default(),
            workshop: Workshop::new(compiler),
            compiled: Mutex::default(),
            known: Mutex::default(),
            _ticker: ticker,
        })
    }

    /// What a component says of itself. Needs no grant and compiles nothing.
    pub fn inspect(&self, bytes: &[u8]) -> Result<PluginInfo, LoadError> {
        self.known(bytes, None)
    }

    fn known(&self, bytes: &[u8], pinned: Option<&Digest>) -> Result<PluginInfo, LoadError> {
        let digest = load::digest(bytes, pinned)?;
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(info) = known().get(&digest) {
            return Ok(info.clone());
        }
        let info = load::inspect(bytes, digest.clone())?;
        let mut known = known();
        if known.len() >= KNOWN {
            known.clear();
        }
        known.insert(digest, info.clone());
        Ok(info)
    }

    /// Loads a component under a name, in the place of what was there. On an error what was there stays.
    pub fn load(&self, project: &ProjectName, spec: PluginSpec) -> Result<PluginInfo, LoadError> {
        let mut info = self.known(&spec.bytes, Some(&spec.digest))?;
        let policy = grant(&info.request, &spec.grant, &spec.ceiling, &spec.limits, &self.config)?;
        let ready = self.ready(&spec.bytes, &info.digest, info.kind)?;
        info.id = Some(spec.id.clone());
        let loaded = Loaded {
            info: info.clone(),
            ready,
            policy: Arc::new(policy),
            amend: spec.grant.amend.clone(),
            grant: spec.grant,
            limits: spec.limits,
        };
        let key = (project.clone(), spec.id);
        self.plugins.write().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::new(loaded));
        Ok(info)
    }

    /// What is loaded, with what its project gave it, by project and name.
    pub fn loaded(&self) -> Vec<(ProjectName, PluginInfo, Grant)> {
        let plugins = self.plugins.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = plugins
            .iter()
            .map(|((project, _), loaded)| (project.clone(), loaded.info.clone(), loaded.grant.clone()))
            .collect();
        drop(plugins);
        all.sort_by(|one, other| (&one.0, &one.1.id).cmp(&(&other.0, &other.1.id)));
        all
    }

    /// Forgets what is loaded under a name; calls that are under way end as they would have. False: there was nothing.
    pub fn unload(&self, project: &ProjectName, plugin: &PluginId) -> bool {
        let key = (project.clone(), plugin.clone());
        self.plugins.write().unwrap_or_else(PoisonError::into_inner).remove(&key).is_some()
    }

    /// Asks a component once more what a transcript says that it was asked, with the answers that it got then. Nothing outside
    /// is looked at, and the component need not be loaded.
    pub fn replay(&self, component: &[u8], transcript: &[u8]) -> Result<Replayed, ReplayError> {
        let recorded = read_transcript(transcript)?;
        let info = self.known(component, None)?;
        if info.digest != recorded.digest {
            return Err(ReplayError::OtherComponent { recorded: recorded.digest, given: info.digest });
        }
        let (given, ceiling) = open_grant(&info.request);
        let policy = grant(&info.request, &given, &ceiling, &recorded.limits, &self.config)?;
        let ready = self.ready(component, &info.digest, info.kind)?;
        let (amend, limits) = (recorded.amend.clone(), recorded.limits);
        let loaded = Loaded { info, ready, policy: Arc::new(policy), amend, grant: given, limits };
        let asking = Asking {
            project: recorded.project.clone(),
            plugin: recorded.plugin.clone(),
            at: recorded.at,
            seed: recorded.seed,
        };
        let source = Source::Recorded(recorded.calls.clone().into());
        let Outcome { transcript, diverged, unasked } =
            self.ground.ask(&loaded, asking, recorded.question.clone(), source);
        Ok(Replayed {
            answer: transcript.answer.clone(),
            same: transcript.answer == recorded.answer && diverged.is_none() && unasked == 0,
            replayable: recorded.limits_hit.is_empty() && transcript.limits_hit.is_empty(),
            recorded: recorded.answer,
            diverged,
            unasked,
            transcript,
        })
    }

    /// The compiled form, shared by all who loaded the same bytes. Two who ask at the same time may both compile.
    fn ready(&self, bytes: &[u8], digest: &Digest, kind: PluginKind) -> Result<Arc<Ready>, LoadError> {
        let compiled = || self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ready) = compiled().get(digest).and_then(Weak::upgrade) {
            return Ok(ready);
        }
        let ready = Arc::new(ready(&self.ground.engine, &self.linker, &self.workshop, (digest, bytes), kind)?);
        let mut compiled = compiled();
        compiled.retain(|_, ready| ready.strong_count() > 0);
        compiled.insert(digest.clone(), Arc::downgrade(&ready));
        Ok(ready)
    }

    fn find(&self, asking: &Asking) -> Option<Arc<Loaded>> {
        let key = (asking.project.clone(), asking.plugin.clone());
        self.plugins.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }

    fn ask<A>(
        &self,
        asking: Asking,
        question: Question,
        source: Source,
        take: impl FnOnce(Answer) -> A,
    ) -> Evaluation<A> {
        if let Some(plugin) = self.find(&asking) {
            return self.ground.ask(&plugin, asking, question, source).evaluation(take);
        }
        let message = format!("no plugin `{}` is loaded in the project `{}`", asking.plugin, asking.project);
        let answer = take(Fault::new(InfraCause::Unavailable, message).answer(&question));
        never_asked(asking.plugin, None, answer)
    }
}

/// The host answers by itself: no guest ran, so there is nothing to write down.
fn never_asked<A>(plugin: PluginId, digest: Option<Digest>, answer: A) -> Evaluation<A> {
    Evaluation {
        answer,
        transcript: Vec::new(),
        plugin,
        digest,
        micros: 0,
        denials: Vec::new(),
        limits_hit: Vec::new(),
    }
}

/// The sandbox makes answers by the question; another form would be a mistake of this crate, and opens nothing.
fn other_form() -> Failure {
    let cause = InfraCause::Host("answer".to_owned());
    Failure::Retry { cause, message: "the answer belongs to another question".to_owned(), after: None }
}

fn settings_flaw(settings: &str) -> Option<Flaw> {
    let flaw = |message: String| Some(Flaw { pointer: String::new(), message });
    if settings.len() > SETTINGS_BYTES {
        return flaw(format!("the settings have {} bytes, more than {SETTINGS_BYTES}", settings.len()));
    }
    match serde_json::from_str::<serde_json::Value>(settings) {
        Ok(serde_json::Value::Object(_)) => None,
        Ok(_) => flaw("the settings are no JSON object".to_owned()),
        Err(error) => flaw(format!("the settings are no JSON: {error}")),
    }
}

impl Plugins for Sandbox {
    fn info(&self, project: &ProjectName, plugin: &PluginId) -> Option<PluginInfo> {
        let key = (project.clone(), plugin.clone());
        self.plugins.read().unwrap_or_else(PoisonError::into_inner).get(&key).map(|loaded| loaded.info.clone())
    }

    fn validate(&self, call: ValidateCall) -> Evaluation<Result<Vec<Flaw>, Failure>> {
        if let Some(flaw) = settings_flaw(&call.settings) {
            let digest = self.find(&call.asking).map(|plugin| plugin.info.digest.clone());
            return never_asked(call.asking.plugin, digest, Ok(vec![flaw]));
        }
        let question = Question::Validate { settings: call.settings };
        self.ask(call.asking, question, Source::Nowhere, |answer| match answer {
            Answer::Flaws(flaws) => flaws,
            _ => Err(other_form()),
        })
    }

    fn evaluate_gate(&self, call: GateCall, world: Arc<dyn World>) -> Evaluation<Verdict> {
        let question = Question::Evaluate { subject: Box::new(call.subject), patience: call.patience };
        self.ask(call.asking, question, Source::World(world), |answer| match answer {
            Answer::Verdict(verdict) => verdict,
            _ => Verdict::infra(InfraCause::Host("answer".to_owned()), "the answer belongs to another question"),
        })
    }

    fn decide_guard(&self, call: GuardCall, world: Arc<dyn World>) -> Evaluation<Result<GuardDecision, Failure>> {
        let question = Question::Decide { question: Box::new(call.question), patience: call.patience };
        self.ask(call.asking, question, Source::World(world), |answer| match answer {
            Answer::Decision(decision) => decision,
            _ => Err(other_form()),
        })
    }

    fn estimate(&self, call: EstimateCall, world: Arc<dyn World>) -> Evaluation<Result<Forecast, Failure>> {
        let question = Question::Estimate { question: call.question };
        self.ask(call.asking, question, Source::World(world), |answer| match answer {
            Answer::Forecast(forecast) => forecast,
            _ => Err(other_form()),
        })
    }

    fn notify(&self, call: NotifyCall, world: Arc<dyn World>) -> Evaluation<Result<(), Failure>> {
        let question = Question::Notify { notice: Box::new(call.notice) };
        self.ask(call.asking, question, Source::World(world), |answer| match answer {
            Answer::Notified(told) => told,
            _ => Err(other_form()),
        })
    }

    fn map_inbound(&self, call: InboundCall) -> Evaluation<Result<MapperIntent, Failure>> {
        let question = Question::Inbound { change: Box::new(call.change) };
        self.ask(call.asking, question, Source::Nowhere, |answer| match answer {
            Answer::Intent(intent) => intent,
            _ => Err(other_form()),
        })
    }

    fn map_outbound(&self, call: OutboundCall) -> Evaluation<Result<Vec<String>, Failure>> {
        let question = Question::Outbound { standing: Box::new(call.standing) };
        self.ask(call.asking, question, Source::Nowhere, |answer| match answer {
            Answer::Names(names) => names,
            _ => Err(other_form()),
        })
    }
}
