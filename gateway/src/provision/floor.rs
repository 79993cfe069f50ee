//! `pki/floor`: the latest time that a time source has vouched for, over restarts, and how far of late it ran ahead of the clock that only
//! runs. No clock is believed before it.

use tracing::warn;

use super::{Pki, files};
use crate::clock::Now;
use crate::limits;

/// How much earlier than the time that is vouched for the floor is kept, in milliseconds: a time source may still correct itself.
const ROOM_MS: i64 = 24 * 60 * 60 * 1_000;

/// The running clock pays off so much of the lead: 400 days in 40 days of running.
const PAID_OFF: i64 = 10;

/// UTC milliseconds; 0 where there is none yet, or it cannot be read.
pub fn read_floor(pki: &Pki) -> i64 {
    read(pki).0
}

/// The floor, and how far it has run ahead of the running clock of late (its lead).
fn read(pki: &Pki) -> (i64, i64) {
    let text = std::fs::read_to_string(pki.floor()).unwrap_or_default();
    let mut lines = text.lines().map(|line| line.trim().parse::<i64>());
    let floor_ms = lines.next().and_then(Result::ok).unwrap_or(0);
    (floor_ms, lines.next().and_then(Result::ok).filter(|lead_ms| *lead_ms >= 0).unwrap_or(0))
}

/// Raises the floor as time goes on. One for each run of the gateway.
///
/// One false answer of a time source must not hold the clock in another decade for ever, nor many of them in a row, over whatever
/// restarts: together they move it by [`limits::CLOCK_AHEAD_MS_MAX`] at most, until the machine has run for long.
#[derive(Debug)]
pub struct Floor {
    pki: Pki,
    /// When it was raised last, by the running clock. `None`: not in this run, and for how long it had not run nobody can say.
    raised_mono_ms: Option<u64>,
}

impl Floor {
    pub fn new(pki: Pki) -> Floor {
        Floor { pki, raised_mono_ms: None }
    }

    /// Raises it to a day before `now`, which a time source vouches for. It never falls.
    pub fn raise(&mut self, now: Now) {
        let floor_ms = now.wall_ms.saturating_sub(ROOM_MS).min(limits::PLAUSIBLE_TIME_MS_MAX);
        let (known_ms, lead_ms) = read(&self.pki);
        if floor_ms <= known_ms {
            return;
        }
        let ran_ms = self.raised_mono_ms.map_or(0, |at_ms| now.mono_ms.saturating_sub(at_ms));
        let lead_ms = lead(lead_ms, known_ms, floor_ms, i64::try_from(ran_ms).unwrap_or(i64::MAX));
        if lead_ms > limits::CLOCK_AHEAD_MS_MAX {
            let now_ms = now.wall_ms;
            return warn!(
                "a time source says {now_ms} (UTC milliseconds), too far ahead to be kept as the earliest time"
            );
        }
        match files::write(&self.pki.floor(), format!("{floor_ms}\n{lead_ms}\n").as_bytes(), files::PUBLIC) {
            Ok(()) => self.raised_mono_ms = Some(now.mono_ms),
            Err(error) => warn!("keeping the latest time that is known: {error}"),
        }
    }
}

/// The lead of a floor that is raised from `known_ms` to `floor_ms` while the running clock went on by `ran_ms`.
fn lead(lead_ms: i64, known_ms: i64, floor_ms: i64, ran_ms: i64) -> i64 {
    // The first floor of a home counts from the program's own date.
    let ahead_ms = floor_ms.saturating_sub(known_ms.max(crate::clock::built_ms())).max(0).saturating_sub(ran_ms);
    lead_ms.saturating_add(ahead_ms).saturating_sub(ran_ms.saturating_mul(PAID_OFF)).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Confidence;

    const DAY_MS: i64 = ROOM_MS;

    fn home() -> (tempfile::TempDir, Pki) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("pki")).unwrap();
        let pki = Pki::beside(dir.path());
        (dir, pki)
    }

    fn at(wall_ms: i64, mono_ms: i64) -> Now {
        Now { mono_ms: mono_ms.unsigned_abs(), wall_ms, confidence: Confidence::Synchronised }
    }

    #[test]
    fn it_rises_and_never_falls() {
        let (_dir, pki) = home();
        let now_ms = limits::PLAUSIBLE_TIME_MS + 10 * DAY_MS;
        assert_eq!(read_floor(&pki), 0);
        let mut floor = Floor::new(pki.clone());
        floor.raise(at(now_ms, 0));
        assert_eq!(read_floor(&pki), now_ms - DAY_MS);
        floor.raise(at(now_ms - DAY_MS, 1));
        assert_eq!(read_floor(&pki), now_ms - DAY_MS);
        let decade_ms = 10 * 365 * DAY_MS;
        floor.raise(at(now_ms.max(crate::clock::built_ms()) + decade_ms, 2));
        assert_eq!(read_floor(&pki), now_ms - DAY_MS, "one false answer moves nothing by years");
        std::fs::write(pki.floor(), "torn").unwrap();
        assert_eq!(read_floor(&pki), 0);
        // As written before there was a lead.
        std::fs::write(pki.floor(), format!("{now_ms}\n")).unwrap();
        assert_eq!(read_floor(&pki), now_ms);
    }

    #[test]
    fn many_false_answers_move_it_no_further_than_one_over_any_restarts() {
        let (_dir, pki) = home();
        let start_ms = limits::PLAUSIBLE_TIME_MS.max(crate::clock::built_ms()) + 2 * DAY_MS;
        Floor::new(pki.clone()).raise(at(start_ms, 0));
        for (jump, mono_ms) in (1..20).zip((0..).step_by(3_600_000)) {
            let mut floor = Floor::new(pki.clone());
            floor.raise(at(start_ms + jump * 399 * DAY_MS, mono_ms));
            floor.raise(at(start_ms + jump * 399 * DAY_MS + 399 * DAY_MS, mono_ms + 1));
        }
        let moved_days = (read_floor(&pki) - start_ms) / DAY_MS;
        assert!(moved_days <= 400, "moved by {moved_days} days");
    }

    #[test]
    fn it_goes_on_for_years_and_after_nights_and_a_winter_without_power() {
        // Off for eight hours of each day, hourly otherwise, for five years with a winter of 200 days off in the third.
        let start_ms = limits::PLAUSIBLE_TIME_MS.max(crate::clock::built_ms()) + 2 * DAY_MS;
        let (mut known_ms, mut lead_ms, mut wall_ms, hour_ms) = (start_ms, 0, start_ms, DAY_MS / 24);
        for day in 0..5 * 365 {
            for hour in 0..16 {
                let now_ms = wall_ms + hour * hour_ms;
                lead_ms = lead(lead_ms, known_ms, now_ms, if hour == 0 { 0 } else { hour_ms });
                assert!(lead_ms <= limits::CLOCK_AHEAD_MS_MAX, "day {day}");
                known_ms = now_ms;
            }
            wall_ms += DAY_MS + if day == 800 { 200 * DAY_MS } else { 0 };
        }
    }
}
