//! The listener on a real socket: where it binds, whom it does not wait for, how it ends.

use std::time::Duration;

use gateway::{ServeError, TokenError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::bursts::far;
use crate::world::World;

pub(crate) struct Host {
    pub(crate) port: u16,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), ServeError>>,
}

pub(crate) async fn host(world: &World) -> Host {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (stop, stopped) = oneshot::channel::<()>();
    let state = world.state();
    let ended = tokio::spawn(gateway::serve(listener, state, async move { drop(stopped.await) }));
    Host { port, stop, ended }
}

async fn read(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    tokio::time::timeout(Duration::from_mins(1), stream.read_to_string(&mut text)).await.unwrap().unwrap();
    text
}

#[tokio::test]
async fn it_binds_elsewhere_only_under_a_name() {
    let world = World::new();
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let refused = gateway::serve(listener, world.state(), std::future::pending()).await.unwrap_err();
    assert!(refused.to_string().contains("is no loopback address, and no host is named"), "{refused}");
}

#[tokio::test]
async fn it_answers_under_the_port_that_it_has() {
    let world = World::new();
    let host = host(&world).await;
    for (named, status) in [(host.port, "200 OK"), (host.port ^ 1, "421 Misdirected Request")] {
        let mut stream = TcpStream::connect(("127.0.0.1", host.port)).await.unwrap();
        let request = format!("GET /healthz HTTP/1.1\r\nhost: localhost:{named}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        assert!(read(&mut stream).await.starts_with(&format!("HTTP/1.1 {status}")));
    }
    host.stop.send(()).unwrap();
    host.ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_shutdown_ends_open_streams_and_idle_connections() {
    let world = World::new();
    let host = host(&world).await;
    let mut idle = TcpStream::connect(("127.0.0.1", host.port)).await.unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", host.port)).await.unwrap();
    let request = format!("GET /api/v1/events HTTP/1.1\r\nhost: localhost:{}\r\n\r\n", host.port);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut first = [0; 16];
    stream.read_exact(&mut first).await.unwrap();
    host.stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(3), host.ended)
        .await
        .expect("it does not use up its grace")
        .unwrap()
        .unwrap();
    assert!(read(&mut stream).await.contains("event: hello"));
    assert_eq!(read(&mut idle).await, "");
}

#[tokio::test(start_paused = true)]
async fn headers_that_never_end_are_not_waited_for() {
    let world = World::new();
    let host = host(&world).await;
    let mut slow = TcpStream::connect(("127.0.0.1", host.port)).await.unwrap();
    slow.write_all(b"GET /healthz HTTP/1.1\r\nhost: local").await.unwrap();
    let before = tokio::time::Instant::now();
    let said = read(&mut slow).await;
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 408"), "{said}");
    assert!(before.elapsed() < Duration::from_secs(15), "{:?}", before.elapsed());
    host.stop.send(()).unwrap();
    host.ended.await.unwrap().unwrap();
}

/// Answered with this status, or hung up on.
async fn asked(address: std::net::IpAddr, port: u16) -> (TcpStream, String) {
    let mut stream = TcpStream::connect((address, port)).await.unwrap();
    let mut said = vec![0; 15];
    let request = b"GET /healthz HTTP/1.1\r\nhost: board.example\r\n\r\n";
    let answered = async {
        let _ = stream.write_all(request).await;
        stream.read_exact(&mut said).await.is_ok()
    };
    let is_answered = tokio::time::timeout(Duration::from_mins(1), answered).await.unwrap();
    let said = if is_answered { String::from_utf8(said).unwrap() } else { String::new() };
    (stream, said)
}

/// Whoever opens as many as he can leaves room for others; when he lets go of some, he may come again.
#[tokio::test]
async fn one_far_address_holds_half_of_the_connections_and_no_more() {
    let Some(far) = far() else { return };
    let world = World::new();
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut state = world.state();
    state.reach.hosts.push("board.example".to_owned());
    let served = tokio::spawn(gateway::serve(listener, state, std::future::pending()));
    let mut held = Vec::new();
    for number in 0..128 {
        let (stream, said) = asked(far, port).await;
        assert_eq!(said, "HTTP/1.1 200 OK", "{number}");
        held.push(stream);
    }
    for _ in 0..200 {
        let (_, said) = asked(far, port).await;
        assert_eq!(said, "", "it is hung up on at once");
    }
    for _ in 0..20 {
        let (_, said) = asked([127, 0, 0, 1].into(), port).await;
        assert_eq!(said, "HTTP/1.1 200 OK", "others are served");
    }
    drop(held);
    tokio::time::timeout(Duration::from_mins(1), async {
        while asked(far, port).await.1.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    served.abort();
}

#[test]
fn tokens_that_protect_nothing_are_refused_and_none_is_printed() {
    let long = "a-secret-of-some-length";
    assert_eq!(gateway::Token::new("x", "short").unwrap_err(), TokenError::Short);
    assert_eq!(gateway::Token::new("x", "").unwrap_err(), TokenError::Short);
    assert_eq!(gateway::Token::new(" ", long).unwrap_err(), TokenError::Unnamed);
    assert_eq!(gateway::Token::new("x", format!("{long}\n")).unwrap_err(), TokenError::Characters);
    assert!(!format!("{:?}", gateway::Token::new("x", long).unwrap()).contains(long));
}
