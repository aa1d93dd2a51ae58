//! What an answer may hold. Guest text is data: cut, made visible, counted; numbers are clamped; what breaks a rule of its type is
//! an invalid answer, and what is only too much is left out with a note.

mod fact;
mod gate;
mod guard;
mod others;

use domain::plugin::Failure;
use domain::time::{Milliseconds, Timestamp};
use domain::verdict::InfraCause;

use crate::bindings::exports::gatewright as guest;
use crate::bindings::gatewright::errors::errors;
use crate::fault::Fault;
use crate::text::{Lines, clean, is_word};
use crate::transcript::{Answer, Question};

const TITLE: usize = 200;
const DETAIL: usize = 16_000;
const PROSE: usize = 4_000;
const FLAW: usize = 1_000;
const FLAWS: usize = 100;
/// Bytes of all texts of one answer.
const TEXT_BYTES: usize = 2 * 1024 * 1024;
/// Every whole number that JSON's readers can hold.
const LARGEST: u64 = (1 << 53) - 1;
/// A guest may ask for this much quiet and no more.
const RETRY_AT_MOST: Milliseconds = Milliseconds::from_seconds(3600);
const WAIT_AT_LEAST: Milliseconds = Milliseconds::from_seconds(1);

/// What a guest returned, as it returned it.
pub(crate) enum Raw {
    Verdict(guest::gate::gate::Verdict),
    Decision(Result<guest::guard::guard::Decision, errors::Failure>),
    Forecast(Result<guest::estimator::estimator::Forecast, errors::Failure>),
    Notified(Result<(), errors::Failure>),
    Intent(Result<guest::status_mapper::status_mapper::Intent, errors::Failure>),
    Names(Result<Vec<String>, errors::Failure>),
    Flaws(Vec<errors::Flaw>),
}

/// What reading an answer needs to know besides it.
pub(crate) struct Reading<'a> {
    pub(crate) plugin: &'a str,
    pub(crate) now: Timestamp,
    pub(crate) amend: &'a [domain::plugin::Amendable],
    pub(crate) question: &'a Question,
    notes: Vec<String>,
    text_bytes: usize,
}

/// Reads an answer by all rules; the notes say what was left out.
pub(crate) fn read(raw: Raw, mut reading: Reading<'_>) -> (Result<Answer, Fault>, Vec<String>) {
    let answer = match raw {
        Raw::Verdict(verdict) => gate::read(verdict, &mut reading).map(Answer::Verdict),
        Raw::Decision(Ok(decision)) => {
            guard::read(decision, &mut reading).map(|decision| Answer::Decision(Ok(decision)))
        }
        Raw::Decision(Err(failed)) => reading.failure(failed).map(|failed| Answer::Decision(Err(failed))),
        Raw::Forecast(Ok(forecast)) => {
            others::forecast(forecast, &mut reading).map(|forecast| Answer::Forecast(Ok(forecast)))
        }
        Raw::Forecast(Err(failed)) => reading.failure(failed).map(|failed| Answer::Forecast(Err(failed))),
        Raw::Notified(Ok(())) => Ok(Answer::Notified(Ok(()))),
        Raw::Notified(Err(failed)) => reading.failure(failed).map(|failed| Answer::Notified(Err(failed))),
        Raw::Intent(Ok(intent)) => Ok(Answer::Intent(Ok(intent.into()))),
        Raw::Intent(Err(failed)) => reading.failure(failed).map(|failed| Answer::Intent(Err(failed))),
        Raw::Names(Ok(names)) => others::names(names, &mut reading).map(|names| Answer::Names(Ok(names))),
        Raw::Names(Err(failed)) => reading.failure(failed).map(|failed| Answer::Names(Err(failed))),
        Raw::Flaws(flaws) => others::flaws(flaws, &mut reading).map(|flaws| Answer::Flaws(Ok(flaws))),
    };
    (answer, reading.notes)
}

impl<'a> Reading<'a> {
    pub(crate) fn new(
        plugin: &'a str,
        now: Timestamp,
        amend: &'a [domain::plugin::Amendable],
        question: &'a Question,
    ) -> Self {
        Self { plugin, now, amend, question, notes: Vec::new(), text_bytes: 0 }
    }

    fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Counts a text before anything is done with it.
    fn count(&mut self, text: &str) -> Result<(), Fault> {
        self.text_bytes += text.len();
        if self.text_bytes > TEXT_BYTES {
            let message = format!("its answer holds more than {TEXT_BYTES} bytes of text");
            return Err(Fault::new(InfraCause::Output, message));
        }
        Ok(())
    }

    fn text(&mut self, text: &str, max: usize, lines: Lines) -> Result<String, Fault> {
        self.count(text)?;
        Ok(clean(text, max, lines))
    }

    /// Prose that must say something: nothing at all is shown as that.
    fn reason(&mut self, text: &str) -> Result<String, Fault> {
        let text = self.text(text, PROSE, Lines::Many)?;
        Ok(if text.trim().is_empty() { "no reason given".to_owned() } else { text })
    }

    /// A point in time that a guest may ask to be asked again at.
    fn until(&self, until: u64, patience: Milliseconds) -> Timestamp {
        let earliest = self.now.plus(WAIT_AT_LEAST);
        let latest = self.now.plus(patience).max(earliest);
        Timestamp(until.min(LARGEST)).clamp(earliest, latest)
    }

    fn retry_after(after_ms: Option<u64>) -> Option<Milliseconds> {
        after_ms.map(|after| Milliseconds(after).min(RETRY_AT_MOST))
    }

    /// The word of a cause, where a guest gave a word.
    fn cause(text: &str) -> InfraCause {
        InfraCause::Guest(if is_word(text) { text.to_owned() } else { "unnamed".to_owned() })
    }

    fn failure(&mut self, failed: errors::Failure) -> Result<Failure, Fault> {
        Ok(match failed {
            errors::Failure::Retry(retry) => Failure::Retry {
                cause: Self::cause(&retry.cause),
                message: self.reason(&retry.cause)?,
                after: Self::retry_after(retry.after_ms),
            },
            errors::Failure::GiveUp(message) => Failure::GiveUp { message: self.reason(&message)? },
        })
    }
}
