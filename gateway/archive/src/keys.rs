//! Keys as text: the recipient's, which is no secret, and the identity's, which never comes to the box.

use std::io::Read;
use std::path::Path;
use std::str::FromStr;

use age::secrecy::ExposeSecret;

use crate::{ArchiveError, KEYS_BYTES_MAX};

/// Whom an archive is sealed to: a public key.
pub type Recipient = age::x25519::Recipient;
/// Who can read it: the private key.
pub type Identity = age::x25519::Identity;

/// Reads `age1…`.
///
/// # Errors
/// [`ArchiveError::Recipient`], with the word; a private key is never repeated.
pub fn recipient(word: &str) -> Result<Recipient, ArchiveError> {
    Recipient::from_str(word).map_err(|_| {
        let is_secret = word.to_ascii_uppercase().starts_with("AGE-SECRET");
        let said = if is_secret { "a private key".to_owned() } else { word.chars().take(80).collect() };
        ArchiveError::Recipient(said)
    })
}

/// The keys in `file`: lines `AGE-SECRET-KEY-1…`, comments with `#`.
///
/// # Errors
/// [`ArchiveError::File`], or [`ArchiveError::NoIdentity`] where there is none, or a line is something else.
pub fn identities(file: &Path) -> Result<Vec<Identity>, ArchiveError> {
    let mut text = String::new();
    std::fs::File::open(file)
        .and_then(|opened| opened.take(KEYS_BYTES_MAX).read_to_string(&mut text))
        .map_err(|source| ArchiveError::File { attempt: "reading the key", path: file.to_path_buf(), source })?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let found: Result<Vec<Identity>, _> = lines.map(Identity::from_str).collect();
    found.ok().filter(|found| !found.is_empty()).ok_or_else(|| ArchiveError::NoIdentity(file.to_path_buf()))
}

/// A new pair: the private key as its file has it, and its recipient.
pub fn new_identity() -> (String, Recipient) {
    let made = Identity::generate();
    let recipient = made.to_public();
    (format!("# recipient: {recipient}\n{}\n", made.to_string().expose_secret()), recipient)
}
