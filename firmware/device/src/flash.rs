//! What survives a power cut: [`Keep`] over NOR flash.
//!
//! Enters: values by their number. Leaves: the flash's pages, and the values again after any power cut. A log: each write
//! appends a record; the oldest page's living records are moved to the newest before it is erased, so that wear spreads
//! over all pages. Invariants: no word is written twice between two erases (flash with error correction takes it too); a
//! page is erased and found blank before it is written; each record is read back; nothing is written unless a page is
//! spare, so that there is always room to let go and to move; a page that no longer erases is left out from then on.
//!
//! Own rather than `sequential-storage` 8's map: put through the same cuts that one lost values that were not being
//! written and brought older ones back, after an erase that was cut. It takes a page for blank whose two ends are
//! (ARCHITECTURE.md).
//!
//! Memory: 1.5 KiB for the places of [`KEYS_MAX`] values, 1 KiB for one record; no heap. Cost, as
//! `tests/flash.rs` prints it for events of 90 bytes in 16 pages of 4 KiB: kept and acknowledged 2.03 writes and 117
//! bytes; 29 erases for 1,000 events, spread evenly: 50 events a day wear out pages good for 100,000 erases in 2,960 years.
//! A boot reads the log once: 68 KB of 64 KiB. An erase (45 ms, at most 400: Winbond W25Q64JV, "AC Electrical
//! Characteristics") falls on about one event in 35; [`Keep::rest`] does it beforehand when nothing is urgent.
//!
//! Absent: cells that read now so, now so; flash whose smallest write is longer than 8 bytes or page than 64 KiB.

mod log;
mod record;

use core::ops::Range;

use embedded_storage::nor_flash::NorFlash;
use heapless::Vec;

use crate::keep::{EVENTS, Fault, Keep, Key, VALUE_BYTES_MAX};
use log::{Entry, Log};
use record::{HEAD_BYTES, Kind};

/// Values that are kept at most. Beyond: [`Fault::Full`]. Twice the events that wait, twelve bytes of memory for each.
/// Source: our choice.
pub const KEYS_MAX: usize = 128;

/// Pages used at most; those beyond stay as they are. Source: our choice, 128 KiB in pages of 4 KiB.
pub const PAGES_MAX: usize = 32;

/// Pages needed at least: one that is written, one that is moved from, two that are spare.
pub const PAGES_MIN: usize = 4;

/// Room that waiting events leave to everything else, in bytes: four of the longest records. A device full of events
/// still counts its boots and keeps what it was told to do. Source: our choice.
pub const RESERVED_BYTES: usize = 4 * record::RECORD_BYTES_MAX;

/// Values in flash.
#[derive(Debug)]
pub struct Flash<F> {
    log: Log<F>,
}

/// What was found to be wrong with the flash since [`Flash::open`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wrong {
    /// Records with one turned bit, which was turned back.
    pub mended: u32,
    /// Records that could not be read.
    pub damaged: u32,
    /// Pages that no longer erase.
    pub worn_out: u32,
}

impl<F: NorFlash> Flash<F> {
    /// Takes up what the flash holds. A blank flash holds nothing. Never fails: a flash that cannot be read says so with
    /// every call, and is looked at again with every call.
    pub fn open(flash: F) -> Self {
        let mut log = Log::new(flash);
        // Told by the next call, which tries again.
        let _ = log.ready();
        Self { log }
    }

    /// The flash itself.
    pub fn part(&mut self) -> &mut F {
        &mut self.log.flash
    }

    /// The flash, as a power cut leaves it.
    pub fn into_part(self) -> F {
        self.log.flash
    }

    /// What was wrong with it.
    pub fn wrong(&self) -> Wrong {
        self.log.wrong()
    }

    /// How many bytes of values and their heads fit beside each other, whatever their sizes.
    pub fn room_bytes(&self) -> usize {
        self.log.room_bytes()
    }
}

impl<F: NorFlash> Keep for Flash<F> {
    fn read<'b>(&mut self, key: Key, buffer: &'b mut [u8]) -> Result<Option<&'b [u8]>, Fault> {
        self.log.ready()?;
        let Some(entry) = self.log.find(key) else { return Ok(None) };
        let value = self.log.value(entry)?;
        let buffer = buffer.get_mut(..value.len()).ok_or(Fault::TooLong)?;
        buffer.copy_from_slice(value);
        Ok(Some(buffer))
    }

    fn write(&mut self, key: Key, value: &[u8]) -> Result<(), Fault> {
        if value.len() > VALUE_BYTES_MAX {
            return Err(Fault::TooLong);
        }
        self.log.ready()?;
        let before = self.log.find(key);
        // What is there already costs nothing.
        if let Some(entry) = before
            && self.log.value(entry).is_ok_and(|kept| kept == value)
        {
            return Ok(());
        }
        let kind = Kind::Value(value.len() as u16);
        let (size, old) = (self.log.size(kind), before.map_or(0, |entry| usize::from(entry.size)));
        let room = self.log.room_bytes();
        let is_event = EVENTS.contains(&key);
        let events = self.log.living_bytes(EVENTS) + if is_event { size } else { 0 } - if is_event { old } else { 0 };
        let living = self.log.living_bytes(0..Key::MAX) + size - old;
        let has_room = living <= room && (!is_event || events <= room - RESERVED_BYTES.min(room / 4));
        if size > old && !has_room {
            return Err(Fault::Full);
        }
        if before.is_none() && self.log.entries.is_full() {
            return Err(Fault::Full);
        }
        self.log.append(key, kind, value)
    }

    fn remove(&mut self, key: Key) -> Result<(), Fault> {
        self.log.ready()?;
        // After a write that failed nobody knows what a boot will find.
        if self.log.find(key).is_none() && !self.log.is_doubtful {
            return Ok(());
        }
        self.log.append(key, Kind::Removed, &[])
    }

    /// Damaged values are let go, and told by [`Fault::Damaged`], once all others were found.
    fn each(&mut self, of: Range<Key>, found: &mut dyn FnMut(Key, &[u8])) -> Result<(), Fault> {
        self.log.ready()?;
        let mut result = Ok(());
        let mut damaged: Vec<Key, KEYS_MAX> = Vec::new();
        for place in 0..self.log.entries.len() {
            let entry: Entry = self.log.entries[place];
            if !of.contains(&entry.key) {
                continue;
            }
            match self.log.value(entry) {
                Ok(value) => found(entry.key, value),
                Err(fault) => {
                    result = Err(fault);
                    if fault == Fault::Damaged {
                        // There are no more of them than entries.
                        let _ = damaged.push(entry.key);
                    }
                }
            }
        }
        for key in damaged {
            // Should this fail, the next boot tells it again.
            let _ = self.log.append(key, Kind::Removed, &[]);
        }
        result
    }

    fn rest(&mut self) {
        self.log.prepare();
    }
}

const _: () = assert!(HEAD_BYTES == 8, "read alone, whatever the flash's word");
