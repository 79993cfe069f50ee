//! A browser's side of the board, as far as measurements need it: cards to log in with, HTTP/1.1 over TLS, server-sent events.
//!
//! Enters: a home's folder and ports. Leaves: cookies of people who are logged in, answers, events with the moment they were whole.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Longest wait for any answer of the board, in seconds: longer than a flooded one needs, shorter than the run.
pub const ANSWER_S_MAX: u64 = 60;

/// An issuer of cards.
pub struct Cards(Issuer<'static, KeyPair>);

impl Cards {
    /// Makes one, and writes its certificate where `[board.card] ca` finds it.
    pub fn new(ca: &Path) -> Result<Cards> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "cards of a measurement");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        std::fs::write(ca, params.self_signed(&key)?.pem()).with_context(|| format!("writing {}", ca.display()))?;
        Ok(Cards(Issuer::new(params, key)))
    }

    /// The card of somebody: `CN=NAME`.
    fn of(&self, name: &str) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>)> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.0)?.der().clone();
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(|e| anyhow::anyhow!("a card's key: {e}"))?;
        Ok((certificate, key))
    }

    /// Logs somebody in by their card; the cookies of their browser.
    pub async fn log_in(&self, ca: &Path, card_port: u16, name: &str) -> Result<Visitor> {
        let tls = tls(ca, Some(self.of(name)?))?;
        let mut wire = Wire::open(&tls, card_port).await?;
        let answer = wire.ask("/card", "").await?;
        ensure!(answer.status == 303, "the card of {name} was answered with {}", answer.status);
        let cookies = answer.head.lines().filter_map(|line| line.strip_prefix("set-cookie: ")?.split(';').next());
        Ok(Visitor { cookies: cookies.collect::<Vec<_>>().join("; ") })
    }
}

/// Somebody's browser, logged in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Visitor {
    pub cookies: String,
}

/// TLS that believes this authority alone, with a card or without.
pub fn tls(ca: &Path, card: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for ca in CertificateDer::pem_file_iter(ca)? {
        roots.add(ca?)?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_protocol_versions(&[&rustls::version::TLS13])?.with_root_certificates(roots);
    Ok(Arc::new(match card {
        Some((certificate, key)) => builder.with_client_auth_cert(vec![certificate], key)?,
        None => builder.with_no_client_auth(),
    }))
}

pub struct Answer {
    pub status: u16,
    /// Header lines, names in lower case as the board writes them.
    pub head: String,
}

/// One connection.
pub struct Wire {
    stream: TlsStream<TcpStream>,
    read: Vec<u8>,
}

impl Wire {
    pub async fn open(tls: &Arc<ClientConfig>, port: u16) -> Result<Wire> {
        let opening = async {
            let stream = TcpStream::connect(("127.0.0.1", port)).await?;
            stream.set_nodelay(true)?;
            let stream = TlsConnector::from(tls.clone()).connect(ServerName::try_from("localhost")?, stream).await?;
            Ok(Wire { stream, read: Vec::new() })
        };
        bounded(opening).await.with_context(|| format!("connecting to the board's port {port}"))
    }

    async fn fill(&mut self) -> Result<()> {
        let read = self.stream.read_buf(&mut self.read).await?;
        ensure!(read > 0, "the board closed the connection");
        Ok(())
    }

    /// Asks, and reads the answer's head.
    async fn head(&mut self, path: &str, cookies: &str) -> Result<(u16, String)> {
        let cookies = if cookies.is_empty() { String::new() } else { format!("cookie: {cookies}\r\n") };
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\naccept-language: sv\r\n{cookies}\r\n")).await
    }

    /// The same with a body, from the board's own page.
    async fn post_head(
        &mut self,
        path: &str,
        visitor: &Visitor,
        port: u16,
        kind: &str,
        body: &str,
    ) -> Result<(u16, String)> {
        let (cookies, length) = (&visitor.cookies, body.len());
        let own = format!("host: localhost\r\norigin: https://localhost:{port}\r\ncookie: {cookies}\r\n");
        let what = format!("content-type: {kind}\r\ncontent-length: {length}\r\n");
        self.send(&format!("POST {path} HTTP/1.1\r\n{own}{what}\r\n{body}")).await
    }

    async fn send(&mut self, request: &str) -> Result<(u16, String)> {
        self.stream.write_all(request.as_bytes()).await?;
        loop {
            if let Some(end) = find(&self.read, b"\r\n\r\n") {
                let head = String::from_utf8(self.read.drain(..end + 4).collect())?;
                let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no status")?;
                return Ok((status, head));
            }
            self.fill().await?;
        }
    }

    /// One page, whole.
    pub async fn ask(&mut self, path: &str, cookies: &str) -> Result<Answer> {
        bounded(self.ask_unbounded(path, cookies)).await.with_context(|| format!("asking the board for {path}"))
    }

    async fn ask_unbounded(&mut self, path: &str, cookies: &str) -> Result<Answer> {
        let (status, head) = self.head(path, cookies).await?;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(Ok(0), str::parse).context("a length that is no number")?;
        while self.read.len() < length {
            self.fill().await?;
        }
        self.read.drain(..length);
        Ok(Answer { status, head })
    }

    /// A form's answer, which is a page.
    pub async fn post(&mut self, path: &str, visitor: &Visitor, port: u16, kind: &str, body: &str) -> Result<String> {
        let asking = async {
            let (status, head) = self.post_head(path, visitor, port, kind, body).await?;
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(Ok(0), str::parse).context("a length that is no number")?;
            while self.read.len() < length {
                self.fill().await?;
            }
            let page = String::from_utf8_lossy(&self.read.drain(..length).collect::<Vec<_>>()).into_owned();
            ensure!(status == 200, "answered with {status}: {page}");
            Ok(page)
        };
        bounded(asking).await.with_context(|| format!("posting to {path}"))
    }

    /// A look's stream, from now on.
    pub async fn parts(mut self, path: &str, visitor: &Visitor, port: u16, grant: &str) -> Result<Parts> {
        let (status, head) = bounded(self.post_head(path, visitor, port, "text/plain", grant)).await?;
        ensure!(status == 200, "{path} was answered with {status}: {head}");
        Ok(Parts { chunks: Events { wire: self, told: Vec::new() } })
    }

    /// Server-sent events, from now on.
    pub async fn follow(mut self, path: &str, visitor: &Visitor) -> Result<Events> {
        let (status, head) = bounded(self.head(path, &visitor.cookies)).await?;
        ensure!(status == 200, "{path} was answered with {status}");
        ensure!(head.contains("transfer-encoding: chunked"), "{path} is no stream: {head}");
        Ok(Events { wire: self, told: Vec::new() })
    }
}

async fn bounded<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(Duration::from_secs(ANSWER_S_MAX), work).await {
        Ok(done) => done,
        Err(_) => bail!("no answer in {ANSWER_S_MAX} s"),
    }
}

/// A stream of events. It ends now and then, as the board judges anew who is there.
pub struct Events {
    wire: Wire,
    told: Vec<u8>,
}

impl Events {
    /// The next one, as it came. `None`: the stream has ended. Cancel safe.
    pub async fn next(&mut self) -> Result<Option<String>> {
        loop {
            if let Some(end) = find(&self.told, b"\n\n") {
                return Ok(Some(String::from_utf8(self.told.drain(..end + 2).collect())?));
            }
            if self.has_ended()? {
                return Ok(None);
            }
            if find(&self.told, b"\n\n").is_none() {
                self.wire.fill().await?;
            }
        }
    }

    /// Takes the chunks that have come: size in hexadecimal, itself, an empty line. True: the last one has.
    fn has_ended(&mut self) -> Result<bool> {
        while let Some(line) = find(&self.wire.read, b"\r\n") {
            let size = std::str::from_utf8(&self.wire.read[..line])?;
            let size = usize::from_str_radix(size, 16).context("a chunk's size")?;
            if size == 0 {
                return Ok(true);
            }
            if self.wire.read.len() < line + 2 + size + 2 {
                break;
            }
            self.told.extend(&self.wire.read[line + 2..line + 2 + size]);
            self.wire.read.drain(..line + 2 + size + 2);
        }
        Ok(false)
    }
}

/// A look's stream.
pub struct Parts {
    chunks: Events,
}

/// One part: a letter, and what it says or shows.
pub struct Part {
    pub kind: u8,
    pub bytes: Vec<u8>,
}

impl Parts {
    /// The next one. `None`: the stream has ended.
    pub async fn next(&mut self) -> Result<Option<Part>> {
        loop {
            // What came with the last chunk counts too.
            let has_ended = self.chunks.has_ended()?;
            let told = &mut self.chunks.told;
            if let Some((head, rest)) = told.split_first_chunk::<5>() {
                let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
                if rest.len() >= length {
                    let part = Part { kind: head[0], bytes: rest[..length].to_vec() };
                    told.drain(..5 + length);
                    return Ok(Some(part));
                }
            }
            if has_ended {
                return Ok(None);
            }
            self.chunks.wire.fill().await?;
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
