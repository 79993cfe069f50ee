//! Falls, from what an accelerometer on the body feels. No hardware.
//!
//! Enters: samples, and where some are missing. Leaves: a fall, when it is certain enough that somebody should come.
//! A fall is, in this order: weightless for a moment, an impact, and stillness in another posture than before; after a hard
//! impact also in the same. Invariants: integers and fixed memory; one fall is found once; noise is never a fall.
//!
//! What is found out by it, and what is not:
//! * The call goes when the stillness has lasted, some eleven seconds after the impact; the resident cannot hold it back,
//!   only take it back. Whoever moves about after a fall is awake and has a button; so moving puts the call off until a
//!   minute has passed, and then nothing is found.
//! * A device that was dropped and is left lying is found as a fall: it may have been torn off. Picked up, it is not.
//! * Whoever slides from a chair is not weightless and not found. Other sensors must miss the sign of life.
//!
//! The order and its thresholds are those of published detectors that wear one accelerometer (A. K. Bourke et al., Gait &
//! Posture 26, 2007: impacts of falls from 3.5 g, weightless below 0.41 g; M. Kangas et al., Gait & Posture 28, 2008: below
//! 0.6 g, then 2 g within a second, then lying), cited from memory and not checked against the papers; where they differ,
//! the constant says what we chose. Nothing here has been tried on people.

use vaka_protocol::Event;

use crate::motion::{Felt, Sample};

/// Weightless: the acceleration all told is at most this, thousandths of g. Source: the higher of the published ones, since
/// bodies break their falls.
pub const WEIGHTLESS_MG_MAX: u32 = 600;

/// For how long without a break, milliseconds. Shorter: swinging arms are weightless too. Source: our choice.
pub const WEIGHTLESS_MS_MIN: u32 = 100;

/// Between the end of weightlessness and the impact at most, milliseconds. Source: published.
pub const IMPACT_MS_MAX: u32 = 1_000;

/// An impact, thousandths of g. Lower: sitting down hard and letting oneself fall into bed are impacts, at 2 to 2.8 g.
/// Source: our choice between the published 2 g and 3.5 g.
pub const IMPACT_MG_MIN: u32 = 3_000;

/// An impact after which stillness is enough, in whatever posture, thousandths of g. Source: our choice.
pub const HARD_IMPACT_MG_MIN: u32 = 5_000;

/// Within a second of stillness no axis changes by more, thousandths of g. Lower: breathing and the part's noise move.
/// Source: our choice.
pub const STILL_MG_MAX: u16 = 200;

/// For how long the stillness must last, seconds. Source: our choice; published detectors take 2 to 20.
pub const STILL_S_MIN: u32 = 10;

/// After a hard impact in an unchanged posture the stillness begins within this time, seconds.
const HARD_STILL_S_MAX: u32 = 3;

/// Who has not come to rest by then moves about, seconds after the impact. Source: our choice.
pub const MOVES_S_MAX: u32 = 60;

/// A fall that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fall {
    /// The strongest acceleration after the weightlessness, thousandths of g. The part cuts it at its range.
    pub impact_mg: u32,
    /// Seconds without movement, so far.
    pub still_s: u32,
}

impl From<Fall> for Event {
    fn from(fall: Fall) -> Self {
        Event::Fall { impact_mg: Some(fall.impact_mg), still_s: Some(fall.still_s) }
    }
}

/// One second of samples.
#[derive(Debug, Clone, Copy, Default)]
struct Second {
    samples: u32,
    sum: [i32; 3],
    least: Sample,
    most: Sample,
}

impl Second {
    fn add(&mut self, sample: Sample) {
        if self.samples == 0 {
            (self.least, self.most) = (sample, sample);
        }
        for (axis, mg) in sample.into_iter().enumerate() {
            self.sum[axis] += i32::from(mg);
            self.least[axis] = self.least[axis].min(mg);
            self.most[axis] = self.most[axis].max(mg);
        }
        self.samples += 1;
    }

    fn mean(&self) -> [i32; 3] {
        self.sum.map(|sum| sum / self.samples.max(1) as i32)
    }

    fn is_still(&self) -> bool {
        (0..3).all(|axis| self.most[axis].abs_diff(self.least[axis]) <= STILL_MG_MAX)
    }
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Nothing special. For how many samples it has been weightless.
    Worn { weightless: u32 },
    /// Was weightless; for how many samples an impact still counts.
    Falling { left: u32 },
    /// There was an impact: how strong, how many samples ago, and how many seconds it has been still.
    Down { impact_mg2: u32, samples: u32, still_s: u32 },
}

/// Watches for falls.
#[derive(Debug, Clone)]
pub struct Falls {
    rate_hz: u32,
    phase: Phase,
    second: Second,
    /// The mean of the last two full seconds before the fall, the older first: which way was down.
    down: [Option<[i32; 3]>; 2],
}

impl Falls {
    /// For so many samples a second, 50 to 100.
    pub const fn new(rate_hz: u32) -> Self {
        let second = Second { samples: 0, sum: [0; 3], least: [0; 3], most: [0; 3] };
        Self { rate_hz, phase: Phase::Worn { weightless: 0 }, second, down: [None; 2] }
    }

    /// Takes what was felt next. Some: somebody has fallen and lies still.
    pub fn feel(&mut self, felt: Felt) -> Option<Fall> {
        let Felt::Sample(sample) = felt else {
            // A second with a hole is none. The phase stays: what is missing may have been the impact of a fall.
            self.second = Second::default();
            return None;
        };
        let mg2 = squared(sample.map(i32::from));
        let phase = self.phase;
        self.phase = match phase {
            Phase::Worn { weightless } if mg2 <= squared_u32(WEIGHTLESS_MG_MAX) => {
                let weightless = weightless + 1;
                if weightless < self.samples(WEIGHTLESS_MS_MIN) {
                    Phase::Worn { weightless }
                } else {
                    Phase::Falling { left: self.samples(IMPACT_MS_MAX) }
                }
            }
            Phase::Worn { .. } => Phase::Worn { weightless: 0 },
            Phase::Falling { .. } if mg2 >= squared_u32(IMPACT_MG_MIN) => {
                Phase::Down { impact_mg2: mg2, samples: 0, still_s: 0 }
            }
            Phase::Falling { .. } if mg2 <= squared_u32(WEIGHTLESS_MG_MAX) => {
                Phase::Falling { left: self.samples(IMPACT_MS_MAX) }
            }
            Phase::Falling { left: 0 } => self.worn(),
            Phase::Falling { left } => Phase::Falling { left: left - 1 },
            Phase::Down { impact_mg2, samples, still_s } => {
                Phase::Down { impact_mg2: impact_mg2.max(mg2), samples: samples + 1, still_s }
            }
        };
        match self.phase {
            Phase::Worn { .. } => {
                if let Some(second) = self.full_second(sample) {
                    self.down = [self.down[1], Some(second.mean())];
                }
                None
            }
            Phase::Falling { .. } => {
                self.second = Second::default();
                None
            }
            Phase::Down { impact_mg2, samples, still_s } => self.lie(sample, impact_mg2, samples, still_s),
        }
    }

    fn lie(&mut self, sample: Sample, impact_mg2: u32, samples: u32, still_s: u32) -> Option<Fall> {
        let second = self.full_second(sample)?;
        let still_s = if second.is_still() { still_s + 1 } else { 0 };
        self.phase = Phase::Down { impact_mg2, samples, still_s };
        if still_s >= STILL_S_MIN {
            self.phase = self.worn();
            let moved_s = (samples / self.rate_hz).saturating_sub(still_s);
            let is_hard = impact_mg2 >= squared_u32(HARD_IMPACT_MG_MIN) && moved_s <= HARD_STILL_S_MAX;
            let has_turned = self.down[0].or(self.down[1]).is_none_or(|down| is_turned(down, second.mean()));
            self.down = [None, Some(second.mean())];
            return (is_hard || has_turned).then(|| Fall { impact_mg: impact_mg2.isqrt(), still_s });
        }
        if samples >= MOVES_S_MAX * self.rate_hz && still_s == 0 {
            self.phase = self.worn();
            self.down = [None; 2];
        }
        None
    }

    /// Adds the sample; the second, when it is full.
    fn full_second(&mut self, sample: Sample) -> Option<Second> {
        self.second.add(sample);
        (self.second.samples >= self.rate_hz).then(|| core::mem::take(&mut self.second))
    }

    fn worn(&mut self) -> Phase {
        self.second = Second::default();
        Phase::Worn { weightless: 0 }
    }

    fn samples(&self, ms: u32) -> u32 {
        (ms * self.rate_hz).div_ceil(1_000)
    }
}

/// The square of the acceleration all told, in thousandths of g squared. Three axes of 16 bits fit.
fn squared(sample: [i32; 3]) -> u32 {
    sample.iter().map(|mg| mg.unsigned_abs().pow(2)).sum()
}

const fn squared_u32(mg: u32) -> u32 {
    mg * mg
}

/// Down has turned by more than 45 degrees: the cosine of the angle is below the root of a half.
fn is_turned(before: [i32; 3], after: [i32; 3]) -> bool {
    let along: i64 = before.iter().zip(after).map(|(one, other)| i64::from(*one) * i64::from(other)).sum();
    // Squares of 16-bit samples: their product fits in 64 bits without a sign, and not twice.
    along <= 0 || along.unsigned_abs().pow(2) < u64::from(squared(before)) * u64::from(squared(after)) / 2
}
