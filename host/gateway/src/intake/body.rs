//! The body of a delivery on its way in: room for it, and time.
//!
//! No body is refused for want of room. What is small needs none: all connections together bring less than an eighth of what the
//! large ones share. What is large gets room once, for all that it announced, in the order in which it came; so none holds room
//! while it waits for more, and the wait counts for nobody's time.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::{HeaderMap, HeaderValue, header};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_stream::StreamExt as _;

use super::LARGEST_DELIVERY;
use super::refusal::Refusal;

#[cfg(test)]
mod tests;

/// For all of a body, beside its wait for room.
pub(super) const BODY_TIME: Duration = Duration::from_secs(10);
/// For a body of which nothing comes: whoever sends may lose a packet twice, or have a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
/// What each KiB that came adds to it: a body that trickles holds its connection no longer than it must.
const FOR_EACH_KIB: Duration = Duration::from_secs(1);
/// Larger ones need room; they are also hashed where that keeps nobody else from being answered.
pub(super) const LARGE: usize = 64 << 10;
/// Bytes of large bodies that are here at one time.
const BODIES: usize = 224 << 20;

/// What is read, and kept nowhere, of a body that is too large: who is not heard to the end may not hear the answer.
const PASSED_OVER: usize = 64 << 20;

/// Room for the large bodies, in KiB.
pub(super) struct Bodies(Arc<Semaphore>);

impl Default for Bodies {
    fn default() -> Self {
        Self::of(BODIES)
    }
}

/// A body, and the room that it takes as long as it is here.
pub(super) struct Whole {
    pub(super) bytes: Vec<u8>,
    pub(super) room: Option<OwnedSemaphorePermit>,
}

impl Bodies {
    /// Room for so many bytes, and for one body in any case.
    pub(super) fn of(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes.max(LARGEST_DELIVERY).div_ceil(1024))))
    }

    /// Bytes that nobody has.
    pub(super) fn room(&self) -> usize {
        self.0.available_permits() * 1024
    }

    /// All of a body. Who only says that he sends much takes no room yet: it is given when more came than a small body has.
    pub(super) async fn read(&self, headers: &HeaderMap, body: Body) -> Result<Whole, Refusal> {
        let announced = headers.get(header::CONTENT_LENGTH).and_then(length);
        let (mut chunks, mut took) = (body.into_data_stream(), Duration::ZERO);
        if announced.is_some_and(|length| length > LARGEST_DELIVERY) {
            return Err(pass_over(&mut chunks, 0, &mut took).await);
        }
        let largest = announced.unwrap_or(LARGEST_DELIVERY);
        let mut whole = Whole { bytes: Vec::with_capacity(announced.unwrap_or(0).min(LARGE)), room: None };
        while let Some(chunk) = next(&mut chunks, whole.bytes.len(), &mut took).await? {
            let length = whole.bytes.len() + chunk.len();
            if length > LARGEST_DELIVERY {
                drop((whole, chunk));
                return Err(pass_over(&mut chunks, length, &mut took).await);
            }
            if length > LARGE && whole.room.is_none() {
                let room = self.0.clone().acquire_many_owned(largest.max(length).div_ceil(1024) as u32).await;
                whole.room = Some(room.map_err(|error| Refusal::broken(&error))?);
                whole.bytes.reserve_exact(largest.saturating_sub(whole.bytes.len()));
            }
            whole.bytes.extend_from_slice(&chunk);
        }
        Ok(whole)
    }
}

/// Reads on, of a body of which so much came, as long as it would have time.
async fn pass_over(chunks: &mut BodyDataStream, mut came: usize, took: &mut Duration) -> Refusal {
    while came < PASSED_OVER {
        match next(chunks, came, took).await {
            Ok(Some(chunk)) => came += chunk.len(),
            Ok(None) | Err(_) => break,
        }
    }
    Refusal::Large
}

fn length(value: &HeaderValue) -> Option<usize> {
    value.to_str().ok()?.parse().ok()
}

/// What comes next of a body of which so much is here, and how long that took in all.
async fn next(chunks: &mut BodyDataStream, here: usize, took: &mut Duration) -> Result<Option<Bytes>, Refusal> {
    let since = Instant::now();
    let time = PATIENCE + FOR_EACH_KIB * (here / 1024) as u32;
    let left = time.min(BODY_TIME).saturating_sub(*took);
    let chunk = timeout(left, chunks.next()).await.map_err(|_| Refusal::Slow)?;
    *took += since.elapsed();
    chunk.transpose().map_err(|error| Refusal::Broken(error.to_string()))
}
