//! Gates from JavaScript and from Python, as docs/plugins.md shows them: made by the real tools of these languages, and asked by a
//! host.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fixture::{Place, REVIEWER, said};

const LANGUAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/languages");

/// It leaves something for later, and mends that when it is told.
const HASTY: &str = r#"#!/bin/sh
set -eu
if grep -q FIXME greeting.txt; then sed -i s/FIXME/done/ greeting.txt; else echo 'FIXME: a warmer word' >> greeting.txt; fi
echo '{"total_cost_usd": 0.5, "usage": {"input_tokens": 10, "output_tokens": 2}}'
"#;

/// A folder as an author has it: the interfaces, a world of his own, and his sources.
fn workshop(place: &Place) -> PathBuf {
    let folder = place.path("no-fixme");
    let interfaces = Path::new(LANGUAGES).join("../../../../wit");
    fs::create_dir_all(folder.join("wit")).unwrap();
    run(Command::new("cp").arg("-R").arg(interfaces.join("deps")).arg("wit"), &folder);
    for name in ["gate.js", "app.py", "request.toml"] {
        fs::copy(Path::new(LANGUAGES).join(name), folder.join(name)).unwrap();
    }
    fs::copy(Path::new(LANGUAGES).join("world.wit"), folder.join("wit/world.wit")).unwrap();
    folder
}

fn run(program: &mut Command, folder: &Path) {
    let done = program.current_dir(folder).output().unwrap_or_else(|error| panic!("{program:?}: {error}"));
    assert!(done.status.success(), "{program:?}: {}", said(&done));
}

/// The component in `plain.wasm` gets its request, joins the project, sends the hasty work back, and lets the mended one pass.
fn decides(place: &Place, folder: &Path) {
    let (plain, asking) = (folder.join("plain.wasm"), folder.join("no-fixme.wasm"));
    let [plain, asking] = [&plain, &asking].map(|path| path.to_str().unwrap());
    let silent = place.gatewright(&["plugin", "inspect", plain]);
    assert_eq!(silent.status.code(), Some(1), "{}", said(&silent));
    assert!(said(&silent).contains("its request does not ask for it"), "{}", said(&silent));
    let request = folder.join("request.toml");
    let request = request.to_str().unwrap();
    let written = place.gatewright(&["plugin", "request", plain, request, "--output", asking]);
    assert!(written.status.success() && said(&written).contains("repo: “reads"), "{}", said(&written));
    let added = place.gatewright(&["plugin", "add", asking, "--gate", "review:testing", "--yes"]);
    assert!(added.status.success(), "{}", said(&added));
    let _host = place.serve();
    let key = place.ticket("Greet once more");
    let answered = |shown: &serde_json::Value, answer: &str| {
        let entries = shown["entries"].as_array().into_iter().flatten();
        entries.map(|row| &row["entry"]).any(|entry| entry["step"] == "no-fixme" && entry["answer"] == answer)
    };
    let shown = place.until(&key, "let pass", |shown| answered(shown, "pass"));
    assert!(answered(&shown, "fail") && shown["entries"].to_string().contains("A FIXME was added"), "{shown}");
    assert!(shown["entries"].to_string().contains("nothing was left for later"), "{shown}");
}

#[test]
fn a_gate_from_javascript_decides() {
    let place = Place::new(HASTY, REVIEWER);
    place.init();
    let folder = workshop(&place);
    let mut tool = Command::new(fake_services::npm::componentize_js());
    tool.args(["gate.js", "--wit", "wit", "--world-name", "no-fixme", "--disable", "http", "fetch-event"]);
    run(tool.args(["--out", "plain.wasm"]), &folder);
    decides(&place, &folder);
}

#[test]
fn a_gate_from_python_decides() {
    let place = Place::new(HASTY, REVIEWER);
    place.init();
    let folder = workshop(&place);
    let mut tool = Command::new(fake_services::python::tool("componentize-py"));
    tool.args(["--wit-path", "wit", "--world", "no-fixme", "componentize", "--stub-wasi", "app"]);
    run(tool.args(["--output", "plain.wasm"]), &folder);
    decides(&place, &folder);
}

#[test]
fn the_page_on_plugins_shows_the_sources_that_are_tested() {
    let page = fs::read_to_string(Path::new(LANGUAGES).join("../../../../docs/plugins.md")).unwrap();
    for name in ["gate.js", "app.py", "world.wit", "request.toml"] {
        let source = fs::read_to_string(Path::new(LANGUAGES).join(name)).unwrap();
        assert!(page.contains(&source), "docs/plugins.md does not show {name}");
    }
}

#[test]
fn a_request_that_no_host_would_take_is_not_written() {
    let place = Place::new(HASTY, REVIEWER);
    let file = test_artifacts::guest("passes");
    let (request, output) = (place.path("request.toml"), place.path("asking.wasm"));
    let write = |text: &str, component: &Path| {
        fs::write(&request, text).unwrap();
        let [component, request, output] = [component, &request, &output].map(|path| path.to_str().unwrap());
        place.gatewright(&["plugin", "request", component, request, "--output", output])
    };
    let core = place.path("core.wasm");
    fs::write(&core, b"\0asm\x01\0\0\0").unwrap();
    for (text, component, told) in [
        ("version = 2", file.as_path(), "needs a newer host"),
        ("version = 1\n[[capability]]\nname = \"repo\"", &file, "reason"),
        ("version = ", &file, "is no TOML"),
        ("version = 1", &core, "a core module"),
    ] {
        let done = write(text, component);
        assert_eq!(done.status.code(), Some(1), "{text}: {}", said(&done));
        assert!(said(&done).contains(told), "{text}: {}", said(&done));
        assert!(!output.exists(), "{text}");
    }
    let second = write("version = 1", &test_artifacts::plugin("review-verdict"));
    assert_eq!(second.status.code(), Some(1), "{}", said(&second));
    assert!(said(&second).contains("2 custom sections") && !output.exists(), "{}", said(&second));
    let none = test_artifacts::guest("no-request");
    let written = write("version = 1\n[[capability]]\nname = \"documents\"\nreason = \"to count them\"", &none);
    assert!(written.status.success() && output.exists(), "{}", said(&written));
}
