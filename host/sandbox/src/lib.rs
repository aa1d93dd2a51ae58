//! The sandbox: plugins as WebAssembly components that can compute, and nothing else that was not granted to them.
//!
//! * Loading ([`Sandbox::load`]) checks a component in a fixed order (size, digest, form, kind, imports, request, grant) before
//!   anything is compiled, and each refusal has a sentence of its own ([`LoadError`]).
//! * A call ([`conductor::ports::plugins::Plugins`]) takes a permit, makes a fresh store, and runs on the caller's thread. Every host
//!   call goes through one broker, below all versions of the WIT: request ∩ grant ∩ ceiling. Limits begin before instantiation.
//! * Whatever goes wrong with a guest is `infra` with the word of its cause, never a pass. A denial or a limit that a guest
//!   swallowed takes its word away.
//! * Each call leaves a [`Transcript`], and [`Sandbox::replay`] gives the same answer from it offline.
//!
//! Compiling ([`Compiler`]) may be a child's, with limits, and is kept on disk under this host's own signature.
//!
//! What this does not hold: a component's memory images and compiled code are not counted against the pool.

mod answer;
mod bindings;
mod broker;
mod compile;
mod compiler;
mod config;
mod convert;
mod engine;
mod evaluate;
mod exchange;
mod fault;
mod host;
mod load;
mod meter;
mod output;
mod permit;
mod policy;
mod replay;
mod sandbox;
mod state;
mod text;
mod transcript;
mod wasi;
mod worker;
mod world;

pub use compiler::{Compiler, compile_for_parent};
pub use config::SandboxConfig;
pub use engine::engine_config;
pub use exchange::{Bytes, Exchange, HostAnswer, HostCall};
pub use load::error::{LoadError, RequestError};
pub use load::request::with_request;
pub use load::{COMPONENT_BYTES, read_component};
pub use output::{LogLevel, LogLine};
pub use replay::{ReplayError, Replayed, read_transcript};
pub use sandbox::{PluginSpec, Sandbox, StartError};
pub use transcript::{Answer, Question, TRANSCRIPT_VERSION, Transcript};
