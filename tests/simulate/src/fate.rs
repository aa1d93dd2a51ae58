//! The fate of one life of the host: at which point it ends. Every write to its disk and every effect outside passes here, twice:
//! before it is done, and after.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where in an effect the host may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Point {
    /// The job is claimed; nothing was done yet.
    Claimed,
    /// Before a write to the disk.
    BeforeWrite,
    /// In the middle of a write: its beginning is there.
    TornWrite,
    /// After a write, unsynced as it is.
    AfterWrite,
    /// Before the disk is told to keep what was written.
    BeforeSync,
    /// After that.
    AfterSync,
    /// Before something outside is done.
    BeforeOutside,
    /// After it was done, before anybody heard of it.
    AfterOutside,
    /// All is done outside; nothing is recorded.
    Done,
}

impl Point {
    /// Every point.
    pub const ALL: [Self; 9] = [
        Self::Claimed,
        Self::BeforeWrite,
        Self::TornWrite,
        Self::AfterWrite,
        Self::BeforeSync,
        Self::AfterSync,
        Self::BeforeOutside,
        Self::AfterOutside,
        Self::Done,
    ];

    /// As tables spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::BeforeWrite => "before-write",
            Self::TornWrite => "torn-write",
            Self::AfterWrite => "after-write",
            Self::BeforeSync => "before-sync",
            Self::AfterSync => "after-sync",
            Self::BeforeOutside => "before-outside",
            Self::AfterOutside => "after-outside",
            Self::Done => "done",
        }
    }
}

/// Which point shall be the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doom {
    /// So many points that fit pass before.
    pub passing: u32,
    /// Only while this effect is performed; none: whatever is performed.
    pub effect: Option<&'static str>,
    /// Only at this point; none: at any.
    pub point: Option<Point>,
}

#[derive(Default)]
struct Thread {
    dead: bool,
    doom: Option<Doom>,
    effect: Option<&'static str>,
    died_at: Option<(Option<&'static str>, Point)>,
    torn: bool,
}

/// One life's fate.
#[derive(Default)]
pub struct Fate(Mutex<Thread>);

impl Fate {
    fn thread(&self) -> MutexGuard<'_, Thread> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A dead host does nothing any more, whatever its code still tries.
    pub fn is_dead(&self) -> bool {
        self.thread().dead
    }

    /// Ends this life here and now.
    pub fn end(&self) {
        self.thread().dead = true;
    }

    /// Decides which point shall be the last.
    pub fn doom(&self, doom: Doom) {
        self.thread().doom = Some(doom);
    }

    /// Is its end decided already?
    pub fn is_doomed(&self) -> bool {
        self.thread().doom.is_some()
    }

    /// Nothing ends this life any more by chance.
    pub fn spare(&self) {
        self.thread().doom = None;
    }

    /// What is performed from here on.
    pub fn perform(&self, effect: Option<&'static str>) {
        self.thread().effect = effect;
    }

    /// Where it ended, once it did at a point.
    pub fn died_at(&self) -> Option<(Option<&'static str>, Point)> {
        self.thread().died_at
    }

    /// True once, for the write in which this life ended.
    pub fn tear(&self) -> bool {
        let mut thread = self.thread();
        let is_torn = thread.died_at.is_some_and(|(_, point)| point == Point::TornWrite) && !thread.torn;
        thread.torn |= is_torn;
        is_torn
    }

    /// Passes a point. True: the host is dead, here or since before.
    pub fn pass(&self, point: Point) -> bool {
        let mut thread = self.thread();
        if thread.dead {
            return true;
        }
        let effect = thread.effect;
        let Some(doom) = &mut thread.doom else { return false };
        let fits = doom.point.is_none_or(|wanted| wanted == point);
        if !fits || doom.effect.is_some() && doom.effect != effect {
            return false;
        }
        if doom.passing > 0 {
            doom.passing -= 1;
            return false;
        }
        thread.dead = true;
        thread.died_at = Some((thread.effect, point));
        true
    }
}
