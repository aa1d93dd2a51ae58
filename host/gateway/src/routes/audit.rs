//! Who did what, and who wanted to.

use std::io;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use conductor::ports::access::{Access, AuditFilter, AuditRow};
use domain::time::Timestamp;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::api::AuditPage;
use crate::app::{App, GatewayState};
use crate::body::Parameters;
use crate::find;
use crate::problem::Problem;
use crate::routes::{Answer, Limit};
use crate::said::both;
use crate::worded;

/// Lines that are read at one time, where all of them are told.
const PAGE: u32 = 1000;
/// Such pages on their way to one reader.
const CHUNKS: usize = 2;

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

/// Which lines, where all of them are told.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    who: Option<String>,
    what: Option<String>,
    task: Option<String>,
    project: Option<String>,
    since: Option<u64>,
    until: Option<u64>,
}

impl From<Filter> for Which {
    fn from(filter: Filter) -> Self {
        let Filter { who, what, task, project, since, until } = filter;
        Self { who, what, task, project, since, until, before: None, limit: None }
    }
}

pub(crate) async fn list(State(app): State<App>, Parameters(which): Parameters<Which>) -> Answer<AuditPage> {
    app.settle().await;
    app.ask(move |state| read(state, &which)).await.map(Json)
}

/// All that fit, a line of JSON each, newest first. They are read as fast as they are taken.
pub(crate) async fn lines(State(app): State<App>, Parameters(which): Parameters<Filter>) -> Result<Response, Problem> {
    app.settle().await;
    let permit = Arc::clone(&app.downloads).try_acquire_owned().map_err(|_| {
        Problem::busy(both!(
            "too many are being fetched; ask again when one is through",
            "скачивается слишком много; спросите снова, когда что-то будет готово"
        ))
    })?;
    let which = Which::from(which);
    let filter = app.ask(move |state| filter(state, &which)).await?;
    let state = app.state.clone();
    let (sender, receiver) = mpsc::channel::<Result<Bytes, io::Error>>(CHUNKS);
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        tell(&*state.access, filter, &sender);
    });
    let headers = [
        (header::CONTENT_TYPE, "application/jsonl; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"audit.jsonl\""),
    ];
    Ok((headers, Body::from_stream(ReceiverStream::new(receiver))).into_response())
}

/// Until there are no more, or nobody reads on. What breaks meanwhile ends the answer short of its end, which its reader sees.
fn tell(access: &dyn Access, mut filter: AuditFilter, to: &mpsc::Sender<Result<Bytes, io::Error>>) {
    loop {
        let page = access.audit(&filter, PAGE).map_err(io::Error::other).and_then(|rows| {
            let mut text = Vec::new();
            for row in &rows {
                serde_json::to_writer(&mut text, row)?;
                text.push(b'\n');
            }
            Ok((rows.last().map(|row| row.id), text))
        });
        let (last, text) = match page {
            Ok((Some(last), text)) => (last, Ok(Bytes::from(text))),
            Ok((None, _)) => return,
            Err(error) => (0, Err(error)),
        };
        let broke = text.is_err();
        if to.blocking_send(text).is_err() || broke {
            return;
        }
        filter.before = Some(last);
    }
}

/// The lines that are asked for, newest first, and where to go on.
pub(crate) fn read(state: &GatewayState, which: &Which) -> Result<AuditPage, Problem> {
    let rows = Limit { limit: which.limit }.rows()?;
    let filter = filter(state, which)?;
    let mut items: Vec<AuditRow> = state.access.audit(&filter, rows + 1)?;
    let more = items.len() > rows as usize;
    items.truncate(rows as usize);
    let next = if more { items.last().map(|row| row.id) } else { None };
    Ok(AuditPage { items, next })
}

fn filter(state: &GatewayState, which: &Which) -> Result<AuditFilter, Problem> {
    let some = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    Ok(AuditFilter {
        who: some(&which.who),
        what: some(&which.what)
            .map(|what| what.parse().map_err(|error| Problem::invalid(worded::no_deed(&error))))
            .transpose()?,
        task: some(&which.task).map(|task| find::task(&*state.store, &task)).transpose()?.map(|task| task.id),
        project: some(&which.project)
            .map(|name| find::project(&*state.store, &name))
            .transpose()?
            .map(|found| found.name),
        since: which.since.map(Timestamp),
        until: which.until.map(Timestamp),
        before: which.before,
    })
}
