//! The log of a run, read from its end: a page never waits for the whole of it.
//!
//! What an agent wrote is bytes. A line is cut into pieces where it is too long for a page, what is no UTF-8 is replaced, and
//! what is invisible is spelled out by whoever shows it. Places in a log are offsets in bytes: they stay while it grows.

use std::io::{self, Read, Seek, SeekFrom};

use memchr::memmem;

/// Lines of a page.
pub(crate) const LINES: usize = 500;
/// The most that is read for a page, in bytes: 500 lines of 1 KiB.
const WINDOW: u64 = 512 * 1024;
/// A longer line goes on as another one.
const LONGEST_PIECE: usize = 2000;
/// Read at one time by a search.
const CHUNK: u64 = 1 << 20;
/// Read at most by one search: a tenth of a second from memory, a second or two from a disk.
const SEARCHED: u64 = 256 << 20;
/// Shown of one search.
const MATCHES: usize = 200;
/// Read on each side of what was found for the line that holds it, in bytes: 200 of them are 25 MiB, which takes some milliseconds.
const REACH: u64 = 64 * 1024;
/// Shown on each side of what was found, in bytes.
const AROUND: usize = 300;

/// A line, or a piece of a long one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Where it begins.
    pub(crate) at: u64,
    /// As it stands there.
    pub(crate) text: String,
    /// It goes on a line that began before.
    pub(crate) goes_on: bool,
}

impl Piece {
    /// Does it look as if something went wrong there?
    pub(crate) fn is_trouble(&self) -> bool {
        const SIGNS: [&str; 9] =
            ["error:", "error[", "Error:", "ERROR", "panicked at", "FAILED", "fatal:", "Traceback (most", "FATAL"];
        SIGNS.iter().any(|sign| self.text.contains(sign))
    }
}

/// A part of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) pieces: Vec<Piece>,
    /// Where it begins; zero: with the log.
    pub(crate) start: u64,
    /// Where it ends.
    pub(crate) end: u64,
    /// From where on it is followed: a line of a stream that is half written is read once more when it is whole.
    pub(crate) follow: u64,
    /// Bytes of the whole log.
    pub(crate) size: u64,
}

/// The lines that end at `end`, or at the end of the log.
pub(crate) fn before(log: &mut (impl Read + Seek), end: Option<u64>) -> io::Result<Part> {
    let size = log.seek(SeekFrom::End(0))?;
    let end = end.unwrap_or(size).min(size);
    let from = end.saturating_sub(WINDOW);
    let bytes = read(log, from, end)?;
    let mut pieces = pieces(&bytes, from, usize::MAX);
    // The first line of a window began before it, most likely: it is whole on the page before.
    let cut = if from > 0 { 1 + pieces.iter().skip(1).take_while(|piece| piece.goes_on).count() } else { 0 };
    if cut < pieces.len() {
        pieces.drain(..cut);
    }
    let first = pieces.len().saturating_sub(LINES);
    pieces.drain(..first);
    let start = pieces.first().map_or(end, |piece| piece.at);
    let last = pieces.iter().rev().find(|piece| !piece.goes_on);
    let is_half = bytes.last().is_some_and(|byte| *byte != b'\n');
    let half = last.filter(|last| is_half && last.text.starts_with('{') && !last.text.ends_with('}'));
    let follow = half.map_or(end, |last| last.at);
    Ok(Part { pieces, start, end, follow, size })
}

/// The lines from a place on, as far as they are whole; of too many the last ones.
pub(crate) fn after(log: &mut (impl Read + Seek), start: u64) -> io::Result<Part> {
    let size = log.seek(SeekFrom::End(0))?;
    if size.saturating_sub(start) > WINDOW {
        return before(log, None);
    }
    let start = start.min(size);
    let bytes = read(log, start, size)?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
    let end = start + whole as u64;
    Ok(Part { pieces: pieces(&bytes[..whole], start, usize::MAX), start, end, follow: end, size })
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// The lines that have it, the last one first, as far as they lie near it.
    pub(crate) pieces: Vec<Piece>,
    /// Bytes that were looked through.
    pub(crate) searched: u64,
    /// Where an older search would begin; none: all was looked through.
    pub(crate) older: Option<u64>,
}

/// The line in which a place lies, whole, if it is a line of an agent's stream of at most [`REACH`] bytes to each side.
pub(crate) fn object_at(log: &mut (impl Read + Seek), place: u64) -> io::Result<Option<Piece>> {
    let from = place.saturating_sub(REACH);
    let bytes = read(log, from, place + REACH)?;
    let middle = usize::try_from(place - from).unwrap_or(usize::MAX).min(bytes.len());
    let start = memchr::memrchr(b'\n', &bytes[..middle]).map(|newline| newline + 1).or((from == 0).then_some(0));
    let end = memchr::memchr(b'\n', &bytes[middle..]).map(|newline| middle + newline);
    let (Some(start), Some(end)) = (start, end) else { return Ok(None) };
    let line = &bytes[start..end];
    Ok(is_object(line).then(|| Piece { at: from + start as u64, text: text_of(line), goes_on: false }))
}

/// Looks for a text from `end` backwards, within bounds.
pub(crate) fn search(log: &mut (impl Read + Seek), text: &str, end: Option<u64>) -> io::Result<Found> {
    let size = log.seek(SeekFrom::End(0))?;
    let end = end.unwrap_or(size).min(size);
    let finder = memmem::FinderRev::new(text.as_bytes());
    let overlap = (text.len() + AROUND) as u64;
    let floor = end.saturating_sub(SEARCHED);
    let (mut found, mut high) = (Found::default(), end);
    while high > floor && !text.is_empty() {
        let low = high.saturating_sub(CHUNK).max(floor);
        let bytes = read(log, low.saturating_sub(overlap), (high + overlap).min(end))?;
        let base = low.saturating_sub(overlap);
        // What begins in this chunk is this chunk's; the overlap only shows what stands around it.
        let mut limit = (usize::try_from(high - base).unwrap_or(usize::MAX) + text.len() - 1).min(bytes.len());
        while let Some(place) = finder.rfind(&bytes[..limit]).filter(|place| base + *place as u64 >= low) {
            let (from, to) = around(&bytes, place, text.len());
            found.pieces.push(Piece { at: base + from as u64, text: text_of(&bytes[from..to]), goes_on: false });
            if found.pieces.len() == MATCHES {
                found.searched = end - (base + from as u64);
                found.older = Some(base + from as u64).filter(|at| *at > 0);
                return Ok(found);
            }
            // A line is shown once.
            limit = from;
        }
        high = low;
    }
    found.searched = end - high;
    found.older = Some(high).filter(|at| *at > 0);
    Ok(found)
}

/// The line around a place, cut where it is long.
fn around(bytes: &[u8], place: usize, length: usize) -> (usize, usize) {
    let low = boundary(bytes, place.saturating_sub(AROUND));
    let high = boundary(bytes, (place + length + AROUND).min(bytes.len()));
    let from = memchr::memrchr(b'\n', &bytes[low..place]).map_or(low, |newline| low + newline + 1);
    let to = memchr::memchr(b'\n', &bytes[place + length..high]).map_or(high, |newline| place + length + newline);
    (from, to.max(place + length))
}

fn read(log: &mut (impl Read + Seek), from: u64, to: u64) -> io::Result<Vec<u8>> {
    log.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    log.take(to.saturating_sub(from)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn pieces(bytes: &[u8], base: u64, longest_object: usize) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let (mut from, end) = (start, start + line.len());
        let text_end = start + line.strip_suffix(b"\n").unwrap_or(line).len();
        // A line of an agent's stream says something only as a whole; whoever shows it otherwise cuts it then.
        let longest = if is_object(&bytes[start..text_end]) { longest_object } else { LONGEST_PIECE };
        loop {
            let to = if text_end - from > longest { boundary(bytes, from + longest) } else { text_end };
            pieces.push(Piece { at: base + from as u64, text: text_of(&bytes[from..to]), goes_on: from > start });
            from = to;
            if from >= text_end {
                break;
            }
        }
        start = end;
    }
    pieces
}

/// Does a line look like a JSON object?
fn is_object(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line.starts_with(b"{") && line.ends_with(b"}") && std::str::from_utf8(line).is_ok()
}

/// A line that is kept whole, cut as every other one.
pub(crate) fn cut(piece: Piece) -> Vec<Piece> {
    if piece.text.len() <= LONGEST_PIECE {
        return vec![piece];
    }
    let mut cut = pieces(piece.text.as_bytes(), piece.at, LONGEST_PIECE);
    cut[0].goes_on = piece.goes_on;
    cut
}

/// The place itself, or the beginning of the character that it would cut.
fn boundary(bytes: &[u8], place: usize) -> usize {
    let is_inner = |place: usize| bytes.get(place).is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000);
    (0..4).map(|back| place.saturating_sub(back)).find(|place| !is_inner(*place)).unwrap_or(place)
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.strip_suffix(b"\r").unwrap_or(bytes)).into_owned()
}

#[cfg(test)]
mod tests;
