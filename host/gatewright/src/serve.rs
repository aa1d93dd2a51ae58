//! `gatewright serve`: the host, from its files to its last breath.

use std::fs::File;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use conductor::board::{START, STATUSES};
use conductor::ports::clock::Clock as _;
use conductor::ports::probe::{NoProbe, Probe};
use conductor::ports::runs::{RunState, Runs as _};
use conductor::ports::store::ClaimLimits;
use conductor::shutdown::Manner;
use configuration::{HostConfig, SandboxMode};
use domain::budget::Budgets;
use domain::cost::{Spent, Usage};
use domain::ids::{BranchName, CommitId, ProjectName, RunId};
use domain::task::Task;
use gateway::api::Block;
use gateway::{
    Backups, Condition, Desk, Disk, GatewayState, HeldBy, Holding, LoadedPlugin, Outline, Reach, Readings, Token,
    tree_ticks,
};

use crate::changes::Changes;
use crate::cli::Serve;
use crate::clock::{SystemClock, hex, random_bytes};
use crate::collector::Collector;
use crate::condition::{condition, without_sandbox};
use crate::descriptors;
use crate::door::Door;
use crate::edits::Edits;
use crate::ending::{Ending, Signals};
use crate::footing::Footing;
use crate::halting::{HaltAt, KillPoints};
use crate::logging;
use crate::output::{Output, say};
use crate::private;
use crate::scheduler::{Bounds, Scheduler, has_room};
use crate::sights::Sights;
use crate::state::{ADDRESS_FILE, OPERATOR, TOKEN_FILE};
use crate::telling;
use crate::trail;
use crate::watch::Watch;
use crate::wiring::{Host, load};

/// Runs until it is told to end.
pub(crate) fn run(dir: &Path, options: &Serve, out: &Output) -> anyhow::Result<()> {
    if !dir.join("gatewright.toml").is_file() {
        bail!("{} has no gatewright.toml: run `gatewright init` in a git repository first", dir.display());
    }
    let edits = Arc::new(Edits::since_now(dir));
    let loaded = load(dir)?;
    begin(dir, &loaded.host);
    let host = Arc::new(Host::open(dir, &loaded, probe(options)?)?);
    trail::note(&*host.access, dir, &loaded, host.clock.now())?;
    let token = operator_token(dir)?;
    let bounds = bounds(dir, &loaded.host);
    let ending = Arc::new(Ending::new(if options.drain_on_stop { Manner::Drain } else { loaded.host.shutdown }));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind(loaded.host.operator))
        .with_context(|| not_listened(dir, loaded.host.operator))?;
    let bound = listener.local_addr()?;
    host.runner.never_reach(bound);
    let address = format!("http://{}", near(bound));
    let door = Door::open(&runtime, &host, &loaded, dir)?;
    let traces = telling::start(&host, loaded.host.watching.traces.as_deref(), &address)?;
    let failing = host.clone();
    let scheduler = Scheduler::start(
        host.conductor.clone(),
        host.clock.clone(),
        host.signal.clone(),
        ending.clone(),
        bounds.clone(),
        Box::new(move || failing.fail()),
    )?;
    host.conductor.keep_runs(loaded.host.keep_runs);
    let collector = Collector::start(host.conductor.clone())?;
    let watch = watch(dir, &host, &edits)?;
    write_private(&dir.join(ADDRESS_FILE), &address)?;
    let state = GatewayState {
        store: host.store.clone(),
        desk: Arc::new(LivingDesk {
            host: host.clone(),
            dir: dir.to_owned(),
            footing: Footing::of(dir),
            seen: Seen { named: out.dir.as_deref().map(std::path::absolute).transpose()?, ..Seen::default() },
            ending: ending.clone(),
            edits,
            bounds,
            must_confine: loaded.host.sandbox.mode == SandboxMode::Bubblewrap,
        }),
        access: host.access.clone(),
        token: Token::new(OPERATOR, token)?,
        reach: reach(&loaded.host),
        clock: Arc::new(|| SystemClock.now()),
        meters: host.meters.clone(),
        luck: Arc::new(random_bytes::<32>),
    };
    greet(out, dir, (&address, door.as_ref()), &host, &loaded.host);
    follow_signals(&runtime, &host, &ending, dir)?;
    let served = runtime.block_on(gateway::serve(listener, state, end(host.clone(), ending)));
    drop((watch, collector));
    let closed = door.map_or(Ok(()), |door| door.end(&runtime));
    let failed = scheduler.stop();
    if let Some(traces) = traces {
        traces.stop();
    }
    // What is gone already needs no removing.
    let _ = std::fs::remove_file(dir.join(ADDRESS_FILE));
    served?;
    closed?;
    match failed {
        Some(error) => {
            Err(error).context("the store cannot be trusted any more; start again after looking at the disk")
        }
        None => Ok(()),
    }
}

/// From now on what happens is told, first of all what others could read.
fn begin(dir: &Path, config: &HostConfig) {
    logging::start(&config.watching);
    descriptors::raise();
    for line in private::mend(dir) {
        tracing::warn!("{line}");
    }
}

/// From now on an edit is taken up.
fn watch(dir: &Path, host: &Arc<Host>, edits: &Arc<Edits>) -> anyhow::Result<Watch> {
    let (reloading, noted, place, named) = (host.clone(), edits.clone(), dir.to_owned(), host.clone());
    Watch::start(dir, move || named.secret_files(), move || noted.look(&place, &reload(&reloading, &place)))
}

fn bounds(dir: &Path, config: &HostConfig) -> Bounds {
    let free_bytes = config.free_space_mib.saturating_mul(1 << 20);
    Bounds { runs: config.limits.clone(), free_bytes, dir: dir.to_owned() }
}

/// What is in front of the listener, in the gateway's words.
fn reach(config: &HostConfig) -> Reach {
    let reach = config.reach.clone();
    Reach { hosts: reach.hosts, proxies: reach.proxies, https: reach.https }
}

/// Says where it listens, and by what it holds what it runs.
fn greet(out: &Output, dir: &Path, (address, door): (&str, Option<&Door>), host: &Host, config: &HostConfig) {
    let tell = || -> anyhow::Result<()> {
        out.line(&format!("listening {address}"))?;
        if let Some(door) = door {
            out.line(&format!("webhooks http://{}", door.address))?;
        }
        Ok(std::io::stdout().flush()?)
    };
    // Who reads the first line and goes away has not told it to end.
    if let Err(error) = tell() {
        tracing::warn!("nobody reads where it listens: {error:#}");
    }
    logging::tell(&config.watching, &format!("the board: {address}/  state: {}", dir.display()));
    tracing::info!("{}", host.runner.means().line());
    if let Some(problem) = host.runner.sandbox_problem() {
        let must_confine = config.sandbox.mode == SandboxMode::Bubblewrap;
        logging::tell(&config.watching, &format!("warning: {}", without_sandbox(must_confine, &problem)));
    }
}

fn probe(options: &Serve) -> anyhow::Result<Arc<dyn Probe>> {
    if kill_points::ARMED {
        say("warning: this program was built for tests: it has places at which it can be made to die");
    }
    Ok(match &options.halt_at {
        Some(text) => Arc::new(HaltAt::parse(text)?),
        None if kill_points::ARMED => Arc::new(KillPoints),
        None => Arc::new(NoProbe),
    })
}

/// SIGTERM or SIGINT and what it leaves to wait for, or a store that failed.
async fn end(host: Arc<Host>, ending: Arc<Ending>) {
    tokio::select! {
        () = ending.over() => {}
        () = host.failed() => {}
    }
}

/// From now on signals move the end on, beside whatever the process waits for.
#[expect(clippy::exit, clippy::disallowed_methods, reason = "the second signal means: at once, whatever is under way")]
fn follow_signals(
    runtime: &tokio::runtime::Runtime,
    host: &Arc<Host>,
    ending: &Arc<Ending>,
    dir: &Path,
) -> anyhow::Result<()> {
    let guard = runtime.enter();
    let signals = Signals::listen().context("signals cannot be listened for")?;
    let (conductor, woken, address) = (host.conductor.clone(), host.signal.clone(), dir.join(ADDRESS_FILE));
    let left = move || {
        // The scheduler looks again under the new phase.
        woken.notify();
        conductor.left()
    };
    let at_once = move || {
        let _ = std::fs::remove_file(&address);
        // Nothing is lost by it: whatever was under way is found by the next host.
        std::process::exit(0);
    };
    runtime.spawn(signals.follow(ending.clone(), left, at_once));
    drop(guard);
    Ok(())
}

/// A sound edit is taken up; an unsound one keeps what was good.
fn reload(host: &Host, dir: &Path) -> anyhow::Result<()> {
    let loaded = load(dir)?;
    host.take_up(dir, &loaded)?;
    trail::note(&*host.access, dir, &loaded, host.clock.now())?;
    tracing::info!("the files were read again");
    // Without a reader there is nobody to tell.
    let _ = writeln!(anstream::stdout(), "reloaded").and_then(|()| anstream::stdout().flush());
    host.signal.notify();
    Ok(())
}

/// What helps where the operator's listener cannot be had: as a rule the host of another state folder has its port.
fn not_listened(dir: &Path, address: SocketAddr) -> String {
    format!(
        "{address} cannot be listened on (`ss -ltnp` names who does): end that, or write another port, or 0 for any that is free, as \
         `operator` under [listen] in {}",
        dir.join(configuration::HOST_FILE).display()
    )
}

/// Where this machine itself reaches the listener.
fn near(bound: SocketAddr) -> SocketAddr {
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, bound.port())
}

/// The first token is made here; its file is shown to no sandbox.
fn operator_token(dir: &Path) -> anyhow::Result<String> {
    let path = dir.join(TOKEN_FILE);
    if let Ok(token) = std::fs::read_to_string(&path) {
        return Ok(token.trim().to_owned());
    }
    let token = hex(&random_bytes::<32>()?);
    write_private(&path, &token)?;
    Ok(token)
}

/// Writes a file for the folder's owner alone, whole or not at all.
pub(crate) fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().context("the file has no folder")?;
    let mut temporary = tempfile::Builder::new();
    let temporary = temporary.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600));
    let mut file = temporary.tempfile_in(folder)?;
    crate::private::give_to_owner(folder, file.as_file())?;
    writeln!(file, "{text}")?;
    file.persist(path).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(())
}

/// What the API asks the living host.
struct LivingDesk {
    host: Arc<Host>,
    dir: PathBuf,
    footing: Footing,
    seen: Seen,
    ending: Arc<Ending>,
    edits: Arc<Edits>,
    bounds: Bounds,
    must_confine: bool,
}

/// What pages show of where all lies.
#[derive(Default)]
struct Seen {
    /// The state folder, where `--dir` named it.
    named: Option<PathBuf>,
    sights: Sights,
    changes: Changes,
}

/// By what runs are held, in the API's words.
pub(crate) fn holdings(means: &agents::Means) -> Vec<Holding> {
    let holding = |mean: &agents::means::Mean| Holding {
        name: mean.name.to_owned(),
        held_by: match mean.held_by {
            agents::HeldBy::Kernel => HeldBy::Kernel,
            agents::HeldBy::Shim => HeldBy::Shim,
            agents::HeldBy::Nobody => HeldBy::Nobody,
        },
        how: mean.how.clone(),
    };
    means.0.iter().map(holding).collect()
}

impl Desk for LivingDesk {
    fn wake(&self) {
        self.host.signal.notify();
    }

    fn named_folder(&self) -> Option<&Path> {
        self.seen.named.as_deref()
    }

    fn pull_command(&self, project: &ProjectName) -> Option<String> {
        let projects = self.host.store.projects().ok()?;
        let project = projects.into_iter().find(|known| known.name == *project)?;
        Some(format!("git pull gatewright {}", project.base_branch))
    }

    fn base_head(&self, project: &ProjectName, branch: &BranchName) -> Option<Result<CommitId, String>> {
        self.seen.sights.of(project, || self.host.base_head(project, branch))
    }

    fn outline(&self, task: &Task) -> Option<Result<Outline, String>> {
        let head = task.head.as_ref()?;
        Some(self.seen.changes.of((&task.project, task.id), head, || {
            let known = task.base.clone();
            // What landed is part of the base branch by now; and one that was cut is told from there while git has no time.
            let seen = if task.merged.is_some() { None } else { self.base_head(&task.project, &task.base_branch) };
            let base = seen.or(known.map(Ok)).ok_or("nobody knows on what it rests")??;
            self.host.outline(&task.project, &base, head)
        }))
    }

    fn run_log_tail(&self, run: RunId, bytes: u64) -> Vec<u8> {
        self.host.runs.log_tail(run, bytes)
    }

    fn run_log(&self, run: RunId) -> Option<File> {
        self.host.runner.open_log(run.0)
    }

    fn plugins(&self) -> Vec<LoadedPlugin> {
        let loaded = self.host.sandbox.loaded().into_iter();
        loaded.map(|(project, info, grant)| LoadedPlugin { project, info, grant }).collect()
    }

    fn budgets(&self, project: &ProjectName) -> Budgets {
        self.host.conductor.budgets(project)
    }

    fn live_usage(&self, run: RunId) -> Option<(Usage, Spent)> {
        self.host.conductor.live_usage(run)
    }

    fn live_run(&self, run: RunId) -> Option<conductor::LiveRun> {
        self.host.conductor.live_run(run)
    }

    fn health(&self) -> Condition {
        let bounds = (&self.bounds, &self.limits());
        condition(&self.host, bounds, &self.footing, self.must_confine, &self.edits, &self.ending)
    }

    fn holdings(&self) -> Vec<Holding> {
        holdings(self.host.runner.means())
    }

    fn backups(&self) -> Block<Backups> {
        match crate::backup::read_record(&self.dir) {
            Ok(record) => Block::Fine(record.told()),
            Err(error) => Block::Broken { error: format!("{error:#}") },
        }
    }

    fn readings(&self) -> Readings {
        let disk = rustix::fs::statvfs(&self.bounds.dir).ok().map(|space| Disk {
            free_bytes: space.f_bavail.saturating_mul(space.f_frsize),
            size_bytes: space.f_blocks.saturating_mul(space.f_frsize),
            floor_bytes: self.bounds.free_bytes,
        });
        let conductor = &self.host.conductor;
        Readings { disk, intervals: conductor.intervals(), unreachable: conductor.unreachable() }
    }

    fn cpu_ticks(&self, run: RunId) -> Option<u64> {
        // Of the run's own shim, as its folder says: the pid of a row may be another's by now.
        match self.host.runs.inspect(run) {
            Ok(RunState::Live { pid }) => tree_ticks(pid),
            _ => None,
        }
    }

    fn limits(&self) -> ClaimLimits {
        self.host.conductor.limits(&self.bounds.limits(has_room(&self.bounds)))
    }

    fn statuses(&self, _project: &ProjectName) -> Vec<String> {
        STATUSES.iter().map(|(name, _)| (*name).to_owned()).collect()
    }

    fn is_configured(&self, project: &ProjectName) -> bool {
        self.host.is_configured(project)
    }

    fn start_status(&self, _project: &ProjectName) -> String {
        START.to_owned()
    }
}
