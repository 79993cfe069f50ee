//! [resident.look]: look-ins by camera, as agreed with one person.
//!
//! Of nobody else's: there is no table for the home. The consent is not optional here, and what a resident must have been asked has no
//! default.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Time;
use jiff::tz::TimeZone;
use serde::Deserialize;
use toml::Spanned;
use vaka_protocol::DeviceId;

use super::super::routes::time;
use super::{Check, Text, consent};
use crate::config::{Camera, nearest};
use crate::limits::LOOK_ROUNDS_MAX;
use crate::rules::care::agreed::Person;
use crate::rules::care::look::{Instead, Look, Round};
use crate::rules::care::when::{instant, next};

type Number = Spanned<i64>;

/// Enough to see whether somebody is in bed and calm. Source: the task's.
const LOOK_S: i64 = 30;
/// Longest look that can be agreed. Source: the task's.
const LOOK_S_MAX: i64 = 120;
/// When a second look is agreed: who turned over lies still again, who needs somebody has not waited long. Source: the task's.
const SECOND_MIN: std::ops::RangeInclusive<i64> = 15..=20;
/// The way of a night patrol. Source: the task's.
const LEAD_MIN: i64 = 10;
const DAY_MIN: i64 = 24 * 60;
/// Causes of alarms, as rules and devices name them.
const CAUSES: [&str; 13] = [
    "absence",
    "absence-life",
    "button",
    "door",
    "enuresis",
    "fall",
    "no-sign",
    "not-in-bed",
    "out-long",
    "quiet",
    "seizure",
    "unproven",
    "visits-up",
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Table {
    camera: Text,
    rounds: Option<Spanned<Vec<RoundTable>>>,
    look_s: Option<Number>,
    second_look_after_min: Option<Number>,
    may_see_clearly: Spanned<bool>,
    #[serde(default)]
    alarm_may_look: Vec<Text>,
    instead: Text,
    lead_min: Option<Number>,
    sound: Option<bool>,
    consent: Option<Spanned<consent::Table>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RoundTable {
    at: Text,
    latest: Text,
}

/// `taken`: the cameras that somebody else has agreed to.
pub(in crate::config) fn look(
    c: &mut Check<'_>,
    zone: &TimeZone,
    table: Option<&Spanned<Table>>,
    cameras: &BTreeMap<DeviceId, Camera>,
    person: &Person,
    taken: &mut BTreeSet<DeviceId>,
) -> Option<Look> {
    let whole = table?;
    let t = whole.get_ref();
    let camera = cameras.values().find(|camera| camera.id.as_str() == t.camera.get_ref());
    if camera.is_none() {
        let said = super::super::super::explain::shown(t.camera.get_ref());
        let hint = nearest(t.camera.get_ref(), cameras.keys().map(AsRef::as_ref))
            .map_or_else(|| "add its [[camera]]".to_owned(), |near| format!("did you mean `{near}`?"));
        c.wrong(&t.camera, format!("`camera` names the unknown camera `{said}`; {hint}"));
    }
    if let Some(camera) = camera.filter(|camera| !taken.insert(camera.id.clone())) {
        let text = format!("camera `{}` looks at somebody else already; each sees one resident", camera.id);
        c.wrong(&t.camera, text);
    }
    // Another resident's lamp would answer, and this one be seen in the dark.
    if let Some(camera) = camera.filter(|camera| !person.devices.contains(&camera.light)) {
        let (light, id) = (&camera.light, &person.id);
        let text =
            format!("the light `{light}` of camera `{}` is not `{id}`'s; give it `resident = \"{id}\"`", camera.id);
        c.wrong(&t.camera, text);
    }
    let number = |c: &mut Check<'_>, key: &str, value: &Option<Number>, default: i64, least: i64, most: i64| {
        value.as_ref().map_or(Some(default), |value| c.number(key, value, least, most)).unwrap_or(default)
    };
    let look_s = number(c, "look_s", &t.look_s, LOOK_S, 5, LOOK_S_MAX);
    let second = t.second_look_after_min.as_ref().filter(|min| *min.get_ref() != 0);
    let second = second.and_then(|min| c.number("second_look_after_min", min, *SECOND_MIN.start(), *SECOND_MIN.end()));
    let lead_min = number(c, "lead_min", &t.lead_min, LEAD_MIN, 1, 240);
    let rounds = t.rounds.as_ref().map_or_else(Vec::new, |rounds| self::rounds(c, lead_min, rounds));
    let known: Vec<(&str, ())> = CAUSES.iter().map(|cause| (*cause, ())).collect();
    let alarms = t.alarm_may_look.iter();
    let alarms: Vec<String> =
        alarms.filter_map(|word| c.choice("alarm_may_look", word, &known).map(|()| word.get_ref().clone())).collect();
    let words = [("visit", Instead::Visit), ("call", Instead::Call), ("nothing", Instead::Nothing)];
    let instead = c.choice("instead", &t.instead, &words);
    if rounds.is_empty() && alarms.is_empty() {
        let text =
            "nothing is agreed that would open this camera; name `rounds` or `alarm_may_look`, or remove the table";
        c.wrong(whole, text.to_owned());
    }
    let term = consent::term(c, zone, t.consent.as_ref());
    if term.by.is_none() || term.on.is_none() {
        let text =
            "a camera needs a consent that is written down: consent = { by = \"the resident\", on = \"2026-11-20\" }";
        match &t.consent {
            Some(consent) => c.wrong(consent, text.to_owned()),
            None => c.wrong(whole, text.to_owned()),
        }
    }
    let ends_ms = term.until.map(|until| instant(zone, next(until), Time::midnight()));
    let camera = camera?;
    Some(Look {
        camera: camera.id.clone(),
        light: camera.light.clone(),
        sound: t.sound.unwrap_or(false),
        rounds,
        look_ms: look_s * 1_000,
        second_after_ms: second.map(|min| min * 60_000),
        may_see_clearly: *t.may_see_clearly.get_ref(),
        alarms,
        instead: instead?,
        lead_ms: lead_min * 60_000,
        term,
        ends_ms,
    })
}

fn rounds(c: &mut Check<'_>, lead_min: i64, rounds: &Spanned<Vec<RoundTable>>) -> Vec<Round> {
    let count = rounds.get_ref().len();
    if count > LOOK_ROUNDS_MAX {
        let text = format!("`rounds`: {count} look-ins a day, and at most {LOOK_ROUNDS_MAX} are possible; remove some");
        c.wrong(rounds, text);
    }
    let minutes = |time: Time| i64::from(time.hour()) * 60 + i64::from(time.minute());
    let mut known: Vec<(i64, i64, Round)> = Vec::new();
    for table in rounds.get_ref() {
        let (at, latest) = (time(c, "at", &table.at), time(c, "latest", &table.latest));
        let (at_min, length_min) = (minutes(at), (minutes(latest) - minutes(at)).rem_euclid(DAY_MIN));
        // Both days on which it may stand beside another.
        let overlaps = |(other, its, _): &&(i64, i64, Round)| {
            (at_min - other).rem_euclid(DAY_MIN) < *its || (other - at_min).rem_euclid(DAY_MIN) < length_min
        };
        if length_min <= lead_min {
            let text = format!(
                "`latest`: this look-in has {length_min} minutes, and a visit is asked for {lead_min} minutes before its end (`lead_min`); give it {} or more",
                lead_min + 1
            );
            c.wrong(&table.latest, text);
        } else if let Some((.., other)) = known.iter().find(overlaps) {
            let (one, other) = (at.strftime("%H:%M"), other.at.strftime("%H:%M"));
            let text = format!("the look-ins of {other} and {one} overlap; let one end before the other begins");
            c.wrong(&table.at, text);
        }
        known.push((at_min, length_min, Round { at, latest }));
    }
    known.sort_by_key(|(at_min, ..)| *at_min);
    known.into_iter().map(|(.., round)| round).collect()
}
