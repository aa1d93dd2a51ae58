//! `plugin add` on files as operators have them.

use domain::ids::{Digest, StageName, StepName};
use domain::plugin::{Amendable, Capability};

use crate::tests::world::{PROJECT, STAGES, World, id};
use crate::{AddError, Anchor, PluginAddition, PluginPlace, add_plugin, load_project};

fn anchor(edge: &str) -> Anchor {
    let (from, to) = edge.split_once(':').map_or((edge, None), |(from, to)| (from, Some(to)));
    Anchor {
        from: StageName::new(from).unwrap(),
        to: to.map(|to| StageName::new(to).unwrap()),
        step: None,
        before: None,
    }
}

fn gate(anchor: Option<Anchor>) -> PluginAddition {
    PluginAddition {
        id: id("no-todo"),
        place: PluginPlace::Gate(anchor),
        file: "plugins/no-todo.wasm".to_owned(),
        sha256: Digest::of(b"a component"),
        grants: vec![Capability::Documents, Capability::Repo(Some("src/**".to_owned()))],
        refused: Vec::new(),
        settings: None,
    }
}

/// The new text, which loads.
fn added(text: &str, addition: &PluginAddition) -> String {
    let world = World::new();
    world.write("plugins/no-todo.wasm", "a component");
    let new = add_plugin(text, addition).unwrap();
    let source = world.dir().join("projects/app.toml");
    let file = load_project(&world.dir(), &source, &new, &world.surroundings())
        .unwrap_or_else(|diagnostics| panic!("{}\n{new}", crate::render(&diagnostics, false)));
    assert_eq!(file.plugins.len(), 1);
    new
}

#[test]
fn an_entry_is_appended_and_everything_else_stays() {
    let text = format!("# mine\n{PROJECT}\n# the end\n");
    let new = added(&text, &gate(Some(anchor("review:testing"))));
    assert!(new.starts_with(&format!("# mine\n{PROJECT}")), "{new}");
    assert!(new.contains("# the end"), "{new}");
    insta::assert_snapshot!(new);
}

#[test]
fn a_unique_source_is_enough_and_a_place_before_a_step_is_kept() {
    let drawn = format!("{}{STAGES}", PROJECT.replace("pipeline = \"quick\"\n", ""));
    let mut place = anchor("testing");
    place.before = Some(StepName::new("merge").unwrap());
    place.step = Some(StepName::new("last-look").unwrap());
    let new = added(&drawn, &gate(Some(place)));
    assert!(new.contains("edge = \"testing:done\"\nstep = \"last-look\"\nbefore = \"merge\""), "{new}");
}

#[test]
fn the_same_plugin_again_replaces_its_bytes_and_keeps_its_place_and_comments() {
    let first = added(PROJECT, &gate(Some(anchor("review:testing"))));
    let commented = first
        .replace("grants =", "# accepted by ann\ngrants =")
        .replace("\nid = \"no-todo\"", "\nid = \"no-todo\" # ours");
    let mut second = gate(None);
    second.sha256 = Digest::of(b"another component");
    second.grants = vec![Capability::Documents];
    second.refused = vec![Capability::Kv];
    let new = added(&commented, &second);
    assert!(new.contains(second.sha256.as_str()) && !new.contains(Digest::of(b"a component").as_str()), "{new}");
    assert!(new.contains("# accepted by ann\ngrants = [\"documents\"]") && new.contains("# ours"), "{new}");
    assert!(new.contains("edge = \"review:testing\""), "{new}");
    let moved = added(&new, &gate(Some(anchor("development:review"))));
    assert!(moved.contains("edge = \"development:review\"") && !moved.contains("refused"), "{moved}");
}

#[test]
fn the_other_kinds_are_bound() {
    let mut addition = gate(None);
    addition.place = PluginPlace::Guard { kinds: vec!["notify".to_owned()], amend: vec![Amendable::Text] };
    let new = added(PROJECT, &addition);
    assert!(new.contains("[[guard]]\nplugin = \"no-todo\"\nkinds = [\"notify\"]"), "{new}");
    addition.place = PluginPlace::Notifier;
    assert!(added(PROJECT, &addition).contains("[[notifier]]\nplugin = \"no-todo\""));
    addition.place = PluginPlace::StatusMapper;
    let old = format!("{PROJECT}[status-mapper]\nplugin = \"board-words\"\nsettings = {{ a = 1 }}\n");
    let new = added(&old, &addition);
    assert!(new.contains("[status-mapper]\nplugin = \"no-todo\"") && !new.contains("a = 1"), "{new}");
}

#[test]
fn what_does_not_fit_is_refused_with_what_would() {
    let refuse = |text: &str, addition: &PluginAddition| add_plugin(text, addition).unwrap_err().to_string();
    let said = [
        refuse(PROJECT, &gate(Some(anchor("revew:testing")))),
        refuse(PROJECT, &gate(Some(anchor("review:done")))),
        refuse(
            PROJECT,
            &gate(Some(Anchor { before: Some(StepName::new("review-verdit").unwrap()), ..anchor("review") })),
        ),
        refuse(
            PROJECT,
            &gate(Some(Anchor { step: Some(StepName::new("review-verdict").unwrap()), ..anchor("review") })),
        ),
        refuse(PROJECT, &gate(None)),
        refuse(&PROJECT.replace("\"quick\"", "\"quik\""), &gate(Some(anchor("review")))),
        refuse("= nonsense", &gate(Some(anchor("review")))),
        refuse(
            &added(PROJECT, &gate(Some(anchor("review")))),
            &PluginAddition { place: PluginPlace::Notifier, ..gate(None) },
        ),
    ];
    insta::assert_snapshot!(said.join("\n"));
    assert!(matches!(add_plugin("= nonsense", &gate(None)), Err(AddError::Unsound(found)) if !found.is_empty()));
}
