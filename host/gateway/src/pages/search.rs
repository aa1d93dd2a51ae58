//! Finding a ticket by its key, or by words of its title.

use askama::Template;
use domain::ids::WorkItemId;
use serde::Deserialize;

use super::frame::Frame;
use super::row::Row;
use crate::app::GatewayState;
use crate::problem::Problem;
use crate::show::line;
use crate::standing::Scene;
use crate::tongue::Tongue;

/// Tickets of one answer.
const SHOWN: u32 = 50;
const LONGEST: usize = 200;

#[derive(Template)]
#[template(path = "search.html")]
pub(crate) struct SearchPage {
    pub(crate) frame: Frame,
    pub(crate) hits: Hits,
}

/// What is looked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    #[serde(default)]
    q: String,
}

/// What was found.
pub(crate) struct Hits {
    q: String,
    rows: Vec<Row>,
    more: bool,
    /// The text is a ticket's key: its page.
    pub(crate) only: Option<String>,
}

pub(crate) fn read(state: &GatewayState, t: Tongue, wanted: Wanted) -> Result<Hits, Problem> {
    let (q, now) = (line(&wanted.q, LONGEST), state.now());
    if q.is_empty() {
        return Ok(Hits { q, rows: Vec::new(), more: false, only: None });
    }
    if let Ok(key) = q.to_uppercase().parse::<WorkItemId>() {
        for project in &state.store.projects()? {
            if state.store.task_of(&project.name, &key)?.is_some() || state.store.item(&project.name, &key)?.is_some() {
                return Ok(Hits { only: Some(format!("/t/{key}")), q, rows: Vec::new(), more: false });
            }
        }
    }
    let tasks = state.store.tasks_named(&q, SHOWN + 1)?;
    let cards = state.store.cards_named(&q, SHOWN + 1)?;
    let scene = Scene::among(state, t, &tasks)?;
    let mut rows: Vec<Row> = tasks.iter().map(|task| Row::of(&scene, task, now)).collect();
    rows.extend(cards.iter().map(|card| Row::unstarted(t, card, now)));
    let more = rows.len() > SHOWN as usize;
    rows.truncate(SHOWN as usize);
    Ok(Hits { q, rows, more, only: None })
}
