//! What would have been done for observed projects.

use axum::Json;
use axum::extract::State;
use conductor::ports::store::WouldRow;
use domain::time::Timestamp;
use serde::Deserialize;

use crate::api::Listing;
use crate::app::App;
use crate::body::Parameters;
use crate::find;
use crate::problem::Problem;
use crate::routes::{Answer, MOST_ROWS, ROWS, listing};
use crate::said::Said;

/// Which of them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    project: Option<String>,
    /// No older than this, in milliseconds since the epoch.
    #[serde(default)]
    since: u64,
    /// After the row with this id: how a long list is read on.
    #[serde(default)]
    after: u64,
    limit: Option<u32>,
}

/// Oldest first.
pub(crate) async fn list(State(app): State<App>, Parameters(wanted): Parameters<Wanted>) -> Answer<Listing<WouldRow>> {
    let rows = match wanted.limit.unwrap_or(ROWS) {
        rows @ 1..=MOST_ROWS => rows,
        other => {
            return Err(Problem::invalid(Said::to_programs(format!(
                "`limit` is {other}; it is a number from 1 to {MOST_ROWS}"
            ))));
        }
    };
    let answer = app.ask(move |state| {
        let project = match &wanted.project {
            Some(name) => Some(find::project(&*state.store, name)?.name),
            None => None,
        };
        let found = state.store.woulds(project.as_ref(), Timestamp(wanted.since), wanted.after, rows + 1)?;
        Ok(listing(found, rows))
    });
    answer.await.map(Json)
}
