//! Which doses are planned when. Enters: plans, a time zone, dates, moments. Leaves: planned doses, each known by its local date, so
//! that no change of clocks or of the plan makes two of one.

use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::super::when::{instant, local};
use super::{Plan, Slot};
use crate::limits::{DOSE_EARLY_REACH_MS, DOSE_LATE_REACH_MS, DOSE_LOOK_BACK_DAYS};

const DAY_MS: i64 = 86_400_000;

/// One dose, on its day. Times are UTC milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Planned<'a> {
    pub plan: &'a Plan,
    pub date: Date,
    pub due_ms: i64,
    pub opens_ms: i64,
    pub closes_ms: i64,
}

impl<'a> Planned<'a> {
    /// None: the plan has no dose that day, is paused, or is not agreed any more.
    pub fn on(plan: &'a Plan, zone: &TimeZone, date: Date) -> Option<Self> {
        let is_paused = plan.pauses.iter().any(|pause| (pause.from..=pause.until).contains(&date));
        if is_paused || !plan.days.contains(date.weekday()) {
            return None;
        }
        let due_ms = instant(zone, date, plan.at);
        // A dispenser that cannot be reached on the day must not go on with what was agreed only until then.
        if !plan.term.holds(due_ms) {
            return None;
        }
        Some(Planned { plan, date, due_ms, opens_ms: due_ms - plan.early_ms, closes_ms: due_ms + plan.grace_ms })
    }

    /// The cause's number: grows with the date, whatever the time agreed.
    pub fn number(&self) -> i64 {
        number(self.date)
    }

    /// As notes name it: `morning 2026-11-22`.
    pub fn name(&self) -> String {
        format!("{} {}", self.plan.slot, self.date)
    }

    /// A word of the dispenser's at this moment is of this dose, unless a later one begins before it.
    pub fn reaches(&self, at_ms: i64) -> bool {
        (self.opens_ms - DOSE_EARLY_REACH_MS..self.closes_ms + DOSE_LATE_REACH_MS).contains(&at_ms)
    }
}

/// A local date as a number that grows with it: the UTC milliseconds of that date's beginning in UTC.
pub fn number(date: Date) -> i64 {
    i64::from(date.since(Date::default()).map_or(0, |span| span.get_days())) * DAY_MS
}

/// The date of a [`number`].
pub fn date_of(number: i64) -> Date {
    let days = i32::try_from(number / DAY_MS).unwrap_or(0);
    Date::default().checked_add(days.days()).unwrap_or_default()
}

impl<'a> Slot<'a> {
    pub fn on(&self, zone: &TimeZone, date: Date) -> Option<Planned<'a>> {
        self.plans.iter().find_map(|plan| Planned::on(plan, zone, date))
    }

    /// The dose that a word of the dispenser's at `at_ms` is of: the latest that has begun.
    pub fn of(&self, zone: &TimeZone, at_ms: i64) -> Option<Planned<'a>> {
        let latest = local(zone, at_ms).date().tomorrow().ok()?;
        // Late by a day at the most, and a grace of half a day: four dates.
        let dates = (0..4).filter_map(|back: i32| latest.checked_sub(back.days()).ok());
        dates.filter_map(|date| self.on(zone, date)).find(|planned| planned.reaches(at_ms))
    }

    /// The doses after the one numbered `after` (else from as far back as is looked) that have begun, or begin until the day after `now_ms`.
    pub fn since(&self, zone: &TimeZone, after: Option<i64>, now_ms: i64) -> impl Iterator<Item = Planned<'a>> {
        let today = local(zone, now_ms).date();
        let far = today.checked_sub(DOSE_LOOK_BACK_DAYS.days()).unwrap_or(today);
        let known = after.and_then(|after| date_of(after).tomorrow().ok());
        let first = known.map_or(far, |known| known.max(far));
        let dates = (0..).map_while(move |days: i32| first.checked_add(days.days()).ok());
        let last = today.tomorrow().unwrap_or(today);
        dates.take_while(move |date| *date <= last).filter_map(|date| self.on(zone, date))
    }
}
