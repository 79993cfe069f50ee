//! A detector with a contact: smoke, gas, carbon monoxide, heat, water. It tells that there is danger, and when it is
//! over.

use embedded_hal::digital::InputPin;
use vaka_protocol::Event;

use super::{Analog, LOOK_MS, SUPPLY_MV, kept};
use crate::Now;
use crate::role::{Cx, Role};
use crate::told::Told;
use crate::trouble::Trouble;

/// From the first sign on, a contact that is seen closed again this much later is an alarm, milliseconds, however much
/// it bounces in between. Shorter: a spark on the wire is a fire. Source: our choice.
pub const ONSET_MS: u64 = 50;

/// Signs further apart than this do not belong together, milliseconds. Source: our choice.
const TOGETHER_MS: u64 = 1_000;

/// Between two looks while there may be danger, milliseconds.
const SIGN_LOOK_MS: u64 = 10;

/// What a detector's line shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// All is well.
    Quiet,
    /// Danger.
    Active,
    /// Cut, shorted or not readable: nothing can be said.
    Broken,
}

/// A detector's line.
pub trait Loop {
    /// What it shows now.
    fn look(&mut self) -> Line;

    /// For how long it need not be looked at, milliseconds, while all is well.
    fn rest_ms(&self) -> u64;
}

/// A contact at a pin, which an interrupt watches. High: danger. Unwatched: a cut wire is not seen, so only for contacts
/// on the same board.
#[derive(Debug)]
pub struct Pin<P>(pub P);

impl<P: InputPin> Loop for Pin<P> {
    fn look(&mut self) -> Line {
        match self.0.is_high() {
            Ok(true) => Line::Active,
            Ok(false) => Line::Quiet,
            Err(_) => Line::Broken,
        }
    }

    fn rest_ms(&self) -> u64 {
        LOOK_MS
    }
}

/// A watched line: 10 kΩ from the supply to the pin; at the detector 10 kΩ to ground, and 2.2 kΩ in series with the
/// contact beside it. Quiet 1,650 mV, active 505 mV, cut 3,300 mV, shorted 0 mV; the bounds lie midway. Source: our
/// choice of an end-of-line resistor, as intruder and fire panels have it.
#[derive(Debug)]
pub struct EndOfLine<A>(pub A);

impl<A: Analog> Loop for EndOfLine<A> {
    fn look(&mut self) -> Line {
        const SHORTED_MV: u16 = 250;
        const ACTIVE_MV: u16 = 1_080;
        const CUT_MV: u16 = (1_650 + SUPPLY_MV) / 2;
        match self.0.millivolts() {
            Some(SHORTED_MV..ACTIVE_MV) => Line::Active,
            Some(ACTIVE_MV..CUT_MV) => Line::Quiet,
            Some(..) | None => Line::Broken,
        }
    }

    fn rest_ms(&self) -> u64 {
        // No interrupt comes from it: looked at twice a second.
        500
    }
}

/// Against what it guards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Danger {
    /// Smoke.
    Smoke,
    /// Combustible gas.
    Gas,
    /// Carbon monoxide.
    Co,
    /// Heat, by a contact of its own.
    Heat,
    /// Water on the floor.
    Flood,
}

impl Danger {
    /// How long the line must be quiet before it is over, milliseconds. Shorter: a detector that wavers tells over and
    /// over; a floor that is wiped is not dry. Source: our choice.
    pub fn quiet_ms(self) -> u64 {
        match self {
            Danger::Flood => 600_000,
            _ => 60_000,
        }
    }

    fn event(self, active: bool) -> Event {
        match self {
            Danger::Smoke => Event::Smoke { active },
            Danger::Gas => Event::Gas { active },
            Danger::Co => Event::Co { active },
            Danger::Heat => Event::Heat { active },
            Danger::Flood => Event::Flood { active },
        }
    }
}

/// From what a line shows to whether there is danger: quick to see it, slow to believe that it is over.
#[derive(Debug, Clone)]
pub struct Hazard {
    quiet_ms: u64,
    is_active: Option<bool>,
    /// The first and the newest sign of those that belong together.
    signs_ms: Option<(u64, u64)>,
    quiet_since_ms: Option<u64>,
}

impl Hazard {
    /// Over when it was quiet for `quiet_ms`.
    pub const fn new(quiet_ms: u64) -> Self {
        Self { quiet_ms, is_active: None, signs_ms: None, quiet_since_ms: None }
    }

    /// Takes a sample. Returns whether there is danger; `None` until it is known: after a boot an earlier danger is
    /// over no sooner than at any other time.
    pub fn sample(&mut self, line: Line, uptime_ms: u64) -> Option<bool> {
        match line {
            Line::Active => {
                self.quiet_since_ms = None;
                let first_ms = match self.signs_ms {
                    Some((first_ms, newest_ms)) if uptime_ms.saturating_sub(newest_ms) <= TOGETHER_MS => first_ms,
                    _ => uptime_ms,
                };
                self.signs_ms = Some((first_ms, uptime_ms));
                if uptime_ms.saturating_sub(first_ms) >= ONSET_MS {
                    self.is_active = Some(true);
                }
            }
            Line::Quiet => {
                let since_ms = *self.quiet_since_ms.get_or_insert(uptime_ms);
                if uptime_ms.saturating_sub(since_ms) >= self.quiet_ms {
                    self.is_active = Some(false);
                }
            }
            // Neither a sign nor quiet. What was seen last stays.
            Line::Broken => self.quiet_since_ms = None,
        }
        self.is_active
    }

    /// There may be danger: look often.
    fn is_uncertain(&self, uptime_ms: u64) -> bool {
        let together = |(_, newest_ms): (u64, u64)| uptime_ms.saturating_sub(newest_ms) <= TOGETHER_MS;
        self.is_active != Some(true) && self.signs_ms.is_some_and(together)
    }

    fn rest_ms(&self, uptime_ms: u64) -> u64 {
        if self.is_uncertain(uptime_ms) {
            return SIGN_LOOK_MS;
        }
        let is_settled = self.is_active == Some(false);
        let quiet = self.quiet_since_ms.filter(|_| !is_settled);
        quiet.map_or(u64::MAX, |since_ms| self.quiet_ms.saturating_sub(uptime_ms.saturating_sub(since_ms)))
    }
}

/// A detector.
#[derive(Debug)]
pub struct Detector<L> {
    line: L,
    danger: Danger,
    hazard: Hazard,
    told: Told<bool>,
    trouble: Trouble,
}

impl<L: Loop> Detector<L> {
    /// With its line.
    pub fn new(danger: Danger, line: L) -> Self {
        Self {
            line,
            danger,
            hazard: Hazard::new(danger.quiet_ms()),
            told: Told::new(),
            trouble: Trouble::new("detector", kept::TROUBLE),
        }
    }
}

impl<L: Loop> Role for Detector<L> {
    fn start(&mut self, cx: &mut Cx<'_>) {
        self.trouble.start(cx);
    }

    fn pass(&mut self, cx: &mut Cx<'_>) {
        let line = self.line.look();
        self.trouble.is(cx, line != Line::Broken);
        if let Some(active) = self.hazard.sample(line, cx.now.uptime_ms) {
            self.told.is(cx, active, || self.danger.event(active));
        }
    }

    fn rest_ms(&self, now: Now) -> u64 {
        let logic = self.hazard.rest_ms(now.uptime_ms);
        self.line.rest_ms().min(logic).min(self.told.rest_ms(now)).min(self.trouble.rest_ms(now))
    }
}
