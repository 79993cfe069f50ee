//! Fixed layouts in flash: little-endian numbers and short words. Enters and leaves: bytes.

use vaka_protocol::Label;

use crate::keep::VALUE_BYTES_MAX;

/// Bytes to be kept.
pub type Bytes = heapless::Vec<u8, VALUE_BYTES_MAX>;

/// Puts them behind what is there. Every layout fits by its bounds; what would not is left out, and then not read back.
pub fn put(bytes: &mut Bytes, more: &[u8]) {
    let _ = bytes.extend_from_slice(more);
}

/// A word: its length, and itself.
pub fn put_label(bytes: &mut Bytes, label: &Label) {
    put(bytes, &[label.len() as u8]);
    put(bytes, label.as_bytes());
}

/// What is left to read.
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (read, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*read)
    }

    pub fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub fn time(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    pub fn label(&mut self) -> Option<Label> {
        let length = usize::from(self.byte()?);
        let (read, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        core::str::from_utf8(read).ok().map(Label::from)
    }
}
