//! Presets and stages drawn by hand.

use domain::document::Role;
use domain::ids::{StageName, StepName};
use domain::pipeline::{Consent, Pipeline, PipelineDraft, StepKind};
use domain::time::Milliseconds;
use serde_json::json;

use crate::pipeline::{PRESETS, preset};
use crate::tests::world::{PROJECT, STAGES, World, edits};

fn drawn() -> String {
    format!("{}{STAGES}", PROJECT.replace("pipeline = \"quick\"\n", ""))
}

#[test]
fn both_presets_are_sound() {
    for (name, text) in PRESETS {
        let sketch = preset(name, text).unwrap();
        let stages = sketch.stages.iter().map(|stage| stage.stage.clone()).collect();
        let pipeline = Pipeline::new(PipelineDraft { name: name.to_owned(), stages }).unwrap();
        let mut said = String::new();
        for stage in pipeline.stages() {
            said.push_str(&format!("{} {:?}\n", stage.name, stage.kind));
            let Some(edge) = &stage.edge else { continue };
            said.push_str(&format!(
                "  to {}, on fail {}, bug to {:?}, on moved base {:?}\n",
                edge.to, edge.on_fail, edge.bug_to, edge.on_moved_base
            ));
            for step in &edge.steps {
                said.push_str(&format!(
                    "  - {} {:?} lease {:?} {} s\n",
                    step.name,
                    step.kind,
                    step.lease,
                    step.patience.0 / 1000
                ));
            }
        }
        insta::assert_snapshot!(format!("preset_{name}"), said);
    }
}

#[test]
fn b1_3_full_has_its_nine_stages_and_two_of_them_are_ends() {
    let (name, text) = PRESETS[1];
    let sketch = preset(name, text).unwrap();
    let stages = sketch.stages.iter().map(|stage| &stage.stage);
    let names = stages.clone().map(|stage| stage.name.as_str()).collect::<Vec<_>>();
    let work = ["analysis", "architecture", "development", "review", "testing", "deploy-staging", "deploy"];
    assert_eq!(names, [&work[..], &["done", "cancelled"]].concat());
    let ends = stages.clone().filter(|stage| stage.edge.is_none()).map(|stage| stage.name.as_str());
    assert_eq!(ends.collect::<Vec<_>>(), ["done", "cancelled"]);
    for edge in stages.filter_map(|stage| stage.edge.as_ref()) {
        let leads_to = [Some(&edge.to), Some(&edge.on_fail), edge.bug_to.as_ref()];
        assert!(!leads_to.into_iter().flatten().any(|to| to.as_str() == "cancelled"), "only a stop leads there");
    }
}

#[test]
fn the_preset_brings_settings_and_the_file_replaces_them() {
    let (name, text) = PRESETS[1];
    let sketch = preset(name, text).unwrap();
    let step = StepName::new("deliverables-adr").unwrap();
    assert_eq!(sketch.settings[&step], json!({"required": ["adr"]}));
    let world = World::new();
    world.write(
        "projects/app.toml",
        format!("{PROJECT}[gates.checks-green]\nsettings = {{ only = [\"ci\"], n = 1.5 }}\n"),
    );
    let settings = &world.load().unwrap().projects[0].settings.gate_settings;
    assert_eq!(settings[&StepName::new("checks-green").unwrap()], json!({"only": ["ci"], "n": 1.5}));
}

#[test]
fn stages_are_drawn_by_hand() {
    let world = World::new();
    let text = drawn()
        .replace("\"[lease] rebase\"", "{ consent = \"approve\", waived-by = [\"autoApprove\"] }, \"[lease] rebase\"");
    world.write("projects/app.toml", text);
    let pipeline = &world.load().unwrap().projects[0].project.pipeline;
    assert_eq!(pipeline.name(), "own");
    assert_eq!(pipeline.first().name.as_str(), "development");
    assert_eq!(pipeline.stage_of_role(Role::Tester).unwrap().name.as_str(), "testing");
    let step = |name: &str| pipeline.step(&StageName::new("testing").unwrap(), &StepName::new(name).unwrap()).unwrap();
    let StepKind::Gate { plugin } = &step("style").kind else { panic!() };
    assert_eq!((plugin.as_str(), step("style").patience), ("review-verdict", Milliseconds::from_seconds(600)));
    assert_eq!(step("rebase").lease.as_ref().unwrap().as_str(), "merge");
    assert!(
        matches!(&step("approve").kind, StepKind::Consent { consent: Consent::Approve, waived_by } if waived_by == &["autoApprove"])
    );
}

#[test]
fn flaws_of_a_stage_are_told() {
    let said = edits(
        &drawn(),
        "projects/app.toml",
        &[
            ("a stage without a kind", "role = \"developer\"\nto", "to"),
            ("a stage with two", "role = \"developer\"\nto", "role = \"developer\"\npassage = true\nto"),
            ("a role that is none", "role = \"tester\"", "role = \"testr\""),
            ("an end that is none", "terminal = \"done\"", "terminal = \"finished\""),
            ("a way out of the end", "terminal = \"done\"", "terminal = \"done\"\nto = \"cancelled\""),
            ("no way back", "to = \"testing\"\non-fail = \"development\"\n", "to = \"testing\"\n"),
            ("a stage in capitals", "name = \"testing\"", "name = \"Testing\""),
            ("a table for a list", "[[stage]]\nname = \"development\"", "[stage]\nname = \"development\""),
            ("a place that is no place", "testing:rebase", "testing"),
            ("a step of no kind", "{ gate = \"style\", plugin", "{ plugin"),
            ("a step of two kinds", "{ gate = \"style\"", "{ action = \"merge\", gate = \"style\""),
            ("a lease that is none", "[lease] rebase", "[lease release] rebase"),
            ("a lease with a slip", "[lease] rebase", "[leas merge] rebase"),
            ("patience of a person", "{ gate = \"style\", plugin = \"review-verdict\"", "{ consent = \"approve\""),
            ("a preset and stages", "base-branch", "pipeline = \"quick\"\nbase-branch"),
        ],
    );
    insta::assert_snapshot!(said);
}

#[test]
fn flaws_of_the_whole_point_at_their_line() {
    let said = edits(
        &drawn(),
        "projects/app.toml",
        &[
            ("a stage that is not there", "to = \"testing\"", "to = \"tesing\""),
            ("a way back to nowhere", "on-fail = \"development\"\non-moved", "on-fail = \"dev\"\non-moved"),
            ("a step that is not there", "testing:rebase", "testing:rebas"),
            ("a gate that is not there", "checks-green", "checks-gren"),
            ("an action with a slip", "[lease] rebase", "[lease] rebse"),
            ("a plugin of another kind", "\"review-verdict\"", "\"quiet-hours\""),
            ("a step twice", "\"tests-passed\"", "\"tests-passed\", \"tests-passed\""),
            ("a stage twice", "name = \"testing\"", "name = \"development\""),
            (
                "a stage that nobody reaches",
                "",
                "\n[[stage]]\nname = \"review\"\npassage = true\nto = \"done\"\non-fail = \"development\"\n",
            ),
            ("a circle", "to = \"done\"", "to = \"development\""),
            ("a merge without a proof", ", \"prove-merged\"", ""),
            ("a merge without a lease", "[lease] rebase", "rebase"),
            ("a person over a deploy", "\"merge\",", "\"deploy\", { consent = \"confirm\" }, \"merge\","),
            ("no end", "[[stage]]\nname = \"cancelled\"\nterminal = \"cancelled\"\n", ""),
            ("a stage without a worker", "role = \"tester\"", "role = \"architect\""),
            ("an action without a command", "\"merge\",", "\"retest\", \"staging\", \"merge\","),
            ("settings of no gate", "", "\n[gates.tests-pased]\nsettings = {}\n"),
            ("settings that are no table", "", "\n[gates.tests-passed]\nsettings = [1]\n"),
        ],
    );
    insta::assert_snapshot!(said);
}

#[test]
fn what_cannot_be_read_of_a_stage_hides_no_flaw_of_the_whole() {
    let world = World::new();
    let text = drawn()
        .replace(
            "role = \"developer\"\nto = \"testing\"\non-fail = \"development\"\n",
            "role = \"wizard\"\nto = \"nowhere\"\n",
        )
        .replace(", \"prove-merged\"", "")
        .replace("[[stage]]\nname = \"cancelled\"\nterminal = \"cancelled\"\n", "")
        .replace("[commands.test]", "[commands.tset]");
    world.write("projects/app.toml", text);
    insta::assert_snapshot!(world.complaints());
}

/// What something else fills the place of leads to no finding of its own.
#[test]
fn what_may_follow_from_an_unread_word_alone_is_not_told() {
    for (from, to, told) in [
        ("name = \"testing\"", "name = \"Testing\"", 1),
        ("to = \"testing\"", "to = 7", 1),
        ("terminal = \"cancelled\"", "terminal = \"canceled\"", 1),
        ("\"[lease] rebase\"", "\"[leas] rebase\"", 1),
        ("\"prove-merged\"", "\"Prove Merged\"", 1),
        ("\"checks-green\"", "\"Checks\"", 1),
    ] {
        let world = World::new();
        let gates = "\n[gates.checks-green]\nsettings = { required = [\"ci\"] }\n";
        world.write("projects/app.toml", format!("{}{gates}", drawn()).replacen(from, to, 1));
        let complaints = world.load().unwrap_err();
        assert_eq!(complaints.len(), told, "{to}: {}", world.complaints());
    }
}
