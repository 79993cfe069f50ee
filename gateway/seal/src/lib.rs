//! The keys that a journal is sealed with, so that one resident's records can be made unreadable for good.
//!
//! Enters: a journal's folder, bodies of records. Leaves: the same bodies sealed, and opened again. Each resident has a data key of their
//! own; the journal's file `keys` holds all of them, sealed as a whole under the home's key, which comes from elsewhere ([`home`]).
//! After a loss there is a file of another name, see [`ring_path`]. Keys of other parts are sealed under the home's by [`wrapped`].
//! Invariants: a key counts as erased only where the file says so by its number: a key or a file that is missing is an error, never an
//! erasure; a number is given once; what replaces `keys` is on the disk before the earlier one is overwritten.
//! Absent: what records mean, threads, async, clocks.

mod body;
mod file;
pub mod home;
mod nonces;
pub mod periods;
mod ring_of_keys;
pub mod wrapped;

pub use body::{OVERHEAD_BYTES, Place};
pub use file::{kept_aside, leftovers, set_aside};
pub use home::HomeKey;
pub use ring_of_keys::{Of, Reach, Ring, ring_number, ring_path, unread};

use std::path::PathBuf;

/// Bytes of every key: AES-256.
pub const KEY_BYTES: usize = 32;

/// Most keys in one file, erased ones included. Beyond: none is made, and that resident's records are sealed with the home's.
/// Source: our choice; a service house of 500 beds, each taken anew every month, for some eight years.
pub const KEYS_MAX: usize = 50_000;

/// The number in a record's header of what is sealed for nobody alone.
pub const HOME_ID: u32 = 1;

/// Most readings of one file of keys before the disk is taken to have lost it. Beyond: it is kept aside, and what it opened too, until it can be
/// read; a home whose gateway waits for a bad sector tells no alarm. Source: our choice; the kernel has tried several times by itself for each.
pub const READS_MAX: u32 = 4;

/// Between two of them. Source: our choice; a card that resets itself takes some tenths of a second, a start may take one more.
pub const READ_AGAIN_AFTER: std::time::Duration = std::time::Duration::from_millis(100);

/// Why keys cannot be had. The text names the file and the fix.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("{attempt} {}: {source}", path.display())]
    File { attempt: &'static str, path: PathBuf, source: std::io::Error },
    #[error(
        "{} is gone, and the journal beside it is sealed with what stood in it: put it back from the newest backup; without it nothing of this \
         journal can be read, and nothing counts as erased", .0.display()
    )]
    RingGone(PathBuf),
    #[error(
        "the home's key is neither passed by the service manager (home.key in $CREDENTIALS_DIRECTORY) nor in {}: put it back from the backup, \
         or pass it; without it the journal cannot be read. Sealed to a TPM it opens on that machine alone: on another one the backup \
         (`vaka restore`) brings it, see TPM.md", .0.display()
    )]
    HomeGone(PathBuf),
    #[error(
        "{} is sealed, and does not open with the home's key from {home}: pass home.key as the service manager does, or put both back from one \
         backup", path.display()
    )]
    Unwrapped { path: PathBuf, home: String },
    #[error("{} is no key: 64 hexadecimal digits; put it back from the backup", .0.display())]
    NotAKey(PathBuf),
    #[error(
        "{} cannot be opened with the home's key from {}: one of them is another home's, or damaged; put both back from one backup",
        ring.display(), home.display()
    )]
    Mismatch { ring: PathBuf, home: PathBuf },
    #[error(
        "{} opens with the home's key from {}, and what is in it is not keys: {why}; it was written wrong, not damaged afterwards: put it back from \
         the newest backup, and report it", ring.display(), home.display()
    )]
    NotKeys { ring: PathBuf, home: PathBuf, why: String },
    #[error(
        "{} says that it is of format {version} and does not open with the home's key from {}: it is damaged, or another home's (put both back from one \
         backup), or was written by a newer Vaka (install that version again)", ring.display(), home.display()
    )]
    Unknown { ring: PathBuf, home: PathBuf, version: u16 },
    #[error("{} is damaged: it does not begin as a file of keys does; put it back from the newest backup", .0.display())]
    Damaged(PathBuf),
    #[error(
        "{} has no key {id}, which a record is sealed with, and does not say that it was erased: it is older than the journal; \
         put back the newest one from the backup", ring.display()
    )]
    Missing { ring: PathBuf, id: u32 },
    #[error(
        "{} is of format {version}, which this program does not know: it was written by a newer Vaka; install that version again, the file is whole",
        ring.display()
    )]
    Newer { ring: PathBuf, version: u16 },
    #[error(
        "{} holds as many keys already as there may be ({KEYS_MAX}, those that are gone included), and none is made any more; a home made \
         anew (`vaka init`) has room", .0.display()
    )]
    Full(PathBuf),
    #[error("making a key: no randomness from the operating system; try again")]
    Random,
}

impl KeyError {
    /// The disk's fault, not something that a person has put wrong.
    pub fn is_disk(&self) -> bool {
        matches!(self, KeyError::File { .. })
    }

    /// It does not get better by waiting: what is there is no key, or not the right one; it is gone; or the disk has refused to read it each of
    /// several times. A file that is only out of sight just now (not mounted, not allowed) is not lost.
    pub fn is_lost(&self) -> bool {
        match self {
            KeyError::RingGone(_) | KeyError::NotAKey(_) => true,
            KeyError::HomeGone(_) => !home::is_kept_elsewhere(),
            KeyError::Damaged(_) | KeyError::Mismatch { .. } | KeyError::NotKeys { .. } | KeyError::Unknown { .. } => {
                true
            }
            // A folder in its place is as what is bound into a container where there was no file.
            KeyError::File { source, .. } => {
                source.raw_os_error() == Some(file::EIO) || source.kind() == std::io::ErrorKind::IsADirectory
            }
            KeyError::Unwrapped { .. } | KeyError::Missing { .. } | KeyError::Newer { .. } => false,
            KeyError::Full(_) | KeyError::Random => false,
        }
    }
}
