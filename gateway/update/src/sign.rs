//! Who published a release: signatures in the format of minisign, Ed25519 by ring.
//!
//! Enters: the bytes of a file, its `.minisig`, the public keys of the config. Leaves: the trusted comment, or why nobody known has
//! signed it. Invariants: what is signed is known before it is read; a comment counts only with a signature of its own. Absent: a
//! password on the secret key (minisign itself has one, and its keys serve as well), any other algorithm.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use blake2::{Blake2b512, Digest};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

/// Ed25519 over the BLAKE2b-512 of the file: what minisign writes since 0.8.
const PREHASHED: &[u8; 2] = b"ED";
/// Ed25519 over the file itself: `minisign -S -l`.
const PLAIN: &[u8; 2] = b"Ed";

#[derive(Debug, thiserror::Error)]
pub enum SignError {
    #[error(
        "reading public key `{0}`: it is not one of minisign's; give its second line, 56 characters that begin with RW"
    )]
    PublicKey(String),
    #[error("reading the signature: it is not as minisign writes it; sign again: vaka release sign")]
    Form,
    #[error("judging the signature: it is by key {0}, which [update] keys does not name")]
    UnknownKey(String),
    #[error(
        "judging the signature: key {0} has not signed these bytes; they were changed on the way, or signed wrongly"
    )]
    Wrong(String),
    #[error("reading the secret key: it is not as `vaka release key` writes it")]
    SecretKey,
    #[error("making a key: the system gave no random bytes")]
    Random,
}

/// Whose signature counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    id: [u8; 8],
    key: [u8; 32],
}

impl PublicKey {
    /// The second line of a `.pub` file of minisign.
    ///
    /// # Errors
    /// [`SignError::PublicKey`].
    pub fn parse(text: &str) -> Result<PublicKey, SignError> {
        let wrong = || SignError::PublicKey(text.chars().take(60).filter(|c| !c.is_control()).collect());
        let bytes = STANDARD.decode(text.trim()).map_err(|_| wrong())?;
        match (bytes.get(..2), bytes.get(2..10), bytes.get(10..)) {
            (Some(b"Ed"), Some(id), Some(key)) => {
                Ok(PublicKey { id: id.try_into().map_err(|_| wrong())?, key: key.try_into().map_err(|_| wrong())? })
            }
            _ => Err(wrong()),
        }
    }

    /// As minisign shows it.
    pub fn id(&self) -> String {
        shown(&self.id)
    }

    /// As [`PublicKey::parse`] reads it.
    pub fn line(&self) -> String {
        STANDARD.encode([&PLAIN[..], &self.id, &self.key].concat())
    }

    fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.key).verify(message, signature).is_ok()
    }
}

/// The least significant byte last, as minisign prints a key's number.
fn shown(id: &[u8]) -> String {
    let mut id = id.to_vec();
    id.reverse();
    crate::hex(&id).to_uppercase()
}

/// One of `keys` has signed `message`: the trusted comment of `signature`, the text of a `.minisig`.
///
/// # Errors
/// [`SignError`], where nobody known has.
pub fn verify(keys: &[PublicKey], message: &[u8], signature: &str) -> Result<String, SignError> {
    let mut lines = signature.lines();
    let untrusted = lines.next().filter(|line| line.starts_with("untrusted comment: "));
    let signed = lines.next().and_then(|line| STANDARD.decode(line.trim()).ok());
    let comment = lines.next().and_then(|line| line.strip_prefix("trusted comment: "));
    let global = lines.next().and_then(|line| STANDARD.decode(line.trim()).ok());
    let (Some(_), Some(signed), Some(comment), Some(global)) = (untrusted, signed, comment, global) else {
        return Err(SignError::Form);
    };
    let (Some(algorithm), Some(id), Some(bytes)) = (signed.get(..2), signed.get(2..10), signed.get(10..)) else {
        return Err(SignError::Form);
    };
    let key = keys.iter().find(|key| key.id == id).ok_or_else(|| SignError::UnknownKey(shown(id)))?;
    let is_theirs = match algorithm {
        a if a == PREHASHED => key.has_signed(&Blake2b512::digest(message), bytes),
        a if a == PLAIN => key.has_signed(message, bytes),
        _ => return Err(SignError::Form),
    };
    // The comment is signed together with the signature, so that it cannot be taken from another file.
    if is_theirs && key.has_signed(&[bytes, comment.as_bytes()].concat(), &global) {
        Ok(comment.to_owned())
    } else {
        Err(SignError::Wrong(key.id()))
    }
}

/// What signs releases. It belongs on a machine that no box can reach.
pub struct SecretKey {
    id: [u8; 8],
    pkcs8: Vec<u8>,
    pair: Ed25519KeyPair,
}

impl SecretKey {
    /// # Errors
    /// [`SignError::Random`].
    pub fn generate() -> Result<SecretKey, SignError> {
        let random = SystemRandom::new();
        let mut id = [0; 8];
        random.fill(&mut id).map_err(|_| SignError::Random)?;
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&random).map_err(|_| SignError::Random)?;
        Self::from_parts(id, pkcs8.as_ref())
    }

    fn from_parts(id: [u8; 8], pkcs8: &[u8]) -> Result<SecretKey, SignError> {
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| SignError::SecretKey)?;
        Ok(SecretKey { id, pkcs8: pkcs8.to_vec(), pair })
    }

    /// The text of a secret key's file.
    ///
    /// # Errors
    /// [`SignError::SecretKey`].
    pub fn parse(text: &str) -> Result<SecretKey, SignError> {
        let line = text.lines().nth(1).ok_or(SignError::SecretKey)?;
        let bytes = STANDARD.decode(line.trim()).map_err(|_| SignError::SecretKey)?;
        let (id, pkcs8) = bytes.split_first_chunk::<8>().ok_or(SignError::SecretKey)?;
        Self::from_parts(*id, pkcs8)
    }

    /// As [`SecretKey::parse`] reads it.
    pub fn file(&self) -> String {
        let line = STANDARD.encode([&self.id[..], &self.pkcs8].concat());
        format!("untrusted comment: vaka release key {}, secret\n{line}\n", shown(&self.id))
    }

    pub fn public(&self) -> PublicKey {
        let mut key = [0; 32];
        key.copy_from_slice(self.pair.public_key().as_ref());
        PublicKey { id: self.id, key }
    }

    /// The text of a `.minisig` for `message`. `comment`: one line, which is signed too.
    pub fn sign(&self, message: &[u8], comment: &str) -> String {
        let comment: String = comment.chars().filter(|c| !c.is_control()).collect();
        let signature = self.pair.sign(&Blake2b512::digest(message));
        let signature = signature.as_ref();
        let global = self.pair.sign(&[signature, comment.as_bytes()].concat());
        let line = STANDARD.encode([&PREHASHED[..], &self.id, signature].concat());
        let global = STANDARD.encode(global.as_ref());
        format!("untrusted comment: signature of a vaka release\n{line}\ntrusted comment: {comment}\n{global}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_known_key_has_signed_counts_and_the_comment_with_it() {
        let (key, next) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
        let keys = [key.public(), next.public()];
        let message = b"{\"version\":\"0.2.0\"}";
        for signer in [&key, &next] {
            let signature = signer.sign(message, "0.2.0 of today");
            assert_eq!(verify(&keys, message, &signature).unwrap(), "0.2.0 of today");
            assert!(matches!(verify(&keys, b"{}", &signature), Err(SignError::Wrong(_))));
            let other_comment = signature.replace("of today", "of today!");
            assert!(matches!(verify(&keys, message, &other_comment), Err(SignError::Wrong(_))));
        }
        let stranger = SecretKey::generate().unwrap().sign(message, "");
        assert!(matches!(verify(&keys, message, &stranger), Err(SignError::UnknownKey(_))));
        // A stranger who takes a known key's number.
        let thief = SecretKey { id: key.id, ..SecretKey::generate().unwrap() }.sign(message, "");
        assert!(matches!(verify(&keys, message, &thief), Err(SignError::Wrong(_))));
        assert!(verify(&[], message, &key.sign(message, "")).is_err());
    }

    #[test]
    fn every_changed_bit_and_every_cut_is_noticed() {
        let key = SecretKey::generate().unwrap();
        let signature = key.sign(b"release", "c");
        for place in 0..signature.len() {
            assert!(verify(&[key.public()], b"release", &signature[..place.saturating_sub(2)]).is_err(), "cut {place}");
            let mut wrong = signature.clone().into_bytes();
            // The end of a line may be written in more than one way.
            if wrong[place] == b'\n' {
                continue;
            }
            wrong[place] ^= 1;
            let Ok(wrong) = String::from_utf8(wrong) else { continue };
            let first_line = place < signature.find('\n').unwrap();
            assert!(first_line || verify(&[key.public()], b"release", &wrong).is_err(), "byte {place}");
        }
    }

    #[test]
    fn keys_are_read_as_they_are_written() {
        let key = SecretKey::generate().unwrap();
        let again = SecretKey::parse(&key.file()).unwrap();
        assert_eq!(PublicKey::parse(&again.public().line()).unwrap(), key.public());
        assert_eq!(key.public().line().len(), 56);
        for wrong in ["", "RW", "no", &key.public().line()[..52], &format!("{}AA", key.public().line())] {
            assert!(PublicKey::parse(wrong).is_err(), "{wrong}");
        }
        assert!(SecretKey::parse("").is_err() && SecretKey::parse("x\nAAAA\n").is_err());
    }

    /// Made by minisign itself, not by this code: the key and the signature that its author publishes. Never edit.
    #[test]
    fn what_minisign_signs_is_taken() {
        let key = PublicKey::parse("RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3").unwrap();
        let signature = "untrusted comment: signature from minisign secret key\n\
            RWQf6LRCGA9i59SLOFxz6NxvASXDJeRtuZykwQepbDEGt87ig1BNpWaVWuNrm73YiIiJbq71Wi+dP9eKL8OC351vwIasSSbXxwA=\n\
            trusted comment: timestamp:1555779966\tfile:test\n\
            QtKMXWyYcwdpZAlPF7tE2ENJkRd1ujvKjlj1m9RtHTBnZPa5WKU5uWRs5GoP5M/VqE81QFuMKI5k/SfNQUaOAA==\n";
        assert_eq!(verify(&[key], b"test", signature).unwrap(), "timestamp:1555779966\tfile:test");
    }
}
