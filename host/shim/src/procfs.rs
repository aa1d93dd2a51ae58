//! Files of `/proc` that hold names which anybody chooses: of a process, of a folder where something is mounted. The kernel writes
//! such names as the bytes that they are, so no such file is sure to be text, and what cannot be read must not be unseen for it.

use std::io;
use std::path::Path;

/// The file as text; of a name in it, what is no UTF-8 is shown as a replacement. Line feeds stay where they are.
pub(crate) fn read_lossy(path: impl AsRef<Path>) -> io::Result<String> {
    let bytes = std::fs::read(path)?;
    Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// A path as `mountinfo` writes it: blanks, line feeds and backslashes are a backslash and three octal digits, all else is bytes.
pub(crate) fn unescaped(written: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| (b'0'..=b'7').contains(&byte).then(|| u32::from(byte - b'0'));
    let mut rest = written;
    let mut path = Vec::with_capacity(written.len());
    while let Some((first, behind)) = rest.split_first() {
        let octal = match (first, behind) {
            (b'\\', [high, middle, low, ..]) => digit(*high).zip(digit(*middle)).zip(digit(*low)),
            _ => None,
        };
        let code = octal.and_then(|((high, middle), low)| u8::try_from(high * 64 + middle * 8 + low).ok());
        path.push(code.unwrap_or(*first));
        rest = behind.get(if code.is_some() { 3 } else { 0 }..).unwrap_or_default();
    }
    path
}

/// The part of a line before the first ` - ` of `mountinfo` and the one behind it.
pub(crate) fn halves(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let dash = line.windows(3).position(|three| three == b" - ")?;
    Some((line.get(..dash)?, line.get(dash + 3..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_text_is_read_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("status"), b"Name:\t\xe2\x82\nRssAnon:\t7 kB\n").unwrap();
        let read = read_lossy(folder.path().join("status")).unwrap();
        assert_eq!(read.lines().nth(1), Some("RssAnon:\t7 kB"));
        assert!(read_lossy(folder.path().join("none")).is_err());
    }

    #[test]
    fn a_path_of_any_bytes_comes_back_as_it_was() {
        for (written, path) in [
            (&b"/a\\040b\\134040\\012"[..], &b"/a b\\040\n"[..]),
            (b"/\xff\\011", b"/\xff\t"),
            (b"/\\043", b"/#"),
            (b"/x\\", b"/x\\"),
            (b"/x\\04", b"/x\\04"),
            (b"/x\\777", b"/x\\777"),
            (b"", b""),
        ] {
            assert_eq!(unescaped(written), path, "{}", String::from_utf8_lossy(written));
        }
    }
}
