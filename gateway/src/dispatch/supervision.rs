//! Whether the path to a receiver is proven to work. Pure.

use crate::limits::HEARTBEAT_MISSES_MAX;

/// Heartbeats answered and missed; a refused or lost connection is a miss too.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Supervision {
    misses: u32,
    /// None: not yet judged.
    up: Option<bool>,
}

impl Supervision {
    /// A heartbeat was answered; true where that is news.
    pub fn answered(&mut self) -> bool {
        self.misses = 0;
        self.up.replace(true) != Some(true)
    }

    /// The newest heartbeat was answered.
    pub fn is_proven(&self) -> bool {
        self.up == Some(true) && self.misses == 0
    }

    /// A heartbeat was missed; true where the path counts as lost from now.
    pub fn missed(&mut self) -> bool {
        self.misses = self.misses.saturating_add(1);
        self.misses >= HEARTBEAT_MISSES_MAX && self.up.replace(false) != Some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_miss_in_a_row_is_news_and_so_is_the_return() {
        let mut path = Supervision::default();
        assert!(path.answered() && !path.answered());
        assert!(!path.missed() && !path.missed() && path.missed() && !path.missed());
        assert!(path.answered());
        assert!(!path.missed() && !path.missed() && !path.answered());
    }

    #[test]
    fn a_path_that_never_worked_is_told_as_lost_once() {
        let mut path = Supervision::default();
        assert_eq!([path.missed(), path.missed(), path.missed(), path.missed()], [false, false, true, false]);
    }
}
