//! Which causes have been decided: for each kind of cause the newest.
//!
//! Invariant: what is settled stays so, across restarts and changes of the agreement.

use crate::rules::gone::Gone;
use serde::{Deserialize, Serialize};

use crate::limits::{EARLIEST_TIME_MS, SETTLED_MAX};
use crate::rules::lookup::Lookup;

/// By kind of cause (`night r1 absence`): up to which cause everything is decided.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Settled(Lookup<String, i64>);

impl Settled {
    pub fn forget(&mut self, gone: &Gone<'_>) {
        self.0.retain_keys(|key| !gone.is_in(key));
    }

    /// This cause, or a later one of its kind, has been decided.
    pub fn has(&self, key: &str, cause: i64) -> bool {
        self.0.get(key).is_some_and(|upto| cause <= *upto)
    }

    /// The newest cause of this kind that has been decided.
    pub fn upto(&self, key: &str) -> Option<i64> {
        self.0.get(key).copied()
    }

    pub fn settle(&mut self, key: &str, upto: i64) {
        match self.0.get_mut(key) {
            Some(known) => *known = upto.max(*known),
            None => {
                self.0.insert(key.to_owned(), upto);
            }
        }
        // Never the one just settled, or it would be decided again at once.
        if self.0.len() > SETTLED_MAX {
            let others = self.0.iter().filter(|(other, _)| *other != key);
            if let Some(oldest) = others.min_by_key(|(_, upto)| **upto).map(|(key, _)| key.clone()) {
                self.0.remove(&oldest);
            }
        }
    }

    /// Of what is planned by the clock, what was settled for times after `wall_ms` (UTC milliseconds) has not been yet.
    pub fn forget_after(&mut self, wall_ms: i64) {
        self.0.retain(|upto| *upto < EARLIEST_TIME_MS || *upto <= wall_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_clock_far_ahead_has_settled_is_still_to_come() {
        let mut settled = Settled::default();
        let now_ms = 1_800_000_000_000;
        settled.settle("night r1 round 03:00", now_ms + 30 * 86_400_000);
        settled.settle("night r1 up_by", now_ms - 1);
        settled.settle("night r1 absence", 4_711);
        settled.forget_after(now_ms);
        assert!(!settled.has("night r1 round 03:00", now_ms), "tomorrow's look-in is made");
        assert!(settled.has("night r1 up_by", now_ms - 1) && settled.has("night r1 absence", 4_711));
    }

    #[test]
    fn the_one_just_settled_is_never_the_one_forgotten() {
        let mut settled = Settled::default();
        (0..SETTLED_MAX as i64).for_each(|n| settled.settle(&format!("a {n}"), 1_000 + n));
        settled.settle("b", 1);
        assert!(settled.has("b", 1) && !settled.has("a 0", 1_000));
    }
}
