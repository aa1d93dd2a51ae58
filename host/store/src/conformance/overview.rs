//! What pages for people read beyond single rows.

use conductor::ports::store::{Live, Standings};
use domain::event::{Event, Intent, Observation};
use domain::time::Milliseconds;

use super::Site;
use super::scene::{Scene, item, new_item, project, stepped};

/// Live tasks are counted and listed by who must act, ended ones by their project, and each is found by its key or its title.
pub fn tasks_are_told_by_how_they_stand(site: &dyn Site) {
    let scene = Scene::begin(site);
    let [first, second, third] = [1, 2, 3].map(|number| scene.begin_task(number));
    let gone = Event::Observed { observation: Observation::GoneFromBoard { by: "bob".to_owned() } };
    stepped(&scene.store.apply(second, &gone, scene.now()).expect("it is held"));
    stepped(&scene.intend(third, Intent::Stop));
    let standings = scene.store.standings().expect("they are counted");
    assert_eq!(standings, Standings { moving: 1, asking: 0, held: 1, stopping: 1 });
    assert_eq!(standings.live(), 3);
    let listed = |which| -> Vec<_> {
        let tasks = scene.store.live_tasks(which, 9).expect("they are listed");
        tasks.into_iter().map(|task| task.id).collect()
    };
    assert_eq!((listed(Live::Waiting), listed(Live::Moving)), (vec![second], vec![first, third]));
    assert_eq!(scene.store.live_tasks(Live::Moving, 1).expect("they are listed").len(), 1);
    let clean_up = scene.drive_to("clean-up");
    stepped(&scene.finish(&clean_up, Event::CleanedUp { epoch: clean_up.job.epoch }));
    let ended = scene.store.ended_tasks_of(&project(), 9).expect("they are listed");
    let live = scene.store.live_tasks_of(&project(), 9).expect("they are listed");
    assert_eq!((ended.len(), ended[0].id), (1, third));
    assert_eq!(live.iter().map(|task| task.id).collect::<Vec<_>>(), [second, first]);
    let found = |text: &str| -> Vec<_> {
        scene.store.tasks_named(text, 9).expect("it is looked for").into_iter().map(|task| task.id).collect()
    };
    assert_eq!((found("shop-002"), found("ITEM 3"), found("nowhere")), (vec![second], vec![third], vec![]));
    let named = scene.store.named(&[third, first]).expect("they are named");
    assert_eq!(named, [(first, project(), item(1)), (third, project(), item(3))]);
}

/// The newest entries come first, and what is older is counted.
pub fn the_newest_entries_come_first(site: &dyn Site) {
    let scene = Scene::begin(site);
    let claim = scene.to_the_gate(1);
    scene.pass(&claim);
    let mut all = scene.store.entries(claim.job.task).expect("they are read");
    all.reverse();
    let newest = scene.store.entry_page(claim.job.task, None, 3).expect("they are read");
    assert_eq!((&newest.rows[..], newest.older), (&all[..3], all.len() as u64 - 3));
    let rest = scene.store.entry_page(claim.job.task, newest.next, 1000).expect("they are read");
    assert_eq!((&rest.rows[..], rest.older, rest.next), (&all[3..], 0, None));
    assert_eq!(scene.store.last_step().expect("it is read"), Some(all[0].at));
}

/// Who was heard of when, how plugins answered, and how large all of it is.
pub fn neighbours_answers_and_sizes_are_told(site: &dyn Site) {
    let scene = Scene::begin(site);
    assert_eq!(scene.store.contacts().expect("they are read"), []);
    scene.store.create_item(&new_item("Backlog"), scene.now()).expect("a card");
    let at = scene.now();
    scene.store.take_rows(&project(), "board", &[], Some("7"), at).expect("it is polled");
    let contacts = scene.store.contacts().expect("they are read");
    assert_eq!((contacts.len(), contacts[0].source.as_str(), contacts[0].polled), (1, "board", Some(at)));
    assert!(contacts[0].delivered.is_some_and(|delivered| delivered < at));
    // A board on which nothing happens was looked at too: who is silent is known by the age of the last look.
    let later = at.plus(Milliseconds::from_seconds(600));
    assert_eq!(scene.store.take_rows(&project(), "board", &[], Some("7"), later).expect("it is polled again"), 0);
    assert_eq!(scene.store.contacts().expect("they are read")[0].polled, Some(later));
    let claim = scene.to_the_gate(1);
    let evaluation = scene.evaluation(&claim);
    scene.finish_with(
        &claim,
        super::scene::answered(&claim, super::scene::pass(), domain::event::StepFacts::default()),
        Some(&evaluation),
    );
    let answers = scene.store.newest_answers(9).expect("they are read");
    assert_eq!((answers.len(), answers[0].answer.as_str(), answers[0].micros), (1, "pass", 12));
    assert_eq!(scene.store.evaluations_in(&project(), 9).expect("they are read").len(), 1);
    let extent = scene.store.extent().expect("it is measured");
    assert!(extent.tasks == 1 && extent.events > 2 && extent.bytes > 0 && extent.schema > 0, "{extent:?}");
}
