//! `pki/invites.jsonl`: who is expected to come for a certificate with a one-time code, one JSON line for each invitation.
//!
//! The file is written anew as a whole (temporary file, fsync, rename), unlike `issued.jsonl`: it is short, and so the key of an
//! invitation that is settled is gone from it. The key is what a code is worth at this gateway; it lies beside the authority's own key
//! and opens no more than that. The code itself is nowhere.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use vaka_protocol::DeviceId;
use vaka_protocol::enrol::{Locator, Secret};

use super::certificate::hex;
use super::{ProvisionError, files};
use crate::clock::Now;
use crate::config::{DeviceKind, Warning};
use crate::limits;

/// Hexadecimal text that no log and no error ever shows.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Hidden(String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

/// One invitation. Times are UTC milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    pub id: DeviceId,
    pub kind: DeviceKind,
    pub invited_at: i64,
    pub expires_at: i64,
    /// The same end by the clock that only runs, within `boot`: a wall clock that is set keeps no code alive.
    mono_until_ms: u64,
    /// The machine's boot in which it was made.
    boot: String,
    /// Wrong proofs.
    #[serde(default)]
    pub failed: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_at: Option<i64>,
    /// The enrolment that it was used for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolment: Option<u32>,
    /// A newer invitation, or `vaka device remove`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled_at: Option<i64>,
    /// SHA-256 of the public key that was certified, and the certificate (DER): the same device may ask again if the answer was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) public_key_sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) certificate: Option<String>,
    #[serde(default)]
    locator: Hidden,
    #[serde(default)]
    key: Hidden,
}

/// What an invitation is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InvitationState {
    /// Somebody may come with it.
    Open,
    /// A device has its certificate by it.
    Used,
    Expired,
    Cancelled,
    /// Too many wrong proofs.
    Burnt,
}

impl InvitationState {
    pub fn as_str(self) -> &'static str {
        match self {
            InvitationState::Open => "open",
            InvitationState::Used => "used",
            InvitationState::Expired => "expired",
            InvitationState::Cancelled => "cancelled",
            InvitationState::Burnt => "burnt",
        }
    }
}

impl Invitation {
    pub(super) fn new(id: DeviceId, kind: DeviceKind, secret: &Secret, life_ms: u64, now: Now) -> Invitation {
        Invitation {
            id,
            kind,
            invited_at: now.wall_ms,
            expires_at: now.wall_ms.saturating_add_unsigned(life_ms),
            mono_until_ms: now.mono_ms.saturating_add(life_ms),
            boot: boot(),
            failed: 0,
            used_at: None,
            enrolment: None,
            cancelled_at: None,
            public_key_sha256: None,
            certificate: None,
            locator: Hidden(hex(&secret.locator)),
            key: Hidden(hex(&secret.key)),
        }
    }

    /// Its end has come. Within the boot in which it was made the wall clock is not asked; after another it must lie within the life.
    pub(super) fn is_over(&self, now: Now) -> bool {
        let runs = if self.boot == boot() {
            now.mono_ms < self.mono_until_ms
        } else {
            (self.invited_at..self.expires_at).contains(&now.wall_ms)
        };
        !runs
    }

    pub fn state(&self, now: Now) -> InvitationState {
        if self.used_at.is_some() {
            InvitationState::Used
        } else if self.failed >= limits::INVITATION_TRIES_MAX {
            InvitationState::Burnt
        } else if self.cancelled_at.is_some() {
            InvitationState::Cancelled
        } else if self.is_over(now) {
            InvitationState::Expired
        } else {
            InvitationState::Open
        }
    }

    /// What its code is worth; `None` where it was forgotten.
    pub(super) fn secret(&self) -> Option<Secret> {
        Some(Secret { key: unhex(&self.key.0)?, locator: self.locator()? })
    }

    pub(super) fn locator(&self) -> Option<Locator> {
        unhex(&self.locator.0)
    }

    fn forget(&mut self, now: Now) {
        let is_needed = matches!(self.state(now), InvitationState::Open)
            // The device may not have heard the answer.
            || (self.used_at.is_some() && self.cancelled_at.is_none() && !self.is_over(now));
        if !is_needed {
            self.key = Hidden::default();
            self.certificate = None;
        }
    }
}

/// All invitations, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Invites {
    rows: Vec<Invitation>,
}

impl Invites {
    /// Reads the list. A missing file is an empty list: no code is open, which harms nobody.
    ///
    /// # Errors
    /// [`ProvisionError::File`] if the file is there and cannot be read.
    pub fn load(path: &Path) -> Result<(Invites, Vec<Warning>), ProvisionError> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Default::default()),
            Err(source) => return Err(ProvisionError::File { path: path.to_path_buf(), source }),
        };
        let (mut invites, mut warnings) = (Invites::default(), Vec::new());
        for (at, line) in text.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty()) {
            match serde_json::from_slice(line) {
                Ok(row) => invites.rows.push(row),
                Err(_) => warnings.push(Warning {
                    file: path.to_path_buf(),
                    line: Some(at + 1),
                    text: "this line cannot be read (the file is damaged): its code is refused, make a new one with `vaka device invite`"
                        .to_owned(),
                }),
            }
        }
        Ok((invites, warnings))
    }

    /// Puts the list in the place of the old one, without the keys that nobody needs any more.
    pub(super) fn save(&mut self, path: &Path, now: Now) -> Result<(), ProvisionError> {
        let settled = |row: &Invitation| row.state(now) != InvitationState::Open;
        while self.rows.len() > limits::INVITATIONS_KEPT_MAX
            && let Some(oldest) = self.rows.iter().position(settled)
        {
            self.rows.remove(oldest);
        }
        let mut text = Vec::new();
        for row in &mut self.rows {
            row.forget(now);
            // Text and numbers: this cannot fail.
            text.extend(serde_json::to_vec(row).map_err(|error| ProvisionError::file(path)(error.into()))?);
            text.push(b'\n');
        }
        files::write(path, &text, files::PRIVATE)
    }

    pub fn rows(&self) -> &[Invitation] {
        &self.rows
    }

    pub(super) fn push(&mut self, row: Invitation) {
        self.rows.push(row);
    }

    /// The invitation that a locator names. Two of one locator are one in 2^64.
    pub(super) fn find(&mut self, locator: &Locator) -> Option<&mut Invitation> {
        let locator = Hidden(hex(locator));
        self.rows.iter_mut().find(|row| row.locator == locator)
    }

    /// Takes back what is open for `id`; returns how many.
    pub(super) fn cancel(&mut self, id: &DeviceId, now: Now) -> usize {
        let mut count = 0;
        for row in self.rows.iter_mut().filter(|row| row.id == *id) {
            count += usize::from(row.state(now) == InvitationState::Open);
            // Of a used one the answer is not repeated any more.
            row.cancelled_at = row.cancelled_at.or(Some(now.wall_ms));
        }
        count
    }
}

/// This boot of the machine. Where nobody says: the same each time, and the clock that only runs decides alone.
fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

pub(super) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    unhex_all(text)?.try_into().ok()
}

pub(super) fn unhex_all(text: &str) -> Option<Vec<u8>> {
    let nibbles: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).map(|nibble| nibble as u8)).collect();
    let nibbles = nibbles.filter(|nibbles| nibbles.len() % 2 == 0)?;
    Some(nibbles.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}
