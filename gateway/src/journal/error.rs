//! What can go wrong with the journal, one enum per operation. Every text names the attempt and the path.

use std::io;
use std::path::{Path, PathBuf};

use vaka_seal::KeyError;

/// What a failure calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// May go away: try again.
    Transient,
    /// Stays until a person does something.
    Permanent,
    /// Bytes on the disk are not what was written.
    Corrupt,
    /// Asked for in the wrong way.
    Misuse,
}

/// One failed call to the disk.
#[derive(Debug, thiserror::Error)]
#[error("{attempt} {}: {source}{}", path.display(), advice(source))]
pub struct DiskError {
    /// What was tried, e.g. `syncing`.
    pub attempt: &'static str,
    pub path: PathBuf,
    #[source]
    pub source: io::Error,
}

impl DiskError {
    /// No space is left, or the quota is used up.
    pub fn is_full(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }

    pub fn kind(&self) -> ErrorKind {
        use io::ErrorKind as K;
        match self.source.kind() {
            K::StorageFull | K::QuotaExceeded | K::Interrupted | K::WouldBlock | K::TimedOut | K::OutOfMemory => {
                ErrorKind::Transient
            }
            _ => ErrorKind::Permanent,
        }
    }
}

fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; free space on this disk, then it goes on",
        io::ErrorKind::ReadOnlyFilesystem => {
            "; the kernel has made this disk read-only: check it (dmesg) and replace it"
        }
        io::ErrorKind::PermissionDenied => "; give the gateway's user this folder",
        _ => "",
    }
}

/// Shorthand for `map_err` at every call to the disk.
pub(crate) fn at<'a>(attempt: &'static str, path: &'a Path) -> impl Fn(io::Error) -> DiskError + 'a {
    move |source| DiskError { attempt, path: path.to_owned(), source }
}

/// [`super::Journal::open`] and [`super::Journal::reopen`] failed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("opening the journal {}: held by another gateway ({holder}); stop that one, or give this one a folder of its own", dir.display())]
    Locked { dir: PathBuf, holder: String },
    #[error("opening the journal: {} has format version {version}, this program knows 1 and 2; run the newer program that wrote it", path.display())]
    Newer { path: PathBuf, version: u16 },
    #[error("opening the journal: {0}")]
    Disk(#[from] DiskError),
    #[error("opening the journal: {0}")]
    Keys(#[from] KeyError),
}

/// A commit did not happen. None of its records is in the journal once it has been reopened.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    #[error("committing to the journal: {0}")]
    Disk(#[from] DiskError),
    #[error("committing to the journal: an earlier commit failed ({why}); reopen it first")]
    Poisoned { why: String },
}

/// Reading failed; damage is not an error but part of the answer.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("reading the journal: {} has format version {version}, this program knows 1 and 2; use the newer program that wrote it", path.display())]
    Newer { path: PathBuf, version: u16 },
    #[error("reading the journal: {0}")]
    Disk(#[from] DiskError),
    #[error("reading the journal: {0}")]
    Keys(#[from] KeyError),
}

/// Removing settled segments failed; some may be gone already, the rest goes at the next try or open.
#[derive(Debug, thiserror::Error)]
#[error("removing settled journal segments: {0}")]
pub struct RemoveError(#[from] pub DiskError);

fn of_keys(error: &KeyError) -> ErrorKind {
    if error.is_disk() { ErrorKind::Permanent } else { ErrorKind::Misuse }
}

impl OpenError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            OpenError::Locked { .. } | OpenError::Newer { .. } => ErrorKind::Misuse,
            OpenError::Disk(error) => error.kind(),
            OpenError::Keys(error) => of_keys(error),
        }
    }

    /// No space is left, or the quota is used up.
    pub fn is_full(&self) -> bool {
        matches!(self, OpenError::Disk(error) if error.is_full())
    }
}

impl CommitError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            CommitError::Disk(error) => error.kind(),
            CommitError::Poisoned { .. } => ErrorKind::Misuse,
        }
    }

    /// No space is left, or the quota is used up.
    pub fn is_full(&self) -> bool {
        matches!(self, CommitError::Disk(error) if error.is_full())
    }
}

impl ReadError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            ReadError::Newer { .. } => ErrorKind::Misuse,
            ReadError::Disk(error) => error.kind(),
            ReadError::Keys(error) => of_keys(error),
        }
    }
}

impl RemoveError {
    pub fn kind(&self) -> ErrorKind {
        self.0.kind()
    }
}

/// Sealing a journal that was written in clear failed: it is as it was, or sealed; the same again finishes it.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("sealing the journal: {0}")]
    Disk(#[from] DiskError),
    #[error("sealing the journal: {0}")]
    Keys(#[from] KeyError),
    #[error(
        "sealing the journal: {place}; nothing was changed. What is damaged stays in clear and cannot be moved: restore a backup, or begin anew"
    )]
    Damaged { place: String },
}

impl From<ReadError> for OpenError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Newer { path, version } => OpenError::Newer { path, version },
            ReadError::Disk(error) => OpenError::Disk(error),
            ReadError::Keys(error) => OpenError::Keys(error),
        }
    }
}
