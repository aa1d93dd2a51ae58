//! What trackers and forges told, and what it was good for.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use conductor::ports::inbox::{DeliveryFilter, DeliveryRow, WholeDelivery};
use domain::ids::{DeliveryId, ProjectName};
use serde::Deserialize;
use webhooks::Source;

use crate::api::{DeliveryView, Listing};
use crate::app::App;
use crate::body::{Parameters, Segments};
use crate::find;
use crate::problem::Problem;
use crate::routes::{Answer, Limit, listing};

/// Which deliveries.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    source: Option<String>,
    project: Option<String>,
    state: Option<String>,
    before: Option<String>,
    limit: Option<u32>,
}

impl Which {
    fn filter(self) -> Result<DeliveryFilter, Problem> {
        let project: Option<ProjectName> = self.project.map(|name| find::parse(&name)).transpose()?;
        let before: Option<DeliveryId> = self.before.map(|id| find::parse(&id)).transpose()?;
        Ok(DeliveryFilter {
            source: self.source.map(|word| one_of("source", word, &["board", "plane", "gitea"])).transpose()?,
            project,
            state: self.state.map(|word| one_of("state", word, &["pending", "expanded", "parked"])).transpose()?,
            before,
        })
    }
}

fn one_of(name: &str, word: String, choices: &[&str]) -> Result<String, Problem> {
    if choices.contains(&word.as_str()) {
        return Ok(word);
    }
    Err(Problem::invalid(format!("`{name}` is one of: {}", choices.join(", "))))
}

pub(crate) async fn list(State(app): State<App>, Parameters(which): Parameters<Which>) -> Answer<Listing<DeliveryRow>> {
    let rows = Limit { limit: which.limit }.rows()?;
    let filter = which.filter()?;
    let found = app.ask(move |state| Ok(state.store.deliveries(&filter, rows + 1)?));
    Ok(Json(listing(found.await?, rows)))
}

pub(crate) async fn show(State(app): State<App>, Segments(id): Segments<String>) -> Answer<DeliveryView> {
    let id: DeliveryId = find::parse(&id)?;
    app.ask(move |state| Ok(view(state.store.delivery(id)?))).await.map(Json)
}

/// What it says is decoded anew: it shows what this host makes of it.
fn view(whole: WholeDelivery) -> DeliveryView {
    let source: Option<Source> = whole.row.source.parse().ok();
    let decoded = source.map(|source| webhooks::decode(source, &whole.headers, &whole.body));
    let (event, unreadable) = match decoded {
        Some(Ok(event)) => (serde_json::to_value(&event).ok(), None),
        Some(Err(error)) => (None, Some(error.to_string())),
        None => (serde_json::from_slice(&whole.body).ok(), None),
    };
    let headers = whole.headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    DeliveryView { row: whole.row, headers, event, unreadable }
}

/// Names and addresses of people stand in it. Hence the token, though it is a read; and nothing in it is shown as anything but text.
pub(crate) async fn body(State(app): State<App>, Segments(id): Segments<String>) -> Result<Response, Problem> {
    let id: DeliveryId = find::parse(&id)?;
    let bytes = app.ask(move |state| Ok(state.store.delivery(id)?.body));
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], bytes.await?).into_response())
}
