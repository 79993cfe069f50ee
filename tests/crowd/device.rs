//! One device of the crowd: its certificate, its connection, and a window of QoS 1 publishes over MQTT 5.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What the home's certificates need.
pub struct Authority {
    pub issuer: Issuer<'static, KeyPair>,
    pub roots: Arc<RootCertStore>,
}

/// How a connection began.
pub enum Opened {
    Device(Box<Device>),
    /// CONNACK "server busy".
    Busy,
}

pub struct Device {
    pub id: String,
    stream: TlsStream<TcpStream>,
    bytes: Vec<u8>,
}

/// What became of a device's publishes.
#[derive(Debug, Default, Clone, Copy, serde::Serialize)]
pub struct Count {
    pub stored: u64,
    /// Reason 0x97, quota exceeded.
    pub refused: u64,
    /// Presses among the stored.
    pub presses: u64,
}

/// Publishes a device has unacknowledged at the most: what the gateway allows.
const WINDOW: u64 = 20;

/// Longest wait for anything that the gateway owes, in seconds.
const ANSWER_S: u64 = 120;

impl Authority {
    /// TLS as that device: a new key, a certificate as `vaka device add` makes it.
    pub fn tls(&self, id: &str) -> Result<Arc<ClientConfig>> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, id);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(self.roots.clone())
            .with_client_auth_cert(vec![certificate.der().clone()], key)?;
        Ok(Arc::new(config))
    }
}

impl Device {
    /// Connects from that address of this machine.
    pub async fn open(id: &str, tls: Arc<ClientConfig>, from: IpAddr, port: u16) -> Result<Opened> {
        let opening = async {
            let socket = TcpSocket::new_v4()?;
            socket.bind(SocketAddr::new(from, 0))?;
            let stream = socket.connect(SocketAddr::from(([127, 0, 0, 1], port))).await?;
            stream.set_nodelay(true)?;
            let mut stream = TlsConnector::from(tls).connect(ServerName::try_from("localhost")?, stream).await?;
            // MQTT 5, clean start, keep-alive 10 minutes, no properties.
            let mut packet =
                vec![0x10, 13 + id.len() as u8, 0, 4, b'M', b'Q', b'T', b'T', 5, 2, 2, 88, 0, 0, id.len() as u8];
            packet.extend_from_slice(id.as_bytes());
            stream.write_all(&packet).await?;
            let mut device = Device { id: id.to_owned(), stream, bytes: Vec::new() };
            let (kind, body) = device.packet().await?;
            ensure!(kind == 0x20 && body.len() >= 2, "no CONNACK but {kind:#04x}");
            match body[1] {
                0 => Ok(Opened::Device(Box::new(device))),
                0x89 => Ok(Opened::Busy),
                reason => bail!("CONNECT was refused: {reason:#04x}"),
            }
        };
        tokio::time::timeout(Duration::from_secs(ANSWER_S), opening).await.context("connecting took too long")?
    }

    /// Publishes `count` events numbered from `seq`, the window always full. Every `press_every`-th is a press; 0: none.
    pub async fn publish(
        &mut self,
        event: &str,
        restart: u32,
        seq: u64,
        count: u64,
        press_every: u64,
    ) -> Result<Count> {
        let (mut sent, mut answered, mut result) = (0, 0, Count::default());
        let is_press = |n: u64| press_every > 0 && n % press_every == press_every - 1;
        let topic = format!("vaka/v1/{}/event", self.id);
        let mut out = Vec::new();
        while answered < count {
            out.clear();
            while sent < count && sent - answered < WINDOW {
                let what = if is_press(sent) { r#"{"button":{"press":"short"}}"# } else { event };
                // An alarm of a home has an id of its own.
                let what = what.replace("SEQ", &(seq + sent).to_string());
                let payload = format!(r#"{{"v":1,"restart":{restart},"seq":{},"event":{what}}}"#, seq + sent);
                publish(&mut out, &topic, (sent % 60_000) as u16 + 1, payload.as_bytes());
                sent += 1;
            }
            if !out.is_empty() {
                self.stream.write_all(&out).await?;
                self.stream.flush().await?;
            }
            let answer = tokio::time::timeout(Duration::from_secs(ANSWER_S), self.packet());
            let (kind, body) = answer.await.context("no PUBACK came")??;
            ensure!(kind == 0x40 && body.len() >= 2, "no PUBACK but {kind:#04x} {body:02x?}");
            let id = u16::from_be_bytes([body[0], body[1]]);
            ensure!(u64::from(id) == answered % 60_000 + 1, "PUBACK {id} out of order");
            match body.get(2).copied().unwrap_or(0) {
                0 => {
                    result.stored += 1;
                    result.presses += u64::from(is_press(answered));
                }
                0x97 => result.refused += 1,
                reason => bail!("refused with {reason:#04x}"),
            }
            answered += 1;
        }
        Ok(result)
    }

    /// The next packet: its first byte and its body.
    async fn packet(&mut self) -> Result<(u8, Vec<u8>)> {
        loop {
            // Everything that comes here is short.
            if let [kind, length, rest @ ..] = &self.bytes[..]
                && rest.len() >= usize::from(*length)
            {
                ensure!(*length < 128, "a long packet");
                let (kind, end) = (*kind, 2 + usize::from(*length));
                let body = self.bytes[2..end].to_vec();
                self.bytes.drain(..end);
                return Ok((kind, body));
            }
            ensure!(self.stream.read_buf(&mut self.bytes).await? > 0, "the gateway closed");
        }
    }
}

/// PUBLISH at QoS 1 without properties (OASIS MQTT 5.0, 3.3).
fn publish(out: &mut Vec<u8>, topic: &str, id: u16, payload: &[u8]) {
    let mut length = 2 + topic.len() + 2 + 1 + payload.len();
    out.push(0x32);
    while length >= 128 {
        out.push((length % 128) as u8 | 0x80);
        length /= 128;
    }
    out.push(length as u8);
    out.extend_from_slice(&(topic.len() as u16).to_be_bytes());
    out.extend_from_slice(topic.as_bytes());
    out.extend_from_slice(&id.to_be_bytes());
    out.push(0);
    out.extend_from_slice(payload);
}
