//! Runs and the ends of their logs.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use conductor::ports::store::RunRow;
use domain::ids::RunId;
use serde::Deserialize;

use crate::app::App;
use crate::body::{Parameters, Segments};
use crate::desk::with_live_usage;
use crate::find;
use crate::problem::Problem;
use crate::routes::Answer;
use crate::said::{Said, both};
use crate::show::Moment;

/// The end of a log in bytes where nobody asked for another number: about 500 lines.
const TAIL: u64 = 64 * 1024;
/// More would only stall the reader's terminal; the file itself lies on this machine.
const LONGEST_TAIL: u64 = 1 << 20;

pub(crate) async fn show(State(app): State<App>, Segments(run): Segments<String>) -> Answer<RunRow> {
    let run: RunId = find::parse(&run)?;
    app.ask(move |state| Ok(with_live_usage(&*state.desk, state.store.run(run)?))).await.map(Json)
}

/// How much of the log.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tail {
    tail: Option<u64>,
}

pub(crate) async fn log(
    State(app): State<App>,
    Segments(run): Segments<String>,
    Parameters(tail): Parameters<Tail>,
) -> Result<Response, Problem> {
    let run: RunId = find::parse(&run)?;
    let bytes = tail.tail.unwrap_or(TAIL);
    if bytes > LONGEST_TAIL {
        return Err(Problem::invalid(Said::to_programs(format!(
            "`tail` is {bytes}; it is a number of bytes up to {LONGEST_TAIL}"
        ))));
    }
    let log = app.ask(move |state| {
        let run = state.store.run(run)?.id;
        if let Some(at) = state.store.when_collected(run)? {
            let at = Moment::of(at).text;
            return Err(Problem::not_found(both!(
                "the log of run {run} was removed {at}",
                "журнал запуска {run} убран {at}"
            )));
        }
        Ok(state.desk.run_log_tail(run, bytes))
    });
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], log.await?).into_response())
}
