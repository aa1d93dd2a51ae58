//! The conductor: claims jobs, performs them through the ports, and completes them with events. Synchronous and free of any
//! runtime: threads wrap it in the binary, a simulator may drive it on one.
//!
//! [`Conductor::tick`] says what there is to do; [`Conductor::perform`] does one piece of it. A piece ends in `complete`, which
//! closes its job and steps its task in one transaction, or it leaves a run under a shim, and the end of that run is a piece of
//! its own. A restart takes no other way: a claimed job of a dead host is queued again, its run is found by the job's number,
//! and what was begun is adopted, read or found lost.

mod act;
mod aftermath;
pub mod board;
pub mod breaker;
pub mod brief;
mod budget;
mod cleanup;
mod collect;
pub mod conflict;
mod converse;
pub mod dialect;
mod excerpt;
mod expand;
pub mod failure;
mod finish;
mod follow;
mod guard;
mod halt;
mod hints;
mod judge;
mod launch;
mod notices;
mod observe;
pub mod ports;
pub mod preflight;
pub mod project;
mod reconcile;
mod schedule;
pub mod shutdown;
pub mod slots;
mod tally;
pub mod view;
mod world;
mod would;

pub use budget::LiveRun;
pub use hints::Pace;
pub use reconcile::RECONCILE_INTERVAL;
pub use schedule::looks::{LookAt, Neighbour, Unreachable};
pub use schedule::{Conductor, Intervals, Outside, RIGHT, Tick, Work};
