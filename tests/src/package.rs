//! The Debian package of the program under test, as `deploy/debian/build` makes it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{root, vaka_bin};

/// Makes it in `folder`, as of that second; `tool` is one of the programs that write what goes in.
#[track_caller]
pub fn make_package(folder: &Path, second: i64, tool: &Path) -> PathBuf {
    let output = Command::new(root().join("deploy/debian/build"))
        .arg(folder)
        .env("VAKA_PROGRAM", vaka_bin())
        .env("VAKA_QUICK", "1")
        .env("VAKA_TOOLS", tool.parent().expect("a folder"))
        .env("SOURCE_DATE_EPOCH", second.to_string())
        .output()
        .unwrap_or_else(|e| panic!("deploy/debian/build: {e}"));
    assert!(output.status.success(), "deploy/debian/build: {}", String::from_utf8_lossy(&output.stderr));
    let made = std::fs::read_dir(folder).expect("the folder").flatten().map(|entry| entry.path());
    let mut made: Vec<PathBuf> = made.filter(|file| file.extension().is_some_and(|end| end == "deb")).collect();
    made.sort();
    made.pop().expect("a package")
}
