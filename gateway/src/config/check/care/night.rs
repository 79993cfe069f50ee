//! [night] and [resident.night]: the night, as agreed.
//!
//! Nothing is agreed without the table. With it, what it leaves out is as the defaults below; `0`, `""` and `[]` say that a part of it is
//! not agreed. A resident's own table replaces single keys of the home's.

use std::collections::BTreeMap;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use serde::Deserialize;
use toml::Spanned;
use vaka_protocol::DeviceId;

use super::super::routes::time;
use super::{Check, Text, consent};
use crate::config::{Device, DeviceKind};
use crate::limits::{BED_HEARD_MS, NIGHT_ROUNDS_MAX, NIGHT_UPS_KEPT};
use crate::rules::care::night::{Declined, Morning, Night, Round};
use crate::rules::care::when::Daily;

type Number = Spanned<i64>;

/// The hours in which a home-care night patrol is on duty instead of the day's staff. Source: our choice.
const FROM: Time = jiff::civil::time(22, 0, 0, 0);
const UNTIL: Time = jiff::civil::time(6, 0, 0, 0);
/// Longer than a slow visit to the toilet, short enough that somebody who fell is not cold. Source: our choice.
const ABSENCE_CARE_MIN: i64 = 30;
/// So long after staff were asked: the time in which somebody should have come. Source: our choice.
const ABSENCE_LIFE_AFTER_MIN: i64 = 60;
/// Time for a night patrol to drive there. Source: our choice.
const VISIT_LEAD_MIN: i64 = 15;
/// An ordinary visit at night. Source: our choice.
const STAFF_VISIT_MIN: i64 = 30;
/// Who sleeps until `up_by` has had a sign of life by then in the hours before it. Source: our choice.
const UP_FROM_BEFORE_MIN: i64 = 180;
/// Shortest and longest window: a shorter one is no night, a longer one is `[presence]`.
const WINDOW_MIN: std::ops::RangeInclusive<i64> = 180..=960;
/// How long after the window the morning may be agreed.
const MORNING_AFTER_MIN: i64 = 360;
const DAY_MIN: i64 = 24 * 60;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Table {
    from: Option<Text>,
    until: Option<Text>,
    absence_care_min: Option<Number>,
    absence_life_min: Option<Number>,
    in_bed_by: Option<Text>,
    door: Option<Text>,
    visits_up_max: Option<Number>,
    up_from: Option<Text>,
    up_by: Option<Text>,
    rounds: Option<Spanned<Vec<RoundTable>>>,
    visit_lead_min: Option<Number>,
    staff_visit_min: Option<Number>,
    bed_heard_min: Option<Number>,
    declined: Option<Text>,
    consent: Option<Spanned<consent::Table>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RoundTable {
    at: Text,
    latest: Text,
}

/// Whose night it is, and what they have.
pub(in crate::config) struct Whose<'a> {
    pub resident: &'a str,
    pub devices: &'a [DeviceId],
    pub known: &'a BTreeMap<DeviceId, Device>,
}

/// Minutes from the beginning of the window.
fn into(window: Daily, time: Time) -> i64 {
    let minutes = |time: Time| i64::from(time.hour()) * 60 + i64::from(time.minute());
    (minutes(time) - minutes(window.from)).rem_euclid(DAY_MIN)
}

/// The home's table, each key replaced by the resident's own. None: not agreed.
pub(in crate::config) fn night(
    c: &mut Check<'_>,
    zone: &TimeZone,
    home: Option<&Spanned<Table>>,
    own: Option<&Spanned<Table>>,
    whose: &Whose<'_>,
) -> Option<Night> {
    let whole = own.or(home)?;
    let (wrong, warnings) = (c.wrong.len(), c.warnings.len());
    let night = meant(c, zone, whole, home.map(Spanned::get_ref), own.map(Spanned::get_ref), whose);
    // The home's table is read for each resident: what is wrong with it is said once.
    for (said, before) in [(&mut c.wrong, wrong), (&mut c.warnings, warnings)] {
        for finding in said.split_off(before) {
            if !said.contains(&finding) {
                said.push(finding);
            }
        }
    }
    night
}

fn meant(
    c: &mut Check<'_>,
    zone: &TimeZone,
    whole: &Spanned<Table>,
    home: Option<&Table>,
    own: Option<&Table>,
    whose: &Whose<'_>,
) -> Option<Night> {
    macro_rules! key {
        ($key:ident) => {
            own.and_then(|own| own.$key.as_ref()).or(home.and_then(|home| home.$key.as_ref()))
        };
    }
    let written = |word: Option<&'_ Text>| word.filter(|word| !word.get_ref().is_empty()).cloned();
    let devices: Vec<&Device> = whose.devices.iter().filter_map(|id| whose.known.get(id)).collect();
    let ids = |fits: &dyn Fn(&Device) -> bool| -> Vec<DeviceId> {
        devices.iter().filter(|device| fits(device)).map(|device| device.id.clone()).collect()
    };
    let beds = ids(&|device| device.kind == DeviceKind::BedSensor);
    let who = whose.resident;

    let from = key!(from).map_or(FROM, |word| time(c, "from", word));
    let until = key!(until).map_or(UNTIL, |word| time(c, "until", word));
    let window = Daily { from, until };
    let length_min = if from == until { DAY_MIN } else { into(window, until) };
    if !WINDOW_MIN.contains(&length_min) {
        let place = key!(until).or(key!(from));
        let (least, most) = (WINDOW_MIN.start() / 60, WINDOW_MIN.end() / 60);
        let text = format!(
            "the night from {} until {} is {length_min} minutes long; give it {least} to {most} hours, and let [presence] watch the day",
            from.strftime("%H:%M"),
            until.strftime("%H:%M")
        );
        match place {
            Some(place) => c.wrong(place, text),
            None => c.wrong(whole, text),
        }
    }

    // What only a bed sensor can tell.
    if beds.is_empty() {
        let add = format!("`{who}` has no bed-sensor; add a [[device]] of that kind with resident = \"{who}\"");
        let numbers = [
            ("absence_care_min", key!(absence_care_min)),
            ("absence_life_min", key!(absence_life_min)),
            ("visits_up_max", key!(visits_up_max)),
        ];
        for (key, value) in numbers {
            if let Some(value) = value.filter(|value| *value.get_ref() != 0) {
                c.wrong(value, format!("`{key}`: {add}, or write 0: not agreed"));
            }
        }
        if let Some(word) = key!(in_bed_by).filter(|word| !word.get_ref().is_empty()) {
            c.wrong(word, format!("`in_bed_by`: {add}, or write \"\": not agreed"));
        }
        if let Some(rounds) = key!(rounds).filter(|rounds| !rounds.get_ref().is_empty()) {
            c.wrong(rounds, format!("`rounds`: {add}, or write []: not agreed"));
        }
        c.warn(whole, format!("`{who}` has no bed-sensor: nobody is told if the bed is left at night"));
    }
    let minutes = |c: &mut Check<'_>, key: &str, value: Option<&Number>, default: i64, least: i64, most: i64| {
        let Some(value) = value else { return default };
        // 0: not agreed, where that is possible.
        if least > 0 && *value.get_ref() == 0 && key.starts_with("absence") {
            return 0;
        }
        c.number(key, value, least, most).unwrap_or(default)
    };
    let care_min = minutes(c, "absence_care_min", key!(absence_care_min), ABSENCE_CARE_MIN, 1, 720);
    let life_default = if care_min == 0 { 0 } else { care_min + ABSENCE_LIFE_AFTER_MIN };
    let life_min = minutes(c, "absence_life_min", key!(absence_life_min), life_default, 2, 1_440);
    if let Some(life) = key!(absence_life_min).filter(|_| life_min != 0 && life_min <= care_min) {
        let text = format!(
            "`absence_life_min` ({life_min}) must be more than `absence_care_min` ({care_min}): staff are asked first; raise it, or write 0 for no life alarm"
        );
        c.wrong(life, text);
    }
    let agreed_min = |min: i64| (min > 0 && !beds.is_empty()).then_some(min * 60_000);

    let in_bed_by = written(key!(in_bed_by)).map(|word| {
        let by = time(c, "in_bed_by", &word);
        if into(window, by) >= length_min {
            c.wrong(&word, within("in_bed_by", by, window));
        }
        by
    });
    let visits_up_max = key!(visits_up_max).filter(|max| *max.get_ref() != 0);
    let most = NIGHT_UPS_KEPT as i64 / 2;
    let visits_up_max = visits_up_max.and_then(|max| c.number("visits_up_max", max, 1, most));
    let visits_up_max = visits_up_max.and_then(|max| usize::try_from(max).ok()).filter(|_| !beds.is_empty());

    let morning = morning(c, window, length_min, key!(up_from), written(key!(up_by)).as_ref());
    if let Some(word) = key!(up_by).filter(|word| !word.get_ref().is_empty() && whose.devices.is_empty()) {
        c.wrong(word, format!("`up_by`: `{who}` has no device that could show a sign of life; add one"));
    }
    let lead_min = minutes(c, "visit_lead_min", key!(visit_lead_min), VISIT_LEAD_MIN, 1, 240);
    let rounds = key!(rounds).map_or_else(Vec::new, |rounds| self::rounds(c, window, length_min, lead_min, rounds));
    let staff_min = minutes(c, "staff_visit_min", key!(staff_visit_min), STAFF_VISIT_MIN, 5, 240);
    let most = BED_HEARD_MS / 60_000;
    let heard_min = minutes(c, "bed_heard_min", key!(bed_heard_min), most, 10, most);
    let declined = match key!(declined) {
        Some(word) => c.choice("declined", word, &[("visit", Declined::Visit), ("nothing", Declined::Nothing)]),
        None => Some(Declined::Visit),
    };
    let door = match key!(door) {
        Some(word) => c.choice("door", word, &[("alarm", true), ("off", false)]),
        None => Some(true),
    };
    let exits = ids(&|device| device.kind == DeviceKind::DoorSensor && device.exit);
    if let (Some(word), Some(true), true) = (key!(door), door, exits.is_empty()) {
        let text = format!(
            "`door`: `{who}` has no door that leads out; write exit = true in the [[device]] of one, and whose it is"
        );
        c.warn(word, text);
    }
    // A shared door's device is nobody's, and what is nobody's is judged for nobody.
    let nobodys = |device: &&Device| device.exit && device.resident.is_none() && !whose.devices.contains(&device.id);
    if let (Some(true), Some(shared)) = (door, whose.known.values().find(nobodys)) {
        let text = format!(
            "`{}` leads out and is nobody's: opened at night it is told to nobody; write resident = \"…\" in its [[device]]",
            shared.id
        );
        c.warn(whole, text);
    }
    let bridged = ids(&|device| device.kind == DeviceKind::BedSensor && device.via.is_some());
    if let (false, None, Some(bed)) = (rounds.is_empty(), key!(bed_heard_min), bridged.first()) {
        let text = format!(
            "`{bed}` is behind a bridge: without `bed_heard_min` it counts as alive for {} hours after its last word, and look-ins with it; write twice the minutes at which it reports by itself",
            most / 60
        );
        c.warn(whole, text);
    }
    Some(Night {
        window,
        absence_care_ms: agreed_min(care_min),
        absence_life_ms: agreed_min(life_min),
        in_bed_by: in_bed_by.filter(|_| !beds.is_empty()),
        visits_up_max,
        morning,
        rounds,
        visit_lead_ms: lead_min * 60_000,
        staff_visit_ms: staff_min * 60_000,
        bed_heard_ms: heard_min * 60_000,
        declined: declined?,
        exits: if door? { exits } else { Vec::new() },
        beds,
        term: consent::term(c, zone, key!(consent)),
    })
}

fn within(key: &str, time: Time, window: Daily) -> String {
    let of_day = |time: Time| time.strftime("%H:%M").to_string();
    let (from, until) = (of_day(window.from), of_day(window.until));
    format!("`{key}`: {} is outside the night from {from} until {until}; choose a time within it", of_day(time))
}

fn morning(
    c: &mut Check<'_>,
    window: Daily,
    length_min: i64,
    from: Option<&Text>,
    by: Option<&Text>,
) -> Option<Morning> {
    let Some(word) = by else {
        if let Some(from) = from.filter(|from| !from.get_ref().is_empty()) {
            c.wrong(from, "`up_from` needs `up_by`: the time by which there must be a sign of life".to_owned());
        }
        return None;
    };
    let by = time(c, "up_by", word);
    let by_min = into(window, by);
    let last_min = (length_min + MORNING_AFTER_MIN).min(DAY_MIN - 1);
    if by_min == 0 || by_min > last_min {
        let text = format!(
            "`up_by`: {} is not in the night or the {} hours after it; choose a time there",
            by.strftime("%H:%M"),
            MORNING_AFTER_MIN / 60
        );
        c.wrong(word, text);
    }
    let from = match from.filter(|from| !from.get_ref().is_empty()) {
        Some(word) => {
            let from = time(c, "up_from", word);
            if into(window, from) >= by_min {
                let (from, by) = (from.strftime("%H:%M"), by.strftime("%H:%M"));
                c.wrong(word, format!("`up_from`: {from} must be in the night and before `up_by` ({by})"));
            }
            from
        }
        None => {
            let before_min = UP_FROM_BEFORE_MIN.min(by_min);
            by.wrapping_sub(jiff::Span::new().minutes(before_min))
        }
    };
    Some(Morning { from, by })
}

fn rounds(
    c: &mut Check<'_>,
    window: Daily,
    length_min: i64,
    lead_min: i64,
    rounds: &Spanned<Vec<RoundTable>>,
) -> Vec<Round> {
    if rounds.get_ref().len() > NIGHT_ROUNDS_MAX {
        let count = rounds.get_ref().len();
        c.wrong(
            rounds,
            format!("`rounds`: {count} look-ins a night, and at most {NIGHT_ROUNDS_MAX} are possible; remove some"),
        );
    }
    let mut known: Vec<(i64, i64, Round)> = Vec::new();
    for round in rounds.get_ref() {
        let (at, latest) = (time(c, "at", &round.at), time(c, "latest", &round.latest));
        let (at_min, latest_min) = (into(window, at), into(window, latest));
        let latest_min = if latest == window.until { length_min } else { latest_min };
        if at_min >= length_min {
            c.wrong(&round.at, within("at", at, window));
        } else if latest_min > length_min {
            c.wrong(&round.latest, within("latest", latest, window));
        } else if latest_min <= at_min {
            let (at, latest) = (at.strftime("%H:%M"), latest.strftime("%H:%M"));
            c.wrong(&round.latest, format!("`latest` ({latest}) must be after `at` ({at}): a look-in takes its time"));
        } else if latest_min - at_min <= lead_min {
            let least = lead_min + 1;
            let text = format!(
                "`latest`: this look-in has {} minutes, and a visit is asked for {lead_min} minutes before its end (`visit_lead_min`); give it {least} or more",
                latest_min - at_min
            );
            c.wrong(&round.latest, text);
        } else if let Some((.., other)) = known.iter().find(|(a, l, _)| at_min < *l && *a < latest_min) {
            let (one, other) = (at.strftime("%H:%M"), other.at.strftime("%H:%M"));
            c.wrong(
                &round.at,
                format!("the look-ins of {other} and {one} overlap; let one end before the other begins"),
            );
        }
        known.push((at_min, latest_min, Round { at, latest }));
    }
    known.sort_by_key(|(at_min, ..)| *at_min);
    known.into_iter().map(|(.., round)| round).collect()
}
