//! The format of a firmware image. Enters: its first bytes, the keys of who may make firmware. Leaves: what it is, and
//! whether it is signed.
//!
//! A file is a header of [`HEADER_BYTES`] and the body, the program as it lies in flash after it. All numbers are
//! little-endian, texts ASCII padded with zeros:
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 8 | `VAKA-IMG` |
//! | 8 | 2 | version of the format: 1 |
//! | 10 | 1 | which key signed it: 0 or 1 |
//! | 11 | 1 | 0 |
//! | 12 | 4 | version, rises with each release |
//! | 16 | 4 | bytes of the body |
//! | 20 | 16 | role, e.g. `pendant` |
//! | 36 | 16 | board, e.g. `mps2-an386` |
//! | 52 | 32 | version in words, e.g. `1.4.0` |
//! | 84 | 32 | SHA-256 of the body |
//! | 116 | 332 | 0, for later |
//! | 448 | 64 | signature: ECDSA with P-256 and SHA-256 over bytes 0 to 447, r and s of 32 bytes each |
//!
//! Invariant: nothing of a header counts before [`is_signed`] said so; what the header does not cover does not exist.

use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};
use vaka_protocol::Label;

use super::Reason;

/// Bytes of the header. 512: the body's vector table lies on the boundary that a Cortex-M4 needs for up to 112 interrupts.
pub const HEADER_BYTES: usize = 512;

/// Bytes of the header that are signed.
pub const SIGNED_BYTES: usize = HEADER_BYTES - 64;

/// The first bytes of every image.
pub const MAGIC: [u8; 8] = *b"VAKA-IMG";

/// The version of this format. Another: refused, since what decides might lie elsewhere.
pub const FORMAT: u16 = 1;

/// Longest name of a role and of a board, in bytes.
pub const NAME_BYTES: usize = 16;

/// The public keys of those who may make firmware: SEC 1, not compressed. Two, so that one can be replaced by firmware
/// that the other signed. `None`: no such key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keys(pub [Option<[u8; 65]>; 2]);

/// What an image is for: the device's own must be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The role, e.g. `pendant`; at most [`NAME_BYTES`].
    pub role: &'static str,
    /// The board, e.g. `mps2-an386`; at most [`NAME_BYTES`].
    pub board: &'static str,
}

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Which of [`Keys`] signed it.
    pub key: u8,
    /// Rises with each release.
    pub version: u32,
    /// Length of the body.
    pub body_bytes: u32,
    /// The role, padded with zeros.
    pub role: [u8; NAME_BYTES],
    /// The board, padded with zeros.
    pub board: [u8; NAME_BYTES],
    /// The version in words.
    pub name: Label,
    /// SHA-256 of the body.
    pub sha256: [u8; 32],
}

impl Header {
    /// Reads a header; does not judge its signature.
    ///
    /// # Errors
    /// [`Reason::NotAnImage`]: other first bytes, another version of the format, or a name that is no text.
    pub fn parse(bytes: &[u8; HEADER_BYTES]) -> Result<Self, Reason> {
        if bytes[..8] != MAGIC || u16::from_le_bytes(array(bytes, 8)) != FORMAT {
            return Err(Reason::NotAnImage);
        }
        let name: [u8; 32] = array(bytes, 52);
        let length = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        let name = core::str::from_utf8(&name[..length]).map_err(|_| Reason::NotAnImage)?;
        Ok(Self {
            key: bytes[10],
            version: u32::from_le_bytes(array(bytes, 12)),
            body_bytes: u32::from_le_bytes(array(bytes, 16)),
            role: array(bytes, 20),
            board: array(bytes, 36),
            name: name.into(),
            sha256: array(bytes, 84),
        })
    }

    /// The header's bytes, without a signature: for the tool that makes images.
    pub fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[10] = self.key;
        bytes[12..16].copy_from_slice(&self.version.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.body_bytes.to_le_bytes());
        bytes[20..36].copy_from_slice(&self.role);
        bytes[36..52].copy_from_slice(&self.board);
        bytes[52..52 + self.name.len()].copy_from_slice(self.name.as_bytes());
        bytes[84..116].copy_from_slice(&self.sha256);
        bytes
    }

    /// Bytes of the whole file. `None`: more than a file can have.
    pub fn file_bytes(&self) -> Option<u32> {
        self.body_bytes.checked_add(HEADER_BYTES as u32)
    }

    /// It is for that kind of device.
    pub fn is_for(&self, target: &Target) -> bool {
        self.role == padded(target.role) && self.board == padded(target.board)
    }
}

/// A name as it lies in a header; cut to [`NAME_BYTES`].
pub fn padded(name: &str) -> [u8; NAME_BYTES] {
    let mut bytes = [0; NAME_BYTES];
    bytes.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
    bytes
}

/// One of the keys signed this header.
pub fn is_signed(header: &[u8; HEADER_BYTES], keys: &Keys) -> bool {
    let key = keys.0.get(usize::from(header[10])).copied().flatten();
    let (signed, signature) = header.split_at(SIGNED_BYTES);
    let Some(key) = key.and_then(|key| VerifyingKey::from_sec1_bytes(&key).ok()) else { return false };
    Signature::from_slice(signature).is_ok_and(|signature| key.verify(signed, &signature).is_ok())
}

/// `N` bytes from `at`. The callers' places lie within the header.
fn array<const N: usize>(bytes: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&bytes[at..at + N]);
    part
}
