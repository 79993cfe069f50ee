//! A flash that erases nothing while the voltage does not allow it. Enters: what the flash is asked. Leaves: the same,
//! except an erase below [`super::Curve::erase_mv`], which is refused. Writes pass: a few microseconds each, and the last
//! events are worth them.

use core::sync::atomic::{AtomicBool, Ordering};

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

/// A flash and whether it may erase.
#[derive(Debug)]
pub struct Guarded<F> {
    flash: F,
    is_safe: &'static AtomicBool,
}

/// What a guarded flash answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GuardError<E> {
    /// The flash's own error.
    #[error("the flash failed")]
    Flash(E),
    /// The voltage is too low for an erase.
    #[error("the voltage is too low to erase flash")]
    Weak,
}

impl<E: NorFlashError> NorFlashError for GuardError<E> {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Flash(error) => error.kind(),
            Self::Weak => NorFlashErrorKind::Other,
        }
    }
}

impl<F> Guarded<F> {
    /// `is_safe` is shared with [`super::Power`].
    pub const fn new(flash: F, is_safe: &'static AtomicBool) -> Self {
        Self { flash, is_safe }
    }
}

impl<F: NorFlash> ErrorType for Guarded<F> {
    type Error = GuardError<F::Error>;
}

impl<F: NorFlash> ReadNorFlash for Guarded<F> {
    const READ_SIZE: usize = F::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.flash.read(offset, bytes).map_err(GuardError::Flash)
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl<F: NorFlash> NorFlash for Guarded<F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        if !self.is_safe.load(Ordering::Relaxed) {
            return Err(GuardError::Weak);
        }
        self.flash.erase(from, to).map_err(GuardError::Flash)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        self.flash.write(offset, bytes).map_err(GuardError::Flash)
    }
}
