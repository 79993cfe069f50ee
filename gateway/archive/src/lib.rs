//! A sealed archive: many files as one, which only the owners of some keys can read.
//!
//! Enters: files with their paths; public keys (age X25519 recipients, `age1…`). Leaves: one file in age format with a POSIX tar inside,
//! so that `age -d -i KEY FILE | tar t` reads it without this program; and the files again.
//!
//! Invariants: nothing of the content is on the disk unsealed; memory is bounded whatever the size; the file under its name is always a
//! whole one, the earlier or the new; an archive that was cut, changed or left unfinished is refused: age authenticates every 64 KiB and
//! the end, and the last entry lists what there must be, each with its SHA-256.
//! Absent: compression, passwords, links, what the files mean.

mod keys;
mod open;
mod seal;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use keys::{Identity, Recipient, identities, new_identity, recipient};
pub use open::{Entry, open};
pub use seal::{Packer, bundle, may_seal, seal};

/// The last entry of every archive: what is in it.
const CONTENTS: &str = "contents.json";

/// Longest list of contents that is read, in bytes: some 300,000 files. Beyond: refused; the list is held in memory. Source: our choice.
const CONTENTS_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Largest file of keys that is read, in bytes. Source: our choice; a key is 75 bytes.
const KEYS_BYTES_MAX: u64 = 64 * 1024;

/// What was packed or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Sum {
    pub files: u64,
    /// Of their contents.
    pub bytes: u64,
}

/// One line of the list of contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    path: String,
    bytes: u64,
    /// Lower-case hexadecimal.
    sha256: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Contents {
    format: u32,
    files: Vec<Row>,
}

/// The format that is written, and the newest that is read.
const FORMAT: u32 = 1;

/// Why an archive was not written or cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("{attempt} {}: {source}", path.display())]
    File { attempt: &'static str, path: PathBuf, source: std::io::Error },
    #[error(
        "`{0}` is no age recipient; it begins with age1 and has 62 characters (`vaka backup key` and `age-keygen` print one)"
    )]
    Recipient(String),
    #[error("no recipient is named: nobody could read the archive; name one with --recipient, or [backup] recipients")]
    NoRecipient,
    #[error("{}: there is no age key in it (a line AGE-SECRET-KEY-1…); give the file that `vaka backup key` or `age-keygen` wrote", .0.display())]
    NoIdentity(PathBuf),
    #[error("another process is writing {}; wait for it", .0.display())]
    Busy(PathBuf),
    #[error("packing {path}: it became shorter while it was read; try again")]
    Shrank { path: String },
    #[error("packing {path}: it is in the archive already")]
    Twice { path: String },
    #[error("{} is not sealed to this key; ask for the key of the recipient it was made for", .0.display())]
    OtherKey(PathBuf),
    #[error("{} is no archive in age format, or its beginning is damaged; take another copy", .0.display())]
    NotAge(PathBuf),
    #[error("{} is damaged, cut off or was never finished ({what}); take another copy, or an earlier one", path.display())]
    Damaged { path: PathBuf, what: String },
    #[error("{} has format {format}, this program knows {FORMAT}; use the newer program that wrote it", path.display())]
    Newer { path: PathBuf, format: u32 },
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
