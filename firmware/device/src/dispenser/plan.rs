//! The doses to come, as the gateway's command `schedule` set them last; kept over a power cut.
//!
//! A dose is known by its slot and when it opens: the gateway asks for the same slot every day.

use heapless::Vec;
use vaka_protocol::limits::SCHEDULE_SLOTS_MAX;
use vaka_protocol::{Label, Slot};

use super::bytes::{Bytes, Reader, put, put_label};

/// A schedule with room left names every dose to come for so long after it was sent, in milliseconds. The gateway fills it
/// from ten days, yesterday's first, and sends it anew each day. Longer: an outage of the gateway is told too late.
pub const REACH_MS: i64 = 8 * 24 * 60 * 60 * 1_000;

/// One dose to come. Times are UTC milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Which dose.
    pub slot: Label,
    /// From when on it may be given out.
    pub opens_at: i64,
    /// Until when.
    pub closes_at: i64,
    /// When the dose before it of this slot was given out the gateway did not know of it as it asked for this one.
    pub is_doubtful: bool,
    /// The compartment (from 1) of a dose that was locked and that a person has released; 0: the next one; [`NOWHERE`].
    pub compartment: u8,
}

/// The compartment of a released dose that this device does not know to be locked: nothing comes for it until it was filled anew.
pub const NOWHERE: u8 = u8::MAX;

impl Entry {
    /// It is this dose.
    pub fn is(&self, slot: &Label, opens_at: i64) -> bool {
        self.opens_at == opens_at && self.slot == *slot
    }
}

/// The schedule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// In the order in which they open.
    pub entries: Vec<Entry, SCHEDULE_SLOTS_MAX>,
    /// Up to here every dose is in it, UTC milliseconds; 0: there never was one. Of a full schedule the last closing: what
    /// opened after its last dose and is still open the next schedule names too.
    pub covers_until: i64,
}

impl Plan {
    /// The schedule that this command sets. `None`: a dose closes before it opens, or two are one.
    pub fn of(slots: &[Slot], now_at: i64) -> Option<Self> {
        let mut entries: Vec<Entry, SCHEDULE_SLOTS_MAX> = Vec::new();
        for Slot { slot, opens_at, closes_at, .. } in slots {
            if closes_at <= opens_at || entries.iter().any(|entry| entry.is(slot, *opens_at)) {
                return None;
            }
            let entry = Entry {
                slot: slot.clone(),
                opens_at: *opens_at,
                closes_at: *closes_at,
                is_doubtful: false,
                compartment: 0,
            };
            entries.push(entry).ok()?;
        }
        entries.sort_unstable_by_key(|entry| entry.opens_at);
        let last = entries.last().filter(|_| entries.is_full()).map(|last| last.closes_at);
        Some(Self { covers_until: last.unwrap_or(now_at.saturating_add(REACH_MS)), entries })
    }

    /// How many doses a day, at least 1; four where nothing is known.
    pub fn doses_a_day(&self) -> u16 {
        const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
        let Some(first) = self.entries.first() else { return 4 };
        self.entries.iter().filter(|entry| entry.opens_at - first.opens_at < DAY_MS).count().max(1) as u16
    }

    /// Layout: version 1, coverage, count, and for each dose its slot, opening, closing, doubt, compartment.
    pub fn bytes(&self) -> Bytes {
        let mut bytes = Bytes::new();
        put(&mut bytes, &[1]);
        put(&mut bytes, &self.covers_until.to_le_bytes());
        put(&mut bytes, &[self.entries.len() as u8]);
        for entry in &self.entries {
            put_label(&mut bytes, &entry.slot);
            put(&mut bytes, &entry.opens_at.to_le_bytes());
            put(&mut bytes, &entry.closes_at.to_le_bytes());
            put(&mut bytes, &[u8::from(entry.is_doubtful), entry.compartment]);
        }
        bytes
    }

    /// As it was kept.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let 1 = reader.byte()? else { return None };
        let covers_until = reader.time()?;
        let mut entries = Vec::new();
        for _ in 0..reader.byte()? {
            let (slot, opens_at, closes_at) = (reader.label()?, reader.time()?, reader.time()?);
            let [is_doubtful, compartment] = reader.array()?;
            entries.push(Entry { slot, opens_at, closes_at, is_doubtful: is_doubtful != 0, compartment }).ok()?;
        }
        Some(Self { entries, covers_until })
    }
}
