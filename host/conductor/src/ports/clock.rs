//! The clock's port: the one source of time and of random numbers.

use domain::time::Timestamp;

/// Time and luck.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
    /// A number that nobody can guess.
    fn random(&self) -> u64;
}
