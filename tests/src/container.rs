//! A Debian of its own with a real systemd in it, from the tree that `tests/run` has fetched; what is changed there is gone afterwards.
//! Needs root and systemd-nspawn.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::home::Output;
use crate::{Process, eventually, has_program, root};

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
        let mut container = Container { dir, process, leader: 0 };
        let children = format!("/proc/{0}/task/{0}/children", container.process.id());
        let process = &container.process;
        container.leader = eventually(
            "the system's first process",
            || process.tail(),
            || std::fs::read_to_string(&children).ok()?.split_whitespace().next()?.parse().ok(),
        );
        let up = || container.run("systemctl is-system-running --wait").stdout.trim() == "running";
        eventually("the system to be up", || container.process.tail(), || up().then_some(()));
        Ok(container)
    }

    /// Runs words of a shell in it, as root.
    pub fn run(&self, script: &str) -> Output {
        self.enter(&["-m", "-u", "-i", "-n", "-p"], &["sh", "-c", script])
    }

    /// Runs a program of this machine on the other one's network.
    pub fn beside(&self, words: &[&str]) -> Output {
        self.enter(&["-n"], words)
    }

    fn enter(&self, spaces: &[&str], words: &[&str]) -> Output {
        let output = Command::new("nsenter")
            .args(["-t", &self.leader.to_string()])
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
        let _ = done(Command::new("umount").arg(&root));
    }
}
