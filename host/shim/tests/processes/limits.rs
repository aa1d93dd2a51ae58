//! What a run may take of the machine: eaters of everything, each ended within its limit while the host lives, and honest runs that
//! only look as if they took too much.

use std::io::Write;
use std::time::Duration;

use agents::{LaunchSpec, Runner, SandboxMode};
use rustix::fs::{MemfdFlags, memfd_create};
use shim::protocol::{Exit, Limit, OPEN_FILES_OF_ALL};

use crate::hidden::{FILE, map_removed};
use crate::scene::{BOTH, World, environment, exit, live, log, members, record};

pub(crate) const MIB: u64 = 1 << 20;

/// Runs it until its limit ends it, and sees that nothing is left of it and that the next run is none the worse.
pub(crate) fn ended_by(runner: &Runner, spec: &LaunchSpec, limit: Limit, allowed: u64) {
    let info = live(&runner.launch(1, spec).unwrap());
    let ended = record(runner, 1);
    assert_eq!(members(&info.marker), [], "{limit:?}");
    let said = log(runner, 1);
    assert_eq!(ended.exit, Exit::OverLimit { limit, allowed }, "{said}");
    assert!(said.contains("gatewright: the run went past its limit `"), "{said}");
    let after = LaunchSpec::new(vec!["true".into()], &spec.cwd);
    let after = LaunchSpec { limits: domain::limits::RunLimits { disk: 1 << 40, ..after.limits }, ..after };
    runner.launch(2, &after).unwrap();
    // What it left in its clone stands there still.
    assert!(matches!(exit(runner, 2), Exit::Exited { code: 0 } | Exit::OverLimit { limit: Limit::Disk, .. }));
}

/// This test program as a run: `eat` below does what the name says.
pub(crate) fn ourselves(world: &World, what: &str) -> LaunchSpec {
    let program = std::env::current_exe().unwrap();
    let mut spec = world.script("");
    let words = ["--exact", "limits::eat", "--nocapture"];
    spec.argv = [program.to_str().unwrap()].into_iter().chain(words).map(str::to_owned).collect();
    spec.env = environment(&[("TEST_EATER", what)]);
    spec.readable = vec![program];
    spec
}

/// A process of the sandbox, which other tests start. It does nothing when it is run with them.
#[test]
fn eat() {
    let Ok(what) = std::env::var("TEST_EATER") else { return };
    let mut kept = Vec::new();
    match what.as_str() {
        "memory without a name" => {
            let mut file = std::fs::File::from(memfd_create("x", MemfdFlags::empty()).unwrap());
            for _ in 0..256 {
                file.write_all(&vec![1; MIB as usize]).unwrap();
            }
            kept.push(file);
        }
        "threads" => {
            for _ in 0..300 {
                // For a user who is not root the kernel refuses some of them.
                let _ = std::thread::Builder::new().spawn(std::thread::park);
            }
        }
        "removed files, mapped" => map_removed(FILE),
        "a page of each removed file" => map_removed(4096),
        other => panic!("nobody eats {other}"),
    }
    loop {
        std::thread::park();
    }
}

#[test]
fn whoever_eats_memory_is_ended() {
    // By itself; from behind its parents and its session; a little in each of many.
    let eaters = [
        "tail /dev/zero",
        "(setsid sh -c 'trap \"\" TERM; tail /dev/zero' &); sleep 1000",
        "for i in 1 2 3 4 5 6 7 8; do (head -c 40000000 /dev/zero; sleep 1000) | tail & done; wait",
    ];
    for mode in BOTH {
        for eater in eaters {
            let world = World::new();
            let mut spec = world.script(eater);
            spec.limits.memory = Some(200 * MIB);
            ended_by(&world.runner(mode), &spec, Limit::Memory, 200 * MIB);
        }
    }
}

#[test]
fn files_in_memory_are_memory_and_no_folder_of_them_takes_all() {
    let world = World::new();
    let fill = "for folder in /tmp ~ /dev/shm /var/tmp; do cat /dev/zero > $folder/full; done 2> said; sleep 1000";
    let mut spec = world.script(fill);
    spec.limits.memory = Some(100 * MIB);
    ended_by(&world.runner(SandboxMode::Bubblewrap), &spec, Limit::Memory, 100 * MIB);
    // Each holds half, so two were full before the third was too much.
    assert!(world.read("clone/said").matches("No space left on device").count() >= 1, "{}", world.read("clone/said"));
    let world = World::new();
    let mut spec = ourselves(&world, "memory without a name");
    spec.limits.memory = Some(100 * MIB);
    ended_by(&world.runner(SandboxMode::Bubblewrap), &spec, Limit::Memory, 100 * MIB);
}

#[test]
fn nothing_else_in_memory_can_be_written() {
    let world = World::new();
    let runner = world.runner(SandboxMode::Bubblewrap);
    let script =
        "for folder in / /dev /run /proc /etc; do (echo x > $folder/new) 2>/dev/null && echo $folder; done; exit 0";
    runner.launch(1, &world.script(script)).unwrap();
    assert_eq!((exit(&runner, 1), log(&runner, 1).as_str()), (Exit::Exited { code: 0 }, ""));
}

#[test]
fn memory_that_is_shared_counts_once() {
    let world = World::new();
    let mut spec = world.script("");
    // Eight children that look as large as their parent, and share all of it.
    let script = "large=$(head -c 50000000 /dev/zero | tr '\\0' a)
        for i in 1 2 3 4 5 6 7 8; do (sleep 2; exit 0) & done; wait; echo ${#large}";
    spec.argv = vec!["/bin/bash".into(), "-c".into(), script.into()];
    spec.limits.memory = Some(300 * MIB);
    let runner = world.runner(SandboxMode::Bubblewrap);
    runner.launch(1, &spec).unwrap();
    assert_eq!(exit(&runner, 1), Exit::Exited { code: 0 }, "{}", log(&runner, 1));
    assert_eq!(log(&runner, 1), "50000000\n");
}

/// Each starts two of its kind, so many generations long: a test that fails must not take the machine with it.
pub(crate) fn bomb(world: &World, generations: u32) -> LaunchSpec {
    let bomb = "[ $1 = 0 ] || { (setsid sh ./bomb $(($1-1)) &); (setsid sh ./bomb $(($1-1)) &); }; sleep 1000\n";
    std::fs::write(world.path("clone/bomb"), format!("trap '' TERM HUP INT\n{bomb}")).unwrap();
    let mut spec = world.script(&format!("sh ./bomb {generations}"));
    spec.grace = Duration::from_mins(10);
    spec
}

#[test]
fn a_fork_bomb_is_ended_at_once_whatever_its_sessions_and_signals() {
    for mode in BOTH {
        let world = World::new();
        let mut spec = bomb(&world, 8);
        spec.limits.processes = 100;
        ended_by(&world.runner(mode), &spec, Limit::Processes, 100);
    }
}

#[test]
fn threads_are_processes() {
    let world = World::new();
    let mut spec = ourselves(&world, "threads");
    spec.limits.processes = 100;
    ended_by(&world.runner(SandboxMode::Bubblewrap), &spec, Limit::Processes, 100);
}

#[test]
fn whoever_fills_the_disk_is_ended() {
    let fillers = [
        "i=0; while :; do head -c 1000000 /dev/zero > full$i; i=$((i+1)); done",
        // One file, and many that hold nothing.
        "cat /dev/zero > full; sleep 1000",
        "mkdir many; cd many; while :; do i=$((i+1)); : > $i; done",
        // Removed, and still open.
        "exec 3> full; rm full; cat /dev/zero >&3; sleep 1000",
        // Deeper than anybody looks.
        "while mkdir d 2>/dev/null && cd d; do :; done; sleep 1000",
    ];
    for mode in BOTH {
        for filler in fillers {
            let world = World::new();
            let mut spec = world.script(filler);
            spec.limits.disk = 32 * MIB;
            spec.log_limit_bytes = MIB;
            ended_by(&world.runner(mode), &spec, Limit::Disk, 32 * MIB);
        }
    }
}

#[test]
fn a_run_that_took_too_much_disk_has_not_ended_well_however_soon_it_ended() {
    let world = World::new();
    let mut spec = world.script("head -c 40000000 /dev/zero > full; exit 0");
    spec.limits.disk = 32 * MIB;
    let runner = world.runner(SandboxMode::Bubblewrap);
    runner.launch(1, &spec).unwrap();
    assert_eq!(exit(&runner, 1), Exit::OverLimit { limit: Limit::Disk, allowed: 32 * MIB });
}

#[test]
fn of_a_folder_that_was_lent_only_what_the_run_added_counts() {
    let world = World::new();
    std::fs::create_dir(world.path("lent")).unwrap();
    std::fs::write(world.path("lent/before"), vec![1; 40 * MIB as usize]).unwrap();
    let runner = world.runner(SandboxMode::Bubblewrap);
    for (job, added, ending) in [
        (1, "10000000", Exit::Exited { code: 0 }),
        (2, "40000000", Exit::OverLimit { limit: Limit::Disk, allowed: 32 * MIB }),
    ] {
        let lent = world.path("lent");
        let mut spec = world.script(&format!("head -c {added} /dev/zero > {}/added", lent.display()));
        spec.writable = vec![lent];
        spec.limits.disk = 32 * MIB;
        runner.launch(job, &spec).unwrap();
        assert_eq!(exit(&runner, job), ending, "{added}");
        std::fs::remove_file(world.path("lent/added")).unwrap();
    }
}

#[test]
fn one_process_opens_no_more_files_than_it_may() {
    for mode in BOTH {
        let world = World::new();
        let mut spec = world.script("");
        let script =
            "n=0; while exec {fd}</dev/null; do n=$((n+1)); done 2>/dev/null; echo $n; ulimit -Hn; ulimit -n 100000";
        spec.argv = vec!["/bin/bash".into(), "-c".into(), script.into()];
        spec.limits.open_files = 50;
        let runner = world.runner(mode);
        runner.launch(1, &spec).unwrap();
        exit(&runner, 1);
        let said = log(&runner, 1);
        let lines: Vec<&str> = said.lines().collect();
        assert!(lines[0].parse::<u32>().is_ok_and(|opened| (30..50).contains(&opened)), "{mode:?}: {said}");
        assert_eq!(lines[1], "50", "{mode:?}");
    }
}

#[test]
fn many_processes_that_open_all_they_may_are_ended() {
    for mode in BOTH {
        let world = World::new();
        let mut spec = world.script("");
        let one = "while exec {fd}</dev/null; do :; done 2>/dev/null; sleep 1000";
        let script = format!("for i in $(seq 30); do ({one}) & done; wait");
        spec.argv = vec!["/bin/bash".into(), "-c".into(), script];
        spec.limits.open_files = 50;
        ended_by(&world.runner(mode), &spec, Limit::OpenFiles, 50 * OPEN_FILES_OF_ALL);
    }
}
