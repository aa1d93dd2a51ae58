//! The pipeline of a project: a preset or its own stages, with the steps of its plugins, checked as a whole. A flaw of
//! the whole is shown at the line that it comes from.

use std::collections::BTreeMap;
use std::ops::Range;

use domain::ids::{StageName, StepName};
use domain::pipeline::{EdgeStep, Pipeline, PipelineDraft, PipelineFlaw, Stage, StageKind, StepKind};
use domain::task::Terminality;
use serde_json::Value;
use toml::de::DeTable;

use crate::binding::{self, Placing};
use crate::diagnostic::{Problem, Report, quoted};
use crate::keys;
use crate::reader::{At, Section};
use crate::stage::{self, Gaps, StageSketch};

/// The pipelines that the host brings, in the words of a project's file.
pub(crate) const PRESETS: [(&str, &str); 2] =
    [("quick", include_str!("../presets/quick.toml")), ("full", include_str!("../presets/full.toml"))];

/// The name of a pipeline that a file draws itself.
const OWN: &str = "own";

/// A pipeline on its way.
#[derive(Clone, Debug)]
pub(crate) struct Sketch {
    name: String,
    /// The preset's word; none: the file's own stages.
    preset: Option<Range<usize>>,
    pub(crate) stages: Vec<StageSketch>,
    /// Settings that the preset brings for its gates.
    pub(crate) settings: BTreeMap<StepName, Value>,
    /// Nothing is missing of it, and nothing fills a place.
    is_whole: bool,
    /// A stage bears no name that could be read: it may be any that another one names.
    has_nameless: bool,
}

/// Reads `pipeline` or `[[stage]]`.
pub(crate) fn read(file: &Section<'_>) -> Option<Sketch> {
    let report = file.report;
    let stages = file.get("stage");
    let Some(node) = file.get("pipeline") else {
        if stages.is_none() {
            let problem = Problem::of_file("the file has neither `pipeline` nor a `[[stage]]`");
            report.add(
                problem.help("add pipeline = \"quick\" (development, review, testing, merge) or pipeline = \"full\""),
            );
            return None;
        }
        let before = report.count();
        let sections = file.sections("stage", &keys::STAGE);
        let stages = stage::read_all(&sections);
        let (is_whole, has_nameless) = (report.count() == before, stages.len() < sections.len() || sections.is_empty());
        let settings = BTreeMap::new();
        return Some(Sketch { name: OWN.to_owned(), preset: None, stages, settings, is_whole, has_nameless });
    };
    if stages.is_some() {
        let problem = Problem::at(node.span, "the file has a `pipeline` and stages of its own");
        report.add(problem.help("remove `pipeline`, or all `[[stage]]` tables"));
        return None;
    }
    let text = node.word(&PRESETS)?;
    let name = node.text()?.value;
    let mut sketch = preset(&name, text)?;
    for stage in &mut sketch.stages {
        stage.spans.moved_to(&node.span);
    }
    sketch.preset = Some(node.span);
    Some(sketch)
}

/// A preset as a sketch, its places those in its own text.
pub(crate) fn preset(name: &str, text: &str) -> Option<Sketch> {
    let report = Report::new(name, text);
    let table = DeTable::parse(report.text()).ok()?;
    let file = Section::of_file(&report, table.get_ref(), &keys::PROJECT);
    let stages = stage::read_all(&file.sections("stage", &keys::STAGE));
    let settings = binding::gate_settings(&file).into_iter().map(|(name, value)| (name.value, value)).collect();
    let sketch = Sketch { name: name.to_owned(), preset: None, stages, settings, is_whole: true, has_nameless: false };
    (report.count() == 0).then_some(sketch)
}

/// A pipeline in which nobody works: it fills the place of one that could not be read.
pub(crate) fn nothing() -> Option<Pipeline> {
    let end = |name: &str, end| {
        Some(Stage { name: StageName::new(name).ok()?, kind: StageKind::Terminal { end }, edge: None })
    };
    let stages = vec![end("done", Terminality::Done)?, end("cancelled", Terminality::Cancelled)?];
    Pipeline::new(PipelineDraft { name: OWN.to_owned(), stages }).ok()
}

impl Sketch {
    /// The steps of all edges.
    pub(crate) fn steps(&self) -> impl Iterator<Item = (&StageSketch, &EdgeStep, &Range<usize>)> {
        self.stages.iter().flat_map(|stage| {
            let steps = stage.stage.edge.iter().flat_map(|edge| &edge.steps);
            steps.zip(&stage.spans.steps).map(move |(step, span)| (stage, step, span))
        })
    }

    /// Puts a plugin's step onto its edge.
    pub(crate) fn place(&mut self, report: &Report, placing: &Placing) {
        let At { value: (from, to), span } = &placing.edge;
        let names: Vec<String> = self
            .stages
            .iter()
            .filter(|stage| stage.stage.edge.is_some())
            .map(|stage| stage.stage.name.to_string())
            .collect();
        let Some(at) = self.stages.iter().position(|stage| stage.stage.name == *from && stage.stage.edge.is_some())
        else {
            // Where a stage was left out the plugin's edge may be sound.
            if !self.has_nameless && !self.gaps_of(from).is_some_and(|gaps| gaps.end) {
                let problem = Problem::at(span.clone(), format!("no edge leaves {}", quoted(from.as_str())));
                report.add(problem.choices("edges leave", from.as_str(), names.iter().map(String::as_str)));
            }
            self.is_whole = false;
            return;
        };
        let sketch = &mut self.stages[at];
        let gaps = sketch.gaps;
        let Some(edge) = &mut sketch.stage.edge else { return };
        if let Some(to) = to
            && edge.to != *to
            && edge.bug_to.as_ref() != Some(to)
            && !gaps.to
        {
            let problem =
                Problem::at(span.clone(), format!("the edge of `{from}` leads to `{}`, not to `{to}`", edge.to));
            report.add(problem.help(format!("write edge = \"{from}:{}\"", edge.to)));
        }
        let before = match &placing.before {
            None => edge.steps.iter().position(|step| !matches!(step.kind, StepKind::Gate { .. })),
            Some(before) => {
                let found = edge.steps.iter().position(|step| step.name == before.value);
                if found.is_none() && !gaps.steps {
                    let problem = Problem::at(
                        before.span.clone(),
                        format!("the edge of `{from}` has no step {}", quoted(before.value.as_str())),
                    );
                    report.add(problem.choices(
                        "its steps are",
                        before.value.as_str(),
                        edge.steps.iter().map(|step| step.name.as_str()),
                    ));
                }
                found
            }
        };
        let before = before.unwrap_or(edge.steps.len());
        edge.steps.insert(before, placing.step.clone());
        sketch.spans.steps.insert(before, placing.span.clone());
    }

    /// Some of its steps could not be read.
    pub(crate) fn lacks_steps(&self) -> bool {
        self.has_nameless || self.stages.iter().any(|stage| stage.gaps.steps || stage.gaps.end)
    }

    fn gaps_of(&self, stage: &StageName) -> Option<Gaps> {
        self.find(stage).map(|found| found.gaps)
    }

    /// A flaw that stays one however what could not be read is mended.
    fn is_sure(&self, flaw: &PipelineFlaw) -> bool {
        match flaw {
            _ if self.is_whole => true,
            PipelineFlaw::StageTwice(_) | PipelineFlaw::StepTwice { .. } => true,
            PipelineFlaw::UnknownStage { .. } => !self.has_nameless,
            PipelineFlaw::UnknownStep { stage, .. } => self.gaps_of(stage).is_some_and(|gaps| !gaps.steps && !gaps.end),
            PipelineFlaw::NoTerminal => !self.has_nameless && !self.stages.iter().any(|stage| stage.gaps.end),
            PipelineFlaw::Unproven(stage) => self.gaps_of(stage).is_some_and(|gaps| !gaps.steps),
            PipelineFlaw::Empty
            | PipelineFlaw::NoEdge(_)
            | PipelineFlaw::TerminalWithEdge(_)
            | PipelineFlaw::Unreachable(_)
            | PipelineFlaw::Cycle(_)
            | PipelineFlaw::FailsForwards { .. }
            | PipelineFlaw::MovesOnForwards { .. }
            | PipelineFlaw::Unfenced { .. }
            | PipelineFlaw::Exposed { .. } => false,
        }
    }

    /// The pipeline, unless it has a flaw. Of one that could not be read as a whole, the flaws that it has all the same are told.
    pub(crate) fn check(&self, report: &Report) -> Option<Pipeline> {
        let stages = self.stages.iter().map(|stage| stage.stage.clone()).collect();
        match Pipeline::new(PipelineDraft { name: self.name.clone(), stages }) {
            Ok(pipeline) => self.is_whole.then_some(pipeline),
            Err(flaws) => {
                let flaws: Vec<_> = flaws.into_iter().filter(|flaw| self.is_sure(flaw)).collect();
                // With two stages of one name nobody knows which of them the other words mean.
                let doubled = flaws.iter().any(|flaw| matches!(flaw, PipelineFlaw::StageTwice(_)));
                for flaw in flaws.iter().filter(|flaw| !doubled || matches!(flaw, PipelineFlaw::StageTwice(_))) {
                    report.add(self.problem(flaw));
                }
                None
            }
        }
    }

    fn problem(&self, flaw: &PipelineFlaw) -> Problem {
        let message = match flaw {
            // The list of stages stands in the help.
            PipelineFlaw::UnknownStage { from, to, .. } => {
                format!("the edge of `{from}` names the stage `{to}`, which is not there")
            }
            other => other.to_string(),
        };
        let at = |span: Option<Range<usize>>| match span.or_else(|| self.preset.clone()) {
            Some(span) => Problem::at(span, message.clone()),
            None => Problem::of_file(message.clone()),
        };
        let name_of = |stage: &StageName| self.find(stage).map(|found| found.spans.name.clone());
        match flaw {
            PipelineFlaw::Empty => at(None).help("add a [[stage]]"),
            PipelineFlaw::NoTerminal => at(None).help(
                "add [[stage]] name = \"done\", terminal = \"done\" and another one with terminal = \"cancelled\"",
            ),
            PipelineFlaw::StageTwice(stage) => {
                at(self.stages.iter().rfind(|found| found.stage.name == *stage).map(|found| found.spans.name.clone()))
                    .label("the second one")
            }
            PipelineFlaw::StepTwice { stage, step } => {
                let steps =
                    self.steps().filter(|(owner, candidate, _)| owner.stage.name == *stage && candidate.name == *step);
                at(steps.last().map(|(_, _, span)| span.clone()))
                    .label("the second one")
                    .help("give one of them another name")
            }
            PipelineFlaw::UnknownStage { from, to, .. } => {
                let known = self.stages.iter().map(|stage| stage.stage.name.as_str());
                at(self.span_that_names(from, to)).choices("the stages are", to.as_str(), known)
            }
            PipelineFlaw::UnknownStep { from, stage, step } => {
                let edge = self.find(stage).and_then(|found| found.stage.edge.as_ref());
                let known = edge.iter().flat_map(|edge| &edge.steps).map(|step| step.name.as_str());
                let span = self.find(from).map(|found| found.spans.on_moved_base.clone());
                at(span).choices("its steps are", step.as_str(), known)
            }
            PipelineFlaw::NoEdge(stage) => {
                at(name_of(stage)).help("name the next stage with `to`, or make it a `terminal`")
            }
            PipelineFlaw::TerminalWithEdge(stage) => at(name_of(stage)),
            PipelineFlaw::Unreachable(stage) => {
                at(name_of(stage)).help("name it as the `to` of a stage before it, or remove it")
            }
            PipelineFlaw::Cycle(stage) => {
                let leads = |found: &&StageSketch| found.stage.edge.as_ref().is_some_and(|edge| edge.to == *stage);
                at(self.stages.iter().rfind(leads).map(|found| found.spans.to.clone()))
            }
            PipelineFlaw::FailsForwards { from, .. } => at(self.find(from).map(|found| found.spans.on_fail.clone()))
                .help(format!("name `{from}` itself or a stage before it, as a rule the developer's")),
            PipelineFlaw::MovesOnForwards { from, .. } => {
                at(self.find(from).map(|found| found.spans.on_moved_base.clone()))
                    .help("name the `rebase` after which the branch was tested, e.g. \"deploy-staging:rebase\"")
            }
            PipelineFlaw::Unproven(stage) => at(self.span_of_step(stage, "merge").or_else(|| name_of(stage)))
                .help("put \"prove-merged\" after \"merge\""),
            PipelineFlaw::Unfenced { stage, step } => {
                at(self.span_of_step(stage, step.as_str()).or_else(|| name_of(stage)))
                    .help("write \"[lease merge] rebase\" where the task must begin to be the only one")
            }
            PipelineFlaw::Exposed { stage, step } => {
                at(self.span_of_step(stage, step.as_str()).or_else(|| name_of(stage)))
                    .help("put it before \"deploy\", or after \"prove-merged\"")
            }
        }
    }

    fn find(&self, stage: &StageName) -> Option<&StageSketch> {
        self.stages.iter().find(|found| found.stage.name == *stage)
    }

    fn span_of_step(&self, stage: &StageName, step: &str) -> Option<Range<usize>> {
        self.steps()
            .find(|(owner, candidate, _)| owner.stage.name == *stage && candidate.name.as_str() == step)
            .map(|(_, _, span)| span.clone())
    }

    /// Where a stage's edge names another stage.
    fn span_that_names(&self, from: &StageName, to: &StageName) -> Option<Range<usize>> {
        let found = self.find(from)?;
        let edge = found.stage.edge.as_ref()?;
        let spans = &found.spans;
        let span = if edge.to == *to {
            &spans.to
        } else if edge.on_fail == *to {
            &spans.on_fail
        } else if edge.bug_to.as_ref() == Some(to) {
            &spans.bug_to
        } else {
            &spans.on_moved_base
        };
        Some(span.clone())
    }

    /// The roles that work in it, each where it is first named.
    pub(crate) fn roles(&self) -> BTreeMap<domain::document::Role, (StageName, Range<usize>)> {
        let mut roles = BTreeMap::new();
        for sketch in &self.stages {
            if let StageKind::Work { role } = sketch.stage.kind {
                roles.entry(role).or_insert_with(|| (sketch.stage.name.clone(), sketch.spans.kind.clone()));
            }
        }
        roles
    }
}
