//! `wasi:random`: all of it from the recorded seed, so that a replay sees the same.

use domain::verdict::InfraCause;
use wasmtime::component::Linker;
use wasmtime::{Result, StoreContextMut};

use super::instance;
use crate::meter::Stop;
use crate::state::State;

pub(super) const RANDOM: &[&str] = &["get-random-bytes", "get-random-u64"];
pub(super) const INSECURE: &[&str] = &["get-insecure-random-bytes", "get-insecure-random-u64"];
pub(super) const SEED: &[&str] = &["insecure-seed"];

/// Bytes that one call may ask for.
const BYTES: u64 = 64 * 1024;

type Store<'a> = StoreContextMut<'a, State>;

pub(super) fn link(linker: &mut Linker<State>) -> Result<()> {
    let pairs = [
        ("random/random", "get-random-bytes", "get-random-u64"),
        ("random/insecure", "get-insecure-random-bytes", "get-insecure-random-u64"),
    ];
    for (interface, bytes, number) in pairs {
        let mut instance = instance(linker, interface)?;
        instance.func_wrap(bytes, |mut store: Store<'_>, (length,): (u64,)| {
            let state = store.data_mut();
            state.idle(0)?;
            if length > BYTES || !state.meter.answer(length) {
                let message = format!("it asked for {length} random bytes at once, more than {BYTES}");
                return Err(Stop::new(InfraCause::Resources, message).into());
            }
            Ok((state.random.bytes(length as usize),))
        })?;
        instance.func_wrap(number, |mut store: Store<'_>, (): ()| {
            store.data_mut().idle(0)?;
            Ok((store.data_mut().random.next(),))
        })?;
    }
    let mut seed = instance(linker, "random/insecure-seed")?;
    seed.func_wrap("insecure-seed", |mut store: Store<'_>, (): ()| {
        store.data_mut().idle(0)?;
        let random = &mut store.data_mut().random;
        Ok(((random.next(), random.next()),))
    })
}
