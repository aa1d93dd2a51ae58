//! The components that tests run: a guest per behaviour, and the plugins as they are shipped.
//!
//! They are built by this crate's build script, so a test that names one has it.

use std::path::PathBuf;

include!(concat!(env!("OUT_DIR"), "/artifacts.rs"));

/// The component of a guest, by its folder's name in `tests/guests`.
pub fn guest(name: &str) -> PathBuf {
    find(GUESTS, name, "tests/guests")
}

/// The component of a plugin, by its id.
pub fn plugin(id: &str) -> PathBuf {
    find(PLUGINS, id, "plugins")
}

fn find(table: &[(&str, &str)], name: &str, folder: &str) -> PathBuf {
    let Ok(index) = table.binary_search_by_key(&name, |(known, _)| known) else {
        panic!("there is no component `{name}` in {folder}")
    };
    PathBuf::from(table[index].1)
}
