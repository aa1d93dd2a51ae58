//! What a capability answers instead of an answer, and what becomes of it.
//!
//! `?` on a capability turns a [`HostError`] into what opens nothing: a gate's `infra`, any other kind's [`Failure`].

pub use crate::bindings::shared::gatewright::errors::errors::{
    Denial, Failure, Flaw, HostError, Refusal, Retry, UpstreamFailure,
};

impl Flaw {
    /// `pointer` is RFC 6901 (`/limits/0`); empty means the settings as a whole.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into() }
    }
}

impl HostError {
    /// For people, in one sentence.
    pub fn sentence(&self) -> String {
        match self {
            Self::Denied(denial) => format!("{} is denied: {}", denial.capability, denial.refused_by.sentence()),
            Self::NotFound => "there is no such thing".to_owned(),
            Self::TooLarge(limit) => format!("it is larger than {limit} bytes"),
            Self::Timeout => "it took too long".to_owned(),
            Self::Upstream(failure) if failure.status == 0 => format!("the answer is unreadable: {}", failure.message),
            Self::Upstream(failure) => format!("the other side answered {}: {}", failure.status, failure.message),
            Self::Invalid(why) => format!("the plugin asked wrongly: {why}"),
            Self::Exhausted(quota) => format!("a quota is used up: {quota}"),
            Self::Unavailable(why) => format!("it is not available: {why}"),
            Self::Other(why) => why.clone(),
        }
    }

    /// How long the other side asked us to wait, if it did.
    pub fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Self::Upstream(failure) => failure.retry_after_ms,
            _ => None,
        }
    }

    /// Might the same question be answered later?
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Timeout | Self::Upstream(_) | Self::Exhausted(_) | Self::Unavailable(_) | Self::Other(_))
    }
}

impl Refusal {
    /// For people: who refused.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::NotRequested => "the plugin does not request it",
            Self::NotGranted => "the project does not grant it",
            Self::AboveCeiling => "it is above the host's ceiling",
        }
    }
}

impl Failure {
    /// Ask again, at once or later as the host sees fit.
    pub fn retry(cause: impl Into<String>) -> Self {
        Self::Retry(Retry { cause: cause.into(), after_ms: None })
    }

    /// Ask again, but not sooner than this.
    pub fn retry_after(cause: impl Into<String>, after_ms: u64) -> Self {
        Self::Retry(Retry { cause: cause.into(), after_ms: Some(after_ms) })
    }

    /// Asking again will not help.
    pub fn give_up(cause: impl Into<String>) -> Self {
        Self::GiveUp(cause.into())
    }
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        if error.may_pass() {
            Self::Retry(Retry { cause: error.sentence(), after_ms: error.retry_after_ms() })
        } else {
            Self::GiveUp(error.sentence())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_asked_again() {
        let busy = UpstreamFailure { status: 503, message: "busy".to_owned(), retry_after_ms: Some(7) };
        assert_eq!(
            Failure::from(HostError::Upstream(busy)),
            Failure::retry_after("the other side answered 503: busy", 7)
        );
        assert_eq!(Failure::from(HostError::Timeout), Failure::retry("it took too long"));
    }

    #[test]
    fn a_denial_is_final_and_names_the_capability() {
        let denial = Denial { capability: "kv".to_owned(), refused_by: Refusal::NotGranted };
        let Failure::GiveUp(cause) = Failure::from(HostError::Denied(denial)) else { panic!("not final") };
        assert_eq!(cause, "kv is denied: the project does not grant it");
    }
}
