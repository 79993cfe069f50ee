//! What must be true, while everything goes wrong and after everything has been mended.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use vaka::dispatch::reference;
use vaka::journal::reader;
use vaka::journal::record::{Decision, EventRecord, JoinWhat, Record};
use vaka::pipeline::restore;
use vaka_protocol::{Command, Event, Lane};

use crate::home::{Fate, Identity, must_be_told};
use crate::world::{World, journal_dir};

fn identity(event: &EventRecord) -> Identity {
    (event.device.clone(), event.restart, event.seq)
}

impl World {
    /// Reads what the last commit added.
    pub fn look(&mut self) {
        let from = self.history.last_key_value().map_or(0, |(seq, _)| seq + 1);
        let history = &mut self.history;
        let scan = reader::scan_on(&self.disk, &journal_dir(), from, |entry| {
            history.insert(entry.header.seq, (entry.header, entry.decode().expect("a whole record")));
            ControlFlow::Continue(())
        });
        let scan = scan.expect("the journal can be read");
        assert!(scan.damage.iter().all(|damage| damage.unsettled), "damage where there was none: {:?}", scan.damage);
    }

    /// At a start: everything that was ever true is still there, unless it was removed as settled.
    pub fn look_back(&mut self, first_seq: u64) {
        let mut found = BTreeMap::new();
        let scan = reader::scan_on(&self.disk, &journal_dir(), 0, |entry| {
            found.insert(entry.header.seq, (entry.header, entry.decode().expect("a whole record")));
            ControlFlow::Continue(())
        });
        scan.expect("the journal can be read");
        for (seq, was) in self.history.range(first_seq..) {
            assert_eq!(found.get(seq), Some(was), "record {seq} was committed");
        }
        self.history.extend(found);
    }

    /// An acknowledgement has just been heard: its event is in the journal.
    pub fn check_stored(&self, wanted: &Identity) {
        let stored = self.history.values().any(|(_, record)| match record {
            Record::Event(event) => identity(event) == *wanted,
            _ => false,
        });
        assert!(stored, "{wanted:?} was acknowledged and is not in the journal");
    }

    /// A device shows only what is true.
    pub fn check_shown(&self, command: &Command) {
        if let Command::Receipt { alarm, rung, .. } = command {
            assert!(self.is_true(alarm, *rung), "a device shows {rung:?} for {alarm}, which is not so");
        }
    }

    /// State = fold(records), at any moment between two batches.
    pub fn check_fold(&self) {
        let Some(gateway) = &self.gateway else { return };
        let disk = restore::read_only_on(&self.disk, &journal_dir()).expect("the journal can be read");
        assert_eq!(format!("{disk:?}"), format!("{:?}", gateway.keeper.state()), "the disk says something else");
    }

    /// Everything is mended and quiet.
    pub fn check_all(&self) {
        self.check_fold();
        let stored = self.check_events();
        let orphans = self.check_decisions(&stored);
        self.check_told(&orphans);
        self.check_refusals();
    }

    /// Acknowledged events stand in the journal exactly once, and nothing else stands there but what was sent.
    fn check_events(&self) -> BTreeMap<Identity, u64> {
        let mut stored = BTreeMap::new();
        for (seq, (_, record)) in &self.history {
            let Record::Event(event) = record else { continue };
            let identity = identity(event);
            let made = self.devices.iter().find_map(|device| device.made.get(&identity));
            let made = made.unwrap_or_else(|| panic!("{identity:?} in the journal was never made"));
            assert!(made.payload == *event.payload, "{identity:?} has other bytes than it was sent with");
            assert!(!event.conflict, "{identity:?} is called a conflict");
            let earlier = stored.insert(identity.clone(), *seq);
            assert!(earlier.is_none(), "{identity:?} stands in the journal twice: {earlier:?} and {seq}");
        }
        for (identity, made) in self.devices.iter().flat_map(|device| &device.made) {
            assert!(made.fate != Fate::Waiting, "{identity:?} still waits");
            let there = stored.contains_key(identity);
            assert!(there || made.fate != Fate::Acknowledged, "{identity:?} was acknowledged and is lost");
        }
        stored
    }

    /// Each event that must be told was told, in exactly one notice; no alarm without its cause. Returns the events whose
    /// decision the power left when it took them: they come again, and are told once more, because a number that comes again
    /// might as well be another event. Twice is borne, never is not.
    fn check_decisions(&self, stored: &BTreeMap<Identity, u64>) -> BTreeSet<Identity> {
        let mut told: BTreeMap<Identity, u32> = BTreeMap::new();
        let mut orphans = BTreeSet::new();
        for (_, record) in self.history.values() {
            let Record::Decisions(decisions) = record else { continue };
            let cause = self.history.get(&decisions.cursor).map(|(_, record)| record);
            if cause.is_none() {
                // The power took a page of a commit that nobody was told of, and left the one with the decision.
                for decision in &decisions.decisions {
                    let Decision::Raise(raise) = decision else { continue };
                    let identity = (raise.device.clone(), raise.restart, raise.seq);
                    *told.entry(identity.clone()).or_default() += 1;
                    orphans.insert(identity);
                }
            }
            let Some(Record::Event(event)) = cause else { continue };
            for decision in &decisions.decisions {
                let (restart, seq) = match decision {
                    Decision::Raise(raise) => (raise.restart, raise.seq),
                    Decision::Join(join) => (join.restart, join.seq),
                    Decision::Tell(_) | Decision::Say(_) | Decision::Note(_) | Decision::Send(_) => {
                        panic!("an event decides nothing about reach, and nothing by time: {decision:?}")
                    }
                };
                assert_eq!((restart, seq), (event.restart, event.seq), "a decision names another event than its cause");
                let is_told = match decision {
                    Decision::Raise(_) => true,
                    Decision::Join(join) => join.notify && join.what == JoinWhat::Again,
                    Decision::Tell(_) | Decision::Say(_) | Decision::Note(_) | Decision::Send(_) => false,
                };
                *told.entry(identity(event)).or_default() += u32::from(is_told);
            }
        }
        for (identity, made) in self.devices.iter().flat_map(|device| &device.made) {
            let times = told.get(identity).copied().unwrap_or(0);
            let is_there = stored.contains_key(identity) || orphans.contains(identity);
            let wanted = u32::from(must_be_told(&made.event) && is_there);
            let may = matches!(made.event.lane(), Lane::Technical) || matches!(made.event, Event::Unknown { .. });
            let twice = orphans.contains(identity) && is_there && times == 2;
            assert!(
                times == wanted || (may && times <= 1) || twice,
                "{identity:?} {:?} raised {times} notices",
                made.event
            );
        }
        orphans
    }

    /// Every notice is accepted at a centre, under the one reference that is its own, or a person has the alarm.
    fn check_told(&self, orphans: &BTreeSet<Identity>) {
        let Some(gateway) = &self.gateway else { panic!("the gateway is down") };
        let alarms = &gateway.keeper.state().alarms;
        let mut known = BTreeSet::new();
        let mut causes = BTreeSet::new();
        for alarm in alarms.open().chain(alarms.closed()) {
            let raise = &alarm.raise;
            let identity = (raise.device.clone(), raise.restart, raise.seq);
            assert!(
                causes.insert((&raise.device, &raise.cause, raise.restart, raise.seq)) || orphans.contains(&identity),
                "two alarms for {:?} of {}",
                (raise.restart, raise.seq),
                raise.device
            );
            for notice in &alarm.notices {
                let reference = reference(alarm.id(), notice.number);
                let mut taken = self.centres.iter().map(|centre| centre.accepted.get(&reference));
                let accepted = taken.any(|accepted| accepted.is_some());
                assert!(
                    accepted || alarm.is_claimed(),
                    "notice {} of {} ({}) reached nobody",
                    notice.number,
                    alarm.id(),
                    raise.cause
                );
                assert!(known.insert(reference), "two notices under one reference");
            }
        }
        for accepted in self.centres.iter().flat_map(|centre| centre.accepted.values()) {
            let reference = &accepted.notice.reference;
            assert!(known.contains(reference), "{reference} was told to a centre, and is no notice");
        }
    }

    /// Every refusal that was heard has been counted, but for sums that waited for their record at a death, to the last one.
    fn check_refusals(&self) {
        let heard = self.devices.iter().flat_map(|device| device.made.values());
        let heard = heard.filter(|made| made.fate == Fate::Refused).count() as u64;
        let counted: u64 =
            self.history.values().map(|(_, r)| if let Record::Refusal(r) = r { r.count } else { 0 }).sum();
        let lost = self.sums_lost;
        assert!(
            counted + lost >= heard,
            "{heard} refusals were answered, {counted} counted, and {lost} waited for their record at a death"
        );
    }
}
