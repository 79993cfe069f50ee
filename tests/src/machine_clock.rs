//! A machine on which weeks go by in a test: its running clock and its time of day move together when told to.

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
    /// As the machine's own, and a time source vouches for it. The compiler (`rustc`) makes the library for it.
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
        clock.tell(0, 0);
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
        self.tell(0, self.ahead_ms);
    }

    /// Whether a time source vouches for it.
    pub fn vouch(&self, is_vouched: bool) {
        self.tell(8, i64::from(is_vouched));
    }

    fn tell(&self, at: u64, number: i64) {
        self.told.write_all_at(&number.to_le_bytes(), at).expect("the clock's file");
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
