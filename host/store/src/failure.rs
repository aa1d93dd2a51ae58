//! What can go wrong inside a transaction, and how it looks from outside.

use conductor::ports::store::{Refusal, StoreError, Thing};
use rusqlite::ErrorCode;

/// A failure inside the store.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The answer itself is an error; the transaction's other requests are untouched.
    Told(StoreError),
    /// The database said so.
    Sql(rusqlite::Error),
    /// A row does not read as what it should be.
    Row {
        /// Of what kind.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Told(error)
    }
}

/// A value that does not fit what it is read as is damage of its row; the database did as it was told.
impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::Utf8Error(..) => Self::Row { what: "the database", why: error.to_string() },
            error => Self::Sql(error),
        }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Told(error) => error,
            Failure::Sql(error) => of_sql(&error),
            Failure::Row { what, why } => Self::Damaged(format!("a row of `{what}` does not read: {why}")),
        }
    }
}

pub(crate) fn not_found(what: Thing, id: impl ToString) -> Failure {
    Failure::Told(StoreError::NotFound { what, id: id.to_string() })
}

pub(crate) fn refused(why: Refusal) -> Failure {
    Failure::Told(StoreError::Refused(why))
}

/// See [`StoreError::inside`].
pub(crate) fn inside(why: impl Into<String>) -> Failure {
    Failure::Told(StoreError::inside(why))
}

/// Only what leaves the state of the database open is fatal: a broken constraint or a lock of a stranger wrote nothing.
pub(crate) fn of_sql(error: &rusqlite::Error) -> StoreError {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full(text),
        Some(
            ErrorCode::SystemIoFailure
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::OutOfMemory
            | ErrorCode::FileLockingProtocolFailed,
        ) => StoreError::Fatal(text),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy(text),
        Some(ErrorCode::ConstraintViolation) if by_trigger(error) => {
            StoreError::inside(format!("the database refuses: {text}"))
        }
        Some(ErrorCode::ConstraintViolation) => StoreError::Broken(format!("the database refuses: {text}")),
        _ => StoreError::Broken(text),
    }
}

/// Our own triggers say in a sentence of ours what must not be; all else that breaks is the database's word.
fn by_trigger(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_TRIGGER)
}
