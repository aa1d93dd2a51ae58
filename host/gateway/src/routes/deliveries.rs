//! What trackers and forges told, and what it was good for.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use conductor::ports::inbox::{DeliveryFilter, DeliveryRow, WholeDelivery};
use domain::ids::{DeliveryId, ProjectName};
use serde::Deserialize;
use webhooks::Source;

use crate::api::{DeliveryView, Listing, RefusedDeliveries, RefusedFrom};
use crate::app::App;
use crate::body::{Parameters, Segments};
use crate::find;
use crate::misfits::Misfit;
use crate::problem::Problem;
use crate::routes::{Answer, Limit, listing};
use crate::said::both;
use crate::tongue::Tongue;
use crate::visitor::Operator;

/// Who tells.
pub(crate) const SOURCES: [&str; 3] = ["board", "plane", "gitea"];
/// How a delivery stands.
pub(crate) const STATES: [&str; 3] = ["pending", "expanded", "parked"];

/// Which deliveries. The page for people takes the same.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    pub(crate) source: Option<String>,
    pub(crate) project: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) before: Option<String>,
    pub(crate) limit: Option<u32>,
}

impl Which {
    /// Forms send what nobody filled in too.
    pub(crate) fn filter(&self) -> Result<DeliveryFilter, Problem> {
        let some = |text: &'_ Option<String>| text.clone().filter(|text| !text.is_empty());
        let project: Option<ProjectName> = some(&self.project).map(|name| find::parse(&name)).transpose()?;
        let before: Option<DeliveryId> = some(&self.before).map(|id| find::parse(&id)).transpose()?;
        Ok(DeliveryFilter {
            source: some(&self.source).map(|word| one_of("source", word, SOURCES)).transpose()?,
            project,
            state: some(&self.state).map(|word| one_of("state", word, STATES)).transpose()?,
            before,
        })
    }
}

fn one_of(name: &str, word: String, choices: [&str; 3]) -> Result<String, Problem> {
    if choices.contains(&word.as_str()) {
        return Ok(word);
    }
    let choices = choices.join(", ");
    Err(Problem::invalid(both!("`{name}` is one of: {choices}", "`{name}` — одно из: {choices}")))
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

/// Those that left no row, for anybody may send them.
pub(crate) async fn refused(State(app): State<App>) -> Answer<Listing<RefusedDeliveries>> {
    let told = |misfit: Misfit| RefusedDeliveries {
        advice: misfit.advice(Tongue::English),
        source: misfit.source.to_owned(),
        flaw: misfit.flaw,
        projects: misfit.projects,
        count: misfit.count,
        first_at: misfit.first,
        last_at: misfit.last,
        addresses: misfit
            .addresses
            .iter()
            .map(|(address, count)| RefusedFrom { address: *address, count: *count, fitted_before: misfit.is_proven })
            .collect(),
        others: misfit.others,
    };
    let items = app.ask(move |state| Ok(state.meters.misfits.all().into_iter().map(told).collect())).await?;
    Ok(Json(Listing { items, more: false }))
}

pub(crate) async fn retry(
    State(app): State<App>,
    Operator(actor): Operator,
    Segments(id): Segments<String>,
) -> Answer<DeliveryView> {
    let id: DeliveryId = find::parse(&id)?;
    let retried = app.write(move |state| {
        state.store.retry_delivery(id, &actor, state.now())?;
        Ok(view(state.store.delivery(id)?))
    });
    retried.await.map(Json)
}

/// What it says is decoded anew: it shows what this host makes of it.
pub(crate) fn view(whole: WholeDelivery) -> DeliveryView {
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
