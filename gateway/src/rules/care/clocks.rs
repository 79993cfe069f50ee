//! How far a device's own clock is behind, as its events show.
//!
//! Enters: what each event says of when it happened (the device's clock, how long it had run), and when it was recorded. Leaves: milliseconds.
//! What had waited for a connection is late for a reason, and keeps its time: it comes soon after the connection, or its uptime shows how long it
//! waited. What is late without either shows a clock that is behind. Invariants: a clock is not held to be further behind than its
//! newest event allows (nothing is recorded before it happened); nothing is ever judged to be later than it was recorded.

use serde::{Deserialize, Serialize};

use super::moment::At;
use crate::limits::{CLOCK_PROOF_MS, DELAYED_MS, EARLIEST_TIME_MS};

/// What an event says of its time.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    /// The device's boot.
    pub restart: u32,
    /// Since then, milliseconds.
    pub uptime_ms: Option<u64>,
    /// By its clock, UTC milliseconds.
    pub at: Option<i64>,
}

/// One device's clock.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// 0: not known to be.
    #[serde(default)]
    behind_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    started: Option<Started>,
}

/// When the device started, by what came soonest of this boot of its, on the clock of one boot of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Started {
    restart: u32,
    boot: u32,
    /// At the latest, on our running clock.
    mono_ms: i64,
    /// Since when that is looked at, on the same clock.
    since_ms: i64,
}

impl Clock {
    pub fn behind_ms(&self) -> i64 {
        self.behind_ms
    }

    pub fn is_unknown(&self) -> bool {
        *self == Clock::default()
    }

    /// `came`: since when it is connected. `catching_up`: since when it sends late events without a pause.
    pub fn tell(&mut self, stamp: &Stamp, recorded: At, came: Option<At>, catching_up: Option<At>) {
        let waited_ms = stamp.uptime_ms.and_then(|uptime_ms| self.waited_ms(stamp.restart, uptime_ms, recorded));
        let Some(at) = stamp.at.filter(|at| *at >= EARLIEST_TIME_MS) else { return };
        let lag_ms = recorded.wall_ms.saturating_sub(at);
        if lag_ms < self.behind_ms.saturating_sub(DELAYED_MS) {
            // It was set meanwhile.
            self.behind_ms = 0;
        }
        if lag_ms <= self.behind_ms.saturating_add(DELAYED_MS) {
            return;
        }
        let is_long = |since: At| since.boot == recorded.boot && recorded.since_ms(&since) > CLOCK_PROOF_MS;
        let by_connection = came.is_some_and(|came| {
            let is_backlog = catching_up.is_some_and(|since| since.since_ms(&came) <= CLOCK_PROOF_MS);
            is_long(came) && !is_backlog
        });
        let is_behind = match waited_ms {
            // Its uptime says that it waited.
            Some((waited_ms, _)) if waited_ms > DELAYED_MS => false,
            Some((_, known_ms)) => by_connection || known_ms > CLOCK_PROOF_MS,
            None => by_connection,
        };
        if is_behind {
            self.behind_ms = lag_ms;
        }
    }

    /// How long the event waited at least before it was recorded, and for how long that can be told, in milliseconds. `None`: the first
    /// event of its boot shows nothing.
    fn waited_ms(&mut self, restart: u32, uptime_ms: u64, recorded: At) -> Option<(i64, i64)> {
        let mono_ms = recorded.mono_ms.saturating_sub(i64::try_from(uptime_ms).unwrap_or(i64::MAX));
        let same = |known: &&mut Started| (known.restart, known.boot) == (restart, recorded.boot);
        match self.started.as_mut().filter(same) {
            Some(known) => {
                let waited_ms = mono_ms.saturating_sub(known.mono_ms).max(0);
                known.mono_ms = known.mono_ms.min(mono_ms);
                Some((waited_ms, recorded.mono_ms.saturating_sub(known.since_ms)))
            }
            None => {
                let since_ms = recorded.mono_ms;
                self.started = Some(Started { restart, boot: recorded.boot, mono_ms, since_ms });
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;
    const NOON: i64 = 1_800_000_000_000;

    fn minute(minutes: i64) -> At {
        At { wall_ms: NOON + minutes * MINUTE, mono_ms: minutes * MINUTE, boot: 1, record: 1 }
    }

    /// What is known of the clock after events (recorded, stamped, uptime), all in minutes; connected at `came`.
    fn behind_min(came: Option<i64>, events: &[(i64, i64, Option<u64>)]) -> i64 {
        let mut clock = Clock::default();
        for (recorded, at, uptime) in events {
            let uptime_ms = uptime.map(|minutes| minutes * MINUTE.unsigned_abs());
            let stamp = Stamp { restart: 1, uptime_ms, at: Some(NOON + at * MINUTE) };
            clock.tell(&stamp, minute(*recorded), came.map(minute), None);
        }
        clock.behind_ms() / MINUTE
    }

    #[test]
    fn late_on_a_connection_that_has_stood_long_is_a_clock_that_is_behind() {
        assert_eq!(behind_min(Some(0), &[(30, -90, None)]), 120);
        assert_eq!(behind_min(Some(0), &[(10, -110, None)]), 0, "it may still tell what waited");
        assert_eq!(behind_min(None, &[(30, -90, None)]), 0, "nobody knows since when it is connected");
        assert_eq!(behind_min(Some(0), &[(30, 30, None)]), 0);
    }

    #[test]
    fn what_its_uptime_says_has_waited_keeps_its_time() {
        // Heard at once at minute 1; twenty minutes in the dark; what it told itself at minute 12 comes at minute 30.
        assert_eq!(behind_min(Some(0), &[(1, 1, Some(1)), (30, 12, Some(12))]), 0);
        // The same stamp, and it happened now: its clock stands.
        assert_eq!(behind_min(Some(0), &[(1, 1, Some(1)), (30, 12, Some(30))]), 18);
        assert_eq!(behind_min(None, &[(1, 1, Some(1)), (30, 12, Some(30))]), 18, "without a word on its connection");
        assert_eq!(behind_min(None, &[(1, 1, Some(1)), (9, -30, Some(9))]), 0, "too soon to tell");
    }

    #[test]
    fn a_clock_that_is_set_is_believed_again() {
        assert_eq!(behind_min(Some(0), &[(30, -90, None), (40, 40, None)]), 0);
        assert_eq!(behind_min(Some(0), &[(30, -90, None), (40, -20, None)]), 60, "and is behind still, by less");
        assert_eq!(behind_min(Some(0), &[(30, -90, None), (40, -80, None), (50, -70, None)]), 120);
    }
}
