//! The sled cache of the latest fold, so that a start replays only what came after it. Never truth.
//!
//! Enters: a position in the journal, the checksum of the record there, the fold's bytes. Leaves: the same, or nothing.
//! Invariants: whatever is wrong with sled or its files (errors, panics, bit flips), the folder is deleted and begun anew,
//! and the caller is told. The store is opened for each use and closed again: between checkpoints it costs no memory,
//! no thread and no wake-up. sled's own flush thread stays off.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use crc32c::{crc32c, crc32c_append};

use super::error::{DiskError, at};
use crate::limits::INDEX_CACHE_BYTES;

/// The cache in its folder.
#[derive(Debug)]
pub struct Index {
    dir: PathBuf,
    rebuilt: bool,
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

const KEY: &[u8] = b"fold-v1";
const FIXED_BYTES: usize = 16;

impl Index {
    /// A cache in `dir`, which is made when something is saved.
    pub fn new(dir: &Path) -> Index {
        Index { dir: dir.to_owned(), rebuilt: false }
    }

    /// True once after the folder had to be deleted and begun anew.
    pub fn take_rebuilt(&mut self) -> bool {
        std::mem::take(&mut self.rebuilt)
    }

    /// Checksum of a record's body as [`Snapshot::crc`] wants it.
    pub fn crc_of(body: &[u8]) -> u32 {
        crc32c(body)
    }

    /// Keeps this snapshot instead of the one before. An error means that even the folder cannot be deleted or made.
    pub fn save(&mut self, position_seq: u64, crc: u32, state: &[u8]) -> Result<(), DiskError> {
        let mut value = Vec::with_capacity(FIXED_BYTES + state.len());
        value.extend_from_slice(&position_seq.to_le_bytes());
        value.extend_from_slice(&crc.to_le_bytes());
        value.extend_from_slice(&crc32c_append(crc32c(&value), state).to_le_bytes());
        value.extend_from_slice(state);
        let put = |db: &sled::Db| {
            db.insert(KEY, &value[..])?;
            db.flush().map(|_| ())
        };
        if self.with(put).is_none() {
            self.delete()?;
            self.rebuilt = true;
            // Failing twice costs the next start a longer replay, nothing else.
            let _ = self.with(put);
        }
        Ok(())
    }

    /// The latest snapshot, after damage perhaps an earlier one; `None` if there is none or it cannot be believed.
    ///
    /// The caller compares position and checksum with the journal before it replays from there.
    pub fn load(&mut self) -> Result<Option<Snapshot>, DiskError> {
        if !self.dir.exists() {
            return Ok(None);
        }
        let read = self.with(|db| db.get(KEY)).map(|value| value.map(|value| parse(&value)));
        match read {
            Some(Some(Some(snapshot))) => Ok(Some(snapshot)),
            Some(None) => Ok(None),
            None | Some(Some(None)) => {
                self.delete()?;
                self.rebuilt = true;
                Ok(None)
            }
        }
    }

    /// Deletes the cache; the next start replays.
    pub fn delete(&mut self) -> Result<(), DiskError> {
        match std::fs::remove_dir_all(&self.dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(at("deleting the cache", &self.dir)(error))
            }
            _ => Ok(()),
        }
    }

    /// Opens, uses and closes the store. `None`: sled failed or panicked.
    fn with<T>(&self, f: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Option<T> {
        catch_unwind(AssertUnwindSafe(|| {
            let config = sled::Config::new().path(&self.dir).cache_capacity(INDEX_CACHE_BYTES).flush_every_ms(None);
            let db = config.open()?;
            f(&db)
        }))
        .ok()?
        .ok()
    }
}

fn parse(value: &[u8]) -> Option<Snapshot> {
    if value.len() < FIXED_BYTES {
        return None;
    }
    let (fixed, state) = value.split_at(FIXED_BYTES);
    let position_seq = u64::from_le_bytes(fixed[..8].try_into().ok()?);
    let crc = u32::from_le_bytes(fixed[8..12].try_into().ok()?);
    let own = u32::from_le_bytes(fixed[12..16].try_into().ok()?);
    let right = crc32c_append(crc32c(&fixed[..12]), state) == own;
    right.then(|| Snapshot { position_seq, crc, state: state.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_latest_snapshot() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        let mut index = Index::new(&path);
        assert_eq!(index.load().unwrap(), None);
        index.save(7, 1, b"old").unwrap();
        let state = vec![9; 3_000_000];
        index.save(8, 2, &state).unwrap();
        let found = Index::new(&path).load().unwrap().unwrap();
        assert_eq!((found.position_seq, found.crc), (8, 2));
        assert!(found.state == state);
        assert!(!index.take_rebuilt());
    }

    #[test]
    fn damage_means_nothing_not_something_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        let mut rebuilt = 0;
        for step in 0..40 {
            let mut index = Index::new(&path);
            let state: Vec<u8> = (0..2_000u32).map(|i| (i * 7 + step) as u8).collect();
            index.save(u64::from(step), step, &state).unwrap();
            let db = path.join("db");
            let mut bytes = std::fs::read(&db).unwrap();
            let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
            let from = used[used.len() * step as usize / 40];
            let to = bytes.len().min(from + 97);
            bytes[from..to].iter_mut().for_each(|byte| *byte ^= 0x55);
            std::fs::write(&db, bytes).unwrap();
            // An earlier snapshot is as good: what came after it is replayed.
            if let Some(found) = index.load().unwrap().filter(|found| found.position_seq != 99) {
                assert_eq!((found.position_seq, found.crc), (u64::from(step), step));
                assert!(found.state == state);
            }
            index.save(99, 99, b"after").unwrap();
            assert_eq!(index.load().unwrap().unwrap().state, b"after");
            rebuilt += u32::from(index.take_rebuilt());
        }
        assert!(rebuilt > 0);
    }

    #[test]
    fn files_that_are_no_store_are_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("conf"), b"nonsense").unwrap();
        std::fs::write(path.join("db"), b"nonsense").unwrap();
        let mut index = Index::new(&path);
        assert_eq!(index.load().unwrap(), None);
        index.save(1, 1, b"new").unwrap();
        assert_eq!(index.load().unwrap().unwrap().state, b"new");
    }
}
