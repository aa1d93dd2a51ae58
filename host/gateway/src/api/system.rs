//! What the host can rely on.

use conductor::Unreachable;
use serde::{Deserialize, Serialize};

use super::{Backups, Block, Holding};
use crate::health::Trouble;

/// `GET /api/v1/system`: what this host can rely on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct System {
    /// What is wrong, or worth knowing.
    #[serde(default)]
    pub troubles: Vec<Trouble>,
    /// Trackers and forges of which the last look failed.
    #[serde(default)]
    pub unreachable: Vec<Unreachable>,
    /// By what runs are held.
    pub runs_held: Vec<Holding>,
    /// What is remembered of backups, unless that cannot be read.
    pub backups: Block<Backups>,
}
