//! A door or window: a reed contact and a magnet.

use embedded_hal::digital::InputPin;
use vaka_protocol::Event;

use super::{Debounce, LOOK_MS, kept};
use crate::Now;
use crate::role::{Cx, Role};
use crate::told::Told;
use crate::trouble::Trouble;

/// How long the reed must show one level, milliseconds.
///
/// Longer: a door that is only opened a hand's breadth and shut is not told. Shorter: a door that trembles in its frame
/// tells ten times. Source: our choice; reeds bounce for 0.5 ms when new.
pub const DOOR_SETTLE_MS: u64 = 50;

/// A door sensor. Wiring: the reed to ground, a pull-up at the pin; the magnet of the shut door closes the reed.
///
/// High means open: a cut wire is an open door, which somebody will look at, and never a shut one.
#[derive(Debug)]
pub struct Door<P> {
    reed: P,
    debounce: Debounce,
    told: Told<bool>,
    trouble: Trouble,
}

impl<P: InputPin> Door<P> {
    /// With its reed.
    pub fn new(reed: P) -> Self {
        Self {
            reed,
            debounce: Debounce::new(DOOR_SETTLE_MS),
            told: Told::new(),
            trouble: Trouble::new("reed", kept::TROUBLE),
        }
    }
}

impl<P: InputPin> Role for Door<P> {
    fn start(&mut self, cx: &mut Cx<'_>) {
        self.trouble.start(cx);
    }

    fn pass(&mut self, cx: &mut Cx<'_>) {
        let Ok(is_open) = self.reed.is_high() else {
            self.trouble.is(cx, false);
            return;
        };
        self.debounce.sample(is_open, cx.now.uptime_ms);
        self.trouble.is(cx, !self.debounce.is_restless(cx.now.uptime_ms));
        if let Some(open) = self.debounce.level() {
            self.told.is(cx, open, || Event::Door { open });
        }
    }

    fn rest_ms(&self, now: Now) -> u64 {
        LOOK_MS.min(self.debounce.rest_ms()).min(self.told.rest_ms(now)).min(self.trouble.rest_ms(now))
    }
}
