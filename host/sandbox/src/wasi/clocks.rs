//! `wasi:clocks`: both stand still at the evaluation's time.

use wasmtime::component::{ComponentType, Lift, Linker, Lower, Resource};
use wasmtime::{Result, StoreContextMut};

use super::instance;
use super::io::Pollable;
use crate::state::State;

pub(super) const MONOTONIC: &[&str] = &["now", "resolution", "subscribe-instant", "subscribe-duration"];
pub(super) const WALL: &[&str] = &["now", "resolution"];

#[derive(ComponentType, Lift, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

type Store<'a> = StoreContextMut<'a, State>;

pub(super) fn link(linker: &mut Linker<State>) -> Result<()> {
    let mut monotonic = instance(linker, "clocks/monotonic-clock")?;
    monotonic.func_wrap("now", |mut store: Store<'_>, (): ()| {
        store.data_mut().idle(0)?;
        Ok((store.data().now.0.saturating_mul(1_000_000),))
    })?;
    monotonic.func_wrap("resolution", |mut store: Store<'_>, (): ()| {
        store.data_mut().idle(0)?;
        Ok((1_000_000_u64,))
    })?;
    for name in ["subscribe-instant", "subscribe-duration"] {
        monotonic.func_wrap(name, |mut store: Store<'_>, (_,): (u64,)| {
            store.data_mut().idle(0)?;
            Ok((Resource::<Pollable>::new_own(0),))
        })?;
    }
    let mut wall = instance(linker, "clocks/wall-clock")?;
    wall.func_wrap("now", |mut store: Store<'_>, (): ()| {
        store.data_mut().idle(0)?;
        let now = store.data().now.0;
        Ok((Datetime { seconds: now / 1000, nanoseconds: (now % 1000) as u32 * 1_000_000 },))
    })?;
    wall.func_wrap("resolution", |mut store: Store<'_>, (): ()| {
        store.data_mut().idle(0)?;
        Ok((Datetime { seconds: 0, nanoseconds: 1_000_000 },))
    })
}
