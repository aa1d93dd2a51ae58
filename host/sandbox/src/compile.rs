//! Compiling, and what is prepared once per component: its links and the places of its exports.
//!
//! The compiler itself runs behind the load checks, whose bounds on nesting, functions and jump tables keep its appetite small,
//! and in a host that lives on in a child process with limits besides (`compiler.rs`).

use domain::ids::Digest;
use domain::plugin::PluginKind;
use wasmtime::Engine;
use wasmtime::component::{Component, Instance, InstancePre, Linker};

use crate::bindings::exports::gatewright::{
    estimator::estimator, gate::gate, guard::guard, notifier::notifier, status_mapper::status_mapper,
};
use crate::compiler::{Workshop, on_large_stack};
use crate::load::error::LoadError;
use crate::state::State;
use crate::text::{Lines, clean};

/// A component that is ready to be instantiated.
pub(crate) struct Ready {
    pub(crate) pre: InstancePre<State>,
    pub(crate) exports: Exports,
}

/// Where the functions of its kind lie in a component.
pub(crate) enum Exports {
    Gate(gate::GuestIndices),
    Guard(guard::GuestIndices),
    Estimator(estimator::GuestIndices),
    Notifier(notifier::GuestIndices),
    StatusMapper(status_mapper::GuestIndices),
}

/// The functions of an instance.
pub(crate) enum Guest {
    Gate(gate::Guest),
    Guard(guard::Guest),
    Estimator(estimator::Guest),
    Notifier(notifier::Guest),
    StatusMapper(status_mapper::Guest),
}

/// Everything that the host serves. One for all components.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    crate::host::link(&mut linker)?;
    crate::wasi::link(&mut linker)?;
    Ok(linker)
}

/// Compiles bytes that passed all checks.
pub(crate) fn ready(
    engine: &Engine,
    linker: &Linker<State>,
    workshop: &Workshop,
    (digest, bytes): (&Digest, &[u8]),
    kind: PluginKind,
) -> Result<Ready, LoadError> {
    let component = compile(engine, workshop, digest, bytes)?;
    let pre = linker.instantiate_pre(&component).map_err(|error| LoadError::Link(shown(&error)))?;
    let exports = Exports::of(kind, &pre).map_err(|error| LoadError::Link(shown(&error)))?;
    Ok(Ready { pre, exports })
}

fn compile(engine: &Engine, workshop: &Workshop, digest: &Digest, bytes: &[u8]) -> Result<Component, LoadError> {
    let compiled = match workshop.code(engine, digest, bytes) {
        None => on_large_stack(|| Component::from_binary(engine, bytes).map_err(|error| shown(&error))),
        Some(code) => code.and_then(|code| {
            #[expect(
                unsafe_code,
                reason = "machine code that this host's own child made of checked bytes, signed while it lay on disk"
            )]
            let loaded = unsafe { Component::deserialize(engine, &code) };
            loaded.map_err(|error| shown(&error))
        }),
    };
    compiled.map_err(LoadError::Compile)
}

/// What the engine says may repeat names from the component.
fn shown(error: &wasmtime::Error) -> String {
    clean(&format!("{error:#}"), 1000, Lines::One)
}

impl Exports {
    fn of(kind: PluginKind, pre: &InstancePre<State>) -> wasmtime::Result<Self> {
        Ok(match kind {
            PluginKind::Gate => Self::Gate(gate::GuestIndices::new(pre)?),
            PluginKind::Guard => Self::Guard(guard::GuestIndices::new(pre)?),
            PluginKind::Estimator => Self::Estimator(estimator::GuestIndices::new(pre)?),
            PluginKind::Notifier => Self::Notifier(notifier::GuestIndices::new(pre)?),
            PluginKind::StatusMapper => Self::StatusMapper(status_mapper::GuestIndices::new(pre)?),
        })
    }

    pub(crate) fn load(&self, store: &mut wasmtime::Store<State>, instance: &Instance) -> wasmtime::Result<Guest> {
        Ok(match self {
            Self::Gate(indices) => Guest::Gate(indices.load(store, instance)?),
            Self::Guard(indices) => Guest::Guard(indices.load(store, instance)?),
            Self::Estimator(indices) => Guest::Estimator(indices.load(store, instance)?),
            Self::Notifier(indices) => Guest::Notifier(indices.load(store, instance)?),
            Self::StatusMapper(indices) => Guest::StatusMapper(indices.load(store, instance)?),
        })
    }
}
