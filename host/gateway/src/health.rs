//! How the host feels: of which part something is wrong, for everybody; what it is, for whoever may look.

use serde::{Deserialize, Serialize};

/// A part of the host of which something may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// What runs are confined by.
    Sandbox,
    /// The room that is left.
    Disk,
    /// The operator's files.
    Files,
    /// Who works: their programs, keys and folders.
    Workers,
    /// Trackers and forges.
    Neighbours,
    /// The database.
    Store,
    /// The host's own end.
    Ending,
}

impl Part {
    /// What anybody may hear of it: no path, no name, no variable.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Sandbox => "the sandbox of runs does not work",
            Self::Disk => "too little of the disk is free: nothing is launched, the rest goes on",
            Self::Files => "an edit of the configuration has not taken hold",
            Self::Workers => "some work cannot begin: a program, a key or a folder is not there",
            Self::Neighbours => "a tracker or a forge cannot be asked",
            Self::Store => "the store does not serve",
            Self::Ending => "the host is ending",
        }
    }
}

/// Something that is wrong, or worth knowing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Where.
    pub part: Part,
    /// What, in a sentence.
    pub why: String,
}

impl Trouble {
    /// Of this part.
    pub fn of(part: Part, why: impl Into<String>) -> Self {
        Self { part, why: why.into() }
    }
}

/// How the host feels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// It launches what it should and answers what it must.
    pub ok: bool,
    /// What is wrong, or worth knowing.
    pub troubles: Vec<Trouble>,
}

/// `GET /readyz`: the same for whoever asks, and anybody may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// It launches what it should and answers what it must.
    pub ok: bool,
    /// Of what something is wrong, or worth knowing, a sentence each.
    pub reasons: Vec<String>,
}

impl From<Condition> for Health {
    fn from(condition: Condition) -> Self {
        let mut reasons = Vec::new();
        for trouble in condition.troubles {
            let reason = match trouble.part {
                // How far it is with its end it tells in figures alone, and whoever restarts it waits for them.
                Part::Ending => trouble.why,
                part => part.sentence().to_owned(),
            };
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        Self { ok: condition.ok, reasons }
    }
}
