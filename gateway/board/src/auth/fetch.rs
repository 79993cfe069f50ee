//! The way to the identity provider: HTTPS by the same parts as everything else, one request a connection.
//!
//! Invariants: nothing but `https:`; a redirect is an answer, and is not followed; size and time are bounded.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{HOST, HeaderValue};
use hyper_util::rt::TokioIo;
use openidconnect::{HttpRequest, HttpResponse};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::limits::{PROVIDER_BYTES_MAX, PROVIDER_MS_MAX};

#[derive(Debug, thiserror::Error)]
#[error("asking {host}: {what}")]
pub struct FetchError {
    host: String,
    what: String,
}

/// TLS that believes this authority, or where there is none, those of the system.
///
/// # Errors
/// What is wrong with the file, or that the system has none.
pub fn tls(ca: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(file) => {
            let wrong = |e: &dyn std::fmt::Display| format!("reading [board.oidc] ca {}: {e}", file.display());
            for certificate in CertificateDer::pem_file_iter(file).map_err(|e| wrong(&e))? {
                roots.add(certificate.map_err(|e| wrong(&e))?).map_err(|e| wrong(&e))?;
            }
        }
        // The system's, not a list built in: it is kept up to date without a new Vaka, and has the municipality's own.
        None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
    }
    if roots.is_empty() {
        return Err(
            "no authority to believe the identity provider by; install ca-certificates or name one in [board.oidc] ca"
                .into(),
        );
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|e| e.to_string())?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// One request, one answer.
///
/// # Errors
/// [`FetchError`].
pub async fn fetch(tls: Arc<ClientConfig>, request: HttpRequest) -> Result<HttpResponse, FetchError> {
    let host = request.uri().host().unwrap_or_default().to_owned();
    let wrong = |what: String| FetchError { host: host.clone(), what };
    let asked = tokio::time::timeout(Duration::from_millis(PROVIDER_MS_MAX), ask(tls, &host, request));
    asked
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {PROVIDER_MS_MAX} ms").into()))
        .map_err(|e| wrong(e.to_string()))
}

type Any = Box<dyn std::error::Error + Send + Sync>;

async fn ask(tls: Arc<ClientConfig>, host: &str, request: HttpRequest) -> Result<HttpResponse, Any> {
    let (mut parts, body) = request.into_parts();
    if parts.uri.scheme_str() != Some("https") {
        return Err("its address is not https".into());
    }
    let authority = parts.uri.authority().map(|authority| authority.as_str().to_owned()).unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((bare, parts.uri.port_u16().unwrap_or(443))).await?;
    let stream = TlsConnector::from(tls).connect(ServerName::try_from(bare.to_owned())?, stream).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // It ends with the sender.
    tokio::spawn(connection);
    parts.uri = parts.uri.path_and_query().map_or("/", |path| path.as_str()).parse()?;
    parts.headers.insert(HOST, HeaderValue::from_str(&authority)?);
    let answer = sender.send_request(hyper::Request::from_parts(parts, Full::new(Bytes::from(body)))).await?;
    let (parts, body) = answer.into_parts();
    let body = Limited::new(body, PROVIDER_BYTES_MAX).collect().await?.to_bytes();
    Ok(HttpResponse::from_parts(parts, body.to_vec()))
}
