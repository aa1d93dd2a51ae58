//! Launches: once per job whatever dies in between, adopted by a new host, refused with a reason where they cannot be.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Barrier};

use crate::scene::{BOTH, World, await_death, await_file, config_at, exit, live, members, record, script_at, signal};
use agents::{LaunchError, RunError, RunState, Runner, SandboxError, SandboxMode};
use rustix::process::Signal;
use shim::processes;
use shim::protocol::{self, Exit};

#[test]
fn a_second_launch_adopts_the_first_and_starts_nothing() {
    let world = World::new();
    let runner = world.runner(SandboxMode::None);
    let spec = world.script("echo ran >> runs; echo here > ready; sleep 1000");
    let first = runner.launch(1, &spec).unwrap();
    let again = runner.launch(1, &spec).unwrap();
    assert!(!first.adopted && again.adopted);
    assert_eq!(first.state, again.state);
    await_file(&world.path("clone/ready"));
    runner.cancel(1).unwrap();
    record(&runner, 1);
    let after = runner.launch(1, &spec).unwrap();
    assert!(after.adopted && matches!(after.state, RunState::Ended(_)));
    assert_eq!(world.read("clone/runs"), "ran\n");
}

#[test]
fn many_at_once_start_one_command() {
    let world = World::new();
    let spec = world.script("echo ran >> runs");
    let start = Arc::new(Barrier::new(8));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            // Each has a runner of its own, as two hosts would have.
            let (runner, spec, start) = (world.runner(SandboxMode::None), spec.clone(), Arc::clone(&start));
            std::thread::spawn(move || {
                start.wait();
                runner.launch(1, &spec).unwrap().adopted
            })
        })
        .collect();
    let started = threads.into_iter().map(|thread| thread.join().unwrap()).filter(|adopted| !adopted).count();
    assert_eq!(started, 1);
    assert_eq!(exit(&world.runner(SandboxMode::None), 1), Exit::Exited { code: 0 });
    assert_eq!(world.read("clone/runs"), "ran\n");
}

#[test]
fn a_folder_in_which_nothing_began_may_be_launched() {
    let world = World::new();
    let runner = world.runner(SandboxMode::None);
    // As a host leaves it that dies between the folder and the shim.
    std::fs::create_dir(runner.run_folder(1)).unwrap();
    std::fs::write(runner.run_folder(1).join(protocol::SPEC), "{ half").unwrap();
    std::fs::write(runner.run_folder(1).join(protocol::LOCK), "").unwrap();
    assert_eq!(runner.inspect(1).unwrap(), RunState::Prepared);
    assert!(!runner.launch(1, &world.script("echo ran > runs")).unwrap().adopted);
    assert_eq!(exit(&runner, 1), Exit::Exited { code: 0 });
    assert_eq!(world.read("clone/runs"), "ran\n");
}

#[test]
fn a_run_that_is_cancelled_before_it_began_never_begins() {
    let world = World::new();
    let runner = world.runner(SandboxMode::None);
    assert!(matches!(runner.cancel(1), Err(RunError::Absent { job: 1 })));
    std::fs::create_dir(runner.run_folder(1)).unwrap();
    assert_eq!(runner.cancel(1).unwrap(), RunState::Prepared);
    let launch = runner.launch(1, &world.script("echo ran > runs")).unwrap();
    assert!(matches!(launch.state, RunState::Ended(ref record) if record.exit == Exit::Cancelled));
    assert_eq!(world.read("clone/runs"), "");
}

#[test]
fn a_lost_run_is_lost_for_ever_and_its_tree_can_be_ended() {
    let world = World::new();
    let runner = world.runner(SandboxMode::None);
    let daemon = "(setsid sh -c 'trap \"\" TERM HUP; echo $$ > daemon; while :; do sleep 1000; done' &)";
    let spec = world.script(&format!("echo ran >> runs; {daemon}; sleep 1000"));
    let info = live(&runner.launch(1, &spec).unwrap());
    let daemon = await_file(&world.path("clone/daemon")).trim().parse().unwrap();
    let command = members(&info.marker).into_iter().find(|process| process.parent == info.pid).unwrap();
    signal(info.pid, Signal::KILL);
    assert_eq!(runner.wait(1, Some(crate::scene::LONG)).unwrap(), RunState::Lost(info.clone()));
    // The command itself is bound to its shim's life; what it let go is not.
    await_death(command);
    assert!(processes::process(daemon).is_some());
    assert!(runner.reap_orphans(1).unwrap() >= 1);
    assert_eq!(members(&info.marker), []);
    assert_eq!(runner.reap_orphans(1).unwrap(), 0);
    let again = runner.launch(1, &spec).unwrap();
    assert!(again.adopted && matches!(again.state, RunState::Lost(_)));
    assert_eq!(world.read("clone/runs"), "ran\n");
    runner.remove(1).unwrap();
    assert_eq!(runner.inspect(1).unwrap(), RunState::Absent);
}

#[test]
fn in_the_sandbox_nothing_outlives_a_killed_shim() {
    let world = World::new();
    let runner = world.runner(SandboxMode::Bubblewrap);
    let daemon = "(setsid sh -c 'trap \"\" TERM HUP; echo here > ready; while :; do sleep 1000; done' &)";
    let info = live(&runner.launch(1, &world.script(&format!("{daemon}; sleep 1000"))).unwrap());
    await_file(&world.path("clone/ready"));
    let tree = members(&info.marker);
    assert!(tree.len() >= 3, "{tree:?}");
    signal(info.pid, Signal::KILL);
    tree.into_iter().for_each(await_death);
    assert!(matches!(runner.wait(1, Some(crate::scene::LONG)).unwrap(), RunState::Lost(_)));
    assert_eq!(members(&info.marker), []);
    runner.remove(1).unwrap();
    assert!(info.cgroup.is_none_or(|group| !group.exists()));
}

/// A host of its own, which the next tests kill or starve. It does nothing when it is run with the other tests.
#[test]
fn host_process() {
    let Ok(root) = std::env::var("TEST_HOST_ROOT") else { return };
    let root = Path::new(&root);
    let runner = Runner::new(config_at(root, SandboxMode::None)).unwrap();
    match runner.launch(1, &script_at(root, "echo here > ready; trap 'exit 3' USR1; sleep 1000 & wait $!")) {
        Ok(launch) => std::fs::write(root.join("launched"), format!("{}\n", live(&launch).pid)).unwrap(),
        Err(error) => std::fs::write(root.join("refused"), format!("{error}\n{:?}\n", runner.inspect(1))).unwrap(),
    }
    // Until it is killed, or the test that started it is gone.
    std::io::read_to_string(std::io::stdin()).unwrap();
}

fn host(command: &mut Command, root: &Path) -> std::process::Child {
    command.args(["--exact", "launches::host_process", "--nocapture"]).env("TEST_HOST_ROOT", root);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    std::os::unix::process::CommandExt::process_group(command, 0).spawn().unwrap()
}

#[test]
fn a_killed_host_leaves_its_run_alive_and_the_next_one_adopts_it() {
    let world = World::new();
    let root = world.path("");
    let mut host = host(&mut Command::new(std::env::current_exe().unwrap()), &root);
    let pid: u32 = await_file(&world.path("launched")).trim().parse().unwrap();
    await_file(&world.path("clone/ready"));
    // The host and its whole process group, as a terminal or a service manager would.
    let group = rustix::process::Pid::from_raw(i32::try_from(host.id()).unwrap()).unwrap();
    rustix::process::kill_process_group(group, Signal::KILL).unwrap();
    host.wait().unwrap();
    let runner = world.runner(SandboxMode::None);
    let listed = runner.list().unwrap();
    assert!(matches!(listed.as_slice(), [(1, Ok(RunState::Live(_)))]), "{listed:?}");
    let adopted = runner.launch(1, &world.script("echo never > never")).unwrap();
    assert!(adopted.adopted);
    let info = live(&adopted);
    assert_eq!(info.pid, pid);
    let command = members(&info.marker).into_iter().find(|process| process.parent == pid).unwrap();
    signal(command.pid, Signal::USR1);
    assert_eq!(exit(&runner, 1), Exit::Exited { code: 3 });
    assert!(!world.path("clone/never").exists());
}

#[test]
fn on_a_full_disk_nothing_is_started_and_the_reason_is_said() {
    let world = World::new();
    std::fs::create_dir(world.path("state/runs")).unwrap();
    let mut command = Command::new("bwrap");
    // One page: room for what is to be run, none for the record of its end.
    command.args(["--dev-bind", "/", "/", "--size", "4096", "--tmpfs"]).arg(world.path("state/runs")).arg("--");
    command.arg(std::env::current_exe().unwrap());
    let mut host = host(&mut command, &world.path(""));
    let refused = await_file(&world.path("refused"));
    assert!(refused.contains("exit record: No space left on device"), "{refused}");
    assert!(refused.contains("Ok(Prepared)"), "{refused}");
    drop(host.stdin.take());
    host.wait().unwrap();
    assert!(!world.path("clone/ready").exists());
}

#[test]
fn e1_1_a_folder_that_cannot_be_written_is_a_loud_error() {
    let world = World::new();
    let mut config = world.config(SandboxMode::None);
    config.runs_dir = "/proc/runs".into();
    assert!(matches!(Runner::new(config), Err(RunError::Io { .. })));
    // A brief that cannot be written: a file stands where its folder should.
    let runner = world.runner(SandboxMode::None);
    std::fs::write(world.path("state/briefs/1"), "").unwrap();
    let mut spec = world.script("echo ran > runs");
    spec.brief = Some("do it".into());
    assert!(matches!(runner.launch(1, &spec), Err(LaunchError::Run(RunError::Io { .. }))));
    assert_eq!(runner.inspect(1).unwrap(), RunState::Prepared);
    assert!(!world.path("clone/runs").exists());
}

#[test]
fn a_missing_program_is_named_and_leaves_nothing_behind() {
    for mode in BOTH {
        let world = World::new();
        let runner = world.runner(mode);
        for command in ["no-such-agent", "./no-such-agent", "/no/such/agent"] {
            let mut spec = world.script("");
            spec.argv = vec![command.into()];
            let error = runner.launch(1, &spec).unwrap_err();
            let why = if command.contains('/') { "there is no file /" } else { "it is not found on the PATH /" };
            let expected = format!("`{command}` cannot be executed: {why}");
            assert!(error.to_string().starts_with(&expected), "{error}");
            assert_eq!(runner.inspect(1).unwrap(), RunState::Absent);
        }
    }
}

#[test]
fn a_program_that_cannot_be_executed_is_no_exit_code() {
    use std::os::unix::fs::PermissionsExt;
    for mode in BOTH {
        let world = World::new();
        let runner = world.runner(mode);
        let program = world.path("clone/agent");
        std::fs::write(&program, "#!/no/such/interpreter\n").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut spec = world.script("");
        spec.argv = vec!["./agent".into()];
        runner.launch(1, &spec).unwrap();
        match exit(&runner, 1) {
            Exit::NotStarted { error } => assert!(error.contains("No such file"), "{mode:?}: {error}"),
            other => panic!("{mode:?}: {other:?}"),
        }
    }
}

#[test]
fn a_launch_that_makes_no_sense_is_refused_before_anything_is_made() {
    let world = World::new();
    let runner = world.runner(SandboxMode::None);
    let mut wrong = Vec::new();
    let mut change = |edit: fn(&mut agents::LaunchSpec)| {
        let mut spec = world.script("true");
        edit(&mut spec);
        wrong.push(spec);
    };
    change(|spec| spec.argv.clear());
    change(|spec| spec.argv = vec!["a\0".into()]);
    change(|spec| spec.budget = std::time::Duration::ZERO);
    change(|spec| spec.log_limit_bytes = 0);
    change(|spec| spec.cwd = "relative".into());
    change(|spec| spec.cwd = "/etc/passwd".into());
    change(|spec| spec.env = crate::scene::environment(&[("A=B", "")]));
    change(|spec| spec.env = crate::scene::environment(&[("GATEWRIGHT_RUN", "1")]));
    for spec in wrong {
        assert!(matches!(runner.launch(1, &spec), Err(LaunchError::Invalid(_))), "{spec:?}");
    }
    assert_eq!(runner.inspect(1).unwrap(), RunState::Absent);
}

#[test]
fn a_shim_without_its_lock_or_its_spec_starts_nothing() {
    let world = World::new();
    let runner = world.runner(SandboxMode::None);
    std::fs::create_dir(runner.run_folder(1)).unwrap();
    let shim = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatewright-shim"));
        command.arg("start").arg(runner.run_folder(1));
        command
    };
    std::fs::write(runner.run_folder(1).join(protocol::LOCK), "").unwrap();
    let said = shim().stdin(Stdio::null()).output().unwrap().stdout;
    assert!(String::from_utf8(said).unwrap().starts_with("error: the lock"));
    let lock = std::fs::File::open(runner.run_folder(1).join(protocol::LOCK)).unwrap();
    let said = shim().stdin(lock).output().unwrap().stdout;
    assert_eq!(String::from_utf8(said).unwrap(), "error: there is no spec.json in the run folder\n");
    assert_eq!(runner.inspect(1).unwrap(), RunState::Prepared);
}

#[test]
fn a_living_run_is_not_removed_and_an_ended_one_leaves_nothing() {
    let world = World::new();
    let runner = world.runner(SandboxMode::None);
    let mut spec = world.script("sleep 1000");
    spec.brief = Some("do it".into());
    runner.launch(1, &spec).unwrap();
    assert!(matches!(runner.remove(1), Err(RunError::StillLive { job: 1 })));
    runner.cancel(1).unwrap();
    record(&runner, 1);
    runner.remove(1).unwrap();
    runner.remove(1).unwrap();
    assert_eq!(runner.list().unwrap().len(), 0);
    assert_eq!(std::fs::read_dir(world.path("state/runs")).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(world.path("state/briefs")).unwrap().count(), 0);
}

#[test]
fn without_bubblewrap_auto_says_why_and_demanded_refuses() {
    let world = World::new();
    let mut config = world.config(SandboxMode::Auto);
    config.bwrap = Some("/no/such/bwrap".into());
    let runner = Runner::new(config.clone()).unwrap();
    assert_eq!(runner.sandbox().unwrap(), None);
    assert!(runner.sandbox_problem().unwrap().contains("/no/such/bwrap"));
    runner.launch(1, &world.script("exit 4")).unwrap();
    assert_eq!(exit(&runner, 1), Exit::Exited { code: 4 });
    config.sandbox = SandboxMode::Bubblewrap;
    let refused = Runner::new(config).unwrap().launch(2, &world.script("true")).unwrap_err();
    assert!(matches!(refused, LaunchError::Sandbox(SandboxError::Unavailable { .. })), "{refused:?}");
    assert!(refused.to_string().contains("apt install bubblewrap"), "{refused}");
    let held = runner.means().line();
    assert!(held.contains("sandbox by NOBODY") && held.contains("network by NOBODY"), "{held}");
}

#[test]
fn the_installed_shim_launches() {
    let world = World::new();
    let bytes = std::fs::read(env!("CARGO_BIN_EXE_gatewright-shim")).unwrap();
    let digest = Command::new("sha256sum").arg(env!("CARGO_BIN_EXE_gatewright-shim")).output().unwrap().stdout;
    let digest = String::from_utf8(digest).unwrap();
    let digest = digest.split_ascii_whitespace().next().unwrap();
    let mut config = world.config(SandboxMode::None);
    config.shim_path = agents::install_shim(&bytes, digest, &world.path("state/cache")).unwrap();
    let runner = Runner::new(config).unwrap();
    runner.launch(1, &world.script("exit 5")).unwrap();
    assert_eq!(exit(&runner, 1), Exit::Exited { code: 5 });
}
