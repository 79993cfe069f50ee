//! A machine on which months go by in a test: its running clock and its time of day move when told to, together or the latter alone.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

const SHIM: &str = include_str!("machine_clock/shim.rs");

/// The clocks of the programs that were started with its [`environment`](MachineClock::environment).
pub struct MachineClock {
    dir: TempDir,
    told: File,
    ahead_ms: i64,
}

impl MachineClock {
    /// As the machine's own, and a time source vouches for it. The compiler that built this test makes the library for it.
    #[track_caller]
    pub fn new() -> MachineClock {
        let dir = tempfile::tempdir().expect("a folder for the clock");
        let source = dir.path().join("shim.rs");
        std::fs::write(&source, SHIM).expect("the shim's source");
        let built = Command::new("rustc")
            .args(["--edition", "2024", "--crate-type", "cdylib", "-C", "opt-level=1", "-C", "panic=abort", "-o"])
            .arg(library(dir.path()))
            .arg(&source)
            .output()
            .expect("rustc");
        assert!(built.status.success(), "the clock's library: {}", String::from_utf8_lossy(&built.stderr));
        let told = File::create(dir.path().join("told")).expect("the clock's file");
        let clock = MachineClock { dir, told, ahead_ms: 0 };
        clock.vouch(true);
        clock
    }

    /// For `Gateway::start_with` and `Home::vaka_with`.
    pub fn environment(&self) -> [(&'static str, String); 2] {
        let path = |path: PathBuf| path.display().to_string();
        [("LD_PRELOAD", path(library(self.dir.path()))), ("MACHINE_CLOCK", path(self.dir.path().join("told")))]
    }

    /// So many hours go by.
    pub fn hours(&mut self, hours: u32) {
        self.ahead_ms += i64::from(hours) * 3_600_000;
        self.told.write_all_at(&self.ahead_ms.to_le_bytes(), 0).expect("the clock's file");
    }

    /// Whether a time source vouches for it.
    pub fn vouch(&self, is_vouched: bool) {
        self.told.write_all_at(&self.ahead_ms.to_le_bytes(), 0).expect("the clock's file");
        self.told.write_all_at(&i64::from(is_vouched).to_le_bytes(), 8).expect("the clock's file");
    }
}

impl Default for MachineClock {
    fn default() -> Self {
        Self::new()
    }
}

fn library(dir: &Path) -> PathBuf {
    dir.join("libmachine_clock.so")
}
