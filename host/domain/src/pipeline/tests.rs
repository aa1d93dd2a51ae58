//! Which drafts are pipelines, and what is told about those that are none.

use super::{
    Action, Consent, Edge, EdgeStep, OnPatience, Pipeline, PipelineDraft, PipelineFlaw, Stage, StageKind, StepKind,
};
use crate::document::Role;
use crate::ids::{LeaseName, PluginId, StageName, StepName};
use crate::task::Terminality;
use crate::time::Milliseconds;

fn name(text: &str) -> StageName {
    StageName::new(text).unwrap()
}

fn step(text: &str, kind: StepKind) -> EdgeStep {
    EdgeStep {
        name: StepName::new(text).unwrap(),
        kind,
        lease: None,
        patience: Milliseconds::from_seconds(60),
        on_patience: OnPatience::Hold,
        binding: None,
    }
}

fn action(action: Action) -> EdgeStep {
    step(action.as_str(), StepKind::Action { action })
}

fn gate(text: &str) -> EdgeStep {
    step(text, StepKind::Gate { plugin: PluginId::new(text).unwrap() })
}

fn stage(text: &str, to: &str, on_fail: &str, steps: Vec<EdgeStep>) -> Stage {
    let edge = Edge { to: name(to), steps, on_fail: name(on_fail), on_moved_base: None, bug_to: None };
    Stage { name: name(text), kind: StageKind::Work { role: Role::Developer }, edge: Some(edge) }
}

fn terminal(text: &str, end: Terminality) -> Stage {
    Stage { name: name(text), kind: StageKind::Terminal { end }, edge: None }
}

/// Development, testing with a fenced and proven merge, and both ends.
fn sound() -> Vec<Stage> {
    let mut rebase = action(Action::Rebase);
    rebase.lease = Some(LeaseName::new("merge").unwrap());
    let landing = vec![gate("tests-passed"), rebase, action(Action::Merge), action(Action::ProveMerged)];
    vec![
        stage("development", "testing", "development", vec![gate("checks-green")]),
        stage("testing", "done", "development", landing),
        terminal("done", Terminality::Done),
        terminal("cancelled", Terminality::Cancelled),
    ]
}

fn edge(stages: &mut [Stage], at: usize) -> &mut Edge {
    stages[at].edge.as_mut().unwrap()
}

/// What is told about the sound draft once it was edited so.
fn told(edit: impl FnOnce(&mut Vec<Stage>)) -> Vec<String> {
    let mut stages = sound();
    edit(&mut stages);
    match Pipeline::new(PipelineDraft { name: "drawn".to_owned(), stages }) {
        Ok(_) => Vec::new(),
        Err(flaws) => flaws.iter().map(PipelineFlaw::to_string).collect(),
    }
}

#[test]
fn a_sound_draft_is_a_pipeline() {
    assert_eq!(told(|_| {}), Vec::<String>::new());
}

#[test]
fn no_stages_are_no_pipeline() {
    assert_eq!(told(Vec::clear), ["the pipeline has no stages"]);
}

#[test]
fn names_are_unique() {
    let twice = told(|stages| stages.push(terminal("done", Terminality::Done)));
    assert_eq!(twice, ["two stages are named `done`"]);
    let twice = told(|stages| edge(stages, 0).steps.push(gate("checks-green")));
    assert_eq!(twice, ["the edge of `development` has two steps named `checks-green`"]);
}

#[test]
fn each_way_leads_to_a_stage_that_is_there_and_the_message_lists_them() {
    let known = "which is not there; there are: cancelled, development, done, testing";
    let to = told(|stages| edge(stages, 0).to = name("tesing"));
    assert_eq!(to, [format!("the edge of `development` names the stage `tesing`, {known}")]);
    let back = told(|stages| edge(stages, 1).on_fail = name("dev"));
    assert_eq!(back, [format!("the edge of `testing` names the stage `dev`, {known}")]);
    let bug = told(|stages| edge(stages, 0).bug_to = Some(name("don")));
    assert_eq!(bug, [format!("the edge of `development` names the stage `don`, {known}")]);
}

#[test]
fn a_moved_base_leads_to_a_step_that_is_there() {
    let moved = |step: &str| Some((name("testing"), StepName::new(step).unwrap()));
    assert_eq!(told(|stages| edge(stages, 1).on_moved_base = moved("rebase")), Vec::<String>::new());
    let flaws = told(|stages| edge(stages, 1).on_moved_base = moved("rebas"));
    assert_eq!(flaws, ["`on-moved-base` of `testing` names the step `rebas` of `testing`, which is not there"]);
}

#[test]
fn ways_back_lead_back() {
    let forwards = told(|stages| edge(stages, 0).on_fail = name("testing"));
    assert_eq!(forwards, ["`on-fail` of `development` leads to `testing`, which does not lie before it on the way"]);
    let done = told(|stages| edge(stages, 1).on_fail = name("done"));
    assert_eq!(done, ["`on-fail` of `testing` leads to `done`, which does not lie before it on the way"]);
    let moved = |stage: &str, step: &str| Some((name(stage), StepName::new(step).unwrap()));
    let ahead = told(|stages| edge(stages, 0).on_moved_base = moved("testing", "rebase"));
    assert!(ahead[0].starts_with("`on-moved-base` of `development` leads to `testing:rebase`"), "{ahead:?}");
    let skips = told(|stages| edge(stages, 1).on_moved_base = moved("testing", "merge"));
    assert!(skips[0].starts_with("`on-moved-base` of `testing` leads to `testing:merge`"), "{skips:?}");
}

#[test]
fn what_is_no_terminal_leads_on_and_a_terminal_does_not() {
    assert_eq!(told(|stages| stages[1].edge = None)[0], "the stage `testing` is no terminal and has no edge");
    let out = told(|stages| stages[2].edge = stages[0].edge.clone());
    assert_eq!(out[0], "the terminal `done` has an edge; terminals have no way out");
}

#[test]
fn both_ends_are_there() {
    let lost = told(|stages| {
        stages.remove(3);
    });
    assert_eq!(lost, ["there is no stage that ends as `done`, or none that ends as `cancelled`"]);
}

#[test]
fn every_stage_can_be_reached_without_a_failure() {
    let lost = told(|stages| stages.insert(2, stage("review", "done", "development", Vec::new())));
    assert_eq!(lost, ["the stage `review` cannot be reached from the first one"]);
}

#[test]
fn no_circle_but_through_a_failure() {
    let circle = told(|stages| {
        edge(stages, 1).to = name("development");
        edge(stages, 0).bug_to = Some(name("done"));
    });
    assert_eq!(circle.len(), 1);
    assert!(circle[0].starts_with("the edges run in a circle through `development`"));
}

/// A bug would walk in it for ever, without any event from outside.
#[test]
fn no_circle_on_the_bug_track_either() {
    let circle = told(|stages| edge(stages, 1).bug_to = Some(name("development")));
    assert!(circle[0].starts_with("the edges run in a circle"), "{circle:?}");
    let onto_itself = told(|stages| edge(stages, 0).bug_to = Some(name("development")));
    assert!(onto_itself[0].starts_with("the edges run in a circle"), "{onto_itself:?}");
}

#[test]
fn a_merge_is_proven_after_it() {
    let unproven = told(|stages| {
        edge(stages, 1).steps.pop();
    });
    assert!(unproven[0].starts_with("the edge of `testing` merges, and no `prove-merged` follows on it"));
    let before = told(|stages| edge(stages, 1).steps.swap(2, 3));
    assert!(before[0].starts_with("the edge of `testing` merges"), "a proof before the merge proves nothing");
}

#[test]
fn a_merge_is_fenced_on_its_edge_or_before_it() {
    let open = told(|stages| edge(stages, 1).steps[1].lease = None);
    assert_eq!(open, ["the step `merge` of `testing` needs a lease taken on it or before it on the way"]);
    let before = told(|stages| {
        edge(stages, 1).steps[1].lease = None;
        edge(stages, 0).steps[0].lease = Some(LeaseName::new("merge").unwrap());
    });
    assert_eq!(before, Vec::<String>::new());
}

#[test]
fn nobody_awaits_a_person_over_what_runs_and_is_not_in_main() {
    let look = || step("look", StepKind::Consent { consent: Consent::Approve, waived_by: Vec::new() });
    let with = |at: [usize; 2]| {
        told(move |stages| {
            let steps = &mut edge(stages, 1).steps;
            steps.insert(at[0], action(Action::Deploy));
            steps.insert(at[1], look());
        })
    };
    let flaw = "the step `look` of `testing` waits for a person between `deploy` and `merge`: a task that does has no lease, \
                and another could deploy over it; put it before the deploy or after the merge";
    assert_eq!(with([2, 3]), [flaw]);
    assert_eq!(with([2, 2]), [""; 0], "before the deploy");
    assert_eq!(with([2, 4]), [""; 0], "after the merge");
    assert_eq!(with([3, 4]), [""; 0], "what is merged first may be looked at later");
}

#[test]
fn all_flaws_are_told_at_once() {
    let flaws = told(|stages| {
        edge(stages, 0).to = name("tesing");
        edge(stages, 1).on_fail = name("dev");
    });
    assert_eq!(flaws.len(), 2);
}

#[test]
fn the_digest_is_of_what_it_says() {
    let of = |stages| Pipeline::new(PipelineDraft { name: "drawn".to_owned(), stages }).unwrap().digest().clone();
    let mut patient = sound();
    edge(&mut patient, 0).steps[0].patience = Milliseconds::from_seconds(61);
    assert_eq!(of(sound()), of(sound()));
    assert_ne!(of(sound()), of(patient));
}

#[test]
fn reading_a_pipeline_checks_it_and_writing_it_loses_nothing() {
    let pipeline = Pipeline::new(PipelineDraft { name: "drawn".to_owned(), stages: sound() }).unwrap();
    let text = serde_json::to_string(&pipeline).unwrap();
    assert_eq!(serde_json::from_str::<Pipeline>(&text).unwrap(), pipeline);
    assert!(serde_json::from_str::<Pipeline>(&text.replace("\"prove-merged\"", "\"staging\"")).is_err());
}

#[test]
fn steps_are_found_in_their_order() {
    let pipeline = Pipeline::new(PipelineDraft { name: "drawn".to_owned(), stages: sound() }).unwrap();
    let testing = name("testing");
    let merge = StepName::new("merge").unwrap();
    assert_eq!(pipeline.step_after(&testing, &merge).unwrap().name.as_str(), "prove-merged");
    assert_eq!(pipeline.step_after(&testing, &StepName::new("prove-merged").unwrap()), None);
    assert_eq!(pipeline.stage_of_role(Role::Reviewer), None);
    assert_eq!(pipeline.terminal(Terminality::Done).unwrap().name, name("done"));
}

#[test]
fn what_cannot_be_taken_back_what_proves_and_what_a_person_says_are_never_waived() {
    let consent = StepKind::Consent { consent: Consent::Approve, waived_by: Vec::new() };
    let fixed = [Action::Rebase, Action::Merge, Action::ProveMerged, Action::Deploy].map(action);
    assert!(fixed.iter().all(|step| !step.waivable()));
    assert!(!step("approve", consent).waivable() && !gate("security").waivable());
    assert!(gate("review-verdict").waivable() && action(Action::Retest).waivable());
}
