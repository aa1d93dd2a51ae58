//! The listener of trackers and forges: `POST /webhook/plane` and `POST /webhook/gitea`, and nothing else.
//!
//! A delivery is verified, routed, committed, and then answered. What it means is found out later: neither sender comes again, so
//! nothing but the delivery itself may be a reason to refuse it. Who sends faster than the disk takes waits for his answer. What is
//! refused all the same brings a look at whoever may have sent it: at once where the sender proved who he is, else within bounds.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use conductor::Pace;
use conductor::ports::inbox::{Inbox, NewDelivery, Received};
use conductor::ports::store::StoreError;
use domain::ids::ProjectName;
use domain::time::{Milliseconds, Timestamp};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use webhooks::{Headers, Source, delivery_id, inspect, key, signed};

use crate::api::Flaw;
use crate::app::Clock;
use crate::door::Peer;
use crate::front::{behind, is_loopback_name};
use crate::metrics::Meters;
use crate::misfits::Standing;
use crate::serve::{ServeError, answer_until};
use crate::throttle::{network, stranger};

mod admission;
mod body;
mod hall;
mod quiet;
mod refusal;
#[cfg(test)]
mod tests;
mod turn;

pub use admission::{Hook, Hooks};

use admission::Admission;
use body::{Bodies, LARGE, Room};
use hall::Hall;
use quiet::Quiet;
use refusal::{News, Refusal, Turned};
use turn::visit;

/// A body's largest size in bytes: a ticket of two megabytes makes a delivery of four.
pub const LARGEST_DELIVERY: usize = 5 << 20;
/// From one look that a delivery of an unproven sender brings to the next.
const UNPROVEN_INTERVAL: Milliseconds = Milliseconds::from_seconds(10);
/// From one moment at which looks and lines that are owed are made up for to the next.
const BEAT: Duration = Duration::from_secs(1);

/// Deliveries in the store's line at one time, which has room for twice as many.
const IN_LINE: usize = 512;

/// What a browser says of the page that sends something.
const PAGE: [HeaderName; 2] = [header::ORIGIN, header::REFERER];

/// Who looks at a project's tracker or forge.
pub type Look = Arc<dyn Fn(&ProjectName, Source, Trust) + Send + Sync>;

/// At whose word it is looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Somebody who knows a secret of the project's.
    Proven,
    /// Anybody: no more of such looks than the clock makes.
    Anybody,
}

/// What the listener stands on.
pub struct Intake {
    inbox: Arc<dyn Inbox>,
    look: Look,
    clock: Clock,
    hooks: RwLock<Arc<Hooks>>,
    bodies: Bodies,
    /// Places in the store's line: who finds none waits here, where it keeps nobody else from being answered.
    line: Arc<Semaphore>,
    proxies: Vec<IpAddr>,
    unproven: Mutex<BTreeMap<Source, Pace>>,
    quiet: Quiet,
    meters: Option<Arc<Meters>>,
}

impl Intake {
    /// A listener that takes nothing yet.
    pub fn new(inbox: Arc<dyn Inbox>, look: Look, clock: Clock) -> Self {
        Self {
            inbox,
            look,
            clock,
            hooks: RwLock::default(),
            bodies: Bodies::default(),
            line: Arc::new(Semaphore::new(IN_LINE)),
            proxies: Vec::new(),
            unproven: Mutex::default(),
            quiet: Quiet::default(),
            meters: None,
        }
    }

    /// What becomes of requests is counted there.
    #[must_use]
    pub fn counted_by(mut self, meters: Arc<Meters>) -> Self {
        self.meters = Some(meters);
        self
    }

    /// Proxies whose `X-Forwarded-For` is believed, and which have as many connections as they want.
    #[must_use]
    pub fn behind(mut self, proxies: Vec<IpAddr>) -> Self {
        self.proxies = proxies;
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

    /// What was refused is found by a look.
    fn look_after(&self, source: Source, news: &News) {
        match news {
            News::Nobody => {}
            News::Proven(projects) => {
                for project in projects {
                    (self.look)(project, source, Trust::Proven);
                }
            }
            News::Anybody => self.look_seldom(&[source]),
        }
    }

    /// Anybody may cause this, so it is not looked for each; the last of them is looked for all the same, a beat later.
    fn look_seldom(&self, sources: &[Source]) {
        let mut unproven = self.unproven.lock().unwrap_or_else(PoisonError::into_inner);
        for source in sources {
            unproven.entry(*source).or_default().owe();
        }
        drop(unproven);
        self.make_up();
    }

    /// Makes the looks that are owed and due.
    fn make_up(&self) {
        let now = (self.clock)();
        let due = {
            let mut unproven = self.unproven.lock().unwrap_or_else(PoisonError::into_inner);
            let due = |(source, pace): (&Source, &mut Pace)| pace.take(UNPROVEN_INTERVAL, now).then_some(*source);
            unproven.iter_mut().filter_map(due).collect::<Vec<_>>()
        };
        for source in due {
            for project in self.hooks().projects(source) {
                (self.look)(project, source, Trust::Anybody);
            }
        }
    }

    /// What the clock brings.
    fn beat(&self) {
        self.make_up();
        let now = (self.clock)();
        for more in self.quiet.due(now) {
            let minutes = now.since(more.since).0.div_ceil(60_000);
            let count = more.count;
            if let Some((peer, source, word)) = more.kind {
                tracing::warn!(source, from = %peer, reason = word, "{count} more were refused within {minutes} minutes");
            } else {
                let whence = "from more addresses than have a line of their own";
                tracing::warn!("{count} more were refused within {minutes} minutes, {whence}");
            }
        }
    }

    /// Tells of a refusal, once for each peer and reason, and notes what may be a secret that was changed on one side alone.
    fn tell(&self, source: Source, refusal: &Refusal, peer: IpAddr) {
        let now = (self.clock)();
        let flaw = refusal.flaw().zip(self.meters.as_ref());
        let standing = flaw.map(|((flaw, projects), meters)| {
            (flaw, meters.misfits.note((source.as_str(), flaw), projects, peer, now))
        });
        if self.quiet.note((network(peer), source.as_str(), refusal.kind()), now) {
            let known = match standing {
                Some((Flaw::Unfit, Standing::Proven)) => {
                    "; deliveries from there fitted before: was the secret changed on one side alone?"
                }
                Some((Flaw::Unfit, Standing::Possible)) => {
                    "; none has fitted since the host started: has the sender another secret?"
                }
                Some((Flaw::Unsigned, Standing::Proven)) => {
                    "; other deliveries from there are signed: is there a second webhook, without a secret?"
                }
                Some((Flaw::Unsigned, Standing::Possible)) => {
                    "; none has fitted since the host started: has its webhook no secret?"
                }
                Some((Flaw::Malformed, Standing::Proven | Standing::Possible)) => {
                    "; does something on the way change the header?"
                }
                Some((_, Standing::Stranger)) | None => "",
            };
            refusal.tell(source, peer, known);
        }
    }

    /// A connection that was reset, for no address has more of them.
    fn turn_away(&self, peer: IpAddr) {
        if self.quiet.note((network(peer), "any", "connections"), (self.clock)()) {
            tracing::warn!(from = %peer, "a connection is reset: no more fit, and no address has more of them");
        }
        if let Some(meters) = &self.meters {
            meters.received("any", "connections");
        }
        self.look_seldom(&Source::ALL);
    }
}

/// Answers on this listener until `shutdown` ends, then lets what is being answered end.
pub async fn serve_intake(
    listener: TcpListener,
    intake: Arc<Intake>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let (close, closing) = watch::channel(false);
    let told = intake.clone();
    let hall = Arc::new(Hall::new(intake.proxies.clone(), Arc::new(move |peer| told.turn_away(peer))));
    let router = intake_router(intake.clone());
    let enter = move |(), stream: TcpStream, peer| {
        let Some(place) = hall.enter(peer) else {
            // A reset and no answer: whoever comes again at all comes again after this, and to some any answer at all means that it
            // was heard.
            let _ = stream.set_zero_linger();
            return None;
        };
        Some(visit(stream, peer, (hall.clone(), place), router.clone(), closing.clone()))
    };
    let beats = async {
        let mut beats = tokio::time::interval(BEAT);
        loop {
            beats.tick().await;
            intake.beat();
        }
    };
    let answering = answer_until(listener, || std::future::ready(()), enter, close, shutdown);
    tokio::select! {
        () = answering => {}
        () = beats => {}
    }
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

/// What the head of a request says.
struct Head {
    source: Source,
    peer: IpAddr,
    /// It comes from this machine, for nobody else and not of a page.
    is_here: bool,
    headers: Headers,
    /// Bytes that the body is said to have.
    announced: Option<usize>,
}

impl Head {
    fn of(source: Source, parts: &Parts, proxies: &[IpAddr]) -> Self {
        let socket = parts.extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0);
        let is_near = socket.to_canonical().is_loopback() && !was_forwarded(&parts.headers);
        Self {
            source,
            peer: behind(proxies, socket, &parts.headers),
            is_here: is_near && !is_of_a_page(&parts.headers),
            headers: read_headers(&parts.headers),
            announced: body::announced(&parts.headers),
        }
    }
}

fn take(intake: Arc<Intake>, source: Source, request: Request) -> impl Future<Output = Response> + Send {
    let (parts, body) = request.into_parts();
    let head = Head::of(source, &parts, &intake.proxies);
    // It is a piece of what was read from the connection, which has to find new room for as long as the piece is there; so it goes
    // before anything is waited for.
    drop(parts);
    async move {
        let peer = head.peer;
        let (outcome, response) = match receive(&intake, head, body).await {
            Ok(answered) => answered,
            Err(Turned { refusal, news }) => {
                intake.tell(source, &refusal, peer);
                intake.look_after(source, &news);
                (refusal.word(), refusal.into_response())
            }
        };
        if let Some(meters) = &intake.meters {
            meters.received(source.as_str(), outcome);
        }
        response
    }
}

/// What became of a delivery, in a word, and how that is answered.
type Answered = (&'static str, Response);

async fn receive(intake: &Arc<Intake>, head: Head, body: Body) -> Result<Answered, Turned> {
    let Head { source, peer, is_here, headers, announced } = head;
    let hooks = intake.hooks();
    if !hooks.takes(source) {
        return Err(Refusal::Source(source).into());
    }
    // What is packed or of another kind is refused before its body is waited for.
    signed(source, &headers, b"payload=").map_err(Refusal::Payload)?;
    hooks.may_be_signed(source, &headers, is_here)?;
    let whole = intake.bodies.read(stranger(peer, &intake.proxies), announced, body).await?;
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
        Admitted::Ignored { why, of } => {
            for project in of {
                (intake.look)(&project, source, Trust::Anybody);
            }
            Ok(("ignored", answer(StatusCode::OK, &json!({"status": "ignored", "why": why}))))
        }
        Admitted::Kept(delivery) => {
            if let Some(meters) = &intake.meters {
                let proven = delivery.projects.iter().filter(|(_, proven)| *proven);
                proven.for_each(|(project, _)| meters.misfits.prove(source.as_str(), project, peer, delivery.at));
            }
            keep(intake, delivery, room).await
        }
    }
}

/// What is done with a delivery of which all is known.
enum Admitted {
    Kept(Box<NewDelivery>),
    /// For this reason; these may look whether it was for them.
    Ignored {
        why: String,
        of: Vec<ProjectName>,
    },
}

fn admit(
    hooks: &Hooks,
    source: Source,
    headers: Headers,
    body: Vec<u8>,
    is_here: bool,
    at: Timestamp,
) -> Result<Admitted, Turned> {
    let bytes = signed(source, &headers, &body).map_err(Refusal::Payload)?;
    let sender = match hooks.sender(source, &headers, &bytes, is_here) {
        Ok(sender) => sender,
        // Of whose it could be, so that whoever changed a secret hears of it; nothing else of it is read.
        Err(Refusal::Signature { signature, .. }) if body.len() <= LARGE => {
            let about = inspect(source, &headers, &bytes).ok().and_then(|inspected| inspected.about);
            let of = hooks.bound(source, about.as_deref());
            return Err(Refusal::Signature { signature, of }.into());
        }
        Err(refusal) => return Err(refusal.into()),
    };
    // A sender who proved who he is had something to say, whatever became of it on the way.
    let inspected = inspect(source, &headers, &bytes)
        .map_err(|error| Turned::of_proven(Refusal::Payload(error), sender.proven()))?;
    match sender.admit(inspected.about.as_deref(), inspected.is_known)? {
        Admission::Ignored { why, of } => Ok(Admitted::Ignored { why, of }),
        Admission::For(projects) => {
            let key = key(source, &headers, &body);
            let sent_as = delivery_id(source, &headers).map(str::to_owned);
            let (word, headers) = (inspected.event, headers.kept());
            Ok(Admitted::Kept(Box::new(NewDelivery { source, projects, key, sent_as, word, headers, body, at })))
        }
    }
}

async fn keep(intake: &Intake, delivery: Box<NewDelivery>, room: Option<Room>) -> Result<Answered, Turned> {
    let (source, projects) = (delivery.source, delivery.projects.clone());
    let (tell, told) = oneshot::channel();
    // A sender that hung up needs no answer; the delivery is kept all the same.
    let inbox = intake.inbox.clone();
    let receive = move |place: OwnedSemaphorePermit| {
        let told_when_kept = move |outcome| {
            drop((room, place));
            let _ = tell.send(outcome);
        };
        inbox.receive(*delivery, Box::new(told_when_kept));
    };
    if let Ok(place) = intake.line.clone().try_acquire_owned() {
        receive(place);
    } else {
        let line = intake.line.clone();
        tokio::spawn(async move { line.acquire_owned().await.map(receive) });
    }
    match told.await.unwrap_or_else(|_| Err(StoreError::Fatal("the store is gone".to_owned()))) {
        Ok(Received::New) => Ok(("accepted", answer(StatusCode::ACCEPTED, &json!({"status": "accepted"})))),
        Ok(Received::Repeat) => {
            // Who says the same again may have been unheard the first time.
            for (project, proven) in &projects {
                let trust = if *proven { Trust::Proven } else { Trust::Anybody };
                (intake.look)(project, source, trust);
            }
            Ok(("duplicate", answer(StatusCode::OK, &json!({"status": "duplicate"}))))
        }
        Err(error) => {
            let proven = projects.into_iter().filter(|(_, proven)| *proven).map(|(project, _)| project).collect();
            let refusal = match error {
                StoreError::Full(_) => Refusal::Full,
                StoreError::Busy(_) => Refusal::Held,
                error => Refusal::broken(&error),
            };
            Err(Turned::of_proven(refusal, proven))
        }
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

/// A page of any site may have a browser on this machine send what it likes, also under a name of its own that leads here.
fn is_of_a_page(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let by_browser = |name: &HeaderName| name.as_str().starts_with("sec-fetch-") || PAGE.contains(name);
    !is_loopback_name(host) || headers.keys().any(by_browser)
}

/// Those that say something about a delivery. What authorises its sender is not among them.
fn read_headers(headers: &HeaderMap) -> Headers {
    let matters = |name: &str| name.starts_with("content-") || name.starts_with("x-") || name == "user-agent";
    let named = headers.iter().filter(|(name, _)| matters(name.as_str()));
    Headers::new(named.map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes()))))
}
