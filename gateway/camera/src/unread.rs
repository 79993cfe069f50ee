//! Bytes that were read and not used yet.
//!
//! Enters: bytes in pieces of any size. Leaves: the same, from the beginning.
//! Invariant: using some moves none of the rest; the rest is moved once, when more comes. A camera that sends many small pieces at once
//! would else have the rest copied for each.

#[derive(Default)]
pub(crate) struct Unread {
    bytes: Vec<u8>,
    /// How many of `bytes` are used.
    used: usize,
}

impl std::ops::Deref for Unread {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.used..]
    }
}

impl Unread {
    /// Where more is put: behind what is unread.
    pub fn more(&mut self) -> &mut Vec<u8> {
        self.bytes.drain(..self.used);
        self.used = 0;
        &mut self.bytes
    }

    /// Leaves out the first `count` bytes, or all.
    pub fn skip(&mut self, count: usize) {
        self.used += count.min(self.len());
    }

    /// Takes the first `count` bytes, or all.
    pub fn take(&mut self, count: usize) -> Vec<u8> {
        let piece = self[..count.min(self.len())].to_vec();
        self.skip(piece.len());
        piece
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_stays_where_it_is_until_more_comes() {
        let mut unread = Unread::default();
        unread.more().extend_from_slice(b"abcdef");
        let start = unread.as_ptr() as usize;
        unread.skip(1);
        assert_eq!(unread.take(2), b"bc");
        assert_eq!((&unread[..], unread.as_ptr() as usize), (b"def".as_slice(), start + 3));
        unread.more().extend_from_slice(b"gh");
        assert_eq!(&unread[..], b"defgh");
        assert_eq!(unread.take(9), b"defgh");
        unread.skip(1);
        assert!(unread.is_empty());
    }
}
