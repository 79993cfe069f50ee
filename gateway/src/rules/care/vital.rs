//! Rule `vital`: readings passed on untouched; a limit only where a named professional set it.
//!
//! Enters: readings, limits. Leaves: a care alarm with the reading, the limit, who set it and when; and that it is over. Invariants: a
//! number is compared as the decimal it was written as; one time beyond a limit is one alarm; no limit, no judgement; no interpretation.

use crate::rules::gone::Gone;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use vaka_protocol::{DeviceId, Event, Lane};

use super::agreed::Person;
use super::moment::At;
use super::term::Term;
use super::{Finding, Out, Sight, Subject, View, key, seen_at};
use crate::journal::record::Decision;
use crate::limits::{ASSIGNED_RESTART, VITAL_FRESH_MS, VITAL_KINDS_MAX, VITALS_BEYOND_MAX};
use crate::rules::lookup::Lookup;

pub const NAME: &str = "vital";
pub const VERSION: u16 = 1;

const RULE: (&str, u16) = (NAME, VERSION);
const HIGH: u16 = 100;
const LOW: u16 = 101;
const NORMAL_STATE: u16 = 70;
const MALFUNCTION: u16 = 67;
/// SCAIP device types "heart rate" and "environmental".
const OF_BODY: u16 = 19;
const OF_ROOM: u16 = 20;
/// The kind under which a thermometer's readings stand, and their unit.
pub const TEMPERATURE: (&str, &str) = ("temperature", "°C");

/// What is agreed.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// As on the wire, e.g. `heart_rate`.
    pub kind: String,
    /// As on the wire, e.g. `1/min`.
    pub unit: String,
    /// A reading below it is beyond.
    pub below: Option<Decimal>,
    /// A reading above it is beyond.
    pub above: Option<Decimal>,
    /// The professional who set it, by name.
    pub set_by: String,
    pub set_on: Date,
    pub term: Term,
}

/// A decimal number of any length, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decimal(String);

/// What a decimal number is compared by.
#[derive(PartialEq, Eq)]
struct Digits<'a> {
    negative: bool,
    /// Without leading zeros.
    whole: &'a str,
    /// Without trailing zeros.
    fraction: &'a str,
}

impl Decimal {
    /// None: it is no decimal number such as `-12.50`.
    pub fn read(text: &str) -> Option<Decimal> {
        let text = text.trim();
        Digits::of(text).map(|_| Decimal(text.to_owned()))
    }
}

impl Digits<'_> {
    fn of(text: &str) -> Option<Digits<'_>> {
        let text = text.trim();
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = rest.split_once('.').unwrap_or((rest, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(fraction) {
            return None;
        }
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        // There is one zero.
        let negative = negative && !(whole.is_empty() && fraction.is_empty());
        Some(Digits { negative, whole, fraction })
    }
}

impl Ord for Digits<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let size = |number: &Self| (number.whole.len(), number.whole, number.fraction);
        match (self.negative, other.negative) {
            (false, false) => size(self).cmp(&size(other)),
            (true, true) => size(other).cmp(&size(self)),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Digits<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Decimal) -> Ordering {
        Digits::of(&self.0).cmp(&Digits::of(&other.0))
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Decimal) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Reading {
    #[serde(rename = "v")]
    value: String,
    #[serde(rename = "u")]
    unit: Cow<'static, str>,
    #[serde(rename = "a")]
    at: At,
    /// When it was recorded.
    #[serde(rename = "r")]
    recorded: At,
}

/// What one device has read of one kind. Highest and lowest: of what is still judged, so that an hour told at once loses nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Readings {
    newest: Reading,
    /// The device's own number of the newest.
    number: (u32, u64),
    highest: Reading,
    lowest: Reading,
}

/// A reading that is beyond a limit, since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Beyond {
    record: u64,
    at_ms: i64,
}

/// What is remembered.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Vitals {
    #[serde(default)]
    devices: Lookup<DeviceId, BTreeMap<String, Readings>>,
    /// By kind of cause: what is beyond and has not come back.
    #[serde(default)]
    beyond: BTreeMap<String, Beyond>,
}

impl Vitals {
    pub fn forget(&mut self, gone: &Gone<'_>) {
        self.devices.retain_keys(|device| !(gone.is_theirs)(device));
        self.beyond.retain(|key, _| !gone.is_in(key));
    }

    /// Readings recorded up to `until_ms` (UTC) are forgotten.
    pub fn age(&mut self, until_ms: i64) {
        self.devices.each(|kinds| kinds.retain(|_, known| known.newest.recorded.wall_ms > until_ms));
        self.devices.retain(|kinds| !kinds.is_empty());
    }

    pub fn see(&mut self, sight: &Sight<'_>) {
        let (kind, value, unit) = match sight.event {
            Event::Vital { kind, value, unit } => (kind.as_str(), value.to_string(), unit.to_string().into()),
            Event::Temperature { centi_c } => {
                let (sign, size) = (if *centi_c < 0 { "-" } else { "" }, centi_c.unsigned_abs());
                let value = format!("{sign}{}.{:02}", size / 100, size % 100);
                (TEMPERATURE.0, value, Cow::from(TEMPERATURE.1))
            }
            _ => return,
        };
        let reading = Reading { value, unit, at: sight.at, recorded: sight.recorded };
        let kinds = self.devices.or_default(sight.device);
        match kinds.get_mut(kind) {
            Some(known) => known.see(reading, (sight.restart, sight.seq)),
            None => {
                let number = (sight.restart, sight.seq);
                let known = Readings { newest: reading.clone(), number, highest: reading.clone(), lowest: reading };
                kinds.insert(kind.to_owned(), known);
            }
        }
        while kinds.len() > VITAL_KINDS_MAX {
            let oldest = kinds.iter().min_by_key(|(_, known)| known.newest.at.record).map(|(kind, _)| kind.clone());
            if let Some(oldest) = oldest {
                kinds.remove(&oldest);
            }
        }
    }

    pub fn apply(&mut self, decision: &Decision) {
        match decision {
            Decision::Raise(raise) if raise.rule == NAME => {
                let Some(basis) = raise.basis.as_deref() else { return };
                let record = u64::try_from(basis.upto).unwrap_or(0);
                self.beyond.insert(basis.key.clone(), Beyond { record, at_ms: raise.happened_at });
                let prefix = key(NAME, basis.resident.as_deref(), "");
                let of_resident = || self.beyond.iter().filter(|(key, _)| key.starts_with(&prefix));
                if of_resident().count() > VITALS_BEYOND_MAX {
                    let oldest = of_resident().min_by_key(|(_, beyond)| beyond.record).map(|(key, _)| key.clone());
                    if let Some(oldest) = oldest {
                        self.beyond.remove(&oldest);
                    }
                }
            }
            Decision::Note(note) if note.rule == NAME => {
                self.beyond.remove(&key(NAME, note.basis.resident.as_deref(), &note.slot));
            }
            _ => {}
        }
    }
}

impl Readings {
    fn see(&mut self, mut reading: Reading, number: (u32, u64)) {
        // A device's numbers say more than its clock, which may have been set back.
        if self.is_numbered() && number > self.number && reading.at.is_before(&self.newest.at) {
            reading.at = reading.recorded;
        }
        let is_past = |known: &Reading| {
            known.unit != reading.unit || reading.recorded.wall_ms - known.recorded.wall_ms > VITAL_FRESH_MS
        };
        // What is no number is below every number.
        let (new, highest, lowest) =
            (Digits::of(&reading.value), Digits::of(&self.highest.value), Digits::of(&self.lowest.value));
        let is_highest = is_past(&self.highest) || new > highest;
        let is_lowest = is_past(&self.lowest) || (new.is_some() && (new < lowest || lowest.is_none()));
        if is_highest {
            self.highest = reading.clone();
        }
        if is_lowest {
            self.lowest = reading.clone();
        }
        if !reading.at.is_before(&self.newest.at) {
            self.newest = reading;
            self.number = number;
        }
    }

    fn is_numbered(&self) -> bool {
        self.number.0 != ASSIGNED_RESTART
    }
}

pub fn judge(view: View<'_>, person: &Person, out: &mut Out) {
    for device in &person.devices {
        let Some(kinds) = view.care.vital.devices.get(device) else { continue };
        for threshold in &person.vitals {
            if let Some(readings) = kinds.get(&threshold.kind) {
                let case = Case { view, person, device, threshold, readings };
                case.unreadable(out);
                case.limit(Side::Above, out);
                case.limit(Side::Below, out);
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Above,
    Below,
}

/// One limit and what one device has read of its kind.
struct Case<'a> {
    view: View<'a>,
    person: &'a Person,
    device: &'a DeviceId,
    threshold: &'a Threshold,
    readings: &'a Readings,
}

impl Case<'_> {
    fn limit(&self, side: Side, out: &mut Out) {
        let Threshold { above, below, .. } = self.threshold;
        let (Some(limit), word, extreme, stc) = (match side {
            Side::Above => (above.as_ref(), "above", &self.readings.highest, HIGH),
            Side::Below => (below.as_ref(), "below", &self.readings.lowest, LOW),
        }) else {
            return;
        };
        let is_beyond = |reading: &Reading| {
            self.number(reading).map(|number| match side {
                Side::Above => number > *limit,
                Side::Below => number < *limit,
            })
        };
        let cause = format!("{word} {} {}", self.threshold.kind, self.device);
        let newest = &self.readings.newest;
        let judged = [newest, extreme].into_iter().filter(|reading| self.is_news(&cause, reading));
        let first = judged.filter(|reading| is_beyond(reading) == Some(true)).min_by_key(|reading| reading.at.wall_ms);
        if let Some(reading) = first.filter(|_| !self.has_begun(&cause)) {
            self.raise(Lane::Care, stc, &cause, reading, self.beyond_words(side, limit, reading), out);
        } else {
            self.ends(&cause, is_beyond(newest) == Some(false), self.within_words(newest), out);
        }
    }

    /// A reading that cannot be held against the limit: another unit, or no number.
    fn unreadable(&self, out: &mut Out) {
        let newest = &self.readings.newest;
        let cause = format!("unreadable {} {}", self.threshold.kind, self.device);
        let is_unreadable = self.number(newest).is_none();
        if is_unreadable && !self.has_begun(&cause) && self.is_news(&cause, newest) {
            let (kind, unit, value) = (&self.threshold.kind, &self.threshold.unit, shown(newest));
            let said = (
                format!("{kind} kan inte jämföras. Värdet kom som {value}; gränsen är satt i {unit}."),
                format!("{kind} cannot be compared. The reading came as {value}; the limit is set in {unit}."),
            );
            self.raise(Lane::Technical, MALFUNCTION, &cause, newest, said, out);
        } else {
            self.ends(&cause, !is_unreadable, self.within_words(newest), out);
        }
    }

    /// The reading in the limit's unit, if it is a number in that unit.
    fn number(&self, reading: &Reading) -> Option<Decimal> {
        (reading.unit == self.threshold.unit).then(|| Decimal::read(&reading.value)).flatten()
    }

    /// It is beyond, and has been told.
    fn has_begun(&self, cause: &str) -> bool {
        self.view.care.vital.beyond.contains_key(&key(NAME, Some(&self.person.id), cause))
    }

    /// Read since the last time beyond was over, and not long ago.
    fn is_news(&self, cause: &str, reading: &Reading) -> bool {
        let ended = key(NAME, Some(&self.person.id), &format!("within {cause}"));
        let is_fresh = self.view.now.age_ms(&reading.recorded) <= VITAL_FRESH_MS;
        is_fresh && number(reading) > self.view.care.settled.upto(&ended).unwrap_or(0)
    }

    fn raise(&self, lane: Lane, stc: u16, cause: &str, reading: &Reading, said: (String, String), out: &mut Out) {
        let Threshold { kind, unit, below, above, set_by, set_on, .. } = self.threshold;
        let mut agreed = vec![("threshold.kind".to_owned(), kind.clone()), ("threshold.unit".to_owned(), unit.clone())];
        agreed.extend(below.iter().map(|limit| ("threshold.below".to_owned(), limit.to_string())));
        agreed.extend(above.iter().map(|limit| ("threshold.above".to_owned(), limit.to_string())));
        agreed.push(("threshold.set_by".to_owned(), set_by.clone()));
        agreed.push(("threshold.set_on".to_owned(), set_on.to_string()));
        let finding = Finding {
            cause: cause.to_owned(),
            upto: number(reading),
            said,
            happened_at: Some(reading.at.wall_ms),
            seen: vec![seen_at(self.device, &reading.at, &format!("{kind} {}", shown(reading)))],
            agreed,
            prevented: Some((
                "Ett värde inom gränsen, eller en annan gräns av den som satt den.".to_owned(),
                "A reading within the limit, or another limit by whoever set it.".to_owned(),
            )),
            due_at: None,
        };
        let subject = Subject { rule: RULE, resident: Some(&self.person.id), device: self.device };
        if out.raise(self.view, subject, lane, stc, finding)
            && let Some(Decision::Raise(raise)) = out.decisions.last_mut()
        {
            raise.dty = if *kind == TEMPERATURE.0 { OF_ROOM } else { OF_BODY };
        }
    }

    /// What was beyond is not any more, by the newest reading.
    fn ends(&self, cause: &str, is_within: bool, said: (String, String), out: &mut Out) {
        let resident = Some(self.person.id.as_str());
        let beyond = self.view.care.vital.beyond.get(&key(NAME, resident, cause));
        let newest = &self.readings.newest;
        let Some(beyond) = beyond.filter(|beyond| is_within && newest.at.wall_ms >= beyond.at_ms) else { return };
        let finding = Finding {
            cause: format!("within {cause}"),
            upto: number(newest).max(i64::try_from(beyond.record).unwrap_or(i64::MAX)),
            said: said.clone(),
            seen: vec![seen_at(self.device, &newest.at, &format!("{} {}", self.threshold.kind, shown(newest)))],
            ..Finding::default()
        };
        let subject = Subject { rule: RULE, resident, device: self.device };
        if out.note(self.view, RULE, resident, "vital-within", cause, finding) {
            let upto = i64::try_from(beyond.record).unwrap_or(i64::MAX);
            out.over(self.view, subject, (cause, upto), NORMAL_STATE, said);
        }
    }

    fn beyond_words(&self, side: Side, limit: &Decimal, reading: &Reading) -> (String, String) {
        let Threshold { kind, set_by, set_on, .. } = self.threshold;
        let value = shown(reading);
        let (sv, en) = match side {
            Side::Above => ("över", "above"),
            Side::Below => ("under", "below"),
        };
        (
            format!("{kind} {value}, {sv} {limit}. Gränsen satte {set_by} {set_on}."),
            format!("{kind} {value}, {en} {limit}. The limit was set by {set_by} on {set_on}."),
        )
    }

    fn within_words(&self, reading: &Reading) -> (String, String) {
        let (kind, value) = (&self.threshold.kind, shown(reading));
        (format!("{kind} {value}, åter inom gränsen."), format!("{kind} {value}, within the limit again."))
    }
}

/// A reading's own number: that of its record.
fn number(reading: &Reading) -> i64 {
    i64::try_from(reading.at.record).unwrap_or(i64::MAX)
}

/// As it came: value and unit.
fn shown(reading: &Reading) -> String {
    format!("{} {}", reading.value, reading.unit).trim_end().to_owned()
}

#[cfg(test)]
#[path = "vital_tests.rs"]
mod tests;
