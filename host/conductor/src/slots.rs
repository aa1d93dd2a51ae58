//! Who may take one of the places of runs: limits in all, per project, per repository and per agent driver; the breaker of a
//! driver; a program that is not there. Pure: what is taken and how the breakers stand are arguments. The store asks at each
//! claim, and again when people ask why something waits, so that what they read is what holds it.
//!
//! What is held back here takes no place: the next job that may run is claimed instead (catalogue C2).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use domain::document::Role;
use domain::effect::Effect;
use domain::ids::{DriverName, JobId, ProjectName, TaskId};
use domain::pipeline::Action;
use domain::time::Timestamp;

use crate::breaker::{Breaker, Passage};
use crate::ports::store::{ClaimLimits, WaitReason};
use crate::project::HookName;

/// Who works in a place: what of a project's file a job launches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Seat {
    /// The worker of a role.
    Role(Role),
    /// The command of a hook.
    Hook(HookName),
}

impl Seat {
    /// Whose work an effect is. None: it launches nothing and takes no place.
    pub const fn of(effect: &Effect) -> Option<Self> {
        match effect {
            Effect::Launch { role, .. } => Some(Self::Role(*role)),
            Effect::Act { action: Action::Retest, .. } => Some(Self::Hook(HookName::Test)),
            Effect::Act { action: Action::Staging, .. } => Some(Self::Hook(HookName::Staging)),
            Effect::Act { action: Action::Deploy, .. } => Some(Self::Hook(HookName::Deploy)),
            _ => None,
        }
    }
}

impl fmt::Display for Seat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Role(role) => write!(formatter, "the {role}"),
            Self::Hook(hook) => write!(formatter, "the command `{}`", hook.as_str()),
        }
    }
}

/// Who works, and whether he could begin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sitter {
    /// What counts his runs together with others'; a command has none.
    pub driver: Option<DriverName>,
    /// Why his program cannot be executed now; none: it can, or nobody knows better.
    pub missing: Option<String>,
}

/// A project as far as places go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The bound of its own file.
    pub runs: Option<u32>,
    /// What two projects of one repository have in common.
    pub repository: String,
    /// Who works there.
    pub seats: BTreeMap<Seat, Sitter>,
}

/// All projects, as far as places go.
pub type Places = BTreeMap<ProjectName, Place>;

/// A place that is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// By a job of which project.
    pub project: ProjectName,
    /// Whose driver was stamped at its claim.
    pub driver: Option<DriverName>,
}

/// Whose job asks for a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    /// Of which project.
    pub project: ProjectName,
    /// Of which task.
    pub task: TaskId,
}

/// Who asks for a place: the job of a task, or nobody in particular of a project.
#[derive(Clone, Copy, Debug)]
pub struct Who<'a> {
    project: &'a ProjectName,
    task: Option<TaskId>,
}

impl<'a> From<&'a ProjectName> for Who<'a> {
    fn from(project: &'a ProjectName) -> Self {
        Self { project, task: None }
    }
}

impl<'a> From<&'a Asker> for Who<'a> {
    fn from(asker: &'a Asker) -> Self {
        Self { project: &asker.project, task: Some(asker.task) }
    }
}

/// A driver as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriverRow {
    /// Its name.
    pub driver: DriverName,
    /// How its breaker stands.
    pub breaker: Breaker,
    /// The job of its probe is still claimed.
    pub probe_lives: bool,
    /// Its runs that live.
    pub runs: u32,
}

/// What a bound counts the runs of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// A project.
    Project(ProjectName),
    /// What two projects of one repository have in common.
    Repository(String),
    /// An agent driver.
    Driver(DriverName),
}

impl fmt::Display for Bound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Project(project) => write!(formatter, "the project `{project}`"),
            Self::Repository(repository) => write!(formatter, "the repository {repository}"),
            Self::Driver(driver) => write!(formatter, "the agent driver `{driver}`"),
        }
    }
}

/// What a breaker lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ahead {
    /// Nobody yet.
    Nobody,
    /// This job sees whether the service answers again.
    Job(JobId),
    /// Another task than the one that was refused last.
    Another,
}

/// Why a job that launches something may not be claimed. Its text is for programs; pages word it in their reader's language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The program is not there.
    Program(String),
    /// All places that it could have are taken.
    Slot {
        /// How many there are.
        most: u32,
        /// Of what.
        of: Bound,
    },
    /// The service behind its agent refuses.
    Breaker {
        /// Whose.
        driver: DriverName,
        /// Who goes before it.
        ahead: Ahead,
    },
}

impl Refusal {
    /// The reason, in a word.
    pub const fn reason(&self) -> WaitReason {
        match self {
            Self::Program(_) => WaitReason::Program,
            Self::Slot { .. } => WaitReason::Slot,
            Self::Breaker { .. } => WaitReason::Breaker,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program(why) => formatter.write_str(why),
            Self::Slot { most: 1, of } => write!(formatter, "1 run of {of} is under way"),
            Self::Slot { most, of } => write!(formatter, "{most} runs of {of} are under way"),
            Self::Breaker { driver, ahead: Ahead::Nobody } => {
                write!(formatter, "the service of the agent driver `{driver}` refuses: its breaker is open")
            }
            Self::Breaker { driver, ahead: Ahead::Job(job) } => {
                write!(formatter, "the service of the agent driver `{driver}` refused; job {job} goes ahead to see")
            }
            Self::Breaker { driver, ahead: Ahead::Another } => write!(
                formatter,
                "the service of the agent driver `{driver}` refused this task's run last; another task goes ahead to see"
            ),
        }
    }
}

/// The places of a host at one moment.
pub struct Slots<'a> {
    limits: &'a ClaimLimits,
    places: Arc<Places>,
    projects: BTreeMap<ProjectName, u32>,
    repositories: BTreeMap<String, u32>,
    runs: BTreeMap<DriverName, u32>,
    drivers: BTreeMap<DriverName, DriverRow>,
    /// The tasks that do not probe now, for another one waits.
    behind: BTreeMap<DriverName, TaskId>,
    now: Timestamp,
}

impl<'a> Slots<'a> {
    /// Counts what is taken.
    pub fn new(limits: &'a ClaimLimits, taken: &[Taken], drivers: Vec<DriverRow>, now: Timestamp) -> Self {
        let mut slots = Self {
            limits,
            places: limits.places.clone().unwrap_or_default(),
            projects: BTreeMap::new(),
            repositories: BTreeMap::new(),
            runs: BTreeMap::new(),
            drivers: drivers.into_iter().map(|row| (row.driver.clone(), row)).collect(),
            behind: BTreeMap::new(),
            now,
        };
        for one in taken {
            *slots.projects.entry(one.project.clone()).or_default() += 1;
            if let Some(place) = slots.places.get(&one.project) {
                *slots.repositories.entry(place.repository.clone()).or_default() += 1;
            }
            if let Some(driver) = &one.driver {
                *slots.runs.entry(driver.clone()).or_default() += 1;
            }
        }
        slots
    }

    /// Whose runs a claim's would count among.
    pub fn driver(&self, project: &ProjectName, seat: Seat) -> Option<&DriverName> {
        self.places.get(project)?.seats.get(&seat)?.driver.as_ref()
    }

    /// Would a run of this driver be the probe of its breaker?
    pub fn probes(&self, driver: &DriverName) -> bool {
        self.drivers.get(driver).is_some_and(|row| row.breaker.passage(self.now, row.probe_lives) == Passage::One)
    }

    /// The drivers whose next run would be a probe.
    pub fn probing(&self) -> Vec<DriverName> {
        self.drivers.keys().filter(|driver| self.probes(driver)).cloned().collect()
    }

    /// Where a run of this driver may begin now.
    pub fn open_to(&self, driver: &DriverName) -> Vec<(ProjectName, Seat)> {
        let seats = self.places.iter().flat_map(|(project, place)| {
            place
                .seats
                .iter()
                .filter(|(_, sitter)| sitter.driver.as_ref() == Some(driver))
                .map(move |(seat, _)| (project, *seat))
        });
        seats
            .filter(|(project, seat)| self.refuses(*project, *seat).is_none())
            .map(|(project, seat)| (project.clone(), seat))
            .collect()
    }

    /// This task was refused last and another one waits, so that one goes ahead to see: what refuses may be the agent of this task
    /// alone.
    pub fn let_others_before(&mut self, driver: DriverName, task: TaskId) {
        self.behind.insert(driver, task);
    }

    /// Why nobody may be launched there now; none: he may. A person must act where a program is missing, so that stands first.
    /// A project that this host does not know is held back by nothing here: whoever performs the job says so.
    pub fn refuses<'w>(&self, who: impl Into<Who<'w>>, seat: Seat) -> Option<Refusal> {
        let Who { project, task } = who.into();
        let place = self.places.get(project)?;
        let sitter = place.seats.get(&seat);
        if let Some(why) = sitter.and_then(|sitter| sitter.missing.clone()) {
            return Some(Refusal::Program(why));
        }
        let full = |taken: Option<&u32>, most: u32, of: Bound| {
            (taken.copied().unwrap_or(0) >= most).then_some(Refusal::Slot { most, of })
        };
        let most = place.runs.unwrap_or(u32::MAX).min(self.limits.each.project);
        let driver = sitter.and_then(|sitter| sitter.driver.as_ref());
        full(self.projects.get(project), most, Bound::Project(project.clone()))
            .or_else(|| {
                let repository = &place.repository;
                let of = Bound::Repository(repository.clone());
                full(self.repositories.get(repository), self.limits.each.repository, of)
            })
            .or_else(|| {
                let driver = driver?;
                full(self.runs.get(driver), self.limits.of_driver(driver), Bound::Driver(driver.clone()))
            })
            .or_else(|| self.broken(driver?, task))
    }

    fn broken(&self, driver: &DriverName, task: Option<TaskId>) -> Option<Refusal> {
        let row = self.drivers.get(driver)?;
        let ahead = match (row.breaker.passage(self.now, row.probe_lives), &row.breaker) {
            (Passage::One, _) if task.is_some() && self.behind.get(driver) == task.as_ref() => Ahead::Another,
            (Passage::All | Passage::One, _) => return None,
            (Passage::Nobody { .. }, Breaker::HalfOpen { probe, .. }) => Ahead::Job(*probe),
            (Passage::Nobody { .. }, _) => Ahead::Nobody,
        };
        Some(Refusal::Breaker { driver: driver.clone(), ahead })
    }
}

#[cfg(test)]
mod tests {
    use domain::time::Milliseconds;

    use super::*;
    use crate::ports::store::Each;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn name(text: &str) -> ProjectName {
        ProjectName::new(text).unwrap()
    }

    fn driver(text: &str) -> DriverName {
        DriverName::new(text).unwrap()
    }

    fn place(repository: &str, runs: Option<u32>) -> Place {
        let agent = |of: &str| Sitter { driver: Some(driver(of)), missing: None };
        let seats = BTreeMap::from([
            (Seat::Role(Role::Developer), agent("claude")),
            (Seat::Role(Role::Reviewer), agent("codex")),
            (Seat::Role(Role::Tester), Sitter::default()),
            (
                Seat::Hook(HookName::Deploy),
                Sitter { driver: None, missing: Some("there is no file `/opt/ship`".to_owned()) },
            ),
        ]);
        Place { runs, repository: repository.to_owned(), seats }
    }

    fn limits() -> ClaimLimits {
        let places = BTreeMap::from([
            (name("shop"), place("/one", Some(2))),
            (name("till"), place("/one", None)),
            (name("web"), place("/two", None)),
        ]);
        ClaimLimits {
            each: Each { project: 3, repository: 3, driver: 4 },
            drivers: BTreeMap::from([(driver("codex"), 1)]),
            places: Some(Arc::new(places)),
            ..ClaimLimits::of(9)
        }
    }

    fn taken(of: &[(&str, Option<&str>)]) -> Vec<Taken> {
        of.iter().map(|(project, of)| Taken { project: name(project), driver: of.map(driver) }).collect()
    }

    fn told(of: &[(&str, Option<&str>)], breakers: Vec<DriverRow>, project: &str, seat: Seat) -> String {
        let limits = limits();
        let slots = Slots::new(&limits, &taken(of), breakers, NOW);
        slots
            .refuses(&name(project), seat)
            .map_or_else(String::new, |refusal| format!("{:?}: {refusal}", refusal.reason()))
    }

    #[test]
    fn c1_1_each_limit_holds_back_whom_it_is_about_and_nobody_else() {
        let developer = Seat::Role(Role::Developer);
        let reviewer = Seat::Role(Role::Reviewer);
        let tester = Seat::Role(Role::Tester);
        let claude = Some("claude");
        let two = [("shop", claude), ("shop", None)];
        assert_eq!(told(&[], vec![], "shop", developer), "");
        assert_eq!(told(&two, vec![], "shop", tester), "Slot: 2 runs of the project `shop` are under way");
        assert_eq!(told(&two, vec![], "till", tester), "", "one of the repository is left");
        assert_eq!(told(&two, vec![], "web", tester), "");
        let three = [two[0], two[1], ("till", None)];
        assert_eq!(told(&three, vec![], "till", tester), "Slot: 3 runs of the repository /one are under way");
        assert_eq!(told(&three, vec![], "web", tester), "");
        assert_eq!(told(&[("web", None); 3], vec![], "web", tester), "Slot: 3 runs of the project `web` are under way");
        let one_codex = [("web", Some("codex"))];
        assert_eq!(told(&one_codex, vec![], "shop", reviewer), "Slot: 1 run of the agent driver `codex` is under way");
        assert_eq!(told(&one_codex, vec![], "shop", developer), "");
        assert_eq!(told(&[], vec![], "nowhere", developer), "");
    }

    #[test]
    fn c4_1_a_program_that_is_missing_holds_back_its_own_seat() {
        let hook = Seat::Hook(HookName::Deploy);
        assert_eq!(told(&[], vec![], "shop", hook), "Program: there is no file `/opt/ship`");
        assert_eq!(told(&[("shop", None); 2], vec![], "shop", hook), "Program: there is no file `/opt/ship`");
        assert_eq!(told(&[], vec![], "shop", Seat::Hook(HookName::Test)), "");
    }

    #[test]
    fn c4_2_a_breaker_holds_back_its_driver_and_lets_one_through_in_the_end() {
        let developer = Seat::Role(Role::Developer);
        let row = |breaker, probe_lives| vec![DriverRow { driver: driver("claude"), breaker, probe_lives, runs: 0 }];
        let open = |until| Breaker::Open { since: NOW, until, trips: 0 };
        let later = NOW.plus(Milliseconds::from_seconds(60));
        let said = told(&[], row(open(later), false), "shop", developer);
        assert_eq!(said, "Breaker: the service of the agent driver `claude` refuses: its breaker is open");
        assert_eq!(told(&[], row(open(later), false), "shop", Seat::Role(Role::Reviewer)), "");
        assert_eq!(told(&[], row(open(NOW), false), "shop", developer), "");
        let half = Breaker::HalfOpen { since: NOW, probe: JobId(7), trips: 0 };
        let said = told(&[], row(half.clone(), true), "shop", developer);
        assert_eq!(said, "Breaker: the service of the agent driver `claude` refused; job 7 goes ahead to see");
        assert_eq!(told(&[], row(half, false), "shop", developer), "");
        // Of two that wait, who was refused last stands behind.
        let limits = limits();
        let mut slots = Slots::new(&limits, &[], row(open(NOW), false), NOW);
        assert_eq!((slots.probing(), slots.open_to(&driver("claude")).len()), (vec![driver("claude")], 3));
        slots.let_others_before(driver("claude"), TaskId(1));
        let refuses = |task| slots.refuses(&Asker { project: name("shop"), task: TaskId(task) }, developer);
        assert!(refuses(1).is_some_and(|refusal| refusal.to_string().contains("another task goes ahead")));
        assert_eq!((refuses(2), slots.refuses(&name("shop"), developer)), (None, None));
        let probes = |breaker| Slots::new(&limits, &[], row(breaker, false), NOW).probes(&driver("claude"));
        assert!(probes(open(NOW)) && !probes(open(later)) && !probes(Breaker::default()));
    }

    /// A limit of a project's file never widens the host's.
    #[test]
    fn the_narrower_of_two_limits_counts() {
        let wide = BTreeMap::from([(name("shop"), place("/one", Some(60)))]);
        let limits = ClaimLimits { places: Some(Arc::new(wide)), ..limits() };
        let three = taken(&[("shop", None); 3]);
        let slots = Slots::new(&limits, &three, vec![], NOW);
        assert!(slots.refuses(&name("shop"), Seat::Role(Role::Tester)).is_some());
    }
}
