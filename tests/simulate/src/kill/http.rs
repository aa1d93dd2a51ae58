//! As much of HTTP as one needs to speak with a host on this machine: one request on one connection, answers in JSON.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// A host that does not answer within this time will not.
pub(super) const LONGEST: Duration = Duration::from_secs(30);

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// It said no, and why.
    No(u16, String),
    /// It is gone, or went in the middle of its answer: nobody knows what it did.
    Gone,
    /// Nobody closed the connection, and nobody said a word.
    Silent,
}

/// Where a host listens, and by whose right it is asked.
#[derive(Clone, Debug)]
pub(super) struct Client {
    address: String,
    token: String,
}

impl Client {
    /// `base` as the host says it: `http://127.0.0.1:8500`.
    pub(super) fn new(base: &str, token: &str) -> Self {
        let address = base.strip_prefix("http://").unwrap_or(base).trim_end_matches('/');
        Self { address: address.to_owned(), token: token.trim().to_owned() }
    }

    pub(super) fn get(&self, path: &str) -> Result<Value, NoAnswer> {
        self.ask("GET", path, None)
    }

    /// The same host, asked by another right.
    pub(super) fn with(&self, token: &str) -> Self {
        Self { address: self.address.clone(), token: token.to_owned() }
    }

    /// What browsers call the cookie of a session at this address: two hosts of one machine share its name.
    pub(super) fn cookie(&self, secret: &str) -> String {
        let port = self.address.rsplit(':').next().unwrap_or_default();
        format!("gatewright-{port}={secret}")
    }

    /// `POST`, `PUT` or `DELETE`.
    pub(super) fn send(&self, method: &str, path: &str, body: &Value) -> Result<Value, NoAnswer> {
        self.ask(method, path, Some(body))
    }

    fn open(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> std::io::Result<TcpStream> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(LONGEST))?;
        let (address, length) = (&self.address, body.len());
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        write!(stream, "{text}Content-Length: {length}\r\n\r\n{body}")?;
        Ok(stream)
    }

    /// What is answered to these very headers.
    pub(super) fn exchange(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Answer, NoAnswer> {
        let mut answer = Vec::new();
        let read = self.open(method, path, headers, body).and_then(|mut stream| stream.read_to_end(&mut answer));
        match read {
            Ok(_) => Answer::read(&answer),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Err(NoAnswer::Silent),
            Err(_) => Err(NoAnswer::Gone),
        }
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, NoAnswer> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let bearer = format!("Bearer {}", self.token);
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        self.exchange(method, path, &headers, &body)?.json()
    }

    /// Calls back for each change that the host tells of, until it is gone or nobody listens any more.
    pub(super) fn follow(&self, changed: impl Fn() -> bool + Send + 'static) -> std::io::Result<()> {
        let stream = self.open("GET", "/api/v1/events", &[("Authorization", &format!("Bearer {}", self.token))], "")?;
        // Silence is no fault here.
        stream.set_read_timeout(None)?;
        thread::Builder::new().name("events".into()).spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                if line.starts_with("data:") && !changed() {
                    return;
                }
            }
        })?;
        Ok(())
    }
}

/// An answer that came to its end. What was cut off is no answer, whatever its beginning says.
pub(super) struct Answer {
    pub(super) status: u16,
    head: String,
    pub(super) body: String,
}

impl Answer {
    fn read(answer: &[u8]) -> Result<Self, NoAnswer> {
        let text = String::from_utf8_lossy(answer);
        let (head, body) = text.split_once("\r\n\r\n").ok_or(NoAnswer::Gone)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok()).ok_or(NoAnswer::Gone)?;
        let answer = Self { status, head: head.to_owned(), body: body.to_owned() };
        let length = answer.header("content-length").and_then(|length| length.parse::<usize>().ok());
        if length.is_none_or(|length| length == body.len()) { Ok(answer) } else { Err(NoAnswer::Gone) }
    }

    pub(super) fn header(&self, wanted: &str) -> Option<&str> {
        let mut fields = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        fields.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
    }

    pub(super) fn json(&self) -> Result<Value, NoAnswer> {
        let body = serde_json::from_str::<Value>(&self.body);
        match (self.status, body) {
            (200..300, Ok(body)) => Ok(body),
            (200..300, Err(_)) => Err(NoAnswer::Gone),
            (status, body) => {
                let detail = body.ok().and_then(|body| body["detail"].as_str().map(str::to_owned));
                Err(NoAnswer::No(status, detail.unwrap_or_default()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(answer: &[u8]) -> Result<Value, NoAnswer> {
        Answer::read(answer)?.json()
    }

    #[test]
    fn an_answer_that_was_cut_off_is_none() {
        let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n{\"a\": 1}";
        assert_eq!(parse(whole).unwrap()["a"], 1);
        for end in 0..whole.len() {
            assert_eq!(parse(&whole[..end]), Err(NoAnswer::Gone), "{end}");
        }
    }

    #[test]
    fn a_no_keeps_its_reason() {
        let no = b"HTTP/1.1 409 Conflict\r\n\r\n{\"detail\": \"it is settled\"}";
        assert_eq!(parse(no), Err(NoAnswer::No(409, "it is settled".to_owned())));
        assert_eq!(parse(b"HTTP/1.1 500 No\r\n\r\n"), Err(NoAnswer::No(500, String::new())));
    }
}
