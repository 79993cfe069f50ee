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

struct Queues<T> {
    by_rank: [VecDeque<T>; RANKS],
    /// How many the taker gathers; 0: it does not.
    gathers: usize,
}

impl<T> Queues<T> {
    fn len(&self) -> usize {
        self.by_rank.iter().map(VecDeque::len).sum()
    }

    fn is_gathered(&self) -> bool {
        !self.by_rank[Rank::Urgent as usize].is_empty() || self.len() >= self.gathers
    }
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        let queues = Queues { by_rank: std::array::from_fn(|_| VecDeque::new()), gathers: 0 };
        Self { queues: Mutex::new(queues), filled: Condvar::new() }
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
            queues.by_rank[rank.into() as usize].push_back(item);
        }
        let wakes = if queues.gathers > 0 { queues.is_gathered() } else { was_empty };
        drop(queues);
        if wakes {
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
        for queue in &mut queues.by_rank {
            let taken = queue.len().min(left);
            into.extend(queue.drain(..taken));
            left -= taken;
        }
    }

    /// Waits at most `patience` until `enough` items are there, or one that is urgent. Takes none.
    pub fn gather(&self, enough: usize, patience: Duration) {
        let mut queues = self.lock();
        queues.gathers = enough;
        let lacks = |q: &mut Queues<T>| !q.is_gathered();
        queues = self.filled.wait_timeout_while(queues, patience, lacks).unwrap_or_else(PoisonError::into_inner).0;
        queues.gathers = 0;
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

    /// Longer than any test lives: what is not woken shows.
    const FOR_EVER: Duration = Duration::from_secs(3_600);

    #[test]
    fn company_is_waited_for_until_it_is_there_and_a_press_ends_the_wait() {
        let inbox = Inbox::default();
        std::thread::scope(|scope| {
            inbox.put([(false, 1)]);
            let gathering = scope.spawn(|| inbox.gather(3, FOR_EVER));
            inbox.put([(false, 2)]);
            inbox.put([(false, 3)]);
            gathering.join().expect("woken by the third");
            let gathering = scope.spawn(|| inbox.gather(9, FOR_EVER));
            inbox.put([(true, 4)]);
            gathering.join().expect("woken by the press");
        });
        inbox.gather(4, FOR_EVER);
        let mut taken = Vec::new();
        inbox.take(9, FOR_EVER, &mut taken);
        assert_eq!(taken, [4, 1, 2, 3]);
    }

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
