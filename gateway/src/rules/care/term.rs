//! From when until when an agreement holds, and whose consent it rests on.
//!
//! Enters: the local dates agreed, the moment it was withdrawn. Leaves: whether it is in force at a moment. Invariant: what is not in
//! force is not judged by; it begins and ends by itself, without a reload (see [`super::Watch`]). Without dates it always holds.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::when::{instant, next};

/// Of one agreement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Term {
    /// Local date on which it begins.
    pub from: Option<Date>,
    /// Its last local date.
    pub until: Option<Date>,
    /// When the resident took the consent back, local time.
    pub withdrawn: Option<DateTime>,
    /// Who gave the consent.
    pub by: Option<String>,
    /// The local date on which it was given.
    pub on: Option<Date>,
    /// UTC milliseconds. `None`: not limited.
    pub from_ms: Option<i64>,
    /// UTC milliseconds, not included: the end of the last date, or the withdrawal. `None`: not limited.
    pub end_ms: Option<i64>,
}

impl Term {
    /// With the moments that its dates mean in `zone`.
    pub fn in_zone(self, zone: &TimeZone) -> Term {
        let midnight = |date: Date| instant(zone, date, jiff::civil::Time::midnight());
        let ends = self.until.map(|until| midnight(next(until)));
        let withdrawn = self.withdrawn_ms(zone);
        let end_ms = ends.into_iter().chain(withdrawn).min();
        Term { from_ms: self.from.map(midnight), end_ms, ..self }
    }

    /// UTC milliseconds.
    pub fn withdrawn_ms(&self, zone: &TimeZone) -> Option<i64> {
        self.withdrawn.map(|at| instant(zone, at.date(), at.time()))
    }

    /// In force at `at_ms`, UTC milliseconds.
    pub fn holds(&self, at_ms: i64) -> bool {
        self.from_ms.is_none_or(|from| from <= at_ms) && self.end_ms.is_none_or(|end| at_ms < end)
    }

    /// The moments at which it begins and ends, UTC milliseconds.
    pub fn turns(&self) -> impl Iterator<Item = i64> {
        self.from_ms.into_iter().chain(self.end_ms)
    }
}

#[cfg(test)]
#[path = "term_tests.rs"]
mod tests;
