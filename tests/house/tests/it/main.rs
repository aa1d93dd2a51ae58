//! The house rules: what depends on what, how sources look, and what the repository says about itself.

mod arrows;
mod behaviours;
mod commands;
mod contracts;
mod documents;
mod packaging;
mod position;
mod sources;
