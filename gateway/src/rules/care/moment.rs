//! When something happened and how long ago, on two clocks: the wall's, which may be set, and the machine's, which only runs.
//!
//! Invariant: how long something has lasted is measured on the running clock within one boot, so that a clock that is set
//! neither hurries an alarm nor keeps it waiting. Across boots the wall clock says, but never less than this run has lasted: what happened
//! in an earlier one was before it, whatever year it bears. A box that believed in 2038 for a day would else wait twelve years.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

/// This moment, as the rules are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// UTC milliseconds.
    pub wall_ms: i64,
    /// Monotonic milliseconds within `boot`.
    pub mono_ms: u64,
    pub boot: u32,
    /// How long this run has lasted, in milliseconds of the running clock; 0 where that is not known.
    pub ran_ms: i64,
    /// The wall clock is not known to be wrong.
    pub sure: bool,
}

/// When something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct At {
    /// UTC milliseconds.
    #[serde(rename = "w")]
    pub wall_ms: i64,
    /// On the machine's clock of `boot`; below zero: before it ran.
    #[serde(rename = "m")]
    pub mono_ms: i64,
    #[serde(rename = "b")]
    pub boot: u32,
    /// Sequence number of the record that tells of it: grows with every record.
    #[serde(rename = "r")]
    pub record: u64,
}

impl Moment {
    /// How long ago, in milliseconds; never below 0.
    pub fn age_ms(&self, at: &At) -> i64 {
        self.signed_age_ms(at).max(0)
    }

    /// As [`Moment::age_ms`], below 0 of what bears a time that is still to come. Which of two is the older does not change by time alone.
    pub fn signed_age_ms(&self, at: &At) -> i64 {
        let by_wall_ms = self.wall_ms.saturating_sub(at.wall_ms);
        match at.boot.cmp(&self.boot) {
            Ordering::Equal => i64::try_from(self.mono_ms).unwrap_or(i64::MAX).saturating_sub(at.mono_ms),
            Ordering::Less => by_wall_ms.max(self.ran_ms),
            // What no boot measured.
            Ordering::Greater => by_wall_ms,
        }
    }
}

impl At {
    /// On the running clock where both are of one boot, else on the wall's.
    pub fn is_before(&self, other: &At) -> bool {
        match self.boot == other.boot {
            true => self.mono_ms < other.mono_ms,
            false => self.wall_ms < other.wall_ms,
        }
    }

    /// How long from `earlier` until this, in milliseconds; never below 0.
    pub fn since_ms(&self, earlier: &At) -> i64 {
        let ms = match self.boot == earlier.boot {
            true => self.mono_ms.saturating_sub(earlier.mono_ms),
            false => self.wall_ms.saturating_sub(earlier.wall_ms),
        };
        ms.max(0)
    }

    /// Recorded at `recorded`, and happened `happened_ms` (UTC milliseconds) by the best clock known.
    pub fn happened(recorded: At, happened_ms: i64) -> At {
        let earlier_ms = recorded.wall_ms.saturating_sub(happened_ms);
        At { wall_ms: happened_ms, mono_ms: recorded.mono_ms.saturating_sub(earlier_ms), ..recorded }
    }

    /// As [`At::since_ms`], below 0 where this was before `earlier`.
    pub fn after_ms(&self, earlier: &At) -> i64 {
        match self.boot == earlier.boot {
            true => self.mono_ms.saturating_sub(earlier.mono_ms),
            false => self.wall_ms.saturating_sub(earlier.wall_ms),
        }
    }
}
