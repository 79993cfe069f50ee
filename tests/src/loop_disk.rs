//! An ext4 file system in a file: filled, copied as the disk has it at a moment, unmounted when dropped. Needs root.
//!
//! The kernel writes nothing by itself for five minutes (`commit=300`), so that the image holds what was synced and little else.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::{eventually, program};

/// A mounted image.
pub struct LoopDisk {
    dir: TempDir,
}

fn run(name: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program(name)).args(args).output().map_err(|e| format!("{name}: {e}"))?;
    if !output.status.success() {
        return Err(format!("{name} {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary path is text")
}

impl LoopDisk {
    /// A new file system of this size. The error says why this machine or user cannot have one.
    pub fn make(mib: u64) -> Result<LoopDisk, String> {
        if run("id", &["-u"])? != "0" {
            return Err("not root: mounting an image needs it".into());
        }
        let disk = LoopDisk::empty();
        let image = disk.image();
        File::create(&image)
            .and_then(|file| file.set_len(mib << 20))
            .map_err(|e| format!("{}: {e}", image.display()))?;
        run("mkfs.ext4", &["-q", "-F", "-b", "4096", "-m", "0", text(&image)])?;
        disk.mount()?;
        Ok(disk)
    }

    fn empty() -> LoopDisk {
        let dir = TempDir::with_prefix("vaka-disk-").expect("a temporary directory");
        std::fs::create_dir(dir.path().join("mnt")).expect("a folder in it");
        LoopDisk { dir }
    }

    fn mount(&self) -> Result<(), String> {
        run("mount", &["-o", "loop,commit=300", text(&self.image()), text(&self.path())]).map(drop)
    }

    fn image(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("mnt")
    }

    /// What the power cut leaves: the image as it is now, nothing synced for the purpose, mounted as another disk.
    #[track_caller]
    pub fn cut(&self) -> LoopDisk {
        let copy = LoopDisk::empty();
        let (from, to) = (self.image(), copy.image());
        // A copy during which the kernel wrote would show a disk that never was.
        eventually(
            "the image to hold still for a copy",
            || from.display().to_string(),
            || {
                run("cp", &["--sparse=always", text(&from), text(&to)]).unwrap_or_else(|e| panic!("{e}"));
                run("cmp", &["-s", text(&from), text(&to)]).ok()
            },
        );
        copy.mount().unwrap_or_else(|e| panic!("the disk cannot be mounted after the cut: {e}"));
        copy
    }

    /// While this is held nothing is written, and whoever tries waits: a disk that hangs. Held after whoever writes there, or that one
    /// could not be ended.
    #[track_caller]
    pub fn freeze(&self) -> Frozen<'_> {
        run("fsfreeze", &["-f", text(&self.path())]).unwrap_or_else(|e| panic!("{e}"));
        Frozen(self)
    }

    /// Whether these words, of one line, are anywhere on the disk itself, in a file or not, after all is written out.
    #[track_caller]
    pub fn holds(&self, words: &str) -> bool {
        run("sync", &["-f", text(&self.path())]).unwrap_or_else(|e| panic!("{e}"));
        let found = Command::new("grep").args(["-aqF", "-e", words, text(&self.image())]).status().expect("grep");
        match found.code() {
            Some(0) => true,
            Some(1) => false,
            code => panic!("grep in {}: {code:?}", self.image().display()),
        }
    }

    /// Whether these bytes are, in the same sense.
    #[track_caller]
    pub fn holds_bytes(&self, bytes: &[u8]) -> bool {
        run("sync", &["-f", text(&self.path())]).unwrap_or_else(|e| panic!("{e}"));
        let image = std::fs::read(self.image()).unwrap_or_else(|e| panic!("{}: {e}", self.image().display()));
        let (first, rest) = bytes.split_first().expect("bytes to look for");
        let mut from = 0;
        while let Some(at) = image[from..].iter().position(|byte| byte == first) {
            from += at + 1;
            if image[from..].starts_with(rest) {
                return true;
            }
        }
        false
    }

    /// Bytes that a program can still write.
    #[track_caller]
    pub fn free_bytes(&self) -> u64 {
        let said = run("stat", &["-f", "-c", "%a %S", text(&self.path())]).unwrap_or_else(|e| panic!("{e}"));
        said.split(' ').map(|n| n.parse::<u64>().expect("a number")).product()
    }

    /// Another program fills the disk, or makes room, until this many bytes are free.
    #[track_caller]
    pub fn leave(&self, bytes: u64) {
        let path = self.path().join("ballast");
        let mut file =
            OpenOptions::new().create(true).append(true).open(path).unwrap_or_else(|e| panic!("the ballast: {e}"));
        let length = file.metadata().expect("its length").len();
        let free = self.free_bytes();
        if free < bytes {
            file.set_len(length.saturating_sub(bytes - free)).expect("shrinking the ballast");
        } else {
            let block = [0x5a; 4096];
            for _ in 0..(free - bytes) / block.len() as u64 {
                match file.write_all(&block) {
                    Err(e) if e.kind() == io::ErrorKind::StorageFull => break,
                    other => other.expect("filling the disk"),
                }
            }
        }
        file.sync_all().expect("syncing the ballast");
    }

    /// The other program's file is deleted.
    #[track_caller]
    pub fn free_all(&self) {
        let path = self.path().join("ballast");
        std::fs::remove_file(path).expect("removing the ballast");
        run("sync", &["-f", text(&self.path())]).unwrap_or_else(|e| panic!("{e}"));
    }
}

/// A disk that hangs, until this is dropped.
pub struct Frozen<'d>(&'d LoopDisk);

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        let _ = run("fsfreeze", &["-u", text(&self.0.path())]);
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        // Not mounted if making it failed half way.
        let _ = run("umount", &[text(&self.path())]);
    }
}
