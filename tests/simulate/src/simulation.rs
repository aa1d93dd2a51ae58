//! A simulation: one seed, one thread. Each step something happens by chance; after each step the auditor looks. At the end
//! nothing goes wrong any more, and everything that can finish must.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use conductor::ports::store::StoreError;
use conductor::{LookAt, Work};
use domain::ids::BranchName;

use crate::auditor::Auditor;
use crate::cards;
use crate::costs::Bounds;
use crate::coverage::{self, Coverage, EFFECTS};
use crate::disk::Illness;
use crate::fate::{Doom, Fate, Point};
use crate::host::{Beginning, Host, Look, effect_of, new_disk, word};
use crate::luck::Luck;
use crate::people;
use crate::pipelines;
use crate::vfs::Device;
use crate::weather::{Trouble, Weather};
use crate::world::{Shared, World, look};

/// What one seed shall be.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Where its chance comes from.
    pub seed: u64,
    /// Steps before the faults end.
    pub steps: u64,
    /// What may go wrong; none: as the seed says.
    pub weather: Option<Weather>,
    /// Is the story printed as it goes?
    pub aloud: bool,
    /// From which step on the project is observed; none: it acts. Observed, nobody brings its tasks to an end.
    pub observed: Option<u64>,
}

impl Plan {
    /// The same for another seed. Of each fiftieth the project is observed, from its beginning or from some step on.
    #[must_use]
    pub fn of(self, seed: u64) -> Self {
        let observed = (seed % 50 == 49).then_some(if seed % 100 == 99 { 0 } else { seed % 211 });
        Self { seed, observed, ..self }
    }
}

/// What came of one seed.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Steps that were made.
    pub steps: u64,
    /// What was wrong, if anything was.
    pub wrongs: Vec<String>,
    /// The end of the story.
    pub story: Vec<String>,
    /// What may go wrong in it.
    pub weather: Weather,
    /// What was met.
    pub coverage: Coverage,
    /// Tasks that ended as done, and in all.
    pub done: (u64, u64),
    /// Why tasks were given up at the end, and how many.
    pub given_up: BTreeMap<String, u64>,
}

mod overlap;
mod rest;

/// Effects that are met seldom: a host shall die in them too.
const SELDOM: [&str; 5] = ["staging", "deploy", "cancel", "clean-up", "tidy"];

/// A simulation under way.
pub struct Simulation {
    number: u64,
    world: Shared,
    device: Arc<Device>,
    luck: Luck,
    /// As the seed has it.
    drawn: Weather,
    /// The step at which it comes up: until then all is calm.
    storm_at: u64,
    /// As it is now.
    weather: Weather,
    host: Option<Host>,
    /// Hosts that believe they live: somebody took over from them.
    old: Vec<Host>,
    /// Did one of them claim since?
    old_claims: bool,
    lives: u64,
    auditor: Auditor,
    steps: u64,
    started: bool,
    tests_by_command: bool,
    pipeline: usize,
    deaths: BTreeMap<(&'static str, Point), u64>,
}

/// What happens in a step.
#[derive(Clone, Copy)]
enum Happening {
    Look,
    Work,
    OldWork,
    Time,
    Person,
    Start,
    Doom,
    TakeOver,
    Disk,
    Clock,
    LoseRun,
}

/// Plays a seed to its end.
pub fn play(plan: Plan) -> Outcome {
    let mut simulation = Simulation::new(plan);
    let mut wrongs = Vec::new();
    let end = simulation.storm_at + plan.steps;
    while simulation.steps < end && wrongs.is_empty() {
        if plan.observed == Some(simulation.steps) {
            simulation.observe();
        }
        wrongs = simulation.step();
    }
    if wrongs.is_empty() && plan.observed.is_none() {
        wrongs = simulation.come_to_rest();
    }
    simulation.end(wrongs)
}

impl Simulation {
    fn new(plan: Plan) -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(1);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let mut luck = Luck::new(plan.seed);
        let drawn = Weather::of(&mut luck);
        let weather = plan.weather.unwrap_or(drawn);
        let base = BranchName::new("main").expect("a branch");
        let mut world = World::new(luck.part(), Weather::calm(), base);
        coverage::panic_by(None);
        coverage::lose_by(None);
        world.aloud = plan.aloud;
        world.bounds = Bounds::of(&mut luck);
        world.serial = luck.in_thousand(400);
        let device = Device::plug(number, new_disk(luck.part()));
        let auditor = Auditor::new(Arc::clone(&device), number);
        Self {
            number,
            world: Arc::new(std::sync::Mutex::new(world)),
            device,
            drawn: weather,
            storm_at: luck.below(2) * luck.below(180),
            weather: Weather::calm(),
            host: None,
            old: Vec::new(),
            old_claims: false,
            lives: 0,
            auditor,
            steps: 0,
            started: false,
            tests_by_command: luck.in_thousand(500),
            pipeline: luck.weighted(&[(4, 0), (5, 1), (2, 2), (4, 3)]),
            deaths: BTreeMap::new(),
            luck,
        }
    }

    fn tell(&self, line: impl FnOnce() -> String) {
        look(&self.world).tell(line);
    }

    /// One step. What was wrong after it.
    pub fn step(&mut self) -> Vec<String> {
        if self.steps == self.storm_at {
            self.break_loose();
        }
        self.steps += 1;
        match self.choose() {
            Happening::Look => self.look(),
            Happening::Work => self.work(),
            Happening::OldWork => self.old_work(),
            Happening::Time => self.pass_time(),
            Happening::Person => {
                if let Some(host) = &self.host {
                    host.fate.perform(Some("person"));
                    people::act(&self.world, &host.store);
                    host.fate.perform(None);
                }
            }
            Happening::Start => self.start(),
            Happening::Doom => self.doom(),
            Happening::TakeOver => self.take_over(),
            Happening::Disk => self.sicken(),
            Happening::Clock => {
                let mut world = look(&self.world);
                let jump = world.luck.below(3_600_000).cast_signed() - 1_800_000;
                world.skew += jump;
                world.tell(|| format!("the clock jumps by {jump} ms"));
            }
            Happening::LoseRun => self.lose_run(),
        }
        self.after()
    }

    fn break_loose(&mut self) {
        self.tell(|| "from here on things go wrong".to_owned());
        self.weather = self.drawn;
        look(&self.world).weather = self.drawn;
        coverage::panic_by(self.weather.has(Trouble::Panics).then(|| self.luck.part()));
        coverage::lose_by(self.weather.has(Trouble::Lost).then(|| self.luck.part()));
    }

    fn choose(&mut self) -> Happening {
        let met = |trouble, weight| if self.weather.has(trouble) { weight } else { 0 };
        let Some(host) = &self.host else {
            return self.luck.weighted(&[
                (60, Happening::Start),
                (20, Happening::Time),
                (20 * u64::from(!self.old.is_empty()), Happening::OldWork),
            ]);
        };
        let waiting = host.work.len().min(4) as u64;
        let late = self.old.iter().map(|host| host.work.len()).sum::<usize>().min(3) as u64;
        let choices = [
            (if waiting == 0 { 300 } else { 80 }, Happening::Look),
            (260 * waiting, Happening::Work),
            (150 * late, Happening::OldWork),
            (if waiting == 0 { 160 } else { 40 }, Happening::Time),
            (90, Happening::Person),
            (met(Trouble::Kill, 22), Happening::Doom),
            (met(Trouble::Overlap, 5), Happening::TakeOver),
            (met(Trouble::FullDisk, 4) + met(Trouble::BrokenDisk, 2), Happening::Disk),
            (met(Trouble::Clock, 4), Happening::Clock),
            (met(Trouble::Runs, 10), Happening::LoseRun),
        ];
        self.luck.weighted(&choices)
    }

    /// Who died is buried; then the auditor looks at what is there.
    fn after(&mut self) -> Vec<String> {
        if self.host.as_ref().is_some_and(|host| host.fate.is_dead()) {
            self.bury();
        }
        let Some(host) = &self.host else {
            return std::mem::take(&mut look(&self.world).wrongs);
        };
        cards::land(&self.world, host.store.as_ref());
        let living: Vec<u64> = self.old.iter().map(|host| host.life).chain([host.life]).collect();
        self.auditor.audit(&self.world, &living)
    }

    fn bury(&mut self) {
        let Some(host) = self.host.take() else { return };
        look(&self.world).disturbed += 1;
        self.note_death(&host.fate);
        let is_power = self.weather.has(Trouble::Power) && self.luck.in_thousand(400);
        self.auditor.close();
        look(&self.world).shims.forget(host.life);
        drop(host);
        if is_power {
            self.tell(|| "the power is cut".to_owned());
            for old in self.old.drain(..) {
                old.fate.end();
                look(&self.world).shims.forget(old.life);
            }
            self.device.disk().lose_power();
            let mut world = look(&self.world);
            let world = &mut *world;
            world.shims.reboot(world.now, &mut world.forge, &mut world.luck);
        } else {
            self.tell(|| "the host is dead".to_owned());
        }
    }

    fn note_death(&mut self, fate: &Fate) {
        if let Some((Some(effect), point)) = fate.died_at() {
            *self.deaths.entry((effect, point)).or_default() += 1;
        }
    }

    fn start(&mut self) {
        self.lives += 1;
        let fate = Arc::new(Fate::default());
        if self.weather.has(Trouble::Kill) && self.luck.in_thousand(100) {
            fate.doom(Doom { passing: self.luck.below(12) as u32, effect: None, point: None });
        }
        let edited = self.weather.has(Trouble::Edits) && self.luck.in_thousand(200);
        let pipeline = (!self.started || edited).then(|| {
            let all = pipelines::all();
            if edited { self.luck.one_of(&all).clone() } else { all[self.pipeline].clone() }
        });
        self.tell(|| format!("life {} begins", self.lives));
        let begun = Host::start(Beginning {
            number: self.number,
            device: Arc::clone(&self.device),
            world: self.world.clone(),
            life: self.lives,
            fate: fate.clone(),
            pipeline,
            tests_by_command: self.tests_by_command,
            weather: self.drawn,
        });
        match begun {
            Ok(host) if !fate.is_dead() => {
                self.started = true;
                self.old_claims = false;
                // What people do before the host has taken its work up again is the worst time for it.
                if self.weather.has(Trouble::People) && self.luck.in_thousand(300) {
                    people::act(&self.world, &host.store);
                }
                self.host = Some(host);
            }
            Ok(host) => drop(host),
            Err(error) => self.tell(|| format!("the start fails: {error}")),
        }
        if self.host.is_none() {
            fate.end();
            self.note_death(&fate);
            self.auditor.close();
            look(&self.world).shims.forget(self.lives);
        }
    }

    fn heard(&mut self, error: &StoreError) {
        look(&self.world).disturbed += 1;
        self.tell(|| format!("the store says: {error}"));
        if matches!(error, StoreError::Fatal(_))
            && let Some(host) = &self.host
        {
            host.fate.end();
        }
    }

    fn look(&mut self) {
        let Some(host) = &mut self.host else { return };
        let capacity = 1 + self.luck.below(4) as usize;
        // Below the floor of free space nothing launches; the floor is somewhere above a full disk.
        let may_launch = !self.device.disk().illness.is_full || self.luck.in_thousand(300);
        let claimed = |host: &Host| host.work.iter().filter(|work| matches!(work, Work::Perform(_))).count();
        let before = claimed(host);
        match host.look(capacity, may_launch) {
            Err(error) => self.heard(&error),
            // A look that is cut short brings what it found.
            Ok(Look::CutShort) => {}
            Ok(_) if self.device.disk().illness != Illness::default() => {}
            Ok(_) if host.fate.is_dead() || claimed(host) >= before + capacity => {}
            Ok(_) => {
                let (life, clock) = (host.life, look(&self.world).clock());
                let wrongs = self.auditor.left_behind().into_iter().chain(self.auditor.waits_longer(life, clock));
                look(&self.world).wrongs.extend(wrongs);
            }
        }
    }

    /// In a piece of work that is met seldom the host is about to die more often, at a point that it may not pass.
    fn menace(&mut self, effect: &str) -> bool {
        let often = match effect {
            // Most looks find nothing and write nothing.
            "weigh" => 1000,
            "observe" => 700,
            "cancel" => 600,
            "staging" | "deploy" | "clean-up" | "timer" | "prove-merged" => 200,
            "merge" => 400,
            "rebase" => 250,
            "retest" => 150,
            "tidy" | "expand" => 60,
            _ => 12,
        };
        let Some(host) = self.host.as_ref().filter(|host| !host.fate.is_doomed()) else { return false };
        let dooms = self.weather.has(Trouble::Kill) && self.luck.in_thousand(often);
        if dooms {
            let points = Point::ALL.into_iter().filter(|point| coverage::can_die(effect, *point)).collect::<Vec<_>>();
            let point = *self.luck.one_of(&points);
            let passing = if self.luck.in_thousand(700) { 0 } else { self.luck.below(4) as u32 };
            host.fate.doom(Doom { passing, effect: None, point: Some(point) });
        }
        dooms
    }

    fn work(&mut self) {
        let Some(host) = &mut self.host else { return };
        let piece = self.luck.below(host.work.len() as u64) as usize;
        let Some(chosen) = host.work.get(piece) else { return };
        let (what, effect) = (word(chosen), effect_of(chosen));
        let looks = matches!(chosen, Work::Look(LookAt::Forge(_))) && !self.weather.has(Trouble::Outside);
        let unheard = if looks { people::unheard(&self.world, &host.store) } else { Vec::new() };
        look(&self.world).tell(|| what);
        let is_menaced = self.menace(effect);
        let Some(host) = &mut self.host else { return };
        let performed = host.perform(piece);
        if is_menaced {
            host.fate.spare();
        }
        match performed {
            Err(error) => self.heard(&error),
            Ok(()) if unheard.is_empty() || host.fate.is_dead() => {}
            Ok(()) => {
                let still = people::unheard(&self.world, &host.store);
                for (task, epoch) in unheard.into_iter().filter(|slept| still.contains(slept)) {
                    let wrong = format!("task {task} sleeps in epoch {epoch} over a check that a look did not find");
                    look(&self.world).wrongs.push(wrong);
                }
            }
        }
    }

    fn pass_time(&mut self) {
        let asked = self.host.as_ref().and_then(|host| host.look_again);
        let mut world = look(&self.world);
        let now = world.now;
        let wanted = asked.map(|at| at.0.saturating_add_signed(-world.skew).max(now));
        let next = world.next_event();
        let to = match world.luck.below(8) {
            0 => now + world.luck.below(5_000),
            1 => wanted.unwrap_or(now + 5_000),
            2 => next.unwrap_or(now + 60_000),
            // In the midst of runs they may have used too much.
            3 | 4 => next.map_or(now + 5_000, |next| u64::midpoint(now, next.max(now))),
            _ => [next, wanted].into_iter().flatten().min().unwrap_or(now + 1_000),
        };
        world.pass_time(to);
    }

    /// The host shall die: anywhere, or at a chosen point of a chosen effect, and if that does not come soon, elsewhere.
    fn doom(&mut self) {
        let chosen = self.luck.below(3);
        let effect = *self.luck.one_of(if chosen == 1 { &SELDOM[..] } else { &EFFECTS });
        let point = *self.luck.one_of(&Point::ALL);
        let changes_it = self.luck.in_thousand(200);
        let Some(host) = self.host.as_ref().filter(|host| changes_it || !host.fate.is_doomed()) else { return };
        if effect == "start" || !coverage::can_die(effect, point) {
            return;
        }
        host.fate.doom(match chosen {
            0 => Doom { passing: self.luck.below(40) as u32, effect: None, point: None },
            1 => Doom { passing: 0, effect: Some(effect), point: Some(point) },
            _ => Doom { passing: 0, effect: Some(effect), point: Some(point).filter(|_| self.luck.in_thousand(500)) },
        });
    }

    fn sicken(&mut self) {
        let is_full = self.weather.has(Trouble::FullDisk) && self.luck.in_thousand(700);
        let failing = if self.weather.has(Trouble::BrokenDisk) && !is_full { self.luck.below(3_000) } else { 0 };
        let mut disk = self.device.disk();
        disk.illness = if disk.illness.is_full || disk.illness.failing > 0 {
            Illness::default()
        } else {
            Illness { is_full, failing }
        };
        let illness = disk.illness;
        drop(disk);
        self.tell(|| format!("the disk: {illness:?}"));
    }

    fn lose_run(&self) {
        let mut world = look(&self.world);
        let world = &mut *world;
        if world.luck.in_thousand(750) {
            let trouble = world.shims.trouble(world.now, &mut world.luck);
            return world.tell(|| trouble);
        }
        let live: Vec<_> = world.shims.live().map(|(run, _)| run).collect();
        if !live.is_empty() {
            let run = *world.luck.one_of(&live);
            world.tell(|| format!("the shim of run {run} is killed"));
            world.shims.lose(run, world.now, &mut world.forge, &mut world.luck);
        }
    }
}
