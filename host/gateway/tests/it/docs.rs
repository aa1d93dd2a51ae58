//! The documentation names every route with every method, and no other.

use std::collections::BTreeSet;

use axum::http::{Method, header};

use crate::world::World;

const DOCS: &str = include_str!("../../../../docs/api.md");

#[tokio::test]
async fn each_route_stands_in_the_documentation() {
    let world = World::new();
    let mut there = BTreeSet::new();
    for path in gateway::routes() {
        // No route takes TRACE, so each answers with what it takes.
        let reply = world.write(Method::TRACE, path, "").await;
        let allowed = reply.headers.get(header::ALLOW).unwrap_or_else(|| panic!("{path}: {:?}", reply.bytes));
        for method in allowed.to_str().unwrap().split(',').filter(|method| *method != "HEAD") {
            there.insert(format!("{method} {path}"));
        }
    }
    let told: BTreeSet<String> = DOCS
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .filter(|cell| cell.contains(" /"))
        .map(|cell| cell.split('?').next().unwrap_or(cell).to_owned())
        .collect();
    let missing: Vec<_> = there.difference(&told).collect();
    let gone: Vec<_> = told.difference(&there).collect();
    assert!(missing.is_empty() && gone.is_empty(), "missing in docs/api.md: {missing:#?}, no routes: {gone:#?}");
}
