//! The queues a notice stands in while it is owed. Invariant: its state and its place always agree.

use vaka_protocol::AlarmId;

use super::{Key, Ledger, State};

impl Ledger {
    pub(super) fn rank_again(&mut self, alarm: &AlarmId, rank: i64) {
        let Some(entry) = self.alarms.get_mut(alarm) else {
            return;
        };
        let before = std::mem::replace(&mut entry.rank, rank);
        for (number, owed) in &entry.notices {
            for places in [&mut self.ready, &mut self.queued] {
                if let Some(places) = places.get_mut(&owed.notice.lane)
                    && places.remove(&(before, alarm.clone(), *number))
                {
                    places.insert((rank, alarm.clone(), *number));
                }
            }
        }
    }

    pub(super) fn set_state(&mut self, key: &Key, state: State) {
        self.unplace(key);
        let Some(alarm) = self.alarms.get_mut(&key.0) else {
            return;
        };
        let Some(owed) = alarm.notices.get_mut(&key.1) else {
            return;
        };
        owed.state = state;
        if matches!(state, State::Ready | State::Waiting { .. }) {
            self.queued.entry(owed.notice.lane).or_default().insert((alarm.rank, key.0.clone(), key.1));
        }
        match state {
            State::Ready => {
                self.ready.entry(owed.notice.lane).or_default().insert((alarm.rank, key.0.clone(), key.1));
            }
            State::Waiting { until_ms } => {
                self.waiting.insert((until_ms, key.clone()));
            }
            State::Flying | State::Unrouted => {}
        }
    }

    /// Takes a notice out of the queue it stands in.
    pub(super) fn unplace(&mut self, key: &Key) {
        let Some(alarm) = self.alarms.get(&key.0) else {
            return;
        };
        let Some(owed) = alarm.notices.get(&key.1) else {
            return;
        };
        if let Some(queued) = self.queued.get_mut(&owed.notice.lane) {
            queued.remove(&(alarm.rank, key.0.clone(), key.1));
        }
        match owed.state {
            State::Ready => {
                if let Some(ready) = self.ready.get_mut(&owed.notice.lane) {
                    ready.remove(&(alarm.rank, key.0.clone(), key.1));
                }
            }
            State::Waiting { until_ms } => {
                self.waiting.remove(&(until_ms, key.clone()));
            }
            State::Flying | State::Unrouted => {}
        }
    }
}
