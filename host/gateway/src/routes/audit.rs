//! Who did what, and who wanted to.

use axum::Json;
use axum::extract::State;
use conductor::ports::access::{AuditFilter, AuditRow};
use domain::time::Timestamp;
use serde::Deserialize;

use crate::api::AuditPage;
use crate::app::{App, GatewayState};
use crate::body::Parameters;
use crate::find;
use crate::problem::Problem;
use crate::routes::{Answer, Limit};

/// Which lines. The page for people takes the same.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    pub(crate) who: Option<String>,
    pub(crate) what: Option<String>,
    pub(crate) task: Option<String>,
    pub(crate) project: Option<String>,
    pub(crate) since: Option<u64>,
    pub(crate) until: Option<u64>,
    pub(crate) before: Option<u64>,
    pub(crate) limit: Option<u32>,
}

pub(crate) async fn list(State(app): State<App>, Parameters(which): Parameters<Which>) -> Answer<AuditPage> {
    app.ask(move |state| read(state, which)).await.map(Json)
}

/// The lines that are asked for, newest first, and where to go on.
pub(crate) fn read(state: &GatewayState, which: Which) -> Result<AuditPage, Problem> {
    let rows = Limit { limit: which.limit }.rows()?;
    let some = |text: Option<String>| text.filter(|text| !text.is_empty());
    let filter = AuditFilter {
        who: some(which.who),
        what: some(which.what)
            .map(|what| what.parse().map_err(|error| Problem::invalid(format!("`what`: {error}"))))
            .transpose()?,
        task: some(which.task).map(|task| find::task(&*state.store, &task)).transpose()?.map(|task| task.id),
        project: some(which.project)
            .map(|name| find::project(&*state.store, &name))
            .transpose()?
            .map(|found| found.name),
        since: which.since.map(Timestamp),
        until: which.until.map(Timestamp),
        before: which.before,
    };
    let mut items: Vec<AuditRow> = state.access.audit(&filter, rows + 1)?;
    let more = items.len() > rows as usize;
    items.truncate(rows as usize);
    let next = if more { items.last().map(|row| row.id) } else { None };
    Ok(AuditPage { items, next })
}
