//! The code that a technician reads, scans or types: 60 random bits and one character that finds a slip of the finger.

use core::fmt;

use heapless::String;

use super::{Secret, Stretching};

/// The characters of a code. No 0, O, 1 and I: on a sticker or read aloud they are taken for each other.
const ALPHABET: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";

/// Characters that carry the secret: 60 bits.
const SECRET: usize = 12;

/// All characters: the secret and its check character.
const ALL: usize = SECRET + 1;

/// A code as it is shown: groups of four with dashes, `7KQ2-MXP9-4TRD-H`.
pub type CodeText = String<16>;

/// A one-time code. Says nothing of itself in a log; [`Code::text`] is for the one place that shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Code([u8; SECRET]);

/// Why what was typed is no code. Nothing has been sent then, and no try is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// A character that no code has.
    #[error("reading the code: there is no `{0}` in a code; it has the digits 2 to 9 and letters without I and O")]
    Character(char),
    /// Too few or too many characters.
    #[error("reading the code: it has {0} characters, and a code has 13; compare it group by group")]
    Length(usize),
    /// All characters are possible, and together they are no code.
    #[error("reading the code: a character is wrong or two have changed places; compare it group by group")]
    Mistyped,
}

impl Code {
    /// A code of 12 random bytes; 5 bits of each are used.
    pub fn from_random(random: [u8; SECRET]) -> Code {
        Code(random.map(|byte| byte % 32))
    }

    /// Reads what a person typed: upper and lower case alike, spaces, dashes and dots anywhere; 1 and I are read as L.
    ///
    /// # Errors
    /// [`CodeError`]: every single wrong character, every two that have changed places, and every missing or additional one is found.
    pub fn parse(typed: &str) -> Result<Code, CodeError> {
        let mut values = [0; ALL];
        let mut found = 0;
        for typed in typed.chars().filter(|c| !c.is_whitespace() && !matches!(c, '-' | '–' | '—' | '.' | '_')) {
            let upper = match typed.to_ascii_uppercase() {
                '1' | 'I' => 'L',
                other => other,
            };
            let value = ALPHABET.iter().position(|c| char::from(*c) == upper).ok_or(CodeError::Character(typed))?;
            if let Some(place) = values.get_mut(found) {
                // At most 31.
                *place = value as u8;
            }
            found += 1;
        }
        if found != ALL {
            return Err(CodeError::Length(found));
        }
        if sum(&values) != 0 {
            return Err(CodeError::Mistyped);
        }
        let mut secret = [0; SECRET];
        secret.copy_from_slice(&values[..SECRET]);
        Ok(Code(secret))
    }

    /// The code in groups of four. For the eyes of one technician: never for a log.
    pub fn text(&self) -> CodeText {
        let check = times_alpha(sum(&self.0));
        let mut text = CodeText::new();
        for (at, value) in self.0.iter().chain([&check]).enumerate() {
            // 13 characters and 3 dashes fit.
            if at > 0 && at % 4 == 0 {
                let _ = text.push('-');
            }
            let _ = text.push(char::from(ALPHABET[usize::from(value % 32)]));
        }
        text
    }

    /// The key that both sides make of the code. Takes [`ROUNDS`](super::ROUNDS) rounds: before the connection, not in it.
    pub fn secret(&self) -> Secret {
        let mut stretching = self.stretching();
        loop {
            if let Some(secret) = stretching.step(super::ROUNDS) {
                return secret;
            }
        }
    }

    /// The same in pieces.
    pub fn stretching(&self) -> Stretching {
        Stretching::of(&self.0.map(|value| ALPHABET[usize::from(value % 32)]))
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(..)")
    }
}

/// Each character times its place's power of the generator of GF(32), added up. A code's is zero. All 13 powers differ, and so does a
/// wrong character's product, and a swap's: (a - b)(x - y) is zero only where nothing changed.
fn sum(values: &[u8]) -> u8 {
    values.iter().fold(0, |sum, value| times_alpha(sum) ^ value)
}

/// Times x in GF(2)[x] / (x^5 + x^2 + 1); x generates all 31 elements.
fn times_alpha(value: u8) -> u8 {
    let shifted = value << 1;
    if shifted & 0x20 == 0 { shifted } else { shifted ^ 0x25 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain(code: &Code) -> std::vec::Vec<char> {
        code.text().chars().filter(|c| *c != '-').collect()
    }

    #[test]
    fn a_code_reads_however_it_is_typed() {
        let code = Code::from_random([0, 31, 7, 200, 5, 9, 1, 30, 17, 99, 3, 255]);
        let text = code.text();
        assert_eq!(text.len(), 16);
        assert_eq!(Code::parse(&text), Ok(code.clone()));
        let sloppy: std::string::String = text.to_lowercase().replace('-', " ").replace('l', "1");
        assert_eq!(Code::parse(&std::format!("  {sloppy}\n")), Ok(code.clone()));
        assert_eq!(std::format!("{code:?}"), "Code(..)");
    }

    #[test]
    fn what_is_no_code_is_named() {
        assert_eq!(Code::parse("7KQ0"), Err(CodeError::Character('0')));
        assert_eq!(Code::parse("7KQ2-MXP9"), Err(CodeError::Length(8)));
        assert_eq!(Code::parse(""), Err(CodeError::Length(0)));
        assert_eq!(Code::parse(&"2".repeat(4_000)), Err(CodeError::Length(4_000)));
        assert_eq!(Code::parse("å"), Err(CodeError::Character('å')));
    }

    proptest! {
        #[test]
        fn every_slip_of_a_finger_is_found(random in any::<[u8; 12]>(), a in 0..13_usize, b in 0..13_usize, other in 0..32_usize) {
            let code = Code::from_random(random);
            let right = plain(&code);
            let read = |typed: &[char]| Code::parse(&typed.iter().collect::<std::string::String>());
            let mut wrong = right.clone();
            wrong[a] = char::from(ALPHABET[other]);
            prop_assert_eq!(read(&wrong).is_ok(), wrong == right);
            let mut swapped = right.clone();
            swapped.swap(a, b);
            prop_assert_eq!(read(&swapped).is_ok(), swapped == right);
            let mut missing = right.clone();
            missing.remove(a);
            prop_assert_eq!(read(&missing), Err(CodeError::Length(12)));
            let mut doubled = right.clone();
            doubled.insert(a, right[a]);
            prop_assert_eq!(read(&doubled), Err(CodeError::Length(14)));
        }

        #[test]
        fn whatever_is_typed_is_read_or_refused(typed in ".{0,40}") {
            let _ = Code::parse(&typed);
        }
    }
}
