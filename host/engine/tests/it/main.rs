//! The engine from outside: its whole table, random walks under its invariants, and the named lines of behaviour.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod awaiting;
mod bounces;
mod dependencies;
mod holds;
mod invariants;
mod leases;
mod observed;
mod outside;
mod pipelines;
mod plugin_failures;
mod stops;
mod table;
mod walks;
mod way;
mod world;
