//! Supervision of homes by their hub: which of them has been silent, and for how long.
//!
//! Enters: that a home is there or gone, and the monotonic time. Leaves: the homes that have been silent too long, each once
//! per silence. In memory alone: after a start every home is silent until it is heard, so a restart forgets none.

use std::collections::{BTreeMap, BTreeSet};

use vaka_protocol::DeviceId;

use crate::limits::HOME_SILENT_MS;

#[derive(Debug, Default)]
pub struct Homes {
    /// Since when, monotonic milliseconds. Absent: it is heard.
    silent: BTreeMap<DeviceId, u64>,
    /// Told, and silent since.
    told: BTreeSet<DeviceId>,
    known: BTreeSet<DeviceId>,
}

impl Homes {
    /// The homes of the config. One that is new is silent from now.
    pub fn set(&mut self, homes: BTreeSet<DeviceId>, mono_ms: u64) {
        for fresh in homes.difference(&self.known) {
            self.silent.insert(fresh.clone(), mono_ms);
        }
        self.silent.retain(|home, _| homes.contains(home));
        self.told.retain(|home| homes.contains(home));
        self.known = homes;
    }

    pub fn heard(&mut self, home: &DeviceId, online: bool, mono_ms: u64) {
        if online {
            self.silent.remove(home);
            self.told.remove(home);
        } else if self.known.contains(home) && !self.told.contains(home) {
            self.silent.entry(home.clone()).or_insert(mono_ms);
        }
    }

    /// Homes silent for too long and not told yet, with the seconds.
    pub fn due(&mut self, mono_ms: u64) -> Vec<(DeviceId, u64)> {
        let is_due = |since: &u64| mono_ms.saturating_sub(*since) >= HOME_SILENT_MS;
        let due: Vec<(DeviceId, u64)> = self
            .silent
            .iter()
            .filter(|(_, since)| is_due(since))
            .map(|(home, since)| (home.clone(), (mono_ms - since) / 1_000))
            .collect();
        for (home, _) in &due {
            self.silent.remove(home);
            self.told.insert(home.clone());
        }
        due
    }

    /// Milliseconds until [`Homes::due`] has something; `None`: nothing is silent.
    pub fn wait_ms(&self, mono_ms: u64) -> Option<u64> {
        self.silent.values().map(|since| (since + HOME_SILENT_MS).saturating_sub(mono_ms)).min()
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
        homes.set([home("a")].into(), 500_000);
        assert_eq!(homes.wait_ms(500_000), None);
    }
}
