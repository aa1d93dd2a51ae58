//! The table of routes, and the layers that all of them share.

use axum::extract::{DefaultBodyLimit, State};
use axum::routing::{MethodRouter, delete, get, post, put};
use axum::{Router, middleware};
use domain::event::Intent;
use tokio::sync::watch;

use crate::api::IntentNote;
use crate::app::{App, GatewayState};
use crate::body::{LARGEST_BODY, Optional, Segments};
use crate::door::{self, Operator};
use crate::pages;
use crate::problem::Problem;
use crate::routes::{
    blocks, checks, dependencies, evaluations, events, figures, intents, items, probes, projects, queue, runs, tasks,
    why,
};

/// The intents that a token may give, and the last word of their paths.
const INTENTS: [(&str, Intent); 7] = [
    ("/api/v1/tasks/{task}/approve", Intent::Approve),
    ("/api/v1/tasks/{task}/reject", Intent::Reject),
    ("/api/v1/tasks/{task}/confirm-deploy", Intent::ConfirmDeploy),
    ("/api/v1/tasks/{task}/stop", Intent::Stop),
    ("/api/v1/tasks/{task}/resume", Intent::Resume),
    ("/api/v1/tasks/{task}/waive", Intent::Waive),
    ("/api/v1/tasks/{task}/pause", Intent::Pause),
];

/// Every route by its path: the router is made of it, and the documentation is held against it.
fn table() -> Vec<(&'static str, MethodRouter<App>)> {
    let mut table = vec![
        ("/healthz", get(probes::live)),
        ("/readyz", get(probes::ready)),
        ("/health", get(probes::health)),
        ("/metrics", get(figures::prometheus)),
        ("/api/v1/metrics", get(figures::old)),
        ("/", get(pages::board)),
        ("/t/{item}", get(pages::ticket)),
        ("/fragment/board", get(pages::board_fragment)),
        ("/fragment/t/{item}", get(pages::ticket_fragment)),
        ("/static/{file}", get(pages::asset)),
        ("/queue", get(blocks::queue)),
        ("/status", get(queue::status)),
        ("/api/v1/projects", get(projects::list)),
        ("/api/v1/projects/{project}/freeze", get(projects::frozen).post(projects::freeze).delete(projects::thaw)),
        ("/api/v1/projects/{project}/items", get(items::list).post(items::create)),
        ("/api/v1/projects/{project}/items/{item}", get(items::show).merge(delete(items::remove))),
        ("/api/v1/projects/{project}/items/{item}/status", put(items::set_status).post(items::set_status)),
        ("/api/v1/projects/{project}/items/{item}/comments", get(items::comments).post(items::comment)),
        ("/api/v1/projects/{project}/items/{item}/activity", get(items::activity)),
        ("/api/v1/projects/{project}/commits/{commit}/checks", get(checks::list).post(checks::report)),
        ("/api/v1/tasks", get(tasks::list).post(tasks::create)),
        ("/api/v1/tasks/{task}", get(tasks::show)),
        ("/api/v1/tasks/{task}/entries", get(tasks::entries)),
        ("/api/v1/tasks/{task}/why", get(why::why)),
        ("/api/v1/tasks/{task}/rebuild", get(why::rebuild)),
        (
            "/api/v1/tasks/{task}/dependencies",
            get(dependencies::list).post(dependencies::add).delete(dependencies::remove),
        ),
        ("/api/v1/tasks/{task}/runs", get(tasks::runs)),
        ("/api/v1/tasks/{task}/documents", get(tasks::documents)),
        ("/api/v1/tasks/{task}/documents/{document}", get(tasks::document)),
        ("/api/v1/tasks/{task}/evaluations", get(tasks::evaluations)),
        ("/api/v1/queue", get(queue::jobs)),
        ("/api/v1/leases", get(queue::leases)),
        ("/api/v1/evaluations", get(evaluations::list)),
        ("/api/v1/evaluations/{evaluation}", get(evaluations::show)),
        ("/api/v1/evaluations/{evaluation}/transcript", get(evaluations::transcript)),
        ("/api/v1/blobs/{digest}", get(evaluations::blob)),
        ("/api/v1/runs/{run}", get(runs::show)),
        ("/api/v1/runs/{run}/log", get(runs::log)),
        ("/api/v1/events", get(events::stream)),
        ("/api/v1/system", get(probes::system)),
    ];
    table.extend(INTENTS.map(|(path, intent)| (path, give(intent))));
    table
}

/// The path of every route, as the documentation names it.
pub fn routes() -> Vec<&'static str> {
    table().into_iter().map(|(path, _)| path).collect()
}

fn give(intent: Intent) -> MethodRouter<App> {
    let handler = async move |State(app): State<App>,
                              Operator(actor): Operator,
                              Segments(task): Segments<String>,
                              Optional(body): Optional<IntentNote>| {
        intents::take(app, actor, intent, task, body).await
    };
    post(handler)
}

/// The whole listener as a service. `port` is the one that a `Host` header must name; streams end when `closing` turns true.
pub fn router(state: GatewayState, port: u16, closing: watch::Receiver<bool>) -> Router {
    let app = App::new(state, port, closing);
    let routes = table().into_iter().fold(Router::new(), |router, (path, methods)| router.route(path, methods));
    routes
        .route_layer(middleware::from_fn_with_state(app.clone(), figures::measure))
        .fallback(async || Problem::not_found("there is nothing at this path; docs/api.md lists what there is"))
        .method_not_allowed_fallback(async || Problem::method("this path takes other methods; `Allow` lists them"))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(middleware::from_fn_with_state(app.clone(), door::pass))
        .with_state(app)
}
