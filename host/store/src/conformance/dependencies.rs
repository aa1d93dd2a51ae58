//! Tasks that need others (catalogue D7).

use conductor::ports::store::{Applied, ClaimLimits, EntryRow, Prerequisite, StoreError, Unmet};
use domain::entry::Entry;
use domain::event::{Event, Intent};
use domain::ids::TaskId;
use engine::Rejected;

use super::Site;
use super::ownership::{behind, depend, finish, named, needs, other_project, reason, reason_under, serial, task_of};
use super::scene::{Scene, delivered, host, new_item, new_task, person, stepped};
use super::tasks::stop;

fn refused<T: std::fmt::Debug>(answer: Result<T, StoreError>, words: &str) {
    let Err(StoreError::Refused(why)) = &answer else { panic!("{answer:?} is no refusal") };
    assert!(why.to_string().contains(words), "{why}");
}

/// B runs after A is done, and until then its job takes no slot.
pub fn d7_1_a_task_runs_after_what_it_needs_and_waits_without_a_slot(site: &dyn Site) {
    let scene = Scene::begin(site);
    let [dependent, needed] = [1, 2].map(|number| scene.begin_task(number));
    depend(&scene, dependent, needed);
    let one = ClaimLimits::of(1);
    let run = std::iter::from_fn(|| scene.store.claim(&scene.me, &one, scene.now()).expect("claiming works"))
        .find(|claim| claim.job.effect.name() == "launch-agent")
        .expect("the slot is free");
    assert_eq!(run.job.task, needed, "though it is the younger one");
    assert_eq!(reason_under(&scene, dependent, &one), Some(needs(&scene, needed, Unmet::Unfinished)));
    let row = |unmet| [Prerequisite { needs: named(&scene, needed), unmet }];
    assert_eq!(scene.store.prerequisites(dependent).expect("read"), row(Some(Unmet::Unfinished)));
    finish(&scene, &run, 'a');
    assert_eq!(scene.drive_to("launch-agent").job.task, dependent);
    assert_eq!(scene.store.prerequisites(dependent).expect("read"), row(None));
    let late = scene.begin_task(3);
    depend(&scene, late, needed);
    assert_eq!(scene.drive_to("launch-agent").job.task, late, "what is done holds nobody");
    for task in [dependent, needed, late] {
        scene.is_whole(task);
    }
}

/// An edge that would close a cycle is not written, whatever its length; the answer says which.
pub fn d7_2_a_cycle_is_refused_and_named(site: &dyn Site) {
    let scene = Scene::begin(site);
    let [a, b, c] = [1, 2, 3].map(|number| scene.begin_task(number));
    refused(scene.store.depend(a, a, &person(), scene.now()), "cannot need itself");
    depend(&scene, a, b);
    let again = scene.store.depend(a, b, &person(), scene.now()).expect("answered");
    assert_eq!(again, Applied::Rejected(Rejected::Duplicate));
    refused(scene.store.depend(b, a, &person(), scene.now()), "SHOP-002 needs SHOP-001, SHOP-001 needs SHOP-002");
    depend(&scene, b, c);
    let words = "SHOP-003 needs SHOP-001, SHOP-001 needs SHOP-002, SHOP-002 needs SHOP-003";
    refused(scene.store.depend(c, a, &person(), scene.now()), words);
    assert_eq!(scene.drive_to("launch-agent").job.task, c);
    scene.no_drive_job();
    assert_eq!(scene.store.hold_cycles(scene.now()).expect("looked"), 0);
    stepped(&scene.store.undepend(a, b, &person(), scene.now()).expect("removed"));
    depend(&scene, c, a);
}

/// A stop lets nobody on in silence: the dependents are told, and wait for a person, or for the work item's next task.
pub fn d7_what_was_stopped_does_not_let_on_and_a_later_task_does(site: &dyn Site) {
    let scene = Scene::begin(site);
    let [first, needed] = [1, 2].map(|number| scene.begin_task(number));
    let third = scene.begin_task(3);
    depend(&scene, first, needed);
    depend(&scene, third, needed);
    let run = scene.drive_to("launch-agent");
    scene.store.give_back(run.job.id, run.token, scene.now(), "stopping").expect("given back");
    stop(&scene, needed);
    scene.no_drive_job();
    assert_eq!(reason(&scene, first), Some(needs(&scene, needed, Unmet::Cancelled)));
    for task in [first, third] {
        let entries = scene.store.entries(task).expect("read");
        let told = |row: &EntryRow| matches!(row.entry, Entry::PrerequisiteCancelled { .. });
        assert_eq!(entries.iter().filter(|row| told(row)).count(), 1);
    }
    let late = scene.begin_task(4);
    refused(scene.store.depend(late, needed, &person(), scene.now()), "SHOP-002 was stopped");
    stop_by_itself(&scene, late);
    // A person lets one of them on without it.
    stepped(&scene.store.undepend(third, needed, &person(), scene.now()).expect("removed"));
    assert_eq!(scene.drive_to("launch-agent").job.task, third);
    // And starts the work item again: the other one waits for the new task.
    let again = scene.begin_task(2);
    assert_eq!(reason(&scene, first), Some(needs(&scene, again, Unmet::Unfinished)));
    refused(
        scene.store.depend(again, first, &person(), scene.now()),
        "SHOP-002 needs SHOP-001, SHOP-001 needs SHOP-002",
    );
    finish(&scene, &scene.drive_to("launch-agent"), 'b');
    assert_eq!(scene.drive_to("launch-agent").job.task, first);
    for task in [first, needed, third, again] {
        scene.is_whole(task);
    }
}

fn stop_by_itself(scene: &Scene, task: TaskId) {
    stepped(&scene.intend(task, Intent::Stop));
    let clean_up = scene.drive_to("clean-up");
    assert_eq!(clean_up.job.task, task);
    stepped(&scene.finish(&clean_up, Event::CleanedUp { epoch: clean_up.job.epoch }));
}

/// What a card was made with stands before the first job of its task can be claimed. It counts for one task alone.
pub fn d7_a_card_brings_its_needs_along(site: &dyn Site) {
    let scene = Scene::begin(site);
    let needed = scene.begin_task(77);
    let mut card = new_item("To do");
    card.after = vec![needed];
    let card = scene.store.create_item(&card, scene.now()).expect("made");
    let mut new = new_task(1);
    new.work_item = card.work_item.clone();
    let (task, _) = scene.store.create_task(&new, scene.now()).expect("made");
    assert_eq!(scene.drive_to("launch-agent").job.task, needed);
    scene.no_drive_job();
    assert_eq!(reason(&scene, task), Some(needs(&scene, needed, Unmet::Unfinished)));
    scene.is_whole(task);
    stop_by_itself(&scene, task);
    let (again, _) = scene.store.create_task(&new, scene.now()).expect("made");
    assert_eq!(scene.store.prerequisites(again).expect("read"), []);
    let mut card = new_item("To do");
    card.after = vec![TaskId(99)];
    assert!(matches!(scene.store.create_item(&card, scene.now()), Err(StoreError::NotFound { .. })));
}

/// An edge across projects is refused, at the task and at the card.
pub fn d7_only_tasks_of_one_project_need_each_other(site: &dyn Site) {
    let scene = Scene::begin(site);
    let other = other_project(&scene, false);
    let (task, foreign) = (scene.begin_task(1), task_of(&scene, &other));
    refused(scene.store.depend(task, foreign, &person(), scene.now()), "STORE-1 is of the project `store`");
    let mut card = new_item("To do");
    card.after = vec![foreign];
    refused(scene.store.create_item(&card, scene.now()), "STORE-1 is of the project `store`");
}

/// A task that stands in line and needs another leaves the lease to those behind it: one of them may be the other.
pub fn d7_who_needs_another_keeps_nobody_from_a_lease(site: &dyn Site) {
    let scene = Scene::begin(site);
    let gates = [1, 2].map(|number| scene.to_the_gate(number));
    let [first, second] = gates.each_ref().map(|gate| gate.job.task);
    scene.pass(&gates[0]);
    depend(&scene, first, second);
    scene.pass(&gates[1]);
    let rebase = scene.drive_to("rebase");
    assert_eq!(rebase.job.task, second, "the larger id, and yet");
    scene.no_drive_job();
    // Whoever has the lease takes no edge: it may be what the other one waits for.
    let third = scene.begin_task(3);
    let answer = scene.store.depend(second, third, &person(), scene.now()).expect("answered");
    assert!(matches!(answer, Applied::Rejected(Rejected::Illegal(_))), "{answer:?}");
}

/// An earlier task that itself waits for one that is not done does not hold the later ones: it may wait for them.
pub fn d7_a_serial_project_does_not_wait_for_who_waits(site: &dyn Site) {
    let scene = Scene::begin(site);
    serial(&scene, true);
    let [first, second, third] = [1, 2, 3].map(|number| scene.begin_task(number));
    depend(&scene, first, third);
    let run = scene.drive_to("launch-agent");
    assert_eq!(run.job.task, second);
    assert_eq!(reason(&scene, third), Some(behind(&scene, second)));
    finish(&scene, &run, 'a');
    let run = scene.drive_to("launch-agent");
    assert_eq!(run.job.task, third);
    finish(&scene, &run, 'b');
    assert_eq!(scene.drive_to("launch-agent").job.task, first);
}

/// A run that lives is adopted, whatever its task was said to need meanwhile.
pub fn d7_what_a_dead_owner_began_is_found_though_it_needs_another(site: &dyn Site) {
    let mut scene = Scene::begin(site);
    let [first, second] = [1, 2].map(|number| scene.begin_task(number));
    let run = scene.drive_to("launch-agent");
    assert_eq!(run.job.task, first);
    scene.cut_branch(first);
    scene.store.attempted(run.job.id, run.token, scene.now()).expect("it begins");
    depend(&scene, first, second);
    scene.me = host("another");
    assert_eq!(scene.store.reap(&|owner| owner.uuid == scene.me.uuid, scene.now()).expect("reaped"), 1);
    let found = scene.drive_to("launch-agent");
    assert_eq!((found.job.id, found.job.attempted_before), (run.job.id, true));
    stepped(&scene.finish(&found, delivered(&found, 'a')));
    assert_eq!(scene.drive_to("launch-agent").job.task, second);
    assert_eq!(reason(&scene, first), Some(needs(&scene, second, Unmet::Unfinished)), "its gate waits");
}

/// Folding the entries anew tells of edges and pauses, which stand in rows of their own.
pub fn d7_the_rows_beside_a_task_are_compared_too(site: &dyn Site) {
    let scene = Scene::begin(site);
    let [first, second] = [1, 2].map(|number| scene.begin_task(number));
    depend(&scene, first, second);
    stepped(&scene.intend(first, Intent::Pause));
    scene.is_whole(first);
    drop(scene);
    let scene = Scene::go_on(site);
    scene.is_whole(first);
    assert_eq!(scene.task(first).needs.iter().copied().collect::<Vec<_>>(), [second]);
    stepped(&scene.intend(first, Intent::Stop));
    scene.is_whole(first);
}
