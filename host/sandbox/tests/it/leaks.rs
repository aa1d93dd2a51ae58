//! After hundreds of evaluations that end badly, memory and descriptors are back where they were.

use std::path::Path;
use std::sync::Arc;

use conductor::ports::plugins::Plugins as _;
use domain::time::Milliseconds;

use crate::scene::{Scene, TestWorld, shared};

const KIB: u64 = 1024;

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}

fn entries(folder: &str) -> usize {
    std::fs::read_dir(Path::new(folder)).unwrap().count()
}

/// Runs alone, in a process of its own: what other tests hold must not be counted.
#[test]
fn hundreds_of_bad_evaluations_leave_nothing_behind() {
    const ALONE: &str = "GATEWRIGHT_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let own = std::env::current_exe().unwrap();
        let name = "leaks::hundreds_of_bad_evaluations_leave_nothing_behind";
        let status =
            std::process::Command::new(own).args(["--exact", name, "--nocapture"]).env(ALONE, "1").status().unwrap();
        assert!(status.success());
        return;
    }
    let brief = |name: &str| Scene::guest(name).limited(|limits| limits.wasm_time = Milliseconds(20));
    let scenes = ["loops", "eats-memory", "eats-memory-quietly", "panics", "recurses", "exits"].map(brief);
    for scene in &scenes {
        scene.load().unwrap();
    }
    let round = |times: usize| {
        for _ in 0..times {
            for scene in &scenes {
                let world = Arc::new(TestWorld::default());
                assert!(!shared().evaluate_gate(scene.call(), world).answer.opens());
            }
        }
    };
    round(5);
    let (memory, files, threads) = (resident_kib(), entries("/proc/self/fd"), entries("/proc/self/task"));
    round(50);
    assert!(entries("/proc/self/fd") <= files, "descriptors: {} were {files}", entries("/proc/self/fd"));
    assert!(entries("/proc/self/task") <= threads, "threads: {} were {threads}", entries("/proc/self/task"));
    let grown = resident_kib().saturating_sub(memory);
    assert!(grown < 24 * KIB, "{grown} KiB more than before");
}
