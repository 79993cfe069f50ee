//! A key that another part of the home has in a file of its own, sealed under the home's.
//!
//! Enters: a path, a label, the home's key. Leaves: 32 bytes. The wrapping key is HKDF-SHA256 (RFC 5869) of the home's key with the label, so
//! that no key seals two kinds of things. A file of 64 hexadecimal digits is one of an earlier version, in clear: it is read, and sealed when
//! somebody says so. A home without a home's key keeps its keys in clear, as it keeps its journal.

use std::fs;
use std::io;
use std::path::Path;

use ring::hkdf;

use crate::body::{self, Place};
use crate::home::{fresh, hex, unhex};
use crate::nonces::Nonces;
use crate::{HomeKey, KEY_BYTES, KeyError, file};

/// In front of the digits of nonce, sealed key and tag.
const MARK: &str = "sealed-1 ";
/// As what it is sealed: no record has this place, nor has `keys`.
const OWN: Place = Place { seq: u64::MAX, kind: 1 };

/// The key in this file; `None`: there is no file.
///
/// # Errors
/// [`KeyError::Unwrapped`]: it is sealed, and not with this home's key. [`KeyError::NotAKey`]: it is neither sealed nor a key.
pub fn read(path: &Path, label: &str, home: Option<&HomeKey>) -> Result<Option<[u8; KEY_BYTES]>, KeyError> {
    let text = match file::read_text(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(KeyError::NotAKey(path.to_owned())),
        Err(source) => return Err(KeyError::File { attempt: "reading", path: path.to_owned(), source }),
    };
    let not_a_key = || KeyError::NotAKey(path.to_owned());
    let Some(digits) = text.trim().strip_prefix(MARK.trim_end()) else {
        return unhex(text.trim()).map(Some).ok_or_else(not_a_key);
    };
    let sealed = bytes(digits.trim()).ok_or_else(not_a_key)?;
    let plain = home.and_then(|home| body::open(&wrapping(home, label), OWN, &sealed));
    let key = plain.and_then(|plain| plain.try_into().ok());
    key.map(Some).ok_or_else(|| KeyError::Unwrapped {
        path: path.to_owned(),
        home: home.map_or_else(|| "nowhere".to_owned(), |home| home.from.display().to_string()),
    })
}

/// There is a key of an earlier version in this file, in clear.
pub fn is_clear(path: &Path) -> bool {
    fs::read_to_string(path).is_ok_and(|text| unhex(text.trim()).is_some())
}

/// A new key in this file, sealed where there is a home's key.
///
/// # Errors
/// [`KeyError`]; then there is no file, or the one before.
pub fn make(path: &Path, label: &str, home: Option<&HomeKey>) -> Result<[u8; KEY_BYTES], KeyError> {
    let key = fresh()?;
    write(path, label, home, &key)?;
    Ok(key)
}

/// The same key, sealed from now on; what lay there in clear is overwritten. False: there is none in clear.
///
/// # Errors
/// [`KeyError`]; then the file is as it was, or sealed with what lay there in clear left beside it.
pub fn seal(path: &Path, label: &str, home: &HomeKey) -> Result<bool, KeyError> {
    let Some(key) = read(path, label, Some(home))? else { return Ok(false) };
    let text = fs::read_to_string(path).map_err(|source| KeyError::File {
        attempt: "reading",
        path: path.to_owned(),
        source,
    })?;
    // What a crash left beside it may be in clear.
    file::clean(path)?;
    if text.starts_with(MARK) {
        return Ok(false);
    }
    write(path, label, Some(home), &key)?;
    Ok(true)
}

fn write(path: &Path, label: &str, home: Option<&HomeKey>, key: &[u8; KEY_BYTES]) -> Result<(), KeyError> {
    let text = match home {
        None => hex(key),
        Some(home) => {
            let mut bytes = key.to_vec();
            let nonce = Nonces::new().next().ok_or(KeyError::Random)?;
            body::seal(&wrapping(home, label), nonce, OWN, &mut bytes, 0).ok_or(KeyError::Random)?;
            MARK.to_owned() + &hex(&bytes)
        }
    };
    match file::replace(path, (text + "\n").as_bytes())? {
        None => Ok(()),
        Some(left) => Err(left),
    }
}

fn wrapping(home: &HomeKey, label: &str) -> ring::aead::LessSafeKey {
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(&home.bytes);
    let mut key = [0; KEY_BYTES];
    extracted
        .expand(&[b"vaka 1 ", label.as_bytes()], hkdf::HKDF_SHA256)
        .and_then(|expanded| expanded.fill(&mut key))
        .unwrap_or_else(|_| unreachable!("as long as the hash"));
    body::cipher(&key)
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|p| p.len() == 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_sealed_under_the_homes_and_opens_with_it_and_its_label_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (path, label) = (dir.path().join("names.key"), "names.key");
        let home = HomeKey::find_or_make(&dir.path().join("journal")).unwrap();
        let other = HomeKey { bytes: [7; KEY_BYTES], ..home.clone() };
        assert_eq!(read(&path, label, Some(&home)).unwrap(), None);
        let key = make(&path, label, Some(&home)).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with(MARK) && !text.contains(&hex(&key)), "{text}");
        assert_eq!(read(&path, label, Some(&home)).unwrap(), Some(key));
        for wrong in [read(&path, "other", Some(&home)), read(&path, label, Some(&other)), read(&path, label, None)] {
            let why = wrong.unwrap_err();
            assert!(matches!(why, KeyError::Unwrapped { .. }) && why.to_string().contains("names.key"), "{why}");
        }
        fs::write(&path, "sealed-1 zz").unwrap();
        assert!(matches!(read(&path, label, Some(&home)), Err(KeyError::NotAKey(_))));
    }

    #[test]
    fn one_in_clear_is_read_sealed_once_and_the_same_and_its_clear_bytes_are_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let (path, label) = (dir.path().join("names.key"), "names.key");
        let home = HomeKey::find_or_make(&dir.path().join("journal")).unwrap();
        assert!(!seal(&path, label, &home).unwrap());
        let key = make(&path, label, None).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap().trim(), hex(&key));
        assert!(is_clear(&path));
        assert_eq!(read(&path, label, Some(&home)).unwrap(), Some(key));
        let witness = dir.path().join("witness");
        fs::hard_link(&path, &witness).unwrap();
        assert!(seal(&path, label, &home).unwrap());
        assert!(!is_clear(&path));
        assert_eq!(read(&path, label, Some(&home)).unwrap(), Some(key));
        let lay_there = fs::read(&witness).unwrap();
        assert!(!lay_there.windows(64).any(|part| part == hex(&key).as_bytes()));
        assert!(!seal(&path, label, &home).unwrap(), "once");
    }
}
