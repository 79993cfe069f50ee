//! A Debian of its own with a real systemd in it, from the tree that `tests/run` has fetched; what is changed there is gone afterwards.
//! Needs root and systemd-nspawn.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::home::Output;
use crate::{Process, eventually_within, has_program, root};

/// A system that runs until this is dropped.
pub struct Container {
    dir: TempDir,
    process: Process,
    /// The container's first process, as this machine numbers it.
    leader: u32,
}

/// Where `debootstrap` has put a small Debian.
fn tree() -> PathBuf {
    root().join("target/debian-root")
}

fn done(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

/// All that a system has of its own.
const INSIDE: &[&str] = &["-m", "-u", "-i", "-n", "-p"];

/// Runs a program in these spaces of the system whose first process is `leader`.
fn enter(leader: u32, spaces: &[&str], words: &[&str]) -> Output {
    let output = Command::new("nsenter")
        .args(["-t", &leader.to_string()])
        .args(spaces)
        .arg("--")
        .args(words)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .output()
        .expect("nsenter is in util-linux");
    Output {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Container {
    /// The error says why this machine or user cannot have one.
    pub fn boot() -> Result<Container, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("not root: a system of its own needs it".into());
        }
        if !has_program("systemd-nspawn") || !tree().join("usr/lib/systemd/systemd").is_file() {
            return Err("no systemd-nspawn, or no target/debian-root: `tests/run` makes both".into());
        }
        let dir = TempDir::with_prefix("vaka-system-").map_err(|e| e.to_string())?;
        for name in ["upper", "work", "root"] {
            std::fs::create_dir(dir.path().join(name)).map_err(|e| e.to_string())?;
        }
        let at = |name: &str| dir.path().join(name).display().to_string();
        let layers = format!("lowerdir={},upperdir={},workdir={}", tree().display(), at("upper"), at("work"));
        done(Command::new("mount").args(["-t", "overlay", "overlay", "-o", &layers, &at("root")]))?;
        let mut command = Command::new("systemd-nspawn");
        command
            .args(["--quiet", "--boot", "--register=no", "--keep-unit", "--private-network", "--console=pipe"])
            .arg(format!("--directory={}", at("root")))
            .arg(format!("--machine=vaka-{}", std::process::id()));
        let process = Process::start(&command, &dir.path().join("console.log"));
        let children = format!("/proc/{0}/task/{0}/children", process.id());
        // What it starts first is gone again: looked up anew until a system answers.
        let leader = eventually_within(
            Duration::from_secs(60),
            "the system to be up",
            || process.tail(),
            || {
                let leader = std::fs::read_to_string(&children).ok()?.split_whitespace().next_back()?.parse().ok()?;
                let state = enter(leader, INSIDE, &["systemctl", "is-system-running", "--wait"]).stdout;
                (state.trim() == "running").then_some(leader)
            },
        );
        Ok(Container { dir, process, leader })
    }

    /// Runs words of a shell in it, as root.
    pub fn run(&self, script: &str) -> Output {
        enter(self.leader, INSIDE, &["sh", "-c", script])
    }

    /// Runs a program of this machine on the other one's network.
    pub fn beside(&self, words: &[&str]) -> Output {
        enter(self.leader, &["-n"], words)
    }

    /// Takes this thread onto its network until the guard is dropped; what is started meanwhile stays there.
    #[track_caller]
    pub fn enter_network(&self) -> crate::netns::Inside {
        crate::netns::Inside::of(&format!("/proc/{}/ns/net", self.leader))
    }

    /// A file in it, seen from here.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("root").join(name.trim_start_matches('/'))
    }

    pub fn copy_in(&self, file: &Path, name: &str) {
        std::fs::copy(file, self.path(name)).expect("a file for the system");
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.process.signal("TERM");
        // A second one ends it at once.
        self.process.signal("TERM");
        self.process.wait();
        let root = self.dir.path().join("root");
        // What ran in it may be going still.
        let _ = done(Command::new("umount").args(["--lazy".as_ref(), root.as_os_str()]));
    }
}
