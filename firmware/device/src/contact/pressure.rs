//! Bed, chair and mat: somebody's weight on a sensor.

use vaka_protocol::Event;

use super::{Analog, SUPPLY_MV, kept};
use crate::Now;
use crate::keep::VALUE_BYTES_MAX;
use crate::role::{Cx, Role};
use crate::told::Told;
use crate::trouble::Trouble;

/// Below it the sensor is unplugged, millivolts. The resistor beside the sensor lets a current flow through an empty one
/// (see [`Seat`]). Source: our choice.
pub const UNPLUGGED_MV: u16 = 100;

/// Above it the sensor is shorted, millivolts: no weight makes it conduct like a wire. Source: our choice.
pub const SHORTED_MV: u16 = SUPPLY_MV - 100;

/// The empty sensor as it is made, millivolts: 10 kΩ to ground and 100 kΩ beside the sensor at 3.3 V give 300.
pub const EMPTY_MV: u16 = 300;

/// How far the empty value may drift, millivolts: a mattress that sags, a sheet that is tucked in. Beyond: it stays
/// there, and a technician is asked by a bed that never becomes empty. Wider: a person could be learnt as a mattress.
/// Source: our choice.
pub const EMPTY_MV_MIN: u16 = 150;
/// The upper end of the same.
pub const EMPTY_MV_MAX: u16 = 700;

/// How fast the empty value follows, milliseconds for one millivolt: 60 mV an hour. Faster: a light person who lies
/// still is learnt. Slower: a morning's warmth is not followed. Source: our choice.
const DRIFT_MS_PER_MV: u64 = 60_000;

/// Above the empty value by this much somebody is there, millivolts. Source: our choice, for a sensor that gives 1 V or
/// more under a sitting adult.
const OCCUPIED_ABOVE_MV: u16 = 400;

/// Above the empty value by less than this nobody is there, millivolts. Between the two the state stays as it is.
const FREE_BELOW_MV: u16 = 200;

/// The empty value is kept when it has moved by this much, millivolts: a page of flash lasts for 10,000 erasures, and
/// this is a handful a day at most. Source: our choice.
const KEPT_STEP_MV: u16 = 50;

/// Where the sensor lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In a bed.
    Bed,
    /// On a chair.
    Chair,
    /// On the floor beside the bed.
    Mat,
}

impl Place {
    /// How long somebody must be there before that is told, milliseconds. Source: our choice: a cat jumps over a bed;
    /// a foot on the mat is a step out of bed and told soon.
    fn settle_in_ms(self) -> u64 {
        match self {
            Place::Bed | Place::Chair => 2_000,
            Place::Mat => 100,
        }
    }

    /// How long nobody must be there before that is told, milliseconds. Source: our choice: turning over in bed lifts
    /// the weight for two or three seconds.
    fn settle_out_ms(self) -> u64 {
        match self {
            Place::Bed => 5_000,
            Place::Chair => 3_000,
            Place::Mat => 1_000,
        }
    }

    /// Between two samples, milliseconds.
    fn sample_ms(self) -> u64 {
        match self {
            Place::Bed | Place::Chair => 500,
            Place::Mat => 50,
        }
    }

    fn event(self, is_there: bool) -> Event {
        match self {
            Place::Bed => Event::Bed { occupied: is_there },
            Place::Chair => Event::Chair { occupied: is_there },
            Place::Mat => Event::Mat { pressed: is_there },
        }
    }
}

/// From millivolts to whether somebody is there: hysteresis, settling, and an empty value that follows slowly.
#[derive(Debug, Clone)]
pub struct Pressure {
    place: Place,
    empty_mv: u16,
    is_there: Option<bool>,
    /// The other state, and since when it has been seen.
    turning_ms: Option<(bool, u64)>,
    /// When the empty value was moved last.
    drifted_ms: Option<u64>,
}

impl Pressure {
    /// With the value of the empty sensor, millivolts.
    pub fn new(place: Place, empty_mv: u16) -> Self {
        let empty_mv = empty_mv.clamp(EMPTY_MV_MIN, EMPTY_MV_MAX);
        Self { place, empty_mv, is_there: None, turning_ms: None, drifted_ms: None }
    }

    /// A sample of the sensor cannot be one.
    pub fn is_broken(mv: u16) -> bool {
        !(UNPLUGGED_MV..=SHORTED_MV).contains(&mv)
    }

    /// Takes a sample that is not broken. Returns the state; `None` until it is known.
    pub fn sample(&mut self, mv: u16, uptime_ms: u64) -> Option<bool> {
        let above_mv = mv.saturating_sub(self.empty_mv);
        let looks = match self.is_there {
            // Before the first verdict the middle counts as somebody: an empty bed must be sure.
            Some(true) | None => above_mv >= FREE_BELOW_MV,
            Some(false) => above_mv >= OCCUPIED_ABOVE_MV,
        };
        if self.is_there == Some(looks) {
            self.turning_ms = None;
        } else {
            let since_ms = match self.turning_ms {
                Some((turning, since_ms)) if turning == looks => since_ms,
                _ => uptime_ms,
            };
            self.turning_ms = Some((looks, since_ms));
            let settle_ms = if looks { self.place.settle_in_ms() } else { self.place.settle_out_ms() };
            if uptime_ms.saturating_sub(since_ms) >= settle_ms {
                (self.is_there, self.turning_ms) = (Some(looks), None);
            }
        }
        self.drift(mv, uptime_ms);
        self.is_there
    }

    /// The value of the empty sensor, millivolts.
    pub fn empty_mv(&self) -> u16 {
        self.empty_mv
    }

    /// It was out of sight: whether somebody is there is not known.
    pub fn forget(&mut self) {
        (self.is_there, self.turning_ms, self.drifted_ms) = (None, None, None);
    }

    fn drift(&mut self, mv: u16, uptime_ms: u64) {
        let is_empty = self.is_there == Some(false) && self.turning_ms.is_none();
        if !is_empty {
            self.drifted_ms = None;
            return;
        }
        let since_ms = *self.drifted_ms.get_or_insert(uptime_ms);
        if uptime_ms.saturating_sub(since_ms) >= DRIFT_MS_PER_MV {
            self.drifted_ms = Some(uptime_ms);
            let next_mv =
                if mv > self.empty_mv { self.empty_mv + 1 } else { self.empty_mv - u16::from(mv < self.empty_mv) };
            self.empty_mv = next_mv.clamp(EMPTY_MV_MIN, EMPTY_MV_MAX);
        }
    }
}

/// A bed, chair or mat. Wiring: a sensor that conducts under weight, from the supply to the pin, 100 kΩ beside it and
/// 10 kΩ from the pin to ground: empty is then never the same as unplugged.
#[derive(Debug)]
pub struct Seat<A> {
    sensor: A,
    place: Place,
    pressure: Pressure,
    kept_mv: u16,
    told: Told<bool>,
    trouble: Trouble,
}

impl<A: Analog> Seat<A> {
    /// With its sensor.
    pub fn new(place: Place, sensor: A) -> Self {
        Self {
            sensor,
            place,
            pressure: Pressure::new(place, EMPTY_MV),
            kept_mv: EMPTY_MV,
            told: Told::new(),
            trouble: Trouble::new("pressure", kept::TROUBLE),
        }
    }

    /// What it has learnt.
    pub fn pressure(&self) -> &Pressure {
        &self.pressure
    }
}

impl<A: Analog> Role for Seat<A> {
    fn start(&mut self, cx: &mut Cx<'_>) {
        self.trouble.start(cx);
        let mut buffer = [0; VALUE_BYTES_MAX];
        if let Ok(Some(&[low, high])) = cx.read(kept::EMPTY_MV, &mut buffer) {
            self.pressure = Pressure::new(self.place, u16::from_le_bytes([low, high]));
            self.kept_mv = self.pressure.empty_mv();
        }
    }

    fn pass(&mut self, cx: &mut Cx<'_>) {
        let mv = self.sensor.millivolts().filter(|mv| !Pressure::is_broken(*mv));
        self.trouble.is(cx, mv.is_some());
        let Some(mv) = mv else {
            // Nothing is concluded from it, and what was known may have changed when it works again.
            self.pressure.forget();
            if self.trouble.is_told() {
                self.told.forget();
            }
            return;
        };
        if let Some(is_there) = self.pressure.sample(mv, cx.now.uptime_ms) {
            self.told.is(cx, is_there, || self.place.event(is_there));
        }
        let empty_mv = self.pressure.empty_mv();
        if empty_mv.abs_diff(self.kept_mv) >= KEPT_STEP_MV {
            // Not kept: learnt again.
            let _ = cx.write(kept::EMPTY_MV, &empty_mv.to_le_bytes());
            self.kept_mv = empty_mv;
        }
    }

    fn rest_ms(&self, now: Now) -> u64 {
        self.place.sample_ms().min(self.told.rest_ms(now)).min(self.trouble.rest_ms(now))
    }
}
