//! Tasks: made once, stepped by events, rebuilt from their entries.

use conductor::ports::store::{Applied, StoreError};
use domain::document::{DocumentKind, NewDocument, Role};
use domain::effect::{Claim, run_of};
use domain::entry::Entry;
use domain::event::{Event, Intent, RunOutcome, StepFacts};
use domain::ids::{JobId, TaskId};
use domain::task::{Activity, Terminality};
use engine::Rejected;

use super::Site;
use super::scene::{Scene, answered, commit, delivered, intent, item, new_task, pass, project, spent, stepped};

/// Creating a task for a work item that has a live one returns that one.
pub fn a_live_work_item_has_one_task(site: &dyn Site) {
    let scene = Scene::begin(site);
    let (first, made) = scene.store.create_task(&new_task(1), scene.now()).expect("made");
    let (again, made_again) = scene.store.create_task(&new_task(1), scene.now()).expect("found");
    assert_eq!((first, true), (again, made));
    assert!(!made_again);
    assert_ne!(scene.begin_task(2), first);
    let task = scene.task(first);
    assert_eq!(task.title, "Item 1");
    assert_eq!(scene.store.blob(&task.description).expect("the text is kept"), b"What item 1 asks for.");
    assert_eq!(scene.store.tasks(true, 10).expect("read").len(), 2);
}

/// After a stop the same work item makes another task.
pub fn a_stopped_work_item_may_begin_anew(site: &dyn Site) {
    let scene = Scene::begin(site);
    let first = scene.begin_task(1);
    stop(&scene, first);
    assert_eq!(scene.task(first).end(), Some(Terminality::Cancelled));
    let second = scene.begin_task(1);
    assert_ne!(first, second);
    assert_eq!(scene.store.task_of(&project(), &item(1)).expect("read").map(|task| task.id), Some(second));
    assert_eq!(scene.store.tasks(true, 10).expect("read").len(), 1);
    assert_eq!(scene.store.tasks(false, 10).expect("read").len(), 2);
    scene.is_whole(first);
}

pub(super) fn stop(scene: &Scene, task: TaskId) {
    stepped(&scene.intend(task, Intent::Stop));
    let claim = scene.drive_to("clean-up");
    stepped(&scene.finish(&claim, Event::CleanedUp { epoch: claim.job.epoch }));
}

/// Tasks, entries, jobs and projects are the same after the store was opened anew.
pub fn what_was_acknowledged_is_there_after_a_restart(site: &dyn Site) {
    let scene = Scene::begin(site);
    let claim = scene.to_the_gate(1);
    let (task, entries, jobs) = (
        scene.task(claim.job.task),
        scene.store.entries(claim.job.task).expect("read"),
        scene.jobs().into_iter().map(|job| (job.id, job.state)).collect::<Vec<_>>(),
    );
    let projects = scene.store.projects().expect("read");
    drop(scene);
    let scene = Scene::go_on(site);
    assert_eq!(scene.task(claim.job.task), task);
    assert_eq!(scene.store.entries(claim.job.task).expect("read"), entries);
    assert_eq!(scene.jobs().into_iter().map(|job| (job.id, job.state)).collect::<Vec<_>>(), jobs);
    assert_eq!(scene.store.projects().expect("read"), projects);
    scene.is_whole(claim.job.task);
}

/// A rejected event is an answer and no error: version and entries stay.
pub fn a_rejected_event_changes_nothing(site: &dyn Site) {
    let scene = Scene::begin(site);
    let task = scene.begin_task(1);
    let (before, entries) = (scene.task(task), scene.store.entries(task).expect("read"));
    let applied = scene.intend(task, Intent::Approve);
    assert!(matches!(applied, Applied::Rejected(Rejected::Illegal(_))), "{applied:?}");
    assert_eq!(scene.task(task), before);
    assert_eq!(scene.store.entries(task).expect("read"), entries);
}

/// The whole way, with the lease on it; at the end nothing drives the task, and nothing moves it.
pub fn a_task_walks_to_the_end_and_stays_there(site: &dyn Site) {
    let scene = Scene::begin(site);
    let gate = scene.to_the_gate(1);
    let id = gate.job.task;
    scene.pass(&gate);
    let end = land(&scene);
    assert_eq!(end, Some(Terminality::Done));
    scene.no_drive_job();
    let done = scene.task(id);
    for event in
        [intent(Intent::Stop), Event::Panicked { message: "late".to_owned(), unanswered: false }, delivered(&gate, 'f')]
    {
        scene.store.apply(id, &event, scene.now()).expect("answered");
        assert_eq!(scene.task(id).position, done.position);
    }
    assert_eq!(scene.store.leases().expect("read")[0].2, None, "the lease was given back");
    scene.is_whole(id);
}

fn land(scene: &Scene) -> Option<Terminality> {
    let rebase = scene.drive_to("rebase");
    assert!(rebase.lease_token.is_some());
    let moved = StepFacts { head: Some(commit('b')), ..StepFacts::default() };
    scene.finish(&rebase, answered(&rebase, pass(), moved));
    let retest = scene.drive_to("retest");
    let tested = StepFacts { validated: Some(commit('b')), ..StepFacts::default() };
    scene.finish(&retest, answered(&retest, pass(), tested));
    let merge = scene.drive_to("merge");
    assert_eq!(merge.lease_token, rebase.lease_token, "the lease is the task's until the end");
    let merged = StepFacts { merged: Some(commit('b')), ..StepFacts::default() };
    scene.finish(&merge, answered(&merge, pass(), merged));
    let proof = scene.drive_to("prove-merged");
    stepped(&scene.pass(&proof)).end()
}

/// Another pipeline is told to each live task, the same one to none.
pub fn a_changed_pipeline_is_told_to_live_tasks(site: &dyn Site) {
    let scene = Scene::begin(site);
    let task = scene.begin_task(1);
    let told = |scene: &Scene| {
        let entries = scene.store.entries(task).expect("read");
        entries.iter().filter(|row| matches!(row.entry, Entry::PipelineChanged { .. })).count()
    };
    scene.put_project("small");
    assert_eq!(told(&scene), 0);
    scene.put_project("smaller");
    assert_eq!(told(&scene), 1);
    scene.is_whole(task);
}

fn document(scene: &Scene, claim: &Claim, text: &str) -> NewDocument {
    NewDocument {
        kind: DocumentKind::Review,
        name: DocumentKind::Review.file_name().to_owned(),
        stage: claim.task.position.stage.clone(),
        // What the sender believes; the store knows better.
        visit: 77,
        run: Some(run_of(claim.job.id)),
        size: text.len() as u64,
        blob: scene.store.put_blob(text.as_bytes()).expect("bytes are kept"),
    }
}

fn delivered_with(scene: &Scene, claim: &Claim, text: &str) -> Event {
    let documents = vec![document(scene, claim, text)];
    let outcome = RunOutcome::Delivered { head: Some(commit('a')), documents, validated: None };
    Event::RunEnded {
        epoch: claim.job.epoch,
        run: run_of(claim.job.id),
        outcome,
        spent: Some(spent()),
        role: Some(Role::Developer),
    }
}

/// Documents of a run are taken in the transaction that steps the task, under its visit; the newest of a name counts.
pub fn documents_belong_to_the_visit_that_delivered_them(site: &dyn Site) {
    let scene = Scene::begin(site);
    let task = scene.begin_task(1);
    let claim = scene.drive_to("launch-agent");
    scene.cut_branch(task);
    scene.finish(&claim, delivered_with(&scene, &claim, "first"));
    let found = scene.store.documents(task).expect("read");
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].visit, found[0].stage.as_str()), (1, "development"));
    assert_eq!(found[0].run, Some(run_of(claim.job.id)));
    let newer = NewDocument { visit: 2, ..document(&scene, &claim, "second") };
    let id = scene.store.put_document(task, &newer, scene.now()).expect("kept");
    let found = scene.store.documents(task).expect("read");
    assert_eq!(found.iter().map(|document| document.id).collect::<Vec<_>>(), [id]);
    assert_eq!(scene.store.blob(&found[0].blob).expect("kept"), b"second");
}

/// A run that ends after its activity was left moves nothing and brings no document; what it cost is the task's cost.
pub fn a_late_run_opens_nothing_and_costs_all_the_same(site: &dyn Site) {
    let scene = Scene::begin(site);
    let task = scene.begin_task(1);
    let claim = scene.drive_to("launch-agent");
    stepped(&scene.intend(task, Intent::Stop));
    scene.finish(&claim, delivered_with(&scene, &claim, "too late"));
    let after = scene.task(task);
    assert_eq!(after.position.activity, Activity::Stopping);
    assert_eq!((after.spent, after.runs), (spent(), 1));
    assert!(scene.store.documents(task).expect("read").is_empty());
    scene.is_whole(task);
}

/// Asking for what is not there says so, and of what kind it would have been.
pub fn names_that_nobody_knows_are_not_found(site: &dyn Site) {
    let scene = Scene::begin(site);
    let nobody = TaskId(99);
    let not_found = |error: StoreError| matches!(error, StoreError::NotFound { .. });
    assert!(not_found(scene.store.task(nobody).expect_err("not there")));
    assert!(not_found(scene.store.rebuild(nobody).expect_err("not there")));
    assert!(not_found(scene.store.apply(nobody, &intent(Intent::Stop), scene.now()).expect_err("not there")));
    assert!(not_found(scene.store.run(run_of(JobId(99))).expect_err("not there")));
    let mut stranger = new_task(1);
    stranger.project = domain::ids::ProjectName::new("elsewhere").expect("a name");
    assert!(not_found(scene.store.create_task(&stranger, scene.now()).expect_err("no project")));
    assert_eq!(scene.store.task_of(&project(), &item(1)).expect("read"), None);
}
