//! JSON objects in a file that grows, a line each. The file is an agent's: a line without an end and bytes that are no text cost
//! a bounded amount of memory.

use std::fs::OpenOptions;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use serde_json::Value;

/// A longer line is passed over: it is no report, and it is not kept in memory. In bytes. A last word may repeat whole files: those
/// that an agent wanted to write and might not.
pub(crate) const LONGEST_LINE: usize = 8 * 1024 * 1024;
/// What is read of a living run's log in one look at most; the next one goes on from there.
const LOOK_BYTES: u64 = 16 * 1024 * 1024;
/// What is read at one time.
const CHUNK: usize = 64 * 1024;

/// Where a reader stands in a file.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// What was read of it.
    offset: u64,
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// It is too long or no object: its rest is passed over.
    is_passed_over: bool,
}

impl Lines {
    /// Reads what is new. Of a file that grows no more all is read, and its last line needs no end.
    pub(crate) fn read(&mut self, path: &Path, is_over: bool, told: &mut impl FnMut(&Value)) -> io::Result<()> {
        match OpenOptions::new().read(true).custom_flags(OFlags::NOFOLLOW.bits() as i32).open(path) {
            Ok(file) => self.read_file(file, is_over, told),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// As [`Self::read`], of a file that is open.
    pub(crate) fn read_file(
        &mut self,
        mut file: std::fs::File,
        is_over: bool,
        told: &mut impl FnMut(&Value),
    ) -> io::Result<()> {
        file.seek(SeekFrom::Start(self.offset))?;
        let mut new = file.take(if is_over { u64::MAX } else { LOOK_BYTES });
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = new.read(&mut chunk)?;
            if read == 0 {
                break;
            }
            self.offset += read as u64;
            self.feed(&chunk[..read], told);
        }
        if is_over {
            self.end_line(told);
        }
        Ok(())
    }

    pub(crate) fn feed(&mut self, bytes: &[u8], told: &mut impl FnMut(&Value)) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = part.strip_suffix(b"\n").map_or((part, false), |text| (text, true));
            self.extend(text);
            if ends {
                self.end_line(told);
            }
        }
    }

    fn extend(&mut self, text: &[u8]) {
        if self.is_passed_over {
            return;
        }
        let text = if self.line.is_empty() { text.trim_ascii_start() } else { text };
        let begins_otherwise = self.line.is_empty() && text.first().is_some_and(|first| *first != b'{');
        if begins_otherwise || self.line.len() + text.len() > LONGEST_LINE {
            self.is_passed_over = true;
            self.line = Vec::new();
        } else {
            self.line.extend_from_slice(text);
        }
    }

    fn end_line(&mut self, told: &mut impl FnMut(&Value)) {
        if !self.is_passed_over
            && let Ok(object @ Value::Object(_)) = serde_json::from_slice(&self.line)
        {
            told(&object);
        }
        self.is_passed_over = false;
        self.line.clear();
    }

    /// What it keeps in memory, in bytes.
    #[cfg(test)]
    pub(crate) fn kept(&self) -> usize {
        if self.line.is_empty() { 0 } else { self.line.capacity() }
    }
}
