//! Builds what the binary carries: the plugins, the demo's stranger, and the shim. `embedded.rs` in `OUT_DIR` is a table of them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use nested_cargo::{Artifact, build_components, build_shim};

/// Every plugin that comes along, with the word of its kind.
const PLUGINS: &[(&str, &str)] = &[
    ("checks-green", "gate"),
    ("default-statuses", "status-mapper"),
    ("deliverables", "gate"),
    ("deploy-status", "gate"),
    ("guard-deploy-status", "guard"),
    ("log", "notifier"),
    ("questions", "gate"),
    ("review-verdict", "gate"),
    ("staging-status", "gate"),
    ("tests-passed", "gate"),
];

/// The hostile gate that the demo plays with. It is no plugin of ours and stands in no table.
const STRANGER: &str = "demo-hostile";

fn main() {
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../..");
    let root = root.canonicalize().expect("the repository's root is two folders up");
    let out_dir = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));

    let components = build_components(&root, "plugins", &out_dir);
    require_listed(&components);
    // The shim is a program of its own: a feature of this one does not reach it by itself.
    let armed = std::env::var_os("CARGO_FEATURE_KILL_POINTS").map(|_| "kill-points/armed");
    let shim = build_shim(&root, &out_dir, armed);
    write(&out_dir, &components, &shim);
}

/// A component that nobody listed would be left behind without a word.
fn require_listed(components: &[Artifact]) {
    for component in components {
        let id = component.package.as_str();
        assert!(
            id == STRANGER || PLUGINS.iter().any(|(listed, _)| *listed == id),
            "the component `{id}` in plugins has no kind: add it to the table in host/gatewright/build.rs"
        );
    }
}

fn write(out_dir: &Path, components: &[Artifact], shim: &Artifact) {
    let mut source = String::from(
        "/// Id, kind, SHA-256 in hexadecimal and bytes of each plugin that comes with the host.\n\
         pub(crate) static PLUGINS: &[(&str, &str, &str, &[u8])] = &[\n",
    );
    for (id, kind) in PLUGINS {
        let component = find(components, id);
        line(&mut source, &format!("    ({id:?}, {kind:?}, {:?}, {}),", component.sha256, bytes_of(component)));
    }
    line(&mut source, "];");
    line(&mut source, "/// A gate that asks for more than it is granted: the demo's third party.");
    let stranger = find(components, STRANGER);
    line(&mut source, &format!("pub(crate) static DEMO_STRANGER: &[u8] = {};", bytes_of(stranger)));
    line(&mut source, "/// The program that holds one run's process tree, for this host's target.");
    line(&mut source, &format!("pub(crate) static SHIM: &[u8] = {};", bytes_of(shim)));
    line(&mut source, "/// In hexadecimal.");
    line(&mut source, &format!("pub(crate) static SHIM_SHA256: &str = {:?};", shim.sha256));
    std::fs::write(out_dir.join("embedded.rs"), source).expect("OUT_DIR can be written");
}

fn find<'artifacts>(components: &'artifacts [Artifact], package: &str) -> &'artifacts Artifact {
    components.iter().find(|component| component.package == package).unwrap_or_else(|| {
        panic!("the workspace in plugins has no component `{package}`: mend the table in host/gatewright/build.rs")
    })
}

fn bytes_of(artifact: &Artifact) -> String {
    format!("include_bytes!({:?})", artifact.path.to_str().expect("the path of OUT_DIR is UTF-8"))
}

fn line(source: &mut String, text: &str) {
    writeln!(source, "{text}").expect("a string takes it");
}
