//! What the demo's devices have said and heard, for the play to wait on and the summary to count.
//!
//! Enters: facts as they happen, from every device's task. Leaves: answers to "has it come so far?", and lines for the teller.
//! Invariant: an identity is acknowledged here only where its PUBACK has really come.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use vaka_protocol::{DeviceId, Event, Light, Rung, Sound};

use super::teller::Teller;
use super::words;

/// Restart, sequence number and device: what makes an event itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    pub device: DeviceId,
    pub restart: u32,
    pub seq: u64,
}

/// What a device's panel shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnPanel {
    pub light: Light,
    pub sound: Sound,
    /// In the resident's language.
    pub text: String,
}

impl Default for OnPanel {
    fn default() -> Self {
        Self { light: Light::Off, sound: Sound::Off, text: String::new() }
    }
}

/// An event that a device said.
#[derive(Debug, Clone)]
pub struct Said {
    pub event: Event,
    pub at: Instant,
    /// From saying to PUBACK.
    pub acked: Option<Duration>,
    /// From saying to the device hearing of it.
    pub rungs: BTreeMap<Rung, Duration>,
}

/// All of it.
#[derive(Debug, Default)]
pub struct Facts {
    pub said: BTreeMap<Identity, Said>,
    pub refused: BTreeSet<Identity>,
    pub online: BTreeSet<DeviceId>,
    /// Why a device's last connection ended.
    pub ended: BTreeMap<DeviceId, String>,
}

impl Facts {
    pub fn rung(&self, identity: &Identity) -> Option<Rung> {
        self.said.get(identity)?.rungs.keys().next_back().copied()
    }

    pub fn is_acked(&self, identity: &Identity) -> bool {
        self.said.get(identity).is_some_and(|said| said.acked.is_some())
    }

    pub fn acked(&self) -> BTreeSet<Identity> {
        self.said.iter().filter(|(_, said)| said.acked.is_some()).map(|(identity, _)| identity.clone()).collect()
    }

    /// Said and neither acknowledged nor refused.
    pub fn waiting(&self) -> usize {
        self.said.iter().filter(|(identity, said)| said.acked.is_none() && !self.refused.contains(identity)).count()
    }
}

/// Shared by every device's task and the play.
#[derive(Debug)]
pub struct Desk {
    facts: Mutex<Facts>,
    changed: watch::Sender<u64>,
    pub teller: Teller,
}

impl Desk {
    pub fn new(teller: Teller) -> Self {
        Self { facts: Mutex::default(), changed: watch::Sender::new(0), teller }
    }

    pub fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the facts are as wished; false when `limit` comes first.
    pub async fn until(&self, limit: Instant, wished: impl Fn(&Facts) -> bool) -> bool {
        let mut changed = self.changed.subscribe();
        let come = async {
            while !wished(&self.facts()) {
                if changed.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout_at(limit.into(), come).await.is_ok()
    }

    pub fn connected(&self, device: &DeviceId) {
        self.note(|facts| {
            if facts.online.insert(device.clone()) {
                self.teller.quiet(device, "is connected");
            }
        });
    }

    pub fn disconnected(&self, device: &DeviceId, why: String) {
        self.note(|facts| {
            if facts.online.remove(device) {
                self.teller.quiet(device, "has lost its connection");
            }
            facts.ended.insert(device.clone(), why);
        });
    }

    /// A device has something to say. Telemetry is counted, what matters is told.
    pub fn said(&self, identity: Identity, event: &Event, at: Instant) {
        if let Some(words) = words::of(event) {
            self.teller.say(&identity.device, words.as_ref());
        }
        let said = Said { event: event.clone(), at, acked: None, rungs: BTreeMap::new() };
        self.note(|facts| facts.said.insert(identity, said));
    }

    pub fn acked(&self, identity: &Identity, refused: Option<&str>) {
        if let Some(why) = refused {
            self.teller.trouble(&identity.device, &format!("event {} was refused: {why}", identity.seq));
        }
        self.note(|facts| {
            if refused.is_some() {
                facts.refused.insert(identity.clone());
            } else if let Some(said) = facts.said.get_mut(identity) {
                let after = said.at.elapsed();
                said.acked.get_or_insert(after);
            }
        });
    }

    /// A receipt reached the device; `shown`: what the resident now sees and hears.
    pub fn rung(&self, identity: &Identity, rung: Rung, shown: Option<&OnPanel>) {
        // Told before it is noted: what waits for it comes after it on the page.
        self.note(|facts| {
            let Some(said) = facts.said.get_mut(identity).filter(|said| !said.rungs.contains_key(&rung)) else {
                return;
            };
            let after = said.at.elapsed();
            said.rungs.insert(rung, after);
            self.teller.rung(&identity.device, rung, after, shown);
        });
    }

    pub fn shown(&self, device: &DeviceId, shown: &OnPanel) {
        self.teller.shown(device, shown);
    }

    fn note<T>(&self, write: impl FnOnce(&mut Facts) -> T) -> T {
        let written = write(&mut self.facts());
        self.changed.send_modify(|count| *count += 1);
        written
    }
}
