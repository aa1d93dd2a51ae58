//! Conversations that a later run goes on with, and what a known agent is told of budgets.

use conductor::dialect::claude_code::TOOLS;
use conductor::dialect::{ClaudeCode, Complaint, Dialect, End, PermissionMode, Told};
use conductor::ports::runs::{Ending, Usage};
use conductor::project::{ProjectSettings, UsageReader, Worker};
use domain::budget::{Budgets, Cap};
use domain::document::Role;
use domain::ids::RunId;
use domain::time::Milliseconds;
use domain::verdict::Verdict;

use crate::world::World;

/// A developer that is Claude Code.
fn world(more: impl FnOnce(&mut ProjectSettings)) -> World {
    World::with(|settings| {
        let Some(Worker::Agent(agent)) = settings.workers.get_mut(&Role::Developer) else { panic!("it is an agent") };
        agent.usage = UsageReader::ClaudeCode;
        agent.dialect = Dialect::ClaudeCode(ClaudeCode {
            permission_mode: PermissionMode::AcceptEdits,
            tools: TOOLS.map(str::to_owned).to_vec(),
            fallback_model: None,
            api: None,
            held: None,
            retries: 0,
            patience: Milliseconds::from_seconds(60),
            resume: true,
        });
        more(settings);
    })
}

fn said(end: End, cost_microusd: u64) -> Told {
    let usage = Usage { input_tokens: Some(90_000), cost_microusd: Some(cost_microusd), ..Usage::default() };
    Told { context: Some(20_000), usage, end: Some(end), steps: 1, ..Told::default() }
}

fn good() -> End {
    End::Good { words: "done".to_owned(), denied: Vec::new() }
}

fn refused(status: u16) -> End {
    End::Bad(Complaint { words: "no".to_owned(), status: Some(status), reason: Some("api_error".to_owned()) })
}

/// The run that lives ends with these words; the one that was launched after it, by the words behind a switch.
fn ends(world: &World, exit: i32, told: Told) {
    let run = world.runs.live()[0];
    world.runs.said.lock().unwrap().insert(run, told);
    world.runs.end(run, Ending::Exited(exit));
    world.tell_end(run);
    world.go();
}

/// The latest launch: its run, and what stands behind a switch.
fn launched(world: &World, switch: &str) -> (RunId, Option<String>) {
    let launches = world.runs.launches.lock().unwrap();
    let launch = launches.last().unwrap();
    let at = launch.argv.iter().position(|word| word == switch);
    (launch.run, at.map(|at| launch.argv[at + 1].clone()))
}

fn kept(world: &World) -> Vec<RunId> {
    world.runs.sessions.lock().unwrap().keys().copied().collect()
}

fn sent_back(world: &World) {
    world.plugins.gate.lock().unwrap().push_back(Verdict::Fail { findings: Vec::new(), figures: Vec::new() });
}

#[test]
fn what_passes_by_itself_leaves_the_conversation_to_go_on_with() {
    let world = world(|_| {});
    sent_back(&world);
    world.started();
    let (first, session) = launched(&world, "--session-id");
    let session = session.expect("it begins one");
    ends(&world, 0, said(good(), 1000));
    let (second, resumed) = launched(&world, "--resume");
    assert_ne!(first, second, "it came back");
    assert_eq!(resumed.as_ref(), Some(&session));

    ends(&world, 1, said(refused(529), 1500));
    assert_eq!(kept(&world), [first], "what it went on from is still there");
    world.pass(60);
    let (third, resumed) = launched(&world, "--resume");
    assert!(third != second && resumed.as_ref() == Some(&session), "it goes on from there: {resumed:?}");
    let before = world.store.run(third).unwrap().conversation.unwrap();
    assert_eq!((before.resumed, before.before.cost_microusd), (Some(first), Some(1000)));

    // What does not pass by itself may lie in the conversation.
    ends(&world, 1, said(refused(400), 1500));
    assert_eq!(kept(&world), []);
    world.pass(60);
    let (fourth, resumed) = launched(&world, "--resume");
    assert!(fourth != third && resumed.is_none(), "{resumed:?}");
}

/// The run that lives is lost with its shim, after it had said so much; what stands of its record is left.
fn is_lost(world: &World, told: Told, record: Option<&str>) -> RunId {
    let run = world.runs.live()[0];
    world.runs.said.lock().unwrap().insert(run, told);
    if let Some(session) = record {
        world.runs.sessions.lock().unwrap().insert(run, session.to_owned());
    }
    world.runs.lose(run);
    world.tell_end(run);
    world.go();
    world.pass(60);
    run
}

fn prompt(world: &World) -> String {
    launched(world, "-p").1.unwrap()
}

fn midst(context: u64) -> Told {
    Told { end: None, context: Some(context), ..said(good(), 1000) }
}

#[test]
fn what_a_lost_run_knew_is_gone_on_with_where_its_record_is_left_and_that_is_cheaper() {
    let world = world(|_| {});
    world.started();
    let (first, session) = launched(&world, "--session-id");
    let session = session.unwrap();
    assert_eq!(is_lost(&world, midst(20_000), Some(&session)), first);
    let (second, resumed) = launched(&world, "--resume");
    assert!(second != first && resumed.as_ref() == Some(&session), "{resumed:?}");
    assert!(prompt(&world).starts_with("You were cut off") && prompt(&world).contains("is gone"), "{}", prompt(&world));
    let conversation = world.store.run(second).unwrap().conversation.unwrap();
    assert_eq!((conversation.resumed, conversation.before.cost_microusd), (Some(first), Some(1000)));

    // Once more, with a record of its own: the first one's is in it.
    is_lost(&world, midst(30_000), Some(&session));
    assert_eq!(kept(&world), [second]);
    let (third, resumed) = launched(&world, "--resume");
    assert!(third != second && resumed.as_ref() == Some(&session), "{resumed:?}");
    ends(&world, 0, said(good(), 3000));
    assert_eq!(kept(&world), [third], "what it went on from is over");
}

#[test]
fn a_lost_run_without_a_record_or_with_too_long_a_one_is_begun_anew() {
    for (told, has_record) in [(midst(20_000), false), (midst(80_000), true), (Told::default(), true)] {
        let world = world(|_| {});
        world.started();
        let (first, session) = launched(&world, "--session-id");
        is_lost(&world, told, session.as_deref().filter(|_| has_record));
        let (second, anew) = launched(&world, "--session-id");
        assert!(second != first && anew.is_some() && anew != session, "{anew:?}");
        assert!(prompt(&world).starts_with("Read "), "{}", prompt(&world));
    }
}

#[test]
fn a_lost_run_without_a_record_of_its_own_leaves_what_it_went_on_from() {
    let world = world(|_| {});
    sent_back(&world);
    world.started();
    let (first, session) = launched(&world, "--session-id");
    ends(&world, 0, said(good(), 1000));
    let (second, resumed) = launched(&world, "--resume");
    assert_eq!(resumed, session);
    is_lost(&world, midst(20_000), None);
    assert_eq!(kept(&world), [first]);
    let (third, resumed) = launched(&world, "--resume");
    assert!(third != second && resumed == session, "{resumed:?}");
    assert!(prompt(&world).starts_with("The work came back"), "{}", prompt(&world));
    assert_eq!(world.store.run(third).unwrap().conversation.unwrap().resumed, Some(first));
}

#[test]
fn a_run_may_cost_what_is_left_of_the_smallest_budget_that_it_counts_against() {
    let dollars = |amount: u64| Cap { cost_microusd: Some(amount * 1_000_000), ..Cap::default() };
    let world = world(|settings| {
        settings.budgets = Budgets { task: dollars(5), day: dollars(7), total: dollars(20) };
    });
    world.started();
    assert_eq!(launched(&world, "--max-budget-usd").1.as_deref(), Some("5.000000"));
    ends(&world, 1, said(refused(400), 2_000_000));
    let (second, left) = launched(&world, "--max-budget-usd");
    assert_eq!(left.as_deref(), Some("3.000000"));

    // It ends itself there, and says no more than that.
    let enough = Complaint {
        words: "Reached maximum budget".to_owned(),
        status: None,
        reason: Some("error_max_budget_usd".to_owned()),
    };
    ends(&world, 1, said(End::Bad(enough), 3_010_000));
    assert_eq!(launched(&world, "-p").0, second, "nothing is launched over budget");
    let hold = world.hold();
    assert!(
        hold.contains("the budget of this task is spent: $5.01 of $5.00") && hold.contains("Reached maximum"),
        "{hold}"
    );
}
