//! Whatever happens, in whatever order: every task is what its entries make of it, and what must never be is not.

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get ends it")]

use std::path::Path;

use conductor::ports::store::{ClaimLimits, Completion, Incarnation, NewTask, Store};
use domain::document::Role;
use domain::effect::{Claim, Effect, run_of};
use domain::event::{Answer, Event, FailureClass, Intent, Observation, RunOutcome, Spent, StepFacts};
use domain::ids::{Actor, BranchName, CommitId, Digest, TaskId, WorkItemId};
use domain::task::{Task, Track};
use domain::time::{Milliseconds, Timestamp};
use domain::verdict::{GateHold, InfraCause, WakeKind, WakeSet};
use proptest::prelude::*;
use rusqlite::Connection;
use store::conformance::small_project;
use store::{SqliteStore, StoreConfig};

/// What may happen next. Numbers choose among what is there.
#[derive(Clone, Debug)]
enum Happening {
    Begin(u8),
    Want(u8, Intent),
    See(u8, u8),
    Wake(u8, WakeKind),
    /// Claim, perhaps cut the branch, and end in one of several ways.
    Work(Outcome),
    /// Complete a job with a token that somebody else may have taken over.
    Late(u8),
    CloseCancelled,
    Reap,
    Freeze(bool),
    Restart,
    Later(u16),
}

#[derive(Clone, Debug)]
enum Outcome {
    Good,
    Fail,
    Infra,
    Wait,
    Hold,
    BaseMoved,
    GiveBack,
    Keep,
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        8 => Just(Outcome::Good),
        1 => Just(Outcome::Fail),
        1 => Just(Outcome::Infra),
        1 => Just(Outcome::Wait),
        1 => Just(Outcome::Hold),
        1 => Just(Outcome::BaseMoved),
        1 => Just(Outcome::GiveBack),
        2 => Just(Outcome::Keep),
    ]
}

fn happenings() -> impl Strategy<Value = Happening> {
    let intents = prop::sample::select(vec![
        Intent::Start,
        Intent::Reject,
        Intent::Stop,
        Intent::Resume,
        Intent::Waive,
        Intent::Pause,
    ]);
    prop_oneof![
        2 => any::<u8>().prop_map(Happening::Begin),
        2 => (any::<u8>(), intents).prop_map(|(task, intent)| Happening::Want(task, intent)),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(task, what)| Happening::See(task, what)),
        1 => (any::<u8>(), prop::sample::select(WakeKind::ALL.to_vec()))
            .prop_map(|(task, kind)| Happening::Wake(task, kind)),
        20 => outcomes().prop_map(Happening::Work),
        2 => any::<u8>().prop_map(Happening::Late),
        2 => Just(Happening::CloseCancelled),
        1 => Just(Happening::Reap),
        1 => any::<bool>().prop_map(Happening::Freeze),
        1 => Just(Happening::Restart),
        3 => any::<u16>().prop_map(Happening::Later),
    ]
}

struct World<'a> {
    dir: &'a Path,
    store: Option<SqliteStore>,
    life: u64,
    now: u64,
    kept: Vec<Claim>,
}

impl World<'_> {
    fn store(&self) -> &SqliteStore {
        self.store.as_ref().expect("the store is open")
    }

    fn now(&mut self) -> Timestamp {
        self.now += 1;
        Timestamp(self.now)
    }

    fn me(&self) -> Incarnation {
        let uuid = format!("{:032x}", self.life);
        Incarnation { host: "here".to_owned(), boot_id: "boot".to_owned(), pid: 7, start_time: self.life, uuid }
    }

    fn open(&mut self) {
        self.store = None;
        self.life += 1;
        self.store = Some(SqliteStore::open(StoreConfig::new(self.dir, "here")).unwrap());
    }

    fn some_task(&self, choice: u8) -> Option<Task> {
        let tasks = self.store().tasks(false, 100).unwrap();
        (!tasks.is_empty()).then(|| tasks[usize::from(choice) % tasks.len()].clone())
    }

    fn happen(&mut self, happening: &Happening) {
        let now = self.now();
        match happening {
            Happening::Begin(number) => drop(self.store().create_task(&new_task(number % 4), now).unwrap()),
            Happening::Want(choice, intent) => {
                let event = Event::Intent { intent: *intent, actor: Actor::Host, note: "because".to_owned() };
                self.tell(*choice, &event, now);
            }
            Happening::See(choice, what) => {
                let event = Event::Observed { observation: observation(*what) };
                self.tell(*choice, &event, now);
            }
            Happening::Wake(choice, kind) => {
                if let Some(task) = self.some_task(*choice) {
                    self.store().wake(&task.project, &subject(&task, *kind), *kind, now).unwrap();
                }
            }
            Happening::Work(outcome) => self.work(outcome, now),
            Happening::Late(choice) => self.late(*choice, now),
            Happening::CloseCancelled => {
                for (job, token) in self.store().cancelled_claims(&self.me()).unwrap() {
                    self.store().close_cancelled(job, token, Some(spent()), now).unwrap();
                }
            }
            Happening::Reap => {
                let me = self.me();
                self.store().reap(&|owner| *owner == me, now).unwrap();
            }
            Happening::Freeze(on) => {
                let reason = on.then_some("main is red");
                self.store().set_freeze(&small_project().name, reason, &Actor::Host, now).unwrap();
            }
            Happening::Restart => self.open(),
            Happening::Later(seconds) => self.now += u64::from(*seconds) * 1000,
        }
    }

    fn tell(&self, choice: u8, event: &Event, now: Timestamp) {
        if let Some(task) = self.some_task(choice) {
            self.store().apply(task.id, event, now).unwrap();
        }
    }

    fn work(&mut self, outcome: &Outcome, now: Timestamp) {
        let limits = ClaimLimits::of(2);
        let Some(claim) = self.store().claim(&self.me(), &limits, now).unwrap() else { return };
        let epoch = claim.job.epoch;
        if matches!(claim.job.effect, Effect::Launch { .. }) && claim.task.branch.is_none() {
            let branch = BranchName::new(format!("gatewright/{}", claim.task.id)).unwrap();
            self.store()
                .apply(
                    claim.task.id,
                    &Event::BranchCut { epoch, branch, base: commit('0'), documents: Vec::new() },
                    now,
                )
                .unwrap();
        }
        match outcome {
            Outcome::Keep => self.kept.push(claim),
            Outcome::GiveBack => self.store().give_back(claim.job.id, claim.token, now, "later").unwrap(),
            _ => {
                let event = ending(&claim, outcome, now);
                self.store().complete(completion(&claim, event), now).unwrap();
            }
        }
    }

    /// A claim that was kept for a while: its job may have been cancelled or reaped since, and both are answers.
    fn late(&mut self, choice: u8, now: Timestamp) {
        if self.kept.is_empty() {
            return;
        }
        let claim = self.kept.swap_remove(usize::from(choice) % self.kept.len());
        let event = ending(&claim, &Outcome::Good, now);
        match self.store().complete(completion(&claim, event), now) {
            Ok(_) | Err(conductor::ports::store::StoreError::Stale { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

fn completion(claim: &Claim, event: Event) -> Completion<'static> {
    Completion { job: claim.job.id, token: claim.token, event, wakes: claim.wakes, evaluation: None, run: None }
}

fn new_task(number: u8) -> NewTask {
    NewTask {
        project: small_project().name,
        work_item: WorkItemId::new(format!("SHOP-{number:03}")).unwrap(),
        title: format!("Item {number}"),
        description: "Sell more.".to_owned(),
        labels: Vec::new(),
        track: Track::Full,
        actor: Actor::Host,
    }
}

fn commit(digit: char) -> CommitId {
    CommitId::new(digit.to_string().repeat(40)).unwrap()
}

fn spent() -> Spent {
    Spent { input_tokens: 3, output_tokens: 2, cost_microusd: 1, wall: Milliseconds(5), ..Spent::default() }
}

fn observation(what: u8) -> Observation {
    match what % 5 {
        0 => Observation::GoneFromBoard { by: "ada".to_owned() },
        1 => Observation::ForeignPush { head: commit('f') },
        2 => Observation::WatchDegraded,
        3 => Observation::MergedElsewhere { commit: commit('e'), by: "ada".to_owned(), tested: what > 100 },
        _ => Observation::Labels { labels: vec!["bug".to_owned()] },
    }
}

fn subject(task: &Task, kind: WakeKind) -> String {
    match kind {
        WakeKind::Checks => task.head.as_ref().map(ToString::to_string).unwrap_or_default(),
        WakeKind::Push | WakeKind::PullRequest => task.branch.as_ref().map(ToString::to_string).unwrap_or_default(),
        _ => task.work_item.to_string(),
    }
}

fn ending(claim: &Claim, outcome: &Outcome, now: Timestamp) -> Event {
    let epoch = claim.job.epoch;
    match &claim.job.effect {
        Effect::Launch { role, .. } => {
            let outcome = run_outcome(*role, outcome);
            Event::RunEnded { epoch, run: run_of(claim.job.id), outcome, spent: Some(spent()), role: None }
        }
        Effect::Judge { step, .. } | Effect::Act { step, .. } => {
            let facts = match claim.job.effect.name() {
                "rebase" => StepFacts { head: Some(commit('b')), base: Some(commit('1')), ..StepFacts::default() },
                "retest" => StepFacts { validated: Some(commit('b')), ..StepFacts::default() },
                "merge" => StepFacts { merged: Some(commit('b')), ..StepFacts::default() },
                _ => StepFacts::default(),
            };
            Event::StepAnswered { epoch, step: step.clone(), answer: answer(outcome, now), facts, woken: false }
        }
        Effect::Timer => Event::TimerFired { epoch },
        Effect::CleanUp => Event::CleanedUp { epoch },
        _ => Event::AftermathEnded { note: "told".to_owned() },
    }
}

fn run_outcome(role: Role, outcome: &Outcome) -> RunOutcome {
    assert_eq!(role, Role::Developer);
    match outcome {
        Outcome::Good => RunOutcome::Delivered { head: Some(commit('a')), documents: Vec::new(), validated: None },
        Outcome::Fail => RunOutcome::Trespassed {
            head: None,
            findings: Digest::of(b"[]"),
            count: 1,
            title: "another's file".to_owned(),
        },
        Outcome::Hold => RunOutcome::OverBudget { cause: "dear".to_owned() },
        _ => RunOutcome::Undelivered {
            cause: "it fell".to_owned(),
            retry_after: Some(Milliseconds(500)),
            class: FailureClass::Permanent,
        },
    }
}

fn answer(outcome: &Outcome, now: Timestamp) -> Answer {
    match outcome {
        Outcome::Fail => Answer::Fail { findings: Digest::of(b"[]"), count: 1, title: "red".to_owned() },
        Outcome::Infra => {
            Answer::Infra { cause: InfraCause::Trap, message: "it trapped".to_owned(), retry_after: None }
        }
        Outcome::Wait => Answer::Wait {
            until: now.plus(Milliseconds::from_seconds(60)),
            wake: WakeKind::ALL.into_iter().collect::<WakeSet>(),
            why: "not yet".to_owned(),
        },
        Outcome::Hold => Answer::Hold { kind: GateHold::Blocked, reason: "look".to_owned() },
        Outcome::BaseMoved => Answer::BaseMoved { base: commit('2') },
        _ => Answer::Pass { note: "fine".to_owned() },
    }
}

/// Queries that must find nothing.
const NEVER: &[(&str, &str)] = &[
    (
        "two drive jobs of a task are claimed at one time",
        "SELECT task FROM job WHERE class = 'drive' AND state = 'claimed' GROUP BY task HAVING COUNT(*) > 1",
    ),
    (
        "two notices of a task, or two others of its aftermath, are claimed at one time",
        "SELECT task FROM job WHERE class = 'aftermath' AND state = 'claimed' GROUP BY task, effect = 'notify' HAVING COUNT(*) > 1",
    ),
    (
        "a live drive job belongs to an activity that was left",
        "SELECT j.id FROM job j JOIN task t ON t.id = j.task WHERE j.class = 'drive' AND j.state IN ('queued', 'claimed') AND j.epoch <> t.epoch",
    ),
    (
        "a terminal task has a live drive job",
        "SELECT j.id FROM job j JOIN task t ON t.id = j.task WHERE t.terminal AND j.class = 'drive' AND j.state IN ('queued', 'claimed')",
    ),
    (
        "a task is stuck: it neither waits for a person nor has a job",
        "SELECT t.id FROM task t WHERE activity IN ('running', 'judging', 'acting', 'waiting', 'stopping') AND NOT EXISTS (SELECT 1 FROM job j WHERE j.task = t.id AND j.class = 'drive' AND j.state IN ('queued', 'claimed'))",
    ),
    (
        "a queued job has an owner",
        "SELECT id FROM job WHERE state = 'queued' AND (owner IS NOT NULL OR pid IS NOT NULL OR started_at IS NOT NULL)",
    ),
    (
        "more runs are claimed than there are slots",
        "SELECT 1 WHERE (SELECT COUNT(*) FROM job WHERE slot = 1 AND (state = 'claimed' OR winding = 1)) > 2",
    ),
    (
        "a task believes in a lease that is not its own",
        "SELECT t.id FROM task t, json_each(t.body, '$.leases') l WHERE NOT EXISTS (SELECT 1 FROM lease WHERE project = t.project AND name = l.key AND holder = t.id AND token = l.value)",
    ),
    (
        "a lease is held by a task that does not know",
        "SELECT l.name FROM lease l JOIN task t ON t.id = l.holder WHERE COALESCE(json_extract(t.body, '$.leases.' || l.name), -1) <> l.token",
    ),
    (
        "a task stands in line that asks for nothing",
        "SELECT r.task FROM lease_request r JOIN task t ON t.id = r.task WHERE t.activity <> 'held' AND NOT EXISTS (SELECT 1 FROM job j WHERE j.task = r.task AND j.lease = r.name AND j.state = 'queued')",
    ),
    (
        "two live tasks are for one work item",
        "SELECT work_item FROM task WHERE terminal = 0 GROUP BY project, work_item HAVING COUNT(*) > 1",
    ),
    (
        "a version has no event",
        "SELECT t.id FROM task t WHERE t.version <> 1 + (SELECT COUNT(*) FROM event e WHERE e.task = t.id AND e.outcome = 'stepped')",
    ),
];

fn check(dir: &Path, store: &SqliteStore) {
    for task in store.tasks(false, 100).unwrap() {
        assert_eq!(store.rebuild(task.id).unwrap(), Vec::<String>::new());
    }
    let sql = Connection::open(dir.join("gatewright.db")).unwrap();
    for (what, query) in NEVER {
        assert!(!sql.prepare_cached(query).unwrap().exists([]).unwrap(), "{what}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tasks_are_what_their_entries_make_of_them(story in prop::collection::vec(happenings(), 1..90)) {
        // In memory where the machine has such a folder: what is shown here is no matter of the disk.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let mut world = World { dir: dir.path(), store: None, life: 0, now: 1_000_000, kept: Vec::new() };
        world.open();
        world.store().put_project(&small_project(), Timestamp(1)).unwrap();
        for happening in &story {
            world.happen(happening);
            check(dir.path(), world.store());
        }
        let ids = world.store().tasks(false, 100).unwrap().iter().map(|task| task.id).collect::<Vec<TaskId>>();
        world.open();
        prop_assert_eq!(world.store().tasks(false, 100).unwrap().iter().map(|task| task.id).collect::<Vec<_>>(), ids);
    }
}
