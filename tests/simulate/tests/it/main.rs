//! A few seeds of the simulator, and what its own machinery must keep.

mod patches;
mod seeds;
