//! One record of the flash's log: its bytes, its checksum, and what can be mended of it.
//!
//! Enters: bytes as they were read. Leaves: a value, that it was let go, or that it is not what was written. Invariants:
//! one turned bit is mended, two are noticed in any record; what a power cut tore is never taken for a value.
//!
//! Layout, little-endian: key `u32`; kind `u16` and its complement; value; ones up to the flash's word; checksum `u32`.
//! The checksum is the CRC-32 of IEEE 802.3 over the page's number, the place within the page and all before it, so that
//! a record read where it was not written is none. It comes last: torn, it is missing. At 1,056 bytes that polynomial has
//! a Hamming distance of 4 (Koopman, "32-Bit Cyclic Redundancy Codes for Internet Applications", 2002): one and two.

use crate::keep::VALUE_BYTES_MAX;

/// Before the value.
pub(super) const HEAD_BYTES: usize = 8;
/// After it.
const SUM_BYTES: usize = 4;
/// Longest record, a multiple of the longest word.
pub(super) const RECORD_BYTES_MAX: usize = (HEAD_BYTES + VALUE_BYTES_MAX + SUM_BYTES).next_multiple_of(8);

const REMOVED: u16 = 0x8000;
const DAMAGED: u16 = 0x4000;

/// What a record says of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Its value, that many bytes.
    Value(u16),
    /// It has none.
    Removed,
    /// It had one that could not be read when it was to be moved.
    Damaged,
}

impl Kind {
    fn from_number(number: u16) -> Option<Self> {
        match number {
            REMOVED => Some(Kind::Removed),
            DAMAGED => Some(Kind::Damaged),
            length => Some(Kind::Value(length)).filter(|_| usize::from(length) <= VALUE_BYTES_MAX),
        }
    }

    fn number(self) -> u16 {
        match self {
            Kind::Value(length) => length,
            Kind::Removed => REMOVED,
            Kind::Damaged => DAMAGED,
        }
    }

    /// Bytes of the whole record in a flash with such words.
    pub(super) fn size(self, word: usize) -> usize {
        let value = if let Kind::Value(length) = self { usize::from(length) } else { 0 };
        (HEAD_BYTES + value + SUM_BYTES).next_multiple_of(word)
    }
}

/// How bytes with their checksum were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// As written.
    Whole,
    /// One bit had turned, and is turned back.
    Mended,
    /// Not what was written, or torn.
    Broken,
}

/// The kinds that these first eight bytes may mean: one, or with one turned bit two.
pub(super) fn kinds(head: &[u8; HEAD_BYTES]) -> impl Iterator<Item = Kind> {
    let [_, _, _, _, a, b, c, d] = *head;
    let (number, other) = (u16::from_le_bytes([a, b]), !u16::from_le_bytes([c, d]));
    let is_alike = (number ^ other).count_ones() <= 1;
    let second = Some(other).filter(|other| *other != number);
    Some(number).into_iter().chain(second).filter(move |_| is_alike).filter_map(Kind::from_number)
}

/// The record begins as one of that kind does.
pub(super) fn says(record: &[u8], kind: Kind) -> bool {
    let (number, other) = (kind.number().to_le_bytes(), (!kind.number()).to_le_bytes());
    record.get(4..HEAD_BYTES) == Some(&[number[0], number[1], other[0], other[1]])
}

/// The key in these first eight bytes.
pub(super) fn key(head: &[u8]) -> u32 {
    head.first_chunk().map_or(u32::MAX, |bytes| u32::from_le_bytes(*bytes))
}

/// Puts the head and, after the value that is there already, ones. Returns the record's size, its checksum still open.
pub(super) fn lay(record: &mut [u8], key: u32, kind: Kind, word: usize) -> usize {
    let size = kind.size(word);
    let number = kind.number();
    record[..4].copy_from_slice(&key.to_le_bytes());
    record[4..6].copy_from_slice(&number.to_le_bytes());
    record[6..8].copy_from_slice(&(!number).to_le_bytes());
    let value = if let Kind::Value(length) = kind { usize::from(length) } else { 0 };
    record[HEAD_BYTES + value..size].fill(0xff);
    size
}

/// Puts the checksum into the last four bytes.
pub(super) fn seal(bytes: &mut [u8], page: u32, place: u32) {
    if let Some((bytes, sum)) = bytes.split_last_chunk_mut::<SUM_BYTES>() {
        *sum = checksum(bytes, page, place).to_le_bytes();
    }
}

/// Checks the last four bytes, and turns back the one bit that makes everything right, if there is one.
pub(super) fn mend(bytes: &mut [u8], page: u32, place: u32) -> Found {
    let Some((bytes, sum)) = bytes.split_last_chunk_mut::<SUM_BYTES>() else { return Found::Broken };
    let (right, written) = (checksum(bytes, page, place), u32::from_le_bytes(*sum));
    let difference = right ^ written;
    if difference == 0 {
        return Found::Whole;
    }
    if difference.count_ones() == 1 {
        *sum = right.to_le_bytes();
        return Found::Mended;
    }
    // Only zeros are missing: torn before its checksum was complete.
    if written & right == right {
        return Found::Broken;
    }
    // What one turned bit does to the checksum, from the last bit to the first.
    let mut trace = POLYNOMIAL;
    for byte in bytes.iter_mut().rev() {
        for bit in (0..8).rev() {
            if trace == difference {
                *byte ^= 1 << bit;
                return Found::Mended;
            }
            trace = (trace >> 1) ^ if trace & 1 == 1 { POLYNOMIAL } else { 0 };
        }
    }
    Found::Broken
}

/// CRC-32 of IEEE 802.3, its bits reflected.
const POLYNOMIAL: u32 = 0xedb8_8320;

/// Half a byte at a time: 64 bytes of table.
const NIBBLES: [u32; 16] = {
    let mut table = [0; 16];
    let mut nibble = 0;
    while nibble < 16 {
        let mut sum = nibble as u32;
        let mut bit = 0;
        while bit < 4 {
            sum = (sum >> 1) ^ if sum & 1 == 1 { POLYNOMIAL } else { 0 };
            bit += 1;
        }
        table[nibble] = sum;
        nibble += 1;
    }
    table
};

fn checksum(bytes: &[u8], page: u32, place: u32) -> u32 {
    let (page, place) = (page.to_le_bytes(), place.to_le_bytes());
    !page.iter().chain(&place).chain(bytes).fold(u32::MAX, |sum, byte| {
        let sum = sum ^ u32::from(*byte);
        let sum = (sum >> 4) ^ NIBBLES[(sum & 15) as usize];
        (sum >> 4) ^ NIBBLES[(sum & 15) as usize]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: &[u8]) -> ([u8; RECORD_BYTES_MAX], usize) {
        let mut bytes = [0; RECORD_BYTES_MAX];
        bytes[HEAD_BYTES..][..value.len()].copy_from_slice(value);
        let size = lay(&mut bytes, 7, Kind::Value(value.len() as u16), 4);
        seal(&mut bytes[..size], 3, 24);
        (bytes, size)
    }

    #[test]
    fn the_checksum_is_the_known_one() {
        // "123456789" with page and place as its first eight bytes: the check value of this CRC.
        assert_eq!(checksum(b"9", u32::from_le_bytes(*b"1234"), u32::from_le_bytes(*b"5678")), 0xcbf4_3926);
    }

    #[test]
    fn one_turned_bit_is_mended_two_are_noticed() {
        let (whole, size) = record(b"twelve bytes and some more");
        for bit in 0..size * 8 {
            let mut bytes = whole;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(mend(&mut bytes[..size], 3, 24), Found::Mended, "bit {bit}");
            assert_eq!(bytes, whole);
            for other in 0..bit {
                let mut bytes = whole;
                bytes[bit / 8] ^= 1 << (bit % 8);
                bytes[other / 8] ^= 1 << (other % 8);
                assert_eq!(mend(&mut bytes[..size], 3, 24), Found::Broken, "bits {other} and {bit}");
            }
        }
    }

    #[test]
    fn a_record_at_another_place_is_none() {
        let (mut bytes, size) = record(b"here");
        assert_eq!(mend(&mut bytes[..size], 3, 24), Found::Whole);
        assert_eq!(mend(&mut bytes[..size], 3, 48), Found::Broken);
        assert_eq!(mend(&mut bytes[..size], 4, 24), Found::Broken);
    }

    #[test]
    fn a_length_with_a_turned_bit_is_found_among_two() {
        let (bytes, _) = record(b"here");
        for bit in 32..64 {
            let mut head = [0; HEAD_BYTES];
            head.copy_from_slice(&bytes[..HEAD_BYTES]);
            head[bit / 8] ^= 1 << (bit % 8);
            assert!(kinds(&head).any(|kind| kind == Kind::Value(4)), "bit {bit}");
        }
        assert_eq!(kinds(&[0xff; HEAD_BYTES]).count(), 0);
    }
}
