//! Movements as an accelerometer feels them, made by small functions from what a body does: no recording of anybody.
//!
//! A [`Trace`] is samples at one rate. The frame is the device's: x across, y along the body, z through the chest, thousandths
//! of g, so that a device at rest on an upright body reads `UPRIGHT`. Figures are those of the shapes that the literature
//! on falls shows (weightless 0.2 to 0.5 s, an impact of 50 to 150 ms, rest), simplified: they prove the order and the
//! thresholds of the detector and say nothing of how many real falls it finds.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::f64::consts::PI;

pub type Sample = [i16; 3];

/// At rest: on an upright body, on the back, on the belly, on the right and on the left side.
pub const UPRIGHT: Sample = [0, 1_000, 0];
pub const ON_BACK: Sample = [0, 100, 995];
pub const ON_BELLY: Sample = [0, 100, -995];
pub const ON_RIGHT: Sample = [995, 100, 0];
pub const ON_LEFT: Sample = [-995, 100, 0];
/// Leaning back in a chair: 20 degrees.
pub const SEATED: Sample = [0, 940, 342];

#[derive(Debug, Clone)]
pub struct Trace {
    pub rate_hz: u32,
    pub samples: Vec<Sample>,
}

impl Trace {
    pub fn new(rate_hz: u32) -> Self {
        Self { rate_hz, samples: Vec::new() }
    }

    fn count(&self, ms: u32) -> u32 {
        ms * self.rate_hz / 1_000
    }

    /// `at(t, share)`: the acceleration `t` seconds after the beginning of this part, which is `share` of its way.
    pub fn part(mut self, ms: u32, at: impl Fn(f64, f64) -> [f64; 3]) -> Self {
        let count = self.count(ms);
        for place in 0..count {
            let sample = at(f64::from(place) / f64::from(self.rate_hz), f64::from(place) / f64::from(count));
            self.samples.push(sample.map(|mg| mg.clamp(-8_000.0, 8_000.0) as i16));
        }
        self
    }

    /// Lies or stands still.
    pub fn rest(self, posture: Sample, ms: u32) -> Self {
        self.part(ms, |_, _| posture.map(f64::from))
    }

    /// The body drops while it turns from one posture to the other: what is left of gravity falls to `left_mg`.
    pub fn drop(self, from: Sample, to: Sample, left_mg: f64, ms: u32) -> Self {
        self.part(ms, |_, share| {
            // A third of the time to let go, then as weightless as it gets.
            let left = if share < 0.3 { 1.0 - (1.0 - left_mg / 1_000.0) * share / 0.3 } else { left_mg / 1_000.0 };
            turned(from, to, share).map(|mg| mg * left)
        })
    }

    /// An impact: half a sine from rest to `peak_mg` along the posture in which it ends.
    pub fn impact(self, posture: Sample, peak_mg: f64, ms: u32) -> Self {
        self.part(ms, |_, share| {
            posture.map(|mg| f64::from(mg) / 1_000.0 * (1_000.0 + (peak_mg - 1_000.0) * (PI * share).sin()))
        })
    }

    /// Rebounds that die away.
    pub fn rebound(self, posture: Sample, mg: f64, ms: u32) -> Self {
        self.part(ms, |t, share| {
            let bounce = 1.0 + mg / 1_000.0 * (1.0 - share) * (2.0 * PI * 6.0 * t).sin();
            posture.map(|axis| f64::from(axis) * bounce)
        })
    }

    /// Turns from one posture to the other without a drop.
    pub fn turn(self, from: Sample, to: Sample, ms: u32) -> Self {
        self.part(ms, |_, share| turned(from, to, share))
    }

    /// Swings around the posture with that amplitude and frequency, along `axis`.
    pub fn swing(self, posture: Sample, axis: usize, mg: f64, hz: f64, ms: u32) -> Self {
        self.part(ms, |t, _| {
            let mut sample = posture.map(f64::from);
            sample[axis] += mg * (2.0 * PI * hz * t).sin();
            sample
        })
    }

    pub fn then(mut self, other: Trace) -> Self {
        self.samples.extend(other.samples);
        self
    }

    /// Each axis off by at most `mg`, from a number that a test gives.
    pub fn with_noise(mut self, mg: i16, seed: u64) -> Self {
        let mut state = seed | 1;
        for axis in self.samples.iter_mut().flatten() {
            // Marsaglia's xorshift: any noise that differs from sample to sample will do.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let span = 2 * i64::from(mg) + 1;
            *axis = axis.saturating_add(((state >> 33) as i64 % span - i64::from(mg)) as i16);
        }
        self
    }
}

/// Between two postures, at that share of the way, with the length of gravity.
fn turned(from: Sample, to: Sample, share: f64) -> [f64; 3] {
    let mut between = [0.0; 3];
    for axis in 0..3 {
        between[axis] = f64::from(from[axis]) * (1.0 - share) + f64::from(to[axis]) * share;
    }
    let length = between.iter().map(|mg| mg * mg).sum::<f64>().sqrt().max(1.0);
    between.map(|mg| mg / length * 1_000.0)
}
