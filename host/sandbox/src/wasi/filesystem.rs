//! `wasi:filesystem`: there is no folder, so no guest ever holds a descriptor, and no method on one can be reached.

use domain::verdict::InfraCause;
use wasmtime::component::{Linker, Resource};
use wasmtime::{Result, StoreContextMut};

use super::{instance, resource};
use crate::meter::Stop;
use crate::state::State;

pub(super) const TYPES: &[&str] = &[
    "[method]descriptor.read-via-stream",
    "[method]descriptor.write-via-stream",
    "[method]descriptor.append-via-stream",
    "[method]descriptor.advise",
    "[method]descriptor.sync-data",
    "[method]descriptor.get-flags",
    "[method]descriptor.get-type",
    "[method]descriptor.set-size",
    "[method]descriptor.set-times",
    "[method]descriptor.read",
    "[method]descriptor.write",
    "[method]descriptor.read-directory",
    "[method]descriptor.sync",
    "[method]descriptor.create-directory-at",
    "[method]descriptor.stat",
    "[method]descriptor.stat-at",
    "[method]descriptor.set-times-at",
    "[method]descriptor.link-at",
    "[method]descriptor.open-at",
    "[method]descriptor.readlink-at",
    "[method]descriptor.remove-directory-at",
    "[method]descriptor.rename-at",
    "[method]descriptor.symlink-at",
    "[method]descriptor.unlink-file-at",
    "[method]descriptor.is-same-object",
    "[method]descriptor.metadata-hash",
    "[method]descriptor.metadata-hash-at",
    "[method]directory-entry-stream.read-directory-entry",
    "filesystem-error-code",
];

struct Descriptor;
struct DirectoryEntryStream;

pub(super) fn link(linker: &mut Linker<State>) -> Result<()> {
    let mut types = instance(linker, "filesystem/types")?;
    resource::<Descriptor>(&mut types, "descriptor")?;
    resource::<DirectoryEntryStream>(&mut types, "directory-entry-stream")?;
    for name in TYPES {
        // All of them take a handle that cannot exist; the store's own check of handles ends the guest before.
        types.func_new(name, |_, _, _, _| {
            Err(Stop::new(InfraCause::Trap, "it used a descriptor that was never given out").into())
        })?;
    }
    instance(linker, "filesystem/preopens")?.func_wrap(
        "get-directories",
        |mut store: StoreContextMut<'_, State>, (): ()| {
            store.data_mut().idle(0)?;
            Ok((Vec::<(Resource<Descriptor>, String)>::new(),))
        },
    )
}
