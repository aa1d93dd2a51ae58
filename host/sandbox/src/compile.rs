//! Compiling, and what is prepared once per component: its links and the places of its exports.
//!
//! The compiler runs in this process for now, behind the load checks, whose bounds on nesting, functions and jump tables keep its
//! appetite small. It is one function from bytes to a component, so that a child process with limits can take its place.

use domain::plugin::PluginKind;
use wasmtime::Engine;
use wasmtime::component::{Component, Instance, InstancePre, Linker};

use crate::bindings::exports::gatewright::{
    estimator::estimator, gate::gate, guard::guard, notifier::notifier, status_mapper::status_mapper,
};
use crate::load::error::LoadError;
use crate::state::State;
use crate::text::{Lines, clean};

/// Bytes of native stack that the compiler gets: its recursion follows the nesting of types and blocks.
const COMPILER_STACK: usize = 64 * 1024 * 1024;

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
    bytes: &[u8],
    kind: PluginKind,
) -> Result<Ready, LoadError> {
    let component = compile(engine, bytes)?;
    let pre = linker.instantiate_pre(&component).map_err(|error| LoadError::Link(shown(&error)))?;
    let exports = Exports::of(kind, &pre).map_err(|error| LoadError::Link(shown(&error)))?;
    Ok(Ready { pre, exports })
}

fn compile(engine: &Engine, bytes: &[u8]) -> Result<Component, LoadError> {
    let failed = |why: String| LoadError::Compile(why);
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("gatewright-compile".to_owned())
            .stack_size(COMPILER_STACK)
            .spawn_scoped(scope, || Component::from_binary(engine, bytes).map_err(|error| failed(shown(&error))))
            .map_err(|error| failed(error.to_string()))?
            .join()
            .unwrap_or_else(|panic| {
                Err(failed(format!("the compiler panicked: {}", crate::worker::panic_text(&*panic))))
            })
    })
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
