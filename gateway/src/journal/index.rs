//! The cache of the latest fold, so that a start replays only what came after it. Never truth.
//!
//! Enters: a position in the journal, the checksum of the record there, the fold's bytes. Leaves: the same, or nothing.
//! A fold stands in a file of its own, written as it is made; sled holds the catalogue of these files. The newest two are
//! kept: nothing is synced, so a power cut may tear the newest.
//! Invariants: whatever is wrong with sled or the files (errors, panics, bit flips), it is deleted and begun anew, and the
//! caller is told. sled is opened for each use and closed again, and used beside the calling thread; its flush thread
//! stays off.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use crc32c::{crc32c, crc32c_append};

use super::error::{DiskError, at};
use crate::limits::INDEX_CACHE_BYTES;

/// The cache in its folder.
#[derive(Debug)]
pub struct Index {
    dir: PathBuf,
    rebuilt: bool,
    /// Enters a saved fold into the catalogue; true: that had to be begun anew.
    entering: Option<JoinHandle<bool>>,
}

/// A fold, and the place in the journal up to which it is folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Sequence number of the last record in it.
    pub position_seq: u64,
    /// Checksum of that record's body: a journal restored from elsewhere does not match.
    pub crc: u32,
    pub state: Vec<u8>,
}

/// A fold as the catalogue knows it.
#[derive(Debug, Clone, Copy)]
struct Entry {
    position_seq: u64,
    crc: u32,
    state_bytes: u64,
    state_crc: u32,
}

const TREE: &[u8] = b"folds";
const VALUE_BYTES: usize = 20;
const KEPT: usize = 2;

impl Index {
    /// A cache in `dir`, which is made when something is saved.
    pub fn new(dir: &Path) -> Index {
        Index { dir: dir.to_owned(), rebuilt: false, entering: None }
    }

    /// True once after the catalogue had to be deleted and begun anew.
    pub fn take_rebuilt(&mut self) -> bool {
        self.settle();
        std::mem::take(&mut self.rebuilt)
    }

    /// Checksum of a record's body as [`Snapshot::crc`] wants it.
    pub fn crc_of(body: &[u8]) -> u32 {
        crc32c(body)
    }

    /// The snapshot before this is still being entered: saving would wait for it.
    pub fn is_busy(&self) -> bool {
        self.entering.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Keeps the snapshot whose bytes `write` writes, and the one before. An error means that its file cannot be made.
    pub fn save(
        &mut self,
        position_seq: u64,
        crc: u32,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), DiskError> {
        self.settle();
        std::fs::create_dir_all(&self.dir).map_err(at("creating the cache", &self.dir))?;
        let path = fold_path(&self.dir, position_seq);
        let (state_bytes, state_crc) = write_fold(&path, write).map_err(at("writing the cache", &path))?;
        let entry = Entry { position_seq, crc, state_bytes, state_crc };
        let dir = self.dir.clone();
        let thread = std::thread::Builder::new().name("index".into()).spawn(move || enter(&dir, &entry));
        self.entering = Some(thread.map_err(at("starting a thread for the cache", &self.dir))?);
        Ok(())
    }

    /// Waits until what was saved is entered.
    pub fn settle(&mut self) {
        if let Some(thread) = self.entering.take() {
            // Everything in it that may panic is caught.
            self.rebuilt |= thread.join().unwrap_or(true);
        }
    }

    /// The latest snapshot, after damage perhaps an earlier one; `None` if there is none or it cannot be believed.
    ///
    /// The caller compares position and checksum with the journal before it replays from there.
    pub fn load(&mut self) -> Result<Option<Snapshot>, DiskError> {
        self.settle();
        if !self.dir.exists() {
            return Ok(None);
        }
        let Some(entries) = with(&self.dir, entries) else {
            self.delete()?;
            self.rebuilt = true;
            return Ok(None);
        };
        let found = entries.iter().rev().find_map(|entry| {
            let state = std::fs::read(fold_path(&self.dir, entry.position_seq)).ok()?;
            let right = state.len() as u64 == entry.state_bytes && crc32c(&state) == entry.state_crc;
            right.then_some(Snapshot { position_seq: entry.position_seq, crc: entry.crc, state })
        });
        self.rebuilt |= found.is_none() && !entries.is_empty();
        Ok(found)
    }

    /// Deletes the cache; the next start replays.
    pub fn delete(&mut self) -> Result<(), DiskError> {
        self.settle();
        remove_folder(&self.dir).map_err(at("deleting the cache", &self.dir))
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.settle();
    }
}

fn remove_folder(dir: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

const FOLD_PREFIX: &str = "fold-";

fn fold_path(dir: &Path, position_seq: u64) -> PathBuf {
    dir.join(format!("{FOLD_PREFIX}{position_seq:016x}"))
}

/// Length and checksum of what `write` wrote.
fn write_fold(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<(u64, u32)> {
    let mut file = Summed { file: File::create(path)?, bytes: 0, crc: 0 };
    let mut buffered = BufWriter::with_capacity(BUFFER_BYTES, &mut file);
    write(&mut buffered)?;
    buffered.flush()?;
    drop(buffered);
    Ok((file.bytes, file.crc))
}

const BUFFER_BYTES: usize = 64 * 1024;

/// Sums up what passes through to a file.
struct Summed {
    file: File,
    bytes: u64,
    crc: u32,
}

impl Write for Summed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        self.crc = crc32c_append(self.crc, &bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Enters a fold into the catalogue, and lets go of all but the one before it. True: the catalogue was begun anew.
fn enter(dir: &Path, entry: &Entry) -> bool {
    let put = |db: &sled::Db| {
        let earlier = entries(db)?;
        let tree = db.open_tree(TREE)?;
        // A later one is of another journal, or of an end that is lost.
        let earlier = earlier.into_iter().filter(|other| other.position_seq < entry.position_seq);
        let kept: Vec<u64> = earlier.rev().map(|other| other.position_seq).take(KEPT - 1).collect();
        for key in tree.iter().keys() {
            let key = key?;
            if !kept.iter().any(|position| position.to_be_bytes() == *key) {
                tree.remove(key)?;
            }
        }
        tree.insert(entry.position_seq.to_be_bytes(), entry.encode().as_slice())?;
        db.flush()?;
        Ok(kept)
    };
    let (kept, anew) = match with(dir, put) {
        Some(kept) => (kept, false),
        None => {
            // Failing twice costs the next start a longer replay, nothing else.
            let _ = remove_folder(&catalogue(dir));
            (with(dir, put).unwrap_or_default(), true)
        }
    };
    let keeps = |position: u64| position == entry.position_seq || kept.contains(&position);
    for file in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = file.file_name();
        let position = name.to_str().and_then(|name| name.strip_prefix(FOLD_PREFIX));
        if position.is_some_and(|hex| !u64::from_str_radix(hex, 16).is_ok_and(keeps)) {
            let _ = std::fs::remove_file(file.path());
        }
    }
    anew
}

/// What the catalogue holds, oldest first; what in it cannot be read is left out.
fn entries(db: &sled::Db) -> sled::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for item in db.open_tree(TREE)?.iter() {
        let (key, value) = item?;
        entries.extend(Entry::decode(&key, &value));
    }
    Ok(entries)
}

fn catalogue(dir: &Path) -> PathBuf {
    dir.join("catalogue")
}

/// Opens, uses and closes the catalogue. `None`: sled failed or panicked.
fn with<T>(dir: &Path, f: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(|| {
        let config = sled::Config::new().path(catalogue(dir)).cache_capacity(INDEX_CACHE_BYTES).flush_every_ms(None);
        let mut opened = config.open();
        for _ in 0..OPEN_TRIES_MAX {
            if opened.is_ok() || !is_locked(dir) {
                break;
            }
            // sled gives the lock back a moment after the last use is dropped, from a thread of its own.
            std::thread::park_timeout(OPEN_PAUSE);
            opened = config.open();
        }
        f(&opened?)
    }))
    .ok()?
    .ok()
}

const OPEN_TRIES_MAX: u32 = 100;
const OPEN_PAUSE: Duration = Duration::from_millis(5);

/// Somebody else holds the catalogue's lock.
fn is_locked(dir: &Path) -> bool {
    use rustix::fs::{FlockOperation, flock};
    let Ok(file) = File::open(catalogue(dir).join("db")) else { return false };
    flock(&file, FlockOperation::NonBlockingLockExclusive) == Err(rustix::io::Errno::WOULDBLOCK)
}

impl Entry {
    fn encode(&self) -> [u8; VALUE_BYTES] {
        let mut value = [0; VALUE_BYTES];
        value[..4].copy_from_slice(&self.crc.to_le_bytes());
        value[4..12].copy_from_slice(&self.state_bytes.to_le_bytes());
        value[12..16].copy_from_slice(&self.state_crc.to_le_bytes());
        let own = crc32c_append(crc32c(&self.position_seq.to_be_bytes()), &value[..16]);
        value[16..].copy_from_slice(&own.to_le_bytes());
        value
    }

    fn decode(key: &[u8], value: &[u8]) -> Option<Entry> {
        let position_seq = u64::from_be_bytes(key.try_into().ok()?);
        let value: &[u8; VALUE_BYTES] = value.try_into().ok()?;
        let entry = Entry {
            position_seq,
            crc: u32::from_le_bytes(value[..4].try_into().ok()?),
            state_bytes: u64::from_le_bytes(value[4..12].try_into().ok()?),
            state_crc: u32::from_le_bytes(value[12..16].try_into().ok()?),
        };
        (entry.encode() == *value).then_some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn save(index: &mut Index, position_seq: u64, crc: u32, state: &[u8]) {
        index.save(position_seq, crc, |to| to.write_all(state)).unwrap();
    }

    fn folds(path: &Path) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(path).unwrap().map(|file| file.unwrap().path()).collect();
        files.retain(|file| file.is_file());
        files.sort();
        files
    }

    #[test]
    fn keeps_the_latest_snapshot_and_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        let mut index = Index::new(&path);
        assert_eq!(index.load().unwrap(), None);
        let state = vec![9; 3_000_000];
        for position in 1..8 {
            save(&mut index, position, 1, b"old");
        }
        save(&mut index, 8, 2, &state);
        drop(index);
        assert_eq!(folds(&path), [fold_path(&path, 7), fold_path(&path, 8)]);
        let mut index = Index::new(&path);
        let found = index.load().unwrap().unwrap();
        assert_eq!((found.position_seq, found.crc), (8, 2));
        assert!(found.state == state);
        // A power cut tears the newest.
        File::options().write(true).open(fold_path(&path, 8)).unwrap().set_len(2_000_000).unwrap();
        assert_eq!(index.load().unwrap().unwrap().position_seq, 7);
        assert!(!index.take_rebuilt());
    }

    #[test]
    fn a_fold_of_another_journal_goes_when_this_one_is_saved() {
        let dir = tempfile::tempdir().unwrap();
        let mut index = Index::new(dir.path());
        save(&mut index, 1_000, 1, b"of another");
        save(&mut index, 5, 2, b"own");
        assert_eq!(index.load().unwrap().unwrap().state, b"own");
        assert_eq!(folds(dir.path()), [fold_path(dir.path(), 5)]);
    }

    #[test]
    fn damage_means_nothing_not_something_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        let (mut rebuilt, mut earlier) = (0, 0);
        for step in 0..40_u64 {
            let mut index = Index::new(&path);
            let state: Vec<u8> = (0..2_000).map(|i| (i * 7 + step) as u8).collect();
            save(&mut index, 100 * step, step as u32, &state);
            index.settle();
            let hurt = if step % 2 == 0 { catalogue(&path).join("db") } else { fold_path(&path, 100 * step) };
            let mut bytes = std::fs::read(&hurt).unwrap();
            let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
            let from = used[used.len() * step as usize / 40];
            let to = bytes.len().min(from + 97);
            bytes[from..to].iter_mut().for_each(|byte| *byte ^= 0x55);
            std::fs::write(&hurt, bytes).unwrap();
            // An earlier snapshot is as good: what came after it is replayed.
            match index.load().unwrap() {
                Some(found) if found.position_seq == 100 * step => assert!(found.state == state),
                Some(found) => {
                    earlier += 1;
                    assert_eq!((found.position_seq, &found.state[..]), (100 * step - 1, &b"after"[..]));
                }
                None => {}
            }
            save(&mut index, 100 * step + 99, 99, b"after");
            assert_eq!(index.load().unwrap().unwrap().state, b"after");
            rebuilt += u32::from(index.take_rebuilt());
        }
        assert!(rebuilt > 0 && earlier > 0, "{rebuilt} {earlier}");
    }

    #[test]
    fn files_that_are_no_store_are_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        std::fs::create_dir_all(catalogue(&path)).unwrap();
        std::fs::write(catalogue(&path).join("conf"), b"nonsense").unwrap();
        std::fs::write(catalogue(&path).join("db"), b"nonsense").unwrap();
        let mut index = Index::new(&path);
        assert_eq!(index.load().unwrap(), None);
        save(&mut index, 1, 1, b"new");
        assert_eq!(index.load().unwrap().unwrap().state, b"new");
    }
}
