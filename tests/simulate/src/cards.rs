//! The tracker's side: what is written on cards, at once, unheard or late, and a log whose rows are shown late.
//!
//! The cards lie in the store, for they are the built-in board's. What was sent and lands late is written there by whichever host
//! lives then: to the board it is all the same.

use std::collections::BTreeSet;

use conductor::ports::store::{Store, StoreError};
use conductor::ports::tracker::{LogRow, TrackerError};
use domain::ids::{Actor, ProjectName, WorkItemId};
use domain::time::Timestamp;

use crate::fate::Point;
use crate::outlet::{Outlet, Silence, Whim};
use crate::weather::{Trouble, Weather};
use crate::world::{Shared, World, look};

/// What is written on a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Writing {
    /// Where it stands. It was asked for over what stood there: over anything else it is not written.
    Status {
        /// What whoever asked had read.
        over: String,
        /// What shall stand there.
        to: String,
    },
    /// A comment; one whose id is there is not written again.
    Comment {
        /// The host's id of it.
        key: String,
        /// What it says.
        text: String,
    },
}

/// A request to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// Whose board.
    pub project: ProjectName,
    /// Which card.
    pub item: WorkItemId,
    /// What.
    pub writing: Writing,
    /// When it was asked for, by the host's clock.
    pub at: Timestamp,
}

impl Post {
    /// The write itself, and the tracker's record of it.
    pub fn land(&self, world: &Shared, store: &dyn Store) -> Result<(), TrackerError> {
        let (project, item) = (&self.project, &self.item);
        let card = store.item(project, item).map_err(|error| away(&error))?;
        let Some(card) = card.filter(|card| card.gone.is_none()) else { return Err(TrackerError::Gone) };
        match &self.writing {
            Writing::Status { over, .. } if card.status != *over => {
                look(world).tell(|| format!("{item} was moved meanwhile and is left as it is"));
                Ok(())
            }
            Writing::Status { to, .. } => {
                store.move_item(project, item, to, &Actor::Host, self.at).map_err(|error| away(&error))
            }
            Writing::Comment { key, text } => {
                let is_new = store.put_comment(project, item, &Actor::Host, Some(key), text, self.at);
                let is_new = is_new.map_err(|error| away(&error))?;
                // One that was written before, and whose writer never heard so, is there all the same.
                let mut world = look(world);
                let times = world.cards.comments.entry((item.clone(), key.clone())).or_default();
                *times = if is_new { *times + 1 } else { (*times).max(1) };
                Ok(())
            }
        }
    }
}

fn away(error: &StoreError) -> TrackerError {
    TrackerError::Unavailable(error.to_string())
}

fn unanswered(silence: &Silence) -> TrackerError {
    match silence {
        Silence::Refused(text) => TrackerError::Refused(text.clone()),
        Silence::Dead | Silence::Busy { .. } | Silence::Lost(_) => TrackerError::Unavailable(silence.to_string()),
    }
}

impl Outlet {
    /// Asks the tracker to write.
    pub(crate) fn post(&self, store: &dyn Store, post: &Post) -> Result<(), TrackerError> {
        let what = match &post.writing {
            Writing::Status { to, .. } => format!("{} shows {to}", post.item),
            Writing::Comment { key, .. } => format!("{key} is written at {}", post.item),
        };
        if self.fate.is_dead() {
            return Err(unanswered(&Silence::Dead));
        }
        if self.fate.pass(Point::BeforeOutside) {
            if let Some(at) = self.is_under_way(&what) {
                look(&self.world).cards.under_way.push((at, post.clone()));
            }
            return Err(unanswered(&Silence::Dead));
        }
        let whim = self.whim(&what).map_err(|silence| unanswered(&silence))?;
        match whim {
            Some(Whim::Hanging) => {
                let at = self.hangs();
                look(&self.world).cards.under_way.push((at, post.clone()));
                return Err(unanswered(&Silence::Lost("no answer".to_owned())));
            }
            Some(Whim::Exists) => post.land(&self.world, store)?,
            _ => {}
        }
        post.land(&self.world, store)?;
        self.answered(&what, whim, ()).map_err(|silence| unanswered(&silence))
    }

    /// A look at the tracker.
    pub(crate) fn ask_tracker<T>(&self, look_at: impl FnOnce(&mut World) -> T) -> Result<T, TrackerError> {
        self.ask(look_at).map_err(|silence| unanswered(&silence))
    }
}

/// What was under way lands where it is due, on the board of the host that lives.
pub fn land(world: &Shared, store: &dyn Store) {
    let due = {
        let mut world = look(world);
        let (now, calm) = (world.now, world.weather == Weather::calm());
        world.cards.under_way.extract_if(.., |(at, _)| calm || *at <= now).collect::<Vec<_>>()
    };
    for (at, post) in due {
        look(world).tell(|| format!("what was under way to {} lands now", post.item));
        // The board's disk is ours: what it cannot keep now comes again.
        if matches!(post.land(world, store), Err(TrackerError::Unavailable(_))) {
            look(world).cards.under_way.push((at, post));
        }
    }
}

/// Some rows are shown a while after they were written, each card's in their order, and the cards' in any.
pub fn shown(world: &mut World, rows: Vec<LogRow>) -> (Vec<LogRow>, Option<u64>) {
    if !world.weather.has(Trouble::Deliveries) {
        return (rows, None);
    }
    let mut hidden = BTreeSet::new();
    let mut first_hidden = None;
    let mut rows = rows
        .into_iter()
        .filter(|row| {
            let now = world.now;
            let lag = if world.luck.in_thousand(200) { world.luck.below(60_000) } else { 0 };
            let at = *world.cards.shown_at.entry(row.order).or_insert(now + lag);
            if at > now && hidden.insert(row.work_item.clone()) || hidden.contains(&row.work_item) {
                first_hidden = first_hidden.or(Some(row.order));
                return false;
            }
            true
        })
        .collect::<Vec<_>>();
    if world.luck.in_thousand(300) {
        rows.sort_by(|one, other| other.work_item.cmp(&one.work_item).then(one.order.cmp(&other.order)));
    }
    (rows, first_hidden)
}
