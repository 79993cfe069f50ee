//! What a device keeps over a power cut: small values by their number.
//!
//! Invariant of every [`Keep`]: when a call has returned, its effect is there after any power cut; cut in between, the
//! value is the one before or the one after, never another and never none.

use core::ops::Range;

/// The number of a kept value.
pub type Key = u32;

/// Before a kept event's message, in bytes: what a boot must know of it.
pub(crate) const EVENT_HEAD_BYTES: usize = 18;

/// Longest kept value, in bytes: an event's head and its message. Beyond: [`Fault::TooLong`].
pub const VALUE_BYTES_MAX: usize = EVENT_HEAD_BYTES + vaka_protocol::limits::MESSAGE_BYTES_MAX;

/// The boots so far (`u32`).
pub const RESTART: Key = 1;
/// The highest id of a command that may have been carried out (`u64`).
pub const COMMAND: Key = 2;
/// How many events were dropped that no event `lost` tells of yet (`u32`); then the number of the event that tells of
/// some of them, if it is kept (`u32`).
pub const LOST: Key = 3;
/// How the device behaves: what the command `settings` set.
pub const SETTINGS: Key = 4;
/// What an update keeps about its slots.
pub const UPDATE: Range<Key> = 0x10..0x20;
/// Who the device is: [`crate::identity`].
pub const IDENTITY: Range<Key> = 0x20..0x30;
/// What belongs to the role alone.
pub const ROLE: Range<Key> = 0x100..0x1000;
/// Events that are not acknowledged yet, in the order in which they were taken in.
pub const EVENTS: Range<Key> = 0x1000_0000..0xffff_ffff;

/// The flash does not do as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Reading, writing or erasing failed.
    #[error("the flash failed")]
    Flash,
    /// No room, even after everything superseded was erased.
    #[error("the flash is full")]
    Full,
    /// What was read is not what was ever written, and could not be repaired.
    #[error("the flash is damaged")]
    Damaged,
    /// Longer than [`VALUE_BYTES_MAX`].
    #[error("the value is too long to be kept")]
    TooLong,
}

/// Where small values survive a power cut.
pub trait Keep {
    /// The value under that number. `buffer` holds [`VALUE_BYTES_MAX`].
    fn read<'b>(&mut self, key: Key, buffer: &'b mut [u8]) -> Result<Option<&'b [u8]>, Fault>;

    /// Puts the value in the place of the one before.
    fn write(&mut self, key: Key, value: &[u8]) -> Result<(), Fault>;

    /// Lets go of it. Nothing there: nothing happens.
    fn remove(&mut self, key: Key) -> Result<(), Fault>;

    /// Calls `found` for each value whose number lies in `of`, once, in no order.
    fn each(&mut self, of: Range<Key>, found: &mut dyn FnMut(Key, &[u8])) -> Result<(), Fault>;

    /// Nothing is urgent now: what takes time and will be needed may be done. Never needed for the above to work.
    fn rest(&mut self) {}
}

/// Reads a number of up to eight bytes, least significant first. Damaged or absent: `None`.
pub fn number(keep: &mut dyn Keep, key: Key) -> Result<Option<u64>, Fault> {
    let mut buffer = [0; VALUE_BYTES_MAX];
    Ok(keep.read(key, &mut buffer)?.filter(|value| value.len() <= 8).map(|value| {
        let mut bytes = [0; 8];
        bytes[..value.len()].copy_from_slice(value);
        u64::from_le_bytes(bytes)
    }))
}

/// Keeps a number as [`number`] reads it.
pub fn keep_number(keep: &mut dyn Keep, key: Key, value: u64) -> Result<(), Fault> {
    keep.write(key, &value.to_le_bytes())
}
