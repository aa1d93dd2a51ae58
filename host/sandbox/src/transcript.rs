//! The transcript: everything that a guest was asked, saw and said, in the broker's own types, and enough to ask it again offline.

use domain::ids::{Digest, PluginId, ProjectName};
use domain::plugin::{
    Amendable, Denial, EstimatorQuestion, Failure, Flaw, Forecast, GateSubject, GuardDecision, GuardQuestion, Limits,
    MapperIntent, NotifierNotice, PluginKind, Standing, StatusChange,
};
use domain::time::{Milliseconds, Timestamp};
use domain::verdict::{InfraCause, Verdict};
use serde::{Deserialize, Serialize};

use crate::exchange::Exchange;
use crate::output::LogLine;

/// The form of transcripts that this host writes and reads.
pub const TRANSCRIPT_VERSION: u32 = 1;

/// One call of a plugin, whole.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Transcript {
    /// The form of what follows.
    pub version: u32,
    /// In whose name it was asked.
    pub project: ProjectName,
    /// Who was asked.
    pub plugin: PluginId,
    /// The sha256 of the component.
    pub digest: Digest,
    /// What it is.
    pub kind: PluginKind,
    /// The time that it saw.
    pub at: Timestamp,
    /// Where its random numbers came from.
    pub seed: u64,
    /// What it might use.
    pub limits: Limits,
    /// What it might amend.
    pub amend: Vec<Amendable>,
    /// What it was asked, settings included.
    pub question: Question,
    /// What it asked of the host, in order, with the answers.
    pub calls: Vec<Exchange>,
    /// What it said for people.
    pub log: Vec<LogLine>,
    /// What it answered, after all rules about answers.
    pub answer: Answer,
    /// What was cut, left out or dropped of its answer, in sentences.
    pub notes: Vec<String>,
    /// What it was refused.
    pub denials: Vec<Denial>,
    /// The limits that it hit; with any, the answer is not replayable.
    pub limits_hit: Vec<InfraCause>,
    /// Microseconds that it took. Not part of what makes two transcripts equal.
    pub micros: u64,
}

impl PartialEq for Transcript {
    /// All but the duration.
    fn eq(&self, other: &Self) -> bool {
        let own =
            (self.version, &self.project, &self.plugin, &self.digest, self.kind, self.at, self.seed, &self.limits);
        let theirs = (
            other.version,
            &other.project,
            &other.plugin,
            &other.digest,
            other.kind,
            other.at,
            other.seed,
            &other.limits,
        );
        own == theirs
            && (&self.amend, &self.question, &self.calls, &self.log)
                == (&other.amend, &other.question, &other.calls, &other.log)
            && (&self.answer, &self.notes, &self.denials, &self.limits_hit)
                == (&other.answer, &other.notes, &other.denials, &other.limits_hit)
    }
}

/// What a plugin is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "function")]
pub enum Question {
    /// `gate.evaluate`
    Evaluate {
        /// About what.
        subject: Box<GateSubject>,
        /// How long it may wait.
        patience: Milliseconds,
    },
    /// `guard.decide`
    Decide {
        /// What.
        question: Box<GuardQuestion>,
        /// How long it may delay.
        patience: Milliseconds,
    },
    /// `estimator.estimate`
    Estimate {
        /// What.
        question: EstimatorQuestion,
    },
    /// `notifier.notify`
    Notify {
        /// What.
        notice: Box<NotifierNotice>,
    },
    /// `status-mapper.inbound`
    Inbound {
        /// About what.
        change: Box<StatusChange>,
    },
    /// `status-mapper.outbound`
    Outbound {
        /// About what.
        standing: Box<Standing>,
    },
    /// `validate`, of any kind.
    Validate {
        /// One JSON object.
        settings: String,
    },
}

impl Question {
    /// The function as the WIT names it.
    pub const fn function(&self) -> &'static str {
        match self {
            Self::Evaluate { .. } => "evaluate",
            Self::Decide { .. } => "decide",
            Self::Estimate { .. } => "estimate",
            Self::Notify { .. } => "notify",
            Self::Inbound { .. } => "inbound",
            Self::Outbound { .. } => "outbound",
            Self::Validate { .. } => "validate",
        }
    }
}

/// What a plugin answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// A gate's.
    Verdict(Verdict),
    /// A guard's.
    Decision(Result<GuardDecision, Failure>),
    /// An estimator's.
    Forecast(Result<Forecast, Failure>),
    /// A notifier's.
    Notified(Result<(), Failure>),
    /// A status-mapper's, inbound.
    Intent(Result<MapperIntent, Failure>),
    /// A status-mapper's, outbound.
    Names(Result<Vec<String>, Failure>),
    /// Anyone's, about settings.
    Flaws(Result<Vec<Flaw>, Failure>),
}

impl Answer {
    /// Whether this lets anything go on. After a denial or a limit only an answer that does not may stand.
    pub(crate) fn opens(&self) -> bool {
        match self {
            Self::Verdict(verdict) => verdict.opens() || matches!(verdict, Verdict::Wait { .. }),
            Self::Decision(decision) => {
                matches!(decision, Ok(decision) if !matches!(decision, GuardDecision::Hold { .. }))
            }
            Self::Flaws(flaws) => matches!(flaws, Ok(flaws) if flaws.is_empty()),
            Self::Forecast(answer) => answer.is_ok(),
            Self::Notified(answer) => answer.is_ok(),
            Self::Intent(answer) => answer.is_ok(),
            Self::Names(answer) => answer.is_ok(),
        }
    }
}
