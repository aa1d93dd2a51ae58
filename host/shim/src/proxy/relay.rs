//! Bytes from one side to the other, until both have said all.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Once one side has said all, the other may be silent for this long.
pub(super) const LAST_WORDS: Duration = Duration::from_mins(1);
pub(super) const BUFFER_BYTES: usize = 16 * 1024;
/// For a buffer and little more.
const STACK_BYTES: usize = 128 * 1024;

/// Returns when both directions are over.
pub(super) fn both_ways(client: &TcpStream, server: &TcpStream) -> io::Result<()> {
    for stream in [client, server] {
        stream.set_read_timeout(Some(LAST_WORDS))?;
    }
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let back = thread::Builder::new().stack_size(STACK_BYTES);
        back.spawn_scoped(scope, || pour(server, client, &over))?;
        pour(client, server, &over);
        Ok(())
    })
}

/// Likewise, where the server must begin its answer within `patience`: else `TimedOut`, and the client can still be told so.
pub(super) fn answered(client: &TcpStream, server: &TcpStream, patience: Duration) -> io::Result<()> {
    client.set_read_timeout(Some(LAST_WORDS))?;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let out = thread::Builder::new().stack_size(STACK_BYTES);
        out.spawn_scoped(scope, || pour(client, server, &over))?;
        let begun = begins(server, patience, LAST_WORDS, &over);
        if begun.is_ok() {
            pour(server, client, &over);
        } else {
            over.store(true, Ordering::SeqCst);
            // It wakes the other direction, and leaves the way to the client open.
            let _ = (client.shutdown(Shutdown::Read), server.shutdown(Shutdown::Both));
        }
        begun
    })
}

/// Waits for the first byte, or the end; leaves it where it is. For a client that has said all, as after the first byte: he may be gone.
fn begins(server: &TcpStream, patience: Duration, last_words: Duration, over: &AtomicBool) -> io::Result<()> {
    let until = Instant::now() + patience;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        let was_over = over.load(Ordering::SeqCst);
        server.set_read_timeout(Some(left.min(last_words)))?;
        match server.peek(&mut [0]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock && was_over => {
                return Err(ErrorKind::ConnectionAborted.into());
            }
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
            // What is wrong with it is found by the next reading.
            Ok(_) | Err(_) => return server.set_read_timeout(Some(LAST_WORDS)),
        }
    }
}

/// One direction. An end is handed on; an error ends both.
fn pour(mut from: &TcpStream, mut to: &TcpStream, over: &AtomicBool) {
    let mut buffer = [0_u8; BUFFER_BYTES];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => {
                let _ = to.shutdown(Shutdown::Write);
                break;
            }
            Ok(read) if to.write_all(&buffer[..read]).is_ok() => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock && !over.load(Ordering::SeqCst) => {}
            Ok(_) | Err(_) => {
                for stream in [from, to] {
                    // It is closed in a moment; this only wakes the other direction.
                    let _ = stream.shutdown(Shutdown::Both);
                }
                break;
            }
        }
    }
    over.store(true, Ordering::SeqCst);
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_silent_service_is_waited_for_no_longer_than_said_nor_for_a_client_that_is_gone() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut service, _) = listener.accept().unwrap();
        let (long, short) = (Duration::from_mins(10), Duration::from_millis(50));
        let waits = |patience, last_words, over| {
            begins(&server, patience, last_words, &AtomicBool::new(over)).map_err(|error| error.kind())
        };
        assert_eq!(waits(short, long, false), Err(ErrorKind::TimedOut));
        assert_eq!(waits(short, short / 5, false), Err(ErrorKind::TimedOut), "the client is there");
        assert_eq!(waits(long, short, true), Err(ErrorKind::ConnectionAborted));
        service.write_all(b"H").unwrap();
        assert_eq!(waits(long, long, true), Ok(()));
        let mut first = [0];
        (&server).read_exact(&mut first).unwrap();
        assert_eq!(&first, b"H", "it stays where it is");
    }
}
