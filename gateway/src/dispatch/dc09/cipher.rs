//! The AES-CBC of DC-09: initial vector zero, what is random stands in front of the text.
//!
//! Enters: text of whole blocks, or what came encrypted. Leaves: the other of the two.
//! Absent: any proof of who wrote it. CBC with a fixed vector hides the words and nothing more; for proof there is TLS.

use std::fmt;

use aes::cipher::consts::U16;
use aes::cipher::generic_array::GenericArray;
use aes::cipher::{BlockDecryptMut, BlockEncryptMut, KeyIvInit};
use aes::{Aes128, Aes192, Aes256};

/// Length of a block, in bytes.
pub const BLOCK_BYTES: usize = 16;

type Block = GenericArray<u8, U16>;

const VECTOR: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];

/// A key of 128, 192 or 256 bits, as agreed with the receiver. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub enum Key {
    Aes128([u8; 16]),
    Aes192([u8; 24]),
    Aes256([u8; 32]),
}

/// Text that is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key is 32, 48 or 64 hexadecimal digits (AES-128, -192, -256) and nothing else")]
pub struct NoKey;

impl Key {
    /// Reads hexadecimal digits; white space around them is allowed, as editors leave it.
    pub fn parse(text: &str) -> Result<Self, NoKey> {
        let bytes = unhex(text.trim().as_bytes()).ok_or(NoKey)?;
        match bytes.len() {
            16 => bytes.try_into().map(Self::Aes128).map_err(|_| NoKey),
            24 => bytes.try_into().map(Self::Aes192).map_err(|_| NoKey),
            32 => bytes.try_into().map(Self::Aes256).map_err(|_| NoKey),
            _ => Err(NoKey),
        }
    }

    /// Encrypts whole blocks; `None` where the length is no multiple of [`BLOCK_BYTES`].
    pub fn encrypt(&self, mut text: Vec<u8>) -> Option<Vec<u8>> {
        fn run(mut mode: impl BlockEncryptMut<BlockSize = U16>, blocks: &mut [u8]) {
            blocks.chunks_exact_mut(BLOCK_BYTES).for_each(|block| mode.encrypt_block_mut(Block::from_mut_slice(block)));
        }
        match self {
            Self::Aes128(key) => run(cbc::Encryptor::<Aes128>::new(&(*key).into(), &VECTOR.into()), &mut text),
            Self::Aes192(key) => run(cbc::Encryptor::<Aes192>::new(&(*key).into(), &VECTOR.into()), &mut text),
            Self::Aes256(key) => run(cbc::Encryptor::<Aes256>::new(&(*key).into(), &VECTOR.into()), &mut text),
        }
        text.len().is_multiple_of(BLOCK_BYTES).then_some(text)
    }

    /// Decrypts whole blocks; `None` where the length is no multiple of [`BLOCK_BYTES`]. A wrong key gives noise.
    pub fn decrypt(&self, mut bytes: Vec<u8>) -> Option<Vec<u8>> {
        fn run(mut mode: impl BlockDecryptMut<BlockSize = U16>, blocks: &mut [u8]) {
            blocks.chunks_exact_mut(BLOCK_BYTES).for_each(|block| mode.decrypt_block_mut(Block::from_mut_slice(block)));
        }
        match self {
            Self::Aes128(key) => run(cbc::Decryptor::<Aes128>::new(&(*key).into(), &VECTOR.into()), &mut bytes),
            Self::Aes192(key) => run(cbc::Decryptor::<Aes192>::new(&(*key).into(), &VECTOR.into()), &mut bytes),
            Self::Aes256(key) => run(cbc::Decryptor::<Aes256>::new(&(*key).into(), &VECTOR.into()), &mut bytes),
        }
        bytes.len().is_multiple_of(BLOCK_BYTES).then_some(bytes)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aes128(_) => "Key(AES-128)",
            Self::Aes192(_) => "Key(AES-192)",
            Self::Aes256(_) => "Key(AES-256)",
        })
    }
}

/// Bytes as upper-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Hexadecimal digits of either case as bytes; `None` where there is anything else.
pub fn unhex(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|number| number as u8);
    let pairs = digits.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// NIST SP 800-38A, F.2.1, F.2.3, F.2.5: the first block, with its vector folded into the text since ours is zero.
    #[test]
    fn the_published_vectors_come_out() {
        let text = unhex(b"6bc1bee22e409f96e93d7e117393172a").unwrap();
        let folded: Vec<u8> = text.iter().zip(0u8..).map(|(byte, vector)| byte ^ vector).collect();
        let vectors = [
            ("2b7e151628aed2a6abf7158809cf4f3c", "7649ABAC8119B246CEE98E9B12E9197D"),
            ("8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b", "4F021DB243BC633D7178183A9FA071E8"),
            ("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", "F58C4C04D6E5F1BA779EABFB5F7BFBD6"),
        ];
        for (key, expected) in vectors {
            let key = Key::parse(key).unwrap();
            let secret = key.encrypt(folded.clone()).unwrap();
            assert_eq!(hex(&secret), expected);
            assert_eq!(key.decrypt(secret).unwrap(), folded);
        }
    }

    #[test]
    fn what_is_no_key_is_refused_and_a_key_is_not_printed() {
        for text in
            ["", "4141", "4141414141414141414141414141414x", "+1414141414141414141414141414141", &"41".repeat(17)]
        {
            assert_eq!(Key::parse(text), Err(NoKey), "{text}");
        }
        let key = Key::parse(" 41414141414141414141414141414142\n").unwrap();
        assert_eq!(format!("{key:?}"), "Key(AES-128)");
    }

    proptest! {
        #[test]
        fn only_whole_blocks_are_taken_and_they_chain(text in proptest::collection::vec(any::<u8>(), 0..80)) {
            let key = Key::Aes192([7; 24]);
            let whole = text.len().is_multiple_of(BLOCK_BYTES);
            prop_assert_eq!(key.encrypt(text.clone()).is_some(), whole);
            prop_assert_eq!(key.decrypt(text.clone()).is_some(), whole);
            if whole {
                prop_assert_eq!(key.decrypt(key.encrypt(text.clone()).unwrap()).unwrap(), text);
            }
        }
    }
}
