//! One body, sealed: AES-256-GCM, nonce in front, tag behind.
//!
//! The nonce is random: a counter would repeat where one backup is restored twice. 2^32 bodies of one key are within what random nonces
//! allow (NIST SP 800-38D, 8.3); a gateway that stores ten events a second for one resident takes 13 years to get there.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::KEY_BYTES;

/// Bytes by which a sealed body is longer: nonce and tag.
pub const OVERHEAD_BYTES: usize = NONCE_LEN + 16;

/// Where a body stands: it opens nowhere else, under no other number and as no other kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub seq: u64,
    pub kind: u8,
}

impl Place {
    fn bytes(self) -> [u8; 9] {
        let mut bytes = [self.kind; 9];
        bytes[..8].copy_from_slice(&self.seq.to_le_bytes());
        bytes
    }
}

pub(crate) fn cipher(key: &[u8; KEY_BYTES]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap_or_else(|_| unreachable!("a key of the right length")))
}

/// Seals what stands in `bytes` from `from` on, in place. The nonce is one that nothing was sealed with before ([`crate::nonces`]). `None`: it was not sealed, and `bytes` is as it was.
pub(crate) fn seal(
    key: &LessSafeKey,
    nonce: [u8; NONCE_LEN],
    place: Place,
    bytes: &mut Vec<u8>,
    from: usize,
) -> Option<()> {
    let nonce_there = Nonce::assume_unique_for_key(nonce);
    let tag = key.seal_in_place_separate_tag(nonce_there, Aad::from(place.bytes()), &mut bytes[from..]).ok()?;
    bytes.extend_from_slice(tag.as_ref());
    bytes.splice(from..from, nonce);
    Some(())
}

/// The body that was sealed for this place; `None`: it was not, or is damaged.
pub(crate) fn open(key: &LessSafeKey, place: Place, sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, rest) = sealed.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::assume_unique_for_key(nonce.try_into().ok()?);
    let mut bytes = rest.to_vec();
    let length = key.open_in_place(nonce, Aad::from(place.bytes()), &mut bytes).ok()?.len();
    bytes.truncate(length);
    Some(bytes)
}
