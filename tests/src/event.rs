//! Payloads as a device's script would write them.

use std::time::{SystemTime, UNIX_EPOCH};

/// UTC milliseconds by this machine's clock.
#[allow(clippy::disallowed_methods, reason = "a device has a clock of its own")]
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock stands after 1970").as_millis() as i64
}

/// An event as JSON, stamped now: `event(1, 7, r#"{"motion":{}}"#)`.
pub fn event(restart: u32, seq: u64, body: &str) -> String {
    format!(r#"{{"v":1,"restart":{restart},"seq":{seq},"at":{},"event":{body}}}"#, now_ms())
}

/// A short press of a pendant, stamped now.
pub fn press(restart: u32, seq: u64) -> String {
    event(restart, seq, r#"{"button":{"press":"short"}}"#)
}
