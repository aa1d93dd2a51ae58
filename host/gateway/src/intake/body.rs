//! The body of a delivery on its way in: room for it, and time.
//!
//! No body is refused for want of room. What is small needs none: all connections together bring less than an eighth of what the
//! large ones share. What is large gets room once, for all that it announced, in the order in which it came; so none holds room
//! while it waits for more, and the wait counts for nobody's time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::{HeaderMap, header};
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

/// Of one address, while it is no proxy: it takes eight strangers to keep the large bodies of everybody else waiting.
const SHARES: usize = 8;

/// Room for the large bodies, in KiB.
pub(super) struct Bodies {
    all: Arc<Semaphore>,
    /// What each address may have of it.
    share: usize,
    /// Of those that have some of it, or wait for it.
    shares: Mutex<HashMap<IpAddr, Weak<Semaphore>>>,
}

impl Default for Bodies {
    fn default() -> Self {
        Self::of(BODIES)
    }
}

/// Room that a body has, until this is dropped.
pub(super) struct Room {
    _own: Option<OwnedSemaphorePermit>,
    _of_all: OwnedSemaphorePermit,
}

/// A body, and the room that it takes as long as it is here.
pub(super) struct Whole {
    pub(super) bytes: Vec<u8>,
    pub(super) room: Option<Room>,
}

impl Bodies {
    /// Room for so many bytes, and for one body in any case.
    pub(super) fn of(bytes: usize) -> Self {
        let kib = |bytes: usize| bytes.max(LARGEST_DELIVERY).div_ceil(1024);
        Self { all: Arc::new(Semaphore::new(kib(bytes))), share: kib(bytes / SHARES), shares: Mutex::default() }
    }

    /// Bytes that nobody has.
    pub(super) fn room(&self) -> usize {
        self.all.available_permits() * 1024
    }

    /// An address waits for its own share first, so that no more of it stands in the line of all than may have room.
    async fn enter(&self, from: Option<IpAddr>, bytes: usize) -> Result<Room, Refusal> {
        let kib = bytes.div_ceil(1024) as u32;
        let own = match from.map(|address| self.share(address)) {
            Some(share) => Some(share.acquire_many_owned(kib).await.map_err(|error| Refusal::broken(&error))?),
            None => None,
        };
        let of_all = self.all.clone().acquire_many_owned(kib).await.map_err(|error| Refusal::broken(&error))?;
        Ok(Room { _own: own, _of_all: of_all })
    }

    fn share(&self, address: IpAddr) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = shares.get(&address).and_then(Weak::upgrade) {
            return share;
        }
        shares.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(Semaphore::new(self.share));
        shares.insert(address, Arc::downgrade(&share));
        share
    }

    /// All of a body, of that address; none: everybody may be behind it. Who only says that he sends much takes no room yet: it is given when more came than a small body has.
    pub(super) async fn read(
        &self,
        from: Option<IpAddr>,
        announced: Option<usize>,
        body: Body,
    ) -> Result<Whole, Refusal> {
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
                whole.room = Some(self.enter(from, largest.max(length)).await?);
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

/// How many bytes a body has, where that is said before it.
pub(super) fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
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
