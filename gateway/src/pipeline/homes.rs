//! Supervision of homes by their hub: which of them has been silent, and for how long.
//!
//! Enters: that a home is there or gone, that a person has closed the alarm of its silence, and the monotonic time. Leaves: the homes
//! that have been silent too long, each once per silence, and once more some time after a close: a clear never mutes a home that is
//! still silent. In memory alone: after a start every home is silent until it is heard, so a restart forgets none.

use std::collections::{BTreeMap, BTreeSet};

use vaka_protocol::DeviceId;

use crate::limits::{HOME_SILENT_AGAIN_MS, HOME_SILENT_MS};

/// Monotonic milliseconds.
#[derive(Debug)]
struct Silence {
    since: u64,
    /// `None`: it is told.
    due: Option<u64>,
}

#[derive(Debug, Default)]
pub struct Homes {
    /// Absent: it is heard.
    silent: BTreeMap<DeviceId, Silence>,
    known: BTreeSet<DeviceId>,
}

impl Homes {
    /// The homes of the config. One that is new is silent from now.
    pub fn set(&mut self, homes: BTreeSet<DeviceId>, mono_ms: u64) {
        for fresh in homes.difference(&self.known) {
            self.silent.insert(fresh.clone(), Silence { since: mono_ms, due: Some(mono_ms + HOME_SILENT_MS) });
        }
        self.silent.retain(|home, _| homes.contains(home));
        self.known = homes;
    }

    pub fn heard(&mut self, home: &DeviceId, online: bool, mono_ms: u64) {
        if online {
            self.silent.remove(home);
        } else if self.known.contains(home) {
            let fresh = || Silence { since: mono_ms, due: Some(mono_ms + HOME_SILENT_MS) };
            self.silent.entry(home.clone()).or_insert_with(fresh);
        }
    }

    /// A person has closed the alarm of its silence.
    pub fn closed(&mut self, home: &DeviceId, mono_ms: u64) {
        if let Some(silence) = self.silent.get_mut(home).filter(|silence| silence.due.is_none()) {
            silence.due = Some(mono_ms + HOME_SILENT_AGAIN_MS);
        }
    }

    /// Homes silent for too long and not told yet, with the seconds.
    pub fn due(&mut self, mono_ms: u64) -> Vec<(DeviceId, u64)> {
        let mut due = Vec::new();
        for (home, silence) in &mut self.silent {
            if silence.due.is_some_and(|at| at <= mono_ms) {
                silence.due = None;
                due.push((home.clone(), mono_ms.saturating_sub(silence.since) / 1_000));
            }
        }
        due
    }

    /// Milliseconds until [`Homes::due`] has something; `None`: nothing is silent.
    pub fn wait_ms(&self, mono_ms: u64) -> Option<u64> {
        self.silent.values().filter_map(|silence| silence.due).map(|at| at.saturating_sub(mono_ms)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_told_once_and_each_silence_anew() {
        let home = |name: &str| DeviceId::try_from(name).unwrap();
        let mut homes = Homes::default();
        homes.set([home("a"), home("b")].into(), 0);
        homes.heard(&home("a"), true, 10);
        homes.heard(&home("stranger"), false, 10);
        assert_eq!(homes.wait_ms(30_000), Some(HOME_SILENT_MS - 30_000));
        assert_eq!(homes.due(HOME_SILENT_MS - 1), []);
        assert_eq!(homes.due(HOME_SILENT_MS), [(home("b"), HOME_SILENT_MS / 1_000)], "never heard since the start");
        assert_eq!((homes.due(u64::MAX), homes.wait_ms(0)), (vec![], None));
        homes.heard(&home("b"), false, 200_000);
        assert_eq!(homes.wait_ms(200_000), None, "it is told already");
        homes.heard(&home("b"), true, 300_000);
        homes.heard(&home("b"), false, 300_000);
        homes.heard(&home("b"), false, 350_000);
        assert_eq!(homes.due(300_000 + HOME_SILENT_MS).len(), 1, "counted from the first word of it");
        // Closed by a person and silent still: told once more, and only then.
        homes.closed(&home("b"), 400_000);
        assert_eq!(homes.wait_ms(400_000), Some(HOME_SILENT_AGAIN_MS));
        homes.closed(&home("b"), 500_000);
        assert_eq!(homes.due(400_000 + HOME_SILENT_AGAIN_MS), [(home("b"), (100_000 + HOME_SILENT_AGAIN_MS) / 1_000)]);
        homes.closed(&home("a"), 500_000);
        homes.closed(&home("stranger"), 500_000);
        assert_eq!(homes.wait_ms(500_000), None);
        homes.set([home("a")].into(), 500_000);
        assert_eq!(homes.wait_ms(500_000), None);
    }
}
