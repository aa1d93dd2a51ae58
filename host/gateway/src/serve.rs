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
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use crate::app::{GatewayState, closed};
use crate::door::Peer;
use crate::router::router;

/// From the accept, or the end of the last answer, to the end of the headers.
const HEADER_TIME: Duration = Duration::from_secs(10);
/// Headers of one request in bytes.
const HEADER_BYTES: usize = 64 * 1024;
/// More wait in the kernel's line.
const CONNECTIONS: usize = 256;
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
    let router = router(state, address, closing.clone())?;
    answer_until(listener, router, CONNECTIONS, (close, closing), shutdown).await;
    Ok(())
}

/// Answers so many connections at a time until `shutdown` ends, then tells them by the watch and lets what is being answered end.
pub(crate) async fn answer_until(
    listener: TcpListener,
    router: Router,
    connections: usize,
    (close, closing): (watch::Sender<bool>, watch::Receiver<bool>),
    shutdown: impl Future<Output = ()> + Send,
) {
    let slots = Arc::new(Semaphore::new(connections));
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            (stream, peer, slot) = accept(&listener, &slots) => {
                connections.spawn(answer(stream, Peer(peer), router.clone(), closing.clone(), slot));
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

/// The next connection, once there is a slot for it.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> (TcpStream, IpAddr, Option<OwnedSemaphorePermit>) {
    let slot = Arc::clone(slots).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer.ip(), slot),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(RESPITE).await;
            }
        }
    }
}

async fn answer(
    stream: TcpStream,
    peer: Peer,
    router: Router,
    mut closing: watch::Receiver<bool>,
    _slot: Option<OwnedSemaphorePermit>,
) {
    let service = TowerToHyperService::new(router.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        request
    }));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
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
