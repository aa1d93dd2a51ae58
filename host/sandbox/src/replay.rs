//! Replay: the same component, the same question, the recorded answers in order, and nothing from outside.

use domain::ids::Digest;
use domain::plugin::{Ceiling, Grant};

use crate::load::error::LoadError;
use crate::transcript::{Answer, TRANSCRIPT_VERSION, Transcript};

/// What came of a replay.
#[derive(Clone, Debug, PartialEq)]
pub struct Replayed {
    /// What the component answers now.
    pub answer: Answer,
    /// What the transcript says that it answered.
    pub recorded: Answer,
    /// Whether both are the same, and it asked the host the same, in the same order.
    pub same: bool,
    /// Whether a replay can say anything: where a limit made the answer, it may come out otherwise on another day.
    pub replayable: bool,
    /// The first call of the host that is not the recorded one.
    pub diverged: Option<String>,
    /// Recorded calls that it did not make.
    pub unasked: usize,
    /// The replay's own transcript.
    pub transcript: Transcript,
}

/// Why a transcript cannot be replayed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// It is no transcript.
    #[error("this is no transcript: {0}")]
    NoTranscript(String),
    /// It was written by another host.
    #[error("the transcript has the form {found}; this host reads {TRANSCRIPT_VERSION}")]
    OtherForm {
        /// What it says.
        found: u64,
    },
    /// These are not the bytes that answered.
    #[error("the transcript is of the component {recorded}, and these bytes are {given}")]
    OtherComponent {
        /// What the transcript names.
        recorded: Digest,
        /// What was given.
        given: Digest,
    },
    /// The component does not load.
    #[error("the component of the transcript does not load")]
    Load(#[from] LoadError),
}

/// Reads a transcript from its JSON.
pub fn read_transcript(encoded: &[u8]) -> Result<Transcript, ReplayError> {
    #[derive(serde::Deserialize)]
    struct Version {
        version: u64,
    }
    let no_transcript = |error: serde_json::Error| ReplayError::NoTranscript(error.to_string());
    let Version { version } = serde_json::from_slice(encoded).map_err(no_transcript)?;
    if version != u64::from(TRANSCRIPT_VERSION) {
        return Err(ReplayError::OtherForm { found: version });
    }
    serde_json::from_slice(encoded).map_err(no_transcript)
}

/// In a replay the transcript says what was granted: the grant is whatever was asked for.
pub(crate) fn open_grant(request: &domain::plugin::Request) -> (Grant, Ceiling) {
    let capabilities = request.entries.iter().map(|entry| entry.capability.clone()).collect();
    (Grant { capabilities, ..Grant::default() }, Ceiling::Open)
}
