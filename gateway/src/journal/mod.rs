//! The event journal: append-only segments of checksummed records, the truth of the gateway.
//!
//! Enters: records of the keeper thread, its only writer. Leaves: their sequence numbers, and the records again, in order.
//!
//! Invariants:
//! - What [`Journal::commit`] has returned `Ok` for is on the disk (fdatasync) and is read again after any crash.
//! - What it has returned an error for is not in the journal once that has been reopened.
//! - After a failed sync nothing is written until [`Journal::reopen`], and that segment is never appended to again.
//! - A write that found no room is cut off, and its batch goes to the [`reserve`].
//! - A sequence number is used once, whatever happens to the disk: see [`format::Head`].
//! - Nothing that cannot be read is passed over in silence: see [`Damage`].
//! - Where the folder has `keys`, bodies are sealed on append and opened on read, here and nowhere else: see [`sealed`].
//! - The sled [`index`] is a cache: deleting it costs a replay.
//!
//! Absent here: what records mean (the pipeline folds them), threads, async, clocks.

pub mod copy;
pub mod damage;
pub mod disk;
pub mod error;
pub mod format;
mod head;
pub mod index;
mod paths;
pub mod reader;
pub mod record;
mod recover;
mod reserve;
mod scan;
pub mod seal_old;
mod sealed;
#[cfg(any(test, feature = "sim"))]
pub mod simdisk;
pub mod unread;
mod write;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use vaka_protocol::Lane;

pub use damage::{Damage, DamageKind};
pub use error::{CommitError, DiskError, ErrorKind, OpenError, ReadError, RemoveError};
pub use reader::{Entry, Header, OwnedEntry, Scan};
use record::Record;
pub use reserve::Reserve;
pub use sealed::Concerns;

use crate::limits::{BATCH_KEPT_BYTES_MAX, RESERVE_BYTES, SEGMENT_BYTES};
use disk::{Disk, DiskFile, DiskLock, Locked, RealDisk};
use error::at;
use format::{Head, KIND_SKIP, RECORD_HEADER_BYTES, RecordHeader, SEGMENT_HEADER_BYTES};
use paths::Paths;
use scan::Located;
use vaka_seal::{KeyError, Place, Ring};

/// How a journal is opened.
#[derive(Clone)]
pub struct Options {
    pub disk: Arc<dyn Disk>,
    /// Size at which a segment is closed, in bytes.
    pub segment_bytes: u64,
    /// Read every record at open. Otherwise the last segment and the chain of the others' headers are checked,
    /// and damage elsewhere shows when it is scanned or verified: reading 512 MiB from an SD card takes 13 s,
    /// in which no press is heard.
    pub check_all: bool,
    /// Bytes held back for a full disk, see [`Journal::make_reserve`]; 0: none.
    pub reserve_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            disk: Arc::new(RealDisk),
            segment_bytes: SEGMENT_BYTES,
            check_all: false,
            reserve_bytes: RESERVE_BYTES,
        }
    }
}

/// When a record was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Milliseconds since the machine started.
    pub mono_ms: u64,
    /// UTC milliseconds since 1970.
    pub wall_ms: i64,
}

/// What an open found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Sequence number of the oldest record there may be.
    pub first_seq: u64,
    /// Sequence number that the next record gets, or a later one: never an earlier.
    pub next_seq: u64,
    /// Sequence number of the newest record; 0 if there is none.
    pub last_seq: u64,
    /// Ordinal of this opening: newest seen + 1.
    pub boot: u32,
    /// Bytes of torn tail cut off; the newest are kept in `damaged/last-cut`.
    pub cut_bytes: u64,
    pub damage: Vec<Damage>,
    /// The file `head` could not be read: numbers go on after a gap.
    pub head_damaged: bool,
    /// Newest wall time in the last segment, UTC milliseconds; 0 in an empty journal.
    pub newest_wall_ms: i64,
}

/// What [`Journal::remove_before`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Removed {
    pub segments: usize,
    pub bytes: u64,
    /// Sequence number of the oldest record left.
    pub first_seq: u64,
}

/// Size of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    pub bytes: u64,
    pub segments: usize,
    pub first_seq: u64,
    pub next_seq: u64,
    pub boot: u32,
}

/// The journal, held for writing. Dropping it drops what was not committed.
pub struct Journal {
    lock: Box<dyn DiskLock>,
    core: Core,
}

/// All that [`Journal::reopen`] builds anew.
struct Core {
    options: Options,
    paths: Paths,
    /// In order; the last one is written to if `active` is set.
    segments: Vec<Located>,
    active: Option<Box<dyn DiskFile>>,
    /// Room for a segment header, then the records that wait for the next commit.
    batch: Vec<u8>,
    batch_records: usize,
    boot: u32,
    /// Newest committed number; 0: none.
    last_seq: u64,
    next_seq: u64,
    head: Head,
    reserve: Reserve,
    /// Absent: nothing is sealed.
    ring: Option<Ring>,
    /// Records that went to the disk in clear although they were to be sealed.
    unsealed: u64,
    poisoned: Option<String>,
    /// What the running commit writes; it becomes one of `failed` if that fails.
    writing: Option<Failed>,
    /// Where commits failed: those segments are not appended to.
    failed: Vec<Failed>,
}

/// A segment whose end cannot be believed, because a write or sync failed there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Failed {
    segment: String,
    /// What stands from here on never happened.
    from: u64,
    /// First number of the failed commit: if another record stands there, this mark is an old one.
    seq: u64,
}

impl Journal {
    /// Opens the journal in `dir`, makes it if there is none, and takes its lock.
    ///
    /// Opens whatever the damage: what cannot be read is copied to `damaged/` and listed in [`Opened::damage`].
    pub fn open(dir: &Path, options: Options) -> Result<(Journal, Opened), OpenError> {
        let paths = Paths::new(dir);
        let disk = &*options.disk;
        disk.create_dir(&paths.segments).map_err(at("creating", &paths.segments))?;
        let lock = match disk.lock(&paths.lock).map_err(at("locking", &paths.lock))? {
            Locked::Mine(lock) => lock,
            Locked::Held(holder) => {
                let holder = holder.lines().next().unwrap_or("pid not noted").to_owned();
                return Err(OpenError::Locked { dir: dir.to_owned(), holder });
            }
        };
        let ring = Ring::open(dir)?;
        let (mut core, opened) = recover::recover(options, paths, &*lock, None)?;
        core.take_ring(ring)?;
        Ok((Journal { lock, core }, opened))
    }

    /// After a failed commit: reads the disk again, under the lock already held, and makes the journal usable.
    ///
    /// The failed commit's records are gone, whole or in part on the disk as they may be; their numbers are not used again.
    /// On an error the journal stays unusable and this can be tried again.
    pub fn reopen(&mut self) -> Result<Opened, OpenError> {
        let core = &self.core;
        let memory = recover::Memory { next_seq: core.next_seq, failed: core.failed.clone() };
        let (mut core, opened) = recover::recover(core.options.clone(), core.paths.clone(), &*self.lock, Some(memory))?;
        core.unsealed = self.core.unsealed;
        core.take_ring(self.core.ring.take())?;
        self.core = core;
        Ok(opened)
    }

    /// Puts a record into the batch and returns the number it will have if the commit succeeds.
    pub fn append(&mut self, record: &Record, lane: Lane, stamp: Stamp) -> u64 {
        self.append_of(record, lane, stamp, Concerns::Home, None)
    }

    /// [`Self::append`] of a record about somebody: sealed with their key, where this journal has keys, and with that of the class's period,
    /// where the class has a time.
    pub fn append_of(
        &mut self,
        record: &Record,
        lane: Lane,
        stamp: Stamp,
        concerns: Concerns<'_>,
        class: Option<&str>,
    ) -> u64 {
        let key = self.core.ring.as_ref().map_or(0, |ring| sealed::key(ring, record.kind(), concerns, class));
        self.core.append(record.kind() as u8, lane as u8, key, stamp, |body| record.encode_into(body))
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.core.paths.dir
    }

    /// The keys, where this journal is sealed.
    pub fn ring(&mut self) -> Option<&mut Ring> {
        self.core.ring.as_mut()
    }

    /// Records that were to be sealed and went to the disk in clear, since the journal was opened.
    pub fn unsealed(&self) -> u64 {
        self.core.unsealed
    }

    /// Like [`Self::append`], with a body that is encoded already. `kind` 0 is the journal's own and must not be used.
    pub fn append_raw(&mut self, kind: u8, lane: u8, key_id: u32, stamp: Stamp, body: &[u8]) -> u64 {
        debug_assert_ne!(kind, KIND_SKIP, "kind 0 is the journal's own");
        self.core.append(kind, lane, key_id, stamp, |out| out.extend_from_slice(body))
    }

    /// Records that wait for [`Self::commit`].
    pub fn pending(&self) -> usize {
        self.core.batch_records
    }

    /// Bytes that wait for [`Self::commit`].
    pub fn pending_bytes(&self) -> usize {
        self.core.batch.len() - SEGMENT_HEADER_BYTES
    }

    /// Makes the batch durable: one write, one fdatasync; a new segment costs a directory sync more.
    ///
    /// On an error the batch is dropped and every further commit fails until [`Self::reopen`].
    pub fn commit(&mut self) -> Result<(), CommitError> {
        let core = &mut self.core;
        if let Some(why) = &core.poisoned {
            let why = why.clone();
            core.clear_batch();
            return Err(CommitError::Poisoned { why });
        }
        if core.batch_records == 0 {
            return Ok(());
        }
        let result = core.write_batch();
        core.clear_batch();
        result.map_err(|error| {
            core.poisoned = Some(error.to_string());
            core.active = None;
            if let Some(failed) = core.writing.take() {
                core.failed.retain(|other| other.segment != failed.segment);
                core.failed.push(failed);
            }
            // For the next process on this machine: until the machine restarts, reading shows bytes that the disk never took.
            let _ = self.lock.set_note(&recover::note(&core.failed));
            CommitError::Disk(error)
        })
    }

    /// Hands every committed record from `from_seq` on to `f`, in order, until `f` breaks.
    ///
    /// Starts at the beginning of a segment: damage before `from_seq` in the same segment is reported too.
    pub fn scan(&self, from_seq: u64, mut f: impl FnMut(Entry<'_>) -> ControlFlow<()>) -> Result<Scan, ReadError> {
        let core = &self.core;
        let disk = &*core.options.disk;
        let mut scan = reader::scan_segments(disk, &core.segments, from_seq, &core.opener(), &mut f)?;
        damage::quarantine(disk, &core.paths, &core.segments, &mut scan.damage);
        Ok(scan)
    }

    /// The committed record with this number, if it is there. Reads its segment up to it: up to 8 MiB.
    pub fn read(&self, seq: u64) -> Result<Option<OwnedEntry>, ReadError> {
        reader::read_one(&*self.core.options.disk, &self.core.segments, &self.core.opener(), seq)
    }

    /// What another reading has found, as far as it is still so and news: keeps copies, and leaves out what is known.
    pub fn news_of_damage(&self, found: Vec<Damage>) -> Vec<Damage> {
        let core = &self.core;
        let first_seq = core.first_seq();
        // Meanwhile segments may have been removed, in order, by this journal itself.
        let mut found: Vec<Damage> = found
            .into_iter()
            .filter(|place| core.segments.iter().any(|s| s.name == place.segment) || place.kind == DamageKind::Stray)
            .filter(|place| place.missing() == 0 || place.first_missing_seq >= first_seq)
            .collect();
        damage::quarantine(&*core.options.disk, &core.paths, &core.segments, &mut found);
        found.retain(|place| !place.known && !place.unsettled);
        found
    }

    /// Removes segments that hold nothing from `seq` on. The last segment always stays.
    pub fn remove_before(&mut self, seq: u64) -> Result<Removed, RemoveError> {
        let core = &mut self.core;
        let settled = core.segments.windows(2).take_while(|pair| pair[1].first_seq <= seq).count();
        let mut removed = Removed { first_seq: core.first_seq(), ..Removed::default() };
        if settled == 0 {
            return Ok(removed);
        }
        let disk = &*core.options.disk;
        // First the promise that they are not missed, then the files: a crash in between is finished by the next open.
        let ceiling = core.head.ceiling.max(core.next_seq);
        let head = Head { floor: core.segments[settled].first_seq, ceiling, ..core.head };
        head::store(disk, &core.paths, &head)?;
        core.head = head;
        for segment in core.segments.drain(..settled) {
            disk.remove(&segment.path).map_err(at("removing", &segment.path))?;
            removed.segments += 1;
            removed.bytes += segment.len;
        }
        disk.sync_dir(&core.paths.segments).map_err(at("syncing", &core.paths.segments))?;
        removed.first_seq = core.first_seq();
        Ok(removed)
    }

    /// First number of the newest segments that together fill at most `bytes`: what is before it is over the budget.
    pub fn first_seq_within(&self, bytes: u64) -> u64 {
        let mut held = 0;
        let newest = self.core.segments.iter().rev().take_while(|segment| {
            held += segment.len;
            held <= bytes
        });
        newest.last().map_or(self.core.next_seq, |segment| segment.first_seq)
    }

    /// Bytes that the disk still has room for; `None` where it does not say.
    pub fn free_bytes(&self) -> Option<u64> {
        self.core.options.disk.free_bytes(&self.core.paths.dir).ok()
    }

    pub fn stat(&self) -> Stat {
        let core = &self.core;
        Stat {
            bytes: core.segments.iter().map(|s| s.len).sum(),
            segments: core.segments.len(),
            first_seq: core.first_seq(),
            next_seq: core.next_seq,
            boot: core.boot,
        }
    }
}

impl Drop for Journal {
    /// Notes the exact next number, so that a clean restart leaves no gap. A crash leaves one, which costs nothing.
    fn drop(&mut self) {
        let core = &self.core;
        if core.poisoned.is_none() && core.head.ceiling > core.next_seq {
            let head = Head { ceiling: core.next_seq, floor: core.floor(), ..core.head };
            let _ = head::store(&*core.options.disk, &core.paths, &head);
        }
    }
}

impl Core {
    /// # Errors
    /// Where the journal is sealed and its keys are gone.
    fn take_ring(&mut self, ring: Option<Ring>) -> Result<(), KeyError> {
        let is_sealed = |segment: &Located| segment.header.is_some_and(|header| header.sealed);
        if ring.is_none() && self.segments.iter().any(is_sealed) {
            return Err(KeyError::RingGone(vaka_seal::ring_path(&self.paths.dir)));
        }
        // A segment that says that nothing in it is sealed must stay right.
        if ring.is_some() && self.segments.last().is_some_and(|last| !is_sealed(last)) {
            self.active = None;
        }
        self.ring = ring;
        Ok(())
    }

    fn opener(&self) -> sealed::Opener<'_> {
        sealed::Opener::of(self.ring.as_ref(), &self.paths.dir)
    }

    fn append(&mut self, kind: u8, lane: u8, key_id: u32, stamp: Stamp, body: impl FnOnce(&mut Vec<u8>)) -> u64 {
        if self.batch_records == 0 && self.last_seq + 1 != self.next_seq {
            let follows = self.last_seq.to_le_bytes();
            self.push(KIND_SKIP, Lane::Technical as u8, 0, stamp, |out| out.extend_from_slice(&follows));
        }
        self.push(kind, lane, key_id, stamp, body)
    }

    fn push(&mut self, kind: u8, lane: u8, key_id: u32, stamp: Stamp, body: impl FnOnce(&mut Vec<u8>)) -> u64 {
        let seq = self.next_seq;
        self.next_seq += 1;
        if self.poisoned.is_some() {
            return seq;
        }
        let Stamp { mono_ms, wall_ms } = stamp;
        let (flags, length, body_crc, boot) = (0, 0, 0, self.boot);
        let header = RecordHeader { length, kind, lane, flags, key_id, seq, mono_ms, wall_ms, boot, body_crc };
        let start = self.batch.len();
        self.batch.extend_from_slice(&header.encode_unsealed());
        body(&mut self.batch);
        if key_id != 0
            && let Some(ring) = &self.ring
        {
            // Whatever happens to a key: a press is never refused for it. The home's key is tried, then it is told.
            let used = ring.seal(key_id, Place { seq, kind }, &mut self.batch, start + RECORD_HEADER_BYTES);
            self.unsealed += u64::from(used == 0);
            self.batch[start + 12..start + 16].copy_from_slice(&used.to_le_bytes());
        }
        let length = (self.batch.len() - start - RECORD_HEADER_BYTES) as u32;
        self.batch[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
        self.batch_records += 1;
        seq
    }

    fn clear_batch(&mut self) {
        if self.batch.capacity() > BATCH_KEPT_BYTES_MAX {
            self.batch = Vec::new();
        }
        self.batch.clear();
        self.batch.resize(SEGMENT_HEADER_BYTES, 0);
        self.batch_records = 0;
    }

    fn first_seq(&self) -> u64 {
        self.segments.first().map_or(self.next_seq, |s| s.first_seq)
    }

    fn floor(&self) -> u64 {
        self.segments.first().map_or(0, |s| s.first_seq)
    }
}

#[cfg(test)]
mod tests;
