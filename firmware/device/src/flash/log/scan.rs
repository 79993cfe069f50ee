//! Taking up the log after a boot. Enters: the pages as they are. Leaves: which of them are the log, and where each value
//! is. Invariants: what a cut tore is passed over; what is damaged is known as that; one turned bit is written anew.

use embedded_storage::nor_flash::NorFlash;

use super::{Log, MARK, PAGE_HEAD_BYTES, TAIL_BYTES, TAILS};
use crate::flash::PAGES_MAX;
use crate::flash::record::{self, Found, HEAD_BYTES, Kind};
use crate::keep::{Fault, Key};

impl<F: NorFlash> Log<F> {
    /// Takes up what the flash holds.
    pub(super) fn scan(&mut self) -> Result<(), Fault> {
        self.entries.clear();
        self.numbers = [0; PAGES_MAX];
        (self.worn_out, self.tail, self.highest, self.newest) = (0, 0, 0, None);
        (self.prepared, self.at, self.tails_used) = (None, Self::END, TAILS);
        for page in 0..self.pages() {
            let mut head = [0; PAGE_HEAD_BYTES];
            Self::read(&mut self.flash, page * Self::PAGE, &mut head)?;
            if record::mend(&mut head, 0, page as u32) == Found::Broken {
                continue;
            }
            let part = |place: usize| record::key(&head[place * 4..]);
            if part(0) == MARK && part(1) > 0 {
                self.numbers[page] = part(1);
                self.tail = self.tail.max(part(2));
                if part(1) > self.highest {
                    (self.highest, self.worn_out, self.newest) = (part(1), part(3), Some(page as u8));
                }
            }
        }
        let Some(newest) = self.newest.map(usize::from) else { return Ok(()) };
        self.read_tails(newest)?;
        for page in 0..self.pages() {
            if self.is_worn_out(page) {
                self.numbers[page] = 0;
            }
        }
        self.drop_before_tail();
        if self.spare() == 0 {
            self.numbers[newest] = 0;
            (self.newest, self.at) = (None, Self::END);
        }
        let mended = self.mended;
        let mut number = self.tail;
        while let Some(page) = self.oldest(number) {
            let end = self.scan_page(page)?;
            if self.newest.map(usize::from) == Some(page) {
                let (from, to) = (page * Self::PAGE + end, page * Self::PAGE + Self::END);
                // Behind something torn nothing is written.
                self.at = if self.is_blank(from, to)? { end } else { Self::END };
            }
            number = self.numbers[page] + 1;
        }
        if self.mended > mended {
            self.write_mended()?;
        }
        Ok(())
    }

    fn read_tails(&mut self, newest: usize) -> Result<(), Fault> {
        self.tails_used = 0;
        for used in 0..TAILS {
            let place = Self::END + used * TAIL_BYTES;
            let mut bytes = [0; TAIL_BYTES];
            Self::read(&mut self.flash, newest * Self::PAGE + place, &mut bytes)?;
            if bytes == [0xff; TAIL_BYTES] {
                continue;
            }
            self.tails_used = used + 1;
            if record::mend(&mut bytes, self.numbers[newest], place as u32) != Found::Broken {
                self.tail = self.tail.max(record::key(&bytes));
            }
        }
        Ok(())
    }

    /// Takes up a page's records. Returns where the last of them ends.
    fn scan_page(&mut self, page: usize) -> Result<usize, Fault> {
        let base = page * Self::PAGE;
        let (mut at, mut end) = (PAGE_HEAD_BYTES, PAGE_HEAD_BYTES);
        // What could not be read is damaged if a record follows; else it was torn.
        let mut unread: Option<(Key, Option<Kind>, usize)> = None;
        while at + HEAD_BYTES < Self::END {
            if let Some((key, kind, found)) = self.fetch(page, at)? {
                if let Some((key, kind, at)) = unread.take() {
                    self.damaged = self.damaged.saturating_add(1);
                    if let Some(kind) = kind.filter(|_| !self.entries.is_full()) {
                        self.note(key, kind, page, at);
                    }
                }
                self.mended = self.mended.saturating_add(u32::from(found == Found::Mended));
                self.note(key, kind, page, at);
                at += kind.size(Self::WORD);
                end = at;
                continue;
            }
            let mut head = [0; HEAD_BYTES];
            Self::read(&mut self.flash, base + at, &mut head)?;
            if head == [0xff; HEAD_BYTES] {
                if self.is_blank(base + at, base + Self::END)? {
                    break;
                }
            } else if unread.is_none() {
                unread = Some((record::key(&head), record::kinds(&head).next(), at));
            }
            at += Self::WORD;
        }
        Ok(end)
    }

    /// Writes what was mended anew: the next bit of it would be one too many.
    fn write_mended(&mut self) -> Result<(), Fault> {
        for place in 0..self.entries.len() {
            let entry = self.entries[place];
            if let Some((_, kind, Found::Mended)) = self.fetch(usize::from(entry.page), entry.place as usize)? {
                // No room, or a flash that no longer writes: it stays mended with each reading.
                if self.make_room(kind.size(Self::WORD)).is_ok()
                    && let Some(entry) = self.find(entry.key)
                {
                    self.relocate(entry)?;
                }
            }
        }
        Ok(())
    }
}
