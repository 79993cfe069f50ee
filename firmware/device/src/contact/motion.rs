//! Somebody moved: a passive infrared sensor (PIR).

use embedded_hal::digital::InputPin;
use vaka_protocol::Event;

use super::{LOOK_MS, kept};
use crate::Now;
use crate::role::{Cx, Role};
use crate::trouble::Trouble;

/// After power-on the sensor sees ghosts, milliseconds. Source: makers of common modules (HC-SR501 and kin) state 30 to
/// 60 s until the element is at rest.
pub const WARM_UP_MS: u64 = 60_000;

/// After a motion was told, the next is told no sooner, milliseconds.
///
/// Shorter: a coin cell that sends each step is empty in weeks. Longer: the rules know less exactly when somebody was
/// last up. What moves in between is told at its end. Source: our choice.
pub const HOLD_OFF_MS: u64 = 120_000;

/// A pin that says for this long without a pause that somebody moves is stuck, milliseconds. Believed any longer, it
/// would be a sign of life of nobody. Source: our choice; a PIR sees change and lets go within seconds.
pub const STUCK_MS: u64 = 3_600_000;

/// From levels to motions.
#[derive(Debug, Clone, Default)]
pub struct Motion {
    told_ms: Option<u64>,
    is_due: bool,
    high_ms: Option<u64>,
}

impl Motion {
    /// Nothing moved yet.
    pub const fn new() -> Self {
        Self { told_ms: None, is_due: false, high_ms: None }
    }

    /// Takes a sample; `uptime_ms` counts from power-on. True: tell a motion now.
    pub fn sample(&mut self, is_high: bool, uptime_ms: u64) -> bool {
        if is_high {
            self.high_ms.get_or_insert(uptime_ms);
        } else {
            self.high_ms = None;
        }
        if uptime_ms < WARM_UP_MS {
            return false;
        }
        if self.is_stuck(uptime_ms) {
            self.is_due = false;
            return false;
        }
        self.is_due |= is_high;
        let is_free = self.told_ms.is_none_or(|told_ms| uptime_ms.saturating_sub(told_ms) >= HOLD_OFF_MS);
        let tell = self.is_due && is_free;
        if tell {
            (self.told_ms, self.is_due) = (Some(uptime_ms), false);
        }
        tell
    }

    /// The pin has not let go for [`STUCK_MS`].
    pub fn is_stuck(&self, uptime_ms: u64) -> bool {
        self.high_ms.is_some_and(|since_ms| uptime_ms.saturating_sub(since_ms) >= STUCK_MS)
    }

    fn rest_ms(&self, uptime_ms: u64) -> u64 {
        match self.told_ms {
            _ if uptime_ms < WARM_UP_MS => WARM_UP_MS - uptime_ms,
            Some(told_ms) if self.is_due => HOLD_OFF_MS.saturating_sub(uptime_ms.saturating_sub(told_ms)),
            _ => LOOK_MS,
        }
    }
}

/// A motion sensor. High: something warm moves.
#[derive(Debug)]
pub struct Pir<P> {
    pin: P,
    motion: Motion,
    trouble: Trouble,
}

impl<P: InputPin> Pir<P> {
    /// With its pin.
    pub fn new(pin: P) -> Self {
        Self { pin, motion: Motion::new(), trouble: Trouble::new("pir", kept::TROUBLE) }
    }
}

impl<P: InputPin> Role for Pir<P> {
    fn start(&mut self, cx: &mut Cx<'_>) {
        self.trouble.start(cx);
    }

    fn pass(&mut self, cx: &mut Cx<'_>) {
        let uptime_ms = cx.now.uptime_ms;
        let Ok(is_high) = self.pin.is_high() else {
            self.trouble.is(cx, false);
            return;
        };
        if self.motion.sample(is_high, uptime_ms) {
            cx.tell(Event::Motion {});
        }
        self.trouble.is(cx, !self.motion.is_stuck(uptime_ms));
    }

    fn rest_ms(&self, now: Now) -> u64 {
        LOOK_MS.min(self.motion.rest_ms(now.uptime_ms)).min(self.trouble.rest_ms(now))
    }
}
