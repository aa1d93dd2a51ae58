//! The embedded forge against real repositories: what it promises, repeats after crashes, and hostile clones.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod apart;
mod clones;
mod conflict;
mod hostile;
mod hostile_files;
mod merge;
mod rebase;
mod setup;
mod sight;
mod take;
mod world;
