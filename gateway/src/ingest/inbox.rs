//! The queue in front of the journal: lane by lane, so that no press waits behind telemetry in memory,
//! nor a wet bed behind a flood of motion.
//!
//! Bounded by its senders: a connection submits only what it may have in flight.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Where in the queue something waits: all of the first go before any of the next. The last may wait for as long as others come,
/// which is bounded: a connection reads nothing while its publishes wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    Urgent,
    Soon,
    Usual,
    Last,
}

const RANKS: usize = 4;

impl From<bool> for Rank {
    fn from(is_urgent: bool) -> Self {
        if is_urgent { Rank::Urgent } else { Rank::Last }
    }
}

pub struct Inbox<T> {
    queues: Mutex<Queues<T>>,
    filled: Condvar,
}

struct Queues<T>([VecDeque<T>; RANKS]);

impl<T> Queues<T> {
    fn len(&self) -> usize {
        self.0.iter().map(VecDeque::len).sum()
    }
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        Self { queues: Mutex::new(Queues(std::array::from_fn(|_| VecDeque::new()))), filled: Condvar::new() }
    }
}

impl<T> Inbox<T> {
    fn lock(&self) -> MutexGuard<'_, Queues<T>> {
        // A queue is whole after every push and pop, also where a holder panicked.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds items, each with its rank or whether it is urgent. Order within each rank is kept.
    pub fn put<R: Into<Rank>>(&self, items: impl IntoIterator<Item = (R, T)>) {
        let mut queues = self.lock();
        let was_empty = queues.len() == 0;
        for (rank, item) in items {
            queues.0[rank.into() as usize].push_back(item);
        }
        drop(queues);
        if was_empty {
            self.filled.notify_one();
        }
    }

    /// Moves at most `most` items to `into`, by rank; waits at most `patience` for the first one.
    pub fn take(&self, most: usize, patience: Duration, into: &mut Vec<T>) {
        let mut queues = self.lock();
        if queues.len() == 0 {
            let is_empty = |queues: &mut Queues<T>| queues.len() == 0;
            queues =
                self.filled.wait_timeout_while(queues, patience, is_empty).unwrap_or_else(PoisonError::into_inner).0;
        }
        let mut left = most;
        for queue in &mut queues.0 {
            let taken = queue.len().min(left);
            into.extend(queue.drain(..taken));
            left -= taken;
        }
    }

    pub fn len(&self) -> usize {
        self.lock().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urgent_goes_first_and_each_keeps_its_order() {
        let inbox = Inbox::default();
        inbox.put([(false, 1), (true, 2), (false, 3), (true, 4)]);
        let mut taken = Vec::new();
        inbox.take(3, Duration::ZERO, &mut taken);
        assert_eq!(taken, [2, 4, 1]);
        inbox.take(3, Duration::ZERO, &mut taken);
        assert_eq!(taken, [2, 4, 1, 3]);
        assert!(inbox.is_empty());
    }

    #[test]
    fn no_lane_waits_behind_a_less_urgent_one() {
        let inbox = Inbox::default();
        // As many connections as there may be, each with all it may have in flight.
        inbox.put((0..100_000).map(|n| (Rank::Last, n)));
        inbox.put([(Rank::Usual, -1), (Rank::Soon, -2), (Rank::Urgent, -3), (Rank::Soon, -4)]);
        let mut taken = Vec::new();
        inbox.take(6, Duration::ZERO, &mut taken);
        assert_eq!(taken, [-3, -2, -4, -1, 0, 1]);
    }
}
