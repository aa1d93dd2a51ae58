//! Connections at one time: of all together, and of one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::throttle::network;

/// Told of each connection that was turned away.
type Turned = Arc<dyn Fn(IpAddr) + Send + Sync>;

/// How many there are.
pub(crate) struct Seats {
    all: Arc<Semaphore>,
    of_one: Option<Arc<OfOne>>,
}

struct OfOne {
    most: usize,
    /// Proxies: whoever comes by one of them is somebody else.
    proxies: Vec<IpAddr>,
    turned: Turned,
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// One of them, until it is dropped.
pub(crate) struct Seat {
    _of_all: Option<OwnedSemaphorePermit>,
    of_one: Option<(Arc<OfOne>, IpAddr)>,
}

impl Seats {
    pub(crate) fn new(all: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), of_one: None }
    }

    /// One address has at most so many. Not so this machine and the proxies: behind them is everybody.
    pub(crate) fn with_most_of_one(mut self, most: usize, proxies: Vec<IpAddr>, turned: Turned) -> Self {
        self.of_one = Some(Arc::new(OfOne { most, proxies, turned, taken: Mutex::default() }));
        self
    }

    /// Waits for one that is free; until then, who comes waits in the kernel's line.
    pub(crate) async fn free(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.all).acquire_owned().await.ok()
    }

    /// Whose connection this is has one more. None: it has all that it may have, and is turned away.
    pub(crate) fn take(&self, of_all: Option<OwnedSemaphorePermit>, stream: &TcpStream, peer: IpAddr) -> Option<Seat> {
        let bounded = self.of_one.as_ref().filter(|of_one| !of_one.is_everybody(peer));
        let Some(of_one) = bounded else { return Some(Seat { _of_all: of_all, of_one: None }) };
        let address = network(peer);
        let takes = {
            let mut taken = of_one.taken.lock().unwrap_or_else(PoisonError::into_inner);
            let own = taken.entry(address).or_default();
            let takes = *own < of_one.most;
            *own += usize::from(takes);
            takes
        };
        if takes {
            return Some(Seat { _of_all: of_all, of_one: Some((of_one.clone(), address)) });
        }
        // A reset and no answer: whoever comes again at all comes again after this, and to some any answer at all means that it was
        // heard.
        let _ = stream.set_zero_linger();
        (of_one.turned)(peer);
        None
    }
}

impl OfOne {
    fn is_everybody(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        peer.is_loopback() || self.proxies.contains(&peer)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some((of_one, address)) = self.of_one.take() else { return };
        let mut taken = of_one.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = taken.get_mut(&address) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                taken.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn one_address_has_its_share_and_behind_this_machine_and_a_proxy_is_everybody() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut far = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let turned = Arc::new(AtomicUsize::new(0));
        let seen = turned.clone();
        let told = Arc::new(move |_: IpAddr| {
            seen.fetch_add(1, Ordering::SeqCst);
        });
        let seats = Seats::new(100).with_most_of_one(3, vec!["10.0.0.1".parse().unwrap()], told);
        let take = |peer: &str| seats.take(None, &stream, peer.parse().unwrap());
        let mut held = (0..3).map(|_| take("192.0.2.1").unwrap()).collect::<Vec<_>>();
        assert!(take("192.0.2.1").is_none() && take("::ffff:192.0.2.1").is_none());
        assert_eq!(turned.load(Ordering::SeqCst), 2);
        held.push(take("192.0.2.2").unwrap());
        for everybody in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "::ffff:10.0.0.1"] {
            held.extend((0..10).map(|_| take(everybody).unwrap()));
        }
        held.remove(0);
        held.push(take("192.0.2.1").unwrap());
        assert!(take("192.0.2.1").is_none());
        held.extend(["2001:db8::1", "2001:db8::2", "2001:db8::3"].map(|peer| take(peer).unwrap()));
        assert!(take("2001:db8::4").is_none(), "an address of IPv6 is its network");
        drop(held);
        let of_one = seats.of_one.as_ref().unwrap();
        assert!(of_one.taken.lock().unwrap().is_empty(), "nobody who is gone is remembered");
        drop(stream);
        let ended = far.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(ended.kind(), std::io::ErrorKind::ConnectionReset, "who is turned away has no answer");
    }
}
