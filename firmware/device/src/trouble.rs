//! Whether a part works. Enters: what its reader finds, again and again. Leaves: the event `fault`, once per change.
//!
//! Invariants: a part that fails is told once however often it is looked at and however often the device boots; one that
//! works again is told once too. A short disturbance is none.

use vaka_protocol::Event;

use crate::Now;
use crate::role::Cx;

/// How long a part must fail, or work again, before that is told, milliseconds.
///
/// Longer: a resident is unwatched and nobody knows. Shorter: a plug that is pushed in tells three faults. Source: our
/// choice.
pub const TROUBLE_MS: u64 = 3_000;

/// One part and what was told of it.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    part: &'static str,
    /// Under which of the role's numbers it is kept that the gateway knows.
    number: u16,
    is_told: bool,
    /// Since when it is otherwise than told, milliseconds since boot.
    since_ms: Option<u64>,
}

impl Trouble {
    /// Part and the role's number: [`crate::Cx::KEYS`].
    pub const fn new(part: &'static str, number: u16) -> Self {
        Self { part, number, is_told: false, since_ms: None }
    }

    /// Takes up what was told before the boot.
    pub fn start(&mut self, cx: &mut Cx<'_>) {
        let mut buffer = [0; crate::keep::VALUE_BYTES_MAX];
        // Cannot be read: told again rather than not at all.
        self.is_told = matches!(cx.read(self.number, &mut buffer), Ok(Some([1, ..])));
    }

    /// What was found just now. Returns whether the part may be believed: false from the first bad sample on.
    pub fn is(&mut self, cx: &mut Cx<'_>, works: bool) -> bool {
        if works != self.is_told {
            self.since_ms = None;
        } else {
            let since_ms = *self.since_ms.get_or_insert(cx.now.uptime_ms);
            if cx.now.since(since_ms) >= TROUBLE_MS {
                self.tell(cx, works);
            }
        }
        works
    }

    /// It is sure: told at once.
    pub fn tell(&mut self, cx: &mut Cx<'_>, works: bool) {
        self.since_ms = None;
        if works != self.is_told {
            return;
        }
        self.is_told = !works;
        cx.tell(Event::Fault { part: self.part.into(), active: !works });
        // Not kept: told once more after the next boot.
        let _ = if works { cx.remove(self.number) } else { cx.write(self.number, &[1]) };
    }

    /// The gateway was told that it does not work.
    pub fn is_told(&self) -> bool {
        self.is_told
    }

    /// For how many milliseconds nothing is due.
    pub fn rest_ms(&self, now: Now) -> u64 {
        self.since_ms.map_or(u64::MAX, |since_ms| TROUBLE_MS.saturating_sub(now.since(since_ms)))
    }
}
