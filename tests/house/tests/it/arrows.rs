//! Who may know whom. Dependencies for tests alone are free.

use std::collections::{BTreeMap, BTreeSet};

use house::House;

/// What a crate under `host/` may name of ours. `gatewright`, the wiring, may name all.
const MAY_KNOW: [(&str, &[&str]); 14] = [
    ("domain", &[]),
    ("engine", &["domain"]),
    ("webhooks", &["domain"]),
    ("conductor", &["domain", "engine", "webhooks"]),
    ("store", &["conductor", "domain", "engine", "kill-points", "webhooks"]),
    ("sandbox", &["conductor", "domain"]),
    ("agents", &["conductor", "domain", "kill-points", "shim"]),
    ("adapters", &["conductor", "domain", "kill-points"]),
    ("telemetry", &["conductor", "domain"]),
    ("gateway", &["conductor", "domain", "webhooks"]),
    ("configuration", &["conductor", "domain", "webhooks"]),
    ("shim", &["kill-points"]),
    ("kill-points", &[]),
    ("nested-cargo", &[]),
];

/// What the simulator runs is what is free of any runtime, and nothing else.
const SIMULATED: &[&str] = &["conductor", "domain", "engine", "kill-points", "store"];

/// One heavy thing is known in one place, so that an edit elsewhere does not rebuild it and a change of it stays there.
const KNOWN_IN_ONE_PLACE: [(&str, &str); 8] = [
    ("opentelemetry", "telemetry"),
    ("prometheus", "gateway"),
    ("wasmtime", "sandbox"),
    ("rusqlite", "store"),
    ("axum", "gateway"),
    ("reqwest", "gatewright"),
    ("clap", "gatewright"),
    ("askama", "gateway"),
];

const RUNTIMES: [&str; 10] =
    ["tokio", "mio", "async-std", "smol", "futures-executor", "hyper", "reqwest", "axum", "wasmtime", "rusqlite"];

#[test]
fn arrows_point_down_only() {
    let house = House::of("Cargo.toml");
    let ours = house.members();
    let may_know: BTreeMap<&str, &[&str]> = MAY_KNOW.into_iter().collect();
    for arrow in house.arrows().into_iter().filter(|arrow| !arrow.is_dev && ours.contains(&arrow.to)) {
        let from = arrow.from.as_str();
        if from == "gatewright" || from == "test-artifacts" {
            continue;
        }
        let allowed = if from == "simulate" { SIMULATED } else { may_know.get(from).copied().unwrap_or_default() };
        let is_builder = arrow.is_build && arrow.to == "nested-cargo";
        assert!(allowed.contains(&arrow.to.as_str()) || is_builder, "`{from}` may not know `{}`", arrow.to);
    }
}

#[test]
fn every_crate_of_the_host_has_its_place_in_the_table() {
    let listed = MAY_KNOW.iter().map(|(name, _)| (*name).to_owned()).chain(["gatewright".to_owned()]);
    let folders = std::fs::read_dir(house::root().join("host")).unwrap();
    let there = folders.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    assert_eq!(listed.collect::<BTreeSet<_>>(), there.collect::<BTreeSet<_>>());
}

#[test]
fn nobody_knows_the_wiring() {
    let known_by = House::of("Cargo.toml").arrows().into_iter().find(|arrow| arrow.to == "gatewright");
    assert_eq!(known_by, None);
}

#[test]
fn sdk_and_host_never_meet() {
    let house = House::of("Cargo.toml");
    let ours = house.members();
    let linked = house.linked_into("gatewright-sdk");
    assert_eq!(linked.intersection(&ours).collect::<Vec<_>>(), Vec::<&String>::new());
    for arrow in house.arrows() {
        assert!(arrow.to != "gatewright-sdk" || arrow.is_dev, "`{}` knows the sdk", arrow.from);
    }
}

#[test]
fn components_know_the_sdk_and_nothing_of_the_host() {
    let host: BTreeSet<String> = House::of("Cargo.toml").members();
    for manifest in ["plugins/Cargo.toml", "tests/guests/Cargo.toml"] {
        let components = House::of(manifest);
        let own = components.members();
        for arrow in components.arrows() {
            let is_foreign = host.contains(&arrow.to) && !own.contains(&arrow.to) && arrow.to != "gatewright-sdk";
            assert!(!is_foreign, "{manifest}: `{}` knows `{}`", arrow.from, arrow.to);
        }
    }
}

#[test]
fn no_runtime_below_the_wiring_of_domain_engine_and_conductor() {
    let house = House::of("Cargo.toml");
    for name in ["domain", "engine", "conductor", "configuration", "webhooks"] {
        let linked = house.linked_into(name);
        let found = RUNTIMES.into_iter().filter(|runtime| linked.contains(*runtime)).collect::<Vec<_>>();
        assert!(found.is_empty(), "`{name}` links {found:?}");
    }
    let store = house.linked_into("store");
    for runtime in RUNTIMES.into_iter().filter(|runtime| *runtime != "rusqlite") {
        assert!(!store.contains(runtime), "`store` links {runtime}");
    }
}

#[test]
fn one_heavy_thing_is_known_in_one_place() {
    for arrow in House::of("Cargo.toml").arrows().into_iter().filter(|arrow| !arrow.is_dev) {
        for (heavy, place) in KNOWN_IN_ONE_PLACE {
            // The simulator is SQLite's disk.
            let is_disk = heavy == "rusqlite" && arrow.from == "simulate";
            let is_named_there = arrow.to != heavy || arrow.from == place || is_disk;
            assert!(is_named_there, "`{}` names {heavy}, which is {place}'s", arrow.from);
        }
    }
}

#[test]
fn every_package_takes_the_lints_and_the_versions_of_its_workspace() {
    for manifest in ["Cargo.toml", "plugins/Cargo.toml", "tests/guests/Cargo.toml"] {
        for (name, text) in House::of(manifest).manifests() {
            let parsed: toml::Table = text.parse().unwrap();
            let lints = parsed.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool);
            assert_eq!(lints, Some(true), "`{name}` of {manifest} has no `[lints] workspace = true`");
            for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
                let Some(table) = parsed.get(kind).and_then(toml::Value::as_table) else { continue };
                for (dependency, asked) in table {
                    let shared = asked.get("workspace").and_then(toml::Value::as_bool);
                    assert_eq!(shared, Some(true), "`{name}` asks for `{dependency}` by a version of its own");
                }
            }
        }
    }
}
