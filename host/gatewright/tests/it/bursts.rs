//! A burst of deliveries at the built binary, over few connections and many, from this machine and from one far address: all of them
//! are taken, and no connection is refused.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::fixture::Place;
use crate::webhooks::{SECRET, delivery, door, place};

/// Nothing here takes as long unless it hangs.
const LONGEST: Duration = Duration::from_mins(3);

async fn send(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The status, and whether the connection is at its end.
async fn answer(stream: &TcpStream) -> io::Result<(u16, bool)> {
    let (mut text, mut more) = (Vec::new(), [0; 1024]);
    while !text.ends_with(b"}") {
        stream.readable().await?;
        match stream.try_read(&mut more) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => text.extend_from_slice(&more[..read]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    let text = String::from_utf8_lossy(&text).to_lowercase();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Ok((status, text.contains("connection: close")))
}

/// Sends the next number, and the next, on a connection that is made anew where the host ends it, and kept to the end of all.
async fn sender(address: SocketAddr, next: Arc<AtomicU32>, end: u32) -> io::Result<(Vec<u16>, TcpStream)> {
    let (mut stream, mut statuses, mut is_over) = (TcpStream::connect(address).await?, Vec::new(), false);
    loop {
        let number = next.fetch_add(1, Ordering::SeqCst);
        if number >= end {
            return Ok((statuses, stream));
        }
        if is_over {
            stream = TcpStream::connect(address).await?;
        }
        send(&stream, delivery(SECRET, number).as_bytes()).await?;
        let (status, closes) = answer(&stream).await?;
        statuses.push(status);
        is_over = closes;
    }
}

/// How many of these numbers were taken, each of the connections being open at once; whatever else happens ends the test.
fn burst(address: SocketAddr, connections: usize, numbers: std::ops::Range<u32>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let (next, mut senders) = (Arc::new(AtomicU32::new(numbers.start)), JoinSet::new());
        for _ in 0..connections {
            senders.spawn(sender(address, next.clone(), numbers.end));
        }
        let (mut kept, mut taken) = (Vec::new(), 0);
        let all = async {
            while let Some(ended) = senders.join_next().await {
                let (statuses, stream) = ended.unwrap().unwrap_or_else(|error| panic!("{connections}: {error}"));
                assert!(statuses.iter().all(|status| *status == 202), "{connections}: {statuses:?}");
                taken += statuses.len();
                kept.push(stream);
            }
        };
        tokio::time::timeout(LONGEST, all).await.unwrap_or_else(|_| panic!("{connections}: somebody still waits"));
        assert_eq!(taken, numbers.len(), "over {connections} connections");
    });
}

/// As many sockets as this process may have, and fewer than a burst needs where that is not enough.
fn sockets() -> usize {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    limit.maximum.map_or(10_000, |most| usize::try_from(most).unwrap().saturating_sub(1_000).min(10_000))
}

#[test]
fn a_burst_is_taken_over_however_many_connections() {
    let place = place("secret-files = [\"secrets/gitea\"]\n");
    let _host = place.serve();
    let address = door(&place).parse().unwrap();
    burst(address, 1, 0..200);
    burst(address, 1_000, 1_000..4_000);
    burst(address, sockets(), 10_000..20_000);
}

/// An address of this machine by which it is far from itself; none: it has no network.
fn far() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("198.51.100.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

/// Behind one address may be all senders of a network.
#[test]
fn a_burst_of_one_far_address_waits_and_is_not_refused() {
    let Some(far) = far() else { return };
    let place: Place = place("secret-files = [\"secrets/gitea\"]\n");
    let file = place.state().join("gatewright.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("[webhooks]\nlisten = \"127.0.0.1:0\"", "[webhooks]\nlisten = \"0.0.0.0:0\""))
        .unwrap();
    let _host = place.serve();
    let bound = door(&place).parse::<SocketAddr>().unwrap();
    assert!(bound.ip().is_unspecified(), "{bound}");
    let address = SocketAddr::new(far, bound.port());
    burst(address, 65, 0..1_000);
    burst(address, 300, 1_000..3_000);
    burst(address, sockets().min(3_000), 3_000..6_000);
}
