//! Taking a box out of use, so that its successor is the only one that speaks as this home.
//!
//! A file in the home is the mark: `vaka run` refuses a home that has it, so does its unit. It is written before the gateway is stopped,
//! so that nothing starts it again in between; what devices send meanwhile waits in them. A mark whose backup never became whole, because
//! the power went or the terminal was closed, is void: such a box starts again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{BackupError, file};
use crate::config::Config;
use crate::provision::{self, files};

/// How often is looked whether the gateway has stopped, and for how long, in milliseconds: its unit gives it 30 s.
const LOOK_MS: u64 = 50;
const STOP_MS_MAX: u64 = 60_000;

/// What the mark says.
#[derive(Debug, Serialize, Deserialize)]
pub struct Retired {
    /// UTC milliseconds.
    pub at: i64,
    pub to: PathBuf,
    /// The backup is whole, or there is to be none.
    pub done: bool,
    /// Who makes it: a process of this start of the machine.
    pub pid: u32,
    pub boot_id: String,
}

/// Where the mark is.
pub fn mark(home: &Path) -> PathBuf {
    home.join("retired")
}

/// Whether the home has moved away. A mark that was never finished, by a process that is gone, is removed.
pub fn holds(home: &Path) -> bool {
    let mark = mark(home);
    let Ok(bytes) = std::fs::read(&mark) else { return mark.symlink_metadata().is_ok() };
    // What cannot be read was not written by halves: files are renamed into their place.
    let Ok(Retired { done, pid, boot_id, .. }) = serde_json::from_slice(&bytes) else { return true };
    let is_at_work = boot_id == this_boot() && i32::try_from(pid).is_ok_and(|pid| !has_ended(pid));
    if done || is_at_work {
        return true;
    }
    tracing::warn!(mark = %mark.display(), "this box was to be taken out of use, and its last backup never became whole: it goes on");
    std::fs::remove_file(&mark).is_err()
}

/// Marks the home of `config`, and waits until its gateway has stopped. `to`: the backup that takes it elsewhere; none: it is to be erased.
/// The mark counts for good once it is [`finish`]ed.
///
/// # Errors
/// [`BackupError`]; the mark is taken back then.
pub fn retire(config: &Config, to: Option<&Path>, now_ms: i64) -> Result<(), BackupError> {
    write(&config.home, to.unwrap_or(Path::new("")), to.is_none(), now_ms)?;
    stop(&config.journal.dir.join("lock")).inspect_err(|_| take_back(config))
}

/// The backup is whole: from now on the other box speaks.
///
/// # Errors
/// [`BackupError`]: the mark is as it was, and void when this process ends.
pub fn finish(config: &Config, to: &Path, now_ms: i64) -> Result<(), BackupError> {
    write(&config.home, to, true, now_ms)
}

fn write(home: &Path, to: &Path, done: bool, at: i64) -> Result<(), BackupError> {
    let mark = mark(home);
    let said = Retired { at, to: to.to_path_buf(), done, pid: std::process::id(), boot_id: this_boot() };
    let said = serde_json::to_vec(&said).map_err(|e| file("marking", &mark)(e.into()))?;
    Ok(files::write(&mark, &said, files::PRIVATE)?)
}

fn this_boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// The box is in use again.
pub fn take_back(config: &Config) {
    // Whoever asked hears of the failure that led here; the refusal of `vaka run` names the file.
    let _ = std::fs::remove_file(mark(&config.home));
}

/// Waits for the process, not for its lock: it saves its index after it has let go of the journal.
fn stop(lock: &Path) -> Result<(), BackupError> {
    let Some(pid) = provision::stop_gateway(lock).map_err(BackupError::NotStopped)? else { return Ok(()) };
    for _ in 0..STOP_MS_MAX / LOOK_MS {
        if has_ended(pid) {
            return Ok(());
        }
        std::thread::park_timeout(Duration::from_millis(LOOK_MS));
    }
    Err(BackupError::NotStopped(format!("process {pid} still runs after {} s", STOP_MS_MAX / 1_000)))
}

/// Gone, or a zombie that its parent has not asked for yet (proc(5), `stat`).
fn has_ended(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_counts_while_its_backup_is_made_and_once_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!holds(dir.path()));
        write(dir.path(), Path::new("gw.age"), false, 1).unwrap();
        assert!(holds(dir.path()), "this process is at work on it");
        let said = |change: &dyn Fn(&mut Retired)| {
            let mut said: Retired = serde_json::from_slice(&std::fs::read(mark(dir.path())).unwrap()).unwrap();
            change(&mut said);
            std::fs::write(mark(dir.path()), serde_json::to_vec(&said).unwrap()).unwrap();
        };
        said(&|said| said.boot_id = "before the power went".into());
        assert!(!holds(dir.path()) && !mark(dir.path()).exists(), "it starts again");
        write(dir.path(), Path::new("gw.age"), false, 1).unwrap();
        said(&|said| said.pid = u32::MAX);
        assert!(!holds(dir.path()), "its terminal was closed");
        write(dir.path(), Path::new("gw.age"), true, 1).unwrap();
        said(&|said| said.boot_id = "before the power went".into());
        assert!(holds(dir.path()) && mark(dir.path()).exists());
        std::fs::write(mark(dir.path()), "?").unwrap();
        assert!(holds(dir.path()));
    }
}
