//! `gatewright plugin add`: a plugin's entry in a project's file, and nothing else of it changed.

use std::fmt;

use domain::ids::{Digest, PluginId, StageName, StepName};
use domain::pipeline::StepKind;
use domain::plugin::{Amendable, Capability, PluginKind};
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, Value, value};

use crate::diagnostic::{Diagnostic, Report, render};
use crate::keys;
use crate::load;
use crate::near::nearest;
use crate::pipeline::{self, Sketch};
use crate::reader::Section;

/// What shall be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginAddition {
    /// Its name in this project. One that is there already is replaced: its bytes, its grants, and its place if a new one is
    /// given.
    pub id: PluginId,
    /// What it is and where it stands.
    pub place: PluginPlace,
    /// Where its bytes are; relative to the state folder, or absolute.
    pub file: String,
    /// What they must hash to.
    pub sha256: Digest,
    /// What the operator granted.
    pub grants: Vec<Capability>,
    /// What it asked for and was refused.
    pub refused: Vec<Capability>,
    /// A gate's settings as an inline table of TOML: `{ required = ["build"] }`. None: what the file has, or none.
    pub settings: Option<String>,
}

/// What a plugin is and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PluginPlace {
    /// A gate on an edge; none: its place stays as the file has it.
    Gate(Option<Anchor>),
    /// A guard over these kinds of effects.
    Guard {
        /// `set-status`, …
        kinds: Vec<String>,
        /// What it may amend.
        amend: Vec<Amendable>,
    },
    /// Told of every notice.
    Notifier,
    /// In place of the host's own mapper.
    StatusMapper,
}

/// A place on an edge: `--gate review:testing [--before STEP]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The stage that the edge leaves.
    pub from: StageName,
    /// Where it leads; none: as the pipeline says.
    pub to: Option<StageName>,
    /// The step's name; none: the plugin's.
    pub step: Option<StepName>,
    /// The step that it stands before; none: before the first consent or action, or last.
    pub before: Option<StepName>,
}

/// Why nothing was added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddError {
    /// The file must be sound first.
    #[error("the project's file must be mended first:\n{}", render(.0, false).trim_end())]
    Unsound(Vec<Diagnostic>),
    /// No edge leaves the stage.
    #[error("no edge leaves the stage `{stage}`{}; edges: {known}", meant(.near.as_deref()))]
    NoEdge {
        /// What was named.
        stage: StageName,
        /// What was probably meant.
        near: Option<String>,
        /// `review:testing, …`
        known: String,
    },
    /// The edge leads elsewhere.
    #[error("the edge of `{from}` leads to `{to}`, not to `{wanted}`; write {from}:{to}")]
    OtherEdge {
        /// The stage.
        from: StageName,
        /// Where it leads.
        to: StageName,
        /// What was named.
        wanted: StageName,
    },
    /// The step is not on the edge.
    #[error("the edge of `{stage}` has no step `{step}`{}; its steps: {known}", meant(.near.as_deref()))]
    NoStep {
        /// The stage.
        stage: StageName,
        /// What was named.
        step: StepName,
        /// What was probably meant.
        near: Option<String>,
        /// Its steps.
        known: String,
    },
    /// The edge has such a step.
    #[error("the edge of `{stage}` has a step `{step}` already; name yours with --step")]
    StepTwice {
        /// The stage.
        stage: StageName,
        /// The name.
        step: StepName,
    },
    /// The settings are no inline table.
    #[error("the settings are no inline table of TOML: {why}; write e.g. {{ required = [\"build\"] }}")]
    Settings {
        /// What the reader says.
        why: String,
    },
    /// A gate must stand somewhere.
    #[error("a gate stands on an edge: name one with --gate STAGE:STAGE; edges: {known}")]
    Nowhere {
        /// `review:testing, …`
        known: String,
    },
    /// It is there as another kind.
    #[error(
        "the plugin `{id}` is there as a {there}, and this file is a {new}; remove the old entry first, or give this one another id"
    )]
    OtherKind {
        /// Which.
        id: PluginId,
        /// What it is in the file.
        there: String,
        /// What it would be.
        new: PluginKind,
    },
}

fn meant(near: Option<&str>) -> String {
    near.map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default()
}

impl PluginPlace {
    /// The kind that stands in such a place.
    pub const fn kind(&self) -> PluginKind {
        match self {
            Self::Gate(_) => PluginKind::Gate,
            Self::Guard { .. } => PluginKind::Guard,
            Self::Notifier => PluginKind::Notifier,
            Self::StatusMapper => PluginKind::StatusMapper,
        }
    }
}

/// The file's text with the plugin in it. Everything else, comments too, stays as it was.
pub fn add_plugin(text: &str, addition: &PluginAddition) -> Result<String, AddError> {
    let sketch = sketch(text, &addition.id)?;
    let mut document: DocumentMut =
        text.parse().map_err(|error: toml_edit::TomlError| unsound(text, error.message()))?;
    let there = entry_of(&document, &addition.id);
    if let Some(table) = there.and_then(|at| entries(&document)?.get(at)) {
        let kind = table.get("kind").and_then(Item::as_str).unwrap_or(PluginKind::Gate.as_str());
        if kind != addition.place.kind().as_str() {
            let (id, new) = (addition.id.clone(), addition.place.kind());
            return Err(AddError::OtherKind { id, there: kind.to_owned(), new });
        }
    }
    let edge = match &addition.place {
        PluginPlace::Gate(Some(anchor)) => Some(edge(&sketch, anchor, &addition.id)?),
        PluginPlace::Gate(None) if there.is_none() => return Err(AddError::Nowhere { known: known_edges(&sketch) }),
        _ => None,
    };
    let step = edge.as_ref().map(|edge| edge.step.to_string());
    write_entry(&mut document, addition, there, edge);
    if let (Some(step), Some(settings)) = (step, &addition.settings) {
        write_settings(&mut document, &step, settings)?;
    }
    if there.is_none() {
        document.set_trailing("");
        write_binding(&mut document, addition);
    }
    Ok(document.to_string())
}

/// The pipeline without this plugin's own steps, so that it may be placed anew.
fn sketch(text: &str, id: &PluginId) -> Result<Sketch, AddError> {
    let report = Report::new("the project's file", text);
    let Some(table) = load::parse(&report) else { return Err(AddError::Unsound(report.finish())) };
    let file = Section::of_file(&report, &table, &keys::PROJECT);
    let drawn = pipeline::read(&file).map(|mut sketch| {
        let entries = crate::binding::placings(&file);
        for placing in entries.iter().filter(|placing| placing.step.kind != StepKind::Gate { plugin: id.clone() }) {
            sketch.place(&report, placing);
        }
        sketch
    });
    let diagnostics = report.finish();
    match drawn {
        Some(sketch) if diagnostics.is_empty() => Ok(sketch),
        _ => Err(AddError::Unsound(diagnostics)),
    }
}

fn unsound(text: &str, message: &str) -> AddError {
    let report = Report::new("the project's file", text);
    report.add(crate::diagnostic::Problem::of_file(message));
    AddError::Unsound(report.finish())
}

/// The resolved place of a step.
struct Edge {
    from: StageName,
    to: StageName,
    step: StepName,
    before: Option<StepName>,
}

fn known_edges(sketch: &Sketch) -> String {
    let edges = sketch
        .stages
        .iter()
        .filter_map(|stage| Some(format!("{}:{}", stage.stage.name, stage.stage.edge.as_ref()?.to)));
    edges.collect::<Vec<_>>().join(", ")
}

fn edge(sketch: &Sketch, anchor: &Anchor, id: &PluginId) -> Result<Edge, AddError> {
    let stage = sketch.stages.iter().find(|stage| stage.stage.name == anchor.from);
    let Some(edge) = stage.and_then(|stage| stage.stage.edge.as_ref()) else {
        let names: Vec<&str> = sketch
            .stages
            .iter()
            .filter(|stage| stage.stage.edge.is_some())
            .map(|stage| stage.stage.name.as_str())
            .collect();
        let near = nearest(anchor.from.as_str(), &names).map(str::to_owned);
        return Err(AddError::NoEdge { stage: anchor.from.clone(), near, known: known_edges(sketch) });
    };
    if let Some(wanted) = anchor.to.as_ref().filter(|to| edge.to != **to && edge.bug_to.as_ref() != Some(to)) {
        return Err(AddError::OtherEdge { from: anchor.from.clone(), to: edge.to.clone(), wanted: wanted.clone() });
    }
    let names: Vec<&str> = edge.steps.iter().map(|step| step.name.as_str()).collect();
    if let Some(before) = anchor.before.as_ref().filter(|before| !names.contains(&before.as_str())) {
        let near = nearest(before.as_str(), &names).map(str::to_owned);
        return Err(AddError::NoStep {
            stage: anchor.from.clone(),
            step: before.clone(),
            near,
            known: names.join(", "),
        });
    }
    let step = anchor.step.clone().or_else(|| StepName::new(id.as_str()).ok());
    let Some(step) = step.clone().filter(|step| !names.contains(&step.as_str())) else {
        let step = step.map_or_else(|| anchor.from.to_string(), |step| step.to_string());
        return Err(AddError::StepTwice {
            stage: anchor.from.clone(),
            step: StepName::new(step).map_err(|error| unsound("", &error.to_string()))?,
        });
    };
    Ok(Edge { from: anchor.from.clone(), to: edge.to.clone(), step, before: anchor.before.clone() })
}

fn entries(document: &DocumentMut) -> Option<&ArrayOfTables> {
    document.get("plugin")?.as_array_of_tables()
}

fn entry_of(document: &DocumentMut, id: &PluginId) -> Option<usize> {
    entries(document)?.iter().position(|table| table.get("id").and_then(Item::as_str) == Some(id.as_str()))
}

fn list<T: fmt::Display>(items: &[T]) -> Item {
    value(items.iter().map(T::to_string).collect::<Array>())
}

/// `[gates.STEP]`, with these settings in the place of what it had.
fn write_settings(document: &mut DocumentMut, step: &str, settings: &str) -> Result<(), AddError> {
    let wrong = |why: &str| AddError::Settings { why: why.to_owned() };
    let given: Value = settings.trim().parse().map_err(|error: toml_edit::TomlError| wrong(error.message()))?;
    if !given.is_inline_table() {
        return Err(wrong("it is another kind of value"));
    }
    let mut gates = Table::new();
    gates.set_implicit(true);
    let gates = document.entry("gates").or_insert(Item::Table(gates));
    let gates = gates.as_table_mut().ok_or_else(|| wrong("`gates` is no table in the file"))?;
    let gate = gates.entry(step).or_insert(Item::Table(Table::new()));
    let gate = gate.as_table_mut().ok_or_else(|| wrong("the gate's entry is no table in the file"))?;
    put(gate, "settings", Item::Value(given));
    Ok(())
}

/// The entry's table, new or the one that is there.
fn write_entry(document: &mut DocumentMut, addition: &PluginAddition, there: Option<usize>, edge: Option<Edge>) {
    let trailing = document.trailing().as_str().unwrap_or_default().to_owned();
    let list_of_entries = document.entry("plugin").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    let Some(list_of_entries) = list_of_entries.as_array_of_tables_mut() else { return };
    let at = there.unwrap_or_else(|| {
        let mut table = Table::new();
        // What stands at the file's end is said of what follows: it stays above the entry.
        table.decor_mut().set_prefix(if trailing.is_empty() { "\n" } else { trailing.as_str() });
        list_of_entries.push(table);
        list_of_entries.len() - 1
    });
    let Some(table) = list_of_entries.get_mut(at) else { return };
    put(table, "id", value(addition.id.as_str()));
    put(table, "kind", value(addition.place.kind().as_str()));
    put(table, "file", value(addition.file.as_str()));
    put(table, "sha256", value(addition.sha256.as_str()));
    if let Some(edge) = edge {
        put(table, "edge", value(format!("{}:{}", edge.from, edge.to)));
        put(table, "step", value(edge.step.as_str()));
        match edge.before {
            Some(before) => put(table, "before", value(before.as_str())),
            None => {
                table.remove("before");
            }
        }
    }
    if let PluginPlace::Guard { amend, .. } = &addition.place
        && !amend.is_empty()
    {
        let words: Vec<&str> =
            amend.iter().map(|amend| if *amend == Amendable::Phase { "phase" } else { "text" }).collect();
        put(table, "amend", list(&words));
    }
    put(table, "grants", list(&addition.grants));
    if addition.refused.is_empty() {
        table.remove("refused");
    } else {
        put(table, "refused", list(&addition.refused));
    }
}

/// Sets a key; what stood around the old value, a comment for one, stays.
fn put(table: &mut Table, key: &str, mut item: Item) {
    match table.get_mut(key) {
        Some(there) => {
            if let (Some(old), Some(new)) = (there.as_value(), item.as_value_mut()) {
                *new.decor_mut() = Value::decor(old).clone();
            }
            *there = item;
        }
        None => {
            table.insert(key, item);
        }
    }
}

/// Where a plugin that is no gate is asked.
fn write_binding(document: &mut DocumentMut, addition: &PluginAddition) {
    let mut table = Table::new();
    table.insert("plugin", value(addition.id.as_str()));
    let key = match &addition.place {
        PluginPlace::Gate(_) => return,
        PluginPlace::Guard { kinds, .. } => {
            table.insert("kinds", list(kinds));
            "guard"
        }
        PluginPlace::Notifier => "notifier",
        PluginPlace::StatusMapper => {
            // The old mapper's settings mean nothing to the new one.
            document.insert("status-mapper", Item::Table(table));
            return;
        }
    };
    let entry = document.entry(key).or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    if let Some(tables) = entry.as_array_of_tables_mut() {
        tables.push(table);
    }
}
