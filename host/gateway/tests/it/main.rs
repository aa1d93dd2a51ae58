//! The gateway over the real store: one binary, so that it links once.

#![expect(
    clippy::unwrap_used,
    reason = "a test may fail where it stands; the lint lets only `#[test]` functions do so"
)]

mod answers;
mod board;
mod bodies;
mod bursts;
mod buttons;
mod changes;
mod denials;
mod described;
mod docs;
mod done;
mod door;
mod events;
mod figures;
mod grafana;
mod histories;
mod holder;
mod intake;
mod lengths;
mod lingering;
mod listener;
mod looks;
mod misfits;
mod ownership;
mod pages;
mod reads;
mod refusals;
mod runs;
mod sessions;
mod spent;
mod tasks;
mod together;
mod token_pages;
mod tokens;
mod tongues;
mod waits;
mod words;
mod world;
