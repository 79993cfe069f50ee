//! Retention by class: keys of periods are begun, and destroyed when the agreed days are over.
//!
//! Enters: the agreed days, the clock, which alarms are open. Leaves: periods in the file of keys; a record of what goes, then a fold that stands
//! under a new key, then the period's key and those of earlier folds gone, in one write. A crash in between leaves records that are still
//! readable, and the next pass begins anew: the same destroyed twice is harmless.
//! Invariants: only a clock that a time source vouches for, and that has gone evenly for [`CLOCK_STEADY_MS`], makes anything go; nothing goes as
//! long as an alarm is open that may rest on it; at most one period of a class in each pass.
//! Absent: files, keys' bytes.

use tracing::{error, info};
use vaka_protocol::Lane;
use vaka_seal::KeyError;
use vaka_seal::periods::Period;

use super::class::{Class, Days};
use super::erasing::Unfinished;
use super::fold::State;
use super::follow::Touched;
use super::keeper::Keeper;
use super::restore::Restored;
use crate::clock::{Confidence, Now};
use crate::journal::record::{Aged, AgedPeriod, Record};
use crate::limits::{AGEING_PASS_MS, CLOCK_EVEN_MS, CLOCK_STEADY_MS, PERIOD_DAYS_MAX};
use crate::rules::alarms::Alarm;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// What passes remember; a restart forgets it, and waits anew.
#[derive(Debug, Default)]
pub(super) struct Ageing {
    /// Running and wall clock at the last look.
    last: Option<(u64, i64)>,
    /// Since when both have gone evenly, by the running clock.
    steady_since_ms: Option<u64>,
    passed_at_ms: Option<u64>,
    /// When what could not be done with keys was tried again.
    retried_at_ms: Option<u64>,
    /// Latest wall time that was gone by, UTC milliseconds: a period never ends before it, so that one who set the clock back makes nothing go
    /// early. What records say is not asked: one from a wrong year would make periods without end.
    newest_ms: i64,
    /// Why what is over is still readable; empty: it is not.
    pub trouble: String,
    /// Why there are no keys for times that are agreed; empty: there are.
    pub not_begun: String,
}

impl Ageing {
    /// True: the clock may be gone by.
    fn look(&mut self, now: Now, is_vouched: bool) -> bool {
        let is_even = self.last.is_some_and(|(mono_ms, wall_ms)| {
            let ran_ms = i64::try_from(now.mono_ms.saturating_sub(mono_ms)).unwrap_or(i64::MAX);
            now.wall_ms.saturating_sub(wall_ms).abs_diff(ran_ms) <= CLOCK_EVEN_MS
        });
        self.last = Some((now.mono_ms, now.wall_ms));
        self.steady_since_ms = match self.steady_since_ms {
            _ if !is_vouched => None,
            Some(since_ms) if is_even => Some(since_ms),
            _ => Some(now.mono_ms),
        };
        self.steady_since_ms.is_some_and(|since_ms| now.mono_ms.saturating_sub(since_ms) >= CLOCK_STEADY_MS)
    }
}

/// How long one key is written with, in days: a tenth of the agreed ones. So a record goes at latest that much after its time.
pub fn period_days(days: u32) -> u32 {
    (days / 10).clamp(1, PERIOD_DAYS_MAX)
}

/// When what stands in a closed period goes, UTC milliseconds: what was agreed when it was written, or less where less is agreed now.
/// `None`: it is written to, or gone.
pub fn due_ms(period: &Period, kept: &Days) -> Option<i64> {
    let until_ms = period.until_ms.filter(|_| !period.is_gone())?;
    let agreed = kept.iter().find(|(class, _)| class.as_str() == period.class).map(|(_, days)| *days);
    let days = agreed.map_or(period.days, |agreed| agreed.min(period.days));
    Some(until_ms.saturating_add(i64::from(days).saturating_mul(DAY_MS)))
}

/// The oldest open alarm because of which a class's records up to `until_ms` (UTC) stay. One of life or care may need whatever was recorded, by
/// whatever clock, so it holds all; one of equipment, which may stay open for months, holds its own lane from the day before it. At a hub
/// something is always open somewhere: what a home has told holds from the day before it, and the home itself holds all.
pub fn held_by<'a>(state: &'a State, class: &str, until_ms: i64) -> Option<&'a Alarm> {
    let holds = |alarm: &&Alarm| {
        let is_of_somebody = matches!(alarm.raise.lane, Lane::Life | Lane::Care);
        let since_ms = alarm.raised_at.min(alarm.raise.happened_at).saturating_sub(DAY_MS);
        let holds_all = is_of_somebody && alarm.raise.home.is_none();
        holds_all || (is_of_somebody || alarm.raise.lane.as_str() == class) && until_ms > since_ms
    };
    state.alarms.open().filter(holds).min_by_key(|alarm| alarm.raised_at)
}

impl Keeper {
    /// Periods as agreed: those that are missing are begun at once, others change by a clock that can be gone by.
    pub(super) fn begin_periods(&mut self, is_sure: bool) {
        self.ageing.not_begun = match self.try_begin_periods(is_sure) {
            Ok(()) => String::new(),
            Err(e) => {
                error!("making keys for retention times: {e}; what is recorded goes on under the keys that there are");
                format!("retention times: {e}")
            }
        };
    }

    fn try_begin_periods(&mut self, is_sure: bool) -> Result<(), KeyError> {
        let now_ms = self.clock.now().wall_ms;
        let until_ms = self.ageing.newest_ms.max(now_ms);
        let kept = &self.labels.kept;
        let Some(ring) = self.restored.journal.ring() else { return Ok(()) };
        let mut begun = Vec::new();
        for class in Class::ALL {
            let (name, days) = (class.as_str(), kept.get(&class).copied());
            let current = ring.periods().values().find(|period| period.class == name && period.until_ms.is_none());
            let is_due = |period: &Period| {
                let age_ms = now_ms.saturating_sub(period.from_ms);
                // Begun by a clock that ran ahead: from here on it is right.
                days != Some(period.days) || age_ms >= i64::from(period_days(period.days)) * DAY_MS || age_ms < -DAY_MS
            };
            match current {
                None if days.is_none() => {}
                Some(period) if !is_sure || !is_due(period) => {}
                _ => begun.push((name, days)),
            }
        }
        if begun.is_empty() {
            return Ok(());
        }
        ring.begin_periods(&begun, now_ms, until_ms)
    }

    /// Between batches: what is due.
    pub(super) fn age(&mut self) {
        let now = self.clock.now();
        let is_early = |since: Option<u64>, pause_ms| since.is_some_and(|at| now.mono_ms.saturating_sub(at) < pause_ms);
        if is_early(self.ageing.last.map(|(mono_ms, _)| mono_ms), CLOCK_EVEN_MS) {
            return;
        }
        let is_sure = self.ageing.look(now, now.confidence == Confidence::Synchronised);
        if !is_early(self.ageing.retried_at_ms, AGEING_PASS_MS) {
            self.ageing.retried_at_ms = Some(now.mono_ms);
            self.retry_keys();
        }
        if !is_sure || is_early(self.ageing.passed_at_ms, AGEING_PASS_MS) {
            return;
        }
        self.ageing.passed_at_ms = Some(now.mono_ms);
        self.ageing.newest_ms = self.ageing.newest_ms.max(now.wall_ms);
        self.ageing.trouble.clear();
        self.begin_periods(true);
        if let Err(e) = self.let_go(now.wall_ms) {
            error!("letting go of what has been kept for its days: {e}; tried again within the hour");
            self.ageing.trouble = format!("what has been kept for its days is still readable: {e}");
        }
    }

    fn let_go(&mut self, now_ms: i64) -> Result<(), Unfinished> {
        let kept = self.labels.kept.clone();
        let Restored { journal, state, .. } = &mut self.restored;
        let Some(ring) = journal.ring() else { return Ok(()) };
        let mut periods: Vec<AgedPeriod> = Vec::new();
        for (number, period) in ring.periods() {
            let (Some(until_ms), Some(due_ms)) = (period.until_ms, due_ms(period, &kept)) else { continue };
            if due_ms > now_ms
                || held_by(state, &period.class, until_ms).is_some()
                || periods.iter().any(|other| other.class == period.class)
            {
                continue;
            }
            let (class, from_ms) = (period.class.clone(), period.from_ms);
            periods.push(AgedPeriod { number: *number, class, days: period.days, from_ms, until_ms });
        }
        if periods.is_empty() {
            return Ok(());
        }
        let numbers: Vec<u32> = periods.iter().map(|period| period.number).collect();
        let header = self.append(Record::Aged(Aged { periods: periods.clone() }), Lane::Technical);
        // Pages and their rows are made anew.
        self.touched = Touched::anew();
        self.commit();
        // A commit that failed was said, and nothing goes.
        if !matches!(self.restored.journal.read(header.seq), Ok(Some(entry)) if entry.header.kind == header.kind) {
            return Ok(());
        }
        self.destroy(|ring| ring.shred_periods(&numbers))?;
        for period in &periods {
            info!("records of {} were kept {} days and are gone: key {}", period.class, period.days, period.number);
        }
        Ok(())
    }
}

impl State {
    /// What is remembered of records whose time is over goes too. Of open alarms nothing does: their class is held.
    pub(super) fn age(&mut self, aged: &Aged) {
        for AgedPeriod { class, until_ms, .. } in &aged.periods {
            self.alarms.age(class, *until_ms);
            self.care.age(class, *until_ms);
        }
    }
}
