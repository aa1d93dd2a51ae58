//! A request that says in two ways how long it is: who reads it one way and who reads it the other disagree on where the next one
//! begins, and so what stands in front of us lets pass what it never saw.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::intake::{NEW, listening, send, sign};
use crate::world::World;

/// Nothing here takes as long unless it hangs.
const LONGEST: Duration = Duration::from_secs(30);
const LENGTH: &str = "content-length: 5\r\n";
const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

/// A refusal by name.
fn is_refused(said: &str) -> bool {
    said.starts_with("HTTP/1.1 400 Bad Request\r\n")
        && said.contains("urn:gatewright:lengths")
        && said.contains("by `content-length` or by `transfer-encoding`")
        && said.contains("connection: close")
}

/// All that comes for pieces that are sent one after the other.
async fn answers(port: u16, pieces: &[&str]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for piece in pieces {
        // Whoever is refused early may hang up before all was sent.
        let _ = stream.write_all(piece.as_bytes()).await;
        let _ = stream.flush().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut all = Vec::new();
    let _ = tokio::time::timeout(LONGEST, stream.read_to_end(&mut all)).await.unwrap();
    String::from_utf8(all).unwrap()
}

fn post(more: &str, body: &str) -> String {
    format!("POST /webhook/gitea HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{more}\r\n{body}")
}

#[tokio::test]
async fn a_length_that_is_no_number_or_two_of_them_is_refused_by_name() {
    let host = listening().await;
    for lengths in ["content-length: abc\r\n", "content-length: -1\r\n", "content-length: 5\r\ncontent-length: 6\r\n"] {
        let said = answers(host.port, &[&post(lengths, "hello")]).await;
        assert!(said.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{lengths:?}: {said}");
        assert!(said.contains("urn:gatewright:lengths") && said.contains("says none or two"), "{lengths:?}: {said}");
    }
}

#[tokio::test]
async fn a_delivery_of_two_lengths_is_refused_by_name_whichever_stands_first() {
    let host = listening().await;
    for lengths in [
        format!("{LENGTH}{CHUNKED}"),
        format!("{CHUNKED}{LENGTH}"),
        format!("{CHUNKED}X-Between: 1\r\nCONTENT-LENGTH:5\r\n"),
        "content-length: 5\ntransfer-encoding: chunked\r\n".to_owned(),
        format!("{LENGTH}transfer-encoding: gzip, chunked\r\n"),
    ] {
        let said = answers(host.port, &[&post(&lengths, "0\r\n\r\n")]).await;
        assert!(is_refused(&said), "{lengths:?}: {said}");
        assert_eq!(said.matches("HTTP/1.1").count(), 1, "what follows is no request: {said}");
    }
    // However it is cut on its way.
    let whole = post(&format!("{CHUNKED}{LENGTH}"), "0\r\n\r\n");
    for at in [whole.find("chunked").unwrap(), whole.find("5\r\n").unwrap() + 1, whole.find("5\r\n").unwrap() + 2] {
        let said = answers(host.port, &[&whole[..at], &whole[at..]]).await;
        assert!(is_refused(&said), "cut at {at}: {said}");
    }
    assert_eq!(host.kept(), []);
}

#[tokio::test]
async fn a_later_request_of_a_connection_is_no_other() {
    let host = listening().await;
    let body = "nonsense";
    let signed = format!("x-gitea-signature: {}\r\n", sign(NEW, body.as_bytes()));
    let firsts = [
        post(&format!("{signed}content-length: {}\r\n", body.len()), body),
        post(&format!("{signed}{CHUNKED}"), "3;a=\"b\"\r\nnon\r\n5\r\nsense\r\n0\r\nx-trailer: 1\r\n\r\n"),
        "GET /elsewhere HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(),
        "\r\nGET /elsewhere HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(),
    ];
    let second = post(&format!("{LENGTH}{CHUNKED}"), "0\r\n\r\n");
    for first in firsts {
        let said = answers(host.port, &[&format!("{first}{second}")]).await;
        let at = said.rfind("HTTP/1.1 ").unwrap();
        assert!(at > 0 && is_refused(&said[at..]), "{first:?}: {said}");
        assert!(!is_refused(&said[..at]), "{first:?}: {said}");
    }
}

#[tokio::test]
async fn what_a_body_says_is_no_header() {
    let host = listening().await;
    let body = format!("x\r\n\r\nPOST / HTTP/1.1\r\n{LENGTH}{CHUNKED}\r\n");
    let signature = sign(NEW, body.as_bytes());
    let signed = format!("x-gitea-signature: {signature}\r\nconnection: close\r\n");
    let (one, other) = body.split_at(20);
    let chunks = format!("{:x}\r\n{one}\r\n{:x}\r\n{other}\r\n0\r\n\r\n", one.len(), other.len());
    for request in [
        post(&format!("{signed}content-length: {}\r\n", body.len()), &body),
        post(&format!("{signed}{CHUNKED}"), &chunks),
    ] {
        let (status, said) = send(host.port, request.as_bytes()).await;
        assert_eq!(status, 400, "{said}");
        assert!(said.contains("urn:gatewright:json"), "it was read whole: {said}");
    }
}

#[tokio::test]
async fn the_operators_listener_takes_none_either() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = tokio::spawn(gateway::serve(listener, world.state(), std::future::pending()));
    let request = format!("GET /healthz HTTP/1.1\r\nhost: localhost:{port}\r\n{CHUNKED}{LENGTH}\r\n0\r\n\r\n");
    let said = answers(port, &[&request]).await;
    assert!(is_refused(&said), "{said}");
    served.abort();
}
