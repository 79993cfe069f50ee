//! `pki/floor`: the latest time that a time source has vouched for, over restarts. No clock is believed before it.

use tracing::warn;

use super::{Pki, files};
use crate::limits;

/// How much earlier than the time that is vouched for the floor is kept, in milliseconds: a time source may still correct itself.
const ROOM_MS: i64 = 24 * 60 * 60 * 1_000;

/// UTC milliseconds; 0 where there is none yet, or it cannot be read.
pub fn read_floor(pki: &Pki) -> i64 {
    let text = std::fs::read_to_string(pki.floor()).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

/// Raises it to a day before `now_ms`, which a time source vouches for. It never falls.
pub fn write_floor(pki: &Pki, now_ms: i64) {
    let floor_ms = now_ms.saturating_sub(ROOM_MS).min(limits::PLAUSIBLE_TIME_MS_MAX);
    let known_ms = read_floor(pki);
    if floor_ms <= known_ms {
        return;
    }
    // One false answer of a time source must not hold the clock in another decade for ever.
    if floor_ms > known_ms.max(crate::clock::built_ms()).saturating_add(limits::CLOCK_AHEAD_MS_MAX) {
        return warn!("a time source says {now_ms} (UTC milliseconds), too far ahead to be kept as the earliest time");
    }
    if let Err(error) = files::write(&pki.floor(), format!("{floor_ms}\n").as_bytes(), files::PUBLIC) {
        warn!("keeping the latest time that is known: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rises_and_never_falls() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("pki")).unwrap();
        let pki = Pki::beside(dir.path());
        let now_ms = limits::PLAUSIBLE_TIME_MS + 10 * ROOM_MS;
        assert_eq!(read_floor(&pki), 0);
        write_floor(&pki, now_ms);
        assert_eq!(read_floor(&pki), now_ms - ROOM_MS);
        write_floor(&pki, now_ms - ROOM_MS);
        assert_eq!(read_floor(&pki), now_ms - ROOM_MS);
        let decade_ms = 10 * 365 * ROOM_MS;
        write_floor(&pki, now_ms.max(crate::clock::built_ms()) + decade_ms);
        assert_eq!(read_floor(&pki), now_ms - ROOM_MS, "one false answer moves nothing by years");
        std::fs::write(pki.floor(), "torn").unwrap();
        assert_eq!(read_floor(&pki), 0);
    }
}
