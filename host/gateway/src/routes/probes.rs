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
        Ok(state.desk.health().into())
    });
    let health = match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(health)) => health,
        // Why not stands in the log, and is for nobody who asks.
        Ok(Err(_)) => no("the store does not answer".to_owned()),
        Err(_) => no(format!("the store did not answer within {} seconds", PATIENCE.as_secs())),
    };
    let status = if health.ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health))
}

pub(crate) async fn system(State(app): State<App>) -> Result<Json<System>, Problem> {
    let told = app.ask(|state| {
        Ok(System {
            troubles: state.desk.health().troubles,
            unreachable: state.desk.readings().unreachable,
            runs_held: state.desk.holdings(),
            backups: state.desk.backups(),
        })
    });
    told.await.map(Json)
}

fn no(reason: String) -> Health {
    Health { ok: false, reasons: vec![reason] }
}
