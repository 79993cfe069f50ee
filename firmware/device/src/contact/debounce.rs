//! A contact that bounces. Enters: levels and times. Leaves: the level when it has come to rest.

/// How long a contact may bounce without coming to rest, milliseconds. Beyond: it is broken, or loose.
///
/// Longer: a loose reed looks like a door that stands still. Shorter: a door that rattles in the wind is a fault.
/// Source: our choice.
pub const RESTLESS_MS: u64 = 10_000;

/// Between two looks while it bounces, milliseconds. Source: our choice; a reed bounces for about a millisecond, a
/// worn one for ten.
const BOUNCE_LOOK_MS: u64 = 5;

/// One contact.
#[derive(Debug, Clone)]
pub struct Debounce {
    settle_ms: u64,
    level: Option<bool>,
    seen: Option<(bool, u64)>,
    restless_ms: Option<u64>,
}

impl Debounce {
    /// A level counts when it was seen for `settle_ms` and no other in between.
    pub const fn new(settle_ms: u64) -> Self {
        Self { settle_ms, level: None, seen: None, restless_ms: None }
    }

    /// Takes a sample. `Some`: this level is another than the one before, or the first, and has come to rest.
    pub fn sample(&mut self, level: bool, uptime_ms: u64) -> Option<bool> {
        let since_ms = match self.seen {
            Some((seen, since_ms)) if seen == level => since_ms,
            _ => {
                self.seen = Some((level, uptime_ms));
                self.restless_ms = self.restless_ms.or(Some(uptime_ms));
                uptime_ms
            }
        };
        if uptime_ms.saturating_sub(since_ms) < self.settle_ms {
            return None;
        }
        self.restless_ms = None;
        if self.level == Some(level) {
            return None;
        }
        self.level = Some(level);
        self.level
    }

    /// The level at rest; `None` before the first.
    pub fn level(&self) -> Option<bool> {
        self.level
    }

    /// It has been bouncing for [`RESTLESS_MS`].
    pub fn is_restless(&self, uptime_ms: u64) -> bool {
        self.restless_ms.is_some_and(|since_ms| uptime_ms.saturating_sub(since_ms) >= RESTLESS_MS)
    }

    /// For how many milliseconds it need not be looked at, if an edge of the pin ends that sooner.
    pub fn rest_ms(&self) -> u64 {
        if self.restless_ms.is_some() || self.level.is_none() { BOUNCE_LOOK_MS } else { u64::MAX }
    }

    /// It was out of sight: nothing is known.
    pub fn forget(&mut self) {
        (self.level, self.seen, self.restless_ms) = (None, None, None);
    }
}
