//! TLS and MQTT byte by byte: for what no well-behaved client would send.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::Home;

/// A TLS connection in the test's hands.
pub type Tls = StreamOwned<ClientConnection, TcpStream>;

/// Longest wait for an answer on a raw connection.
const ANSWER: Duration = Duration::from_secs(10);

/// Connects with a client certificate.
pub fn tls(port: u16, ca: &Path, cert: &Path, key: &Path) -> io::Result<Tls> {
    let chain: Vec<_> =
        CertificateDer::pem_file_iter(cert).expect("a certificate file").map(|c| c.expect("a certificate")).collect();
    let key = PrivateKeyDer::from_pem_file(key).expect("a key file");
    let config = builder(ca).with_client_auth_cert(chain, key).expect("a key that fits its certificate");
    connect(port, config)
}

/// Connects without one. With TLS 1.3 the refusal arrives with the first read.
pub fn tls_anonymous(port: u16, ca: &Path) -> io::Result<Tls> {
    connect(port, builder(ca).with_no_client_auth())
}

fn builder(ca: &Path) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    let mut roots = RootCertStore::empty();
    for cert in CertificateDer::pem_file_iter(ca).expect("a CA file") {
        roots.add(cert.expect("a certificate")).expect("a CA certificate");
    }
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring speaks the default versions")
        .with_root_certificates(roots)
}

fn connect(port: u16, config: ClientConfig) -> io::Result<Tls> {
    let name = ServerName::try_from("127.0.0.1").expect("an address");
    let mut session = ClientConnection::new(Arc::new(config), name).expect("a TLS client");
    let mut tcp = TcpStream::connect(("127.0.0.1", port))?;
    tcp.set_read_timeout(Some(ANSWER))?;
    tcp.set_nodelay(true)?;
    while session.is_handshaking() {
        session.complete_io(&mut tcp)?;
    }
    // A refusal of the certificate comes after the client's side is done. A short look, since a server may have nothing to say.
    tcp.set_read_timeout(Some(Duration::from_millis(300)))?;
    match session.complete_io(&mut tcp) {
        Err(e) if !matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => return Err(e),
        _ => {}
    }
    tcp.set_read_timeout(Some(ANSWER))?;
    Ok(StreamOwned::new(session, tcp))
}

/// An MQTT connection that sends whatever bytes the test gives it.
pub struct RawMqtt {
    tls: Tls,
}

impl RawMqtt {
    /// TLS as this device; no MQTT yet.
    #[track_caller]
    pub fn open(home: &Home, device: &str) -> RawMqtt {
        let pem = |file| home.pem(device, file);
        let tls = tls(home.mqtt_port, &pem("ca.pem"), &pem("cert.pem"), &pem("key.pem"))
            .unwrap_or_else(|e| panic!("TLS as {device}: {e}"));
        RawMqtt { tls }
    }

    /// TLS as this device, CONNECT 3.1.1, and the gateway's CONNACK taken.
    #[track_caller]
    pub fn connect(home: &Home, device: &str) -> RawMqtt {
        let mut raw = RawMqtt::open(home, device);
        raw.send(&connect_packet(device, 4));
        let connack = raw.read_exact(4);
        assert_eq!((connack[0], connack[3]), (0x20, 0), "CONNACK {connack:02x?}");
        raw
    }

    /// The same with MQTT 5; the CONNACK's properties are taken too.
    #[track_caller]
    pub fn connect_v5(home: &Home, device: &str) -> RawMqtt {
        let mut raw = RawMqtt::open(home, device);
        raw.send(&connect_packet(device, 5));
        let head = raw.read_exact(2);
        let rest = raw.read_exact(usize::from(head[1]));
        assert_eq!((head[0], rest[1]), (0x20, 0), "CONNACK {head:02x?} {rest:02x?}");
        raw
    }

    /// Bytes to the gateway. A failure is the gateway's having closed already, which reading will show.
    #[track_caller]
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.tls.write_all(bytes).and_then(|()| self.tls.flush());
    }

    #[track_caller]
    pub fn read_exact(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.tls.read_exact(&mut bytes).expect("an answer from the gateway");
        bytes
    }

    /// Waits until the gateway closes.
    #[track_caller]
    pub fn wait_closed(&mut self, within: Duration) {
        self.tls.sock.set_read_timeout(Some(within)).expect("a time");
        self.read_to_close();
    }

    /// Everything the gateway says until it closes. Panics if it stays open.
    #[track_caller]
    pub fn read_to_close(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        let mut buffer = [0; 1024];
        loop {
            match self.tls.read(&mut buffer) {
                Ok(0) => return all,
                Ok(n) => all.extend_from_slice(&buffer[..n]),
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    panic!("the gateway keeps the connection open")
                }
                Err(_) => return all,
            }
        }
    }
}

/// A CONNECT packet of that protocol version (4 = 3.1.1, 5), clean session, keep-alive 60 s.
pub fn connect_packet(client_id: &str, version: u8) -> Vec<u8> {
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', version, 0x02, 0, 60];
    if version == 5 {
        body.push(0);
    }
    body.extend_from_slice(&(client_id.len() as u16).to_be_bytes());
    body.extend_from_slice(client_id.as_bytes());
    let mut packet = vec![0x10, u8::try_from(body.len()).expect("a short CONNECT")];
    packet.extend_from_slice(&body);
    packet
}

/// A PUBLISH packet of MQTT 5 at QoS 1, packet id 1, without properties.
pub fn publish_packet(topic: &str, payload: &[u8]) -> Vec<u8> {
    let mut body = u16::try_from(topic.len()).expect("a short topic").to_be_bytes().to_vec();
    body.extend_from_slice(topic.as_bytes());
    body.extend_from_slice(&[0, 1, 0]);
    body.extend_from_slice(payload);
    let mut packet = vec![0x32];
    let mut left = body.len();
    loop {
        let low = (left % 128) as u8;
        left /= 128;
        packet.push(if left > 0 { low | 0x80 } else { low });
        if left == 0 {
            break;
        }
    }
    packet.extend_from_slice(&body);
    packet
}
