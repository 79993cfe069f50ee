//! How often somebody may try: each address has its own tries, those of one IPv6 network have theirs, and all together have theirs.
//!
//! Invariants: who has used up their own tries takes none of the others'; an address is remembered only for a try that it made. A device
//! in a home's network has a /24 of neighbours at most, and all of them trying as often as they may leave it its turn
//! ([`limits::ENROL_ALL_PER_HOUR`]). In an IPv6 network a machine that keeps to its addresses takes nobody's turn; one that makes itself
//! new ones without end has no more tries than its network.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::ingest::quota::{Bucket, Share};
use crate::limits;

const ONE: Share = Share { burst: limits::ENROL_TRIES_BURST, per_hour: limits::ENROL_TRIES_PER_HOUR };
const NETWORK: Share = Share { burst: limits::ENROL_NETWORK_BURST, per_hour: limits::ENROL_NETWORK_PER_HOUR };
const ALL: Share = Share { burst: limits::ENROL_ALL_BURST, per_hour: limits::ENROL_ALL_PER_HOUR };

#[derive(Default)]
pub(super) struct Rates {
    by_address: BTreeMap<IpAddr, Bucket>,
    /// IPv6 alone: by its first 64 bits.
    by_network: BTreeMap<u64, Bucket>,
    all: Bucket,
}

impl Rates {
    /// True if somebody at `address` may try now.
    pub(super) fn take(&mut self, address: IpAddr, now_ms: u64) -> bool {
        let address = address.to_canonical();
        let known = self.by_address.get(&address).copied();
        if known.is_none() && self.by_address.len() >= limits::ENROL_ADDRESSES_MAX {
            self.by_address.retain(|_, bucket| !bucket.is_full(ONE, now_ms));
            if self.by_address.len() >= limits::ENROL_ADDRESSES_MAX {
                return false;
            }
        }
        let mut own = known.unwrap_or_default();
        let may = own.take(ONE, 1, now_ms) && self.take_of_network(address, now_ms) && self.all.take(ALL, 1, now_ms);
        if may {
            self.by_address.insert(address, own);
        }
        may
    }

    fn take_of_network(&mut self, address: IpAddr, now_ms: u64) -> bool {
        let IpAddr::V6(v6) = address else { return true };
        let network = (u128::from(v6) >> 64) as u64;
        let mut bucket = self.by_network.get(&network).copied().unwrap_or_default();
        let may = bucket.take(NETWORK, 1, now_ms);
        if may {
            self.by_network.retain(|_, bucket| !bucket.is_full(NETWORK, now_ms));
            self.by_network.insert(network, bucket);
        }
        may
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
    }

    fn v6(n: u128) -> IpAddr {
        IpAddr::V6(std::net::Ipv6Addr::from(0xfd00 << 112 | n))
    }

    #[test]
    fn a_phone_in_the_same_ipv6_network_locks_no_technician_out() {
        let mut rates = Rates::default();
        // One that tries without pause for ten minutes from all the addresses that a phone has, a technician with a bag of devices.
        let (mut got_in, mut asked) = (0, 0);
        for now_ms in (0..600_000).step_by(50) {
            (0..8).for_each(|own| {
                rates.take(v6(1_000 + own), now_ms);
            });
            if now_ms % 15_000 == 0 {
                asked += 1;
                got_in += usize::from(rates.take(v6(1), now_ms));
            }
        }
        assert_eq!(got_in, asked);
    }

    #[test]
    fn addresses_without_end_are_no_tries_without_end() {
        let mut rates = Rates::default();
        let mut fresh = 0_u128;
        let mut tries = |rates: &mut Rates, network: u128, now_ms: u64| {
            let mut one = || {
                fresh += 1;
                rates.take(v6(network << 64 | fresh), now_ms)
            };
            (0..10_000).filter(|_| one()).count() as u64
        };
        assert_eq!(tries(&mut rates, 1, 0), limits::ENROL_NETWORK_BURST, "one /64, a new address each time");
        assert_eq!(tries(&mut rates, 1, 20_000), limits::ENROL_NETWORK_PER_HOUR / 180);
        assert_eq!(tries(&mut rates, 2, 20_000), limits::ENROL_NETWORK_BURST, "another network");
        assert!(rates.take(v4(1), 20_000), "and IPv4");
        let made = 2 * limits::ENROL_NETWORK_BURST + limits::ENROL_NETWORK_PER_HOUR / 180 + 1;
        assert_eq!(rates.by_address.len() as u64, made, "refused ones are not remembered");
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
