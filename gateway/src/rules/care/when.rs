//! Local time: the agreed hours of a day as moments in UTC, through the two nights a year on which clocks are set.
//!
//! Enters: a time zone, times of day, a moment. Leaves: UTC milliseconds. Invariants: a window has the length that it has on
//! the wall (a night is 23 or 25 hours' worth when it is); a time that does not exist is the moment the clocks were set; one
//! that comes twice is its first, and where it ends a window its last: a look-in is made rather too early than too late, and a
//! window rather covers too much.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan};

/// A part of the day in local time, `until` not included. At or before `from`: it ends the day after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Daily {
    pub from: Time,
    pub until: Time,
}

/// One such part, on its day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The local day on which it begins: its name.
    pub date: Date,
    /// UTC milliseconds.
    pub start_ms: i64,
    /// UTC milliseconds, not included.
    pub end_ms: i64,
}

/// Days of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days(u8);

impl Days {
    pub const ALL: Days = Days(0x7f);

    pub fn of(days: &[Weekday]) -> Days {
        Days(days.iter().fold(0, |bits, day| bits | 1 << day.to_monday_zero_offset()))
    }

    /// A day is in both.
    pub fn overlaps(self, other: Days) -> bool {
        self.0 & other.0 != 0
    }

    pub fn contains(self, day: Weekday) -> bool {
        self.0 & 1 << day.to_monday_zero_offset() != 0
    }
}

/// Which of two moments a local time means that comes twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    First,
    Last,
}

/// The moment, in UTC milliseconds, of a local time on a day.
pub fn instant(zone: &TimeZone, date: Date, time: Time) -> i64 {
    resolve(zone, date, time, Which::First)
}

fn resolve(zone: &TimeZone, date: Date, time: Time, which: Which) -> i64 {
    let ambiguous = zone.to_ambiguous_timestamp(date.to_datetime(time));
    let at = match (ambiguous.offset(), which) {
        // The moment at which the clocks are set: the one before it still has the old offset.
        (AmbiguousOffset::Gap { .. }, _) => ambiguous.later().map(|after| set_at_or_before(zone, after)),
        (_, Which::First) => ambiguous.earlier(),
        (_, Which::Last) => ambiguous.later(),
    };
    // Only at the ends of the calendar, where nobody lives.
    at.map_or(i64::MAX / 2, |at| at.as_millisecond())
}

fn set_at_or_before(zone: &TimeZone, at: Timestamp) -> Timestamp {
    let after = at.checked_add(1.nanosecond()).unwrap_or(at);
    zone.preceding(after).next().map_or(at, |transition| transition.timestamp())
}

/// The local day and time of a moment in UTC milliseconds.
pub fn local(zone: &TimeZone, at_ms: i64) -> jiff::civil::DateTime {
    let at = Timestamp::from_millisecond(at_ms).unwrap_or_default();
    zone.to_datetime(at)
}

impl Daily {
    /// This window as it begins on `date`.
    pub fn on(&self, zone: &TimeZone, date: Date) -> Span {
        let ends = if self.until <= self.from { next(date) } else { date };
        Span {
            date,
            start_ms: resolve(zone, date, self.from, Which::First),
            end_ms: resolve(zone, ends, self.until, Which::Last),
        }
    }

    /// The window that `at_ms` lies in, else the next to begin.
    pub fn around(&self, zone: &TimeZone, at_ms: i64) -> Span {
        let today = local(zone, at_ms).date();
        let days = [today.yesterday().unwrap_or(today), today, next(today), next(next(today))];
        let spans = days.map(|date| self.on(zone, date));
        spans.into_iter().find(|span| at_ms < span.end_ms).unwrap_or(spans[3])
    }
}

impl Span {
    pub fn contains(&self, at_ms: i64) -> bool {
        (self.start_ms..self.end_ms).contains(&at_ms)
    }

    /// The moment of a local time within this window; of a time outside it, on the day on which the window begins.
    pub fn instant(&self, zone: &TimeZone, daily: &Daily, time: Time) -> i64 {
        let crosses = daily.until <= daily.from;
        let date = if crosses && time < daily.from { next(self.date) } else { self.date };
        instant(zone, date, time)
    }
}

/// The day after.
pub fn next(date: Date) -> Date {
    date.tomorrow().unwrap_or(date)
}

#[cfg(test)]
mod tests {
    use jiff::civil::{date, time};

    use super::*;

    fn stockholm() -> TimeZone {
        TimeZone::get("Europe/Stockholm").unwrap()
    }

    fn utc(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    const NIGHT: Daily = Daily { from: time(22, 0, 0, 0), until: time(6, 30, 0, 0) };

    #[test]
    fn a_night_has_the_hours_it_has() {
        let zone = stockholm();
        let hours = |day| {
            let span = NIGHT.on(&zone, day);
            (span.end_ms - span.start_ms) as f64 / 3_600_000.0
        };
        assert_eq!(hours(date(2026, 11, 20)), 8.5);
        assert_eq!(hours(date(2026, 10, 24)), 9.5, "clocks are set back on the 25th");
        assert_eq!(hours(date(2027, 3, 27)), 7.5, "and forward on the 28th");
    }

    #[test]
    fn a_time_that_comes_twice_is_its_first_and_ends_a_window_with_its_last() {
        let zone = stockholm();
        assert_eq!(instant(&zone, date(2026, 10, 25), time(2, 30, 0, 0)), utc("2026-10-25T00:30:00Z"));
        let until = Daily { from: time(22, 0, 0, 0), until: time(2, 30, 0, 0) };
        assert_eq!(until.on(&zone, date(2026, 10, 24)).end_ms, utc("2026-10-25T01:30:00Z"));
        let folded = Daily { from: time(2, 0, 0, 0), until: time(3, 0, 0, 0) };
        let span = folded.on(&zone, date(2026, 10, 25));
        assert_eq!(span.end_ms - span.start_ms, 2 * 3_600_000);
    }

    #[test]
    fn a_time_that_does_not_exist_is_the_moment_the_clocks_were_set() {
        let zone = stockholm();
        let set = utc("2027-03-28T01:00:00Z");
        for minutes in [0, 1, 30, 59] {
            assert_eq!(instant(&zone, date(2027, 3, 28), time(2, minutes, 0, 0)), set);
        }
        assert_eq!(instant(&zone, date(2027, 3, 28), time(3, 0, 0, 0)), set);
        assert_eq!(instant(&zone, date(2027, 3, 28), time(3, 0, 1, 0)), set + 1_000);
    }

    #[test]
    fn the_window_around_a_moment() {
        let zone = stockholm();
        let at = |text: &str| NIGHT.around(&zone, utc(text)).date;
        assert_eq!(at("2026-11-21T02:00:00Z"), date(2026, 11, 20), "03:00 belongs to the evening before");
        assert_eq!(at("2026-11-21T05:29:59.999Z"), date(2026, 11, 20));
        assert_eq!(at("2026-11-21T05:30:00Z"), date(2026, 11, 21), "from then on the next is meant");
        assert_eq!(at("2026-11-21T22:00:00Z"), date(2026, 11, 21));
        let whole_day = Daily { from: time(8, 0, 0, 0), until: time(8, 0, 0, 0) };
        let span = whole_day.around(&zone, utc("2026-11-21T06:00:00Z"));
        assert_eq!((span.date, span.end_ms - span.start_ms), (date(2026, 11, 20), 86_400_000));
        let span = NIGHT.on(&zone, date(2026, 11, 20));
        assert_eq!(span.instant(&zone, &NIGHT, time(3, 0, 0, 0)), utc("2026-11-21T02:00:00Z"));
        assert_eq!(span.instant(&zone, &NIGHT, time(23, 0, 0, 0)), utc("2026-11-20T22:00:00Z"));
    }

    #[test]
    fn days_of_the_week() {
        let weekend = Days::of(&[Weekday::Saturday, Weekday::Sunday]);
        assert!(weekend.contains(Weekday::Sunday) && !weekend.contains(Weekday::Monday));
        assert!(Days::ALL.contains(Weekday::Monday));
    }
}
