//! Runs: an agent or a command of the operator, launched once per job, held by a shim, adopted after a restart.
//!
//! * [`Runner`] launches, inspects, waits, cancels and removes runs; [`Watcher`] tells when they end.
//! * [`sandbox`] is what a run may see: bubblewrap, where it works.
//! * [`means`] is what of all this works on this machine.
//! * [`port`] is the conductor's port on top of both.
//! * [`readiness`] is what keeps a launch from beginning, for whoever asks before.
//! * `stream` keeps count of what a living run says that it uses; `dialect` understands the agents that are known by name.
//! * `homes` are the folders in which those keep their state, one for each run.
//! * [`template`], [`environment`], [`report`] are the contract with the agent's command.
//!
//! A run's folder is made exclusively under the job's number, and a lock on it is held for the whole life of its shim:
//! so a second launch of one job adopts the first, and whether a run lives is a fact and no guess.

pub mod config;
mod dialect;
pub mod environment;
pub mod error;
pub mod folder;
mod homes;
pub mod install;
mod keys;
mod limits;
mod lines;
pub mod means;
mod orphans;
pub mod port;
pub mod preflight;
pub mod readiness;
pub mod report;
pub mod runner;
pub mod sandbox;
mod stream;
pub mod template;
mod toolchains;
pub mod watcher;

pub use config::{Confinement, LaunchSpec, RunnerConfig, SandboxMode};
pub use error::{LaunchError, RunError, SandboxError};
pub use folder::RunState;
pub use install::install_shim;
pub use keys::KeyError;
pub use means::{HeldBy, Means};
pub use port::ShimRuns;
pub use readiness::Obstacle;
pub use runner::{Launch, Runner};
pub use watcher::Watcher;
