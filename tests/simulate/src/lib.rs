//! The simulator: the real engine, conductor and store, on one thread, under a virtual clock, against a world that fails in every
//! way that it can.
//!
//! **Cast.** A [`world`] holds what is outside of the host: time, the [`repository`], the [`cards`], the machine's [`shims`], the [`judges`], the
//! [`people`]. A [`host`] lives on a [`disk`] that SQLite reaches by the [`vfs`]; its [`fate`] decides where it dies. The
//! [`auditor`] compares after each step, and [`coverage`] counts what was met.
//!
//! **Story.** [`simulation`] plays a seed: something happens by chance, in the [`weather`] that the seed drew; the auditor looks;
//! again. At the end only the host dies, then nothing goes wrong, and everything that can finish must.
//!
//! **Guarantees.** A seed tells the same story each time. [`report`] shortens one that failed; [`mutants`] shows that what is kept
//! as a bug is found.
//!
//! **Not guaranteed.** That what was never met is right: that is what the tables of coverage are for.

pub mod auditor;
mod beside;
pub mod cards;
pub mod command;
pub mod costs;
pub mod coverage;
pub mod disk;
pub mod fate;
pub mod host;
pub mod judges;
pub mod kill;
pub mod luck;
pub mod mutants;
pub mod outlet;
pub mod people;
pub mod pipelines;
pub mod ports;
pub mod report;
pub mod repository;
pub mod shims;
pub mod simulation;
pub mod vfs;
pub mod weather;
pub mod world;
