//! One 32-bit register of the board at a fixed address.

/// A register.
#[derive(Clone, Copy)]
pub struct Reg(usize);

impl Reg {
    /// # Safety
    /// There is a register of this board at the address, and reading or writing it breaks nobody's memory.
    pub const unsafe fn at(address: usize) -> Self {
        Self(address)
    }

    /// Reads it.
    pub fn get(self) -> u32 {
        // SAFETY: promised at `at`.
        unsafe { (self.0 as *const u32).read_volatile() }
    }

    /// Writes it.
    pub fn set(self, value: u32) {
        // SAFETY: promised at `at`.
        unsafe { (self.0 as *mut u32).write_volatile(value) }
    }
}
