//! `vaka device invite`: a one-time code for a device that makes its key itself; and what becomes of one that comes with it.
//!
//! Enters: a technician's wish; later a request over the network that may be anybody's. Leaves: a code for the technician's eyes, and a
//! certificate for the one device that proves it.
//!
//! Invariants: one code, one device, once: judged and settled under the home's lock, and on the disk before any certificate leaves; the
//! same key gets the same certificate again as long as the code lives, because an answer may be lost. Only who knows an invitation's
//! locator, which is made of the code, can have a try counted against it. Order on the disk: `issued.jsonl`, then `invites.jsonl`: cut
//! off between, the code is still open and the next certificate has the next enrolment.

use std::collections::BTreeSet;
use std::path::Path;

use rcgen::{PublicKeyData, SubjectPublicKeyInfo};
use ring::rand::{SecureRandom, SystemRandom};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use vaka_protocol::DeviceId;
use vaka_protocol::enrol::{Code, EXPORTER_BYTES, Locator, Request};

use super::certificate::{hex, read_authority, sign};
use super::devices::{AddDevice, Expected, device_subject, expect, lock_home, row};
use super::invites::{Invitation, InvitationState, Invites, unhex_all};
use super::issued::{Issued, IssuedRow, append};
use super::renew::read_request;
use super::{Pki, ProvisionError};
use crate::clock::Now;
use crate::config::{Config, DeviceKind};
use crate::limits;

/// A code, to be shown to one technician and then forgotten.
pub struct Invited {
    pub code: Code,
    pub invitation: Invitation,
    pub expected: Expected,
    /// Where the device is to go; `None`: nothing listens, see `[enrol]`.
    pub listen: Option<std::net::SocketAddr>,
    /// SHA-256 of the server authority's certificate (DER), lower-case hex.
    pub ca_sha256: String,
    /// Earlier codes for the same device that are no longer good.
    pub cancelled: usize,
}

impl Invited {
    /// HOST:PORT that the device is told to go to; `host`: this gateway's name or address as devices see it. `None`: nothing listens.
    pub fn place(&self, host: Option<&str>) -> Option<String> {
        let listen = self.listen?;
        let uname = rustix::system::uname();
        let host = match host {
            Some(host) => host.to_owned(),
            // Nobody can go to 0.0.0.0.
            None if listen.ip().is_unspecified() => uname.nodename().to_string_lossy().into_owned(),
            None => listen.ip().to_string(),
        };
        let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host };
        Some(format!("{host}:{}", listen.port()))
    }

    /// What the code to scan says.
    pub fn url(&self, host: Option<&str>) -> Option<String> {
        let place = self.place(host)?;
        Some(format!("vaka://{place}/?code={}&ca={}", self.code.text(), self.ca_sha256))
    }
}

/// Puts the device into vaka.toml, if it is not there, and makes a code for it that lives `life_ms` milliseconds.
///
/// # Errors
/// [`ProvisionError`]; vaka.toml is either as before or whole, and no code is good then.
pub fn invite(config_file: &Path, wish: &AddDevice, life_ms: u64, now: Now) -> Result<Invited, ProvisionError> {
    let mut random = [0; 12];
    SystemRandom::new().fill(&mut random).map_err(|_| ProvisionError::Random)?;
    let code = Code::from_random(random);
    let mut made = None;
    let expected = expect(config_file, wish, |config| {
        let pki = config.pki();
        let (mut invites, warnings) = Invites::load(&pki.invites())?;
        let cancelled = invites.cancel(&wish.id, now);
        let open = invites.rows().iter().filter(|row| row.state(now) == InvitationState::Open).count();
        if open >= limits::INVITATIONS_OPEN_MAX {
            return Err(ProvisionError::ManyInvitations(open));
        }
        let invitation = Invitation::new(wish.id.clone(), wish.kind, &code.secret(), life_ms, now);
        invites.push(invitation.clone());
        let ca_sha256 = sha256(&server_ca(&pki)?);
        invites.save(&pki.invites(), now)?;
        made = Some((invitation, config.enrol, ca_sha256, cancelled));
        Ok(warnings)
    })?;
    let (invitation, listen, ca_sha256, cancelled) = made.ok_or(ProvisionError::Random)?;
    Ok(Invited { code, invitation, expected, listen, ca_sha256, cancelled })
}

/// Every invitation that is remembered, oldest first.
///
/// # Errors
/// [`ProvisionError`] where the list cannot be read.
pub fn invites(config: &Config) -> Result<(Vec<Invitation>, Vec<crate::config::Warning>), ProvisionError> {
    let (invites, warnings) = Invites::load(&config.pki().invites())?;
    Ok((invites.rows().to_vec(), warnings))
}

/// The locator of every invitation that is remembered, settled ones too: who comes with one of those is named in the log. Blocks on the disk.
///
/// # Errors
/// [`ProvisionError`] where the list cannot be read.
pub fn locators(pki: &Pki) -> Result<BTreeSet<Locator>, ProvisionError> {
    Ok(Invites::load(&pki.invites())?.0.rows().iter().filter_map(Invitation::locator).collect())
}

/// The certificate that devices judge this gateway's servers by, DER.
///
/// # Errors
/// [`ProvisionError::File`].
pub fn server_ca(pki: &Pki) -> Result<CertificateDer<'static>, ProvisionError> {
    let path = pki.server_ca();
    CertificateDer::from_pem_file(&path).map_err(|error| ProvisionError::file(&path)(std::io::Error::other(error)))
}

/// Devices that were invited and have never had a certificate, whose code is no longer good. They stay in vaka.toml until a person takes them
/// out: the config may name them elsewhere, and a code that ran out on the doorstep is made anew in a minute.
///
/// # Errors
/// [`ProvisionError`] if a list cannot be read.
pub fn never_came(config: &Config, now: Now) -> Result<BTreeSet<DeviceId>, ProvisionError> {
    let pki = config.pki();
    let (issued, (invites, _)) = (Issued::load(&pki.issued())?.0, Invites::load(&pki.invites())?);
    let is_open =
        |id: &DeviceId| invites.rows().iter().any(|row| row.id == *id && row.state(now) == InvitationState::Open);
    let ids = invites.rows().iter().filter(|row| is_listed(config, &row.id, row.kind)).map(|row| &row.id);
    Ok(ids.filter(|id| !is_open(id) && issued.of(id).is_empty()).cloned().collect())
}

/// Why somebody who asked for a certificate got none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NotEnrolled {
    /// No invitation has this locator: any wrong code.
    Unknown,
    Expired,
    /// Another device has it.
    Used,
    Cancelled,
    /// Too many wrong proofs before.
    Burnt,
    /// The locator is known, the proof is none: somebody stands between, or tries.
    WrongProof,
    /// The code is right, and the device is something else than was invited.
    OtherKind,
    /// The request for a certificate is none of a P-256 key.
    BadRequest,
    /// The device is no longer in vaka.toml, or has become something else there.
    NotListed,
}

impl NotEnrolled {
    pub fn as_str(self) -> &'static str {
        match self {
            NotEnrolled::Unknown => "unknown_code",
            NotEnrolled::Expired => "expired_code",
            NotEnrolled::Used => "used_code",
            NotEnrolled::Cancelled => "cancelled_code",
            NotEnrolled::Burnt => "burnt_code",
            NotEnrolled::WrongProof => "wrong_proof",
            NotEnrolled::OtherKind => "other_kind",
            NotEnrolled::BadRequest => "bad_request",
            NotEnrolled::NotListed => "not_listed",
        }
    }
}

/// What became of a request.
#[derive(Debug)]
pub enum Judged {
    Enrolled {
        id: DeviceId,
        enrolment: u32,
        /// DER.
        certificate: Vec<u8>,
        /// The proof is for the device.
        secret: vaka_protocol::enrol::Secret,
        /// The same device asked again.
        again: bool,
    },
    Refused {
        why: NotEnrolled,
        /// Whose invitation it was, where the locator is one's.
        id: Option<DeviceId>,
    },
}

/// Judges a request that came over the connection with this `exporter`. Blocks on the disk, for known locators only.
///
/// # Errors
/// [`ProvisionError`] where the disk or the authority fails; the code is still good then.
pub fn judge(
    config_file: &Path,
    pki: &Pki,
    request: &Request<'_>,
    exporter: &[u8; EXPORTER_BYTES],
    now: Now,
) -> Result<Judged, ProvisionError> {
    let refused = |why, id| Ok(Judged::Refused { why, id });
    // Of several at once, one is first.
    let _lock = lock_home(pki.dir())?;
    let (mut invites, _) = Invites::load(&pki.invites())?;
    let Some(row) = invites.find(&request.locator) else { return refused(NotEnrolled::Unknown, None) };
    let id = row.id.clone();
    let Some(secret) = row.secret() else {
        let why = match row.state(now) {
            InvitationState::Used => NotEnrolled::Used,
            InvitationState::Cancelled => NotEnrolled::Cancelled,
            InvitationState::Burnt => NotEnrolled::Burnt,
            InvitationState::Expired | InvitationState::Open => NotEnrolled::Expired,
        };
        return refused(why, Some(id));
    };
    let is_proven = request.is_proven(&secret, exporter);
    match row.state(now) {
        InvitationState::Cancelled => return refused(NotEnrolled::Cancelled, Some(id)),
        InvitationState::Burnt => return refused(NotEnrolled::Burnt, Some(id)),
        InvitationState::Expired => return refused(NotEnrolled::Expired, Some(id)),
        InvitationState::Open if !is_proven => {
            row.failed += 1;
            invites.save(&pki.invites(), now)?;
            return refused(NotEnrolled::WrongProof, Some(id));
        }
        InvitationState::Used if !is_proven => return refused(NotEnrolled::WrongProof, Some(id)),
        InvitationState::Open | InvitationState::Used => {}
    }
    let Ok(key) = read_request(request.csr) else { return refused(NotEnrolled::BadRequest, Some(id)) };
    let key_sha256 = sha256(&key.subject_public_key_info());
    if row.used_at.is_some() {
        let same =
            row.public_key_sha256.as_ref() == Some(&key_sha256) && row.cancelled_at.is_none() && !row.is_over(now);
        let certificate = row.certificate.as_deref().and_then(unhex_all);
        return match (same, certificate, row.enrolment) {
            (true, Some(certificate), Some(enrolment)) => {
                Ok(Judged::Enrolled { id, enrolment, certificate, secret, again: true })
            }
            _ => refused(NotEnrolled::Used, Some(id)),
        };
    }
    let kind = row.kind;
    if request.kind.is_some_and(|said| said != kind.as_str()) {
        return refused(NotEnrolled::OtherKind, Some(id));
    }
    let (config, _) = Config::load(config_file)?;
    if !is_listed(&config, &id, kind) {
        return refused(NotEnrolled::NotListed, Some(id));
    }
    let (issued, certificate) = certify(pki, &id, &key, now.wall_ms)?;
    row.used_at = Some(now.wall_ms);
    row.enrolment = Some(issued.enrolment);
    row.public_key_sha256 = Some(key_sha256);
    row.certificate = Some(hex(&certificate));
    invites.save(&pki.invites(), now)?;
    Ok(Judged::Enrolled { id, enrolment: issued.enrolment, certificate, secret, again: false })
}

fn is_listed(config: &Config, id: &DeviceId, kind: DeviceKind) -> bool {
    config.device(id).is_some_and(|device| device.kind == kind && device.via.is_none())
}

/// The next certificate of a device, listed and synced.
fn certify(
    pki: &Pki,
    id: &DeviceId,
    key: &SubjectPublicKeyInfo,
    now_ms: i64,
) -> Result<(IssuedRow, Vec<u8>), ProvisionError> {
    let authority = read_authority(&pki.device_ca(), &pki.device_ca_key())?;
    let enrolment = Issued::load(&pki.issued())?.0.next_enrolment(id);
    let signed = sign(&authority, device_subject(id, enrolment)?, key, now_ms)?;
    let row = row(id, enrolment, &signed, now_ms);
    append(&pki.issued(), std::slice::from_ref(&row))?;
    Ok((row, signed.der))
}

/// Lower-case hex.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref())
}

#[cfg(test)]
#[path = "invite_tests.rs"]
mod tests;
