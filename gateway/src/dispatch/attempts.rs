//! What is owed to whom, and what to try next. Pure: no I/O, no clock; time comes in as milliseconds, chance as a seed.
//!
//! Enters: notices, settlements, what happened at receivers. Leaves: attempts to start and reports to make.
//! Invariants: a notice leaves only when it is settled or a receiver has taken it as far as it can prove; in its first round it is
//! under way at one receiver at a time, over one path after the other; when everybody was tried in vain, at all of them at once.
//! No lane holds another lane's places; a report of one (notice, receiver, rung) is made once; within an alarm an earlier
//! notice starts first.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use vaka_protocol::{AlarmId, Lane, Rung};

use super::backoff::{Dice, Pace, next_wait_ms};
use super::link::{Failure, LinkEvent};
use super::routes::Routes;
use super::{Notice, Report};
use crate::limits::{
    NOBODY_HAS_IT_MS, OWED_PER_LANE_MAX, PAST_NOTICES_MAX, RETRY_MS_MAX, claimed_deadline_ms, in_flight_max,
};

/// Alarm, and number of the notice within it.
type Key = (AlarmId, u32);

/// An attempt to make now.
#[derive(Debug)]
pub struct Start {
    pub attempt: u64,
    pub receiver: String,
    pub path: Arc<str>,
    pub notice: Arc<Notice>,
}

#[derive(Debug)]
struct Owed {
    notice: Arc<Notice>,
    state: State,
    /// Under way.
    attempts: BTreeSet<u64>,
    /// Tried in this round, or under way.
    tried: BTreeSet<(String, Arc<str>)>,
    /// Rounds in which everybody was tried in vain.
    rounds: u32,
    wait_ms: u64,
    /// Everybody in this round refused it for good.
    refused_by_all: bool,
    told: BTreeSet<(String, Rung)>,
    /// Receivers that have accepted it and whose people are still to claim it: not told again meanwhile.
    held_by: BTreeSet<String>,
    /// Until when their people have to. None: nobody holds it, or the time is over.
    claim_by_ms: Option<u64>,
    /// When the home is told that nobody has it. None: it was told, or does not concern it.
    nobody_at_ms: Option<u64>,
}

impl Owed {
    /// This receiver is to be told of it as soon as it is there.
    fn waits_for(&self, receiver: &str, now_ms: u64) -> bool {
        !self.held_by.contains(receiver) && self.claim_by_ms.is_none_or(|by_ms| by_ms <= now_ms)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ready,
    Waiting { until_ms: u64 },
    Flying,
    Unrouted,
}

#[derive(Debug)]
struct Attempt {
    lane: Lane,
    key: Key,
    receiver: String,
    path: Arc<str>,
}

/// A receiver as the ledger knows it.
#[derive(Debug, Clone)]
pub(crate) struct Reach {
    /// The highest rung that it can prove.
    pub last_rung: Rung,
    /// None: by lane.
    pub claimed_deadline_ms: Option<u64>,
    /// The primary first.
    pub paths: Vec<Way>,
}

/// A path, and whether it is known to be lost.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    pub name: Arc<str>,
    /// Where it leads.
    pub url: String,
    pub lost: bool,
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
    reach: BTreeMap<String, Reach>,
    alarms: BTreeMap<AlarmId, Alarm>,
    /// May start now: rank of the alarm, alarm, number.
    ready: BTreeMap<Lane, BTreeSet<(i64, AlarmId, u32)>>,
    /// Those, and those that wait.
    queued: BTreeMap<Lane, BTreeSet<(i64, AlarmId, u32)>>,
    /// Under way everywhere at once, and a receiver has failed or is back: its next path is tried without waiting for the others.
    more: BTreeSet<Key>,
    waiting: BTreeSet<(u64, Key)>,
    /// When the home is told that nobody has a notice.
    nobody: BTreeSet<(u64, Key)>,
    attempts: BTreeMap<u64, Attempt>,
    flying: BTreeMap<Lane, usize>,
    owed: BTreeMap<Lane, usize>,
    /// Lanes of which some wait in the journal alone.
    overflowed: BTreeSet<Lane>,
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
            reach: BTreeMap::new(),
            alarms: BTreeMap::new(),
            ready: BTreeMap::new(),
            queued: BTreeMap::new(),
            more: BTreeSet::new(),
            waiting: BTreeSet::new(),
            nobody: BTreeSet::new(),
            attempts: BTreeMap::new(),
            flying: BTreeMap::new(),
            owed: BTreeMap::new(),
            overflowed: BTreeSet::new(),
            references: BTreeMap::new(),
            past: BTreeMap::new(),
            past_order: VecDeque::new(),
            attempts_made: 0,
        }
    }

    /// Who is reached how. What is under way stays under way.
    pub fn set_reach(&mut self, reach: BTreeMap<String, Reach>) {
        let before = std::mem::replace(&mut self.reach, reach);
        for (name, receiver) in &mut self.reach {
            for way in &mut receiver.paths {
                let known = before.get(name).and_then(|b| b.paths.iter().find(|known| known.name == way.name));
                way.lost = known.is_some_and(|known| known.lost);
            }
        }
    }

    /// Takes a notice up. One already owed, or already accepted, changes nothing.
    pub fn owe(&mut self, notice: Notice, now_ms: u64) -> Option<Report> {
        if self.references.contains_key(&notice.reference) || self.past.contains_key(&notice.reference) {
            return None;
        }
        let lane = notice.lane;
        let key = (notice.alarm.clone(), notice.number);
        let at = notice.happened_at;
        let fresh_rank = if lane == Lane::Life { at.saturating_neg() } else { at };
        let mut report = None;
        if self.owed.get(&lane).is_some_and(|count| *count >= OWED_PER_LANE_MAX) {
            let is_news = self.overflowed.insert(lane);
            // A press now does not wait for sixteen thousand older ones: the last of them is let go for a while.
            let last = self.queued.get(&lane).and_then(|queued| queued.last()).cloned();
            match last.filter(|(rank, ..)| fresh_rank < *rank) {
                Some((_, alarm, number)) => {
                    let gone = self.take_out(&(alarm, number)).filter(|_| is_news);
                    report = gone.map(|gone| lane_is_full(&gone.notice));
                }
                None => return is_news.then(|| lane_is_full(&notice)),
            }
        }
        let mut rank = self.alarms.get(&key.0).map_or(fresh_rank, |alarm| alarm.rank);
        if lane == Lane::Life && fresh_rank < rank {
            self.rank_again(&key.0, fresh_rank);
            rank = fresh_rank;
        }
        let unrouted = self.routes.of(lane).is_empty();
        if unrouted {
            report = Some(no_route(&notice));
        }
        *self.owed.entry(lane).or_default() += 1;
        self.references.insert(notice.reference.clone(), key.clone());
        let concerns_home = matches!(lane, Lane::Life | Lane::Care) && !notice.accepted;
        let nobody_at_ms = concerns_home.then_some(now_ms.saturating_add(NOBODY_HAS_IT_MS));
        self.nobody.extend(nobody_at_ms.map(|at_ms| (at_ms, key.clone())));
        let rounds = u32::from(notice.to_all);
        let owed = Owed {
            notice: Arc::new(notice),
            state: if unrouted { State::Unrouted } else { State::Ready },
            attempts: BTreeSet::new(),
            tried: BTreeSet::new(),
            rounds,
            wait_ms: 0,
            refused_by_all: true,
            told: BTreeSet::new(),
            held_by: BTreeSet::new(),
            claim_by_ms: None,
            nobody_at_ms,
        };
        if !unrouted {
            self.ready.entry(lane).or_default().insert((rank, key.0.clone(), key.1));
            self.queued.entry(lane).or_default().insert((rank, key.0.clone(), key.1));
        }
        let alarm = self.alarms.entry(key.0).or_insert(Alarm { rank, notices: BTreeMap::new() });
        alarm.notices.insert(key.1, owed);
        report
    }

    /// A notice of an alarm that is still open and that this receiver has had: its later word on it is understood, and nothing is sent.
    pub fn know(&mut self, notice: &Notice, receiver: &str) {
        if self.references.contains_key(&notice.reference) || self.past.contains_key(&notice.reference) {
            return;
        }
        let rungs = [Rung::Sent, Rung::Received].into_iter().chain(notice.accepted.then_some(Rung::Accepted));
        let told = rungs.map(|rung| (receiver.to_owned(), rung)).collect();
        self.remember(notice.reference.clone(), Past { key: (notice.alarm.clone(), notice.number), told });
    }

    /// Lanes that have room again for what had to wait in the journal.
    pub fn has_room(&mut self) -> Vec<Report> {
        let owed = &self.owed;
        let has_room = |lane: &Lane| owed.get(lane).is_none_or(|count| *count < OWED_PER_LANE_MAX / 2);
        let lanes: Vec<Lane> = self.overflowed.iter().copied().filter(has_room).collect();
        self.overflowed.retain(|lane| !lanes.contains(lane));
        lanes.into_iter().map(|lane| Report::Room { lane }).collect()
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
            if state == State::Flying {
                continue;
            }
            if let Some(owed) = self.find_mut(&key) {
                (owed.rounds, owed.refused_by_all) = (0, true);
                owed.tried.clear();
            }
            let unrouted = self.routes.of(notice.lane).is_empty();
            if unrouted && state != State::Unrouted {
                reports.push(no_route(&notice));
            }
            self.set_state(&key, if unrouted { State::Unrouted } else { State::Ready });
        }
        reports
    }

    /// The link over a path to a receiver is gone: what was under way there failed.
    pub fn link_stopped(&mut self, receiver: &str, path: &str, now_ms: u64) {
        let on_it = |a: &Attempt| a.receiver == receiver && *a.path == *path;
        let lost: Vec<u64> = self.attempts.iter().filter(|(_, a)| on_it(a)).map(|(id, _)| *id).collect();
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
                let ends = self.last_rung(receiver) == Rung::Received;
                let goes_on = ends && key.as_ref().is_some_and(|key| self.can_prove_more(key));
                let mut reports = self.tell(key.clone(), None, receiver, path, &[Rung::Sent, Rung::Received], detail);
                if ends {
                    self.end_attempt(attempt);
                    match key {
                        Some(key) if goes_on => self.go_on(&key, receiver, now_ms),
                        Some(key) => self.finish(&key),
                        None => {}
                    }
                }
                if goes_on {
                    for report in &mut reports {
                        if let Report::Rung { last, .. } = report {
                            *last = false;
                        }
                    }
                }
                reports
            }
            LinkEvent::Accepted { attempt, reference, detail, last } => {
                if let Some(attempt) = attempt {
                    self.end_attempt(attempt);
                }
                let key = self.references.get(&reference).cloned();
                // An answer proves that the message came through, even where its 200 was lost.
                let rungs = [Rung::Sent, Rung::Received, Rung::Accepted];
                let mut reports = self.tell(key.clone(), Some(&reference), receiver, path, &rungs, detail);
                if last && let Some(Report::Rung { last, .. }) = reports.last_mut() {
                    *last = true;
                }
                if let Some(key) = key {
                    match self.claimed_deadline_ms(receiver, &key).filter(|_| !last) {
                        Some(deadline_ms) => self.hold(&key, receiver, now_ms.saturating_add(deadline_ms)),
                        None => self.finish(&key),
                    }
                }
                reports
            }
            LinkEvent::Person { reference, act, by } => {
                let known = self.references.get(&reference).or_else(|| self.past.get(&reference).map(|past| &past.key));
                let Some((alarm, notice)) = known.cloned() else { return Vec::new() };
                let told: Vec<u32> =
                    self.alarms.get(&alarm).map_or_else(Vec::new, |a| a.notices.keys().copied().collect());
                told.iter()
                    .filter(|number| **number <= notice)
                    .for_each(|number| self.finish(&(alarm.clone(), *number)));
                // What came after it was told is another call for that person too: it is told on.
                if told.iter().any(|number| *number > notice) {
                    return Vec::new();
                }
                vec![Report::Person { alarm, notice, act, by: format!("{receiver}: {by}") }]
            }
            LinkEvent::Failed { attempt, failure } => {
                self.failed(attempt, &failure, now_ms);
                Vec::new()
            }
            LinkEvent::Connected => {
                self.connected(receiver, now_ms);
                Vec::new()
            }
            LinkEvent::Certificate { ended } => vec![Report::Certificate { receiver: receiver.to_owned(), ended }],
            LinkEvent::Order { id, expires_at, command } => {
                vec![Report::Order { receiver: receiver.to_owned(), id, expires_at, command }]
            }
            // Another ledger's.
            LinkEvent::Parcel { .. } => Vec::new(),
            LinkEvent::Path { up, detail } => {
                let ways = self.reach.get_mut(receiver).into_iter().flat_map(|reach| &mut reach.paths);
                ways.filter(|way| *way.name == *path).for_each(|way| way.lost = !up);
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
            self.not_claimed(&key, now_ms);
        }
        let mut starts = Vec::new();
        for key in std::mem::take(&mut self.more) {
            if self.find(&key).is_some_and(|owed| owed.state == State::Flying && owed.rounds > 0) {
                let targets = self.next_targets(&key);
                self.start(&key, targets, &mut starts);
            }
        }
        let lanes: Vec<Lane> = self.ready.keys().copied().collect();
        for lane in lanes {
            while self.flying.get(&lane).copied().unwrap_or(0) < in_flight_max(lane) {
                let Some((_, alarm, number)) = self.ready.get(&lane).and_then(|r| r.first()).cloned() else {
                    break;
                };
                let key = (alarm, number);
                let targets = self.next_targets(&key);
                if targets.is_empty() {
                    self.begin_again(&key, now_ms);
                    continue;
                }
                self.set_state(&key, State::Flying);
                self.start(&key, targets, &mut starts);
            }
        }
        starts.sort_by_key(|start| start.notice.lane);
        starts
    }

    fn start(&mut self, key: &Key, targets: Vec<(String, Arc<str>)>, starts: &mut Vec<Start>) {
        for (receiver, path) in targets {
            self.attempts_made += 1;
            let attempt = self.attempts_made;
            let Some(owed) = self.find_mut(key) else { return };
            owed.attempts.insert(attempt);
            owed.tried.insert((receiver.clone(), path.clone()));
            let notice = owed.notice.clone();
            let lane = notice.lane;
            starts.push(Start { attempt, receiver: receiver.clone(), path: path.clone(), notice });
            *self.flying.entry(lane).or_default() += 1;
            self.attempts.insert(attempt, Attempt { lane, key: key.clone(), receiver, path });
        }
    }

    /// Accepted, and nobody has claimed it in time: everybody else is told, and the home.
    fn not_claimed(&mut self, key: &Key, now_ms: u64) {
        let Some(owed) = self.find_mut(key).filter(|owed| owed.claim_by_ms.is_some_and(|by_ms| by_ms <= now_ms)) else {
            return;
        };
        owed.claim_by_ms = None;
        owed.tried.clear();
        (owed.rounds, owed.nobody_at_ms) = (owed.rounds.max(1), Some(now_ms));
        self.nobody.insert((now_ms, key.clone()));
    }

    /// Some receiver of the lane can prove more than that its transport took it.
    fn can_prove_more(&self, key: &Key) -> bool {
        let lane = self.find(key).map(|owed| owed.notice.lane);
        lane.is_some_and(|lane| self.routes.of(lane).iter().any(|name| self.last_rung(name) > Rung::Received))
    }

    /// This receiver has done what it can; the alarm goes on to those who can prove more.
    fn go_on(&mut self, key: &Key, receiver: &str, now_ms: u64) {
        self.exclude(key, receiver);
        if self.find(key).is_some_and(|owed| owed.attempts.is_empty()) {
            self.next_round_or_receiver(key, now_ms);
        }
    }

    /// Other paths that lead to the same address would end the same: the next one's turn.
    fn exclude_same(&mut self, key: &Key, receiver: &str, path: &str) {
        let Some(reach) = self.reach.get(receiver) else { return };
        let url = reach.paths.iter().find(|way| *way.name == *path).map(|way| way.url.clone());
        let same = reach.paths.iter().filter(|way| Some(&way.url) == url.as_ref());
        let same: Vec<_> = same.map(|way| (receiver.to_owned(), way.name.clone())).collect();
        if let Some(owed) = self.find_mut(key) {
            owed.tried.extend(same);
        }
    }

    /// Not tried again in this round, over none of its paths.
    fn exclude(&mut self, key: &Key, receiver: &str) {
        let ways = self.ways(receiver);
        if let Some(owed) = self.find_mut(key) {
            owed.tried.extend(ways.into_iter().map(|path| (receiver.to_owned(), path)));
        }
    }

    /// Notices of life and care that nobody has taken in time: the home is told.
    pub fn nobody_has(&mut self, now_ms: u64) -> Vec<Report> {
        let mut reports = Vec::new();
        while let Some((at_ms, key)) = self.nobody.first().cloned()
            && at_ms <= now_ms
        {
            self.nobody.pop_first();
            let Some(owed) = self.find_mut(&key) else { continue };
            owed.nobody_at_ms = None;
            let lane = owed.notice.lane;
            reports.push(Report::Nobody { alarm: key.0, notice: key.1, lane });
        }
        reports
    }

    /// The next to try in this round: one path of one receiver; all receivers, each by its best path left, once all were tried in vain.
    fn next_targets(&self, key: &Key) -> Vec<(String, Arc<str>)> {
        let Some(owed) = self.find(key) else { return Vec::new() };
        let mut targets = Vec::new();
        let is_under_way =
            |name: &String| owed.attempts.iter().any(|id| self.attempts.get(id).is_some_and(|a| a.receiver == *name));
        let is_asked = |name: &&String| !is_under_way(name) && !owed.held_by.contains(*name);
        for receiver in self.routes.of(owed.notice.lane).iter().filter(is_asked) {
            let untried =
                self.ways(receiver).into_iter().find(|path| !owed.tried.contains(&(receiver.clone(), path.clone())));
            targets.extend(untried.map(|path| (receiver.clone(), path)));
        }
        if owed.rounds == 0 {
            targets.truncate(1);
        }
        targets
    }

    /// How long a receiver's people have to claim what it has accepted. None: it is not waited for.
    fn claimed_deadline_ms(&self, receiver: &str, key: &Key) -> Option<u64> {
        let reach = self.reach.get(receiver).filter(|reach| reach.last_rung > Rung::Accepted)?;
        let by_lane_ms = claimed_deadline_ms(self.find(key)?.notice.lane)?;
        Some(reach.claimed_deadline_ms.unwrap_or(by_lane_ms))
    }

    /// A receiver has it; the others are told when its people have not claimed it in time.
    fn hold(&mut self, key: &Key, receiver: &str, until_ms: u64) {
        let Some(owed) = self.find_mut(key) else { return };
        owed.held_by.insert(receiver.to_owned());
        owed.claim_by_ms = Some(until_ms);
        let unheard = owed.nobody_at_ms.take();
        let is_flying = !owed.attempts.is_empty();
        if let Some(at_ms) = unheard {
            self.nobody.remove(&(at_ms, key.clone()));
        }
        if !is_flying {
            self.set_state(key, State::Waiting { until_ms });
        }
    }

    /// Everybody has accepted it and nobody claims: once more, after a wait. A receiver knows by the reference what it has already.
    fn begin_again(&mut self, key: &Key, now_ms: u64) {
        let Some(owed) = self.find_mut(key) else { return };
        owed.tried.clear();
        owed.held_by.clear();
        let wait_ms = claimed_deadline_ms(owed.notice.lane).unwrap_or(RETRY_MS_MAX);
        self.set_state(key, State::Waiting { until_ms: now_ms.saturating_add(wait_ms) });
    }

    /// A receiver's paths, those not known to be lost first.
    fn ways(&self, receiver: &str) -> Vec<Arc<str>> {
        let Some(reach) = self.reach.get(receiver) else { return vec![Arc::from("")] };
        let of = |lost| reach.paths.iter().filter(move |way| way.lost == lost).map(|way| way.name.clone());
        of(false).chain(of(true)).collect()
    }

    fn last_rung(&self, receiver: &str) -> Rung {
        self.reach.get(receiver).map_or(Rung::Accepted, |reach| reach.last_rung)
    }

    /// When to look again, if nothing happens before.
    pub fn next_due_ms(&self) -> Option<u64> {
        let nobody = self.nobody.first().map(|(at_ms, _)| *at_ms);
        self.waiting.first().map(|(until_ms, _)| *until_ms).into_iter().chain(nobody).min()
    }

    /// Notices not yet accepted or settled.
    #[cfg(any(test, feature = "sim"))]
    pub fn owed_count(&self) -> usize {
        self.references.len()
    }

    fn failed(&mut self, attempt: u64, failure: &Failure, now_ms: u64) {
        let Some((key, receiver, path)) = self.end_attempt(attempt) else {
            return;
        };
        if failure.was_there() {
            self.exclude_same(&key, &receiver, &path);
        }
        let Some(owed) = self.find_mut(&key) else { return };
        owed.refused_by_all &= failure.is_permanent();
        if !owed.attempts.is_empty() {
            // The others are still asked; this one's other path need not wait for them.
            self.more.insert(key);
            return;
        }
        self.next_round_or_receiver(&key, now_ms);
    }

    /// Nothing of it is under way any more: the next in this round, or a wait and the next round.
    fn next_round_or_receiver(&mut self, key: &Key, now_ms: u64) {
        let Some(lane) = self.find(key).map(|owed| owed.notice.lane) else { return };
        if self.routes.of(lane).is_empty() {
            return self.set_state(key, State::Unrouted);
        }
        if let Some(until_ms) = self.find(key).and_then(|owed| owed.claim_by_ms).filter(|by_ms| *by_ms > now_ms) {
            // Somebody has it: the others are asked when its people have not claimed it in time.
            return self.set_state(key, State::Waiting { until_ms });
        }
        if !self.next_targets(key).is_empty() {
            return self.set_state(key, State::Ready);
        }
        let (min_ms, max_ms, refused_ms) = match lane {
            // A path that is back is used within a second while a life alarm waits; who refuses it is left alone longer.
            Lane::Life => (self.pace.hurry_ms(), self.pace.retry_life_ms_max / 3, self.pace.retry_life_ms_max),
            _ => (self.pace.retry_ms_min, self.pace.retry_ms_max, self.pace.retry_ms_max),
        };
        let Some((refused_by_all, before_ms)) = self.find(key).map(|owed| (owed.refused_by_all, owed.wait_ms)) else {
            return;
        };
        let wait_ms = match refused_by_all {
            // Repeating at once what everybody refused helps nobody.
            true => refused_ms,
            false => next_wait_ms(&mut self.dice, before_ms, min_ms, max_ms),
        };
        if let Some(owed) = self.find_mut(key) {
            owed.tried.clear();
            owed.rounds = owed.rounds.saturating_add(1);
            (owed.refused_by_all, owed.wait_ms) = (true, wait_ms);
        }
        self.set_state(key, State::Waiting { until_ms: now_ms.saturating_add(wait_ms) });
    }

    /// A receiver is there again: what waited for its turn need not wait longer.
    fn connected(&mut self, receiver: &str, now_ms: u64) {
        let routed = |ledger: &Self, key: &Key| {
            let lane = ledger.find(key).map(|owed| owed.notice.lane);
            lane.is_some_and(|lane| ledger.routes.of(lane).iter().any(|name| name == receiver))
        };
        let waiting: Vec<Key> = self.waiting.iter().map(|(_, key)| key.clone()).collect();
        for key in waiting {
            if self.find(&key).is_some_and(|owed| owed.waits_for(receiver, now_ms)) && routed(self, &key) {
                self.set_state(&key, State::Ready);
            }
        }
        // What everybody is being told at once need not wait for the slowest of them.
        let flying: BTreeSet<Key> = self.attempts.values().map(|attempt| attempt.key.clone()).collect();
        for key in flying {
            let is_routed = routed(self, &key);
            let is_meant = |owed: &&mut Owed| is_routed && owed.rounds > 0 && owed.waits_for(receiver, now_ms);
            let Some(owed) = self.find_mut(&key).filter(is_meant) else { continue };
            owed.tried.retain(|(name, _)| name != receiver);
            self.more.insert(key);
        }
    }

    fn end_attempt(&mut self, attempt: u64) -> Option<(Key, String, Arc<str>)> {
        let ended = self.attempts.remove(&attempt)?;
        if let Some(count) = self.flying.get_mut(&ended.lane) {
            *count = count.saturating_sub(1);
        }
        if let Some(owed) = self.find_mut(&ended.key) {
            owed.attempts.remove(&attempt);
        }
        Some((ended.key, ended.receiver, ended.path))
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
        let last_rung = self.last_rung(receiver);
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
                    last: *rung >= last_rung,
                    receiver: receiver.to_owned(),
                    path: path.to_owned(),
                    detail: if Some(rung) == rungs.last() { detail.clone() } else { String::new() },
                });
            }
        }
        reports
    }

    fn finish(&mut self, key: &Key) {
        let Some(owed) = self.take_out(key) else { return };
        self.remember(owed.notice.reference.clone(), Past { key: key.clone(), told: owed.told });
    }

    fn remember(&mut self, reference: String, past: Past) {
        self.past.insert(reference.clone(), past);
        self.past_order.push_back(reference);
        if self.past_order.len() > PAST_NOTICES_MAX
            && let Some(oldest) = self.past_order.pop_front()
        {
            self.past.remove(&oldest);
        }
    }

    fn take_out(&mut self, key: &Key) -> Option<Owed> {
        self.unplace(key);
        let alarm = self.alarms.get_mut(&key.0)?;
        let owed = alarm.notices.remove(&key.1)?;
        if alarm.notices.is_empty() {
            self.alarms.remove(&key.0);
        }
        if let Some(count) = self.owed.get_mut(&owed.notice.lane) {
            *count = count.saturating_sub(1);
        }
        if let Some(at_ms) = owed.nobody_at_ms {
            self.nobody.remove(&(at_ms, key.clone()));
        }
        self.references.remove(&owed.notice.reference);
        Some(owed)
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

fn lane_is_full(notice: &Notice) -> Report {
    let lane = notice.lane.as_str();
    unserved(notice, format!("{OWED_PER_LANE_MAX} notices of lane {lane} wait already; the rest wait in the journal"))
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
