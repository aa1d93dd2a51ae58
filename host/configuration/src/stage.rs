//! `[[stage]]`: a pipeline as a file draws it, with the place of each of its words.

use std::ops::Range;
use std::str::FromStr;

use domain::document::Role;
use domain::ids::{LeaseName, PluginId, StageName, StepName};
use domain::pipeline::{Action, Consent, Edge, EdgeStep, OnPatience, Stage, StageKind, StepKind};
use domain::task::Terminality;
use domain::time::Milliseconds;

use crate::diagnostic::{Problem, Report, quoted};
use crate::keys;
use crate::reader::{At, Node, Section};

/// How long a gate may answer `wait` where the file does not say: a slow suite elsewhere should fit in.
const GATE_PATIENCE: Milliseconds = Milliseconds::from_seconds(60 * 60);
/// How long `merge` may wait for a forge that says "try again later" (B12).
const MERGE_PATIENCE: Milliseconds = Milliseconds::from_seconds(10 * 60);
/// Bounds of a patience in milliseconds.
pub(crate) const PATIENCE: std::ops::RangeInclusive<u64> = 1000..=30 * 86_400_000;
/// The lease that `[lease]` means.
const MERGE_LEASE: &str = "merge";
/// The rights that a task may hold.
const LEASES: [&str; 2] = ["merge", "deploy"];

/// A stage and where its words stand.
#[derive(Clone, Debug)]
pub(crate) struct StageSketch {
    pub(crate) stage: Stage,
    pub(crate) spans: StageSpans,
    pub(crate) gaps: Gaps,
}

/// What of a stage could not be read, so that something else fills its place: what follows from that alone is no finding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gaps {
    /// Whether it ends a task, and how.
    pub(crate) end: bool,
    /// Where its edge leads.
    pub(crate) to: bool,
    /// Some of its steps, or all.
    pub(crate) steps: bool,
}

/// Where the words of a stage stand.
#[derive(Clone, Debug)]
pub(crate) struct StageSpans {
    pub(crate) name: Range<usize>,
    pub(crate) kind: Range<usize>,
    pub(crate) to: Range<usize>,
    pub(crate) on_fail: Range<usize>,
    pub(crate) on_moved_base: Range<usize>,
    pub(crate) bug_to: Range<usize>,
    pub(crate) steps: Vec<Range<usize>>,
}

impl StageSpans {
    /// All at one place: a preset stands in the file as one word.
    pub(crate) fn moved_to(&mut self, span: &Range<usize>) {
        let steps = self.steps.len();
        *self = Self {
            name: span.clone(),
            kind: span.clone(),
            to: span.clone(),
            on_fail: span.clone(),
            on_moved_base: span.clone(),
            bug_to: span.clone(),
            steps: vec![span.clone(); steps],
        };
    }
}

/// Reads all stages, as far as they can be read. A stage without a name is left out.
pub(crate) fn read_all(sections: &[Section<'_>]) -> Vec<StageSketch> {
    sections.iter().filter_map(read).collect()
}

fn read(section: &Section<'_>) -> Option<StageSketch> {
    let name = section.need("name", "name = \"review\"").and_then(|node| node.parsed::<StageName>());
    let kind = kind(section);
    let is_end = section.get("terminal").is_some();
    let mut gaps = Gaps::default();
    let drawn = if is_end { no_edge(section) } else { edge(section, name.as_ref(), &mut gaps) };
    let name = name?;
    let kind = kind.unwrap_or_else(|| {
        gaps.end = is_end || (section.get("role").is_none() && section.get("passage").is_none());
        let value = if is_end { StageKind::Terminal { end: Terminality::Cancelled } } else { StageKind::Passage };
        At { value, span: name.span.clone() }
    });
    let span = |key: &str| section.get(key).map_or(name.span.clone(), |node| node.span);
    let (edge, steps) = drawn.unzip();
    let spans = StageSpans {
        kind: kind.span,
        to: span("to"),
        on_fail: span("on-fail"),
        on_moved_base: span("on-moved-base"),
        bug_to: span("bug-to"),
        steps: steps.unwrap_or_default(),
        name: name.span,
    };
    Some(StageSketch { stage: Stage { name: name.value, kind: kind.value, edge }, spans, gaps })
}

fn kind(section: &Section<'_>) -> Option<At<StageKind>> {
    let given: Vec<(&str, Node<'_>)> =
        ["role", "passage", "terminal"].into_iter().filter_map(|key| Some((key, section.get(key)?))).collect();
    let [(key, node)] = given.as_slice() else {
        let help = "role = \"developer\" (somebody works), passage = true (nobody does), or terminal = \"done\" | \"cancelled\"";
        let (span, message) = match given.get(1) {
            None => (section.span.clone(), "the stage does not say what happens in it".to_owned()),
            Some((key, node)) => {
                (node.span.clone(), format!("the stage has `{}` and `{key}`: one of them", given[0].0))
            }
        };
        section.report.add(Problem::at(span, message).help(help));
        return None;
    };
    let value = match *key {
        "role" => {
            let roles = Role::ALL.map(|role| (role.as_str(), role));
            StageKind::Work { role: node.word(&roles)? }
        }
        "passage" if node.flag()? => StageKind::Passage,
        "passage" => {
            let problem = Problem::at(node.span.clone(), "`passage = false` says nothing");
            section.report.add(problem.help("leave it out and name a `role`"));
            return None;
        }
        _ => {
            let ends = [("done", Terminality::Done), ("cancelled", Terminality::Cancelled)];
            StageKind::Terminal { end: node.word(&ends)? }
        }
    };
    Some(At { value, span: node.span.clone() })
}

fn no_edge(section: &Section<'_>) -> Option<(Edge, Vec<Range<usize>>)> {
    for key in ["to", "on-fail", "on-moved-base", "bug-to", "steps"] {
        if let Some(node) = section.get(key) {
            let problem = Problem::at(node.span, format!("a terminal stage has `{key}`; terminals have no way out"));
            section.report.add(problem.help("remove the key, or the `terminal`"));
        }
    }
    None
}

/// The edge. Where it does not say where it leads, it leads to its own stage: that names no stage which is not there. None: the stage
/// has no name either.
fn edge(section: &Section<'_>, own: Option<&At<StageName>>, gaps: &mut Gaps) -> Option<(Edge, Vec<Range<usize>>)> {
    let to = section.need("to", "to = \"testing\"").and_then(|node| node.parsed::<StageName>());
    let on_fail = section.need("on-fail", "on-fail = \"development\"").and_then(|node| node.parsed::<StageName>());
    let bug_to = section.get("bug-to").and_then(|node| node.parsed::<StageName>()).map(|at| at.value);
    let on_moved_base = section.get("on-moved-base").and_then(|node| stage_and_step(&node));
    let list = section.get("steps");
    let nodes = list.as_ref().and_then(Node::items);
    gaps.steps = list.is_some() != nodes.is_some();
    let nodes = nodes.unwrap_or_default();
    let (steps, spans): (Vec<_>, Vec<_>) =
        nodes.iter().filter_map(|node| Some((step(node)?, node.span.clone()))).unzip();
    gaps.steps |= steps.len() != nodes.len();
    gaps.to = to.is_none();
    let own = &own?.value;
    let named = |at: Option<At<StageName>>| at.map_or_else(|| own.clone(), |at| at.value);
    Some((Edge { to: named(to), steps, on_fail: named(on_fail), on_moved_base, bug_to }, spans))
}

fn stage_and_step(node: &Node<'_>) -> Option<(StageName, StepName)> {
    let text = node.text()?;
    let parts = text.value.split_once(':');
    let parsed = parts.and_then(|(stage, step)| Some((stage.parse().ok()?, step.parse().ok()?)));
    if parsed.is_none() {
        let message = format!("{} cannot be {}", node.what, quoted(&text.value));
        node.report.add(Problem::at(text.span, message).help("write STAGE:STEP, e.g. \"testing:rebase\""));
    }
    parsed
}

/// One step: a word, perhaps with a lease before it, or a table.
fn step(node: &Node<'_>) -> Option<EdgeStep> {
    if node.is_table() {
        return step_of_table(&node.table("a step", &keys::STEP)?);
    }
    let text = node.text()?;
    let (lease, word) = match text.value.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((lease, word)) => (Some(lease_of_words(node, lease)?), word.trim()),
        None => (None, text.value.trim()),
    };
    let name: StepName = parse_word(node.report, &text.span, "a step", word)?;
    let kind = kind_of(&name)?;
    Some(EdgeStep { patience: patience_of(&kind), name, kind, lease, on_patience: OnPatience::Hold, binding: None })
}

fn lease_of_words(node: &Node<'_>, words: &str) -> Option<LeaseName> {
    let name = match words.split_whitespace().collect::<Vec<_>>().as_slice() {
        ["lease"] => MERGE_LEASE.to_owned(),
        ["lease", name] => (*name).to_owned(),
        _ => {
            let problem = Problem::at(node.span.clone(), format!("{} is no lease", quoted(&format!("[{words}]"))));
            node.report.add(problem.help("write \"[lease merge] rebase\", or \"[lease] rebase\" for the same"));
            return None;
        }
    };
    lease(node.report, &node.span, &name)
}

fn lease(report: &Report, span: &Range<usize>, name: &str) -> Option<LeaseName> {
    if !LEASES.contains(&name) {
        let problem = Problem::at(span.clone(), format!("there is no lease {}", quoted(name)));
        report.add(problem.choices("the leases are", name, LEASES));
        return None;
    }
    LeaseName::new(name).ok()
}

fn parse_word<T: FromStr<Err: std::fmt::Display>>(
    report: &Report,
    span: &Range<usize>,
    what: &str,
    word: &str,
) -> Option<T> {
    match word.parse() {
        Ok(value) => Some(value),
        Err(error) => {
            let problem = Problem::at(span.clone(), format!("{what} cannot be {}", quoted(word))).of_value();
            report.add(problem.help(error.to_string()));
            None
        }
    }
}

/// What a word alone means: an action of the host, a person's consent, or a gate of that name.
fn kind_of(name: &StepName) -> Option<StepKind> {
    if let Some(action) = Action::ALL.into_iter().find(|action| action.as_str() == name.as_str()) {
        return Some(StepKind::Action { action });
    }
    let consent = |consent| Some(StepKind::Consent { consent, waived_by: Vec::new() });
    match name.as_str() {
        "approve" => consent(Consent::Approve),
        "confirm" => consent(Consent::Confirm),
        word => PluginId::new(word).ok().map(|plugin| StepKind::Gate { plugin }),
    }
}

/// How long such a step may wait where the file does not say.
pub(crate) fn patience_of(kind: &StepKind) -> Milliseconds {
    match kind {
        StepKind::Action { action: Action::Merge } => MERGE_PATIENCE,
        StepKind::Gate { .. } | StepKind::Action { .. } | StepKind::Consent { .. } => GATE_PATIENCE,
    }
}

/// What the end of patience means, from a key of a section.
pub(crate) fn on_patience(section: &Section<'_>) -> OnPatience {
    let choices = [("hold", OnPatience::Hold), ("fail", OnPatience::Fail)];
    section.get("on-patience").and_then(|node| node.word(&choices)).unwrap_or_default()
}

fn step_of_table(section: &Section<'_>) -> Option<EdgeStep> {
    let report = section.report;
    let given: Vec<(&str, Node<'_>)> =
        ["gate", "action", "consent"].into_iter().filter_map(|key| Some((key, section.get(key)?))).collect();
    let [(key, node)] = given.as_slice() else {
        let problem = Problem::at(section.span.clone(), "a step is one of `gate`, `action` and `consent`");
        report.add(problem.help("e.g. { gate = \"checks-green\", patience = \"30m\" }"));
        return None;
    };
    for (foreign, owner) in [("plugin", "gate"), ("waived-by", "consent"), ("patience", ""), ("on-patience", "")] {
        let wrong = if owner.is_empty() { *key == "consent" } else { *key != owner };
        if let Some(node) = section.get(foreign).filter(|_| wrong) {
            report.add(Problem::at(node.span, format!("`{foreign}` has no meaning for a step of the kind `{key}`")));
        }
    }
    let waived_by = section.texts("waived-by").into_iter().map(|at| at.value).collect();
    let (word, kind) = match *key {
        "action" => {
            let action = node.word(&Action::ALL.map(|action| (action.as_str(), action)))?;
            (action.as_str().to_owned(), StepKind::Action { action })
        }
        "consent" => {
            let consent = node.word(&[("approve", Consent::Approve), ("confirm", Consent::Confirm)])?;
            (node.text()?.value, StepKind::Consent { consent, waived_by })
        }
        _ => {
            let word = node.text()?;
            let plugin = section.get("plugin").unwrap_or_else(|| node.clone()).parsed::<PluginId>()?;
            (word.value, StepKind::Gate { plugin: plugin.value })
        }
    };
    let name = match section.get("name") {
        Some(name) => name.parsed::<StepName>()?.value,
        None => parse_word(report, &node.span, "a step", &word)?,
    };
    let lease = match section.text("lease") {
        Some(word) => Some(lease(report, &word.span, &word.value)?),
        None => None,
    };
    let patience = section.duration("patience", PATIENCE, patience_of(&kind));
    Some(EdgeStep { name, kind, lease, patience, on_patience: on_patience(section), binding: None })
}
