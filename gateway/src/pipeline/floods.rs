//! The keeper's side of shares: what is beyond one is refused, a flood is told once when it begins and once when it ends.

use super::keeper::{Ask, Keeper};
use super::shortage::Why;
use crate::ingest::listener::CONNECTIONS_FULL;
use crate::ingest::quota::{Flood, OVERLOAD, TESTS_USED_UP};
use crate::ingest::window::Verdict;
use crate::ingest::{Submission, What};
use crate::journal::record::Fault;
use crate::rules;

impl Keeper {
    /// Why this is not stored, if it is not. What is stored already costs nothing: its acknowledgement was lost on the way.
    pub(super) fn refuses(&mut self, submission: &Submission) -> Option<Why> {
        let (payer, bytes) = match &submission.what {
            What::Event { parsed, payload, via } => {
                let windows = &self.restored.state.windows;
                let known = parsed.identity.is_some_and(|(restart, seq)| {
                    let verdict = windows.judge(&submission.device, submission.enrolment, restart, seq, payload);
                    verdict == Verdict::Retransmission
                });
                if known {
                    return None;
                }
                (via.as_ref().map_or(&submission.device, |via| &via.bridge), payload.len())
            }
            What::Quarantine(quarantine) => (&submission.device, quarantine.payload.len()),
            // That a connection was lost is always taken: otherwise its device would look present.
            What::Alive { .. } if submission.reply.is_some() => (&submission.device, 0),
            What::Alive { .. } | What::Ended | What::Listening(_) | What::Deaf(_) => return None,
        };
        if !matches!(submission.what, What::Alive { .. }) && self.room.refused.contains(&submission.lane) {
            return Some(Why::NoRoom);
        }
        let now_ms = self.clock.now().mono_ms;
        let is_taken = self.shares.take(payer, submission.for_many, submission.lane, bytes, now_ms);
        (!is_taken).then_some(Why::OverShare)
    }

    /// Refusing anything is itself a technical alarm: one a flood.
    pub(super) fn tell_floods(&mut self) {
        for (flood, active) in self.shares.news(self.clock.now().mono_ms) {
            let fault = match flood {
                Flood::Device(device) => {
                    tracing::warn!(device.id = %device, active, "a device sends more than its share");
                    let detail = "more events than its share".to_owned();
                    Fault { fault: OVERLOAD.into(), device: Some(device), detail, active }
                }
                Flood::Tests => {
                    let detail = "more tests than the home's share".to_owned();
                    Fault { fault: TESTS_USED_UP.into(), device: None, detail, active }
                }
            };
            self.take_ask(Ask::Fault(fault));
        }
    }

    /// After a start: a flood that was going on still is, until it is seen to be over; nobody stands at the door yet.
    pub(super) fn go_on_with_floods(&mut self) {
        let now_ms = self.clock.now().mono_ms;
        let part = |name| rules::gateway_part(name);
        let (tests, door) = (part(TESTS_USED_UP), part(CONNECTIONS_FULL));
        let mut was_full = false;
        for alarm in self.restored.state.alarms.open().filter(|alarm| !alarm.over) {
            let device = &alarm.raise.device;
            match alarm.raise.cause.as_str() {
                OVERLOAD => self.shares.resume(Flood::Device(device.clone()), now_ms),
                "fault" if tests.as_ref() == Some(device) => self.shares.resume(Flood::Tests, now_ms),
                "fault" if door.as_ref() == Some(device) => was_full = true,
                _ => {}
            }
        }
        if was_full {
            let detail = String::new();
            self.take_ask(Ask::Fault(Fault { fault: CONNECTIONS_FULL.into(), device: None, detail, active: false }));
        }
    }
}
