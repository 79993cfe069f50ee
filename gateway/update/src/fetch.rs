//! Files of a publisher: HTTP/1.1 over TLS, each on a connection of its own, gone on with where it was cut.
//!
//! Enters: the folder's address, whom to trust, a name. Leaves: bytes. Invariants: what comes is bounded, by size and by how long nothing
//! may come; redirects are not followed; a server is believed about nothing: what it sends is judged by signature and checksum.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::Builder;
use hyper::header::{CONTENT_RANGE, HOST, RANGE, USER_AGENT};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::limits::STALL_MS_MAX;

#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("`{0}` is no address of releases; write https://HOST/FOLDER/, without a user")]
    Url(String),
    #[error("trusting the authority of [update] ca: {0}")]
    Trust(#[source] rustls::Error),
    #[error("connecting to {url}: {source}")]
    Connect { url: String, source: std::io::Error },
    #[error("fetching {url}: {why}")]
    Http { url: String, why: String },
    #[error("fetching {url}: it answers {status}{}", hint(*.status))]
    Status { url: String, status: u16 },
    #[error("fetching {url}: nothing came for {STALL_MS_MAX} ms; it is gone on with later")]
    Stalled { url: String },
    #[error("fetching {url}: it is larger than {max} bytes")]
    TooLong { url: String, max: u64 },
    #[error("fetching {url}: it ended after {got} of {size} bytes; it is gone on with later")]
    Short { url: String, got: u64, size: u64 },
    #[error("fetching {url}: keeping it: {source}")]
    Keep { url: String, source: std::io::Error },
}

fn hint(status: u16) -> &'static str {
    match status {
        300..=399 => "; redirects are not followed: give the final address in [update] url",
        401 | 403 => "; releases are public: let everybody read them, their signature is what counts",
        404 => "; there is no such file: check [update] url",
        _ => "",
    }
}

/// Where releases are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
    authority: String,
    /// With a slash at the end.
    folder: String,
}

impl Address {
    /// Reads `https://HOST[:PORT]/FOLDER/`.
    ///
    /// # Errors
    /// [`FetchError::Url`].
    pub fn parse(url: &str) -> Result<Address, FetchError> {
        let wrong = || FetchError::Url(url.split('@').next_back().unwrap_or_default().to_owned());
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let authority = uri.authority().ok_or_else(wrong)?;
        if uri.scheme_str() != Some("https") || uri.query().is_some() || url.contains('@') {
            return Err(wrong());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let folder = format!("{}/", uri.path().trim_end_matches('/'));
        Ok(Address { host, port: authority.port_u16().unwrap_or(443), authority: authority.to_string(), folder })
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "https://{}{}", self.authority, self.folder)
    }
}

/// A publisher whose server one of the authorities vouches for.
pub struct Publisher {
    address: Address,
    tls: TlsConnector,
}

impl Publisher {
    /// # Errors
    /// [`FetchError::Trust`].
    pub fn new(address: Address, authorities: &[CertificateDer<'static>]) -> Result<Publisher, FetchError> {
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots.add(authority.clone()).map_err(FetchError::Trust)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(FetchError::Trust)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Publisher { address, tls: TlsConnector::from(Arc::new(config)) })
    }

    fn url(&self, name: &str) -> String {
        format!("{}{name}", self.address)
    }

    /// A small file, whole.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn small(&self, name: &str, bytes_max: usize) -> Result<Vec<u8>, FetchError> {
        let mut whole = Vec::new();
        let max = bytes_max as u64;
        let response = self.answer(name, 0).await?;
        self.check(name, response.status(), StatusCode::OK)?;
        self.pieces(name, response, |piece| {
            if whole.len() + piece.len() > bytes_max {
                return Err(FetchError::TooLong { url: self.url(name), max });
            }
            whole.extend_from_slice(piece);
            Ok(())
        })
        .await?;
        Ok(whole)
    }

    /// The bytes of a file of `size` bytes from `from` on, each piece to `keep`. `begin`: the server sends it from its beginning after
    /// all, and what was kept is to go.
    ///
    /// # Errors
    /// [`FetchError`]; what was kept stays, to be gone on with.
    pub async fn rest(
        &self,
        name: &str,
        from: u64,
        size: u64,
        mut begin: impl FnMut() -> std::io::Result<()>,
        mut keep: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<(), FetchError> {
        let url = || self.url(name);
        let failed = |source| FetchError::Keep { url: self.url(name), source };
        let response = self.answer(name, from).await?;
        let mut got = from;
        if from > 0 && response.status() == StatusCode::PARTIAL_CONTENT {
            let range = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok()).unwrap_or("");
            if range != format!("bytes {from}-{}/{size}", size - 1) {
                let why = format!("asked for its bytes from {from} on, it sends `{range}`: another file by now?");
                return Err(FetchError::Http { url: url(), why });
            }
        } else {
            self.check(name, response.status(), StatusCode::OK)?;
            got = 0;
            begin().map_err(failed)?;
        }
        self.pieces(name, response, |piece| {
            got += piece.len() as u64;
            if got > size {
                return Err(FetchError::TooLong { url: url(), max: size });
            }
            keep(piece).map_err(failed)
        })
        .await?;
        if got < size { Err(FetchError::Short { url: url(), got, size }) } else { Ok(()) }
    }

    fn check(&self, name: &str, status: StatusCode, wanted: StatusCode) -> Result<(), FetchError> {
        let refused = || FetchError::Status { url: self.url(name), status: status.as_u16() };
        if status == wanted { Ok(()) } else { Err(refused()) }
    }

    async fn answer(&self, name: &str, from: u64) -> Result<Response<Incoming>, FetchError> {
        let patience = Duration::from_millis(STALL_MS_MAX);
        timeout(patience, self.ask(name, from)).await.map_err(|_| FetchError::Stalled { url: self.url(name) })?
    }

    async fn ask(&self, name: &str, from: u64) -> Result<Response<Incoming>, FetchError> {
        let connect = |source| FetchError::Connect { url: self.url(name), source };
        let broken = |e: &dyn std::fmt::Display| FetchError::Http { url: self.url(name), why: e.to_string() };
        let host = &self.address.host;
        let server = ServerName::try_from(host.clone()).map_err(|_| FetchError::Url(self.address.to_string()))?;
        let stream = TcpStream::connect((host.as_str(), self.address.port)).await.map_err(connect)?;
        let stream = self.tls.connect(server, stream).await.map_err(connect)?;
        let (mut sender, driver) =
            Builder::new().max_headers(64).handshake(TokioIo::new(stream)).await.map_err(|e| broken(&e))?;
        // Ends with the answer's body, or when that is given up.
        tokio::spawn(driver);
        let mut request = Request::get(format!("{}{name}", self.address.folder))
            .header(HOST, &self.address.authority)
            .header(USER_AGENT, concat!("vaka/", env!("CARGO_PKG_VERSION")));
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        let request = request.body(Empty::<Bytes>::new()).map_err(|e| broken(&e))?;
        sender.send_request(request).await.map_err(|e| broken(&e))
    }

    async fn pieces(
        &self,
        name: &str,
        response: Response<Incoming>,
        mut each: impl FnMut(&[u8]) -> Result<(), FetchError>,
    ) -> Result<(), FetchError> {
        let mut body = response.into_body();
        let patience = Duration::from_millis(STALL_MS_MAX);
        loop {
            let next = timeout(patience, body.frame()).await;
            match next.map_err(|_| FetchError::Stalled { url: self.url(name) })? {
                None => return Ok(()),
                Some(Err(e)) => return Err(FetchError::Http { url: self.url(name), why: e.to_string() }),
                Some(Ok(frame)) => frame.data_ref().map_or(Ok(()), |piece| each(piece))?,
            }
        }
    }
}

#[cfg(test)]
#[path = "fetch_tests.rs"]
mod tests;
