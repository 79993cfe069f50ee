//! A camera that does what a test tells it, on loopback and a free port.

#![allow(dead_code, reason = "each test file uses its own share")]

pub mod rtsp;

use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::time::Instant;
use vaka_camera::{Camera, Ended, Fault, Frame, Pin, Secret, Setup, View, Waits, frames, look};

pub const ROOM: &[u8] = include_bytes!("../data/room-1.jpg");
pub const ROOM_AGAIN: &[u8] = include_bytes!("../data/room-2.jpg");

/// What a scripted camera does after a request.
pub enum Reply {
    /// Answers, and waits for the next request.
    Keep(Vec<u8>),
    /// Answers and ends the connection.
    Close(Vec<u8>),
    /// Answers and says nothing more, with the connection open.
    Hang(Vec<u8>),
    /// Answers with these again and again, as long as somebody reads.
    Stream(Vec<u8>, Vec<Vec<u8>>),
}

/// A camera on loopback; it ends with the test's runtime.
pub struct Scripted {
    pub address: SocketAddr,
    pub requests: Arc<AtomicUsize>,
}

/// `answer` gets each request's head, and how many came before it.
pub async fn scripted(answer: impl Fn(&str, usize) -> Reply + Send + Sync + 'static) -> Scripted {
    scripted_with(None, answer).await
}

/// As [`scripted`], with TLS.
pub async fn scripted_with(
    tls: Option<tokio_rustls::TlsAcceptor>,
    answer: impl Fn(&str, usize) -> Reply + Send + Sync + 'static,
) -> Scripted {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let requests = Arc::new(AtomicUsize::new(0));
    let (counter, answer) = (Arc::clone(&requests), Arc::new(answer));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tls, counter, answer) = (tls.clone(), Arc::clone(&counter), Arc::clone(&answer));
            tokio::spawn(async move {
                match tls {
                    None => serve(stream, counter, answer).await,
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            serve(stream, counter, answer).await;
                        }
                    }
                }
            });
        }
    });
    Scripted { address, requests }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    counter: Arc<AtomicUsize>,
    answer: Arc<impl Fn(&str, usize) -> Reply>,
) {
    let mut request = Vec::new();
    loop {
        while !request.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let text = String::from_utf8(std::mem::take(&mut request)).expect("a request is text");
        match answer(&text, counter.fetch_add(1, Ordering::SeqCst)) {
            Reply::Keep(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Reply::Close(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                return;
            }
            Reply::Hang(bytes) => {
                let _ = stream.write_all(&bytes).await;
                // Until the other end goes.
                while stream.read_buf(&mut request).await.unwrap_or(0) > 0 {}
                return;
            }
            Reply::Stream(head, pieces) => {
                let _ = stream.write_all(&head).await;
                for piece in pieces.iter().cycle() {
                    if stream.write_all(piece).await.is_err() {
                        return;
                    }
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

/// A camera that answers whole messages, each on a connection of its own.
pub async fn scripted_bodies(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Scripted {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"Envelope>") {
                if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            let _ = stream.write_all(&answer(&String::from_utf8_lossy(&request))).await;
            let _ = stream.shutdown().await;
        }
    });
    Scripted { address, requests: Arc::default() }
}

pub fn ok(kind: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

pub fn jpeg(body: &[u8]) -> Vec<u8> {
    ok("image/jpeg", body)
}

pub const MJPEG: &str = "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n";

pub fn part(body: &[u8]) -> Vec<u8> {
    let head = format!("--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body, b"\r\n"].concat()
}

/// Short waits: a test that needs them to pass has a camera that will never send anything.
pub fn waits() -> Waits {
    Waits { silence_ms: 300, still_pause_ms: 10, picture_pause_ms: 0, ..Waits::default() }
}

pub fn setup(look: String) -> Setup {
    Setup {
        id: "c1".to_owned(),
        look,
        snapshot: None,
        user: String::new(),
        password: Secret::default(),
        pin: None,
        wake_ms: 0,
        allowed: vec!["127.0.0.0/8".parse().expect("a network")],
        waits: waits(),
    }
}

pub fn camera(address: SocketAddr) -> Camera {
    Camera::new(setup(format!("http://{address}/picture"))).expect("a camera")
}

pub fn with_user(setup: Setup, user: &str, password: &str) -> Camera {
    let password = Secret::new(password.to_owned());
    Camera::new(Setup { user: user.to_owned(), password, ..setup }).expect("a camera")
}

/// Looks until `count` frames are there, or the look ends by itself. The frames, and what became of the look.
pub async fn some_frames(camera: &Camera, view: View, count: usize) -> (Vec<Frame>, Result<Ended, Fault>) {
    let (sink, mut shown) = frames();
    let until = Instant::now() + Duration::from_secs(20);
    let looked = async {
        let result = look(camera, view, until, &sink).await;
        drop(sink);
        result
    };
    let viewer = async move {
        let mut taken = Vec::new();
        while taken.len() < count {
            match shown.next().await {
                Some(frame) => taken.push(frame),
                None => break,
            }
        }
        taken
    };
    let (result, taken) = tokio::join!(looked, viewer);
    (taken, result)
}

pub async fn fault(camera: &Camera) -> Fault {
    some_frames(camera, View::Clear, 1).await.1.expect_err("a fault")
}

/// A TLS server's identity made for a test, and its pin.
pub fn identity() -> (tokio_rustls::TlsAcceptor, Pin) {
    let made = rcgen::generate_simple_self_signed(vec!["camera".to_owned()]).expect("a certificate");
    let key = rustls_pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let public = rcgen::PublicKeyData::subject_public_key_info(&made.signing_key);
    let pin = Pin(ring::digest::digest(&ring::digest::SHA256, &public).as_ref().try_into().expect("32 bytes"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("an identity");
    (tokio_rustls::TlsAcceptor::from(Arc::new(config)), pin)
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// For lighttpd's list of users, which keeps what MD5 made of a password.
pub fn md5(bytes: &[u8]) -> Vec<u8> {
    use md5::Digest;
    md5::Md5::digest(bytes).to_vec()
}

/// A program that serves until this is dropped.
pub struct Peer {
    pub child: Child,
    pub stdin: Option<ChildStdin>,
    pub port: u16,
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The port that a program says on its first line.
pub async fn started(mut command: Command) -> Peer {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the peer");
    let stdout = tokio::process::ChildStdout::from_std(child.stdout.take().expect("its output")).expect("its output");
    let line = tokio::time::timeout(Duration::from_secs(60), BufReader::new(stdout).lines().next_line()).await;
    let stdin = child.stdin.take();
    let mut peer = Peer { child, stdin, port: 0 };
    let line = line.expect("the peer starts").expect("its output").expect("its port");
    peer.port = line.trim().parse().expect("a port");
    peer
}

/// Waits as a real camera needs them, on a machine that may be busy.
pub fn patient(look: String) -> Setup {
    Setup { waits: Waits::default(), wake_ms: 30_000, ..setup(look) }
}

pub fn setup_slow(look: String) -> Setup {
    Setup { wake_ms: 0, ..patient(look) }
}
