//! The host's clock. Needs no grant; it stands still during an evaluation, and a replay sees the same time.

pub use crate::bindings::shared::gatewright::clock::clock::now;
