//! What the rule would otherwise work out anew at each event: the agreement's fingerprint, the names of what is settled, and the
//! night's moments.
//!
//! Enters: the agreement, the moment. Leaves: the same as without it, sooner. In memory alone: made from the agreement, and from
//! the night that began last for as long as that one is the last.

use jiff::tz::TimeZone;
use vaka_protocol::DeviceId;

use super::super::agreed::{Agreed, Device, Person};
use super::super::out::key;
use super::super::when::{Span, next};
use super::rounds::{Slot, slots};
use super::{NAME, Night, bed, door, morning, visits};

/// One person's.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    made: Option<Made>,
}

#[derive(Debug, Clone)]
pub(super) struct Made {
    pub print: u64,
    /// Kinds of cause, each with what it is settled by, and what its repetition within an alarm is.
    keys: Vec<(&'static str, String, String)>,
    /// Devices of the home that are nobody's own.
    pub shared: Vec<DeviceId>,
    pub calendar: Calendar,
}

/// The night that began last, in UTC milliseconds.
#[derive(Debug, Clone)]
pub(super) struct Calendar {
    pub span: Span,
    /// When the next one begins.
    pub next_ms: i64,
    pub in_bed_by_ms: Option<i64>,
    /// Between which moments a sign of life is expected.
    pub morning: Option<(i64, i64)>,
    pub rounds: Vec<Planned>,
}

/// A look-in of that night, its cause, and what that is settled by.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    pub slot: Slot,
    pub cause: String,
    pub key: String,
}

impl Kept {
    /// What holds now. Made for this person's agreement; another's, or one that has changed, needs another.
    pub(super) fn at(&mut self, person: &Person, night: &Night, agreed: &Agreed, now_ms: i64) -> &Made {
        let zone = &agreed.zone;
        let is_shared = |(id, device): (&DeviceId, &Device)| device.person.is_none().then(|| id.clone());
        let made = self.made.get_or_insert_with(|| Made {
            print: night.fingerprint(),
            keys: keys(person),
            shared: agreed.devices.iter().filter_map(is_shared).collect(),
            calendar: Calendar::at(person, night, zone, now_ms),
        });
        if !made.calendar.holds(now_ms) {
            made.calendar = Calendar::at(person, night, zone, now_ms);
        }
        made
    }
}

fn keys(person: &Person) -> Vec<(&'static str, String, String)> {
    let causes = bed::CAUSES.into_iter().chain([door::DOOR, morning::NO_SIGN, visits::VISITS_UP, visits::MORE]);
    let resident = Some(person.id.as_str());
    causes.map(|cause| (cause, key(NAME, resident, cause), key(NAME, resident, &format!("{cause}-again")))).collect()
}

impl Made {
    /// What a kind of cause is settled by, and what its repetition is. None: a kind that is not kept.
    pub fn keys_of(&self, cause: &str) -> Option<(&str, &str)> {
        let known = self.keys.iter().find(|(known, ..)| *known == cause);
        known.map(|(_, key, again)| (key.as_str(), again.as_str()))
    }
}

impl Calendar {
    fn at(person: &Person, night: &Night, zone: &TimeZone, now_ms: i64) -> Calendar {
        let span = night.last_begun(zone, now_ms);
        let instant = |time| span.instant(zone, &night.window, time);
        let planned = |slot: Slot| {
            let cause = slot.cause();
            Planned { slot, key: key(NAME, Some(&person.id), &cause), cause }
        };
        Calendar {
            span,
            next_ms: night.window.on(zone, next(span.date)).start_ms,
            in_bed_by_ms: night.in_bed_by.map(instant),
            morning: night.morning.map(|morning| (instant(morning.from), instant(morning.by))),
            rounds: slots(night, zone, &span).into_iter().map(planned).collect(),
        }
    }

    /// The night is still the one that began last.
    fn holds(&self, now_ms: i64) -> bool {
        (self.span.start_ms..self.next_ms).contains(&now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{agreed_in, utc};
    use super::*;

    #[test]
    fn what_is_kept_is_what_would_be_worked_out_anew() {
        let night = "in_bed_by = \"23:30\"\nup_by = \"09:00\"\nrounds = [{ at = \"00:00\", latest = \"02:30\" }, { at = \"03:00\", latest = \"04:00\" }]";
        // Over both changes of clocks, in zones with none, half an hour of it, and a date line.
        for zone in [
            "Europe/Stockholm",
            "Etc/UTC",
            "Australia/Lord_Howe",
            "Pacific/Auckland",
            "America/St_Johns",
            "Asia/Kathmandu",
        ] {
            let agreed = agreed_in(zone, night);
            let person = &agreed.people[0];
            let night = person.night.as_ref().unwrap();
            let mut kept = Kept::default();
            for from in ["2026-10-20T00:00:00Z", "2027-03-24T00:00:00Z", "2026-04-01T00:00:00Z", "2026-09-23T00:00:00Z"]
            {
                // And back again: a clock may be set.
                let there = (0..14 * 24 * 12).map(|step| step * 300_000 + 17);
                for after_ms in there.clone().chain(there.rev().step_by(7)) {
                    let now_ms = utc(from) + after_ms;
                    let made = kept.at(person, night, &agreed, now_ms);
                    let span = night.last_begun(&agreed.zone, now_ms);
                    assert_eq!(made.calendar.span, span, "{zone} {now_ms}");
                    assert_eq!(made.calendar.next_ms, night.window.on(&agreed.zone, next(span.date)).start_ms);
                }
            }
            let made = kept.at(person, night, &agreed, utc("2026-11-20T23:00:00Z"));
            assert_eq!(made.print, night.fingerprint());
            let fresh = slots(night, &agreed.zone, &made.calendar.span);
            assert_eq!(made.calendar.rounds.iter().map(|planned| planned.slot).collect::<Vec<_>>(), fresh);
            assert_eq!(made.calendar.rounds[1].key, "night resident round 03:00");
            assert_eq!(made.keys_of("door"), Some(("night resident door", "night resident door-again")));
        }
    }
}
