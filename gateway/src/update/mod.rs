//! New versions of this program, taken by the gateway itself: the home's side of `vaka-update`.
//!
//! Enters: the config's publisher, what goes on in the home, a person's wish. Leaves: a program that waits or is on trial, records of each
//! step, a technical alarm where one failed. It has a thread of its own: an SD card that is slow to write a program holds up nobody.
//!
//! Invariants: nothing begins that the running program's own test alarm has not gone through before; a program that is on trial stays only
//! once its test alarm was accepted. Who ends one that does not is the kernel, by the alarm clock that `vaka launch` set before it;
//! who starts the one before it is `vaka launch`. Absent: firmware of devices, which is [`crate::firmware`]'s.

mod work;

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use vaka_update::manifest::Format;
use vaka_update::slots::Stage;
use vaka_update::{Formats, State, Version};

use crate::config::Config;
use crate::journal::format;

pub(crate) use work::publisher;
pub use work::{MANIFEST, SIGNATURE, Work, start};

/// Set by `vaka launch` for the program that it starts: which release it is, `packaged` for the package's own.
pub const RELEASE: &str = "VAKA_RELEASE";
/// Set by `vaka launch`: where it is itself.
pub const LAUNCHER: &str = "VAKA_LAUNCHER";
/// Set by `vaka launch`: what the packaged program reads and writes, as JSON.
pub const PACKAGED_FORMATS: &str = "VAKA_PACKAGED_FORMATS";
/// How long a new program may take to prove itself, in seconds; for machines slower than most.
pub const TRIAL: &str = "VAKA_TRIAL_S";

const PACKAGED: &str = "packaged";

/// What this program reads and writes. Raise a number in the release that writes what older ones would misread, one release after the
/// one that reads it: a box goes back one step.
pub const FORMATS: Formats = Formats {
    journal: Format {
        reads: (format::VERSION as u32, format::VERSION_SEALED as u32),
        writes: format::VERSION_SEALED as u32,
    },
};

/// The version that the package has.
pub fn packaged() -> Version {
    env!("CARGO_PKG_VERSION").parse().unwrap_or_default()
}

/// For which machines a program is that runs here.
pub const TARGET: &str = env!("VAKA_TARGET");

/// Which program this is, and by whom it was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    pub version: Version,
    /// By `vaka launch`, which can start another in its place: its own file.
    pub launcher: Option<std::path::PathBuf>,
    /// What the packaged program reads and writes; `None`: it is from before it said so.
    pub packaged: Option<Formats>,
}

impl Running {
    pub fn from_environment() -> Running {
        let release = std::env::var(RELEASE).ok();
        let version = release.as_deref().and_then(|text| text.parse().ok()).unwrap_or_else(packaged);
        let launcher = release.and_then(|_| std::env::var_os(LAUNCHER)).map(Into::into);
        let packaged = std::env::var(PACKAGED_FORMATS).ok().and_then(|text| serde_json::from_str(&text).ok());
        Running { version, launcher, packaged }
    }
}

/// What the launcher says to the program that it starts.
pub fn word(version: Option<Version>) -> String {
    version.map_or_else(|| PACKAGED.to_owned(), |version| version.to_string())
}

/// What a person asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    Status,
    /// Ask the publisher now.
    Check,
    /// Take it now: without waiting for its ring, its time or a quiet hour.
    Apply,
    /// To the program before.
    Rollback,
}

/// Where wishes are put. What comes of one is seen in [`Standing`].
#[derive(Clone)]
pub struct Door {
    pub wishes: mpsc::Sender<(Wish, String)>,
    pub standing: Standing,
    pub running: Running,
    pub config: watch::Receiver<Arc<Config>>,
}

impl Door {
    /// How updates stand, after the wish was put where there is one beyond that.
    ///
    /// # Errors
    /// In words: another wish is under way.
    pub fn ask(&self, wish: Wish, by: String) -> Result<Value, String> {
        let folder = self.config.borrow().releases();
        if wish != Wish::Status {
            let under_way = |_| "another update is under way; see: vaka update status".to_owned();
            self.wishes.try_send((wish, by)).map_err(under_way)?;
            self.standing.set(|said| said.busy = true);
        }
        let said = self.standing.get();
        let mut shown = shown(&State::load(&folder).map_err(|e| format!("reading what is installed: {e}"))?);
        shown["running"] = self.running.version.to_string().into();
        shown["launched"] = self.running.launcher.is_some().into();
        shown["state"] = said.state.into();
        shown["said"] = said.text.into();
        shown["said_at"] = said.at.into();
        shown["busy"] = said.busy.into();
        Ok(shown)
    }
}

/// How updates stand, in a word for figures and in words for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// One of [`STATES`].
    pub state: &'static str,
    pub text: String,
    /// UTC milliseconds; 0: nothing has been done yet.
    pub at: i64,
    pub busy: bool,
}

/// Off: no `[update]`. Unknown: not asked yet.
pub const STATES: [&str; 8] = ["off", "unknown", "current", "waiting", "unreachable", "refused", "failed", "trial"];

/// The newest word on it, for whoever asks.
#[derive(Debug, Clone)]
pub struct Standing(Arc<Mutex<Said>>);

impl Default for Standing {
    fn default() -> Self {
        Standing(Arc::new(Mutex::new(Said { state: "unknown", text: String::new(), at: 0, busy: false })))
    }
}

impl Standing {
    pub fn get(&self) -> Said {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, change: impl FnOnce(&mut Said)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// What is installed, as `vaka update status --json` shows it.
pub fn shown(state: &State) -> Value {
    let other = state.other.as_ref().map(|(installed, stage)| {
        let word = match stage {
            Stage::Staged => "staged",
            Stage::Trial(_) => "trial",
            Stage::Kept => "kept",
        };
        json!({"version": installed.version, "is": word, "slot": installed.slot})
    });
    json!({
        "packaged": packaged(),
        "good": state.good.as_ref().map(|good| json!({"version": good.version, "slot": good.slot})),
        "other": other,
        "failed": state.failed.iter().map(|failed| json!({"version": failed.version, "why": failed.why})).collect::<Vec<_>>(),
    })
}

/// A program on trial has an alarm clock of the kernel set, which ends it. It has proven itself: no more.
///
/// The clock outlives the start of another program in the same process, which is why it needs nobody to watch.
pub fn set_alarm_clock(after_s: u32) {
    // SAFETY: both take numbers, touch no memory and cannot fail; the default action of SIGALRM is to end the process.
    unsafe {
        libc::signal(libc::SIGALRM, libc::SIG_DFL);
        libc::alarm(after_s);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Journal, Options};

    #[test]
    fn the_formats_that_are_said_are_those_that_are_written() {
        for is_sealed in [false, true] {
            let home = tempfile::tempdir().unwrap();
            let dir = home.path().join("journal");
            std::fs::create_dir(&dir).unwrap();
            if is_sealed {
                vaka_seal::Ring::open_or_make(&dir).unwrap();
            }
            let (mut journal, _) = Journal::open(&dir, Options { reserve_bytes: 0, ..Options::default() }).unwrap();
            journal.append_raw(2, 0, 0, crate::journal::Stamp { mono_ms: 1, wall_ms: 1 }, b"an event");
            journal.commit().unwrap();
            let segment = std::fs::read_dir(dir.join("segments")).unwrap().next().unwrap().unwrap().path();
            let bytes = std::fs::read(segment).unwrap();
            let version = u16::from_le_bytes([bytes[8], bytes[9]]);
            let (least, most) = FORMATS.journal.reads;
            assert!((least..=most).contains(&u32::from(version)));
            // A new home's journal is sealed.
            assert!(!is_sealed || FORMATS.journal.writes == u32::from(version));
        }
    }
}
