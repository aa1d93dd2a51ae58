//! What a run hides from whoever counts what it takes of the disk, each way ended by its limit all the same.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use agents::{Runner, SandboxMode};
use rustix::fs::FallocateFlags;
use shim::protocol::{Exit, Limit};

use crate::limits::{MIB, ended_by, ourselves};
use crate::scene::{BOTH, World, as_nobody, exit, log};

/// How large each file is that is removed.
pub(crate) const FILE: usize = 8 << 20;
/// So many of them: a test that fails must not take the disk with it.
const FILES: usize = 60;

/// For a process of a run: writes files, keeps so much of each in sight, removes and closes it.
pub(crate) fn map_removed(length: usize) {
    for _ in 0..FILES {
        let mut file = std::fs::File::options().read(true).write(true).create_new(true).open("full").unwrap();
        file.write_all(&vec![1; FILE]).unwrap();
        #[expect(unsafe_code, reason = "nothing safe maps a file")]
        // SAFETY: the kernel chooses a place that is free, and nobody looks there.
        let place = unsafe {
            let (rights, kind) = (libc::PROT_READ, libc::MAP_SHARED);
            libc::mmap(std::ptr::null_mut(), length, rights, kind, file.as_raw_fd(), 0)
        };
        assert_ne!(place, libc::MAP_FAILED);
        std::fs::remove_file("full").unwrap();
    }
}

/// In folders that their owner cannot list, or not pass through. Root's shim sees them anyway, so it is done as another user too.
#[test]
fn a_folder_that_is_shut_hides_nothing() {
    as_nobody("hidden::a_folder_that_is_shut_hides_nothing");
    let write = "i=0; while :; do head -c 1000000 /dev/zero > $d/full$i; i=$((i+1)); done";
    let fillers = [
        format!("d=d; mkdir d; chmod 300 d; {write}"),
        format!("d=.; chmod 300 .; {write}"),
        format!("d=d/e/f; mkdir -p $d; chmod 300 d d/e d/e/f; {write}"),
        // Shut once all is there, and shut again as often as it is opened.
        "mkdir d; head -c 20000000 /dev/zero > d/1; head -c 20000000 /dev/zero > d/2; chmod 600 d; sleep 1000".into(),
        "mkdir d; head -c 20000000 /dev/zero > d/1; head -c 20000000 /dev/zero > d/2; while :; do chmod 0 d; done"
            .into(),
    ];
    for mode in BOTH {
        for filler in &fillers {
            let world = World::new();
            let mut spec = world.script(filler);
            spec.limits.disk = 32 * MIB;
            ended_by(&world.runner(mode), &spec, Limit::Disk, 32 * MIB);
        }
    }
}

/// Root is told how large they are, others are not.
#[test]
fn a_removed_file_that_is_only_mapped_counts() {
    as_nobody("hidden::a_removed_file_that_is_only_mapped_counts");
    for mode in BOTH {
        for eaten in ["removed files, mapped", "a page of each removed file"] {
            let world = World::new();
            let mut spec = ourselves(&world, eaten);
            spec.limits.disk = 32 * MIB;
            ended_by(&world.runner(mode), &spec, Limit::Disk, 32 * MIB);
        }
    }
}

/// Each launch waits no time for the measure of what it is lent, as if that took for ever.
fn hasty(world: &World) -> Arc<Runner> {
    let mut config = world.config(SandboxMode::Bubblewrap);
    config.first_walk = Duration::ZERO;
    std::fs::create_dir(world.path("lent")).unwrap();
    for number in 0..4000 {
        std::fs::write(world.path("lent").join(number.to_string()), "").unwrap();
    }
    Arc::new(Runner::new(config).unwrap())
}

#[test]
fn a_folder_that_is_lent_and_slow_to_walk_through_is_not_free() {
    let world = World::new();
    let runner = hasty(&world);
    let lent = world.path("lent");
    let write = format!("while :; do head -c 1000000 /dev/zero > {}/full$i; i=$((i+1)); done", lent.display());
    let mut spec = world.script(&write);
    spec.writable = vec![lent];
    spec.limits.disk = 32 * MIB;
    ended_by(&runner, &spec, Limit::Disk, 32 * MIB);
    assert!(log(&runner, 1).contains("lent\", which is slow to look through"), "{}", log(&runner, 1));
}

#[test]
fn what_a_slow_folder_held_before_is_not_the_runs() {
    let world = World::new();
    let runner = hasty(&world);
    let mut spec = world.script("sleep 2");
    spec.writable = vec![world.path("lent")];
    let before = std::fs::File::create(world.path("lent/before")).unwrap();
    rustix::fs::fallocate(&before, FallocateFlags::empty(), 0, 1000 * MIB).unwrap();
    // What other tests write meanwhile is less.
    spec.limits.disk = 900 * MIB;
    runner.launch(1, &spec).unwrap();
    assert_eq!(exit(&runner, 1), Exit::Exited { code: 0 }, "{}", log(&runner, 1));
}
