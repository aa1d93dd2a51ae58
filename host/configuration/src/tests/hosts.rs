//! `gatewright.toml`.

use domain::plugin::{Capability, Ceiling};

use crate::SandboxMode;
use crate::tests::world::{HOST, World, edits};

#[test]
fn a_sound_file_is_read() {
    let world = World::new();
    let loaded = world.load().unwrap();
    assert_eq!(loaded.host.operator.to_string(), "127.0.0.1:8500");
    assert_eq!((loaded.host.runs, loaded.host.free_space_mib), (2, 512));
    assert_eq!(loaded.host.sandbox.mode, SandboxMode::Auto);
    assert_eq!(loaded.host.plugins.limits.memory_bytes, 64 * 1024 * 1024);
    assert_eq!(loaded.projects.len(), 1);
}

#[test]
fn what_is_not_written_has_a_default_but_the_ceiling() {
    let world = World::new();
    world.write("gatewright.toml", "[plugins]\nceiling = \"open\"\n");
    let host = world.load().unwrap().host;
    assert_eq!((host.operator.port(), host.runs, host.free_space_mib), (8500, 2, 512));
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
fn what_is_wrong_is_told() {
    let said = edits(
        HOST,
        "gatewright.toml",
        &[
            ("a key with a slip", "operator =", "operater ="),
            ("an address that others reach", "127.0.0.1:8500", "0.0.0.0:8500"),
            ("a name for an address", "127.0.0.1:8500", "localhost:8500"),
            ("a number in quotes", "runs = 2", "runs = \"2\""),
            ("a number out of bounds", "runs = 2", "runs = 0"),
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
            ("no TOML", "[limits]", "[limits\n= 3"),
        ],
    );
    insta::assert_snapshot!(said);
}

#[test]
fn a_file_that_is_not_there_and_one_that_is_no_text() {
    let world = World::new();
    std::fs::remove_file(world.dir().join("gatewright.toml")).unwrap();
    world.write("projects/app.toml", b"name = \"\xff\"");
    insta::assert_snapshot!(world.complaints());
}
