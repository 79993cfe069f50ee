//! What a person in the home did with an alarm is told to the hubs that know it; and at a hub it is taken up.
//!
//! Enters: acts, and that a hub has heard of one. Leaves: what each hub is still to hear; at a hub, acts.
//! Invariants: owed from the act's own record until the hub's PUBACK stands in the journal, so no restart and no outage loses
//! it; telling it again changes nothing there; only receivers of the kind `hub` hear of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tracing::warn;
use vaka_protocol::{Lane, Rung};

use super::fold::State;
use super::keeper::Keeper;
use crate::dispatch::{HomeAct, Parcel, ParcelId, ParcelWhat};
use crate::journal::Header;
use crate::journal::record::{Act, Record, Told};
use crate::limits::{ACTS_OWED_MAX, PAST_NOTICES_MAX};
use crate::rules::alarms::{Alarm, Alarms, Step};
use crate::rules::{Happening, homes};

/// By receiver, then by the number of the act's record: what it has not heard yet.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Passing(BTreeMap<String, BTreeMap<u64, HomeAct>>);

impl Passing {
    /// Before the alarms fold the act in. True: somebody is to hear of it.
    pub fn apply_act(&mut self, header: &Header, act: &Act, alarms: &Alarms) -> bool {
        let Some(alarm) = alarms.get(&act.alarm).filter(|alarm| alarm.closed_by.is_none()) else { return false };
        for receiver in &act.tell {
            let owed = self.0.entry(receiver.clone()).or_default();
            let act = HomeAct {
                alarm: act.alarm.clone(),
                lane: alarm.raise.lane,
                number: alarm.notices.last().map_or(0, |notice| notice.number),
                alarm_at: alarm.raise.happened_at,
                cause: alarm.raise.cause.clone(),
                act: act.act,
                by: act.by.clone(),
                at: header.wall_ms,
            };
            owed.insert(header.seq, act);
            if owed.len() > ACTS_OWED_MAX
                && let Some((_, gone)) = owed.pop_first()
            {
                warn!(alarm.id = %gone.alarm, receiver, "too much waits for this hub: its people have to close this alarm themselves");
            }
        }
        !act.tell.is_empty()
    }

    pub fn apply_told(&mut self, told: &Told) {
        let Some(owed) = self.0.get_mut(&told.receiver) else { return };
        owed.retain(|act, _| !told.acts.contains(act));
        if owed.is_empty() {
            self.0.remove(&told.receiver);
        }
    }

    /// How much each hub has not heard yet.
    pub fn counts(&self) -> BTreeMap<&str, usize> {
        self.0.iter().map(|(receiver, owed)| (receiver.as_str(), owed.len())).collect()
    }

    /// Of one act; `None`: of all.
    fn parcels(&self, only: Option<u64>) -> impl Iterator<Item = Parcel> {
        let of_receiver = move |(receiver, owed): (&String, &BTreeMap<u64, HomeAct>)| {
            let receiver = receiver.clone();
            let wanted = owed.iter().filter(move |(act, _)| only.is_none_or(|only| only == **act));
            let parcel = |(act, what): (&u64, &HomeAct)| (ParcelId::Act(*act), ParcelWhat::Act(what.clone()));
            let made: Vec<_> = wanted.map(parcel).collect();
            made.into_iter().map(move |(id, what)| Parcel { receiver: receiver.clone(), id, what })
        };
        self.0.iter().flat_map(of_receiver)
    }
}

fn number_of(reference: &str) -> u64 {
    let hash = ring::digest::digest(&ring::digest::SHA256, reference.as_bytes());
    hash.as_ref().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

impl Keeper {
    /// With the hubs that know the alarm, but for the one whose people did it.
    pub(super) fn with_hubs(&self, act: Act, lane: Lane) -> Act {
        // What is given back goes there as a telling of its own.
        if act.act.rung().is_none() {
            return act;
        }
        let hubs = self.home.hubs.get(&lane).into_iter().flatten();
        let tell = hubs.filter(|hub| !act.by.starts_with(&format!("{hub}: "))).cloned().collect();
        Act { tell, ..act }
    }

    /// At a hub: what people in a home did with its alarms.
    pub(super) fn act_for_homes(&mut self, happening: &Happening<'_>) {
        if !self.home.facts(happening.device).home {
            return;
        }
        for event in happening.events {
            let State { alarms, early, .. } = &self.restored.state;
            let act = homes::act(alarms, happening, event).or_else(|| early.act(alarms, happening, event));
            let Some(act) = act else { continue };
            if let Ok(lane) = self.check_act(&act) {
                self.append(Record::Act(self.with_hubs(act, lane)), lane);
            }
        }
    }

    pub(super) fn parcel_taken(&mut self, receiver: String, id: ParcelId) {
        match id {
            ParcelId::Act(act) => {
                self.append_unrepeatable(Record::Told(Told { receiver, acts: vec![act] }), Lane::Technical);
            }
            // Told anew at every start.
            // Or asked for again.
            ParcelId::Known(_) | ParcelId::Done(_) | ParcelId::Health(_) | ParcelId::Round(_) => {}
            ParcelId::Telemetry(record, index) => self.telemetry_taken(&receiver, record, index),
        }
    }

    /// Who is no receiver any more waits for nothing.
    pub(super) fn forget_receivers(&mut self) {
        let hubs = &self.home.hubs;
        let is_gone = |receiver: &&String| !hubs.values().flatten().any(|hub| hub == *receiver);
        let owed = &self.restored.state.passing.0;
        let gone: Vec<Told> = owed
            .keys()
            .filter(is_gone)
            .map(|receiver| Told { receiver: receiver.clone(), acts: owed[receiver].keys().copied().collect() })
            .collect();
        gone.into_iter().for_each(|told| self.append_unrepeatable(Record::Told(told), Lane::Technical));
    }

    pub(super) fn pass_on(&self, act: u64) {
        let Some(dispatcher) = &self.dispatcher else { return };
        self.restored.state.passing.parcels(Some(act)).for_each(|parcel| dispatcher.pass(parcel));
    }

    pub(super) fn pass_on_everything(&self) {
        let Some(dispatcher) = &self.dispatcher else { return };
        self.restored.state.passing.parcels(None).for_each(|parcel| dispatcher.pass(parcel));
    }

    /// Alarms that are open and owed to nobody: a hub that has them is asked how they stand there. Its people may have closed one while
    /// this gateway was not there to hear it, and what they do from now on is understood.
    pub(super) fn ask_hubs(&self) {
        let Some(dispatcher) = &self.dispatcher else { return };
        self.open_at_hubs().for_each(|parcel| dispatcher.pass(parcel));
    }

    pub(super) fn open_at_hubs(&self) -> impl Iterator<Item = Parcel> {
        let of_alarm = |alarm: &Alarm| {
            let newest = alarm.notices.last().filter(|newest| alarm.is_claimed() || newest.handed_over)?;
            let hubs = self.home.hubs.get(&alarm.raise.lane)?;
            let has_it = |hub: &&String| {
                let of_it = |step: &&Step| step.notice == newest.number && step.receiver == **hub;
                alarm.steps.iter().filter(of_it).any(|step| step.rung >= Rung::Received)
            };
            let told = self.notice(alarm, newest);
            let parcel = |hub: &String| Parcel {
                receiver: hub.clone(),
                id: ParcelId::Known(number_of(&told.reference)),
                what: ParcelWhat::Known(Box::new(told.clone())),
            };
            Some(hubs.iter().filter(has_it).map(parcel).collect::<Vec<_>>())
        };
        self.restored.state.alarms.open().filter_map(of_alarm).flatten().take(PAST_NOTICES_MAX)
    }
}
