//! The bytes of a segment, a record and the head file, format version 1. All numbers little-endian.
//!
//! Enters and leaves: fixed arrays. Invariants: these layouts never change; a new one gets a new version number.
//! The first 40 bytes of a segment keep their meaning in every version, so that an old program can say "too new".
//! Checksums of records start from the segment's salt: a payload that looks like a record is never taken for one.

use crc32c::crc32c_append;

/// Format version of segments, records and the head file.
pub const VERSION: u8 = 1;
/// Version of segments in which bodies may be sealed, otherwise as version 1: a program that knows no keys says "too new" and does not take
/// what it cannot open for nothing.
pub const VERSION_SEALED: u16 = 2;
/// Bytes of a segment's header.
pub const SEGMENT_HEADER_BYTES: usize = 40;
/// Bytes in front of each record's body; nothing follows the body.
pub const RECORD_HEADER_BYTES: usize = 48;
/// Bytes of the head file.
pub const HEAD_BYTES: usize = 36;
/// Flag: first record of its commit.
pub const FLAG_FIRST: u8 = 1;
/// The journal's own record, never handed out: the numbers between `follows` (its body, u64) and itself were never used.
pub const KIND_SKIP: u8 = 0;

const SEGMENT_MAGIC: [u8; 8] = *b"VAKAJRNL";
const HEAD_MAGIC: [u8; 8] = *b"VAKAHEAD";

/// What stands at the beginning of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Start value of the records' checksums.
    pub salt: u32,
    /// Sequence number of the first record.
    pub first_seq: u64,
    /// First sequence number of the segment before; 0 for the very first.
    pub previous: u64,
    /// Boot that began the segment.
    pub boot: u32,
    /// Bodies in it may be sealed.
    pub sealed: bool,
}

/// Result of reading a segment's first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentStart {
    Valid(SegmentHeader),
    /// Sound, but of a later format version.
    Newer(u16),
    Damaged,
}

impl SegmentHeader {
    pub fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut b = [0; SEGMENT_HEADER_BYTES];
        b[0..8].copy_from_slice(&SEGMENT_MAGIC);
        let version = if self.sealed { VERSION_SEALED } else { u16::from(VERSION) };
        b[8..10].copy_from_slice(&version.to_le_bytes());
        b[10..12].copy_from_slice(&(SEGMENT_HEADER_BYTES as u16).to_le_bytes());
        b[12..16].copy_from_slice(&self.salt.to_le_bytes());
        b[16..24].copy_from_slice(&self.first_seq.to_le_bytes());
        b[24..32].copy_from_slice(&self.previous.to_le_bytes());
        b[32..36].copy_from_slice(&self.boot.to_le_bytes());
        let crc = crc32c_append(0, &b[..36]);
        b[36..40].copy_from_slice(&crc.to_le_bytes());
        b
    }

    pub fn decode(b: &[u8]) -> SegmentStart {
        if b.len() < SEGMENT_HEADER_BYTES || b[0..8] != SEGMENT_MAGIC || crc32c_append(0, &b[..36]) != u32_at(b, 36) {
            return SegmentStart::Damaged;
        }
        let version = u16::from_le_bytes([b[8], b[9]]);
        if version != u16::from(VERSION) && version != VERSION_SEALED {
            return SegmentStart::Newer(version);
        }
        SegmentStart::Valid(SegmentHeader {
            salt: u32_at(b, 12),
            first_seq: u64_at(b, 16),
            previous: u64_at(b, 24),
            boot: u32_at(b, 32),
            sealed: version == VERSION_SEALED,
        })
    }
}

/// What stands in front of a record's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordHeader {
    /// Length of the body, in bytes.
    pub length: u32,
    pub kind: u8,
    pub lane: u8,
    pub flags: u8,
    pub key_id: u32,
    pub seq: u64,
    pub mono_ms: u64,
    pub wall_ms: i64,
    pub boot: u32,
    /// Salted CRC32C of the body.
    pub body_crc: u32,
}

impl RecordHeader {
    /// The header with its own checksum, the first four bytes, still zero: [`seal`] fills in both.
    pub fn encode_unsealed(&self) -> [u8; RECORD_HEADER_BYTES] {
        let mut b = [0; RECORD_HEADER_BYTES];
        b[4..8].copy_from_slice(&self.length.to_le_bytes());
        b[8] = VERSION;
        b[9] = self.kind;
        b[10] = self.lane;
        b[11] = self.flags;
        b[12..16].copy_from_slice(&self.key_id.to_le_bytes());
        b[16..24].copy_from_slice(&self.seq.to_le_bytes());
        b[24..32].copy_from_slice(&self.mono_ms.to_le_bytes());
        b[32..40].copy_from_slice(&self.wall_ms.to_le_bytes());
        b[40..44].copy_from_slice(&self.boot.to_le_bytes());
        b[44..48].copy_from_slice(&self.body_crc.to_le_bytes());
        b
    }

    /// Reads a header; `None` unless version and checksum are right.
    pub fn decode(b: &[u8], salt: u32) -> Option<RecordHeader> {
        // The version first: it spares the checksum at nearly every place where no record begins.
        if b.len() < RECORD_HEADER_BYTES || b[8] != VERSION {
            return None;
        }
        if crc32c_append(salt, &b[4..RECORD_HEADER_BYTES]) != u32_at(b, 0) {
            return None;
        }
        Some(RecordHeader {
            length: u32_at(b, 4),
            kind: b[9],
            lane: b[10],
            flags: b[11],
            key_id: u32_at(b, 12),
            seq: u64_at(b, 16),
            mono_ms: u64_at(b, 24),
            wall_ms: u64_at(b, 32) as i64,
            boot: u32_at(b, 40),
            body_crc: u32_at(b, 44),
        })
    }

    /// The body is the one that was written.
    pub fn body_is_whole(&self, body: &[u8], salt: u32) -> bool {
        crc32c_append(salt, body) == self.body_crc
    }
}

/// Puts both checksums into every record of `records` (headers and bodies back to back) and marks the first.
pub fn seal(mut records: &mut [u8], salt: u32) {
    let mut first = true;
    while records.len() >= RECORD_HEADER_BYTES {
        let length = u32_at(records, 4) as usize;
        let (record, rest) = records.split_at_mut(RECORD_HEADER_BYTES + length);
        let (header, body) = record.split_at_mut(RECORD_HEADER_BYTES);
        if std::mem::take(&mut first) {
            header[11] |= FLAG_FIRST;
        }
        sum(header, body, salt);
        records = rest;
    }
}

/// Puts both checksums into one record's header.
pub fn sum(header: &mut [u8], body: &[u8], salt: u32) {
    header[44..48].copy_from_slice(&crc32c_append(salt, body).to_le_bytes());
    let crc = crc32c_append(salt, &header[4..RECORD_HEADER_BYTES]);
    header[0..4].copy_from_slice(&crc.to_le_bytes());
}

/// What the journal must know even when every segment is lost: the small synced file `head`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// No sequence number from here on has ever been used.
    pub ceiling: u64,
    /// First sequence number of the oldest segment that must be there; 0 before the first is.
    pub floor: u64,
    /// Newest boot that wrote.
    pub boot: u32,
}

impl Head {
    pub fn encode(&self) -> [u8; HEAD_BYTES] {
        let mut b = [0; HEAD_BYTES];
        b[0..8].copy_from_slice(&HEAD_MAGIC);
        b[8..10].copy_from_slice(&u16::from(VERSION).to_le_bytes());
        b[12..16].copy_from_slice(&self.boot.to_le_bytes());
        b[16..24].copy_from_slice(&self.ceiling.to_le_bytes());
        b[24..32].copy_from_slice(&self.floor.to_le_bytes());
        let crc = crc32c_append(0, &b[..32]);
        b[32..36].copy_from_slice(&crc.to_le_bytes());
        b
    }

    pub fn decode(b: &[u8]) -> Option<Head> {
        if b.len() < HEAD_BYTES || b[0..8] != HEAD_MAGIC || crc32c_append(0, &b[..32]) != u32_at(b, 32) {
            return None;
        }
        Some(Head { boot: u32_at(b, 12), ceiling: u64_at(b, 16), floor: u64_at(b, 24) })
    }
}

fn u32_at(b: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
}

fn u64_at(b: &[u8], at: usize) -> u64 {
    u64::from(u32_at(b, at)) | u64::from(u32_at(b, at + 4)) << 32
}

/// A segment's file name: first sequence number and salt, so that a segment whose header is damaged can still be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentName {
    pub first_seq: u64,
    pub salt: u32,
}

impl SegmentName {
    pub fn parse(name: &str) -> Option<SegmentName> {
        let stem = name.strip_suffix(".vaka")?;
        let (seq, salt) = stem.split_once('-')?;
        let hex = |text: &str, digits| text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit());
        if !hex(seq, 16) || !hex(salt, 8) {
            return None;
        }
        Some(SegmentName { first_seq: u64::from_str_radix(seq, 16).ok()?, salt: u32::from_str_radix(salt, 16).ok()? })
    }
}

impl std::fmt::Display for SegmentName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}-{:08x}.vaka", self.first_seq, self.salt)
    }
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
