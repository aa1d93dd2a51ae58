//! Where in the bytes of a connection a request begins, and whether it says in two ways how long it is. The parser of requests believes
//! the one and forgets the other before anybody above it could see that (RFC 9112, 6.1: such a one may be refused), so it is
//! looked for below it, by the parser's own rules: what these do not take, the parser refuses by itself. So is a head that is too long:
//! the parser looks at its bound only where it reads, and reads far beyond it at once.

use crate::plain::HEADER_BYTES;

/// Of a line so much is looked at; what matters is shorter.
const LINE: usize = 256;

/// What a connection is saying.
#[derive(Debug, Default)]
pub(crate) struct Lengths {
    place: Place,
    line: Line,
    /// Of the head that is being read.
    head: Head,
    /// Its bytes so far, with the empty lines before it.
    head_bytes: usize,
    is_long: bool,
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Before the first line of a request.
    #[default]
    Between,
    /// In its headers.
    Head,
    /// In a body of which so many bytes are left.
    Body(u64),
    /// In the line that tells the size of a chunk.
    Size,
    /// In a chunk of which, with the end of its line, so many bytes are left.
    Chunk(u64),
    /// In what follows the last chunk, to the empty line.
    Trailer,
    /// It has said what is refused: nothing that follows is looked at.
    Over,
}

/// The beginning of a line.
#[derive(Debug, Default)]
struct Line {
    bytes: Vec<u8>,
    is_longer: bool,
}

/// How a request says how long it is.
#[derive(Debug, Default)]
struct Head {
    length: Option<u64>,
    is_chunked: bool,
    /// A length is no number, or another one than the one before.
    is_wrong: bool,
}

impl Lengths {
    /// Looks at what came. The answer: the place of a byte that the parser must not read as it is, so that it refuses the request: the
    /// end of the line that says what is refused, or the first byte beyond the bound.
    pub(crate) fn look(&mut self, came: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < came.len() {
            match &mut self.place {
                Place::Over => return None,
                Place::Body(left) | Place::Chunk(left) => {
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(came.len() - at);
                    *left -= taken as u64;
                    at += taken;
                    if *left == 0 {
                        self.place = if matches!(self.place, Place::Body(_)) { Place::Between } else { Place::Size };
                    }
                }
                Place::Between | Place::Head | Place::Size | Place::Trailer => {
                    let rest = &came[at..];
                    let end = rest.iter().position(|byte| *byte == b'\n');
                    self.line.add(&rest[..end.unwrap_or(rest.len())]);
                    if matches!(self.place, Place::Between | Place::Head) {
                        let left = HEADER_BYTES - self.head_bytes;
                        let taken = end.map_or(rest.len(), |end| end + 1);
                        if taken > left {
                            self.place = Place::Over;
                            self.is_long = true;
                            return Some(at + left);
                        }
                        self.head_bytes += taken;
                    }
                    at += end? + 1;
                    let mut line = std::mem::take(&mut self.line);
                    let was_in_head = self.place == Place::Head;
                    self.place = self.after(&line);
                    line.clear();
                    self.line = line;
                    if was_in_head && self.place != Place::Head {
                        self.head_bytes = 0;
                    }
                    if self.place == Place::Over {
                        return Some(at - 1);
                    }
                }
            }
        }
        None
    }

    /// A request's line and headers were longer than they may be: nothing was read after that.
    pub(crate) fn is_long(&self) -> bool {
        self.is_long
    }

    /// A request said it in two ways: nothing was read after that.
    pub(crate) fn are_two(&self) -> bool {
        self.place == Place::Over && self.head.is_double()
    }

    /// A request's length was no number, or two of them: nothing was read after that.
    pub(crate) fn is_wrong(&self) -> bool {
        self.place == Place::Over && self.head.is_wrong
    }

    /// Where a line leads.
    fn after(&mut self, line: &Line) -> Place {
        let text = line.text();
        match self.place {
            Place::Between if text.is_empty() => Place::Between,
            Place::Between => {
                self.head = Head::default();
                Place::Head
            }
            Place::Head if text.is_empty() => self.head.body(),
            Place::Head if self.head.take(line) && !self.head.is_double() => Place::Head,
            Place::Head => Place::Over,
            Place::Size => match chunk(line) {
                Some(0) => Place::Trailer,
                Some(size) => size.checked_add(2).map_or(Place::Over, Place::Chunk),
                None => Place::Over,
            },
            Place::Trailer if text.is_empty() => Place::Between,
            Place::Trailer => Place::Trailer,
            Place::Body(_) | Place::Chunk(_) | Place::Over => Place::Over,
        }
    }
}

impl Line {
    fn add(&mut self, more: &[u8]) {
        let taken = more.len().min(LINE - self.bytes.len());
        self.bytes.extend_from_slice(&more[..taken]);
        self.is_longer |= taken < more.len();
    }

    /// Its room is the next one's.
    fn clear(&mut self) {
        self.bytes.clear();
        self.is_longer = false;
    }

    /// Without the end that a line of HTTP has.
    fn text(&self) -> &[u8] {
        self.bytes.strip_suffix(b"\r").unwrap_or(&self.bytes)
    }
}

impl Head {
    const fn is_double(&self) -> bool {
        self.length.is_some() && self.is_chunked
    }

    /// Takes note of a header. False: what it says of a length is none, or is not seen to its end.
    fn take(&mut self, header: &Line) -> bool {
        let text = header.text();
        let colon = text.iter().position(|byte| *byte == b':');
        let Some((name, value)) = colon.map(|colon| (&text[..colon], text[colon + 1..].trim_ascii())) else {
            return true;
        };
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.is_chunked = true;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let digits = value.iter().all(u8::is_ascii_digit).then(|| std::str::from_utf8(value).ok()).flatten();
            let length = digits.filter(|_| !header.is_longer).and_then(|digits| digits.parse::<u64>().ok());
            // Beside chunks any value is a second length.
            let length = length.or_else(|| self.is_chunked.then_some(0));
            self.is_wrong |= length.is_none() || self.length.is_some() && self.length != length;
            self.length = length;
            return !self.is_wrong;
        }
        true
    }

    /// What follows the head.
    const fn body(&self) -> Place {
        match self.length {
            _ if self.is_chunked => Place::Size,
            Some(length) if length > 0 => Place::Body(length),
            _ => Place::Between,
        }
    }
}

/// The size that a chunk's line tells; none: it tells none, or is not seen to its end.
fn chunk(line: &Line) -> Option<u64> {
    let text = line.text();
    let end = text.iter().position(|byte| *byte == b';');
    if line.is_longer && end.is_none() {
        return None;
    }
    let digits = text[..end.unwrap_or(text.len())].trim_ascii();
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where it is refused when it comes in pieces of this size; none: nowhere.
    fn refused(bytes: &[u8], size: usize) -> Option<usize> {
        let mut lengths = Lengths::default();
        let mut before = 0;
        for piece in bytes.chunks(size) {
            if let Some(end) = lengths.look(piece) {
                assert!(lengths.look(b"POST / HTTP/1.1\r\n").is_none(), "it is over");
                return Some(before + end);
            }
            before += piece.len();
        }
        None
    }

    #[test]
    fn the_second_length_is_found_wherever_it_stands_and_however_it_comes() {
        let first = "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n\r\n\n\
                     POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2 ;x\r\n\r\n\r\nA\r\n0123456789\r\n0\r\nt: 1\r\n\r\n\
                     GET / HTTP/1.1\r\n\r\n";
        for size in [1, 2, 3, 7, 1000] {
            assert_eq!(refused(first.as_bytes(), size), None, "{size}");
            for (second, is_two) in [
                ("POST / HTTP/1.1\r\ncontent-length: 1\r\nx: 1\r\ntransfer-encoding: chunked\r\n", true),
                ("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: none\r\n", true),
                ("POST / HTTP/1.1\r\nx-content-length: 1\r\ntransfer-encoding: chunked\r\n", false),
                ("POST / HTTP/1.1\r\ncontent-length: 1\r\n\r\n.transfer-encoding: chunked\r\n", false),
            ] {
                let all = format!("{first}{second}\r\n");
                let expected = is_two.then(|| all.len() - 3);
                assert_eq!(refused(all.as_bytes(), size), expected, "{second:?} by {size}");
            }
        }
    }

    #[test]
    fn a_head_is_as_long_as_it_may_be_and_no_longer_and_each_is_counted_anew() {
        let head = |bytes: usize| {
            let bare = "GET / HTTP/1.1\r\nx: \r\n\r\n".len();
            format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(bytes - bare))
        };
        let whole = head(HEADER_BYTES);
        for size in [1, 4096, 1 << 20] {
            assert_eq!(refused(whole.repeat(3).as_bytes(), size), None, "{size}");
            let long = format!("{whole}{}", head(HEADER_BYTES + 1));
            assert_eq!(refused(long.as_bytes(), size), Some(2 * HEADER_BYTES), "{size}");
            let endless = "\r\n".repeat(HEADER_BYTES);
            assert_eq!(refused(endless.as_bytes(), size), Some(HEADER_BYTES), "{size}");
        }
    }

    #[test]
    fn what_is_not_seen_to_its_end_is_not_let_through() {
        let long = format!("POST / HTTP/1.1\r\ncontent-length: {}1\r\n", "0".repeat(LINE));
        assert_eq!(refused(long.as_bytes(), 100), Some(long.len() - 1));
        let chunk = format!("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n{}1\r\n", "0".repeat(LINE));
        assert_eq!(refused(chunk.as_bytes(), 100), Some(chunk.len() - 1));
        let named = format!("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1;{}\r\n", "0".repeat(LINE));
        assert_eq!(refused(named.as_bytes(), 100), None);
    }

    #[test]
    fn a_long_line_says_nothing_of_those_after_it() {
        let long = format!("x: {}\r\n", "y".repeat(LINE));
        let whole = format!("POST / HTTP/1.1\r\n{long}content-length: 3\r\n\r\n\r\n\n{long}content-length: 0\r\n\r\n");
        let wrong = format!("{whole}POST / HTTP/1.1\r\n{long}content-length: none\r\n");
        for size in [1, 100, 1000] {
            assert_eq!(refused(whole.as_bytes(), size), None, "{size}");
            assert_eq!(refused(wrong.as_bytes(), size), Some(wrong.len() - 1), "{size}");
        }
    }
}
