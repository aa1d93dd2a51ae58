//! Builds the guests and the plugins, and writes down where they lie.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use nested_cargo::{Artifact, build_components};

fn main() {
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../..");
    let root = root.canonicalize().expect("the repository's root is two folders up");
    let out_dir = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));

    // One target folder for both: they have the same profile, and so share all that they depend on.
    let guests = build_components(&root, "tests/guests", &out_dir);
    let plugins = build_components(&root, "plugins", &out_dir);
    write(&out_dir, &guests, &plugins);
}

fn write(out_dir: &Path, guests: &[Artifact], plugins: &[Artifact]) {
    let mut source = String::new();
    table(&mut source, "GUESTS", "Each guest's name and the absolute path of its component, sorted by name.", guests);
    table(&mut source, "PLUGINS", "Each plugin's id and the absolute path of its component, sorted by id.", plugins);
    for_each(&mut source, guests);
    std::fs::write(out_dir.join("artifacts.rs"), source).expect("OUT_DIR can be written");
}

fn table(source: &mut String, name: &str, doc: &str, artifacts: &[Artifact]) {
    writeln!(source, "/// {doc}\npub const {name}: &[(&str, &str)] = &[").expect("a string takes it");
    for artifact in artifacts {
        let path = artifact.path.to_str().expect("the path of OUT_DIR is UTF-8");
        writeln!(source, "    ({:?}, {path:?}),", artifact.package).expect("a string takes it");
    }
    source.push_str("];\n");
}

fn for_each(source: &mut String, guests: &[Artifact]) {
    source.push_str(
        "/// Calls the macro that is named once with each guest's name, as an identifier: where that macro expands to\n\
         /// `use $name as _;`, a guest without a test function of its name does not compile.\n\
         #[macro_export]\nmacro_rules! for_each_guest {\n    ($callback:ident) => {\n",
    );
    for guest in guests {
        writeln!(source, "        $callback!({});", guest.package.replace('-', "_")).expect("a string takes it");
    }
    source.push_str("    };\n}\n");
}
