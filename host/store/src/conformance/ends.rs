//! What is still under way when a task ends, or shall end.

use domain::effect::Claim;
use domain::event::{Answer, Event, Intent, StepFacts};
use domain::task::{Activity, Terminality};

use super::Site;
use super::scene::{Scene, answered, commit, completion, host, pass, spent, stepped};

fn to_the_merge(scene: &Scene) -> Claim {
    scene.pass(&scene.to_the_gate(1));
    let rebase = scene.drive_to("rebase");
    let moved = StepFacts { head: Some(commit('b')), ..StepFacts::default() };
    scene.finish(&rebase, answered(&rebase, pass(), moved));
    let retest = scene.drive_to("retest");
    let tested = StepFacts { validated: Some(commit('b')), ..StepFacts::default() };
    scene.finish(&retest, answered(&retest, pass(), tested));
    scene.drive_to("merge")
}

fn merged() -> StepFacts {
    StepFacts { merged: Some(commit('b')), ..StepFacts::default() }
}

/// A run that ends nowhere: its task was stopped and is cancelled when its owner dies. Nothing is queued again; the next host
/// is told to end it, and what it cost is the task's cost.
pub fn h3_1_a_claim_that_outlives_its_task_is_not_queued_again(site: &dyn Site) {
    let mut scene = Scene::begin(site);
    let task = scene.begin_task(1);
    let run = scene.drive_to("launch-agent");
    scene.store.attempted(run.job.id, run.token, scene.now()).expect("it begins");
    stepped(&scene.intend(task, Intent::Stop));
    let clean_up = scene.drive_to("clean-up");
    stepped(&scene.finish(&clean_up, Event::CleanedUp { epoch: clean_up.job.epoch }));
    scene.no_drive_job();
    let ended = scene.task(task);
    assert_eq!(ended.end(), Some(Terminality::Cancelled));
    scene.me = host("another");
    assert_eq!(scene.store.reap(&|owner| owner.uuid == scene.me.uuid, scene.now()).expect("reaped"), 0);
    scene.no_drive_job();
    assert!(scene.jobs().iter().all(|job| job.state != "queued"));
    let (job, token) = scene.store.cancelled_claims(&scene.me).expect("read")[0];
    assert_eq!(job, run.job.id);
    scene.store.close_cancelled(job, token, Some(spent()), scene.now()).expect("closed");
    scene.no_drive_job();
    assert_eq!((scene.task(task).position, scene.task(task).spent), (ended.position, spent()));
}

/// Two hosts performed one job, for the first was taken for dead. Its task is done; what the first one says is too late.
pub fn d2_2_a_rollback_of_a_task_that_is_done_meanwhile_changes_nothing(site: &dyn Site) {
    let mut scene = Scene::begin(site);
    let first = to_the_merge(&scene);
    let task = first.job.task;
    scene.me = host("another");
    assert_eq!(scene.store.reap(&|owner| owner.uuid == scene.me.uuid, scene.now()).expect("reaped"), 1);
    let second = scene.drive_to("merge");
    scene.finish(&second, answered(&second, pass(), merged()));
    let proof = scene.drive_to("prove-merged");
    assert_eq!(stepped(&scene.pass(&proof)).end(), Some(Terminality::Done));
    scene.no_drive_job();
    let (done, entries) = (scene.task(task), scene.store.entries(task).expect("read"));
    assert!(scene.store.give_back(first.job.id, first.token, scene.now(), "mine").is_err());
    assert_eq!(scene.store.reap(&|_| false, scene.now()).expect("reaped"), 0);
    let back = Answer::Fail { findings: first.task.description.clone(), count: 1, title: "a conflict".to_owned() };
    let late = answered(&first, back, StepFacts::default());
    assert!(scene.store.complete(completion(&first, late, None), scene.now()).is_err());
    scene.no_drive_job();
    assert_eq!((scene.task(task), scene.store.entries(task).expect("read")), (done, entries));
    scene.is_whole(task);
}

/// Minutes or a day: while its owner lives, a job is the owner's, and no other begins the edge a second time.
pub fn d2_4_a_living_owner_keeps_its_job_however_long_it_takes(site: &dyn Site) {
    let mut scene = Scene::begin(site);
    let merge = to_the_merge(&scene);
    let me = scene.me.uuid.clone();
    scene.me = host("another");
    for seconds in [60, 301, 20 * 60, 86_400] {
        scene.pass_time(seconds);
        assert_eq!(scene.store.reap(&|owner| owner.uuid == me, scene.now()).expect("reaped"), 0);
        scene.no_drive_job();
    }
    stepped(&scene.finish(&merge, answered(&merge, pass(), merged())));
    scene.drive_to("prove-merged");
}

/// A stop during the merge only takes note. The host dies, the next one performs the merge anew, and where that does not land the
/// stop takes hold.
pub fn i4_5_a_stop_that_was_put_off_takes_hold_after_a_restart(site: &dyn Site) {
    let scene = Scene::begin(site);
    let merge = to_the_merge(&scene);
    let task = merge.job.task;
    scene.store.attempted(merge.job.id, merge.token, scene.now()).expect("it begins");
    let noted = scene.intend(task, Intent::Stop);
    assert!(matches!(stepped(&noted).position.activity, Activity::Acting { .. }));
    drop(scene);
    let mut scene = Scene::go_on(site);
    scene.me = host("another");
    scene.pass_time(60);
    assert_eq!(scene.store.reap(&|owner| owner.uuid == scene.me.uuid, scene.now()).expect("reaped"), 1);
    let again = scene.drive_to("merge");
    assert_eq!((again.job.id, again.task.stop_requested), (merge.job.id, true));
    let fail = Answer::Fail { findings: again.task.description.clone(), count: 1, title: "refused".to_owned() };
    let stopping = scene.finish(&again, answered(&again, fail, StepFacts::default()));
    assert_eq!(stepped(&stopping).position.activity, Activity::Stopping);
    let clean_up = scene.drive_to("clean-up");
    let cancelled = scene.finish(&clean_up, Event::CleanedUp { epoch: clean_up.job.epoch });
    assert_eq!(stepped(&cancelled).end(), Some(Terminality::Cancelled));
    assert_eq!(scene.store.leases().expect("read")[0].2, None);
    scene.is_whole(task);
}
