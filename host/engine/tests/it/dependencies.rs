//! Tasks that need others (catalogue D7), and pauses that let others by (D6).

use std::collections::BTreeSet;

use domain::effect::{Effect, Notice};
use domain::event::{Answer, Intent, RunOutcome, StepFacts};
use domain::ids::{TaskId, WorkItemId};
use domain::task::HoldKind;
use engine::Rejected;
use engine::dependencies::{MOST_NEEDS, around, cycles, way};
use proptest::prelude::*;

use crate::pipelines::quick;
use crate::walks::{Need, need_event};
use crate::world::World;

fn illegal<T: std::fmt::Debug>(answer: Result<T, Rejected>, words: &str) {
    let Err(Rejected::Illegal(why)) = &answer else { panic!("{answer:?} is not illegal") };
    assert!(why.to_string().contains(words), "{why}");
}

#[test]
fn d7_an_edge_is_taken_once_and_taken_away_once() {
    let mut world = World::new(quick());
    illegal(world.tell(&need_event(Need::Removed, 3)), "does not need SHOP-3");
    world.tell(&need_event(Need::Added, 3)).unwrap();
    assert_eq!(world.task.needs, BTreeSet::from([TaskId(3)]));
    assert_eq!(world.tell(&need_event(Need::Added, 3)), Err(Rejected::Duplicate));
    assert_eq!(world.stands(), "development running", "what is under way goes on");
    world.tell(&need_event(Need::Removed, 3)).unwrap();
    assert!(world.task.needs.is_empty());
    illegal(world.tell(&need_event(Need::Removed, 3)), "does not need SHOP-3");
}

#[test]
fn d7_a_task_that_holds_a_lease_takes_no_edge() {
    let mut world = World::new(quick());
    world.walk_to("testing acting rebase");
    world.tell(&need_event(Need::Added, 3)).unwrap();
    world.tell(&need_event(Need::Removed, 3)).unwrap();
    world.walk_to("testing acting merge");
    illegal(world.tell(&need_event(Need::Added, 3)), "holds the lease `merge`");
}

#[test]
fn d7_a_task_needs_so_many_and_no_more() {
    let mut world = World::new(quick());
    for number in 0..MOST_NEEDS as u64 {
        world.tell(&need_event(Need::Added, 100 + number)).unwrap();
    }
    illegal(world.tell(&need_event(Need::Added, 3)), "50 others already");
}

/// It is told once to those who can help, and moves nothing.
#[test]
fn d7_a_prerequisite_that_was_stopped_is_told_and_lets_nothing_on() {
    let mut world = World::new(quick());
    illegal(world.tell(&need_event(Need::Cancelled, 3)), "does not need SHOP-3");
    world.tell(&need_event(Need::Added, 3)).unwrap();
    let step = world.tell(&need_event(Need::Cancelled, 3)).unwrap();
    assert_eq!((world.stands().as_str(), world.notices(Notice::Held)), ("development running", 1));
    assert!(step.changes.is_empty());
    let told = |wanted: &domain::effect::Wanted| match &wanted.effect {
        Effect::Comment { text } => text.contains("start SHOP-3 again, or let SHOP-7 go on without it"),
        _ => false,
    };
    assert!(step.effects.iter().any(told), "{:?}", step.effects);
    assert!(world.task.needs.contains(&TaskId(3)), "nothing was let go");
}

#[test]
fn d7_2_a_cycle_holds_its_tasks_under_one_alarm() {
    let cycle = ["SHOP-7", "SHOP-3"].map(|item| WorkItemId::new(item).unwrap()).to_vec();
    let (mut loud, mut quiet) = (World::new(quick()), World::new(quick()));
    for (world, alerts) in [(&mut loud, true), (&mut quiet, false)] {
        let event = domain::event::Event::DependencyCycle { cycle: cycle.clone(), alerts };
        world.tell(&event).unwrap();
        assert_eq!(world.hold_kind(), Some(HoldKind::DependencyCycle));
        assert_eq!(world.task.phase(), "blocked");
        illegal(world.tell(&event), "stands still already");
        illegal(world.intent(Intent::Waive, "let it pass"), "nothing to waive");
    }
    assert_eq!((loud.notices(Notice::Held), quiet.notices(Notice::Held)), (1, 0));
    loud.intent(Intent::Resume, "").unwrap();
    assert_eq!(loud.stands(), "development running");
}

#[test]
fn d7_2_a_cycle_does_not_break_into_an_irreversible_step() {
    let mut world = World::new(quick());
    world.walk_to("testing acting merge");
    illegal(world.tell(&need_event(Need::Cycle, 3)), "irreversible");
}

/// Held, it stands in the way of all later tasks of a serial project; a person may say that it does not.
#[test]
fn d6_a_held_task_can_be_paused_and_stays_held() {
    let mut world = World::new(quick());
    let ended = world.run_ended(RunOutcome::OverBudget { cause: "spent".to_owned() });
    world.tell(&ended).unwrap();
    assert!(!world.task.is_paused());
    world.intent(Intent::Pause, "").unwrap();
    assert_eq!((world.hold_kind(), world.task.is_paused()), (Some(HoldKind::OverBudget), true));
    assert_eq!(world.intent(Intent::Pause, ""), Err(Rejected::Duplicate));
    world.intent(Intent::Resume, "").unwrap();
    assert_eq!((world.stands().as_str(), world.task.is_paused()), ("development running", false));
}

/// Who goes over the step that holds a paused task does not take the pause back.
#[test]
fn d6_a_pause_outlives_a_waive() {
    let mut world = World::new(quick());
    world.walk_to("development judging checks-green");
    let hold = Answer::Hold { kind: domain::verdict::GateHold::Blocked, reason: "look".to_owned() };
    let event = world.answered(hold, StepFacts::default());
    world.tell(&event).unwrap();
    world.intent(Intent::Pause, "").unwrap();
    world.intent(Intent::Waive, "known").unwrap();
    assert_eq!((world.hold_kind(), world.task.is_paused()), (Some(HoldKind::Paused), true));
    assert_eq!(world.task.position.stage.as_str(), "review");
}

#[test]
fn a_cycle_is_told_link_by_link() {
    let items = ["A-1", "A-2", "A-3"].map(|item| WorkItemId::new(item).unwrap());
    assert_eq!(around(&items), "A-1 needs A-2, A-2 needs A-3, A-3 needs A-1");
}

#[test]
fn d7_2_tasks_that_only_lead_to_a_cycle_or_away_from_it_are_not_held() {
    let edges = [(1, 4), (4, 9), (9, 6), (6, 4), (9, 2), (2, 3), (7, 8), (8, 7), (5, 5)];
    let edges = edges.map(|(task, needs)| (TaskId(task), TaskId(needs)));
    let found = BTreeSet::from_iter(cycles(&edges));
    let expected = [vec![4, 9, 6], vec![5], vec![7, 8]].map(|cycle| cycle.into_iter().map(TaskId).collect());
    assert_eq!(found, BTreeSet::from(expected));
    assert_eq!(cycles(&edges[4..6]), Vec::<Vec<TaskId>>::new());
}

fn graphs() -> impl Strategy<Value = Vec<(TaskId, TaskId)>> {
    let task = || (1..12u64).prop_map(TaskId);
    prop::collection::vec((task(), task()), 0..30)
        .prop_map(|edges| edges.into_iter().filter(|(task, needs)| task != needs).collect())
}

/// Who is reached from a task, by repeating all edges until nothing new is found.
fn reached(edges: &[(TaskId, TaskId)], from: TaskId) -> BTreeSet<TaskId> {
    let mut reached = BTreeSet::new();
    loop {
        let next = edges.iter().filter(|(task, _)| *task == from || reached.contains(task)).map(|(_, needs)| *needs);
        let next = next.collect::<Vec<_>>();
        let before = reached.len();
        reached.extend(next);
        if reached.len() == before {
            return reached;
        }
    }
}

proptest! {
    #[test]
    fn d7_a_way_is_found_exactly_where_there_is_one(edges in graphs()) {
        for (from, to) in (1..12).flat_map(|from| (1..12).map(move |to| (TaskId(from), TaskId(to)))) {
            let there = from == to || reached(&edges, from).contains(&to);
            match way(&edges, from, to) {
                Some(way) => {
                    prop_assert!(there);
                    prop_assert_eq!((way.first(), way.last()), (Some(&from), Some(&to)));
                    for link in way.windows(2) {
                        prop_assert!(edges.contains(&(link[0], link[1])));
                    }
                }
                None => prop_assert!(!there),
            }
        }
    }

    #[test]
    fn d7_2_every_cycle_is_met_and_no_task_is_held_for_none(edges in graphs()) {
        let found = cycles(&edges);
        for cycle in &found {
            prop_assert_eq!(cycle.iter().min(), cycle.first());
            for (task, needs) in cycle.iter().zip(cycle.iter().cycle().skip(1)) {
                prop_assert!(edges.contains(&(*task, *needs)), "{cycle:?}");
            }
        }
        let held = found.iter().flatten().copied().collect::<BTreeSet<_>>();
        prop_assert_eq!(held.len(), found.iter().map(Vec::len).sum::<usize>(), "no task twice");
        // Without those that are held, nobody needs himself any more.
        let left = edges.iter().filter(|(task, needs)| !held.contains(task) && !held.contains(needs));
        let left = left.copied().collect::<Vec<_>>();
        for (task, _) in &left {
            prop_assert!(!reached(&left, *task).contains(task), "{task} is in a cycle that was not found");
        }
    }
}
