//! What the requests in `tests/fixtures` decode to, and what no request does.

mod hostile;
mod requests;
