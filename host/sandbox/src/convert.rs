//! Between the domain's twins and the bindings' types, in both directions.

mod answers;
mod questions;
mod shared;
