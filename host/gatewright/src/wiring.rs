//! Which driver stands behind which port: a state folder becomes a living host.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use adapters::git::{EmbeddedForge, Glance, Layout, ObservedForge, Remote};
use agents::port::{HostEnvironment, ShimRuns};
use agents::{Runner, RunnerConfig, SandboxMode as Confining, install_shim};
use anyhow::{Context as _, anyhow, bail};
use conductor::board::Board;
use conductor::ports::access::Access;
use conductor::ports::clock::Clock;
use conductor::ports::forge::Forge;
use conductor::ports::plugins::{Asking, Plugins as _, ValidateCall};
use conductor::ports::probe::Probe;
use conductor::ports::store::Store;
use conductor::{Conductor, Outside};
use configuration::{Complaint, Loaded, PluginBinding, ProjectFile, SandboxMode, Surroundings};
use domain::ids::{BranchName, CommitId, Digest, PluginId, ProjectName, RunId};
use domain::pipeline::{EdgeStep, StepKind};
use domain::plugin::{Failure, Flaw, Grant, PluginKind};
use gateway::{Meters, Outline};
use sandbox::{Compiler, PluginSpec, Sandbox, SandboxConfig};
use store::{SqliteStore, Stopwatch, StoreConfig};

use crate::clock::{SystemClock, incarnation};
use crate::embedded::{self, SHIM, SHIM_SHA256};
use crate::readiness::own_environment;
use crate::scheduler::Signal;
use crate::state::{CACHE, RUNS};
use crate::verdict::kept_component;

/// Maps statuses where a project names no mapper of its own.
const STATUS_MAPPER: &str = "default-statuses";

/// What the files are read against on this machine.
pub(crate) fn surroundings() -> Surroundings {
    let plugins =
        embedded::plugins().map(|plugin| (plugin.id, plugin.kind)).collect::<BTreeMap<PluginId, PluginKind>>();
    let status_mapper = plugins
        .keys()
        .find(|id| id.as_str() == STATUS_MAPPER)
        .cloned()
        .unwrap_or_else(|| unreachable!("the build embeds `{STATUS_MAPPER}`"));
    Surroundings { home: home(), plugins, status_mapper }
}

fn home() -> Option<PathBuf> {
    std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from)
}

/// Reads the files of a state folder; what is wrong is told with file, line and choices.
pub(crate) fn load(dir: &Path) -> anyhow::Result<Loaded> {
    configuration::load(dir, &surroundings()).map_err(|diagnostics| anyhow!(configuration::render(&diagnostics, false)))
}

/// Makes a project's repository from the user's. Its path, and whether the user's knows it.
pub(crate) fn init_forge(
    dir: &Path,
    name: &ProjectName,
    base: &BranchName,
    from: &Path,
) -> anyhow::Result<(PathBuf, Remote)> {
    let (forge, remote) = EmbeddedForge::init(Path::new("git"), Layout::new(dir, name), from, base)?;
    Ok((forge.layout().repository.clone(), remote))
}

/// What launches runs here.
pub(crate) fn open_runner(dir: &Path, loaded: &Loaded) -> anyhow::Result<Runner> {
    let shim = install_shim(SHIM, SHIM_SHA256, &dir.join(CACHE).join("shim"))?;
    Ok(Runner::new(runner_config(dir, loaded, shim, &own_environment())?)?)
}

/// What holds for all runs of a host that has this environment.
pub(crate) fn runner_config(
    dir: &Path,
    loaded: &Loaded,
    shim: PathBuf,
    environment: &BTreeMap<String, String>,
) -> anyhow::Result<RunnerConfig> {
    let home = environment.get("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    let home = home.context("HOME is not set: agents need one to be kept away from")?;
    let path = environment.get("PATH").cloned().context("PATH is not set: no agent can be found")?;
    let mut config = RunnerConfig::new(dir.join(RUNS), dir.join("briefs"), shim, home, path);
    config.sandbox = match loaded.host.sandbox.mode {
        SandboxMode::Auto => Confining::Auto,
        SandboxMode::Bubblewrap => Confining::Bubblewrap,
        SandboxMode::None => Confining::None,
    };
    config.hidden = vec![dir.to_owned()];
    config.readable.clone_from(&loaded.host.sandbox.readable);
    Ok(config)
}

/// A component by its sha256: ours, or one that was added.
pub(crate) fn component_bytes(dir: &Path, digest: &Digest) -> anyhow::Result<Vec<u8>> {
    if let Some(plugin) = embedded::plugins().find(|plugin| plugin.digest == *digest) {
        return Ok(plugin.bytes.to_vec());
    }
    Ok(std::fs::read(kept_component(dir, digest))?)
}

/// What our own plugins may do: what they ask for. They were built with this binary.
fn own_grant(request: &domain::plugin::Request) -> Grant {
    Grant {
        capabilities: request.entries.iter().map(|entry| entry.capability.clone()).collect(),
        refused: Vec::new(),
        amend: vec![domain::plugin::Amendable::Phase],
    }
}

/// The word by which this binary compiles a component for a host; nobody types it.
pub(crate) const COMPILE: &str = "compile-component";

/// A sandbox whose components are compiled by a child of this very binary, and kept.
pub(crate) fn open_sandbox(dir: &Path) -> anyhow::Result<Sandbox> {
    let compiler = Compiler::Child {
        program: PathBuf::from("/proc/self/exe"),
        arguments: vec![COMPILE.to_owned()],
        cache: dir.join(CACHE).join("compiled"),
    };
    Ok(Sandbox::with_compiler(SandboxConfig::default(), compiler)?)
}

/// What is wrong with the components that the files name, and with the settings that they get: a line each. They are asked in a
/// sandbox of their own, so that nothing that works meanwhile meets a flawed one.
pub(crate) fn check_plugins(dir: &Path, loaded: &Loaded) -> PluginFlaws {
    let mut flaws = PluginFlaws::default();
    let sandbox = match open_sandbox(dir) {
        Ok(sandbox) => sandbox,
        Err(error) => {
            flaws.told.push(error.to_string());
            let sources = loaded.projects.iter().map(|file| file.source.clone());
            let broken = |source| (source, crate::check::broken("the sandbox of plugins", &[], &error.to_string()));
            flaws.complaints.extend(sources.map(broken));
            return flaws;
        }
    };
    let mut asked = Asked::default();
    for file in &loaded.projects {
        match load_plugins(&sandbox, dir, file, loaded) {
            Ok(()) => check_settings(&sandbox, file, &mut asked, &mut flaws),
            Err(error) => {
                let complaint = crate::check::not_loaded(file, &error);
                flaws.told.push(format!("{error:#}"));
                flaws.complaints.push((file.source.clone(), complaint));
            }
        }
    }
    flaws
}

/// What is wrong with components and their settings.
#[derive(Debug, Default)]
pub(crate) struct PluginFlaws {
    /// Somebody said what is wrong: a host does not start with it.
    pub(crate) told: Vec<String>,
    /// A component failed when it was asked about its settings. A host starts: one bad component stops only tasks that meet it.
    pub(crate) failed: Vec<String>,
    /// All of them once more, each with the file and the key that it is about.
    pub(crate) complaints: Vec<(PathBuf, Complaint)>,
}

/// What components of ours said to settings, by their digest: most projects give them the same, and grant them nothing.
type Asked = BTreeMap<(Digest, String), Result<Vec<Flaw>, Failure>>;

/// Each component says itself what is wrong with its settings.
fn check_settings(sandbox: &Sandbox, file: &ProjectFile, known: &mut Asked, flaws: &mut PluginFlaws) {
    let settings = &file.settings;
    let key = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let mut asked: Vec<(String, Vec<String>, &PluginId, String)> = Vec::new();
    for step in
        file.project.pipeline.stages().iter().filter_map(|stage| stage.edge.as_ref()).flat_map(|edge| &edge.steps)
    {
        if let StepKind::Gate { plugin } = &step.kind {
            let given = settings.gate_settings.get(&step.name).map_or_else(|| "{}".to_owned(), ToString::to_string);
            let place = key(&["gates", step.name.as_str(), "settings"]);
            asked.push((format!("the settings of the gate `{}`", step.name), place, plugin, given));
        }
    }
    for (number, guard) in settings.guards.iter().enumerate() {
        let what = format!("the settings of the guard `{}`", guard.plugin);
        asked.push((what, key(&["guard", &number.to_string(), "settings"]), &guard.plugin, guard.settings.to_string()));
    }
    for (number, (plugin, given)) in settings.notifiers.iter().enumerate() {
        let what = format!("the settings of the notifier `{plugin}`");
        asked.push((what, key(&["notifier", &number.to_string(), "settings"]), plugin, given.to_string()));
    }
    let (mapper, given) = &settings.status_mapper;
    let what = format!("the settings of the status-mapper `{mapper}`");
    asked.push((what, key(&["status-mapper", "settings"]), mapper, given.to_string()));
    let source = file.source.display();
    for (what, place, plugin, settings) in asked {
        let asking =
            Asking { project: file.project.name.clone(), plugin: plugin.clone(), at: SystemClock.now(), seed: 0 };
        let answer = match own(file, plugin).map(|digest| (digest, settings.clone())) {
            Some(key) => {
                known.entry(key).or_insert_with(|| sandbox.validate(ValidateCall { asking, settings }).answer).clone()
            }
            None => sandbox.validate(ValidateCall { asking, settings }).answer,
        };
        let why = match answer {
            Ok(told) => {
                for flaw in told {
                    flaws.told.push(format!("{source}: {what}: {}", told_of(&flaw)));
                    flaws.complaints.push((file.source.clone(), crate::check::refused(&what, &place, &flaw)));
                }
                continue;
            }
            Err(Failure::Retry { cause, message, .. }) => format!("{cause}: {message}"),
            Err(Failure::GiveUp { message }) => message,
        };
        flaws.failed.push(format!("{source}: {what} cannot be checked: {why}"));
        flaws.complaints.push((file.source.clone(), crate::check::broken(&what, &place, &why)));
    }
}

fn told_of(flaw: &Flaw) -> String {
    if flaw.pointer.is_empty() { flaw.message.clone() } else { format!("{}: {}", flaw.pointer, flaw.message) }
}

fn load_own(sandbox: &Sandbox, file: &ProjectFile, loaded: &Loaded, plugin: embedded::Embedded) -> anyhow::Result<()> {
    let request = sandbox.inspect(plugin.bytes)?.request;
    let spec = PluginSpec {
        id: plugin.id,
        bytes: Arc::from(plugin.bytes),
        digest: plugin.digest,
        grant: own_grant(&request),
        ceiling: domain::plugin::Ceiling::Open,
        limits: loaded.host.plugins.limits,
    };
    sandbox.load(&file.project.name, spec)?;
    Ok(())
}

fn load_plugins(sandbox: &Sandbox, dir: &Path, file: &ProjectFile, loaded: &Loaded) -> anyhow::Result<()> {
    for plugin in embedded::plugins() {
        load_own(sandbox, file, loaded, plugin)?;
    }
    for binding in &file.plugins {
        load_binding(sandbox, dir, file, binding, loaded)
            .with_context(|| format!("{}: the plugin `{}`", file.source.display(), binding.id))?;
    }
    Ok(())
}

fn load_binding(
    sandbox: &Sandbox,
    dir: &Path,
    file: &ProjectFile,
    binding: &PluginBinding,
    loaded: &Loaded,
) -> anyhow::Result<()> {
    let path = dir.join(&binding.file);
    let source = std::fs::File::open(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    let bytes = sandbox::read_component(source)??;
    let spec = PluginSpec {
        id: binding.id.clone(),
        bytes: bytes.into(),
        digest: binding.sha256.clone(),
        grant: binding.grant.clone(),
        ceiling: loaded.host.plugins.ceiling.clone(),
        limits: loaded.host.plugins.limits,
    };
    sandbox.load(&file.project.name, spec)?;
    Ok(())
}

/// The component of ours that a project's file means by a name.
fn own(file: &ProjectFile, plugin: &PluginId) -> Option<Digest> {
    let is_added = file.plugins.iter().any(|binding| binding.id == *plugin);
    embedded::plugins().find(|own| !is_added && own.id == *plugin).map(|own| own.digest)
}

/// What a gate's answers rest on: its component and its settings. Another one of either is asked anew.
fn binding(file: &ProjectFile, step: &EdgeStep) -> Option<Digest> {
    let StepKind::Gate { plugin } = &step.kind else { return None };
    let added = file.plugins.iter().find(|binding| binding.id == *plugin).map(|binding| binding.sha256.clone());
    let component = added.or_else(|| own(file, plugin))?;
    let settings = file.settings.gate_settings.get(&step.name).map(ToString::to_string).unwrap_or_default();
    Some(Digest::of(format!("{component} {settings}").as_bytes()))
}

fn stopwatch(meters: &Arc<Meters>) -> Stopwatch {
    let (commits, claims) = (meters.clone(), meters.clone());
    Stopwatch {
        commits: Box::new(move |micros, requests| commits.committed(micros, requests)),
        claims: Box::new(move |micros, outcome| claims.claimed(micros, outcome)),
    }
}

/// A living host.
pub(crate) struct Host {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) access: Arc<dyn Access>,
    pub(crate) conductor: Arc<Conductor>,
    pub(crate) intake: Arc<gateway::Intake>,
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) runner: Arc<Runner>,
    pub(crate) runs: Arc<ShimRuns>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) signal: Arc<Signal>,
    pub(crate) meters: Arc<Meters>,
    failing: tokio::sync::Notify,
    failed: AtomicBool,
    forges: Mutex<BTreeMap<ProjectName, Arc<EmbeddedForge>>>,
    /// Of which projects there was a file at the last look.
    configured: Mutex<BTreeSet<ProjectName>>,
    /// As the files named them at the last look.
    secret_files: Mutex<BTreeSet<PathBuf>>,
}

impl Host {
    /// Opens the store, loads the plugins, wires the ports, and takes back what a dead host had claimed.
    pub(crate) fn open(dir: &Path, loaded: &Loaded, probe: Arc<dyn Probe>) -> anyhow::Result<Self> {
        let me = incarnation()?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let signal = Arc::new(Signal::default());
        let sqlite = SqliteStore::open(StoreConfig::new(dir, me.host.clone()))?;
        let heard = signal.clone();
        sqlite.subscribe(Box::new(move || heard.notify()));
        let meters = Arc::new(Meters::new(clock.now())?);
        sqlite.measure(stopwatch(&meters));
        let sqlite = Arc::new(sqlite);
        let (store, access): (Arc<dyn Store>, Arc<dyn Access>) = (sqlite.clone(), sqlite.clone());
        let runner = Arc::new(open_runner(dir, loaded)?);
        let ended = Arc::new(Mutex::new(Vec::<RunId>::new()));
        let (listed, woken) = (ended.clone(), signal.clone());
        let environment = HostEnvironment { reserved: Vec::new(), values: own_environment() };
        let told = move |run| {
            listed.lock().unwrap_or_else(PoisonError::into_inner).push(run);
            woken.notify();
        };
        let runs = Arc::new(ShimRuns::new(runner.clone(), environment, told)?);
        let sandbox = Arc::new(open_sandbox(dir)?);
        let outside = Outside {
            store: store.clone(),
            plugins: sandbox.clone(),
            runs: runs.clone(),
            tracker: Arc::new(Board::new(store.clone())),
            clock: clock.clone(),
            probe,
            ended,
        };
        let conductor = Arc::new(Conductor::new(outside, me.clone()));
        let look = crate::door::look(conductor.clone(), signal.clone());
        let intake = gateway::Intake::new(sqlite, look, Arc::new(|| SystemClock.now()));
        let intake = Arc::new(intake.counted_by(meters.clone()).behind(loaded.host.reach.proxies.clone()));
        let host = Self {
            store,
            access,
            conductor,
            intake,
            sandbox,
            runner,
            runs,
            clock,
            signal,
            meters,
            failing: tokio::sync::Notify::new(),
            failed: AtomicBool::new(false),
            forges: Mutex::default(),
            configured: Mutex::default(),
            secret_files: Mutex::default(),
        };
        host.take_up(dir, loaded)?;
        // Whoever holds the database's lock is its only host: what another life claimed is nobody's, even while the kernel still
        // lists that life as a zombie, and whatever the machine was called then.
        let reaped = host.store.reap(&|other| *other == me, host.clock.now())?;
        if reaped > 0 {
            tracing::info!(reaped, "jobs of a host that is gone are taken up again");
        }
        Ok(host)
    }

    /// Takes up the files: plugins, forges, projects, in this order, so that nothing asks for what is not there yet.
    pub(crate) fn take_up(&self, dir: &Path, loaded: &Loaded) -> anyhow::Result<()> {
        let flaws = check_plugins(dir, loaded);
        if !flaws.told.is_empty() {
            bail!("{}", flaws.told.join("\n"));
        }
        for failed in flaws.failed {
            tracing::warn!("{failed}");
        }
        self.conductor.look_every(loaded.host.reconcile);
        for file in &loaded.projects {
            load_plugins(&self.sandbox, dir, file, loaded)?;
            let opened = self.forge(dir, &file.project.name)?;
            let forge: Arc<dyn Forge> = if file.settings.observe {
                tracing::info!(project = %file.project.name, "observed: decisions are made, nothing is done outside");
                Arc::new(ObservedForge::new(opened, file.repository.clone()))
            } else {
                opened
            };
            self.conductor.put_project(file.settings.clone(), forge);
            let mut project = file.project.clone();
            project.pipeline = project.pipeline.bound(|step| binding(file, step));
            self.store.put_project(&project, self.clock.now())?;
        }
        self.intake.put_hooks(crate::door::hooks(loaded));
        let hooks = loaded.projects.iter().flat_map(|file| &file.hooks);
        let secret_files = hooks.flat_map(|hook| hook.secret_files.iter().cloned()).collect();
        *self.secret_files.lock().unwrap_or_else(PoisonError::into_inner) = secret_files;
        let configured = loaded.projects.iter().map(|file| file.project.name.clone()).collect();
        *self.configured.lock().unwrap_or_else(PoisonError::into_inner) = configured;
        self.warn_of_orphans(loaded)
    }

    /// Where the secrets stand of those who send webhooks.
    pub(crate) fn secret_files(&self) -> BTreeSet<PathBuf> {
        self.secret_files.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn is_configured(&self, project: &ProjectName) -> bool {
        self.configured.lock().unwrap_or_else(PoisonError::into_inner).contains(project)
    }

    /// A project whose file was removed has tasks that nobody will work on: it is said, for they would wait without a word.
    fn warn_of_orphans(&self, loaded: &Loaded) -> anyhow::Result<()> {
        let mut orphans = BTreeMap::<ProjectName, Vec<String>>::new();
        for task in self.store.tasks(true, u32::MAX)? {
            if !loaded.projects.iter().any(|file| file.project.name == task.project) {
                orphans.entry(task.project).or_default().push(task.work_item.to_string());
            }
        }
        for (project, waiting) in orphans {
            let (count, first) = (waiting.len(), waiting.iter().take(5).cloned().collect::<Vec<_>>().join(", "));
            tracing::warn!(
                "projects/{project}.toml is gone, and {count} live tasks are of that project ({first}): put the file back, or stop \
                 them with `gatewright task stop`"
            );
        }
        Ok(())
    }

    /// Opened once: opening puts in order what a crash left, and must not meet work that is under way.
    fn forge(&self, dir: &Path, name: &ProjectName) -> anyhow::Result<Arc<EmbeddedForge>> {
        let mut forges = self.forges.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(forge) = forges.get(name) {
            return Ok(forge.clone());
        }
        let opened = Arc::new(EmbeddedForge::open(Path::new("git"), Layout::new(dir, name))?);
        forges.insert(name.clone(), opened.clone());
        Ok(opened)
    }

    /// Where a branch stands in a project's repository, or why that is not known.
    pub(crate) fn base_head(&self, project: &ProjectName, branch: &BranchName) -> Result<CommitId, String> {
        let forge = self.forges.lock().unwrap_or_else(PoisonError::into_inner).get(project).cloned();
        let forge = forge.ok_or_else(|| format!("no file speaks of {project}"))?;
        forge.base_head(branch).map_err(|error| error.to_string())
    }

    /// What a commit has beyond another one, or why that is not known.
    pub(crate) fn outline(&self, project: &ProjectName, base: &CommitId, head: &CommitId) -> Result<Outline, String> {
        let forge = self.forges.lock().unwrap_or_else(PoisonError::into_inner).get(project).cloned();
        let forge = forge.ok_or_else(|| format!("no file speaks of {project}"))?;
        let Glance { base, files } = forge.glance(base, head).map_err(|error| error.to_string())?;
        Ok(Outline { base, files })
    }

    /// The store failed: the process shall end.
    pub(crate) fn fail(&self) {
        self.failed.store(true, Ordering::SeqCst);
        self.failing.notify_one();
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }

    /// Until the store fails.
    pub(crate) async fn failed(&self) {
        self.failing.notified().await;
    }
}
