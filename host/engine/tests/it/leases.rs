//! Leases belong to tasks and are fenced (catalogue D1).

use domain::effect::{Change, Effect};
use domain::event::{Answer, Event, Intent, Observation};
use domain::ids::FenceToken;
use domain::task::HoldKind;
use domain::verdict::{GateHold, InfraCause};

use crate::pipelines::{full, full_with_one_lease, lease, quick};
use crate::world::{World, commit};

fn refused() -> Event {
    Event::Observed { observation: Observation::RefusedAtForge { by: "bob".to_owned() } }
}

#[test]
fn d1_1_a_task_in_line_for_the_lease_waits_where_it_stands_and_spends_nothing() {
    let mut world = World::new(full());
    world.walk_to("deploy-staging acting rebase");
    assert!(world.task.requested.contains(&lease("merge")));
    let [(_, wanted)] = world.jobs.as_slice() else { panic!("one job") };
    assert_eq!(wanted.lease, Some(lease("merge")));
    assert_eq!((world.task.retries, world.task.infra_retries), (0, 0));
}

#[test]
fn d1_2_a_lease_that_was_not_asked_for_is_not_taken() {
    let mut world = World::new(quick());
    world.walk_to("testing acting rebase");
    let other = Event::LeaseGranted { name: lease("deploy"), token: FenceToken(9) };
    assert!(world.tell(&other).is_err());
    world.tell(&Event::LeaseGranted { name: lease("merge"), token: FenceToken(3) }).unwrap();
    assert_eq!(world.task.leases[&lease("merge")], FenceToken(3));
    assert!(world.tell(&Event::LeaseGranted { name: lease("merge"), token: FenceToken(4) }).is_err());
    assert_eq!(world.task.leases[&lease("merge")], FenceToken(3));
}

#[test]
fn d1_3_a_lease_survives_an_infrastructure_fault_of_its_step() {
    let mut world = World::new(quick());
    world.walk_to("testing acting merge");
    world.answer(Answer::Infra { cause: InfraCause::Time, message: "refused".to_owned(), retry_after: None });
    assert_eq!(world.stands(), "testing waiting merge");
    assert!(world.task.leases.contains_key(&lease("merge")));
}

/// What runs over its time again and again does not keep others from the lease for ever.
#[test]
fn c7_5_what_never_ends_in_time_gives_its_lease_back_in_the_end() {
    let mut world = World::new(quick());
    world.walk_to("testing acting retest");
    while world.hold_kind().is_none() {
        assert!(world.task.leases.contains_key(&lease("merge")), "{}", world.stands());
        let message = "it ran over its time and was ended".to_owned();
        world.answer(Answer::Infra { cause: InfraCause::Time, message, retry_after: None });
        if world.hold_kind().is_none() {
            world.go_on();
        }
    }
    assert_eq!((world.hold_kind(), world.task.retries), (Some(HoldKind::InfraExhausted), 0));
    assert!(world.task.leases.is_empty() && world.task.requested.is_empty());
}

#[test]
fn who_awaits_a_person_gives_the_lease_back_and_takes_it_again() {
    let mut world = World::new(full());
    world.walk_to("deploy-staging judging staging-status");
    assert_eq!(world.task.leases.len(), 1);
    world.walk_to("deploy awaiting-person confirm");
    assert!(world.task.leases.is_empty());
    let step = world.intent(Intent::ConfirmDeploy, "").unwrap();
    assert!(step.changes.contains(&Change::RequestLease { name: lease("merge") }));
}

/// A lease that an earlier edge takes holds from there on: a merge on a later edge asks for it again when it was given back.
#[test]
fn a_lease_of_an_earlier_edge_fences_the_later_ones_too() {
    let mut world = World::new(full_with_one_lease());
    world.walk_to("deploy acting deploy");
    let [(_, wanted)] = world.jobs.as_slice() else { panic!("one job") };
    assert_eq!(wanted.lease, Some(lease("merge")));
    assert!(world.task.requested.contains(&lease("merge")));
}

#[test]
fn every_way_back_gives_the_leases_back() {
    for stands in ["deploy-staging acting retest", "deploy judging deploy-status", "deploy acting merge"] {
        let mut world = World::new(full());
        world.walk_to(stands);
        world.fail("red");
        assert_eq!(world.stands(), "development running");
        assert!(world.task.leases.is_empty(), "{stands}");
    }
}

#[test]
fn jobs_before_the_lease_ask_for_none() {
    let mut world = World::new(full());
    world.walk_to("testing judging tests-passed");
    assert!(world.jobs.iter().all(|(_, wanted)| wanted.lease.is_none()));
    assert!(matches!(world.jobs[0].1.effect, Effect::Judge { .. }));
}

/// Whatever makes a person look between the deploy and the merge, nobody else deploys over what runs.
#[test]
fn b13_what_was_deployed_keeps_its_lease_until_it_is_in_main() {
    let infra = || Answer::Infra { cause: InfraCause::Time, message: "no answer".to_owned(), retry_after: None };
    let holds: [fn(&mut World); 3] = [
        |world| drop(world.answer(Answer::Hold { kind: GateHold::Blocked, reason: "look".to_owned() })),
        |world| drop(world.answer(Answer::Stuck { kind: HoldKind::Blocked, reason: "a guard".to_owned() })),
        |world| drop(world.tell(&refused()).unwrap()),
    ];
    for hold in holds {
        let mut world = World::new(full());
        world.walk_to("deploy judging deploy-status");
        hold(&mut world);
        assert!(world.stands().starts_with("deploy held"), "{}", world.stands());
        assert!(world.task.leases.contains_key(&lease("merge")), "{}", world.stands());
        world.intent(Intent::Stop, "").unwrap();
        assert!(world.task.leases.is_empty(), "a stop gives it back");
    }
    let mut world = World::new(full());
    world.walk_to("deploy acting deploy");
    world.go_on();
    world.intent(Intent::Pause, "").unwrap();
    world.go_on();
    assert_eq!(world.hold_kind(), Some(HoldKind::Paused));
    assert!(world.task.leases.contains_key(&lease("merge")));
    world.intent(Intent::Resume, "").unwrap();
    while world.hold_kind().is_none() {
        world.answer(infra());
        if world.hold_kind().is_none() {
            world.go_on();
        }
    }
    assert_eq!(world.hold_kind(), Some(HoldKind::InfraExhausted));
    assert!(world.task.leases.contains_key(&lease("merge")));
}

#[test]
fn b13_a_push_over_what_was_deployed_holds_freezes_and_is_reviewed_when_a_person_says_so() {
    let mut world = World::new(full());
    world.walk_to("deploy judging deploy-status");
    world.answer(Answer::HeadMoved { head: commit(77) });
    assert_eq!((world.hold_kind(), world.frozen.len()), (Some(HoldKind::DeployedNotInMain), 1));
    assert!(world.task.leases.contains_key(&lease("merge")));
    world.intent(Intent::Resume, "").unwrap();
    assert_eq!(world.stands(), "review running");
}

/// What runs is an older commit than what is tested now: it is no reason to keep others from the repository.
#[test]
fn a_deploy_of_an_earlier_way_keeps_no_lease_on_the_next_one() {
    let mut world = World::new(full());
    world.walk_to("deploy judging deploy-status");
    world.fail("exit 3");
    world.walk_to("deploy-staging acting retest");
    assert!(world.task.deployed.is_some() && world.task.leases.contains_key(&lease("merge")));
    world.answer(Answer::Hold { kind: GateHold::Blocked, reason: "look".to_owned() });
    assert!(world.task.leases.is_empty());
}
