//! What outlives a connection: who is connected now, the subscription, and half-received QoS 2 publishes.
//!
//! Kept in memory alone. After a restart a client hears "no session" and subscribes anew; commands are in the journal.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use vaka_protocol::DeviceId;

use crate::limits::{CONNECTIONS_MAX, SESSIONS_KEPT_MAX};

/// The part of a session that a later connection takes over.
#[derive(Debug, Default, Clone)]
pub struct Kept {
    /// Granted QoS of the command topic, where it is subscribed.
    pub subscribed: Option<u8>,
    /// The topic of the time is subscribed.
    pub wants_time: bool,
    /// The topic of its next certificate is subscribed.
    pub wants_certificate: bool,
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
struct Places {
    by_device: BTreeMap<DeviceId, Place>,
    /// Places with a connection, and places that are only kept for one.
    connected: usize,
    kept: usize,
}

pub struct Sessions {
    /// Devices that may be connected at once.
    most: usize,
    places: Mutex<Places>,
}

impl Default for Sessions {
    fn default() -> Self {
        Self::new(CONNECTIONS_MAX)
    }
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
    fn lock(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// With room for `most` devices at once, at most [`CONNECTIONS_MAX`].
    pub fn new(most: usize) -> Self {
        Self { most: most.min(CONNECTIONS_MAX), places: Mutex::default() }
    }

    pub fn most(&self) -> usize {
        self.most
    }

    /// Takes the device's place; an older connection of the same device is told to go.
    /// `None`: as many other devices as may are connected.
    pub fn take(&self, device: &DeviceId, clean: bool) -> Option<Seat> {
        let mut places = self.lock();
        let is_here = places.by_device.get(device).is_some_and(|place| place.kick.is_some());
        if !is_here && places.connected >= self.most {
            return None;
        }
        places.connected += usize::from(!is_here);
        let place = places.by_device.entry(device.clone()).or_default();
        place.epoch += 1;
        let (kick, kicked) = oneshot::channel();
        if let Some(older) = place.kick.replace(kick) {
            // It may be gone already: then there is nobody to tell.
            let _ = older.send(());
        }
        // Left in place for whoever takes over from us in turn.
        let kept = place.kept.clone();
        Some(Seat { epoch: place.epoch, kicked, resumed: kept.filter(|_| !clean) })
    }

    /// Notes what a later connection may take over, also one that comes while this one is still there.
    pub fn keep(&self, device: &DeviceId, epoch: u64, kept: Kept) {
        self.lock().put(device, epoch, |place| place.kept = Some(kept));
    }

    /// Leaves the place, with what a later connection may take over. A newer connection's hold is left alone.
    pub fn leave(&self, device: &DeviceId, epoch: u64, kept: Option<Kept>) {
        let mut places = self.lock();
        let has_room = places.kept < SESSIONS_KEPT_MAX;
        places.put(device, epoch, |place| {
            place.kick = None;
            place.kept = kept.filter(|_| has_room || place.kept.is_some());
        });
    }

    /// Devices connected now.
    pub fn connected(&self) -> usize {
        self.lock().connected
    }
}

impl Places {
    /// Changes a place that is still this connection's; the counts follow.
    fn put(&mut self, device: &DeviceId, epoch: u64, change: impl FnOnce(&mut Place)) {
        let Some(place) = self.by_device.get_mut(device).filter(|place| place.epoch == epoch) else { return };
        let counts = |place: &Place| (usize::from(place.kick.is_some()), usize::from(place.kept.is_some()));
        let before = counts(place);
        change(place);
        let after = counts(place);
        self.connected = self.connected + after.0 - before.0;
        self.kept = self.kept + after.1 - before.1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(n: usize) -> DeviceId {
        DeviceId::try_from(format!("d{n}").as_str()).expect("an id")
    }

    #[test]
    fn a_full_house_turns_away_the_next_device_but_never_one_that_comes_again() {
        const MOST: usize = 50;
        let sessions = Sessions::new(MOST);
        let seats: Vec<Seat> = (0..MOST).filter_map(|n| sessions.take(&device(n), true)).collect();
        assert_eq!((seats.len(), sessions.connected()), (MOST, MOST));
        assert!(sessions.take(&device(MOST), true).is_none());
        let again = sessions.take(&device(7), true).expect("its own place");
        sessions.leave(&device(7), seats[7].epoch, Some(Kept::default()));
        assert_eq!(sessions.connected(), MOST, "the newer connection stays");
        sessions.leave(&device(7), again.epoch, None);
        assert_eq!(sessions.connected(), MOST - 1);
        assert!(sessions.take(&device(MOST), true).is_some());
    }

    #[test]
    fn what_is_kept_for_later_is_bounded() {
        let sessions = Sessions::default();
        for n in 0..SESSIONS_KEPT_MAX + 10 {
            let seat = sessions.take(&device(n), false).expect("a place");
            sessions.leave(&device(n), seat.epoch, Some(Kept::default()));
        }
        let kept = |n| sessions.take(&device(n), false).expect("a place").resumed.is_some();
        assert!(kept(0) && kept(SESSIONS_KEPT_MAX - 1) && !kept(SESSIONS_KEPT_MAX));
    }
}
