//! The operator's listener: the API, the board page and the event stream, over the `Store` port and a small [`Desk`].
//!
//! [`serve`] binds nothing itself: it takes a listener, refuses one off loopback under which no host is named, and answers
//! until its shutdown future ends. [`api`] holds the requests and answers as types, so that the CLI and this crate cannot disagree about them.
//!
//! What holds for every route, whoever wrote its handler: the `Host` header names this listener, a cross-site request gets
//! nothing, a write carries a token of the right that its row in the table names, or a session's cookie with its key, a body
//! is at most 1 MiB of flat JSON or of a form, without unknown fields, and an answer carries the headers that keep a hostile
//! title from becoming a script.
//!
//! What is deliberately not promised: the event stream says *that* something changed and never what.

pub mod api;
pub mod shell;

mod again;
mod app;
mod body;
mod change;
mod deed;
mod denials;
mod desk;
mod done;
mod door;
mod find;
mod front;
mod health;
mod intake;
mod keyring;
mod lengths;
mod lingering;
mod log;
mod metrics;
mod misfits;
mod openapi;
mod pages;
mod plain;
mod problem;
mod process;
mod route;
mod router;
mod routes;
mod said;
mod serve;
mod share;
mod show;
mod standing;
mod stuck;
mod throttle;
mod timeline;
mod tongue;
mod transcript;
mod visitor;
mod worded;
mod words;

pub use app::{Clock, GatewayState, Luck, Token, TokenError};
pub use desk::{Backups, Desk, Disk, HeldBy, Holding, LastBackup, LastRestore, LoadedPlugin, Outline, Readings, Room};
pub use front::Reach;
pub use health::{Condition, Health, Part, Trouble};
pub use intake::{Hook, Hooks, Intake, LARGEST_DELIVERY, Look, Trust, serve_intake};
pub use metrics::Meters;
pub use process::tree_ticks;
pub use route::Need;
pub use router::{needs, router, routes};
pub use routes::tokens::{SECRET_PREFIX, new_token};
pub use serve::{ServeError, serve};
