//! A GPS alarm: a button, a satellite receiver, and a coarse fence.
//!
//! Enters: the button, the receiver's sentences, whether the wearer moves. Leaves: the call for help, and positions.
//! Invariants: a press is told at once and never waits for a fix; a position leaves the device only with an alarm, at the
//! fence, for the command `locate`, or at the interval that the settings allow; where none is set, never of its own
//! accord; a fix is never told without its age. Absent: what a fence means (the gateway's rules raise), routes, history.

mod fence;
mod fix;
mod gps_alarm;
mod nmea;
mod schedule;

pub use fence::{Fence, Side};
pub use fix::{Fix, Fixes};
pub use gps_alarm::{FENCE_KEY, GpsAlarm, TrackerPins};
pub use nmea::{Gga, Lines, Rmc, SENTENCE_BYTES_MAX, Sentence, parse};
pub use schedule::{
    ALARM_INTERVAL_MS, ALARM_TRACK_MS, LOOK_MS_MAX, NO_FIX_MS, POSITION_INTERVAL_S_MIN, SILENT_MS, look_interval_ms,
};
