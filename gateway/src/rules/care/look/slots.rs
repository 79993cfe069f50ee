//! When the planned look-ins are. Enters: the agreement, a moment. Leaves: slots in UTC, over both changes of clocks.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use super::super::when::{Daily, local, next};
use super::{CAUSE, Look, Round};

/// One look-in of one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    pub at: Time,
    /// UTC milliseconds.
    pub at_ms: i64,
    /// UTC milliseconds.
    pub latest_ms: i64,
}

impl Slot {
    /// `01:00`.
    pub fn name(&self) -> String {
        self.at.strftime("%H:%M").to_string()
    }

    pub fn cause(&self) -> String {
        format!("{CAUSE}{}", self.name())
    }

    /// As it begins on `date`. One that clocks set forward would cut short begins as much sooner.
    fn on(round: &Round, zone: &TimeZone, date: Date) -> Slot {
        let minutes = |time: Time| i64::from(time.hour()) * 60 + i64::from(time.minute());
        let length_min = (minutes(round.latest) - minutes(round.at)).rem_euclid(24 * 60);
        let span = Daily { from: round.at, until: round.latest }.on(zone, date);
        Slot { at: round.at, at_ms: span.start_ms.min(span.end_ms - length_min * 60_000), latest_ms: span.end_ms }
    }
}

/// Those that begin from the day before `now_ms` (UTC milliseconds) until the day after, as far as they are agreed for.
pub fn around(look: &Look, zone: &TimeZone, now_ms: i64) -> Vec<Slot> {
    let today = local(zone, now_ms).date();
    let days = [today.yesterday().unwrap_or(today), today, next(today)];
    let all = days.into_iter().flat_map(|date| look.rounds.iter().map(move |round| Slot::on(round, zone, date)));
    all.filter(|slot| is_agreed(look, slot)).collect()
}

/// Within the agreement's dates. A withdrawal ends no date: what is agreed instead is done then.
fn is_agreed(look: &Look, slot: &Slot) -> bool {
    look.term.from_ms.is_none_or(|from| from <= slot.at_ms) && look.ends_ms.is_none_or(|end| slot.at_ms < end)
}
