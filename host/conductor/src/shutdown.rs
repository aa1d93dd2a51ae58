//! How a host ends when it is told to: at once, for runs live on under their shims and the next host adopts them, or after what
//! runs has ended. Pure: signals and what is left are arguments.

use std::fmt;

/// What the first signal means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// Nothing more is claimed, what is being performed is done, runs are left to their shims.
    #[default]
    Leave,
    /// Nothing more is claimed, and runs are awaited.
    Drain,
}

/// How far the end has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Nobody told it to end.
    #[default]
    Serving,
    /// Runs are awaited.
    Draining,
    /// Only what is being performed is awaited.
    Leaving,
    /// Nothing is awaited. Nothing is lost by it: a host may die at any instant.
    AtOnce,
}

/// What is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Runs under shims that this host watches.
    pub runs: usize,
    /// Pieces of work that a thread has.
    pub pieces: usize,
}

impl Phase {
    /// A signal came. The second one means at once, whatever the first one meant.
    #[must_use]
    pub const fn after_signal(self, manner: Manner) -> Self {
        match (self, manner) {
            (Self::Serving, Manner::Leave) => Self::Leaving,
            (Self::Serving, Manner::Drain) => Self::Draining,
            (Self::Draining | Self::Leaving | Self::AtOnce, _) => Self::AtOnce,
        }
    }

    /// May new jobs be claimed?
    pub const fn claims(self) -> bool {
        matches!(self, Self::Serving)
    }

    /// Is there nothing left to wait for, so that the process may begin to end? Whoever leaves waits for its threads after that.
    pub const fn is_over(self, left: Left) -> bool {
        match self {
            Self::Serving => false,
            Self::Draining => left.runs == 0 && left.pieces == 0,
            Self::Leaving | Self::AtOnce => true,
        }
    }

    /// For the log and for `/readyz`; none: it serves.
    pub fn sentence(self, left: Left) -> Option<String> {
        match self {
            Self::Serving => None,
            Self::Draining => Some(format!("the host is draining: nothing new is claimed; {left}")),
            Self::Leaving => {
                Some("the host is ending: nothing new is claimed, runs go on under their shims".to_owned())
            }
            Self::AtOnce => Some("the host ends at once: runs go on under their shims".to_owned()),
        }
    }
}

impl fmt::Display for Left {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "runs under way: {}, pieces of work: {}", self.runs, self.pieces)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_signal_ends_in_the_chosen_manner_and_the_second_at_once() {
        let table = [
            (Phase::Serving, Manner::Leave, Phase::Leaving),
            (Phase::Serving, Manner::Drain, Phase::Draining),
            (Phase::Draining, Manner::Drain, Phase::AtOnce),
            (Phase::Leaving, Manner::Leave, Phase::AtOnce),
            (Phase::AtOnce, Manner::Drain, Phase::AtOnce),
        ];
        for (before, manner, expected) in table {
            assert_eq!(before.after_signal(manner), expected, "{before:?} {manner:?}");
        }
    }

    #[test]
    fn a_drain_is_over_when_nothing_runs_and_nothing_is_performed() {
        let left = |runs, pieces| Left { runs, pieces };
        for (phase, left, expected) in [
            (Phase::Serving, left(0, 0), false),
            (Phase::Draining, left(1, 0), false),
            (Phase::Draining, left(0, 1), false),
            (Phase::Draining, left(0, 0), true),
            (Phase::Leaving, left(3, 2), true),
            (Phase::AtOnce, left(3, 2), true),
        ] {
            assert_eq!(phase.is_over(left), expected, "{phase:?} {left:?}");
            assert_eq!(phase.claims(), phase == Phase::Serving);
            assert_eq!(phase.sentence(left).is_none(), phase == Phase::Serving);
        }
    }
}
