//! Damage: every byte of a small journal, pages, tails, whole segments. It opens, names what is lost, and loses nothing else.

use super::*;
use crate::journal::format::{RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES};
use crate::journal::simdisk::Rng;

/// One segment of `count` records of different lengths, one commit each.
fn small(disk: &SimDisk, count: u64) -> Vec<(u64, Vec<u8>)> {
    let (mut journal, _) = Journal::open(&dir(), options(disk, 1 << 20)).unwrap();
    for n in 0..count {
        put(&mut journal, &vec![n as u8; 5 + n as usize]);
        journal.commit().unwrap();
    }
    all(&journal)
}

/// Offsets at which the records begin, and the end of the last one.
fn offsets(records: &[(u64, Vec<u8>)]) -> Vec<u64> {
    let mut at = SEGMENT_HEADER_BYTES as u64;
    let mut offsets = vec![at];
    for (_, body) in records {
        at += (RECORD_HEADER_BYTES + body.len()) as u64;
        offsets.push(at);
    }
    offsets
}

#[test]
fn a_bit_flip_anywhere_costs_one_record_and_is_named() {
    let length = {
        let disk = SimDisk::new(0);
        offsets(&small(&disk, 6))[6]
    };
    for byte in 0..length {
        for bit in [0, 7] {
            let disk = SimDisk::new(0);
            let records = small(&disk, 6);
            let offsets = offsets(&records);
            let (path, len) = files(&disk)[0].clone();
            assert_eq!(len, length);
            disk.tamper(&path, |bytes| bytes[byte as usize] ^= 1 << bit);
            let (mut journal, opened) = Journal::open(&dir(), options(&disk, 1 << 20)).unwrap();
            let hit = offsets.iter().rposition(|at| *at <= byte);
            let left: Vec<_> = match hit {
                None => records.clone(),
                Some(hit) => records.iter().filter(|(seq, _)| *seq != hit as u64 + 1).cloned().collect(),
            };
            assert_eq!(all(&journal), left, "byte {byte} bit {bit}");
            match hit {
                None => {
                    assert_eq!(opened.damage[0].kind, DamageKind::Header);
                    assert_eq!(opened.damage[0].missing(), 0);
                }
                Some(5) => assert_eq!(opened.cut_bytes, offsets[6] - offsets[5], "the last record is a torn tail"),
                Some(hit) => {
                    let place = &opened.damage[0];
                    assert_eq!(place.kind, DamageKind::Unreadable);
                    assert_eq!((place.from, place.to), (offsets[hit], offsets[hit + 1]));
                    assert_eq!((place.first_missing_seq, place.last_missing_seq), (hit as u64 + 1, hit as u64 + 1));
                    assert_eq!((place.unsettled, place.known), (false, false));
                    let name = files_in(&disk, "damaged").pop().unwrap();
                    let copy = disk.contents(&name).unwrap();
                    assert_eq!(copy.len() as u64, place.to - place.from);
                }
            }
            assert!(opened.next_seq > 6, "no number comes twice");
            let next = put(&mut journal, b"after");
            journal.commit().unwrap();
            drop(journal);
            let (journal, opened) = Journal::open(&dir(), options(&disk, 1 << 20)).unwrap();
            assert_eq!(all(&journal).last().unwrap(), &(next, b"after".to_vec()));
            assert!(opened.damage.iter().all(|place| place.known), "told once: {:?}", opened.damage);
        }
    }
}

fn files_in(disk: &SimDisk, folder: &str) -> Vec<PathBuf> {
    let folder = dir().join(folder);
    let mut names = disk.list(&folder).unwrap();
    names.sort();
    names.into_iter().map(|name| folder.join(name)).collect()
}

#[test]
fn cut_off_anywhere_it_opens_with_what_is_left() {
    let length = {
        let disk = SimDisk::new(0);
        offsets(&small(&disk, 6))[6]
    };
    for cut in 0..length {
        let disk = SimDisk::new(0);
        let records = small(&disk, 6);
        let offsets = offsets(&records);
        disk.tamper(&files(&disk)[0].0, |bytes| bytes.truncate(cut as usize));
        let (mut journal, opened) = Journal::open(&dir(), options(&disk, 1 << 20)).unwrap();
        let whole = offsets.iter().filter(|at| **at <= cut).count().saturating_sub(1);
        assert_eq!(all(&journal), records[..whole], "cut at {cut}");
        let kept = if whole == 0 { 0 } else { offsets[whole] };
        assert_eq!(opened.cut_bytes, cut - kept, "cut at {cut}");
        assert!(opened.next_seq > 6, "no number comes twice, cut at {cut}");
        put(&mut journal, b"after");
        journal.commit().unwrap();
        assert_eq!(all(&journal).len(), whole + 1);
    }
}

/// Ten segments or so, one record a commit.
fn long(disk: &SimDisk) -> Vec<(u64, Vec<u8>)> {
    let (mut journal, _) = Journal::open(&dir(), options(disk, 40_000)).unwrap();
    for n in 0..400u64 {
        put(&mut journal, &vec![n as u8; 500 + (n * 37 % 700) as usize]);
        journal.commit().unwrap();
    }
    all(&journal)
}

/// Every record is either read or named as missing, and none is both.
fn account(disk: &SimDisk, records: &[(u64, Vec<u8>)], seed: u64) -> (usize, Opened) {
    let (journal, opened) = Journal::open(&dir(), options(disk, 40_000)).unwrap();
    let found = all(&journal);
    let missing = |seq: u64| opened.damage.iter().any(|d| d.first_missing_seq <= seq && seq <= d.last_missing_seq);
    let cut_after = found.last().map_or(0, |(seq, _)| *seq);
    for (seq, body) in records {
        let read = found.iter().find(|(found, _)| found == seq);
        match read {
            Some((_, read)) => assert!(read == body && !missing(*seq), "seed {seed}: record {seq}"),
            None => {
                let in_tail = *seq > cut_after && (opened.cut_bytes > 0 || opened.next_seq > *seq);
                assert!(missing(*seq) || in_tail, "seed {seed}: record {seq} went in silence, {:#?}", opened.damage);
            }
        }
    }
    assert!(opened.next_seq > records.last().unwrap().0, "seed {seed}");
    (records.len() - found.len(), opened)
}

#[test]
fn zeroed_pages_cost_what_lay_in_them() {
    for seed in 0..150 {
        let disk = SimDisk::new(seed);
        let records = long(&disk);
        let mut rng = Rng::new(seed);
        let files = files(&disk);
        let (path, len) = &files[rng.below(files.len() as u64) as usize];
        let page = rng.below(len.div_ceil(4096)) as usize;
        let spoilt = rng.one_in(2);
        if spoilt {
            disk.spoil_page(path, page);
        } else {
            disk.tamper(path, |bytes| {
                let to = bytes.len().min(page * 4096 + 4096);
                bytes[page * 4096..to].fill(0);
            });
        }
        let (lost, _) = account(&disk, &records, seed);
        assert!((1..=9).contains(&lost), "seed {seed}: {lost} lost");
    }
}

#[test]
fn lost_and_exchanged_segments_are_named() {
    for seed in 0..150 {
        let disk = SimDisk::new(seed);
        let records = long(&disk);
        let mut rng = Rng::new(seed);
        let paths: Vec<PathBuf> = files(&disk).into_iter().map(|(path, _)| path).collect();
        let (a, b) = (rng.below(paths.len() as u64) as usize, rng.below(paths.len() as u64) as usize);
        if rng.one_in(2) && a != b {
            disk.swap(&paths[a], &paths[b]);
            let (lost, opened) = account(&disk, &records, seed);
            assert_eq!(lost, 0);
            assert_eq!(opened.damage.iter().filter(|d| d.kind == DamageKind::Misnamed).count(), 2);
        } else {
            disk.lose_file(&paths[a]);
            if rng.one_in(2) && a != b {
                disk.lose_file(&paths[b]);
            }
            let (lost, opened) = account(&disk, &records, seed);
            assert!(lost > 0, "seed {seed}: {lost}");
            if a != paths.len() - 1 {
                assert!(opened.damage.iter().any(|d| d.kind == DamageKind::Missing), "seed {seed}");
            }
        }
    }
}

#[test]
fn the_end_of_a_closed_segment_is_no_torn_tail() {
    for cut in 1..400 {
        let disk = SimDisk::new(cut);
        let records = long(&disk);
        let (path, len) = files(&disk).into_iter().rev().nth(1).unwrap();
        disk.tamper(&path, |bytes| bytes.truncate((len - cut) as usize));
        let report = reader::verify_on(&disk, &dir()).unwrap();
        let lost: u64 = report.damage.iter().filter(|place| !place.unsettled).map(Damage::missing).sum();
        assert_eq!(report.records + lost, records.len() as u64, "cut {cut}: {:#?}", report.damage);
        assert!(lost > 0 && !report.is_sound(), "cut {cut}: {:#?}", report.damage);
    }
}

#[test]
fn a_quick_open_sees_a_missing_segment_too() {
    let disk = SimDisk::new(1);
    long(&disk);
    let paths = files(&disk);
    disk.lose_file(&paths[0].0);
    disk.lose_file(&paths[4].0);
    let quick = Options { check_all: false, ..options(&disk, 40_000) };
    let (journal, opened) = Journal::open(&dir(), quick.clone()).unwrap();
    let missing: Vec<(u64, u64)> = opened.damage.iter().map(|d| (d.first_missing_seq, d.last_missing_seq)).collect();
    let report = reader::verify_on(&disk, &dir()).unwrap();
    let verified: Vec<(u64, u64)> = report.damage.iter().map(|d| (d.first_missing_seq, d.last_missing_seq)).collect();
    assert_eq!(missing.len(), 2);
    assert_eq!(missing, verified);
    drop(journal);
    let (_journal, opened) = Journal::open(&dir(), quick).unwrap();
    assert!(opened.damage.iter().all(|d| d.known));
}

#[test]
fn all_segments_gone_numbers_go_on() {
    let disk = SimDisk::new(1);
    let records = long(&disk);
    for (path, _) in files(&disk) {
        disk.lose_file(&path);
    }
    let (mut journal, opened) = Journal::open(&dir(), options(&disk, 40_000)).unwrap();
    assert_eq!((opened.damage[0].first_missing_seq, opened.damage[0].last_missing_seq), (1, 400));
    assert_eq!(put(&mut journal, b"on"), records.last().unwrap().0 + 1 + 1, "one number tells of the gap");
}

#[test]
fn head_lost_or_damaged_numbers_go_on() {
    for damage in 0..3 {
        let disk = SimDisk::new(1);
        let records = small(&disk, 6);
        match damage {
            0 => disk.lose_file(&dir().join("head")),
            1 => disk.tamper(&dir().join("head"), |bytes| bytes[17] ^= 1),
            _ => disk.tamper(&dir().join("head"), |bytes| bytes.clear()),
        }
        assert_eq!(reader::verify_on(&disk, &dir()).unwrap().head_damaged, damage != 0);
        disk.tamper(&files(&disk)[0].0, |bytes| bytes.truncate(300));
        let (mut journal, opened) = Journal::open(&dir(), options(&disk, 1 << 20)).unwrap();
        assert!(opened.next_seq > records.last().unwrap().0);
        put(&mut journal, b"on");
        journal.commit().unwrap();
        assert!(!reader::verify_on(&disk, &dir()).unwrap().head_damaged);
    }
}

#[test]
fn noise_of_any_kind_is_opened_and_appended_to() {
    for seed in 0..1_500 {
        let disk = SimDisk::new(seed);
        let mut rng = Rng::new(seed);
        small(&disk, 8);
        let (path, _) = files(&disk)[0].clone();
        disk.tamper(&path, |bytes| {
            for _ in 0..=rng.below(6) {
                let at = rng.below(bytes.len() as u64) as usize;
                let to = bytes.len().min(at + 1 + rng.below(60) as usize);
                match rng.below(3) {
                    0 => bytes[at..to].fill(0xff),
                    1 => bytes[at..to].iter_mut().for_each(|byte| *byte = rng.next_u64() as u8),
                    _ => drop(bytes.drain(at..to)),
                }
                if bytes.is_empty() {
                    return;
                }
            }
        });
        let (mut journal, opened) = Journal::open(&dir(), options(&disk, 1 << 20)).unwrap();
        assert!(opened.next_seq > 8, "seed {seed}");
        let seq = put(&mut journal, b"on");
        journal.commit().unwrap();
        assert_eq!(journal.read(seq).unwrap().unwrap().body, b"on", "seed {seed}");
    }
}

#[test]
fn a_length_from_damage_takes_no_memory() {
    let disk = SimDisk::new(1);
    let records = small(&disk, 3);
    let at = offsets(&records)[1] as usize;
    disk.tamper(&files(&disk)[0].0, |bytes| bytes[at + 4..at + 8].fill(0xff));
    let (journal, opened) = Journal::open(&dir(), options(&disk, 1 << 20)).unwrap();
    assert_eq!(all(&journal).len(), 2);
    assert_eq!((opened.damage[0].first_missing_seq, opened.damage[0].last_missing_seq), (2, 2));
}

#[test]
fn a_record_within_a_payload_is_never_taken_for_one() {
    let disk = SimDisk::new(1);
    let (mut journal, _) = Journal::open(&dir(), options(&disk, 1 << 20)).unwrap();
    // What a hostile device can send: a whole record, right in everything but the salt, which it cannot know.
    let header = format::RecordHeader {
        length: 4,
        kind: 8,
        lane: 1,
        flags: 0,
        key_id: 0,
        seq: 2,
        mono_ms: 0,
        wall_ms: 0,
        boot: 1,
        body_crc: 0,
    };
    let mut forged = header.encode_unsealed().to_vec();
    forged.extend_from_slice(b"fake");
    format::seal(&mut forged, 0);
    put(&mut journal, &forged.repeat(20));
    put(&mut journal, b"next");
    journal.commit().unwrap();
    drop(journal);
    disk.tamper(&files(&disk)[0].0, |bytes| bytes[SEGMENT_HEADER_BYTES] ^= 1);
    let (journal, opened) = Journal::open(&dir(), options(&disk, 1 << 20)).unwrap();
    assert_eq!(all(&journal), [(2, b"next".to_vec())]);
    assert_eq!((opened.damage[0].first_missing_seq, opened.damage[0].last_missing_seq), (1, 1));
}
