//! What a project's file says of plugins: `[[plugin]]`, `[gates.NAME]`, `[[guard]]`, `[[notifier]]`, `[status-mapper]`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use conductor::project::GuardBinding;
use domain::ids::{Digest, PluginId, StageName, StepName};
use domain::pipeline::{EdgeStep, StepKind};
use domain::plugin::{Amendable, Capability, Ceiling, Grant, PluginKind};
use domain::time::Milliseconds;
use serde_json::Value;

use crate::diagnostic::{Problem, quoted};
use crate::host;
use crate::keys;
use crate::paths::Paths;
use crate::reader::{At, Node, Section};
use crate::stage;

/// How long a guard may delay an effect where the file does not say.
const GUARD_PATIENCE: Milliseconds = Milliseconds::from_seconds(600);

/// Effects that a guard may be asked about, as its interface names them.
const EFFECTS: [&str; 13] = [
    "set-status",
    "set-estimate",
    "set-labels",
    "post-comment",
    "launch-agent",
    "run-command",
    "push-branch",
    "delete-branch",
    "open-pull-request",
    "merge",
    "deploy",
    "roll-back",
    "notify",
];

/// Kinds that a file may add. An estimator is not among them: nothing in this host asks one.
const KINDS: [PluginKind; 4] = [PluginKind::Gate, PluginKind::Guard, PluginKind::Notifier, PluginKind::StatusMapper];

/// A component that the operator added to a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginBinding {
    /// Its name in this project.
    pub id: PluginId,
    /// What it is, as the operator accepted it.
    pub kind: PluginKind,
    /// Where its bytes are.
    pub file: PathBuf,
    /// What they must hash to.
    pub sha256: Digest,
    /// What it may do.
    pub grant: Grant,
    /// The step that its entry puts onto an edge; none: it is named elsewhere in the file.
    pub gate: Option<GatePlace>,
}

/// Where a gate stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatePlace {
    /// The stage whose edge it stands on.
    pub stage: StageName,
    /// The step's name.
    pub step: StepName,
}

/// A step that shall be put onto an edge.
#[derive(Clone, Debug)]
pub(crate) struct Placing {
    /// The stage, and where its edge leads as the file believes.
    pub(crate) edge: At<(StageName, Option<StageName>)>,
    pub(crate) before: Option<At<StepName>>,
    pub(crate) step: EdgeStep,
    pub(crate) span: Range<usize>,
}

/// An entry of `[[plugin]]`, as far as it could be read: what is sound in a flawed one is checked all the same.
pub(crate) struct PluginEntry {
    pub(crate) id: Option<At<PluginId>>,
    pub(crate) kind: Option<PluginKind>,
    pub(crate) grants: Vec<At<Capability>>,
    pub(crate) placing: Option<Placing>,
    pub(crate) binding: Option<PluginBinding>,
}

/// All plugins that a project may name: their kinds.
pub(crate) type Kinds = BTreeMap<PluginId, PluginKind>;

/// Reads all `[[plugin]]` entries.
pub(crate) fn plugins(file: &Section<'_>, paths: &Paths, ceiling: Option<&Ceiling>) -> Vec<PluginEntry> {
    file.sections("plugin", &keys::PLUGIN).iter().map(|section| plugin(section, paths, ceiling)).collect()
}

/// Only where the entries put their steps: what an addition must know.
pub(crate) fn placings(file: &Section<'_>) -> Vec<Placing> {
    let sections = file.sections("plugin", &keys::PLUGIN);
    let placing_of = |section: &Section<'_>| {
        let id = section.get("id")?.parsed::<PluginId>()?;
        placing(section, Some(&id), kind_of(section))
    };
    sections.iter().filter_map(placing_of).collect()
}

fn kind_of(section: &Section<'_>) -> Option<PluginKind> {
    section.get("kind").map_or(Some(PluginKind::Gate), |node| node.word(&KINDS.map(|kind| (kind.as_str(), kind))))
}

fn plugin(section: &Section<'_>, paths: &Paths, ceiling: Option<&Ceiling>) -> PluginEntry {
    let report = section.report;
    let id = section.need("id", "id = \"no-todo\"").and_then(|node| node.parsed::<PluginId>());
    let kind = kind_of(section);
    let file = section.need_text("file", "file = \"plugins/no-todo.wasm\"").and_then(|text| {
        let path = paths.beneath(report, "`file` of [[plugin]]", &text)?;
        if path.is_file() {
            return Some(path);
        }
        let problem = Problem::at(text.span, format!("there is no file {}", quoted(&text.value))).of_value();
        report.add(problem.help("`gatewright plugin add FILE` copies a component and writes its entry"));
        None
    });
    let sha256 = section
        .need("sha256", "sha256 = \"…\" (`gatewright plugin add FILE` writes the whole entry)")
        .and_then(|node| node.parsed::<Digest>());
    let grants = granted(section, "grants");
    tell_what_is_over_the_ceiling(section, &grants, ceiling);
    let refused = granted(section, "refused").into_iter().map(|at| at.value).collect();
    let amend = amendable(section, kind);
    let placing = placing(section, id.as_ref(), kind);
    let gate = placing
        .as_ref()
        .map(|placing| GatePlace { stage: placing.edge.value.0.clone(), step: placing.step.name.clone() });
    let capabilities = grants.iter().map(|at| at.value.clone()).collect();
    let grant = Grant { capabilities, refused, amend };
    let binding = match (&id, kind, file, sha256) {
        (Some(id), Some(kind), Some(file), Some(sha256)) => {
            Some(PluginBinding { id: id.value.clone(), kind, file, sha256: sha256.value, grant, gate })
        }
        _ => None,
    };
    PluginEntry { id, kind, grants, placing, binding }
}

fn granted(section: &Section<'_>, key: &str) -> Vec<At<Capability>> {
    let items = section.get(key).and_then(|node| node.items()).unwrap_or_default();
    items.iter().filter_map(host::capability).collect()
}

fn tell_what_is_over_the_ceiling(section: &Section<'_>, grants: &[At<Capability>], ceiling: Option<&Ceiling>) {
    let Some(Ceiling::AtMost(most)) = ceiling else { return };
    for grant in grants {
        if !most.iter().any(|allowed| allowed.covers(&grant.value)) {
            let problem =
                Problem::at(grant.span.clone(), format!("the host's ceiling does not allow `{}`", grant.value));
            section.report.add(problem.help(format!(
                "add \"{}\" to `ceiling` of [plugins] in gatewright.toml, or take the grant away",
                grant.value
            )));
        }
    }
}

fn amendable(section: &Section<'_>, kind: Option<PluginKind>) -> Vec<Amendable> {
    let Some(node) = section.get("amend") else { return Vec::new() };
    if kind.is_some_and(|kind| kind != PluginKind::Guard) {
        section.report.add(Problem::at(node.span, "only a guard amends"));
        return Vec::new();
    }
    let words = [("phase", Amendable::Phase), ("text", Amendable::Text)];
    node.items().unwrap_or_default().iter().filter_map(|item| item.word(&words)).collect()
}

fn placing(section: &Section<'_>, id: Option<&At<PluginId>>, kind: Option<PluginKind>) -> Option<Placing> {
    let Some(edge) = section.get("edge") else {
        for key in ["step", "before", "patience", "on-patience"] {
            if let Some(node) = section.get(key) {
                let problem = Problem::at(node.span, format!("`{key}` says nothing without `edge`"));
                section.report.add(problem.help("add edge = \"review:testing\", or remove it"));
            }
        }
        return None;
    };
    if let Some(kind) = kind.filter(|kind| *kind != PluginKind::Gate) {
        let problem = Problem::at(edge.span, format!("a {kind} stands on no edge"));
        section.report.add(problem.help("only a gate judges on an edge"));
        return None;
    }
    let text = edge.text()?;
    let (from, to) = text.value.split_once(':').map_or((text.value.as_str(), None), |(from, to)| (from, Some(to)));
    let to = to.map(StageName::new).transpose();
    let (Ok(from), Ok(to)) = (StageName::new(from), to) else {
        let problem =
            Problem::at(text.span, format!("`edge` of [[plugin]] cannot be {}", quoted(&text.value))).of_value();
        section.report.add(problem.help("write STAGE:STAGE, e.g. \"review:testing\""));
        return None;
    };
    let step = match section.get("step") {
        Some(node) => node.parsed::<StepName>()?,
        None => At { value: StepName::new(id?.value.as_str()).ok()?, span: id?.span.clone() },
    };
    let kind = StepKind::Gate { plugin: id?.value.clone() };
    let step_of_edge = EdgeStep {
        name: step.value,
        lease: None,
        patience: section.duration("patience", stage::PATIENCE, stage::patience_of(&kind)),
        on_patience: stage::on_patience(section),
        kind,
        binding: None,
    };
    let before = section.get("before").and_then(|node| node.parsed::<StepName>());
    Some(Placing { edge: At { value: (from, to), span: text.span }, before, step: step_of_edge, span: step.span })
}

/// `[gates.NAME]`: the settings of each step, with the place of its name.
pub(crate) fn gate_settings(file: &Section<'_>) -> Vec<(At<StepName>, Value)> {
    let Some(gates) = file.get("gates").and_then(|node| node.free_table("[gates]")) else { return Vec::new() };
    let mut all = Vec::new();
    for (key, node) in gates.entries() {
        let section = node.table(&format!("[gates.{}]", quoted(&key.value).trim_matches('`')), &keys::GATE);
        match (StepName::new(key.value), section) {
            (Ok(name), Some(section)) => all.push((At { value: name, span: key.span }, section.settings("settings"))),
            (Err(error), _) => file.report.add(Problem::at(key.span, error.to_string())),
            (Ok(_), None) => {}
        }
    }
    all
}

/// A plugin that must be there and of this kind.
pub(crate) fn of_kind(node: &Node<'_>, kinds: &Kinds, wanted: PluginKind) -> Option<PluginId> {
    let id = node.parsed::<PluginId>()?;
    if kinds.get(&id.value) == Some(&wanted) {
        return Some(id.value);
    }
    node.report.add(not_of_kind(&id.value, id.span, kinds, wanted));
    None
}

/// What to say of a plugin that is not there or of another kind.
pub(crate) fn not_of_kind(id: &PluginId, span: Range<usize>, kinds: &Kinds, wanted: PluginKind) -> Problem {
    let message = match kinds.get(id) {
        Some(kind) => format!("`{id}` is a {kind}, and a {wanted} is wanted here"),
        None => format!("there is no plugin `{id}`"),
    };
    let fitting = kinds.iter().filter(|(_, kind)| **kind == wanted).map(|(id, _)| id.as_str());
    Problem::at(span, message)
        .choices(&format!("plugins of the kind {wanted}"), id.as_str(), fitting)
        .help("`gatewright plugin add FILE` adds one of yours")
}

/// `[[guard]]`.
pub(crate) fn guards(file: &Section<'_>, kinds: &Kinds) -> Vec<GuardBinding> {
    file.sections("guard", &keys::GUARD).iter().filter_map(|section| guard(section, kinds)).collect()
}

fn guard(section: &Section<'_>, kinds: &Kinds) -> Option<GuardBinding> {
    let plugin =
        section.need("plugin", "plugin = \"quiet-hours\"").and_then(|node| of_kind(&node, kinds, PluginKind::Guard));
    let effects = EFFECTS.map(|effect| (effect, effect));
    let kinds_node = section.need("kinds", "kinds = [\"set-status\", \"post-comment\"]");
    let items = kinds_node.as_ref().and_then(Node::items).unwrap_or_default();
    if let Some(node) = kinds_node.filter(|_| items.is_empty()) {
        section.report.add(Problem::at(node.span, "a guard without `kinds` is never asked").choices(
            "kinds of effects",
            "",
            EFFECTS,
        ));
    }
    let words = items.iter().filter_map(|item| item.word(&effects)).map(str::to_owned).collect();
    let on_error = section.get("on-error").and_then(|node| node.word(&[("hold", false), ("allow", true)]));
    Some(GuardBinding {
        plugin: plugin?,
        kinds: words,
        settings: section.settings("settings"),
        allow_on_error: on_error.unwrap_or(false),
        patience: section.duration("patience", stage::PATIENCE, GUARD_PATIENCE),
    })
}

/// `[[notifier]]`.
pub(crate) fn notifiers(file: &Section<'_>, kinds: &Kinds) -> Vec<(PluginId, Value)> {
    file.sections("notifier", &keys::NOTIFIER)
        .iter()
        .filter_map(|section| {
            let node = section.need("plugin", "plugin = \"chat-card\"")?;
            Some((of_kind(&node, kinds, PluginKind::Notifier)?, section.settings("settings")))
        })
        .collect()
}

/// `[status-mapper]`, or the one that the host brings.
pub(crate) fn status_mapper(file: &Section<'_>, kinds: &Kinds, own: &PluginId) -> (PluginId, Value) {
    let Some(section) = file.section("status-mapper", &keys::STATUS_MAPPER) else {
        return (own.clone(), Value::Object(serde_json::Map::new()));
    };
    let named = section.get("plugin").and_then(|node| of_kind(&node, kinds, PluginKind::StatusMapper));
    (named.unwrap_or_else(|| own.clone()), section.settings("settings"))
}
