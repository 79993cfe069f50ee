//! Orders that wait for a place. Pure: the moment comes in as an argument.
//!
//! Invariants: life goes before everything, the newest first; the other lanes in their order, the oldest first; who waits longer
//! than its deadline is handed back.

use std::collections::BTreeMap;

use tokio::time::Instant;
use vaka_protocol::Lane;

use super::Errand;

/// Orders that wait for a place, most urgent first.
#[derive(Debug, Default)]
pub(super) struct Queue(BTreeMap<((Lane, i64, u32), u64), Errand>);

impl Queue {
    pub fn put(&mut self, errand: Errand) {
        self.0.insert((errand.notice.turn(), errand.attempt), errand);
    }

    /// The most urgent, if `free` places of which `for_life` are kept for life let it go.
    pub fn take(&mut self, free: usize, for_life: usize) -> Option<Errand> {
        let first = self.0.first_entry()?;
        let kept = if first.key().0.0 == Lane::Life { 0 } else { for_life };
        (free > kept).then(|| first.remove())
    }

    pub fn overdue(&mut self, now: Instant) -> Vec<Errand> {
        let late = self.0.iter().filter(|(_, errand)| now >= errand.received_by).map(|(key, _)| *key);
        let late: Vec<_> = late.collect();
        late.iter().filter_map(|key| self.0.remove(key)).collect()
    }

    pub fn first_deadline(&self) -> Option<Instant> {
        self.0.values().map(|errand| errand.received_by).min()
    }

    /// Everything that waits, handed back.
    pub fn empty(&mut self) -> impl Iterator<Item = Errand> + use<> {
        std::mem::take(&mut self.0).into_values()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::super::Notice;
    use super::super::super::tests::notice;
    use super::*;

    fn errand(attempt: u64, lane: Lane, happened_at: i64, received_by: Instant) -> Errand {
        let notice = Arc::new(Notice { lane, happened_at, alarm_at: happened_at, ..notice("a1", 1) });
        Errand { attempt, notice, received_by, accepted_by: received_by }
    }

    #[tokio::test(start_paused = true)]
    async fn life_goes_first_and_its_newest_before_all_else_in_order() {
        let (mut queue, by) = (Queue::default(), Instant::now());
        for (attempt, lane, at) in [
            (1, Lane::Test, 1),
            (2, Lane::Care, 9),
            (3, Lane::Care, 5),
            (4, Lane::Life, 5),
            (5, Lane::Life, 9),
            (6, Lane::Life, 9),
        ] {
            queue.put(errand(attempt, lane, at, by));
        }
        let mut order = Vec::new();
        while let Some(errand) = queue.take(2, 1) {
            order.push(errand.attempt);
        }
        assert_eq!(order, [5, 6, 4, 3, 2, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_place_is_for_life_and_waiting_ends_by_the_deadline() {
        let now = Instant::now();
        let (mut queue, soon) = (Queue::default(), now + Duration::from_secs(5));
        queue.put(errand(1, Lane::Care, 1, soon));
        queue.put(errand(2, Lane::Care, 2, soon + Duration::from_secs(1)));
        assert!(queue.take(1, 1).is_none());
        assert_eq!(queue.first_deadline(), Some(soon));
        assert!(queue.overdue(now).is_empty());
        assert_eq!(queue.overdue(soon).iter().map(|errand| errand.attempt).collect::<Vec<_>>(), [1]);
        queue.put(errand(3, Lane::Life, 1, soon));
        assert_eq!(queue.take(1, 1).map(|errand| errand.attempt), Some(3));
        assert!(queue.take(0, 0).is_none());
    }
}
