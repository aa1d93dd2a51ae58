//! The ports: what the conductor needs from the outside. Each driver lives in a crate of its own and knows one heavy thing.

pub mod access;
pub mod asker;
pub mod clock;
pub mod forge;
pub mod inbox;
pub mod plugins;
pub mod probe;
pub mod runs;
pub mod store;
pub mod tally;
pub mod tracker;
