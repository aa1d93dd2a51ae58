//! How many of the connections one address may hold: whoever opens as many as he can leaves room for others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::throttle::stranger;

/// The connections of each address.
pub(crate) struct Shares {
    most: usize,
    /// Whoever comes by one of them is somebody else.
    proxies: Vec<IpAddr>,
    open: Mutex<HashMap<IpAddr, Open>>,
}

/// What one address holds.
#[derive(Default)]
struct Open {
    count: usize,
    /// The log has a line of it, until it holds none any more.
    is_told: bool,
}

/// One connection's part of its address's share, until it is dropped.
pub(crate) struct Share(Option<(Arc<Shares>, IpAddr)>);

impl Shares {
    /// `most`: of one address. This machine and its proxies speak for everybody, and have no bound of their own.
    pub(crate) fn new(most: usize, proxies: Vec<IpAddr>) -> Self {
        Self { most, proxies, open: Mutex::default() }
    }

    /// A connection more. None: its address holds as many as it may.
    pub(crate) fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Share> {
        let Some(address) = stranger(peer, &self.proxies) else { return Some(Share(None)) };
        let mut open = self.open();
        let held = open.entry(address).or_default();
        if held.count >= self.most {
            if !std::mem::replace(&mut held.is_told, true) {
                let most = self.most;
                tracing::warn!(%address, most, "an address holds as many connections as it may: more are hung up on");
            }
            return None;
        }
        held.count += 1;
        Some(Share(Some((self.clone(), address))))
    }

    fn open(&self) -> MutexGuard<'_, HashMap<IpAddr, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let Some((shares, address)) = self.0.take() else { return };
        let mut open = shares.open();
        let Some(held) = open.get_mut(&address) else { return };
        held.count -= 1;
        if held.count == 0 {
            open.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares() -> Arc<Shares> {
        Arc::new(Shares::new(2, vec!["192.0.2.9".parse().unwrap()]))
    }

    #[test]
    fn an_address_gets_its_share_back_and_takes_nobody_elses() {
        let shares = shares();
        let enter = |peer: &str| shares.enter(peer.parse().unwrap());
        let first = enter("192.0.2.1");
        let _second = enter("::ffff:192.0.2.1");
        assert!(first.is_some() && enter("192.0.2.1").is_none());
        assert!(enter("192.0.2.2").is_some());
        drop(first);
        assert!(enter("192.0.2.1").is_some());
        let _net = [enter("2001:db8::1"), enter("2001:db8::2")];
        assert!(enter("2001:db8::3").is_none() && enter("2001:db8:0:1::3").is_some());
    }

    #[test]
    fn who_speaks_for_everybody_has_no_bound_and_nothing_is_remembered_of_who_left() {
        let shares = shares();
        for peer in ["127.0.0.1", "::1", "192.0.2.9", "::ffff:192.0.2.9"] {
            let many = (0..100).map(|_| shares.enter(peer.parse().unwrap())).collect::<Vec<_>>();
            assert!(many.iter().all(Option::is_some), "{peer}");
        }
        drop(shares.enter("192.0.2.1".parse().unwrap()));
        assert!(shares.open().is_empty());
    }
}
