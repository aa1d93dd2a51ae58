//! The probe's port: told when a job is claimed, and when what it does outside is done and not yet recorded. The simulator and
//! the crash demonstration end the host at such points; everybody else does nothing.

use domain::effect::Claim;

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Point {
    /// Claimed; nothing was done yet.
    Claimed,
    /// Done outside; nothing was recorded yet.
    Done,
}

impl Point {
    /// As reports spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Done => "done",
        }
    }
}

/// Told of points.
pub trait Probe: Send + Sync {
    /// A job passes a point.
    fn at(&self, point: Point, claim: &Claim);
}

/// Looks away.
pub struct NoProbe;

impl Probe for NoProbe {
    fn at(&self, _point: Point, _claim: &Claim) {}
}
