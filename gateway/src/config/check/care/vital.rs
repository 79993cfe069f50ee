//! [[threshold]]: a limit that a named professional has set for a reading.

use jiff::ToSpan;
use jiff::civil::Date;
use serde::Deserialize;
use toml::Spanned;
use vaka_protocol::limits::LABEL_BYTES_MAX;

use super::super::explain::shown;
use super::dose::date;
use super::{Check, People, Text, consent};
use crate::clock::{Clock, Confidence, SystemClock};
use crate::rules::care::vital::{Decimal, Threshold};
use crate::rules::care::when::local;

/// A limit set longer ago, in months, is to be looked at again by whoever set it. Source: our choice: the yearly review of medicines.
const REVIEW_MONTHS: i32 = 12;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Table {
    pub resident: Option<Text>,
    pub kind: Text,
    pub unit: Text,
    pub below: Option<Text>,
    pub above: Option<Text>,
    pub set_by: Text,
    pub set_on: Text,
    pub consent: Option<Spanned<consent::Table>>,
}

pub(in crate::config) fn threshold(c: &mut Check<'_>, people: &mut People, table: &Spanned<Table>) {
    let whole = table;
    let table = table.get_ref();
    let kind = word(c, "kind", "heart_rate", &table.kind);
    let unit = word(c, "unit", "1/min", &table.unit);
    let set_by = word(c, "set_by", "Anna Ek, sjuksköterska", &table.set_by);
    let term = consent::term(c, &people.zone, table.consent.as_ref());
    let set_on = date(c, "set_on", &table.set_on);
    if table.below.is_none() && table.above.is_none() {
        c.wrong(whole, "this [[threshold]] has no limit; give `below`, `above` or both".to_owned());
    }
    let (below, above) = (limit(c, "below", table.below.as_ref()), limit(c, "above", table.above.as_ref()));
    if let (Some(below), Some(above), Some(text)) = (&below, &above, &table.below)
        && below >= above
    {
        c.wrong(text, format!("`below` ({below}) must be less than `above` ({above}): every reading would be beyond"));
    }
    if let Some(set_on) = set_on
        && let Some(why) = today().and_then(|today| doubt(set_on, today))
    {
        c.warn(&table.set_on, format!("`set_on`: {why}"));
    }
    let Some(person) = people.find(c, table.resident.as_ref(), whole) else { return };
    let (Some(kind), Some(unit), Some(set_by), Some(set_on)) = (kind, unit, set_by, set_on) else { return };
    if person.vitals.iter().any(|known| known.kind == kind) {
        let id = &person.id;
        c.wrong(&table.kind, format!("`{id}` has another [[threshold]] of `{kind}`; put `below` and `above` into one"));
        return;
    }
    person.vitals.push(Threshold { kind, unit, below, above, set_by, set_on, term });
}

fn word(c: &mut Check<'_>, key: &str, example: &str, text: &Text) -> Option<String> {
    // A name may be longer than what goes over the wire.
    let most = if key == "set_by" { 4 * LABEL_BYTES_MAX } else { LABEL_BYTES_MAX };
    let said = text.get_ref().trim();
    let fits = (1..=most).contains(&said.len());
    if !fits {
        c.wrong(text, format!("`{key}`: expected 1 to {most} bytes such as \"{example}\", found {}", said.len()));
    }
    fits.then(|| said.to_owned())
}

fn limit(c: &mut Check<'_>, key: &str, text: Option<&Text>) -> Option<Decimal> {
    let text = text?;
    let limit = Decimal::read(text.get_ref());
    if limit.is_none() {
        let said = shown(text.get_ref());
        c.wrong(text, format!("`{key}`: expected a decimal number in quotes such as \"36.5\", found `{said}`"));
    }
    limit
}

/// A lost clock must not warn of a year that is not.
fn today() -> Option<Date> {
    let now = SystemClock::new().now();
    let is_sure = now.confidence != Confidence::Floor && now.wall_ms > crate::limits::PLAUSIBLE_TIME_MS;
    is_sure.then(|| local(&jiff::tz::TimeZone::UTC, now.wall_ms).date())
}

/// Why the day on which a limit was set is not as it should be.
fn doubt(set_on: Date, today: Date) -> Option<String> {
    // East of Greenwich it may be tomorrow.
    if today.tomorrow().is_ok_and(|tomorrow| set_on > tomorrow) {
        return Some(format!("{set_on} is still to come; give the day on which the limit was set"));
    }
    let review = set_on.checked_add(REVIEW_MONTHS.months()).ok()?;
    (review < today)
        .then(|| format!("the limit was set more than a year ago ({set_on}); have whoever set it look at it again"))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_limit_is_looked_at_again_after_a_year() {
        let today = date(2026, 11, 22);
        assert_eq!(doubt(date(2026, 11, 22), today), None);
        assert_eq!(doubt(date(2025, 11, 22), today), None, "to the day");
        assert!(doubt(date(2025, 11, 21), today).is_some_and(|why| why.contains("more than a year ago (2025-11-21)")));
        assert!(doubt(date(2026, 11, 24), today).is_some_and(|why| why.contains("still to come")));
    }
}
