//! Bytes on the disk, format version 1. Journals in homes have these bytes: never edit; a new version gets tests of its own.
//! The expected bytes were made by another program (Python, CRC32C by table), not by this code.

use super::*;

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}

const SEGMENT_V1: &str = "\
    56414b414a524e4c010028004433221108070605040302010d0c0b0a00000000\
    070000003f22a64e\
";

const RECORD_V1: &str = "\
    33ab986304000000010201010c0d0e0f080706050403020115cd5b0700000000\
    237ffefaa101000007000000ac3fa76d6c61726d\
";

const HEAD_V1: &str = "\
    56414b4148454144010000000700000001000100000000002a00000000000000\
    4956a848\
";

const SALT: u32 = 0x1122_3344;

#[test]
fn segment_header_v1() {
    let header =
        SegmentHeader { salt: SALT, first_seq: 0x0102_0304_0506_0708, previous: 0x0a0b_0c0d, boot: 7, sealed: false };
    let golden = bytes(SEGMENT_V1);
    assert_eq!(header.encode().as_slice(), golden);
    assert_eq!(SegmentHeader::decode(&golden), SegmentStart::Valid(header));
    for bit in 0..golden.len() * 8 {
        let mut wrong = golden.clone();
        wrong[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(SegmentHeader::decode(&wrong), SegmentStart::Damaged, "bit {bit}");
    }
}

#[test]
fn record_v1() {
    let header = RecordHeader {
        length: 4,
        kind: 2,
        lane: 1,
        flags: 0,
        key_id: 0x0f0e_0d0c,
        seq: 0x0102_0304_0506_0708,
        mono_ms: 123_456_789,
        wall_ms: 1_795_212_345_123,
        boot: 7,
        body_crc: 0,
    };
    let mut record = header.encode_unsealed().to_vec();
    record.extend_from_slice(b"larm");
    seal(&mut record, SALT);
    let golden = bytes(RECORD_V1);
    assert_eq!(record, golden);
    let read = RecordHeader::decode(&golden, SALT).unwrap();
    assert_eq!(RecordHeader { flags: FLAG_FIRST, body_crc: read.body_crc, ..header }, read);
    assert!(read.body_is_whole(b"larm", SALT));
    assert!(!read.body_is_whole(b"lari", SALT));
    for bit in 0..RECORD_HEADER_BYTES * 8 {
        let mut wrong = golden.clone();
        wrong[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(RecordHeader::decode(&wrong, SALT), None, "bit {bit}");
    }
}

#[test]
fn a_payload_that_looks_like_a_record_is_none() {
    assert_eq!(RecordHeader::decode(&bytes(RECORD_V1), SALT + 1), None);
}

#[test]
fn head_v1() {
    let head = Head { ceiling: 65_537, floor: 42, boot: 7 };
    let golden = bytes(HEAD_V1);
    assert_eq!(head.encode().as_slice(), golden);
    assert_eq!(Head::decode(&golden), Some(head));
    for bit in 0..golden.len() * 8 {
        let mut wrong = golden.clone();
        wrong[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Head::decode(&wrong), None, "bit {bit}");
    }
}

#[test]
fn a_later_version_is_told_from_damage() {
    let mut later = bytes(SEGMENT_V1);
    later[8] = 2;
    let crc = crc32c_append(0, &later[..36]);
    later[36..40].copy_from_slice(&crc.to_le_bytes());
    let SegmentStart::Valid(sealed) = SegmentHeader::decode(&later) else { panic!("sealed segments have version 2") };
    assert!(sealed.sealed && sealed.encode()[..] == later[..SEGMENT_HEADER_BYTES]);
    later[8] = 3;
    let crc = crc32c_append(0, &later[..36]);
    later[36..40].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(SegmentHeader::decode(&later), SegmentStart::Newer(3));
}

#[test]
fn file_names_are_read_back() {
    let name = SegmentName { first_seq: 0x1234, salt: 0xab };
    assert_eq!(name.to_string(), "0000000000001234-000000ab.vaka");
    assert_eq!(SegmentName::parse(&name.to_string()), Some(name));
    for wrong in [
        "",
        "1234-ab.vaka",
        "0000000000001234-000000ab.vaka~",
        "000000000000123g-000000ab.vaka",
        "+000000000001234-000000ab.vaka",
    ] {
        assert_eq!(SegmentName::parse(wrong), None, "{wrong}");
    }
}
