//! Telling a retransmission from a new event.
//!
//! Enters: the identity (enrolment, restart, seq) and bytes of every event that is stored. Leaves: [`Verdict`].
//! Exact windows, not a high-water mark: a late lower number is still new. What is too old to be remembered counts as new,
//! never the reverse, so nothing but a byte-identical retransmission is ever suppressed.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use vaka_protocol::DeviceId;

use crate::limits::{IDENTITIES_MAX, IDENTITIES_PER_DEVICE_MIN};

/// What an identity and its bytes say about an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    New,
    /// The same identity with the same bytes: already stored.
    Retransmission,
    /// The same identity with other bytes: a new event, and something is wrong with the device.
    Conflict,
}

/// (restart, seq): what a device numbers its events with.
type Number = (u32, u64);

/// CRC32Cs of the bytes under consecutive numbers. Serialised as one string of bytes, little-endian: a fold has a million
/// of them, and is written while devices wait.
#[derive(Debug, Default, Clone, PartialEq)]
struct Run(Vec<u32>);

impl Serialize for Run {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = self.0.iter().flat_map(|fingerprint| fingerprint.to_le_bytes()).collect();
        serializer.serialize_bytes(&bytes)
    }
}

impl<'de> Deserialize<'de> for Run {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RunVisitor)
    }
}

struct RunVisitor;

impl<'de> Visitor<'de> for RunVisitor {
    type Value = Run;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("four bytes for each number")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Run, E> {
        let (fingerprints, rest) = bytes.as_chunks();
        if !rest.is_empty() {
            return Err(E::invalid_length(bytes.len(), &self));
        }
        Ok(Run(fingerprints.iter().map(|fingerprint| u32::from_le_bytes(*fingerprint)).collect()))
    }

    /// As the checkpoints of the first journals have it.
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Run, A::Error> {
        let mut run = Run::default();
        while let Some(fingerprint) = list.next_element()? {
            run.0.push(fingerprint);
        }
        Ok(run)
    }
}

/// One device's remembered identities: runs of consecutive numbers, each with the CRC32C of its bytes.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Window {
    enrolment: u32,
    runs: BTreeMap<Number, Run>,
    /// Other bytes that came under a number already used.
    #[serde(default)]
    others: BTreeMap<Number, Vec<u32>>,
    /// What the runs weigh, in identities.
    held: usize,
}

/// What a run weighs beside its identities: its place in the map.
const RUN_WEIGHT: usize = 16;

/// Numbers with more than one event, and events under each, that are remembered of a device. Beyond: they count as new again.
const OTHERS_MAX: usize = 64;

/// The identities of all devices.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Windows {
    devices: BTreeMap<DeviceId, Window>,
}

/// The fingerprint that stands for an event's bytes. Two payloads under one identity differ here but for 1 in 4 billion.
pub fn fingerprint(payload: &[u8]) -> u32 {
    crc32c::crc32c(payload)
}

impl Windows {
    pub fn judge(&self, device: &DeviceId, enrolment: u32, restart: u32, seq: u64, payload: &[u8]) -> Verdict {
        let Some(window) = self.devices.get(device).filter(|w| w.enrolment == enrolment) else {
            return Verdict::New;
        };
        match window.get((restart, seq)) {
            None => Verdict::New,
            Some(known) if known == fingerprint(payload) => Verdict::Retransmission,
            Some(_) if window.is_other((restart, seq), fingerprint(payload)) => Verdict::Retransmission,
            Some(_) => Verdict::Conflict,
        }
    }

    /// Remembers an event that is being stored. A new enrolment forgets the replaced device's numbers.
    pub fn remember(&mut self, device: &DeviceId, enrolment: u32, restart: u32, seq: u64, payload: &[u8]) {
        let share = IDENTITIES_PER_DEVICE_MIN.max(IDENTITIES_MAX / self.devices.len().max(1));
        if !self.devices.contains_key(device) {
            self.devices.insert(device.clone(), Window::default());
        }
        let Some(window) = self.devices.get_mut(device) else { return };
        if window.enrolment != enrolment {
            *window = Window { enrolment, ..Window::default() };
        }
        window.put((restart, seq), fingerprint(payload));
        window.forget_beyond(share, (restart, seq));
    }
}

impl Window {
    fn run_at(&self, (restart, seq): Number) -> Option<(Number, usize)> {
        let (&start, run) = self.runs.range(..=(restart, seq)).next_back()?;
        let offset = usize::try_from(seq.checked_sub(start.1)?).ok()?;
        (start.0 == restart && offset <= run.0.len()).then_some((start, offset))
    }

    fn get(&self, number: Number) -> Option<u32> {
        let (start, offset) = self.run_at(number)?;
        self.runs.get(&start)?.0.get(offset).copied()
    }

    fn is_other(&self, number: Number, fingerprint: u32) -> bool {
        self.others.get(&number).is_some_and(|others| others.contains(&fingerprint))
    }

    fn put(&mut self, number: Number, fingerprint: u32) {
        if let Some((start, offset)) = self.run_at(number)
            && let Some(Run(run)) = self.runs.get_mut(&start)
        {
            if offset < run.len() {
                if run[offset] != fingerprint && (self.others.len() < OTHERS_MAX || self.others.contains_key(&number)) {
                    let others = self.others.entry(number).or_default();
                    others.push(fingerprint);
                    others.truncate(OTHERS_MAX);
                }
                return;
            }
            // Just behind a run: it grows, unless the next run already holds the number (then that one was found).
            run.push(fingerprint);
        } else {
            self.runs.insert(number, Run(vec![fingerprint]));
            self.held += RUN_WEIGHT;
        }
        self.held += 1;
    }

    /// Forgets the lowest numbers beyond `share`, but never the one just remembered.
    fn forget_beyond(&mut self, share: usize, newest: Number) {
        while self.held > share {
            let holds_newest = self.run_at(newest).map(|(start, _)| start);
            let others = self.runs.keys().find(|&&start| Some(start) != holds_newest || self.runs.len() == 1);
            let Some(start) = others.copied() else { return };
            let Some(Run(mut run)) = self.runs.remove(&start) else { return };
            // In quarters, so that the cost is paid seldom.
            let drop = run.len().min((self.held - share).max(share / 4).max(1));
            self.held -= drop;
            if drop == run.len() {
                self.held -= RUN_WEIGHT;
            } else {
                run.drain(..drop);
                self.runs.insert((start.0, start.1 + drop as u64), Run(run));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    fn device(name: &str) -> DeviceId {
        DeviceId::try_from(name).expect("a valid id")
    }

    #[test]
    fn a_late_lower_number_is_still_new() {
        let mut windows = Windows::default();
        let p1 = device("p1");
        windows.remember(&p1, 1, 7, 100, b"a");
        assert_eq!(windows.judge(&p1, 1, 7, 42, b"b"), Verdict::New);
        windows.remember(&p1, 1, 7, 42, b"b");
        assert_eq!(windows.judge(&p1, 1, 7, 42, b"b"), Verdict::Retransmission);
        assert_eq!(windows.judge(&p1, 1, 7, 42, b"other"), Verdict::Conflict);
        assert_eq!(windows.judge(&p1, 1, 6, 42, b"b"), Verdict::New, "another restart");
        assert_eq!(windows.judge(&p1, 2, 7, 42, b"b"), Verdict::New, "another enrolment");
        assert_eq!(windows.judge(&device("p2"), 1, 7, 42, b"b"), Verdict::New, "another device");
    }

    #[test]
    fn memory_is_bounded_and_what_is_forgotten_counts_as_new() {
        let mut windows = Windows::default();
        let flood = device("flood");
        for n in 0..(IDENTITIES_MAX as u64 + 10) {
            windows.remember(&flood, 1, 1, n, b"x");
        }
        assert!(windows.devices[&flood].held <= IDENTITIES_MAX);
        assert_eq!(windows.judge(&flood, 1, 1, 0, b"x"), Verdict::New);
        assert_eq!(windows.judge(&flood, 1, 1, IDENTITIES_MAX as u64, b"x"), Verdict::Retransmission);
    }

    #[test]
    fn a_run_is_read_as_bytes_and_as_the_list_it_once_was() {
        let run = Run(vec![1, 0x0403_0201, u32::MAX]);
        let bytes = minicbor_serde::to_vec(&run).unwrap();
        assert_eq!(bytes[..6], [0x4c, 1, 0, 0, 0, 1], "twelve bytes, little-endian");
        assert_eq!(minicbor_serde::from_slice::<Run>(&bytes).unwrap(), run);
        assert_eq!(minicbor_serde::from_slice::<Run>(&minicbor_serde::to_vec(&run.0).unwrap()).unwrap(), run);
        assert!(minicbor_serde::from_slice::<Run>(&[0x43, 1, 2, 3]).is_err());
    }

    proptest! {
        /// Against a plain map, in any order of numbers.
        #[test]
        fn agrees_with_a_plain_map(numbers in prop::collection::vec((0u32..3, 0u64..40, 0u8..3), 1..200)) {
            let (mut windows, mut model) = (Windows::default(), BTreeMap::new());
            let p1 = device("p1");
            for (restart, seq, byte) in numbers {
                let known: &mut BTreeSet<u8> = model.entry((restart, seq)).or_default();
                let expected = match known.len() {
                    0 => Verdict::New,
                    _ if known.contains(&byte) => Verdict::Retransmission,
                    _ => Verdict::Conflict,
                };
                prop_assert_eq!(windows.judge(&p1, 1, restart, seq, &[byte]), expected);
                windows.remember(&p1, 1, restart, seq, &[byte]);
                known.insert(byte);
            }
        }
    }
}
