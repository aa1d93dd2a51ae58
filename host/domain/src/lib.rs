//! The words of Gatewright as types: ids, stages, verdicts, effects, tasks. No I/O and no clock.

pub mod access;
pub mod budget;
pub mod cost;
pub mod document;
pub mod effect;
pub mod entry;
pub mod event;
pub mod frontmatter;
pub mod ids;
pub mod limits;
pub mod network;
pub mod pipeline;
pub mod plugin;
pub mod task;
pub mod time;
pub mod verdict;
