//! What came of a recording, night by night.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use vaka_protocol::Lane;

use super::Rehearsed;
use crate::journal::record::Decision;
use crate::report::nights::{Night, night_of};
use crate::rules::care::when;

/// One night, and the alarms that would have come between its 15:00 and the next.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// Absent: no bed sensor saw it.
    pub night: Option<Night>,
    /// UTC milliseconds, lane, rule, cause.
    pub alarms: Vec<(i64, Lane, String, String)>,
}

/// Every night that the bed saw or in which an alarm came. Of several beds the first that saw it is shown.
pub fn rows(rehearsed: &Rehearsed, zone: &TimeZone) -> BTreeMap<Date, Row> {
    let mut rows: BTreeMap<Date, Row> = BTreeMap::new();
    for night in rehearsed.nights.values().flatten() {
        rows.entry(night.date).or_default().night.get_or_insert_with(|| night.clone());
    }
    for (at, decision) in &rehearsed.log {
        if let Decision::Raise(raise) = decision {
            let alarm = (*at, raise.lane, raise.rule.clone(), raise.cause.clone());
            rows.entry(night_of(zone, *at)).or_default().alarms.push(alarm);
        }
    }
    rows
}

/// The rows as lines of text under a heading. `beside`: heading, and what stands beside each night, such as what the person noted.
pub fn table(
    rows: &BTreeMap<Date, Row>,
    zone: &TimeZone,
    beside: Option<(&str, &BTreeMap<Date, String>)>,
) -> Vec<String> {
    let clock = |at_ms: i64| when::local(zone, at_ms).strftime("%H:%M").to_string();
    let width = 26;
    let note = beside.map_or(String::new(), |(heading, _)| format!("  {heading:<width$}"));
    let mut lines = vec![format!(
        "{:<10}  {:<6}  {:<5}  {:>8}  {:>8}{note}  alarms",
        "night", "to bed", "up", "times up", "longest"
    )];
    for (date, row) in rows {
        let seen = match &row.night {
            Some(night) => format!(
                "{:<6}  {:<5}  {:>8}  {:>8}",
                clock(night.to_bed_at),
                night.up_at.map_or_else(|| "-".to_owned(), clock),
                night.absences.len(),
                format!("{} min", night.longest_absence_ms() / 60_000),
            ),
            None => format!("{:<6}  {:<5}  {:>8}  {:>8}", "-", "-", "-", "-"),
        };
        let note = beside
            .map_or(String::new(), |(_, notes)| format!("  {:<width$}", notes.get(date).map_or("-", String::as_str)));
        let alarms: Vec<String> =
            row.alarms.iter().map(|(at, lane, rule, cause)| format!("{} {lane} {rule} {cause}", clock(*at))).collect();
        let alarms = if alarms.is_empty() { "none".to_owned() } else { alarms.join(", ") };
        lines.push(format!("{date}  {seen}{note}  {alarms}"));
    }
    lines
}
