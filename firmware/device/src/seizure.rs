//! Seizures, from what an accelerometer under the mattress feels.
//!
//! Enters: samples. Leaves: an epileptic seizure, once. What is felt is movement that repeats itself two to six times a
//! second, strongly, for longer than somebody scratches or turns: the jerks of a tonic-clonic seizure. Invariants: integers
//! and fixed memory; one seizure is told once; missing samples are no movement.
//!
//! A window's movement is correlated with itself: the first delay at which it resembles itself again, after one at which it
//! was its own opposite, is its period. So neither breathing (slower), nor a purring machine (faster), nor turning over (not
//! periodic) counts. Seizures without jerks are not found; a strong tremor may be found as one. The frequencies are those of
//! clonic jerks as the literature gives them, cited from memory; nothing here has been tried on people.

use vaka_protocol::Event;

use crate::Now;
use crate::motion::{Accelerometer, Felt, Sample, Told};
use crate::role::{Cx, Role};

/// Slowest and fastest jerks, a second.
pub const JERKS_HZ: core::ops::RangeInclusive<u32> = 2..=6;

/// Movement of one axis around its mean that counts as strong, thousandths of g (root of the mean square). Lower: steps in
/// the room and a neighbour in bed, which a mattress passes on with some 10 mg. Source: our choice.
pub const STRONG_MG_MIN: u32 = 40;

/// How much of its strength must repeat itself, percent. Lower: turning over by chance. Source: our choice.
pub const PERIODIC_PERCENT_MIN: i64 = 50;

/// Windows that must be periodic, each [`HOP_MS`]; one that is not takes two back. With the first window's length: eleven to thirteen
/// seconds of seizure. Longer: help is late; shorter: who brushes teeth in bed calls. Source: our choice.
pub const WINDOWS_MIN: u8 = 8;

/// After so many windows without a seizure the next is another one: half a minute. Source: our choice; a seizure slows down
/// and pauses at its end.
pub const CALM_WINDOWS_MIN: u8 = 24;

/// Samples in a window: 2.56 s at 50 a second, more than four of the slowest periods.
const WINDOW: usize = 128;
/// Samples between two windows.
const HOP: usize = WINDOW / 2;
/// The time between two windows, milliseconds.
pub const HOP_MS: u32 = HOP as u32 * 1_000 / RATE_HZ;
/// Samples a second for which the windows are made.
pub const RATE_HZ: u32 = 50;
/// Delays, in samples, at which the fastest and the slowest jerks resemble themselves.
const DELAYS: core::ops::RangeInclusive<usize> =
    (RATE_HZ / *JERKS_HZ.end()) as usize..=(RATE_HZ / *JERKS_HZ.start()) as usize;

/// The longest delay that is looked at: one beyond that of the slowest jerks, to see that it is the highest.
const SLOWEST: usize = *DELAYS.end() + 2;

/// Watches for seizures. No hardware.
#[derive(Debug, Clone)]
pub struct Seizures {
    window: [Sample; WINDOW],
    filled: usize,
    /// Periodic windows, less two for each that was not.
    score: u8,
    /// A seizure was told, and for how many windows it has been calm since.
    told: Option<u8>,
}

impl Default for Seizures {
    fn default() -> Self {
        Self::new()
    }
}

impl Seizures {
    /// Nothing felt so far.
    pub const fn new() -> Self {
        Self { window: [[0; 3]; WINDOW], filled: 0, score: 0, told: None }
    }

    /// Takes what was felt next, [`RATE_HZ`] times a second. True: a seizure began, some seconds ago.
    pub fn feel(&mut self, felt: Felt) -> bool {
        let Felt::Sample(sample) = felt else {
            self.filled = 0;
            return false;
        };
        self.window[self.filled] = sample;
        self.filled += 1;
        if self.filled < WINDOW {
            return false;
        }
        let is_periodic = (0..3).any(|axis| jerks(&self.window, axis));
        self.window.copy_within(HOP.., 0);
        self.filled = WINDOW - HOP;
        self.judge(is_periodic)
    }

    fn judge(&mut self, is_periodic: bool) -> bool {
        self.score = if is_periodic { (self.score + 1).min(WINDOWS_MIN) } else { self.score.saturating_sub(2) };
        if let Some(calm) = &mut self.told {
            *calm = if is_periodic { 0 } else { *calm + 1 };
            if *calm >= CALM_WINDOWS_MIN {
                self.told = None;
            }
            return false;
        }
        let is_found = self.score >= WINDOWS_MIN;
        if is_found {
            (self.told, self.score) = (Some(0), 0);
        }
        is_found
    }
}

/// Whether this axis moves strongly and repeats itself as often as jerks do.
fn jerks(window: &[Sample; WINDOW], axis: usize) -> bool {
    let sum: i32 = window.iter().map(|sample| i32::from(sample[axis])).sum();
    let mean = sum / WINDOW as i32;
    let moved = |place: usize| i64::from(i32::from(window[place][axis]) - mean);
    // For each delay over the same number of samples, so that they compare.
    let alike = |delay: usize| (0..WINDOW - SLOWEST).map(|place| moved(place) * moved(place + delay)).sum::<i64>();
    let strength = alike(0);
    let strong_mg = i64::from(STRONG_MG_MIN);
    if strength < strong_mg * strong_mg * (WINDOW - SLOWEST) as i64 {
        return false;
    }
    let mut was_opposite = false;
    let mut before = strength;
    for delay in 1..SLOWEST {
        let (now, next) = (alike(delay), alike(delay + 1));
        was_opposite |= now < 0;
        if was_opposite && now > 0 && now >= before && now >= next {
            return DELAYS.contains(&delay) && now * 100 >= strength * PERIODIC_PERCENT_MIN;
        }
        before = now;
    }
    false
}

/// A sensor under the mattress that feels seizures.
#[derive(Debug)]
pub struct MattressSensor<A> {
    accelerometer: Told<A>,
    seizures: Seizures,
}

impl<A: Accelerometer> MattressSensor<A> {
    const RATE_FITS: () = assert!(A::RATE_HZ == RATE_HZ, "the mattress sensor needs 50 samples a second");

    /// With that accelerometer.
    pub fn new(accelerometer: A) -> Self {
        let () = Self::RATE_FITS;
        Self { accelerometer: Told::new(accelerometer), seizures: Seizures::new() }
    }
}

impl<A: Accelerometer> Role for MattressSensor<A> {
    fn pass(&mut self, cx: &mut Cx<'_>) {
        let mut is_found = false;
        let Self { accelerometer, seizures } = self;
        accelerometer.feel(cx, &mut |felt| is_found |= seizures.feel(felt));
        if is_found {
            cx.call(Event::Seizure {});
        }
    }

    fn rest_ms(&self, now: Now) -> u64 {
        self.accelerometer.rest_ms(now)
    }
}
