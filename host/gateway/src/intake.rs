//! The listener of trackers and forges: `POST /webhook/plane` and `POST /webhook/gitea`, and nothing else.
//!
//! A delivery is verified, routed, committed, and then answered. What it means is found out later: neither sender comes again, so
//! nothing but the delivery itself may be a reason to refuse it. Who sends faster than the disk takes waits for his answer.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use conductor::ports::inbox::{Inbox, NewDelivery, Received};
use conductor::ports::store::StoreError;
use domain::ids::ProjectName;
use domain::time::{Milliseconds, Timestamp};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};
use webhooks::{Headers, Source, delivery_id, inspect, key, signed};

use crate::app::Clock;
use crate::door::Peer;
use crate::metrics::Meters;
use crate::serve::{ServeError, answer_until};

mod admission;
mod body;
mod refusal;

pub use admission::{Hook, Hooks};

use admission::Admission;
use body::{Bodies, LARGE};
use refusal::Refusal;

/// A body's largest size in bytes: a ticket of two megabytes makes a delivery of four.
pub const LARGEST_DELIVERY: usize = 5 << 20;
/// Connections at one time, of the descriptors that a process has by default; more wait in the kernel's line. Each has one delivery
/// in the store's line, which has room for twice as many.
const CONNECTIONS: usize = 512;
/// From one look that an unread delivery brings to the next.
const UNREAD_INTERVAL: Milliseconds = Milliseconds::from_seconds(10);

/// Who looks at a project's tracker or forge.
pub type Look = Arc<dyn Fn(&ProjectName, Source) + Send + Sync>;

/// What the listener stands on.
pub struct Intake {
    inbox: Arc<dyn Inbox>,
    look: Look,
    clock: Clock,
    hooks: RwLock<Arc<Hooks>>,
    bodies: Bodies,
    unread: AtomicU64,
    meters: Option<Arc<Meters>>,
}

impl Intake {
    /// A listener that takes nothing yet.
    pub fn new(inbox: Arc<dyn Inbox>, look: Look, clock: Clock) -> Self {
        let (hooks, bodies) = (RwLock::default(), Bodies::default());
        Self { inbox, look, clock, hooks, bodies, unread: AtomicU64::new(0), meters: None }
    }

    /// What becomes of requests is counted there.
    #[must_use]
    pub fn counted_by(mut self, meters: Arc<Meters>) -> Self {
        self.meters = Some(meters);
        self
    }

    /// Bodies that are large get so many bytes of room in all; one body has room in any case.
    #[must_use]
    pub fn with_room(mut self, bytes: usize) -> Self {
        self.bodies = Bodies::of(bytes);
        self
    }

    /// The bytes that large bodies may still bring before one of them waits.
    pub fn room(&self) -> usize {
        self.bodies.room()
    }

    /// From now on it takes these.
    pub fn put_hooks(&self, hooks: Hooks) {
        *self.hooks.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(hooks);
    }

    fn hooks(&self) -> Arc<Hooks> {
        self.hooks.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was too large to be read is found by a look. Anybody may send it, so it is not looked for each.
    fn look_for_unread(&self, source: Source) {
        let (now, last) = ((self.clock)().0, self.unread.load(Ordering::Relaxed));
        let due = now >= last.saturating_add(UNREAD_INTERVAL.0) || now < last;
        if due && self.unread.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            for project in self.hooks().projects(source) {
                (self.look)(project, source);
            }
        }
    }
}

/// Answers on this listener until `shutdown` ends, then lets what is being answered end.
pub async fn serve_intake(
    listener: TcpListener,
    intake: Arc<Intake>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let (close, closing) = watch::channel(false);
    answer_until(listener, intake_router(intake), CONNECTIONS, (close, closing), shutdown).await;
    Ok(())
}

/// The whole listener as a service; requests carry whom they come from as an extension.
pub(crate) fn intake_router(intake: Arc<Intake>) -> Router {
    let plane = |State(intake): State<Arc<Intake>>, request: Request| take(intake, Source::Plane, request);
    let gitea = |State(intake): State<Arc<Intake>>, request: Request| take(intake, Source::Gitea, request);
    Router::new()
        .route("/webhook/plane", post(plane))
        .route("/webhook/gitea", post(gitea))
        .method_not_allowed_fallback(async || Refusal::Method)
        .fallback(async || Refusal::Path)
        .with_state(intake)
}

async fn take(intake: Arc<Intake>, source: Source, request: Request) -> Response {
    let (misfits, outcome, response) = match receive(&intake, source, request).await {
        Ok((outcome, answer)) => (false, outcome, answer),
        Err(refusal) => {
            refusal.tell(source);
            (matches!(refusal, Refusal::Signature(_)), refusal.word(), refusal.into_response())
        }
    };
    if let Some(meters) = &intake.meters {
        meters.received(source.as_str(), outcome);
        if misfits {
            meters.misfits.note(source.as_str(), (intake.clock)());
        }
    }
    response
}

/// What became of a delivery, in a word, and how that is answered.
type Answered = (&'static str, Response);

async fn receive(intake: &Arc<Intake>, source: Source, request: Request) -> Result<Answered, Refusal> {
    let hooks = intake.hooks();
    if !hooks.takes(source) {
        return Err(Refusal::Source(source));
    }
    let (parts, body) = request.into_parts();
    let peer = parts.extensions.get::<Peer>().map(|peer| peer.0);
    let is_here = peer.is_some_and(|peer: IpAddr| peer.to_canonical().is_loopback()) && !was_forwarded(&parts.headers);
    let headers = read_headers(&parts.headers);
    // What is packed or of another kind is refused before its body is waited for.
    signed(source, &headers, b"payload=").map_err(Refusal::Payload)?;
    hooks.may_be_signed(source, &headers, is_here)?;
    let whole = intake.bodies.read(&parts.headers, body).await.inspect_err(|refusal| {
        if matches!(refusal, Refusal::Large) {
            intake.look_for_unread(source);
        }
    })?;
    let (body, room) = (whole.bytes, whole.room);
    let (at, is_large) = ((intake.clock)(), body.len() > LARGE);
    // Wherever the body goes, its room goes with it, whether or not somebody still waits for the answer.
    let admit = move || admit(&hooks, source, headers, body, is_here, at).map(|admitted| (admitted, room));
    let admitted = if is_large {
        tokio::task::spawn_blocking(admit).await.map_err(|panic| Refusal::broken(&panic))?
    } else {
        admit()
    };
    let (admitted, room) = admitted?;
    match admitted {
        Admitted::Ignored(why) => Ok(("ignored", answer(StatusCode::OK, &json!({"status": "ignored", "why": why})))),
        Admitted::Kept(delivery) => keep(intake, *delivery, room).await,
    }
}

/// What is done with a delivery of which all is known.
enum Admitted {
    Kept(Box<NewDelivery>),
    Ignored(String),
}

fn admit(
    hooks: &Hooks,
    source: Source,
    headers: Headers,
    body: Vec<u8>,
    is_here: bool,
    at: Timestamp,
) -> Result<Admitted, Refusal> {
    let bytes = signed(source, &headers, &body).map_err(Refusal::Payload)?;
    let sender = hooks.sender(source, &headers, &bytes, is_here)?;
    let inspected = inspect(source, &headers, &bytes).map_err(Refusal::Payload)?;
    match sender.admit(inspected.about.as_deref())? {
        Admission::Ignored(why) => Ok(Admitted::Ignored(why)),
        Admission::For(projects) => {
            let key = key(source, &headers, &body);
            let sent_as = delivery_id(source, &headers).map(str::to_owned);
            let (word, headers) = (inspected.event, headers.kept());
            Ok(Admitted::Kept(Box::new(NewDelivery { source, projects, key, sent_as, word, headers, body, at })))
        }
    }
}

async fn keep(intake: &Intake, delivery: NewDelivery, room: Option<OwnedSemaphorePermit>) -> Result<Answered, Refusal> {
    let (source, projects) = (delivery.source, delivery.projects.clone());
    let (tell, told) = oneshot::channel();
    // A sender that hung up needs no answer; the delivery is kept all the same.
    let told_when_kept = move |outcome| {
        drop(room);
        let _ = tell.send(outcome);
    };
    intake.inbox.receive(delivery, Box::new(told_when_kept));
    match told.await.unwrap_or_else(|_| Err(StoreError::Fatal("the store is gone".to_owned()))) {
        Ok(Received::New) => Ok(("accepted", answer(StatusCode::ACCEPTED, &json!({"status": "accepted"})))),
        Ok(Received::Repeat) => {
            // Who says the same again may have been unheard the first time.
            for (project, _) in &projects {
                (intake.look)(project, source);
            }
            Ok(("duplicate", answer(StatusCode::OK, &json!({"status": "duplicate"}))))
        }
        Err(StoreError::Full(_)) => Err(Refusal::Full),
        Err(error) => Err(Refusal::broken(&error)),
    }
}

fn answer(status: StatusCode, body: &serde_json::Value) -> Response {
    (status, Json(body)).into_response()
}

/// A proxy on this machine is not whom it speaks for.
fn was_forwarded(headers: &HeaderMap) -> bool {
    ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"]
        .iter()
        .any(|name| headers.contains_key(*name))
}

/// Those that say something about a delivery. What authorises its sender is not among them.
fn read_headers(headers: &HeaderMap) -> Headers {
    let matters = |name: &str| name.starts_with("content-") || name.starts_with("x-") || name == "user-agent";
    let named = headers.iter().filter(|(name, _)| matters(name.as_str()));
    Headers::new(named.map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes()))))
}
