//! Who is refused by the head of his request and sends a large body all the same: he hears why.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::intake::{NEW, PUSH, listening, request, sign};
use crate::listener::host;
use crate::world::World;

/// More than stands between two sockets of one machine.
const LARGE: usize = 12 << 20;
/// Nothing here takes as long unless it hangs.
const LONGEST: Duration = Duration::from_mins(1);

/// Sends all of it before it reads anything, as simple clients do, and reads to the end of the answer's head.
async fn asked(stream: &mut TcpStream, head: &str, bytes: usize) -> String {
    let head = head.replacen("\r\n\r\n", &format!("\r\ncontent-length: {bytes}\r\n\r\n"), 1);
    let asked = async {
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![b'x'; bytes]).await.unwrap();
        let (mut answer, mut more) = (Vec::new(), [0; 4096]);
        while !answer.ends_with(b"}") {
            let read = stream.read(&mut more).await.unwrap();
            assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&more[..read]);
        }
        String::from_utf8(answer).unwrap()
    };
    tokio::time::timeout(LONGEST, asked).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_is_refused_by_its_head_is_heard_to_its_end() {
    let door = listening().await;
    let connect = async || TcpStream::connect(("127.0.0.1", door.port)).await.unwrap();
    let head = |more: &str| format!("POST /webhook/gitea HTTP/1.1\r\nhost: localhost\r\n{more}\r\n\r\n");
    for more in ["content-type: text/plain", "content-type: application/json\r\ncontent-encoding: gzip"] {
        let answer = asked(&mut connect().await, &head(&format!("{more}\r\nconnection: close")), LARGE).await;
        assert!(answer.starts_with("HTTP/1.1 415"), "{answer}");
        // What comes next on the connection is another request, and none of it was taken for the rest of the last one.
        let mut stream = connect().await;
        let answer = asked(&mut stream, &head(more), LARGE).await;
        assert!(answer.starts_with("HTTP/1.1 415"), "{answer}");
        let (id, signature) = (format!("after {}", more.len()).replace(' ', "-"), sign(NEW, PUSH.as_bytes()));
        let headers =
            [("x-gitea-signature", signature.as_str()), ("x-gitea-delivery", &id), ("x-gitea-event-type", "push")];
        stream.write_all(&request("/webhook/gitea", &headers, PUSH.as_bytes())).await.unwrap();
        let mut answer = String::new();
        tokio::time::timeout(LONGEST, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_at_the_board_with_a_large_body_hears_that_he_needs_a_token() {
    let world = World::new();
    let host = host(&world).await;
    let head = format!(
        "POST /api/v1/halt HTTP/1.1\r\nhost: localhost:{}\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n",
        host.port
    );
    let mut stream = TcpStream::connect(("127.0.0.1", host.port)).await.unwrap();
    let answer = asked(&mut stream, &head, LARGE).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

/// On a clock that runs: time that stands still while nothing is ready would run ahead of the bytes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_refused_and_never_ends_is_hung_up_on() {
    let world = World::new();
    let host = host(&world).await;
    let mut stream = TcpStream::connect(("127.0.0.1", host.port)).await.unwrap();
    let head = "POST /api/v1/halt HTTP/1.1\r\ntransfer-encoding: chunked\r\n";
    stream.write_all(format!("{head}host: localhost:{}\r\n\r\n", host.port).as_bytes()).await.unwrap();
    let (began, mut ticks) = (Instant::now(), tokio::time::interval(Duration::from_millis(50)));
    while stream.write_all(b"1\r\nx\r\n").await.is_ok() {
        assert!(began.elapsed() < LONGEST, "nobody listens for ever to who is refused");
        ticks.tick().await;
    }
}

/// He would send the body only after a `100 Continue`: he gets his no instead, and nothing is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_before_he_sends_is_told_no_and_sends_nothing() {
    let door = listening().await;
    let mut stream = TcpStream::connect(("127.0.0.1", door.port)).await.unwrap();
    let head =
        "POST /webhook/gitea HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/plain\r\nexpect: 100-continue\r\n";
    stream.write_all(format!("{head}content-length: {LARGE}\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(LONGEST, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 415") && answer.matches("HTTP/1.1").count() == 1, "{answer}");
}
