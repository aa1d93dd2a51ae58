//! Budgets: what is not launched, what is ended, what counts, and what leads out of the hold.

use conductor::ports::runs::{Ending, Usage};
use conductor::project::{AgentSpec, CommandSpec, Pointers, ProjectSettings, UsageReader, Worker};
use domain::budget::{Budgets, Cap, DAY_MS};
use domain::cost::Price;
use domain::document::Role;
use domain::entry::Entry;
use domain::event::{Event, Intent, Spent};
use domain::ids::{Actor, RunId};
use domain::time::Milliseconds;

use crate::limits::command;
use crate::world::{World, project};

const HOUR: Milliseconds = Milliseconds::from_seconds(3600);
const PRICE: Price =
    Price { microusd_per_hour: 6_000_000, tokens_per_hour: 1_000_000, microusd_per_million: [3_000_000; 4] };

fn dollars(amount: u64) -> Cap {
    Cap { cost_microusd: Some(amount * 1_000_000), ..Cap::default() }
}

fn cost(amount: f64) -> Usage {
    Usage { cost_microusd: Some((amount * 1e6) as u64), ..Usage::default() }
}

fn agent(settings: &mut ProjectSettings) -> &mut AgentSpec {
    match settings.workers.get_mut(&Role::Developer) {
        Some(Worker::Agent(agent)) => agent,
        _ => panic!("the developer is an agent"),
    }
}

/// A project whose developer streams what it uses.
fn world(budgets: Budgets, run: Cap) -> World {
    World::with(|settings| {
        settings.budgets = budgets;
        settings.price = PRICE;
        let agent = agent(settings);
        agent.budget = HOUR;
        agent.cap = run;
        agent.model = Some("opus".to_owned());
        agent.effort = Some("high".to_owned());
        let figures = conductor::project::Figures::Cumulative;
        agent.usage = UsageReader::JsonLines { pointers: Pointers::default(), figures, id: None };
    })
}

fn of_task(cap: Cap) -> Budgets {
    Budgets { task: cap, ..Budgets::default() }
}

fn live(world: &World) -> RunId {
    *world.runs.live().first().expect("a run that lives")
}

fn says(world: &World, run: RunId, usage: Usage) {
    world.runs.usage.lock().unwrap().insert(run, usage);
}

fn ends(world: &World, run: RunId, ending: Ending, wall: Milliseconds) {
    world.runs.end_after(run, ending, wall);
    world.tell_end(run);
    world.go();
}

fn resume(world: &World) {
    let event =
        Event::Intent { intent: Intent::Resume, actor: Actor::Token("operator".to_owned()), note: String::new() };
    world.store.apply(world.task().id, &event, world.now()).unwrap();
    world.go();
}

fn launches(world: &World) -> usize {
    world.runs.launches.lock().unwrap().len()
}

#[test]
fn a_run_that_streams_past_its_budget_is_ended_and_costs_no_attempt() {
    let world = world(Budgets::default(), dollars(5));
    world.started();
    let run = live(&world);
    says(&world, run, cost(4.99));
    world.pass(5);
    assert_eq!(world.stands(), "running");
    let (usage, spent) = world.conductor.live_usage(run).unwrap();
    assert_eq!((usage.cost_microusd, spent.cost_microusd), (Some(4_990_000), 4_990_000), "the figure is known");
    says(&world, run, cost(5.2));
    world.pass(4);
    assert_eq!(world.stands(), "running", "it is looked at every five seconds");
    world.pass(1);
    world.tell_end(run);
    world.go();
    let expected = "OverBudget: the budget of a run of the developer is spent: $5.20 of $5.00; \
                    resume it for a run with a budget of its own, or raise `cost-usd` of `budget` of [roles.developer] before";
    assert_eq!(world.hold(), expected);
    let task = world.task();
    assert_eq!((task.retries, task.run_retries, task.runs, task.spent.cost_microusd), (0, 0, 1, 5_200_000));
    let row = world.store.run(run).unwrap();
    assert!(row.outcome.is_some_and(|outcome| outcome.starts_with("over budget: ")));
    assert_eq!(world.conductor.live_usage(run), None);
    // A person lets it on: a run with a budget of its own, and no more than one.
    resume(&world);
    assert_eq!((world.stands(), launches(&world)), ("running", 2));
}

#[test]
fn nothing_is_launched_over_the_tasks_budget_and_resuming_goes_round_in_no_circle() {
    let world = world(of_task(dollars(2)), Cap::default());
    world.started();
    let run = live(&world);
    says(&world, run, cost(2.5));
    ends(&world, run, Ending::Exited(0), HOUR);
    assert_eq!(world.stands(), "awaiting-person", "what was delivered is taken over");
    let reject =
        Event::Intent { intent: Intent::Reject, actor: Actor::Token("operator".to_owned()), note: "no".to_owned() };
    world.store.apply(world.task().id, &reject, world.now()).unwrap();
    world.go();
    let held = "OverBudget: nothing is launched: the budget of this task is spent: $2.50 of $2.00; raise `cost-usd` of \
                [budget.task] in the project's file, then resume it";
    assert_eq!((world.hold().as_str(), launches(&world)), (held, 1));
    for _ in 0..3 {
        resume(&world);
        assert_eq!((world.hold().as_str(), launches(&world)), (held, 1));
    }
    let ends = world.entries().into_iter().filter(|entry| matches!(entry, Entry::RunEnded { .. })).count();
    assert_eq!((ends, world.task().runs, world.task().run_retries), (1, 1, 0), "what never began is no run");
    // An operator raises it in the file; that alone lets nobody on.
    world.edit(|settings| settings.budgets = of_task(dollars(3)));
    world.go();
    assert_eq!(world.stands(), "held");
    resume(&world);
    assert_eq!((world.stands(), launches(&world)), ("running", 2));
}

#[test]
fn a_project_has_a_budget_for_the_day_and_one_in_all() {
    let budgets = Budgets { day: dollars(2), total: dollars(4), ..Budgets::default() };
    let world = world(budgets, Cap::default());
    world.started();
    let fails = |amount: f64| {
        let run = live(&world);
        says(&world, run, cost(amount));
        ends(&world, run, Ending::Exited(1), HOUR);
    };
    let tomorrow = || world.clock_only(DAY_MS / 1000);
    fails(2.0);
    assert!(world.hold().contains("the budget of the project's day is spent: $2.00 of $2.00"), "{}", world.hold());
    resume(&world);
    assert_eq!((world.stands(), launches(&world)), ("held", 1));
    tomorrow();
    resume(&world);
    assert_eq!((world.stands(), launches(&world)), ("running", 2));
    fails(1.9);
    assert_eq!(world.stands(), "running", "of the day and in all something is left");
    tomorrow();
    fails(1.0);
    assert!(world.hold().contains("the budget of the project in all is spent: $4.90 of $4.00"), "{}", world.hold());
    tomorrow();
    resume(&world);
    assert_eq!((world.stands(), launches(&world)), ("held", 3));
    let day = world.now().0 / DAY_MS;
    let of = |day| world.store.spending(&project(), day).unwrap();
    let costs = [of(day - 3), of(day - 2), of(day - 1), of(day)].map(|spending| spending.day.cost_microusd);
    assert_eq!(costs, [2_000_000, 1_900_000, 1_000_000, 0]);
    assert_eq!(of(day).total.cost_microusd, 4_900_000);
}

#[test]
fn what_a_run_does_not_say_counts_by_the_price_however_it_ended() {
    for (ending, wall) in [(Some(Ending::Exited(1)), HOUR), (Some(Ending::Signaled(9)), HOUR), (None, HOUR)] {
        let world = world(of_task(dollars(6)), Cap::default());
        world.started();
        let run = live(&world);
        if let Some(ending) = ending {
            ends(&world, run, ending, wall);
        } else {
            // Its shim is gone: nobody knows when, and longer than it was allowed to it did not live.
            world.clock_only(100_000);
            world.runs.lose(run);
            world.tell_end(run);
            world.go();
        }
        let spent = world.task().spent;
        assert!(spent.cost_microusd >= 6_000_000 && spent.cost_microusd < 6_100_000, "{spent:?}");
        assert_eq!(spent.priced_microusd, spent.cost_microusd);
        assert!(world.hold().contains("the budget of this task is spent: $6.0"), "{}", world.hold());
        assert_eq!(world.task().run_retries, 0, "it costs no attempt");
    }
}

#[test]
fn a_stopped_task_pays_for_the_run_that_was_ended_with_it() {
    let world = world(Budgets::default(), Cap::default());
    world.started();
    let run = live(&world);
    let stop = Event::Intent { intent: Intent::Stop, actor: Actor::Token("operator".to_owned()), note: String::new() };
    world.store.apply(world.task().id, &stop, world.now()).unwrap();
    world.go();
    world.tell_end(run);
    world.pass(1);
    assert_eq!(world.stands(), "settled");
    let spent = world.task().spent;
    assert!(spent.priced_microusd > 0, "{spent:?}");
    let day = world.now().0 / DAY_MS;
    assert_eq!(world.store.spending(&project(), day).unwrap().total, spent, "once, in the project's sum too");
    assert_eq!(world.task().by_role[&Role::Developer].runs, 1);
}

#[test]
fn a_run_gets_no_more_time_than_is_left() {
    let wall = |seconds| Cap { wall: Some(Milliseconds::from_seconds(seconds)), ..Cap::default() };
    let world = world(of_task(wall(1000)), wall(700));
    world.started();
    let given = |at: usize| world.runs.launches.lock().unwrap()[at].budget.0 / 1000;
    assert_eq!(given(0), 700);
    ends(&world, live(&world), Ending::Exited(1), Milliseconds::from_seconds(600));
    assert_eq!((given(1), world.task().run_retries), (400, 1));
    ends(&world, live(&world), Ending::TimedOut, Milliseconds(399_500));
    assert!(
        world.hold().contains("the budget of this task is spent: 16 min of 16 min; raise `wall`"),
        "{}",
        world.hold()
    );
    assert_eq!((launches(&world), world.task().run_retries), (2, 1));
}

#[test]
fn others_that_live_count_against_the_projects_budget() {
    let budgets = Budgets { day: dollars(3), ..Budgets::default() };
    let world = world(budgets, Cap::default());
    world.started();
    let first = live(&world);
    says(&world, first, cost(2.9));
    world.pass(5);
    let (second, task) = world.another();
    world.go();
    assert_eq!(launches(&world), 2, "something is left");
    says(&world, second(&world), cost(0.2));
    world.pass(5);
    world.tell_end(second(&world));
    world.pass(5);
    world.tell_end(first);
    world.go();
    assert!(world.hold().contains("the project's day is spent: $3.10 of $3.00"), "{}", world.hold());
    assert_eq!(world.store.task(task).unwrap().position.activity.name(), "held", "both are ended");
}

#[test]
fn e7_1_model_and_effort_are_stamped_at_launch_and_survive_a_kill() {
    let mut world = world(Budgets::default(), Cap::default());
    world.started();
    let run = live(&world);
    let stamped = |world: &World| {
        let row = world.store.run(run).unwrap();
        (row.model.unwrap(), row.effort.unwrap())
    };
    let expected = ("opus".to_owned(), "high".to_owned());
    assert_eq!(stamped(&world), expected, "in flight");
    let launch = world.runs.launches.lock().unwrap()[0].clone();
    assert_eq!(launch.environment["GATEWRIGHT_MODEL"], "opus");
    assert_eq!(launch.environment["GATEWRIGHT_EFFORT"], "high");
    world.edit(|settings| agent(settings).model = None);
    world.restart();
    world.go();
    ends(&world, run, Ending::TimedOut, HOUR);
    assert_eq!(stamped(&world), expected, "after the kill");
}

#[test]
fn e7_2_a_run_that_says_nonsense_is_finalised_and_its_usage_is_unknown() {
    let world = world(Budgets::default(), Cap::default());
    world.started();
    let run = live(&world);
    ends(&world, run, Ending::Exited(0), HOUR);
    let row = world.store.run(run).unwrap();
    assert_eq!((row.usage, row.outcome.as_deref()), (Usage::default(), Some("delivered")));
    assert!(row.ended_at.is_some());
}

#[test]
fn e7_3_three_runs_of_one_role_make_one_sum() {
    let world = world(Budgets::default(), Cap::default());
    world.started();
    let usage = |scale: u64| Usage {
        input_tokens: Some(10 * scale),
        cache_read_tokens: Some(100 * scale),
        cache_creation_tokens: Some(scale),
        output_tokens: Some(5 * scale),
        cost_microusd: Some(250_000 * scale),
    };
    for scale in 1..=3 {
        let run = live(&world);
        says(&world, run, usage(scale));
        ends(&world, run, Ending::Exited(i32::from(scale < 3)), HOUR);
    }
    let sum = world.task().by_role[&Role::Developer];
    assert_eq!((sum.runs, sum.spent), (3, world.task().spent));
    let rows = world.store.runs(world.task().id, 10).unwrap();
    let added = rows.iter().filter_map(|row| row.spent).fold(Spent::default(), Spent::plus);
    assert_eq!(sum.spent, added);
    assert_eq!((sum.spent.shown_input(), sum.spent.output_tokens, sum.spent.cost_microusd), (666, 30, 1_500_000));
    world.approve();
    assert_eq!(world.stands(), "settled");
    let told = world.comments().pop().unwrap();
    let summary = "- developer: 3 runs, $1.50, 666 tokens in (606 by the cache), 30 out, 3 h 0 min";
    assert!(told.contains(summary), "{told}");
}

/// The host dies after it wrote down that the run shall end, and before it told the shim.
#[test]
fn a_host_that_dies_before_the_end_ends_the_run_in_its_next_life() {
    let mut world = world(Budgets::default(), dollars(5));
    world.started();
    let run = live(&world);
    let job = domain::ids::JobId(run.0);
    let row = world.store.jobs(&world.limits, world.now(), 50).unwrap();
    assert!(row.iter().any(|row| row.id == job && row.state == "claimed"));
    says(&world, run, cost(6.0));
    world.runs.is_deaf.store(true, std::sync::atomic::Ordering::SeqCst);
    world.pass(5);
    assert!(world.store.run(run).unwrap().over_budget.is_some(), "written down");
    assert_eq!(world.runs.live(), [run]);
    world.restart();
    says(&world, run, cost(0.0));
    world.runs.is_deaf.store(false, std::sync::atomic::Ordering::SeqCst);
    world.go();
    world.pass(5);
    world.tell_end(run);
    world.go();
    assert!(
        world.hold().starts_with("OverBudget: the budget of a run of the developer is spent: $6.00"),
        "{}",
        world.hold()
    );
}

#[test]
fn a_plain_command_costs_time_and_no_money() {
    let world = World::with(|settings| {
        settings.price = PRICE;
        settings.budgets = of_task(dollars(1));
        settings.workers.insert(Role::Developer, Worker::Command(CommandSpec { budget: HOUR, ..command("agent") }));
    });
    world.started();
    ends(&world, live(&world), Ending::Signaled(9), HOUR);
    let spent = world.task().spent;
    assert_eq!((spent.cost_microusd, spent.tokens(), spent.wall), (0, 0, HOUR));
    assert_eq!(world.stands(), "running");
}

/// What a deployer changes is outside of the repository: an unchanged branch is what is expected of it.
#[test]
fn e9_1_a_deployers_run_without_a_change_is_no_reason_to_go_back() {
    let world = World::of(Role::Deployer, |_| {});
    let log = b"---\nstaging_status: SUCCESS\n---\nIt is there.\n".to_vec();
    world.forge.documents.lock().unwrap().push(("15-staging-log.md".to_owned(), log));
    world.started();
    ends(&world, live(&world), Ending::Exited(0), HOUR);
    assert_eq!(world.stands(), "awaiting-person");
    let task = world.task();
    assert_eq!((task.retries, task.run_retries, task.head == task.base), (0, 0, true));
    assert_eq!(world.store.documents(task.id).unwrap()[0].name, "15-staging-log.md");
}
