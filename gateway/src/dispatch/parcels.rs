//! What a receiver is told beside alarms: what people in the home did, how the home is. Each until its one receiver has it.
//!
//! Enters: parcels, what became of them, receivers that are there again. Leaves: what to carry now. Pure: time comes in as milliseconds.
//! Invariants: few are under way at once, so that an alarm never waits behind them; what failed is tried again, the oldest first,
//! until the receiver has it; nothing is dropped while its receiver is configured. Absent: the disk; the journal owes what lies here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use vaka_protocol::{AlarmId, Lane};

use super::backoff::{Dice, Pace, next_wait_ms};
use super::config::ReceiverKind;
use crate::journal::record::ActWhat;
use crate::limits::PARCELS_IN_FLIGHT_MAX;

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
    /// Counts up: a newer one stands in place of an older.
    Health(u64),
}

#[derive(Debug, Clone, PartialEq)]
pub enum ParcelWhat {
    Act(HomeAct),
    Health(HealthWord),
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
    /// Nothing is tried before.
    not_before_ms: u64,
    wait_ms: u64,
}

#[derive(Debug)]
pub(crate) struct Parcels {
    pace: Pace,
    dice: Dice,
    receivers: BTreeMap<String, ReceiverKind>,
    queues: BTreeMap<String, Queue>,
}

impl Parcels {
    pub fn new(pace: Pace, dice: Dice) -> Self {
        Self { pace, dice, receivers: BTreeMap::new(), queues: BTreeMap::new() }
    }

    pub fn set_receivers(&mut self, receivers: BTreeMap<String, ReceiverKind>) {
        self.queues.retain(|name, _| receivers.contains_key(name));
        self.receivers = receivers;
    }

    /// Again changes nothing.
    pub fn pass(&mut self, parcel: Parcel) {
        let queue = self.queues.entry(parcel.receiver.clone()).or_default();
        if let ParcelId::Health(_) = parcel.id {
            let Queue { waiting, flying, .. } = queue;
            waiting.retain(|id, _| !matches!(id, ParcelId::Health(_)) || flying.contains_key(id));
        }
        queue.waiting.entry(parcel.id).or_insert_with(|| Arc::new(parcel));
    }

    /// All that may go now. Each is under way until [`Parcels::started`] has refused it, or its fate is told.
    pub fn start_ready(&mut self, now_ms: u64) -> Vec<Carry> {
        let mut carry = Vec::new();
        for (name, queue) in &mut self.queues {
            if !self.receivers.contains_key(name) || queue.not_before_ms > now_ms {
                continue;
            }
            let Queue { waiting, flying, .. } = queue;
            let room = PARCELS_IN_FLIGHT_MAX.saturating_sub(flying.len());
            let next = waiting.iter().filter(|(id, _)| !flying.contains_key(id)).take(room);
            let next: Vec<Arc<Parcel>> = next.map(|(_, parcel)| parcel.clone()).collect();
            for parcel in next {
                flying.insert(parcel.id, Arc::from(""));
                carry.push(Carry { receiver: name.clone(), parcel });
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
        if taken {
            (queue.wait_ms, queue.not_before_ms) = (0, 0);
            return queue.waiting.remove(&id).is_some();
        }
        // One wait for all that failed at once.
        if queue.not_before_ms <= now_ms {
            queue.wait_ms = next_wait_ms(&mut self.dice, queue.wait_ms, self.pace.retry_ms_min, self.pace.retry_ms_max);
            queue.not_before_ms = now_ms.saturating_add(queue.wait_ms);
        }
        false
    }

    /// A receiver is there again.
    pub fn connected(&mut self, receiver: &str) {
        if let Some(queue) = self.queues.get_mut(receiver) {
            queue.not_before_ms = 0;
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
        let waits = |queue: &&Queue| queue.waiting.len() > queue.flying.len() && queue.not_before_ms > now_ms;
        self.queues.values().filter(waits).map(|queue| queue.not_before_ms).min()
    }
}
