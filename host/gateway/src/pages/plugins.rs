//! The plugins: what each is, what it asks for and was given, how it answers and how long it takes.

use std::collections::BTreeMap;

use askama::Template;
use conductor::ports::store::AnswerRow;
use domain::ids::PluginId;
use domain::pipeline::StepKind;

use super::frame::Frame;
use crate::app::GatewayState;
use crate::desk::LoadedPlugin;
use crate::problem::Problem;
use crate::show::{Age, bytes, line, sentence};
use crate::tongue::{Part, Tongue, say};
use crate::{worded, words};

/// Answers that are looked at: the newest of all plugins.
const ANSWERS: u32 = 2000;

#[derive(Template)]
#[template(path = "plugins.html")]
pub(crate) struct PluginsPage {
    pub(crate) frame: Frame,
    pub(crate) plugins: Vec<Plugin>,
}

/// A plugin of a project.
pub(crate) struct Plugin {
    id: String,
    project: String,
    kind: String,
    digest: String,
    size: String,
    places: String,
    asks: Vec<Ask>,
    warnings: Vec<Vec<Part>>,
    figures: Option<Figures>,
}

/// One thing that it asks for.
struct Ask {
    what: String,
    reason: String,
    optional: bool,
    given: bool,
}

/// How it answered lately, in all projects.
struct Figures {
    asked: usize,
    mix: String,
    p95: String,
    broke: usize,
    last: Age,
}

pub(crate) fn read(state: &GatewayState, t: Tongue) -> Result<Vec<Plugin>, Problem> {
    let mut answers: BTreeMap<PluginId, Vec<AnswerRow>> = BTreeMap::new();
    for row in state.store.newest_answers(ANSWERS)? {
        answers.entry(row.plugin.clone()).or_default().push(row);
    }
    let projects = state.store.projects()?;
    let plugin = |loaded: LoadedPlugin| {
        let id = loaded.info.id.clone();
        let project = projects.iter().find(|project| project.name == loaded.project);
        let stages = project.map(|project| project.pipeline.stages()).unwrap_or_default();
        let places: Vec<String> = stages
            .iter()
            .filter_map(|stage| Some((stage, stage.edge.as_ref()?)))
            .flat_map(|(stage, edge)| edge.steps.iter().map(move |step| (stage, edge, step)))
            .filter(|(_, _, step)| matches!(&step.kind, StepKind::Gate { plugin } if Some(plugin) == id.as_ref()))
            .map(|(stage, edge, step)| {
                let (from, to) = (words::stage(t, stage.name.as_str()), words::stage(t, edge.to.as_str()));
                format!("{from} → {to}: {}", step.name)
            })
            .collect();
        let figures = id.as_ref().and_then(|id| figures(state, t, answers.get(id)?));
        shown(t, loaded, places.join(", "), figures)
    };
    Ok(state.desk.plugins().into_iter().map(plugin).collect())
}

fn shown(t: Tongue, loaded: LoadedPlugin, places: String, figures: Option<Figures>) -> Plugin {
    let LoadedPlugin { project, info, grant } = loaded;
    let ask = |entry: &domain::plugin::RequestEntry| Ask {
        what: line(&entry.capability.to_string(), 300),
        reason: line(&entry.reason, 300),
        optional: entry.optional,
        given: grant.capabilities.contains(&entry.capability),
    };
    let elsewhere = t.of("on no edge of the pipeline", "ни на одном переходе конвейера");
    Plugin {
        id: info.id.map_or_else(String::new, |id| id.to_string()),
        project: project.to_string(),
        kind: words::plugin(t, info.kind.as_str()).to_owned(),
        digest: info.digest.as_str()[..12].to_owned(),
        size: bytes(info.size),
        places: if places.is_empty() { elsewhere.to_owned() } else { places },
        asks: info.request.entries.iter().map(ask).collect(),
        warnings: info.warnings.iter().map(|warning| sentence(&worded::warning(t, warning), 300)).collect(),
        figures,
    }
}

/// None: it was not asked lately.
fn figures(state: &GatewayState, t: Tongue, rows: &[AnswerRow]) -> Option<Figures> {
    let mut mix: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows {
        *mix.entry(row.answer.as_str()).or_default() += 1;
    }
    let mut took: Vec<u64> = rows.iter().map(|row| row.micros).collect();
    took.sort_unstable();
    let p95 = took.get((took.len() * 95 / 100).min(took.len().checked_sub(1)?))?;
    let (whole, tenth) = (p95 / 1000, p95 % 1000 / 100);
    Some(Figures {
        asked: rows.len(),
        mix: line(
            &mix.iter()
                .map(|(answer, count)| format!("{} {count}", words::verdict(t, answer)))
                .collect::<Vec<_>>()
                .join(", "),
            300,
        ),
        p95: say!(t, "{whole}.{tenth} ms", "{whole},{tenth} мс"),
        broke: mix.get("infra").copied().unwrap_or_default(),
        last: Age::of(t, rows.first()?.at, state.now()),
    })
}
