//! `gatewright.toml`.

use std::collections::BTreeMap;

use conductor::ports::store::Each;
use conductor::shutdown::Manner;
use domain::ids::DriverName;
use domain::plugin::{Capability, Ceiling};

use crate::SandboxMode;
use crate::tests::world::{HOST, World, edits};

#[test]
fn a_sound_file_is_read() {
    let world = World::new();
    let loaded = world.load().unwrap();
    assert_eq!(loaded.host.operator.to_string(), "127.0.0.1:8500");
    assert_eq!((loaded.host.limits.runs, loaded.host.free_space_mib), (2, 512));
    assert_eq!(loaded.host.sandbox.mode, SandboxMode::Auto);
    assert_eq!(loaded.host.plugins.limits.memory_bytes, 64 * 1024 * 1024);
    assert_eq!(loaded.projects.len(), 1);
}

#[test]
fn what_is_not_written_has_a_default_but_the_ceiling() {
    let world = World::new();
    world.write("gatewright.toml", "[plugins]\nceiling = \"open\"\n");
    let host = world.load().unwrap().host;
    assert_eq!((host.operator.port(), host.limits.runs, host.free_space_mib), (8500, 2, 512));
    assert_eq!(host.plugins.ceiling, Ceiling::Open);
    assert_eq!((host.reconcile.trackers.0, host.reconcile.forges.0), (120_000, 10_000));
    world.write("gatewright.toml", "[reconcile]\ntrackers = \"30s\"\n[plugins]\nceiling = \"open\"\n");
    let reconcile = world.load().unwrap().host.reconcile;
    assert_eq!((reconcile.trackers.0, reconcile.forges.0), (30_000, 10_000));
    world.write("gatewright.toml", "[reconcile]\nforges = \"1s\"\n[plugins]\nceiling = \"open\"\n");
    assert!(world.complaints().contains("forges"), "{}", world.complaints());
    world.write("gatewright.toml", "[plugins]\nceiling = [\"repo:docs/**\"]\nmemory-mib = 128\ntime-ms = 60000\n");
    let plugins = world.load().unwrap().host.plugins;
    assert_eq!(plugins.ceiling, Ceiling::AtMost(vec![Capability::Repo(Some("docs/**".to_owned()))]));
    assert_eq!((plugins.limits.memory_bytes >> 20, plugins.limits.wasm_time.0), (128, 60_000));
    assert!(plugins.limits.evaluation_time >= plugins.limits.wasm_time);
}

#[test]
fn limits_of_runs_and_the_end_of_the_host_are_read() {
    let world = World::new();
    assert_eq!(world.load().unwrap().host.shutdown, Manner::Leave);
    let limits = "runs = 8\nruns-per-project = 3\nruns-per-repository = 4\nruns-per-driver = 5";
    let more = "[drivers.agent]\nruns = 1\n\n[shutdown]\nmode = \"drain\"\n\n[sandbox]";
    world.write("gatewright.toml", HOST.replace("runs = 2", limits).replace("[sandbox]", more));
    let host = world.load().unwrap().host;
    assert_eq!(host.shutdown, Manner::Drain);
    assert_eq!((host.limits.runs, host.limits.each), (8, Each { project: 3, repository: 4, driver: 5 }));
    assert_eq!(host.limits.drivers, BTreeMap::from([(DriverName::new("agent").unwrap(), 1)]));
}

#[test]
fn what_is_wrong_is_told() {
    let said = edits(
        HOST,
        "gatewright.toml",
        &[
            ("a key with a slip", "operator =", "operater ="),
            ("an address that others reach", "127.0.0.1:8500", "0.0.0.0:8500"),
            (
                "an address that others reach, and nobody says how",
                "operator = \"127.0.0.1:8500\"",
                "operator = \"10.0.0.5:8500\"\n[operator]\nhosts = [\"gate.example\"]",
            ),
            (
                "hosts and proxies that are none",
                "[sandbox]",
                "[operator]\nhosts = [\"https://gate.example\", \"-x\", \"gate.example:0\"]\nproxies = [\"gate.example\"]\n\n[sandbox]",
            ),
            ("a name for an address", "127.0.0.1:8500", "localhost:8500"),
            ("a number in quotes", "runs = 2", "runs = \"2\""),
            ("a number out of bounds", "runs = 2", "runs = 0"),
            ("a limit that is never reached", "runs = 2", "runs = 2\nruns-per-project = 3"),
            ("a limit of nothing", "runs = 2", "runs = 2\nruns-per-driver = 0"),
            ("a driver that nobody has", "[sandbox]", "[drivers.agnet]\nruns = 1\n\n[sandbox]"),
            ("a driver without a limit", "[sandbox]", "[drivers.agent]\n\n[sandbox]"),
            ("a driver that is none", "[sandbox]", "[drivers.\"a b\"]\nruns = 1\n\n[sandbox]"),
            ("an end that is none", "[sandbox]", "[shutdown]\nmode = \"drian\"\n\n[sandbox]"),
            ("a word that is none", "mode = \"auto\"", "mode = \"bubblewarp\""),
            ("a relative path", "readable = []", "readable = [\"toolchains\"]"),
            ("the state folder shown to workers", "readable = []", "readable = [\"/\"]"),
            ("no ceiling", "ceiling =", "# ceiling ="),
            ("a capability that is none", "\"history\"", "\"histroy\""),
            (
                "a ceiling that is a word",
                "ceiling = [\"repo\", \"documents\", \"forge\", \"tracker\", \"runs\", \"history\", \"kv\"]",
                "ceiling = \"all\"",
            ),
            ("two listeners at one port", "[sandbox]", "[webhooks]\nlisten = \"0.0.0.0:8500\"\n\n[sandbox]"),
            ("no TOML", "[limits]", "[limits\n= 3"),
        ],
    );
    insta::assert_snapshot!(said);
}

#[test]
fn a_listener_off_loopback_is_taken_where_the_file_says_how_it_is_reached() {
    let world = World::new();
    let said = "operator = \"10.0.0.5:8500\"\n[operator]\nhosts = [\"Gate.lan:8443\"]\nproxies = [\"::ffff:10.0.0.1\"]\nhttps = false";
    world.write("gatewright.toml", HOST.replace("operator = \"127.0.0.1:8500\"", said).as_bytes());
    let reach = world.load().unwrap().host.reach;
    assert_eq!((reach.hosts, reach.https), (vec!["gate.lan:8443".to_owned()], false));
    assert_eq!(reach.proxies, ["10.0.0.1".parse::<std::net::IpAddr>().unwrap()]);
}

#[test]
fn a_file_that_is_not_there_and_one_that_is_no_text() {
    let world = World::new();
    std::fs::remove_file(world.dir().join("gatewright.toml")).unwrap();
    world.write("projects/app.toml", b"name = \"\xff\"");
    insta::assert_snapshot!(world.complaints());
}
