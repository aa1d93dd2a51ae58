//! What a task changes.

use axum::Json;
use axum::extract::State;

use crate::api::ChangeView;
use crate::app::App;
use crate::body::Segments;
use crate::routes::Answer;
use crate::{change, find};

pub(crate) async fn show(State(app): State<App>, Segments(reference): Segments<String>) -> Answer<ChangeView> {
    let answer = app.ask(move |state| Ok(change::of(&*state.desk, &find::task(&*state.store, &reference)?)));
    answer.await.map(Json)
}
