//! Many connections at once: nobody waits for who says nothing, and what comes faster than it is answered waits for its turn.

use std::net::{IpAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use conductor::ports::inbox::DeliveryFilter;
use conductor::ports::store::{Store as _, StoreError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::holder::Holder;
use crate::intake::{Listening, NEW, PUSH, listening, listening_at, request, sign};
use crate::world::{NOW, project};

/// More than are answered at a time, or kept for another request.
const MANY: usize = 700;
/// Nothing here takes as long unless it hangs.
const LONGEST: Duration = Duration::from_mins(2);

fn delivery(id: &str) -> String {
    let signature = sign(NEW, PUSH.as_bytes());
    let headers = [("x-gitea-signature", signature.as_str()), ("x-gitea-delivery", id), ("x-gitea-event-type", "push")];
    let closing = String::from_utf8(request("/webhook/gitea", &headers, PUSH.as_bytes())).unwrap();
    closing.replacen("connection: close\r\n", "", 1)
}

/// The head of the answer to a delivery on a connection that may stay open.
async fn answered(stream: &mut TcpStream, id: &str) -> String {
    stream.write_all(delivery(id).as_bytes()).await.unwrap();
    let (mut answer, mut more) = (Vec::new(), [0; 2048]);
    while !answer.ends_with(b"}") {
        let read = stream.read(&mut more).await.unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&more[..read]);
    }
    String::from_utf8(answer).unwrap().to_lowercase()
}

async fn connect(host: &Listening) -> TcpStream {
    TcpStream::connect(("127.0.0.1", host.port)).await.unwrap()
}

/// Nothing came, and the other end is open.
fn is_open(stream: &TcpStream) -> bool {
    matches!(stream.try_read(&mut [0; 1]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

#[tokio::test]
async fn connections_that_say_nothing_keep_nobody_waiting() {
    let host = listening().await;
    let (mut silent, mut idle) = (Vec::new(), Vec::new());
    for number in 0..MANY {
        let mut stream = connect(&host).await;
        let answer = answered(&mut stream, &format!("idle-{number}")).await;
        assert!(answer.starts_with("http/1.1 202"), "{answer}");
        assert_eq!(answer.contains("connection: close"), idle.len() >= 512, "{}: {answer}", idle.len());
        if !answer.contains("connection: close") {
            idle.push(stream);
        }
    }
    for _ in 0..MANY {
        silent.push(connect(&host).await);
    }
    let mut late = connect(&host).await;
    let began = tokio::time::Instant::now();
    let answer = tokio::time::timeout(LONGEST, answered(&mut late, "late")).await.unwrap();
    assert!(answer.starts_with("http/1.1 202") && answer.contains("connection: close"), "{answer}");
    let waited_for = silent.iter().chain(&idle).filter(|stream| !is_open(stream)).count();
    assert!(waited_for == 0 || began.elapsed() < Duration::from_secs(5), "it waited until {waited_for} were closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn senders_who_keep_their_connections_are_all_answered() {
    let host = Arc::new(listening().await);
    let mut all = tokio::task::JoinSet::new();
    for sender in 0..MANY {
        let host = host.clone();
        all.spawn(async move {
            let mut stream = connect(&host).await;
            for number in 0..3 {
                let answer = answered(&mut stream, &format!("{sender}-{number}")).await;
                assert!(answer.starts_with("http/1.1 202"), "{answer}");
                if answer.contains("connection: close") {
                    stream = connect(&host).await;
                }
            }
        });
    }
    let ended = async {
        while let Some(ended) = all.join_next().await {
            ended.unwrap();
        }
    };
    tokio::time::timeout(LONGEST, ended).await.unwrap();
}

/// An address of this machine by which it is far from itself; none: it has no network.
pub(crate) fn far() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("198.51.100.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

/// Behind one address may be all senders of a network.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn senders_behind_one_far_address_wait_and_are_not_refused() {
    let Some(far) = far() else { return };
    let host = Arc::new(listening_at("0.0.0.0:0", |intake| intake).await);
    let connect = async || TcpStream::connect((far, host.port)).await.unwrap();
    let mut streams = Vec::new();
    for _ in 0..300 {
        streams.push(connect().await);
    }
    let mut all = tokio::task::JoinSet::new();
    for (sender, mut stream) in streams.into_iter().enumerate() {
        all.spawn(async move {
            let answer = answered(&mut stream, &sender.to_string()).await;
            assert!(answer.starts_with("http/1.1 202"), "{answer}");
            // Whoever was answered keeps his connection, and nobody's turn with it.
            stream
        });
    }
    let mut kept = Vec::new();
    let ended = async {
        while let Some(ended) = all.join_next().await {
            kept.push(ended.unwrap());
        }
    };
    tokio::time::timeout(LONGEST, ended).await.unwrap();
    assert_eq!(kept.len(), 300);
}

/// Whoever opens many connections at once comes late to the last of them; who has begun to speak has less time.
#[tokio::test(start_paused = true)]
async fn a_connection_may_be_silent_for_long_before_its_first_request() {
    let host = listening().await;
    let mut late = connect(&host).await;
    tokio::time::sleep(Duration::from_secs(50)).await;
    assert!(answered(&mut late, "late").await.starts_with("http/1.1 202"));
    let (mut never, began) = (connect(&host).await, tokio::time::Instant::now());
    assert_eq!(never.read(&mut [0; 1]).await.unwrap(), 0, "a minute is enough");
    assert!(began.elapsed() >= Duration::from_secs(59), "{:?}", began.elapsed());
    let (mut slow, began) = (connect(&host).await, tokio::time::Instant::now());
    slow.write_all(b"POST /webh").await.unwrap();
    let _ = slow.read_to_end(&mut Vec::new()).await;
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}

/// Requests that come in one piece are answered in their order, each on a seat.
#[tokio::test]
async fn what_comes_in_one_piece_is_answered_one_after_the_other() {
    let host = listening().await;
    let mut stream = connect(&host).await;
    let all = (0..20).map(|number| delivery(&format!("piece-{number}"))).collect::<String>();
    stream.write_all(all.as_bytes()).await.unwrap();
    let (mut answers, mut more) = (Vec::new(), [0; 4096]);
    while String::from_utf8_lossy(&answers).matches("HTTP/1.1 202").count() < 20 {
        let read = tokio::time::timeout(LONGEST, stream.read(&mut more)).await.unwrap().unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&answers));
        answers.extend_from_slice(&more[..read]);
    }
    assert_eq!(host.kept().len(), 20);
}

/// Not every sender comes again.
#[tokio::test]
async fn who_waits_for_a_turn_when_the_host_ends_is_heard_all_the_same() {
    let host = listening().await;
    // Every seat has somebody who goes on with nothing: he loses it within seconds.
    let mut seated = Vec::new();
    for number in 0..512 {
        let mut stream = connect(&host).await;
        let whole = delivery(&format!("seated-{number}"));
        let (head, body) = whole.split_once("\r\n\r\n").unwrap();
        stream.write_all(format!("{head}\r\n\r\n{}", &body[..5]).as_bytes()).await.unwrap();
        seated.push(stream);
    }
    let mut waiting = Vec::new();
    for number in 0..50 {
        let mut stream = connect(&host).await;
        stream.write_all(delivery(&format!("waiting-{number}")).as_bytes()).await.unwrap();
        waiting.push(stream);
    }
    // One that says nothing and ends is hung up on as soon as it is accepted, and so were all before it by then.
    let mut silent = connect(&host).await;
    silent.shutdown().await.unwrap();
    assert_eq!(silent.read(&mut [0; 1]).await.unwrap(), 0);
    assert!(waiting.iter().all(is_open));
    host.end.send(()).unwrap();
    for mut stream in waiting {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 202"), "{answer:?}");
    }
    let rows = host.store.deliveries(&DeliveryFilter::default(), 1000).unwrap();
    assert_eq!(rows.len(), 50);
    drop(seated);
}

/// The sender does not come again, so the delivery waits longer than whoever can ask again.
#[tokio::test]
async fn a_delivery_waits_while_another_program_holds_the_database() {
    let host = Arc::new(listening().await);
    let holder = Holder::of(host.dir.path());
    let sender = host.clone();
    let sent = tokio::spawn(async move { sender.gitea("1", NEW, PUSH).await });
    // What the second of these heard was tried after the delivery was.
    for _ in 0..2 {
        let store = host.store.clone();
        let refused =
            tokio::task::spawn_blocking(move || store.put_project(&project("demo", "DEMO"), NOW)).await.unwrap();
        assert!(matches!(refused, Err(StoreError::Busy(_))), "{refused:?}");
    }
    assert!(!sent.is_finished(), "it waits");
    holder.let_go();
    assert_eq!(sent.await.unwrap().0, 202);
    assert_eq!(host.kept().len(), 1);
}
