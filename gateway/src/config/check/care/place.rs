//! [[fence]]: an area agreed with a person; to leave it, or to enter it, is an alarm.

use jiff::civil::Time;
use serde::Deserialize;
use toml::Spanned;
use vaka_protocol::{DeviceId, Lane};

use super::super::explain::shown;
use super::super::routes::{DAYS, time};
use super::{Check, DeviceKind, People, Text, consent};
use crate::limits::{FENCE_CORNERS_MAX, FENCE_RADIUS_M_MIN, FENCE_REACH_M_MAX, FENCES_MAX};
use crate::rules::care::place::{Area, AreaError, BackBy, Fence, Hours, Watched};
use crate::rules::care::when::{Daily, Days};

/// Metres beyond the edge from which on somebody is outside. Source: our choice; the width of a street, so that a walk along the edge is
/// one leaving at most.
const HYSTERESIS_M: i64 = 30;
const HYSTERESIS_M_MAX: i64 = 5_000;

/// Seconds on the other side before it counts. Source: our choice; an error by reflections from houses is over by then, and somebody on
/// foot is 80 m away.
const DWELL_S: i64 = 60;
const DWELL_S_MAX: i64 = 3_600;

/// Radius below which a position taken indoors is often not certain to be within, in metres: it is said as a warning.
const RADIUS_M_SMALL: f64 = 75.0;

/// Longest name, in characters: what an alarm centre shows has room for it and a time.
const NAME_CHARS_MAX: usize = 24;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Table {
    pub name: Text,
    pub resident: Option<Text>,
    pub device: Option<Text>,
    pub lat: Option<Spanned<f64>>,
    pub lon: Option<Spanned<f64>>,
    pub radius_m: Option<Spanned<f64>>,
    pub points: Option<Spanned<Vec<(f64, f64)>>>,
    pub alarm: Option<Text>,
    pub lane: Option<Text>,
    pub hysteresis_m: Option<Spanned<i64>>,
    pub dwell_s: Option<Spanned<i64>>,
    pub days: Option<Spanned<Vec<Text>>>,
    pub from: Option<Text>,
    pub until: Option<Text>,
    pub back_by: Option<Text>,
    pub consent: Option<Spanned<consent::Table>>,
}

const ALARMS: &[(&str, (bool, bool))] = &[("leave", (true, false)), ("enter", (false, true)), ("both", (true, true))];
const LANES: &[(&str, Lane)] = &[("care", Lane::Care), ("life", Lane::Life)];

pub(in crate::config) fn fence(c: &mut Check<'_>, people: &mut People, table: &Spanned<Table>) {
    let fence = table.get_ref();
    let named = fence.device.as_ref().map(|named| people.device(c, "device", named, &[DeviceKind::GpsAlarm]));
    let kinds = people.devices.clone();
    let term = consent::term(c, &people.zone, fence.consent.as_ref());
    let Some(person) = people.find(c, fence.resident.as_ref(), table) else { return };
    let devices: Vec<DeviceId> = match named {
        Some(device) => device.into_iter().collect(),
        None => {
            let tells = |device: &&DeviceId| kinds.get(*device) == Some(&DeviceKind::GpsAlarm);
            person.devices.iter().filter(tells).cloned().collect()
        }
    };
    match (&fence.device, devices.first()) {
        (Some(named), Some(device)) if !person.devices.contains(device) => {
            let id = &person.id;
            c.wrong(named, format!("`device` names `{device}`, which is not `{id}`'s; give it `resident = \"{id}\"`"));
        }
        (None, None) => {
            let id = &person.id;
            c.wrong(table, format!("`{id}` has no gps-alarm that could say where they are; add its [[device]]"));
        }
        _ => {}
    }
    let name = fence.name.get_ref().trim();
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        c.wrong(&fence.name, format!("`name` must be 1 to {NAME_CHARS_MAX} characters, as people call the area"));
    }
    if person.fences.iter().any(|known| known.name == name) {
        let said = shown(name);
        c.wrong(&fence.name, format!("`{}` has two fences named `{said}`; name each its own", person.id));
    }
    if person.fences.len() >= FENCES_MAX {
        c.wrong(table, format!("`{}` has more than {FENCES_MAX} fences; remove those no longer agreed", person.id));
    }
    let (hours, days) = hours(c, fence, table);
    let back_by = fence.back_by.as_ref().map(|word| BackBy { days, time: time(c, "back_by", word) });
    // Who is to be back by a time may be anywhere until then.
    let word = fence.alarm.as_ref().and_then(|word| c.choice("alarm", word, ALARMS));
    let (leave, enter) = word.unwrap_or((back_by.is_none(), false));
    let lane = fence.lane.as_ref().and_then(|word| c.choice("lane", word, LANES)).unwrap_or(Lane::Care);
    if let Some(lane) = fence.lane.as_ref().filter(|_| !leave && !enter) {
        let text = "`lane` is of `alarm`, which this [[fence]] has not; not to be back in time is always care";
        c.warn(lane, text.to_owned());
    }
    let hysteresis_m = whole(c, "hysteresis_m", fence.hysteresis_m.as_ref(), HYSTERESIS_M, HYSTERESIS_M_MAX);
    let dwell_s = whole(c, "dwell_s", fence.dwell_s.as_ref(), DWELL_S, DWELL_S_MAX);
    let Some(area) = area(c, fence, table) else { return };
    let agreed = agreed(fence, (hysteresis_m, dwell_s), lane);
    let watched = devices.iter().map(|device| Watched::new(&person.id, name, device)).collect();
    person.fences.push(Fence {
        name: name.to_owned(),
        area,
        leave,
        enter,
        lane,
        hysteresis_m: hysteresis_m as f64,
        dwell_ms: dwell_s * 1_000,
        hours,
        back_by,
        watched,
        agreed,
        term,
    });
}

/// `days`, `from` and `until`: absent means every day, from midnight, until midnight; all absent: always.
fn hours(c: &mut Check<'_>, fence: &Table, table: &Spanned<Table>) -> (Option<Hours>, Days) {
    let days = fence.days.as_ref().map_or(Days::ALL, |words| {
        if words.get_ref().is_empty() {
            let text = "`days` names no day, so this [[fence]] never holds; name one, or leave `days` out";
            c.wrong(words, text.to_owned());
        }
        let days: Vec<_> = words.get_ref().iter().filter_map(|word| c.choice("day", word, DAYS)).collect();
        Days::of(&days)
    });
    let mut at = |key: &str, word: &Option<Text>| word.as_ref().map(|word| time(c, key, word));
    let (from, until) = (at("from", &fence.from), at("until", &fence.until));
    if fence.back_by.is_some() && fence.alarm.is_none() && (from.is_some() || until.is_some()) {
        let text = "`from` and `until` are of `alarm`, which this [[fence]] has not; remove them, or add `alarm`";
        c.wrong(table, text.to_owned());
    }
    let always = fence.days.is_none() && from.is_none() && until.is_none();
    let daily = Daily { from: from.unwrap_or(Time::midnight()), until: until.unwrap_or(Time::midnight()) };
    ((!always).then_some(Hours { days, daily }), days)
}

fn area(c: &mut Check<'_>, fence: &Table, table: &Spanned<Table>) -> Option<Area> {
    match (&fence.lat, &fence.lon, &fence.radius_m, &fence.points) {
        (Some(lat), Some(lon), Some(radius_m), None) => {
            let (lat, lon) = (degrees(c, "lat", lat, 90.0), degrees(c, "lon", lon, 180.0));
            let metres = *radius_m.get_ref();
            let (least, most) = (f64::from(FENCE_RADIUS_M_MIN), f64::from(FENCE_REACH_M_MAX));
            if !(least..=most).contains(&metres) {
                let text = format!(
                    "`radius_m` must be {least} to {most}: a position is off by 5 to 20 m under open sky, and no \
                     walk goes further than {} km",
                    FENCE_REACH_M_MAX / 1_000
                );
                c.wrong(radius_m, text);
                return None;
            }
            if metres < RADIUS_M_SMALL {
                let text = format!(
                    "`radius_m` under {RADIUS_M_SMALL}: a position taken indoors is often off by more, so that being \
                     back may not be seen"
                );
                c.warn(radius_m, text);
            }
            Some(Area::circle(lat?, lon?, metres))
        }
        (None, None, None, Some(points)) => {
            let corners = points.get_ref();
            if !(3..=FENCE_CORNERS_MAX).contains(&corners.len()) {
                c.wrong(points, format!("`points` has {} corners; it must be 3 to {FENCE_CORNERS_MAX}", corners.len()));
                return None;
            }
            let sane = |(lat, lon): &(f64, f64)| (-90.0..=90.0).contains(lat) && (-180.0..=180.0).contains(lon);
            if !corners.iter().all(sane) {
                let text = "`points` must be [latitude, longitude] in degrees, as [59.3293, 18.0686]";
                c.wrong(points, text.to_owned());
                return None;
            }
            let closed = corners.len() > 3 && corners.first() == corners.last();
            let corners = &corners[..corners.len() - usize::from(closed)];
            Area::polygon(corners).map_err(|e: AreaError| c.wrong(points, format!("`points`: {e}"))).ok()
        }
        _ => {
            let text = "this [[fence]] needs either `lat`, `lon` and `radius_m`, or `points = [[lat, lon], …]`";
            c.wrong(table, text.to_owned());
            None
        }
    }
}

fn degrees(c: &mut Check<'_>, key: &str, value: &Spanned<f64>, most: f64) -> Option<f64> {
    let sane = (-most..=most).contains(value.get_ref());
    if !sane {
        c.wrong(value, format!("`{key}` must be -{most} to {most}, in degrees, as Stockholm's 59.3293, 18.0686"));
    }
    sane.then_some(*value.get_ref())
}

fn whole(c: &mut Check<'_>, key: &str, value: Option<&Spanned<i64>>, default: i64, most: i64) -> i64 {
    let Some(value) = value else { return default };
    if !(0..=most).contains(value.get_ref()) {
        c.wrong(value, format!("`{key}` must be 0 to {most}; without it: {default}"));
        return default;
    }
    *value.get_ref()
}

/// The settings as evidence: names as in the file. Where the area lies is no part of it.
fn agreed(fence: &Table, (hysteresis_m, dwell_s): (i64, i64), lane: Lane) -> Vec<(String, String)> {
    let word = |word: &Option<Text>| word.as_ref().map(|word| word.get_ref().clone());
    let alarm = word(&fence.alarm).or_else(|| fence.back_by.is_none().then(|| "leave".to_owned()));
    let days = fence.days.as_ref().map(|days| {
        let days: Vec<&str> = days.get_ref().iter().map(|day| day.get_ref().as_str()).collect();
        days.join(", ")
    });
    let settings = [
        ("name", Some(fence.name.get_ref().clone())),
        ("radius_m", fence.radius_m.as_ref().map(|radius_m| radius_m.get_ref().to_string())),
        ("points", fence.points.as_ref().map(|points| format!("{} corners", points.get_ref().len()))),
        ("lane", alarm.is_some().then(|| lane.as_str().to_owned())),
        ("alarm", alarm),
        ("hysteresis_m", Some(hysteresis_m.to_string())),
        ("dwell_s", Some(dwell_s.to_string())),
        ("days", days),
        ("from", word(&fence.from)),
        ("until", word(&fence.until)),
        ("back_by", word(&fence.back_by)),
    ];
    settings.into_iter().filter_map(|(key, value)| Some((format!("fence.{key}"), value?))).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::{Config, ConfigError};
    use crate::rules::care::place::{Area, Fence};

    const HEAD: &str = "[gateway]\nid = \"gw-1\"\ncontroller_id = \"1\"\n[ingest]\nlisten = \"127.0.0.1:0\"\n\
                        [[device]]\nid = \"gps1\"\nkind = \"gps-alarm\"\n[[device]]\nid = \"p1\"\nkind = \"pendant\"\n";

    fn parse(fence: &str) -> Result<(Vec<Fence>, Vec<String>), Vec<String>> {
        let text = format!("{HEAD}[[fence]]\n{fence}\n");
        match Config::parse(text.as_bytes(), Path::new("v.toml")) {
            Ok((config, warnings)) => {
                let warnings = warnings.iter().map(ToString::to_string).filter(|text| text.contains('`')).collect();
                Ok((config.agreed.people[0].fences.clone(), warnings))
            }
            Err(ConfigError::Invalid(findings)) => Err(findings.iter().map(ToString::to_string).collect()),
            Err(other) => Err(vec![other.to_string()]),
        }
    }

    #[test]
    fn a_fence_has_its_defaults() {
        let (fences, warnings) = parse("name = \"Hemmet\"\nlat = 59.3293\nlon = 18\nradius_m = 200").unwrap();
        let fence = &fences[0];
        assert_eq!((fence.leave, fence.enter, fence.lane.as_str()), (true, false, "care"));
        assert_eq!((fence.hysteresis_m, fence.dwell_ms, fence.hours, fence.back_by), (30.0, 60_000, None, None));
        assert_eq!(fence.area, Area::circle(59.3293, 18.0, 200.0));
        assert_eq!(fence.watched[0].device.as_ref(), "gps1");
        assert!(fence.agreed.contains(&("fence.radius_m".to_owned(), "200".to_owned())), "{:?}", fence.agreed);
        assert!(!fence.agreed.iter().any(|(_, value)| value.contains("59.")), "where it lies is no evidence");
        assert!(warnings.iter().all(|warning| !warning.contains("radius")), "{warnings:?}");
    }

    #[test]
    fn all_that_can_be_agreed_is_read() {
        let text = "name = \"Parken\"\ndevice = \"gps1\"\nalarm = \"both\"\nlane = \"life\"\nhysteresis_m = 0\ndwell_s = 0\n\
                    points = [[59.33, 18.06], [59.34, 18.06], [59.34, 18.08], [59.33, 18.06]]\n\
                    days = [\"saturday\"]\nfrom = \"22:00\"\nuntil = \"06:00\"\nback_by = \"20:00\"";
        let (fences, _) = parse(text).unwrap();
        let fence = &fences[0];
        assert!(fence.leave && fence.enter && fence.hours.is_some() && fence.back_by.is_some());
        let corners = [(59.33, 18.06), (59.34, 18.06), (59.34, 18.08)];
        assert_eq!(fence.area, Area::polygon(&corners).unwrap(), "a repeated first corner closes it");
        let (fences, _) = parse("name = \"P\"\nlat = 1\nlon = 1\nradius_m = 100\nback_by = \"20:00\"").unwrap();
        assert!(!fences[0].leave, "who is to be back by a time may be anywhere until then");
    }

    #[test]
    fn complaints_name_line_key_and_fix() {
        let circle = "name = \"P\"\nlat = 59\nlon = 18\nradius_m = 100\n";
        let cases = [
            ("name = \"P\"".to_owned(), "needs either `lat`, `lon` and `radius_m`, or `points"),
            (
                format!("{circle}device = \"p1\""),
                "`device` names `p1`, which is a pendant; it must be one of: gps-alarm",
            ),
            (format!("{circle}device = \"gps2\""), "names the unknown device `gps2`; did you mean `gps1`?"),
            (format!("{circle}alarm = \"leav\""), "did you mean `leave`?"),
            (format!("{circle}lane = \"technical\""), "lane"),
            (format!("{circle}dwell_s = 90000"), "`dwell_s` must be 0 to 3600; without it: 60"),
            (format!("{circle}days = []"), "names no day"),
            (format!("{circle}back_by = \"25:00\""), "back_by"),
            (format!("{circle}from = \"20:00\"\nback_by = \"21:00\""), "are of `alarm`, which this [[fence]] has not"),
            (circle.replace("59", "95"), "`lat` must be -90 to 90"),
            (circle.replace("100", "5"), "`radius_m` must be 25 to 50000"),
            (circle.replace("\"P\"", "\"\""), "`name` must be 1 to 24 characters"),
            ("name = \"P\"\npoints = [[59.0, 18.0], [59.1, 18.0]]".to_owned(), "has 2 corners; it must be 3 to 100"),
            (
                "name = \"P\"\npoints = [[59.00, 18.00], [59.01, 18.01], [59.00, 18.01], [59.01, 18.00]]".to_owned(),
                "`points`: its edges cross",
            ),
            ("name = \"P\"\npoints = [[18.0, 59.0], [18.1, 59.0], [19.5, 59.5]]".to_owned(), "latitude first"),
            (format!("{circle}[[fence]]\n{circle}"), "has two fences named `P`"),
        ];
        for (text, expected) in cases {
            let found = parse(&text).expect_err(&text);
            assert!(
                found.iter().any(|line| line.contains(expected) && line.starts_with("v.toml:")),
                "{text}: {found:?}"
            );
        }
        let (_, warnings) = parse("name = \"P\"\nlat = 1\nlon = 1\nradius_m = 50").unwrap();
        assert!(warnings.iter().any(|warning| warning.contains("`radius_m` under 75")), "{warnings:?}");
    }
}
