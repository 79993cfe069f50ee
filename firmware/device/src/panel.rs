//! Light, sound, vibration and words: what a device says to the person beside it.

use vaka_protocol::{Light, Sound};

use crate::Now;

/// The parts that show something.
pub trait Panel {
    /// Shows it from now on; `None`: that part stays as it is. A sound is made once.
    fn show(&mut self, light: Option<Light>, sound: Option<Sound>, text: Option<&str>, now: Now);

    /// Drives the patterns (blinking, chimes). Returns for how many milliseconds nothing changes by itself.
    fn pass(&mut self, now: Now) -> Option<u64>;

    /// Loudness, 0 to 100.
    fn volume(&mut self, _percent: u8) {}
}
