//! The Debian package of the program under test, as `deploy/debian/build` makes it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::{root, vaka_bin};

/// Makes it in `folder`, as of that second; `tool` is one of the programs that write what goes in.
#[track_caller]
pub fn make_package(folder: &Path, second: i64, tool: &Path) -> PathBuf {
    let output = pack(folder, second, tool, &[], &vaka_bin());
    assert!(output.status.success(), "deploy/debian/build: {}", String::from_utf8_lossy(&output.stderr));
    made(folder)
}

/// `deploy/debian/build` with these words, on a program that is built already.
#[track_caller]
pub fn pack(folder: &Path, second: i64, tool: &Path, words: &[&str], program: &Path) -> Output {
    Command::new(root().join("deploy/debian/build"))
        .args(words)
        .arg(folder)
        .env("VAKA_PROGRAM", program)
        .env("VAKA_QUICK", "1")
        .env("VAKA_TOOLS", tool.parent().expect("a folder"))
        .env("SOURCE_DATE_EPOCH", second.to_string())
        .output()
        .unwrap_or_else(|e| panic!("deploy/debian/build: {e}"))
}

/// The newest package in `folder`.
#[track_caller]
pub fn made(folder: &Path) -> PathBuf {
    let made = std::fs::read_dir(folder).expect("the folder").flatten().map(|entry| entry.path());
    let mut made: Vec<PathBuf> = made.filter(|file| file.extension().is_some_and(|end| end == "deb")).collect();
    made.sort();
    made.pop().expect("a package")
}
