//! What the house tests read: the packages with their arrows, and the files with their text.

mod arrows;
mod files;

pub use arrows::{Arrow, House};
pub use files::{SourceFile, files, root};
