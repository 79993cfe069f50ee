//! The queue in front of the journal: urgent first, so that no press waits behind telemetry in memory.
//!
//! Bounded by its senders: a connection submits only what it may have in flight.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub struct Inbox<T> {
    queues: Mutex<Queues<T>>,
    filled: Condvar,
}

struct Queues<T> {
    urgent: VecDeque<T>,
    other: VecDeque<T>,
    /// How many the taker gathers; 0: it does not.
    gathers: usize,
}

impl<T> Queues<T> {
    fn len(&self) -> usize {
        self.urgent.len() + self.other.len()
    }

    fn is_gathered(&self) -> bool {
        !self.urgent.is_empty() || self.len() >= self.gathers
    }
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        let queues = Queues { urgent: VecDeque::new(), other: VecDeque::new(), gathers: 0 };
        Self { queues: Mutex::new(queues), filled: Condvar::new() }
    }
}

impl<T> Inbox<T> {
    fn lock(&self) -> MutexGuard<'_, Queues<T>> {
        // A queue is whole after every push and pop, also where a holder panicked.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds items, each urgent or not. Order within each of the two is kept.
    pub fn put(&self, items: impl IntoIterator<Item = (bool, T)>) {
        let mut queues = self.lock();
        let was_empty = queues.len() == 0;
        for (urgent, item) in items {
            if urgent { queues.urgent.push_back(item) } else { queues.other.push_back(item) }
        }
        let wakes = if queues.gathers > 0 { queues.is_gathered() } else { was_empty };
        drop(queues);
        if wakes {
            self.filled.notify_one();
        }
    }

    /// Moves at most `most` items to `into`, urgent first; waits at most `patience` for the first one.
    pub fn take(&self, most: usize, patience: Duration, into: &mut Vec<T>) {
        let mut queues = self.lock();
        if queues.len() == 0 {
            let is_empty = |q: &mut Queues<T>| q.len() == 0;
            queues =
                self.filled.wait_timeout_while(queues, patience, is_empty).unwrap_or_else(PoisonError::into_inner).0;
        }
        let urgent = queues.urgent.len().min(most);
        into.extend(queues.urgent.drain(..urgent));
        let other = queues.other.len().min(most - urgent);
        into.extend(queues.other.drain(..other));
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
}
