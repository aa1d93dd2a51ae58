//! What a run says that it uses while it works: JSON objects in its log, a line each. The log is an agent's: a line without an
//! end, bytes that are no text and figures that go back cost a bounded amount of memory and never lower the count.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::Path;

use conductor::project::{Figures, Pointers};
use domain::cost::Usage;
use serde_json::Value;

use crate::lines::Lines;
use crate::report::usage_of;

/// A log that is read as it grows.
#[derive(Debug)]
pub(crate) struct Stream {
    pointers: Pointers,
    figures: Figures,
    id: Option<String>,
    lines: Lines,
    /// What counts without `last`.
    before: Usage,
    /// The last line that counted, and what it was about.
    last: Usage,
    about: Option<u64>,
}

impl Stream {
    pub(crate) fn new(pointers: Pointers, figures: Figures, id: Option<String>) -> Self {
        Self {
            pointers,
            figures,
            id,
            lines: Lines::default(),
            before: Usage::default(),
            last: Usage::default(),
            about: None,
        }
    }

    /// What it has said so far.
    pub(crate) fn usage(&self) -> Usage {
        match self.figures {
            Figures::Cumulative => self.last,
            Figures::Summed => joined(&self.before, &self.last, u64::saturating_add),
        }
    }

    /// Reads what is new in the log. Of one that grows no more all is read, and its last line needs no end.
    pub(crate) fn read(&mut self, log: &Path, is_over: bool) -> io::Result<()> {
        let mut lines = std::mem::take(&mut self.lines);
        let read = lines.read(log, is_over, &mut |object| self.count(object));
        self.lines = lines;
        read
    }

    #[cfg(test)]
    fn feed(&mut self, bytes: &[u8]) {
        let mut lines = std::mem::take(&mut self.lines);
        lines.feed(bytes, &mut |object| self.count(object));
        self.lines = lines;
    }

    fn count(&mut self, object: &Value) {
        let said = usage_of(&self.pointers, object);
        if !said.is_known() {
            return;
        }
        let about = self.id.as_deref().and_then(|pointer| object.pointer(pointer)).map(|about| {
            let mut hasher = DefaultHasher::new();
            about.to_string().hash(&mut hasher);
            hasher.finish()
        });
        let is_about_the_same = about.is_some() && about == self.about;
        if self.figures == Figures::Cumulative || is_about_the_same {
            self.last = joined(&self.last, &said, u64::max);
        } else {
            self.before = self.usage();
            self.last = said;
        }
        self.about = about;
    }
}

pub(crate) fn joined(one: &Usage, other: &Usage, join: fn(u64, u64) -> u64) -> Usage {
    let field = |field: fn(&Usage) -> Option<u64>| match (field(one), field(other)) {
        (Some(one), Some(other)) => Some(join(one, other)),
        (one, other) => one.or(other),
    };
    Usage {
        input_tokens: field(|usage| usage.input_tokens),
        output_tokens: field(|usage| usage.output_tokens),
        cache_read_tokens: field(|usage| usage.cache_read_tokens),
        cache_creation_tokens: field(|usage| usage.cache_creation_tokens),
        cost_microusd: field(|usage| usage.cost_microusd),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::LONGEST_LINE;

    fn stream(figures: Figures, id: Option<&str>) -> Stream {
        let pointer = |pointer: &str| Some(pointer.to_owned());
        let pointers = Pointers { output_tokens: pointer("/out"), cost_usd: pointer("/usd"), ..Pointers::default() };
        Stream::new(pointers, figures, id.map(str::to_owned))
    }

    fn said(stream: &Stream) -> (Option<u64>, Option<u64>) {
        (stream.usage().output_tokens, stream.usage().cost_microusd)
    }

    #[test]
    fn figures_are_added_up_or_the_largest_counts() {
        let log = b"{\"out\":3}\nnoise\n{\"out\":2,\"usd\":0.5}\n{\"other\":1}\n{\"out\":1}\n";
        let mut summed = stream(Figures::Summed, None);
        summed.feed(log);
        assert_eq!(said(&summed), (Some(6), Some(500_000)));
        let mut cumulative = stream(Figures::Cumulative, None);
        cumulative.feed(log);
        assert_eq!(said(&cumulative), (Some(3), Some(500_000)), "a figure that goes back lowers nothing");
    }

    #[test]
    fn lines_in_a_row_about_the_same_count_once() {
        let mut stream = stream(Figures::Summed, Some("/id"));
        stream.feed(b"{\"id\":\"a\",\"out\":3}\n{\"type\":\"user\"}\n{\"id\":\"a\",\"out\":5}\n");
        assert_eq!(said(&stream).0, Some(5));
        stream.feed(b"{\"id\":\"b\",\"out\":5}\n{\"out\":1}\n{\"out\":1}\n{\"usd\":2}\n");
        assert_eq!(said(&stream), (Some(12), Some(2_000_000)), "what says not what it is about stands alone");
    }

    #[test]
    fn however_the_log_is_cut_into_pieces_the_count_is_the_same() {
        let log = b"{\"id\":1,\"out\":3}\n {\"id\":1,\"out\":4}\r\n\xff\xfe{\n[1]\n{\"id\":2,\"out\":2,\"usd\":0.000001}\n{\"out\"";
        let mut whole = stream(Figures::Summed, Some("/id"));
        whole.feed(log);
        assert_eq!(said(&whole), (Some(6), Some(1)));
        for size in 1..log.len() {
            let mut pieces = stream(Figures::Summed, Some("/id"));
            log.chunks(size).for_each(|piece| pieces.feed(piece));
            assert_eq!(pieces.usage(), whole.usage(), "{size}");
        }
    }

    #[test]
    fn a_line_without_an_end_and_one_of_a_gigabyte_cost_no_memory() {
        let mut stream = stream(Figures::Summed, None);
        let piece = vec![b'7'; 64 * 1024];
        stream.feed(b"{\"out\":");
        for _ in 0..1000 {
            stream.feed(&piece);
            assert!(stream.lines.kept() <= 2 * LONGEST_LINE, "{}", stream.lines.kept());
        }
        assert_eq!(stream.lines.kept(), 0);
        stream.feed(b"}\n{\"out\":2}\n");
        assert_eq!(said(&stream).0, Some(2), "what follows is read");
        let mut large = b"{\"out\":3,\"text\":\"".to_vec();
        large.resize(1_000_000, b'x');
        large.extend(b"\"}\n");
        stream.feed(&large);
        assert_eq!(said(&stream).0, Some(5), "a line of a megabyte is one");
    }

    #[test]
    fn figures_that_are_none_say_nothing() {
        let mut stream = stream(Figures::Summed, Some("/id"));
        let deep = format!("{{\"out\":{}1{}}}\n", "[".repeat(10_000), "]".repeat(10_000));
        stream.feed(deep.as_bytes());
        stream.feed(b"{\"out\":-3}\n{\"out\":1e300}\n{\"out\":18446744073709551615}\n{\"out\":\"many\"}\n{\"usd\":-0.1}\n\0\0\n{\"out\":null}\n");
        assert_eq!(stream.usage(), Usage::default());
        for _ in 0..3 {
            stream.feed(b"{\"out\":999999999999999}\n");
        }
        assert_eq!(said(&stream).0, Some(2_999_999_999_999_997));
    }

    #[test]
    fn a_log_is_read_as_it_grows_and_its_last_line_needs_no_end() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut stream = stream(Figures::Summed, None);
        stream.read(&log, false).unwrap();
        std::fs::write(&log, "{\"out\":1}\n{\"out\":").unwrap();
        stream.read(&log, false).unwrap();
        assert_eq!(said(&stream).0, Some(1));
        std::fs::write(&log, "{\"out\":1}\n{\"out\":2}").unwrap();
        stream.read(&log, false).unwrap();
        assert_eq!(said(&stream).0, Some(1), "it may go on");
        stream.read(&log, true).unwrap();
        assert_eq!(said(&stream).0, Some(3));
    }
}
