//! The journal against a model, on a disk that fails: thousands of seeds, each printed when it goes wrong.

use std::collections::BTreeMap;

use super::*;
use crate::journal::simdisk::Rng;

const SEGMENT: u64 = 3_000;

/// What must be true, as far as the outside knows.
#[derive(Default)]
struct Model {
    /// Committed: must be there.
    promised: BTreeMap<u64, Vec<u8>>,
    /// Written when the process died: may be there.
    possible: BTreeMap<u64, Vec<u8>>,
    batch: Vec<(u64, Vec<u8>)>,
    /// Newest number that a commit succeeded with or that was read.
    newest: u64,
    /// Everything before may have been removed.
    removed_before: u64,
}

struct World {
    seed: u64,
    disk: SimDisk,
    rng: Rng,
    journal: Option<Journal>,
    model: Model,
    check_all: bool,
}

impl World {
    fn new(seed: u64) -> World {
        let mut rng = Rng::new(!seed);
        let check_all = rng.one_in(2);
        let mut world =
            World { seed, disk: SimDisk::new(seed), rng, journal: None, model: Model::default(), check_all };
        world.open();
        world
    }

    fn journal(&mut self) -> &mut Journal {
        self.journal.as_mut().expect("open between steps")
    }

    fn open(&mut self) {
        let opened = loop {
            let options = Options { check_all: self.check_all, ..options(&self.disk, SEGMENT) };
            match Journal::open(&dir(), options) {
                Ok((journal, opened)) => {
                    self.journal = Some(journal);
                    break opened;
                }
                // A fault that still waited came now.
                Err(OpenError::Disk(_)) => self.disk.heal(),
                Err(error) => panic!("seed {}: {error}", self.seed),
            }
        };
        self.look(&opened);
    }

    /// Everything promised is there, nothing else that was not at least written, and nothing is called damaged.
    fn look(&mut self, opened: &Opened) {
        let seed = self.seed;
        assert!(opened.damage.iter().all(|d| d.unsettled), "seed {seed}: {:#?}", opened.damage);
        let newest = self.model.newest;
        assert!(opened.next_seq > newest, "seed {seed}: {} after {newest}", opened.next_seq);
        let found = all(self.journal());
        for (seq, body) in &found {
            let known = self.model.promised.get(seq).or(self.model.possible.get(seq));
            assert!(known == Some(body), "seed {seed}: record {seq} is not what was written");
        }
        let found: BTreeMap<u64, Vec<u8>> = found.into_iter().collect();
        for seq in self.model.promised.keys().filter(|seq| **seq >= self.model.removed_before) {
            assert!(found.contains_key(seq), "seed {seed}: record {seq} was promised and is lost");
        }
        // What is read once is folded, and must stay.
        self.model.possible.clear();
        self.model.newest = newest.max(found.keys().next_back().copied().unwrap_or(0));
        self.model.promised = found;
    }

    fn append(&mut self) {
        for _ in 0..=self.rng.below(5) {
            let length = if self.rng.one_in(20) { 5_000 + self.rng.below(5_000) } else { self.rng.below(300) };
            let fill = self.rng.next_u64() as u8;
            let body: Vec<u8> = (0..length).map(|i| fill.wrapping_add(i as u8)).collect();
            let seq = put(self.journal(), &body);
            self.model.batch.push((seq, body));
        }
    }

    fn commit(&mut self) {
        let batch = std::mem::take(&mut self.model.batch);
        match self.journal().commit() {
            Ok(()) => self.promise(batch),
            Err(_) => match self.rng.below(3) {
                0 => self.die_after_failure(batch, false),
                1 => self.die_after_failure(batch, true),
                _ => {
                    let opened = loop {
                        match self.journal().reopen() {
                            Ok(opened) => break opened,
                            Err(_) => self.disk.heal(),
                        }
                    };
                    self.look(&opened);
                }
            },
        }
    }

    fn promise(&mut self, batch: Vec<(u64, Vec<u8>)>) {
        self.model.promised.extend(batch);
        self.model.newest = self.model.newest.max(self.model.promised.keys().next_back().copied().unwrap_or(0));
    }

    /// The process ends after a failed commit, whose records it never spoke of.
    fn die_after_failure(&mut self, batch: Vec<(u64, Vec<u8>)>, power: bool) {
        if power {
            // The mark was not synced: whole records may be read.
            self.model.possible.extend(batch);
        }
        self.die(power);
    }

    fn die(&mut self, power: bool) {
        if power {
            self.disk.crash()
        } else {
            self.disk.kill()
        }
        self.model.batch.clear();
        self.journal = None;
        self.open();
    }

    /// The process dies within a commit: written, not (wholly) synced.
    fn die_in_commit(&mut self) {
        self.append();
        let batch = std::mem::take(&mut self.model.batch);
        // Stopping at a write or a sync, and dying there, is what a kill or a power cut looks like from the disk.
        let stops = self.rng.below(6_000) as usize;
        let which = self.rng.below(3) as u32;
        let fault = match self.rng.below(3) {
            0 => Fault::WriteStops(which, stops),
            1 => Fault::DirSyncFails(which),
            _ => Fault::SyncFails(which),
        };
        let power = self.rng.one_in(2);
        let kill_without_fault = self.rng.one_in(3);
        if !kill_without_fault {
            self.disk.inject(fault);
        }
        if self.journal().commit().is_ok() {
            self.promise(batch);
        } else {
            self.model.possible.extend(batch);
        }
        self.disk.heal();
        self.die(power);
    }

    fn remove(&mut self) {
        let newest = self.model.promised.keys().next_back().copied().unwrap_or(0);
        let before = newest.saturating_sub(self.rng.below(60));
        self.model.removed_before = self.model.removed_before.max(before);
        if self.rng.one_in(3) {
            self.disk.inject(Fault::SyncFails(0));
        }
        let _ = self.journal().remove_before(before);
        self.disk.heal();
    }

    fn step(&mut self) {
        match self.rng.below(16) {
            0..=4 => self.append(),
            5..=8 => self.commit(),
            9 => {
                let skip = self.rng.below(4) as u32;
                let after = self.rng.below(4_000) as usize;
                let faults = [Fault::SyncFails(skip), Fault::WriteStops(skip, after), Fault::DirSyncFails(skip)];
                self.disk.inject(faults[self.rng.below(3) as usize]);
            }
            10 => {
                let room = self.rng.below(2_000);
                self.disk.set_capacity(Some(self.disk.used() + room));
                self.append();
                self.commit();
                self.disk.set_capacity(None);
            }
            11 => {
                // A clean restart.
                self.model.batch.clear();
                self.journal = None;
                self.disk.heal();
                self.open();
            }
            12 => self.die(false),
            13 => self.die(true),
            14 => self.die_in_commit(),
            _ => self.remove(),
        }
    }
}

#[test]
fn nothing_promised_is_ever_lost() {
    let mut records = 0;
    for seed in 0..2_000 {
        let mut world = World::new(seed);
        for _ in 0..30 {
            world.step();
        }
        // Heal, and look once more: all is there and numbers go on.
        world.disk.heal();
        world.die(true);
        let report = reader::verify_on(&world.disk, &dir()).unwrap();
        assert_eq!(report.tail_bytes, 0, "seed {seed}");
        assert!(report.is_sound(), "seed {seed}: {:#?}", report.damage);
        records += world.model.promised.len();
    }
    assert!(records > 15_000, "the simulation did too little: {records}");
}
