//! What is outside of the host, in one place: time, the forge, the machine, the tracker, the plugins; and the story of what
//! happened. One lock, held for a moment only, and never while the store is asked.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use conductor::ports::clock::Clock;
use domain::ids::{BranchName, TaskId, Version, WorkItemId};
use domain::time::Timestamp;

use crate::cards::Post;
use crate::costs::Bounds;
use crate::fate::Point;
use crate::judges::Judges;
use crate::luck::Luck;
use crate::people;
use crate::repository::Repository;
use crate::shims::Shims;
use crate::weather::{Trouble, Weather};

/// How much of a story is kept.
const STORY_LINES: usize = 400;

/// Something that was sent and that lands later.
pub type Deed = Box<dyn FnOnce(&mut World) + Send>;

/// How a task stood when a piece of work for it began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stood {
    /// Which.
    pub task: TaskId,
    /// After how many of its steps.
    pub version: Version,
    /// What its card was to show.
    pub phase: String,
    /// A person had paused it, and this work was not begun before.
    pub may_begin_nothing: bool,
}

/// The tracker's own record of what was written to it.
#[derive(Default)]
pub struct Cards {
    /// Comments by work item and external id, with how often each was written.
    pub comments: BTreeMap<(WorkItemId, String), u32>,
    /// What was sent and lands later, and when.
    pub under_way: Vec<(u64, Post)>,
    /// When a row of the log is shown to whoever reads it.
    pub shown_at: BTreeMap<u64, u64>,
    /// Facts that were acknowledged, by project-wide subject and kind.
    pub wakes: BTreeMap<(String, domain::verdict::WakeKind), u64>,
    /// How the task of the work that is being done stood when that began.
    pub stood: Option<Stood>,
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
    /// What lands later, and when.
    pub late: Vec<(u64, Deed)>,
    /// Until when whoever asks too much is refused.
    pub busy_until: u64,
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
    /// How often a host died, or its store failed: what it did last it may not know.
    pub disturbed: u64,
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
            busy_until: 0,
            people: people::Ledger::default(),
            story: VecDeque::new(),
            told: 0,
            bounds: Bounds::default(),
            observed: false,
            aloud: false,
            disturbed: 0,
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
        let posts = self.cards.under_way.iter().map(|(at, _)| *at).min();
        [self.shims.next_end(), landing, posts].into_iter().flatten().min()
    }

    /// Time passes; what is due happens.
    pub fn pass_time(&mut self, to: u64) {
        self.now = self.now.max(to);
        self.forge.now = self.now;
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
