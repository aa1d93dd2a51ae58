//! One life of the host: started as the binary starts, from the disk as the last life left it.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use conductor::board::Board;
use conductor::ports::clock::Clock as _;
use conductor::ports::store::{ClaimLimits, Each, Incarnation, Store, StoreError};
use conductor::project::{
    AgentSpec, CommandSpec, Figures, GuardBinding, HookName, Pointers, ProjectSettings, TransientSigns, UsageReader,
    Worker,
};
use conductor::{Conductor, LookAt, Outside, Work};
use domain::document::Role;
use domain::event::Intent;
use domain::ids::{DriverName, PluginId};
use domain::limits::RunLimits;
use domain::network::Network;
use domain::pipeline::Pipeline;
use domain::time::{Milliseconds, Timestamp};
use serde_json::Value;
use store::{BlobDisk, Foundation, SqliteStore};

use crate::costs::{Bounds, PRICE};
use crate::coverage;
use crate::disk::{Disk, Illness};
use crate::fate::{Fate, Point};
use crate::judges::WorldPlugins;
use crate::luck::Luck;
use crate::outlet::Outlet;
use crate::people;
use crate::ports::{FateProbe, WorldForge, WorldRuns, WorldTracker};
use crate::shims::{CRITIC, SHIP, STAGE, SUITE, WRITER};
use crate::vfs::{self, Device};
use crate::weather::{Trouble, Weather};
use crate::world::{Shared, Stood, WorldClock, look};

/// The database's file.
pub const DATABASE: &str = "gatewright.db";

/// Runs at one time: the one project's are the narrowest bound of all.
pub const RUNS: u32 = 3;
/// Runs at one time of an agent driver.
pub const RUNS_OF_DRIVER: u32 = 2;

/// What a claim obeys, as the operator's file says it.
pub fn limits() -> ClaimLimits {
    let open = ClaimLimits::of(RUNS + 1);
    ClaimLimits { each: Each { driver: RUNS_OF_DRIVER, ..open.each }, ..open }
}

/// Who works in a role: those that write by one service, those that judge by another.
const fn driver_of(role: Role) -> &'static str {
    if role.judges() { CRITIC } else { WRITER }
}

/// A living host, or one that was.
pub struct Host {
    /// Its number.
    pub life: u64,
    /// Its end.
    pub fate: Arc<Fate>,
    /// Its store.
    pub store: Arc<SqliteStore>,
    /// What decides what is to be done.
    pub conductor: Conductor,
    /// What it took up and has not done yet.
    pub work: Vec<Work>,
    /// When it wants to look again.
    pub look_again: Option<Timestamp>,
    outlet: Arc<Outlet>,
    /// What its project's file says beside the budgets.
    file: (Weather, bool),
}

/// Blobs on a device, each write at a point of a life.
struct LifeBlobs {
    device: Arc<Device>,
    fate: Arc<Fate>,
}

impl LifeBlobs {
    fn mutate(
        &self,
        points: [Point; 2],
        change: impl FnOnce(&mut Disk) -> Result<(), crate::disk::Trouble>,
    ) -> io::Result<()> {
        if self.fate.pass(points[0]) {
            return Err(io::Error::other("the host is dead"));
        }
        change(&mut self.device.disk())?;
        if self.fate.pass(points[1]) { Err(io::Error::other("the host is dead")) } else { Ok(()) }
    }
}

fn blob(name: &str) -> String {
    format!("blobs/{name}")
}

impl BlobDisk for LifeBlobs {
    fn prepare(&self) -> io::Result<()> {
        self.mutate([Point::BeforeSync, Point::AfterSync], |disk| {
            for name in disk.names("blobs/tmp/") {
                disk.remove(&name)?;
            }
            disk.sync_all()
        })
    }

    fn size(&self, name: &str) -> Option<u64> {
        self.device.disk().bytes(&blob(name)).map(|bytes| bytes.len() as u64)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let disk = self.device.disk();
        disk.bytes(&blob(name)).map(<[u8]>::to_vec).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn write_synced(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let name = blob(name);
        self.mutate([Point::BeforeWrite, Point::AfterWrite], |disk| {
            disk.create(&name);
            disk.cut(&name, 0)?;
            disk.write(&name, 0, bytes)
        })?;
        self.mutate([Point::BeforeSync, Point::AfterSync], |disk| disk.sync(&name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (blob(from), blob(to));
        self.mutate([Point::BeforeWrite, Point::AfterWrite], |disk| disk.rename(&from, &to))
    }

    fn sync_name(&self, name: &str) -> io::Result<()> {
        let name = blob(name);
        self.mutate([Point::BeforeSync, Point::AfterSync], |disk| disk.sync_folder_of(&name))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let name = blob(name);
        self.mutate([Point::BeforeWrite, Point::AfterWrite], |disk| disk.remove(&name))
    }
}

/// The database as a new host makes it, made once.
fn new_database() -> &'static [u8] {
    static MADE: OnceLock<Vec<u8>> = OnceLock::new();
    MADE.get_or_init(|| {
        let number = u64::MAX;
        let device = Device::plug(number, Disk::new(Luck::new(0)));
        let fate = Arc::new(Fate::default());
        let store = open(&device, number, 1, &fate).expect("a new store on an empty disk");
        drop(store);
        let bytes = device.disk().bytes(DATABASE).expect("the database").to_vec();
        Device::unplug(number);
        bytes
    })
}

/// A disk with a new database.
pub fn new_disk(luck: Luck) -> Disk {
    let mut disk = Disk::new(luck);
    disk.put(DATABASE, new_database());
    disk.illness = Illness::default();
    disk
}

fn open(device: &Arc<Device>, number: u64, life: u64, fate: &Arc<Fate>) -> Result<SqliteStore, StoreError> {
    device.live(life, fate);
    SqliteStore::open_on(Foundation {
        path: PathBuf::from(Device::path(number, life, DATABASE)),
        vfs: vfs::NAME.to_owned(),
        blobs: Arc::new(LifeBlobs { device: Arc::clone(device), fate: Arc::clone(fate) }),
        host: "here".to_owned(),
        decide: coverage::decide,
        tells: coverage::tells,
    })
}

/// Who a life is.
pub fn incarnation(life: u64) -> Incarnation {
    Incarnation {
        host: "here".to_owned(),
        boot_id: "boot".to_owned(),
        pid: life as u32,
        start_time: life,
        uuid: format!("{life:032x}"),
    }
}

fn command(name: &str) -> CommandSpec {
    CommandSpec {
        argv: vec![name.to_owned()],
        budget: Milliseconds::from_seconds(1800),
        grace: Milliseconds::from_seconds(10),
        pass_environment: Vec::new(),
        readable: Vec::new(),
        writable: Vec::new(),
        network: Network::default(),
        limits: RunLimits::default(),
        sandboxed: true,
    }
}

fn agent(driver: &str, bounds: Bounds) -> AgentSpec {
    AgentSpec {
        argv: vec![driver.to_owned()],
        prompt: "Do it.".to_owned(),
        budget: Milliseconds::from_seconds(1800),
        grace: Milliseconds::from_seconds(10),
        usage: UsageReader::JsonLines { pointers: Pointers::default(), figures: Figures::Cumulative, id: None },
        model: Some("model".to_owned()),
        effort: None,
        cap: bounds.run,
        pass_environment: Vec::new(),
        readable: Vec::new(),
        writable: Vec::new(),
        network: Network::default(),
        driver: DriverName::new(driver).expect("a name"),
        transient: TransientSigns::default(),
        limits: RunLimits::default(),
        dialect: conductor::dialect::Dialect::default(),
    }
}

fn plugin(name: &str) -> PluginId {
    PluginId::new(name).expect("an id")
}

fn settings(weather: Weather, tests_by_command: bool, bounds: Bounds, observe: bool) -> ProjectSettings {
    let mut workers: BTreeMap<Role, Worker> =
        Role::ALL.into_iter().map(|role| (role, Worker::Agent(agent(driver_of(role), bounds)))).collect();
    if tests_by_command {
        workers.insert(Role::Tester, Worker::Command(command(SUITE)));
    }
    let hooks = [(HookName::Test, SUITE), (HookName::Staging, STAGE), (HookName::Deploy, SHIP)];
    let kinds = ["merge", "deploy", "launch-agent", "run-command", "set-status", "post-comment", "notify"];
    let guard = GuardBinding {
        plugin: plugin("guard"),
        kinds: kinds.map(str::to_owned).to_vec(),
        settings: Value::Null,
        allow_on_error: false,
        patience: Milliseconds::from_seconds(600),
    };
    let deciders = [Intent::Approve, Intent::Reject, Intent::ConfirmDeploy];
    ProjectSettings {
        name: people::project(),
        workers,
        hooks: hooks.into_iter().map(|(hook, name)| (hook, command(name))).collect(),
        gate_settings: BTreeMap::new(),
        guards: if weather.has(Trouble::Plugins) { vec![guard] } else { Vec::new() },
        notifiers: vec![(plugin("log"), Value::Null)],
        status_mapper: (plugin("default-statuses"), Value::Null),
        deciders: deciders.into_iter().map(|intent| (intent, vec![people::DECIDER.to_owned()])).collect(),
        observe,
        repository: "/src/shop".to_owned(),
        budgets: bounds.budgets,
        price: PRICE,
        runs: Some(RUNS),
    }
}

/// What a start is made of.
pub struct Beginning {
    /// The disk's number.
    pub number: u64,
    /// The disk.
    pub device: Arc<Device>,
    /// What is outside.
    pub world: Shared,
    /// Which life.
    pub life: u64,
    /// Its end.
    pub fate: Arc<Fate>,
    /// The pipeline that the project's file names.
    pub pipeline: Option<Pipeline>,
    /// What may go wrong in this seed: where plugins do, a guard is asked.
    pub weather: Weather,
    /// Does a command stand in for the tester?
    pub tests_by_command: bool,
}

impl Host {
    /// Starts: store, ports, project, and the jobs of whoever is dead, in the order of the binary.
    pub fn start(beginning: Beginning) -> Result<Self, StoreError> {
        let Beginning { number, device, world, life, fate, pipeline, tests_by_command, weather } = beginning;
        fate.perform(Some("start"));
        let store = Arc::new(open(&device, number, life, &fate)?);
        let outlet = Arc::new(Outlet { world: world.clone(), fate: fate.clone(), life, store: OnceLock::new() });
        // Nobody else can have set it.
        let _ = outlet.store.set(store.clone());
        let port: Arc<dyn Store> = store.clone();
        let ended = Arc::new(Mutex::new(Vec::new()));
        look(&world).shims.listen(life, ended.clone());
        let clock = Arc::new(WorldClock(world.clone()));
        let outside = Outside {
            store: port.clone(),
            plugins: Arc::new(WorldPlugins(outlet.clone())),
            runs: Arc::new(WorldRuns(outlet.clone())),
            tracker: Arc::new(WorldTracker { outlet: outlet.clone(), board: Board::new(port.clone()), store: port }),
            clock: clock.clone(),
            probe: Arc::new(FateProbe(outlet.clone())),
            ended,
        };
        let me = incarnation(life);
        let conductor = Conductor::new(outside, me.clone());
        let host = Self {
            life,
            fate: fate.clone(),
            store: store.clone(),
            conductor,
            work: Vec::new(),
            look_again: None,
            outlet,
            file: (weather, tests_by_command),
        };
        host.read_settings();
        if let Some(pipeline) = pipeline {
            let serial = look(&world).serial;
            let observed = look(&world).observed;
            store.put_project(&people::settled(pipeline, serial, observed), clock.now())?;
        }
        // One host at a time: whoever else had jobs is dead, or shall count as dead.
        let reaped = store.reap(&|other| *other == me, clock.now())?;
        if reaped > 0 {
            look(&world).tell(|| format!("{reaped} jobs of a dead host are taken up again"));
        }
        fate.perform(None);
        Ok(host)
    }

    /// Takes the project's file up as it stands.
    pub fn read_settings(&self) {
        let bounds = look(&self.outlet.world).bounds;
        let observe = look(&self.outlet.world).observed;
        let (weather, tests_by_command) = self.file;
        let forge = Arc::new(WorldForge(self.outlet.clone()));
        self.conductor.put_project(settings(weather, tests_by_command, bounds, observe), forge);
    }

    /// Looks for work.
    pub fn look(&mut self, capacity: usize, may_launch: bool) -> Result<Look, StoreError> {
        self.fate.perform(Some("look"));
        let tick = self.conductor.tick(&ClaimLimits { may_launch, ..limits() }, capacity);
        self.fate.perform(None);
        let tick = tick?;
        self.work.extend(tick.work);
        self.look_again = tick.look_again;
        Ok(if tick.is_cut_short { Look::CutShort } else { Look::Whole })
    }

    /// Does one piece of what it took up.
    pub fn perform(&mut self, piece: usize) -> Result<(), StoreError> {
        let work = self.work.swap_remove(piece);
        if let Work::Perform(claim) = &work {
            let task = self.store.task(claim.task.id).ok();
            look(&self.outlet.world).cards.stood = task.map(|task| Stood {
                task: task.id,
                version: task.version,
                phase: task.phase(),
                may_begin_nothing: task.paused && !claim.job.attempted_before,
            });
        }
        self.fate.perform(Some(effect_of(&work)));
        let done = self.conductor.perform(work);
        self.fate.perform(None);
        done
    }
}

/// How far a look for work came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// It looked for all.
    Whole,
    /// The store failed on the way.
    CutShort,
}

/// The effect that a piece of work is counted under.
pub fn effect_of(work: &Work) -> &'static str {
    match work {
        Work::Perform(claim) | Work::Finish(claim) => claim.job.effect.name(),
        Work::Cancel(..) => "cancel",
        Work::Expand(_) => "expand",
        Work::Look(LookAt::Forge(_)) => "observe",
        Work::Weigh(_) => "weigh",
        Work::Look(LookAt::Tracker(_)) => "reconcile",
        Work::Read(_) => "read",
    }
}

/// What a piece of work is, in a word.
pub fn word(work: &Work) -> String {
    match work {
        Work::Perform(claim) => {
            format!("perform {} (job {}, task {})", claim.job.effect.name(), claim.job.id, claim.task.id)
        }
        Work::Finish(claim) => {
            format!("finish {} (job {}, task {})", claim.job.effect.name(), claim.job.id, claim.task.id)
        }
        Work::Cancel(job, _) => format!("cancel job {job}"),
        Work::Expand(delivery) => format!("expand delivery {}", delivery.id),
        Work::Look(LookAt::Forge(project)) => format!("observe {project}"),
        Work::Weigh(claim) => format!("weigh the run of job {}", claim.job.id),
        Work::Look(LookAt::Tracker(project)) => format!("reconcile {project}"),
        Work::Read(hints) => format!("read {} hints", hints.len()),
    }
}
