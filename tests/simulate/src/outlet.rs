//! The way of one life to the outside: what it asks may be refused, be done and not be answered, be done later, or find that
//! somebody else was quicker; and people go on while it waits.
//!
//! Each answer behaves as the real ones do: *429* refuses all that follows until the time that it names; *408* and *503* did
//! nothing; *500* and *502* did it or not; after *nothing* time has passed, and it was done, or lands later, or never; *422* says
//! that it is there, for a request of ours that nobody heard of had landed before. *405* and *409* are the forge's own words about
//! where its branches stand: see [`crate::ports`].

use std::sync::{Arc, OnceLock};

use conductor::ports::store::Store;
use store::SqliteStore;

use crate::fate::{Fate, Point};
use crate::people;
use crate::weather::Trouble;
use crate::world::{Deed, Shared, World, look};

/// Why somebody outside gave no answer that one could use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Silence {
    /// Whoever asked is dead.
    Dead,
    /// It was refused, and surely not done.
    Refused(String),
    /// The same, and all else until then, in true time.
    Busy {
        /// When it takes requests again.
        until: u64,
    },
    /// No answer came, or one that says nothing: it may be done.
    Lost(String),
}

impl std::fmt::Display for Silence {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dead => formatter.write_str("the host is dead"),
            Self::Busy { .. } => formatter.write_str("429 Too Many Requests"),
            Self::Refused(text) | Self::Lost(text) => formatter.write_str(text),
        }
    }
}

/// What somebody outside answers but what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whim {
    /// 429.
    Busy,
    /// 408: it was not done, and that took a while.
    Slow,
    /// 503: it was not done.
    Away,
    /// 422: a request before this one had landed.
    Exists,
    /// 500 or 502: it was done.
    Broken,
    /// No answer, and it was done.
    Mute,
    /// No answer, and it lands later, whether its host lives or not.
    Hanging,
}

/// How long whoever gets no answer waits for it.
const TIMEOUT: u64 = 30_000;

/// One life's way to the outside: every effect goes through here.
pub struct Outlet {
    /// What is outside.
    pub world: Shared,
    /// Whose way.
    pub fate: Arc<Fate>,
    /// Which life.
    pub life: u64,
    /// Its store, once it is open: what people do while the host waits goes there.
    pub store: OnceLock<Arc<SqliteStore>>,
}

impl Outlet {
    /// Looks at something on this machine.
    pub fn see<T>(&self, look_at: impl FnOnce(&mut World) -> T) -> Result<T, Silence> {
        if self.fate.is_dead() {
            return Err(Silence::Dead);
        }
        let mut world = look(&self.world);
        if world.weather.has(Trouble::Outside) && world.luck.in_thousand(12) {
            world.tell(|| "a look at the machine fails".to_owned());
            return Err(Silence::Lost("the machine fails".to_owned()));
        }
        Ok(look_at(&mut world))
    }

    /// Looks at something far away.
    pub fn ask<T>(&self, look_at: impl FnOnce(&mut World) -> T) -> Result<T, Silence> {
        if self.fate.is_dead() {
            return Err(Silence::Dead);
        }
        let mut world = look(&self.world);
        busy(&world)?;
        if world.weather.has(Trouble::Outside) && world.luck.in_thousand(12) {
            let why = *world.luck.one_of(&["500 Internal Server Error", "502 Bad Gateway", "no answer"]);
            if why == "no answer" {
                wait(&mut world, TIMEOUT);
            }
            world.tell(|| format!("a look outside was answered by {why}"));
            return Err(Silence::Lost(why.to_owned()));
        }
        Ok(look_at(&mut world))
    }

    /// Nothing is done outside for an observed project.
    pub fn forbid(&self, what: &str) {
        let mut world = look(&self.world);
        if world.observed && !self.fate.is_dead() {
            world.wrongs.push(format!("{what}, and the project is observed"));
        }
    }

    /// Does something outside. It is done wholly, once, or not at all; whoever asked may never hear which. What is asked twice
    /// must be what was asked once.
    pub fn act<T: Send + 'static>(
        &self,
        what: &str,
        deed: impl Fn(&mut World) -> T + Send + 'static,
    ) -> Result<T, Silence> {
        if self.fate.is_dead() {
            return Err(Silence::Dead);
        }
        self.forbid(what);
        if self.fate.pass(Point::BeforeOutside) {
            if let Some(at) = self.is_under_way(what) {
                look(&self.world).late.push((at, later(deed)));
            }
            return Err(Silence::Dead);
        }
        let whim = self.whim(what)?;
        let done = match whim {
            Some(Whim::Hanging) => {
                let at = self.hangs();
                look(&self.world).late.push((at, later(deed)));
                return Err(Silence::Lost("no answer".to_owned()));
            }
            Some(Whim::Exists) => {
                let mut world = look(&self.world);
                drop(deed(&mut world));
                world.tell(|| format!("{what}: 422, it exists"));
                deed(&mut world)
            }
            _ => deed(&mut look(&self.world)),
        };
        self.answered(what, whim, done)
    }

    /// As [`Self::act`], on this machine's own disk: what a dead host's last child does there ends before another host begins,
    /// which waits for it at the host's lock.
    pub fn act_here<T>(&self, what: &str, deed: impl FnOnce(&mut World) -> T) -> Result<T, Silence> {
        if self.fate.is_dead() {
            return Err(Silence::Dead);
        }
        if self.fate.pass(Point::BeforeOutside) {
            let mut world = look(&self.world);
            if world.luck.in_thousand(500) {
                world.tell(|| format!("{what}, by the last child of a dead host"));
                drop(deed(&mut world));
            }
            return Err(Silence::Dead);
        }
        let fails = |world: &mut World| world.weather.has(Trouble::Outside) && world.luck.in_thousand(20);
        let mut world = look(&self.world);
        if fails(&mut world) {
            world.tell(|| format!("{what}: the machine does not do it"));
            return Err(Silence::Refused("the machine fails".to_owned()));
        }
        let done = deed(&mut world);
        world.tell(|| what.to_owned());
        if fails(&mut world) {
            world.tell(|| format!("{what}: the machine does it, and says that it failed"));
            return Err(Silence::Lost("the machine fails".to_owned()));
        }
        drop(world);
        self.heard(done)
    }

    /// What is answered instead of what was asked for. An error: it was not done.
    pub(crate) fn whim(&self, what: &str) -> Result<Option<Whim>, Silence> {
        let mut world = look(&self.world);
        busy(&world)?;
        if !world.weather.has(Trouble::Outside) || !world.luck.in_thousand(60) {
            return Ok(None);
        }
        let hanging = 12 * u64::from(world.weather.has(Trouble::LateLanding));
        let whims = [
            (6, Whim::Busy),
            (6, Whim::Slow),
            (6, Whim::Away),
            (10, Whim::Exists),
            (10, Whim::Broken),
            (8, Whim::Mute),
            (hanging, Whim::Hanging),
        ];
        let whim = world.luck.weighted(&whims);
        let refused = match whim {
            Whim::Busy => {
                let until = world.now + 1_000 + world.luck.below(90_000);
                world.busy_until = until;
                Silence::Busy { until }
            }
            Whim::Slow => {
                wait(&mut world, TIMEOUT / 2);
                Silence::Refused("408 Request Timeout".to_owned())
            }
            Whim::Away => Silence::Refused("503 Service Unavailable".to_owned()),
            other => return Ok(Some(other)),
        };
        world.tell(|| format!("{what} was refused by {refused}"));
        Err(refused)
    }

    /// It was done: whether anybody hears of it.
    pub(crate) fn answered<T>(&self, what: &str, whim: Option<Whim>, done: T) -> Result<T, Silence> {
        {
            let mut world = look(&self.world);
            world.tell(|| what.to_owned());
            let lost = match whim {
                Some(Whim::Broken) => Some(*world.luck.one_of(&["500 Internal Server Error", "502 Bad Gateway"])),
                Some(Whim::Mute) => Some("no answer"),
                _ => None,
            };
            if let Some(why) = lost {
                if whim == Some(Whim::Mute) {
                    wait(&mut world, TIMEOUT);
                }
                world.tell(|| format!("{what} was answered by {why}"));
                return Err(Silence::Lost(why.to_owned()));
            }
        }
        self.heard(done)
    }

    fn heard<T>(&self, done: T) -> Result<T, Silence> {
        self.interlude();
        if self.fate.pass(Point::AfterOutside) { Err(Silence::Dead) } else { Ok(done) }
    }

    /// When what got no answer lands.
    pub(crate) fn hangs(&self) -> u64 {
        let mut world = look(&self.world);
        wait(&mut world, TIMEOUT);
        world.now + world.luck.below(120_000)
    }

    /// The request was on its way when its host died: when it lands, if it does.
    pub(crate) fn is_under_way(&self, what: &str) -> Option<u64> {
        let mut world = look(&self.world);
        if !world.weather.has(Trouble::LateLanding) || world.luck.in_thousand(600) {
            return None;
        }
        world.tell(|| format!("{what} is under way while its host dies"));
        Some(world.now + world.luck.below(120_000))
    }

    /// Something happens while the host waits for an answer.
    pub fn interlude(&self) {
        let happens = {
            let mut world = look(&self.world);
            world.weather.has(Trouble::Interludes) && world.luck.in_thousand(60)
        };
        if let Some(store) = self.store.get().filter(|_| happens && !self.fate.is_dead()) {
            people::act(&self.world, store);
        }
    }

    /// The store as whoever is outside reaches it.
    pub fn store(&self) -> Option<&dyn Store> {
        self.store.get().map(|store| store.as_ref() as &dyn Store)
    }
}

fn busy(world: &World) -> Result<(), Silence> {
    let until = world.busy_until;
    if world.weather.has(Trouble::Outside) && world.now < until { Err(Silence::Busy { until }) } else { Ok(()) }
}

fn wait(world: &mut World, milliseconds: u64) {
    let to = world.now + milliseconds;
    world.tell(|| "and no answer comes for a while".to_owned());
    world.pass_time(to);
}

fn later<T: 'static>(deed: impl Fn(&mut World) -> T + Send + 'static) -> Deed {
    Box::new(move |world| drop(deed(world)))
}
