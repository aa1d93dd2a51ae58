//! The crate as its callers see it: files on a disk in, values or messages out.

mod additions;
mod budgets;
mod documentation;
mod hooks;
mod hosts;
mod inits;
mod known;
mod mutations;
mod pipelines;
mod plugins;
mod projects;
mod watching;
mod workers;
mod world;
