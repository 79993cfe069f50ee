//! What is owed to whom, and what to try next. Pure: no I/O, no clock; time comes in as milliseconds, chance as a seed.
//!
//! Enters: notices, settlements, what happened at receivers. Leaves: attempts to start and reports to make.
//! Invariants: a notice leaves only when accepted or settled; it is under way at one receiver at a time; no lane holds another
//! lane's places; a report of one (notice, receiver, rung) is made once; within an alarm an earlier notice starts first.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use vaka_protocol::{AlarmId, Lane, Rung};

use super::backoff::{Dice, Pace, next_wait_ms};
use super::link::{Failure, LinkEvent};
use super::routes::Routes;
use super::{Notice, Report};
use crate::limits::{OWED_PER_LANE_MAX, PAST_NOTICES_MAX, in_flight_max};

/// Alarm, and number of the notice within it.
type Key = (AlarmId, u32);

/// An attempt to make now.
#[derive(Debug)]
pub struct Start {
    pub attempt: u64,
    pub receiver: String,
    pub notice: Arc<Notice>,
}

#[derive(Debug)]
struct Owed {
    notice: Arc<Notice>,
    state: State,
    /// Place in the route that is tried next, or now.
    turn: usize,
    wait_ms: u64,
    /// Every receiver of this round refused it for good.
    refused_by_all: bool,
    told: BTreeSet<(String, Rung)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ready,
    Waiting { until_ms: u64 },
    Flying { attempt: u64 },
    Unrouted,
}

#[derive(Debug)]
struct Attempt {
    lane: Lane,
    key: Key,
    receiver: String,
}

/// An alarm's notices; `rank` orders alarms within a lane, lowest first.
#[derive(Debug)]
struct Alarm {
    rank: i64,
    notices: BTreeMap<u32, Owed>,
}

#[derive(Debug)]
struct Past {
    key: Key,
    told: BTreeSet<(String, Rung)>,
}

#[derive(Debug)]
pub(crate) struct Ledger {
    routes: Routes,
    pace: Pace,
    dice: Dice,
    alarms: BTreeMap<AlarmId, Alarm>,
    /// May start now: rank of the alarm, alarm, number.
    ready: BTreeMap<Lane, BTreeSet<(i64, AlarmId, u32)>>,
    waiting: BTreeSet<(u64, Key)>,
    attempts: BTreeMap<u64, Attempt>,
    flying: BTreeMap<Lane, usize>,
    owed: BTreeMap<Lane, usize>,
    references: BTreeMap<String, Key>,
    past: BTreeMap<String, Past>,
    past_order: VecDeque<String>,
    attempts_made: u64,
}

impl Ledger {
    pub fn new(routes: Routes, pace: Pace, dice: Dice) -> Self {
        Self {
            routes,
            pace,
            dice,
            alarms: BTreeMap::new(),
            ready: BTreeMap::new(),
            waiting: BTreeSet::new(),
            attempts: BTreeMap::new(),
            flying: BTreeMap::new(),
            owed: BTreeMap::new(),
            references: BTreeMap::new(),
            past: BTreeMap::new(),
            past_order: VecDeque::new(),
            attempts_made: 0,
        }
    }

    /// Takes a notice up. One already owed, or already accepted, changes nothing.
    pub fn owe(&mut self, notice: Notice) -> Option<Report> {
        if self.references.contains_key(&notice.reference) || self.past.contains_key(&notice.reference) {
            return None;
        }
        let lane = notice.lane;
        if self.owed.get(&lane).is_some_and(|count| *count >= OWED_PER_LANE_MAX) {
            return Some(unserved(
                &notice,
                format!("{OWED_PER_LANE_MAX} notices of lane {} wait already", lane.as_str()),
            ));
        }
        let key = (notice.alarm.clone(), notice.number);
        let at = notice.happened_at;
        let fresh_rank = if lane == Lane::Life { at.saturating_neg() } else { at };
        let mut rank = self.alarms.get(&key.0).map_or(fresh_rank, |alarm| alarm.rank);
        if lane == Lane::Life && fresh_rank < rank {
            self.rank_again(&key.0, fresh_rank);
            rank = fresh_rank;
        }
        let unrouted = self.routes.of(lane).is_empty();
        let report = unrouted.then(|| no_route(&notice));
        *self.owed.entry(lane).or_default() += 1;
        self.references.insert(notice.reference.clone(), key.clone());
        let owed = Owed {
            notice: Arc::new(notice),
            state: if unrouted { State::Unrouted } else { State::Ready },
            turn: 0,
            wait_ms: 0,
            refused_by_all: true,
            told: BTreeSet::new(),
        };
        if !unrouted {
            self.ready.entry(lane).or_default().insert((rank, key.0.clone(), key.1));
        }
        let alarm = self.alarms.entry(key.0).or_insert(Alarm { rank, notices: BTreeMap::new() });
        alarm.notices.insert(key.1, owed);
        report
    }

    /// Nothing more of this alarm is to be started. What is under way comes to its end by itself.
    pub fn settled(&mut self, alarm: &AlarmId) {
        let numbers: Vec<u32> = self.alarms.get(alarm).map_or_else(Vec::new, |a| a.notices.keys().copied().collect());
        for number in numbers {
            self.finish(&(alarm.clone(), number));
        }
    }

    /// New routes: everything not under way is tried along them from their beginning.
    pub fn reroute(&mut self, routes: Routes) -> Vec<Report> {
        self.routes = routes;
        let mut reports = Vec::new();
        let keys: Vec<Key> = self.keys();
        for key in keys {
            let Some(owed) = self.find(&key) else {
                continue;
            };
            let (state, notice) = (owed.state, owed.notice.clone());
            if matches!(state, State::Flying { .. }) {
                continue;
            }
            if let Some(owed) = self.find_mut(&key) {
                (owed.turn, owed.refused_by_all) = (0, true);
            }
            let unrouted = self.routes.of(notice.lane).is_empty();
            if unrouted && state != State::Unrouted {
                reports.push(no_route(&notice));
            }
            self.set_state(&key, if unrouted { State::Unrouted } else { State::Ready });
        }
        reports
    }

    /// The link to a receiver is gone: what was under way there failed.
    pub fn link_stopped(&mut self, receiver: &str, now_ms: u64) {
        let lost: Vec<u64> = self.attempts.iter().filter(|(_, a)| a.receiver == receiver).map(|(id, _)| *id).collect();
        for attempt in lost {
            self.failed(attempt, &Failure::LinkStopped, now_ms);
        }
    }

    /// What happened at `receiver`, over `path`.
    pub fn happened(&mut self, receiver: &str, path: &str, event: LinkEvent, now_ms: u64) -> Vec<Report> {
        match event {
            LinkEvent::Sent { attempt } => {
                let key = self.attempts.get(&attempt).map(|a| a.key.clone());
                self.tell(key, None, receiver, path, &[Rung::Sent], String::new())
            }
            LinkEvent::Received { attempt, detail } => {
                let key = self.attempts.get(&attempt).map(|a| a.key.clone());
                self.tell(key, None, receiver, path, &[Rung::Sent, Rung::Received], detail)
            }
            LinkEvent::Accepted { attempt, reference, detail } => {
                if let Some(attempt) = attempt {
                    self.end_attempt(attempt);
                }
                let key = self.references.get(&reference).cloned();
                // An answer proves that the message came through, even where its 200 was lost.
                let rungs = [Rung::Sent, Rung::Received, Rung::Accepted];
                let reports = self.tell(key.clone(), Some(&reference), receiver, path, &rungs, detail);
                if let Some(key) = key {
                    self.finish(&key);
                }
                reports
            }
            LinkEvent::Failed { attempt, failure } => {
                self.failed(attempt, &failure, now_ms);
                Vec::new()
            }
            LinkEvent::Connected => {
                self.connected(receiver);
                Vec::new()
            }
            LinkEvent::Path { up, detail } => {
                vec![Report::Path { receiver: receiver.to_owned(), path: path.to_owned(), up, detail }]
            }
        }
    }

    /// Everything that may start at `now_ms`, most urgent first.
    pub fn start_ready(&mut self, now_ms: u64) -> Vec<Start> {
        while let Some((until_ms, key)) = self.waiting.first().cloned() {
            if until_ms > now_ms {
                break;
            }
            self.set_state(&key, State::Ready);
        }
        let mut starts = Vec::new();
        let lanes: Vec<Lane> = self.ready.keys().copied().collect();
        for lane in lanes {
            while self.flying.get(&lane).copied().unwrap_or(0) < in_flight_max(lane) {
                let Some((_, alarm, number)) = self.ready.get(&lane).and_then(|r| r.first()).cloned() else {
                    break;
                };
                let key = (alarm, number);
                self.attempts_made += 1;
                let attempt = self.attempts_made;
                self.set_state(&key, State::Flying { attempt });
                let route = self.routes.of(lane);
                let Some(owed) = self.alarms.get(&key.0).and_then(|a| a.notices.get(&key.1)) else {
                    break;
                };
                let Some(receiver) = route.get(owed.turn).or(route.first()).cloned() else {
                    break;
                };
                starts.push(Start { attempt, receiver: receiver.clone(), notice: owed.notice.clone() });
                *self.flying.entry(lane).or_default() += 1;
                self.attempts.insert(attempt, Attempt { lane, key, receiver });
            }
        }
        starts
    }

    /// When to look again, if nothing happens before.
    pub fn next_due_ms(&self) -> Option<u64> {
        self.waiting.first().map(|(until_ms, _)| *until_ms)
    }

    /// Notices not yet accepted or settled.
    #[cfg(any(test, feature = "sim"))]
    pub fn owed_count(&self) -> usize {
        self.references.len()
    }

    fn failed(&mut self, attempt: u64, failure: &Failure, now_ms: u64) {
        let Some(key) = self.end_attempt(attempt) else {
            return;
        };
        let Some(owed) = self.find(&key) else { return };
        if owed.state != (State::Flying { attempt }) {
            return;
        }
        let lane = owed.notice.lane;
        let (turns, max_ms) = (
            self.routes.of(lane).len(),
            if lane == Lane::Life { self.pace.retry_life_ms_max } else { self.pace.retry_ms_max },
        );
        let refused_by_all = owed.refused_by_all && failure.is_permanent();
        let (turn, before_ms) = (owed.turn + 1, owed.wait_ms);
        let round_over = turn >= turns;
        let wait_ms = match (round_over, refused_by_all) {
            (false, _) => before_ms,
            // Repeating at once what everybody refused helps nobody.
            (true, true) => max_ms,
            (true, false) => next_wait_ms(&mut self.dice, before_ms, self.pace.retry_ms_min, max_ms),
        };
        if let Some(owed) = self.find_mut(&key) {
            owed.turn = if round_over { 0 } else { turn };
            owed.refused_by_all = round_over || refused_by_all;
            owed.wait_ms = wait_ms;
        }
        let state = match (turns, round_over) {
            (0, _) => State::Unrouted,
            (_, true) => State::Waiting { until_ms: now_ms.saturating_add(wait_ms) },
            (_, false) => State::Ready,
        };
        self.set_state(&key, state);
    }

    /// A receiver is there again: what waited for its turn need not wait longer.
    fn connected(&mut self, receiver: &str) {
        let waiting: Vec<Key> = self.waiting.iter().map(|(_, key)| key.clone()).collect();
        for key in waiting {
            let lane = self.find(&key).map(|owed| owed.notice.lane);
            if lane.is_some_and(|lane| self.routes.of(lane).iter().any(|name| name == receiver)) {
                self.set_state(&key, State::Ready);
            }
        }
    }

    fn end_attempt(&mut self, attempt: u64) -> Option<Key> {
        let ended = self.attempts.remove(&attempt)?;
        if let Some(count) = self.flying.get_mut(&ended.lane) {
            *count = count.saturating_sub(1);
        }
        Some(ended.key)
    }

    /// Reports of these rungs that have not been made yet for this notice at this receiver.
    fn tell(
        &mut self,
        key: Option<Key>,
        reference: Option<&str>,
        receiver: &str,
        path: &str,
        rungs: &[Rung],
        detail: String,
    ) -> Vec<Report> {
        let past = reference.and_then(|r| self.past.get_mut(r));
        let owed = key.as_ref().and_then(|(alarm, number)| self.alarms.get_mut(alarm)?.notices.get_mut(number));
        let (key, told) = match (key, owed, past) {
            (Some(key), Some(owed), _) => (key, &mut owed.told),
            (_, _, Some(past)) => (past.key.clone(), &mut past.told),
            _ => return Vec::new(),
        };
        let mut reports = Vec::new();
        for rung in rungs {
            if told.insert((receiver.to_owned(), *rung)) {
                reports.push(Report::Rung {
                    alarm: key.0.clone(),
                    notice: key.1,
                    rung: *rung,
                    receiver: receiver.to_owned(),
                    path: path.to_owned(),
                    detail: if Some(rung) == rungs.last() { detail.clone() } else { String::new() },
                });
            }
        }
        reports
    }

    fn finish(&mut self, key: &Key) {
        self.unplace(key);
        let Some(alarm) = self.alarms.get_mut(&key.0) else {
            return;
        };
        let Some(owed) = alarm.notices.remove(&key.1) else {
            return;
        };
        if alarm.notices.is_empty() {
            self.alarms.remove(&key.0);
        }
        if let Some(count) = self.owed.get_mut(&owed.notice.lane) {
            *count = count.saturating_sub(1);
        }
        let reference = owed.notice.reference.clone();
        self.references.remove(&reference);
        self.past.insert(reference.clone(), Past { key: key.clone(), told: owed.told });
        self.past_order.push_back(reference);
        if self.past_order.len() > PAST_NOTICES_MAX
            && let Some(oldest) = self.past_order.pop_front()
        {
            self.past.remove(&oldest);
        }
    }

    fn keys(&self) -> Vec<Key> {
        self.references.values().cloned().collect()
    }

    fn find(&self, key: &Key) -> Option<&Owed> {
        self.alarms.get(&key.0)?.notices.get(&key.1)
    }

    fn find_mut(&mut self, key: &Key) -> Option<&mut Owed> {
        self.alarms.get_mut(&key.0)?.notices.get_mut(&key.1)
    }
}

fn no_route(notice: &Notice) -> Report {
    unserved(notice, format!("no route for lane {}; add it to a [[route]]", notice.lane.as_str()))
}

fn unserved(notice: &Notice, detail: String) -> Report {
    Report::Unserved { alarm: notice.alarm.clone(), notice: notice.number, lane: notice.lane, detail }
}

mod places;
#[cfg(test)]
mod tests;
