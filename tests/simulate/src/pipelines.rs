//! The pipelines that are simulated: `quick` and `full` as the presets have them, and an edit of each.

use std::sync::LazyLock;

use domain::document::Role;
use domain::ids::{LeaseName, PluginId, StageName, StepName};
use domain::pipeline::{
    Action, Consent, Edge, EdgeStep, OnPatience, Pipeline, PipelineDraft, Stage, StageKind, StepKind,
};
use domain::task::Terminality;
use domain::time::Milliseconds;

const PATIENCE: Milliseconds = Milliseconds::from_seconds(3600);

fn stage(name: &str) -> StageName {
    StageName::new(name).expect("a stage")
}

fn step(name: &str) -> StepName {
    StepName::new(name).expect("a step")
}

fn edge_step(name: &str, kind: StepKind) -> EdgeStep {
    EdgeStep { name: step(name), kind, lease: None, patience: PATIENCE, on_patience: OnPatience::Hold, binding: None }
}

fn gate(name: &str) -> EdgeStep {
    edge_step(name, StepKind::Gate { plugin: PluginId::new(name).expect("an id") })
}

fn action(action: Action) -> EdgeStep {
    edge_step(action.as_str(), StepKind::Action { action })
}

fn leased(what: Action) -> EdgeStep {
    EdgeStep { lease: Some(LeaseName::new("merge").expect("a lease")), ..action(what) }
}

fn consent(name: &str, consent: Consent, label: Option<&str>) -> EdgeStep {
    edge_step(name, StepKind::Consent { consent, waived_by: label.map(str::to_owned).into_iter().collect() })
}

fn edge(to: &str, on_fail: &str, steps: Vec<EdgeStep>) -> Edge {
    Edge { to: stage(to), steps, on_fail: stage(on_fail), on_moved_base: None, bug_to: None }
}

fn work(name: &str, role: Role, edge: Edge) -> Stage {
    Stage { name: stage(name), kind: StageKind::Work { role }, edge: Some(edge) }
}

fn passage(name: &str, edge: Edge) -> Stage {
    Stage { name: stage(name), kind: StageKind::Passage, edge: Some(edge) }
}

fn checked(name: &str, mut stages: Vec<Stage>) -> Pipeline {
    for (name, end) in [("done", Terminality::Done), ("cancelled", Terminality::Cancelled)] {
        stages.push(Stage { name: stage(name), kind: StageKind::Terminal { end }, edge: None });
    }
    Pipeline::new(PipelineDraft { name: name.to_owned(), stages }).expect("a sound pipeline")
}

fn quick(is_reviewed: bool) -> Pipeline {
    let landing = vec![
        gate("tests-passed"),
        consent("approve", Consent::Approve, None),
        leased(Action::Rebase),
        action(Action::Retest),
        action(Action::Merge),
        action(Action::ProveMerged),
    ];
    let mut last = edge("done", "development", landing);
    last.on_moved_base = Some((stage("testing"), step("rebase")));
    let to = if is_reviewed { "review" } else { "testing" };
    let mut stages = vec![work("development", Role::Developer, edge(to, "development", vec![gate("checks-green")]))];
    if is_reviewed {
        stages.push(work("review", Role::Reviewer, edge("testing", "development", vec![gate("review-verdict")])));
    }
    stages.push(work("testing", Role::Tester, last));
    checked(if is_reviewed { "quick" } else { "quicker" }, stages)
}

fn full(is_secured: bool) -> Pipeline {
    let approve = consent("approve", Consent::Approve, Some("autoApprove"));
    let mut analysed = edge("architecture", "analysis", vec![gate("questions"), gate("deliverables"), approve]);
    analysed.bug_to = Some(stage("development"));
    let mut staging = vec![
        consent("approve", Consent::Approve, None),
        leased(Action::Rebase),
        action(Action::Retest),
        action(Action::Staging),
        gate("staging-status"),
    ];
    if is_secured {
        staging.insert(0, gate("security"));
    }
    let mut staged = edge("deploy", "development", staging);
    staged.on_moved_base = Some((stage("deploy-staging"), step("rebase")));
    let deploying = vec![
        consent("confirm", Consent::Confirm, Some("autoDeploy")),
        leased(Action::Deploy),
        gate("deploy-status"),
        action(Action::Merge),
        action(Action::ProveMerged),
    ];
    let mut deployed = edge("done", "development", deploying);
    deployed.on_moved_base = Some((stage("deploy-staging"), step("rebase")));
    let stages = vec![
        work("analysis", Role::Analyst, analysed),
        work("architecture", Role::Architect, edge("development", "analysis", vec![gate("deliverables-adr")])),
        work("development", Role::Developer, edge("review", "development", vec![gate("checks-green")])),
        work("review", Role::Reviewer, edge("testing", "development", vec![gate("review-verdict")])),
        work("testing", Role::Tester, edge("deploy-staging", "development", vec![gate("tests-passed")])),
        passage("deploy-staging", staged),
        passage("deploy", deployed),
    ];
    checked(if is_secured { "full-with-security" } else { "full" }, stages)
}

/// `quick` behind a gate that is asked before anybody works, and patience that ends in a way back.
fn admitted() -> Pipeline {
    let mut stages = quick(true).stages().iter().filter(|stage| stage.edge.is_some()).cloned().collect::<Vec<_>>();
    for step in stages.iter_mut().filter_map(|stage| stage.edge.as_mut()).flat_map(|edge| &mut edge.steps) {
        step.on_patience = OnPatience::Fail;
    }
    stages.insert(0, passage("admission", edge("development", "admission", vec![gate("admission")])));
    checked("admitted", stages)
}

/// Each of them.
pub fn all() -> [Pipeline; 5] {
    static ALL: LazyLock<[Pipeline; 5]> =
        LazyLock::new(|| [quick(true), full(false), admitted(), quick(false), full(true)]);
    ALL.clone()
}
