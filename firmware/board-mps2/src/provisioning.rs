//! What a technician's tool writes into a device: what its role wants to know, and, for a device that is not to enrol
//! itself, its name, its key and whom it trusts. Enters: one area of the flash, which no program of the device ever
//! writes. Leaves: the parts, in place.
//!
//! Layout: `VAKA` and version 1 (`u32` each), the length of what follows (`u32`), then entries of tag (`u16`), length
//! (`u16`) and bytes, then the CRC-32 (IEEE 802.3) of the entries. Numbers are little-endian. An unknown tag is skipped.

use crate::flash::PROVISIONING;

/// Tags of the entries.
pub mod tag {
    /// Device id, text.
    pub const ID: u16 = 1;
    /// The device's certificate, DER.
    pub const CERTIFICATE: u16 = 2;
    /// Its key, PKCS #8, DER.
    pub const KEY: u16 = 3;
    /// The authority that signs gateways, DER.
    pub const AUTHORITY: u16 = 4;
    /// The gateway's address, IPv4: four bytes, then its port (`u16`).
    pub const ADDRESS: u16 = 5;
    /// The name that the gateway's certificate must bear, text.
    pub const NAME: u16 = 6;
    /// What the role wants to know, as the role says.
    pub const ROLE: u16 = 7;
    /// Hardware address, six bytes.
    pub const HARDWARE: u16 = 8;
}

/// Longest area, bytes.
const BYTES_MAX: usize = 8 * 1024;

/// The parts, as they lie in the flash.
#[derive(Debug, Clone, Copy)]
pub struct Provisioning {
    entries: &'static [u8],
}

impl Provisioning {
    /// Looks at the area. Where nobody has written it, or what stands there is damaged, nothing is in it.
    pub fn read() -> Self {
        Self::whole().unwrap_or(Self { entries: &[] })
    }

    fn whole() -> Option<Self> {
        // SAFETY: the area lies within the flash's memory, and nothing in this image writes to it.
        let area = unsafe { core::slice::from_raw_parts(PROVISIONING as *const u8, BYTES_MAX) };
        let rest = area.strip_prefix(b"VAKA\x01\0\0\0")?;
        let (length, rest) = rest.split_first_chunk()?;
        let (entries, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        let (sum, _) = rest.split_first_chunk()?;
        (crc32(entries) == u32::from_le_bytes(*sum)).then_some(Self { entries })
    }

    /// The bytes of that entry; none if there is no such entry.
    pub fn bytes(&self, wanted: u16) -> &'static [u8] {
        let mut rest = self.entries;
        while let Some(([a, b, c, d], more)) = rest.split_first_chunk() {
            let length = usize::from(u16::from_le_bytes([*c, *d]));
            let Some((bytes, more)) = more.split_at_checked(length) else { break };
            if u16::from_le_bytes([*a, *b]) == wanted {
                return bytes;
            }
            rest = more;
        }
        &[]
    }

    /// Tells a certificate of this area from any other, and from none, which is 0.
    pub fn mark(&self) -> u32 {
        match self.bytes(tag::CERTIFICATE) {
            [] => 0,
            certificate => crc32(certificate).max(1),
        }
    }

    /// The entry as text; empty if it is none.
    pub fn text(&self, wanted: u16) -> &'static str {
        core::str::from_utf8(self.bytes(wanted)).unwrap_or_default()
    }

    /// The gateway's address and port.
    pub fn address(&self) -> Option<([u8; 4], u16)> {
        let [a, b, c, d, low, high] = *self.bytes(tag::ADDRESS) else { return None };
        Some(([a, b, c, d], u16::from_le_bytes([low, high])))
    }
}

/// CRC-32 as IEEE 802.3 has it, bit by bit: once a boot, and without a table.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes
        .iter()
        .fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| sum >> 1 ^ (sum & 1) * 0xedb8_8320))
}
