//! Claims: who may perform which job when, and what a token that has passed on can still do.

use std::collections::BTreeSet;
use std::thread;

use conductor::ports::store::{Applied, ClaimLimits, StoreError, WaitReason};
use domain::effect::{Claim, JobClass};
use domain::event::{Answer, Event, Intent, Observation, StepFacts};
use domain::ids::{Actor, FenceToken, TaskId};
use domain::task::Activity;
use domain::time::Milliseconds;
use domain::verdict::WakeSet;

use super::Site;
use super::scene::{Scene, answered, completion, delivered, host, project, spent, stepped};
use super::tasks::stop;

fn is_stale<T: std::fmt::Debug>(outcome: Result<T, StoreError>) {
    let error = outcome.expect_err("the token has passed on");
    assert!(matches!(error, StoreError::Stale { .. }), "{error}");
}

/// While a drive job is claimed, no other drive job of the task is; the next one comes with its completion.
pub fn a_task_is_driven_by_one_job_at_a_time(site: &dyn Site) {
    let scene = Scene::begin(site);
    let task = scene.begin_task(1);
    let claim = scene.drive_to("launch-agent");
    assert_eq!((claim.job.attempt, claim.job.attempted_before), (1, false));
    assert_eq!(claim.task, scene.task(task));
    scene.no_drive_job();
    assert_eq!(scene.store.claimed_jobs(task).expect("read"), [claim.job.id]);
    scene.develop(&claim, 'a');
    assert_eq!(scene.drive_to("judge").job.task, task);
}

/// A run needs a slot and a disk that is not full; a gate needs neither.
pub fn slots_and_disk_hold_back_launches_only(site: &dyn Site) {
    let scene = Scene::begin(site);
    let gate = scene.to_the_gate(1);
    scene.store.give_back(gate.job.id, gate.token, scene.now(), "later").expect("given back");
    scene.begin_task(2);
    scene.begin_task(3);
    let of = |limits: &ClaimLimits| {
        let mut found = Vec::new();
        while let Some(claim) = scene.store.claim(&scene.me, limits, scene.now()).expect("claiming works") {
            match claim.job.effect.class() {
                JobClass::Drive => found.push(claim),
                JobClass::Aftermath => {
                    scene.finish(&claim, Event::AftermathEnded { note: String::new() });
                }
            }
        }
        found.into_iter().map(|claim| claim.job.effect.name()).collect::<Vec<_>>()
    };
    assert_eq!(of(&ClaimLimits { may_launch: false, ..ClaimLimits::of(8) }), ["judge"]);
    assert_eq!(of(&ClaimLimits::of(1)), ["launch-agent"]);
    assert_eq!(of(&ClaimLimits::of(1)), Vec::<&str>::new());
    let one = ClaimLimits::of(1);
    let waiting = scene.store.jobs(&one, scene.now(), 100).expect("read");
    assert_eq!(waiting.iter().filter(|job| job.reason == Some(WaitReason::Slot)).count(), 1);
    assert_eq!(of(&ClaimLimits::of(2)), ["launch-agent"]);
}

/// Whoever holds an old token can neither complete nor give back nor announce: the job is another's.
pub fn a_stale_token_changes_nothing(site: &dyn Site) {
    let scene = Scene::begin(site);
    let task = scene.begin_task(1);
    let old = scene.drive_to("launch-agent");
    scene.store.reap(&|_| false, scene.now()).expect("reaped");
    let stale = |scene: &Scene| {
        is_stale(scene.store.complete(completion(&old, delivered(&old, 'a'), None), scene.now()));
        is_stale(scene.store.held(old.job.id, old.token));
        is_stale(scene.store.attempted(old.job.id, old.token, scene.now()));
        is_stale(scene.store.give_back(old.job.id, old.token, scene.now(), "mine"));
        is_stale(scene.store.close_cancelled(old.job.id, old.token, None, scene.now()));
    };
    let before = scene.task(task);
    stale(&scene);
    let new = scene.drive_to("launch-agent");
    assert_eq!(new.job.id, old.job.id);
    assert!(new.token > old.token);
    stale(&scene);
    assert_eq!(scene.task(task), before);
    scene.develop(&new, 'a');
    is_stale(scene.store.complete(completion(&new, delivered(&new, 'a'), None), scene.now()));
    scene.is_whole(task);
}

/// A job that was given back keeps its id, counts its attempts and remembers that one was on the point of acting.
pub fn what_is_given_back_comes_again_later(site: &dyn Site) {
    let scene = Scene::begin(site);
    scene.begin_task(1);
    let first = scene.drive_to("launch-agent");
    scene.store.held(first.job.id, first.token).expect("it is ours");
    scene.store.attempted(first.job.id, first.token, scene.now()).expect("noted");
    let later = scene.now().plus(Milliseconds::from_seconds(60));
    scene.store.give_back(first.job.id, first.token, later, "the program is missing").expect("given back");
    scene.no_drive_job();
    assert_eq!(scene.store.next_available(scene.now()).expect("read"), Some(later));
    let row = scene.jobs().into_iter().find(|job| job.id == first.job.id).expect("listed");
    assert_eq!((row.state.as_str(), row.reason, row.claimed_at), ("queued", Some(WaitReason::Time), None));
    scene.pass_time(61);
    let second = scene.drive_to("launch-agent");
    assert_eq!((second.job.id, second.job.attempt, second.job.attempted_before), (first.job.id, 2, true));
}

/// A claim outlives its host's connection: the same token completes it after a restart.
pub fn a_job_survives_a_restart_with_its_token(site: &dyn Site) {
    let scene = Scene::begin(site);
    scene.begin_task(1);
    let claim = scene.drive_to("launch-agent");
    scene.cut_branch(claim.job.task);
    drop(scene);
    let scene = Scene::go_on(site);
    scene.no_drive_job();
    stepped(&scene.finish(&claim, delivered(&claim, 'a')));
    scene.drive_to("judge");
}

/// Only the jobs of owners that are gone are taken; the new claim has a new token.
pub fn jobs_of_a_dead_owner_are_queued_again(site: &dyn Site) {
    let mut scene = Scene::begin(site);
    scene.begin_task(1);
    scene.begin_task(2);
    let lost = scene.drive_to("launch-agent");
    scene.me = host("another");
    let kept = scene.drive_to("launch-agent");
    assert_ne!(lost.job.id, kept.job.id);
    let reaped = scene.store.reap(&|owner| owner.uuid == scene.me.uuid, scene.now()).expect("reaped");
    assert_eq!(reaped, 1);
    let again = scene.drive_to("launch-agent");
    assert_eq!((again.job.id, again.job.attempt), (lost.job.id, 2));
    assert!(again.token > lost.token);
    scene.no_drive_job();
    assert_eq!(scene.store.reap(&|_| true, scene.now()).expect("reaped"), 0);
}

/// A stop cancels the run under its owner's hands. Until that has ended, only the clean-up may go on.
pub fn a_cancelled_claim_is_told_to_its_owner(site: &dyn Site) {
    let scene = Scene::begin(site);
    let task = scene.begin_task(1);
    let run = scene.drive_to("launch-agent");
    assert!(scene.store.cancelled_claims(&scene.me).expect("read").is_empty());
    stepped(&scene.intend(task, Intent::Stop));
    assert_eq!(scene.store.cancelled_claims(&scene.me).expect("read"), [(run.job.id, run.token)]);
    assert!(scene.store.cancelled_claims(&host("another")).expect("read").is_empty());
    is_stale(scene.store.attempted(run.job.id, run.token, scene.now()));
    let claims = std::iter::from_fn(|| scene.claim()).collect::<Vec<_>>();
    let find = |effect: &str| claims.iter().find(|claim| claim.job.effect.name() == effect).expect("it is claimed");
    let (clean_up, shown) = (find("clean-up").clone(), find("set-status"));
    assert_eq!(shown.job.task, task);
    // What is told of the task is no work in its clone.
    assert_eq!(scene.store.claimed_jobs(task).expect("read"), [run.job.id, clean_up.job.id]);
    scene.store.close_cancelled(run.job.id, run.token, Some(spent()), scene.now()).expect("closed");
    scene.store.close_cancelled(run.job.id, run.token, Some(spent()), scene.now()).expect("closed already");
    assert!(scene.store.cancelled_claims(&scene.me).expect("read").is_empty());
    assert_eq!(scene.task(task).spent, spent(), "counted once");
    stepped(&scene.finish(&clean_up, Event::CleanedUp { epoch: clean_up.job.epoch }));
    scene.is_whole(task);
}

/// A cancelled run still writes into the clone, and still takes a slot, until it is closed.
pub fn a_new_run_waits_for_the_end_of_the_cancelled_one(site: &dyn Site) {
    let scene = Scene::begin(site);
    let task = scene.begin_task(1);
    let run = scene.drive_to("launch-agent");
    let gone = Event::Observed { observation: Observation::GoneFromBoard { by: "ada".to_owned() } };
    stepped(&scene.store.apply(task, &gone, scene.now()).expect("applied"));
    stepped(&scene.intend(task, Intent::Resume));
    scene.no_drive_job();
    scene.begin_task(2);
    let one = ClaimLimits::of(1);
    let launched = std::iter::from_fn(|| scene.store.claim(&scene.me, &one, scene.now()).expect("claiming works"))
        .find(|claim| claim.job.effect.class() == JobClass::Drive);
    assert_eq!(launched, None, "the slot is not free");
    scene.store.close_cancelled(run.job.id, run.token, None, scene.now()).expect("closed");
    let again = scene.drive_to("launch-agent");
    assert_eq!(again.job.task, task);
    assert_ne!(again.job.id, run.job.id);
}

/// The run of a cancelled job outlives its host: the next one is told to end it.
pub fn a_cancelled_claim_of_a_dead_owner_is_anybodys(site: &dyn Site) {
    let mut scene = Scene::begin(site);
    let task = scene.begin_task(1);
    let run = scene.drive_to("launch-agent");
    stepped(&scene.intend(task, Intent::Stop));
    scene.me = host("another");
    assert_eq!(scene.store.reap(&|owner| owner.uuid == scene.me.uuid, scene.now()).expect("reaped"), 0);
    let orphans = scene.store.cancelled_claims(&scene.me).expect("read");
    assert_eq!(orphans.iter().map(|(job, _)| *job).collect::<Vec<_>>(), [run.job.id]);
    is_stale(scene.store.close_cancelled(run.job.id, run.token, None, scene.now()));
    scene.store.close_cancelled(run.job.id, orphans[0].1, None, scene.now()).expect("closed");
    assert!(scene.store.cancelled_claims(&scene.me).expect("read").is_empty());
}

/// A dead owner began it, nobody took it up yet, and it is cancelled: its run may live all the same, and somebody must end it.
pub fn what_a_dead_owner_began_is_ended_when_it_is_cancelled(site: &dyn Site) {
    let mut scene = Scene::begin(site);
    let task = scene.begin_task(1);
    let run = scene.drive_to("launch-agent");
    scene.store.attempted(run.job.id, run.token, scene.now()).expect("it begins");
    scene.me = host("another");
    assert_eq!(scene.store.reap(&|owner| owner.uuid == scene.me.uuid, scene.now()).expect("reaped"), 1);
    stepped(&scene.intend(task, Intent::Stop));
    assert_eq!(scene.store.claimed_jobs(task).expect("read"), [run.job.id], "the clean-up waits for it");
    let orphans = scene.store.cancelled_claims(&scene.me).expect("read");
    assert_eq!(orphans.iter().map(|(job, _)| *job).collect::<Vec<_>>(), [run.job.id]);
    is_stale(scene.store.close_cancelled(run.job.id, run.token, None, scene.now()));
    scene.store.close_cancelled(run.job.id, orphans[0].1, None, scene.now()).expect("closed");
}

/// What its owner gave back did not begin: cancelled later, it holds no place and nobody waits for its end.
pub fn what_is_given_back_did_not_begin(site: &dyn Site) {
    let scene = Scene::begin(site);
    let task = scene.begin_task(1);
    let run = scene.drive_to("launch-agent");
    scene.store.attempted(run.job.id, run.token, scene.now()).expect("it is about to begin");
    scene.store.give_back(run.job.id, run.token, scene.now().plus(Milliseconds(60_000)), "not now").expect("back");
    stepped(&scene.intend(task, Intent::Stop));
    assert!(scene.store.claimed_jobs(task).expect("read").is_empty());
    assert!(scene.store.cancelled_claims(&scene.me).expect("read").is_empty());
}

/// The run of a dead owner holds its place already, whatever the clock says since: nobody else may take it before.
pub fn what_a_dead_owner_began_comes_first(site: &dyn Site) {
    let mut scene = Scene::begin(site);
    scene.pass_time(3600);
    scene.begin_task(1);
    let begun = scene.drive_to("launch-agent");
    scene.store.attempted(begun.job.id, begun.token, scene.now()).expect("it begins");
    scene.back_by(1800);
    scene.begin_task(2);
    scene.me = host("another");
    assert_eq!(scene.store.reap(&|owner| owner.uuid == scene.me.uuid, scene.now()).expect("reaped"), 1);
    assert_eq!(scene.drive_to("launch-agent").job.id, begun.job.id);
}

/// Four claimers on four threads take each job once.
pub fn c1_3_racing_claimers_never_share_a_job(site: &dyn Site) {
    let scene = Scene::begin(site);
    let tasks = (1..=12).map(|number| scene.begin_task(number)).collect::<BTreeSet<_>>();
    let (store, now) = (&*scene.store, scene.now());
    let all = ClaimLimits::of(100);
    let claimed = thread::scope(|scope| {
        let claimers = ["a", "b", "c", "d"].map(|name| {
            let all = &all;
            scope.spawn(move || {
                let owner = host(name);
                std::iter::from_fn(|| store.claim(&owner, all, now).expect("claiming works")).collect::<Vec<Claim>>()
            })
        });
        claimers.into_iter().flat_map(|claimer| claimer.join().expect("it ends")).collect::<Vec<_>>()
    });
    let ids = claimed.iter().map(|claim| claim.job.id).collect::<BTreeSet<_>>();
    assert_eq!(ids.len(), claimed.len(), "a job was claimed twice");
    let driven = claimed.iter().filter(|claim| claim.job.effect.class() == JobClass::Drive);
    assert_eq!(driven.map(|claim| claim.job.task).collect::<BTreeSet<TaskId>>(), tasks);
}

/// What the world is told of a task is told in order: notices one after the other, and so the board. Neither waits for the other.
pub fn aftermath_is_told_in_order(site: &dyn Site) {
    let scene = Scene::begin(site);
    let task = scene.begin_task(1);
    stepped(&scene.intend(task, Intent::Stop));
    let claims = std::iter::from_fn(|| scene.claim()).collect::<Vec<_>>();
    let find = |claims: &[Claim], effect: &str| {
        let found = claims.iter().find(|claim| claim.job.effect.name() == effect).cloned();
        found.unwrap_or_else(|| panic!("no `{effect}` was claimed"))
    };
    let (entered, shown) = (find(&claims, "notify"), find(&claims, "set-status"));
    assert_eq!(claims.len(), 3, "and the clean-up; the second status waits for the first one");
    scene.finish(&find(&claims, "clean-up"), Event::CleanedUp { epoch: scene.task(task).epoch });
    assert_eq!(scene.claim(), None, "both lines are being told");
    scene
        .store
        .give_back(entered.job.id, entered.token, scene.now().plus(Milliseconds(60_000)), "no line")
        .expect("back");
    let told = || Event::AftermathEnded { note: "told".to_owned() };
    scene.finish(&shown, told());
    for effect in ["set-status", "post-comment", "set-status"] {
        let next = scene.claim().expect("the board's line goes on");
        assert_eq!(next.job.effect.name(), effect);
        assert!(next.job.id > shown.job.id);
        scene.finish(&next, told());
    }
    assert_eq!(scene.claim(), None, "the first notice waits, and so do those after it");
    scene.pass_time(61);
    let again = scene.claim().expect("its time has come");
    assert_eq!(again.job.id, entered.job.id);
    scene.finish(&again, told());
    let ended = scene.claim().expect("the next notice");
    assert_eq!(ended.job.effect.name(), "notify");
    assert!(ended.job.id > entered.job.id);
}

/// A frozen repository launches nothing for a task without a branch; who is inside goes on, and so do other projects.
pub fn a_freeze_admits_no_new_task(site: &dyn Site) {
    let scene = Scene::begin(site);
    let gate = scene.to_the_gate(1);
    scene.begin_task(2);
    scene.store.set_freeze(&project(), Some("main is red"), &Actor::Host, scene.now()).expect("frozen");
    assert_eq!(scene.store.freeze(&project()).expect("read").as_deref(), Some("main is red"));
    scene.no_drive_job();
    assert!(scene.jobs().iter().any(|job| job.reason == Some(WaitReason::Freeze)));
    let fail = Answer::Fail { findings: gate.task.description.clone(), count: 1, title: "red".to_owned() };
    scene.finish(&gate, answered(&gate, fail, StepFacts::default()));
    assert_eq!(scene.drive_to("launch-agent").job.task, gate.job.task, "inside already");
    scene.no_drive_job();
    scene.store.set_freeze(&project(), None, &Actor::Host, scene.now()).expect("thawed");
    assert_eq!(scene.store.freeze(&project()).expect("read"), None);
    scene.drive_to("launch-agent");
}

fn lease(scene: &Scene) -> (Option<TaskId>, FenceToken) {
    let leases = scene.store.leases().expect("read");
    assert_eq!(leases.len(), 1);
    (leases[0].2, leases[0].3)
}

/// Whoever stands in line with the smallest id is next, and each holder has a token that nobody had before.
pub fn a_lease_goes_to_the_smallest_task(site: &dyn Site) {
    let scene = Scene::begin(site);
    let gates = [1, 2, 3].map(|number| scene.to_the_gate(number));
    // The largest comes first to the line, and the holder is none of the others yet.
    scene.pass(&gates[2]);
    let third = scene.drive_to("rebase");
    assert_eq!(third.lease_token, Some(lease(&scene).1));
    scene.pass(&gates[1]);
    scene.pass(&gates[0]);
    scene.no_drive_job();
    assert_eq!(scene.jobs().iter().filter(|job| job.reason == Some(WaitReason::Lease)).count(), 2);
    // A failed rebase sends the holder back, and gives the lease back.
    let fail = Answer::Fail { findings: third.task.description.clone(), count: 1, title: "conflict".to_owned() };
    scene.finish(&third, answered(&third, fail, StepFacts::default()));
    assert_eq!(lease(&scene).0, None);
    let next = [scene.drive(), scene.drive()].map(|claim| claim.expect("a rebase and a launch"));
    let first = next.iter().find(|claim| claim.job.effect.name() == "rebase").expect("a rebase");
    assert_eq!(first.job.task, gates[0].job.task, "the smallest id");
    assert!(first.lease_token > third.lease_token, "tokens grow");
    assert_eq!(first.task.leases.values().next().copied(), first.lease_token);
    stop_while_others_wait(&scene, gates[0].job.task, first);
    assert_eq!(scene.drive_to("rebase").job.task, gates[1].job.task);
    scene.is_whole(gates[0].job.task);
}

/// A stopped holder gives its lease back too.
fn stop_while_others_wait(scene: &Scene, holder: TaskId, claim: &Claim) {
    scene.store.give_back(claim.job.id, claim.token, scene.now(), "stopping").expect("given back");
    stop(scene, holder);
}

/// A wait ends with its timer, which is a job with a later time.
pub fn a_waiting_task_is_woken_by_its_timer(site: &dyn Site) {
    let scene = Scene::begin(site);
    let gate = scene.to_the_gate(1);
    let until = scene.now().plus(Milliseconds::from_seconds(30));
    let wait = Answer::Wait { until, wake: WakeSet::empty(), why: "not yet".to_owned() };
    let applied = scene.finish(&gate, answered(&gate, wait, StepFacts::default()));
    assert!(matches!(stepped(&applied).position.activity, Activity::Waiting { .. }));
    scene.no_drive_job();
    scene.pass_time(31);
    let timer = scene.drive_to("timer");
    let fired = scene.finish(&timer, Event::TimerFired { epoch: timer.job.epoch });
    assert!(matches!(fired, Applied::Stepped { .. }));
    scene.drive_to("judge");
}
