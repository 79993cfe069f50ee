//! Could the dispenser have told? Enters: what is known of its connection. Leaves: yes, no, or how long to wait until that is clear.

use vaka_protocol::DeviceId;

use super::super::View;
use crate::limits::{DOSE_CONTACT_SETTLES_MS, DOSE_HEARD_MS, DOSE_ONLINE_PROVES_MS, DOSE_SILENT_MS, DOSE_START_MS};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contact {
    /// What it had to say, it has said.
    Yes,
    /// Clear in so many milliseconds at the latest.
    Soon(i64),
    No,
}

/// Whether `device` could have told what happened until `until_ms`, UTC milliseconds.
pub fn contact(view: View<'_>, device: &DeviceId, until_ms: i64) -> Contact {
    let now = view.now;
    let known = view.care.facts.get(device);
    // A device needs a moment to come back to a gateway that has just begun.
    let began = view.care.dose.began();
    let start_ms = began.filter(|at| at.boot == now.boot).map_or(0, |at| DOSE_START_MS - now.age_ms(&at));
    let soon = |ms: i64| if ms > 0 { Contact::Soon(ms) } else { Contact::No };
    let Some((known, heard)) = known.and_then(|known| known.heard.map(|heard| (known, heard))) else {
        return soon(start_ms);
    };
    // As long as it was connected it was not silent, whether it had something to say or not.
    let since = known.gone.filter(|gone| gone.record > heard.record).unwrap_or(heard);
    let silent_ms = DOSE_SILENT_MS - now.age_ms(&since);
    match known.online {
        Some(true) => match known.came.filter(|came| came.boot == now.boot) {
            Some(came) => match DOSE_CONTACT_SETTLES_MS - now.age_ms(&came) {
                ms if ms > 0 => Contact::Soon(ms),
                _ if heard.wall_ms >= until_ms => Contact::Yes,
                // A connection that nothing has come over since may be dead at the other end.
                _ => match until_ms.saturating_add(DOSE_ONLINE_PROVES_MS) - now.wall_ms {
                    ms if ms > 0 => Contact::Soon(ms),
                    _ => Contact::Yes,
                },
            },
            None => soon(silent_ms.max(start_ms)),
        },
        Some(false) => soon(silent_ms.max(start_ms)),
        // Nothing is known of its connection: only a word of it shows that there is one.
        None if heard.wall_ms >= until_ms => Contact::Yes,
        None => soon((DOSE_HEARD_MS - now.age_ms(&heard)).max(start_ms)),
    }
}
