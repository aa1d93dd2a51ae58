//! A request that is refused by its head is answered at once, and what it still sends is read and kept nowhere: closing with bytes
//! unread resets the connection (RFC 9112, 9.6), and who was writing when that came would never see why it was refused.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use axum::http::{HeaderMap, Request, header};
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::runtime::Handle;
use tokio::time::timeout;

/// For the rest of a body of which nobody wants anything; less than a shutdown waits.
const TIME: Duration = Duration::from_secs(4);
/// Who sends nothing for so long is not writing when he is hung up on.
const PAUSE: Duration = Duration::from_secs(1);
/// Bytes of it.
const MOST: usize = 64 << 20;

/// A body whose rest is passed over when it is dropped.
pub(crate) struct Lingering {
    /// None: it has ended.
    body: Option<Incoming>,
    /// Who asks before he sends it waits for the answer alone.
    is_coming: bool,
}

/// The same request, of whose body no rest stays unread.
pub(crate) fn lingering(request: Request<Incoming>) -> Request<Lingering> {
    let is_coming = !asks_first(request.headers());
    request.map(|body| Lingering { body: Some(body), is_coming })
}

fn asks_first(headers: &HeaderMap) -> bool {
    headers.contains_key(header::EXPECT)
}

impl HttpBody for Lingering {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(context));
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let Some(body) = self.body.take().filter(|body| self.is_coming && !body.is_end_stream()) else { return };
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(timeout(TIME, pass_over(body)));
        }
    }
}

async fn pass_over(mut body: Incoming) {
    let mut came = 0;
    while came < MOST
        && let next = poll_fn(|context| Pin::new(&mut body).poll_frame(context))
        && let Ok(Some(Ok(frame))) = timeout(PAUSE, next).await
    {
        came += frame.data_ref().map_or(0, Bytes::len);
    }
}
