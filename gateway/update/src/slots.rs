//! Two places for programs, and which of them runs: `releases/vaka-a`, `vaka-b`, and the file `current` that says so.
//!
//! Enters: a downloaded file, a wish to begin, a proof, a start. Leaves: a new `current`, a program to start. The packaged program
//! stands outside, and is the last that can always be started.
//!
//! Invariants: `current` is replaced whole (written beside, synced, renamed, folder synced) and is the only truth; the place of the
//! program that is known to be good is never written to; a program is started only if its bytes are those that were signed; each start
//! of a program on trial is counted on the disk before it is made.

use std::io::{self, Read};

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use crate::disk::Disk;
use crate::limits::{FAILED_MAX, STATE_BYTES_MAX, TRIES_MAX, WHY_CHARS_MAX};
use crate::{Formats, Manifest, Version, hex};

const CURRENT: &str = "current";
const CURRENT_NEW: &str = "current.new";
const DOWNLOAD: &str = "download-";

/// One of the two places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Slot {
    A,
    B,
}

impl Slot {
    /// The file's name.
    pub fn name(self) -> &'static str {
        match self {
            Slot::A => "vaka-a",
            Slot::B => "vaka-b",
        }
    }

    fn other(self) -> Slot {
        if self == Slot::A { Slot::B } else { Slot::A }
    }
}

/// A program in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    pub slot: Slot,
    pub version: Version,
    /// Lower-case hexadecimal.
    pub sha256: String,
    pub formats: Formats,
}

/// What the program is that stands in the other place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Whole and signed; it waits for its time.
    Staged,
    Trial(Trial),
    /// It ran here before the one that runs now.
    Kept,
}

/// How far a program on trial has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    pub tries: u32,
    /// Of the machine, at its newest first start; empty: not started yet.
    pub boot: String,
    /// Milliseconds since that boot, when it was started first.
    pub began_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    pub version: Version,
    pub why: String,
    /// It is in the journal.
    #[serde(default)]
    pub told: bool,
}

/// What is installed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Runs unless the other is on trial. `None`: the packaged program.
    pub good: Option<Installed>,
    pub other: Option<(Installed, Stage)>,
    /// Oldest first.
    #[serde(default)]
    pub failed: Vec<Failed>,
}

impl State {
    /// Reads `current`; where there is none, nothing is installed.
    ///
    /// # Errors
    /// Where it cannot be read, or is not as it was written.
    pub fn load(disk: &dyn Disk) -> io::Result<State> {
        let mut bytes = Vec::new();
        match disk.open(CURRENT) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(State::default()),
            file => file?.take(STATE_BYTES_MAX).read_to_end(&mut bytes)?,
        };
        serde_json::from_slice(&bytes).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
    }

    /// # Errors
    /// Where the disk refuses; what was there before is still there, whole.
    pub fn store(&self, disk: &dyn Disk) -> io::Result<()> {
        let bytes = serde_json::to_vec(self)?;
        disk.write(CURRENT_NEW, &bytes)?;
        disk.sync(CURRENT_NEW)?;
        disk.rename(CURRENT_NEW, CURRENT)?;
        disk.sync_folder()
    }

    pub fn staged(&self) -> Option<&Installed> {
        self.other.as_ref().filter(|(_, stage)| *stage == Stage::Staged).map(|(installed, _)| installed)
    }

    pub fn kept(&self) -> Option<&Installed> {
        self.other.as_ref().filter(|(_, stage)| *stage == Stage::Kept).map(|(installed, _)| installed)
    }

    pub fn on_trial(&self) -> Option<&Installed> {
        self.other.as_ref().filter(|(_, stage)| matches!(stage, Stage::Trial(_))).map(|(installed, _)| installed)
    }

    /// What failed here, as a release is judged by it.
    pub fn failures(&self) -> Vec<(Version, String)> {
        self.failed.iter().map(|failed| (failed.version, failed.why.clone())).collect()
    }

    fn fail(&mut self, version: Version, why: &str) {
        self.failed.retain(|failed| failed.version != version);
        self.failed.push(Failed { version, why: why.chars().take(WHY_CHARS_MAX).collect(), told: false });
        let beyond = self.failed.len().saturating_sub(FAILED_MAX);
        self.failed.drain(..beyond);
    }

    /// The free place: never that of the good program.
    fn free(&self) -> Slot {
        self.good.as_ref().map_or(Slot::A, |good| good.slot.other())
    }
}

/// Under which name a release is downloaded: one of another release is never gone on with.
pub fn download(sha256: &str) -> String {
    format!("{DOWNLOAD}{}", sha256.get(..16).unwrap_or(sha256))
}

/// Removes downloads of other releases than this.
///
/// # Errors
/// Where the disk refuses.
pub fn forget_downloads(disk: &dyn Disk, but: &str) -> io::Result<()> {
    for name in disk.names()?.iter().filter(|name| name.starts_with(DOWNLOAD) && *name != but) {
        disk.remove(name)?;
    }
    Ok(())
}

#[derive(Debug, thiserror::Error)]
pub enum StageError {
    #[error("keeping release {version}: {source}; is the disk full?")]
    Disk { version: Version, source: io::Error },
    #[error("keeping release {version}: its bytes are not those that were signed; it is fetched again")]
    Damaged { version: Version },
    #[error("keeping release {version}: another is on trial")]
    OnTrial { version: Version },
}

/// Takes the whole download of `release` into the free place. What stood there, the kept one or one that waited, is given up.
///
/// # Errors
/// [`StageError`]; what runs is untouched.
pub fn stage(disk: &dyn Disk, release: &Manifest, sha256: &str) -> Result<Installed, StageError> {
    let version = release.version;
    let refused = |source| StageError::Disk { version, source };
    let mut state = State::load(disk).map_err(refused)?;
    if state.on_trial().is_some() {
        return Err(StageError::OnTrial { version });
    }
    let download = download(sha256);
    disk.sync(&download).map_err(refused)?;
    if !is_whole(disk, &download, sha256) {
        disk.remove(&download).map_err(refused)?;
        return Err(StageError::Damaged { version });
    }
    let installed =
        Installed { slot: state.free(), version, sha256: sha256.to_owned(), formats: release.formats.clone() };
    // Given up before it is written over: nobody is told that it is still there.
    if state.other.take().is_some() {
        state.store(disk).map_err(refused)?;
    }
    disk.make_program(&download).map_err(refused)?;
    disk.rename(&download, installed.slot.name()).map_err(refused)?;
    disk.sync_folder().map_err(refused)?;
    state.other = Some((installed.clone(), Stage::Staged));
    state.store(disk).map_err(refused)?;
    Ok(installed)
}

/// What is staged is given up, and may come again. Its publisher offers it no more.
///
/// # Errors
/// Where the disk refuses.
pub fn unstage(disk: &dyn Disk) -> io::Result<()> {
    let mut state = State::load(disk)?;
    if state.staged().is_some() {
        state.other = None;
        state.store(disk)?;
    }
    Ok(())
}

/// What was installed cannot be read and is forgotten: the packaged program runs, and what comes is fetched anew.
///
/// # Errors
/// Where the disk refuses.
pub fn forget(disk: &dyn Disk) -> io::Result<()> {
    disk.remove(CURRENT)?;
    disk.sync_folder()
}

/// The next start is that of the program which is staged. `None`: nothing is.
///
/// # Errors
/// Where the disk refuses: then the next start may be either's, and both are right.
pub fn switch(disk: &dyn Disk) -> io::Result<Option<Version>> {
    let mut state = State::load(disk)?;
    let Some((installed, stage @ Stage::Staged)) = &mut state.other else { return Ok(None) };
    *stage = Stage::Trial(Trial::default());
    let version = installed.version;
    state.store(disk)?;
    Ok(Some(version))
}

/// The program on trial has proven itself: it is the good one from now, and the one before it is kept.
///
/// # Errors
/// Where the disk refuses; it stays on trial.
pub fn confirm(disk: &dyn Disk, version: Version) -> io::Result<()> {
    let mut state = State::load(disk)?;
    match state.other.take() {
        Some((installed, Stage::Trial(_))) if installed.version == version => {
            let before = state.good.replace(installed);
            state.other = before.map(|before| (before, Stage::Kept));
            state.store(disk)
        }
        _ => Ok(()),
    }
}

/// `version` is given up for good. If it runs, the program before it is the next to start. False: it is not here, or is the packaged one.
///
/// # Errors
/// Where the disk refuses; then nothing has changed.
pub fn go_back(disk: &dyn Disk, version: Version, why: &str) -> io::Result<bool> {
    let mut state = State::load(disk)?;
    if state.other.as_ref().is_some_and(|(other, stage)| other.version == version && *stage != Stage::Kept) {
        state.other = None;
    } else if state.good.as_ref().is_some_and(|good| good.version == version) {
        // Without a kept one it is the packaged program that runs.
        let kept = state.other.take().filter(|(_, stage)| *stage == Stage::Kept);
        state.good = kept.map(|(installed, _)| installed);
    } else {
        return Ok(false);
    }
    state.fail(version, why);
    state.store(disk)?;
    Ok(true)
}

/// All failures are in the journal.
///
/// # Errors
/// Where the disk refuses; they are told again.
pub fn told(disk: &dyn Disk) -> io::Result<()> {
    let mut state = State::load(disk)?;
    if state.failed.iter().any(|failed| !failed.told) {
        state.failed.iter_mut().for_each(|failed| failed.told = true);
        state.store(disk)?;
    }
    Ok(())
}

/// The machine, since it was switched on.
#[derive(Debug, Clone)]
pub struct Boot {
    /// Another after each boot.
    pub id: String,
    pub uptime_ms: u64,
}

/// What is to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// `None`: the packaged program.
    pub installed: Option<Installed>,
    /// On trial: after so long it is to be ended, milliseconds.
    pub trial_ms: Option<u64>,
}

/// Which program starts now. A trial that is over, or cannot be begun, is over for good.
///
/// Whatever the disk says there is an answer: a `current` that cannot be read means the packaged program.
///
/// `trial_s`: how long a program may take to prove itself, all its starts since the machine's boot together.
pub fn launch(disk: &dyn Disk, packaged: Version, boot: &Boot, trial_s: u64) -> Start {
    let factory = Start { installed: None, trial_ms: None };
    let Ok(mut state) = State::load(disk) else { return factory };
    if let Some((installed, Stage::Trial(trial))) = state.other.clone() {
        match try_on(disk, &mut state, packaged, installed.clone(), trial, boot, trial_s) {
            Ok(Some(trial_ms)) => return Start { installed: Some(installed), trial_ms: Some(trial_ms) },
            // The disk does not count: it is tried when it does.
            Ok(None) => {}
            Err(why) => {
                state.other = None;
                state.fail(installed.version, &why);
                // Refused by the disk, the same is decided at the next start.
                let _ = state.store(disk);
            }
        }
    }
    let sound = |installed: &&Installed| {
        installed.version > packaged && is_whole(disk, installed.slot.name(), &installed.sha256)
    };
    let kept = state.kept();
    let installed = state.good.as_ref().filter(sound).or_else(|| kept.filter(sound)).cloned();
    Start { installed, trial_ms: None }
}

/// How long this try may last; `None`: not now. `Err`: why it has failed.
fn try_on(
    disk: &dyn Disk,
    state: &mut State,
    packaged: Version,
    installed: Installed,
    mut trial: Trial,
    boot: &Boot,
    trial_s: u64,
) -> Result<Option<u64>, String> {
    if installed.version <= packaged {
        return Err(format!("the package brought {packaged} meanwhile"));
    }
    if trial.boot != boot.id {
        (trial.boot, trial.began_ms) = (boot.id.clone(), boot.uptime_ms);
    }
    let spent_ms = boot.uptime_ms.saturating_sub(trial.began_ms);
    let left_ms = trial_s.saturating_mul(1_000).saturating_sub(spent_ms);
    if left_ms == 0 {
        return Err(format!("in {trial_s} s no test alarm of it was accepted by a receiver"));
    }
    if trial.tries >= TRIES_MAX {
        return Err(format!("it ended {TRIES_MAX} times before a test alarm of it was accepted by a receiver"));
    }
    if !is_whole(disk, installed.slot.name(), &installed.sha256) {
        return Err("its bytes are not those that were signed".to_owned());
    }
    trial.tries += 1;
    state.other = Some((installed, Stage::Trial(trial)));
    Ok(state.store(disk).is_ok().then_some(left_ms))
}

/// The program on trial could not even be begun.
pub fn not_started(disk: &dyn Disk, version: Version, why: &str) {
    // Refused by the disk, its tries end it.
    let _ = go_back(disk, version, &format!("it could not be started: {why}"));
}

/// The file has the bytes with this sum.
pub fn is_whole(disk: &dyn Disk, name: &str, sha256: &str) -> bool {
    let sum = || -> io::Result<String> {
        let mut file = disk.open(name)?;
        let mut context = Context::new(&SHA256);
        let mut piece = vec![0; 64 * 1024];
        loop {
            let read = match file.read(&mut piece) {
                Ok(0) => return Ok(hex(context.finish().as_ref())),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            context.update(&piece[..read]);
        }
    };
    sum().is_ok_and(|found| found == sha256)
}

#[cfg(test)]
#[path = "slots_tests.rs"]
pub(crate) mod tests;
