//! Facts: what wakes, what was judged, what was kept.

use conductor::ports::store::{Applied, RunRow, Spending, StoreError, Thing};
use domain::budget::DAY_MS;
use domain::document::{DocumentKind, NewDocument, Role};
use domain::effect::{Claim, run_of};
use domain::entry::Entry;
use domain::event::{Answer, Event, Intent, RunOutcome, Spent, StepFacts};
use domain::ids::{Actor, Digest, FenceToken, JobId, RunId, TaskId};
use domain::plugin::{Check, CheckState};
use domain::task::Activity;
use domain::time::{Milliseconds, Timestamp};
use domain::verdict::{WakeKind, WakeSet};

use super::Site;
use super::scene::{
    Scene, answered, commit, completion, intent, item, new_item, pass, person, project, spent, stepped,
};

fn wait_for(scene: &Scene, claim: &Claim, kinds: &[WakeKind]) -> Applied {
    let until = scene.now().plus(Milliseconds::from_seconds(600));
    let wake = kinds.iter().copied().collect::<WakeSet>();
    let wait = Answer::Wait { until, wake, why: "not yet".to_owned() };
    scene.finish(claim, answered(claim, wait, StepFacts::default()))
}

fn run_row(scene: &Scene, claim: &Claim, task: TaskId) -> RunRow {
    RunRow {
        task,
        model: Some("opus".to_owned()),
        brief: Some(scene.store.put_blob(b"do it").expect("kept")),
        ..RunRow::begun(run_of(claim.job.id), &claim.task, Role::Developer, 1, "agent".to_owned(), scene.now())
    }
}

fn is_waiting(applied: &Applied) -> bool {
    matches!(stepped(applied).position.activity, Activity::Waiting { .. })
}

/// Between claim and completion nothing is lost: the wait that is committed over a higher count is asked again at once.
pub fn a_fact_that_arrives_while_asking_asks_again(site: &dyn Site) {
    let scene = Scene::begin(site);
    let gate = scene.to_the_gate(1);
    let head = gate.task.head.clone().expect("a head");
    assert_eq!(scene.store.wake(&project(), head.as_str(), WakeKind::Checks, scene.now()).expect("counted"), 0);
    assert!(!is_waiting(&wait_for(&scene, &gate, &[WakeKind::Checks])));
    let again = scene.drive_to("judge");
    assert!(again.wakes > gate.wakes);
    // A fact about something else is not about this task.
    scene.store.wake(&project(), commit('e').as_str(), WakeKind::Checks, scene.now()).expect("counted");
    assert!(is_waiting(&wait_for(&scene, &again, &[WakeKind::Checks])));
    scene.is_whole(gate.job.task);
}

/// A fact is told to each task that waits for one of its kind about its own subject, and to no other.
pub fn a_fact_wakes_the_tasks_that_wait_for_it(site: &dyn Site) {
    let scene = Scene::begin(site);
    let gate = scene.to_the_gate(1);
    let branch = gate.task.branch.clone().expect("a branch");
    wait_for(&scene, &gate, &[WakeKind::Push, WakeKind::Comment]);
    let wake = |subject: &str, kind| scene.store.wake(&project(), subject, kind, scene.now()).expect("counted");
    assert_eq!(wake(item(1).as_str(), WakeKind::Labels), 0, "not waited for");
    assert_eq!(wake(item(2).as_str(), WakeKind::Comment), 0, "another's");
    assert_eq!(wake(branch.as_str(), WakeKind::Push), 1);
    let again = scene.drive_to("judge");
    wait_for(&scene, &again, &[WakeKind::Comment]);
    assert_eq!(wake(item(1).as_str(), WakeKind::Comment), 1);
    assert_eq!(wake(item(1).as_str(), WakeKind::Comment), 0, "it is being asked already");
    scene.is_whole(gate.job.task);
}

/// What a person does at the card is counted where it is written: no crash lies between the two. Our own hand wakes nothing.
pub fn what_people_do_at_a_card_wakes(site: &dyn Site) {
    let scene = Scene::begin(site);
    scene.store.create_item(&new_item("Review"), scene.now()).expect("made");
    let gate = scene.to_the_gate(1);
    let move_to = |status: &str, actor: &Actor| {
        scene.store.move_item(&project(), &item(1), status, actor, scene.now()).expect("moved");
    };
    let say = |actor: &Actor, key: Option<&str>| {
        scene.store.put_comment(&project(), &item(1), actor, key, "well", scene.now()).expect("said");
    };
    move_to("Questions", &person());
    assert!(!is_waiting(&wait_for(&scene, &gate, &[WakeKind::Status])), "counted while it was asked");
    let again = scene.drive_to("judge");
    assert!(is_waiting(&wait_for(&scene, &again, &[WakeKind::Status, WakeKind::Comment])));
    move_to("Review", &Actor::Host);
    move_to("Review", &person());
    say(&Actor::Host, None);
    scene.no_drive_job();
    move_to("Answered", &person());
    let again = scene.drive_to("judge");
    assert!(is_waiting(&wait_for(&scene, &again, &[WakeKind::Comment])));
    move_to("Review", &person());
    scene.no_drive_job();
    say(&person(), Some("1"));
    let again = scene.drive_to("judge");
    assert!(is_waiting(&wait_for(&scene, &again, &[WakeKind::Comment])));
    say(&person(), Some("1"));
    scene.no_drive_job();
    scene.is_whole(gate.job.task);
}

/// How a check stands, at which time, by which number.
type Told = (CheckState, u64, Option<u64>);

fn check(name: &str, state: CheckState, at: u64, report: Option<u64>) -> Check {
    let (raw, description) = (format!("{state:?}"), String::new());
    Check { name: name.to_owned(), state, raw, at: Timestamp(at), url: None, description, report }
}

/// A forge's time is a second long: of two of its reports the number says which is the newer one, whichever comes first, and however
/// often. Where one has no number, the time says it.
pub fn of_reports_of_one_second_the_greatest_number_counts(site: &dyn Site) {
    let scene = Scene::begin(site);
    let gate = scene.to_the_gate(1);
    let head = gate.task.head.clone().expect("a head");
    let (pending, success, failure) = (CheckState::Pending, CheckState::Success, CheckState::Failure);
    let told: [(&str, &[Told], CheckState); 6] = [
        ("in order", &[(pending, 10, Some(4)), (success, 10, Some(5))], success),
        ("swapped", &[(success, 10, Some(5)), (pending, 10, Some(4))], success),
        ("worse", &[(failure, 10, Some(5)), (success, 10, Some(4)), (success, 10, Some(4))], failure),
        ("a clock that went back", &[(failure, 20, Some(4)), (success, 10, Some(5)), (failure, 20, Some(4))], success),
        ("a person", &[(failure, 10, Some(4)), (success, 20, None)], success),
        ("a person before", &[(success, 20, None), (failure, 10, Some(4))], success),
    ];
    for (name, reports, expected) in told {
        for (state, at, report) in reports {
            let check = check(name, *state, *at, *report);
            scene.store.put_check(&project(), &head, &check, scene.now()).expect("kept");
        }
        let kept = scene.store.checks(&project(), &head).expect("read");
        let stands = kept.iter().find(|check| check.name == name).map(|check| check.state);
        assert_eq!(stands, Some(expected), "{name}");
    }
}

/// A report that is older than the one that stands changes nothing; a newer one takes its place, and wakes.
pub fn the_newest_report_of_a_check_counts(site: &dyn Site) {
    let scene = Scene::begin(site);
    let gate = scene.to_the_gate(1);
    wait_for(&scene, &gate, &[WakeKind::Checks]);
    let head = gate.task.head.clone().expect("a head");
    let report = |name: &str, state: CheckState, at: u64| {
        let check = check(name, state, at, None);
        scene.store.put_check(&project(), &head, &check, scene.now()).expect("kept");
        check
    };
    report("build", CheckState::Pending, 10);
    let built = report("build", CheckState::Success, 20);
    report("build", CheckState::Failure, 15);
    let tested = report("test", CheckState::Success, 5);
    assert_eq!(scene.store.checks(&project(), &head).expect("read"), [built, tested]);
    assert!(scene.store.checks(&project(), &commit('e')).expect("read").is_empty());
    scene.drive_to("judge");
}

/// The evaluation is kept in the transaction that steps the task, and its number stands in the entry.
pub fn an_evaluation_stands_in_the_entry(site: &dyn Site) {
    let scene = Scene::begin(site);
    let gate = scene.to_the_gate(1);
    let evaluation = scene.evaluation(&gate);
    scene.finish_with(&gate, answered(&gate, pass(), StepFacts::default()), Some(&evaluation));
    let kept = scene.store.evaluations(Some(gate.job.task), 10).expect("read");
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].evaluation, evaluation);
    assert_eq!(scene.store.evaluation(kept[0].id).expect("read"), kept[0]);
    let entries = scene.store.entries(gate.job.task).expect("read");
    let named = entries.iter().find_map(|row| match &row.entry {
        Entry::StepAnswered { evaluation, .. } => *evaluation,
        _ => None,
    });
    assert_eq!(named, Some(kept[0].id));
    let other = scene.store.put_evaluation(&evaluation).expect("kept");
    let of_job = scene.store.evaluations_of(gate.job.id).expect("read");
    assert_eq!(of_job.iter().map(|row| row.id).collect::<Vec<_>>(), [kept[0].id, other], "oldest first");
    assert!(scene.store.evaluations_of(JobId(gate.job.id.0 + 1000)).expect("read").is_empty());
    let newest = scene.store.evaluations(None, 1).expect("read");
    assert_eq!(newest[0].id, other);
}

/// What names bytes that are not there is refused, and leaves nothing behind.
pub fn evaluations_and_documents_need_their_bytes(site: &dyn Site) {
    let scene = Scene::begin(site);
    let gate = scene.to_the_gate(1);
    let mut evaluation = scene.evaluation(&gate);
    evaluation.transcript = Digest::of(b"never written");
    let before = scene.task(gate.job.task);
    let event = answered(&gate, pass(), StepFacts::default());
    let error = scene.store.complete(completion(&gate, event, Some(&evaluation)), scene.now());
    assert!(matches!(error, Err(StoreError::NotFound { what: Thing::Blob, .. })), "{error:?}");
    assert_eq!(scene.task(gate.job.task), before);
    assert!(scene.store.evaluations(None, 10).expect("read").is_empty());
    let document = NewDocument {
        kind: DocumentKind::WatchLog,
        name: "16-post-deploy-log.md".to_owned(),
        stage: before.position.stage.clone(),
        visit: 1,
        run: None,
        size: 1,
        blob: Digest::of(b"never written"),
    };
    let error = scene.store.put_document(gate.job.task, &document, scene.now());
    assert!(matches!(error, Err(StoreError::NotFound { what: Thing::Blob, .. })), "{error:?}");
    stepped(&scene.pass(&gate));
}

/// The same bytes have the same name, and other bytes another.
pub fn bytes_are_kept_under_their_hash(site: &dyn Site) {
    let scene = Scene::begin(site);
    let digest = scene.store.put_blob(b"hello").expect("kept");
    assert_eq!(digest, Digest::of(b"hello"));
    assert_eq!(scene.store.put_blob(b"hello").expect("there already"), digest);
    let empty = scene.store.put_blob(b"").expect("kept");
    drop(scene);
    let scene = Scene::go_on(site);
    assert_eq!(scene.store.blob(&digest).expect("read"), b"hello");
    assert_eq!(scene.store.blob(&empty).expect("read"), b"");
    let missing = scene.store.blob(&Digest::of(b"other"));
    assert!(matches!(missing, Err(StoreError::NotFound { what: Thing::Blob, .. })));
}

/// A run is written before its launch, and again with the pid and the end.
pub fn runs_are_kept_with_what_is_known_later(site: &dyn Site) {
    let scene = Scene::begin(site);
    let task = scene.begin_task(1);
    let claim = scene.drive_to("launch-agent");
    let mut run = run_row(&scene, &claim, task);
    scene.store.put_run(&run, claim.token).expect("kept");
    run.pid = Some(4711);
    scene.store.put_run(&run, claim.token).expect("kept");
    assert_eq!(scene.store.run(run.id).expect("read"), run);
    // Who lost the job writes nothing over what the next one knows.
    let stale = RunRow { pid: Some(666), ..run.clone() };
    for token in [FenceToken(claim.token.0 - 1), FenceToken(claim.token.0 + 1)] {
        assert!(matches!(scene.store.put_run(&stale, token), Err(StoreError::Stale { .. })));
    }
    assert_eq!(scene.store.run(run.id).expect("read"), run);
    // The job shows the pid while it is claimed, and must not once it is queued again.
    scene.store.reap(&|_| false, scene.now()).expect("reaped");
    let again = scene.drive_to("launch-agent");
    scene.cut_branch(task);
    run.ended_at = Some(scene.now());
    // E7: what was stamped at the launch survives whoever knows nothing of it.
    let stamped = run.model.take();
    run.exit_code = Some(0);
    let event = super::scene::delivered(&again, 'a');
    let completion = conductor::ports::store::Completion { run: Some(&run), ..completion(&again, event, None) };
    scene.store.complete(completion, scene.now()).expect("completed");
    run.model = stamped;
    assert_eq!(scene.store.runs(task, 10).expect("read"), [run]);
}

/// A late run's cost is in the sum too, and each once.
pub fn what_runs_cost_is_summed_by_project_and_day(site: &dyn Site) {
    let scene = Scene::begin(site);
    let task = scene.begin_task(1);
    let claim = scene.drive_to("launch-agent");
    scene.cut_branch(task);
    let day = scene.now().0 / DAY_MS;
    assert_eq!(scene.store.spending(&project(), day).expect("read"), Spending::default());
    let event = super::scene::delivered(&claim, 'a');
    scene.store.complete(completion(&claim, event, None), scene.now()).expect("completed");
    let late = Event::RunEnded {
        epoch: claim.job.epoch,
        run: RunId(9_999),
        outcome: RunOutcome::OverBudget { cause: "late".to_owned() },
        spent: Some(Spent { cost_microusd: u64::MAX, priced_microusd: 3, ..spent() }),
        role: Some(Role::Reviewer),
    };
    let tomorrow = scene.now().plus(Milliseconds(DAY_MS));
    scene.store.apply(task, &late, tomorrow).expect("applied");
    scene.store.apply(task, &late, tomorrow).expect("applied");
    let today = scene.store.spending(&project(), day).expect("read");
    assert_eq!(today.day, spent());
    assert!(today.total.cost_microusd > u64::MAX / 8, "a figure that is too large is large: {today:?}");
    assert_eq!((today.total.priced_microusd, today.total.wall), (6, Milliseconds(3 * spent().wall.0)));
    let next = scene.store.spending(&project(), day + 1).expect("read").day;
    assert_eq!(next.wall, Milliseconds(2 * spent().wall.0));
    let by_role = scene.task(task).by_role;
    assert_eq!((by_role[&Role::Developer].runs, by_role[&Role::Reviewer].runs), (1, 2));
    scene.is_whole(task);
}

/// Who lost the job, or whose task was stopped, writes nothing over what others know.
pub fn only_who_has_the_job_ends_its_run_for_a_budget(site: &dyn Site) {
    let scene = Scene::begin(site);
    let task = scene.begin_task(1);
    let claim = scene.drive_to("launch-agent");
    let row = RunRow { model: None, ..run_row(&scene, &claim, task) };
    scene.store.put_run(&row, claim.token).expect("kept");
    let stale = FenceToken(claim.token.0 + 1);
    let put = |token| scene.store.put_over_budget(claim.job.id, token, "all is spent");
    assert!(matches!(put(stale), Err(StoreError::Stale { .. })));
    put(claim.token).expect("written");
    scene.store.put_over_budget(claim.job.id, claim.token, "again").expect("known");
    assert_eq!(scene.store.run(row.id).expect("read").over_budget.as_deref(), Some("all is spent"));
    scene.store.put_run(&row, claim.token).expect("kept");
    assert!(scene.store.run(row.id).expect("read").over_budget.is_some(), "it is not forgotten");
    scene.store.apply(task, &intent(Intent::Stop), scene.now()).expect("stopped");
    assert!(matches!(put(claim.token), Err(StoreError::Stale { .. })), "it is being ended already");
}

/// Whoever waits for news compares two numbers: what changed something counts, what did not does not.
pub fn commits_are_counted(site: &dyn Site) {
    let scene = Scene::begin(site);
    let before = scene.store.sequence();
    scene.begin_task(1);
    let after = scene.store.sequence();
    assert!(after > before);
    while let Some(claim) = scene.claim() {
        let _ = claim;
    }
    let idle = scene.store.sequence();
    assert!(scene.claim().is_none());
    scene.store.tasks(true, 1).expect("read");
    assert_eq!(scene.store.sequence(), idle, "nothing was written");
}
