//! "Not tonight": what the resident has said no by, and for how long.
//!
//! Enters: presses of the button, shutters and privacy modes, a withdrawn consent. Leaves: the no that holds for a look-in. Invariant: a no
//! counts from the moment it was said; only a shutter that opens, and time, end one.

use jiff::ToSpan;
use jiff::tz::TimeZone;
use vaka_protocol::DeviceId;

use super::super::agreed::Person;
use super::super::moment::At;
use super::super::when::{instant, local, next};
use super::super::{Care, seen_at};
use super::Look;
use super::slots::Slot;
use crate::journal::record::Evidence;
use crate::limits::LOOK_NO_MS;

/// How the resident said no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum No {
    /// "Not tonight", at this device.
    Declined(DeviceId, At),
    /// The shutter is closed, or the home is private.
    Private(DeviceId, At),
    /// The consent was taken back.
    Withdrawn,
}

impl No {
    pub(super) fn evidence(&self, camera: &DeviceId) -> Vec<Evidence> {
        match self {
            No::Declined(device, at) => vec![seen_at(device, at, "decline")],
            No::Private(device, at) => vec![seen_at(device, at, "privacy on")],
            No::Withdrawn => {
                vec![Evidence { record: 0, device: camera.clone(), at: 0, what: "consent withdrawn".into() }]
            }
        }
    }
}

/// A "not tonight" without a time holds until the next noon, and for half a day at least, UTC milliseconds.
fn until_ms(zone: &TimeZone, at_ms: i64) -> i64 {
    let at = local(zone, at_ms);
    let noon = jiff::civil::Time::midnight() + 12.hours();
    let date = if at.time() < noon { at.date() } else { next(at.date()) };
    instant(zone, date, noon).max(at_ms.saturating_add(LOOK_NO_MS))
}

/// The no that stands against looking at all now, for an alarm too (`now_ms`, UTC milliseconds): "not tonight" is not "unless".
pub fn no_now(care: &Care, zone: &TimeZone, person: &Person, look: &Look, now_ms: i64) -> Option<No> {
    if look.term.end_ms.is_some_and(|end| end <= now_ms) {
        return Some(No::Withdrawn);
    }
    if let Some((device, at)) = private(care, person) {
        return Some(No::Private(device.clone(), at));
    }
    let said = person.devices.iter().flat_map(|id| care.night.declined(id).map(move |(name, at)| (id, name, *at)));
    let holds = |(_, name, at): &(&DeviceId, &str, At)| {
        name.is_empty() && at.wall_ms <= now_ms && now_ms < until_ms(zone, at.wall_ms)
    };
    said.filter(holds).max_by_key(|(_, _, at)| at.wall_ms).map(|(id, _, at)| No::Declined(id.clone(), at))
}

/// The no that stands against looking for this slot now (`now_ms`, UTC milliseconds).
pub fn said_no(care: &Care, zone: &TimeZone, person: &Person, look: &Look, slot: &Slot, now_ms: i64) -> Option<No> {
    if look.term.end_ms.is_some_and(|end| end <= now_ms) {
        return Some(No::Withdrawn);
    }
    if let Some((device, at)) = private(care, person) {
        return Some(No::Private(device.clone(), at));
    }
    let said = person.devices.iter().flat_map(|id| care.night.declined(id).map(move |(name, at)| (id, name, *at)));
    let of_slot = said.filter(|(_, name, at)| match name.is_empty() {
        true => slot.at_ms < until_ms(zone, at.wall_ms) && at.wall_ms < slot.latest_ms,
        // The next look-in of that name to end.
        false => *name == slot.name() && at.wall_ms <= slot.latest_ms && slot.latest_ms - at.wall_ms < DAY_MS,
    });
    of_slot.max_by_key(|(_, _, at)| at.wall_ms).map(|(id, _, at)| No::Declined(id.clone(), at))
}

const DAY_MS: i64 = 86_400_000;

/// The device of this person's that says that nothing may be seen.
pub(super) fn private<'a>(care: &Care, person: &'a Person) -> Option<(&'a DeviceId, At)> {
    person.devices.iter().find_map(|id| Some((id, care.look.private(id)?)))
}
