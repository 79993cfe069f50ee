//! Where the device is. Enters: sentences and when they came. Leaves: fixes with their uncertainty and speed.

use vaka_protocol::Event;

use super::nmea::{Gga, Rmc, Sentence};
use crate::Now;

/// Uncertainty at a dilution of one, metres: 95 of 100 fixes lie within. Source: the 2.5 m CEP that makers state for
/// common receivers (u-blox M8 data sheet, "horizontal position accuracy") times 2.08, the ratio of the 95th percentile
/// to the median of a circular normal error.
const ACCURACY_PER_HDOP_CM: u32 = 520;

/// Dilution that is taken for one that is not told, hundredths. Source: our choice: a poor one.
const HDOP_CENTI_ASSUMED: u32 = 1_000;

/// No receiver is better than this under the open sky, metres. Source: our choice.
const ACCURACY_M_MIN: u32 = 5;

/// A day, milliseconds: two sentences within a second around midnight belong together.
const DAY_MS: u32 = 86_400_000;

/// One position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fix {
    /// Degrees times 10,000,000.
    pub lat_e7: i32,
    /// The same.
    pub lon_e7: i32,
    /// Radius of the uncertainty, metres.
    pub accuracy_m: u32,
    /// Over ground, centimetres a second.
    pub speed_cm_s: Option<u32>,
    /// When it came, milliseconds since boot.
    pub uptime_ms: u64,
}

impl Fix {
    /// Its age, seconds, rounded up: never younger than it is.
    pub fn age_s(&self, now: Now) -> u32 {
        u32::try_from(now.since(self.uptime_ms).div_ceil(1_000)).unwrap_or(u32::MAX)
    }

    /// As it is told now.
    pub fn event(&self, now: Now) -> Event {
        Event::Position {
            lat_e7: self.lat_e7,
            lon_e7: self.lon_e7,
            accuracy_m: Some(self.accuracy_m),
            speed_cm_s: self.speed_cm_s,
            fix_age_s: Some(self.age_s(now)),
        }
    }
}

/// From sentences to fixes.
#[derive(Debug, Clone, Default)]
pub struct Fixes {
    speed: Option<Rmc>,
}

impl Fixes {
    /// Nothing heard yet.
    pub const fn new() -> Self {
        Self { speed: None }
    }

    /// Takes a sentence. `Some`: a fix. One that is estimated, set by hand or simulated is none.
    pub fn take(&mut self, sentence: Sentence, uptime_ms: u64) -> Option<Fix> {
        match sentence {
            Sentence::Rmc(rmc) => {
                self.speed = Some(rmc);
                None
            }
            Sentence::Gga(gga) => self.fix(gga, uptime_ms),
            Sentence::Other => None,
        }
    }

    fn fix(&self, gga: Gga, uptime_ms: u64) -> Option<Fix> {
        let (lat_e7, lon_e7) = gga.place_e7.filter(|place| *place != (0, 0))?;
        if !(1..=5).contains(&gga.quality) {
            return None;
        }
        let hdop_centi = gga.hdop_centi.unwrap_or(HDOP_CENTI_ASSUMED);
        let accuracy_m = hdop_centi.saturating_mul(ACCURACY_PER_HDOP_CM).div_ceil(10_000).max(ACCURACY_M_MIN);
        // Some receivers tell the speed first, some the place; a second is no matter.
        let is_near = |rmc: &Rmc| match (rmc.time_ms, gga.time_ms) {
            (Some(a), Some(b)) => a.abs_diff(b).min(DAY_MS.saturating_sub(a.abs_diff(b))) <= 1_500,
            _ => false,
        };
        let speed = self.speed.filter(|rmc| rmc.is_valid && is_near(rmc));
        Some(Fix { lat_e7, lon_e7, accuracy_m, speed_cm_s: speed.and_then(|rmc| rmc.speed_cm_s), uptime_ms })
    }
}
