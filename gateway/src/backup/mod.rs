//! A home as one sealed file, and that file as a home again on another box.
//!
//! Enters: a home, running or not; whom to seal it to. Leaves: an archive ([`vaka_archive`]), and of an archive a home that goes on where
//! the old one stopped: the same authorities, devices, agreements and records, under a new identity and numbers never used before.
//!
//! Invariants: everything in the home's folder is taken but what [`files`] names with its reason, so that a new kind of file cannot be
//! forgotten; nothing of it is on a disk unsealed beside the home; a restored home appears whole under its name, or not at all.
//! Absent: a secret on the box that could open a backup; compression; a schedule (`deploy/systemd/vaka-backup.timer`).

pub mod files;
pub mod last;
pub mod restore;
pub mod retire;
pub mod take;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use vaka_archive::ArchiveError;

use crate::config::ConfigError;
use crate::journal::{CommitError, OpenError, ReadError};
use crate::provision::ProvisionError;

/// First entry of a backup.
pub const MANIFEST: &str = "backup.json";
/// The format that is written, and the newest that is read.
pub const FORMAT: u32 = 1;
/// Largest manifest that is read, in bytes. Source: our choice; it names what was left out.
const MANIFEST_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// Version of the program that wrote it.
    pub program: String,
    pub gateway: String,
    /// Name of the config's file in the home.
    pub config: String,
    /// UTC milliseconds.
    pub taken_at: i64,
    /// The box was taken out of use first: nothing happened there afterwards.
    pub retired: bool,
    pub journal: Copied,
    /// What is not in it, and why.
    pub left_out: Vec<LeftOut>,
}

/// Which records are in it, and where the journal was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// Relative to the home's folder; absolute where it is outside of it.
    pub dir: PathBuf,
    pub first_seq: u64,
    /// 0: there is none.
    pub last_seq: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    pub path: PathBuf,
    pub why: String,
    /// Somebody may miss it.
    pub is_loss: bool,
}

/// Why there is no backup, or no home made of it. The text names the object and the fix.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error("{attempt} {}: {source}", path.display())]
    File { attempt: &'static str, path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Journal(#[from] ReadError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(transparent)]
    Provision(#[from] ProvisionError),
    #[error("more than {max} files in {}: other things are kept there too; move them out", home.display(), max = crate::limits::BACKUP_FILES_MAX)]
    TooMany { home: PathBuf },
    #[error("{} is no backup of a home: {what}", path.display())]
    NoBackup { path: PathBuf, what: String },
    #[error("{} was written by a newer program (format {format}); use that one", path.display())]
    Newer { path: PathBuf, format: u32 },
    #[error("{} already exists; a backup is restored into a folder of its own", .0.display())]
    HomeExists(PathBuf),
    #[error("the journal in the backup does not verify: {0}; take an earlier backup")]
    Unsound(String),
    #[error("stopping the gateway: {0}; stop it (systemctl stop vaka), then do the same again")]
    NotStopped(String),
}

pub(crate) fn file<'a>(attempt: &'static str, path: &'a Path) -> impl Fn(std::io::Error) -> BackupError + 'a {
    move |source| BackupError::File { attempt, path: path.to_path_buf(), source }
}
