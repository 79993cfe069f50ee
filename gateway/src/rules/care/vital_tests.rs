use std::sync::Arc;

use jiff::civil::date;
use proptest::prelude::*;

use super::super::agreed::{Agreed, Device};
use super::super::rehearsal::Rehearsal;
use super::*;
use crate::journal::record::{JoinWhat, Raise};
use crate::rules::{DeviceFacts, Home};

const MIN: i64 = 60_000;
const START: i64 = 1_795_212_000_000;

fn monitor() -> DeviceId {
    DeviceId::try_from("monitor").unwrap()
}

fn decimal(text: &str) -> Decimal {
    Decimal::read(text).unwrap()
}

fn threshold() -> Threshold {
    Threshold {
        kind: "heart_rate".into(),
        unit: "1/min".into(),
        below: Some(decimal("45")),
        above: Some(decimal("120.0")),
        set_by: "Anna Ek, sjuksköterska".into(),
        set_on: date(2026, 11, 1),
        term: Term::default(),
    }
}

fn story(vitals: Vec<Threshold>) -> Rehearsal {
    let person = Person { id: "r1".into(), devices: vec![monitor()], vitals, ..Person::default() };
    let device = Device { person: Some(0), kind: "vital-monitor", ..Device::default() };
    let devices = Lookup::from([(monitor(), device)]);
    let agreed = Agreed { people: vec![person], devices, ..Agreed::default() };
    let facts = DeviceFacts { dty: 49, fixed: false, speaks: false, home: false };
    let home = Home { devices: Lookup::from([(monitor(), facts)]), ..Home::default() };
    Rehearsal::new(Arc::new(agreed), home, START)
}

fn vital(value: &str, unit: &str) -> Event {
    Event::Vital { kind: "heart_rate".into(), value: value.try_into().unwrap(), unit: unit.into() }
}

fn read(story: &mut Rehearsal, value: &str) {
    story.event(&monitor(), &vital(value, "1/min"));
    let next = story.now_ms() + MIN;
    story.until(next);
}

fn raised(story: &Rehearsal) -> Vec<&Raise> {
    let raises = story.log.iter().filter_map(|(_, decision)| match decision {
        Decision::Raise(raise) => Some(raise.as_ref()),
        _ => None,
    });
    raises.collect()
}

fn overs(story: &Rehearsal) -> usize {
    let is_over = |decision: &Decision| matches!(decision, Decision::Join(join) if join.what == JoinWhat::Over);
    story.log.iter().filter(|(_, decision)| is_over(decision)).count()
}

#[test]
fn numbers_are_compared_as_they_are_written() {
    let ascending =
        ["-12.5", "-12.05", "-1", "-0.3", "0", "0.1", "0.10000000000000000001", "2", "9.99", "10", "120.01"];
    for pair in ascending.windows(2) {
        assert!(decimal(pair[0]) < decimal(pair[1]), "{pair:?}");
    }
    for (one, other) in [("-0", "0.000"), ("+5", "5.0"), ("007.10", "7.1")] {
        assert_eq!(decimal(one).cmp(&decimal(other)), Ordering::Equal, "{one} {other}");
    }
    for wrong in ["", "-", ".5", "5.", "1,5", "1e3", "NaN", "12 3", "0x1", "--1"] {
        assert_eq!(Decimal::read(wrong), None, "{wrong}");
    }
}

#[test]
fn a_reading_beyond_the_limit_is_told_once_with_who_set_it_and_over_when_it_is_back() {
    let mut story = story(vec![threshold()]);
    for value in ["80", "120", "120.0000", "121", "140", "125"] {
        read(&mut story, value);
    }
    {
        let raises = raised(&story);
        let [raise] = raises[..] else { panic!("{raises:?}") };
        assert_eq!((raise.lane, raise.dty, raise.stc), (Lane::Care, 19, 100));
        assert_eq!(
            raise.en,
            "heart_rate 121 1/min, above 120.0. The limit was set by Anna Ek, sjuksköterska on 2026-11-01."
        );
        assert_eq!(raise.sv, "heart_rate 121 1/min, över 120.0. Gränsen satte Anna Ek, sjuksköterska 2026-11-01.");
    }
    let alarm = raised(&story)[0].alarm.clone();
    story.close(&alarm);
    read(&mut story, "130");
    assert_eq!(raised(&story).len(), 1, "the same time beyond, whoever has closed its alarm");
    read(&mut story, "90");
    read(&mut story, "130");
    assert_eq!((raised(&story).len(), overs(&story)), (2, 0));
    read(&mut story, "45");
    assert_eq!(overs(&story), 1);
    read(&mut story, "44.99");
    let raises = raised(&story);
    assert_eq!((raises.len(), raises[2].stc), (3, 101));
}

#[test]
fn without_a_limit_nothing_is_decided() {
    let mut story = story(Vec::new());
    for value in ["0", "999", "abc"] {
        read(&mut story, value);
    }
    assert!(story.log.is_empty());
}

#[test]
fn another_unit_is_never_compared_and_told() {
    let mut story = story(vec![threshold()]);
    story.event(&monitor(), &vital("2.5", "Hz"));
    story.event(&monitor(), &vital("2.6", "Hz"));
    let raise = raised(&story).pop().unwrap();
    assert_eq!((raised(&story).len(), raise.lane), (1, Lane::Technical));
    assert!(raise.en.contains("came as 2.5 Hz; the limit is set in 1/min"), "{}", raise.en);
    read(&mut story, "80");
    assert_eq!(overs(&story), 1);
    read(&mut story, "80 bpm");
    assert_eq!(raised(&story).len(), 2);
}

#[test]
fn a_backlog_loses_no_reading_beyond_the_limit() {
    let mut story = story(vec![threshold()]);
    story.until(START + 10 * 60 * MIN);
    for minute in 0..300_i64 {
        let value = if minute == 150 { "30" } else { "80" };
        story.late(&monitor(), &vital(value, "1/min"), Some(START + minute * MIN));
    }
    story.until(START + 11 * 60 * MIN);
    let raise = raised(&story).pop().unwrap();
    assert_eq!((raised(&story).len(), raise.stc, raise.happened_at, raise.delayed), (1, 101, START + 150 * MIN, true));
    assert_eq!(overs(&story), 1, "and it was over when it was told");
}

#[test]
fn a_device_whose_clock_was_set_back_is_still_heard() {
    let mut vitals = Vitals::default();
    let read = |vitals: &mut Vitals, seq: u64, value: &str, at_ms: i64| {
        let recorded =
            At { wall_ms: START + i64::try_from(seq).unwrap() * MIN, mono_ms: 0, boot: seq as u32, record: seq };
        let at = At { wall_ms: at_ms, ..recorded };
        let (device, event) = (monitor(), vital(value, "1/min"));
        let sight =
            Sight { device: &device, restart: 1, seq, event: &event, at, recorded, delayed: false, suspect: false };
        vitals.see(&sight);
    };
    read(&mut vitals, 2, "80", START);
    read(&mut vitals, 3, "90", START - 60 * MIN);
    read(&mut vitals, 1, "70", START - 61 * MIN);
    let newest = &vitals.devices.get(&monitor()).unwrap()["heart_rate"].newest;
    assert_eq!((newest.value.as_str(), newest.at.wall_ms), ("90", START + 3 * MIN));
}

#[test]
fn a_room_has_its_own_device_type() {
    let room = Threshold {
        kind: "temperature".into(),
        unit: "°C".into(),
        below: Some(decimal("16.5")),
        above: None,
        ..threshold()
    };
    let mut story = story(vec![room]);
    story.event(&monitor(), &Event::Temperature { centi_c: 1_650 });
    assert!(raised(&story).is_empty());
    story.event(&monitor(), &Event::Temperature { centi_c: -5 });
    let raise = raised(&story).pop().unwrap();
    assert_eq!((raise.dty, raise.stc), (20, 101));
    assert!(raise.en.starts_with("temperature -0.05 °C, below 16.5."), "{}", raise.en);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn integers_compare_as_decimals(a in -10_000_i64..10_000, b in -10_000_i64..10_000) {
        let text = |n: i64| format!("{}{}.{:02}", if n < 0 { "-" } else { "" }, n.abs() / 100, n.abs() % 100);
        prop_assert_eq!(decimal(&text(a)).cmp(&decimal(&text(b))), a.cmp(&b));
    }

    #[test]
    fn each_time_beyond_is_one_alarm_over_restarts(values in prop::collection::vec(30..140_i64, 1..40), restarts in prop::collection::vec(any::<bool>(), 40)) {
        let mut story = story(vec![threshold()]);
        for (value, restart) in values.iter().zip(restarts) {
            read(&mut story, &value.to_string());
            if restart {
                story.restart();
            }
        }
        let side = |value: &i64| (*value > 120) as i64 - (*value < 45) as i64;
        let sides: Vec<i64> = values.iter().map(side).collect();
        let begins = sides.iter().enumerate().filter(|(i, side)| **side != 0 && (*i == 0 || sides[i - 1] != **side)).count();
        prop_assert_eq!(raised(&story).len(), begins);
    }
}

#[test]
fn one_residents_limits_do_not_push_out_anothers() {
    let limit = |kind: &str| Threshold { kind: kind.into(), ..threshold() };
    let kinds: Vec<String> = (0..8).map(|kind| format!("kind{kind}")).collect();
    let ids: Vec<DeviceId> = (0..4).map(|id| DeviceId::try_from(format!("m{id}").as_str()).unwrap()).collect();
    let vitals = kinds.iter().map(|kind| limit(kind)).collect();
    let many = Person { id: "r2".into(), devices: ids.clone(), vitals, ..Person::default() };
    let one = Person { id: "r1".into(), devices: vec![monitor()], vitals: vec![threshold()], ..Person::default() };
    let device = |person| Device { person: Some(person), kind: "vital-monitor", ..Device::default() };
    let mut devices = BTreeMap::from([(monitor(), device(0))]);
    devices.extend(ids.iter().map(|id| (id.clone(), device(1))));
    let facts = || DeviceFacts { dty: 49, fixed: false, speaks: false, home: false };
    let home = Home { devices: devices.keys().map(|id| (id.clone(), facts())).collect(), ..Home::default() };
    let agreed = Agreed { people: vec![one, many], devices: devices.into(), ..Agreed::default() };
    let mut story = Rehearsal::new(Arc::new(agreed), home, START);
    read(&mut story, "130");
    for id in &ids {
        for kind in &kinds {
            let event =
                Event::Vital { kind: kind.as_str().into(), value: "130".try_into().unwrap(), unit: "1/min".into() };
            story.event(id, &event);
        }
    }
    assert_eq!(raised(&story).len(), 1 + VITALS_BEYOND_MAX);
    read(&mut story, "80");
    assert_eq!(overs(&story), 1, "whose limit it was hears that it is over");
}
