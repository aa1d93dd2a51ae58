//! The engine from outside: its whole table, random walks under its invariants, and the named lines of behaviour.

mod awaiting;
mod bounces;
mod holds;
mod leases;
mod outside;
mod pipelines;
mod plugin_failures;
mod stops;
mod table;
mod walks;
mod way;
mod world;
