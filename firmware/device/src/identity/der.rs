//! DER, as much of it as a certificate's outside needs (ITU-T X.690): elements of one-byte tags and definite lengths.

/// A sequence of one or several elements.
pub const SEQUENCE: u8 = 0x30;
/// A string of bits, its first byte the number of unused ones.
pub const BIT_STRING: u8 = 0x03;
/// A time with a year of two digits.
pub const UTC_TIME: u8 = 0x17;
/// A time with a year of four digits.
pub const GENERALIZED_TIME: u8 = 0x18;
/// The first element with a tag of its context.
pub const CONTEXT_0: u8 = 0xa0;

/// Reads elements one after the other.
#[derive(Debug, Clone)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// The next element's tag and content. `None`: there is none, or it is longer than what is there.
    pub fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let ([tag, first], rest) = self.0.split_first_chunk()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            0x81 => rest.split_first().map(|(length, rest)| (usize::from(*length), rest))?,
            0x82 => rest.split_first_chunk().map(|(length, rest)| (usize::from(u16::from_be_bytes(*length)), rest))?,
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, content))
    }

    /// The next element's content, if it bears this tag.
    pub fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }

    /// What is in the next sequence.
    pub fn sequence(&mut self) -> Option<Self> {
        self.take(SEQUENCE).map(Self)
    }

    /// The tag of the next element.
    pub fn tag(&self) -> Option<u8> {
        self.0.first().copied()
    }
}
