//! What the journal keeps: by kind and lane, since when, and when it will go.
//!
//! Enters: a journal's folder, its budget, the agreed days, the moment. Leaves: sums. Two bounds: the journal's size, above which whole segments go,
//! the oldest first, whatever stands in them, after what is still open was carried over; and the days of a class, after which its keys go. A date
//! by the first is an estimate from the pace of the last days, one by the second is when it is due at the latest.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use serde::Serialize;
use vaka_protocol::Lane;
use vaka_seal::Ring;
use vaka_seal::periods::Period;

use crate::journal::format::RECORD_HEADER_BYTES;
use crate::journal::record::Kind;
use crate::journal::{ReadError, reader};
use crate::pipeline::class::{Class, Days};
use crate::pipeline::fold::State;
use crate::pipeline::{ageing, restore};
use crate::takeout;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// Days over which the pace is measured, or as many as there are. Source: our choice; a month has its weekends.
pub const PACE_DAYS: i64 = 30;

/// Tenths of the budget above which segments go, and down to which: as [`crate::pipeline::restore`] does it.
pub const ABOVE_TENTHS: u64 = 8;
pub const DOWN_TO_TENTHS: u64 = 7;

/// Records of one kind and lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    pub kind: String,
    pub lane: &'static str,
    pub records: u64,
    pub bytes: u64,
    /// UTC milliseconds.
    pub oldest_at: i64,
    pub newest_at: i64,
}

/// What is kept, and how long that goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    pub rows: Vec<Row>,
    pub bytes: u64,
    pub size_max_bytes: u64,
    /// Of the last [`PACE_DAYS`]; absent while there is less than a day.
    pub bytes_per_day: Option<u64>,
    /// About when the oldest records go, UTC milliseconds.
    pub goes_at: Option<i64>,
    /// About how many days are kept from then on.
    pub days_kept: Option<u64>,
    /// What has days of its own, or had.
    pub classes: Vec<Agreed>,
    /// Records whose days are over and that nobody can read.
    pub aged: u64,
    /// Why days that are agreed are not held; empty: they are.
    pub not_held: String,
}

/// The days of one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Agreed {
    pub class: String,
    /// In vaka.toml; absent: no more, what was written under them keeps them.
    pub days: Option<u32>,
    /// When the oldest that is readable was written, UTC milliseconds: of its period's beginning.
    pub oldest_at: Option<i64>,
    /// When its next period goes, UTC milliseconds; absent: the first is written to.
    pub next_at: Option<i64>,
    /// Periods that are gone, and when the newest of them was last written to.
    pub gone_periods: u64,
    pub gone_until: Option<i64>,
    /// The alarm because of which nothing goes as long as it is open: its id.
    pub held_by: Option<String>,
}

/// Counts the journal in `dir`, whose budget is `size_max_bytes`. `now_ms`: UTC milliseconds.
///
/// # Errors
/// Where the folder cannot be read.
pub fn read(dir: &Path, size_max_bytes: u64, agreed: &Days, now_ms: i64) -> Result<Kept, ReadError> {
    let mut aged = 0;
    let mut sums: BTreeMap<(u8, u8), Row> = BTreeMap::new();
    let (mut bytes, mut lately, mut oldest, since) = (0, 0, i64::MAX, now_ms - PACE_DAYS * DAY_MS);
    reader::scan(dir, 0, |entry| {
        aged += u64::from(entry.header.kind == Kind::Gone as u8 && !entry.body.is_empty());
        let (header, length) = (entry.header, (RECORD_HEADER_BYTES + entry.body.len()) as u64);
        let row = sums.entry((header.kind, header.lane)).or_insert_with(|| Row {
            kind: kind(header.kind),
            lane: Lane::from_u8(header.lane).map_or("unknown", Lane::as_str),
            records: 0,
            bytes: 0,
            oldest_at: header.wall_ms,
            newest_at: header.wall_ms,
        });
        row.records += 1;
        row.bytes += length;
        row.oldest_at = row.oldest_at.min(header.wall_ms);
        row.newest_at = row.newest_at.max(header.wall_ms);
        bytes += length;
        oldest = oldest.min(header.wall_ms);
        if header.wall_ms >= since {
            lately += length;
        }
        ControlFlow::Continue(())
    })?;
    let span_ms = now_ms.saturating_sub(oldest.max(since));
    let bytes_per_day =
        (span_ms >= DAY_MS).then(|| u128::from(lately) * DAY_MS as u128 / span_ms.unsigned_abs() as u128);
    let bytes_per_day = bytes_per_day.and_then(|pace| u64::try_from(pace).ok()).filter(|pace| *pace > 0);
    let (above, down_to) = (size_max_bytes / 10 * ABOVE_TENTHS, size_max_bytes / 10 * DOWN_TO_TENTHS);
    let days = |bytes: u64, pace: u64| bytes / pace;
    let goes_at = bytes_per_day.map(|pace| {
        let left = i64::try_from(days(above.saturating_sub(bytes), pace)).unwrap_or(i64::MAX / DAY_MS);
        now_ms.saturating_add(left.saturating_mul(DAY_MS))
    });
    let days_kept = bytes_per_day.map(|pace| days(down_to, pace));
    let ring = Ring::load(dir)?;
    let state = restore::read_only(dir)?;
    let classes = ring.as_ref().map(|ring| classes(ring.periods(), agreed, &state)).unwrap_or_default();
    let not_held = match &ring {
        _ if agreed.is_empty() => "",
        None => {
            "this journal is not sealed, and the days in [retention] are not held: stop the gateway, `vaka journal seal`"
        }
        Some(_) if agreed.keys().any(|class| !classes.iter().any(|known| known.class == class.as_str())) => {
            "the gateway has not started with the days in [retention] yet: reload or restart it"
        }
        Some(_) => "",
    };
    let (rows, not_held) = (sums.into_values().collect(), not_held.to_owned());
    Ok(Kept { rows, bytes, size_max_bytes, bytes_per_day, goes_at, days_kept, classes, aged, not_held })
}

fn classes(periods: &BTreeMap<u32, Period>, agreed: &Days, state: &State) -> Vec<Agreed> {
    let of = |class: &Class| {
        let all: Vec<&Period> = periods.values().filter(|period| period.class == class.as_str()).collect();
        let gone = all.iter().filter(|period| period.is_gone());
        let next = all.iter().filter(|period| !period.is_gone()).filter_map(|period| period.until_ms).min();
        (!all.is_empty()).then(|| Agreed {
            class: class.as_str().to_owned(),
            days: agreed.get(class).copied(),
            oldest_at: all.iter().filter(|period| !period.is_gone()).map(|period| period.from_ms).min(),
            next_at: all.iter().filter_map(|period| ageing::due_ms(period, agreed)).min(),
            gone_periods: gone.clone().count() as u64,
            gone_until: gone.filter_map(|period| period.until_ms).max(),
            held_by: next
                .and_then(|until_ms| ageing::held_by(state, class.as_str(), until_ms))
                .map(|alarm| alarm.id().to_string()),
        })
    };
    Class::ALL.iter().filter_map(of).collect()
}

fn kind(code: u8) -> String {
    takeout::KINDS.iter().find(|kind| kind.code == code).map_or_else(|| format!("kind {code}"), |kind| kind.name.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Journal, Options, Stamp};

    const NOW_MS: i64 = 1_795_212_345_123;

    #[test]
    fn kinds_and_lanes_are_counted_and_the_day_they_go_is_told_from_the_pace() {
        let dir = tempfile::tempdir().unwrap();
        let empty = read(dir.path(), 1 << 20, &Days::new(), NOW_MS).unwrap();
        assert_eq!((empty.rows.len(), empty.goes_at, empty.days_kept), (0, None, None));

        let (mut journal, _) = Journal::open(dir.path(), Options { reserve_bytes: 0, ..Options::default() }).unwrap();
        // Ten days, each with a life event of 952 bytes and a telemetry event of 1,952: 3,000 with their heads.
        for day in 0..10 {
            let stamp = Stamp { mono_ms: 1, wall_ms: NOW_MS - (10 - day) * DAY_MS };
            journal.append_raw(2, Lane::Life as u8, 0, stamp, &[0x5a; 952]);
            journal.append_raw(2, Lane::Telemetry as u8, 0, stamp, &[0x5a; 1_952]);
        }
        journal.append_raw(200, Lane::Care as u8, 0, Stamp { mono_ms: 1, wall_ms: NOW_MS }, &[]);
        journal.commit().unwrap();
        let kept = read(dir.path(), 100_000, &Days::new(), NOW_MS).unwrap();
        let said: Vec<_> = kept.rows.iter().map(|row| (&row.kind[..], row.lane, row.records, row.bytes)).collect();
        assert_eq!(
            said,
            [("event", "life", 10, 10_000), ("event", "telemetry", 10, 20_000), ("kind 200", "care", 1, 48),]
        );
        assert_eq!((kept.rows[0].oldest_at, kept.rows[0].newest_at), (NOW_MS - 10 * DAY_MS, NOW_MS - DAY_MS));
        assert_eq!((kept.bytes, kept.bytes_per_day), (30_048, Some(3_004)));
        // 80,000 - 30,048 bytes are left at 3,004 a day; then 70,000 stay.
        assert_eq!((kept.goes_at, kept.days_kept), (Some(NOW_MS + 16 * DAY_MS), Some(23)));
        let over = read(dir.path(), 20_000, &Days::new(), NOW_MS).unwrap();
        assert_eq!(over.goes_at, Some(NOW_MS), "what is above the bound goes at the next look");
    }
}
