//! A backup made a home again, on another box.
//!
//! Order: everything into a folder aside; then it is judged (whole, of a format that is known, a journal that verifies, a config that
//! holds); then the home gets its successor's identity and numbers; then its name. A killed restore leaves no home.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use vaka_archive::{Entry, Identity, Sum, open};
use vaka_protocol::Lane;

use super::files::{self, BESIDE, HOME, JOURNAL, OUTSIDE, RELEASES};
use super::{BackupError, FORMAT, MANIFEST, MANIFEST_BYTES_MAX, Manifest, file};
use crate::clock::Now;
use crate::config::{Config, Warning};
use crate::journal::record::{Boot, Fault, Record};
use crate::journal::{Journal, Options, Stamp, copy, reader};
use crate::provision::{Superseded, supersede};

/// Where a journal is put that vaka.toml has outside the home.
const JOURNAL_OUTSIDE: &str = "outside/journal";

/// What was found in a backup that is whole.
#[derive(Debug)]
pub struct Checked {
    pub manifest: Manifest,
    pub sum: Sum,
}

/// A home that was made of a backup.
#[derive(Debug, Serialize)]
pub struct Restored {
    pub manifest: Manifest,
    /// Its vaka.toml.
    pub config: PathBuf,
    pub records: u64,
    /// Absent: the old box's keys were kept.
    pub identity: Option<Superseded>,
    /// What was elsewhere, now in the home's folder `outside`, to be put where vaka.toml looks for it.
    pub outside: Vec<PathBuf>,
    #[serde(skip)]
    pub warnings: Vec<Warning>,
}

/// Reads the whole backup, and writes nothing.
///
/// # Errors
/// [`BackupError`], which says what is wrong with it.
pub fn check(path: &Path, identities: &[Identity]) -> Result<Checked, BackupError> {
    let mut manifest = None;
    let sum = open::<BackupError>(path, identities, |entry, from| {
        if manifest.is_none() {
            manifest = Some(read_manifest(path, entry, from)?);
        }
        Ok(())
    })?;
    let manifest = manifest.ok_or_else(|| no_backup(path, "it is empty"))?;
    Ok(Checked { manifest, sum })
}

fn no_backup(path: &Path, what: &str) -> BackupError {
    BackupError::NoBackup { path: path.to_path_buf(), what: what.to_owned() }
}

fn read_manifest(path: &Path, entry: &Entry, from: &mut dyn Read) -> Result<Manifest, BackupError> {
    if entry.path != MANIFEST {
        return Err(no_backup(path, "it does not begin with what a backup says of itself"));
    }
    let mut text = Vec::new();
    from.take(MANIFEST_BYTES_MAX).read_to_end(&mut text).map_err(file("reading", path))?;
    let format = serde_json::from_slice::<serde_json::Value>(&text).ok().and_then(|said| said["format"].as_u64());
    match format.and_then(|format| u32::try_from(format).ok()) {
        Some(format) if format > FORMAT => Err(BackupError::Newer { path: path.to_path_buf(), format }),
        Some(_) => serde_json::from_slice(&text).map_err(|error| no_backup(path, &error.to_string())),
        None => Err(no_backup(path, "it does not say its format")),
    }
}

/// Makes the home `to` of the backup at `path`. `keep_keys`: the box goes on under the old one's keys, which must be gone.
///
/// # Errors
/// [`BackupError`]; then there is no `to`.
pub fn restore(
    path: &Path,
    identities: &[Identity],
    to: &Path,
    keep_keys: bool,
    now: Now,
) -> Result<Restored, BackupError> {
    let to = std::path::absolute(to).map_err(file("finding", to))?;
    let is_empty = |folder: &Path| fs::read_dir(folder).is_ok_and(|mut names| names.next().is_none());
    if to.symlink_metadata().is_ok() && !is_empty(&to) {
        return Err(BackupError::HomeExists(to));
    }
    let mut aside = to.clone().into_os_string();
    aside.push(".restoring");
    let aside = PathBuf::from(aside);
    if aside.symlink_metadata().is_ok() {
        // Of a restore that was killed.
        fs::remove_dir_all(&aside).map_err(file("removing", &aside))?;
    }
    let made = fill(path, identities, &aside).and_then(|filled| judge(filled, &aside, keep_keys, now));
    let named = made.and_then(|made| {
        sync_all(&aside)?;
        fs::rename(&aside, &to).map_err(file("naming", &to))?;
        let parent = to.parent().unwrap_or(Path::new("/"));
        File::open(parent).and_then(|folder| folder.sync_all()).map_err(file("syncing", parent))?;
        Ok(made)
    });
    let made = named.inspect_err(|_| {
        // Keys and personal data do not stay behind.
        let _ = fs::remove_dir_all(&aside);
    })?;
    let moved = |inside: &Path| inside.strip_prefix(&aside).map_or(inside.to_path_buf(), |rest| to.join(rest));
    let outside = made.outside.iter().map(|inside| moved(inside)).collect();
    Ok(Restored { config: moved(&made.config), outside, ..made })
}

/// What is in the folder aside.
struct Filled {
    manifest: Manifest,
    journal: PathBuf,
    outside: Vec<PathBuf>,
}

fn fill(path: &Path, identities: &[Identity], aside: &Path) -> Result<Filled, BackupError> {
    let mut filled: Option<Filled> = None;
    folder(aside)?;
    let read = open::<BackupError>(path, identities, |entry, from| {
        let Some(filled) = &mut filled else {
            let manifest = read_manifest(path, entry, from)?;
            // Nothing is written outside the new home: who sealed a backup is not proven, anybody may know the public key.
            let is_inside = files::is_inside(&manifest.journal.dir);
            let journal =
                aside.join(if is_inside { manifest.journal.dir.as_path() } else { Path::new(JOURNAL_OUTSIDE) });
            let outside = if is_inside { Vec::new() } else { vec![journal.clone()] };
            filled = Some(Filled { manifest, journal, outside });
            return Ok(());
        };
        let (_, rest) = entry.path.split_once('/').unwrap_or_default();
        if rest.is_empty() || !files::is_inside(Path::new(rest)) {
            return Err(no_backup(path, &format!("it holds {}", entry.path)));
        }
        // A program comes from its publisher, by its signature: who sealed this is not proven.
        if entry.path.starts_with(RELEASES) {
            return Ok(());
        }
        let place = if let Some(rest) = entry.path.strip_prefix(HOME) {
            aside.join(rest)
        } else if let Some(rest) = entry.path.strip_prefix(JOURNAL) {
            filled.journal.join(rest)
        } else if let Some(rest) = entry.path.strip_prefix(BESIDE) {
            let place = filled.journal.with_file_name(rest);
            filled.outside.push(place.clone());
            place
        } else if entry.path.starts_with(OUTSIDE) {
            let place = aside.join(&entry.path);
            filled.outside.push(place.clone());
            place
        } else {
            return Err(no_backup(path, &format!("it holds {}", entry.path)));
        };
        write(&place, entry.mode, from)
    });
    read?;
    filled.ok_or_else(|| no_backup(path, "it is empty"))
}

fn folder(path: &Path) -> Result<(), BackupError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(file("making", path))
}

fn write(place: &Path, mode: u32, from: &mut dyn Read) -> Result<(), BackupError> {
    folder(place.parent().unwrap_or(Path::new("/")))?;
    let opened = OpenOptions::new().write(true).create_new(true).mode(mode & 0o777).open(place);
    let mut made = opened.map_err(file("making", place))?;
    io::copy(from, &mut made).and_then(|_| made.sync_all()).map_err(file("writing", place))
}

fn judge(filled: Filled, aside: &Path, keep_keys: bool, now: Now) -> Result<Restored, BackupError> {
    let Filled { manifest, journal, outside } = filled;
    let config_file = aside.join(Path::new(&manifest.config).file_name().unwrap_or_default());
    let (config, warnings) = Config::load(&config_file)?;
    folder(&journal.join("segments"))?;
    let report = reader::verify(&journal)?;
    let ends_early = manifest.journal.last_seq > report.last_seq;
    if ends_early || report.head_damaged {
        return Err(BackupError::Unsound(format!("it ends with record {}", report.last_seq)));
    }
    copy::succeed(&journal, report.last_seq)?;
    if !manifest.retired {
        tell(&journal, &manifest, now)?;
    }
    let identity = match keep_keys {
        true => None,
        false => Some(supersede(&config.pki(), &config.gateway.id, now.wall_ms)?),
    };
    let records = report.records;
    Ok(Restored { manifest, config: config_file, records, identity, outside, warnings })
}

/// The first record of the new box: what happened after the backup is not known here. The rules make an alarm of it at the start.
fn tell(journal: &Path, manifest: &Manifest, now: Now) -> Result<(), BackupError> {
    let (mut journal, opened) = Journal::open(journal, Options { reserve_bytes: 0, ..Options::default() })?;
    let stamp = Stamp { mono_ms: now.mono_ms, wall_ms: now.wall_ms.max(opened.newest_wall_ms) };
    let at = jiff::Timestamp::from_millisecond(manifest.taken_at).map_or_else(|_| "?".to_owned(), |at| at.to_string());
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let fault =
        Fault { fault: "restored".into(), device: None, detail: format!("from a backup of {at}"), active: true };
    for record in [Record::Boot(Boot { version, cut_bytes: 0, damaged: 0 }), Record::Fault(fault)] {
        journal.append(&record, Lane::Technical, stamp);
    }
    Ok(journal.commit()?)
}

/// Every folder's names; the files are synced already.
fn sync_all(dir: &Path) -> Result<(), BackupError> {
    for entry in fs::read_dir(dir).map_err(file("looking into", dir))? {
        let path = entry.map_err(file("looking into", dir))?.path();
        if path.is_dir() {
            sync_all(&path)?;
        }
    }
    File::open(dir).and_then(|folder| folder.sync_all()).map_err(file("syncing", dir))
}
