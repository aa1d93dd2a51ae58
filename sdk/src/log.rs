//! The evaluation's log. Needs no grant; 256 KiB for the log and standard output together, the rest is cut.

use crate::bindings::shared::gatewright::log::log::write;

pub use crate::bindings::shared::gatewright::log::log::Level;

/// Of use to whoever looks for a mistake.
pub fn debug(message: &str) {
    write(Level::Debug, message);
}

/// Of use to whoever watches.
pub fn info(message: &str) {
    write(Level::Info, message);
}

/// Something is not as it should be, and the plugin goes on.
pub fn warn(message: &str) {
    write(Level::Warn, message);
}

/// The plugin could not do what it was asked for.
pub fn error(message: &str) {
    write(Level::Error, message);
}
