//! What happened at each receiver since the start, over each of its paths: for people who look into it.
//!
//! Enters: link events. Leaves: sums by name. Bounded by receivers, paths and the names here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::link::{Failure, LinkEvent};

/// Sums by name, by path, by receiver.
pub type Sums = BTreeMap<String, BTreeMap<String, BTreeMap<&'static str, u64>>>;

/// Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Counts(Arc<Mutex<Sums>>);

impl Counts {
    pub(super) fn add(&self, receiver: &str, path: &str, event: &LinkEvent) {
        let Some(name) = name(event) else { return };
        let mut sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *sums.entry(receiver.to_owned()).or_default().entry(path.to_owned()).or_default().entry(name).or_default() += 1;
    }

    pub fn sums(&self) -> Sums {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn name(event: &LinkEvent) -> Option<&'static str> {
    Some(match event {
        LinkEvent::Sent { .. } => "sent",
        LinkEvent::Received { .. } => "received",
        LinkEvent::Accepted { attempt: Some(_), .. } => "accepted",
        // After its deadline, or once more.
        LinkEvent::Accepted { attempt: None, .. } => "accepted_late",
        LinkEvent::Person { .. } => "person",
        LinkEvent::Parcel { taken: Ok(()), .. } => "parcel_taken",
        LinkEvent::Parcel { taken: Err(_), .. } => "parcel_failed",
        LinkEvent::Order { .. } => "order",
        LinkEvent::Connected => "connected",
        LinkEvent::Path { up: true, .. } => "path_up",
        LinkEvent::Path { up: false, .. } => "path_lost",
        LinkEvent::Certificate { ended: Some(_) } => "certificate_ended",
        LinkEvent::Certificate { ended: None } => return None,
        LinkEvent::Failed { failure, .. } => match failure {
            Failure::NotConnected(_) => "not_connected",
            Failure::Closed(_) => "closed",
            Failure::NotReceived(_) => "not_received",
            Failure::NotAccepted(_) => "not_accepted",
            Failure::Status { .. } | Failure::Snu { .. } | Failure::Refused { .. } => "refused",
            Failure::Login(_) => "login_refused",
            Failure::LinkStopped => "link_stopped",
        },
    })
}
