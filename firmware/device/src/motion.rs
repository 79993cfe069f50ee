//! What moves a device. Enters: samples of an accelerometer. Leaves: the same samples, and whether the part works.
//!
//! Invariant: a part that fails is told once, as a fault, and once when it works again; nothing is felt in between.

use vaka_protocol::Event;

use crate::Now;
use crate::role::Cx;

/// The acceleration along x, y and z in thousandths of g, gravity included.
pub type Sample = [i16; 3];

/// What came from an accelerometer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Felt {
    /// A sample, [`Accelerometer::RATE_HZ`] after the one before.
    Sample(Sample),
    /// Samples are missing here: nobody emptied the part in time, or it started anew.
    Gap,
}

/// The accelerometer did not answer as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the accelerometer does not answer")]
pub struct Silent;

/// A part that feels acceleration.
pub trait Accelerometer {
    /// Samples a second.
    const RATE_HZ: u32;

    /// Hands over what was felt since the last time, the oldest first. Tries to bring a part back that failed, in its own
    /// time.
    ///
    /// # Errors
    /// It does not answer, or not as this part does.
    fn feel(&mut self, now: Now, each: &mut dyn FnMut(Felt)) -> Result<(), Silent>;

    /// For how many milliseconds at most it can be left alone without a sample being lost.
    fn rest_ms(&self, now: Now) -> u64;
}

/// No accelerometer: nothing is felt.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoAccelerometer;

impl Accelerometer for NoAccelerometer {
    const RATE_HZ: u32 = 50;

    fn feel(&mut self, _now: Now, _each: &mut dyn FnMut(Felt)) -> Result<(), Silent> {
        Ok(())
    }

    fn rest_ms(&self, _now: Now) -> u64 {
        u64::MAX
    }
}

/// An accelerometer whose failure is told.
#[derive(Debug, Clone)]
pub(crate) struct Told<A> {
    part: A,
    is_silent: bool,
}

impl<A: Accelerometer> Told<A> {
    pub(crate) fn new(part: A) -> Self {
        Self { part, is_silent: false }
    }

    pub(crate) fn feel(&mut self, cx: &mut Cx<'_>, each: &mut dyn FnMut(Felt)) {
        let is_silent = self.part.feel(cx.now, each).is_err();
        if is_silent != self.is_silent {
            self.is_silent = is_silent;
            cx.tell(Event::Fault { part: "accelerometer".into(), active: is_silent });
        }
    }

    pub(crate) fn rest_ms(&self, now: Now) -> u64 {
        self.part.rest_ms(now)
    }
}
