//! `[[plugin]]`, `[[guard]]`, `[[notifier]]`, `[status-mapper]`.

use domain::ids::StageName;
use domain::plugin::PluginKind;

use crate::tests::world::{PROJECT, World, edits};

const ENTRY: &str = r#"
[[plugin]]
id = "no-todo"
file = "prompts/developer.md"
sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
edge = "development:review"
grants = ["documents"]
refused = ["kv"]
"#;

fn with(entry: &str) -> String {
    format!("{PROJECT}{entry}")
}

#[test]
fn an_entry_puts_its_step_onto_the_edge() {
    let world = World::new();
    for (edge, extra, expected) in [
        ("development:review", "", vec!["checks-green", "no-todo"]),
        ("development", "before = \"checks-green\"\nstep = \"todo\"\n", vec!["todo", "checks-green"]),
        ("testing:done", "", vec!["tests-passed", "no-todo", "approve", "rebase", "retest", "merge", "prove-merged"]),
    ] {
        world.write("projects/app.toml", with(&ENTRY.replace("development:review", edge)) + extra);
        let loaded = world.load().unwrap_or_else(|_| panic!("{}", world.complaints()));
        let file = &loaded.projects[0];
        let stage = StageName::new(edge.split(':').next().unwrap()).unwrap();
        let steps: Vec<&str> =
            file.project.pipeline.edge(&stage).unwrap().steps.iter().map(|step| step.name.as_str()).collect();
        assert_eq!(steps, expected);
        let binding = &file.plugins[0];
        assert_eq!((binding.id.as_str(), binding.kind), ("no-todo", PluginKind::Gate));
        assert_eq!(binding.grant.capabilities.len(), 1);
        assert_eq!(binding.grant.refused.len(), 1);
        assert_eq!(binding.gate.as_ref().unwrap().stage, stage);
    }
}

#[test]
fn guards_notifiers_and_the_mapper_are_bound() {
    let world = World::new();
    world.write(
        "projects/app.toml",
        format!(
            "{PROJECT}[[guard]]\nplugin = \"quiet-hours\"\nkinds = [\"notify\"]\non-error = \"allow\"\nsettings = {{ from = 22 }}\n\
             [[notifier]]\nplugin = \"card\"\n[status-mapper]\nsettings = {{ approved = \"Go\" }}\n"
        ),
    );
    let settings = &world.load().unwrap().projects[0].settings;
    assert_eq!(settings.guards[0].kinds, ["notify"]);
    assert!(settings.guards[0].allow_on_error);
    assert_eq!(settings.notifiers[0].0.as_str(), "card");
    assert_eq!(settings.status_mapper.1["approved"], "Go");
}

#[test]
fn what_is_wrong_with_an_entry_is_told() {
    let said = edits(
        &format!("{PROJECT}{ENTRY}"),
        "projects/app.toml",
        &[
            ("over the ceiling", "\"documents\"", "\"documents\", \"exec:test\""),
            ("a command that is not there", "\"documents\"", "\"documents\", \"exec:lint\""),
            ("a capability that is none", "\"documents\"", "\"document\", \"http:example.org\""),
            ("no digest", "sha256 =", "# sha256 ="),
            ("a digest that is none", "e3b0c4", "E3B0C4"),
            ("no file", "prompts/developer.md\"\nsha", "plugins/no-todo.wasm\"\nsha"),
            ("an id of the host's", "id = \"no-todo\"", "id = \"checks-green\""),
            ("an edge from nowhere", "development:review", "devlopment:review"),
            ("an edge to elsewhere", "development:review", "development:testing"),
            ("an edge out of the end", "development:review", "done"),
            ("a step that is not there", "edge =", "before = \"check-green\"\nedge ="),
            ("a step that is there", "edge =", "step = \"checks-green\"\nedge ="),
            ("a kind that is not asked", "file = \"prompts", "kind = \"estimator\"\nfile = \"prompts"),
            ("a guard on an edge", "file = \"prompts", "kind = \"guard\"\nfile = \"prompts"),
            ("a gate that amends", "file = \"prompts", "amend = [\"text\"]\nfile = \"prompts"),
            ("a place without an edge", "edge = \"development:review\"", "before = \"checks-green\""),
            ("the same twice", "", ENTRY),
        ],
    );
    insta::assert_snapshot!(said);
}

#[test]
fn what_is_wrong_with_a_binding_is_told() {
    let said = edits(
        PROJECT,
        "projects/app.toml",
        &[
            ("a guard that is a gate", "", "[[guard]]\nplugin = \"checks-green\"\nkinds = [\"merge\"]\n"),
            ("a guard of nothing", "", "[[guard]]\nplugin = \"quiet-hours\"\nkinds = []\n"),
            (
                "an effect that is none",
                "",
                "[[guard]]\nplugin = \"quiet-hours\"\nkinds = [\"set-state\"]\non-error = \"pass\"\n",
            ),
            ("a notifier that is not there", "", "[[notifier]]\nplugin = \"telegram\"\n"),
            ("a mapper that is not there", "", "[status-mapper]\nplugin = \"board-word\"\nsetings = {}\n"),
            ("a number that JSON has not", "", "[[notifier]]\nplugin = \"card\"\nsettings = { x = nan }\n"),
            (
                "a secret in settings",
                "",
                "[[notifier]]\nplugin = \"card\"\nsettings = { bot-token = \"12345:abcdefgh\" }\n",
            ),
        ],
    );
    insta::assert_snapshot!(said);
}
