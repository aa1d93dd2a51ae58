//! Who is at the door, and whose turn it is.
//!
//! A connection costs a descriptor as long as it is open, and one of few seats while a request of it is read and answered: from its
//! first byte to the end of its answer. Whoever says nothing has no seat, so nobody waits for him. Who finds no seat that is free waits for
//! one, in the order in which they came; of one address only so many are served at a time, so that the others need not wait for all of it.
//!
//! Open are as many as the process has descriptors for. When there is one more, the address that has most of them gives one up: the
//! one that has been silent longest, else the one that came last. So nobody fills the door for others, however many he brings.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::{Resource, getrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::throttle::stranger;

#[cfg(test)]
mod tests;

/// Requests that are read and answered at one time: each may bring 64 KiB of headers.
const SEATS: usize = 512;
/// Of one address, while it is no proxy: eight strangers must come together to keep everybody else waiting.
const SEATS_OF_ONE: usize = 64;
/// Connections that may stay open for another request. Above it each answer is the last of its connection.
const KEPT: usize = 512;
/// Connections that are open at one time, where there are descriptors for them.
const OPEN: usize = 16_384;
/// Descriptors of all the rest of the process.
const RESERVED: usize = 512;
/// Open connections where the process may have hardly any descriptors.
const FEWEST: usize = 128;

/// Told of each connection that was reset although it had something to say.
type Turned = Arc<dyn Fn(IpAddr) + Send + Sync>;

/// All that are at the door.
pub(super) struct Hall {
    most: usize,
    seats: Arc<Semaphore>,
    /// Whoever comes by one of them is somebody else.
    proxies: Vec<IpAddr>,
    turned: Turned,
    guests: Mutex<Guests>,
}

#[derive(Default)]
struct Guests {
    open: usize,
    /// The next number of those that wait.
    next: u64,
    groups: HashMap<IpAddr, Group>,
}

/// The connections of one address.
struct Group {
    open: usize,
    /// None: everybody may be behind it.
    seats: Option<Arc<Semaphore>>,
    /// Those without a seat, by the order in which they give their place up; each hears of it when its sender is dropped.
    waiting: BTreeMap<Rank, oneshot::Sender<()>>,
}

/// Who gives his place up first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// The longer it has been silent, the sooner.
    Silent(u64),
    /// The later it spoke, the sooner.
    Speaking(Reverse<u64>),
}

/// The place of an open connection, until it is dropped.
pub(super) struct Place {
    hall: Arc<Hall>,
    address: IpAddr,
    chairs: Chairs,
    rank: Option<Rank>,
}

/// Resolves when its connection must end for the sake of others.
pub(super) type Leave = oneshot::Receiver<()>;

/// Where seats are waited for.
#[derive(Clone)]
pub(super) struct Chairs {
    all: Arc<Semaphore>,
    own: Option<Arc<Semaphore>>,
}

/// The turn of one request, until it is dropped.
pub(super) struct Seat {
    _own: Option<OwnedSemaphorePermit>,
    _of_all: Option<OwnedSemaphorePermit>,
}

impl Hall {
    /// As large as the process may have descriptors.
    pub(super) fn new(proxies: Vec<IpAddr>, turned: Turned) -> Self {
        let descriptors = getrlimit(Resource::Nofile).current.and_then(|most| usize::try_from(most).ok());
        Self::of(descriptors.unwrap_or(usize::MAX).saturating_sub(RESERVED).clamp(FEWEST, OPEN), proxies, turned)
    }

    fn of(most: usize, proxies: Vec<IpAddr>, turned: Turned) -> Self {
        Self { most, seats: Arc::new(Semaphore::new(SEATS)), proxies, turned, guests: Mutex::default() }
    }

    /// A connection more. None: its own address has most of all and it is the last of them, so it must go.
    pub(super) fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let stranger = stranger(peer, &self.proxies);
        let address = stranger.unwrap_or_else(|| peer.to_canonical());
        let mut guests = self.guests();
        let room = if guests.open < self.most { Room::Free } else { guests.make_room(address) };
        let turned = match room {
            Room::Free => None,
            Room::Of(whose) => Some(whose),
            Room::None => Some(address),
        };
        let place = (room != Room::None).then(|| {
            guests.open += 1;
            let group = guests.groups.entry(address).or_insert_with(|| Group {
                open: 0,
                seats: stranger.map(|_| Arc::new(Semaphore::new(SEATS_OF_ONE))),
                waiting: BTreeMap::new(),
            });
            group.open += 1;
            let chairs = Chairs { all: self.seats.clone(), own: group.seats.clone() };
            Place { hall: self.clone(), address, chairs, rank: None }
        });
        drop(guests);
        if let Some(whose) = turned {
            (self.turned)(whose);
        }
        place
    }

    /// More are open than may stay for another request.
    pub(super) fn is_crowded(&self) -> bool {
        self.guests().open > KEPT.min(self.most / 2)
    }

    fn guests(&self) -> MutexGuard<'_, Guests> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether there is room for one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    /// There is; nobody who had something to say lost anything.
    Free,
    /// One of this address that had spoken was ended.
    Of(IpAddr),
    None,
}

impl Guests {
    /// One of the address that has most gives its place up; the last of all to speak is the one that comes.
    fn make_room(&mut self, coming: IpAddr) -> Room {
        let own = self.groups.get(&coming).map_or(0, |group| group.open);
        let waiting = self.groups.iter_mut().filter(|(_, group)| !group.waiting.is_empty());
        let Some((whose, group)) = waiting.max_by_key(|(_, group)| group.open) else { return Room::None };
        let is_own = *whose == coming;
        let Some(first) = group.waiting.first_entry() else { return Room::None };
        let spoke = matches!(first.key(), Rank::Speaking(_));
        if (is_own && spoke) || (!is_own && group.open <= own) {
            return Room::None;
        }
        first.remove();
        group.open -= 1;
        self.open -= 1;
        let (whose, is_last) = (*whose, group.open == 0);
        if is_last {
            self.groups.remove(&whose);
        }
        if spoke { Room::Of(whose) } else { Room::Free }
    }
}

impl Place {
    /// From now on it says nothing, and may be told to leave.
    pub(super) fn be_silent(&mut self) -> Leave {
        self.wait(Rank::Silent)
    }

    /// From now on it waits for a seat, and may be told to leave.
    pub(super) fn speak(&mut self) -> Leave {
        self.wait(|number| Rank::Speaking(Reverse(number)))
    }

    fn wait(&mut self, rank: impl Fn(u64) -> Rank) -> Leave {
        let (tell, leave) = oneshot::channel();
        let mut guests = self.hall.guests();
        guests.next += 1;
        let next = rank(guests.next);
        // Whoever gave his place up already hears of it by what is dropped here.
        if let Some(group) = guests.groups.get_mut(&self.address)
            && self.rank.is_none_or(|before| group.waiting.remove(&before).is_some())
        {
            group.waiting.insert(next, tell);
            self.rank = Some(next);
        }
        leave
    }

    /// It has a seat. False: it gave its place up before.
    pub(super) fn sit(&mut self) -> bool {
        let Some(rank) = self.rank else { return true };
        let mut guests = self.hall.guests();
        let is_here = guests.groups.get_mut(&self.address).is_some_and(|group| group.waiting.remove(&rank).is_some());
        if is_here {
            self.rank = None;
        }
        is_here
    }

    pub(super) fn chairs(&self) -> Chairs {
        self.chairs.clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut guests = self.hall.guests();
        let Some(group) = guests.groups.get_mut(&self.address) else { return };
        // Who gave his place up is counted no more.
        if self.rank.is_some_and(|rank| group.waiting.remove(&rank).is_none()) {
            return;
        }
        group.open -= 1;
        let is_last = group.open == 0;
        guests.open -= 1;
        if is_last {
            guests.groups.remove(&self.address);
        }
    }
}

impl Chairs {
    /// Waits for the address's own turn first, so that no more of one address stand in the line of all than may have a seat.
    pub(super) async fn seat(self) -> Seat {
        // Neither is ever closed.
        let own = match self.own {
            Some(own) => own.acquire_owned().await.ok(),
            None => None,
        };
        Seat { _own: own, _of_all: self.all.acquire_owned().await.ok() }
    }
}
