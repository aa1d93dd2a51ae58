//! Accepting, with an end to every wait: slow headers, too many connections, a shutdown that somebody does not notice.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use conductor::ports::store::StoreError;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use crate::app::{GatewayState, closed};
use crate::door::Peer;
use crate::lingering::lingering;
use crate::plain::{HEADER_BYTES, HEADERS, Plain};
use crate::router::router;
use crate::share::Shares;
use crate::stuck::Unstuck;

/// From the accept, or the end of the last answer, to the end of the headers.
const HEADER_TIME: Duration = Duration::from_secs(10);
/// For whoever takes nothing of his answer.
const STUCK: Duration = Duration::from_secs(30);
/// More wait in the kernel's line.
const CONNECTIONS: usize = 256;
/// Of one address, while it is no proxy: so the pages of others open too.
const OF_ONE: usize = CONNECTIONS / 2;
/// What is being answered at a shutdown may end by itself within this time.
const GRACE: Duration = Duration::from_secs(5);
/// After an accept that failed for want of descriptors or memory.
const RESPITE: Duration = Duration::from_millis(200);

/// Why the listener does not listen.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Any name could lead there, and a page of any site with it.
    #[error("{0} is no loopback address, and no host is named under which the operator's listener is reached there")]
    Nameless(SocketAddr),
    /// The tokens cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The socket is not usable.
    #[error("the operator's listener is not usable")]
    Socket(#[source] io::Error),
}

/// Answers on this listener until `shutdown` ends, then lets what is being answered end.
pub async fn serve(
    listener: TcpListener,
    state: GatewayState,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let address = listener.local_addr().map_err(ServeError::Socket)?;
    if !address.ip().is_loopback() && state.reach.hosts.is_empty() {
        return Err(ServeError::Nameless(address));
    }
    let (close, closing) = watch::channel(false);
    let shares = Arc::new(Shares::new(OF_ONE, state.reach.proxies.clone()));
    let router = router(state, address, closing.clone())?;
    let seats = Arc::new(Semaphore::new(CONNECTIONS));
    let free = move || seats.clone().acquire_owned();
    let enter = move |seat, stream, peer| {
        let share = shares.enter(peer)?;
        let answer = answer(stream, Peer(peer), router.clone(), closing.clone());
        Some(async move {
            let _seat = (seat, share);
            answer.await;
        })
    };
    answer_until(listener, free, enter, close, shutdown).await;
    Ok(())
}

/// Accepts whenever it is free to, and answers whoever enters, until `shutdown` ends; then tells them by the watch and lets what is
/// being answered end.
pub(crate) async fn answer_until<W: Future, A: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    free: impl Fn() -> W,
    mut enter: impl FnMut(W::Output, TcpStream, IpAddr) -> Option<A>,
    close: watch::Sender<bool>,
    shutdown: impl Future<Output = ()> + Send,
) {
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let next = async {
            let free = free().await;
            let (stream, peer) = connection(&listener).await;
            (free, stream, peer)
        };
        tokio::select! {
            () = &mut shutdown => break,
            (free, stream, peer) = next => {
                if let Some(answer) = enter(free, stream, peer) {
                    connections.spawn(answer);
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    close.send_replace(true);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, all).await.is_err() {
        tracing::warn!(open = connections.len(), "closing connections that did not end by themselves");
    }
}

async fn connection(listener: &TcpListener) -> (TcpStream, IpAddr) {
    let mut is_told = false;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer.ip()),
            Err(error) => {
                // Until one is accepted again, this is one piece of news.
                if !std::mem::replace(&mut is_told, true) {
                    tracing::warn!(%error, "a connection could not be accepted");
                }
                tokio::time::sleep(RESPITE).await;
            }
        }
    }
}

async fn answer(stream: TcpStream, peer: Peer, router: Router, mut closing: watch::Receiver<bool>) {
    let service = TowerToHyperService::new(router.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        lingering(request)
    }));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(HEADER_BYTES)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(Plain::new(Unstuck::new(stream, STUCK))), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closed(&mut closing) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
