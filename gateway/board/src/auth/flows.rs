//! Log-ins that have begun and not ended: what was asked, and in which browser.
//!
//! Invariants: what is taken out is gone, so an answer counts once; strangers can crowd out strangers at their own address,
//! then each other, and never a browser that is known.

use std::collections::BTreeMap;

use super::secret::Hash;
use super::throttle::Place;
use crate::limits::{FLOW_MS, FLOWS_HERE_MAX, FLOWS_MAX};

#[derive(Debug)]
struct Flow<T> {
    device: Hash,
    place: Place,
    at: i64,
    what: T,
}

/// Flows by what their answer will name: a challenge, a state.
#[derive(Debug)]
pub struct Flows<T> {
    open: BTreeMap<Vec<u8>, Flow<T>>,
}

impl<T> Default for Flows<T> {
    fn default() -> Self {
        Flows { open: BTreeMap::new() }
    }
}

impl<T> Flows<T> {
    pub fn begin(&mut self, key: Vec<u8>, device: Hash, place: Place, now_ms: i64, what: T) {
        self.open.retain(|_, flow| now_ms < flow.at + FLOW_MS);
        let here = self.open.values().filter(|flow| flow.place == place).count();
        if here >= FLOWS_HERE_MAX {
            self.drop_oldest(|flow| flow.place == place);
        } else if self.open.len() >= FLOWS_MAX {
            self.drop_oldest(|flow| matches!(flow.place, Place::Address(_)));
        }
        self.open.insert(key, Flow { device, place, at: now_ms, what });
    }

    /// Takes it out, for the browser it was begun in and in time.
    pub fn take(&mut self, key: &[u8], device: Hash, now_ms: i64) -> Option<T> {
        let flow = self.open.remove(key)?;
        (flow.device == device && now_ms < flow.at + FLOW_MS).then_some(flow.what)
    }

    fn drop_oldest(&mut self, whose: impl Fn(&Flow<T>) -> bool) {
        let oldest = self.open.iter().filter(|(_, flow)| whose(flow)).min_by_key(|(_, flow)| flow.at);
        if let Some(key) = oldest.map(|(key, _)| key.clone()) {
            self.open.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn at(address: u32) -> Place {
        Place::of_address(IpAddr::from(address.to_be_bytes()))
    }

    #[test]
    fn a_flow_is_answered_once_in_time_and_in_its_own_browser() {
        let (phone, other) = (Hash::of(b"phone"), Hash::of(b"other"));
        let mut flows = Flows::default();
        for key in [b"a", b"b", b"c"] {
            flows.begin(key.to_vec(), phone, at(1), 0, ());
        }
        assert_eq!(flows.take(b"a", other, 1), None);
        assert_eq!(flows.take(b"a", phone, 1), None, "a try from elsewhere spends it");
        assert_eq!(flows.take(b"b", phone, FLOW_MS), None);
        assert_eq!(flows.take(b"c", phone, FLOW_MS - 1), Some(()));
        assert_eq!(flows.take(b"c", phone, 1), None);
    }

    #[test]
    fn strangers_crowd_out_strangers_and_no_known_browser() {
        let (phone, known) = (Hash::of(b"phone"), Place::Device(Hash::of(b"phone")));
        let mut flows = Flows::default();
        flows.begin(b"known".to_vec(), phone, known, 0, ());
        for stranger in 0..(FLOWS_MAX as u32 + 100) {
            flows.begin(stranger.to_be_bytes().to_vec(), Hash::of(b"x"), at(stranger / 8), 1, ());
        }
        assert!(flows.open.len() <= FLOWS_MAX);
        for stranger in 0..100u32 {
            flows.begin([b"one", &stranger.to_be_bytes()[..]].concat(), Hash::of(b"x"), at(1 << 31), 2, ());
        }
        assert_eq!(flows.open.values().filter(|flow| flow.place == at(1 << 31)).count(), FLOWS_HERE_MAX);
        assert_eq!(flows.take(b"known", phone, 3), Some(()));
    }
}
