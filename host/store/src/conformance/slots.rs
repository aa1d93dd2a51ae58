//! Places of runs: limits, what is held back by them, and the breakers of agent drivers.

use std::collections::BTreeMap;
use std::sync::Arc;

use conductor::breaker::{Breaker, COOL_DOWN, FAILURES};
use conductor::ports::store::{ClaimLimits, Each, NewTask, WaitReason};
use conductor::slots::{DriverRow, Place, Places, Seat, Sitter};
use domain::document::Role;
use domain::effect::{Claim, JobClass, run_of};
use domain::event::{Answer, Event, FailureClass, Intent, RunOutcome, StepFacts};
use domain::ids::{DriverName, ProjectName, WorkItemId};
use domain::time::Milliseconds;
use domain::verdict::WakeSet;

use super::Site;
use super::scene::{Scene, answered, completion, delivered, host, new_task, project, project_of, stepped};

fn driver(name: &str) -> DriverName {
    DriverName::new(name).expect("a name")
}

fn till() -> ProjectName {
    ProjectName::new("till").expect("a name")
}

fn place(repository: &str, agent: &str) -> Place {
    let sitter = Sitter { driver: Some(driver(agent)), missing: None };
    Place {
        runs: None,
        repository: repository.to_owned(),
        seats: BTreeMap::from([(Seat::Role(Role::Developer), sitter)]),
    }
}

fn places(of: Places) -> ClaimLimits {
    ClaimLimits { places: Some(Arc::new(of)), ..ClaimLimits::of(8) }
}

/// Two projects, each with a repository and a driver of its own.
fn apart() -> Places {
    BTreeMap::from([(project(), place("/shop", "claude")), (till(), place("/till", "codex"))])
}

/// Two tasks of each of two projects; `TILL-…` are those of the second.
fn four_tasks(scene: &Scene) {
    let mut other = project_of("small");
    (other.name, other.prefix) = (till(), "TILL".to_owned());
    scene.store.put_project(&other, scene.now()).expect("written");
    for number in 1..=2 {
        scene.begin_task(number);
        let work_item = WorkItemId::new(format!("TILL-{number:03}")).expect("an id");
        let new = NewTask { project: till(), work_item, ..new_task(number) };
        scene.store.create_task(&new, scene.now()).expect("made");
    }
}

/// The drive jobs that may be claimed under these limits; the aftermath is told on the way.
fn claims(scene: &Scene, limits: &ClaimLimits) -> Vec<Claim> {
    let mut found = Vec::new();
    while let Some(claim) = scene.store.claim(&scene.me, limits, scene.now()).expect("claiming works") {
        match claim.job.effect.class() {
            JobClass::Drive => found.push(claim),
            JobClass::Aftermath => drop(scene.finish(&claim, Event::AftermathEnded { note: String::new() })),
        }
    }
    found
}

fn items(claims: &[Claim]) -> Vec<&str> {
    claims.iter().map(|claim| claim.task.work_item.as_str()).collect()
}

fn reasons(scene: &Scene, limits: &ClaimLimits) -> Vec<(WaitReason, Option<String>)> {
    let jobs = scene.store.jobs(limits, scene.now(), 100).expect("read");
    jobs.into_iter().filter_map(|job| Some((job.reason?, job.note))).collect()
}

fn refused(claim: &Claim) -> Event {
    let (cause, class) = ("429".to_owned(), FailureClass::Transient);
    let retry_after = Some(Milliseconds::from_seconds(3600));
    let outcome = RunOutcome::Undelivered { cause, retry_after, class };
    Event::RunEnded { epoch: claim.job.epoch, run: run_of(claim.job.id), outcome, spent: None, role: None }
}

fn the_driver(scene: &Scene) -> DriverRow {
    scene.store.drivers().expect("read").pop().expect("one driver")
}

/// Of two runs one waits where one is the limit, over restarts and dead owners too.
pub fn c1_1_one_slot_is_never_shared(site: &dyn Site) {
    let mut scene = Scene::begin(site);
    scene.begin_task(1);
    scene.begin_task(2);
    let one = ClaimLimits::of(1);
    let first = claims(&scene, &one);
    assert_eq!(items(&first), ["SHOP-001"]);
    scene.store.attempted(first[0].job.id, first[0].token, scene.now()).expect("it begins");
    scene.me = host("another");
    scene.store.reap(&|_| false, scene.now()).expect("reaped");
    let again = claims(&scene, &one);
    assert_eq!(items(&again), ["SHOP-001"], "its run may live");
    scene.develop(&again[0], 'a');
    let next = claims(&scene, &one);
    assert_eq!(next.iter().map(|claim| claim.job.effect.name()).collect::<Vec<_>>(), ["launch-agent", "judge"]);
}

/// What an observed task would launch runs nowhere: it waits for nobody's slot, and nobody for its.
pub fn c1_1_an_observed_task_needs_no_slot(site: &dyn Site) {
    let scene = Scene::begin(site);
    let mut other = project_of("small");
    (other.name, other.prefix, other.observe) = (till(), "TILL".to_owned(), true);
    scene.store.put_project(&other, scene.now()).expect("written");
    scene.begin_task(1);
    scene.begin_task(2);
    for number in 1..=2 {
        let work_item = WorkItemId::new(format!("TILL-{number:03}")).expect("an id");
        let new = NewTask { project: till(), work_item, ..new_task(number) };
        scene.store.create_task(&new, scene.now()).expect("made");
    }
    let claims = claims(&scene, &ClaimLimits::of(1));
    let mut items = items(&claims);
    items.sort_unstable();
    assert_eq!(items, ["SHOP-001", "TILL-001", "TILL-002"]);
}

/// Each limit holds back whom it is about; what is held back says so and stands in nobody's way.
pub fn c2_1_what_a_limit_holds_back_takes_no_slot(site: &dyn Site) {
    let each = Each { project: 8, repository: 8, driver: 8 };
    let one_repository = BTreeMap::from([(project(), place("/one", "claude")), (till(), place("/one", "codex"))]);
    let one_driver = BTreeMap::from([(project(), place("/shop", "claude")), (till(), place("/till", "claude"))]);
    let mut narrow = apart();
    narrow.entry(project()).or_default().runs = Some(1);
    // Whose launches may be claimed: S of the first project, T of the second.
    let cases = [
        (ClaimLimits { each: Each { project: 1, ..each }, ..places(apart()) }, "ST", "project"),
        (ClaimLimits { each: Each { repository: 1, ..each }, ..places(one_repository) }, "S|T", "repository"),
        (ClaimLimits { each: Each { driver: 1, ..each }, ..places(one_driver) }, "S|T", "driver"),
        (ClaimLimits { drivers: BTreeMap::from([(driver("claude"), 1)]), ..places(apart()) }, "STT", "driver"),
        (places(narrow), "STT", "project"),
    ];
    let scene = Scene::begin(site);
    four_tasks(&scene);
    for (limits, expected, word) in cases {
        let found = claims(&scene, &limits);
        let mut whose: Vec<char> = items(&found).iter().filter_map(|item| item.chars().next()).collect();
        whose.sort_unstable();
        let whose: String = whose.into_iter().collect();
        assert!(expected.split('|').any(|expected| whose == expected), "{word}: {whose}");
        let held = reasons(&scene, &limits);
        assert_eq!(held.len(), 4 - found.len());
        for (reason, note) in held {
            assert_eq!(reason, WaitReason::Slot);
            assert!(note.as_deref().is_some_and(|note| note.contains(word)), "{note:?}");
        }
        for claim in &found {
            scene.store.give_back(claim.job.id, claim.token, scene.now(), "again").expect("given back");
        }
        assert_eq!(scene.store.drivers().expect("read"), [], "what is given back counts no more");
    }
}

/// However many wait for one place, who waits for another is found behind them; and nobody, where all places are closed.
pub fn c2_1_a_crowd_that_is_held_back_stands_in_nobodys_way(site: &dyn Site) {
    let scene = Scene::begin(site);
    for number in 3..=70 {
        scene.begin_task(number);
    }
    four_tasks(&scene);
    let mut missing = apart();
    let mut close = |project: ProjectName| {
        let sitter = missing.entry(project).or_default().seats.entry(Seat::Role(Role::Developer)).or_default();
        sitter.missing = Some("there is no such program".to_owned());
        places(missing.clone())
    };
    let one_closed = close(project());
    let found = claims(&scene, &one_closed);
    assert_eq!(items(&found), ["TILL-001", "TILL-002"]);
    for claim in &found {
        scene
            .store
            .give_back(claim.job.id, claim.token, scene.now().plus(Milliseconds(60_000)), "later")
            .expect("back");
    }
    assert_eq!(items(&claims(&scene, &one_closed)), Vec::<&str>::new(), "nobody else waits for a place that is open");
    scene.pass_time(60);
    let all_closed = close(till());
    assert_eq!(items(&claims(&scene, &all_closed)), Vec::<&str>::new());
    let open = ClaimLimits { runs: 100, ..places(apart()) };
    assert_eq!(claims(&scene, &open).len(), 72);
}

/// A program that is missing keeps its jobs queued at no cost, and others run.
pub fn c4_1_a_missing_program_holds_back_its_own_jobs(site: &dyn Site) {
    let scene = Scene::begin(site);
    four_tasks(&scene);
    let mut missing = apart();
    let sitter = missing.entry(project()).or_default().seats.entry(Seat::Role(Role::Developer)).or_default();
    sitter.missing = Some("there is no `claude`".to_owned());
    let without = places(missing);
    assert_eq!(items(&claims(&scene, &without)), ["TILL-001", "TILL-002"]);
    let why = Some("there is no `claude`".to_owned());
    assert_eq!(reasons(&scene, &without), [(WaitReason::Program, why.clone()), (WaitReason::Program, why)]);
    let back = claims(&scene, &places(apart()));
    assert_eq!(items(&back), ["SHOP-001", "SHOP-002"]);
    assert!(back.iter().all(|claim| claim.job.attempt == 1), "no attempt was counted meanwhile");
}

/// The driver is stamped at the claim, and a run that a dead owner began counts for it until it is taken up.
pub fn a_run_counts_for_the_driver_that_launched_it(site: &dyn Site) {
    let mut scene = Scene::begin(site);
    four_tasks(&scene);
    let one = ClaimLimits { each: Each { driver: 1, ..ClaimLimits::of(8).each }, ..places(apart()) };
    let found = claims(&scene, &one);
    let drivers: Vec<_> = found.iter().filter_map(|claim| claim.driver.clone()).collect();
    assert_eq!(drivers, [driver("claude"), driver("codex")]);
    for claim in &found {
        scene.store.attempted(claim.job.id, claim.token, scene.now()).expect("it begins");
    }
    scene.me = host("another");
    scene.store.reap(&|_| false, scene.now()).expect("reaped");
    let counted: Vec<_> = scene.store.drivers().expect("read").into_iter().map(|row| (row.driver, row.runs)).collect();
    assert_eq!(counted, [(driver("claude"), 1), (driver("codex"), 1)]);
    // The file names another agent now; what lives was launched by the old one.
    let edited = BTreeMap::from([(project(), place("/shop", "other")), (till(), place("/till", "codex"))]);
    let edited = ClaimLimits { places: Some(Arc::new(edited)), ..one };
    let again = claims(&scene, &edited);
    let drivers: Vec<_> = again.iter().map(|claim| (claim.task.work_item.as_str(), claim.driver.clone())).collect();
    let expected = [("SHOP-001", "claude"), ("TILL-001", "codex"), ("SHOP-002", "other")];
    assert_eq!(drivers, expected.map(|(item, name)| (item, Some(driver(name)))));
}

/// The end of a run feeds its driver's breaker in the transaction that closes the job.
pub fn c4_2_a_breaker_is_fed_by_outcomes_and_outlives_a_restart(site: &dyn Site) {
    let scene = Scene::begin(site);
    let limits = places(apart());
    for number in 1..=FAILURES + 2 {
        scene.begin_task(number);
    }
    let found = claims(&scene, &limits);
    for claim in &found[..FAILURES as usize] {
        scene.finish(claim, refused(claim));
    }
    let row = the_driver(&scene);
    let Breaker::Open { until, trips: 0, .. } = row.breaker else { panic!("{row:?}") };
    assert_eq!((row.driver.as_str(), row.runs), ("claude", 2));
    drop(scene);
    let scene = Scene::go_on(site);
    scene.pass_time(1);
    assert_eq!(the_driver(&scene).breaker.word(), "open");
    scene.begin_task(20);
    assert_eq!(items(&claims(&scene, &limits)), Vec::<&str>::new());
    let held = reasons(&scene, &limits);
    assert!(held.iter().all(|(reason, note)| *reason == WaitReason::Breaker && note.is_some()), "{held:?}");
    scene.pass_time(COOL_DOWN.0 / 1000);
    assert!(scene.now() >= until);
    let probe = claims(&scene, &limits);
    assert_eq!(items(&probe), ["SHOP-020"], "one goes ahead to see");
    assert_eq!(the_driver(&scene).breaker.word(), "half-open");
    scene.develop(&probe[0], 'a');
    assert_eq!(the_driver(&scene).breaker, Breaker::default());
}

/// A probe whose job is given back or stopped leaves its way to the next one; a run that failed by itself says nothing.
pub fn c4_2_a_probe_without_an_answer_leaves_its_way_to_another(site: &dyn Site) {
    let scene = Scene::begin(site);
    let limits = places(apart());
    for number in 1..=FAILURES {
        scene.begin_task(number);
    }
    for claim in claims(&scene, &limits) {
        scene.finish(&claim, refused(&claim));
    }
    scene.begin_task(20);
    scene.begin_task(21);
    scene.pass_time(COOL_DOWN.0 / 1000);
    let first = claims(&scene, &limits).remove(0);
    let later = scene.now().plus(Milliseconds::from_seconds(3600));
    scene.store.give_back(first.job.id, first.token, later, "not now").expect("given back");
    let second = claims(&scene, &limits).remove(0);
    assert_ne!(second.job.id, first.job.id);
    assert!(claims(&scene, &limits).is_empty());
    stepped(&scene.intend(second.job.task, Intent::Stop));
    scene.store.close_cancelled(second.job.id, second.token, None, scene.now()).expect("closed");
    scene.begin_task(22);
    let third = claims(&scene, &limits).into_iter().find(|claim| claim.job.effect.name() == "launch-agent");
    let third = third.expect("the next one goes ahead");
    let (cause, class) = ("exit 1".to_owned(), FailureClass::Permanent);
    let outcome = RunOutcome::Undelivered { cause, retry_after: None, class };
    let ended = Event::RunEnded { epoch: third.job.epoch, run: run_of(third.job.id), outcome, spent: None, role: None };
    scene.finish(&third, ended);
    assert_eq!(the_driver(&scene).breaker.word(), "half-open");
    let fourth = claims(&scene, &limits);
    assert_eq!(fourth.len(), 1, "and the next");
    scene.is_whole(fourth[0].job.task);
}

/// A dead owner's job is queued again once, and a second look finds nothing.
pub fn c7_1_a_dead_owners_job_is_queued_again_once(site: &dyn Site) {
    let mut scene = Scene::begin(site);
    scene.begin_task(1);
    let lost = scene.drive_to("launch-agent");
    scene.me = host("another");
    let reap = |scene: &Scene| scene.store.reap(&|owner| owner.uuid == scene.me.uuid, scene.now()).expect("reaped");
    assert_eq!((reap(&scene), reap(&scene)), (1, 0));
    let again = scene.drive_to("launch-agent");
    assert_eq!((again.job.id, again.job.attempt), (lost.job.id, 2));
    scene.no_drive_job();
    assert!(scene.store.complete(completion(&lost, delivered(&lost, 'a'), None), scene.now()).is_err());
    scene.develop(&again, 'a');
    scene.is_whole(again.job.task);
}

/// What waits for its time has no slot: at one slot another task's run is launched meanwhile.
pub fn c8_2_what_waits_for_its_time_takes_no_slot(site: &dyn Site) {
    let scene = Scene::begin(site);
    let gate = scene.to_the_gate(1);
    let until = scene.now().plus(Milliseconds::from_seconds(30));
    let wait = Answer::Wait { until, wake: WakeSet::empty(), why: "the hook runs".to_owned() };
    scene.finish(&gate, answered(&gate, wait, StepFacts::default()));
    scene.begin_task(2);
    let one = ClaimLimits::of(1);
    assert_eq!(items(&claims(&scene, &one)), ["SHOP-002"]);
    scene.pass_time(31);
    let ticks: Vec<_> = claims(&scene, &one).iter().map(|claim| claim.job.effect.name()).collect();
    assert_eq!(ticks, ["timer"], "and its tick needs none either");
}
