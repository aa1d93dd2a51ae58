//! As much of HTTP/1.1 as the agents' programs need.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::{Books, Record, Service};

/// No head of a request is longer.
const HEAD_BYTES: u64 = 256 * 1024;
/// No body that these services take.
const BODY_BYTES: u64 = 32 * 1024 * 1024;

/// A request that came in, and the way back.
pub(crate) struct Request {
    pub(crate) record: Record,
    /// Its number in the books.
    pub(crate) number: usize,
    stream: TcpStream,
}

impl Request {
    /// Reads it; none: the other side went away, or speaks another protocol.
    fn read(stream: TcpStream, books: &Books) -> Option<Self> {
        // Somebody who says nothing keeps no thread.
        stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
        let mut reader = BufReader::new(stream.try_clone().ok()?.take(HEAD_BYTES + BODY_BYTES));
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let mut words = line.split_whitespace();
        let line = format!("{} {}", words.next()?, words.next()?);
        let mut headers = Vec::new();
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header).ok()? == 0 || header.trim().is_empty() {
                break;
            }
            let (name, value) = header.split_once(':')?;
            headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length: u64 = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0).min(BODY_BYTES);
        let mut body = vec![0; usize::try_from(length).ok()?];
        reader.read_exact(&mut body).ok()?;
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let record = Record { line, headers, body, status: None, is_call: false };
        let number = books.enter(record.clone());
        Some(Self { record, number, stream })
    }

    pub(crate) fn answer(&mut self, books: &Books, status: u16, headers: &[(&str, &str)], body: &Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        books.answered(self.number, status);
        let more = headers.iter().fold(String::new(), |all, (name, value)| all + name + ": " + value + "\r\n");
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n{more}\r\n",
            body.len()
        );
        let _ = self.stream.write_all((head + &body).as_bytes());
    }

    /// Events, each with its name where it has one; then the end.
    pub(crate) fn stream(&mut self, books: &Books, events: &[Value]) {
        books.answered(self.number, 200);
        let mut text = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n".to_owned();
        for event in events {
            let name = event["type"].as_str().unwrap_or_default();
            text += &format!("event: {name}\ndata: {event}\n\n");
        }
        let _ = self.stream.write_all(text.as_bytes());
    }

    /// What a proxy says in the service's stead.
    pub(crate) fn page(&mut self, books: &Books) {
        books.answered(self.number, 200);
        let page = "<html><body>Welcome to the gateway.</body></html>";
        let head = format!("content-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n", page.len());
        let _ = self.stream.write_all(format!("HTTP/1.1 200 OK\r\n{head}\r\n{page}").as_bytes());
    }

    /// Ends the connection by a reset, as a service that dies does.
    pub(crate) fn cut(self) {
        let _ = rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO));
    }
}

/// Serves each request by `handle`, on a thread of its own.
///
/// # Panics
/// Where the loopback cannot be listened on.
pub(crate) fn serve(handle: impl Fn(Request, &Books) + Send + Sync + 'static) -> Service {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback can be listened on");
    let address = listener.local_addr().expect("a listener has an address");
    let books = Arc::new(Books::default());
    let (kept, handle) = (Arc::clone(&books), Arc::new(handle));
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            if kept.is_closed() {
                break;
            }
            let (books, handle) = (Arc::clone(&kept), Arc::clone(&handle));
            std::thread::spawn(move || {
                if let Some(request) = Request::read(stream, &books) {
                    handle(request, &books);
                }
            });
        }
    });
    Service::new(address, books)
}
