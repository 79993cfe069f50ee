use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use vaka_protocol::Lane;

use super::*;
use crate::journal::{Journal, Options, Stamp, reader};

const STAMP: Stamp = Stamp { mono_ms: 1_000, wall_ms: 1_795_212_345_123 };

fn open(dir: &Path) -> Journal {
    let options = Options { segment_bytes: 2_000, reserve_bytes: 0, ..Options::default() };
    Journal::open(dir, options).unwrap().0
}

fn put(journal: &mut Journal, count: u64) {
    for _ in 0..count {
        let number = journal.append_raw(2, Lane::Life as u8, 0, STAMP, &[0x5a; 100]);
        assert!(number > 0);
        journal.commit().unwrap();
    }
}

fn committed(journal: &Journal) -> Committed {
    let stat = journal.stat();
    Committed { first_seq: stat.first_seq, last_seq: stat.next_seq - 1 }
}

/// Writes the prefix into a folder of its own.
fn write(prefix: &Prefix, to: &Path) -> PathBuf {
    std::fs::create_dir_all(to.join("segments")).unwrap();
    std::fs::write(to.join("head"), &prefix.head).unwrap();
    for piece in &prefix.pieces {
        let mut bytes = Vec::new();
        (&piece.file).take(piece.bytes).read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, piece.bytes);
        std::fs::write(to.join("segments").join(&piece.name), bytes).unwrap();
    }
    to.to_path_buf()
}

fn numbers(dir: &Path) -> Vec<u64> {
    let mut found = Vec::new();
    let scan = reader::scan(dir, 0, |entry| {
        found.push(entry.header.seq);
        ControlFlow::Continue(())
    });
    assert!(scan.unwrap().damage.is_empty());
    found
}

#[test]
fn a_copy_beside_a_writer_ends_with_what_was_committed_and_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    let mut journal = open(&old);
    put(&mut journal, 50);
    let asked = committed(&journal);
    // Between the question and the look more is written, and new segments are begun.
    put(&mut journal, 30);
    let prefix = prefix(&old, || Some(asked)).unwrap();
    put(&mut journal, 10);
    assert_eq!((prefix.first_seq, prefix.last_seq), (1, 50));
    let copy = write(&prefix, &new);
    assert_eq!(numbers(&copy), (1..=50).collect::<Vec<_>>());
    let report = reader::verify(&copy).unwrap();
    assert!(report.is_sound() && report.damage.is_empty() && report.tail_bytes == 0, "{report:?}");
}

#[test]
fn what_retention_takes_meanwhile_stays_in_the_copy_and_between_it_is_asked_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    let mut journal = open(&old);
    put(&mut journal, 60);
    let held = prefix(&old, || Some(committed(&journal))).unwrap();
    journal.remove_before(40).unwrap();
    assert_eq!(numbers(&write(&held, &new)), (1..=60).collect::<Vec<_>>(), "open files outlive their names");

    // Asked before the removal, looked at after it: the checkpoint for what is gone would not be in it.
    let stale = committed(&journal);
    let mut asked = 0;
    put(&mut journal, 5);
    journal.remove_before(55).unwrap();
    let again = prefix(&old, || {
        asked += 1;
        Some(if asked == 1 { stale } else { committed(&journal) })
    });
    let again = again.unwrap();
    assert_eq!((asked, again.last_seq), (2, 65));
    let copy = write(&again, &dir.path().join("third"));
    assert_eq!(numbers(&copy).first(), Some(&again.first_seq));
    assert!(reader::verify(&copy).unwrap().is_sound());
}

#[test]
fn the_new_box_never_uses_a_number_of_the_old_one() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    let mut journal = open(&old);
    put(&mut journal, 20);
    let prefix = prefix(&old, || Some(committed(&journal))).unwrap();
    let copy = write(&prefix, &new);
    // The old box goes on, also over its leases and boots.
    put(&mut journal, 20);
    drop(journal);
    let mut journal = open(&old);
    put(&mut journal, 20);
    let old_stat = journal.stat();

    succeed(&copy, prefix.last_seq).unwrap();
    let mut next = open(&copy);
    put(&mut next, 3);
    let stat = next.stat();
    assert!(stat.next_seq - 3 > old_stat.next_seq + SUCCESSION_RECORDS / 2, "{stat:?} {old_stat:?}");
    assert!(stat.boot > old_stat.boot + SUCCESSION_BOOTS / 2);
    drop(next);
    assert_eq!(numbers(&copy).len(), 23);
    assert!(reader::verify(&copy).unwrap().is_sound(), "the gap is said, and is no damage");
}

#[test]
fn two_boxes_made_of_one_copy_use_different_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(&dir.path().join("old"));
    put(&mut journal, 5);
    let mut ranges = Vec::new();
    for name in ["one", "two"] {
        let prefix = prefix(&dir.path().join("old"), || Some(committed(&journal))).unwrap();
        let copy = write(&prefix, &dir.path().join(name));
        succeed(&copy, prefix.last_seq).unwrap();
        let mut next = open(&copy);
        put(&mut next, 3);
        ranges.push(next.stat().next_seq);
    }
    assert!(ranges[0].abs_diff(ranges[1]) > 3, "{ranges:?}");
}

#[test]
fn a_stopped_journal_with_a_torn_end_is_copied_up_to_its_last_whole_record() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    let mut journal = open(&old);
    put(&mut journal, 5);
    drop(journal);
    let empty = prefix(&dir.path().join("old"), || None).unwrap();
    assert_eq!(empty.last_seq, 5);
    let name = &empty.pieces[0].name;
    let mut bytes = std::fs::read(old.join("segments").join(name)).unwrap();
    bytes.extend([0x77; 90]);
    std::fs::write(old.join("segments").join(name), bytes).unwrap();
    let copy = write(&prefix(&old, || None).unwrap(), &new);
    assert_eq!(numbers(&copy), [1, 2, 3, 4, 5]);
    assert_eq!(reader::verify(&copy).unwrap().tail_bytes, 0);
}

#[test]
fn a_journal_that_was_never_opened_is_an_empty_copy() {
    let dir = tempfile::tempdir().unwrap();
    let prefix = prefix(dir.path(), || None).unwrap();
    assert!(prefix.pieces.is_empty() && prefix.last_seq == 0);
}
