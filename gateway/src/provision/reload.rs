//! Telling a running gateway that vaka.toml or the list of certificates has changed.

use std::fmt;
use std::fs::File;
use std::path::Path;

use rustix::fs::FlockOperation;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde::Serialize;

/// What became of the news.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// The gateway with this process id was sent SIGHUP.
    Running { pid: i32 },
    /// No gateway holds the journal.
    NotRunning,
    /// One holds it, and could not be told.
    Failed { why: String },
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Told::Running { pid } => write!(f, "the running gateway (pid {pid}) was told"),
            Told::NotRunning => write!(f, "no gateway runs here; it is used at the next start"),
            Told::Failed { why } => {
                write!(f, "the running gateway could not be told ({why}); reload it with SIGHUP, or restart it")
            }
        }
    }
}

/// Sends SIGHUP to the process named in `lock` (`pid N …`) if it is alive and holds the file's lock.
///
/// A left-over file without its lock belongs to a gateway that is gone, and its number may be somebody else's by now.
pub fn tell_gateway(lock: &Path) -> Told {
    signal(lock, Signal::HUP)
}

/// Sends SIGTERM to the gateway in the same way: its process id, `None` where no gateway runs.
///
/// # Errors
/// In words, where one runs and cannot be told.
pub fn stop_gateway(lock: &Path) -> Result<Option<i32>, String> {
    match signal(lock, Signal::TERM) {
        Told::Failed { why } => Err(why),
        Told::Running { pid } => Ok(Some(pid)),
        Told::NotRunning => Ok(None),
    }
}

fn signal(lock: &Path, word: Signal) -> Told {
    let failed = |why: String| Told::Failed { why };
    let text = match std::fs::read_to_string(lock) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Told::NotRunning,
        Err(error) => return failed(format!("{}: {error}", lock.display())),
    };
    // The holder writes `pid N …`.
    let number = text.split_whitespace().find_map(|word| word.parse().ok());
    let Some(pid) = number.and_then(Pid::from_raw) else {
        return Told::NotRunning;
    };
    if test_kill_process(pid) == Err(rustix::io::Errno::SRCH) {
        return Told::NotRunning;
    }
    // Asked for only when the process lives, and shared, so that a starting gateway is hardly ever in its way.
    let held = match File::open(lock) {
        Ok(file) => {
            rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK)
        }
        Err(error) => return failed(format!("{}: {error}", lock.display())),
    };
    if !held {
        return Told::NotRunning;
    }
    match kill_process(pid, word) {
        Ok(()) => Told::Running { pid: pid.as_raw_nonzero().get() },
        Err(error) => failed(format!("pid {}: {error}", pid.as_raw_nonzero())),
    }
}
