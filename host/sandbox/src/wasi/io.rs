//! `wasi:io`: streams that end in the log, and polls that never wait.

use wasmtime::component::{ComponentType, Lift, Linker, LinkerInstance, Lower, Resource};
use wasmtime::{Result, StoreContextMut};

use super::{instance, resource};
use crate::meter::Stop;
use crate::output::LogLevel;
use crate::state::State;

pub(super) const ERROR: &[&str] = &["[method]error.to-debug-string"];
pub(super) const POLL: &[&str] = &["poll", "[method]pollable.ready", "[method]pollable.block"];
pub(super) const STREAMS: &[&str] = &[
    "[method]input-stream.read",
    "[method]input-stream.blocking-read",
    "[method]input-stream.skip",
    "[method]input-stream.blocking-skip",
    "[method]input-stream.subscribe",
    "[method]output-stream.check-write",
    "[method]output-stream.write",
    "[method]output-stream.blocking-write-and-flush",
    "[method]output-stream.flush",
    "[method]output-stream.blocking-flush",
    "[method]output-stream.subscribe",
    "[method]output-stream.write-zeroes",
    "[method]output-stream.blocking-write-zeroes-and-flush",
    "[method]output-stream.splice",
    "[method]output-stream.blocking-splice",
];

/// Bytes that a stream says it takes at once. Never 0: a panic would spin on it.
const WRITABLE: u64 = 64 * 1024;
/// Zeroes that one call may write.
const ZEROES: u64 = 4096;

/// A failed stream operation. None ever fails, so no guest ever holds one.
pub(super) struct IoError;
/// Something to wait for. All of it is ready.
pub(super) struct Pollable;
/// Stdin. It is at its end.
pub(super) struct InputStream;
/// Stdout or stderr: which one is what the handle stands for.
pub(super) struct OutputStream;

/// What the handle of an output stream stands for.
pub(super) const STDOUT: u32 = 1;
/// What the handle of the other one stands for.
pub(super) const STDERR: u32 = 2;

#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
pub(super) enum StreamError {
    #[component(name = "last-operation-failed")]
    LastOperationFailed(Resource<IoError>),
    #[component(name = "closed")]
    Closed,
}

type Store<'a> = StoreContextMut<'a, State>;
type Streamed<A> = std::result::Result<A, StreamError>;

fn level(stream: &Resource<OutputStream>) -> LogLevel {
    if stream.rep() == STDERR { LogLevel::Stderr } else { LogLevel::Stdout }
}

fn idle(store: &mut Store<'_>) -> Result<(), Stop> {
    store.data_mut().idle(0)
}

pub(super) fn link(linker: &mut Linker<State>) -> Result<()> {
    let mut error = instance(linker, "io/error")?;
    resource::<IoError>(&mut error, "error")?;
    error.func_wrap("[method]error.to-debug-string", |mut store: Store<'_>, (_,): (Resource<IoError>,)| {
        idle(&mut store)?;
        Ok(("an error of a stream".to_owned(),))
    })?;
    let mut poll = instance(linker, "io/poll")?;
    resource::<Pollable>(&mut poll, "pollable")?;
    poll.func_wrap("[method]pollable.ready", |mut store: Store<'_>, (_,): (Resource<Pollable>,)| {
        idle(&mut store)?;
        Ok((true,))
    })?;
    poll.func_wrap("[method]pollable.block", |mut store: Store<'_>, (_,): (Resource<Pollable>,)| {
        Ok(idle(&mut store)?)
    })?;
    poll.func_wrap("poll", |mut store: Store<'_>, (list,): (Vec<Resource<Pollable>>,)| {
        store.data_mut().idle(list.len() * 4)?;
        if list.is_empty() {
            wasmtime::bail!("poll of an empty list");
        }
        Ok(((0..list.len() as u32).collect::<Vec<u32>>(),))
    })?;
    let mut streams = instance(linker, "io/streams")?;
    resource::<InputStream>(&mut streams, "input-stream")?;
    resource::<OutputStream>(&mut streams, "output-stream")?;
    input(&mut streams)?;
    output(&mut streams)?;
    filling(&mut streams)
}

fn input(streams: &mut LinkerInstance<'_, State>) -> Result<()> {
    for name in ["[method]input-stream.read", "[method]input-stream.blocking-read"] {
        streams.func_wrap(name, |mut store: Store<'_>, (_, _): (Resource<InputStream>, u64)| {
            idle(&mut store)?;
            Ok((Streamed::<Vec<u8>>::Err(StreamError::Closed),))
        })?;
    }
    for name in ["[method]input-stream.skip", "[method]input-stream.blocking-skip"] {
        streams.func_wrap(name, |mut store: Store<'_>, (_, _): (Resource<InputStream>, u64)| {
            idle(&mut store)?;
            Ok((Streamed::<u64>::Err(StreamError::Closed),))
        })?;
    }
    streams.func_wrap("[method]input-stream.subscribe", |mut store: Store<'_>, (_,): (Resource<InputStream>,)| {
        idle(&mut store)?;
        Ok((Resource::<Pollable>::new_own(0),))
    })
}

fn output(streams: &mut LinkerInstance<'_, State>) -> Result<()> {
    streams.func_wrap(
        "[method]output-stream.check-write",
        |mut store: Store<'_>, (_,): (Resource<OutputStream>,)| {
            idle(&mut store)?;
            Ok((Streamed::Ok(WRITABLE),))
        },
    )?;
    for name in ["[method]output-stream.write", "[method]output-stream.blocking-write-and-flush"] {
        streams.func_wrap(name, |mut store: Store<'_>, (stream, bytes): (Resource<OutputStream>, Vec<u8>)| {
            store.data_mut().log(level(&stream), &bytes)?;
            Ok((Streamed::Ok(()),))
        })?;
    }
    for name in ["[method]output-stream.flush", "[method]output-stream.blocking-flush"] {
        streams.func_wrap(name, |mut store: Store<'_>, (_,): (Resource<OutputStream>,)| {
            idle(&mut store)?;
            Ok((Streamed::Ok(()),))
        })?;
    }
    streams.func_wrap("[method]output-stream.subscribe", |mut store: Store<'_>, (_,): (Resource<OutputStream>,)| {
        idle(&mut store)?;
        Ok((Resource::<Pollable>::new_own(0),))
    })
}

fn filling(streams: &mut LinkerInstance<'_, State>) -> Result<()> {
    let zeroes = ["[method]output-stream.write-zeroes", "[method]output-stream.blocking-write-zeroes-and-flush"];
    for name in zeroes {
        streams.func_wrap(name, |mut store: Store<'_>, (stream, length): (Resource<OutputStream>, u64)| {
            let bytes = [0_u8; ZEROES as usize];
            store.data_mut().log(level(&stream), &bytes[..length.min(ZEROES) as usize])?;
            Ok((Streamed::Ok(()),))
        })?;
    }
    for name in ["[method]output-stream.splice", "[method]output-stream.blocking-splice"] {
        streams.func_wrap(
            name,
            |mut store: Store<'_>, (_, _, _): (Resource<OutputStream>, Resource<InputStream>, u64)| {
                idle(&mut store)?;
                Ok((Streamed::<u64>::Err(StreamError::Closed),))
            },
        )?;
    }
    Ok(())
}
