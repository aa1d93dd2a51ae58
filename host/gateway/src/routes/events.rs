//! The event stream: one event whenever the store has committed since the last.
//!
//! It says that something changed, never what: the reader asks for what it shows. So nothing is lost by a missed event, and
//! resuming needs no memory here: a reader that says where it was gets a `change` if the store has gone on since, and a
//! `resync` if the number is none that this store has reached.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_stream::wrappers::ReceiverStream;

use crate::api::Change;
use crate::app::App;
use crate::body::Parameters;
use crate::problem::Problem;

/// Between two looks at the store's counter: reading it costs no query, and people do not see this delay.
const LOOK: Duration = Duration::from_millis(200);
/// A reader that hears nothing for two of these knows that the line is dead.
const BEAT: Duration = Duration::from_secs(5);
/// Events on their way to one reader. Each is as good as the last, so a slow reader needs no more.
const BUFFER: usize = 4;

/// Where the reader was.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Since {
    since: Option<u64>,
}

pub(crate) async fn stream(
    State(app): State<App>,
    Parameters(since): Parameters<Since>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let resumed = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let permit = std::sync::Arc::clone(&app.streams)
        .try_acquire_owned()
        .map_err(|_| Problem::busy("too many event streams are open; close a tab, or poll"))?;
    let (sender, receiver) = mpsc::channel(BUFFER);
    let seen = resumed.or(since.since);
    tokio::spawn(async move {
        follow(app, sender, seen).await;
        drop(permit);
    });
    let unbuffered = [(HeaderName::from_static("x-accel-buffering"), "no")];
    Ok((unbuffered, Sse::new(ReceiverStream::new(receiver))).into_response())
}

type Sender = mpsc::Sender<Result<Event, Infallible>>;

async fn follow(app: App, sender: Sender, seen: Option<u64>) {
    let mut closing = app.closing.clone();
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = app.state.store.sequence();
    let first = match seen {
        Some(seen) if seen > told => "resync",
        Some(seen) if seen < told => "change",
        _ => "hello",
    };
    let mut next = Some(first);
    let mut beat_at = Instant::now() + BEAT;
    loop {
        if let Some(name) = next.take() {
            let sent = tokio::select! {
                sent = sender.send(Ok(event(name, told))) => sent.is_ok(),
                _ = closing.wait_for(|closing| *closing) => false,
            };
            if !sent {
                return;
            }
            beat_at = Instant::now() + BEAT;
        }
        tokio::select! {
            _ = looks.tick() => {}
            () = sender.closed() => return,
            _ = closing.wait_for(|closing| *closing) => return,
        }
        let sequence = app.state.store.sequence();
        if sequence != told {
            // Backwards is another store under the same name: whatever the reader shows may be wrong.
            next = Some(if sequence > told { "change" } else { "resync" });
            told = sequence;
        } else if Instant::now() >= beat_at {
            next = Some("beat");
        }
    }
}

fn event(name: &str, sequence: u64) -> Event {
    let data = serde_json::to_string(&Change { sequence }).unwrap_or_default();
    Event::default().event(name).id(sequence.to_string()).data(data)
}
