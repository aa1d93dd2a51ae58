//! A stream that gives a reason where the parser of requests gives none: it answers by itself to what is no request, has too many
//! headers or two lengths, and nobody above it ever sees such a one.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::lengths::Lengths;

/// Headers that one request has at most.
pub(crate) const HEADERS: usize = 100;
/// Bytes that its line and its headers have together.
pub(crate) const HEADER_BYTES: usize = 64 * 1024;

/// How an answer without a body says so.
const EMPTY: &str = "content-length: 0\r\n";

/// A stream whose bare refusals say why.
pub(crate) struct Plain<S> {
    stream: S,
    lengths: Lengths,
    /// What is written instead of what was given, and how much of it is out.
    instead: Option<(Vec<u8>, usize)>,
}

impl<S> Plain<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, lengths: Lengths::default(), instead: None }
    }
}

/// Status, word, title and reason where there are too many headers, or too long ones.
fn long() -> (u16, &'static str, &'static str, String) {
    let detail = format!(
        "a request has at most {HEADERS} headers, and its line and headers at most {HEADER_BYTES} bytes together"
    );
    (431, "headers", "Request Header Fields Too Large", detail)
}

/// What is to be said instead of a refusal without a body; none: it is no such thing. No handler answers without a body by these.
fn instead(given: &[u8], lengths: &Lengths) -> Option<Vec<u8>> {
    let head = std::str::from_utf8(given.get(..given.len().min(512))?).ok()?;
    let (status, word, title, detail) = match head.strip_prefix("HTTP/1.1 ")?.get(..4)? {
        "400 " if lengths.are_two() => (
            400,
            "lengths",
            "Bad Request",
            "a request says how long it is by `content-length` or by `transfer-encoding`, and this one by both"
                .to_owned(),
        ),
        "400 " if lengths.is_wrong() => (
            400,
            "lengths",
            "Bad Request",
            "the `content-length` of a request is one number of bytes, and this one says none or two".to_owned(),
        ),
        "414 " | "431 " => long(),
        "400 " if lengths.is_long() => long(),
        "400 " => (400, "http", "Bad Request", "this is no request of HTTP/1.1".to_owned()),
        _ => return None,
    };
    if !head.ends_with("\r\n\r\n") || !head.contains(EMPTY) {
        return None;
    }
    let body = json!({"type": format!("urn:gatewright:{word}"), "title": title, "status": status, "detail": detail});
    let body = body.to_string();
    let with = format!(
        "content-type: application/problem+json\r\nx-content-type-options: nosniff\r\ncontent-length: {}\r\n",
        body.len()
    );
    let (_, rest) = head.split_once("\r\n")?;
    Some(format!("HTTP/1.1 {status} {title}\r\n{}{body}", rest.replacen(EMPTY, &with, 1)).into_bytes())
}

impl<S: AsyncRead + Unpin> AsyncRead for Plain<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { stream, lengths, .. } = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(stream).poll_read(context, buffer))?;
        if let Some(end) = lengths.look(&buffer.filled()[before..]) {
            // To the parser this ends no line and stands in none: it refuses the request, and reads no further.
            buffer.filled_mut()[before + end] = 0;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Plain<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, given: &[u8]) -> Poll<io::Result<usize>> {
        let Self { stream, lengths, instead: unsaid } = self.get_mut();
        if unsaid.is_none() {
            *unsaid = instead(given, lengths).map(|said| (said, 0));
        }
        // Whoever gave it gives the same again until all of it is out.
        while let Some((said, written)) = unsaid {
            if *written == said.len() {
                *unsaid = None;
                return Poll::Ready(Ok(given.len()));
            }
            match ready!(Pin::new(&mut *stream).poll_write(context, &said[*written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                more => *written += more,
            }
        }
        Pin::new(stream).poll_write(context, given)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn a_refusal_without_a_body_gets_one_whatever_fits_at_a_time() {
        let (near, mut far) = tokio::io::duplex(7);
        let mut plain = Plain::new(near);
        let bare = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        let writing = async {
            plain.write_all(bare).await.unwrap();
            plain.write_all(b"HTTP/1.1 431 X\r\ncontent-length: 2\r\n\r\nno").await.unwrap();
            drop(plain);
        };
        let mut told = String::new();
        let ((), read) = tokio::join!(writing, far.read_to_string(&mut told));
        read.unwrap();
        let (head, rest) = told.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("connection: close\r\n") && !head.contains("content-length: 0"), "{told}");
        let length: usize = head.split("content-length: ").nth(1).unwrap().parse().unwrap();
        let body: serde_json::Value = serde_json::from_str(&rest[..length]).unwrap();
        assert!(body["detail"].as_str().unwrap().contains("at most 100 headers"), "{body}");
        assert_eq!(&rest[length..], "HTTP/1.1 431 X\r\ncontent-length: 2\r\n\r\nno", "what has a body keeps it");
    }
}
