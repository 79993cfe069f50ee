//! Which files are a home: all that is in its folder, what vaka.toml names elsewhere, and keys that the service manager passes.
//!
//! Left out, by name and with its reason: what is made anew, what is another backup, what belongs to a process.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use super::{BackupError, LeftOut, file};
use vaka_seal::{HomeKey, Ring};

use crate::config::Config;
use crate::limits::BACKUP_FILES_MAX;

/// Names in the journal's folder that are no part of a backup, each with its reason.
pub const MADE_ANEW: &[(&str, &str)] = &[
    ("index", "a cache, made anew from the records"),
    ("reserve", "empty blocks, made anew"),
    ("head.new", "the head before this one"),
    ("keys.new", "keys that are being written"),
    ("keys.old", "keys that are being overwritten"),
    ("segments.new", "a sealing of old records that was cut off"),
    ("lock", "of the running process"),
    ("control.sock", "of the running process"),
];
/// Parts of the journal that are copied by their records, not as files.
pub const BY_RECORDS: &[&str] = &["segments", "head"];

/// Where an archive's files belong.
pub const HOME: &str = "home/";
pub const JOURNAL: &str = "journal/";
/// Programs that were fetched: never part of a backup.
pub const RELEASES: &str = "home/releases/";
/// Beside a journal that is outside the home.
pub const BESIDE: &str = "beside/";
/// Named in vaka.toml, outside the home: the absolute path follows.
pub const OUTSIDE: &str = "outside";

/// Deepest folder that is looked into. Source: our choice; the home's own are two deep.
const DEPTH_MAX: usize = 16;

/// A file to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub path: PathBuf,
    /// In the archive.
    pub name: String,
    pub mode: u32,
}

/// What to take and what is left out.
#[derive(Debug, Default)]
pub struct Listing {
    /// By name in the archive.
    pub kept: BTreeMap<String, Kept>,
    pub left_out: Vec<LeftOut>,
}

/// Looks through the home of `config`. The archive under `to` is left out, wherever it is written.
///
/// # Errors
/// Where a folder cannot be read, or there are too many files.
pub fn list(config: &Config, to: &Path) -> Result<Listing, BackupError> {
    let mut listing = Listing::default();
    let journal = &config.journal.dir;
    let mut walk = Walk { listing: &mut listing, journal, home: &config.home, to };
    walk.folder(&config.home, HOME, 0)?;
    if journal.is_dir() {
        walk.folder(journal, JOURNAL, 0)?;
    }
    let is_within = journal.strip_prefix(&config.home).is_ok_and(is_inside);
    if !is_within && let Some(beside) = journal.parent() {
        walk.take(&beside.join("names.enc"), &format!("{BESIDE}names.enc"))?;
        for key in vaka_seal::home::files_beside(journal) {
            let name = key.file_name().unwrap_or_default().to_string_lossy().into_owned();
            walk.take(&key, &format!("{BESIDE}{name}"))?;
        }
    }
    for path in named(config) {
        if !path.starts_with(&config.home) {
            walk.take(&path, &format!("{OUTSIDE}{}", path.display()))?;
        }
    }
    // Without the home's key nothing that is sealed could be read on the new box.
    match HomeKey::find(journal) {
        Ok(Some(key)) if key.is_credential => {
            // Beside the journal, wherever that is restored.
            let beside = vaka_seal::home::file_beside(journal);
            let name = match beside.strip_prefix(&config.home) {
                Ok(inside) if is_within => format!("{HOME}{}", inside.display()),
                _ => format!("{BESIDE}home.key"),
            };
            // One that lies there may be what opens newer keys: it is not replaced.
            let name = if walk.listing.kept.contains_key(&name) { name + ".passed" } else { name };
            walk.take(&key.from, &name)?
        }
        Err(error) => walk.lose(&vaka_seal::home::file_beside(journal), &error.to_string()),
        Ok(None) if vaka_seal::ring_path(journal).exists() => {
            let why = "a credential of the service, which this process was not passed: the journal cannot be read without it; keep it yourself";
            walk.lose(&vaka_seal::home::file_beside(journal), why);
        }
        _ => {}
    }
    // Told now, while the backup before still has them: see `take`.
    if matches!(HomeKey::find(journal), Ok(Some(_))) {
        let ring = vaka_seal::ring_path(journal);
        match Ring::load(journal) {
            Ok(Some(_)) => {}
            Ok(None) => walk.lose(&ring, "the journal's keys are gone: what they sealed cannot be read; see RUNBOOK"),
            Err(error) => walk.lose(&ring, &error.to_string()),
        }
    }
    for (folder, lost) in vaka_seal::unread(journal) {
        if !folder.join("keys").exists() {
            walk.lose(&lost, "keys of earlier records, lost before: an earlier backup has them");
        }
    }
    // A key that the service manager passes stands in for the file of its name.
    let credentials: Vec<_> = config.pki().keys().into_iter().filter(|key| key.is_credential).collect();
    for key in credentials {
        walk.take(&key.path, &format!("{HOME}pki/{}", key.name))?;
    }
    for key in ["server.key", "client.key", "server-ca.key", "device-ca.key"] {
        if !walk.listing.kept.contains_key(&format!("{HOME}pki/{key}")) {
            let why = "a credential of the service, which this process was not passed: keep it yourself";
            walk.lose(&config.pki().dir().join(key), why);
        }
    }
    Ok(listing)
}

/// A path that stays where it is put.
pub fn is_inside(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_)))
}

/// Every value of vaka.toml that names a file.
fn named(config: &Config) -> Vec<PathBuf> {
    fn texts(value: &toml::Value, found: &mut Vec<String>) {
        match value {
            toml::Value::String(text) => found.push(text.clone()),
            toml::Value::Array(many) => many.iter().for_each(|one| texts(one, found)),
            toml::Value::Table(table) => table.values().for_each(|one| texts(one, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    let text = std::fs::read_to_string(&config.file).unwrap_or_default();
    if let Ok(value) = toml::from_str::<toml::Value>(&text) {
        texts(&value, &mut found);
    }
    let paths = found.iter().filter(|text| !text.is_empty()).map(|text| config.home.join(text));
    paths.filter(|path| path.is_file()).filter_map(|path| path.canonicalize().ok()).collect()
}

struct Walk<'w> {
    listing: &'w mut Listing,
    journal: &'w Path,
    home: &'w Path,
    to: &'w Path,
}

impl Walk<'_> {
    fn leave(&mut self, path: &Path, why: &str) {
        self.listing.left_out.push(LeftOut { path: path.to_path_buf(), why: why.to_owned(), is_loss: false });
    }

    /// [`Walk::leave`] of what somebody may miss.
    fn lose(&mut self, path: &Path, why: &str) {
        self.listing.left_out.push(LeftOut { path: path.to_path_buf(), why: why.to_owned(), is_loss: true });
    }

    fn folder(&mut self, folder: &Path, name: &str, depth: usize) -> Result<(), BackupError> {
        if depth > DEPTH_MAX {
            self.lose(folder, "too deep");
            return Ok(());
        }
        for entry in std::fs::read_dir(folder).map_err(file("looking into", folder))? {
            let entry = entry.map_err(file("looking into", folder))?;
            let (path, kind) = (entry.path(), entry.file_type().map_err(file("looking at", folder))?);
            let file_name = entry.file_name();
            let Some(word) = file_name.to_str() else {
                self.lose(&path, "its name is not UTF-8");
                continue;
            };
            if folder == self.journal {
                if BY_RECORDS.contains(&word) {
                    continue;
                }
                // Of keys that are being written, also under a name of their own (`keys-2.new`).
                if word.starts_with("keys") && (word.ends_with(".new") || word.ends_with(".old")) {
                    self.leave(&path, "keys that are being written or overwritten");
                    continue;
                }
                // After a loss they are `keys-2.old` and so on.
                let plain = word.strip_prefix("keys-").and_then(|rest| rest.split_once('.'));
                let plain = plain.map_or_else(|| word.to_owned(), |(_, suffix)| format!("keys.{suffix}"));
                if let Some((_, why)) = MADE_ANEW.iter().find(|(made, _)| *made == plain) {
                    self.leave(&path, why);
                    continue;
                }
            } else if path == self.journal {
                continue;
            }
            if path == self.home.join("releases") {
                self.leave(&path, "programs, fetched anew, each by its signature");
            } else if kind.is_dir() {
                self.folder(&path, &format!("{name}{word}/"), depth + 1)?;
            } else if word == "names.key.old" || is_temporary(word) || word.ends_with(".age") || path == self.to {
                self.leave(&path, "another backup, or a file that is being written");
            } else if path == super::retire::mark(self.home) {
                self.leave(&path, "of this box alone");
            } else {
                self.take(&path, &format!("{name}{word}"))?;
            }
        }
        Ok(())
    }

    /// Takes a file, or what a link to a file shows.
    fn take(&mut self, path: &Path, name: &str) -> Result<(), BackupError> {
        let found = match std::fs::metadata(path) {
            Ok(found) => found,
            // Written aside and renamed meanwhile, or never there.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(file("looking at", path)(error)),
        };
        if !found.is_file() {
            self.lose(path, "neither a file nor a folder");
            return Ok(());
        }
        if self.listing.kept.len() >= BACKUP_FILES_MAX {
            return Err(BackupError::TooMany { home: self.home.to_path_buf() });
        }
        let mode = found.permissions().mode() & 0o777;
        let kept = Kept { path: path.to_path_buf(), name: name.to_owned(), mode };
        self.listing.kept.insert(name.to_owned(), kept);
        Ok(())
    }
}

/// As [`crate::provision`] and backups write aside.
fn is_temporary(name: &str) -> bool {
    let aside = name.rsplit_once(".new-").is_some_and(|(_, pid)| pid.bytes().all(|b| b.is_ascii_digit()));
    aside || name.ends_with(".part")
}
