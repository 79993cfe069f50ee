//! [presence] and [resident.presence]: activity, as agreed.

use jiff::tz::TimeZone;
use serde::Deserialize;
use toml::Spanned;
use vaka_protocol::Lane;

use super::super::routes::time;
use super::{Check, Text, consent};
use crate::rules::care::presence::{Check as LookIn, Part, Presence};
use crate::rules::care::when::Daily;

const MIN_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;

/// Nothing moves in the home for so long after the front door: the person is out, in minutes. Source: our choice; shoes and a coat
/// are put on before the door, and whoever stays moves within it.
pub const AWAY_AFTER_MIN: i64 = 15;
/// Out for longer than this, in hours: somebody is asked to find out. Source: our choice; a day's outing.
pub const AWAY_MAX_H: i64 = 12;
/// A look-in by day is made by any activity so long before its time, in minutes.
pub const PROOF_MIN: i64 = 60;
/// A look-in that cannot be made by sensors becomes a visit so long before its latest time, in minutes: somebody has to get there.
pub const VISIT_BEFORE_MIN: i64 = 30;
/// A visit because nothing could be heard is due within so long, in minutes.
pub const VISIT_WITHIN_MIN: i64 = 60;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Table {
    pub parts: Option<Vec<Spanned<PartTable>>>,
    pub lane: Option<Text>,
    pub away_after_min: Option<Spanned<i64>>,
    pub away_max_h: Option<Spanned<i64>>,
    pub checks: Option<Vec<Spanned<CheckTable>>>,
    pub proof_min: Option<Spanned<i64>>,
    pub visit_before_min: Option<Spanned<i64>>,
    pub visit_within_min: Option<Spanned<i64>>,
    pub consent: Option<Spanned<consent::Table>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct PartTable {
    pub from: Text,
    pub until: Text,
    pub quiet_min: Spanned<i64>,
    pub in_bed: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct CheckTable {
    pub at: Text,
    pub latest: Text,
}

/// The home's table, each key replaced by the resident's own. None: not agreed.
pub(in crate::config) fn presence(
    c: &mut Check<'_>,
    zone: &TimeZone,
    home: Option<&Spanned<Table>>,
    own: Option<&Spanned<Table>>,
) -> Option<Presence> {
    let whole = own.or(home)?;
    let tables: Vec<&Table> = [own, home].into_iter().flatten().map(Spanned::get_ref).collect();
    fn first<'t, T>(tables: &[&'t Table], of: fn(&Table) -> &Option<T>) -> Option<&'t T> {
        tables.iter().find_map(|table| of(table).as_ref())
    }
    let mut number = |of: fn(&Table) -> &Option<Spanned<i64>>, key: &str, (min, max): (i64, i64), default: i64| {
        first(&tables, of).and_then(|value| c.number(key, value, min, max)).unwrap_or(default)
    };
    let away_after_ms = number(|t| &t.away_after_min, "away_after_min", (1, 240), AWAY_AFTER_MIN) * MIN_MS;
    let away_max_ms = number(|t| &t.away_max_h, "away_max_h", (1, 168), AWAY_MAX_H) * HOUR_MS;
    let proof_ms = number(|t| &t.proof_min, "proof_min", (1, 720), PROOF_MIN) * MIN_MS;
    let visit_before_ms = number(|t| &t.visit_before_min, "visit_before_min", (0, 240), VISIT_BEFORE_MIN) * MIN_MS;
    let visit_within_ms = number(|t| &t.visit_within_min, "visit_within_min", (5, 1_440), VISIT_WITHIN_MIN) * MIN_MS;
    let lane = first(&tables, |t| &t.lane)
        .and_then(|word| c.choice("lane", word, &[("care", Lane::Care), ("life", Lane::Life)]))
        .unwrap_or(Lane::Care);
    let parts = first(&tables, |t| &t.parts).map(|list| parts(c, list)).unwrap_or_default();
    let checks: Vec<LookIn> =
        first(&tables, |t| &t.checks).map(|list| list.iter().map(|one| check(c, one)).collect()).unwrap_or_default();
    if parts.is_empty() && checks.is_empty() {
        c.warn(whole, "[presence] names neither `parts` nor `checks`: nobody is missed by it; add one".to_owned());
    }
    let term = consent::term(c, zone, first(&tables, |t| &t.consent));
    Some(Presence { parts, lane, away_after_ms, away_max_ms, checks, proof_ms, visit_before_ms, visit_within_ms, term })
}

fn parts(c: &mut Check<'_>, list: &[Spanned<PartTable>]) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for table in list {
        let part = table.get_ref();
        let (from, until) = (time(c, "from", &part.from), time(c, "until", &part.until));
        // Shorter than ten minutes is a sensor's own pause; longer than two days is no agreement.
        let Some(quiet_min) = c.number("quiet_min", &part.quiet_min, 10, 2_880) else { continue };
        let daily = Daily { from, until };
        if let Some(other) = parts.iter().find(|other| overlap(&other.daily, &daily)) {
            let name = other.name();
            c.wrong(table, format!("this part of the day overlaps the part {name}; let each begin where another ends"));
        }
        parts.push(Part { daily, quiet_ms: quiet_min * MIN_MS, in_bed: part.in_bed.unwrap_or(false) });
    }
    parts
}

/// Both hold at some time of the day.
fn overlap(one: &Daily, other: &Daily) -> bool {
    let holds = |daily: &Daily, time: jiff::civil::Time| match daily.from < daily.until {
        true => (daily.from..daily.until).contains(&time),
        false => time >= daily.from || time < daily.until,
    };
    holds(one, other.from) || holds(other, one.from)
}

fn check(c: &mut Check<'_>, table: &Spanned<CheckTable>) -> LookIn {
    let written = table.get_ref();
    let (at, latest) = (time(c, "at", &written.at), time(c, "latest", &written.latest));
    if at == latest {
        c.wrong(table, "`latest` must be later than `at`: until then somebody can come".to_owned());
    }
    LookIn { daily: Daily { from: at, until: latest } }
}
