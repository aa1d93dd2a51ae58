//! What is wanted of many at once, as the API takes it.

use domain::ids::{ProjectName, StepName};
use domain::task::HoldKind;
use serde::{Deserialize, Serialize};

/// `POST /api/v1/all/stop`, `pause`, `resume`: an intent for every task that it can mean.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForAll {
    /// Of this project alone.
    #[serde(default)]
    pub project: Option<ProjectName>,
    /// Only if they are still so many.
    #[serde(default, deserialize_with = "super::whole::read")]
    pub count: Option<u64>,
    /// Why; each task's timeline keeps it.
    #[serde(default)]
    pub note: String,
}

/// `POST /api/v1/all/retry`: what broke together is tried again together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForHeld {
    /// By what they are held.
    pub cause: HoldKind,
    /// At which step; left out: at none.
    #[serde(default)]
    pub step: Option<StepName>,
    /// Only if they are still so many.
    #[serde(default, deserialize_with = "super::whole::read")]
    pub count: Option<u64>,
    /// Why, or what to mind.
    #[serde(default)]
    pub note: String,
}

/// `POST /api/v1/deliveries/retry`: all that are parked are read once more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForParked {
    /// Only if they are still so many.
    #[serde(default, deserialize_with = "super::whole::read")]
    pub count: Option<u64>,
}

/// What that answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retried {
    /// How many are read once more.
    pub retried: u64,
    /// How many are parked still: a thousand are taken at one time.
    pub parked: u64,
}
