//! Is it alive, can it serve, and what can it rely on?

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use crate::api::{Health, System};
use crate::app::App;
use crate::problem::Problem;

/// A store that takes longer than this serves nobody.
const PATIENCE: Duration = Duration::from_secs(5);

/// As the system that came before answered.
pub(crate) async fn health() -> Json<serde_json::Value> {
    Json(serde_json::json!({"status": "ok"}))
}

/// Without the store: a supervisor that kills a host because its disk is slow makes things worse.
pub(crate) async fn live() -> &'static str {
    "ok"
}

pub(crate) async fn ready(State(app): State<App>) -> (StatusCode, Json<Health>) {
    let asked = app.ask(|state| {
        state.store.projects()?;
        Ok(state.desk.health())
    });
    let health = match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(health)) => health,
        Ok(Err(problem)) => no(format!("the store does not answer: {}", problem.detail())),
        Err(_) => no(format!("the store did not answer within {} seconds", PATIENCE.as_secs())),
    };
    let status = if health.ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health))
}

pub(crate) async fn system(State(app): State<App>) -> Result<Json<System>, Problem> {
    app.ask(|state| Ok(Json(System { runs_held: state.desk.holdings(), backups: state.desk.backups() }))).await
}

fn no(reason: String) -> Health {
    Health { ok: false, reasons: vec![reason] }
}
