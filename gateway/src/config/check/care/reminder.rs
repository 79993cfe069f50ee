//! [[reminder]]: what a resident has asked to be reminded of, where and when.

use serde::Deserialize;
use toml::Spanned;
use vaka_protocol::limits::WORDS_BYTES_MAX;

use super::super::super::DeviceKind;
use super::super::routes::time;
use super::dose::days;
use super::{Check, People, Text, consent};
use crate::rules::care::reminder::{EXPIRY_MIN, Reminder};

/// Longest expiry, in minutes: a reminder half a day late is of something else.
const EXPIRY_MIN_MAX: i64 = 720;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Table {
    pub resident: Option<Text>,
    pub device: Text,
    pub days: Option<Vec<Text>>,
    pub at: Text,
    pub text: Text,
    pub expiry_min: Option<Spanned<i64>>,
    pub consent: Option<Spanned<consent::Table>>,
}

pub(in crate::config) fn reminder(c: &mut Check<'_>, people: &mut People, table: &Spanned<Table>) {
    let whole = table;
    let table = table.get_ref();
    let device = people.device(c, "device", &table.device, &[DeviceKind::Feedback, DeviceKind::Dispenser]);
    if device.as_ref().is_some_and(|device| people.is_behind_bridge(device)) {
        c.wrong(
            &table.device,
            "a device behind a bridge cannot be sent a reminder; name one with a connection of its own".to_owned(),
        );
    }
    let term = consent::term(c, &people.zone, table.consent.as_ref());
    let days = days(c, table.days.as_deref(), whole, "reminder");
    let at = time(c, "at", &table.at);
    let text = table.text.get_ref();
    if text.trim().is_empty() || text.len() > WORDS_BYTES_MAX {
        c.wrong(&table.text, format!("`text`: expected 1 to {WORDS_BYTES_MAX} bytes, found {}", text.len()));
    }
    let expiry =
        table.expiry_min.as_ref().map_or(Some(EXPIRY_MIN), |value| c.number("expiry_min", value, 1, EXPIRY_MIN_MAX));
    let Some(person) = people.find(c, table.resident.as_ref(), whole) else { return };
    let (Some(device), Some(days), Some(expiry)) = (device, days, expiry) else { return };
    if person.reminders.iter().any(|known| known.device == device && known.at == at && known.days.overlaps(days)) {
        c.wrong(
            &table.at,
            format!("`{device}` has another [[reminder]] at this time on one of these days; join the two texts"),
        );
        return;
    }
    person.reminders.push(Reminder { device, days, at, text: text.clone(), expiry_ms: expiry * 60_000, term });
}
