//! The event stream: one event whenever the store has committed since the last.
//!
//! It says that something changed, never what: the reader asks for what it shows. So nothing is lost by a missed event, and
//! resuming needs no memory here: a reader that says where it was gets a `change` if the store has gone on since, and a
//! `resync` if it was there in another life of the host, or never.

use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use domain::time::Timestamp;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_stream::wrappers::ReceiverStream;

use crate::api::Change;
use crate::app::{App, GatewayState, closed};
use crate::body::Parameters;
use crate::problem::Problem;
use crate::said::both;
use crate::visitor::Visitor;

/// Between two looks at the store's counter: reading it costs no query, and people do not see this delay.
const LOOK: Duration = Duration::from_millis(200);
/// A reader that hears nothing for two of these knows that the line is dead.
const BEAT: Duration = Duration::from_secs(5);
/// Streams that are free for those who have a token, however many others there are.
const OF_THE_NAMED: usize = 16;
/// Events on their way to one reader. Each is as good as the last, so a slow reader needs no more.
const BUFFER: usize = 4;

/// Where the reader was.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Since {
    since: Option<String>,
}

/// How far a reader has heard, in which life of the host. Readers hand it back and do not look into it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor {
    life: Timestamp,
    sequence: u64,
}

impl Cursor {
    pub(crate) fn of(life: Timestamp, state: &GatewayState) -> Self {
        Self { life, sequence: state.store.sequence() }
    }

    /// What is no cursor of ours was heard in no life of this host.
    fn parse(text: &str) -> Self {
        let number = |text: &str| text.parse::<u64>().unwrap_or_default();
        let (life, sequence) = text.split_once('-').unwrap_or_default();
        Self { life: Timestamp(number(life)), sequence: number(sequence) }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.life.0, self.sequence)
    }
}

pub(crate) async fn stream(
    State(app): State<App>,
    visitor: Visitor,
    Parameters(since): Parameters<Since>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let resumed = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let is_free = visitor.name().is_some() || app.streams.available_permits() > OF_THE_NAMED;
    let permit = std::sync::Arc::clone(&app.streams).try_acquire_owned().ok().filter(|_| is_free);
    let permit = permit.ok_or_else(|| {
        Problem::busy(both!(
            "too many event streams are open; close a tab, or poll",
            "открыто слишком много потоков событий; закройте вкладку или опрашивайте"
        ))
    })?;
    let (sender, receiver) = mpsc::channel(BUFFER);
    let seen = resumed.or(since.since.as_deref()).map(Cursor::parse);
    tokio::spawn(async move {
        follow(app, visitor, sender, seen).await;
        drop(permit);
    });
    let unbuffered = [(HeaderName::from_static("x-accel-buffering"), "no")];
    Ok((unbuffered, Sse::new(ReceiverStream::new(receiver))).into_response())
}

type Sender = mpsc::Sender<Result<Event, Infallible>>;

async fn follow(app: App, visitor: Visitor, sender: Sender, seen: Option<Cursor>) {
    let mut closing = app.closing.clone();
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = Cursor::of(app.life, &app.state);
    let first = match seen {
        None => "hello",
        Some(seen) if seen == told => "hello",
        Some(seen) if seen.life == told.life && seen.sequence < told.sequence => "change",
        Some(_) => "resync",
    };
    let mut next = Some(first);
    let mut beat_at = Instant::now() + BEAT;
    loop {
        if let Some(name) = next.take() {
            let sent = tokio::select! {
                sent = sender.send(Ok(event(name, told))) => sent.is_ok(),
                () = closed(&mut closing) => false,
            };
            if !sent {
                return;
            }
            beat_at = Instant::now() + BEAT;
        }
        tokio::select! {
            _ = looks.tick() => {}
            () = sender.closed() => return,
            () = closed(&mut closing) => return,
        }
        // What was taken back keeps no stream open.
        if !app.keyring.still_opens(&visitor, app.state.now()) {
            return;
        }
        let now = Cursor::of(app.life, &app.state);
        if now != told {
            next = Some("change");
            told = now;
        } else if Instant::now() >= beat_at {
            next = Some("beat");
        }
    }
}

fn event(name: &str, cursor: Cursor) -> Event {
    let data = serde_json::to_string(&Change { sequence: cursor.sequence }).unwrap_or_default();
    Event::default().event(name).id(cursor.to_string()).data(data)
}
