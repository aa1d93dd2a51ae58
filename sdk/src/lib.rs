//! Write gates, guards, estimators, notifiers and status mappers for Gatewright.
//!
//! A plugin is a WebAssembly component of one kind. Choose the kind's module, implement its trait, export it:
//!
//! | kind | trait | macro |
//! | --- | --- | --- |
//! | gate: may this task pass here? | [`gate::Gate`] | [`export_gate!`] |
//! | guard: may the host do this now? | [`guard::Guard`] | [`export_guard!`] |
//! | estimator: what will it cost? | [`estimator::Estimator`] | [`export_estimator!`] |
//! | notifier: this happened | [`notifier::Notifier`] | [`export_notifier!`] |
//! | status mapper: what does the board mean? | [`status_mapper::StatusMapper`] | [`export_status_mapper!`] |
//!
//! Each kind's module holds the capabilities that this kind may import. What a component calls, it must ask for with
//! [`request!`]; [`log`] and [`clock`] are free. Build with `cargo build --release --target wasm32-wasip2` and
//! `crate-type = ["cdylib"]`.
//!
//! In a native build the exports are left out, so that the rules of a plugin can be tested by `cargo test`; calling a
//! capability there panics.
#![deny(missing_docs)]

pub mod clock;
pub mod errors;
pub mod estimator;
pub mod frontmatter;
pub mod gate;
pub mod guard;
pub mod log;
pub mod notifier;
pub mod settings;
pub mod status_mapper;
pub mod tasks;

mod capabilities;

#[doc(hidden)]
pub mod bindings;
#[doc(hidden)]
pub mod export;
#[doc(hidden)]
pub mod request;

pub use settings::NoSettings;

/// The author's page compiles.
#[cfg(doctest)]
#[doc = include_str!("../../docs/plugins.md")]
struct AuthorsPage;
