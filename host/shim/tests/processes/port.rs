//! The conductor's port as the host wires it: templates filled in, endings translated, ends told.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::mpsc::channel;

use agents::port::{HostEnvironment, ShimRuns};
use agents::{SandboxMode, environment};
use conductor::ports::runs::{Confinement, Ending, Launch, LaunchError, Program, RunState, Runs, Usage};
use conductor::project::{Pointers, UsageReader};
use domain::ids::RunId;
use domain::limits::{Limit, RunLimits};
use domain::network::Network;
use domain::time::Milliseconds;
use rustix::process::Signal;

use crate::scene::{LONG, World, await_file, signal};

fn launch(world: &World, run: u64, argv: &[&str]) -> Launch {
    Launch {
        run: RunId(run),
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        workdir: world.path("clone"),
        environment: environment::contract("developer", "ET-7", &world.path("clone/docs")),
        pass_environment: vec!["MODEL_KEY".into()],
        held_key: None,
        brief: Some("the brief".into()),
        readable: Vec::new(),
        writable: Vec::new(),
        network: Network::default(),
        budget: Milliseconds::from_seconds(60),
        grace: Milliseconds::from_seconds(60),
        limits: RunLimits::default(),
        confinement: Confinement::Sandboxed,
        home: None,
    }
}

#[test]
fn an_agent_works_from_launch_to_report() {
    let world = World::new();
    let (ended, ends) = channel();
    let values =
        BTreeMap::from([("MODEL_KEY".to_owned(), "key".to_owned()), ("PLANE_TOKEN".to_owned(), "secret".to_owned())]);
    let host = HostEnvironment { reserved: vec!["PLANE_TOKEN".into()], values };
    let runner = world.runner(SandboxMode::Bubblewrap);
    let runs = ShimRuns::new(runner, host, move |run| ended.send(run).unwrap()).unwrap();
    let script = r#"echo "$1 $2 $MODEL_KEY $PLANE_TOKEN"; cat $0; echo; echo '{"cost":0.5,"in":3}'"#;
    let agent = launch(&world, 1, &["sh", "-c", script, "{brief}", "{role}", "{work_item}"]);
    assert_eq!(runs.inspect(RunId(1)), Ok(RunState::Absent));
    runs.launch(&agent).unwrap();
    runs.watch(RunId(1));
    assert_eq!(ends.recv_timeout(LONG).unwrap(), RunId(1));
    let Ok(RunState::Ended(record)) = runs.launch(&agent) else { panic!("it has ended") };
    assert_eq!(record.ending, Ending::Exited(0));
    let log = String::from_utf8(runs.log_tail(RunId(1), 1000)).unwrap();
    assert_eq!(log, "developer ET-7 key \nthe brief\n{\"cost\":0.5,\"in\":3}\n");
    let pointer = |pointer: &str| Some(pointer.to_owned());
    let pointers = Pointers { input_tokens: pointer("/in"), cost_usd: pointer("/cost"), ..Pointers::default() };
    let reader = UsageReader::Json(pointers);
    let expected = Usage { input_tokens: Some(3), cost_microusd: Some(500_000), ..Usage::default() };
    assert_eq!(runs.usage(RunId(1), &reader), expected);
    assert_eq!(runs.report(RunId(1)).as_deref(), Some("{\"cost\":0.5,\"in\":3}"));
    runs.remove(RunId(1));
    assert_eq!(runs.inspect(RunId(1)), Ok(RunState::Absent));
    assert_eq!(runs.cancel(RunId(1)), Ok(()));
}

#[test]
fn a_run_past_a_limit_says_which_one_and_what_to_set() {
    let world = World::new();
    let host = HostEnvironment { reserved: Vec::new(), values: BTreeMap::new() };
    let runs = ShimRuns::new(world.runner(SandboxMode::Bubblewrap), host, |_| {}).unwrap();
    // What it prints makes it no better.
    let mut agent = launch(&world, 1, &["sh", "-c", "echo 'HTTP 429 rate limit'; tail /dev/zero; exit 0"]);
    agent.pass_environment.clear();
    agent.limits.memory = Some(64 << 20);
    runs.launch(&agent).unwrap();
    runs.runner().wait(1, Some(LONG)).unwrap();
    let Ok(RunState::Ended(record)) = runs.inspect(RunId(1)) else { panic!("it has ended") };
    assert_eq!(record.ending, Ending::OverLimit { limit: Limit::Memory, allowed: 64 << 20 });
}

#[test]
fn what_cannot_be_launched_says_whose_fault_it_is() {
    let world = World::new();
    let host = HostEnvironment { reserved: vec!["PLANE_TOKEN".into()], values: BTreeMap::new() };
    let runs = ShimRuns::new(world.runner(SandboxMode::None), host, |_| {}).unwrap();
    let missing = runs.launch(&launch(&world, 1, &["no-such-agent"]));
    let Err(LaunchError::ProgramMissing { program, why }) = missing else { panic!("{missing:?}") };
    assert_eq!(program, "no-such-agent");
    assert!(why.starts_with("it is not found on the PATH /"), "{why}");
    let unknown = runs.launch(&launch(&world, 1, &["sh", "{breif}"]));
    assert!(matches!(unknown, Err(LaunchError::Template(ref said)) if said.contains("{breif}")), "{unknown:?}");
    let mut leaking = launch(&world, 1, &["true"]);
    leaking.pass_environment = vec!["PLANE_TOKEN".into()];
    assert!(matches!(runs.launch(&leaking), Err(LaunchError::Template(_))));
    assert_eq!(runs.inspect(RunId(1)), Ok(RunState::Absent));
}

/// Asked before there is a job or a clone, of what a launch would execute.
#[test]
fn c4_1_what_a_launch_would_execute_is_looked_at_as_the_launch_does_it() {
    for mode in [SandboxMode::None, SandboxMode::Bubblewrap] {
        let world = World::new();
        let host = HostEnvironment { reserved: Vec::new(), values: BTreeMap::new() };
        let runs = ShimRuns::new(world.runner(mode), host, |_| {}).unwrap();
        let agent = world.path("agent.sh");
        let ready = |argv: &[&str]| {
            let argv = argv.iter().map(|word| (*word).to_owned()).collect();
            let program = Program {
                argv,
                readable: Vec::new(),
                writable: Vec::new(),
                confinement: Confinement::Sandboxed,
                held_key: None,
            };
            runs.ready(&program).map_err(|error| error.to_string())
        };
        let whole = agent.to_str().unwrap();
        let said = |why: &str| Err(format!("`{whole}` cannot begin: {why}"));
        assert_eq!(ready(&["sh", "-c", "true"]), Ok(()));
        assert_eq!(ready(&[whole, "{brief}"]), said(&format!("there is no file {whole}")), "{mode:?}");
        std::fs::write(&agent, "#!/bin/sh\n").unwrap();
        assert_eq!(ready(&[whole]), said(&format!("{whole} may not be executed: `chmod +x` is missing")));
        std::fs::set_permissions(&agent, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(ready(&[whole]), Ok(()), "{mode:?}");
        let mut real = launch(&world, 1, &[whole]);
        real.pass_environment.clear();
        assert!(runs.launch(&real).is_ok(), "and the launch finds it too");
        assert_eq!(ready(&["./in-the-clone"]), Ok(()), "the clone is not there yet");
        let readable = vec![world.path("gone")];
        let shown = Program {
            argv: vec!["sh".into()],
            readable,
            writable: Vec::new(),
            confinement: Confinement::Sandboxed,
            held_key: None,
        };
        let hidden = runs.ready(&shown);
        if mode == SandboxMode::Bubblewrap {
            assert!(matches!(hidden, Err(LaunchError::ProgramMissing { .. })), "{hidden:?}");
        }
    }
}

#[test]
fn a_run_that_went_down_with_its_machine_or_lost_its_shim_is_lost_and_leaves_nothing() {
    let world = World::new();
    let host = HostEnvironment { reserved: Vec::new(), values: BTreeMap::new() };
    let runs = ShimRuns::new(world.runner(SandboxMode::None), host, |_| {}).unwrap();
    let script = "(setsid sh -c 'echo here > ready$0; exec sleep 1000' $0 &); sleep 1000";
    for (run, how) in [(1, Signal::TERM), (2, Signal::KILL)] {
        let mut agent = launch(&world, run, &["sh", "-c", script, &run.to_string()]);
        agent.pass_environment.clear();
        let Ok(RunState::Live { pid }) = runs.launch(&agent) else { panic!("it lives") };
        await_file(&world.path(&format!("clone/ready{run}")));
        signal(pid, how);
        runs.runner().wait(run, Some(LONG)).unwrap();
        assert_eq!(runs.inspect(RunId(run)), Ok(RunState::Lost), "{how:?}");
        let left = shim::processes::all().unwrap().into_iter().filter(|process| {
            process.state != 'Z'
                && std::fs::read_link(format!("/proc/{}/cwd", process.pid)).is_ok_and(|cwd| cwd == world.path("clone"))
        });
        assert_eq!(left.collect::<Vec<_>>(), []);
        runs.remove(RunId(run));
    }
}
