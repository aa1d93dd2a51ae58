//! The sandbox through its public face, with real components: guests in Rust, one per behaviour, and components from hand-written
//! WebAssembly for what no compiler would make. One test for each row of the plugin contract, at least.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by failing, its helpers too")]

mod broker;
mod build;
mod every_guest;
mod guests;
mod leaks;
mod limits;
mod loading;
mod other_kinds;
mod replaying;
mod scene;
