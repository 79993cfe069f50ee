//! Nights as a bed sensor saw them: when to bed, when up, and each time up between.
//!
//! Enters: what the bed said, in any order. Leaves: a line for each night. Nothing here depends on what is agreed, so that the
//! figures of two homes, or of one home before and after a new agreement, can be laid side by side.
//! Invariant: a night is the longest stretch in bed that begins between 15:00 and 15:00 local time; an afternoon's nap is none.

use std::collections::BTreeMap;

use jiff::civil::{Date, Time, time};
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::rules::care::when;

/// From this local time on, whoever goes to bed begins the night of that day. Source: our choice, the hour at which the
/// fewest people are in bed for the night.
pub const NIGHT_TURNS: Time = time(15, 0, 0, 0);
/// Longest time out of bed after which the same night goes on, in milliseconds. Longer: the person has risen.
/// Shorter would split a night in two in which somebody sat up; longer would join a nap to the night. Source: our choice.
pub const APART_MS: i64 = 4 * 3_600_000;
/// Shortest stretch in bed that is called a night, in milliseconds. Below: somebody sat down on the bed. Source: our choice.
pub const NIGHT_MS_MIN: i64 = 2 * 3_600_000;

/// Shortest time out of bed that is one, in milliseconds. Below: a sensor that bounced, or somebody who turned over; nobody rises and
/// lies down again so fast. Source: our choice.
pub const UP_MS_MIN: i64 = 5_000;

/// One night of one bed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Night {
    /// The local day on whose evening it begins (before 15:00: the day before).
    #[serde(serialize_with = "super::figures::as_text")]
    pub date: Date,
    /// UTC milliseconds.
    pub to_bed_at: i64,
    /// UTC milliseconds. Absent: not up when the recording ends.
    pub up_at: Option<i64>,
    /// Each time up in between: UTC milliseconds from and until.
    pub absences: Vec<(i64, i64)>,
}

impl Night {
    /// The longest time up in between, in milliseconds.
    pub fn longest_absence_ms(&self) -> i64 {
        self.absences.iter().map(|(from, until)| until - from).max().unwrap_or(0)
    }
}

/// What one bed has said.
#[derive(Debug, Default, Clone)]
pub struct Bed(BTreeMap<(i64, u64), bool>);

impl Bed {
    /// `at`: UTC milliseconds; `record` orders what happened at the same one.
    pub fn said(&mut self, at: i64, record: u64, occupied: bool) {
        self.0.insert((at, record), occupied);
    }

    /// Every night that the bed has seen, in order.
    pub fn nights(&self, zone: &TimeZone) -> Vec<Night> {
        let mut stretches: Vec<Night> = Vec::new();
        for (from, until) in self.in_bed() {
            match stretches.last_mut() {
                Some(last) if last.up_at.is_some_and(|up| from - up < APART_MS) => {
                    last.absences.extend(last.up_at.map(|up| (up, from)).filter(|(up, from)| from - up >= UP_MS_MIN));
                    last.up_at = until;
                }
                _ => {
                    let night =
                        Night { date: night_of(zone, from), to_bed_at: from, up_at: until, absences: Vec::new() };
                    stretches.push(night);
                }
            }
        }
        let mut nights: BTreeMap<Date, Night> = BTreeMap::new();
        for stretch in stretches {
            let long = |night: &Night| night.up_at.map_or(i64::MAX, |up| up - night.to_bed_at);
            if long(&stretch) >= NIGHT_MS_MIN
                && nights.get(&stretch.date).is_none_or(|known| long(known) < long(&stretch))
            {
                nights.insert(stretch.date, stretch);
            }
        }
        nights.into_values().collect()
    }

    /// From when until when somebody lay there.
    fn in_bed(&self) -> Vec<(i64, Option<i64>)> {
        let mut stretches = Vec::new();
        let mut since = None;
        for ((at, _), occupied) in &self.0 {
            match (since, occupied) {
                (None, true) => since = Some(*at),
                (Some(from), false) => {
                    stretches.push((from, Some(*at)));
                    since = None;
                }
                _ => {}
            }
        }
        stretches.extend(since.map(|from| (from, None)));
        stretches
    }
}

/// The night that a moment belongs to.
pub fn night_of(zone: &TimeZone, at_ms: i64) -> Date {
    let local = when::local(zone, at_ms);
    if local.time() < NIGHT_TURNS { local.date().yesterday().unwrap_or(local.date()) } else { local.date() }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn at(day: i8, hour: i8, minute: i8) -> i64 {
        when::instant(&TimeZone::UTC, date(2026, 11, day), time(hour, minute, 0, 0))
    }

    fn bed(words: &[(i64, bool)]) -> Bed {
        let mut bed = Bed::default();
        words.iter().enumerate().for_each(|(index, (at, on))| bed.said(*at, index as u64, *on));
        bed
    }

    #[test]
    fn a_night_with_two_times_up() {
        let said = bed(&[
            (at(1, 14, 0), true),
            (at(1, 15, 30), false),
            (at(1, 22, 0), true),
            (at(2, 1, 0), false),
            (at(2, 1, 10), true),
            (at(2, 4, 0), false),
            (at(2, 4, 40), true),
            (at(2, 7, 0), false),
        ]);
        let nights = said.nights(&TimeZone::UTC);
        assert_eq!(nights.len(), 1, "the nap is no night: {nights:?}");
        assert_eq!((nights[0].date, nights[0].to_bed_at), (date(2026, 11, 1), at(1, 22, 0)));
        assert_eq!((nights[0].up_at, nights[0].absences.len()), (Some(at(2, 7, 0)), 2));
        assert_eq!(nights[0].longest_absence_ms(), 40 * 60_000);
    }

    #[test]
    fn what_comes_late_and_out_of_order_makes_the_same_night() {
        let words = [(at(1, 22, 0), true), (at(2, 1, 0), false), (at(2, 1, 10), true), (at(2, 7, 0), false)];
        let mut turned = Bed::default();
        words.iter().enumerate().rev().for_each(|(index, (at, on))| turned.said(*at, index as u64, *on));
        assert_eq!(turned.nights(&TimeZone::UTC), bed(&words).nights(&TimeZone::UTC));
    }

    #[test]
    fn whoever_is_in_bed_past_midnight_and_still_there_has_a_night() {
        let nights = bed(&[(at(2, 0, 40), true), (at(2, 0, 40), true)]).nights(&TimeZone::UTC);
        assert_eq!((nights[0].date, nights[0].up_at), (date(2026, 11, 1), None));
        assert!(bed(&[(at(1, 20, 0), true), (at(1, 20, 30), false)]).nights(&TimeZone::UTC).is_empty());
    }
}
