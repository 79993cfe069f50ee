//! A full disk, and the room that was held back for it.

use super::*;

const SEGMENT: u64 = 3_000;

fn segment_names(disk: &SimDisk) -> Vec<PathBuf> {
    files(disk).into_iter().map(|(path, _)| path).collect()
}

/// Commits records of this length until the disk refuses; how many it took.
fn fill(journal: &mut Journal, length: usize) -> usize {
    for taken in 0..10_000 {
        put(journal, &vec![taken as u8; length]);
        if let Err(error) = journal.commit() {
            assert!(error.is_full(), "{error}");
            return taken;
        }
    }
    panic!("the disk is never full");
}

#[test]
fn a_full_disk_still_takes_what_was_held_back_for() {
    let disk = SimDisk::new(1);
    let (mut journal, _) = Journal::open(&dir(), options(&disk, SEGMENT)).unwrap();
    put(&mut journal, b"before");
    journal.commit().unwrap();
    assert!(journal.reserve().is_ready());
    disk.set_capacity(Some(disk.used()));

    put(&mut journal, &[7; 300]);
    journal.commit().unwrap();
    assert_eq!(journal.reserve(), Reserve::Gone);
    assert!(journal.make_reserve().unwrap_err().is_full());
    assert_eq!(segment_names(&disk).len(), 2);
    // The same segment goes on in its own blocks.
    let more = fill(&mut journal, 200);
    assert!(more >= 5, "{more}");
    journal.reopen().unwrap();
    assert!(reader::verify_on(&disk, &dir()).unwrap().is_sound());
    assert_eq!(all(&journal).len(), 2 + more);

    disk.set_capacity(None);
    put(&mut journal, b"after");
    journal.commit().unwrap();
    journal.make_reserve().unwrap();
    assert!(journal.reserve().is_ready());
    drop(journal);
    let (journal, opened) = Journal::open(&dir(), options(&disk, SEGMENT)).unwrap();
    assert_eq!(opened.damage, []);
    assert!(journal.reserve().is_ready());
    assert_eq!(all(&journal).len(), 3 + more);
}

#[test]
fn a_start_on_a_full_disk_takes_a_press() {
    let disk = SimDisk::new(2);
    let (mut journal, _) = Journal::open(&dir(), options(&disk, SEGMENT)).unwrap();
    put(&mut journal, b"before");
    journal.commit().unwrap();
    disk.set_capacity(Some(disk.used()));
    disk.kill();
    drop(journal);
    for restart in 0..3_usize {
        let (mut journal, _) = Journal::open(&dir(), options(&disk, SEGMENT)).unwrap();
        put(&mut journal, b"press");
        journal.commit().unwrap();
        assert_eq!(all(&journal).len(), 2 + restart, "numbers are leased without a new block");
        disk.kill();
    }
}

#[test]
fn a_power_cut_while_the_reserve_is_taken_loses_nothing_promised() {
    for seed in 0..300 {
        let disk = SimDisk::new(seed);
        let (mut journal, _) = Journal::open(&dir(), options(&disk, SEGMENT)).unwrap();
        put(&mut journal, b"before");
        journal.commit().unwrap();
        disk.set_capacity(Some(disk.used() + seed % 400));
        let fault = match seed % 4 {
            0 => Fault::SyncFails((seed / 4 % 3) as u32),
            1 => Fault::DirSyncFails((seed / 4 % 3) as u32),
            2 => Fault::WriteStops((seed / 4 % 3) as u32, (seed * 7 % 400) as usize),
            _ => Fault::SyncFails(99),
        };
        disk.inject(fault);
        put(&mut journal, &[7; 300]);
        let promised = 1 + usize::from(journal.commit().is_ok());
        disk.crash();
        drop(journal);
        disk.set_capacity(None);
        let (journal, opened) = Journal::open(&dir(), options(&disk, SEGMENT)).unwrap();
        assert!(opened.damage.iter().all(|place| place.unsettled), "seed {seed}: {:#?}", opened.damage);
        let found = all(&journal);
        assert!(found.len() >= promised, "seed {seed}: {} of {promised}", found.len());
        assert!(found.iter().all(|(_, body)| body == b"before" || body == &[7; 300]), "seed {seed}");
        assert!(journal.reserve().is_ready(), "seed {seed}");
    }
}

#[test]
fn the_machines_own_disk_holds_blocks_back() {
    let temp = tempfile::tempdir().unwrap();
    let small = || Options { reserve_bytes: 64 * 1024, ..Options::default() };
    let (mut journal, _) = Journal::open(temp.path(), small()).unwrap();
    if journal.reserve() == Reserve::Without {
        return;
    }
    put(&mut journal, b"one");
    journal.commit().unwrap();
    drop(journal);
    let (journal, opened) = Journal::open(temp.path(), small()).unwrap();
    assert_eq!((opened.last_seq, journal.reserve()), (1, Reserve::Ready));
    assert!(temp.path().join("head.new").is_file() && temp.path().join("head").is_file());
}
