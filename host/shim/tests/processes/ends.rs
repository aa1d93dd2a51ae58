//! How runs end: by themselves, by their time, by the host's word, by their log, and what is left of their trees: nothing.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, UNIX_EPOCH};

use crate::scene::{BOTH, World, await_file, exit, live, log, members, record, signal};
use agents::SandboxMode;
use rustix::process::Signal;
use shim::processes;
use shim::protocol::{self, Exit};

/// A daemon that left its session and its parents and does not hear TERM. It tells its arrival through `clone/ready`.
const DEAF_DAEMON: &str =
    r#"(setsid sh -c 'trap "" TERM HUP INT; echo here > ready; while :; do sleep 1000; done' &) "#;

#[test]
fn e2_2_the_exit_code_is_recorded_and_no_zombie_remains() {
    for mode in BOTH {
        let world = World::new();
        let runner = world.runner(mode);
        let launch = runner.launch(1, &world.script("echo out; echo err >&2; exit 7")).unwrap();
        assert!(!launch.adopted);
        let record = record(&runner, 1);
        assert_eq!(record.exit, Exit::Exited { code: 7 }, "{mode:?}");
        assert!(!record.forced && record.started_at_ms <= record.ended_at_ms);
        assert!(record.peak_rss_bytes.is_some_and(|bytes| bytes > 0));
        assert_eq!(log(&runner, 1), "out\nerr\n");
        // Other tests start shims too, and each is a child of this process for an instant: what stays is ours.
        let name = |pid: u32| std::fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
        let shims = || {
            let mut children = processes::descendants(std::process::id()).unwrap();
            children.retain(|child| name(child.pid).starts_with(b"gatewright-shim"));
            children.into_iter().map(|child| child.pid).collect::<BTreeSet<_>>()
        };
        let mut stay = shims();
        let deadline = Instant::now() + Duration::from_secs(30);
        while !stay.is_empty() {
            assert!(Instant::now() < deadline, "{stay:?} stay");
            std::thread::yield_now();
            stay = &stay & &shims();
        }
    }
}

#[test]
fn a_death_by_signal_is_told_from_a_code() {
    let world = World::new();
    let runner = world.runner(SandboxMode::None);
    runner.launch(1, &world.script("kill -SEGV $$")).unwrap();
    assert_eq!(exit(&runner, 1), Exit::Signaled { signal: 11 });
}

#[test]
fn a_death_leaves_no_core() {
    for mode in BOTH {
        let world = World::new();
        let runner = world.runner(mode);
        runner.launch(1, &world.script("ulimit -c; ulimit -Hc")).unwrap();
        record(&runner, 1);
        assert_eq!(log(&runner, 1), "0\n0\n", "{mode:?}");
    }
}

#[test]
fn what_a_command_leaves_behind_dies_with_its_end() {
    for mode in BOTH {
        let world = World::new();
        let runner = world.runner(mode);
        let wait = "until [ -e ready ]; do sleep 0.01; done; until [ -e go ]; do sleep 0.01; done; exit 0";
        let launch = runner.launch(1, &world.script(&format!("{DEAF_DAEMON}; {wait}"))).unwrap();
        let info = live(&launch);
        await_file(&world.path("clone/ready"));
        assert!(members(&info.marker).len() >= 2, "{mode:?}");
        std::fs::write(world.path("clone/go"), "").unwrap();
        let record = record(&runner, 1);
        // The record stands: not one process may be left at this very moment.
        assert_eq!(members(&info.marker), [], "{mode:?}");
        assert_eq!(record.exit, Exit::Exited { code: 0 });
        assert!(info.cgroup.is_none_or(|group| !group.exists()), "the control group was removed");
    }
}

#[test]
fn e6_1_a_timeout_leaves_nothing_alive_that_ignores_term() {
    for mode in BOTH {
        let world = World::new();
        let runner = world.runner(mode);
        let mut spec = world.script(&format!("{DEAF_DAEMON}; trap '' TERM; while :; do sleep 1000; done"));
        spec.budget = Duration::from_secs(3);
        spec.grace = Duration::from_millis(200);
        let info = live(&runner.launch(1, &spec).unwrap());
        await_file(&world.path("clone/ready"));
        let record = record(&runner, 1);
        assert_eq!(members(&info.marker), [], "{mode:?}");
        assert_eq!(record.exit, Exit::TimedOut, "{mode:?}");
        assert!(record.forced, "{mode:?}");
        assert!(record.ended_at_ms - record.started_at_ms >= 3000);
    }
}

#[test]
fn e5_2_an_agent_that_flushes_on_term_completes_its_file_and_gets_no_kill() {
    for mode in BOTH {
        let world = World::new();
        let runner = world.runner(mode);
        let flush = "echo half > work; sleep 0.3; echo whole >> work; exit 0";
        let script = format!("trap '{flush}' TERM; echo here > ready; while :; do sleep 1000 & wait $!; done");
        let mut spec = world.script(&script);
        spec.grace = crate::scene::LONG;
        runner.launch(1, &spec).unwrap();
        await_file(&world.path("clone/ready"));
        runner.cancel(1).unwrap();
        let record = record(&runner, 1);
        assert_eq!(world.read("clone/work"), "half\nwhole\n", "{mode:?}");
        assert_eq!(record.exit, Exit::Cancelled);
        assert!(!record.forced, "{mode:?}");
    }
}

#[test]
fn a_grandchild_may_flush_too_though_its_parent_dies_at_once() {
    let world = World::new();
    let runner = world.runner(SandboxMode::None);
    let flush = "sleep 0.3; echo whole > work; exit 0";
    let child = format!("trap \"{flush}\" TERM; echo here > ready; while :; do sleep 1000 & wait $!; done");
    let mut spec = world.script(&format!("setsid sh -c '{child}' & sleep 1000"));
    spec.grace = crate::scene::LONG;
    runner.launch(1, &spec).unwrap();
    await_file(&world.path("clone/ready"));
    runner.cancel(1).unwrap();
    assert!(!record(&runner, 1).forced);
    assert_eq!(world.read("clone/work"), "whole\n");
}

#[test]
fn a_stopped_process_hears_term_as_well() {
    for mode in BOTH {
        let world = World::new();
        let runner = world.runner(mode);
        let mut spec = world.script("sh -c 'echo here > ready; kill -STOP $$; sleep 1000'");
        spec.grace = crate::scene::LONG;
        runner.launch(1, &spec).unwrap();
        await_file(&world.path("clone/ready"));
        runner.cancel(1).unwrap();
        let record = record(&runner, 1);
        assert_eq!((record.exit, record.forced), (Exit::Cancelled, false), "{mode:?}");
    }
}

#[test]
fn e2_1_the_log_of_a_killed_run_is_complete() {
    for mode in BOTH {
        let world = World::new();
        let runner = world.runner(mode);
        let mut spec = world.script("trap '' TERM; seq 1 20000; echo here > ready; while :; do sleep 1000; done");
        spec.grace = Duration::ZERO;
        runner.launch(1, &spec).unwrap();
        await_file(&world.path("clone/ready"));
        runner.cancel(1).unwrap();
        assert!(record(&runner, 1).forced);
        assert!(log(&runner, 1).ends_with("19999\n20000\n"), "{mode:?}");
        assert!(runner.log_path(1).starts_with(world.path("state/runs")));
    }
}

#[test]
fn a_flood_of_output_ends_the_run_and_is_cut() {
    for mode in BOTH {
        let world = World::new();
        let runner = world.runner(mode);
        let mut spec = world.script("trap '' TERM; yes flood");
        spec.log_limit_bytes = 1 << 20;
        runner.launch(1, &spec).unwrap();
        let record = record(&runner, 1);
        assert_eq!(record.exit, Exit::LogLimit, "{mode:?}");
        assert!(record.log_truncated);
        assert_eq!(record.log_bytes, 1 << 20);
        assert_eq!(runner.log_path(1).metadata().unwrap().len(), 1 << 20);
    }
}

/// A run holds its log and can cut it: what it wrote before counts all the same.
#[test]
fn who_erases_its_log_again_and_again_passes_its_limit_too() {
    let world = World::new();
    let runner = world.runner(SandboxMode::Bubblewrap);
    let piece = "head -c 700000 /dev/zero | tr '\\0' x; sleep 0.5; : > /proc/self/fd/1; sleep 0.5";
    let mut spec = world.script(&format!("while :; do {piece}; done"));
    spec.log_limit_bytes = 1 << 20;
    runner.launch(1, &spec).unwrap();
    let record = record(&runner, 1);
    assert_eq!(record.exit, Exit::LogLimit);
    assert!(record.log_truncated);
}

#[test]
fn a_run_ends_when_no_host_prolongs_its_right() {
    let world = World::new();
    let mut config = world.config(SandboxMode::None);
    config.right = Duration::from_millis(1500);
    let runner = agents::Runner::new(config).unwrap();
    let info = live(&runner.launch(1, &world.script("sleep 1000")).unwrap());
    runner.launch(2, &world.script("sleep 3")).unwrap();
    runner.renew_right(2, u64::MAX).unwrap();
    assert_eq!(exit(&runner, 1), Exit::RightExpired);
    assert_eq!(members(&info.marker), []);
    assert_eq!(exit(&runner, 2), Exit::Exited { code: 0 });
}

/// The host's own clock and the file's say when it was written. Seen from here the wall's clock has jumped two days since.
#[test]
fn a_wall_clock_that_jumps_days_forward_ends_no_run() {
    let world = World::new();
    let runner = world.runner(SandboxMode::None);
    let spec = world.script("echo here > ready; while [ ! -e go ]; do echo said; sleep 0.01; done");
    let info = live(&runner.launch(1, &spec).unwrap());
    await_file(&world.path("clone/ready"));
    let day_ms = Duration::from_hours(24).as_millis() as u64;
    let until_ms = info.started_at_ms - day_ms;
    let written = UNIX_EPOCH + Duration::from_millis(until_ms - day_ms);
    let unfinished = world.path("right");
    std::fs::write(&unfinished, format!(r#"{{"version":{},"until_ms":{until_ms}}}"#, protocol::VERSION)).unwrap();
    std::fs::File::options().write(true).open(&unfinished).unwrap().set_modified(written).unwrap();
    std::fs::rename(unfinished, runner.run_folder(1).join(protocol::RIGHT)).unwrap();
    // By each line that it prints the shim is woken and looks.
    assert!(runner.wait(1, Some(Duration::from_millis(500))).unwrap().is_live());
    std::fs::write(world.path("clone/go"), "").unwrap();
    assert_eq!(exit(&runner, 1), Exit::Exited { code: 0 });
}

#[test]
fn a_right_that_is_taken_back_ends_the_run_at_once_and_garbage_changes_nothing() {
    let world = World::new();
    let runner = world.runner(SandboxMode::None);
    runner.launch(1, &world.script("echo here > ready; sleep 1000")).unwrap();
    await_file(&world.path("clone/ready"));
    std::fs::write(runner.run_folder(1).join(protocol::RIGHT), "garbage").unwrap();
    assert!(runner.wait(1, Some(Duration::from_millis(300))).unwrap().is_live());
    runner.renew_right(1, 1).unwrap();
    assert_eq!(exit(&runner, 1), Exit::RightExpired);
}

#[test]
fn a_run_whose_folder_is_taken_away_ends() {
    let world = World::new();
    let runner = world.runner(SandboxMode::None);
    let info = live(&runner.launch(1, &world.script("echo here > ready; sleep 1000")).unwrap());
    await_file(&world.path("clone/ready"));
    let tree = members(&info.marker);
    std::fs::remove_dir_all(runner.run_folder(1)).unwrap();
    tree.into_iter().for_each(crate::scene::await_death);
}

#[test]
fn a_shim_that_is_told_to_end_ends_its_tree_and_says_so() {
    for mode in BOTH {
        let world = World::new();
        let runner = world.runner(mode);
        let info = live(&runner.launch(1, &world.script("echo here > ready; sleep 1000")).unwrap());
        await_file(&world.path("clone/ready"));
        signal(info.pid, Signal::TERM);
        assert_eq!(exit(&runner, 1), Exit::Interrupted);
        assert_eq!(members(&info.marker), [], "{mode:?}");
    }
}

#[test]
fn a_tree_that_forks_without_end_dies_as_well() {
    for mode in BOTH {
        let world = World::new();
        let runner = world.runner(mode);
        // Each one starts its successor and ends: none lives long enough to be found twice.
        std::fs::write(world.path("clone/hop"), "trap '' TERM; echo here > ready; (setsid sh ./hop &) ; exit 0")
            .unwrap();
        let mut spec = world.script("sh ./hop; sleep 1000");
        spec.grace = Duration::from_millis(100);
        let info = live(&runner.launch(1, &spec).unwrap());
        await_file(&world.path("clone/ready"));
        runner.cancel(1).unwrap();
        assert_eq!(exit(&runner, 1), Exit::Cancelled);
        assert_eq!(members(&info.marker), [], "{mode:?}");
    }
}

#[test]
fn the_shim_keeps_no_secret_and_opens_nothing_to_others() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let runner = world.runner(SandboxMode::None);
    let mut spec = world.script("[ ${#KEY} = 6 ] && echo here > ready; sleep 1000");
    spec.env = crate::scene::environment(&[("KEY", "s3cret")]);
    let info = live(&runner.launch(1, &spec).unwrap());
    await_file(&world.path("clone/ready"));
    for file in ["cmdline", "environ"] {
        let shown = std::fs::read(format!("/proc/{}/{file}", info.pid)).unwrap();
        assert!(!String::from_utf8_lossy(&shown).contains("s3cret"), "{file}");
    }
    let folder = runner.run_folder(1);
    assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o077, 0);
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o077, 0, "{}", path.display());
        let content = std::fs::read(&path).unwrap();
        assert!(!String::from_utf8_lossy(&content).contains("s3cret"), "{}", path.display());
    }
    runner.cancel(1).unwrap();
    record(&runner, 1);
}

#[test]
fn the_command_inherits_no_descriptor_and_no_standard_input() {
    for mode in BOTH {
        let world = World::new();
        let runner = world.runner(mode);
        // Not marked to be closed: as a careless library would leave it.
        let leak = std::fs::File::open("/etc/passwd").unwrap();
        rustix::io::fcntl_setfd(&leak, rustix::io::FdFlags::empty()).unwrap();
        runner.launch(1, &world.script("cat; for fd in /proc/$$/fd/*; do [ -e $fd ] && echo ${fd##*/}; done")).unwrap();
        record(&runner, 1);
        assert_eq!(log(&runner, 1), "0\n1\n2\n", "{mode:?}");
        drop(leak);
    }
}
