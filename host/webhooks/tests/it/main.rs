//! What the requests in `tests/fixtures` decode to, and what no request does.

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get ends it")]

mod hostile;
mod requests;
