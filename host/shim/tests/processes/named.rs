//! Processes with names that are no text, or that look like what `/proc` says of others. Who is named so is counted, found and ended
//! like anybody.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use agents::{LaunchSpec, RunState, Runner, SandboxMode};
use rustix::process::Signal;
use shim::processes;
use shim::protocol::{Exit, Limit};

use crate::limits::{MIB, bomb, ended_by};
use crate::scene::{BOTH, LONG, World, as_nobody, await_death, await_file, live, members, record, signal};

/// A letter that is none; one that was cut in its middle, as the kernel cuts a name after fifteen bytes; a line of `/proc` itself;
/// the same behind a line feed.
const NAMES: [&[u8]; 4] = [b"\xff", b"ends like this \xe2\x82\xac", b") R 1 1", b"x\nRssAnon: 0 kB"];

/// Puts a program into the clone under a name, which the kernel then gives to its process.
fn put(world: &World, program: &str, name: &[u8]) {
    let place = world.path("clone").join(OsStr::from_bytes(name));
    symlink(Path::new("/usr/bin").join(program), place).unwrap();
}

/// A shell that finds the name in the clone, so that no script has to spell it, and calls it by `$N`.
fn script(world: &World, script: &str) -> LaunchSpec {
    world.script(&format!("for N in ./*; do [ -L \"$N\" ] && break; done; export N; {script}"))
}

fn comm(pid: u32) -> Vec<u8> {
    std::fs::read(format!("/proc/{pid}/comm")).unwrap()
}

#[test]
fn whoever_eats_memory_under_such_a_name_is_ended() {
    for mode in BOTH {
        for name in NAMES {
            let world = World::new();
            put(&world, "tail", name);
            // A bounded meal: a test that fails must not take the machine with it.
            let mut spec = script(&world, "(head -c 400000000 /dev/zero; sleep 1000) | \"$N\"");
            spec.limits.memory = Some(200 * MIB);
            ended_by(&world.runner(mode), &spec, Limit::Memory, 200 * MIB);
        }
    }
}

#[test]
fn a_fork_bomb_under_such_a_name_is_ended() {
    as_nobody("named::a_fork_bomb_under_such_a_name_is_ended");
    for mode in BOTH {
        for name in NAMES {
            let world = World::new();
            put(&world, "sh", name);
            bomb(&world, 8);
            let bomb = std::fs::read_to_string(world.path("clone/bomb")).unwrap();
            std::fs::write(world.path("clone/bomb"), bomb.replace("setsid sh", "setsid \"$N\"")).unwrap();
            let mut spec = script(&world, "\"$N\" ./bomb 8");
            spec.grace = Duration::from_mins(10);
            spec.limits.processes = 100;
            ended_by(&world.runner(mode), &spec, Limit::Processes, 100);
        }
    }
}

#[test]
fn whoever_holds_removed_files_under_such_a_name_is_ended() {
    as_nobody("named::whoever_holds_removed_files_under_such_a_name_is_ended");
    for name in NAMES {
        let world = World::new();
        put(&world, "sh", name);
        let hold = "exec 3> full; rm full; head -c 60000000 /dev/zero >&3; sleep 1000";
        let mut spec = script(&world, &format!("\"$N\" -c '{hold}'"));
        spec.limits.disk = 32 * MIB;
        ended_by(&world.runner(SandboxMode::None), &spec, Limit::Disk, 32 * MIB);
    }
}

/// A daemon that left its session and its parents and does not hear TERM. Its number comes through `clone/daemon`.
const DEAF: &str = "(setsid \"$N\" -c 'trap \"\" TERM HUP INT; echo $$ > daemon; while :; do sleep 1000; done' &)";

/// Without sandbox and control group nothing but the list of processes leads to it.
#[test]
fn e6_1_a_timeout_ends_the_deaf_whatever_they_are_called() {
    as_nobody("named::e6_1_a_timeout_ends_the_deaf_whatever_they_are_called");
    for mode in BOTH {
        for name in NAMES {
            let world = World::new();
            put(&world, "sh", name);
            let mut spec = script(&world, &format!("{DEAF}; trap '' TERM; while :; do sleep 1000; done"));
            spec.budget = Duration::from_secs(3);
            spec.grace = Duration::from_millis(200);
            let runner = world.runner(mode);
            let info = live(&runner.launch(1, &spec).unwrap());
            await_file(&world.path("clone/daemon"));
            let record = record(&runner, 1);
            assert_eq!((record.exit, record.forced), (Exit::TimedOut, true), "{mode:?}");
            assert_eq!(members(&info.marker), [], "{mode:?}");
        }
    }
}

/// Who hears TERM under such a name hears it, and has the whole grace.
#[test]
fn e5_2_who_flushes_on_term_is_told_whatever_it_is_called() {
    for mode in BOTH {
        for name in NAMES {
            let world = World::new();
            put(&world, "sh", name);
            let flush = "echo half > work; sleep 0.3; echo whole >> work; exit 0";
            let wait = format!("trap \"{flush}\" TERM; echo here > ready; while :; do sleep 1000 & wait $!; done");
            let mut spec = script(&world, &format!("exec \"$N\" -c '{wait}'"));
            spec.grace = LONG;
            let runner = world.runner(mode);
            runner.launch(1, &spec).unwrap();
            await_file(&world.path("clone/ready"));
            runner.cancel(1).unwrap();
            let record = record(&runner, 1);
            assert_eq!(world.read("clone/work"), "half\nwhole\n", "{mode:?}");
            assert_eq!((record.exit, record.forced), (Exit::Cancelled, false), "{mode:?}");
        }
    }
}

#[test]
fn what_a_lost_run_left_is_found_whatever_it_is_called() {
    as_nobody("named::what_a_lost_run_left_is_found_whatever_it_is_called");
    for name in NAMES {
        let world = World::new();
        put(&world, "sh", name);
        let runner: &Runner = &world.runner(SandboxMode::None);
        let info = live(&runner.launch(1, &script(&world, &format!("{DEAF}; sleep 1000"))).unwrap());
        let daemon: u32 = await_file(&world.path("clone/daemon")).trim().parse().unwrap();
        assert_eq!(comm(daemon), [&name[..name.len().min(15)], b"\n"].concat());
        let command = members(&info.marker).into_iter().find(|process| process.parent == info.pid).unwrap();
        signal(info.pid, Signal::KILL);
        assert_eq!(runner.wait(1, Some(LONG)).unwrap(), RunState::Lost(info.clone()));
        await_death(command);
        let left = processes::process(daemon).unwrap();
        assert!(runner.reap_orphans(1).unwrap() >= 1);
        await_death(left);
        assert_eq!(members(&info.marker), []);
        assert_eq!(runner.reap_orphans(1).unwrap(), 0);
    }
}

/// Root alone may mount here; in the sandbox nobody may.
#[test]
fn a_folder_in_memory_counts_whatever_it_is_called() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    for name in [&b"\xff"[..], b"a \n\\040\xff"] {
        let world = World::new();
        std::fs::create_dir(world.path("clone").join(OsStr::from_bytes(name))).unwrap();
        let fill =
            "cd ./*/ && mount -t tmpfs -o size=300m none \"$PWD\" && cd \"$PWD\" && head -c 250000000 /dev/zero > full";
        let mut spec = world.script(&format!("unshare -m sh -c '{fill}; sleep 1000'"));
        spec.limits.memory = Some(100 * MIB);
        ended_by(&world.runner(SandboxMode::None), &spec, Limit::Memory, 100 * MIB);
    }
}
