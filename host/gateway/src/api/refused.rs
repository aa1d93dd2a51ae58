//! Deliveries that were refused for their signature.

use domain::ids::ProjectName;
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// `GET /api/v1/deliveries/refused`: deliveries of one source and one flaw that were refused for their signature since the host started, as far as
/// they may be a sender's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedDeliveries {
    /// `plane`, `gitea`.
    pub source: String,
    /// What was wrong with their signatures.
    pub flaw: Flaw,
    /// The projects that they name; where their body was not waited for, all that take anything of the source and may be meant.
    pub projects: Vec<ProjectName>,
    /// How many.
    pub count: u64,
    /// When the first came.
    pub first_at: Timestamp,
    /// When the last came.
    pub last_at: Timestamp,
    /// From where: the eight that came last.
    pub addresses: Vec<RefusedFrom>,
    /// How many from further addresses.
    pub others: u64,
    /// What is known by that, and what may be done.
    pub advice: String,
}

/// What was wrong with a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flaw {
    /// There was none.
    Unsigned,
    /// There was something that is none: of another length, with SHA-1 alone, twice.
    Malformed,
    /// It was made with another secret.
    Unfit,
}

/// How many came from one address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedFrom {
    /// It; of IPv6, its network.
    pub address: std::net::IpAddr,
    /// How many.
    pub count: u64,
    /// Deliveries from there fitted before.
    pub fitted_before: bool,
}
