//! `gatewright backup` and `gatewright restore`: one file that holds what a power cut at one moment would have left, and a new
//! state folder made of it.
//!
//! **What is in it.** The database of one moment with every blob that it names; of each project's repository the refs and
//! reflogs of the same moment, and all objects; the operator's files; a manifest with the sha256 of each. At its end stands a
//! seal over all bytes before it: a file that was cut short or changed has none that fits, and is refused by name.
//!
//! **One moment.** The database is read within one transaction. The refs are read before it begins and again once it has begun:
//! only where both are equal is the moment taken, else the next one is tried, with those that moved nearest to it. So a restored host finds what a crash leaves, and
//! does what it does after every crash.
//!
//! **What is not in it.** Runs, clones, briefs and caches: what was under way is launched again, as on a machine that lost them.
//! Secrets, unless they are asked for.

mod archive;
mod create;
mod manifest;
mod moment;
mod place;
mod record;
mod restore;
mod verify;

pub(crate) use create::create;
pub(crate) use record::{FILE as RECORD, read as read_record};
pub(crate) use restore::{Target, restore};
