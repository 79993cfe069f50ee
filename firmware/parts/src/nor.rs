//! NOR flash: pages that are erased to ones and programmed to zeros, with power cuts, wear and faults.
//!
//! Enters: reads, writes and erases by `embedded-storage`; what a test does to the part ([`Nor::cut_after`],
//! [`Nor::wear_out`], [`Nor::flip`], [`Nor::weaken`], [`Nor::fail`]). Leaves: the bytes, and what was done to them
//! ([`Counts`]). Invariants: a write only turns ones into zeros; only an erase brings ones; torn, a write has done a
//! prefix of its words and some bits of the next; torn, an erase leaves anything at all in its page.
//!
//! What a cut leaves behind is what `embedded-storage` allows: "the contents of the written words are undefined" for a
//! write, "contents of the page are undefined" for an erase. Absent: time, read disturb, cells that read now so, now so.

use embedded_storage::nor_flash::{
    ErrorType, MultiwriteNorFlash, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read,
    check_write,
};

/// What one erase erases, in bytes: the sector of common serial NOR (Winbond W25Q64JV, "Sector Erase (4KB)").
pub const PAGE_BYTES: usize = 4_096;

/// Pages whose wear is counted; those beyond share the last count. Source: our choice, 1 MiB.
pub const PAGES_MAX: usize = 256;

/// Why the flash did not do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NorError {
    /// It has no power.
    Off,
    /// It says so itself ([`Nor::fail`]).
    Failed,
    /// Not aligned, or beyond its end.
    Asked(NorFlashErrorKind),
}

impl NorFlashError for NorError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            NorError::Asked(kind) => *kind,
            NorError::Off | NorError::Failed => NorFlashErrorKind::Other,
        }
    }
}

/// What was done to the flash so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Calls that read.
    pub reads: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Calls that wrote.
    pub writes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Pages erased.
    pub erases: u64,
    /// Words written that were not blank. Flash with error correction does not take such a write.
    pub rewritten_words: u64,
}

/// The flash, over the bytes that it holds (an array, a slice, a `Vec`). `WORD`: bytes of the smallest write.
#[derive(Debug, Clone)]
pub struct Nor<M, const WORD: usize = 4> {
    memory: M,
    /// Writes and erases until the power goes; `None`: it stays.
    left: Option<u64>,
    is_off: bool,
    fails: bool,
    /// State of the generator that says how far a torn operation came.
    chance: u64,
    worn_out: [bool; PAGES_MAX],
    weak: Option<u32>,
    wear: [u32; PAGES_MAX],
    counts: Counts,
}

impl<M: AsRef<[u8]> + AsMut<[u8]>, const WORD: usize> Nor<M, WORD> {
    /// The flash with these contents. Its size is that of the whole pages in `memory`.
    pub fn over(memory: M) -> Self {
        Self {
            memory,
            left: None,
            is_off: false,
            fails: false,
            chance: 0,
            worn_out: [false; PAGES_MAX],
            weak: None,
            wear: [0; PAGES_MAX],
            counts: Counts::default(),
        }
    }

    /// The flash as it comes from its maker: erased.
    pub fn blank(mut memory: M) -> Self {
        memory.as_mut().fill(0xff);
        Self::over(memory)
    }

    /// The power goes during the write or erase after the next `operations`. `chance` says how far that one comes: the
    /// same number, the same damage.
    pub fn cut_after(&mut self, operations: u64, chance: u64) {
        self.left = Some(operations);
        self.chance = chance;
    }

    /// The power is back, and stays.
    pub fn power_on(&mut self) {
        self.is_off = false;
        self.left = None;
    }

    /// The power went.
    pub fn is_off(&self) -> bool {
        self.is_off
    }

    /// From now on every write and every erase fails, and does nothing; `false`: no longer.
    pub fn fail(&mut self, fails: bool) {
        self.fails = fails;
    }

    /// This page no longer erases: it says that it did, and its second half stays as it was.
    pub fn wear_out(&mut self, page: usize) {
        if let Some(worn_out) = self.worn_out.get_mut(page) {
            *worn_out = true;
        }
    }

    /// The byte at this place no longer takes a write: it stays as it is, and nothing says so.
    pub fn weaken(&mut self, at: u32) {
        self.weak = Some(at);
    }

    /// One bit of the byte at this place turns over by itself. Beyond the end: nothing happens.
    pub fn flip(&mut self, at: u32, bit: u8) {
        if let Some(byte) = self.memory.as_mut().get_mut(at as usize) {
            *byte ^= 1 << (bit % 8);
        }
    }

    /// What was done to it so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How often this page was erased.
    pub fn wear(&self, page: usize) -> u32 {
        self.wear[page.min(PAGES_MAX - 1)]
    }

    /// The bytes as they are.
    pub fn bytes(&self) -> &[u8] {
        self.memory.as_ref()
    }

    fn random(&mut self) -> u64 {
        // SplitMix64 (Steele, Lea, Flood 2014), public domain.
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.chance;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Whether the power goes during this operation.
    fn is_torn(&mut self) -> Result<bool, NorError> {
        if self.is_off {
            return Err(NorError::Off);
        }
        if self.fails {
            return Err(NorError::Failed);
        }
        let is_last = self.left == Some(0);
        self.left = self.left.map(|left| left.saturating_sub(1));
        self.is_off = is_last;
        Ok(is_last)
    }

    fn program(&mut self, at: usize, byte: u8) {
        if self.weak != u32::try_from(at).ok() {
            self.memory.as_mut()[at] &= byte;
        }
    }

    /// Anything at all, and often the worst: a page that looks erased or untouched where one looks first.
    fn garble(&mut self, page: usize) {
        let style = self.random() % 6;
        let place = self.random() as usize % PAGE_BYTES;
        for at in 0..PAGE_BYTES {
            let random = self.random() as u8;
            let byte = &mut self.memory.as_mut()[page * PAGE_BYTES + at];
            *byte = match style {
                0 => *byte,
                1 => *byte | random,
                2 if at < place => 0xff,
                3 if at >= place => 0xff,
                // Ends first, the middle last.
                4 if !(64..PAGE_BYTES - 64).contains(&at) => 0xff,
                2..=4 => *byte,
                _ => random,
            };
        }
    }
}

impl<M, const WORD: usize> ErrorType for Nor<M, WORD> {
    type Error = NorError;
}

impl<M: AsRef<[u8]> + AsMut<[u8]>, const WORD: usize> ReadNorFlash for Nor<M, WORD> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorError> {
        check_read(self, offset, bytes.len()).map_err(NorError::Asked)?;
        if self.is_off {
            return Err(NorError::Off);
        }
        self.counts.reads += 1;
        self.counts.read_bytes += bytes.len() as u64;
        bytes.copy_from_slice(&self.memory.as_ref()[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.memory.as_ref().len() / PAGE_BYTES * PAGE_BYTES
    }
}

impl<M: AsRef<[u8]> + AsMut<[u8]>, const WORD: usize> NorFlash for Nor<M, WORD> {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE_BYTES;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorError> {
        check_erase(self, from, to).map_err(NorError::Asked)?;
        for page in from as usize / PAGE_BYTES..to as usize / PAGE_BYTES {
            let is_torn = self.is_torn()?;
            self.counts.erases += 1;
            let count = &mut self.wear[page.min(PAGES_MAX - 1)];
            *count = count.saturating_add(1);
            if is_torn {
                self.garble(page);
                return Err(NorError::Off);
            }
            let erased = if self.worn_out.get(page) == Some(&true) { PAGE_BYTES / 2 } else { PAGE_BYTES };
            self.memory.as_mut()[page * PAGE_BYTES..][..erased].fill(0xff);
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorError> {
        check_write(self, offset, bytes.len()).map_err(NorError::Asked)?;
        let is_torn = self.is_torn()?;
        let whole = if is_torn { self.random() as usize % (bytes.len() / WORD).max(1) } else { bytes.len() / WORD };
        // All bits of the torn word were reached, none, or some.
        let style = self.random() % 3;
        self.counts.writes += 1;
        self.counts.written_bytes += (whole * WORD) as u64;
        for (word, bytes) in bytes.chunks_exact(WORD).enumerate().take(whole + 1) {
            let place = offset as usize + word * WORD;
            if self.memory.as_ref()[place..][..WORD].iter().any(|byte| *byte != 0xff) {
                self.counts.rewritten_words += 1;
            }
            for (at, byte) in bytes.iter().enumerate() {
                // Bits that were not reached stay as they are.
                let missing = match style {
                    _ if word < whole => 0,
                    0 => 0,
                    1 => 0xff,
                    _ => self.random() as u8,
                };
                self.program(place + at, byte | missing);
            }
        }
        if is_torn { Err(NorError::Off) } else { Ok(()) }
    }
}

impl<M: AsRef<[u8]> + AsMut<[u8]>, const WORD: usize> MultiwriteNorFlash for Nor<M, WORD> {}
