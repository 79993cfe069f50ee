//! The log of records over the flash's pages.
//!
//! Invariants: pages of the log bear rising numbers; those below `tail` are not of it, whatever is in them; one page is
//! spare whenever a record is written, so that a newest page found without a spare one holds only what was being moved,
//! and is dropped.
//!
//! A page: head (mark, its number, the tail, the worn-out pages, checksum), records, then [`TAILS`] places in which the
//! tail is moved on.

mod scan;

use core::ops::Range;

use embedded_storage::nor_flash::NorFlash;
use heapless::Vec;

use super::record::{self, Found, HEAD_BYTES, Kind, RECORD_BYTES_MAX};
use super::{KEYS_MAX, PAGES_MAX, PAGES_MIN, Wrong};
use crate::keep::{Fault, Key};

/// `VKF1`: the layout's version. Another: the page is not ours.
const MARK: u32 = u32::from_le_bytes(*b"VKF1");
const PAGE_HEAD_BYTES: usize = 24;
/// How many older pages can be let go while one page is the newest.
const TAILS: usize = 4;
const TAIL_BYTES: usize = 8;
/// Spare pages that are sought; with one all works, and with two one of them may be worn out.
const SPARE: usize = 2;
/// Places tried for one record before the flash counts as failed.
const TRIES: usize = 3;

/// Where a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub key: Key,
    page: u8,
    /// Of the whole record.
    pub size: u16,
    place: u32,
}

#[derive(Debug)]
pub(super) struct Log<F> {
    pub flash: F,
    /// By their keys.
    pub entries: Vec<Entry, KEYS_MAX>,
    /// A write failed in this boot: a boot may find what was not kept.
    pub is_doubtful: bool,
    is_read: bool,
    /// Number of each page of the log; 0: not of it.
    numbers: [u32; PAGES_MAX],
    /// One bit for each page that does not erase.
    worn_out: u32,
    tail: u32,
    /// Highest number ever seen.
    highest: u32,
    newest: Option<u8>,
    /// Where the next record goes in the newest page.
    at: usize,
    tails_used: usize,
    /// A spare page that was erased and found blank in this boot.
    prepared: Option<u8>,
    /// One bit for each page that was to be prepared in this boot and did not erase: not tried at each rest.
    unprepared: u32,
    mended: u32,
    damaged: u32,
    scratch: [u8; RECORD_BYTES_MAX],
}

impl<F: NorFlash> Log<F> {
    const PAGE: usize = F::ERASE_SIZE;
    const WORD: usize = {
        let word = if F::WRITE_SIZE > F::READ_SIZE { F::WRITE_SIZE } else { F::READ_SIZE };
        assert!(word.is_power_of_two() && word <= 8, "a flash whose words are longer than 8 bytes");
        assert!(F::ERASE_SIZE >= 2_048 && F::ERASE_SIZE <= 65_536, "pages of 2 to 64 KiB");
        if word < 4 { 4 } else { word }
    };
    /// Where a page's records end.
    const END: usize = Self::PAGE - TAILS * TAIL_BYTES;

    pub fn new(flash: F) -> Self {
        Self {
            flash,
            entries: Vec::new(),
            is_doubtful: false,
            is_read: false,
            numbers: [0; PAGES_MAX],
            worn_out: 0,
            tail: 0,
            highest: 0,
            newest: None,
            at: 0,
            tails_used: 0,
            prepared: None,
            unprepared: 0,
            mended: 0,
            damaged: 0,
            scratch: [0; RECORD_BYTES_MAX],
        }
    }

    /// Reads the flash, if that has not succeeded yet or the log is in a state that only a new reading brings out of.
    pub fn ready(&mut self) -> Result<(), Fault> {
        if self.pages() < PAGES_MIN {
            return Err(Fault::Full);
        }
        if self.is_read && (self.newest.is_none() || self.spare() > 0) {
            return Ok(());
        }
        self.is_read = false;
        self.scan()?;
        self.is_read = true;
        Ok(())
    }

    pub fn find(&self, key: Key) -> Option<Entry> {
        self.place(key).ok().map(|place| self.entries[place])
    }

    /// The value of that record.
    pub fn value(&mut self, entry: Entry) -> Result<&[u8], Fault> {
        match self.fetch(usize::from(entry.page), entry.place as usize)? {
            Some((key, Kind::Value(length), _)) if key == entry.key => {
                Ok(&self.scratch[HEAD_BYTES..][..usize::from(length)])
            }
            _ => Err(Fault::Damaged),
        }
    }

    pub fn size(&self, kind: Kind) -> usize {
        kind.size(Self::WORD)
    }

    pub fn living_bytes(&self, of: Range<Key>) -> usize {
        self.entries.iter().filter(|entry| of.contains(&entry.key)).map(|entry| usize::from(entry.size)).sum()
    }

    /// Each page of the log may end in front of a record that did not fit; one page is written, and two are spare.
    pub fn room_bytes(&self) -> usize {
        let usable = self.pages().saturating_sub(self.worn_out.count_ones() as usize);
        usable.saturating_sub(SPARE + 1) * (Self::END - PAGE_HEAD_BYTES - RECORD_BYTES_MAX)
    }

    pub fn wrong(&self) -> Wrong {
        Wrong { mended: self.mended, damaged: self.damaged, worn_out: self.worn_out.count_ones() }
    }

    /// Writes a record behind all others.
    pub fn append(&mut self, key: Key, kind: Kind, value: &[u8]) -> Result<(), Fault> {
        for _ in 0..TRIES {
            self.make_room(self.size(kind))?;
            self.scratch[HEAD_BYTES..][..value.len()].copy_from_slice(value);
            if self.put(key, kind)? {
                return Ok(());
            }
        }
        Err(Fault::Flash)
    }

    /// Erases the page that will be written next, when that comes near: nobody waits for it later.
    pub fn prepare(&mut self) {
        if self.ready().is_err() || self.prepared.is_some() || self.at < Self::PAGE / 2 {
            return;
        }
        if let Some(page) = self.candidates(self.unprepared).next() {
            match self.erase(page) {
                Ok(true) => self.prepared = Some(page as u8),
                _ => self.unprepared |= 1 << page,
            }
        }
    }

    fn pages(&self) -> usize {
        (self.flash.capacity() / Self::PAGE).min(PAGES_MAX)
    }

    fn is_worn_out(&self, page: usize) -> bool {
        self.worn_out >> page & 1 == 1
    }

    fn spare(&self) -> usize {
        (0..self.pages()).filter(|page| self.numbers[*page] == 0 && !self.is_worn_out(*page)).count()
    }

    /// Spare pages, from the one behind the newest on.
    fn candidates(&self, without: u32) -> impl Iterator<Item = usize> + use<F> {
        let (pages, numbers, out) = (self.pages(), self.numbers, self.worn_out | without);
        let first = self.newest.map_or(0, |newest| usize::from(newest) + 1);
        (first..first + pages)
            .map(move |page| page % pages)
            .filter(move |page| numbers[*page] == 0 && out >> page & 1 == 0)
    }

    /// The page of the log with the lowest number of at least this.
    fn oldest(&self, from: u32) -> Option<usize> {
        let pages = (0..self.pages()).filter(|page| self.numbers[*page] >= from.max(1));
        pages.min_by_key(|page| self.numbers[*page])
    }

    fn place(&self, key: Key) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&key, |entry| entry.key)
    }

    fn living_on(&self, page: usize) -> usize {
        let living = self.entries.iter().filter(|entry| usize::from(entry.page) == page);
        living.map(|entry| usize::from(entry.size)).sum()
    }

    fn read(flash: &mut F, at: usize, bytes: &mut [u8]) -> Result<(), Fault> {
        flash.read(at as u32, bytes).map_err(|_| Fault::Flash)
    }

    fn is_blank(&mut self, from: usize, to: usize) -> Result<bool, Fault> {
        let mut bytes = [0; 64];
        for at in (from..to).step_by(bytes.len()) {
            let bytes = &mut bytes[..(to - at).min(64)];
            Self::read(&mut self.flash, at, bytes)?;
            if bytes.iter().any(|byte| *byte != 0xff) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes, and reads it back. False: it did not become what was written.
    fn program(flash: &mut F, at: usize, bytes: &[u8]) -> bool {
        if flash.write(at as u32, bytes).is_err() {
            return false;
        }
        let mut back = [0; 64];
        bytes.chunks(back.len()).enumerate().all(|(chunk, bytes)| {
            let back = &mut back[..bytes.len()];
            Self::read(flash, at + chunk * 64, back).is_ok() && back == bytes
        })
    }

    /// Erases a page. False: it is not blank afterwards.
    fn erase(&mut self, page: usize) -> Result<bool, Fault> {
        let from = page * Self::PAGE;
        self.flash.erase(from as u32, (from + Self::PAGE) as u32).map_err(|_| Fault::Flash)?;
        self.is_blank(from, from + Self::PAGE)
    }

    /// Reads the record at that place into the scratch. `None`: there is none that can be read.
    fn fetch(&mut self, page: usize, place: usize) -> Result<Option<(Key, Kind, Found)>, Fault> {
        let from = page * Self::PAGE + place;
        let mut head = [0; HEAD_BYTES];
        Self::read(&mut self.flash, from, &mut head)?;
        for kind in record::kinds(&head) {
            let size = kind.size(Self::WORD);
            if place + size > Self::END {
                continue;
            }
            Self::read(&mut self.flash, from, &mut self.scratch[..size])?;
            let found = record::mend(&mut self.scratch[..size], self.numbers[page], place as u32);
            if found != Found::Broken && record::says(&self.scratch, kind) {
                return Ok(Some((record::key(&self.scratch), kind, found)));
            }
        }
        Ok(None)
    }

    /// Writes the record whose value is in the scratch at the end of the newest page, where it fits. False: nothing more
    /// goes into this page.
    fn put(&mut self, key: Key, kind: Kind) -> Result<bool, Fault> {
        let Some(newest) = self.newest else { return Ok(false) };
        let size = record::lay(&mut self.scratch, key, kind, Self::WORD);
        let page = usize::from(newest);
        record::seal(&mut self.scratch[..size], self.numbers[page], self.at as u32);
        if !Self::program(&mut self.flash, page * Self::PAGE + self.at, &self.scratch[..size]) {
            self.is_doubtful = true;
            self.at = Self::END;
            return Ok(false);
        }
        self.note(key, kind, page, self.at);
        self.at += size;
        Ok(true)
    }

    /// Knows where the key's newest record is.
    fn note(&mut self, key: Key, kind: Kind, page: usize, place: usize) {
        let entry = Entry { key, page: page as u8, size: kind.size(Self::WORD) as u16, place: place as u32 };
        match (self.place(key), kind) {
            (Ok(at), Kind::Removed) => drop(self.entries.remove(at)),
            (Err(_), Kind::Removed) => {}
            (Ok(at), _) => self.entries[at] = entry,
            // Whoever writes has seen that there is room.
            (Err(at), _) => drop(self.entries.insert(at, entry)),
        }
    }

    /// Sees to it that the newest page takes a record of that size, and that a page is spare.
    fn make_room(&mut self, size: usize) -> Result<(), Fault> {
        for _ in 0..=2 * self.pages() {
            if self.newest.is_some() && self.spare() > 0 && self.at + size <= Self::END {
                return Ok(());
            }
            self.turn()?;
            while self.spare() < SPARE && self.move_oldest()? {}
        }
        Err(Fault::Full)
    }

    /// Takes a spare page as the newest. What lies before the first living record is let go with it.
    fn turn(&mut self) -> Result<(), Fault> {
        let mut first = self.oldest(self.tail);
        while let Some(page) = first.filter(|page| self.living_on(*page) == 0) {
            first = self.oldest(self.numbers[page] + 1);
        }
        let mut without = 0;
        // In front of all others, if it is ready.
        let prepared = self.prepared.take().map(usize::from);
        for page in prepared.into_iter().chain(self.candidates(0).filter(|page| Some(*page) != prepared)) {
            without |= 1 << page;
            if prepared != Some(page) && self.erase(page) != Ok(true) {
                continue;
            }
            let number = self.highest + 1;
            self.highest = number;
            let tail = first.map_or(number, |first| self.numbers[first]);
            let worn_out = self.worn_out | without & !(1 << page);
            let mut head = [0xff; PAGE_HEAD_BYTES];
            for (place, part) in [MARK, number, tail, worn_out].iter().enumerate() {
                head[place * 4..][..4].copy_from_slice(&part.to_le_bytes());
            }
            record::seal(&mut head, 0, page as u32);
            if !Self::program(&mut self.flash, page * Self::PAGE, &head) {
                continue;
            }
            (self.newest, self.at, self.tails_used) = (Some(page as u8), PAGE_HEAD_BYTES, 0);
            self.numbers[page] = number;
            (self.worn_out, self.tail) = (worn_out, tail);
            self.drop_before_tail();
            return Ok(());
        }
        Err(Fault::Flash)
    }

    fn drop_before_tail(&mut self) {
        let tail = self.tail;
        self.numbers.iter_mut().filter(|number| **number < tail).for_each(|number| *number = 0);
    }

    /// Moves what lives in the oldest page into the newest, and lets the page go. False: it cannot be done in this page.
    fn move_oldest(&mut self) -> Result<bool, Fault> {
        let Some((oldest, newest)) = self.oldest(self.tail).zip(self.newest) else { return Ok(false) };
        let has_room = self.at + self.living_on(oldest) <= Self::END;
        if oldest == usize::from(newest) || self.tails_used == TAILS || !has_room {
            return Ok(false);
        }
        for place in 0..self.entries.len() {
            let entry = self.entries[place];
            if usize::from(entry.page) == oldest && !self.relocate(entry)? {
                return Ok(false);
            }
        }
        let tail = self.numbers[oldest] + 1;
        let tail = self.oldest(tail).map_or(tail, |next| self.numbers[next]);
        while self.tails_used < TAILS {
            let place = Self::END + self.tails_used * TAIL_BYTES;
            let newest = usize::from(newest);
            self.tails_used += 1;
            let mut bytes = [0; TAIL_BYTES];
            bytes[..4].copy_from_slice(&tail.to_le_bytes());
            record::seal(&mut bytes, self.numbers[newest], place as u32);
            if Self::program(&mut self.flash, newest * Self::PAGE + place, &bytes) {
                self.tail = tail;
                self.drop_before_tail();
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes a record anew at the end of the newest page, where it fits.
    fn relocate(&mut self, entry: Entry) -> Result<bool, Fault> {
        let kind = match self.value(entry) {
            Ok(value) => Kind::Value(value.len() as u16),
            // That it was there and cannot be read is kept instead.
            Err(Fault::Damaged) => Kind::Damaged,
            Err(fault) => return Err(fault),
        };
        self.put(entry.key, kind)
    }
}
