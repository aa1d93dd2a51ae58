//! What only the whole file shows: a stage nobody works in, an action without its command, a step without its plugin.

use std::collections::BTreeMap;

use conductor::project::HookName;
use domain::ids::{PluginId, StepName};
use domain::pipeline::{Action, StepKind};
use domain::plugin::{Capability, PluginKind};
use serde_json::Value;

use crate::binding::{self, Kinds, PluginEntry};
use crate::diagnostic::{Problem, Report, quoted};
use crate::near::misspelt;
use crate::pipeline::Sketch;
use crate::reader::At;
use crate::worker::{Crew, hook_word};

/// Words that stand in a list of steps beside the names of gates.
const STEP_WORDS: [&str; 8] = ["rebase", "retest", "staging", "deploy", "merge", "prove-merged", "approve", "confirm"];

/// Every stage in which somebody works has a worker.
pub(crate) fn workers(report: &Report, sketch: &Sketch, crew: &Crew) {
    for (role, (stage, span)) in sketch.roles() {
        if !crew.named_roles.contains(&role) {
            let problem = Problem::at(span, format!("the stage `{stage}` needs [roles.{role}], which is not there"));
            report.add(problem.help(format!(
                "add [roles.{role}] with command = [\"claude\", \"-p\", \"Read {{brief}} and do what it says\"]"
            )));
        }
    }
}

/// Every action has the command that it runs, and every `exec` the one that it names.
pub(crate) fn hooks(report: &Report, sketch: &Sketch, crew: &Crew, plugins: &[PluginEntry]) {
    let mut told = Vec::new();
    for (_, step, span) in sketch.steps() {
        let hook = match step.kind {
            StepKind::Action { action: Action::Retest } => HookName::Test,
            StepKind::Action { action: Action::Staging } => HookName::Staging,
            StepKind::Action { action: Action::Deploy } => HookName::Deploy,
            _ => continue,
        };
        if crew.named_hooks.contains(&hook) || told.contains(&hook) {
            continue;
        }
        told.push(hook);
        let word = hook_word(hook);
        let problem =
            Problem::at(span.clone(), format!("the step `{}` runs [commands.{word}], which is not there", step.name));
        report.add(problem.help(format!("add [commands.{word}] with run = [\"PROGRAM\", \"ARGUMENT\"]")));
    }
    for grant in plugins.iter().flat_map(|entry| &entry.grants) {
        let Capability::Exec(name) = &grant.value else { continue };
        if !crew.named_hooks.iter().any(|hook| hook_word(*hook) == name) {
            let problem = Problem::at(grant.span.clone(), format!("`exec:{name}` names no command of this project"));
            report.add(problem.choices("its commands are", name, crew.named_hooks.iter().map(|hook| hook_word(*hook))));
        }
    }
}

/// A hook that ran writes down how it ended and passes: the gate after it judges. Without one a failed deploy would pass.
pub(crate) fn judged(report: &Report, sketch: &Sketch) {
    for (owner, step, span) in sketch.steps().filter(|(owner, ..)| !owner.gaps.steps) {
        let (StepKind::Action { action: action @ (Action::Staging | Action::Deploy) }, Some(edge)) =
            (&step.kind, &owner.stage.edge)
        else {
            continue;
        };
        let later = edge.steps.iter().skip_while(|other| other.name != step.name).skip(1);
        if !later.into_iter().any(|other| matches!(other.kind, StepKind::Gate { .. })) {
            let problem = Problem::at(
                span.clone(),
                format!("no gate after `{}` judges how it ended: a failed one would pass", step.name),
            );
            report.add(problem.help(format!("put \"{}-status\" after it", action.as_str())));
        }
    }
}

/// Every gate's plugin is there and is a gate.
pub(crate) fn gates(report: &Report, sketch: &Sketch, kinds: &Kinds) {
    for (_, step, span) in sketch.steps() {
        let StepKind::Gate { plugin } = &step.kind else { continue };
        if kinds.get(plugin) == Some(&PluginKind::Gate) {
            continue;
        }
        let mut problem = binding::not_of_kind(plugin, span.clone(), kinds, PluginKind::Gate);
        if let Some(word) = misspelt(plugin.as_str(), &STEP_WORDS).filter(|_| !kinds.contains_key(plugin)) {
            problem = problem.first_help(format!("did you mean the host's own step `{word}`?"));
        }
        report.add(problem);
    }
}

/// Two entries with one id, and an id that the host itself uses.
pub(crate) fn plugin_ids(report: &Report, plugins: &[PluginEntry], embedded: &Kinds) {
    let ids: Vec<&At<PluginId>> = plugins.iter().filter_map(|entry| entry.id.as_ref()).collect();
    for (at, At { value: id, span }) in ids.iter().enumerate() {
        if embedded.contains_key(id) {
            let problem = Problem::at(span.clone(), format!("`{id}` is a plugin that the host brings"));
            report.add(problem.help("give yours another `id`"));
        } else if ids[..at].iter().any(|other| other.value == *id) {
            report.add(Problem::at(span.clone(), format!("two plugins have the id `{id}`")).label("the second one"));
        }
    }
}

/// The settings of each gate: those of the preset, in their place those of the file.
pub(crate) fn settings(report: &Report, sketch: &Sketch, own: Vec<(At<StepName>, Value)>) -> BTreeMap<StepName, Value> {
    let mut all = sketch.settings.clone();
    let gates: Vec<&str> = sketch
        .steps()
        .filter(|(_, step, _)| matches!(step.kind, StepKind::Gate { .. }))
        .map(|(_, step, _)| step.name.as_str())
        .collect();
    for (name, value) in own {
        if gates.contains(&name.value.as_str()) {
            all.insert(name.value, value);
        } else if !sketch.lacks_steps() {
            let problem =
                Problem::at(name.span, format!("no gate of the pipeline is named {}", quoted(name.value.as_str())));
            report.add(problem.choices("its gates are", name.value.as_str(), gates.iter().copied()));
        }
    }
    all
}
