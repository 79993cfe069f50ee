//! How often somebody may fail, so counted that nobody can shut anybody else out.
//!
//! Enters: failures, each from a place. Leaves: whether the next try is looked at. Invariants: nothing is counted against a
//! person; a browser that somebody has logged in with is a place of its own, whatever strangers do at its address.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::secret::Hash;
use crate::limits::{FAILED_TRACES_A_MINUTE, FAILURES_MAX, LOCK_MS, PLACES_MAX};

/// Where a try comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A browser somebody has logged in with.
    Device(Hash),
    /// Everybody else at an address; of IPv6 the network, as a household has all of it.
    Address(IpAddr),
}

impl Place {
    pub fn of_address(address: IpAddr) -> Self {
        Place::Address(place_of(address))
    }
}

/// Who counts as one at an address: of IPv6 the network (/64), as a household has all of it.
pub fn place_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::from((u128::from(v6) >> 64 << 64).to_be_bytes()),
        v4 => v4,
    }
}

#[derive(Debug, Default)]
struct Failed {
    times: u32,
    last_at: i64,
}

/// Failures by place, in memory: a restart forgives.
#[derive(Debug, Default)]
pub struct Throttle {
    failed: BTreeMap<Place, Failed>,
    /// Traces of failures in the minute that began then.
    traced: (i64, u32),
    untold: u32,
}

impl Throttle {
    /// How long this place must wait, in milliseconds; `None`: not at all.
    pub fn wait_ms(&self, place: Place, now_ms: i64) -> Option<i64> {
        let failed = self.failed.get(&place)?;
        let left = failed.last_at + LOCK_MS - now_ms;
        (failed.times >= FAILURES_MAX && left > 0).then_some(left)
    }

    pub fn failed(&mut self, place: Place, now_ms: i64) {
        // What waits is not looked at: it makes nobody there wait longer.
        if self.wait_ms(place, now_ms).is_some() {
            return;
        }
        if self.failed.len() >= PLACES_MAX && !self.failed.contains_key(&place) {
            // An address, as long as there is one: known browsers stand before them.
            self.failed.pop_last();
        }
        let failed = self.failed.entry(place).or_default();
        if now_ms >= failed.last_at + LOCK_MS {
            failed.times = 0;
        }
        failed.times += 1;
        failed.last_at = now_ms;
    }

    pub fn succeeded(&mut self, place: Place) {
        self.failed.remove(&place);
    }

    /// Whether this failure is written to the log, with how many before it were not: strangers must not fill the disk.
    pub fn trace(&mut self, now_ms: i64) -> Option<u32> {
        if now_ms - self.traced.0 >= 60_000 || now_ms < self.traced.0 {
            self.traced = (now_ms, 0);
        }
        if self.traced.1 >= FAILED_TRACES_A_MINUTE {
            self.untold = self.untold.saturating_add(1);
            return None;
        }
        self.traced.1 += 1;
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Place {
        Place::of_address(text.parse().expect("an address"))
    }

    #[test]
    fn a_place_that_fails_waits_and_no_other_place_does() {
        let mut throttle = Throttle::default();
        let (here, device) = (address("192.0.2.1"), Place::Device(Hash::of(b"phone")));
        for _ in 0..FAILURES_MAX {
            assert_eq!(throttle.wait_ms(here, 0), None);
            throttle.failed(here, 0);
        }
        assert_eq!(throttle.wait_ms(here, 0), Some(LOCK_MS));
        assert_eq!(throttle.wait_ms(device, 0), None, "a known browser at the same address");
        assert_eq!(throttle.wait_ms(address("192.0.2.2"), 0), None);
        throttle.failed(here, LOCK_MS - 1);
        assert_eq!(throttle.wait_ms(here, LOCK_MS), None, "who tries while it waits makes nobody wait longer");
        throttle.failed(here, LOCK_MS);
        assert_eq!(throttle.wait_ms(here, LOCK_MS), None, "the wait is over and counting begins anew");
    }

    #[test]
    fn success_forgives_and_a_household_is_one_place() {
        let mut throttle = Throttle::default();
        let here = address("2001:db8:1:2::7");
        assert_eq!(here, address("2001:db8:1:2:ffff::8"));
        assert_ne!(here, address("2001:db8:1:3::7"));
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
        (1..FAILURES_MAX).for_each(|_| throttle.failed(here, 0));
        throttle.succeeded(here);
        throttle.failed(here, 0);
        assert_eq!(throttle.wait_ms(here, 0), None);
    }

    #[test]
    fn a_crowd_of_strangers_stays_within_bounds_and_in_few_lines_of_the_log() {
        let mut throttle = Throttle::default();
        for stranger in 0..(PLACES_MAX as u32 + 10) {
            throttle.failed(Place::of_address(IpAddr::from(stranger.to_be_bytes())), i64::from(stranger));
        }
        assert!(throttle.failed.len() <= PLACES_MAX);
        let told = (0..1_000).filter_map(|_| throttle.trace(5)).count();
        assert_eq!(told, FAILED_TRACES_A_MINUTE as usize);
        assert_eq!(throttle.trace(60_005), Some(1_000 - FAILED_TRACES_A_MINUTE));
        assert_eq!(throttle.trace(60_006), Some(0));
    }
}
