//! Writes down when this program was built, as no clock that shows less is right, and for which machines.

use std::time::{SystemTime, UNIX_EPOCH};

#[expect(clippy::disallowed_methods, reason = "the build's own time is what is written down")]
fn main() {
    println!("cargo:rerun-if-env-changed=SOURCE_DATE_EPOCH");
    println!("cargo:rerun-if-changed=build.rs");
    // Given where the build has to come out the same twice (reproducible-builds.org).
    let given = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse().ok());
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    println!("cargo:rustc-env=VAKA_BUILT_S={}", given.unwrap_or_else(now));
    println!("cargo:rustc-env=VAKA_TARGET={}", std::env::var("TARGET").unwrap_or_default());
}
