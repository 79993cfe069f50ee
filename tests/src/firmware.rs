//! The firmware's images: built from `firmware/board-mps2` by Debian's Rust, which has the sources of `core` that no image
//! can be built without.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::needs::is_waived;
use crate::{has_program, root, skip};

/// Debian's compiler and the sources that belong to it; rustup's own have none.
const RUSTC: &str = "/usr/bin/rustc";
const CARGO: &str = "/usr/bin/cargo";
const SOURCES: &str = "/usr/lib/rustlib/src/rust/library/core";

/// What is missing to build and run an image; `None`: nothing.
pub fn missing() -> Option<String> {
    let files = [RUSTC, CARGO, SOURCES].into_iter().filter(|path| !Path::new(path).exists());
    let programs = ["arm-none-eabi-ld", "qemu-system-arm"].into_iter().filter(|name| !has_program(name));
    files.chain(programs).next().map(str::to_owned)
}

/// True, after saying so, if no image can be built here and the run was asked to go on without. Otherwise that fails the test.
pub fn lacks_firmware() -> bool {
    let Some(missing) = missing() else { return false };
    assert!(
        is_waived("VAKA_WITHOUT_FIRMWARE") || is_waived("VAKA_WITHOUT_PEERS"),
        "{missing} is not installed: `tests/run` installs it, or leaves the firmware out with VAKA_WITHOUT_FIRMWARE=1"
    );
    skip(&format!("no firmware: {missing}"));
    true
}

/// The image of that role, built if it is not up to date. Fails with the compiler's words.
#[track_caller]
pub fn image(role: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(build).join(role)
}

/// All images, with one build of what they share. Returns their directory.
fn build() -> PathBuf {
    let dir = root().join("firmware/board-mps2");
    let mut command = Command::new(CARGO);
    command.args(["build", "--release", "--locked", "--bins"]).current_dir(&dir);
    // Whatever cargo told this test of its own build is not for that one.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO") || text.starts_with("RUST") {
            command.env_remove(name);
        }
    }
    // The sources of `core` belong to this very compiler, so that its unstable option is one that fits.
    command.env("RUSTC_BOOTSTRAP", "1");
    let output = command.output().unwrap_or_else(|e| panic!("starting {CARGO}: {e}"));
    assert!(output.status.success(), "building the firmware:\n{}", String::from_utf8_lossy(&output.stderr));
    dir.join("target/thumbv7em-none-eabihf/release")
}
