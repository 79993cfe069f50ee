//! What hands do at the device: buttons, lid and key. Enters: levels and the time since boot. Leaves: what is pressed, once.

/// A level counts when it has been the same for so long, in milliseconds: contacts bounce for some 10 ms.
pub const STEADY_MS: u64 = 30;

/// The resident refuses a dose by holding the button for so long, in milliseconds. Shorter: brushed by, the dose is locked
/// until a person comes. Source: our choice.
pub const REFUSE_HOLD_MS: u64 = 3_000;

/// One contact.
#[derive(Debug, Clone, Copy, Default)]
pub struct Contact {
    level: bool,
    /// The other level is there since then.
    changing_ms: Option<u64>,
    since_ms: u64,
    is_used: bool,
}

impl Contact {
    /// Takes a sample. True when it has just become high.
    pub fn rose(&mut self, level: bool, now_ms: u64) -> bool {
        if level == self.level {
            self.changing_ms = None;
            return false;
        }
        let since_ms = *self.changing_ms.get_or_insert(now_ms);
        if now_ms.saturating_sub(since_ms) < STEADY_MS {
            return false;
        }
        *self = Self { level, changing_ms: None, since_ms: now_ms, is_used: false };
        level
    }

    /// It is high.
    pub fn is_high(&self) -> bool {
        self.level
    }

    /// It has been high for so long, in milliseconds; true once for each time.
    pub fn held(&mut self, ms: u64, now_ms: u64) -> bool {
        let is_held = self.level && !self.is_used && now_ms.saturating_sub(self.since_ms) >= ms;
        self.is_used |= is_held;
        is_held
    }

    /// It needs to be looked at again soon.
    pub fn is_changing(&self) -> bool {
        self.changing_ms.is_some()
    }
}
