//! One request and its answer: HTTP/1.1 over TLS, each on a connection of its own.
//!
//! Enters: where the authority is, whom to trust, how to log in. Leaves: certificates, or that it wants time. Invariants: one deadline for
//! all of it; what comes is bounded; a password goes to nobody but a server that a trusted authority vouches for; redirects are not
//! followed. Absent: EST over TLS 1.1 and older, SRP, the CMC form, keys made by the server.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::Builder;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HOST, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::client::danger::ServerCertVerifier;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{EstError, pkcs7};
use crate::base64;
use crate::enrol::client::ByCode;
use crate::limits::{EST_ANSWER_BYTES_MAX, EST_MS_MAX, EST_RETRY_S_MAX, EST_RETRY_S_MIN};

/// Where the authority's services are, unless the address says otherwise.
const WELL_KNOWN: &str = "/.well-known/est";

/// The authority's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    host: String,
    port: u16,
    /// As the `Host` header says it.
    authority: String,
    /// Path of its services, without a slash at the end.
    base: String,
}

impl Server {
    /// Reads `https://HOST[:PORT]`, with `/.well-known/est` or `/.well-known/est/LABEL` behind it or not.
    ///
    /// # Errors
    /// [`EstError::Url`].
    pub fn parse(url: &str) -> Result<Server, EstError> {
        let wrong = || EstError::Url(url.split('@').next_back().unwrap_or_default().to_owned());
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let authority = uri.authority().ok_or_else(wrong)?;
        let path = uri.path().trim_end_matches('/');
        let is_service = path.is_empty() || path == WELL_KNOWN || path.starts_with(&format!("{WELL_KNOWN}/"));
        if uri.scheme_str() != Some("https") || uri.query().is_some() || url.contains('@') || !is_service {
            return Err(wrong());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let base = if path.is_empty() { WELL_KNOWN } else { path };
        let port = authority.port_u16().unwrap_or(443);
        Ok(Server { host, port, authority: authority.to_string(), base: base.to_owned() })
    }

    /// Its address in full.
    pub fn url(&self) -> String {
        format!("https://{}{}", self.authority, self.base)
    }
}

/// Who may be the authority's server.
pub enum Trust<'a> {
    /// Whom one of these vouches for, under the name that was dialled.
    Anchors(&'a [CertificateDer<'static>]),
    /// Anybody: for what will be judged by a fingerprint, and for nothing that is said.
    Nobody,
}

/// How the gateway proves that it may have a certificate.
#[derive(Default, Clone)]
pub struct Login {
    /// HTTP Basic: user and one-time password.
    pub password: Option<(String, String)>,
    /// PEM files of a certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// What the authority says to a request for a certificate.
#[derive(Debug)]
pub enum Reply {
    Certificates(Vec<CertificateDer<'static>>),
    /// Somebody has to decide first: the same request is to be made again after this.
    Later(Duration),
}

/// The authority's own certificates.
///
/// # Errors
/// [`EstError`].
pub async fn authorities(server: &Server, trust: &Trust<'_>) -> Result<Vec<CertificateDer<'static>>, EstError> {
    match exchange(server, trust, &Login::default(), Method::GET, "cacerts", Bytes::new()).await? {
        Reply::Certificates(certificates) => Ok(certificates),
        Reply::Later(_) => Err(EstError::Status { url: server.url(), status: 202, hint: "", said: String::new() }),
    }
}

/// Asks for a certificate. `again`: for the one that comes after that in `login`.
///
/// # Errors
/// [`EstError`].
pub async fn enrol(
    server: &Server,
    anchors: &[CertificateDer<'static>],
    login: &Login,
    request: &[u8],
    again: bool,
) -> Result<Reply, EstError> {
    let service = if again { "simplereenroll" } else { "simpleenroll" };
    let body = Bytes::from(base64::encode(request));
    exchange(server, &Trust::Anchors(anchors), login, Method::POST, service, body).await
}

async fn exchange(
    server: &Server,
    trust: &Trust<'_>,
    login: &Login,
    method: Method,
    service: &'static str,
    body: Bytes,
) -> Result<Reply, EstError> {
    let all = speak(server, trust, login, method, service, body);
    let slow = |_| EstError::Slow { url: server.url(), ms: EST_MS_MAX };
    tokio::time::timeout(Duration::from_millis(EST_MS_MAX), all).await.map_err(slow)?
}

async fn speak(
    server: &Server,
    trust: &Trust<'_>,
    login: &Login,
    method: Method,
    service: &'static str,
    body: Bytes,
) -> Result<Reply, EstError> {
    let url = || format!("{}/{service}", server.url());
    let connect = |source| EstError::Connect { url: url(), source };
    let tls = TlsConnector::from(tls(trust, login)?);
    let name = ServerName::try_from(server.host.clone()).map_err(|_| EstError::Url(server.url()))?;
    let stream = TcpStream::connect((server.host.as_str(), server.port)).await.map_err(connect)?;
    stream.set_nodelay(true).map_err(connect)?;
    let stream = tls.connect(name, stream).await.map_err(|source| EstError::Tls { url: url(), source })?;

    let broken = |error: &dyn std::fmt::Display| EstError::Http { url: url(), why: error.to_string() };
    let (mut sender, driver) = Builder::new()
        .max_headers(64)
        .handshake::<_, Full<Bytes>>(TokioIo::new(stream))
        .await
        .map_err(|error| broken(&error))?;
    let driver = tokio::spawn(driver);
    let request = request(server, login, method, service, body).map_err(|error| broken(&error))?;
    let answered = async {
        let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, EST_ANSWER_BYTES_MAX).collect().await.map_err(|error| broken(&error))?;
        Ok::<_, EstError>((head, body.to_bytes()))
    };
    let answered = answered.await;
    driver.abort();
    let (head, body) = answered?;
    match head.status {
        StatusCode::OK => {
            let text: String = body.iter().map(|byte| char::from(*byte)).filter(|c| !c.is_ascii_whitespace()).collect();
            let der = base64::decode(&text).ok_or_else(|| EstError::NoBase64(url()))?;
            let certificates = pkcs7::certificates(&der).map_err(|source| EstError::Answer { url: url(), source })?;
            Ok(Reply::Certificates(certificates))
        }
        StatusCode::ACCEPTED => Ok(Reply::Later(retry_after(&head.headers))),
        status => {
            Err(EstError::Status { url: url(), status: status.as_u16(), hint: hint(status), said: first_line(&body) })
        }
    }
}

fn request(
    server: &Server,
    login: &Login,
    method: Method,
    service: &str,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let mut request = Request::builder()
        .method(&method)
        .uri(format!("{}/{service}", server.base))
        .header(HOST, &server.authority)
        .header(USER_AGENT, concat!("vaka/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "application/pkcs7-mime");
    if method == Method::POST {
        // The second header means nothing in HTTP; authorities of the first hour want it all the same.
        request = request.header(CONTENT_TYPE, "application/pkcs10").header("content-transfer-encoding", "base64");
        if let Some((user, password)) = &login.password {
            let basic = format!("Basic {}", base64::encode(format!("{user}:{password}").as_bytes()));
            let mut basic = HeaderValue::try_from(basic)?;
            basic.set_sensitive(true);
            request = request.header(AUTHORIZATION, basic);
        }
    }
    request.body(Full::new(body))
}

fn tls(trust: &Trust<'_>, login: &Login) -> Result<Arc<ClientConfig>, EstError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(EstError::Trust)?;
    let builder = match trust {
        Trust::Anchors(anchors) => {
            let mut roots = RootCertStore::empty();
            for anchor in *anchors {
                roots.add(anchor.clone()).map_err(EstError::Trust)?;
            }
            builder.with_root_certificates(roots)
        }
        Trust::Nobody => {
            let anybody: Arc<dyn ServerCertVerifier> = Arc::new(ByCode { provider, ca_sha256: None });
            builder.dangerous().with_custom_certificate_verifier(anybody)
        }
    };
    let mut config = match &login.identity {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let pem = |path: &PathBuf, source| EstError::Pem { path: path.clone(), source };
            let chain: Vec<_> =
                CertificateDer::pem_file_iter(cert).and_then(Iterator::collect).map_err(|source| pem(cert, source))?;
            let private = PrivateKeyDer::from_pem_file(key).map_err(|source| pem(key, source))?;
            builder.with_client_auth_cert(chain, private).map_err(EstError::Trust)?
        }
    };
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

/// What most often is behind it.
fn hint(status: StatusCode) -> &'static str {
    match status.as_u16() {
        300..=399 => "; redirects are not followed: give the final address",
        401 => {
            "; the user or the one-time password is wrong or used up, or the certificate that was shown is not enough"
        }
        403 => "; the authority will not give this gateway a certificate: ask who runs it",
        404 => "; there is no such service: check the address, and the label behind /.well-known/est/",
        400 | 415 | 422 => "; it does not take the request for a certificate: does it issue P-256, under this name?",
        500..=599 => "; try again later",
        _ => "",
    }
}

/// What the authority said, for whoever reads the error: printable, and not long.
fn first_line(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let line: String = text.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(200).collect();
    if line.is_empty() { line } else { format!(" (it says: {line})") }
}

/// Seconds, or a date by the clock that the answer's own date is of; without either the shortest wait: who asks too early hears it again.
fn retry_after(headers: &HeaderMap) -> Duration {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::trim);
    let date = |name| jiff::fmt::rfc2822::parse(text(name)?).ok().map(|at| at.timestamp().as_second());
    let until = || date(RETRY_AFTER)?.checked_sub(date(DATE)?).and_then(|s| u64::try_from(s).ok());
    let seconds = text(RETRY_AFTER).and_then(|text| text.parse::<u64>().ok()).or_else(until);
    Duration::from_secs(seconds.unwrap_or(EST_RETRY_S_MIN).clamp(EST_RETRY_S_MIN, EST_RETRY_S_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_servers_or_that_of_a_service_and_always_https() {
        let base = |url: &str| Server::parse(url).map(|server| server.url());
        for (url, full) in [
            ("https://ca.example", "https://ca.example/.well-known/est"),
            ("https://ca.example:8443/", "https://ca.example:8443/.well-known/est"),
            ("https://[::1]:8443/.well-known/est/gateways/", "https://[::1]:8443/.well-known/est/gateways"),
        ] {
            assert_eq!(base(url).unwrap(), full);
        }
        assert_eq!(Server::parse("https://[::1]").unwrap().host, "::1");
        for wrong in
            ["http://ca.example", "ca.example", "https://", "https://a/est", "https://a/?x=1", "https://u:pw@a"]
        {
            let Err(error) = Server::parse(wrong) else { panic!("{wrong}") };
            assert!(!error.to_string().contains("pw@"), "{error}");
        }
    }

    #[test]
    fn how_long_an_authority_may_let_us_wait_is_bounded() {
        let mut headers = HeaderMap::new();
        assert_eq!(retry_after(&headers).as_secs(), EST_RETRY_S_MIN);
        headers.insert(DATE, HeaderValue::from_static("Fri, 31 Dec 2027 23:50:00 GMT"));
        let mut after = |text: &str| {
            headers.insert(RETRY_AFTER, HeaderValue::from_str(text).unwrap());
            retry_after(&headers).as_secs()
        };
        assert_eq!((after("120"), after("0"), after("99999999")), (120, EST_RETRY_S_MIN, EST_RETRY_S_MAX));
        assert_eq!(after("Fri, 31 Dec 2027 23:59:00 GMT"), 540);
        assert_eq!((after("Fri, 31 Dec 2021 23:59:00 GMT"), after("soon")), (EST_RETRY_S_MIN, EST_RETRY_S_MIN));
    }
}
