//! What is said to whoever started the simulator.

use std::io::Write as _;

/// A line on the standard output. Whoever does not read it does not get it.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
