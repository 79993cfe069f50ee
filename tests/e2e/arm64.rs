//! The package for arm64, as `tests/package/arm64` has built its program: another machine's program, and nothing else is another.
//! That it works is told by the main job's tests, which that script runs again with it.

use std::path::Path;
use std::process::Command;

use vaka_tests::{lacks, made, make_package, pack, root, skip, vaka_bin};

/// A commit's time.
const THEN: i64 = 1_790_000_000;

/// One of the programs that write what goes into a package.
fn tool() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_manual"))
}

fn said(command: &[&str]) -> String {
    let output = Command::new(command[0]).args(&command[1..]).output().expect("it runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Mode, owner and path of each file.
fn contents(package: &Path) -> Vec<String> {
    let list = said(&["dpkg-deb", "--contents", package.to_str().expect("text")]);
    let columns = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        [columns[0], columns[1], columns[5]].join(" ")
    };
    list.lines().map(columns).collect()
}

#[test]
fn the_package_for_arm64_is_ours_with_a_program_for_arm64() {
    if lacks(&["dpkg-deb", "dpkg-shlibdeps"]) {
        return;
    }
    let program = root().join("target/cross/arm64/package/usr/bin/vaka");
    if !program.is_file() {
        return skip("no arm64: tests/package/arm64 build");
    }
    let folder = tempfile::tempdir().expect("a temporary directory");
    let ours = make_package(&folder.path().join("ours"), THEN, tool());
    let there = folder.path().join("arm64");
    let packed = pack(&there, THEN, tool(), &["--arch", "arm64"], &program);
    assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
    let package = made(&there);
    assert!(package.to_str().is_some_and(|name| name.ends_with("_arm64.deb")), "{}", package.display());
    assert_eq!(contents(&package), contents(&ours), "the same files");

    let field = |name: &str| said(&["dpkg-deb", "--field", package.to_str().expect("text"), name]);
    assert_eq!(field("Architecture").trim(), "arm64");
    // The oldest C library that has all it calls, as Debian's arm64 says; what runs it here has no newer one.
    let depends = field("Depends");
    assert!(depends.contains("libc6 (>= 2.") && depends.contains("adduser"), "{depends}");
    assert!(!depends.contains("cross"), "nothing of what it was built with: {depends}");

    let unpacked = folder.path().join("unpacked");
    let words = ["dpkg-deb", "-x", package.to_str().expect("text"), unpacked.to_str().expect("text")];
    said(&words);
    let bytes = std::fs::read(unpacked.join("usr/bin/vaka")).expect("the program");
    assert_eq!(bytes[..6], *b"\x7fELF\x02\x01", "64 bits, little-endian");
    assert_eq!(u16::from_le_bytes([bytes[18], bytes[19]]), 183, "AArch64");
    let built_in = root().to_string_lossy().into_owned();
    assert!(!bytes.windows(built_in.len()).any(|part| part == built_in.as_bytes()), "{built_in} stands in the program");
}

#[test]
fn a_program_of_another_machine_is_not_packed() {
    if lacks(&["dpkg-deb", "dpkg-shlibdeps"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary directory");
    let other = if cfg!(target_arch = "x86_64") { "arm64" } else { "amd64" };
    for (architecture, why) in [(other, "is no program for"), ("riscv64", "it can be amd64 or arm64")] {
        let refused = pack(folder.path(), THEN, tool(), &["--arch", architecture], &vaka_bin());
        let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(64), "{stderr}");
        assert!(stderr.contains(why) && stderr.contains(architecture), "{stderr}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 0, "no package is left");
}
