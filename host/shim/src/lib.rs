//! The shim: a tiny process of its own that holds the process tree of one run, so that a restart of the host ends none.
//!
//! It is started on a *run folder* and speaks through files there ([`protocol`]). It goes through three lives, each the
//! same program started anew, so that no step needs `fork` in our own code:
//!
//! 1. `start FOLDER`: started by the host; starts the second and ends, so that the second is nobody's child;
//! 2. `hold FOLDER`: the shim proper: own session, subreaper, waits for events until the tree is empty ([`hold`]);
//! 3. `exec …`: becomes the command, after it has bound its life to the shim's ([`launch`]);
//! 4. `enter …`, inside the sandbox: where that has a network of its own, opens a listener there and hands it out to the
//!    shim; then it becomes the command ([`enter`]). Whoever connects to the listener speaks to the shim's [`proxy`].
//!
//! While the command works, `guard` looks what its tree takes of the machine.
//!
//! The run folder is never shown to the command.

pub mod cgroup;
mod clock;
pub mod enter;
pub mod files;
mod guard;
pub mod hold;
pub mod launch;
pub mod processes;
mod procfs;
pub mod protocol;
pub mod proxy;
mod record;
mod sys;
mod tree;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

/// What the program does with its arguments.
pub fn main(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let Some(verb) = arguments.next() else {
        return ExitCode::from(2);
    };
    match verb.to_str() {
        Some("start") => match arguments.next() {
            Some(folder) => launch::start(Path::new(&folder)),
            None => ExitCode::from(2),
        },
        Some("hold") => match arguments.next() {
            Some(folder) => hold::hold(Path::new(&folder)),
            None => ExitCode::from(2),
        },
        Some("exec") => launch::exec(arguments),
        Some("enter") => enter::enter(arguments),
        _ => ExitCode::from(2),
    }
}
