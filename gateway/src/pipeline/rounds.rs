//! The look-ins by camera of this home, told to the hubs whose people may look: which, from when until when, and how far it is.
//!
//! Enters: what the journal has folded to, what is agreed, the moment. Leaves: parcels, one for each look-in that stands otherwise than
//! was told; what an alarm opens is one, for the hubs that were told of the alarm. Invariants: a hub that may not look is told nothing; no
//! name, no picture, nothing of any other agreement. In memory alone: after a start all is told anew, and what was told before and is no
//! more is gone at the hub too, as it is where a hub may look no longer.

use std::collections::{BTreeMap, BTreeSet};

use vaka_protocol::AlarmId;

use super::keeper::Keeper;
use crate::dispatch::{Parcel, ParcelId, ParcelWhat, RoundWord};
use crate::limits::{LOOK_ALARM_MS, LOOKS_TOLD_AHEAD_MS, LOOKS_TOLD_BACK_MS, LOOKS_TOLD_EVERY_MS};
use crate::rules::alarms::Alarm;
use crate::rules::care::look::{Look, LookState, look_of_alarm, looks_of};
use crate::rules::care::when::{Span, local};
use crate::rules::orders::may_look;

/// Hub, resident, the alarm that opens it, beginning (UTC milliseconds).
type Key = (String, String, Option<AlarmId>, i64);

#[derive(Debug, Default)]
pub struct Rounds {
    /// What was told, with the time left out.
    told: BTreeMap<Key, RoundWord>,
    /// Hubs that know that what they heard before counts no more.
    begun: BTreeSet<String>,
    /// When it was looked at last, monotonic milliseconds.
    looked_ms: Option<u64>,
    number: u64,
}

fn word(state: &LookState) -> &'static str {
    match state {
        LookState::Planned => "planned",
        LookState::Open => "open",
        LookState::Looking { .. } => "looking",
        LookState::Unsaid { .. } => "unsaid",
        LookState::Again { .. } => "again",
        LookState::Done { .. } => "done",
        LookState::Visit { .. } => "visit",
        LookState::Declined => "declined",
    }
}

impl Keeper {
    fn hubs_that_look(&self) -> BTreeSet<String> {
        let hubs = self.home().orders.hubs.keys();
        hubs.filter(|receiver| may_look(self.home(), receiver)).cloned().collect()
    }

    /// Milliseconds until it has to be looked whether there is something to tell; `None`: nobody there may look.
    pub(super) fn rounds_wait_ms(&self) -> Option<u64> {
        let is_any = !self.hubs_that_look().is_empty() || !self.rounds.begun.is_empty();
        let is_told = self.dispatcher().is_some() && is_any;
        let due_ms = self.rounds.looked_ms.map_or(0, |at_ms| at_ms.saturating_add(LOOKS_TOLD_EVERY_MS));
        is_told.then(|| due_ms.saturating_sub(self.clock.now().mono_ms))
    }

    pub(super) fn tell_rounds(&mut self) {
        if self.rounds_wait_ms() != Some(0) {
            return;
        }
        let now = self.clock.now();
        self.rounds.looked_ms = Some(now.mono_ms);
        for parcel in self.rounds_to_tell(now.wall_ms) {
            self.dispatcher().iter().for_each(|dispatcher| dispatcher.pass(parcel.clone()));
        }
    }

    /// What stands otherwise than was told.
    pub(super) fn rounds_to_tell(&mut self, at: i64) -> Vec<Parcel> {
        let hubs = self.hubs_that_look();
        let mut now = BTreeMap::new();
        let mut add = |hub: &String, word: &RoundWord| {
            let key = (hub.clone(), word.resident.clone(), word.alarm.clone(), word.at_ms);
            now.insert(key, word.clone());
        };
        for word in self.round_words(at) {
            hubs.iter().for_each(|hub| add(hub, &word));
        }
        for (alarm, word) in self.alarm_words(at) {
            // Of an alarm that it was never told of it hears nothing here either.
            let knows = |hub: &&String| alarm.steps.iter().any(|step| step.receiver == **hub);
            hubs.iter().filter(knows).for_each(|hub| add(hub, &word));
        }
        let anew: Vec<String> = self.rounds.begun.symmetric_difference(&hubs).cloned().collect();
        let mut news = Vec::new();
        // What is agreed no longer, and would still be shown there.
        for (key, told) in self.rounds.told.iter().filter(|(key, _)| !now.contains_key(*key) && hubs.contains(&key.0)) {
            if told.latest_ms.saturating_add(LOOKS_TOLD_BACK_MS) > at {
                news.push((key.0.clone(), RoundWord { state: "gone", ..told.clone() }));
            }
        }
        let is_new = |(key, word): &(&Key, &RoundWord)| self.rounds.told.get(*key) != Some(*word);
        news.extend(now.iter().filter(is_new).map(|(key, word)| (key.0.clone(), word.clone())));
        self.rounds.told = now;
        self.rounds.begun = hubs;
        let anew = anew.into_iter().map(|hub| (hub, ParcelWhat::RoundAnew { at }));
        let news = news.into_iter().map(|(hub, word)| (hub, ParcelWhat::Round(RoundWord { at, ..word })));
        let mut parcel = |(receiver, what): (String, ParcelWhat)| {
            self.rounds.number += 1;
            Parcel { receiver, id: ParcelId::Round(self.rounds.number), what }
        };
        anew.chain(news).map(&mut parcel).collect()
    }

    fn round_words(&self, at: i64) -> Vec<RoundWord> {
        let (view, agreed) = (self.view(), self.agreed());
        let date = local(&agreed.zone, at).date();
        let span = Span {
            date,
            start_ms: at.saturating_sub(LOOKS_TOLD_BACK_MS + LOOKS_TOLD_AHEAD_MS),
            end_ms: at.saturating_add(LOOKS_TOLD_AHEAD_MS),
        };
        let of_person = |person| looks_of(view.care, agreed, person, &span, view.now);
        let mut words = Vec::new();
        for person in &agreed.people {
            let Some(look) = &person.look else { continue };
            let shown = of_person(person).into_iter();
            for shown in shown.filter(|shown| shown.latest_ms.saturating_add(LOOKS_TOLD_BACK_MS) > at) {
                words.push(RoundWord {
                    state: word(&shown.state),
                    slot: shown.slot,
                    at_ms: shown.at_ms,
                    latest_ms: shown.latest_ms,
                    ..of_look(&person.id, look)
                });
            }
        }
        words
    }

    /// What open alarms let somebody look at.
    fn alarm_words(&self, at: i64) -> Vec<(&Alarm, RoundWord)> {
        let view = self.view();
        let is_fresh = |alarm: &&Alarm| alarm.raised_at.saturating_add(LOOK_ALARM_MS + LOOKS_TOLD_BACK_MS) > at;
        let mut words = Vec::new();
        for alarm in view.alarms.open().filter(is_fresh) {
            let of = |person| Some((person, look_of_alarm(view, person, alarm)?));
            let Some((person, state)) = view.agreed.people.iter().find_map(of) else { continue };
            let Some(look) = &person.look else { continue };
            let latest_ms = alarm.raised_at.saturating_add(LOOK_ALARM_MS);
            let alarm_id = Some(alarm.id().clone());
            words.push((
                alarm,
                RoundWord { alarm: alarm_id, state: word(&state), latest_ms, ..of_look(&person.id, look) },
            ));
        }
        words
    }
}

/// What is the same of all looks of one agreement.
fn of_look(resident: &str, look: &Look) -> RoundWord {
    RoundWord {
        resident: resident.to_owned(),
        alarm: None,
        slot: String::new(),
        at_ms: 0,
        latest_ms: 0,
        state: "",
        look_s: u16::try_from(look.look_ms / 1_000).unwrap_or(u16::MAX),
        may_see_clearly: look.may_see_clearly,
        at: 0,
    }
}
