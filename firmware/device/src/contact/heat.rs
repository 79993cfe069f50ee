//! Heat as of a fire, and the room's temperature: a thermistor.
//!
//! Two ways to see a fire: it is hot, or it becomes hot fast. No conformity to a standard for heat detectors is claimed:
//! its text was not read.

use vaka_protocol::Event;

use super::{Analog, LOOK_MS, kept};
use crate::Now;
use crate::role::{Cx, Role};
use crate::told::Told;
use crate::trouble::Trouble;

/// From here on it is a fire, hundredths of a degree Celsius. Source: our choice, within the 54 to 65 °C that makers
/// state for detectors of class A1, used in rooms of about 25 °C.
pub const HEAT_CENTI_C: i32 = 5_800;

/// A rise by this much within a minute is a fire, hundredths of a kelvin. Source: our choice, the 8.3 K (15 °F) a minute
/// of common rate-of-rise detectors.
pub const RISE_CENTI_C: i32 = 830;

/// Below it a rise is not judged, hundredths of a degree: a window shut in winter, a device carried indoors. Source: our
/// choice.
const RISE_FROM_CENTI_C: i32 = 3_500;

/// Below it the heat may be over, hundredths of a degree. Source: our choice.
const OVER_CENTI_C: i32 = 4_500;

/// How long it must be below before it is over, milliseconds. Source: our choice.
const OVER_MS: u64 = 300_000;

/// Between two samples, milliseconds. Source: our choice; a thermistor in a case follows air within half a minute.
const SAMPLE_MS: u64 = 5_000;

/// Samples of a minute, and the one before it.
const SAMPLES: usize = 13;

/// Above it the thermistor is unplugged, below the other it is shorted, millivolts: −45 °C and 155 °C.
const UNPLUGGED_MV: u16 = 3_240;
const SHORTED_MV: u16 = 55;

/// Millivolts at −20, −15 … 100 °C: 10 kΩ from 3.3 V to the pin, the thermistor from the pin to ground (10 kΩ at 25 °C,
/// B = 3,950 K: R = 10 kΩ · exp(3950/T − 3950/298.15), T in kelvin). A test compares the table with the formula.
const TABLE_MV: [u16; 25] = [
    3_014, 2_925, 2_816, 2_689, 2_543, 2_381, 2_206, 2_023, 1_836, 1_650, 1_470, 1_301, 1_143, 1_000, 871, 757, 657,
    570, 494, 428, 372, 323, 282, 246, 215,
];

/// Temperature of a thermistor, hundredths of a degree Celsius. `None`: unplugged or shorted. Beyond −20 and 100 °C: that
/// end.
pub fn centi_c(mv: u16) -> Option<i32> {
    if !(SHORTED_MV..=UNPLUGGED_MV).contains(&mv) {
        return None;
    }
    let after = TABLE_MV.iter().position(|point_mv| *point_mv <= mv);
    Some(match after {
        Some(0) => -2_000,
        None => 10_000,
        Some(after) => {
            let (high_mv, low_mv) = (i32::from(TABLE_MV[after - 1]), i32::from(TABLE_MV[after]));
            let start_centi_c = -2_000 + 500 * (after as i32 - 1);
            start_centi_c + 500 * (high_mv - i32::from(mv)) / (high_mv - low_mv)
        }
    })
}

/// From temperatures to whether it burns.
#[derive(Debug, Clone)]
pub struct Hot {
    /// The newest last; a gap empties it.
    samples: heapless::Deque<i32, SAMPLES>,
    is_active: Option<bool>,
    below_ms: Option<u64>,
}

impl Default for Hot {
    fn default() -> Self {
        Self::new()
    }
}

impl Hot {
    /// Nothing measured yet.
    pub const fn new() -> Self {
        Self { samples: heapless::Deque::new(), is_active: None, below_ms: None }
    }

    /// Takes a sample, one each five seconds. Returns whether it burns; `None` until it is known.
    pub fn sample(&mut self, centi_c: i32, uptime_ms: u64) -> Option<bool> {
        if self.samples.is_full() {
            self.samples.pop_front();
        }
        // Just made room.
        let _ = self.samples.push_back(centi_c);
        // Two of three: one wild sample is no fire, and hides none.
        let Some(newest) = self.middle(0) else { return self.is_active };
        let is_hot = newest >= HEAT_CENTI_C;
        let rises = self.middle(SAMPLES - 3).is_some_and(|before| newest - before >= self.rise_due());
        if is_hot || (rises && newest >= RISE_FROM_CENTI_C) {
            (self.is_active, self.below_ms) = (Some(true), None);
        } else if newest < OVER_CENTI_C {
            let below_ms = *self.below_ms.get_or_insert(uptime_ms);
            // Never hot before: known at once.
            if self.is_active.is_none() || uptime_ms.saturating_sub(below_ms) >= OVER_MS {
                self.is_active = Some(false);
            }
        } else {
            self.below_ms = None;
            self.is_active = self.is_active.or(Some(false));
        }
        self.is_active
    }

    /// The temperature without wild samples, hundredths of a degree Celsius.
    pub fn centi_c(&self) -> Option<i32> {
        self.middle(0)
    }

    /// The sensor was out of sight: a rise cannot be told.
    pub fn forget(&mut self) {
        self.samples.clear();
        self.below_ms = None;
    }

    /// The two medians lie ten samples apart, not twelve.
    fn rise_due(&self) -> i32 {
        RISE_CENTI_C * (SAMPLES as i32 - 3) / (SAMPLES as i32 - 1)
    }

    /// The middle one of three samples, `back` before the newest.
    fn middle(&self, back: usize) -> Option<i32> {
        let mut last = self.samples.iter().rev().skip(back);
        let (a, b, c) = (*last.next()?, *last.next()?, *last.next()?);
        Some(a.max(b).min(a.min(b).max(c)))
    }
}

/// A heat detector, which may also report the room's temperature.
#[derive(Debug)]
pub struct Heat<A> {
    thermistor: A,
    report_interval_s: Option<u32>,
    hot: Hot,
    sampled_ms: Option<u64>,
    reported_ms: Option<u64>,
    told: Told<bool>,
    trouble: Trouble,
}

impl<A: Analog> Heat<A> {
    /// With its thermistor; `report_interval_s`: tells the temperature that often, `None`: never.
    pub fn new(thermistor: A, report_interval_s: Option<u32>) -> Self {
        Self {
            thermistor,
            report_interval_s,
            hot: Hot::new(),
            sampled_ms: None,
            reported_ms: None,
            told: Told::new(),
            trouble: Trouble::new("thermistor", kept::TROUBLE),
        }
    }

    fn report(&mut self, centi_c: i32, cx: &mut Cx<'_>) {
        let Some(interval_s) = self.report_interval_s else { return };
        let interval_ms = u64::from(interval_s) * 1_000;
        if self.reported_ms.is_none_or(|reported_ms| cx.now.since(reported_ms) >= interval_ms) {
            self.reported_ms = Some(cx.now.uptime_ms);
            cx.tell(Event::Temperature { centi_c });
        }
    }
}

impl<A: Analog> Role for Heat<A> {
    fn start(&mut self, cx: &mut Cx<'_>) {
        self.trouble.start(cx);
    }

    fn pass(&mut self, cx: &mut Cx<'_>) {
        let uptime_ms = cx.now.uptime_ms;
        let is_early = self.sampled_ms.is_some_and(|sampled_ms| uptime_ms.saturating_sub(sampled_ms) < SAMPLE_MS);
        // A broken one is looked at again sooner.
        if is_early && self.trouble.rest_ms(cx.now) > 0 {
            return;
        }
        self.sampled_ms = Some(uptime_ms);
        let centi_c = self.thermistor.millivolts().and_then(centi_c);
        self.trouble.is(cx, centi_c.is_some());
        let Some(centi_c) = centi_c else {
            // An alarm stays: fire destroys sensors.
            self.hot.forget();
            return;
        };
        if let Some(active) = self.hot.sample(centi_c, uptime_ms) {
            self.told.is(cx, active, || Event::Heat { active });
        }
        if let Some(centi_c) = self.hot.centi_c() {
            self.report(centi_c, cx);
        }
    }

    fn rest_ms(&self, now: Now) -> u64 {
        let sample = self.sampled_ms.map_or(0, |sampled_ms| SAMPLE_MS.saturating_sub(now.since(sampled_ms)));
        LOOK_MS.min(sample).min(self.told.rest_ms(now)).min(self.trouble.rest_ms(now))
    }
}
