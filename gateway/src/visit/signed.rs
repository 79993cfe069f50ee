//! The protocol signed: ECDSA P-256 with SHA-256 over its canonical bytes, with the certificate that the key belongs to.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, SignatureScheme};
use serde_json::{Map, Value, json};

use crate::provision;

/// The one way in which a protocol is signed.
const ALGORITHM: &str = "ecdsa-p256-sha256";

/// Why a protocol is not signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    #[error("{}: {source}; `vaka init` made it, restore pki/ from a backup", path.display())]
    Key { path: PathBuf, source: rustls::pki_types::pem::Error },
    #[error("{}: no key on the curve P-256, as `vaka init` makes it", .0.display())]
    Curve(PathBuf),
    #[error("signing: {0}")]
    Sign(rustls::Error),
}

/// What was found of a file that is in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    pub gateway: String,
    /// UTC milliseconds.
    pub finished_at: i64,
    pub finished_by: String,
    /// SHA-256 of the canonical bytes, hex: as on the page.
    pub digest: String,
}

/// The value's bytes as they are signed: JSON without spaces, the keys of every object in the order of their bytes, UTF-8.
pub fn canonical(value: &Value) -> Vec<u8> {
    fn put(value: &Value, out: &mut String) {
        match value {
            Value::Object(fields) => {
                let mut keys: Vec<&String> = fields.keys().collect();
                keys.sort_unstable();
                out.push('{');
                for (at, key) in keys.into_iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    out.push_str(&Value::from(key.as_str()).to_string());
                    out.push(':');
                    put(fields.get(key).unwrap_or(&Value::Null), out);
                }
                out.push('}');
            }
            Value::Array(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    put(item, out);
                }
                out.push(']');
            }
            plain => out.push_str(&plain.to_string()),
        }
    }
    let mut out = String::new();
    put(value, &mut out);
    out.into_bytes()
}

/// SHA-256 of the canonical bytes, lower-case hex.
pub(super) fn digest(protocol: &Value) -> String {
    hex(ring::digest::digest(&ring::digest::SHA256, &canonical(protocol)).as_ref())
}

/// `protocol` with the gateway's signature: `{"protocol": …, "signature": …}`.
///
/// # Errors
/// [`SignError`], which names the file.
pub fn sign(protocol: &Value, cert: &Path, key: &Path) -> Result<Value, SignError> {
    let pem = |path: &Path| {
        let path = path.to_path_buf();
        move |source| SignError::Key { path, source }
    };
    let private = PrivateKeyDer::from_pem_file(key).map_err(pem(key))?;
    let certificate = std::fs::read_to_string(cert).map_err(|e| pem(cert)(rustls::pki_types::pem::Error::Io(e)))?;
    let signing = rustls::crypto::ring::sign::any_ecdsa_type(&private).map_err(SignError::Sign)?;
    let signer = signing.choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256]);
    let signer = signer.ok_or_else(|| SignError::Curve(key.to_path_buf()))?;
    let signature = signer.sign(&canonical(protocol)).map_err(SignError::Sign)?;
    Ok(json!({
        "protocol": protocol,
        "signature": {
            "algorithm": ALGORITHM,
            "over": "protocol: JSON without spaces, keys sorted, UTF-8",
            "value": hex(&signature),
            "certificate": certificate,
        },
    }))
}

/// Whether `file` is a protocol that a gateway certified by the authority in `device_ca` (PEM) has signed, as it stands.
///
/// # Errors
/// In words: what is not in order.
pub fn verify(file: &Value, device_ca: &Path) -> Result<Verified, String> {
    let empty = Map::new();
    let protocol = file.get("protocol").filter(|protocol| protocol.is_object()).ok_or("it holds no protocol")?;
    let signature = file.get("signature").and_then(Value::as_object).unwrap_or(&empty);
    let word = |key: &str| signature.get(key).and_then(Value::as_str);
    match word("algorithm") {
        Some(ALGORITHM) => {}
        Some(other) => return Err(format!("it is signed by `{other}`, which is not known here")),
        None => return Err("it is not signed".to_owned()),
    }
    let value = word("value").and_then(unhex).ok_or("its signature cannot be read")?;
    let pem = word("certificate").unwrap_or_default();
    let certificate =
        CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| "its certificate cannot be read".to_owned())?;
    let (_, x509) =
        x509_parser::parse_x509_certificate(&certificate).map_err(|_| "its certificate cannot be read".to_owned())?;
    let key = &x509.public_key().subject_public_key.data;
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.as_ref())
        .verify(&canonical(protocol), &value)
        .map_err(|_| "it has been changed since it was signed, or another key signed it".to_owned())?;

    let text = |key: &str| protocol.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let finished_at = protocol.get("finished_at").and_then(Value::as_i64).unwrap_or_default();
    let signer = provision::identity(&certificate).map_err(|e| e.to_string())?;
    if signer.device.as_str() != text("gateway") {
        return Err(format!("it is of gateway {} and was signed by {}", text("gateway"), signer.device));
    }
    // Devices have certificates of the same authority, with their enrolment in them.
    let names = x509.subject_alternative_name().ok().flatten();
    let is_device = names.is_some_and(|names| {
        let urn = |name: &x509_parser::extensions::GeneralName<'_>| matches!(name, x509_parser::extensions::GeneralName::URI(uri) if uri.starts_with(provision::ENROLMENT_URN));
        names.value.general_names.iter().any(urn)
    });
    if is_device {
        return Err(format!("it was signed with the key of the device {}, not by a gateway", signer.device));
    }
    // As the certificate was when it was signed: one that has ended since has signed all the same.
    let then = UnixTime::since_unix_epoch(Duration::from_millis(u64::try_from(finished_at).unwrap_or_default()));
    let judge = || -> Result<(), String> {
        let mut roots = RootCertStore::empty();
        let name = device_ca.display();
        for authority in CertificateDer::pem_file_iter(device_ca).map_err(|e| format!("{name}: {e}"))? {
            roots.add(authority.map_err(|e| format!("{name}: {e}"))?).map_err(|e| format!("{name}: {e}"))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let verifier = verifier.build().map_err(|e| format!("{name}: {e}"))?;
        let judged = verifier.verify_client_cert(&certificate, &[], then);
        judged.map(|_| ()).map_err(|e| format!("its certificate is not of this home's authority ({name}): {e}"))
    };
    judge()?;
    Ok(Verified { gateway: text("gateway"), finished_at, finished_by: text("finished_by"), digest: digest(protocol) })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let even = text.len().is_multiple_of(2) && text.is_ascii();
    even.then(|| (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect())?
}
