//! The built binary, as its users meet it: in a repository of their own, with agents of their own.

mod fixture;
mod hostile;
mod own_repository;
mod restarts;
mod strangers;
mod the_demo;
