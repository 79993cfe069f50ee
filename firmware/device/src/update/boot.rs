//! Which of the two slots boots. Enters: the record in flash. Leaves: the slot, and the record as it must be before the
//! jump. All that a bootloader needs is [`choose`]; it then jumps to the program behind the header
//! ([`super::HEADER_BYTES`]) of [`Boot::at`] and hands [`Boot::slot`] on to it.
//!
//! Invariants: the confirmed slot is never written while it is the confirmed one; firmware on trial boots once, and if it
//! has not confirmed itself by the next boot, the confirmed one boots; a cut between any two writes leaves a slot that
//! boots. Absent: the event store. Its format may change with any firmware, a bootloader is never replaced: the record is
//! a format of its own, of two erase units.
//!
//! A record is 32 bytes: `VKB1`, its number (`u32` little-endian, rising), confirmed slot, trial, two zeros, floor (`u32`),
//! twelve zeros, CRC-32 of what stands before it. Records are appended; the highest number whose CRC is right counts.

use embedded_storage::nor_flash::NorFlash;

use super::image::{HEADER_BYTES, Header};
use crate::keep::Fault;

/// One of the two places for a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// The first; what the factory wrote.
    A,
    /// The second.
    B,
}

impl Slot {
    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// Where in the flash they are. Each number is a multiple of the flash's erase unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Begin of slot A.
    pub a: u32,
    /// Begin of slot B.
    pub b: u32,
    /// Bytes of each slot.
    pub slot_bytes: u32,
    /// Begin of the record: two erase units.
    pub record: u32,
}

impl Layout {
    /// Begin of that slot.
    pub const fn at(&self, slot: Slot) -> u32 {
        match slot {
            Slot::A => self.a,
            Slot::B => self.b,
        }
    }
}

/// How far firmware in the slot that is not confirmed has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// There is none.
    None,
    /// It boots next.
    Armed,
    /// It has been booted.
    Running,
    /// It did not confirm itself; nobody was told so yet.
    RolledBack,
}

/// What the record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// The slot whose firmware has proved itself.
    pub confirmed: Slot,
    /// The other slot's.
    pub trial: Trial,
    /// The highest version that was ever confirmed: nothing below is taken.
    pub floor: u32,
}

/// What boots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Boot {
    /// The slot.
    pub slot: Slot,
    /// It is on trial: it must confirm itself in this boot.
    pub is_trial: bool,
    /// Where the slot begins in flash.
    pub at: u32,
}

/// Chooses the slot to boot, and writes what must be written before the jump. Never fails: with a flash that cannot be
/// written, the confirmed slot boots.
pub fn choose<F: NorFlash>(flash: &mut F, layout: &Layout) -> Boot {
    let state = read(flash, layout).ok().flatten();
    let whole = |flash: &mut F, slot| header(flash, layout, slot).is_some();
    let (slot, next) = decide([whole(flash, Slot::A), whole(flash, Slot::B)], state);
    let is_trial = next.is_some_and(|next| next.trial == Trial::Running);
    match next.map(|next| write(flash, layout, next)) {
        // Untold, it could boot a second time.
        Some(Err(_)) if is_trial => Boot { slot: slot.other(), is_trial: false, at: layout.at(slot.other()) },
        _ => Boot { slot, is_trial, at: layout.at(slot) },
    }
}

/// The slot to boot and what the record must say before it does; `None`: what it says already. `whole`: slot A and B
/// begin with an image's header.
pub const fn decide(whole: [bool; 2], state: Option<State>) -> (Slot, Option<State>) {
    let Some(state) = state else {
        // As the factory left it, or a record that is lost: a slot gets its header only when all else in it is proven.
        return (if whole[0] || !whole[1] { Slot::A } else { Slot::B }, None);
    };
    let new = state.confirmed.other();
    match state.trial {
        Trial::Armed if whole[new as usize] => (new, Some(State { trial: Trial::Running, ..state })),
        Trial::Armed | Trial::Running => (state.confirmed, Some(State { trial: Trial::RolledBack, ..state })),
        Trial::None | Trial::RolledBack => (state.confirmed, None),
    }
}

/// The header at the begin of a slot; its signature is not judged again. `None`: there is none.
pub fn header<F: NorFlash>(flash: &mut F, layout: &Layout, slot: Slot) -> Option<Header> {
    let mut bytes = [0; HEADER_BYTES];
    flash.read(layout.at(slot), &mut bytes).ok()?;
    Header::parse(&bytes).ok().filter(|header| header.file_bytes().is_some_and(|bytes| bytes <= layout.slot_bytes))
}

/// Bytes of a record.
const RECORD_BYTES: usize = 32;
const RECORD_MAGIC: [u8; 4] = *b"VKB1";

/// The record. `None`: none was ever written, or none is readable.
///
/// # Errors
/// The flash cannot be read.
pub fn read<F: NorFlash>(flash: &mut F, layout: &Layout) -> Result<Option<State>, Fault> {
    Ok(newest(flash, layout)?.map(|(_, _, state)| state))
}

/// Puts a record in the place of the one before: cut in between, the one before counts.
///
/// # Errors
/// The flash cannot be written, or holds something else afterwards.
pub fn write<F: NorFlash>(flash: &mut F, layout: &Layout, state: State) -> Result<(), Fault> {
    const { assert!(RECORD_BYTES.is_multiple_of(F::WRITE_SIZE) && F::ERASE_SIZE.is_multiple_of(RECORD_BYTES)) };
    let unit = F::ERASE_SIZE as u32;
    let newest = newest(flash, layout)?;
    let number = newest.map_or(1, |(number, ..)| number.saturating_add(1));
    let place = match newest {
        Some((_, place, _)) => {
            let page = layout.record + (place - layout.record) / unit * unit;
            let other = layout.record + unit - (page - layout.record);
            match blank(flash, place + RECORD_BYTES as u32..page + unit)? {
                Some(place) => place,
                None => {
                    flash.erase(other, other + unit).map_err(|_| Fault::Flash)?;
                    other
                }
            }
        }
        None => {
            flash.erase(layout.record, layout.record + unit).map_err(|_| Fault::Flash)?;
            layout.record
        }
    };
    let bytes = to_bytes(number, state);
    flash.write(place, &bytes).map_err(|_| Fault::Flash)?;
    let mut back = [0; RECORD_BYTES];
    flash.read(place, &mut back).map_err(|_| Fault::Flash)?;
    if back == bytes { Ok(()) } else { Err(Fault::Damaged) }
}

/// Number, place and content of the record that counts.
fn newest<F: NorFlash>(flash: &mut F, layout: &Layout) -> Result<Option<(u32, u32, State)>, Fault> {
    let mut newest: Option<(u32, u32, State)> = None;
    for place in (layout.record..layout.record + 2 * F::ERASE_SIZE as u32).step_by(RECORD_BYTES) {
        let mut bytes = [0; RECORD_BYTES];
        flash.read(place, &mut bytes).map_err(|_| Fault::Flash)?;
        if let Some((number, state)) = from_bytes(&bytes)
            && newest.is_none_or(|(highest, ..)| number > highest)
        {
            newest = Some((number, place, state));
        }
    }
    Ok(newest)
}

/// The first place of that range from which on nothing was written, not even half.
fn blank<F: NorFlash>(flash: &mut F, range: core::ops::Range<u32>) -> Result<Option<u32>, Fault> {
    for place in range.step_by(RECORD_BYTES) {
        let mut bytes = [0; RECORD_BYTES];
        flash.read(place, &mut bytes).map_err(|_| Fault::Flash)?;
        if bytes == [0xff; RECORD_BYTES] {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

fn to_bytes(number: u32, state: State) -> [u8; RECORD_BYTES] {
    let mut bytes = [0; RECORD_BYTES];
    bytes[..4].copy_from_slice(&RECORD_MAGIC);
    bytes[4..8].copy_from_slice(&number.to_le_bytes());
    bytes[8] = state.confirmed as u8;
    bytes[9] = state.trial as u8;
    bytes[12..16].copy_from_slice(&state.floor.to_le_bytes());
    let crc = crc32(&bytes[..28]);
    bytes[28..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn from_bytes(bytes: &[u8; RECORD_BYTES]) -> Option<(u32, State)> {
    let (said, crc) = bytes.split_at(28);
    if said[..4] != RECORD_MAGIC || crc != crc32(said).to_le_bytes() {
        return None;
    }
    let confirmed = [Slot::A, Slot::B].into_iter().find(|slot| *slot as u8 == bytes[8])?;
    let trials = [Trial::None, Trial::Armed, Trial::Running, Trial::RolledBack];
    let trial = trials.into_iter().find(|trial| *trial as u8 == bytes[9])?;
    let floor = u32::from_le_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]);
    Some((u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]), State { confirmed, trial, floor }))
}

/// CRC-32 as in IEEE 802.3, bit by bit: 28 bytes need no table.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}
