//! One device's connection: MQTT over mutual TLS 1.3. Packets queued in `out` leave with `flush`; packets come in with `fill`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::mqtt::{self, Inbox, Packet, Version};

/// Longest wait for anything a server owes, in seconds. Longer than any commit, shorter than the whole run.
pub const ANSWER_S_MAX: u64 = 20;

/// Where a server listens and how to speak with it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Target {
    pub port: u16,
    pub version: Version,
}

/// A device: its id, which is also its client id and its topic, and the folder with cert.pem, key.pem and ca.pem.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Identity {
    pub id: String,
    pub dir: PathBuf,
}

impl Identity {
    pub fn event_topic(&self) -> String {
        format!("vaka/v1/{}/event", self.id)
    }

    pub fn command_topic(&self) -> String {
        format!("vaka/v1/{}/command", self.id)
    }

    fn tls(&self) -> Result<ClientConfig> {
        let mut roots = rustls::RootCertStore::empty();
        for ca in CertificateDer::pem_file_iter(self.dir.join("ca.pem"))? {
            roots.add(ca?)?;
        }
        let chain = CertificateDer::pem_file_iter(self.dir.join("cert.pem"))?.collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_file(self.dir.join("key.pem"))?;
        Ok(ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)?)
    }
}

pub struct Session {
    stream: TlsStream<TcpStream>,
    pub inbox: Inbox,
    pub out: Vec<u8>,
    pub version: Version,
    pub session_present: bool,
    read: Box<[u8; 16 * 1024]>,
}

impl Session {
    /// Connects and waits for the CONNACK. `keep`: the server is to keep what the session is owed.
    pub async fn open(target: &Target, device: &Identity, keep: bool) -> Result<Session> {
        let opening = Session::open_unbounded(target, device, keep);
        match tokio::time::timeout(Duration::from_secs(ANSWER_S_MAX), opening).await {
            Ok(opened) => opened.with_context(|| format!("connecting {} to port {}", device.id, target.port)),
            Err(_) => bail!("connecting {} to port {}: no CONNACK in {ANSWER_S_MAX} s", device.id, target.port),
        }
    }

    async fn open_unbounded(target: &Target, device: &Identity, keep: bool) -> Result<Session> {
        let tls = device.tls().with_context(|| format!("reading the PEM files in {}", device.dir.display()))?;
        let stream = TcpStream::connect(("127.0.0.1", target.port)).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost")?;
        let stream = TlsConnector::from(Arc::new(tls)).connect(name, stream).await?;
        let mut session = Session {
            stream,
            inbox: Inbox::default(),
            out: Vec::with_capacity(16 * 1024),
            version: target.version,
            session_present: false,
            read: Box::new([0; 16 * 1024]),
        };
        mqtt::connect(&mut session.out, target.version, &device.id, keep);
        session.flush().await?;
        loop {
            session.fill().await?;
            if let Some(packet) = session.inbox.next(target.version)? {
                let Packet::Accepted { session_present } = packet else {
                    bail!("the server's first packet is no CONNACK")
                };
                session.session_present = session_present;
                return Ok(session);
            }
        }
    }

    /// Subscribes and waits for the SUBACK; publishes that come before it are acknowledged and thrown away.
    pub async fn subscribe(&mut self, filter: &str) -> Result<()> {
        let subscribing = self.subscribe_unbounded(filter);
        match tokio::time::timeout(Duration::from_secs(ANSWER_S_MAX), subscribing).await {
            Ok(subscribed) => subscribed.with_context(|| format!("subscribing to {filter}")),
            Err(_) => bail!("subscribing to {filter}: no SUBACK in {ANSWER_S_MAX} s"),
        }
    }

    async fn subscribe_unbounded(&mut self, filter: &str) -> Result<()> {
        let version = self.version;
        mqtt::subscribe(&mut self.out, version, filter);
        self.flush().await?;
        loop {
            while let Some(packet) = self.inbox.next(version)? {
                match packet {
                    Packet::SubAck { refused } => {
                        ensure!(!refused, "the server refused it");
                        return Ok(());
                    }
                    Packet::Publish { id: Some(id), .. } => mqtt::puback(&mut self.out, id),
                    _ => {}
                }
            }
            self.flush().await?;
            self.fill().await?;
        }
    }

    /// Sends what is queued.
    pub async fn flush(&mut self) -> Result<()> {
        if !self.out.is_empty() {
            self.stream.write_all(&self.out).await?;
            self.stream.flush().await?;
            self.out.clear();
        }
        Ok(())
    }

    /// Waits for bytes and puts them into the inbox. The end of the connection is an error. Cancel safe.
    pub async fn fill(&mut self) -> Result<()> {
        let count = self.stream.read(&mut self.read[..]).await?;
        ensure!(count > 0, "the server closed the connection");
        self.inbox.push(&self.read[..count]);
        Ok(())
    }

    /// Says goodbye, so that the server keeps or ends the session as agreed.
    pub async fn close(mut self) -> Result<()> {
        mqtt::disconnect(&mut self.out);
        self.flush().await?;
        self.stream.shutdown().await?;
        Ok(())
    }
}
