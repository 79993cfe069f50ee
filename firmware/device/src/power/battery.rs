//! A battery's charge from measurements under load. Enters: millivolts and when. Leaves: the event `battery` where there
//! is news.
//!
//! Invariants: what is told comes from the median of the last measurements, so that a radio burst in one of them is none;
//! told again after ten percent; low once, and over only ten percent above it; the last gasp (0 percent, low) only after
//! [`GASP_MS`] below the curve's `gasp_mv` without a break, once.

use heapless::Deque;
use vaka_protocol::Event;

use super::Curve;

/// Measurements in the median: four of nine may be dips. More: a change of the battery is seen late. Source: our choice.
pub const MEDIAN_OF: usize = 9;

/// What the charge must change by to be told, percent; also how far it must rise for low to be over.
pub const STEP_PERCENT: u8 = 10;

/// How long the voltage must stay too low to count as the last gasp, milliseconds. Longer than a burst of the radio, a
/// start of a motor. Longer: nothing is left to send with. Source: our choice.
pub const GASP_MS: u64 = 200;

/// A battery.
#[derive(Debug, Clone)]
pub struct Battery {
    curve: &'static Curve,
    recent: Deque<u16, MEDIAN_OF>,
    /// As told last.
    told: Option<u8>,
    is_low: bool,
    is_gasping: bool,
    /// Since when every measurement was too low.
    weak_ms: Option<u64>,
}

impl Battery {
    /// Nothing was measured yet.
    pub const fn new(curve: &'static Curve) -> Self {
        Self { curve, recent: Deque::new(), told: None, is_low: false, is_gasping: false, weak_ms: None }
    }

    /// What kind it is.
    pub fn curve(&self) -> &'static Curve {
        self.curve
    }

    /// The charge as told last; 0 in the last gasp.
    pub fn percent(&self) -> Option<u8> {
        if self.is_gasping { Some(0) } else { self.told }
    }

    /// It must be changed or charged.
    pub fn is_low(&self) -> bool {
        self.is_low
    }

    /// It is about to go.
    pub fn is_gasping(&self) -> bool {
        self.is_gasping
    }

    /// Nothing needs to be looked at closer.
    pub fn is_settled(&self) -> bool {
        self.is_gasping || self.recent.is_full() && self.weak_ms.is_none()
    }

    /// A measurement. Returns what is to be told.
    pub fn measured(&mut self, millivolts: u16, uptime_ms: u64) -> Option<Event> {
        if millivolts < self.curve.gasp_mv {
            // Kept out of the median: it is a burst, or it is the end.
            let since = *self.weak_ms.get_or_insert(uptime_ms);
            if self.is_gasping || uptime_ms.saturating_sub(since) < GASP_MS {
                return None;
            }
            self.is_gasping = true;
            self.recent.clear();
            let is_news = (self.told, self.is_low) != (Some(0), true);
            (self.told, self.is_low) = (Some(0), true);
            return is_news.then_some(Event::Battery { percent: Some(0), low: true });
        }
        self.weak_ms = None;
        if self.recent.is_full() {
            self.recent.pop_front();
        }
        // There is room now.
        let _ = self.recent.push_back(millivolts);
        let percent = self.curve.percent(self.median()?);
        if self.is_gasping && percent < self.curve.low_percent {
            // A battery recovers a little when nothing is drawn: it is as empty as before.
            return None;
        }
        self.is_gasping = false;
        let was_low = self.is_low;
        self.is_low = percent <= if was_low { self.curve.low_percent + STEP_PERCENT } else { self.curve.low_percent };
        let is_step = self.told.is_none_or(|told| told.abs_diff(percent) >= STEP_PERCENT);
        if !is_step && was_low == self.is_low {
            return None;
        }
        self.told = Some(percent);
        Some(Event::Battery { percent: Some(percent), low: self.is_low })
    }

    /// `None`: too few measurements yet.
    fn median(&self) -> Option<u16> {
        let mut sorted = [0; MEDIAN_OF];
        if !self.recent.is_full() {
            return None;
        }
        sorted.iter_mut().zip(&self.recent).for_each(|(to, from)| *to = *from);
        sorted.sort_unstable();
        Some(sorted[MEDIAN_OF / 2])
    }
}
