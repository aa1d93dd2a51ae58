//! Runs that say while they work what they use, and runs that are ended for it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use agents::port::{HostEnvironment, ShimRuns};
use agents::{RunState, SandboxMode, environment};
use conductor::ports::runs::{Confinement, Ending, Launch, RunState as Stands, Runs, Usage};
use conductor::project::{Figures, Pointers, UsageReader};
use domain::ids::RunId;
use domain::network::Network;
use domain::time::Milliseconds;
use shim::protocol::{self, Exit};

use crate::scene::{BOTH, LONG, World, await_file, exit, live, members, record};

/// As Claude Code streams it: each block of a message repeats the message's figures, the end has the cost.
fn reader() -> UsageReader {
    let pointer = |pointer: &str| Some(pointer.to_owned());
    let pointers = Pointers {
        input_tokens: pointer("/message/usage/input_tokens"),
        output_tokens: pointer("/message/usage/output_tokens"),
        cache_read_tokens: pointer("/message/usage/cache_read_input_tokens"),
        cache_creation_tokens: None,
        cost_usd: pointer("/total_cost_usd"),
    };
    UsageReader::JsonLines { pointers, figures: Figures::Summed, id: pointer("/message/id") }
}

fn message(id: &str, input: u64, output: u64) -> String {
    format!(
        r#"{{"type":"assistant","message":{{"id":"{id}","usage":{{"input_tokens":{input},"output_tokens":{output}}}}}}}"#
    )
}

fn runs(world: &World, mode: SandboxMode) -> ShimRuns {
    let host = HostEnvironment { reserved: Vec::new(), values: BTreeMap::new() };
    ShimRuns::new(world.runner(mode), host, |_| {}).unwrap()
}

fn agent(world: &World, run: u64, script: &str) -> Launch {
    Launch {
        run: RunId(run),
        argv: vec!["sh".into(), "-c".into(), script.into()],
        workdir: world.path("clone"),
        environment: environment::contract("developer", "ET-7", &world.path("clone/docs")),
        pass_environment: Vec::new(),
        held_key: None,
        brief: Some("the brief".into()),
        readable: Vec::new(),
        writable: Vec::new(),
        network: Network::default(),
        limits: domain::limits::RunLimits::default(),
        budget: Milliseconds::from_seconds(60),
        grace: Milliseconds::from_seconds(60),
        confinement: Confinement::Sandboxed,
        home: None,
    }
}

fn tokens(input: u64, output: u64) -> Usage {
    Usage { input_tokens: Some(input), output_tokens: Some(output), ..Usage::default() }
}

/// The figure that a living run comes to.
fn comes_to(runs: &ShimRuns, run: u64, expected: Usage) {
    let deadline = Instant::now() + LONG;
    while runs.usage(RunId(run), &reader()) != expected {
        assert!(Instant::now() < deadline, "{:?}", runs.usage(RunId(run), &reader()));
        let state = runs.runner().wait(run, Some(Duration::from_millis(5))).unwrap();
        assert!(state.is_live() || runs.usage(RunId(run), &reader()) == expected, "{state:?}");
    }
}

#[test]
fn what_a_living_run_streams_is_counted_and_a_new_host_counts_the_same() {
    for mode in BOTH {
        let world = World::new();
        let first = runs(&world, mode);
        let script = format!(
            "echo working; echo '{}'; echo '{}'; until [ -e more ]; do sleep 0.01; done; \
             echo '{}'; printf '{{\"half\": '; until [ -e end ]; do sleep 0.01; done; echo '1}}'; \
             printf '{{\"type\":\"result\",\"total_cost_usd\":0.25}}'",
            message("a", 10, 1),
            message("a", 10, 3),
            message("b", 20, 4),
        );
        first.launch(&agent(&world, 1, &script)).unwrap();
        comes_to(&first, 1, tokens(10, 3));
        std::fs::write(world.path("clone/more"), "").unwrap();
        comes_to(&first, 1, tokens(30, 7));
        drop(first);
        let second = runs(&world, mode);
        comes_to(&second, 1, tokens(30, 7));
        std::fs::write(world.path("clone/end"), "").unwrap();
        record(second.runner(), 1);
        let whole = Usage { cost_microusd: Some(250_000), ..tokens(30, 7) };
        assert_eq!(second.usage(RunId(1), &reader()), whole, "{mode:?}: the last line has no end");
        assert_eq!(second.usage(RunId(1), &reader()), whole, "however often it is asked");
        assert_eq!(second.usage(RunId(1), &UsageReader::None), Usage::default());
    }
}

#[test]
fn a_hostile_stream_costs_nothing_but_its_own_figures() {
    let world = World::new();
    let runs = runs(&world, SandboxMode::None);
    // Bytes that are no text, a line of four megabytes, one that never ends, figures that are none.
    let script = format!(
        "head -c 300000 /dev/urandom; echo; echo '{}'; printf '{{\"x\":\"'; head -c 4000000 /dev/zero | tr '\\0' x; echo '\"}}'; \
         echo '{}'; echo '{{\"message\":{{\"usage\":{{\"output_tokens\":-5}}}}}}'; printf '{{\"message\":'; \
         head -c 3000000 /dev/zero; echo here > ready; sleep 1000",
        message("a", 10, 1),
        message("b", 5, 1),
    );
    let mut agent = agent(&world, 1, &script);
    agent.grace = Milliseconds(0);
    runs.launch(&agent).unwrap();
    await_file(&world.path("clone/ready"));
    comes_to(&runs, 1, tokens(15, 2));
    runs.cancel(RunId(1)).unwrap();
    record(runs.runner(), 1);
    assert_eq!(runs.usage(RunId(1), &reader()), tokens(15, 2));
}

#[test]
fn a_run_over_its_budget_may_write_down_what_it_has_and_says_why_it_ended() {
    for mode in BOTH {
        let world = World::new();
        let runs = runs(&world, mode);
        let flush = format!("echo whole > work; echo '{}'; exit 0", message("last", 1, 1));
        let script = format!(
            "trap \"{}\" TERM; echo here > ready; while :; do sleep 1000 & wait $!; done",
            flush.replace('"', "\\\"")
        );
        runs.launch(&agent(&world, 1, &script)).unwrap();
        await_file(&world.path("clone/ready"));
        runs.end_over_budget(RunId(1)).unwrap();
        let ended = record(runs.runner(), 1);
        assert_eq!((ended.exit, ended.forced), (Exit::OverBudget, false), "{mode:?}");
        assert_eq!(world.read("clone/work"), "whole\n");
        let Ok(Stands::Ended(told)) = runs.inspect(RunId(1)) else { panic!("it has ended") };
        assert_eq!(told.ending, Ending::OverBudget);
        assert_eq!(runs.usage(RunId(1), &reader()), tokens(1, 1), "what it used to its very end counts");
        runs.end_over_budget(RunId(1)).unwrap();
    }
}

#[test]
fn nothing_of_a_run_over_its_budget_survives_that_ignores_term() {
    for mode in BOTH {
        let world = World::new();
        let runner = world.runner(mode);
        let deaf = "(setsid sh -c 'trap \"\" TERM HUP INT; echo here > ready; while :; do sleep 1000; done' &)";
        let mut spec = world.script(&format!("{deaf}; trap '' TERM; while :; do sleep 1000; done"));
        spec.grace = Duration::from_millis(200);
        let info = live(&runner.launch(1, &spec).unwrap());
        await_file(&world.path("clone/ready"));
        runner.end_over_budget(1).unwrap();
        let ended = record(&runner, 1);
        assert_eq!((ended.exit, ended.forced), (Exit::OverBudget, true), "{mode:?}");
        assert_eq!(members(&info.marker), [], "{mode:?}");
    }
}

#[test]
fn a_word_to_end_that_nobody_understands_ends_the_run_too() {
    let world = World::new();
    let runner = world.runner(SandboxMode::None);
    for (job, word) in [(1, &b"garbage"[..]), (2, b"")] {
        runner.launch(job, &world.script(&format!("echo here > ready{job}; sleep 1000"))).unwrap();
        await_file(&world.path(&format!("clone/ready{job}")));
        std::fs::write(runner.run_folder(job).join(protocol::CANCEL), word).unwrap();
        assert_eq!(exit(&runner, job), Exit::Cancelled);
    }
    runner.launch(3, &world.script("echo here > ready3; sleep 1000")).unwrap();
    await_file(&world.path("clone/ready3"));
    std::os::unix::fs::symlink("/dev/zero", runner.run_folder(3).join(protocol::CANCEL)).unwrap();
    assert_eq!(exit(&runner, 3), Exit::Cancelled);
    assert!(matches!(runner.inspect(3).unwrap(), RunState::Ended(_)));
}

/// The brief lies outside of the clone: nothing that commits all there is can take it along.
#[test]
fn e1_2_the_brief_is_read_and_never_part_of_the_clone() {
    for mode in BOTH {
        let world = World::new();
        let runs = runs(&world, mode);
        let script = "cat \"$GATEWRIGHT_BRIEF\" > copy; case $GATEWRIGHT_BRIEF in \"$PWD\"/*) exit 3;; esac; \
                      git init -q . && git add -A && git ls-files > listed; echo done >> listed";
        runs.launch(&agent(&world, 1, script)).unwrap();
        assert_eq!(record(runs.runner(), 1).exit, Exit::Exited { code: 0 }, "{mode:?}");
        assert_eq!(world.read("clone/copy"), "the brief");
        let listed = world.read("clone/listed");
        assert!(listed.lines().all(|line| ["copy", "listed", "done"].contains(&line)), "{listed}");
        let inside = std::fs::read_dir(world.path("clone")).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(inside.into_iter().all(|name| name != "brief.md"));
    }
}

#[test]
fn the_model_is_filled_into_the_command_and_seen_in_the_environment() {
    let world = World::new();
    let runs = runs(&world, SandboxMode::None);
    let mut launch = agent(&world, 1, "echo \"$1 $GATEWRIGHT_MODEL ${GATEWRIGHT_EFFORT-none}\"");
    launch.argv.extend(["agent".to_owned(), "--model={model}".to_owned()]);
    launch.environment.insert(environment::MODEL.to_owned(), "opus".to_owned());
    runs.launch(&launch).unwrap();
    record(runs.runner(), 1);
    assert_eq!(runs.log_tail(RunId(1), 100), b"--model=opus opus none\n");
    launch.run = RunId(2);
    launch.argv.push("{effort}".to_owned());
    let refused = runs.launch(&launch).unwrap_err().to_string();
    assert!(refused.contains("the role has no `effort`"), "{refused}");
}
