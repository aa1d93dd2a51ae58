//! The pipeline: stages and edges, as data. Checked once, when it is loaded.

use serde::{Deserialize, Serialize};

use crate::document::Role;
use crate::ids::{Digest, LeaseName, PluginId, StageName, StepName};
use crate::task::Terminality;
use crate::time::Milliseconds;

mod flaws;

pub use flaws::PipelineFlaw;
use flaws::flaws;

/// Developer retries that a task may spend before it is held as escalated (catalogue B3).
pub const DEVELOPER_RETRIES: u32 = 3;
/// How often a run that did not deliver is launched again within one visit.
pub const RUN_RETRIES: u32 = 2;
/// How often a run is tried again within one visit after failures that pass by themselves (C3 is silent). With the pauses of
/// `conductor::failure` ten tries bridge about one hour of a service that refuses, two at the most; what lasts longer is for a person.
pub const TRANSIENT_RETRIES: u32 = 10;
/// How often an edge's step is tried again after an infrastructure fault.
pub const INFRA_RETRIES: u32 = 5;

/// A pipeline that was found sound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "PipelineDraft", into = "PipelineDraft")]
pub struct Pipeline {
    draft: PipelineDraft,
    digest: Digest,
}

/// A pipeline as a file says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineDraft {
    /// Its name, e.g. `quick`.
    pub name: String,
    /// In order; the first is where a task enters.
    pub stages: Vec<Stage>,
}

/// Where a task may stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// Its name.
    pub name: StageName,
    /// What happens in it.
    pub kind: StageKind,
    /// The way on; none of a terminal.
    pub edge: Option<Edge>,
}

/// What happens in a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum StageKind {
    /// A role works: an agent, or a command that stands in for it.
    Work {
        /// Who.
        role: Role,
    },
    /// Nobody works; the edge's steps begin at once.
    Passage,
    /// The end.
    Terminal {
        /// Which end.
        end: Terminality,
    },
}

/// The way from a stage to the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// Where it leads.
    pub to: StageName,
    /// What must answer, in order.
    pub steps: Vec<EdgeStep>,
    /// Where a `fail` leads back to.
    pub on_fail: StageName,
    /// Where a base that moved leads: the stage, and the step on its edge from which it goes on.
    pub on_moved_base: Option<(StageName, StepName)>,
    /// On the bug track the edge leads here instead.
    #[serde(default)]
    pub bug_to: Option<StageName>,
}

/// One thing that must answer before the edge is crossed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeStep {
    /// Its name, unique on the edge.
    pub name: StepName,
    /// Who answers.
    pub kind: StepKind,
    /// A lease of the task that must be held from here on.
    #[serde(default)]
    pub lease: Option<LeaseName>,
    /// How long it may answer `wait` before `on_patience` holds.
    pub patience: Milliseconds,
    /// What the end of patience means.
    #[serde(default)]
    pub on_patience: OnPatience,
    /// What its answers rest on besides the commits: of a gate, its component and its settings. None: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<Digest>,
}

/// What the end of a step's patience means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnPatience {
    /// A person looks.
    #[default]
    Hold,
    /// Back along `on_fail`.
    Fail,
}

/// Who answers a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum StepKind {
    /// A component judges.
    Gate {
        /// Which.
        plugin: PluginId,
    },
    /// The host does something.
    Action {
        /// What.
        action: Action,
    },
    /// A person consents.
    Consent {
        /// To what.
        consent: Consent,
        /// Labels that stand in for the person.
        #[serde(default)]
        waived_by: Vec<String>,
    },
}

/// What the host does on an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The branch is put on top of the base.
    Rebase,
    /// The suite runs again on what will land.
    Retest,
    /// The staging hook runs.
    Staging,
    /// The deploy hook runs.
    Deploy,
    /// The base branch moves forward to the tested commit.
    Merge,
    /// The tested commit is in the base branch.
    ProveMerged,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 6] =
        [Self::Rebase, Self::Retest, Self::Staging, Self::Deploy, Self::Merge, Self::ProveMerged];

    /// As files spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rebase => "rebase",
            Self::Retest => "retest",
            Self::Staging => "staging",
            Self::Deploy => "deploy",
            Self::Merge => "merge",
            Self::ProveMerged => "prove-merged",
        }
    }
}

/// What a person consents to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Consent {
    /// The work may go on.
    Approve,
    /// The deploy may begin.
    Confirm,
}

impl EdgeStep {
    /// May an operator go over this step? Never over `security`, a proof, a merge or a deploy.
    pub fn waivable(&self) -> bool {
        let fixed = matches!(
            self.kind,
            StepKind::Action { action: Action::ProveMerged | Action::Merge | Action::Deploy | Action::Rebase }
                | StepKind::Consent { .. }
        );
        !fixed && self.name.as_str() != "security"
    }
}

impl TryFrom<PipelineDraft> for Pipeline {
    type Error = PipelineFlaw;

    fn try_from(draft: PipelineDraft) -> Result<Self, PipelineFlaw> {
        Self::new(draft).map_err(|mut flaws| flaws.swap_remove(0))
    }
}

impl From<Pipeline> for PipelineDraft {
    fn from(pipeline: Pipeline) -> Self {
        pipeline.draft
    }
}

impl Pipeline {
    /// Checks a draft; all flaws are told at once.
    pub fn new(draft: PipelineDraft) -> Result<Self, Vec<PipelineFlaw>> {
        let flaws = flaws(&draft);
        if flaws.is_empty() {
            let text = serde_json::to_vec(&draft).unwrap_or_default();
            Ok(Self { digest: Digest::of(&text), draft })
        } else {
            Err(flaws)
        }
    }

    /// The same pipeline with what each step's answers rest on.
    #[must_use]
    pub fn bound(self, binding: impl Fn(&EdgeStep) -> Option<Digest>) -> Self {
        let mut draft = self.draft;
        for step in draft.stages.iter_mut().filter_map(|stage| stage.edge.as_mut()).flat_map(|edge| &mut edge.steps) {
            step.binding = binding(step);
        }
        let text = serde_json::to_vec(&draft).unwrap_or_default();
        Self { digest: Digest::of(&text), draft }
    }

    /// Steps of this pipeline whose answers mean nothing under another one: gone there, of another kind, or bound to something
    /// else.
    pub fn changed_in(&self, other: &Self) -> Vec<(StageName, StepName)> {
        let steps = self.stages().iter().filter_map(|stage| Some((stage, stage.edge.as_ref()?)));
        let all = steps.flat_map(|(stage, edge)| edge.steps.iter().map(move |step| (&stage.name, step)));
        let stands = |stage: &StageName, step: &EdgeStep| {
            let found = other.step(stage, &step.name);
            found.is_some_and(|found| found.kind == step.kind && found.binding == step.binding)
        };
        all.filter(|(stage, step)| !stands(stage, step))
            .map(|(stage, step)| (stage.clone(), step.name.clone()))
            .collect()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.draft.name
    }

    /// The sha256 of its content.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// In order.
    pub fn stages(&self) -> &[Stage] {
        &self.draft.stages
    }

    /// Where a task enters.
    pub fn first(&self) -> &Stage {
        &self.draft.stages[0]
    }

    /// A stage by name.
    pub fn stage(&self, name: &StageName) -> Option<&Stage> {
        self.draft.stages.iter().find(|stage| stage.name == *name)
    }

    /// The edge that leaves a stage.
    pub fn edge(&self, name: &StageName) -> Option<&Edge> {
        self.stage(name)?.edge.as_ref()
    }

    /// A step on the edge of a stage.
    pub fn step(&self, stage: &StageName, step: &StepName) -> Option<&EdgeStep> {
        self.edge(stage)?.steps.iter().find(|candidate| candidate.name == *step)
    }

    /// The step after this one on the same edge.
    pub fn step_after(&self, stage: &StageName, step: &StepName) -> Option<&EdgeStep> {
        let steps = &self.edge(stage)?.steps;
        let at = steps.iter().position(|candidate| candidate.name == *step)?;
        steps.get(at + 1)
    }

    /// The place of a stage in the order.
    pub fn index(&self, name: &StageName) -> Option<usize> {
        self.draft.stages.iter().position(|stage| stage.name == *name)
    }

    /// The first stage in which this role works.
    pub fn stage_of_role(&self, wanted: Role) -> Option<&Stage> {
        self.draft.stages.iter().find(|stage| matches!(stage.kind, StageKind::Work { role } if role == wanted))
    }

    /// The terminal of this kind.
    pub fn terminal(&self, wanted: Terminality) -> Option<&Stage> {
        self.draft.stages.iter().find(|stage| matches!(stage.kind, StageKind::Terminal { end } if end == wanted))
    }
}

#[cfg(test)]
mod tests;
