//! A disk in memory that fails on purpose: for simulations, in this crate's tests and (feature `sim`) in others.
//!
//! Enters: a seed, and faults to come. Leaves: a [`Disk`] that forgets in a crash what was not synced.
//!
//! The model is harsher than ext4 where it is not the same:
//! - Written pages (4 KiB) reach the disk one by one, in any order, or not; only a sync that succeeds promises them.
//! - A sync that fails has lost its pages: they stay readable, are clean, and the next sync succeeds without them.
//! - Created, renamed and removed names reach the disk one by one, in any order, until their folder is synced.
//! - A process that was killed keeps its handles; every use of them fails.
//!
//! It is kinder in two places: folders themselves are durable at once, and noting something in the lock file does not fail
//! (it goes to a block that is there already, and only to the page cache).

mod handles;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const PAGE: usize = 4096;
const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// A fault that is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The n-th sync of a file from now (0: the next) fails and loses what it was to sync.
    SyncFails(u32),
    /// The n-th write from now stops after this many bytes, with an input/output error.
    WriteStops(u32, usize),
    /// The n-th sync of a folder from now fails.
    DirSyncFails(u32),
    /// The process dies in the n-th write from now, after this many bytes; see [`SimDisk::dying`].
    DiesWriting(u32, usize),
    /// The process dies in the n-th sync of a file from now: all is written, nothing of it promised.
    DiesSyncing(u32),
}

/// The disk; clones share it.
#[derive(Clone)]
pub struct SimDisk(Arc<Mutex<State>>);

struct State {
    rng: Rng,
    /// Counts lives of the process: handles of an earlier one are dead.
    life: u64,
    /// The process is dead and does not know it yet: whatever it does fails.
    dying: bool,
    files: BTreeMap<u64, Inode>,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    /// Changes of names that no sync has made durable yet.
    changes: Vec<Change>,
    locks: BTreeMap<PathBuf, u64>,
    faults: Vec<Fault>,
    capacity: Option<u64>,
    syncs: u64,
}

#[derive(Default)]
struct Inode {
    live: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
    /// Bytes of the blocks that are its own, whatever its length. Durable at once.
    held: usize,
    /// Pages that the disk can no longer read.
    bad: BTreeSet<usize>,
}

#[derive(Clone)]
struct Change {
    dir: PathBuf,
    removed: Option<PathBuf>,
    added: Vec<(PathBuf, u64)>,
}

/// A small generator of its own, so that a seed means the same for ever (splitmix64).
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is at least 1.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next_u64() % bound
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

impl SimDisk {
    pub fn new(seed: u64) -> SimDisk {
        SimDisk(Arc::new(Mutex::new(State {
            rng: Rng::new(seed),
            life: 0,
            dying: false,
            files: BTreeMap::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            changes: Vec::new(),
            locks: BTreeMap::new(),
            faults: Vec::new(),
            capacity: None,
            syncs: 0,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The process dies (kill -9); the machine and its page cache live on.
    pub fn kill(&self) {
        let mut state = self.state();
        state.life += 1;
        state.dying = false;
        state.locks.clear();
    }

    /// From here on the process does nothing more: every use of the disk fails until [`SimDisk::kill`] or [`SimDisk::crash`].
    pub fn stop(&self) {
        self.state().dying = true;
    }

    /// A process died at a fault and has not been buried yet.
    pub fn dying(&self) -> bool {
        self.state().dying
    }

    /// The power fails: of everything not synced an arbitrary part is on the disk.
    pub fn crash(&self) {
        self.kill();
        self.state().lose();
    }

    /// A fault to come; several may wait.
    pub fn inject(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// Takes back the faults that have not come yet.
    pub fn heal(&self) {
        self.state().faults.clear();
    }

    /// Bytes that all files together may have; `None`: no limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// Bytes of all files together.
    pub fn used(&self) -> u64 {
        self.state().used()
    }

    /// Successful syncs of files so far.
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// Changes a file behind the journal's back, on the disk itself.
    pub fn tamper(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        let inode = state.names[path];
        let file = state.files.get_mut(&inode).expect("a name has a file");
        change(&mut file.live);
        file.durable = file.live.clone();
        file.dirty.clear();
    }

    /// Makes one page (4 KiB) of a file unreadable.
    pub fn spoil_page(&self, path: &Path, page: usize) {
        let mut state = self.state();
        let inode = state.names[path];
        state.files.get_mut(&inode).expect("a name has a file").bad.insert(page);
    }

    /// Exchanges the names of two files, on the disk itself.
    pub fn swap(&self, a: &Path, b: &Path) {
        let mut state = self.state();
        let (ino_a, ino_b) = (state.names[a], state.names[b]);
        for (path, inode) in [(a, ino_b), (b, ino_a)] {
            state.names.insert(path.to_owned(), inode);
            state.durable_names.insert(path.to_owned(), inode);
        }
    }

    /// Deletes a file, on the disk itself.
    pub fn lose_file(&self, path: &Path) {
        let mut state = self.state();
        state.names.remove(path);
        state.durable_names.remove(path);
    }

    /// Contents of a file as a process sees it.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        Some(state.files[state.names.get(path)?].live.clone())
    }
}

impl State {
    fn used(&self) -> u64 {
        self.names.values().collect::<BTreeSet<_>>().into_iter().map(|inode| self.files[inode].size()).sum()
    }

    /// Counts down the faults that `count` selects; true if one of them is due.
    fn due(&mut self, count: impl Fn(&mut Fault) -> Option<&mut u32>) -> Option<Fault> {
        let mut due = None;
        for index in 0..self.faults.len() {
            if let Some(left) = count(&mut self.faults[index]) {
                if *left > 0 {
                    *left -= 1;
                } else if due.is_none() {
                    due = Some(index);
                }
            }
        }
        due.map(|index| self.faults.remove(index))
    }

    fn sync_dir(&mut self, dir: &Path) {
        for change in std::mem::take(&mut self.changes) {
            if change.dir == dir {
                change.apply(&mut self.durable_names);
            } else {
                self.changes.push(change);
            }
        }
    }

    fn lose(&mut self) {
        for change in std::mem::take(&mut self.changes) {
            if self.rng.one_in(2) {
                change.apply(&mut self.durable_names);
            }
        }
        self.names = self.durable_names.clone();
        let named: BTreeSet<u64> = self.names.values().copied().collect();
        self.files.retain(|inode, _| named.contains(inode));
        for file in self.files.values_mut() {
            // A length that was not synced is as uncertain as a page.
            if file.live.len() < file.durable.len() && self.rng.one_in(2) {
                file.durable.truncate(file.live.len());
            }
            for page in std::mem::take(&mut file.dirty) {
                if self.rng.one_in(2) {
                    file.write_back(page);
                }
            }
            file.live = file.durable.clone();
        }
        self.faults.clear();
    }
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<PathBuf, u64>) {
        if let Some(path) = &self.removed {
            names.remove(path);
        }
        for (path, inode) in &self.added {
            names.insert(path.clone(), *inode);
        }
    }
}

impl Inode {
    /// Bytes it takes from the disk.
    fn size(&self) -> u64 {
        self.live.len().max(self.held) as u64
    }

    fn write_back(&mut self, page: usize) {
        let from = page * PAGE;
        let to = self.live.len().min(from + PAGE);
        if from < to {
            if self.durable.len() < to {
                self.durable.resize(to, 0);
            }
            self.durable[from..to].copy_from_slice(&self.live[from..to]);
        }
    }

    fn sync(&mut self) {
        self.durable.resize(self.live.len(), 0);
        for page in std::mem::take(&mut self.dirty) {
            self.write_back(page);
        }
    }

    fn touch(&mut self, from: usize, to: usize) {
        self.dirty.extend(from / PAGE..to.div_ceil(PAGE));
    }
}
