//! Where a device has been: its newest positions in the order in which they were true.
//!
//! Enters: `position` events, however late. Leaves: a trail of good and poor positions. Invariants: what is kept does not depend
//! on what is agreed; the trail is ordered by when the device was there and never longer than [`TRAIL_FIXES_MAX`]; the newest
//! position is always in it.

use serde::{Deserialize, Serialize};
use vaka_protocol::Event;

use super::super::Sight;
use super::super::moment::At;
use crate::limits::{
    ASSIGNED_RESTART, FIX_AGE_S_MAX, POSITION_ACCURACY_M_ASSUMED, POSITION_ACCURACY_M_POOR, SPEED_M_S_MAX,
    TRAIL_FIXES_MAX, TRAIL_MS_MAX, TRAIL_STAYS_MS,
};

/// One position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fix {
    /// When the device was there: when it said so, less the age of the fix.
    #[serde(rename = "a")]
    pub at: At,
    /// Degrees times 10,000,000 (WGS 84).
    #[serde(rename = "y")]
    pub lat_e7: i32,
    #[serde(rename = "x")]
    pub lon_e7: i32,
    /// Radius of the uncertainty, metres. Absent: the device did not say.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub accuracy_m: Option<u32>,
    /// Uncertain, old when it was sent, or out of reach from the one before: alone it decides nothing.
    #[serde(rename = "p", default, skip_serializing_if = "std::ops::Not::not")]
    pub poor: bool,
}

/// One device's positions.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trail {
    /// Oldest first.
    #[serde(rename = "f")]
    fixes: Vec<Fix>,
    /// The highest of the device's own (restart, seq), and when that was said.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    said: Option<((u32, u64), At)>,
    #[serde(rename = "q", default, skip_serializing_if = "Option::is_none")]
    question: Option<Question>,
}

/// What became of the newest question where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Question {
    #[serde(rename = "a")]
    Asked,
    /// The record of the first position after it.
    #[serde(rename = "r")]
    Answered(u64),
}

/// The same position, told again with another age: its time is rounded to seconds.
const SAME_MS: i64 = 2_500;

/// Metres that a millionth of a degree of latitude stands for, times ten: e7 units to metres.
const E7_M: f64 = 0.011_1;

impl Fix {
    /// What a position event says. None: it is another event, or says that there is no position (0, 0 in the Gulf of Guinea).
    fn of(sight: &Sight<'_>, said_at: At) -> Option<Fix> {
        let Event::Position { lat_e7, lon_e7, accuracy_m, fix_age_s, .. } = *sight.event else { return None };
        if (lat_e7, lon_e7) == (0, 0) {
            return None;
        }
        let age_s = fix_age_s.unwrap_or(0);
        let at = At::happened(said_at, said_at.wall_ms.saturating_sub(i64::from(age_s) * 1_000));
        let poor = age_s > FIX_AGE_S_MAX || accuracy_m.is_some_and(|accuracy_m| accuracy_m > POSITION_ACCURACY_M_POOR);
        Some(Fix { at, lat_e7, lon_e7, accuracy_m, poor })
    }

    /// Latitude and longitude.
    pub fn degrees(&self) -> (f64, f64) {
        (f64::from(self.lat_e7) / 1e7, f64::from(self.lon_e7) / 1e7)
    }

    fn error_m(&self) -> f64 {
        f64::from(self.accuracy_m.unwrap_or(POSITION_ACCURACY_M_ASSUMED))
    }

    /// Nobody gets from `before` to here in that time.
    fn is_out_of_reach(&self, before: &Fix) -> bool {
        let between_s = (self.at.wall_ms - before.at.wall_ms).max(0) as f64 / 1e3;
        let errors_m = self.error_m() + before.error_m();
        apart_m(self, before) - errors_m > f64::from(SPEED_M_S_MAX) * (between_s + 1.0)
    }
}

impl Trail {
    /// Oldest first.
    pub fn fixes(&self) -> &[Fix] {
        &self.fixes
    }

    pub fn newest(&self) -> Option<&Fix> {
        self.fixes.last()
    }

    /// What the device is best known by: its newest position, or a good one little older.
    pub fn best(&self) -> Option<&Fix> {
        let newest = self.fixes.last()?;
        let recent = |fix: &&Fix| newest.at.wall_ms - fix.at.wall_ms <= i64::from(FIX_AGE_S_MAX) * 1_000;
        self.fixes.iter().rev().take_while(recent).find(|fix| !fix.poor).or(Some(newest))
    }

    /// The record of the answer to the newest question where it is.
    pub fn answer(&self) -> Option<u64> {
        if let Some(Question::Answered(record)) = self.question { Some(record) } else { None }
    }

    /// What was last known stays: that somebody is home is not forgotten because their device has been silent since.
    pub(super) fn age(&mut self, until_ms: i64) {
        let last_ms = self.newest().map_or(i64::MAX, |newest| newest.at.wall_ms.saturating_sub(TRAIL_STAYS_MS));
        self.fixes.retain(|fix| fix.at.wall_ms > until_ms.min(last_ms - 1));
    }

    pub(super) fn ask(&mut self) {
        self.question = Some(Question::Asked);
    }

    pub(super) fn see(&mut self, sight: &Sight<'_>) {
        let said_at = self.said_at(sight);
        let Some(mut fix) = Fix::of(sight, said_at) else { return };
        if self.question == Some(Question::Asked) {
            self.question = Some(Question::Answered(sight.recorded.record));
        }
        let newest_ms = self.fixes.last().map_or(i64::MIN, |newest| newest.at.wall_ms);
        if fix.at.wall_ms < newest_ms.saturating_sub(TRAIL_MS_MAX) {
            return;
        }
        let told = |known: &Fix| {
            (known.lat_e7, known.lon_e7) == (fix.lat_e7, fix.lon_e7)
                && (known.at.wall_ms - fix.at.wall_ms).abs() <= SAME_MS
                && (said_at.wall_ms - fix.at.wall_ms > SAME_MS || known.at.wall_ms == fix.at.wall_ms)
        };
        if self.fixes.iter().any(told) {
            return;
        }
        let place = self.fixes.partition_point(|known| known.at.wall_ms <= fix.at.wall_ms);
        let before = self.fixes[..place].iter().rev().find(|known| !known.poor);
        fix.poor |= before.is_some_and(|before| fix.is_out_of_reach(before));
        self.fixes.insert(place, fix);
        let keep_from_ms = newest_ms.max(fix.at.wall_ms).saturating_sub(TRAIL_MS_MAX);
        let gone = self.fixes.partition_point(|known| known.at.wall_ms < keep_from_ms);
        self.fixes.drain(..gone);
        if self.fixes.len() > TRAIL_FIXES_MAX {
            self.let_go();
        }
    }

    /// When the device said it. Said after another by its own numbers, and stamped before that one: its clock was set back, and is not
    /// believed, or where somebody is now would pass for where they have been.
    fn said_at(&mut self, sight: &Sight<'_>) -> At {
        if sight.restart == ASSIGNED_RESTART {
            return sight.at;
        }
        let number = (sight.restart, sight.seq);
        match self.said {
            Some((known, _)) if number <= known => sight.at,
            Some((_, known_at)) if sight.at.is_before(&known_at) => {
                self.said = Some((number, sight.recorded));
                sight.recorded
            }
            _ => {
                self.said = Some((number, sight.at));
                sight.at
            }
        }
    }

    /// Lets go of the one that says least: on the way from the one before to the one after, and close to both in time. What is
    /// long ago is kept in coarser steps than what is new. The ends stay.
    fn let_go(&mut self) {
        let newest_ms = self.fixes.last().map_or(0, |newest| newest.at.wall_ms);
        let mut least: Option<(f64, usize)> = None;
        for (index, three) in self.fixes.windows(3).enumerate() {
            let says = says_m(&three[0], &three[1], &three[2], newest_ms);
            if least.is_none_or(|(known, _)| says < known) {
                least = Some((says, index + 1));
            }
        }
        self.fixes.remove(least.map_or(0, |(_, index)| index));
    }
}

/// How much a position says between two others, in metres: how far it is from where somebody would have been, and the gap that it
/// fills, as metres for each part of its age.
fn says_m(before: &Fix, fix: &Fix, after: &Fix, newest_ms: i64) -> f64 {
    const GAP_M: f64 = 100.0;
    const NEW_MS: f64 = 60_000.0;
    let gap_ms = (after.at.wall_ms - before.at.wall_ms).max(1) as f64;
    let age_ms = (newest_ms - fix.at.wall_ms).max(0) as f64;
    let gap_m = GAP_M * gap_ms / (age_ms + NEW_MS);
    if fix.poor {
        return gap_m / 2.0;
    }
    let part = (fix.at.wall_ms - before.at.wall_ms) as f64 / gap_ms;
    let between = |a: i32, b: i32| f64::from(a) + (f64::from(b) - f64::from(a)) * part;
    let lat_m = (f64::from(fix.lat_e7) - between(before.lat_e7, after.lat_e7)) * E7_M;
    let lon_m = (f64::from(fix.lon_e7) - between(before.lon_e7, after.lon_e7)) * E7_M * cos(fix.lat_e7);
    (lat_m * lat_m + lon_m * lon_m).sqrt() + gap_m
}

/// Roughly how far apart, in metres: to about a hundredth.
pub(super) fn apart_m(a: &Fix, b: &Fix) -> f64 {
    let lat_m = (f64::from(a.lat_e7) - f64::from(b.lat_e7)) * E7_M;
    let east_e7 = (f64::from(a.lon_e7) - f64::from(b.lon_e7)).abs();
    let lon_m = east_e7.min(3.6e9 - east_e7) * E7_M * cos(a.lat_e7);
    (lat_m * lat_m + lon_m * lon_m).sqrt()
}

/// Cosine of a latitude by its series: plain arithmetic, so that every machine folds a journal to the same.
fn cos(lat_e7: i32) -> f64 {
    let square = (f64::from(lat_e7) / 1e7).to_radians().powi(2);
    (1.0 - square / 2.0 * (1.0 - square / 12.0 * (1.0 - square / 30.0 * (1.0 - square / 56.0)))).max(0.0)
}
