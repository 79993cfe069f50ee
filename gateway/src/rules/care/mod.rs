//! The care rules: what is judged by time, by agreement, and by what has not happened.
//!
//! Enters: events as they are recorded, and the passing of time. Leaves: decisions, each with what it rests on.
//! State = facts (what the sensors said, whatever is agreed) and what is settled (each cause decided once): both are folds of
//! the journal, so a restart neither forgets nor repeats. What is due is found anew from both at any moment: there is no timer
//! to lose. [`Watch`] knows when to look next; it is made anew from the agreement at every start.
//! Absent: I/O, a clock, any way to close an alarm.

pub mod agreed;
pub mod clocks;
mod concern;
pub mod dose;
pub mod facts;
pub mod look;
pub mod moment;
pub mod night;
mod out;
pub mod place;
pub mod power;
pub mod presence;
pub mod rehearsal;
pub mod reminder;
mod settled;
pub mod signed;
pub mod silence;
pub mod term;
pub mod vital;
pub mod watch;
pub mod when;

use serde::{Deserialize, Serialize};
use vaka_protocol::{DeviceId, Event};

use super::Home;
use super::alarms::Alarms;
use super::gone::Gone;
use crate::journal::record::{self, Decision, Signed, SignedWhat};
use crate::limits::{CATCH_UP_QUIET_MS, SET_BACK_MS};
use agreed::{Agreed, Person};
use clocks::Stamp;
use concern::Rule;
use facts::Facts;
use moment::{At, Moment};
pub use out::{Finding, Out, Subject, alarm_of, key, seen, seen_at};
pub use settled::Settled;
pub use watch::Watch;

/// One event, as the care rules see it.
#[derive(Debug, Clone, Copy)]
pub struct Sight<'a> {
    pub device: &'a DeviceId,
    pub restart: u32,
    pub seq: u64,
    pub event: &'a Event,
    /// When it happened, by the best clock known: never after it was recorded.
    pub at: At,
    pub recorded: At,
    /// It came later than over a working path.
    pub delayed: bool,
    /// The device's clock cannot be right.
    pub suspect: bool,
}

/// All that the care rules remember.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Care {
    #[serde(default)]
    pub facts: Facts,
    #[serde(default)]
    pub settled: Settled,
    /// Of the newest record, UTC milliseconds.
    #[serde(default)]
    wall_ms: i64,
    /// When the newest event was recorded that had waited.
    #[serde(default)]
    late: Option<At>,
    #[serde(default)]
    pub night: night::Nights,
    #[serde(default)]
    pub presence: presence::Presences,
    #[serde(default)]
    pub place: place::Places,
    #[serde(default)]
    pub dose: dose::Doses,
    #[serde(default)]
    pub reminder: reminder::Reminders,
    #[serde(default)]
    pub vital: vital::Vitals,
    #[serde(default)]
    pub silence: silence::Silences,
    #[serde(default)]
    pub power: power::Powers,
    #[serde(default)]
    pub signed: signed::Signatures,
    #[serde(default)]
    pub look: look::Looks,
}

/// What a rule may look at.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub care: &'a Care,
    pub alarms: &'a Alarms,
    pub home: &'a Home,
    pub agreed: &'a Agreed,
    pub now: Moment,
}

impl Care {
    /// What is remembered of somebody is forgotten.
    pub fn forget(&mut self, gone: &Gone<'_>) {
        self.facts.forget(gone);
        self.settled.forget(gone);
        self.night.forget(gone);
        self.presence.forget(gone);
        self.place.forget(gone);
        self.dose.forget(gone);
        self.reminder.forget(gone);
        self.vital.forget(gone);
        self.signed.forget(gone);
        self.look.forget(gone);
    }

    /// Records of this class up to `until_ms` (UTC) are gone, and what is remembered of them with them. Not doses: what was given is
    /// known for as long as it could be given twice ([`DOSE_TOLD_MAX`](crate::limits::DOSE_TOLD_MAX)).
    pub fn age(&mut self, class: &str, until_ms: i64) {
        match class {
            // Positions without days of their own go with telemetry.
            "positions" => self.place.age(until_ms),
            "telemetry" => {
                self.place.age(until_ms);
                self.vital.age(until_ms);
            }
            // So do looks with care.
            "looks" => self.look.age(until_ms),
            "care" => {
                self.look.age(until_ms);
                self.signed.age(until_ms);
            }
            _ => {}
        }
    }

    /// A clock that was far ahead has been set: what it had settled is still to come.
    fn pass(&mut self, recorded: At) {
        if recorded.wall_ms < self.wall_ms.saturating_sub(SET_BACK_MS) {
            self.settled.forget_after(recorded.wall_ms.saturating_add(SET_BACK_MS));
        }
        self.wall_ms = recorded.wall_ms;
    }

    /// Folds an event in: what is remembered of it does not depend on what is agreed.
    pub fn see(&mut self, sight: &Sight<'_>) {
        self.pass(sight.recorded);
        if sight.delayed {
            self.late = Some(sight.recorded);
        }
        let switch = self.facts.see(sight);
        self.night.see(sight, switch);
        self.presence.see(sight);
        self.place.see(sight);
        self.dose.see(sight);
        self.reminder.see(sight);
        self.vital.see(sight);
        self.silence.see(sight);
        self.power.see(sight);
        self.look.see(sight);
    }

    /// What an event says of its device's clock; before [`Care::see`]. Leaves: how far that is behind, in milliseconds.
    pub fn tell_time(&mut self, device: &DeviceId, stamp: &Stamp, recorded: At) -> i64 {
        self.facts.tell_time(device, stamp, recorded)
    }

    /// Something was heard by way of this bridge.
    pub fn heard(&mut self, bridge: &DeviceId, recorded: At) {
        self.facts.heard(bridge, recorded);
    }

    pub fn alive(&mut self, device: &DeviceId, online: bool, recorded: At) {
        self.facts.alive(device, online, recorded);
        self.silence.alive(device, online, recorded);
    }

    /// Telemetry of this device, or of what stands behind this bridge, was refused.
    pub fn refused(&mut self, device: &DeviceId, recorded: At) {
        self.facts.refused(device, recorded);
    }

    /// The process has started: what it could not hear before is no silence of the devices'.
    pub fn started(&mut self, recorded: At) {
        self.pass(recorded);
        self.silence.started(recorded);
        self.dose.begin(recorded);
    }

    /// How long the run of this boot has lasted at `mono_ms` of the running clock, in milliseconds; 0 where its start is not recorded.
    pub fn ran_ms(&self, boot: u32, mono_ms: u64) -> i64 {
        let since = self.silence.started_in(boot).map(|started| started.mono_ms);
        since.map_or(0, |since| i64::try_from(mono_ms).unwrap_or(i64::MAX).saturating_sub(since).max(0))
    }

    /// Folds a person's signature in.
    pub fn sign(&mut self, signed: &Signed, at: At) {
        match &signed.what {
            SignedWhat::Visit { settles: Some((key, upto)), .. } => self.settled.settle(key, *upto),
            SignedWhat::Visit { settles: None, .. } => {}
            SignedWhat::Dose { slot, date, given: true, .. } => {
                self.dose.sign(&signed.resident, slot, date, &signed.by, &signed.note, at);
            }
            SignedWhat::Dose { given: false, .. } => {}
        }
        self.signed.apply(signed, at);
    }

    /// Folds a step of a look through a camera in.
    pub fn looked(&mut self, look: &record::Look, at: At) {
        self.look.apply_step(look, at);
    }

    /// How long judging this person waits for what their devices still have to say, in milliseconds. None: it does not.
    fn waits_ms(&self, person: &Person, now: Moment) -> Option<i64> {
        // Nearly always nothing has been late for a while, anywhere.
        self.late.filter(|at| now.age_ms(at) < CATCH_UP_QUIET_MS)?;
        let devices = person.devices.iter().filter_map(|device| self.facts.get(device));
        devices.map(|device| device.waits_ms(now)).max().filter(|wait_ms| *wait_ms > 0)
    }

    /// Folds a decision in. `command`: the id under which a sent command goes out.
    pub fn apply(&mut self, decision: &Decision, at: At, command: u64) {
        let basis = match decision {
            Decision::Raise(raise) => raise.basis.as_deref(),
            Decision::Note(note) => Some(&note.basis),
            Decision::Send(send) => Some(&send.basis),
            Decision::Join(_) | Decision::Tell(_) | Decision::Say(_) => None,
        };
        if let Some(basis) = basis {
            self.settled.settle(&basis.key, basis.upto);
        }
        self.night.apply(decision, at);
        self.presence.apply(decision);
        self.place.apply(decision);
        self.dose.apply(decision, at, command);
        self.reminder.apply(decision, command);
        self.vital.apply(decision);
        self.look.apply(decision, at, command);
    }
}

/// Judges one rule of one person's agreement at this moment. `kept`: of this agreement. `is_patient`: not while a device of theirs sends what had waited.
fn judge_person(view: View<'_>, person: &Person, rule: Rule, kept: &mut night::Kept, is_patient: bool) -> Out {
    let mut out = Out::default();
    if let Some(wait_ms) = view.care.waits_ms(person, view.now).filter(|_| is_patient) {
        out.look_in(wait_ms);
        out.waits = true;
        return out;
    }
    match rule {
        Rule::Night => night::judge(view, person, kept, &mut out),
        Rule::Presence => presence::judge(view, person, &mut out),
        Rule::Place => place::judge(view, person, &mut out),
        Rule::Dose => dose::judge(view, person, &mut out),
        Rule::Reminder => reminder::judge(view, person, &mut out),
        Rule::Vital => vital::judge(view, person, &mut out),
        Rule::Look => look::judge(view, person, &mut out),
    }
    out
}

/// Judges one device's silence and power.
fn judge_device(view: View<'_>, id: &DeviceId, device: &agreed::Device) -> Out {
    let mut out = Out::default();
    silence::judge(view, id, device, &mut out);
    power::judge(view, id, &device.power, &mut out);
    out
}

/// Judges what belongs to no device that is listed.
fn judge_home(view: View<'_>) -> Out {
    let mut out = Out::default();
    silence::listens(view, &mut out);
    look::lights(view, &mut out);
    // What stands unlisted behind a bridge is judged too, as all devices are by default.
    let unlisted = power::Policy::default();
    for id in view.care.power.devices().filter(|id| !view.agreed.devices.contains_key(*id)) {
        power::judge(view, id, &unlisted, &mut out);
    }
    out
}
