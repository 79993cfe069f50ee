//! The commit, what leaves after it, and what is done where it fails.
//!
//! Invariant: nothing is answered, told or shown before it is on the disk.

use std::sync::atomic::Ordering;
use std::time::Instant;

use tracing::{error, warn};
use vaka_protocol::{AlarmId, DeviceId, Lane};

use super::{Answer, Keeper, NotOrdered, NotSigned};
use crate::dispatch;
use crate::ingest::{Replies, ToSession};
use crate::journal::record::{Alive, Fault, Record};
use crate::limits;
use crate::pipeline::fold::Outcome;
use crate::pipeline::follow::Touched;
use crate::pipeline::restore;
use crate::pipeline::view;
use crate::rules;
use crate::rules::alarms::{Alarm, Change, Notice};

impl Keeper {
    pub(in crate::pipeline) fn commit(&mut self) {
        let (records, began) = (self.restored.journal.pending(), Instant::now());
        if let Err(e) = self.restored.journal.commit() {
            self.meters.commit_failed();
            error!("committing to the journal: {e}; nothing of this batch is acknowledged");
            return self.recover();
        }
        if records > 0 {
            self.meters.committed(records, began.elapsed());
        }
        self.turns.turned();
        for answer in self.answers.drain(..) {
            match answer {
                Answer::Device { to, first, count, reason } => {
                    let _ = to.send(ToSession::Answers { first, count, reason });
                }
                Answer::Person(alarm, reply) => {
                    let row = view::row_of(&self.restored.state, &self.labels, &alarm);
                    let _ = reply.send(row.ok_or_else(|| format!("alarm {alarm} is gone")));
                }
                Answer::Released(release, reply) => {
                    let _ = reply.send(Ok(release));
                }
                Answer::Traced(reply) => {
                    let _ = reply.send(Ok(()));
                }
                Answer::Signed(reply) => {
                    let _ = reply.send(Ok(()));
                }
                Answer::Ordered(record, reply) => {
                    let _ = reply.send(Ok(record));
                }
                Answer::Firmware(may, reply) => {
                    let _ = reply.send(may);
                }
            }
        }
        self.tell_follower();
        self.answer_visits();
        self.answer_looks();
        self.unrepeatable.clear();
        self.shortage.committed(&self.room, &self.shares);
        for outcome in std::mem::take(&mut self.outcomes) {
            self.release(outcome);
        }
        self.attend();
    }

    fn tell_follower(&mut self) {
        let touched = std::mem::take(&mut self.touched);
        if let Some(follower) = self.follower.as_ref().filter(|_| touched.is_any()) {
            follower(self, &touched);
        }
    }

    /// New listeners and questions, once what they see is on the disk.
    fn attend(&mut self) {
        for (device, replies) in std::mem::take(&mut self.new_listeners) {
            self.listen(device, replies);
        }
        for question in std::mem::take(&mut self.questions) {
            self.answer(question);
        }
        self.tell_lookers();
    }

    fn listen(&mut self, device: DeviceId, replies: Replies) {
        let state = &self.restored.state;
        let encoding = state.devices.get(&device).map(|seen| seen.encoding).unwrap_or_default();
        for command in state.commands.owed(&device, self.clock.now().wall_ms) {
            // A closed session hears nothing; the next one asks again.
            let _ = replies.send(ToSession::Command(Box::new(command.clone()), encoding));
        }
        self.listening.insert(device, replies);
    }

    fn release(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Change(Change::Owed { alarm, notice }) => self.owe(&alarm, notice),
            Outcome::Change(Change::Settled { alarm }) => {
                if let Some(home) = self.restored.state.alarms.get(&alarm).and_then(rules::homes::silence_closed) {
                    self.homes.closed(home, self.clock.now().mono_ms);
                }
                if let Some(dispatcher) = &self.dispatcher {
                    dispatcher.settled(&alarm);
                }
            }
            Outcome::Change(Change::Receipt { .. } | Change::Feedback { .. } | Change::Command { .. }) => {}
            Outcome::Pass(act) => self.pass_on(act),
            Outcome::Look(look) => self.lookers.open_for_hub(look),
            Outcome::Answer { receiver, id, outcome } => self.answer_hub(receiver, id, &outcome),
            Outcome::Command { device, message } => {
                if let Some(to) = self.listening.get(&device) {
                    let seen = self.restored.state.devices.get(&device);
                    let encoding = seen.map(|seen| seen.encoding).unwrap_or_default();
                    let _ = to.send(ToSession::Command(message, encoding));
                }
            }
        }
    }

    fn owe(&self, alarm: &AlarmId, number: u32) {
        let Some(dispatcher) = &self.dispatcher else { return };
        // Taken in the batch that raised it: there is nobody to be told any more.
        let Some(alarm) = self.restored.state.alarms.get(alarm).filter(|alarm| !alarm.is_claimed()) else { return };
        if let Some(notice) = alarm.notice(number) {
            dispatcher.owe(self.notice(alarm, notice));
        }
    }

    pub(in crate::pipeline) fn notice(&self, alarm: &Alarm, notice: &Notice) -> dispatch::Notice {
        view::notice(alarm, notice, &self.labels)
    }

    pub(super) fn owe_everything(&self) {
        self.pass_on_everything();
        self.answer_hubs_again();
        self.ask_hubs();
        Lane::ALL.iter().for_each(|lane| self.owe_lane(*lane));
    }

    /// What a lane owes: of life the newest first, of the others the oldest, as they are to be told.
    pub(super) fn owe_lane(&self, lane: Lane) {
        let Some(dispatcher) = &self.dispatcher else { return };
        let of_lane = self.restored.state.alarms.owed().filter(|(alarm, _)| alarm.raise.lane == lane);
        let mut owed: Vec<_> = of_lane.collect();
        // Of life the alarm with the newest call first; an alarm's notices always in their order.
        let newest = |alarm: &Alarm| alarm.notices.iter().map(|notice| notice.happened_at).max().unwrap_or_default();
        owed.sort_by_cached_key(|(alarm, notice)| {
            let rank = if lane == Lane::Life { newest(alarm).saturating_neg() } else { alarm.raise.happened_at };
            (rank, alarm.id().clone(), notice.number)
        });
        for (alarm, notice) in owed {
            dispatcher.owe(self.notice(alarm, notice));
        }
    }

    /// The journal could not be written. Nothing is acknowledged; what the disk holds is read anew, until that works.
    pub(in crate::pipeline) fn recover(&mut self) {
        for answer in self.answers.drain(..) {
            match answer {
                Answer::Device { to, .. } => {
                    let _ = to.send(ToSession::Failed);
                }
                Answer::Person(alarm, reply) => {
                    let _ = reply.send(Err(format!("alarm {alarm}: the journal could not be written; try again")));
                }
                Answer::Released(release, reply) => {
                    let date = release.date;
                    let _ = reply.send(Err(format!("dose of {date}: the journal could not be written; try again")));
                }
                Answer::Signed(reply) => {
                    let _ = reply.send(Err(NotSigned::Disk));
                }
                Answer::Ordered(_, reply) => {
                    let _ = reply.send(Err(NotOrdered::Disk));
                }
                Answer::Firmware(_, reply) => {
                    let _ = reply.send(Some(Err("the journal could not be written".to_owned())));
                }
                Answer::Traced(reply) => {
                    let _ = reply.send(Err("the journal could not be written; try again".to_owned()));
                }
            }
        }
        self.fail_visits();
        self.lookers.fail();
        self.shortage.failed();
        self.streams.forget();
        self.room_at_ms = None;
        let unrepeatable = std::mem::take(&mut self.unrepeatable);
        while !self.stopping.load(Ordering::Acquire) {
            self.outcomes.clear();
            match self.start_anew(&unrepeatable) {
                Ok(()) => {
                    warn!("the journal is open again");
                    for outcome in std::mem::take(&mut self.outcomes) {
                        self.release(outcome);
                    }
                    self.owe_everything();
                    self.touched = Touched::anew();
                    self.tell_follower();
                    return self.attend();
                }
                Err(e) => {
                    error!("opening the journal anew: {e}; trying again in {} ms", limits::REOPEN_MS);
                    self.turns.turned();
                    self.clock.pause(limits::REOPEN_MS);
                }
            }
        }
        self.outcomes.clear();
    }

    /// As at a start; then what nobody would say again, and that the commit failed.
    fn start_anew(&mut self, unrepeatable: &[(Record, Lane)]) -> Result<(), restore::RestoreError> {
        restore::reopen(&mut self.restored)?;
        // What was decided is no longer: everybody is looked at anew.
        self.agree(self.watch.whole().clone());
        self.tell_start();
        // Whoever was connected still is, though this is another opening of the journal: nobody would say so again.
        let devices = &self.restored.state.devices;
        let is_online = |device: &&DeviceId| devices.get(*device).is_some_and(|seen| seen.online);
        let here: Vec<DeviceId> = self.listening.keys().filter(is_online).cloned().collect();
        for device in here {
            self.append(Record::Alive(Alive { device, online: true }), Lane::Telemetry);
        }
        let fault = |active| Fault { fault: "commit-failed".into(), device: None, detail: String::new(), active };
        let told = [(Record::Fault(fault(true)), Lane::Technical), (Record::Fault(fault(false)), Lane::Technical)];
        for (record, lane) in unrepeatable.iter().chain(&told) {
            let header = self.append(record.clone(), *lane);
            self.judge_record(&header, record);
        }
        Ok(self.restored.journal.commit()?)
    }
}
