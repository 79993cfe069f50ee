//! What outlives a connection: who is connected now, the subscription, and half-received QoS 2 publishes.
//!
//! Kept in memory alone. After a restart a client hears "no session" and subscribes anew; commands are in the journal.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use vaka_protocol::DeviceId;

use crate::limits::SESSIONS_KEPT_MAX;

/// The part of a session that a later connection takes over.
#[derive(Debug, Default, Clone)]
pub struct Kept {
    /// Granted QoS of the command topic, where it is subscribed.
    pub subscribed: Option<u8>,
    /// QoS 2 publishes between PUBREC and PUBREL: packet id, fingerprint of the bytes.
    pub half_received: BTreeMap<u16, u32>,
}

#[derive(Default)]
struct Place {
    epoch: u64,
    kick: Option<oneshot::Sender<()>>,
    kept: Option<Kept>,
}

#[derive(Default)]
pub struct Sessions {
    places: Mutex<BTreeMap<DeviceId, Place>>,
}

/// A connection's hold on its device's place.
pub struct Seat {
    pub epoch: u64,
    /// Fires when a newer connection takes the place.
    pub kicked: oneshot::Receiver<()>,
    /// The earlier session, where the client wanted it and it was there.
    pub resumed: Option<Kept>,
}

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<DeviceId, Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the device's place; an older connection of the same device is told to go.
    pub fn take(&self, device: &DeviceId, clean: bool) -> Seat {
        let mut places = self.lock();
        let place = places.entry(device.clone()).or_default();
        place.epoch += 1;
        let (kick, kicked) = oneshot::channel();
        if let Some(older) = place.kick.replace(kick) {
            // It may be gone already: then there is nobody to tell.
            let _ = older.send(());
        }
        // Left in place for whoever takes over from us in turn.
        let kept = place.kept.clone();
        Seat { epoch: place.epoch, kicked, resumed: kept.filter(|_| !clean) }
    }

    /// Notes what a later connection may take over, also one that comes while this one is still there.
    pub fn keep(&self, device: &DeviceId, epoch: u64, kept: Kept) {
        if let Some(place) = self.lock().get_mut(device).filter(|place| place.epoch == epoch) {
            place.kept = Some(kept);
        }
    }

    /// Leaves the place, with what a later connection may take over. A newer connection's hold is left alone.
    pub fn leave(&self, device: &DeviceId, epoch: u64, kept: Option<Kept>) {
        let mut places = self.lock();
        let held = places.values().filter(|place| place.kept.is_some()).count();
        let Some(place) = places.get_mut(device).filter(|place| place.epoch == epoch) else { return };
        place.kick = None;
        place.kept = kept.filter(|_| held < SESSIONS_KEPT_MAX);
    }

    /// Devices connected now.
    pub fn connected(&self) -> usize {
        self.lock().values().filter(|place| place.kick.is_some()).count()
    }
}
