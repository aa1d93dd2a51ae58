//! What is outside of the host, in one place: time, the forge, the machine, the tracker, the plugins; and the story of what
//! happened. One lock, held for a moment only, and never while the store is asked.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use conductor::ports::clock::Clock;
use conductor::ports::store::Store;
use domain::ids::{BranchName, WorkItemId};
use domain::time::Timestamp;
use store::SqliteStore;

use crate::costs::Bounds;
use crate::fate::{Fate, Point};
use crate::judges::Judges;
use crate::luck::Luck;
use crate::people;
use crate::repository::Repository;
use crate::shims::Shims;
use crate::weather::{Trouble, Weather};

/// How much of a story is kept.
const STORY_LINES: usize = 400;

/// Something that a dead host sent and that lands later.
type Deed = Box<dyn FnOnce(&mut World) + Send>;

/// The tracker's own record of what was written to it.
#[derive(Default)]
pub struct Cards {
    /// Comments by work item and external id, with how often each was made visible.
    pub comments: BTreeMap<(WorkItemId, String), u32>,
    /// Facts that were acknowledged, by project-wide subject and kind.
    pub wakes: BTreeMap<(String, domain::verdict::WakeKind), u64>,
}

/// Everything but the host.
pub struct World {
    /// Chance.
    pub luck: Luck,
    /// True time in milliseconds: it never goes back.
    pub now: u64,
    /// What the host's clock adds to it, of late.
    pub skew: i64,
    /// What goes wrong.
    pub weather: Weather,
    /// Does the project's file say that it takes one task at a time?
    pub serial: bool,
    /// The forge.
    pub forge: Repository,
    /// The machine.
    pub shims: Shims,
    /// The tracker.
    pub cards: Cards,
    /// The plugins.
    pub judges: Judges,
    late: Vec<(u64, Deed)>,
    /// What people did, counted.
    pub people: people::Ledger,
    story: VecDeque<String>,
    told: u64,
    /// What the project's file says that may be spent.
    pub bounds: Bounds,
    /// Its file says that it is observed: whatever the host does outside is wrong.
    pub observed: bool,
    /// Is every line printed as it comes?
    pub aloud: bool,
    /// What was found to be wrong where it happened.
    pub wrongs: Vec<String>,
    /// How often each point passed in each effect ended a host.
    pub deaths: BTreeMap<(&'static str, Point), u64>,
}

/// The world, shared by those who are in it.
pub type Shared = Arc<Mutex<World>>;

/// The world, for a moment.
pub fn look(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    /// A world at its beginning.
    pub fn new(mut luck: Luck, weather: Weather, base: BranchName) -> Self {
        let judges = Judges::new(luck.part());
        Self {
            luck,
            now: 1_700_000_000_000,
            skew: 0,
            weather,
            serial: false,
            forge: Repository::new(base),
            shims: Shims::default(),
            cards: Cards::default(),
            judges,
            late: Vec::new(),
            people: people::Ledger::default(),
            story: VecDeque::new(),
            told: 0,
            bounds: Bounds::default(),
            observed: false,
            aloud: false,
            wrongs: Vec::new(),
            deaths: BTreeMap::new(),
        }
    }

    /// What the host's clock shows.
    pub fn clock(&self) -> Timestamp {
        Timestamp(self.now.saturating_add_signed(self.skew))
    }

    /// A line of the story.
    pub fn tell(&mut self, line: impl FnOnce() -> String) {
        let line = format!("{:>9} ms  {}", self.now - 1_700_000_000_000, line());
        if self.aloud {
            crate::report::say(&line);
        }
        self.told += 1;
        if self.story.len() == STORY_LINES {
            self.story.pop_front();
        }
        self.story.push_back(line);
    }

    /// The story's end.
    pub fn story(&self) -> Vec<String> {
        self.story.iter().cloned().collect()
    }

    /// What was sent by somebody who is dead by now lands.
    pub fn land(&mut self, all: bool) {
        let now = self.now;
        let (due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.late).into_iter().partition(|(at, _)| all || *at <= now);
        self.late = later;
        for (_, deed) in due {
            self.tell(|| "what was under way lands now".to_owned());
            deed(self);
        }
    }

    /// When the next thing happens by itself.
    pub fn next_event(&self) -> Option<u64> {
        let landing = self.late.iter().map(|(at, _)| *at).min();
        [self.shims.next_end(), landing].into_iter().flatten().min()
    }

    /// Time passes; what is due happens.
    pub fn pass_time(&mut self, to: u64) {
        self.now = self.now.max(to);
        self.land(false);
        let mild = !self.weather.has(Trouble::Runs);
        let ended = self.shims.pass_time(self.now, &mut self.forge, &mut self.luck, mild);
        for run in ended {
            self.tell(|| format!("run {run} ended"));
        }
    }
}

/// The host's clock.
pub struct WorldClock(pub Shared);

impl Clock for WorldClock {
    fn now(&self) -> Timestamp {
        look(&self.0).clock()
    }

    fn random(&self) -> u64 {
        look(&self.0).luck.number()
    }
}

/// Why somebody outside gave no answer that one could use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Silence {
    /// Whoever asked is dead.
    Dead,
    /// It was refused, and surely not done.
    Refused(String),
    /// No answer came, or one that says nothing: it may be done.
    Lost(String),
}

impl std::fmt::Display for Silence {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dead => formatter.write_str("the host is dead"),
            Self::Refused(text) | Self::Lost(text) => formatter.write_str(text),
        }
    }
}

/// One life's way to the outside: every effect goes through here.
pub struct Outlet {
    /// What is outside.
    pub world: Shared,
    /// Whose way.
    pub fate: Arc<Fate>,
    /// Which life.
    pub life: u64,
    /// Its store, once it is open: what people do while the host waits goes there.
    pub store: OnceLock<Arc<SqliteStore>>,
}

const REFUSALS: [&str; 5] =
    ["405 Method Not Allowed", "408 Request Timeout", "409 Conflict", "422 Unprocessable", "429 Too Many Requests"];
const LOSSES: [&str; 4] = ["500 Internal Server Error", "502 Bad Gateway", "504 Gateway Timeout", "no answer"];

impl Outlet {
    /// Looks at something outside.
    pub fn see<T>(&self, look_at: impl FnOnce(&mut World) -> T) -> Result<T, Silence> {
        if self.fate.is_dead() {
            return Err(Silence::Dead);
        }
        let mut world = look(&self.world);
        if world.weather.has(Trouble::Outside) && world.luck.in_thousand(12) {
            let why = world.luck.one_of(&LOSSES);
            world.tell(|| format!("a look outside was answered by {why}"));
            return Err(Silence::Lost((*why).to_owned()));
        }
        Ok(look_at(&mut world))
    }

    /// Nothing is done outside for an observed project.
    pub fn forbid(&self, what: &str) {
        let mut world = look(&self.world);
        if world.observed && !self.fate.is_dead() {
            world.wrongs.push(format!("{what}, and the project is observed"));
        }
    }

    /// Does something outside. It is done wholly, once, or not at all; whoever asked may never hear which.
    pub fn act<T: Send + 'static>(
        &self,
        what: &str,
        deed: impl FnOnce(&mut World) -> T + Send + 'static,
    ) -> Result<T, Silence> {
        if self.fate.is_dead() {
            return Err(Silence::Dead);
        }
        self.forbid(what);
        if self.fate.pass(Point::BeforeOutside) {
            self.send_off(what, deed);
            return Err(Silence::Dead);
        }
        if self.hangs(what) {
            let mut world = look(&self.world);
            let at = world.now + world.luck.below(120_000);
            world.late.push((at, Box::new(|world| drop(deed(world)))));
            return Err(Silence::Lost("no answer".to_owned()));
        }
        self.carry_out(what, deed)
    }

    /// Whoever asked hears nothing, goes on, and it lands later.
    fn hangs(&self, what: &str) -> bool {
        let mut world = look(&self.world);
        let is_so = world.weather.has(Trouble::Outside) && world.weather.has(Trouble::LateLanding);
        let hangs = is_so && world.luck.in_thousand(15);
        if hangs {
            world.tell(|| format!("{what} hangs"));
        }
        hangs
    }

    /// As [`Self::act`], on this machine's own disk: what a dead host's last child does there ends before another host begins,
    /// which waits for it at the host's lock.
    pub fn act_here<T>(&self, what: &str, deed: impl FnOnce(&mut World) -> T) -> Result<T, Silence> {
        if self.fate.is_dead() {
            return Err(Silence::Dead);
        }
        if self.fate.pass(Point::BeforeOutside) {
            let mut world = look(&self.world);
            if world.luck.in_thousand(500) {
                world.tell(|| format!("{what}, by the last child of a dead host"));
                drop(deed(&mut world));
            }
            return Err(Silence::Dead);
        }
        self.carry_out(what, deed)
    }

    fn carry_out<T>(&self, what: &str, deed: impl FnOnce(&mut World) -> T) -> Result<T, Silence> {
        let done = {
            let mut world = look(&self.world);
            let is_bad = world.weather.has(Trouble::Outside);
            if is_bad && world.luck.in_thousand(25) {
                let why = world.luck.one_of(&REFUSALS);
                world.tell(|| format!("{what} was refused by {why}"));
                return Err(Silence::Refused((*why).to_owned()));
            }
            let done = deed(&mut world);
            world.tell(|| what.to_owned());
            if is_bad && world.luck.in_thousand(25) {
                let why = world.luck.one_of(&LOSSES);
                world.tell(|| format!("{what} was answered by {why}"));
                return Err(Silence::Lost((*why).to_owned()));
            }
            done
        };
        self.interlude();
        if self.fate.pass(Point::AfterOutside) { Err(Silence::Dead) } else { Ok(done) }
    }

    /// The request was on its way when its host died.
    fn send_off<T>(&self, what: &str, deed: impl FnOnce(&mut World) -> T + Send + 'static) {
        let mut world = look(&self.world);
        if !world.weather.has(Trouble::LateLanding) || world.luck.in_thousand(600) {
            return;
        }
        let at = world.now + world.luck.below(120_000);
        world.tell(|| format!("{what} is under way while its host dies"));
        world.late.push((at, Box::new(|world| drop(deed(world)))));
    }

    /// Something happens while the host waits for an answer.
    pub fn interlude(&self) {
        let happens = {
            let mut world = look(&self.world);
            world.weather.has(Trouble::Interludes) && world.luck.in_thousand(60)
        };
        if let Some(store) = self.store.get().filter(|_| happens && !self.fate.is_dead()) {
            people::act(&self.world, store);
        }
    }

    /// The store as whoever is outside reaches it.
    pub fn store(&self) -> Option<&dyn Store> {
        self.store.get().map(|store| store.as_ref() as &dyn Store)
    }
}
