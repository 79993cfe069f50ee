//! How often somebody may try: each address has its own tries, and all together have theirs.
//!
//! Invariant: who has used up their own tries takes none of the others'. A device in a home's network has a /24 of neighbours at most,
//! and all of them trying as often as they may leave it its turn ([`limits::ENROL_ALL_PER_HOUR`]).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use crate::ingest::quota::{Bucket, Share};
use crate::limits;

const ONE: Share = Share { burst: limits::ENROL_TRIES_BURST, per_hour: limits::ENROL_TRIES_PER_HOUR };
const ALL: Share = Share { burst: limits::ENROL_ALL_BURST, per_hour: limits::ENROL_ALL_PER_HOUR };

#[derive(Default)]
pub(super) struct Rates {
    by_address: BTreeMap<IpAddr, Bucket>,
    all: Bucket,
}

impl Rates {
    /// True if somebody at `address` may try now.
    pub(super) fn take(&mut self, address: IpAddr, now_ms: u64) -> bool {
        let address = machine(address);
        if self.by_address.len() >= limits::ENROL_ADDRESSES_MAX && !self.by_address.contains_key(&address) {
            self.by_address.retain(|_, bucket| !bucket.is_full(ONE, now_ms));
            if self.by_address.len() >= limits::ENROL_ADDRESSES_MAX {
                return false;
            }
        }
        self.by_address.entry(address).or_default().take(ONE, 1, now_ms) && self.all.take(ALL, 1, now_ms)
    }
}

/// Whoever has one address of an IPv6 network has them all.
fn machine(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6) >> 64 << 64).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(n: u32) -> IpAddr {
        std::net::Ipv4Addr::from(0x0a00_0000 + n).into()
    }

    #[test]
    fn one_strangers_tries_are_their_own() {
        let mut rates = Rates::default();
        let taken = (0..10_000).filter(|_| rates.take(v4(1), 0)).count();
        assert_eq!(taken as u64, limits::ENROL_TRIES_BURST);
        assert!(rates.take(v4(2), 0), "another address");
        let wait_ms = 3_600_000 / limits::ENROL_TRIES_PER_HOUR;
        assert!(!rates.take(v4(1), wait_ms - 1) && rates.take(v4(1), wait_ms + 1));
        let v6 = |n: u128| IpAddr::V6(Ipv6Addr::from(0xfd00 << 112 | n));
        assert_eq!((0..1_000).filter(|n| rates.take(v6(*n), 0)).count() as u64, limits::ENROL_TRIES_BURST, "one /64");
    }

    #[test]
    fn a_whole_network_of_strangers_leaves_a_device_its_turn() {
        let mut rates = Rates::default();
        let mut got_in_ms = None;
        // All of a /24 try without pause for five minutes; the device comes a minute in and asks every two seconds.
        for now_ms in (0..300_000).step_by(100) {
            for stranger in 1..=253 {
                rates.take(v4(stranger), now_ms);
            }
            if now_ms >= 60_000 && now_ms % 2_000 == 0 && got_in_ms.is_none() && rates.take(v4(254), now_ms) {
                got_in_ms = Some(now_ms);
            }
        }
        assert!(got_in_ms.is_some_and(|ms| ms < 180_000), "{got_in_ms:?}");
        assert_eq!(rates.by_address.len(), 254);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_forgotten() {
        let mut rates = Rates::default();
        // Slowly enough that all of them together may.
        let mut now_ms = 0;
        for stranger in 0..limits::ENROL_ADDRESSES_MAX as u32 {
            assert!(rates.take(v4(stranger), now_ms));
            now_ms += 10;
        }
        assert!(rates.by_address.len() <= limits::ENROL_ADDRESSES_MAX);
        let refill_ms = 3_600_000 / limits::ENROL_TRIES_PER_HOUR;
        assert!(rates.take(v4(9_999_999), now_ms + refill_ms));
        assert!(rates.by_address.len() < limits::ENROL_ADDRESSES_MAX);
    }
}
