//! Places at which a test ends this process, or lets it stand still.

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, bail};
use conductor::ports::probe::{Point, Probe};
use domain::effect::Claim;

/// Each point of each job is a place at which a test may end this process.
pub(crate) struct KillPoints;

impl Probe for KillPoints {
    fn at(&self, point: Point, claim: &Claim) {
        kill_points::pass(&kill_points::job(claim.job.effect.name(), point.as_str()));
    }
}

/// Stands still at a point, so that the host can be killed exactly there.
pub(crate) struct HaltAt {
    place: HaltPlace,
    point: Point,
    seen: AtomicU64,
    job: AtomicU64,
}

/// At which of the jobs that this life of the host claims.
enum HaltPlace {
    /// The Nth one.
    Nth(u64),
    /// The first one with this effect.
    Effect(String),
}

impl HaltAt {
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        const FORM: &str = "--halt-at N:claimed or EFFECT:done";
        let (place, point) = text.split_once(':').context(FORM)?;
        let point = match point {
            "claimed" => Point::Claimed,
            "done" => Point::Done,
            _ => bail!(FORM),
        };
        let place = place.parse().map_or_else(|_| HaltPlace::Effect(place.to_owned()), HaltPlace::Nth);
        Ok(Self { place, point, seen: AtomicU64::new(0), job: AtomicU64::new(u64::MAX) })
    }
}

impl Probe for HaltAt {
    fn at(&self, point: Point, claim: &Claim) {
        if point == Point::Claimed {
            let seen = self.seen.fetch_add(1, Ordering::SeqCst) + 1;
            let meant = match &self.place {
                HaltPlace::Nth(wanted) => seen == *wanted,
                HaltPlace::Effect(name) => claim.job.effect.name() == name,
            };
            if meant {
                // The first one that is meant stays the one.
                let _ = self.job.compare_exchange(u64::MAX, claim.job.id.0, Ordering::SeqCst, Ordering::SeqCst);
            }
        }
        if point != self.point || self.job.load(Ordering::SeqCst) != claim.job.id.0 {
            return;
        }
        let told = serde_json::json!({"job": claim.job.id, "effect": claim.job.effect.name(), "point": point.as_str()});
        // Without a reader nobody will kill this process: then it just stands still.
        let _ = writeln!(anstream::stdout(), "halted {told}").and_then(|()| anstream::stdout().flush());
        loop {
            std::thread::park();
        }
    }
}
