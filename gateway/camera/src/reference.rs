//! What a camera's view looked like when a person accepted it: where edges run, in coarse cells. Not a picture.
//!
//! Enters: a small grid of light. Leaves: two bits for each of 16 x 12 cells, which no picture can be made from.

use std::fmt;
use std::str::FromStr;

/// Cells across and down.
pub(crate) const CELLS: (usize, usize) = (16, 12);
const BYTES: usize = CELLS.0 * CELLS.1 * 2 / 8;

/// A coarse edge hash of what a camera sees: 48 bytes, written as 96 hexadecimal digits.
///
/// A camera sees differently by day and by infrared light: keep one for each, and hand both to [`crate::check`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Reference([u8; BYTES]);

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reference({self})")
    }
}

impl FromStr for Reference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("a camera's reference is {} hexadecimal digits: take a new one", BYTES * 2);
        if text.len() != BYTES * 2 || !text.is_ascii() {
            return Err(bad());
        }
        let mut bytes = [0; BYTES];
        for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| bad())?;
        }
        Ok(Reference(bytes))
    }
}
