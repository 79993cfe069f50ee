//! The rows of all alarms at hand, kept beside the keeper: a page that reads them costs the journal nothing.
//!
//! Enters: what each commit has touched. Leaves: rows, shared with whoever shows them. Invariants: the rows are as the newest commit has
//! left them; what nobody reads is forgotten, and made anew by the keeper for the next who asks.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vaka_board::gateway::Alarm;
use vaka_protocol::Lane;

use super::rows;
use crate::pipeline::keeper::Keeper;

/// Commits that touch alarms and that nobody reads the rows between. Beyond: they are forgotten; making them again takes the keeper some
/// 20 ms for 5,000 alarms. Source: our choice: a hub whose board nobody looks at keeps no row twice.
const UNREAD_MAX: usize = 256;

/// Rows, or none.
#[derive(Default)]
pub struct Kept(Mutex<Option<Rows>>);

struct Rows {
    /// In the order of [`order`].
    open: Arc<Vec<Arc<Alarm>>>,
    /// The one that was closed last is first.
    closed: Arc<Vec<Arc<Alarm>>>,
    unread: usize,
}

/// Most urgent lane first, newest first within it. Neither changes in an alarm's life, so its place is found by it.
fn order(alarm: &Alarm) -> (Lane, Reverse<i64>, &str) {
    (alarm.lane, Reverse(alarm.raised_at), &alarm.id)
}

impl Kept {
    fn rows(&self) -> MutexGuard<'_, Option<Rows>> {
        // Rows are put back whole or not at all.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Open ones, and with `all` the closed ones after them; `None`: the keeper has to make them.
    pub fn read(&self, all: bool) -> Option<Vec<Arc<Alarm>>> {
        let (open, closed) = {
            let mut rows = self.rows();
            let rows = rows.as_mut()?;
            rows.unread = 0;
            (Arc::clone(&rows.open), Arc::clone(&rows.closed))
        };
        let closed = if all { closed.as_slice() } else { &[] };
        Some(open.iter().chain(closed).cloned().collect())
    }

    /// The same, made here where there are none. On the keeper's thread, so that no commit falls between.
    pub fn make(&self, keeper: &Keeper, all: bool) -> Vec<Arc<Alarm>> {
        if let Some(rows) = self.read(all) {
            return rows;
        }
        let (alarms, labels, agreed) = (&keeper.state().alarms, keeper.labels(), keeper.agreed());
        let row = |alarm| Arc::new(rows::alarm(alarm, labels, agreed));
        let mut open: Vec<_> = alarms.open().map(row).collect();
        open.sort_unstable_by(|a, b| order(a).cmp(&order(b)));
        let closed = alarms.closed().rev().map(row).collect();
        *self.rows() = Some(Rows { open: Arc::new(open), closed: Arc::new(closed), unread: 0 });
        self.read(all).unwrap_or_default()
    }

    /// All may be otherwise.
    pub fn forget(&self) {
        *self.rows() = None;
    }

    /// These rows are so now. On the keeper's thread, after their commit.
    pub fn put(&self, keeper: &Keeper, fresh: &[Arc<Alarm>]) {
        let mut kept = self.rows();
        let Some(rows) = kept.as_mut() else { return };
        rows.unread += 1;
        if rows.unread > UNREAD_MAX {
            *kept = None;
            return;
        }
        // Whoever reads just now keeps what they have.
        let open = Arc::make_mut(&mut rows.open);
        for row in fresh {
            match (open.binary_search_by(|there| order(there).cmp(&order(row))), &row.closed_by) {
                (Ok(at), None) => open[at] = Arc::clone(row),
                (Ok(at), Some(_)) => drop(open.remove(at)),
                (Err(at), None) => open.insert(at, Arc::clone(row)),
                (Err(_), Some(_)) => {}
            }
        }
        if fresh.iter().any(|row| row.closed_by.is_some()) {
            let by_id: BTreeMap<&str, &Arc<Alarm>> =
                rows.closed.iter().chain(fresh).map(|row| (row.id.as_str(), row)).collect();
            let closed = keeper.state().alarms.closed().rev();
            let closed = closed.filter_map(|alarm| by_id.get(alarm.id().as_str()).map(|row| Arc::clone(row)));
            rows.closed = Arc::new(closed.collect());
        }
    }
}
