//! Whose turn it is: leases, serial projects, freezes and pauses (catalogue D1, D4 to D6, C2).

use conductor::ports::store::{ClaimLimits, JobRow, Predecessor, Project, Unmet, WaitReason};
use domain::effect::Claim;
use domain::event::{Answer, Event, Intent, Observation, StepFacts};
use domain::ids::{Actor, ProjectName, TaskId};
use domain::task::{Activity, HoldKind};
use domain::time::Milliseconds;

use super::Site;
use super::scene::{EVERYTHING, Scene, answered, commit, item, new_task, pass, person, project, project_of, stepped};
use super::tasks::stop;

pub(super) fn serial(scene: &Scene, serial: bool) {
    let project = Project { serial, ..project_of("small") };
    scene.store.put_project(&project, scene.now()).expect("the project is written");
}

pub(super) fn depend(scene: &Scene, task: TaskId, needs: TaskId) {
    let applied = scene.store.depend(task, needs, &person(), scene.now()).expect("the edge is written");
    stepped(&applied);
}

fn freeze(scene: &Scene, reason: Option<&str>) {
    scene.store.set_freeze(&project(), reason, &person(), scene.now()).expect("written");
}

/// The reason why the job that drives the task waits.
pub(super) fn reason(scene: &Scene, task: TaskId) -> Option<WaitReason> {
    reason_under(scene, task, &EVERYTHING)
}

pub(super) fn reason_under(scene: &Scene, task: TaskId, limits: &ClaimLimits) -> Option<WaitReason> {
    let jobs = scene.store.jobs(limits, scene.now(), 100).expect("the queue is read");
    let drives =
        |job: &&JobRow| job.task == task && job.state == "queued" && job.class == domain::effect::JobClass::Drive;
    let found = jobs.iter().filter(drives).collect::<Vec<_>>();
    assert_eq!(found.len(), 1, "a task that waits has one job that drives it");
    let own = scene.store.jobs_of(&[task], limits, scene.now()).expect("its queue is read");
    assert_eq!(own.iter().filter(drives).collect::<Vec<_>>(), found, "asked alone it waits for the same");
    found[0].reason.clone()
}

pub(super) fn named(scene: &Scene, task: TaskId) -> Predecessor {
    Predecessor { task, work_item: scene.task(task).work_item }
}

pub(super) fn needs(scene: &Scene, task: TaskId, prerequisite: Unmet) -> WaitReason {
    WaitReason::Dependency { waits_for: named(scene, task), prerequisite }
}

pub(super) fn behind(scene: &Scene, task: TaskId) -> WaitReason {
    WaitReason::ActiveTask { waits_for: named(scene, task) }
}

/// From a claimed run to the end of the task.
pub(super) fn finish(scene: &Scene, run: &Claim, head: char) {
    scene.develop(run, head);
    scene.pass(&scene.drive_to("judge"));
    let rebase = scene.drive_to("rebase");
    let facts = StepFacts { head: Some(commit(head)), base: Some(commit('1')), ..StepFacts::default() };
    scene.finish(&rebase, answered(&rebase, pass(), facts));
    let retest = scene.drive_to("retest");
    let facts = StepFacts { validated: Some(commit(head)), ..StepFacts::default() };
    scene.finish(&retest, answered(&retest, pass(), facts));
    let merge = scene.drive_to("merge");
    let facts = StepFacts { merged: Some(commit(head)), ..StepFacts::default() };
    scene.finish(&merge, answered(&merge, pass(), facts));
    let prove = scene.drive_to("prove-merged");
    let after = scene.pass(&prove);
    assert!(stepped(&after).end().is_some(), "it is done");
}

/// While another holds the lease, whoever needs it waits where it stands: no retry, no attempt, no other stage.
pub fn d1_1_a_lease_that_another_holds_defers_and_costs_no_retry(site: &dyn Site) {
    let scene = Scene::begin(site);
    let (first, second) = (scene.to_the_gate(1), scene.to_the_gate(2));
    scene.pass(&first);
    let holder = scene.drive_to("rebase");
    scene.pass(&second);
    scene.no_drive_job();
    let waiting = scene.task(second.job.task);
    assert_eq!(waiting.position.stage.as_str(), "landing");
    assert_eq!((waiting.retries, waiting.infra_retries, waiting.run_retries), (0, 0, 0));
    assert_eq!(reason(&scene, waiting.id), Some(WaitReason::Lease));
    let job = scene.jobs().into_iter().find(|job| job.task == waiting.id && job.state == "queued").expect("it waits");
    assert_eq!(job.attempts, 0);
    assert_eq!(holder.lease_token, scene.task(holder.job.task).leases.values().next().copied());
}

/// Whatever a task does, the lease of another stays the other's.
pub fn d1_2_a_lease_that_is_anothers_is_not_given_back(site: &dyn Site) {
    let scene = Scene::begin(site);
    let (first, second) = (scene.to_the_gate(1), scene.to_the_gate(2));
    scene.pass(&first);
    let holder = scene.drive_to("rebase").job.task;
    scene.pass(&second);
    stop(&scene, second.job.task);
    let leases = scene.store.leases().expect("read");
    assert_eq!(leases.iter().map(|row| row.2).collect::<Vec<_>>(), [Some(holder)]);
    assert_eq!(Some(leases[0].3), scene.task(holder).leases.values().next().copied());
}

/// Of three that were made at once the oldest begins; the next when it is done, the last when that was stopped.
pub fn d4_1_three_tasks_of_a_serial_project_go_one_after_the_other(site: &dyn Site) {
    let scene = Scene::begin(site);
    serial(&scene, true);
    let tasks = [1, 2, 3].map(|number| scene.begin_task(number));
    let run = scene.drive_to("launch-agent");
    assert_eq!(run.job.task, tasks[0]);
    scene.no_drive_job();
    assert_eq!(reason(&scene, tasks[1]), Some(behind(&scene, tasks[0])));
    assert_eq!(reason(&scene, tasks[2]), Some(behind(&scene, tasks[0])), "the first of those before it");
    finish(&scene, &run, 'a');
    let second = scene.drive_to("launch-agent");
    assert_eq!(second.job.task, tasks[1]);
    scene.no_drive_job();
    scene.store.give_back(second.job.id, second.token, scene.now(), "stopping").expect("given back");
    stepped(&scene.intend(tasks[1], Intent::Stop));
    let clean_up = scene.drive_to("clean-up");
    scene.no_drive_job();
    assert_eq!(
        reason(&scene, tasks[2]),
        Some(behind(&scene, tasks[1])),
        "a stop has not ended before its clean-up has"
    );
    stepped(&scene.finish(&clean_up, Event::CleanedUp { epoch: clean_up.job.epoch }));
    assert_eq!(scene.drive_to("launch-agent").job.task, tasks[2]);
}

/// A project that is idle takes its task, whatever another one's queue looks like.
pub fn d4_2_another_project_does_not_wait(site: &dyn Site) {
    let scene = Scene::begin(site);
    serial(&scene, true);
    let other = other_project(&scene, true);
    scene.begin_task(1);
    let held_back = scene.begin_task(2);
    let free = task_of(&scene, &other);
    let began = [scene.drive_to("launch-agent").job.task, scene.drive_to("launch-agent").job.task];
    assert!(began.contains(&free), "{began:?}");
    assert!(!began.contains(&held_back));
}

pub(super) fn other_project(scene: &Scene, serial: bool) -> ProjectName {
    let name = ProjectName::new("store").expect("a name");
    let project = Project { name: name.clone(), prefix: "STORE".to_owned(), serial, ..project_of("small") };
    scene.store.put_project(&project, scene.now()).expect("written");
    name
}

pub(super) fn task_of(scene: &Scene, project: &ProjectName) -> TaskId {
    let mut new = new_task(1);
    new.project = project.clone();
    new.work_item = "STORE-1".parse().expect("an id");
    scene.store.create_task(&new, scene.now()).expect("made").0
}

/// Switched off, all begin; switched on while they run, those who are inside go on.
pub fn d4_3_a_project_that_is_not_serial_lets_all_in(site: &dyn Site) {
    let scene = Scene::begin(site);
    serial(&scene, true);
    for number in 1..=3 {
        scene.begin_task(number);
    }
    let first = scene.drive_to("launch-agent");
    scene.no_drive_job();
    serial(&scene, false);
    let second = scene.drive_to("launch-agent");
    let third = scene.drive_to("launch-agent");
    serial(&scene, true);
    assert!(scene.store.projects().expect("read")[0].serial);
    scene.develop(&third, 'c');
    scene.develop(&second, 'b');
    assert_eq!([scene.drive_to("judge").job.task, scene.drive_to("judge").job.task].len(), 2);
    assert!(first.job.task < second.job.task && second.job.task < third.job.task);
}

/// What would cut the branch, be it a run or a gate, is not claimed before the turn comes: no branch is there.
pub fn a10_nothing_of_a_new_task_is_asked_before_its_turn(site: &dyn Site) {
    let scene = Scene::begin(site);
    serial(&scene, true);
    let first = scene.begin_task(1);
    let second = scene.begin_task(2);
    let run = scene.drive_to("launch-agent");
    scene.develop(&run, 'a');
    assert_eq!(scene.drive_to("judge").job.task, first);
    scene.no_drive_job();
    let waiting = scene.task(second);
    assert_eq!((waiting.branch, waiting.base), (None, None));
}

/// A deployed revision turned bad after its task was done: that freezes, and a restart thaws nothing.
pub fn d5_1_a_freeze_outlives_a_restart(site: &dyn Site) {
    let scene = Scene::begin(site);
    scene.begin_task(1);
    let run = scene.drive_to("launch-agent");
    let done = run.job.task;
    finish(&scene, &run, 'a');
    let degraded = Event::Observed { observation: Observation::WatchDegraded };
    stepped(&scene.store.apply(done, &degraded, scene.now()).expect("applied"));
    let waiting = scene.begin_task(2);
    drop(scene);
    let scene = Scene::go_on(site);
    scene.no_drive_job();
    assert_eq!(reason(&scene, waiting), Some(WaitReason::Freeze));
    let why = scene.store.freeze(&project()).expect("read").expect("it is frozen");
    assert!(why.contains("turned bad"), "{why}");
    let log = scene.store.freeze_log(&project(), 10).expect("read");
    assert_eq!(log.iter().map(|row| &row.actor).collect::<Vec<_>>(), [&Actor::Host]);
}

/// The thaw lets the next job on, and it is kept who wanted what.
pub fn d5_2_an_unfrozen_project_admits_again_and_says_who(site: &dyn Site) {
    let scene = Scene::begin(site);
    let task = scene.begin_task(1);
    freeze(&scene, Some("main is red"));
    freeze(&scene, Some("and still is"));
    scene.no_drive_job();
    assert_eq!(scene.store.freeze(&project()).expect("read").as_deref(), Some("main is red"), "the first reason stays");
    scene.store.set_freeze(&project(), None, &Actor::Token("ops".to_owned()), scene.now()).expect("thawed");
    scene.store.set_freeze(&project(), None, &person(), scene.now()).expect("it was thawed already");
    assert_eq!(scene.drive_to("launch-agent").job.task, task);
    let log = scene.store.freeze_log(&project(), 10).expect("read");
    let told = log.iter().map(|row| (row.actor.to_string(), row.reason.as_deref())).collect::<Vec<_>>();
    assert_eq!(
        told,
        [("ops".to_owned(), None), ("ada".to_owned(), Some("and still is")), ("ada".to_owned(), Some("main is red"))]
    );
    assert_eq!(scene.store.freeze_log(&project(), 1).expect("read").len(), 1, "the newest");
}

/// Neither another project nor a task that has begun waits for a thaw.
pub fn d5_3_a_freeze_stops_neither_other_projects_nor_who_is_inside(site: &dyn Site) {
    let scene = Scene::begin(site);
    let other = other_project(&scene, false);
    let inside = scene.to_the_gate(1);
    freeze(&scene, Some("main is red"));
    let outside = scene.begin_task(2);
    let free = task_of(&scene, &other);
    assert_eq!(scene.drive_to("launch-agent").job.task, free);
    scene.pass(&inside);
    assert_eq!(scene.drive_to("rebase").job.task, inside.job.task);
    scene.no_drive_job();
    assert_eq!(reason(&scene, outside), Some(WaitReason::Freeze));
}

/// A hold is no pause: whoever is blocked still comes first.
pub fn d6_1_a_blocked_predecessor_still_stands_before_others(site: &dyn Site) {
    let scene = Scene::begin(site);
    serial(&scene, true);
    let first = scene.to_the_gate(1);
    let second = scene.begin_task(2);
    let hold = Answer::Hold { kind: domain::verdict::GateHold::Blocked, reason: "mend it".to_owned() };
    scene.finish(&first, answered(&first, hold, StepFacts::default()));
    assert!(matches!(scene.task(first.job.task).position.activity, Activity::Held { .. }));
    scene.no_drive_job();
    assert_eq!(reason(&scene, second), Some(behind(&scene, first.job.task)));
}

/// Whoever has questions is not waited for: the answer may take days. Answered, it comes first again.
pub fn b7_3_a_task_that_waits_for_an_answer_lets_others_by(site: &dyn Site) {
    let scene = Scene::begin(site);
    serial(&scene, true);
    let first = scene.to_the_gate(1);
    let second = scene.begin_task(2);
    scene.no_drive_job();
    let asks = Answer::Hold { kind: domain::verdict::GateHold::NeedsInput, reason: "which cart?".to_owned() };
    scene.finish(&first, answered(&first, asks, StepFacts::default()));
    let run = scene.drive_to("launch-agent");
    assert_eq!(run.job.task, second);
    scene.store.give_back(run.job.id, run.token, scene.now(), "stopping").expect("given back");
    stop(&scene, second);
    let third = scene.begin_task(3);
    stepped(&scene.intend(first.job.task, Intent::Start));
    assert_eq!(scene.drive_to("launch-agent").job.task, first.job.task, "one run, with the answer");
    scene.no_drive_job();
    assert_eq!(reason(&scene, third), Some(behind(&scene, first.job.task)));
    scene.is_whole(first.job.task);
}

/// A person says that it shall not stand in the way: at its next step, while a run goes on, or while it is held.
pub fn d6_2_a_paused_predecessor_lets_others_by(site: &dyn Site) {
    let scene = Scene::begin(site);
    serial(&scene, true);
    let tasks = [1, 2, 3].map(|number| scene.begin_task(number));
    let first = scene.drive_to("launch-agent");
    stepped(&scene.intend(tasks[0], Intent::Pause));
    assert!(scene.task(tasks[0]).is_paused(), "from the wish on");
    let second = scene.drive_to("launch-agent");
    assert_eq!(second.job.task, tasks[1]);
    let gone = Event::Observed { observation: Observation::RefusedAtForge { by: "bob".to_owned() } };
    stepped(&scene.store.apply(tasks[1], &gone, scene.now()).expect("applied"));
    assert_eq!(reason(&scene, tasks[2]), Some(behind(&scene, tasks[1])));
    stepped(&scene.intend(tasks[1], Intent::Pause));
    assert_eq!(scene.drive_to("launch-agent").job.task, tasks[2], "held, and paused besides");
    scene.develop(&first, 'a');
    assert!(
        matches!(&scene.task(tasks[0]).position.activity, Activity::Held { hold } if hold.kind == HoldKind::Paused)
    );
    let fourth = scene.begin_task(4);
    scene.no_drive_job();
    assert_eq!(reason(&scene, fourth), Some(behind(&scene, tasks[2])), "the paused ones are not named");
    stepped(&scene.intend(tasks[0], Intent::Resume));
    assert_eq!(scene.drive_to("judge").job.task, tasks[0]);
    assert_eq!(reason(&scene, fourth), Some(behind(&scene, tasks[0])), "it is not paused any more");
    for task in tasks {
        scene.is_whole(task);
    }
}

/// A pause lets others by; it makes nothing done, and it thaws nothing.
pub fn d6_3_dependencies_and_freezes_ignore_a_pause(site: &dyn Site) {
    let scene = Scene::begin(site);
    serial(&scene, true);
    let [first, second] = [1, 2].map(|number| scene.begin_task(number));
    depend(&scene, second, first);
    stepped(&scene.intend(first, Intent::Pause));
    assert_eq!(scene.drive_to("launch-agent").job.task, first);
    scene.no_drive_job();
    assert_eq!(reason(&scene, second), Some(needs(&scene, first, Unmet::Unfinished)));
    let applied = scene.store.undepend(second, first, &person(), scene.now()).expect("removed");
    stepped(&applied);
    freeze(&scene, Some("main is red"));
    scene.no_drive_job();
    assert_eq!(reason(&scene, second), Some(WaitReason::Freeze));
}

/// With one slot, the job of a task whose turn has not come leaves it to another project's.
pub fn c2_1_a_job_that_waits_for_others_takes_no_slot(site: &dyn Site) {
    let scene = Scene::begin(site);
    let other = other_project(&scene, false);
    let gated = scene.begin_task(1);
    freeze(&scene, Some("main is red"));
    let free = task_of(&scene, &other);
    let one = ClaimLimits::of(1);
    let claims = std::iter::from_fn(|| scene.store.claim(&scene.me, &one, scene.now()).expect("claiming works"));
    let launched = claims.filter(|claim| claim.job.effect.name() == "launch-agent").collect::<Vec<_>>();
    assert_eq!(launched.iter().map(|claim| claim.job.task).collect::<Vec<_>>(), [free]);
    assert_eq!(reason_under(&scene, gated, &one), Some(WaitReason::Freeze), "and not the slot");
}

/// `freeze > dependency > active-task > space > slot > time`: all hold the same job, and one by one they are taken away.
pub fn each_waiting_job_has_one_reason_and_the_first_is_told(site: &dyn Site) {
    let scene = Scene::begin(site);
    serial(&scene, true);
    let first = scene.begin_task(1);
    let busy = scene.drive_to("launch-agent");
    let needed = scene.begin_task(2);
    let task = scene.begin_task(3);
    depend(&scene, task, needed);
    freeze(&scene, Some("main is red"));
    let narrow = ClaimLimits { may_launch: false, ..ClaimLimits::of(1) };
    let why = |limits: &ClaimLimits| reason_under(&scene, task, limits);
    assert_eq!(why(&narrow), Some(WaitReason::Freeze));
    freeze(&scene, None);
    assert_eq!(why(&narrow), Some(needs(&scene, needed, Unmet::Unfinished)));
    stepped(&scene.store.undepend(task, needed, &person(), scene.now()).expect("removed"));
    assert_eq!(why(&narrow), Some(behind(&scene, first)));
    serial(&scene, false);
    assert_eq!(why(&narrow), Some(WaitReason::Space));
    assert_eq!(why(&ClaimLimits { may_launch: true, ..narrow }), Some(WaitReason::Slot));
    assert_eq!(why(&EVERYTHING), None, "nothing holds it");
    let claims = [scene.drive_to("launch-agent"), scene.drive_to("launch-agent")];
    let own = claims.iter().find(|claim| claim.job.task == task).expect("it is claimed");
    let later = scene.now().plus(Milliseconds::from_seconds(60));
    scene.store.give_back(own.job.id, own.token, later, "later").expect("given back");
    assert_eq!(why(&EVERYTHING), Some(WaitReason::Time));
    assert_eq!(item(3), scene.task(task).work_item);
    assert!(busy.job.task == first);
}
