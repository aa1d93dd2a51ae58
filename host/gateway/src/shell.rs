//! Lines for a shell, as they must be typed.

use std::path::Path;

/// A line of our command line for a state folder that no command finds by itself.
pub fn command(dir: Option<&Path>, line: &str) -> String {
    match (dir, line.strip_prefix("gatewright ")) {
        (Some(dir), Some(rest)) => format!("gatewright --dir {} {rest}", quoted(&dir.to_string_lossy())),
        _ => line.to_owned(),
    }
}

/// A word as a shell must be given it.
pub fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+:@%,=".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
