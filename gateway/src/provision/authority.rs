//! The home's two authorities: made here, or given by the municipality and judged before anything is built on them.
//!
//! Enters: files of an issuing authority and its key. Leaves: authorities that have proved that they can do their part, judged as a
//! peer would judge them, or what is wrong. Invariants: never one authority for both parts; a given key is copied, never printed.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{ExtendedKeyUsagePurpose, Issuer, KeyPair, PublicKeyData};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use vaka_protocol::DeviceId;
use x509_parser::extensions::{GeneralName, GeneralSubtree};
use x509_parser::prelude::X509Certificate;

use super::certificate::{Authority, Signed, authority, end};
use super::devices::device_subject;
use super::{CA_DAYS, DEVICE_DAYS, ProvisionError};
use crate::config::Warning;

/// Authorities made elsewhere: certificate (first the issuing authority's, then those above it) and key, PEM.
#[derive(Debug, Clone, Default)]
pub struct Given {
    pub devices: Option<(PathBuf, PathBuf)>,
    pub servers: Option<(PathBuf, PathBuf)>,
}

pub(super) const DEVICES: &str = "devices";
pub(super) const SERVERS: &str = "servers";
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// One authority, as it will lie in `pki/`.
pub(super) struct Ready {
    pub authority: Authority,
    /// The issuing authority alone: what its part is judged by.
    pub pem: String,
    /// The authorities above it, in their order; empty where it is its own root.
    pub above: String,
    pub key_pem: String,
    /// For errors.
    file: PathBuf,
}

pub(super) struct Pair {
    pub devices: Ready,
    pub servers: Ready,
    pub warnings: Vec<Warning>,
}

impl Ready {
    /// A certificate with what a peer needs that knows only the municipality's root.
    pub fn chain(&self, pem: &str) -> String {
        if self.above.is_empty() { pem.to_owned() } else { format!("{pem}{}{}", self.pem, self.above) }
    }

    /// Judges a certificate as its peers will.
    pub fn proves(&self, signed: &Signed, part: &'static str, now_ms: i64) -> Result<(), ProvisionError> {
        let refused = judge(&self.pem, signed, part, now_ms).err();
        refused.map_or(Ok(()), |what| Err(self.wrong(part, format!("{what}{}", constraints(&self.pem)))))
    }

    fn wrong(&self, part: &'static str, what: String) -> ProvisionError {
        ProvisionError::Authority { path: self.file.clone(), part, what }
    }
}

/// Both authorities: given ones where there are, made ones where not.
pub(super) fn pair(gateway: &str, given: &Given, now_ms: i64) -> Result<Pair, ProvisionError> {
    let mut warnings = Vec::new();
    let mut one = |given: &Option<(PathBuf, PathBuf)>, part| match given {
        Some((cert, key)) => read_given(cert, key, part, now_ms, &mut warnings),
        None => made(gateway, part, now_ms),
    };
    let (devices, servers) = (one(&given.devices, DEVICES)?, one(&given.servers, SERVERS)?);
    if devices.authority.issuer.key().der_bytes() == servers.authority.issuer.key().der_bytes() {
        let what = "it is the authority for servers too: a device's key could then pass as the gateway's; give another";
        return Err(devices.wrong(DEVICES, what.to_owned()));
    }
    let sample = DeviceId::try_from("p1").map_err(|_| ProvisionError::Random)?;
    let (_, device) = end(&devices.authority, device_subject(&sample, 1)?, now_ms)?;
    devices.proves(&device, DEVICES, now_ms)?;
    Ok(Pair { devices, servers, warnings })
}

fn usage(part: &str) -> ExtendedKeyUsagePurpose {
    if part == DEVICES { ExtendedKeyUsagePurpose::ClientAuth } else { ExtendedKeyUsagePurpose::ServerAuth }
}

fn made(gateway: &str, part: &'static str, now_ms: i64) -> Result<Ready, ProvisionError> {
    let certified = authority(&format!("Vaka {gateway} {part}"), usage(part), CA_DAYS, now_ms)?;
    let (pem, key_pem) = (certified.pem(), certified.key().serialize_pem());
    let key = KeyPair::from_pem(&key_pem)?;
    let not_after = read_end(certified.der())?;
    let issuer = Issuer::from_ca_cert_der(certified.der(), key)?;
    let file = PathBuf::from(format!("{part} authority"));
    Ok(Ready { authority: Authority { issuer, not_after }, pem, above: String::new(), key_pem, file })
}

fn read_end(der: &CertificateDer<'_>) -> Result<i64, ProvisionError> {
    let parsed = x509_parser::parse_x509_certificate(der);
    let (_, x509) = parsed.map_err(|_| ProvisionError::Crypto(rcgen::Error::CouldNotParseCertificate))?;
    Ok(x509.validity().not_after.timestamp().saturating_mul(1_000))
}

/// Everything that would only be found out later, at a resident's door, is found out here.
fn read_given(
    cert: &Path,
    key: &Path,
    part: &'static str,
    now_ms: i64,
    warnings: &mut Vec<Warning>,
) -> Result<Ready, ProvisionError> {
    let wrong = |path: &Path, what: String| ProvisionError::Authority { path: path.to_path_buf(), part, what };
    let text = std::fs::read(cert).map_err(ProvisionError::file(cert))?;
    let chain = blocks(&String::from_utf8_lossy(&text));
    let Some((pem, above)) = chain.split_first() else {
        let what = "there is no certificate in it; give it as PEM (openssl x509 -inform der -in FILE -out FILE.pem)";
        return Err(wrong(cert, what.into()));
    };
    let issuing = CertificateDer::from_pem_slice(pem.as_bytes());
    let issuing = issuing.map_err(|e| wrong(cert, format!("its first certificate is not PEM: {e}")))?;
    let parsed = x509_parser::parse_x509_certificate(&issuing);
    let (_, x509) = parsed.map_err(|_| wrong(cert, "its first certificate is not X.509".into()))?;
    if let Some(what) = unfit(&x509, part, now_ms) {
        return Err(wrong(cert, what));
    }

    let key_pem = std::fs::read_to_string(key).map_err(ProvisionError::file(key))?;
    let pair = KeyPair::from_pem(&key_pem).map_err(|_| {
        let fix = "give it unencrypted as PKCS #8: openssl pkcs8 -topk8 -nocrypt -in FILE -out FILE.p8";
        wrong(key, format!("it holds no key that can be read; {fix}"))
    })?;
    if pair.subject_public_key_info() != x509.public_key().raw {
        return Err(wrong(key, format!("this key does not belong to the certificate in {}", cert.display())));
    }
    let not_after = x509.validity().not_after.timestamp().saturating_mul(1_000);
    let mut warn = |text: String| warnings.push(Warning { file: cert.to_path_buf(), line: None, text });
    if not_after < now_ms + DEVICE_DAYS * DAY_MS {
        let days = (not_after - now_ms) / DAY_MS;
        warn(format!(
            "this authority ends in {days} days, and every certificate of the home with it: have its next one ready"
        ));
    }
    if part == DEVICES && may_name_servers(&x509) {
        warn("this authority for devices may name servers too: have it issued with name constraints that exclude every DNS name and address".into());
    }
    let issuer = Issuer::from_ca_cert_der(&issuing, pair)?;
    let (pem, above) = (pem.clone(), above.concat());
    Ok(Ready { authority: Authority { issuer, not_after }, pem, above, key_pem, file: cert.to_path_buf() })
}

/// Why this certificate cannot be the home's authority for `part`.
fn unfit(x509: &X509Certificate<'_>, part: &str, now_ms: i64) -> Option<String> {
    let basic = x509.basic_constraints().ok().flatten().map(|basic| basic.value);
    let Some(basic) = basic.filter(|basic| basic.ca) else {
        return Some("it is no authority's certificate (no CA basic constraint); give the issuing authority's".into());
    };
    match basic.path_len_constraint {
        Some(0) => {}
        length => {
            let length = length.map_or("none".to_owned(), |length| length.to_string());
            return Some(format!(
                "its path length is {length}: whoever took this box could make authorities with it; have it issued with path length 0"
            ));
        }
    }
    if x509.key_usage().ok().flatten().is_some_and(|usage| !usage.value.key_cert_sign()) {
        return Some("its key usage does not let it sign certificates (keyCertSign)".into());
    }
    if let Ok(Some(usage)) = x509.extended_key_usage() {
        let (usage, word) = (usage.value, if part == DEVICES { "clientAuth" } else { "serverAuth" });
        if !(usage.any || if part == DEVICES { usage.client_auth } else { usage.server_auth }) {
            return Some(format!("its extended key usage leaves out {word}, which the certificates of {part} need"));
        }
    }
    let (from, until) = (x509.validity().not_before.timestamp(), x509.validity().not_after.timestamp());
    let date = |s: i64| jiff::Timestamp::from_second(s).map_or(s.to_string(), |at| at.to_string());
    if until.saturating_mul(1_000) <= now_ms {
        return Some(format!("it ended {}; have it renewed, or set this machine's clock", date(until)));
    }
    if from.saturating_mul(1_000) > now_ms {
        return Some(format!("it begins {}: set this machine's clock", date(from)));
    }
    None
}

fn may_name_servers(x509: &X509Certificate<'_>) -> bool {
    let Ok(Some(constraints)) = x509.name_constraints() else { return true };
    let excluded = constraints.value.excluded_subtrees.iter().flatten();
    !excluded.into_iter().any(|subtree| matches!(subtree.base, GeneralName::DNSName("")))
}

/// The constraints in words: what has to be asked for when the authority is made again.
fn constraints(pem: &str) -> String {
    let Ok(der) = CertificateDer::from_pem_slice(pem.as_bytes()) else { return String::new() };
    let Ok((_, x509)) = x509_parser::parse_x509_certificate(&der) else { return String::new() };
    let Ok(Some(found)) = x509.name_constraints() else { return String::new() };
    let mut said = String::new();
    let mut say = |word: &str, subtrees: &Option<Vec<GeneralSubtree<'_>>>| {
        for subtree in subtrees.iter().flatten() {
            let _ = write!(said, "; {word} {}", subtree.base);
        }
    };
    say("permitted:", &found.value.permitted_subtrees);
    say("excluded:", &found.value.excluded_subtrees);
    format!(
        "; its name constraints say{}; have it issued with constraints that leave these names room",
        said.replacen(';', ":", 1)
    )
}

/// As a device judges the gateway's certificate under each of its names, or the gateway a device's.
pub(super) fn judge(authority: &str, signed: &Signed, part: &str, now_ms: i64) -> Result<(), String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    let anchor = CertificateDer::from_pem_slice(authority.as_bytes()).map_err(|e| e.to_string())?;
    roots.add(anchor).map_err(|e| e.to_string())?;
    let (roots, der) = (Arc::new(roots), CertificateDer::from(signed.der.clone()));
    let now = UnixTime::since_unix_epoch(Duration::from_millis(now_ms.max(super::CLOCK_FLOOR_MS).unsigned_abs()));
    if part == DEVICES {
        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots, provider).build().map_err(|e| e.to_string())?;
        let judged = verifier.verify_client_cert(&der, &[], now);
        return judged.map(drop).map_err(|e| format!("a device's certificate under it is refused ({e})"));
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build().map_err(|e| e.to_string())?;
    let (_, x509) = x509_parser::parse_x509_certificate(&der).map_err(|e| e.to_string())?;
    let names = x509.subject_alternative_name().map_err(|e| e.to_string())?;
    for name in names.iter().flat_map(|names| &names.value.general_names) {
        let name = match name {
            GeneralName::DNSName(name) => (*name).to_owned(),
            GeneralName::IPAddress(bytes) => match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
                (Ok(bytes), _) => std::net::Ipv4Addr::from(bytes).to_string(),
                (_, Ok(bytes)) => std::net::Ipv6Addr::from(bytes).to_string(),
                _ => continue,
            },
            _ => continue,
        };
        let server = ServerName::try_from(name.clone()).map_err(|e| e.to_string())?;
        let judged = verifier.verify_server_cert(&der, &[], &server, &[], now);
        judged.map_err(|e| format!("the gateway's certificate under it is refused as `{name}` ({e})"))?;
    }
    Ok(())
}

/// The certificates of a PEM file, each as it stands there.
fn blocks(text: &str) -> Vec<String> {
    let (begin, end) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");
    let after = text.split(begin).skip(1);
    after.filter_map(|rest| rest.split_once(end)).map(|(body, _)| format!("{begin}{body}{end}\n")).collect()
}
