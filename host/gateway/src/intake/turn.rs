//! One connection: silent, waiting for its turn, being answered, silent again; with an end to each but the second, which is ours.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderValue, Request, header};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep};
use tower::ServiceExt as _;

use super::hall::{Chairs, Hall, Leave, Place, Seat};
use crate::app::closed;
use crate::door::Peer;
use crate::lingering::lingering;
use crate::plain::{HEADER_BYTES, HEADERS, Plain};
use crate::stuck::Unstuck;

/// For who says nothing. He keeps nobody waiting, and a sender that opens thousands of connections at once may need long to come to the
/// last of them.
const SILENCE: Duration = Duration::from_mins(1);
/// For the headers of a request once it is read, and for whoever does not take his answer.
const TIME: Duration = Duration::from_secs(10);

/// Nothing came of a request.
const IDLE: u8 = 0;
/// It waits for its seat, or its headers are read.
const READING: u8 = 1;
/// The request is with its handler.
const ANSWERING: u8 = 2;
/// The answer is on its way out.
const ANSWERED: u8 = 3;

/// Answers one connection until it ends.
pub(super) async fn visit(
    stream: TcpStream,
    peer: IpAddr,
    (hall, place): (Arc<Hall>, Place),
    router: Router,
    mut closing: watch::Receiver<bool>,
) {
    let (stage, chairs) = (Arc::new(AtomicU8::new(IDLE)), place.chairs());
    let mut turn = Turn::new(stream, place, stage.clone());
    // Until its first byte a connection is hardly more than its descriptor.
    let speaks = tokio::select! {
        speaks = poll_fn(|context| turn.poll_seat(context)) => speaks,
        // Who has spoken already is heard to the end: not every sender comes again.
        () = closed(&mut closing) => !turn.is_silent() && poll_fn(|context| turn.poll_seat(context)).await,
    };
    if !speaks {
        return;
    }
    let (at, ending) = (stage.clone(), closing.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        let ending = ending.clone();
        answer(request, Peer(peer), router.clone(), (stage.clone(), chairs.clone(), hall.clone()), ending)
    });
    let connection = http1::Builder::new()
        // Who waits for his turn is not late: the time of his headers is counted below.
        .header_read_timeout(None::<Duration>)
        .max_buf_size(HEADER_BYTES)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(Plain::new(turn)), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closed(&mut closing) => {
            // Whoever has spoken and was not read yet would be hung up on by this; his answer is his last in any case.
            if at.load(Ordering::SeqCst) != READING {
                connection.as_mut().graceful_shutdown();
            }
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn answer(
    mut request: Request<Incoming>,
    peer: Peer,
    router: Router,
    (stage, chairs, hall): (Arc<AtomicU8>, Chairs, Arc<Hall>),
    ending: watch::Receiver<bool>,
) -> Result<Response, Infallible> {
    request.extensions_mut().insert(peer);
    // A request that came in one piece with the one before it was read on the other's seat.
    let seat = match stage.swap(ANSWERING, Ordering::SeqCst) {
        IDLE => Some(chairs.seat().await),
        _ => None,
    };
    let mut response = router.oneshot(lingering(request)).await.unwrap_or_else(|never| match never {});
    if hall.is_crowded() || *ending.borrow() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    drop(seat);
    stage.store(ANSWERED, Ordering::SeqCst);
    Ok(response)
}

/// A stream of which is read only while its connection has a seat.
struct Turn {
    stream: Unstuck<TcpStream>,
    place: Place,
    stage: Arc<AtomicU8>,
    state: State,
    /// Of the silence, or of the headers.
    timer: Pin<Box<Sleep>>,
}

enum State {
    Silent(Leave),
    Waiting(Leave, Pin<Box<dyn Future<Output = Seat> + Send>>),
    Seated { _seat: Seat },
    Over,
}

impl Turn {
    fn new(stream: TcpStream, mut place: Place, stage: Arc<AtomicU8>) -> Self {
        let state = State::Silent(place.be_silent());
        Self { stream: Unstuck::new(stream, TIME), place, stage, state, timer: Box::pin(sleep(SILENCE)) }
    }

    fn restart(&mut self, time: Duration) {
        self.timer.as_mut().reset(Instant::now() + time);
    }

    /// It has said nothing yet.
    fn is_silent(&self) -> bool {
        matches!(self.state, State::Silent(_))
    }

    /// True: it has a seat, and something to say. False: it is over.
    fn poll_seat(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        loop {
            self.state = match &mut self.state {
                State::Seated { .. } => return Poll::Ready(true),
                State::Over => return Poll::Ready(false),
                State::Silent(leave) => {
                    if Pin::new(leave).poll(context).is_ready() || self.timer.as_mut().poll(context).is_ready() {
                        State::Over
                    } else {
                        let mut first = [0; 1];
                        match ready!(self.stream.get_mut().poll_peek(context, &mut ReadBuf::new(&mut first))) {
                            Ok(0) | Err(_) => State::Over,
                            Ok(_) => {
                                self.stage.store(READING, Ordering::SeqCst);
                                State::Waiting(self.place.speak(), Box::pin(self.place.chairs().seat()))
                            }
                        }
                    }
                }
                State::Waiting(leave, seat) => {
                    if Pin::new(leave).poll(context).is_ready() {
                        State::Over
                    } else {
                        let seat = ready!(seat.as_mut().poll(context));
                        if self.place.sit() {
                            self.restart(TIME);
                            State::Seated { _seat: seat }
                        } else {
                            State::Over
                        }
                    }
                }
            };
        }
    }
}

impl AsyncRead for Turn {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let turn = self.get_mut();
        // While a request is answered its body is read; its time is the handler's.
        if matches!(turn.stage.load(Ordering::SeqCst), IDLE | READING) {
            if !ready!(turn.poll_seat(context)) {
                return Poll::Ready(Ok(()));
            }
            if turn.timer.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        Pin::new(&mut turn.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Turn {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, given: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, given)
    }

    /// When an answer is out, so is its turn.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let turn = self.get_mut();
        ready!(Pin::new(&mut turn.stream).poll_flush(context))?;
        if turn.stage.compare_exchange(ANSWERED, IDLE, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            turn.state = State::Silent(turn.place.be_silent());
            turn.restart(SILENCE);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
