//! What an operator's monitoring sees of the gateway: counts, ages and times, in Prometheus' text format.
//!
//! Enters: figures of the keeper and of what stands around it (`pipeline/measures`). Leaves: `/metrics` and `/healthz` over plain HTTP,
//! where `[metrics]` says so. Invariants: every name stands in [`families::ALL`], and so in `deploy/METRICS.md`; a label is never a
//! device, a resident, a room or an alarm, and takes only words of this program or names of the config's receivers; nobody waits for a
//! scrape. Absent: pushing to anywhere, traces, authorization (it listens on loopback unless a person says otherwise).

pub mod families;
pub mod histogram;
pub mod page;
pub mod process;
pub mod server;

pub use families::Family;
pub use histogram::Histogram;
pub use page::Page;

use std::collections::BTreeMap;
use std::time::Duration;

use vaka_protocol::{Lane, Rung};

/// What the keeper counts while it runs. From nothing at each start, as Prometheus expects of a counter.
#[derive(Debug, Clone, Default)]
pub struct Meters {
    commits: Histogram,
    commits_failed: u64,
    records: u64,
    stored: BTreeMap<Lane, u64>,
    /// Of the batch that is not committed yet.
    waiting: Vec<Lane>,
    repeated: u64,
    quarantined: u64,
    refused: BTreeMap<(Lane, &'static str), u64>,
    rungs: BTreeMap<(Lane, Rung), Histogram>,
}

impl Meters {
    /// A commit of so many records has returned after `took`.
    pub fn committed(&mut self, records: usize, took: Duration) {
        self.commits.observe(families::COMMIT_BOUNDS_S, took.as_secs_f64());
        self.records += records as u64;
        for lane in self.waiting.drain(..) {
            *self.stored.entry(lane).or_default() += 1;
        }
    }

    pub fn commit_failed(&mut self) {
        self.commits_failed += 1;
        self.waiting.clear();
    }

    /// An event of `lane` is stored if the next commit is.
    pub fn stores(&mut self, lane: Lane) {
        self.waiting.push(lane);
    }

    /// A device sent again what is stored already.
    pub fn repeated(&mut self) {
        self.repeated += 1;
    }

    pub fn quarantined(&mut self) {
        self.quarantined += 1;
    }

    /// `why`: one of [`families::REFUSALS`].
    pub fn refused(&mut self, lane: Lane, why: &'static str) {
        *self.refused.entry((lane, why)).or_default() += 1;
    }

    /// An alarm of `lane` came to `rung`, `after_ms` milliseconds of wall time after it was stored: below zero where the clock was set.
    pub fn climbed(&mut self, lane: Lane, rung: Rung, after_ms: i64) {
        let seconds = after_ms.max(0) as f64 / 1_000.0;
        self.rungs.entry((lane, rung)).or_default().observe(families::RUNG_BOUNDS_S, seconds);
    }

    pub fn show(&self, page: &mut Page) {
        page.histogram(&families::COMMIT_SECONDS, &[], families::COMMIT_BOUNDS_S, &self.commits);
        page.put(&families::COMMITS_FAILED, &[], self.commits_failed as f64);
        page.put(&families::RECORDS, &[], self.records as f64);
        page.put(&families::EVENTS_REPEATED, &[], self.repeated as f64);
        page.put(&families::EVENTS_QUARANTINED, &[], self.quarantined as f64);
        for lane in Lane::ALL.iter().copied() {
            let of = |counts: &BTreeMap<Lane, u64>| counts.get(&lane).copied().unwrap_or_default() as f64;
            page.put(&families::EVENTS, &[lane.as_str()], of(&self.stored));
            for why in families::REFUSALS {
                let count = self.refused.get(&(lane, why)).copied().unwrap_or_default();
                page.put(&families::EVENTS_REFUSED, &[lane.as_str(), why], count as f64);
            }
            for rung in Rung::ALL.iter().copied().filter(|rung| *rung > Rung::Stored && lane != Lane::Telemetry) {
                let none = Histogram::default();
                let seen = self.rungs.get(&(lane, rung)).unwrap_or(&none);
                page.histogram(&families::RUNG_SECONDS, &[lane.as_str(), rung.as_str()], families::RUNG_BOUNDS_S, seen);
            }
        }
    }
}
