//! The board's door under strangers, over real sockets from several addresses of this machine.

#[allow(dead_code, reason = "shared with the tests of the other doors, which use the rest")]
mod support;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};
use support::House;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use vaka_board::seats::Seats;
use vaka_board::server::{Door, Shown, serve_within, tls};

const PEOPLE: &str = "[[person]]\nid = \"anna-1\"\nrole = \"admin\"\nunits = [\"*\"]\n";

struct Hall {
    address: SocketAddr,
    root: CertificateDer<'static>,
    /// Of somebody who is logged in.
    cookies: String,
    _house: House,
    _stop: tokio::sync::watch::Sender<bool>,
}

/// A board with so many seats.
async fn hall(seats: Seats, first_request: Duration) -> Hall {
    let house = House::new(PEOPLE, vaka_board::auth::router, |_| {});
    let people = &house.board.people;
    let anna = people.in_force("anna-1").expect("anna");
    let device = vaka_board::auth::secret::Hash::of(b"a browser");
    let now_ms = house.board.gateway.now_ms();
    let sid = house.board.sessions.begin(&anna, "passkey", device, now_ms).expect("a session");
    let cookies = format!("cookie: __Host-sid={sid}; __Host-device=a browser\r\n");
    let key = KeyPair::generate().expect("a key");
    let own = CertificateParams::new(vec!["localhost".to_owned()]).expect("names").self_signed(&key).expect("signed");
    let (cert, private) = (house.dir.path().join("cert.pem"), house.dir.path().join("key.pem"));
    std::fs::write(&cert, own.pem()).expect("written");
    std::fs::write(&private, key.serialize_pem()).expect("written");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let shown = Shown::load(&cert, &private).expect("a certificate");
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let door = Door { seats: Arc::new(seats), first_request };
    tokio::spawn(serve_within(door, listener, Arc::new(tls(shown)), vaka_board::router(house.board.clone()), stopping));
    Hall { address, root: own.der().clone(), cookies, _house: house, _stop: stop }
}

impl Hall {
    /// A connection from 127.0.0.`from` that says nothing.
    async fn silent(&self, from: u8) -> TcpStream {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((Ipv4Addr::new(127, 0, 0, from), 0).into()).expect("an address of this machine");
        socket.connect(self.address).await.expect("connected")
    }

    async fn browser(&self, from: u8) -> Option<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
        let config = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
        let name = ServerName::try_from("localhost").expect("a name");
        TlsConnector::from(config).connect(name, self.silent(from).await).await.ok()
    }

    /// Asks on a connection that stays open; what its first line says.
    async fn ask(&self, stream: &mut TlsStream<TcpStream>, path: &str, more: &str) -> Option<String> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{more}\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        Hall::answer(stream).await
    }

    /// Begins to post so many bytes, and sends them a while after the head.
    async fn post(&self, stream: &mut TlsStream<TcpStream>, path: &str, bytes: usize) -> Option<String> {
        let head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {bytes}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.ok()?;
        // Time enough for an answer that waits for nothing.
        tokio::time::sleep(Duration::from_millis(100)).await;
        stream.write_all(&vec![b'x'; bytes]).await.ok()?;
        Hall::answer(stream).await
    }

    /// The first line of an answer that has come whole.
    async fn answer(stream: &mut TlsStream<TcpStream>) -> Option<String> {
        let (mut read, mut part) = (Vec::new(), [0; 4096]);
        loop {
            let text = String::from_utf8_lossy(&read).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                let length: usize = length.and_then(|length| length.parse().ok()).unwrap_or_default();
                if body.len() >= length {
                    return Some(head.lines().next().unwrap_or_default().to_owned());
                }
            }
            match stream.read(&mut part).await.ok()? {
                0 => return None,
                n => read.extend(&part[..n]),
            }
        }
    }
}

/// Longer than any of these tests.
const LONG: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn crowds_from_many_addresses_lock_out_neither_newcomers_nor_who_is_logged_in() {
    let hall = hall(Seats::new(24, 16), LONG).await;
    // Somebody at the address from which the crowd will come.
    let mut inside = hall.browser(2).await.expect("let in");
    let keys = hall.ask(&mut inside, "/keys", &hall.cookies).await.expect("answered");
    assert_eq!(keys, "HTTP/1.1 200 OK");
    let mut crowd = Vec::new();
    for round in 0..30 {
        for from in [2, 3, 4] {
            crowd.push(hall.silent(from).await);
        }
        if round % 10 == 9 {
            // From an address of their own, from a crowd's, and over a connection that was there before.
            for from in [9, 3] {
                let mut newcomer = hall.browser(from).await.expect("let in");
                let answered = hall.ask(&mut newcomer, "/healthz", "").await;
                assert_eq!(answered.as_deref(), Some("HTTP/1.1 200 OK"), "from 127.0.0.{from}");
            }
            let again = hall.ask(&mut inside, "/keys", &hall.cookies).await;
            assert_eq!(again.as_deref(), Some("HTTP/1.1 200 OK"), "sent away for a stranger's sake");
        }
    }
}

#[tokio::test]
async fn whoever_says_nothing_or_never_ends_a_word_is_let_go() {
    let hall = hall(Seats::default(), Duration::from_millis(500)).await;
    let mut silent = hall.silent(2).await;
    assert_eq!(silent.read(&mut [0; 16]).await.unwrap_or(0), 0, "not a word");
    // Past the handshake no protocol has a time of its own for the first byte. Who is too slow for that is let go as well.
    for word in [&b""[..], b"GET / HTT"] {
        let Some(mut slow) = hall.browser(2).await else { continue };
        let _ = slow.write_all(word).await;
        assert_eq!(slow.read(&mut [0; 16]).await.unwrap_or(0), 0, "after {word:?}");
    }
}

/// A program whose right has ended learns that, and not that something is wrong with the line.
#[tokio::test]
async fn whoever_is_refused_while_still_sending_is_told_why_on_a_line_that_stays() {
    let hall = hall(Seats::default(), LONG).await;
    let mut program = hall.browser(2).await.expect("let in");
    for _ in 0..3 {
        let refused = hall.post(&mut program, "/api/v1/alarms/1/acts", 2_000).await;
        assert_eq!(refused.as_deref(), Some("HTTP/1.1 403 Forbidden"));
        let next = hall.ask(&mut program, "/healthz", "").await;
        assert_eq!(next.as_deref(), Some("HTTP/1.1 200 OK"));
    }
    // Beyond what is read, it is told that the line ends: what comes after is nobody's mistake.
    let mut flood = hall.browser(2).await.expect("let in");
    let head = "POST /api/v1/alarms/1/acts HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9000000\r\n\r\n";
    flood.write_all(head.as_bytes()).await.expect("sent");
    flood.write_all(&vec![b'x'; vaka_board::limits::UNREAD_BYTES_MAX + 1]).await.expect("sent");
    let mut read = String::new();
    let _ = flood.read_to_string(&mut read).await;
    assert!(read.starts_with("HTTP/1.1 403 Forbidden") && read.contains("connection: close"), "{read}");
}
