//! What only one party knows: made here, kept as a hash.
//!
//! Invariant: nothing that opens a door is stored or logged, only its SHA-256. A look-up goes by the hash, so how long it takes
//! says nothing of the secret.

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD, HEXLOWER};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};

/// SHA-256 of a secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    pub fn of(secret: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, secret).as_ref());
        Hash(hash)
    }

    /// 64 hexadecimal digits.
    pub fn hex(&self) -> String {
        HEXLOWER.encode(&self.0)
    }

    /// The first 8 hexadecimal digits: a name that opens nothing.
    pub fn name(&self) -> String {
        HEXLOWER.encode(&self.0[..4])
    }

    /// The lowest hash with this name, if it is one.
    pub fn first_named(name: &str) -> Option<Self> {
        let mut hash = [0; 32];
        let start = HEXLOWER.decode(name.as_bytes()).ok().filter(|start| start.len() == 4)?;
        hash[..4].copy_from_slice(&start);
        Some(Hash(hash))
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}

/// The system gives no random numbers: nobody can log in, and nothing that guesses is done instead.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("taking random numbers from the system failed; without them no log-in is safe")]
pub struct NoRandom;

/// `N` bytes nobody can guess.
///
/// # Errors
/// [`NoRandom`].
pub fn random<const N: usize>() -> Result<[u8; N], NoRandom> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandom)?;
    Ok(bytes)
}

/// 32 random bytes as text for a cookie or a token: 43 characters.
///
/// # Errors
/// [`NoRandom`].
pub fn opaque() -> Result<String, NoRandom> {
    Ok(encode(&random::<32>()?))
}

/// 16 random bytes as text that can be read from paper: 26 small letters and digits, in groups.
///
/// # Errors
/// [`NoRandom`].
pub fn readable() -> Result<String, NoRandom> {
    let text = BASE32_NOPAD.encode(&random::<16>()?).to_ascii_lowercase();
    let groups: Vec<&str> = (0..text.len()).step_by(7).map(|at| &text[at..(at + 7).min(text.len())]).collect();
    Ok(groups.join("-"))
}

/// What a person typed or scanned, as [`readable`] made it.
pub fn as_made(typed: &str) -> String {
    let made: String = typed.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    // Neither digit is in the alphabet: they were read for the letters.
    made.replace('0', "o").replace('1', "l")
}

/// Base64 for addresses, without padding.
pub fn encode(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

pub fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64URL_NOPAD.decode(text.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_read_from_paper_is_the_code_that_was_made() {
        let made = readable().expect("random numbers");
        assert_eq!(made.len(), 26 + 3, "{made}");
        let typed = made.to_uppercase().replace('-', " ").replace('O', "0").replace('L', "1");
        assert_eq!(as_made(&typed), as_made(&made));
        assert_ne!(made, readable().expect("random numbers"));
    }

    #[test]
    fn a_name_finds_its_hash_and_tells_nothing_else() {
        let hash = Hash::of(b"secret");
        assert_eq!(hash.name().len(), 8);
        assert!(hash.hex().starts_with(&hash.name()));
        assert!(Hash::first_named(&hash.name()).expect("a name") <= hash);
        assert_eq!(Hash::first_named("zz"), None);
        assert_eq!(format!("{hash:?}"), hash.name());
    }
}
