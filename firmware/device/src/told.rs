//! The state that the gateway has been told. Enters: the state now. Leaves: an event when it is another.
//!
//! Invariants: after a boot the state is told once, so that the gateway never believes an old one; a state that there was
//! no room for is told again, so that the last one arrives.

use vaka_protocol::Event;

use crate::Now;
use crate::role::Cx;

/// When a state that found no room is told again, milliseconds. Each attempt counts as lost. Source: our choice.
pub const TELL_AGAIN_MS: u64 = 60_000;

/// A state and whether it was told.
#[derive(Debug, Clone)]
pub(crate) struct Told<T> {
    told: Option<T>,
    failed_ms: Option<u64>,
}

impl<T: PartialEq> Told<T> {
    /// Nothing told since the boot.
    pub const fn new() -> Self {
        Self { told: None, failed_ms: None }
    }

    /// The state is this. Told unless it was.
    pub fn is(&mut self, cx: &mut Cx<'_>, state: T, event: impl FnOnce() -> Event) {
        if self.told.as_ref() == Some(&state) {
            self.failed_ms = None;
            return;
        }
        if self.failed_ms.is_some_and(|failed_ms| cx.now.since(failed_ms) < TELL_AGAIN_MS) {
            return;
        }
        if cx.tell(event()).is_some() {
            (self.told, self.failed_ms) = (Some(state), None);
        } else {
            self.failed_ms = Some(cx.now.uptime_ms);
        }
    }

    /// The state is told again when it is known: in between nobody could see it.
    pub fn forget(&mut self) {
        (self.told, self.failed_ms) = (None, None);
    }

    /// For how many milliseconds nothing is due.
    pub fn rest_ms(&self, now: Now) -> u64 {
        self.failed_ms.map_or(u64::MAX, |failed_ms| TELL_AGAIN_MS.saturating_sub(now.since(failed_ms)))
    }
}
