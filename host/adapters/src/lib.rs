//! Drivers of the conductor's ports that speak to the outside. Today: git, the forge that is embedded in the host.

pub mod git;
