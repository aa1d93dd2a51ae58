//! The operator's listener: the API, the board page and the event stream, over the `Store` port and a small [`Desk`].
//!
//! [`serve`] binds nothing itself: it takes a listener, refuses one that is not on loopback, and answers until its shutdown
//! future ends. [`api`] holds the requests and answers as types, so that the CLI and this crate cannot disagree about them.
//!
//! What holds for every route, whoever wrote its handler: the `Host` header names this machine's loopback with our port, a
//! cross-site request gets nothing, a write carries the operator's token, a body is at most 1 MiB of flat JSON without
//! unknown fields, and an answer carries the headers that keep a hostile title from becoming a script.
//!
//! What is deliberately not promised: an intent is applied to the task as it stands, so `version` in its body narrows the
//! race with the host, it does not close it; the event stream says *that* something changed and never what.

pub mod api;

mod app;
mod body;
mod deed;
mod desk;
mod door;
mod find;
mod keyring;
mod log;
mod metrics;
mod openapi;
mod pages;
mod problem;
mod process;
mod route;
mod router;
mod routes;
mod serve;
mod show;
mod standing;
mod throttle;
mod timeline;
mod tongue;
mod visitor;

pub use app::{Clock, GatewayState, Luck, Token, TokenError};
pub use desk::{Desk, Disk, Health, HeldBy, Holding, Readings};
pub use metrics::{Meters, Received};
pub use process::tree_ticks;
pub use route::Need;
pub use router::{needs, router, routes};
pub use serve::{ServeError, serve};
