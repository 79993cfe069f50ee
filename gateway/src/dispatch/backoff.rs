//! Decorrelated jitter: how long to wait before the next try (Brooker, "Exponential Backoff And Jitter").
//!
//! Pure: the randomness is a seeded sequence, so a test can repeat it.

/// How the waits begin and how far they grow, in milliseconds. Tests make them short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    pub retry_ms_min: u64,
    pub retry_life_ms_max: u64,
    pub retry_ms_max: u64,
    pub redial_ms_max: u64,
}

impl Default for Pace {
    fn default() -> Self {
        use crate::limits::{REDIAL_MS_MAX, RETRY_LIFE_MS_MAX, RETRY_MS_MAX, RETRY_MS_MIN};
        Self {
            retry_ms_min: RETRY_MS_MIN,
            retry_life_ms_max: RETRY_LIFE_MS_MAX,
            retry_ms_max: RETRY_MS_MAX,
            redial_ms_max: REDIAL_MS_MAX,
        }
    }
}

impl Pace {
    /// Between two dials while a life alarm waits, and the shortest wait of one: a quarter of the others'.
    pub fn hurry_ms(&self) -> u64 {
        self.retry_ms_min / 4
    }
}

/// A seeded sequence of numbers (SplitMix64): spreads load, guards no secret.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    #[cfg(any(test, feature = "sim"))]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Seeded by the system, so that two thousand homes do not act in step.
    pub fn fresh() -> Self {
        use ring::rand::SecureRandom;
        let mut seed = [0u8; 8];
        if ring::rand::SystemRandom::new().fill(&mut seed).is_err() {
            // Poorer jitter is better than no alarm.
            seed = u64::from(std::process::id()).to_le_bytes();
        }
        Self(u64::from_le_bytes(seed))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `low..=high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        match high.saturating_sub(low).checked_add(1) {
            Some(span) => low + self.next() % span,
            None => self.next(),
        }
    }
}

/// The wait after `before_ms` (0 at first): at random between the shortest and three times the last, never above `max_ms`.
pub fn next_wait_ms(dice: &mut Dice, before_ms: u64, min_ms: u64, max_ms: u64) -> u64 {
    let high = before_ms.max(min_ms).saturating_mul(3).min(max_ms);
    dice.between(min_ms.min(high), high)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn waits_stay_between_their_bounds_and_spread(seed in any::<u64>()) {
            let mut dice = Dice::new(seed);
            let (mut wait_ms, mut seen) = (0, std::collections::BTreeSet::new());
            for _ in 0..50 {
                let next = next_wait_ms(&mut dice, wait_ms, 1_000, 60_000);
                prop_assert!((1_000..=60_000).contains(&next) && next <= wait_ms.max(1_000) * 3);
                wait_ms = next;
                seen.insert(next);
            }
            prop_assert!(seen.len() > 20);
        }
    }

    #[test]
    fn bounds_that_cross_do_not_panic() {
        assert_eq!(next_wait_ms(&mut Dice::new(1), 5, 10, 3), 3);
        Dice::new(1).between(0, u64::MAX);
    }
}
