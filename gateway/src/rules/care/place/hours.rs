//! When a fence holds: always, or in agreed hours of agreed days; and when somebody is to be back.
//!
//! Enters: local hours, a moment. Leaves: UTC milliseconds. Invariant: hours that follow each other without a gap are one.

use jiff::ToSpan;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use crate::rules::care::when::{Daily, Days, Span, instant, local};

/// The hours in which a fence holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    pub days: Days,
    pub daily: Daily,
}

/// Days before and after today that may matter: a week, and one in which today's began.
const DAYS_AROUND: i64 = 8;

impl Hours {
    fn on(&self, zone: &TimeZone, date: Date) -> Option<Span> {
        self.days.contains(date.weekday()).then(|| self.daily.on(zone, date))
    }

    /// The hours that began last: their start and their end, not included, in UTC milliseconds. None: not within a week.
    pub fn last_begun(&self, zone: &TimeZone, now_ms: i64) -> Option<(i64, i64)> {
        let today = local(zone, now_ms).date();
        let spans = (0..=DAYS_AROUND).filter_map(|back| self.on(zone, today.checked_sub(back.days()).ok()?));
        let mut begun = spans.skip_while(|span| span.start_ms > now_ms);
        let newest = begun.next()?;
        let mut start_ms = newest.start_ms;
        let mut joined = 1;
        for earlier in begun {
            if earlier.end_ms < start_ms {
                return Some((start_ms, newest.end_ms));
            }
            start_ms = earlier.start_ms;
            joined += 1;
        }
        // A whole week without a gap has no beginning.
        Some((if joined >= 7 { i64::MIN } else { start_ms }, newest.end_ms))
    }

    /// When they begin next, UTC milliseconds.
    pub fn next_start(&self, zone: &TimeZone, now_ms: i64) -> Option<i64> {
        let today = local(zone, now_ms).date();
        let spans = (0..=DAYS_AROUND).filter_map(|ahead| self.on(zone, today.checked_add(ahead.days()).ok()?));
        spans.map(|span| span.start_ms).find(|start_ms| *start_ms > now_ms)
    }
}

/// A time by which somebody is to be back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackBy {
    pub days: Days,
    pub time: Time,
}

impl BackBy {
    fn near(&self, zone: &TimeZone, now_ms: i64, days: impl Iterator<Item = i64>) -> impl Iterator<Item = i64> {
        let today = local(zone, now_ms).date();
        let dates = days.filter_map(move |days| today.checked_add(days.days()).ok());
        let agreed = dates.filter(|date| self.days.contains(date.weekday()));
        agreed.map(|date| instant(zone, date, self.time))
    }

    /// The time that passed last, UTC milliseconds.
    pub fn last(&self, zone: &TimeZone, now_ms: i64) -> Option<i64> {
        self.near(zone, now_ms, (-DAYS_AROUND..=0).rev()).find(|at_ms| *at_ms <= now_ms)
    }

    /// The next to come, UTC milliseconds.
    pub fn next(&self, zone: &TimeZone, now_ms: i64) -> Option<i64> {
        self.near(zone, now_ms, 0..=DAYS_AROUND).find(|at_ms| *at_ms > now_ms)
    }
}
