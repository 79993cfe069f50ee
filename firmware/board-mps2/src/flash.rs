//! The flash: the board's 16 MB PSRAM, which QEMU keeps in a file of the host, behind the rules of NOR flash. A program
//! turns ones into zeros, only an erase brings ones back. What is written is in the file at once, so that SIGKILL of
//! QEMU is a power cut in the middle of whatever was under way.
//!
//! Map, from [`BASE`]: provisioning 8 KiB; from 64 KiB the device's own 128 KiB; from 1 MiB what is no flash at all: the
//! models of parts that a power cut leaves as they are ([`crate::model`]).

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

/// Where the memory lies.
const BASE: usize = 0x2100_0000;

/// The technician's area.
pub const PROVISIONING: usize = BASE;

/// Where the models lie.
pub(crate) const MODELS: usize = BASE + 1024 * 1024;

/// From [`BASE`] to what the device keeps, bytes.
const KEPT_OFFSET: usize = 64 * 1024;

/// What the device keeps, bytes: 32 pages. A pendant writes some 200 bytes an event; 128 KiB a dispenser's years.
pub const KEPT_BYTES: usize = 128 * 1024;

/// The smallest piece that can be erased, bytes: as most NOR flashes with a serial bus have it.
const PAGE_BYTES: usize = 4096;

/// The part of the flash where the device keeps its values.
#[derive(Debug)]
pub struct Psram(());

/// Not within the device's part, or not on a page's border.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outside;

impl NorFlashError for Outside {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::OutOfBounds
    }
}

impl Psram {
    /// # Safety
    /// Once: two would write to the same memory.
    pub const unsafe fn new() -> Self {
        Self(())
    }

    fn bytes(&mut self, offset: u32, length: usize) -> Result<&mut [u8], Outside> {
        let end = (offset as usize).checked_add(length).filter(|end| *end <= KEPT_BYTES).ok_or(Outside)?;
        // SAFETY: within the memory, and only one `Psram` reaches it.
        let all = unsafe { core::slice::from_raw_parts_mut((BASE + KEPT_OFFSET) as *mut u8, KEPT_BYTES) };
        Ok(&mut all[offset as usize..end])
    }
}

impl ErrorType for Psram {
    type Error = Outside;
}

impl ReadNorFlash for Psram {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Outside> {
        bytes.copy_from_slice(self.bytes(offset, bytes.len())?);
        Ok(())
    }

    fn capacity(&self) -> usize {
        KEPT_BYTES
    }
}

impl NorFlash for Psram {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = PAGE_BYTES;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Outside> {
        if from as usize % PAGE_BYTES != 0 || to as usize % PAGE_BYTES != 0 || to < from {
            return Err(Outside);
        }
        self.bytes(from, (to - from) as usize)?.iter_mut().for_each(|place| put(place, 0xff));
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Outside> {
        let places = self.bytes(offset, bytes.len())?;
        places.iter_mut().zip(bytes).for_each(|(place, byte)| put(place, *place & byte));
        Ok(())
    }
}

/// Written now and in this order, whatever the compiler would rather do: a power cut must find what a chip would have.
fn put(place: &mut u8, byte: u8) {
    // SAFETY: a reference to write through.
    unsafe { core::ptr::from_mut(place).write_volatile(byte) }
}
