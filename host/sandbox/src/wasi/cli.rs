//! `wasi:cli`: no environment, no arguments, no terminal; `exit` ends the call.

use domain::verdict::InfraCause;
use wasmtime::component::{Linker, Resource};
use wasmtime::{Result, StoreContextMut};

use super::io::{InputStream, OutputStream, STDERR, STDOUT};
use super::{instance, resource};
use crate::meter::Stop;
use crate::state::State;

pub(super) const ENVIRONMENT: &[&str] = &["get-environment", "get-arguments", "initial-cwd"];
pub(super) const EXIT: &[&str] = &["exit", "exit-with-code"];

struct TerminalInput;
struct TerminalOutput;

type Store<'a> = StoreContextMut<'a, State>;

fn exited(code: u8) -> wasmtime::Error {
    Stop::new(InfraCause::Exit, format!("it called exit({code}) instead of answering")).into()
}

pub(super) fn link(linker: &mut Linker<State>) -> Result<()> {
    let mut environment = instance(linker, "cli/environment")?;
    environment.func_wrap("get-environment", |mut store: Store<'_>, (): ()| {
        store.data_mut().idle(0)?;
        Ok((Vec::<(String, String)>::new(),))
    })?;
    environment.func_wrap("get-arguments", |mut store: Store<'_>, (): ()| {
        store.data_mut().idle(0)?;
        Ok((Vec::<String>::new(),))
    })?;
    environment.func_wrap("initial-cwd", |mut store: Store<'_>, (): ()| {
        store.data_mut().idle(0)?;
        Ok((None::<String>,))
    })?;
    let mut exit = instance(linker, "cli/exit")?;
    exit.func_wrap("exit", |_: Store<'_>, (status,): (Result<(), ()>,)| {
        Err::<(), _>(exited(u8::from(status.is_err())))
    })?;
    exit.func_wrap("exit-with-code", |_: Store<'_>, (code,): (u8,)| Err::<(), _>(exited(code)))?;
    streams(linker)?;
    terminals(linker)
}

fn streams(linker: &mut Linker<State>) -> Result<()> {
    instance(linker, "cli/stdin")?.func_wrap("get-stdin", |mut store: Store<'_>, (): ()| {
        store.data_mut().idle(0)?;
        Ok((Resource::<InputStream>::new_own(0),))
    })?;
    instance(linker, "cli/stdout")?.func_wrap("get-stdout", |mut store: Store<'_>, (): ()| {
        store.data_mut().idle(0)?;
        Ok((Resource::<OutputStream>::new_own(STDOUT),))
    })?;
    instance(linker, "cli/stderr")?.func_wrap("get-stderr", |mut store: Store<'_>, (): ()| {
        store.data_mut().idle(0)?;
        Ok((Resource::<OutputStream>::new_own(STDERR),))
    })
}

fn terminals(linker: &mut Linker<State>) -> Result<()> {
    resource::<TerminalInput>(&mut instance(linker, "cli/terminal-input")?, "terminal-input")?;
    resource::<TerminalOutput>(&mut instance(linker, "cli/terminal-output")?, "terminal-output")?;
    instance(linker, "cli/terminal-stdin")?.func_wrap("get-terminal-stdin", |mut store: Store<'_>, (): ()| {
        store.data_mut().idle(0)?;
        Ok((None::<Resource<TerminalInput>>,))
    })?;
    for (interface, name) in
        [("cli/terminal-stdout", "get-terminal-stdout"), ("cli/terminal-stderr", "get-terminal-stderr")]
    {
        instance(linker, interface)?.func_wrap(name, |mut store: Store<'_>, (): ()| {
            store.data_mut().idle(0)?;
            Ok((None::<Resource<TerminalOutput>>,))
        })?;
    }
    Ok(())
}
