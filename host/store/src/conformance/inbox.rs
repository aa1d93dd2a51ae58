//! The inbox: what people do on the board, delivered once, expanded in order, taken once.

use conductor::ports::store::{Applied, BoardItem, Delivery, Expansion, Store, StoreError, ToldRow};
use domain::entry::Entry;
use domain::event::{Answer, Event, Intent, StepFacts};
use domain::ids::Actor;
use domain::task::Activity;
use domain::verdict::GateHold;
use engine::Rejected;
use serde_json::{Value, json};

use super::Site;
use super::scene::{Scene, answered, intent, item, new_item, new_task, person, project, stepped};
use super::tasks::stop;

fn make(scene: &Scene, status: &str) -> BoardItem {
    scene.store.create_item(&new_item(status), scene.now()).expect("the card is made")
}

fn move_to(scene: &Scene, number: u32, status: &str, actor: &Actor) {
    scene.store.move_item(&project(), &item(number), status, actor, scene.now()).expect("the card is moved");
}

fn pending(scene: &Scene) -> Vec<Delivery> {
    scene.store.pending_deliveries(100).expect("the inbox is read")
}

fn body(delivery: &Delivery) -> Value {
    serde_json::from_slice(&delivery.body).expect("JSON")
}

fn wanted(key: &str, wanted: Intent, number: u32) -> Expansion {
    let new_task = (wanted == Intent::Start).then(|| new_task(number));
    Expansion::Intent { ordinal: 0, key: key.to_owned(), event: intent(wanted), new_task }
}

fn expand(scene: &Scene, delivery: &Delivery, expansion: Expansion) -> Vec<Applied> {
    scene.store.expand(delivery.id, &[expansion], scene.now()).expect("the delivery is expanded")
}

/// Numbers go on from one, past ids that a task bears already, and a deleted card's number is not given again.
pub fn work_items_are_numbered_without_gaps_or_twins(site: &dyn Site) {
    let scene = Scene::begin(site);
    assert_eq!(make(&scene, "To do").work_item, item(1));
    scene.begin_task(2);
    assert_eq!(make(&scene, "To do").work_item, item(3));
    scene.store.remove_item(&project(), &item(3), &person(), scene.now()).expect("removed");
    assert_eq!(make(&scene, "To do").work_item, item(4));
    let cards = scene.store.items(&project(), 2).expect("read");
    assert_eq!(cards.iter().map(|card| card.work_item.clone()).collect::<Vec<_>>(), [item(4), item(3)]);
    assert_eq!(cards[1].gone, Some(person()));
}

/// Creation, move and removal each leave a row in the log and a delivery that names it.
pub fn what_people_do_on_the_board_is_delivered(site: &dyn Site) {
    let scene = Scene::begin(site);
    let card = make(&scene, "To do");
    assert_eq!(scene.store.item(&project(), &card.work_item).expect("read"), Some(card.clone()));
    move_to(&scene, 1, "In progress", &person());
    move_to(&scene, 1, "In progress", &person());
    scene.store.remove_item(&project(), &item(1), &person(), scene.now()).expect("removed");
    let log = scene.store.activity(&project(), &item(1)).expect("read");
    let ways = log.iter().map(|row| (row.from.as_deref(), row.to.as_str())).collect::<Vec<_>>();
    let expected = [(None, "To do"), (Some("To do"), "In progress"), (Some("In progress"), "(deleted)")];
    assert_eq!(ways, expected, "the same status again writes nothing");
    let kinds = ["created", "moved", "removed"];
    for (row, kind) in log.iter().zip(kinds) {
        let delivery = pending(&scene).remove(0);
        assert_eq!((delivery.source.as_str(), &delivery.work_item), ("board", &Some(item(1))));
        let expected = json!({
            "kind": kind, "activity": row.id.to_string(), "work_item": item(1), "from": row.from, "to": row.to,
            "actor": person(),
        });
        assert_eq!(body(&delivery), expected);
        assert_eq!(delivery.row, Some(row.id.to_string()));
        expand(&scene, &delivery, Expansion::Nothing { why: "seen".to_owned() });
    }
    assert!(pending(&scene).is_empty());
    let gone = scene.store.move_item(&project(), &item(1), "Done", &person(), scene.now());
    assert!(matches!(gone, Err(StoreError::NotFound { .. })));
}

/// Our own moves stand in the log, and are never told as if they were a person's.
pub fn what_the_host_does_on_the_board_is_not(site: &dyn Site) {
    let scene = Scene::begin(site);
    make(&scene, "To do");
    expand(&scene, &pending(&scene)[0], Expansion::Nothing { why: "seen".to_owned() });
    move_to(&scene, 1, "In progress", &Actor::Host);
    assert!(pending(&scene).is_empty());
    assert_eq!(scene.store.activity(&project(), &item(1)).expect("read").len(), 2);
    assert_eq!(scene.store.item(&project(), &item(1)).expect("read").expect("there").status, "In progress");
}

/// The external id refuses a second comment; comments without one are all kept.
pub fn a_comment_is_written_once_per_external_id(site: &dyn Site) {
    let scene = Scene::begin(site);
    make(&scene, "To do");
    make(&scene, "To do");
    let say = |number: u32, key: Option<&str>, text: &str| {
        let (project, item, actor) = (project(), item(number), Actor::Host);
        scene.store.put_comment(&project, &item, &actor, key, text, scene.now()).expect("written")
    };
    assert!(say(1, Some("job-1"), "first"));
    assert!(!say(1, Some("job-1"), "again"));
    assert!(say(2, Some("job-1"), "another card"));
    assert!(say(1, None, "free"));
    assert!(say(1, None, "free"));
    let texts = scene.store.comments(&project(), &item(1), 10).expect("read");
    assert_eq!(texts.iter().map(|comment| comment.text.as_str()).collect::<Vec<_>>(), ["free", "free", "first"]);
}

/// Of each work item the oldest delivery is expanded first; other items do not wait for it.
pub fn deliveries_are_serial_per_work_item(site: &dyn Site) {
    let scene = Scene::begin(site);
    make(&scene, "To do");
    make(&scene, "To do");
    move_to(&scene, 1, "In progress", &person());
    let first = pending(&scene);
    assert_eq!(
        first.iter().map(|delivery| delivery.work_item.clone()).collect::<Vec<_>>(),
        [Some(item(1)), Some(item(2))]
    );
    assert_eq!(body(&first[0])["kind"], "created");
    scene.store.expand_later(first[0].id, "the mapper trapped").expect("counted");
    assert_eq!(pending(&scene)[0].attempts, 1, "it keeps its place");
    expand(&scene, &first[0], Expansion::Nothing { why: "seen".to_owned() });
    let second = pending(&scene);
    assert_eq!(second.len(), 2);
    assert!(second.iter().any(|delivery| body(delivery)["kind"] == "moved"));
    let twice = expand(&scene, &first[0], wanted("a", Intent::Start, 1));
    assert!(twice.is_empty(), "a closed delivery leads to nothing more");
    assert_eq!(scene.store.task_of(&project(), &item(1)).expect("read"), None);
}

fn row(number: u32, order: u64) -> ToldRow {
    ToldRow { key: format!("row-{order}"), order, work_item: item(number), body: order.to_string().into_bytes() }
}

/// A row that was told late comes before those of its item that were told already and not read; one that is known is nothing.
pub fn rows_that_nobody_told_are_taken_once_and_in_their_order(site: &dyn Site) {
    let scene = Scene::begin(site);
    let take = |source: &str, rows: &[ToldRow]| {
        scene.store.take_rows(&project(), source, rows, None, scene.now()).expect("the rows are taken")
    };
    assert_eq!(take("elsewhere", &[row(1, 7), row(2, 8)]), 2);
    assert_eq!(take("elsewhere", &[row(1, 3), row(1, 7), row(2, 8)]), 1);
    assert_eq!(take("elsewhere", &[row(1, 3), row(1, 7), row(2, 8)]), 0);
    let keys = |found: &[Delivery]| found.iter().filter_map(|told| told.row.clone()).collect::<Vec<_>>();
    let first = pending(&scene);
    assert_eq!(keys(&first), ["row-8", "row-3"], "of each item the oldest row");
    expand(&scene, &first[1], Expansion::Nothing { why: "seen".to_owned() });
    assert_eq!(keys(&pending(&scene)), ["row-7", "row-8"]);
    assert_eq!(take("elsewhere", &[row(1, 3)]), 0, "what was read is known too");
    assert_eq!(take("another", &[row(1, 3)]), 1, "another tracker counts for itself");
}

/// Where a poll goes on is kept with what it found, and over a restart; a poll that finds nothing writes nothing.
pub fn a_poll_goes_on_where_the_last_one_ended(site: &dyn Site) {
    let scene = Scene::begin(site);
    let cursor = |store: &dyn Store| store.poll_cursor(&project(), "elsewhere").expect("read");
    assert_eq!(cursor(scene.store.as_ref()), None);
    let take = |store: &dyn Store, rows: &[ToldRow], at| {
        store.take_rows(&project(), "elsewhere", rows, Some(at), scene.now()).expect("the rows are taken")
    };
    take(scene.store.as_ref(), &[row(1, 7)], "page 2");
    let commits = scene.store.sequence();
    take(scene.store.as_ref(), &[row(1, 7)], "page 2");
    assert_eq!(scene.store.sequence(), commits);
    take(scene.store.as_ref(), &[], "page 3");
    (0..3).for_each(|_| drop(make(&scene, "To do")));
    drop(scene);
    let store = site.open();
    assert_eq!(cursor(store.as_ref()).as_deref(), Some("page 3"));
    let since = |id| {
        let rows = store.activity_since(&project(), id, 2).expect("read");
        rows.iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!((since(0), since(1), since(3)), (vec![1, 2], vec![2, 3], vec![]));
}

/// What cannot be expanded is set aside: later deliveries of the same item, and other items, go on.
pub fn a_poisoned_delivery_stands_in_nobodys_way(site: &dyn Site) {
    let scene = Scene::begin(site);
    make(&scene, "To do");
    move_to(&scene, 1, "In progress", &person());
    make(&scene, "To do");
    let poisoned = pending(&scene).remove(0);
    expand(&scene, &poisoned, Expansion::Parked { why: "it cannot be read".to_owned() });
    let rest = pending(&scene);
    assert_eq!(rest.len(), 2);
    let applied = expand(&scene, &rest[0], wanted("move", Intent::Start, 1));
    stepped(&applied[0]);
}

/// The key is taken once, whoever tells of it, and however often.
pub fn an_intent_is_taken_once(site: &dyn Site) {
    let scene = Scene::begin(site);
    make(&scene, "In progress");
    let task = scene.begin_task(1);
    move_to(&scene, 1, "Paused", &person());
    move_to(&scene, 1, "In progress", &person());
    let first = pending(&scene).remove(0);
    stepped(&expand(&scene, &first, wanted("activity-7", Intent::Pause, 1))[0]);
    assert!(scene.task(task).paused);
    let second = pending(&scene).remove(0);
    stepped(&expand(&scene, &second, wanted("activity-8", Intent::Resume, 1))[0]);
    let third = pending(&scene).remove(0);
    let again = expand(&scene, &third, wanted("activity-7", Intent::Pause, 1));
    assert_eq!(again, [Applied::Rejected(Rejected::Duplicate)]);
    assert!(!scene.task(task).paused);
    scene.is_whole(task);
}

/// A start makes the task where there is none, and is the engine's to judge where there is one.
pub fn a_start_makes_the_task(site: &dyn Site) {
    let scene = Scene::begin(site);
    make(&scene, "In progress");
    move_to(&scene, 1, "To do", &person());
    move_to(&scene, 1, "In progress", &person());
    let start = pending(&scene).remove(0);
    let made = expand(&scene, &start, wanted("a", Intent::Start, 1));
    let task = scene.store.task_of(&project(), &item(1)).expect("read").expect("made");
    assert_eq!(stepped(&made[0]), &task);
    assert!(matches!(task.position.activity, Activity::Running { .. }));
    let back = pending(&scene).remove(0);
    expand(&scene, &back, Expansion::Nothing { why: "no intent".to_owned() });
    let again = pending(&scene).remove(0);
    let applied = expand(&scene, &again, wanted("b", Intent::Start, 1));
    assert_eq!(applied, [Applied::Rejected(Rejected::Duplicate)]);
    assert_eq!(scene.store.tasks(false, 10).expect("read").len(), 1);
}

/// An intent for a task that has ended, or for none, is consumed and changes nothing.
pub fn an_intent_too_late_is_recorded(site: &dyn Site) {
    let scene = Scene::begin(site);
    make(&scene, "In progress");
    make(&scene, "In progress");
    let task = scene.begin_task(1);
    stop(&scene, task);
    let ended = scene.task(task);
    let late = pending(&scene);
    let approve = |key: &str| wanted(key, Intent::Approve, 1);
    assert_eq!(expand(&scene, &late[0], approve("a")), [Applied::Rejected(Rejected::Terminal)]);
    assert_eq!(scene.task(task), ended);
    let applied = expand(&scene, &late[1], approve("b"));
    assert!(matches!(applied[..], [Applied::Rejected(Rejected::Illegal(_))]), "{applied:?}");
    assert!(pending(&scene).is_empty());
}

/// In the order of the log and of the transactions, whenever it is expanded: what a person did before our status write that
/// opened the wait is late, and so is what was done while that write was still to come.
pub fn rule_b3_an_answer_from_before_the_question_does_not_count(site: &dyn Site) {
    let scene = Scene::begin(site);
    make(&scene, "Development");
    expand(&scene, &pending(&scene)[0], Expansion::Nothing { why: "seen".to_owned() });
    let gate = scene.to_the_gate(1);
    let task = gate.job.task;
    while let Some(claim) = scene.claim() {
        scene.finish(&claim, Event::AftermathEnded { note: "told".to_owned() });
    }
    move_to(&scene, 1, "Rejected", &person());
    let hold = Answer::Hold { kind: GateHold::Blocked, reason: "look".to_owned() };
    stepped(&scene.finish(&gate, answered(&gate, hold, StepFacts::default())));
    move_to(&scene, 1, "To do", &person());
    move_to(&scene, 1, "Rejected", &person());
    let refuse = |key: &str| {
        let delivery = pending(&scene).remove(0);
        let applied = expand(&scene, &delivery, wanted(key, Intent::Reject, 1));
        assert!(matches!(stepped(&applied[0]).position.activity, Activity::Held { .. }));
        let entries = scene.store.entries(task).expect("read");
        let newest = entries.last().map(|row| &row.entry);
        assert!(matches!(newest, Some(Entry::IntentRefused { intent: Intent::Reject, .. })), "{newest:?}");
    };
    refuse("before the wait, expanded while our write is to come");
    while let Some(claim) = scene.claim() {
        if claim.job.effect.name() == "set-status" {
            move_to(&scene, 1, "Blocked", &Actor::Host);
        }
        scene.finish(&claim, Event::AftermathEnded { note: "told".to_owned() });
    }
    expand(&scene, &pending(&scene)[0], Expansion::Nothing { why: "no intent".to_owned() });
    refuse("in the wait and before our write, expanded after it");
    move_to(&scene, 1, "Rejected", &person());
    let delivery = pending(&scene).remove(0);
    stepped(&expand(&scene, &delivery, wanted("after our write", Intent::Reject, 1))[0]);
    assert!(matches!(scene.task(task).position.activity, Activity::Running { .. }));
    scene.is_whole(task);
}
