//! [[dose]]: a slot of a dispenser and when it is agreed.

use jiff::civil::{Date, Weekday};
use serde::Deserialize;
use toml::Spanned;
use vaka_protocol::limits::{LABEL_BYTES_MAX, STOCK_LOW_DAYS};

use super::super::super::DeviceKind;
use super::super::explain::shown;
use super::super::routes::{DAYS, time};
use super::{Check, People, Text, consent};
use crate::limits::DOSE_SLOTS_MAX;
use crate::rules::care::dose::{EARLY_MIN, GRACE_MIN, Pause, Plan, REMINDER_AFTER_MIN};
use crate::rules::care::when::Days;

/// Longest grace, in minutes: half a day, so that a dose is decided before the next one of its slot.
const GRACE_MIN_MAX: i64 = 720;
/// Earliest, in minutes before its time. With the longest grace five hours are left between two doses of a slot.
const EARLY_MIN_MAX: i64 = 240;
/// Shortest grace, in minutes: shorter than a walk to the dispenser is no grace.
const GRACE_MIN_MIN: i64 = 5;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Table {
    pub resident: Option<Text>,
    pub device: Text,
    pub slot: Text,
    pub days: Option<Vec<Text>>,
    pub at: Text,
    pub grace_min: Option<Spanned<i64>>,
    /// 0: not reminded of.
    pub reminder_after_min: Option<Spanned<i64>>,
    pub early: Option<Text>,
    pub early_min: Option<Spanned<i64>>,
    pub stock_low_days: Option<Spanned<i64>>,
    #[serde(default)]
    pub pause: Vec<PauseTable>,
    pub consent: Option<Spanned<consent::Table>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct PauseTable {
    pub from: Text,
    pub until: Text,
    pub why: Option<Text>,
}

pub(in crate::config) fn dose(c: &mut Check<'_>, people: &mut People, table: &Spanned<Table>) {
    let whole = table;
    let table = table.get_ref();
    let device = people.device(c, "device", &table.device, &[DeviceKind::Dispenser]);
    let is_behind = device.as_ref().is_some_and(|device| people.is_behind_bridge(device));
    if is_behind {
        let said = shown(table.device.get_ref());
        c.wrong(
            &table.device,
            format!("`{said}` stands behind a bridge, where it cannot be sent a schedule; a [[dose]] needs a dispenser with a connection of its own"),
        );
    }
    let slot = slot(c, &table.slot);
    let days = days(c, table.days.as_deref(), whole, "dose");
    let at = time(c, "at", &table.at);
    let minutes = |c: &mut Check<'_>, key, value: Option<&Spanned<i64>>, default, min, max| {
        value.map_or(Some(default), |value| c.number(key, value, min, max))
    };
    let grace = minutes(c, "grace_min", table.grace_min.as_ref(), GRACE_MIN, GRACE_MIN_MIN, GRACE_MIN_MAX);
    let default = REMINDER_AFTER_MIN.min(grace.unwrap_or(GRACE_MIN) / 2);
    let reminder = minutes(c, "reminder_after_min", table.reminder_after_min.as_ref(), default, 0, GRACE_MIN_MAX);
    if let (Some(after), Some(grace), Some(value)) = (reminder, grace, &table.reminder_after_min)
        && after >= grace
    {
        c.wrong(value, format!("`reminder_after_min` must be below `grace_min` ({grace}): after it nobody is reminded of a dose; 0 means never"));
    }
    let early = early(c, table);
    let stock = minutes(c, "stock_low_days", table.stock_low_days.as_ref(), i64::from(STOCK_LOW_DAYS), 0, 365);
    let term = consent::term(c, &people.zone, table.consent.as_ref());
    let pauses = table.pause.iter().filter_map(|pause| self::pause(c, pause)).collect();
    let (Some(device), Some(slot), Some(days), Some(grace), Some(reminder), Some(early), Some(stock)) =
        (device, slot, days, grace, reminder, early, stock)
    else {
        let _ = people.find(c, table.resident.as_ref(), whole);
        return;
    };
    if let Some(other) = people.people.iter().find(|person| person.doses.iter().any(|plan| plan.device == device)) {
        let other = other.id.clone();
        let named = people.find(c, table.resident.as_ref(), whole).map(|person| person.id.clone());
        if named.as_ref().is_some_and(|named| *named != other) {
            c.wrong(&table.device, format!("dispenser `{device}` has doses of `{other}` already; a dispenser serves one person: its schedule is replaced whole"));
            return;
        }
    }
    let Some(person) = people.find(c, table.resident.as_ref(), whole) else { return };
    if !person.devices.contains(&device) {
        let id = &person.id;
        c.wrong(
            &table.device,
            format!("dispenser `{device}` is not `{id}`'s; add `resident = \"{id}\"` to its [[device]]"),
        );
        return;
    }
    let same = |plan: &&Plan| plan.device == device && plan.slot == slot;
    if person.doses.iter().filter(same).any(|plan| plan.days.overlaps(days)) {
        c.wrong(&table.slot, format!("slot `{slot}` has another [[dose]] on one of these days; a slot holds one dose a day: give the second its own slot"));
        return;
    }
    let mut slots: Vec<&str> =
        person.doses.iter().filter(|plan| plan.device == device).map(|plan| plan.slot.as_str()).collect();
    slots.sort_unstable();
    slots.dedup();
    if !slots.contains(&slot.as_str()) && slots.len() == DOSE_SLOTS_MAX {
        c.wrong(&table.slot, format!("dispenser `{device}` has {DOSE_SLOTS_MAX} slots already, which is the most"));
        return;
    }
    person.doses.push(Plan {
        device,
        slot,
        days,
        at,
        grace_ms: grace * 60_000,
        reminder_after_ms: (reminder > 0).then_some(reminder * 60_000),
        early_ms: early * 60_000,
        pauses,
        stock_low_days: u16::try_from(stock).unwrap_or(STOCK_LOW_DAYS),
        term,
    });
}

/// A slot's name as on the wire, where a longer one would be cut and then be another.
fn slot(c: &mut Check<'_>, word: &Text) -> Option<String> {
    let slot = word.get_ref();
    let fits = (1..=LABEL_BYTES_MAX).contains(&slot.len()) && !slot.contains(char::is_control) && slot.trim() == slot;
    if !fits {
        let said = shown(slot);
        c.wrong(word, format!("`slot`: expected the dispenser's own word for it, 1 to {LABEL_BYTES_MAX} bytes such as \"morning\", found `{said}`"));
    }
    fits.then(|| slot.clone())
}

/// The days named, else every day. None: complained.
pub(super) fn days<T>(c: &mut Check<'_>, words: Option<&[Text]>, whole: &Spanned<T>, what: &str) -> Option<Days> {
    let Some(words) = words else { return Some(Days::ALL) };
    if words.is_empty() {
        c.wrong(whole, format!("`days` names no day, so this [[{what}]] never holds; name one, or leave `days` out"));
        return None;
    }
    let days: Vec<Option<Weekday>> = words.iter().map(|word| c.choice("day", word, DAYS)).collect();
    let days: Option<Vec<Weekday>> = days.into_iter().collect();
    days.map(|days| Days::of(&days))
}

/// How early, in minutes.
fn early(c: &mut Check<'_>, table: &Table) -> Option<i64> {
    let policies = [("refuse", false), ("allow", true)];
    let allowed = match &table.early {
        Some(word) => c.choice("early", word, &policies)?,
        None => false,
    };
    match &table.early_min {
        Some(value) if !allowed => {
            c.wrong(
                value,
                "`early_min` needs `early = \"allow\"`: without it a dose is not given out before its time".to_owned(),
            );
            None
        }
        Some(value) => c.number("early_min", value, 1, EARLY_MIN_MAX),
        None => Some(if allowed { EARLY_MIN } else { 0 }),
    }
}

fn pause(c: &mut Check<'_>, pause: &PauseTable) -> Option<Pause> {
    let (from, until) = (date(c, "from", &pause.from), date(c, "until", &pause.until));
    let (from, until) = (from?, until?);
    if until < from {
        c.wrong(&pause.until, format!("`until` is before `from` ({from}); it is the last day of the pause"));
        return None;
    }
    let why = pause.why.as_ref().map(|why| why.get_ref().clone()).unwrap_or_default();
    Some(Pause { from, until, why })
}

pub(super) fn date(c: &mut Check<'_>, key: &str, word: &Text) -> Option<Date> {
    let date = word.get_ref().parse().ok();
    if date.is_none() {
        let said = shown(word.get_ref());
        c.wrong(word, format!("`{key}`: expected a date such as \"2026-12-20\", found `{said}`"));
    }
    date
}

#[cfg(test)]
#[path = "dose_tests.rs"]
mod tests;
