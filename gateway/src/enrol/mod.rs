//! Where a new device comes for its certificate, with a one-time code and before it has anything else.
//!
//! Enters: TCP connections of strangers. Leaves: a certificate for the one who proves a code over TLS 1.3; for everybody else the same
//! refusal, a count, and a line in the log without any secret. The words on the wire are `vaka_protocol::enrol`'s, the codes and
//! certificates `provision`'s.
//!
//! Invariants: nothing listens unless `[enrol]` is configured; a door of its own, with places, times and tries of its own, so that who
//! stands here delays no device there; nothing is written to the disk for who does not know an invitation's locator. Absent: MQTT, alarms.

pub mod client;
pub mod door;
mod rate;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::provision::NotEnrolled;

/// What happened at the enrolment door since the start, by word.
#[derive(Debug, Default)]
pub struct Counts(Mutex<BTreeMap<&'static str, u64>>);

/// Counted under this where a device got its certificate.
pub const ENROLLED: &str = "enrolled";
/// The same device asked again for the same certificate.
pub const ENROLLED_AGAIN: &str = "enrolled_again";
/// Closed before TLS: too many tries, or too many at once.
pub const TURNED_AWAY: &str = "turned_away";
/// No TLS 1.3, no `vaka-enrol/1`, or too slow.
pub const HANDSHAKE_FAILED: &str = "handshake_failed";
/// Bytes that are no request.
pub const MALFORMED: &str = "malformed";
/// The disk or the authority failed; the code is still good.
pub const FAILED: &str = "failed";

impl Counts {
    /// Counts one; returns how many there are now.
    pub fn add(&self, what: &'static str) -> u64 {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(what).or_default();
        *count += 1;
        *count
    }

    /// All that is not zero.
    pub fn all(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Who asked for a certificate and got none.
    pub fn refused(&self, why: NotEnrolled) -> u64 {
        self.add(why.as_str())
    }
}
