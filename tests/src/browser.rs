//! A real browser, driven by a script of `tests/browser`: Debian's chromium through playwright-core.

use std::path::PathBuf;
use std::process::Command;

use crate::{Home, root};

/// Where `tests/run` has put what drives it.
fn modules() -> PathBuf {
    root().join("target/browser/node_modules")
}

pub(crate) fn is_there() -> bool {
    modules().join("playwright-core").is_dir()
}

/// Runs `tests/browser/SCRIPT.cjs` against the home's board to its end. What it needs more of goes as environment. Pictures it takes
/// are kept in `target/tests/screens`.
///
/// # Panics
/// With everything the script said, where it ended with anything but 0.
#[track_caller]
pub fn browse(home: &Home, script: &str, more: &[(&str, &str)]) {
    let screens = root().join("target/tests/screens");
    std::fs::create_dir_all(&screens).expect("a folder for pictures");
    // The browser's profile lies here, where it can be searched.
    let profile = tempfile::TempDir::with_prefix("vaka-browser-").expect("a temporary directory");
    let output = Command::new("node")
        .env("TMPDIR", profile.path())
        .arg(root().join("tests/browser").join(script).with_extension("cjs"))
        .env("NODE_PATH", modules())
        .env("VAKA_BOARD", format!("https://localhost:{}", home.board_port()))
        .env("VAKA_MQTT", home.mqtt_port.to_string())
        .env("VAKA_HOME", home.path(""))
        .env("VAKA_BIN", crate::vaka_bin())
        .env("VAKA_SCREENS", &screens)
        .envs(more.iter().copied())
        .output()
        .expect("node runs");
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script} ended with {}\n{said}\n{wrong}", output.status);
    print!("{said}");
}
