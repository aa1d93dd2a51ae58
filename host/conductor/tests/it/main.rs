//! The conductor on the real store, with small drivers of the other ports that keep a record of what they were asked.

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get ends it")]

mod breaking;
mod budgets;
mod cleaning;
mod clocks;
mod collecting;
mod conversations;
mod damage;
mod drivers;
mod ends;
mod guards;
mod hints;
mod inbox;
mod leases;
mod limits;
mod lives;
mod notices;
mod observing;
mod reconciling;
mod records;
mod rounds;
mod workers;
mod world;
