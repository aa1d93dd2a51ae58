//! The pipelines that the tests walk, as values: what the presets say, and one with a security gate.

use domain::document::Role;
use domain::ids::{LeaseName, PluginId, StageName, StepName};
use domain::pipeline::{
    Action, Consent, Edge, EdgeStep, OnPatience, Pipeline, PipelineDraft, Stage, StageKind, StepKind,
};
use domain::task::Terminality;
use domain::time::Milliseconds;

pub(crate) const PATIENCE: Milliseconds = Milliseconds::from_seconds(3600);

pub(crate) fn stage(name: &str) -> StageName {
    StageName::new(name).unwrap()
}

pub(crate) fn step(name: &str) -> StepName {
    StepName::new(name).unwrap()
}

pub(crate) fn lease(name: &str) -> LeaseName {
    LeaseName::new(name).unwrap()
}

fn edge_step(name: &str, kind: StepKind) -> EdgeStep {
    EdgeStep { name: step(name), kind, lease: None, patience: PATIENCE, on_patience: OnPatience::Hold, binding: None }
}

fn gate(name: &str) -> EdgeStep {
    edge_step(name, StepKind::Gate { plugin: PluginId::new(name).unwrap() })
}

fn action(action: Action) -> EdgeStep {
    edge_step(action.as_str(), StepKind::Action { action })
}

fn leased(what: Action) -> EdgeStep {
    EdgeStep { lease: Some(lease("merge")), ..action(what) }
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

fn terminals() -> [Stage; 2] {
    [("done", Terminality::Done), ("cancelled", Terminality::Cancelled)].map(|(name, end)| Stage {
        name: stage(name),
        kind: StageKind::Terminal { end },
        edge: None,
    })
}

fn checked(name: &str, stages: Vec<Stage>) -> Pipeline {
    Pipeline::new(PipelineDraft { name: name.to_owned(), stages }).unwrap()
}

/// Development, review, testing, then a person's word and the merge.
pub(crate) fn quick() -> Pipeline {
    let mut last = edge(
        "done",
        "development",
        vec![
            gate("tests-passed"),
            consent("approve", Consent::Approve, None),
            leased(Action::Rebase),
            action(Action::Retest),
            action(Action::Merge),
            action(Action::ProveMerged),
        ],
    );
    last.on_moved_base = Some((stage("testing"), step("rebase")));
    let mut stages = vec![
        work("development", Role::Developer, edge("review", "development", vec![gate("checks-green")])),
        work("review", Role::Reviewer, edge("testing", "development", vec![gate("review-verdict")])),
        work("testing", Role::Tester, last),
    ];
    stages.extend(terminals());
    checked("quick", stages)
}

/// `quick` where nobody reviews.
pub(crate) fn unreviewed() -> Pipeline {
    let mut stages = quick().stages().to_vec();
    stages.retain(|candidate| candidate.name != stage("review"));
    stages[0].edge.as_mut().unwrap().to = stage("testing");
    checked("unreviewed", stages)
}

/// `quick` where the step `approve` asks for this, and this label stands in for the person.
pub(crate) fn quick_asking(wanted: Consent, label: Option<&str>) -> Pipeline {
    let mut stages = quick().stages().to_vec();
    stages[2].edge.as_mut().unwrap().steps[1] = consent("approve", wanted, label);
    checked("quick-asking", stages)
}

/// `quick` that ends with the tests: who merges, and when, is nobody's business here.
pub(crate) fn unmerged() -> Pipeline {
    let mut stages = quick().stages().to_vec();
    stages[2].edge.as_mut().unwrap().steps = vec![gate("tests-passed")];
    stages[2].edge.as_mut().unwrap().on_moved_base = None;
    checked("unmerged", stages)
}

/// `quick` behind a gate that is asked before anybody works.
pub(crate) fn admitted() -> Pipeline {
    let mut stages = quick().stages().iter().filter(|stage| stage.edge.is_some()).cloned().collect::<Vec<_>>();
    stages.insert(0, passage("admission", edge("development", "admission", vec![gate("admission")])));
    stages.extend(terminals());
    checked("admitted", stages)
}

/// All stages, with staging, a deploy and both consents.
pub(crate) fn full() -> Pipeline {
    checked("full", full_stages())
}

/// `full` where no stage is skipped, whatever the ticket is.
pub(crate) fn without_shortcut() -> Pipeline {
    let mut stages = full_stages();
    stages.iter_mut().filter_map(|stage| stage.edge.as_mut()).for_each(|edge| edge.bug_to = None);
    checked("without-shortcut", stages)
}

/// `full`, and the edge to the deploy begins with a security gate.
pub(crate) fn full_with_security() -> Pipeline {
    let mut stages = full_stages();
    let staging = stages.iter_mut().find(|candidate| candidate.name == stage("deploy-staging")).unwrap();
    staging.edge.as_mut().unwrap().steps.insert(0, gate("security"));
    checked("full-with-security", stages)
}

/// `full`, and the merge of the deploy's edge relies on the lease that the edge before it took.
pub(crate) fn full_with_one_lease() -> Pipeline {
    let mut stages = full_stages();
    let deploy = stages.iter_mut().find(|candidate| candidate.name == stage("deploy")).unwrap();
    for step in &mut deploy.edge.as_mut().unwrap().steps {
        step.lease = None;
    }
    checked("full-with-one-lease", stages)
}

fn full_stages() -> Vec<Stage> {
    let mut analysed = edge(
        "architecture",
        "analysis",
        vec![gate("questions"), gate("deliverables"), consent("approve", Consent::Approve, Some("autoApprove"))],
    );
    analysed.bug_to = Some(stage("development"));
    let mut staged = edge(
        "deploy",
        "development",
        vec![
            consent("approve", Consent::Approve, None),
            leased(Action::Rebase),
            action(Action::Retest),
            action(Action::Staging),
            gate("staging-status"),
        ],
    );
    staged.on_moved_base = Some((stage("deploy-staging"), step("rebase")));
    let mut deployed = edge(
        "done",
        "development",
        vec![
            consent("confirm", Consent::Confirm, Some("autoDeploy")),
            leased(Action::Deploy),
            gate("deploy-status"),
            action(Action::Merge),
            action(Action::ProveMerged),
        ],
    );
    deployed.on_moved_base = Some((stage("deploy-staging"), step("rebase")));
    let mut stages = vec![
        work("analysis", Role::Analyst, analysed),
        work("architecture", Role::Architect, edge("development", "analysis", vec![gate("deliverables-adr")])),
        work("development", Role::Developer, edge("review", "development", vec![gate("checks-green")])),
        work("review", Role::Reviewer, edge("testing", "development", vec![gate("review-verdict")])),
        work("testing", Role::Tester, edge("deploy-staging", "development", vec![gate("tests-passed")])),
        passage("deploy-staging", staged),
        passage("deploy", deployed),
    ];
    stages.extend(terminals());
    stages
}
