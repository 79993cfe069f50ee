//! When the last whole backup was made: what tells that they have stopped.
//!
//! Enters: a backup that is whole, with nothing lost in it. Leaves: a line in the home, which the doctor and `/metrics` read. It is part of the
//! next backup, so a box made of one knows how old it is.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{BackupError, file};
use crate::config::Config;
use crate::provision::files;

/// The file in the home.
const NAME: &str = "last-backup.json";

/// What is noted of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Last {
    /// UTC milliseconds.
    pub at: i64,
    pub bytes: u64,
    pub to: PathBuf,
}

/// Replaces what is noted.
///
/// # Errors
/// [`BackupError`]: the backup itself is whole.
pub fn note(home: &Path, last: &Last) -> Result<(), BackupError> {
    let path = home.join(NAME);
    let said = serde_json::to_vec(last).map_err(|e| file("noting the backup", &path)(e.into()))?;
    Ok(files::write(&path, &said, files::PRIVATE)?)
}

/// The last one; `None`: there was none, or nobody can say.
pub fn read(home: &Path) -> Option<Last> {
    serde_json::from_slice(&std::fs::read(home.join(NAME)).ok()?).ok()
}

/// How old it is, in milliseconds; `None` where none was ever made, as is nothing where nobody is named to seal one to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    /// `[backup] recipients` is empty, and none was made by hand.
    NotAgreed,
    Never,
    Old(u64),
}

/// By the clock in `now_ms`, UTC milliseconds. One from the future is new: the clock is another part's to judge.
pub fn age(config: &Config, now_ms: i64) -> Age {
    match read(&config.home) {
        Some(last) => Age::Old(u64::try_from(now_ms.saturating_sub(last.at)).unwrap_or(0)),
        None if config.backup.is_empty() => Age::NotAgreed,
        None => Age::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_is_known_by_its_age_and_what_is_not_agreed_is_not_missed() {
        let dir = tempfile::tempdir().unwrap();
        let config = |more: &str| {
            let text = format!("[gateway]\nid = \"gw-1\"\n[ingest]\nlisten = \"127.0.0.1:1\"\n{more}");
            let path = dir.path().join("vaka.toml");
            std::fs::write(&path, text).unwrap();
            Config::load(&path).unwrap().0
        };
        let agreed = config(&format!("[backup]\nrecipients = [\"{}\"]\n", vaka_archive::new_identity().1));
        assert_eq!(age(&agreed, 5_000), Age::Never);
        assert_eq!(age(&config(""), 5_000), Age::NotAgreed);
        note(dir.path(), &Last { at: 2_000, bytes: 7, to: "/b".into() }).unwrap();
        assert_eq!(age(&agreed, 5_000), Age::Old(3_000));
        assert_eq!(age(&config(""), 5_000), Age::Old(3_000), "one that was made by hand");
        assert_eq!(age(&agreed, 1_000), Age::Old(0), "the clock was set back");
        std::fs::write(dir.path().join(NAME), "{").unwrap();
        assert_eq!(age(&agreed, 5_000), Age::Never, "nobody can say: better told than silent");
    }
}
