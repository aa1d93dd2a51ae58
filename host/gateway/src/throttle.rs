//! How many wrong tokens are taken before an answer is refused: by each peer, and by all together.
//!
//! A token has 256 bits, so nobody guesses one whatever the pace. The limit is there for what a guesser costs everybody else (a
//! line of the audit each, and the store's time), and for tokens that somebody shortened by hand.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use domain::time::{Milliseconds, Timestamp};

/// One peer: a person pastes the wrong line a few times, and then looks.
const OF_ONE: Pace = Pace { at_once: 5, every: 30_000 };
/// All peers together: a fleet of programs with a revoked token, not the audit's end.
const OF_ALL: Pace = Pace { at_once: 50, every: 1_000 };
/// Peers that are remembered; beyond them the one that failed longest ago is forgotten.
const PEERS: usize = 4096;

/// So many at once, then one in so many milliseconds.
struct Pace {
    at_once: u64,
    every: u64,
}

impl Pace {
    /// How long until the next one is taken; `full_at`: when all that was taken is forgotten again.
    fn wait(&self, full_at: u64, now: u64) -> Option<Milliseconds> {
        let over = full_at.saturating_sub(now).saturating_sub(self.every * (self.at_once - 1));
        (over > 0).then_some(Milliseconds(over))
    }

    fn take(&self, full_at: &mut u64, now: u64) {
        *full_at = (*full_at).max(now) + self.every;
    }
}

/// Wrong tokens so far.
#[derive(Default)]
pub(crate) struct Throttle(Mutex<Wrong>);

#[derive(Default)]
struct Wrong {
    peers: HashMap<IpAddr, u64>,
    all: u64,
}

impl Throttle {
    /// Counts a wrong token. The answer: how long to wait, where even saying that it is wrong would be too much.
    pub(crate) fn wrong(&self, peer: IpAddr, now: Timestamp) -> Option<Milliseconds> {
        let mut wrong = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let peer = network(peer);
        let waits = wrong.peers.get(&peer).and_then(|full_at| OF_ONE.wait(*full_at, now.0));
        // A stranger's failures lock nobody out who brings the right token: this is asked of wrong ones alone.
        if let Some(wait) = waits.max(OF_ALL.wait(wrong.all, now.0)) {
            return Some(wait);
        }
        OF_ALL.take(&mut wrong.all, now.0);
        if wrong.peers.len() >= PEERS && !wrong.peers.contains_key(&peer) {
            wrong.peers.retain(|_, full_at| *full_at > now.0);
            let oldest = wrong.peers.iter().min_by_key(|(_, full_at)| **full_at).map(|(peer, _)| *peer);
            if let Some(oldest) = oldest.filter(|_| wrong.peers.len() >= PEERS) {
                wrong.peers.remove(&oldest);
            }
        }
        OF_ONE.take(wrong.peers.entry(peer).or_default(), now.0);
        None
    }
}

/// Whose share what comes from there counts against; none: everybody may be behind it, for it is this machine or one of its proxies.
pub(crate) fn stranger(peer: IpAddr, proxies: &[IpAddr]) -> Option<IpAddr> {
    let peer = peer.to_canonical();
    (!peer.is_loopback() && !proxies.contains(&peer)).then(|| network(peer))
}

/// Who has an IPv6 address has 2^64 of them.
pub(crate) fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) & !u128::from(u64::MAX))),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn peer(last: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, last).into()
    }

    #[test]
    fn one_peer_has_five_wrong_tokens_and_then_one_in_half_a_minute() {
        let throttle = Throttle::default();
        let start = 1_000_000;
        for n in 0..5 {
            assert_eq!(throttle.wrong(peer(1), Timestamp(start + n)), None);
        }
        for _ in 0..2 {
            let wait = throttle.wrong(peer(1), Timestamp(start + 5));
            assert_eq!(wait, Some(Milliseconds(29_995)), "what is refused is not counted");
        }
        assert_eq!(throttle.wrong(peer(2), Timestamp(start + 5)), None, "another peer is not held up");
        assert_eq!(throttle.wrong(peer(1), Timestamp(start + 30_000)), None);
        assert!(throttle.wrong(peer(1), Timestamp(start + 30_001)).is_some());
    }

    #[test]
    fn many_peers_are_held_up_together_and_remembered_within_bounds() {
        let throttle = Throttle::default();
        let many = |n: u32| IpAddr::from(Ipv4Addr::from(0x0a00_0000 + n));
        let refused = (0..60).filter(|n| throttle.wrong(many(*n), Timestamp(0)).is_some()).count();
        assert_eq!(refused, 10);
        for n in 0..10_000 {
            throttle.wrong(many(n), Timestamp(u64::from(n) * 1_000));
        }
        assert!(throttle.0.lock().unwrap().peers.len() <= PEERS);
    }

    #[test]
    fn an_address_of_ipv6_is_its_network() {
        let same = ["2001:db8::1", "2001:db8::ffff:1"].map(|text| network(text.parse().unwrap()));
        assert_eq!(same[0], same[1]);
        assert_ne!(same[0], network("2001:db8:0:1::1".parse().unwrap()));
        assert_eq!(network("::ffff:192.0.2.1".parse().unwrap()), peer(1));
    }
}
