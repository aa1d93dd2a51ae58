//! The engine: one pure function decides what an event means for a task. No I/O, no clock, no runtime.
//!
//! [`begin`] makes a task, [`step`] moves it. Both return a [`Step`]: entries (what happened: folded into the task, and nothing
//! else changes one), changes (true in the same transaction) and effects (they become jobs). `step` is total: every pair of
//! position and event is a transition or a typed [`Rejected`].

mod answers;
mod begin;
pub mod dependencies;
mod hold;
mod illegal;
mod intents;
mod plan;
mod runs;
mod step;

pub use begin::{Seed, begin};
pub use illegal::Illegal;
pub use step::{Rejected, Step, step};
