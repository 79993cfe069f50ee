//! What a receiver is told beside alarms: what people in the home did, how the home is, telemetry. Each until its one receiver has it.
//!
//! Enters: parcels, what became of them, receivers that are there again. Leaves: what to carry now. Pure: time comes in as milliseconds.
//! Invariants: few are under way at once, so that an alarm never waits behind them; what failed is tried again, the oldest first,
//! until the receiver has it; telemetry is shaped; nothing is dropped while its receiver is configured. Absent: the disk; the journal owes what lies here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use vaka_protocol::{AlarmId, DeviceId, Event, Lane, Outcome};

use super::Notice;
use super::backoff::{Dice, Pace, next_wait_ms};
use super::config::ReceiverKind;
use crate::journal::record::ActWhat;
use crate::limits::{PARCELS_IN_FLIGHT_MAX, TELEMETRY_PER_S};

/// One thing for one receiver.
#[derive(Debug, Clone, PartialEq)]
pub struct Parcel {
    pub receiver: String,
    pub id: ParcelId,
    pub what: ParcelWhat,
}

/// The caller's own number, and what goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ParcelId {
    /// Number of the act's record.
    Act(u64),
    /// Made from the notice's reference.
    Known(u64),
    /// Of the hub's order: its command's id.
    Done(u64),
    /// Counts up: a newer one stands in place of an older.
    Health(u64),
    /// Counts up: a newer one of the same look-in stands in place of an older.
    Round(u64),
    /// The record that it stands in, and its place there.
    Telemetry(u64, u16),
}

/// Classes of their own beside everything else, which is 0.
const TELEMETRY: usize = 1;
const ROUND: usize = 2;

impl ParcelId {
    /// Which of [`Queue::waits`]: what a hub refuses of one class holds up none of another.
    fn class(self) -> usize {
        match self {
            ParcelId::Telemetry(..) => TELEMETRY,
            ParcelId::Round(_) => ROUND,
            ParcelId::Act(_) | ParcelId::Known(_) | ParcelId::Done(_) | ParcelId::Health(_) => 0,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum ParcelWhat {
    Act(HomeAct),
    /// What a hub was told of an alarm that is still open, said again: it answers with how the alarm stands there.
    Known(Box<Notice>),
    /// What became of the hub's order.
    Done {
        id: u64,
        outcome: Outcome,
    },
    Health(HealthWord),
    Round(RoundWord),
    /// What was told of look-ins before this moment (UTC milliseconds) and is not told again is gone.
    RoundAnew {
        at: i64,
    },
    Telemetry(Box<TelemetryWord>),
}

/// A look-in by camera, for a hub whose people may look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundWord {
    /// Whose: an id, never a name.
    pub resident: String,
    /// The alarm that opens the camera. Absent: it is planned.
    pub alarm: Option<AlarmId>,
    /// Local time at which it begins: its name. Empty for an alarm.
    pub slot: String,
    /// UTC milliseconds. 0 for an alarm.
    pub at_ms: i64,
    /// By when it is to be made, UTC milliseconds.
    pub latest_ms: i64,
    /// How far it is: as in the event `round`.
    pub state: &'static str,
    /// How long one look lasts, seconds.
    pub look_s: u16,
    pub may_see_clearly: bool,
    /// When that was so, UTC milliseconds.
    pub at: i64,
}

impl RoundWord {
    /// Which look-in it is of.
    fn which(&self) -> (&str, Option<&AlarmId>, i64) {
        (&self.resident, self.alarm.as_ref(), self.at_ms)
    }
}

/// One event of a device here, and nothing else about it.
#[derive(Debug, Clone, PartialEq)]
pub struct TelemetryWord {
    /// UTC seconds when the route was made: with the [`ParcelId`] the event's identity, also after a restart.
    pub stream: u32,
    pub record: u64,
    pub index: u16,
    pub device: DeviceId,
    /// UTC milliseconds: by the device's clock, else when it was stored.
    pub at: i64,
    pub event: Event,
}

impl TelemetryWord {
    /// The event's number in its stream. Neighbours in the journal have neighbouring numbers, which whoever remembers them is glad of;
    /// below 53 bits, for JSON readers in other languages.
    pub fn number(&self) -> u64 {
        self.record | u64::from(self.index) << 44
    }
}

/// How this gateway is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthWord {
    /// Open technical faults.
    pub faults: u32,
    /// In plain words.
    pub text: String,
    /// `technical` raises at the hub, `telemetry` is shown there.
    pub lane: Lane,
    /// UTC milliseconds.
    pub at: i64,
}

/// What a person in the home did with an alarm that a hub knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HomeAct {
    pub alarm: AlarmId,
    pub lane: Lane,
    /// The newest notice of the alarm.
    pub number: u32,
    /// When the alarm happened, UTC milliseconds.
    pub alarm_at: i64,
    pub cause: String,
    pub act: ActWhat,
    pub by: String,
    /// UTC milliseconds.
    pub at: i64,
}

/// Carry this over that path now.
#[derive(Debug)]
pub(crate) struct Carry {
    pub receiver: String,
    pub parcel: Arc<Parcel>,
}

#[derive(Debug, Default)]
struct Queue {
    /// All that it has not got.
    waiting: BTreeMap<ParcelId, Arc<Parcel>>,
    /// Of these under way, and over which path.
    flying: BTreeMap<ParcelId, Arc<str>>,
    /// Of each class: a hub whose disk is short, or whose round is full, refuses that and takes the others.
    waits: [Wait; 3],
    /// No telemetry before.
    next_telemetry_ms: u64,
}

#[derive(Debug, Default, Clone, Copy)]
struct Wait {
    /// Nothing is tried before.
    until_ms: u64,
    wait_ms: u64,
}

#[derive(Debug)]
pub(crate) struct Parcels {
    pace: Pace,
    dice: Dice,
    receivers: BTreeMap<String, ReceiverKind>,
    /// Who is sent telemetry: what was read for a route that is gone stays here.
    telemetry: BTreeSet<String>,
    queues: BTreeMap<String, Queue>,
}

impl Parcels {
    pub fn new(pace: Pace, dice: Dice) -> Self {
        Self { pace, dice, receivers: BTreeMap::new(), telemetry: BTreeSet::new(), queues: BTreeMap::new() }
    }

    /// Who there is, and who is sent telemetry.
    pub fn set_receivers(&mut self, receivers: BTreeMap<String, ReceiverKind>, telemetry: &BTreeSet<&String>) {
        self.queues.retain(|name, _| receivers.contains_key(name));
        for (name, queue) in self.queues.iter_mut().filter(|(name, _)| !telemetry.contains(name)) {
            tracing::debug!(receiver = name, "no route for telemetry");
            queue.waiting.retain(|id, _| id.class() != TELEMETRY);
        }
        self.receivers = receivers;
        self.telemetry = telemetry.iter().map(|name| (*name).clone()).collect();
    }

    /// Again changes nothing.
    pub fn pass(&mut self, parcel: Parcel) {
        if parcel.id.class() == TELEMETRY && !self.telemetry.contains(&parcel.receiver) {
            return;
        }
        let queue = self.queues.entry(parcel.receiver.clone()).or_default();
        if let ParcelId::Health(_) = parcel.id {
            let Queue { waiting, flying, .. } = queue;
            waiting.retain(|id, _| !matches!(id, ParcelId::Health(_)) || flying.contains_key(id));
        }
        if let ParcelWhat::Round(word) = &parcel.what {
            let is_older =
                |other: &ParcelWhat| matches!(other, ParcelWhat::Round(other) if other.which() == word.which());
            let Queue { waiting, flying, .. } = queue;
            waiting.retain(|id, older| !is_older(&older.what) || flying.contains_key(id));
        }
        queue.waiting.entry(parcel.id).or_insert_with(|| Arc::new(parcel));
    }

    /// All that may go now, the oldest first. Each is under way until its fate is told.
    pub fn start_ready(&mut self, now_ms: u64) -> Vec<Carry> {
        let mut carry = Vec::new();
        for (name, queue) in &mut self.queues {
            let Some(kind) = self.receivers.get(name) else { continue };
            let room = if *kind == ReceiverKind::Hub { PARCELS_IN_FLIGHT_MAX } else { 1 };
            let mut next = queue.next(now_ms);
            while let Some(parcel) = next.filter(|_| queue.flying.len() < room) {
                if parcel.id.class() == TELEMETRY {
                    queue.next_telemetry_ms = now_ms + 1_000 / TELEMETRY_PER_S;
                }
                queue.flying.insert(parcel.id, Arc::from(""));
                carry.push(Carry { receiver: name.clone(), parcel });
                next = queue.next(now_ms);
            }
        }
        carry
    }

    /// It goes over that path.
    pub fn started(&mut self, receiver: &str, id: ParcelId, path: &Arc<str>) {
        if let Some(over) = self.queues.get_mut(receiver).and_then(|queue| queue.flying.get_mut(&id)) {
            *over = path.clone();
        }
    }

    /// True: the receiver has it, and it was not known yet.
    pub fn ended(&mut self, receiver: &str, id: ParcelId, taken: bool, now_ms: u64) -> bool {
        let Some(queue) = self.queues.get_mut(receiver) else { return false };
        queue.flying.remove(&id);
        let wait = &mut queue.waits[id.class()];
        if taken {
            *wait = Wait::default();
            return queue.waiting.remove(&id).is_some();
        }
        // One wait for all that failed at once.
        if wait.until_ms <= now_ms {
            wait.wait_ms = next_wait_ms(&mut self.dice, wait.wait_ms, self.pace.retry_ms_min, self.pace.retry_ms_max);
            wait.until_ms = now_ms.saturating_add(wait.wait_ms);
        }
        false
    }

    /// A receiver is there again.
    pub fn connected(&mut self, receiver: &str) {
        if let Some(queue) = self.queues.get_mut(receiver) {
            queue.waits.iter_mut().for_each(|wait| wait.until_ms = 0);
        }
    }

    /// What was under way over that path failed.
    pub fn link_stopped(&mut self, receiver: &str, path: &str, now_ms: u64) {
        let on_it = |queue: &Queue| {
            let of_path = queue.flying.iter().filter(|(_, over)| ***over == *path);
            of_path.map(|(id, _)| *id).collect::<BTreeSet<_>>()
        };
        for id in self.queues.get(receiver).map(on_it).unwrap_or_default() {
            self.ended(receiver, id, false, now_ms);
        }
    }

    /// When to look again, if nothing happens before.
    pub fn next_due_ms(&self, now_ms: u64) -> Option<u64> {
        let due = |queue: &Queue| {
            let idle = queue.waiting.keys().filter(|id| !queue.flying.contains_key(id));
            idle.map(|id| queue.ready_at_ms(*id)).min()
        };
        self.queues.values().filter_map(due).filter(|at_ms| *at_ms > now_ms).min()
    }
}

impl Queue {
    fn ready_at_ms(&self, id: ParcelId) -> u64 {
        let shaped_ms = if id.class() == TELEMETRY { self.next_telemetry_ms } else { 0 };
        self.waits[id.class()].until_ms.max(shaped_ms)
    }

    fn next(&self, now_ms: u64) -> Option<Arc<Parcel>> {
        let is_ready = |id: &ParcelId| !self.flying.contains_key(id) && self.ready_at_ms(*id) <= now_ms;
        self.waiting.iter().find(|(id, _)| is_ready(id)).map(|(_, parcel)| parcel.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parcel(id: ParcelId) -> Parcel {
        let what = match id {
            ParcelId::Act(_) => ParcelWhat::Act(HomeAct {
                alarm: "a1".parse().expect("an id"),
                lane: Lane::Life,
                number: 0,
                alarm_at: 0,
                cause: "button".into(),
                act: ActWhat::Close,
                by: "anna".into(),
                at: 0,
            }),
            ParcelId::Known(_) => ParcelWhat::Known(Box::new(crate::dispatch::tests::notice("a1", 0))),
            ParcelId::Done(id) => ParcelWhat::Done { id, outcome: Outcome::Done },
            ParcelId::Health(_) => {
                ParcelWhat::Health(HealthWord { faults: 0, text: String::new(), lane: Lane::Telemetry, at: 0 })
            }
            ParcelId::Round(_) => ParcelWhat::Round(RoundWord {
                resident: "r1".into(),
                alarm: None,
                slot: "02:00".into(),
                at_ms: 0,
                latest_ms: 1,
                state: "open",
                look_s: 30,
                may_see_clearly: false,
                at: 0,
            }),
            ParcelId::Telemetry(record, index) => ParcelWhat::Telemetry(Box::new(TelemetryWord {
                stream: 1,
                record,
                index,
                device: "bed-1".parse().expect("an id"),
                at: 0,
                event: Event::Motion {},
            })),
        };
        Parcel { receiver: "hub".into(), id, what }
    }

    fn parcels(kind: ReceiverKind) -> Parcels {
        let mut parcels = Parcels::new(Pace::default(), Dice::new(1));
        parcels.set_receivers([("hub".to_owned(), kind)].into(), &[&"hub".to_owned()].into());
        parcels
    }

    fn started(parcels: &mut Parcels, now_ms: u64) -> Vec<ParcelId> {
        parcels.start_ready(now_ms).into_iter().map(|carry| carry.parcel.id).collect()
    }

    #[test]
    fn telemetry_is_shaped_the_oldest_first_and_an_act_goes_before_it() {
        let mut parcels = parcels(ReceiverKind::Hub);
        let count = TELEMETRY_PER_S * 20;
        (1..=count).rev().for_each(|record| parcels.pass(parcel(ParcelId::Telemetry(record, 0))));
        let (mut now_ms, mut told) = (0, Vec::new());
        while told.len() < usize::try_from(count).expect("few") {
            if now_ms == 3_000 {
                parcels.pass(parcel(ParcelId::Act(900)));
                assert_eq!(started(&mut parcels, now_ms), [ParcelId::Act(900), ParcelId::Telemetry(16, 0)]);
                assert!(parcels.ended("hub", ParcelId::Act(900), true, now_ms));
                told.push(ParcelId::Telemetry(16, 0));
                parcels.ended("hub", ParcelId::Telemetry(16, 0), true, now_ms);
            }
            for id in started(&mut parcels, now_ms) {
                told.push(id);
                assert!(parcels.ended("hub", id, true, now_ms));
                assert!(!parcels.ended("hub", id, true, now_ms), "known already");
            }
            let next_ms = parcels.next_due_ms(now_ms);
            now_ms = next_ms.unwrap_or(now_ms).max(now_ms);
        }
        assert!(told.is_sorted(), "{told:?}");
        assert_eq!(now_ms, (count - 1) * 1_000 / TELEMETRY_PER_S, "so long it takes, and no shorter");
        assert_eq!(parcels.next_due_ms(now_ms), None);
    }

    #[test]
    fn few_are_under_way_and_what_failed_goes_again_once_its_receiver_is_back() {
        for (kind, most) in [(ReceiverKind::Hub, PARCELS_IN_FLIGHT_MAX), (ReceiverKind::Webhook, 1)] {
            let mut parcels = parcels(kind);
            (1..10).for_each(|act| parcels.pass(parcel(ParcelId::Act(act))));
            let first = started(&mut parcels, 0);
            assert_eq!(first.len(), most);
            assert!(started(&mut parcels, 1_000_000).is_empty());
            first.iter().for_each(|id| parcels.started("hub", *id, &Arc::from("fibre")));
            parcels.link_stopped("hub", "mobile", 5);
            assert!(started(&mut parcels, 5).is_empty(), "they go over the other path");
            parcels.link_stopped("hub", "fibre", 5);
            assert!(started(&mut parcels, 5).is_empty());
            assert!(parcels.next_due_ms(5).is_some_and(|at_ms| at_ms >= 5 + Pace::default().retry_ms_min));
            parcels.connected("hub");
            assert_eq!(started(&mut parcels, 5), first);
        }
    }

    #[test]
    fn a_look_in_that_a_hub_refuses_holds_up_no_act() {
        let mut parcels = parcels(ReceiverKind::Hub);
        parcels.pass(parcel(ParcelId::Round(1)));
        assert_eq!(started(&mut parcels, 0), [ParcelId::Round(1)]);
        assert!(!parcels.ended("hub", ParcelId::Round(1), false, 0), "it waits");
        parcels.pass(parcel(ParcelId::Act(2)));
        parcels.pass(parcel(ParcelId::Round(3)));
        assert_eq!(started(&mut parcels, 0), [ParcelId::Act(2)]);
    }

    #[test]
    fn refused_telemetry_holds_nothing_else_up_and_a_newer_health_stands_in_place_of_an_older() {
        let mut parcels = parcels(ReceiverKind::Hub);
        parcels.pass(parcel(ParcelId::Telemetry(1, 0)));
        started(&mut parcels, 0);
        parcels.ended("hub", ParcelId::Telemetry(1, 0), false, 0);
        (1..=3).for_each(|number| parcels.pass(parcel(ParcelId::Health(number))));
        assert_eq!(started(&mut parcels, 0), [ParcelId::Health(3)]);
        (1..=3).for_each(|number| parcels.pass(parcel(ParcelId::Round(number))));
        assert_eq!(started(&mut parcels, 0), [ParcelId::Round(3)], "of one look-in");
        parcels.pass(parcel(ParcelId::Act(1)));
        assert_eq!(started(&mut parcels, 0), [ParcelId::Act(1)]);
        // Without a route none of it is sent any more.
        parcels.set_receivers([("hub".to_owned(), ReceiverKind::Hub)].into(), &BTreeSet::new());
        assert!(started(&mut parcels, 1_000_000).is_empty());
    }
}
