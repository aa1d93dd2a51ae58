//! The sandbox through its public face, with real components: guests in Rust, one per behaviour, and components from hand-written
//! WebAssembly for what no compiler would make. One test for each row of the plugin contract, at least.

mod build;
mod broker;
mod guests;
mod leaks;
mod limits;
mod loading;
mod other_kinds;
mod replaying;
mod scene;
