//! When a device asks for its next certificate. Enters: the one in use, the time. Leaves: for how long nothing is due.
//!
//! Without a clock nothing is ever due: the gateway tells a person when five sixths of a life are over.

use super::certificate::Facts;
use crate::Now;

/// Between two requests that brought nothing, milliseconds. Shorter: a gateway that refuses is asked all day; it gives a
/// new certificate every 30 minutes at most. Source: our choice.
pub const ASK_AGAIN_MS: u64 = 3_600_000;

/// One certificate in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewing {
    /// UTC milliseconds.
    due_ms: i64,
    /// When it was asked for last, milliseconds since boot.
    asked_ms: Option<u64>,
}

impl Renewing {
    /// Due at two thirds of the certificate's life. `asked_ms`: when this device asked last.
    pub fn of(facts: &Facts, asked_ms: Option<u64>) -> Self {
        let third_ms = facts.until_ms.saturating_sub(facts.from_ms) / 3;
        Self { due_ms: facts.from_ms.saturating_add(third_ms * 2), asked_ms }
    }

    /// For how many milliseconds nothing is to be asked; 0: now.
    pub fn rest_ms(&self, now: Now) -> u64 {
        let Some(at) = now.at else { return u64::MAX };
        let due_ms = u64::try_from(self.due_ms.saturating_sub(at)).unwrap_or(0);
        let again_ms = self.asked_ms.map_or(0, |asked_ms| ASK_AGAIN_MS.saturating_sub(now.since(asked_ms)));
        due_ms.max(again_ms)
    }

    /// When it was asked for last, milliseconds since boot.
    pub fn asked_ms(&self) -> Option<u64> {
        self.asked_ms
    }

    /// It was asked for.
    pub fn asked(&mut self, now: Now) {
        self.asked_ms = Some(now.uptime_ms);
    }
}
