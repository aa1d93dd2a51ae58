//! What makes a draft no pipeline.

use std::collections::{BTreeMap, BTreeSet};

use super::{Action, Edge, PipelineDraft, Stage, StageKind, StepKind};
use crate::ids::{StageName, StepName};
use crate::task::Terminality;

/// What is wrong with a pipeline.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PipelineFlaw {
    /// There is no stage at all.
    #[error("the pipeline has no stages")]
    Empty,
    /// Two stages bear one name.
    #[error("two stages are named `{0}`")]
    StageTwice(StageName),
    /// Two steps of an edge bear one name.
    #[error("the edge of `{stage}` has two steps named `{step}`")]
    StepTwice {
        /// Whose edge.
        stage: StageName,
        /// The step.
        step: StepName,
    },
    /// An edge leads to a stage that is not there.
    #[error("the edge of `{from}` names the stage `{to}`, which is not there; there are: {known}")]
    UnknownStage {
        /// Whose edge.
        from: StageName,
        /// What it names.
        to: StageName,
        /// The stages that are there.
        known: String,
    },
    /// `on-moved-base` names a step that is not there.
    #[error("`on-moved-base` of `{from}` names the step `{step}` of `{stage}`, which is not there")]
    UnknownStep {
        /// Whose edge.
        from: StageName,
        /// The stage that it names.
        stage: StageName,
        /// The step that it names.
        step: StepName,
    },
    /// A stage that is no terminal leads nowhere.
    #[error("the stage `{0}` is no terminal and has no edge")]
    NoEdge(StageName),
    /// A terminal has a way out.
    #[error("the terminal `{0}` has an edge; terminals have no way out")]
    TerminalWithEdge(StageName),
    /// No edge leads to it.
    #[error("the stage `{0}` cannot be reached from the first one")]
    Unreachable(StageName),
    /// A cycle that needs no failure.
    #[error("the edges run in a circle through `{0}`; only `on-fail` and `on-moved-base` may lead back")]
    Cycle(StageName),
    /// A failure that would lead forwards: a `fail` would open what it shall close.
    #[error("`on-fail` of `{from}` leads to `{to}`, which does not lie before it on the way")]
    FailsForwards {
        /// Whose edge.
        from: StageName,
        /// Where it leads.
        to: StageName,
    },
    /// A moved base goes on from a rebase that lies before; from anywhere else steps would be taken as passed.
    #[error(
        "`on-moved-base` of `{from}` leads to `{stage}:{step}`, which is no `rebase` on its own edge or before it on the way"
    )]
    MovesOnForwards {
        /// Whose edge.
        from: StageName,
        /// The stage that it names.
        stage: StageName,
        /// The step that it names.
        step: StepName,
    },
    /// The end is missing.
    #[error("there is no stage that ends as `done`, or none that ends as `cancelled`")]
    NoTerminal,
    /// `merge` without its proof.
    #[error(
        "the edge of `{0}` merges, and no `prove-merged` follows on it: a task could be done while its commit is not in main"
    )]
    Unproven(StageName),
    /// A merge that is not fenced.
    #[error("the step `{step}` of `{stage}` needs a lease taken on it or before it on the way")]
    Unfenced {
        /// Whose edge.
        stage: StageName,
        /// The step.
        step: StepName,
    },
    /// A person is awaited between a deploy and its merge: who waits for one has no lease.
    #[error(
        "the step `{step}` of `{stage}` waits for a person between `deploy` and `merge`: \
         a task that does has no lease, and another could deploy over it; put it before the deploy or after the merge"
    )]
    Exposed {
        /// Whose edge.
        stage: StageName,
        /// The step.
        step: StepName,
    },
}

pub(super) fn flaws(draft: &PipelineDraft) -> Vec<PipelineFlaw> {
    if draft.stages.is_empty() {
        return vec![PipelineFlaw::Empty];
    }
    let by_name: BTreeMap<&StageName, &Stage> = draft.stages.iter().map(|stage| (&stage.name, stage)).collect();
    let mut flaws = Vec::new();
    let mut seen = BTreeSet::new();
    for stage in &draft.stages {
        if !seen.insert(&stage.name) {
            flaws.push(PipelineFlaw::StageTwice(stage.name.clone()));
        }
        match (&stage.kind, &stage.edge) {
            (StageKind::Terminal { .. }, Some(_)) => {
                flaws.push(PipelineFlaw::TerminalWithEdge(stage.name.clone()));
            }
            (StageKind::Terminal { .. }, None) => {}
            (_, None) => flaws.push(PipelineFlaw::NoEdge(stage.name.clone())),
            (_, Some(edge)) => edge_flaws(stage, edge, &by_name, &mut flaws),
        }
    }
    for end in [Terminality::Done, Terminality::Cancelled] {
        if !draft.stages.iter().any(|stage| stage.kind == (StageKind::Terminal { end })) {
            flaws.push(PipelineFlaw::NoTerminal);
            break;
        }
    }
    if flaws.is_empty() {
        way_flaws(draft, &by_name, &mut flaws);
    }
    flaws
}

fn edge_flaws(stage: &Stage, edge: &Edge, by_name: &BTreeMap<&StageName, &Stage>, flaws: &mut Vec<PipelineFlaw>) {
    let moved = edge.on_moved_base.as_ref().map(|(target, _)| target);
    for target in [Some(&edge.to), Some(&edge.on_fail), moved, edge.bug_to.as_ref()].into_iter().flatten() {
        if !by_name.contains_key(target) {
            let known = by_name.keys().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
            flaws.push(PipelineFlaw::UnknownStage { from: stage.name.clone(), to: target.clone(), known });
        }
    }
    if let Some((target, step)) = &edge.on_moved_base {
        let there = by_name
            .get(target)
            .and_then(|stage| stage.edge.as_ref())
            .is_some_and(|edge| edge.steps.iter().any(|candidate| candidate.name == *step));
        if !there {
            flaws.push(PipelineFlaw::UnknownStep {
                from: stage.name.clone(),
                stage: target.clone(),
                step: step.clone(),
            });
        }
    }
    let mut names = BTreeSet::new();
    for step in &edge.steps {
        if !names.insert(&step.name) {
            flaws.push(PipelineFlaw::StepTwice { stage: stage.name.clone(), step: step.name.clone() });
        }
    }
    let place = |wanted| edge.steps.iter().position(|step| step.kind == (StepKind::Action { action: wanted }));
    if let Some(merge) = place(Action::Merge)
        && place(Action::ProveMerged).is_none_or(|proof| proof < merge)
    {
        flaws.push(PipelineFlaw::Unproven(stage.name.clone()));
    }
}

/// Reachability, circles and fences: asked only of a pipeline whose names are sound.
fn way_flaws(draft: &PipelineDraft, by_name: &BTreeMap<&StageName, &Stage>, flaws: &mut Vec<PipelineFlaw>) {
    let first = &draft.stages[0];
    let reached = reached_from(first, by_name);
    for stage in &draft.stages {
        let is_cancelled = stage.kind == (StageKind::Terminal { end: Terminality::Cancelled });
        if !is_cancelled && stage.name != first.name && !reached.contains(&stage.name) {
            flaws.push(PipelineFlaw::Unreachable(stage.name.clone()));
        }
    }
    if let Some(stage) = draft.stages.iter().find(|stage| reached_from(stage, by_name).contains(&stage.name)) {
        flaws.push(PipelineFlaw::Cycle(stage.name.clone()));
        return;
    }
    let on_the_way = draft.stages.iter().filter(|stage| stage.name == first.name || reached.contains(&stage.name));
    for (stage, edge) in on_the_way.filter_map(|stage| Some((stage, stage.edge.as_ref()?))) {
        back_flaws(stage, edge, by_name, flaws);
    }
    lease_flaws(first, by_name, flaws);
}

/// What cannot be taken back is fenced from its beginning to its end.
fn lease_flaws(first: &Stage, by_name: &BTreeMap<&StageName, &Stage>, flaws: &mut Vec<PipelineFlaw>) {
    let (mut leased, mut deployed, mut awaited) = (false, false, Vec::new());
    let mut next = Some(first);
    while let Some((stage, edge)) = next.and_then(|stage| Some((stage, stage.edge.as_ref()?))) {
        for step in &edge.steps {
            leased |= step.lease.is_some();
            let fenced = matches!(step.kind, StepKind::Action { action: Action::Merge | Action::Deploy });
            if fenced && !leased {
                flaws.push(PipelineFlaw::Unfenced { stage: stage.name.clone(), step: step.name.clone() });
            }
            match step.kind {
                StepKind::Action { action: Action::Deploy } => deployed = true,
                StepKind::Action { action: Action::Merge } if deployed => flaws.append(&mut awaited),
                StepKind::Consent { .. } if deployed => {
                    awaited.push(PipelineFlaw::Exposed { stage: stage.name.clone(), step: step.name.clone() });
                }
                _ => {}
            }
        }
        next = by_name.get(&edge.to).copied();
    }
}

/// Ways back lead back.
fn back_flaws(stage: &Stage, edge: &Edge, by_name: &BTreeMap<&StageName, &Stage>, flaws: &mut Vec<PipelineFlaw>) {
    let lies_before = |name: &StageName| {
        *name == stage.name || by_name.get(name).is_some_and(|found| reached_from(found, by_name).contains(&stage.name))
    };
    if !lies_before(&edge.on_fail) {
        flaws.push(PipelineFlaw::FailsForwards { from: stage.name.clone(), to: edge.on_fail.clone() });
    }
    let Some((target, name)) = &edge.on_moved_base else { return };
    let there = by_name.get(target).and_then(|stage| stage.edge.as_ref());
    let step = there.and_then(|edge| edge.steps.iter().find(|step| step.name == *name));
    let rebases = step.is_some_and(|step| step.kind == StepKind::Action { action: Action::Rebase });
    if !rebases || !lies_before(target) {
        let (from, stage) = (stage.name.clone(), target.clone());
        flaws.push(PipelineFlaw::MovesOnForwards { from, stage, step: name.clone() });
    }
}

/// The stages that a task may come to from here without any failure, on either track.
fn reached_from<'a>(stage: &'a Stage, by_name: &BTreeMap<&StageName, &'a Stage>) -> BTreeSet<&'a StageName> {
    let ways = |stage: &'a Stage| stage.edge.iter().flat_map(|edge| [Some(&edge.to), edge.bug_to.as_ref()]).flatten();
    let mut reached = BTreeSet::new();
    let mut waiting = ways(stage).collect::<Vec<_>>();
    while let Some(name) = waiting.pop() {
        if reached.insert(name)
            && let Some(next) = by_name.get(name)
        {
            waiting.extend(ways(next));
        }
    }
    reached
}
