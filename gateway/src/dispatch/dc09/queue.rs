//! Orders that wait for their turn on the one connection. Pure.
//!
//! Enters: orders. Leaves: the most urgent one. Invariants: lanes in their order; of life the alarm with the newest event first, of
//! everything else the oldest; within an alarm an earlier notice first; a notice stands here once.

use std::sync::Arc;

use tokio::time::Instant;
use vaka_protocol::{AlarmId, Lane};

use crate::dispatch::Notice;

#[derive(Debug, Clone)]
pub struct Waiting {
    pub attempt: u64,
    pub notice: Arc<Notice>,
    /// When it is given up if it has not been sent.
    pub until: Instant,
    /// Its connection was lost under it already.
    pub again: bool,
}

/// At most as many as the lanes' windows let start at once.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: Vec<Waiting>,
}

impl Queue {
    /// Gives back the one that waited under the same reference.
    pub fn push(&mut self, new: Waiting) -> Option<Waiting> {
        let before = self.take(&new.notice.reference);
        self.waiting.push(new);
        before
    }

    pub fn take(&mut self, reference: &str) -> Option<Waiting> {
        let at = self.waiting.iter().position(|waiting| waiting.notice.reference == reference)?;
        Some(self.waiting.swap_remove(at))
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The next to be sent.
    pub fn pop(&mut self) -> Option<Waiting> {
        let first = self.waiting.iter().min_by_key(|waiting| {
            let Notice { lane, alarm, number, .. } = &*waiting.notice;
            (*lane, self.rank(*lane, alarm), alarm.clone(), *number)
        })?;
        let reference = first.notice.reference.clone();
        self.take(&reference)
    }

    fn rank(&self, lane: Lane, alarm: &AlarmId) -> i64 {
        let of_it = self.waiting.iter().map(|waiting| &waiting.notice).filter(|notice| notice.alarm == *alarm);
        let times = of_it.map(|notice| notice.happened_at);
        if lane == Lane::Life { times.map(i64::saturating_neg).min() } else { times.min() }.unwrap_or(0)
    }

    /// When the first of them is given up.
    pub fn next_due(&self) -> Option<Instant> {
        self.waiting.iter().map(|waiting| waiting.until).min()
    }

    /// Takes out those whose time is over.
    pub fn expired(&mut self, now: Instant) -> Vec<Waiting> {
        self.waiting.extract_if(.., |waiting| now >= waiting.until).collect()
    }

    /// Takes out all.
    pub fn drain(&mut self) -> Vec<Waiting> {
        std::mem::take(&mut self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::dispatch::tests::{AT, notice};

    fn waiting(attempt: u64, alarm: &str, number: u32, lane: Lane, happened_at: i64) -> Waiting {
        let notice = Arc::new(Notice { lane, happened_at, ..notice(alarm, number) });
        Waiting { attempt, notice, until: Instant::now() + Duration::from_millis(attempt), again: false }
    }

    #[tokio::test(start_paused = true)]
    async fn life_goes_first_and_its_newest_alarm_before_all() {
        let mut queue = Queue::default();
        let orders = [
            (1, "test", 1, Lane::Test, AT),
            (2, "care2", 1, Lane::Care, AT),
            (3, "care1", 1, Lane::Care, AT - 9),
            (4, "old", 1, Lane::Life, AT - 900),
            (5, "new", 2, Lane::Life, AT),
            // The press that began it is older than `mid`, but its alarm is the newest, and its first notice comes first.
            (6, "new", 1, Lane::Life, AT - 800),
            (7, "mid", 1, Lane::Life, AT - 400),
        ];
        for (attempt, alarm, number, lane, at) in orders {
            assert!(queue.push(waiting(attempt, alarm, number, lane, at)).is_none());
        }
        let order: Vec<u64> = std::iter::from_fn(|| queue.pop()).map(|w| w.attempt).collect();
        assert_eq!(order, [6, 5, 7, 4, 3, 2, 1]);
        assert!(queue.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_notice_stands_once_and_leaves_when_its_time_is_over() {
        let mut queue = Queue::default();
        queue.push(waiting(1, "a", 1, Lane::Life, AT));
        assert_eq!(queue.push(waiting(5, "a", 1, Lane::Life, AT)).map(|w| w.attempt), Some(1));
        queue.push(waiting(9, "b", 1, Lane::Life, AT));
        let due = queue.next_due().unwrap();
        assert_eq!(queue.expired(due).iter().map(|w| w.attempt).collect::<Vec<_>>(), [5]);
        assert_eq!(queue.drain().len(), 1);
        assert_eq!(queue.next_due(), None);
    }
}
