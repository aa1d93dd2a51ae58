//! Named places at which a test ends a process of the host, as a power cut would: in the middle of what it was doing.
//!
//! [`kill_point!`] stands before and after each thing that the host, or a shim of its, does to the world. Without the feature
//! `armed` it is nothing at all. With it, the places count who passes, in the folder that `GATEWRIGHT_KILL_POINTS` names; where
//! there is an order for a place, whoever brings its count that far takes the order away, writes itself into `hits` and dies of
//! SIGKILL. A folder, and not the process's memory, because a shim outlives its host, and an order is for the first who comes.

#[cfg(feature = "armed")]
mod armed;
mod places;

pub use places::{PLACES, SELDOM, commit, is_known, job};

/// Whether this program has its places compiled in.
pub const ARMED: bool = cfg!(feature = "armed");

/// The variable that names the folder.
pub const FOLDER: &str = "GATEWRIGHT_KILL_POINTS";
/// In the folder: for each place that has an order a file of its name. In it: at which count.
pub const ORDERS: &str = "orders";
/// In the folder: a line `PLACE PID` for each process that died.
pub const HITS: &str = "hits";
/// In the folder: for each place a file of this name and as many bytes as it was passed.
pub const PASSED: &str = "passed";

/// A place of a name that is known when this is compiled.
#[macro_export]
macro_rules! kill_point {
    ($name:expr) => {{
        const { assert!($crate::is_known($name), "this place is not in the table of host/kill-points") };
        $crate::pass($name);
    }};
}

/// Passes a place; nobody may come back.
#[cfg(feature = "armed")]
pub fn pass(place: &str) {
    armed::pass(place);
}

/// Passes a place: nothing.
#[cfg(not(feature = "armed"))]
#[inline]
pub const fn pass(_place: &str) {}

/// What a process of ours that is started without an environment must yet be told.
#[cfg(feature = "armed")]
pub fn hand_on(command: &mut std::process::Command) {
    if let Some(folder) = std::env::var_os(FOLDER) {
        command.env(FOLDER, folder);
    }
}

/// What a process of ours that is started without an environment must yet be told: nothing.
#[cfg(not(feature = "armed"))]
#[inline]
pub const fn hand_on(_command: &mut std::process::Command) {}
