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
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        let queues = Queues { urgent: VecDeque::new(), other: VecDeque::new() };
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
        let was_empty = queues.urgent.is_empty() && queues.other.is_empty();
        for (urgent, item) in items {
            if urgent { queues.urgent.push_back(item) } else { queues.other.push_back(item) }
        }
        drop(queues);
        if was_empty {
            self.filled.notify_one();
        }
    }

    /// Moves at most `most` items to `into`, urgent first; waits at most `patience` for the first one.
    pub fn take(&self, most: usize, patience: Duration, into: &mut Vec<T>) {
        let mut queues = self.lock();
        if queues.urgent.is_empty() && queues.other.is_empty() {
            let is_empty = |q: &mut Queues<T>| q.urgent.is_empty() && q.other.is_empty();
            queues =
                self.filled.wait_timeout_while(queues, patience, is_empty).unwrap_or_else(PoisonError::into_inner).0;
        }
        let urgent = queues.urgent.len().min(most);
        into.extend(queues.urgent.drain(..urgent));
        let other = queues.other.len().min(most - urgent);
        into.extend(queues.other.drain(..other));
    }

    pub fn len(&self) -> usize {
        let queues = self.lock();
        queues.urgent.len() + queues.other.len()
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
}
