//! `vaka launch`: which version runs. The one part that no update changes: it is always the packaged program's.
//!
//! Enters: the home's `releases/`, the machine's boot. Leaves: the process becomes the program that is to run, with the same id, so
//! that a service manager sees one. Invariants: vaka.toml is not read, for a broken one must not keep a program from starting; what it
//! starts on trial is ended by the kernel after its time, whatever it does; without anything installed it is `vaka run`.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use vaka_update::limits::TRIAL_S;
use vaka_update::slots::{self, Boot, Start};

use super::{Exit, Failure};
use crate::clock::{Clock, SystemClock};
use crate::config;
use crate::update::{FORMATS, LAUNCHER, PACKAGED_FORMATS, RELEASE, Running, TRIAL, packaged, set_alarm_clock, word};

/// How often another program is chosen where one cannot be begun: each time one less is left.
const CHOICES_MAX: u32 = 4;

pub fn run(config: &Path) -> Result<Exit, Failure> {
    let attempt = "start the gateway";
    let file = std::path::absolute(config).map_err(|e| Failure::new(Exit::Usage, attempt, e, ""))?;
    let folder = config::releases_of(file.parent().unwrap_or(Path::new("/")));
    let launcher = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("vaka"));
    let trial_s = std::env::var(TRIAL).ok().and_then(|text| text.parse().ok()).filter(|s| *s > 0).unwrap_or(TRIAL_S);
    for _ in 0..CHOICES_MAX {
        let start = slots::launch(&folder, packaged(), &boot(), trial_s);
        let Start { installed: Some(installed), trial_ms } = start else { break };
        if let Some(trial_ms) = trial_ms {
            // It outlives the start below, and its default is to end the process.
            set_alarm_clock(u32::try_from(trial_ms.div_ceil(1_000)).unwrap_or(u32::MAX));
        }
        let program = folder.path(installed.slot.name());
        let error = Command::new(&program)
            .arg0("vaka")
            .args(["run", "--config"])
            .arg(&file)
            .env(RELEASE, word(Some(installed.version)))
            .env(LAUNCHER, &launcher)
            .env(PACKAGED_FORMATS, serde_json::to_string(&FORMATS).unwrap_or_default())
            .exec();
        set_alarm_clock(0);
        eprintln!(
            "vaka: start release {} ({}): {error}; the one before it is started",
            installed.version,
            program.display()
        );
        slots::not_started(&folder, installed.version, &error.to_string());
    }
    super::run::run(&file, Running { version: packaged(), launcher: Some(launcher), packaged: Some(FORMATS) })
}

/// The process becomes the launcher once more, which chooses anew.
pub fn again(launcher: &Path, config: &Path) -> Failure {
    let error = Command::new(launcher).arg0("vaka").args(["launch", "--config"]).arg(config).exec();
    Failure::new(Exit::Internal, format!("start {} anew", launcher.display()), error, "its service manager starts it")
}

fn boot() -> Boot {
    // Without the file each start counts as a boot of its own: three tries, and then back.
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    Boot { id: id.trim().to_owned(), uptime_ms: SystemClock::new().now().mono_ms }
}
