//! What the house tests read: the packages with their arrows, the files with their text, the tests, and what they show.

mod arrows;
mod behaviours;
mod files;
mod source_tests;

pub use arrows::{Arrow, House};
pub use behaviours::{Behaviour, TestPath, behaviours, not_run};
pub use files::{SourceFile, files, root};
pub use source_tests::{Found, SourceTest, alone, function, read, source_tests};
