//! The built binary, as its users meet it: in a repository of their own, with agents of their own.

#![expect(clippy::unwrap_used, reason = "a test ends where its world does")]

mod backup;
mod backup_under_load;
mod breakout;
mod bursts;
mod checked;
mod damaged;
mod doctors;
mod fixture;
mod footing;
mod foreign;
mod hostile;
mod languages;
mod observed;
mod operators_tools;
mod other_hands;
mod own_repository;
mod readiness;
mod real_agents;
mod real_codex;
mod restarts;
mod settings;
mod shown_lines;
mod sound_start;
mod statuses;
mod stopping;
mod strangers;
mod the_demo;
mod together;
mod tokens;
mod watched;
mod webhooks;
