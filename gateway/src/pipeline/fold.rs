//! State = fold(records). Live and on replay the same records make the same state.
//!
//! Enters: records in order of their sequence numbers. Leaves: the state, and the [`Change`]s that the outside has to
//! hear of (ignored on replay: what is still owed is read off the state afterwards).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use vaka_protocol::{Command, CommandMessage, DeviceId, Event, Lane, Light, Sound};

use super::commands::Commands;
use super::erasing;
use super::looks::HubLook;
use super::passing::Passing;
use super::streams::Streams;
use crate::firmware::state::Fleet;
use crate::ingest::window::Windows;
use crate::ingest::{Encoding, Parsed, payload};
use crate::journal::Header;
use crate::journal::record::{Decision, EventRecord, Fault, FirmwareStep, Record};
use crate::limits::{ORDER_CLOCKS_MS, RECEIPT_EXPIRES_MS};
use crate::rules::alarms::{Alarms, Change};
use crate::rules::care::clocks::Stamp;
use crate::rules::care::moment::At;
use crate::rules::care::{Care, Sight};
use crate::rules::homes::{EarlyCloses, HomeLooks};
use crate::rules::orders::Orders;
use crate::rules::trigger::time_by;
use crate::rules::visit::Visits;
use crate::rules::{Happening, Paths, gateway_part};

/// What is known of a device from its own records.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Seen {
    /// UTC milliseconds of its newest record.
    pub last_at: i64,
    pub online: bool,
    /// The encoding it used last: commands to it use the same.
    pub encoding: Encoding,
    pub events: u64,
    pub quarantined: u64,
    /// A home's newest word on how it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Box<HomeHealth>>,
}

/// How a home is, as it told its hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HomeHealth {
    pub ok: bool,
    /// Things that do not do what they should.
    pub faults: u32,
    /// In plain words.
    pub text: String,
    /// UTC milliseconds, by the home's clock where it has one.
    pub at: i64,
}

/// Everything the gateway knows, rebuilt from the journal at any time.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct State {
    /// The newest record folded in.
    pub cursor: u64,
    /// [`restore::FOLD`](super::restore::FOLD) of the program that has folded it.
    #[serde(default)]
    pub folded_by: u32,
    pub windows: Windows,
    pub alarms: Alarms,
    pub commands: Commands,
    pub devices: BTreeMap<DeviceId, Seen>,
    pub refused: BTreeMap<Lane, u64>,
    /// The newest word on each path of each receiver.
    #[serde(default)]
    pub reach: Paths,
    #[serde(default)]
    pub care: Care,
    /// What people here did and a hub has not heard yet.
    #[serde(default)]
    pub passing: Passing,
    /// At a hub: what people in a home closed before it was told here.
    #[serde(default)]
    pub early: EarlyCloses,
    /// At a hub: look-ins by camera of the homes.
    #[serde(default)]
    pub home_looks: HomeLooks,
    /// Telemetry that receivers are still to get.
    #[serde(default)]
    pub streams: Streams,
    /// Technicians' visits, and which devices have rung through.
    #[serde(default)]
    pub visits: Visits,
    /// What people have ordered of devices, and what became of it.
    #[serde(default)]
    pub orders: Orders,
    /// Firmware of the devices.
    #[serde(default)]
    pub fleet: Fleet,
    /// Hash of the newest trace, see [`crate::journal::record::Trace`]; empty: there was none.
    #[serde(default, with = "serde_bytes")]
    pub trace: Vec<u8>,
    /// What was told last of how things are sealed; empty: all is well.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sealing: String,
    /// How far the numbers of keys went when this fold was saved: a file that has fewer is of an earlier day.
    #[serde(default)]
    pub key_numbers: vaka_seal::Reach,
    /// Keys that must be gone: a start looks whether they are.
    #[serde(default)]
    pub erased_keys: BTreeSet<u32>,
}

/// A change together with the command it means for a device, if any.
#[derive(Debug)]
pub enum Outcome {
    Change(Change),
    /// Hubs are to hear of the act in the record of this number.
    Pass(u64),
    /// A hub is to hear what became of its order.
    Answer {
        receiver: String,
        id: u64,
        outcome: String,
    },
    /// A look that a hub ordered is granted: the picture goes there.
    Look(HubLook),
    /// Carried along, not looked up later: a higher rung in the same batch takes its place among what is still owed,
    /// but a device that listens hears every rung.
    Command {
        device: DeviceId,
        message: Box<CommandMessage>,
    },
}

impl State {
    /// Folds one record in. Unreadable payloads within it change nothing but the counts.
    pub fn apply(&mut self, header: &Header, record: &Record, outcomes: &mut Vec<Outcome>) {
        if let Record::Event(event) = record {
            let parsed = payload::read(&event.payload, event.via.as_ref()).ok();
            return self.apply_event(header, event, parsed.as_ref());
        }
        self.cursor = header.seq;
        let at = header.wall_ms;
        let mut changes = Vec::new();
        match record {
            Record::Decisions(decisions) => {
                self.care.silence.recorded(recorded(header));
                for decision in &decisions.decisions {
                    // As `tell_devices` will number it, if it is one that is sent.
                    self.care.apply(decision, recorded(header), Commands::id(header.seq, changes.len()));
                    match decision {
                        Decision::Note(_) => {}
                        Decision::Send(send) => {
                            self.visits.sent(send, Commands::id(header.seq, changes.len()), recorded(header));
                            changes.push(Change::Command {
                                device: send.device.clone(),
                                expires_at: send.expires_at,
                                command: Box::new(send.command.clone()),
                            });
                        }
                        Decision::Raise(raise) => {
                            self.visits.raised(raise, recorded(header));
                            self.alarms.apply_raise(raise, at, &mut changes);
                        }
                        Decision::Join(join) => self.alarms.apply_join(join, at, &mut changes),
                        Decision::Tell(tell) => self.alarms.apply_tell(tell, &mut changes),
                        Decision::Say(say) => changes.push(Change::Feedback {
                            device: say.device.clone(),
                            text: say.text.clone(),
                            good: say.good,
                        }),
                    }
                }
            }
            Record::Nobody(nobody) => self.alarms.apply_nobody(&nobody.alarm),
            Record::Rung(rung) => {
                self.visits.climbed(rung, &self.alarms, recorded(header));
                self.alarms.apply_rung(rung, at, &mut changes);
            }
            Record::Act(act) => {
                if self.passing.apply_act(header, act, &self.alarms) {
                    outcomes.push(Outcome::Pass(header.seq));
                }
                if let Some(alarm) = self.alarms.get(&act.alarm) {
                    self.early.acted(alarm);
                }
                self.visits.acted(act, &self.alarms, recorded(header));
                self.alarms.apply_act(act, at, &mut changes);
            }
            Record::Told(told) => self.passing.apply_told(told),
            Record::Carried(carried) => self.streams.apply(header.seq, carried),
            Record::Alive(alive) => {
                let seen = self.seen(&alive.device, at);
                seen.online = alive.online;
                self.care.alive(&alive.device, alive.online, recorded(header));
            }
            Record::Quarantine(quarantine) => self.seen(&quarantine.device, at).quarantined += 1,
            Record::Refusal(refusal) => {
                *self.refused.entry(refusal.lane).or_default() += refusal.count;
                if refusal.lane == Lane::Telemetry {
                    self.care.refused(&refusal.device, recorded(header));
                }
            }
            Record::Path(path) => self.reach.apply(path, header.seq, at),
            Record::Boot(_) => {
                self.care.started(recorded(header));
                self.visits.started();
            }
            Record::Trace(trace) => self.trace = trace.hash(),
            Record::Visit(visit) => self.visits.apply(visit, recorded(header)),
            Record::Fault(fault) => {
                self.visits.told(fault);
                if fault.device.is_none() && fault.fault == erasing::FAULT {
                    self.sealing = if fault.active { fault.detail.clone() } else { String::new() };
                }
            }
            Record::Release(release) => self.care.dose.release(release, recorded(header)),
            Record::Signed(signed) => self.care.sign(signed, recorded(header)),
            Record::Order(order) => {
                self.orders.apply(header.seq, order, header.wall_ms);
                if let (Some(device), Some(command)) = (&order.to, &order.command) {
                    let (device, command) = (device.clone(), Box::new(command.0.clone()));
                    changes.push(Change::Command { device, expires_at: order.expires_at, command });
                }
            }
            Record::Look(look) => self.care.looked(look, recorded(header)),
            Record::Firmware(firmware) => {
                self.give_up(&firmware.step);
                self.fleet.apply(header.seq, firmware, at);
                if let Some((device, expires_at, command)) = crate::firmware::command(&firmware.step) {
                    changes.push(Change::Command { device, expires_at, command: Box::new(command) });
                }
            }
            Record::Erased(erased) => self.forget(erased),
            Record::Aged(aged) => self.age(aged),
            Record::Event(_) | Record::Silent(_) | Record::Checkpoint(_) | Record::Update(_) | Record::Gone => {}
        }
        self.tell_devices(header, changes, outcomes);
    }

    /// Folds an event in, whose payload has been read already.
    pub fn apply_event(&mut self, header: &Header, event: &EventRecord, parsed: Option<&Parsed>) {
        self.cursor = header.seq;
        if !event.assigned {
            self.windows.remember(&event.device, event.enrolment, event.restart, event.seq, &event.payload);
        }
        // What a bridge passes on it says under other names: it is heard all the same.
        if let Some(via) = &event.via {
            self.care.heard(&via.bridge, recorded(header));
        }
        let seen = self.seen(&event.device, header.wall_ms);
        seen.events += 1;
        let Some(parsed) = parsed else { return };
        seen.encoding = parsed.encoding;
        self.streams.count(parsed);
        let recorded = recorded(header);
        let behind_ms = match parsed.of {
            None => {
                let stamp = Stamp { restart: event.restart, uptime_ms: parsed.uptime_ms, at: parsed.at };
                self.care.tell_time(&event.device, &stamp, recorded)
            }
            // By another device's clock.
            Some(_) => 0,
        };
        let happening = happening(event, parsed, behind_ms);
        for event_read in &parsed.events {
            self.early.see(&self.alarms, &happening, event_read);
            match event_read {
                Event::Done { id, outcome } => {
                    self.commands.done(&event.device, *id);
                    self.orders.done(&event.device, Commands::cause(*id), outcome, header.wall_ms);
                }
                Event::Health { ok, faults, text, .. } => {
                    let at = parsed.at.unwrap_or(header.wall_ms);
                    let said = HomeHealth { ok: *ok, faults: *faults, text: text.as_str().to_owned(), at };
                    let seen = self.seen(&event.device, header.wall_ms);
                    // One that was late says nothing about now.
                    if seen.health.as_ref().is_none_or(|known| known.at <= at) {
                        seen.health = Some(Box::new(said));
                    }
                }
                Event::Round { .. } if parsed.of.is_none() => {
                    // A home's clock that was far ahead for a moment must not outlive that moment here.
                    let ahead = header.wall_ms.saturating_add(ORDER_CLOCKS_MS);
                    let said_at = parsed.at.filter(|at| *at <= ahead);
                    self.home_looks.see(&event.device, event_read, said_at, header.wall_ms);
                }
                _ => {}
            }
            // What a home passes on of its devices is that home's to judge.
            if parsed.of.is_some() {
                continue;
            }
            self.visits.see(&happening, event_read, recorded);
            self.fleet.see(&event.device, event_read, Commands::cause, header.wall_ms);
            let time = time_by(parsed.at, header.wall_ms, behind_ms);
            self.care.see(&Sight {
                device: &event.device,
                restart: event.restart,
                seq: event.seq,
                event: event_read,
                at: At::happened(recorded, time.happened_at),
                recorded,
                delayed: time.delayed,
                suspect: time.suspect,
            });
        }
    }

    /// A device that is given up is not told any more.
    fn give_up(&mut self, step: &FirmwareStep) {
        let FirmwareStep::Silent { device, .. } = step else { return };
        if let Some(attempt) = self.fleet.attempt(device) {
            self.commands.done(device, Commands::id(attempt.record, 0));
        }
    }

    /// A fault of the gateway was told and is not over.
    pub fn fault_is_active(&self, fault: &str) -> bool {
        gateway_part(fault).is_some_and(|part| self.alarms.newest(&part, "fault").is_some_and(|alarm| !alarm.over))
    }

    /// As [`State::fault_is_active`], of a device's part too.
    pub fn part_is_bad(&self, fault: &Fault) -> bool {
        match &fault.device {
            None => self.fault_is_active(&fault.fault),
            Some(device) => self.alarms.newest(device, &fault.fault).is_some_and(|alarm| !alarm.over),
        }
    }

    fn seen(&mut self, device: &DeviceId, at: i64) -> &mut Seen {
        if !self.devices.contains_key(device) {
            self.devices.insert(device.clone(), Seen::default());
        }
        let seen = self.devices.entry(device.clone()).or_default();
        seen.last_at = seen.last_at.max(at);
        seen
    }

    /// Each rung is a command to the device whose event it answers; what the home is to see and hear is one too.
    fn tell_devices(&mut self, header: &Header, changes: Vec<Change>, outcomes: &mut Vec<Outcome>) {
        for (index, change) in changes.into_iter().enumerate() {
            let in_an_hour = header.wall_ms + RECEIPT_EXPIRES_MS;
            let (device, expires_at, command) = match change {
                Change::Command { device, expires_at, command } => (device, expires_at, *command),
                Change::Receipt { device, alarm, restart, seq, rung, last } => {
                    (device, in_an_hour, Command::Receipt { restart, seq, alarm, rung, last })
                }
                Change::Feedback { device, text, good } => {
                    let (light, sound) = if good { (Light::Steady, Sound::Chime) } else { (Light::Flash, Sound::Warn) };
                    let text = Some(text.as_str().into());
                    (device, in_an_hour, Command::Feedback { light: Some(light), sound: Some(sound), text })
                }
                Change::Owed { .. } | Change::Settled { .. } => {
                    outcomes.push(Outcome::Change(change));
                    continue;
                }
            };
            self.issue(header, index, device, expires_at, command, outcomes);
        }
    }

    fn issue(
        &mut self,
        header: &Header,
        index: usize,
        device: DeviceId,
        expires_at: i64,
        command: Command,
        outcomes: &mut Vec<Outcome>,
    ) {
        let message = CommandMessage::new(Commands::id(header.seq, index), expires_at, command);
        for replaced in self.commands.issue(&device, message.clone(), header.wall_ms) {
            self.orders.replaced(Commands::cause(replaced), header.wall_ms);
        }
        outcomes.push(Outcome::Command { device, message: Box::new(message) });
    }
}

/// An event record and what was read from it, as the rules see it.
pub fn happening<'a>(event: &'a EventRecord, parsed: &'a Parsed, behind_ms: i64) -> Happening<'a> {
    Happening {
        device: &event.device,
        enrolment: event.enrolment,
        restart: event.restart,
        seq: event.seq,
        at: parsed.at,
        uptime_ms: parsed.uptime_ms,
        since_ms: None,
        behind_ms,
        events: &parsed.events,
        unknown: &parsed.unknown,
        conflict: event.conflict,
        has_ended: event.has_ended,
        of: parsed.of.as_ref(),
    }
}

fn recorded(header: &Header) -> At {
    let mono_ms = i64::try_from(header.mono_ms).unwrap_or(i64::MAX);
    At { wall_ms: header.wall_ms, mono_ms, boot: header.boot, record: header.seq }
}
