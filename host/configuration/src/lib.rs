//! Configuration: the operator's files, read into the types that the other crates work with. All that is wrong in all of
//! them is told at once, each with its line and what would be right; TOML is known here and nowhere else.
//!
//! [`load`] reads a state folder, [`init()`] plans the files of a new one, [`add_plugin`] edits a project's file and keeps
//! its comments. Nothing here starts a process, opens the database or looks at the environment: what the machine knows is
//! an argument ([`Surroundings`], [`InitRequest`]).

mod addition;
mod binding;
mod budget;
mod check;
mod diagnostic;
mod doubled;
mod duration;
mod environment;
mod hooks;
mod host;
mod init;
mod keys;
mod known;
mod limits;
mod load;
mod locate;
mod near;
mod network;
mod operator;
mod origin;
mod paths;
mod pipeline;
mod project;
mod reader;
mod secret;
mod stage;
mod watching;
mod worker;
mod worker_limits;

pub use addition::{AddError, Anchor, PluginAddition, PluginPlace, add_plugin};
pub use binding::{GatePlace, PluginBinding};
pub use diagnostic::{Code, Diagnostic, Place, Severity, render};
pub use hooks::HookBinding;
pub use host::{HostConfig, PluginPolicy, SandboxMode, SandboxPolicy};
pub use init::agent::{AgentChoice, AgentProgram};
pub use init::listing::{RootListing, test_command};
pub use init::names::{prefix_of, project_name};
pub use init::suite::{PackageTool, Registry, Uncached};
pub use init::write::{WriteError, Written, write_plan};
pub use init::{
    Found, FoundAgent, IfThere, InitError, InitPlan, InitRequest, PlannedFile, Preset, default_prompt, init,
    split_words,
};
pub use limits::RunLimits;
pub use load::{HOST_FILE, Loaded, Looked, ProjectFile, Surroundings, load, load_project, look, unique};
pub use locate::{Complaint, complain};
pub use operator::OperatorReach;
pub use origin::{Origin, Setting, origins};
pub use watching::{LogFormat, LogLevel, Watching};

#[cfg(test)]
mod tests;
