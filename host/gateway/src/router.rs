//! The table of routes, and the layers that all of them share.

use std::net::SocketAddr;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::Method;
use axum::{Router, middleware};
use conductor::ports::store::StoreError;
use domain::access::Right;
use domain::event::Intent;
use tokio::sync::watch;

use crate::api::IntentNote;
use crate::app::{App, GatewayState};
use crate::body::{LARGEST_BODY, Optional, Segments};
use crate::door;
use crate::openapi;
use crate::pages::{self, Reader, forms, login};
use crate::problem::Problem;
use crate::route::{Need, Row, at};
use crate::routes::{
    audit, blocks, change, checks, deliveries, dependencies, evaluations, events, figures, intents, items, many,
    observed, probes, projects, queue, runs, tasks, tokens, why,
};
use crate::said::both;
use crate::visitor::{Form, Operator, Visitor};

/// The intents that a token may give, their paths for programs and for the buttons of pages, and the right for it: what a step holds back, not
/// everybody who decides may wave through.
const INTENTS: [(&str, &str, Right, Intent); 7] = [
    ("/api/v1/tasks/{task}/approve", "/t/{item}/approve", Right::Operate, Intent::Approve),
    ("/api/v1/tasks/{task}/reject", "/t/{item}/reject", Right::Operate, Intent::Reject),
    ("/api/v1/tasks/{task}/confirm-deploy", "/t/{item}/confirm-deploy", Right::Operate, Intent::ConfirmDeploy),
    ("/api/v1/tasks/{task}/stop", "/t/{item}/stop", Right::Operate, Intent::Stop),
    ("/api/v1/tasks/{task}/resume", "/t/{item}/resume", Right::Operate, Intent::Resume),
    ("/api/v1/tasks/{task}/waive", "/t/{item}/waive", Right::Admin, Intent::Waive),
    ("/api/v1/tasks/{task}/pause", "/t/{item}/pause", Right::Operate, Intent::Pause),
];

const OPERATE: Need = Need::Token(Right::Operate);
const ADMIN: Need = Need::Token(Right::Admin);

/// Every route with what a visitor needs for it: the router is made of it, and the documentation is held against it.
fn table() -> Vec<Row> {
    let mut table = vec![
        at("/healthz").get(Need::Nothing, probes::live),
        at("/readyz").get(Need::Nothing, probes::ready),
        at("/health").get(Need::Nothing, probes::health),
        at("/metrics").get(Need::Look, figures::prometheus),
        at("/api/v1/metrics").get(Need::Look, figures::old),
        at("/api/v1/openapi.json").get(Need::Look, openapi::describe),
        at("/login").get(Need::Nothing, login::show).post(Need::Nothing, login::log_in),
        at("/logout").form(Right::Read, login::log_out),
        at("/").page(pages::now),
        at("/q").page(pages::queue),
        at("/t/{item}").page(pages::ticket),
        at("/r/{run}").page(pages::run),
        at("/r/{run}/raw").page(pages::raw),
        at("/p/{project}").page(pages::project),
        at("/p/{project}/freeze").form(Right::Operate, forms::freeze),
        at("/p/{project}/thaw").form(Right::Operate, forms::thaw),
        at("/p/{project}/new").form(Right::Operate, forms::create),
        at("/t/{item}/depend").form(Right::Operate, forms::depend),
        at("/t/{item}/undepend").form(Right::Operate, forms::undepend),
        at("/t/{item}/start").form(Right::Operate, forms::start),
        at("/t/{item}/comment").form(Right::Operate, forms::comment),
        at("/repositories").page(pages::repositories),
        at("/plugins").page(pages::plugins),
        at("/deliveries").page(pages::deliveries),
        at("/deliveries/{delivery}").page(pages::delivery),
        at("/audit").page(pages::audit),
        at("/system").page(pages::system),
        at("/system/tokens").form(Right::Admin, pages::tokens::make),
        at("/system/tokens/{name}/revoke").form(Right::Admin, pages::tokens::revoke),
        at("/find").page(pages::search),
        at("/language/{code}").get(Need::Nothing, pages::language),
        at("/static/{file}").get(Need::Nothing, pages::asset),
        at("/queue").get(Need::Look, blocks::queue),
        at("/status").get(Need::Look, queue::status),
        at("/api/v1/projects").get(Need::Look, projects::list),
        at("/api/v1/projects/{project}/freeze")
            .get(Need::Look, projects::frozen)
            .post(OPERATE, projects::freeze)
            .delete(OPERATE, projects::thaw),
        at("/api/v1/projects/{project}/items").get(Need::Look, items::list).post(OPERATE, items::create),
        at("/api/v1/projects/{project}/items/{item}").get(Need::Look, items::show).delete(OPERATE, items::remove),
        at("/api/v1/projects/{project}/items/{item}/status")
            .put(OPERATE, items::set_status)
            .post(OPERATE, items::set_status),
        at("/api/v1/projects/{project}/items/{item}/comments")
            .get(Need::Look, items::comments)
            .post(OPERATE, items::comment),
        at("/api/v1/projects/{project}/items/{item}/activity").get(Need::Look, items::activity),
        at("/api/v1/projects/{project}/commits/{commit}/checks")
            .get(Need::Look, checks::list)
            .post(OPERATE, checks::report),
    ];
    table.extend(of_tasks());
    table.extend(told());
    table.extend(of_many());
    table.extend(INTENTS.map(|(path, _, right, intent)| give(at(path), right, intent)));
    table.extend(INTENTS.map(|(_, path, right, intent)| button(at(path), right, intent)));
    table
}

/// Tasks, what came of them, and who wanted it.
fn of_tasks() -> Vec<Row> {
    vec![
        at("/api/v1/tasks").get(Need::Look, tasks::list).post(OPERATE, tasks::create),
        at("/api/v1/tasks/{task}").get(Need::Look, tasks::show),
        at("/api/v1/tasks/{task}/entries").get(Need::Look, tasks::entries),
        at("/api/v1/tasks/{task}/why").get(Need::Look, why::why),
        at("/api/v1/tasks/{task}/rebuild").get(Need::Look, why::rebuild),
        at("/api/v1/tasks/{task}/dependencies")
            .get(Need::Look, dependencies::list)
            .post(OPERATE, dependencies::add)
            .delete(OPERATE, dependencies::remove),
        at("/api/v1/tasks/{task}/change").get(Need::Look, change::show),
        at("/api/v1/tasks/{task}/runs").get(Need::Look, tasks::runs),
        at("/api/v1/tasks/{task}/documents").get(Need::Look, tasks::documents),
        at("/api/v1/tasks/{task}/documents/{document}").get(Need::Look, tasks::document),
        at("/api/v1/tasks/{task}/evaluations").get(Need::Look, tasks::evaluations),
        at("/api/v1/queue").get(Need::Look, queue::jobs),
        at("/api/v1/leases").get(Need::Look, queue::leases),
        at("/api/v1/evaluations").get(Need::Look, evaluations::list),
        at("/api/v1/evaluations/{evaluation}").get(Need::Look, evaluations::show),
        at("/api/v1/evaluations/{evaluation}/transcript").get(Need::Look, evaluations::transcript),
        at("/api/v1/blobs/{digest}").get(Need::Token(Right::Read), evaluations::blob),
        at("/api/v1/runs/{run}").get(Need::Look, runs::show),
        at("/api/v1/runs/{run}/log").get(Need::Look, runs::log),
        at("/api/v1/events").get(Need::Look, events::stream),
        at("/api/v1/audit").get(Need::Look, audit::list),
        at("/api/v1/audit.jsonl").get(Need::Look, audit::lines),
        at("/api/v1/tokens").get(ADMIN, tokens::list).post(ADMIN, tokens::make),
        at("/api/v1/tokens/{name}").delete(ADMIN, tokens::revoke),
        at("/api/v1/observed").get(Need::Look, observed::list),
        at("/api/v1/system").get(Need::Look, probes::system),
    ]
}

/// What trackers, forges and the board told.
fn told() -> [Row; 8] {
    [
        at("/api/v1/deliveries").get(Need::Look, deliveries::list),
        at("/api/v1/deliveries/refused").get(Need::Look, deliveries::refused),
        at("/api/v1/deliveries/{delivery}").get(Need::Look, deliveries::show),
        at("/api/v1/deliveries/{delivery}/body").get(Need::Token(Right::Read), deliveries::body),
        at("/api/v1/deliveries/{delivery}/retry").post(OPERATE, deliveries::retry),
        at("/api/v1/deliveries/retry").post(OPERATE, many::retry_parked),
        at("/deliveries/{delivery}/retry").form(Right::Operate, forms::retry_delivery),
        at("/deliveries/retry").form(Right::Operate, forms::retry_parked),
    ]
}

/// What is wanted of many tasks at once.
fn of_many() -> [Row; 9] {
    [
        at("/api/v1/all/stop").post(OPERATE, many::stop),
        at("/api/v1/all/pause").post(OPERATE, many::pause),
        at("/api/v1/all/resume").post(OPERATE, many::resume),
        at("/api/v1/all/retry").post(OPERATE, many::retry),
        at("/retry").form(Right::Operate, forms::retry),
        at("/resume-all").form(Right::Operate, forms::resume_all),
        at("/stop-all").form(Right::Operate, forms::stop_all),
        at("/pause-all").form(Right::Operate, forms::pause_all),
        at("/p/{project}/stop").form(Right::Operate, forms::stop_project),
    ]
}

/// The path of every route, as the documentation names it.
pub fn routes() -> Vec<&'static str> {
    table().into_iter().map(|row| row.path).collect()
}

/// What each method of each route needs.
pub fn needs() -> Vec<(&'static str, Vec<(Method, Need)>)> {
    table().into_iter().map(|row| (row.path, row.needs)).collect()
}

fn give(row: Row, right: Right, intent: Intent) -> Row {
    let handler = async move |State(app): State<App>,
                              Operator(actor): Operator,
                              Segments(task): Segments<String>,
                              Optional(body): Optional<IntentNote>| {
        intents::take(app, actor, intent, task, body).await
    };
    row.post(Need::Token(right), handler)
}

fn button(row: Row, right: Right, intent: Intent) -> Row {
    let handler = async move |State(app): State<App>,
                              reader: Reader,
                              Operator(actor): Operator,
                              Segments(item): Segments<String>,
                              Form(form): Form<forms::Given>| {
        forms::give(app, reader, actor, intent, item, form).await
    };
    row.form(right, handler)
}

/// The whole listener as a service. `address` is the listener's; streams end when `closing` turns true.
pub fn router(state: GatewayState, address: SocketAddr, closing: watch::Receiver<bool>) -> Result<Router, StoreError> {
    let app = App::new(state, address, closing)?;
    let routes = table().into_iter().map(|row| row.guarded(&app));
    let router = routes
        .fold(Router::new(), |router, (path, methods)| router.route(path, methods))
        .route_layer(middleware::from_fn_with_state(app.clone(), figures::measure))
        .fallback(async |visitor: Visitor, method: Method| {
            let problem = Problem::not_found(both!(
                "there is nothing at this path; docs/api.md lists what there is",
                "по этому пути ничего нет; что есть, перечисляет docs/api.md"
            ));
            door::unless_write(&visitor, &method, problem)
        })
        .method_not_allowed_fallback(async |visitor: Visitor, method: Method| {
            let said = both!(
                "this path takes other methods; `Allow` lists them",
                "этот путь принимает другие методы; какие — в `Allow`"
            );
            door::unless_write(&visitor, &method, Problem::method(said))
        })
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(middleware::from_fn_with_state(app.clone(), door::pass))
        .with_state(app);
    Ok(router)
}
