//! A service of the test's own behind a keyed door: what it was asked is kept, and its answer goes out when the test says so.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::scene::LONG;

/// All that was said on each connection.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    books: Arc<Books>,
    /// The end of a streamed answer waits for a word here.
    pub(crate) go_on: Sender<()>,
}

#[derive(Default)]
struct Books {
    state: Mutex<State>,
    closed: Condvar,
}

#[derive(Default)]
struct State {
    open: usize,
    said: Vec<String>,
}

/// An authority of the test's own, and what it gives out.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut parameters = CertificateParams::new(Vec::<String>::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { issuer: CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap() }
    }

    /// Where others find it.
    pub(crate) fn write(&self, file: &Path) {
        std::fs::write(file, self.issuer.pem()).unwrap();
    }

    /// A server that shows a certificate for `name`.
    fn server(&self, name: &str) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        Arc::new(config.with_single_cert(vec![certificate.der().clone()], key).unwrap())
    }
}

impl Upstream {
    pub(crate) fn plain() -> Self {
        Self::serve(|stream| Box::new(stream))
    }

    pub(crate) fn tls(authority: &Authority, name: &str) -> Self {
        let config = authority.server(name);
        Self::serve(move |stream| {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            Box::new(StreamOwned::new(connection, stream))
        })
    }

    fn serve(dress: impl Fn(TcpStream) -> Box<dyn Talk> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (go_on, waits) = channel();
        let (books, waits) = (Arc::new(Books::default()), Arc::new(Mutex::new(waits)));
        let kept = Arc::clone(&books);
        thread::spawn(move || {
            for client in listener.incoming() {
                let (books, waits, client) = (Arc::clone(&kept), Arc::clone(&waits), dress(client.unwrap()));
                books.state.lock().unwrap().open += 1;
                thread::spawn(move || {
                    let said = answer(client, &waits);
                    let mut state = books.state.lock().unwrap();
                    state.open -= 1;
                    state.said.extend(Some(said).filter(|said| !said.is_empty()));
                    books.closed.notify_all();
                });
            }
        });
        Self { address, books, go_on }
    }

    /// What each connection said, once all have ended, in the order in which they did; nothing of those that said nothing.
    pub(crate) fn said(&self) -> Vec<String> {
        let (state, _) = self
            .books
            .closed
            .wait_timeout_while(self.books.state.lock().unwrap(), LONG, |state| state.open > 0)
            .unwrap();
        assert_eq!(state.open, 0, "a connection does not end");
        state.said.clone()
    }
}

trait Talk: Read + Write + Send {
    /// Nothing more is said.
    fn end(&mut self);
}

impl Talk for TcpStream {
    fn end(&mut self) {
        let _ = self.shutdown(std::net::Shutdown::Write);
    }
}

impl Talk for StreamOwned<ServerConnection, TcpStream> {
    fn end(&mut self) {
        self.conn.send_close_notify();
        let _ = self.flush();
        let _ = self.sock.shutdown(std::net::Shutdown::Write);
    }
}

/// The length of the first request of a stream, once all of it is there.
fn length(said: &[u8]) -> Option<usize> {
    let head = said.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&said[..head]).to_ascii_lowercase();
    let body = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    (said.len() >= head + body).then_some(head + body)
}

/// Answers the first request with what it asked for, then hears what follows.
fn answer(mut client: Box<dyn Talk>, waits: &Mutex<Receiver<()>>) -> String {
    let (mut said, mut buffer) = (Vec::new(), [0_u8; 16 * 1024]);
    while length(&said).is_none() {
        match client.read(&mut buffer) {
            Ok(read @ 1..) => said.extend_from_slice(&buffer[..read]),
            _ if said.is_empty() => return String::new(),
            _ => break,
        }
    }
    let text = String::from_utf8_lossy(&said).into_owned();
    let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n";
    if path.ends_with("/stream") {
        let _ = client.write_all(format!("{head}Transfer-Encoding: chunked\r\n\r\n6\r\nfirst\n\r\n").as_bytes());
        let _ = client.flush();
        let _ = waits.lock().unwrap().recv();
        let _ = client.write_all(b"5\r\nlast\n\r\n0\r\n\r\n");
    } else if path.ends_with("/silent") {
        let _ = waits.lock().unwrap().recv();
    } else if path.ends_with("/large") {
        let _ = client.write_all(format!("{head}Content-Length: 3000000\r\n\r\n").as_bytes());
        let _ = client.write_all(&vec![b'z'; 3_000_000]);
    } else {
        let body = format!("you asked for {path}\n");
        let _ = client.write_all(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
    }
    client.end();
    while let Ok(read @ 1..) = client.read(&mut buffer) {
        said.extend_from_slice(&buffer[..read]);
    }
    String::from_utf8_lossy(&said).into_owned()
}
