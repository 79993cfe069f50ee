//! Text of bounded size without an allocator. Enters: any text. Leaves: its beginning, cut on a character boundary.

use core::fmt;
use core::ops::Deref;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

use crate::limits::{LABEL_BYTES_MAX, NAME_BYTES_MAX, WORDS_BYTES_MAX};

/// UTF-8 text of at most `N` bytes; longer text is cut on a character boundary, silently.
///
/// Only for what informs. What decides (an id, a number, an address) is refused when it is too long.
/// Control characters are kept: whoever shows it to a person escapes it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Text<const N: usize>(heapless::String<N>);

/// The name of an event, a command or a field.
pub type Name = Text<NAME_BYTES_MAX>;

/// A short word beside a fact: a unit, a slot, a tag, a room.
pub type Label = Text<LABEL_BYTES_MAX>;

/// A sentence for a person.
pub type Words = Text<WORDS_BYTES_MAX>;

impl<const N: usize> Text<N> {
    /// No text.
    pub const fn new() -> Self {
        Self(heapless::String::new())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Adds as much of `more` as there is room for.
    pub fn append(&mut self, more: &str) {
        let room = N - self.0.len();
        let end = (0..=room.min(more.len())).rev().find(|end| more.is_char_boundary(*end)).unwrap_or(0);
        // Cut to the room that is left: it cannot fail.
        let _ = self.0.push_str(&more[..end]);
    }
}

impl<const N: usize> From<&str> for Text<N> {
    fn from(text: &str) -> Self {
        let mut cut = Self::new();
        cut.append(text);
        cut
    }
}

impl<const N: usize> Deref for Text<N> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const N: usize> AsRef<str> for Text<N> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl<const N: usize> PartialEq<str> for Text<N> {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl<const N: usize> PartialEq<&str> for Text<N> {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// Formatting into it cuts and never fails.
impl<const N: usize> fmt::Write for Text<N> {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        self.append(more);
        Ok(())
    }
}

impl<const N: usize> Serialize for Text<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Text<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Cut<const N: usize>;

        impl<const N: usize> Visitor<'_> for Cut<N> {
            type Value = Text<N>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<N>, E> {
                Ok(text.into())
            }
        }

        deserializer.deserialize_str(Cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_cut_on_a_character_boundary() {
        assert_eq!(Text::<4>::from("abcdef"), "abcd");
        assert_eq!(Text::<4>::from("abcå"), "abc");
        assert_eq!(Text::<4>::from("åäö"), "åä");
    }
}
