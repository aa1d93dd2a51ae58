//! What a run hides from whoever counts what it takes of the disk, each way ended by its limit all the same.

use shim::protocol::Limit;

use crate::limits::{MIB, ended_by};
use crate::scene::{BOTH, World, as_nobody};

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
