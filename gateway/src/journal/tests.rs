//! The journal by itself, on the real disk and on the simulated one.

mod damage;
mod reserve;
mod simulation;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::simdisk::{Fault, SimDisk};
use super::*;

pub(super) const STAMP: Stamp = Stamp { mono_ms: 1_000, wall_ms: 1_795_212_345_123 };

pub(super) fn dir() -> PathBuf {
    PathBuf::from("/j")
}

pub(super) fn options(disk: &SimDisk, segment_bytes: u64) -> Options {
    Options { disk: Arc::new(disk.clone()), segment_bytes, check_all: true, reserve_bytes: 4_000 }
}

pub(super) fn put(journal: &mut Journal, body: &[u8]) -> u64 {
    journal.append_raw(2, 1, 0, STAMP, body)
}

pub(super) fn all(journal: &Journal) -> Vec<(u64, Vec<u8>)> {
    let mut found = Vec::new();
    journal
        .scan(0, |entry| {
            found.push((entry.header.seq, entry.body.to_vec()));
            ControlFlow::Continue(())
        })
        .unwrap();
    found
}

/// Segment files in order, with their lengths.
pub(super) fn files(disk: &SimDisk) -> Vec<(PathBuf, u64)> {
    let folder = dir().join("segments");
    let mut names = disk.list(&folder).unwrap();
    names.sort();
    let path = |name: String| folder.join(name);
    names.into_iter().map(path).map(|p| (p.clone(), disk.contents(&p).unwrap().len() as u64)).collect()
}

fn alive(online: bool) -> Record {
    Record::Alive(record::Alive { device: "p1".try_into().unwrap(), online })
}

#[test]
fn what_is_committed_is_read_again() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("a/b/journal");
    let (mut journal, opened) = Journal::open(&dir, Options::default()).unwrap();
    assert_eq!((opened.first_seq, opened.next_seq, opened.last_seq, opened.boot), (1, 1, 0, 1));
    assert_eq!(journal.append(&alive(true), Lane::Telemetry, STAMP), 1);
    assert_eq!(journal.append(&alive(false), Lane::Telemetry, STAMP), 2);
    assert_eq!(journal.pending(), 2);
    assert!(journal.read(1).unwrap().is_none(), "not yet committed");
    journal.commit().unwrap();
    assert_eq!(journal.pending(), 0);
    let second = journal.read(2).unwrap().unwrap();
    assert_eq!(second.decode().unwrap(), alive(false));
    assert_eq!(second.header.lane, Lane::Telemetry as u8);
    assert_eq!((second.header.mono_ms, second.header.wall_ms, second.header.boot), (1_000, STAMP.wall_ms, 1));
    drop(journal);

    let (mut journal, opened) = Journal::open(&dir, Options::default()).unwrap();
    assert_eq!((opened.first_seq, opened.next_seq, opened.last_seq, opened.boot), (1, 3, 2, 2));
    assert_eq!((opened.cut_bytes, opened.newest_wall_ms), (0, STAMP.wall_ms));
    assert_eq!(opened.damage, []);
    assert_eq!(journal.append(&alive(true), Lane::Telemetry, STAMP), 3);
    journal.commit().unwrap();
    assert_eq!(journal.stat().segments, 1, "a clean restart goes on in the same segment");

    let mut seen = Vec::new();
    let scan = reader::scan(&dir, 2, |entry| {
        seen.push(entry.header.seq);
        ControlFlow::Continue(())
    });
    assert_eq!((scan.unwrap().records, seen), (2, vec![2, 3]), "read while the journal is held");
    let report = reader::verify(&dir).unwrap();
    assert!(report.is_sound());
    assert_eq!((report.records, report.first_seq, report.last_seq), (3, 1, 3));
    assert_eq!(report.by_kind[&5].0, 3);
}

#[test]
fn a_second_opener_is_told_who_holds_it() {
    let temp = tempfile::tempdir().unwrap();
    let (_journal, _) = Journal::open(temp.path(), Options::default()).unwrap();
    let error = Journal::open(temp.path(), Options::default()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Misuse);
    assert!(error.to_string().contains(&format!("pid {}", std::process::id())), "{error}");
}

#[test]
fn a_file_where_the_folder_should_be_is_named() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("journal");
    std::fs::write(&path, b"").unwrap();
    let error = Journal::open(&path, Options::default()).err().unwrap();
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
}

#[test]
fn segments_roll_and_settled_ones_go() {
    let disk = SimDisk::new(1);
    let (mut journal, _) = Journal::open(&dir(), options(&disk, 1_000)).unwrap();
    for n in 1..=40u64 {
        assert_eq!(put(&mut journal, &[7; 200]), n);
        journal.commit().unwrap();
    }
    let before = journal.stat();
    assert!(before.segments >= 10, "{before:?}");
    assert_eq!(journal.remove_before(1).unwrap().segments, 0);
    let removed = journal.remove_before(20).unwrap();
    assert!(removed.segments > 0 && removed.first_seq <= 20);
    assert_eq!(removed.bytes, before.bytes - journal.stat().bytes);
    let numbers: Vec<u64> = all(&journal).iter().map(|(seq, _)| *seq).collect();
    assert_eq!(numbers, (removed.first_seq..=40).collect::<Vec<_>>());
    journal.remove_before(u64::MAX).unwrap();
    assert_eq!(journal.stat().segments, 1, "the last one stays");
    drop(journal);
    let (mut journal, opened) = Journal::open(&dir(), options(&disk, 1_000)).unwrap();
    assert_eq!((opened.next_seq, opened.damage), (41, vec![]));
    assert_eq!(put(&mut journal, b"x"), 41);
    assert!(reader::verify_on(&disk, &dir()).unwrap().is_sound());
}

#[test]
fn a_removal_whose_head_was_not_synced_is_no_damage_after_a_power_cut() {
    let mut finished = 0;
    for seed in 0..40 {
        let disk = SimDisk::new(seed);
        let (mut journal, _) = Journal::open(&dir(), options(&disk, 1_000)).unwrap();
        for _ in 0..40 {
            put(&mut journal, &[7; 200]);
            journal.commit().unwrap();
        }
        // From here on the head says which segment is the first.
        journal.remove_before(10).unwrap();
        let before = journal.stat().segments;
        // The head has its new name in the page cache, not on the disk.
        disk.inject(Fault::DirSyncFails(0));
        journal.remove_before(20).unwrap_err();
        disk.kill();
        // A killed process tidies nothing up.
        std::mem::forget(journal);
        // The next open reads the new head and finishes the removal; then the power fails.
        let (journal, _) = Journal::open(&dir(), options(&disk, 1_000)).unwrap();
        finished += usize::from(journal.stat().segments < before);
        std::mem::forget(journal);
        disk.crash();
        let (_, opened) = Journal::open(&dir(), options(&disk, 1_000)).unwrap();
        assert_eq!(opened.damage, [], "seed {seed}");
    }
    assert_eq!(finished, 40, "this looks at nothing if the removal is not finished");
}

#[test]
fn reading_breaks_off_when_asked() {
    let disk = SimDisk::new(1);
    let (mut journal, _) = Journal::open(&dir(), options(&disk, 1_000)).unwrap();
    for _ in 0..20 {
        put(&mut journal, &[1; 100]);
        journal.commit().unwrap();
    }
    let mut seen = 0;
    let scan = journal
        .scan(5, |entry| {
            seen = entry.header.seq;
            if seen == 9 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
    assert_eq!((seen, scan.stopped, scan.records, scan.last_seq), (9, true, 5, 9));
    for seq in [1, 13, 20] {
        assert_eq!(journal.read(seq).unwrap().unwrap().header.seq, seq);
    }
    assert_eq!(journal.read(21).unwrap(), None);
}

#[test]
fn a_failed_sync_poisons_until_reopened() {
    let disk = SimDisk::new(3);
    let (mut journal, _) = Journal::open(&dir(), options(&disk, 1 << 20)).unwrap();
    put(&mut journal, b"first");
    journal.commit().unwrap();
    let retired = files(&disk)[0].clone();
    disk.inject(Fault::SyncFails(0));
    let lost = put(&mut journal, b"lost");
    let error = journal.commit().unwrap_err();
    assert_eq!((error.kind(), error.is_full()), (ErrorKind::Permanent, false));
    assert!(error.to_string().contains(retired.0.to_str().unwrap()), "{error}");
    put(&mut journal, b"also lost");
    assert_eq!(journal.commit().unwrap_err().kind(), ErrorKind::Misuse);
    assert_eq!(all(&journal).len(), 1);

    let opened = journal.reopen().unwrap();
    assert!(opened.next_seq > lost + 1, "numbers that were handed out are not used again");
    assert_eq!(opened.damage, []);
    let next = put(&mut journal, b"second");
    journal.commit().unwrap();
    assert_eq!(files(&disk).len(), 2, "the segment whose sync failed is not appended to");
    assert_eq!(disk.contents(&retired.0).unwrap().len() as u64, retired.1);
    disk.crash();
    let (journal, opened) = Journal::open(&dir(), options(&disk, 1 << 20)).unwrap();
    assert_eq!(all(&journal), [(1, b"first".to_vec()), (next, b"second".to_vec())]);
    assert_eq!(opened.damage, [], "the unused numbers are declared, not missing");
}

#[test]
fn the_next_process_knows_of_a_failed_sync() {
    let disk = SimDisk::new(4);
    let (mut journal, _) = Journal::open(&dir(), options(&disk, 1 << 20)).unwrap();
    put(&mut journal, b"first");
    journal.commit().unwrap();
    disk.inject(Fault::SyncFails(0));
    put(&mut journal, b"readable, but not on the disk");
    journal.commit().unwrap_err();
    disk.kill();
    drop(journal);
    let (mut journal, _) = Journal::open(&dir(), options(&disk, 1 << 20)).unwrap();
    assert_eq!(all(&journal).len(), 1);
    put(&mut journal, b"second");
    journal.commit().unwrap();
    assert_eq!(files(&disk).len(), 2);
}

#[test]
fn what_an_open_could_not_sync_is_written_again_before_it_is_believed() {
    let disk = SimDisk::new(4);
    let (mut journal, _) = Journal::open(&dir(), options(&disk, 1 << 20)).unwrap();
    put(&mut journal, b"first");
    journal.commit().unwrap();
    disk.inject(Fault::DiesSyncing(0));
    put(&mut journal, &[7; 9_000]);
    journal.commit().unwrap_err();
    disk.kill();
    drop(journal);
    disk.inject(Fault::SyncFails(0));
    assert!(Journal::open(&dir(), options(&disk, 1 << 20)).is_err(), "the fault came elsewhere");
    // The kernel has said so once, and calls the pages clean.
    let (journal, _) = Journal::open(&dir(), options(&disk, 1 << 20)).unwrap();
    let believed = all(&journal);
    assert_eq!(believed.len(), 2);
    disk.crash();
    drop(journal);
    let (journal, _) = Journal::open(&dir(), options(&disk, 1 << 20)).unwrap();
    assert_eq!(all(&journal), believed);
}

#[test]
fn a_full_disk_is_told_apart_and_recovers_in_the_process() {
    let disk = SimDisk::new(5);
    let (mut journal, _) = Journal::open(&dir(), options(&disk, 2_000)).unwrap();
    disk.set_capacity(Some(6_000));
    let mut written = Vec::new();
    let error = loop {
        let seq = put(&mut journal, &[5; 300]);
        match journal.commit() {
            Ok(()) => written.push(seq),
            Err(error) => break error,
        }
    };
    assert!(error.is_full() && error.kind() == ErrorKind::Transient, "{error}");
    assert!(error.to_string().contains("free space"), "{error}");
    for _ in 0..3 {
        journal.reopen().unwrap();
        put(&mut journal, &[5; 300]);
        assert!(journal.commit().unwrap_err().is_full());
    }
    disk.set_capacity(None);
    assert_eq!(journal.reopen().unwrap().damage, []);
    written.push(put(&mut journal, &[5; 300]));
    journal.commit().unwrap();
    assert_eq!(all(&journal).iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), written);
    assert!(reader::verify_on(&disk, &dir()).unwrap().is_sound());
}

#[test]
fn a_killed_process_leaves_a_journal() {
    let disk = SimDisk::new(6);
    let (mut journal, _) = Journal::open(&dir(), options(&disk, 1 << 20)).unwrap();
    put(&mut journal, b"a");
    journal.commit().unwrap();
    disk.kill();
    let (mut second, opened) = Journal::open(&dir(), options(&disk, 1 << 20)).unwrap();
    assert!(opened.next_seq > 2, "how far the dead process came is not known");
    let seq = put(&mut second, b"b");
    second.commit().unwrap();
    drop(journal);
    assert!(matches!(Journal::open(&dir(), options(&disk, 1 << 20)), Err(OpenError::Locked { .. })));
    assert_eq!(all(&second), [(1, b"a".to_vec()), (seq, b"b".to_vec())]);
    assert_eq!(files(&disk).len(), 1);
}

#[test]
fn a_checkpoint_larger_than_a_segment_is_one_record() {
    let disk = SimDisk::new(7);
    let (mut journal, _) = Journal::open(&dir(), options(&disk, 100_000)).unwrap();
    put(&mut journal, b"before");
    let big: Vec<u8> = (0..3_000_000u32).map(|i| (i >> 3) as u8).collect();
    let seq = put(&mut journal, &big);
    put(&mut journal, b"after");
    journal.commit().unwrap();
    put(&mut journal, b"next segment");
    journal.commit().unwrap();
    assert!(journal.read(seq).unwrap().unwrap().body == big);
    assert_eq!(all(&journal).len(), 4);
    assert_eq!(journal.stat().segments, 2);
}

#[test]
fn a_newer_journal_is_refused_not_damaged() {
    let disk = SimDisk::new(8);
    let path: &Path = &dir().join("segments/0000000000000001-00000000.vaka");
    let mut later =
        format::SegmentHeader { salt: 0, first_seq: 1, previous: 0, boot: 1, sealed: false }.encode().to_vec();
    later[8] = 3;
    let crc = crc32c::crc32c(&later[..36]);
    later[36..40].copy_from_slice(&crc.to_le_bytes());
    disk.create(path).unwrap().write_at(&later, 0).unwrap();
    let error = Journal::open(&dir(), options(&disk, 1 << 20)).err().unwrap();
    assert!(matches!(error, OpenError::Newer { version: 3, .. }), "{error}");
    assert_eq!(disk.contents(path).unwrap(), later);
}

#[test]
fn thousands_of_restarts_leave_few_files() {
    let disk = SimDisk::new(9);
    for n in 0..300 {
        let (mut journal, opened) = Journal::open(&dir(), options(&disk, 1 << 20)).unwrap();
        assert_eq!(opened.boot, n + 1);
        put(&mut journal, b"boot");
        journal.commit().unwrap();
        if n % 2 == 0 {
            disk.kill();
        }
    }
    assert_eq!(files(&disk).len(), 1);
    assert!(reader::verify_on(&disk, &dir()).unwrap().is_sound());
}
