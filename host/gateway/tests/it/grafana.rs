//! The dashboard that comes along asks for metrics that are there, by labels that they have; the documentation explains each.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::figures::{note_all, parsed};
use crate::world::World;

const WATCHING: &str = include_str!("../../../../docs/watching.md");
const DASHBOARD: &str = include_str!("../../../../packaging/grafana/gatewright.json");

/// What Prometheus itself adds to each series.
const ADDED: [&str; 2] = ["job", "instance"];

fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match (key.as_str(), value) {
                    ("expr" | "query", Value::String(text)) if text.contains('(') || text.contains('{') => {
                        found.push(text.clone());
                    }
                    _ => expressions(value, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| expressions(value, found)),
        _ => {}
    }
}

/// Names of metrics with the labels that braces behind them name, and the labels by which sums are told apart.
fn asked(expression: &str) -> (Vec<(String, BTreeSet<String>)>, BTreeSet<String>) {
    let mut metrics = Vec::new();
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let mut rest = expression;
    while let Some(at) = rest.find("gatewright_").into_iter().chain(rest.find("process_")).min() {
        rest = &rest[at..];
        let end = rest.find(|character| !is_name(character)).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        let inside = behind.strip_prefix('{').and_then(|inside| inside.split('}').next()).unwrap_or_default();
        let labels = inside.split(',').filter_map(|pair| pair.split(['=', '!']).next()).map(str::trim);
        metrics.push((name.to_owned(), labels.filter(|label| !label.is_empty()).map(str::to_owned).collect()));
        rest = behind;
    }
    let sums = expression.split("by (").skip(1).filter_map(|rest| rest.split(')').next());
    (metrics, sums.flat_map(|list| list.split(',')).map(|label| label.trim().to_owned()).collect())
}

#[tokio::test]
async fn each_metric_that_the_dashboard_names_is_there_with_its_labels() {
    let world = World::new();
    note_all(&world).await;
    let mut there: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for family in parsed(world.get("/metrics").await.text()).into_values() {
        for sample in family.samples {
            there.entry(sample.name).or_default().extend(sample.labels.into_keys());
        }
    }
    let mut found = Vec::new();
    expressions(&serde_json::from_str(DASHBOARD).unwrap(), &mut found);
    assert!(found.len() > 25, "{found:?}");
    for expression in found {
        let (metrics, sums) = asked(&expression);
        assert!(!metrics.is_empty(), "{expression} asks for nothing");
        for (name, labels) in metrics {
            let known = there.get(&name).unwrap_or_else(|| panic!("there is no {name}: {expression}"));
            for label in labels.union(&sums).filter(|label| !ADDED.contains(&label.as_str())) {
                assert!(known.contains(label), "{name} has no label `{label}`, it has {known:?}: {expression}");
            }
        }
    }
}

#[tokio::test]
async fn the_documentation_explains_each_metric_with_its_labels_and_no_other() {
    let world = World::new();
    note_all(&world).await;
    let mut there = BTreeMap::new();
    for (name, family) in parsed(world.get("/metrics").await.text()) {
        // Prometheus' client leaves the ending of a counter out of its family's name.
        let name = if family.samples[0].name.ends_with("_total") { format!("{name}_total") } else { name };
        let mut labels: BTreeSet<String> =
            family.samples.into_iter().flat_map(|sample| sample.labels.into_keys()).collect();
        labels.remove("le");
        there.insert(name, labels);
    }
    let mut told = BTreeMap::new();
    for line in WATCHING.lines().filter(|line| line.starts_with("| `gatewright_") || line.starts_with("| `process_")) {
        let mut cells = line.split('|').skip(1).map(str::trim);
        let name = cells.next().unwrap().trim_matches('`').to_owned();
        let labels = cells.next().unwrap().split(", ").map(|label| label.trim_matches('`').to_owned());
        told.insert(name, labels.filter(|label| !label.is_empty()).collect::<BTreeSet<_>>());
    }
    // Those need what this world does not have: a lease, a driver with a limit, a cap of tokens.
    let others = [
        ("gatewright_lease_held", ["project", "lease"].as_slice()),
        ("gatewright_driver_runs_limit", &["driver"]),
        ("gatewright_token_cap", &["project", "scope"]),
    ];
    for (name, labels) in others {
        there.entry(name.to_owned()).or_insert_with(|| labels.iter().map(|label| (*label).to_owned()).collect());
    }
    let missing: Vec<_> = there.iter().filter(|(name, labels)| told.get(*name) != Some(labels)).collect();
    let gone: Vec<_> = told.keys().filter(|name| !there.contains_key(*name)).collect();
    assert!(missing.is_empty() && gone.is_empty(), "not explained: {missing:#?}, no metrics: {gone:#?}");
}
