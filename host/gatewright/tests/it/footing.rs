//! A host that has nothing to do says all the same when what it stands on is gone: `gatewright health` fails.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::process::Command;

use crate::fixture::{DEVELOPER, Place, REVIEWER, Serving, said};

/// What is wrong, in the words that only who has a token is told.
fn troubles(host: &Serving) -> String {
    let asked = reqwest::blocking::Client::new().get(format!("{}/api/v1/system", host.address));
    asked.bearer_auth(&host.token).send().unwrap().text().unwrap()
}

/// Either the host says so, or it wrote in this very moment, found that it cannot, and has ended.
fn fails(place: &Place) {
    let told = place.gatewright(&["health"]);
    assert_eq!(told.status.code(), Some(1), "{}", said(&told));
}

fn is_well(place: &Place) {
    let told = place.gatewright(&["health"]);
    assert_eq!(told.status.code(), Some(0), "{}", said(&told));
}

#[test]
fn health_fails_while_the_database_of_the_living_host_is_not_in_its_place() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    for name in ["gatewright.db", "gatewright.db-wal"] {
        let host = place.serve();
        is_well(&place);
        let (there, away) = (place.state().join(name), place.path(name));
        fs::rename(&there, &away).unwrap();
        fails(&place);
        // Another one of its name, with the same content.
        fs::copy(&away, &there).unwrap();
        fails(&place);
        host.kill();
        fs::rename(&away, &there).unwrap();
    }
}

#[test]
fn health_fails_once_the_database_of_the_living_host_is_overwritten() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let host = place.serve();
    // Each of the host's readers knows by now what it reads for this answer, and would not look at the disk for it again.
    let ask = || (0..20).all(|_| host.get("/readyz").0 == 200);
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        assert!(asked.into_iter().all(|asked| asked.join().unwrap()));
    });
    for name in ["gatewright.db", "gatewright.db-wal"] {
        let file = fs::OpenOptions::new().write(true).open(place.state().join(name)).unwrap();
        let bytes = file.metadata().unwrap().len();
        file.write_all_at(&vec![0x5a; usize::try_from(bytes).unwrap()], 0).unwrap();
    }
    fails(&place);
}

#[test]
fn health_fails_while_the_state_folder_takes_no_writing() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    // In a view of its own, over which a file system can be laid that is read-only.
    let mut apart = Command::new("unshare");
    apart.args(["--user", "--map-root-user", "--mount", env!("CARGO_BIN_EXE_gatewright"), "--dir"]);
    let host = place.start(apart.arg(place.state()).arg("serve"));
    assert_eq!(host.get("/readyz").0, 200);
    let inside = |script: &str| {
        let mut entered = Command::new("nsenter");
        entered.args(["--target", &host.pid().to_string(), "--user", "--mount", "--preserve-credentials", "sh", "-ec"]);
        let done = entered.args([script, "sh"]).args([place.state(), place.path("read-only")]).output().unwrap();
        assert!(done.status.success(), "{}", said(&done));
    };
    // Laid over it in one step, and taken away though the host may just then be trying to write: neither waits for a moment of rest.
    inside("mkdir \"$2\"; mount --bind \"$1\" \"$2\"; mount -o remount,bind,ro \"$2\"; mount --bind \"$2\" \"$1\"");
    let (status, told) = host.get("/readyz");
    assert!(status == 503 && told.contains("the store does not serve"), "{status} {told}");
    assert!(troubles(&host).contains("nothing can be written in"), "{}", troubles(&host));
    inside("umount --lazy \"$1\"");
    assert_eq!(host.get("/readyz").0, 200);
}
