//! What sessions submit: events, and how their connections are.
//!
//! Enters: submissions in the order they came. Leaves: records with what the rules decide on them, answers that wait for the commit.

use tracing::warn;
use vaka_protocol::{Command, CommandMessage, DeviceId, Event, Lane, Rung};

use super::{Answer, Keeper};
use crate::ingest::window::Verdict;
use crate::ingest::{Parsed, PublishReason, Replies, Submission, What};
use crate::journal::record::{Alive, EventRecord, Record, Via};
use crate::limits;
use crate::pipeline::fold::{Outcome, happening};
use crate::pipeline::shortage::Why;
use crate::rules::{self, Happening};

/// How an event came.
struct Came {
    via: Option<Via>,
    /// With a certificate that had ended.
    has_ended: bool,
    /// Over a connection that began then, by the running clock.
    since_ms: Option<u64>,
}

impl Keeper {
    pub(super) fn take_submission(&mut self, submission: Submission) {
        let why = self.refuses(&submission);
        let Submission { device, enrolment, lane, what, has_ended, since_ms, for_many: _, reply } = submission;
        let mut reason = PublishReason::Success;
        match what {
            _ if why.is_some() => {
                // What stands behind a bridge is counted as the bridge's: it may invent any number of names.
                let payer = if let What::Event { via: Some(via), .. } = what { via.bridge } else { device };
                if let Some(why) = why {
                    self.meters.refused(lane, why.as_str());
                    self.shortage.refuse(payer.clone(), lane, why);
                }
                reason = PublishReason::QuotaExceeded;
            }
            What::Event { parsed, payload, via } => {
                let came = Came { via, has_ended, since_ms };
                self.store_event(device, enrolment, lane, &parsed, payload, came);
            }
            // The session has the reason for the device.
            What::Ended => {
                self.meters.refused(lane, Why::Ended.as_str());
                self.shortage.refuse(device, lane, Why::Ended);
            }
            What::Quarantine(quarantine) => {
                self.meters.quarantined();
                let record = Record::Quarantine(quarantine);
                let header = self.append(record.clone(), lane);
                self.judge_record(&header, &record);
            }
            What::Alive { online } => {
                self.homes.heard(&device, online, self.clock.now().mono_ms);
                self.watch.stirred(&device);
                self.append_unrepeatable(Record::Alive(Alive { device, online }), lane);
                self.watch_over();
            }
            What::Listening(replies) => self.new_listeners.push((device, replies)),
            What::Deaf(replies) => {
                self.new_listeners.retain(|(_, new)| !new.same_channel(&replies));
                if self.listening.get(&device).is_some_and(|current| current.same_channel(&replies)) {
                    self.listening.remove(&device);
                    // However its connection ended: who presses there is heard by nobody from now.
                    self.homes.heard(&device, false, self.clock.now().mono_ms);
                }
            }
        }
        if let Some((to, number)) = reply {
            self.answer_device(to, number, reason);
        }
    }

    /// What a session submitted together is answered together.
    fn answer_device(&mut self, to: Replies, number: u64, reason: PublishReason) {
        match self.answers.last_mut() {
            Some(Answer::Device { to: same, first, count, reason: alike })
                if *first + *count == number && *alike == reason && same.same_channel(&to) =>
            {
                *count += 1;
            }
            _ => self.answers.push(Answer::Device { to, first: number, count: 1, reason }),
        }
    }

    fn store_event(
        &mut self,
        device: DeviceId,
        enrolment: u32,
        lane: Lane,
        parsed: &Parsed,
        payload: Vec<u8>,
        Came { via, has_ended, since_ms }: Came,
    ) {
        let journal = &self.restored.journal;
        let (restart, seq, assigned) = match parsed.identity {
            Some((restart, seq)) => (restart, seq, false),
            None => (limits::ASSIGNED_RESTART, journal.stat().next_seq, true),
        };
        let windows = &self.restored.state.windows;
        let conflict = match windows.judge(&device, enrolment, restart, seq, &payload) {
            _ if assigned => false,
            Verdict::New => false,
            // A home's number stands for alarm and telling: other words under it are the same telling after a change of its config.
            Verdict::Conflict if self.home.facts(&device).home => {
                return self.repeat_receipt(&device, enrolment, restart, seq, parsed);
            }
            Verdict::Retransmission => {
                self.meters.repeated();
                return self.repeat_receipt(&device, enrolment, restart, seq, parsed);
            }
            Verdict::Conflict => {
                warn!(device.id = %device, "the device used number {restart}/{seq} for two different events: both are kept");
                true
            }
        };
        let record = Record::Event(EventRecord {
            device,
            enrolment,
            restart,
            seq,
            assigned,
            conflict,
            has_ended,
            via,
            payload: payload.into(),
        });
        self.meters.stores(lane);
        let header = self.restored.append(&record, lane, self.clock.as_ref());
        let Record::Event(event) = &record else { return };
        self.restored.state.apply_event(&header, event, Some(parsed));
        self.answer_orders(&event.device, parsed);
        if parsed.events.iter().any(|event| matches!(event, Event::Round { .. })) {
            self.touch(None);
        }
        let behind_ms = self.restored.state.care.facts.behind_ms(&event.device);
        let since_ms = since_ms.and_then(|ms| i64::try_from(ms).ok());
        let happening = Happening { since_ms, ..happening(event, parsed, behind_ms) };
        let is_told = self.judge(&header, rules::What::Event(happening));
        for read in &parsed.events {
            self.watch.heard(&event.device, read, &self.restored.state.care.facts);
        }
        if let Some(via) = &event.via {
            self.watch.heard(&via.bridge, &Event::Alive {}, &self.restored.state.care.facts);
        }
        self.watch_over();
        self.act_for_homes(&happening);
        // Old news, or of an alarm that somebody has: it raised nothing here, and the home waits for an answer all the same.
        if !is_told {
            self.repeat_receipt(&event.device, enrolment, restart, seq, parsed);
        }
    }

    /// A home says again what is stored here: it may have lost our word on it, so it gets that again, with no id to answer.
    fn repeat_receipt(&mut self, device: &DeviceId, enrolment: u32, restart: u32, seq: u64, parsed: &Parsed) {
        let told = parsed.events.iter().find_map(|event| match event {
            // Of what its own people did a home waits for no answer.
            Event::Alarm { alarm, rung, .. } if *rung < Rung::Claimed => Some(alarm),
            _ => None,
        });
        let Some(told) = told.filter(|_| self.home.facts(device).home) else { return };
        let happening = Happening {
            device,
            enrolment,
            restart,
            seq,
            at: parsed.at,
            uptime_ms: parsed.uptime_ms,
            since_ms: None,
            behind_ms: 0,
            events: &parsed.events,
            unknown: &parsed.unknown,
            conflict: false,
            has_ended: false,
            of: parsed.of.as_ref(),
        };
        let (alarm, rung, last) = match rules::homes::find(&self.restored.state.alarms, &happening, told) {
            Some(known) => {
                let own = known.notices.iter().find(|notice| (notice.restart, notice.seq) == (restart, seq));
                (known.id(), own.map_or(known.rung(), |notice| notice.rung), known.is_handed_over())
            }
            // Only what was closed is forgotten.
            None => (told, Rung::Closed, false),
        };
        let command = Command::Receipt { restart, seq, alarm: alarm.clone(), rung, last };
        let expires_at = self.clock.now().wall_ms + limits::RECEIPT_EXPIRES_MS;
        let message = Box::new(CommandMessage::new(0, expires_at, command));
        self.outcomes.push(Outcome::Command { device: device.clone(), message });
    }
}
