//! Battery and mains. Enters: millivolts ([`Voltmeter`]), the pin that says whether mains is there. Leaves: the events
//! `battery` and `mains`, and whether flash may be erased ([`Guarded`]).
//!
//! Invariants: a dip that is shorter than [`GASP_MS`] changes nothing; low, and the last gasp, are told once until they are
//! over; below the voltage at which a flash erases safely nothing is erased, and the last events wait in memory instead.
//! Absent: temperature. A cold battery reads low and is told so; better that than an empty one that reads well.

pub mod battery;
pub mod curve;
pub mod duty;
mod guarded;
mod mains;

use core::sync::atomic::{AtomicBool, Ordering};

use embedded_hal::digital::InputPin;
use vaka_protocol::Event;

pub use battery::{Battery, GASP_MS};
pub use curve::Curve;
pub use guarded::{GuardError, Guarded};
pub use mains::{MAINS_BACK_MS, MAINS_GONE_MS, Mains, NoMains};

use crate::Now;
use crate::role::{Cx, Role};

/// Between two measurements, milliseconds. Longer: a battery that is pulled down is seen late. Shorter: each costs charge
/// ([`duty`]). Source: our choice.
pub const MEASURE_MS: u64 = 30_000;

/// Between two measurements while the voltage is too low or the median has too few, milliseconds.
pub const LOOK_CLOSER_MS: u64 = 50;

/// Measurements in a row that gave nothing, before the voltmeter counts as broken.
pub const UNMEASURED_MAX: u8 = 5;

/// What measures the voltage behind the battery, under whatever load there is.
pub trait Voltmeter {
    /// Millivolts. `None`: it could not be measured now.
    fn millivolts(&mut self) -> Option<u16>;
}

/// What the device lives on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Supply {
    /// A battery alone.
    Battery,
    /// Mains, and a battery that is measured.
    MainsAndBattery,
    /// Mains, and a capacitor that holds for seconds: mains gone is the last gasp. Its voltage is measured.
    MainsAndCapacitor,
}

/// A device's power: goes beside its role, `(power, role)`.
#[derive(Debug)]
pub struct Power<V, M> {
    voltmeter: V,
    pin: M,
    supply: Supply,
    battery: Battery,
    mains: Mains,
    is_safe: &'static AtomicBool,
    measured_ms: Option<u64>,
    unmeasured: u8,
    is_gasping: bool,
}

impl<V: Voltmeter> Power<V, NoMains> {
    /// A device that lives on a battery. `is_safe` is shared with the flash's [`Guarded`], and true at boot.
    pub fn on_battery(voltmeter: V, curve: &'static Curve, is_safe: &'static AtomicBool) -> Self {
        Self::new(voltmeter, NoMains, Supply::Battery, curve, is_safe)
    }
}

impl<V: Voltmeter, M: InputPin> Power<V, M> {
    /// `pin` is high while mains is there. `curve`: of the battery, or of the capacitor ([`curve::CAPACITOR_5V`]).
    pub fn new(voltmeter: V, pin: M, supply: Supply, curve: &'static Curve, is_safe: &'static AtomicBool) -> Self {
        let gone_ms = if supply == Supply::MainsAndCapacitor { LOOK_CLOSER_MS } else { MAINS_GONE_MS };
        Self {
            voltmeter,
            pin,
            supply,
            battery: Battery::new(curve),
            mains: Mains::new(gone_ms),
            is_safe,
            measured_ms: None,
            unmeasured: 0,
            is_gasping: false,
        }
    }

    /// The power is about to go: the board sends what is urgent and begins nothing else.
    pub fn is_gasping(&self) -> bool {
        self.is_gasping
    }

    /// The battery's charge in percent, as told last.
    pub fn percent(&self) -> Option<u8> {
        self.battery.percent()
    }

    fn look_at_mains(&mut self, cx: &mut Cx<'_>) {
        if self.supply == Supply::Battery {
            return;
        }
        // A pin that cannot be read says what it said before.
        let Ok(is_on) = self.pin.is_high() else { return };
        if let Some(on) = self.mains.seen(is_on, cx.now.uptime_ms) {
            cx.tell(Event::Mains { on });
        }
    }

    fn measure(&mut self, cx: &mut Cx<'_>) {
        let uptime_ms = cx.now.uptime_ms;
        if self.measured_ms.is_some_and(|last| cx.now.since(last) < self.interval_ms()) {
            return;
        }
        self.measured_ms = Some(uptime_ms);
        let Some(millivolts) = self.voltmeter.millivolts() else {
            self.unmeasured = self.unmeasured.saturating_add(1);
            if self.unmeasured == UNMEASURED_MAX {
                cx.tell(Event::Fault { part: "voltmeter".into(), active: true });
            }
            return;
        };
        if self.unmeasured >= UNMEASURED_MAX {
            cx.tell(Event::Fault { part: "voltmeter".into(), active: false });
        }
        self.unmeasured = 0;
        let told = self.battery.measured(millivolts, uptime_ms);
        // At once, not smoothed: an erase that is cut by a falling voltage leaves a flash that nobody specified.
        self.is_safe.store(millivolts >= self.battery.curve().erase_mv, Ordering::Relaxed);
        // A capacitor fills and empties within seconds: its percents are no news.
        if let (Some(told), false) = (told, self.supply == Supply::MainsAndCapacitor) {
            cx.tell(told);
        }
    }

    fn gasp(&mut self, cx: &mut Cx<'_>) {
        let was_gasping = self.is_gasping;
        if self.supply == Supply::MainsAndCapacitor {
            self.is_gasping = self.mains.is_on() == Some(false);
            if self.is_gasping != was_gasping {
                // Mains is back: the capacitor fills, how far is no news.
                cx.tell(Event::Battery { percent: self.is_gasping.then_some(0), low: self.is_gasping });
            }
        } else {
            self.is_gasping = self.battery.is_gasping();
        }
        if self.is_gasping {
            self.is_safe.store(false, Ordering::Relaxed);
        }
    }

    fn interval_ms(&self) -> u64 {
        if self.battery.is_settled() && self.unmeasured == 0 { MEASURE_MS } else { LOOK_CLOSER_MS }
    }
}

impl<V: Voltmeter, M: InputPin> Role for Power<V, M> {
    fn pass(&mut self, cx: &mut Cx<'_>) {
        self.look_at_mains(cx);
        self.measure(cx);
        self.gasp(cx);
    }

    fn rest_ms(&self, now: Now) -> u64 {
        let measure = self.measured_ms.map_or(0, |last| self.interval_ms().saturating_sub(now.since(last)));
        measure.min(self.mains.rest_ms(now.uptime_ms))
    }

    /// A low battery may not last for an erase and the boot after it.
    fn is_busy(&self) -> bool {
        self.is_gasping || self.battery.is_low() || !self.is_safe.load(Ordering::Relaxed)
    }
}
