//! How well the device hears at its place. Enters: what its radio received last. Leaves: the event `signal`.
//!
//! Told some times in a row, since one may be luck: after a boot, which is when a technician hangs it up; after each call for
//! help, since who tries a device presses it; and when the place has become another. Invariants: never more than
//! [`PROBES`] in a row; without a radio, or before it has heard anything, nothing. Absent: what is too weak (the gateway's
//! visit judges).

use vaka_protocol::Event;

use crate::Now;
use crate::role::{Cx, Role};

/// Told in a row: as many as a technician's visit wants of a device, the worst of which counts.
pub const PROBES: u8 = 3;

/// Between two of them, milliseconds. Longer: the technician waits. Shorter: all of them are of the same moment. Source: our
/// choice.
pub const PROBE_MS: u64 = 10_000;

/// Another place, dB: who moves a device from a window to a hall sees that much. Less: people who walk by. Source: our choice.
pub const MOVED_DB: u16 = 10;

/// Told no sooner again because the place is another, milliseconds: a worn device is at another place all day. Source: our
/// choice.
pub const AGAIN_MS: u64 = 3_600_000;

/// Between two looks while nothing is to be told, milliseconds.
const LOOK_MS: u64 = 60_000;

/// A radio that says how strong it received last.
pub trait Radio {
    /// dBm: the nearer to 0 the stronger. `None`: it has no radio, or that has heard nothing yet.
    fn rssi_dbm(&mut self) -> Option<i16>;
}

/// A device's radio: goes beside its role, `(signal, role)`.
#[derive(Debug, Clone)]
pub struct Signal<R> {
    radio: R,
    /// Still to be told in this row.
    left: u8,
    /// What was told last, and when, milliseconds since boot.
    told: Option<(i16, u64)>,
    has_call: bool,
    /// The radio said something when it was asked last.
    is_heard: bool,
}

impl<R: Radio> Signal<R> {
    /// With its radio.
    pub fn new(radio: R) -> Self {
        Self { radio, left: PROBES, told: None, has_call: false, is_heard: false }
    }

    fn due_ms(&self, now: Now) -> u64 {
        self.told.map_or(0, |(_, told_ms)| PROBE_MS.saturating_sub(now.since(told_ms)))
    }
}

impl<R: Radio> Role for Signal<R> {
    fn pass(&mut self, cx: &mut Cx<'_>) {
        let had_call = core::mem::replace(&mut self.has_call, cx.feedback.is_open(cx.now.uptime_ms));
        if self.has_call && !had_call {
            self.left = PROBES;
        }
        let heard = self.radio.rssi_dbm();
        self.is_heard = heard.is_some();
        let Some(rssi_dbm) = heard else { return };
        let is_moved =
            |(dbm, told_ms): (i16, u64)| dbm.abs_diff(rssi_dbm) >= MOVED_DB && cx.now.since(told_ms) >= AGAIN_MS;
        if self.told.is_some_and(is_moved) {
            self.left = PROBES;
        }
        if self.left > 0 && self.due_ms(cx.now) == 0 {
            self.left -= 1;
            self.told = Some((rssi_dbm, cx.now.uptime_ms));
            cx.tell(Event::Signal { rssi_dbm });
        }
    }

    fn rest_ms(&self, now: Now) -> u64 {
        if self.left > 0 && self.is_heard { self.due_ms(now) } else { LOOK_MS }
    }
}
