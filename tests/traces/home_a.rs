//! A real home's fourteen days under the agreement in `home-a.toml`: as recorded, and with things that go wrong put into its nights.

use std::collections::BTreeMap;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use vaka::config::Config;
use vaka::demo::replay::{self, Recording};
use vaka::journal::record::Decision;
use vaka::rehearse::{Rehearsed, SIGN_OF_LIFE_MS, Said, agreement, rehearse, rows, said, table, with_signs_of_life};
use vaka::report::nights::Night;
use vaka_protocol::{DeviceId, Event};
use vaka_tests::{Chance, root, setting};

const MINUTE_MS: i64 = 60_000;

/// The home, as recorded and as agreed.
struct Home {
    config: Config,
    said: Vec<Said>,
    nights: Vec<Night>,
    bed: DeviceId,
    door: DeviceId,
}

fn home() -> Home {
    let events = std::fs::read(root().join("tests/data/home-a/events.jsonl")).expect("the recording");
    let recording: Recording = replay::read(events.as_slice()).expect("a readable recording");
    let path = root().join("tests/traces/home-a.toml");
    let text = std::fs::read_to_string(&path).expect("what is agreed");
    let config = agreement(&text, &path, &recording).unwrap_or_else(|e| panic!("{e}"));
    let said = said(&recording).expect("every line has a time");
    let id = |id: &str| DeviceId::try_from(id).expect("an id");
    let bed = id("bed-pressure-bedroom");
    let nights = play(&said, &config).nights.remove(&bed).expect("the bed has seen nights");
    Home { config, said, nights, bed, door: id("maindoor-magnetic-entrance") }
}

fn play(said: &[Said], config: &Config) -> Rehearsed {
    rehearse(&with_signs_of_life(said, SIGN_OF_LIFE_MS), config, 0)
}

impl Home {
    fn zone(&self) -> &TimeZone {
        &self.config.gateway.time_zone
    }

    fn night(&self) -> &vaka::rules::care::night::Night {
        self.config.agreed.people[0].night.as_ref().expect("a night is agreed")
    }

    /// When the person lay in bed within the agreed hours, night by night: UTC milliseconds.
    fn watched(&self) -> Vec<(i64, i64)> {
        let nights = self.nights.iter().filter_map(|night| {
            let span = self.night().window.around(self.zone(), night.to_bed_at);
            Some((night.to_bed_at.max(span.start_ms), night.up_at?.min(span.end_ms)))
        });
        nights.filter(|(from, until)| from < until).collect()
    }

    fn bed_says(&self, at_ms: i64, occupied: bool) -> Said {
        Said { at_ms, device: self.bed.clone(), event: Event::Bed { occupied } }
    }

    fn door_says(&self, at_ms: i64, open: bool) -> Said {
        Said { at_ms, device: self.door.clone(), event: Event::Door { open } }
    }

    fn with(&self, more: Vec<Said>) -> Vec<Said> {
        let mut all = self.said.clone();
        all.extend(more);
        all.sort_by_key(|said| said.at_ms);
        all
    }
}

/// When alarms of this rule and cause were raised, UTC milliseconds.
fn raised(rehearsed: &Rehearsed, rule: &str, cause: &str) -> Vec<i64> {
    let found = rehearsed.log.iter().filter_map(|(at, decision)| match decision {
        Decision::Raise(raise) if raise.rule == rule && raise.cause == cause => Some(*at),
        _ => None,
    });
    found.collect()
}

fn alarms(rehearsed: &Rehearsed) -> Vec<String> {
    let told = rehearsed.log.iter().filter_map(|(at, decision)| match decision {
        Decision::Raise(raise) => Some(format!("{at} {} {} {}", raise.lane, raise.rule, raise.cause)),
        _ => None,
    });
    told.collect()
}

/// What the person noted of each night: the longest sleep that began between 15:00 and 15:00.
fn noted() -> BTreeMap<Date, String> {
    let text = std::fs::read_to_string(root().join("tests/data/home-a/activities.txt")).expect("what was noted");
    let mut nights: BTreeMap<Date, (DateTime, DateTime)> = BTreeMap::new();
    for line in text.lines().skip(2) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [from_date, from_time, to_date, to_time, activity] = words[..] else { continue };
        if activity != "Sleeping" {
            continue;
        }
        let parse = |date: &str, time: &str| format!("{date}T{time}").parse::<DateTime>().expect("a time");
        let (from, until) = (parse(from_date, from_time), parse(to_date, to_time));
        let date = if from.hour() < 15 { from.date().yesterday().expect("a day before") } else { from.date() };
        nights.entry(date).or_insert((from, until)).1 = until;
    }
    nights
        .into_iter()
        .map(|(date, (from, until))| (date, format!("slept {} to {}", from.strftime("%H:%M"), until.strftime("%H:%M"))))
        .collect()
}

#[test]
fn fifteen_recorded_nights_raise_nothing() {
    let home = home();
    let started = std::time::Instant::now();
    let rehearsed = play(&home.said, &home.config);
    let took = started.elapsed();
    let notes = noted();
    for line in table(&rows(&rehearsed, home.zone()), home.zone(), Some(("the person noted", &notes))) {
        println!("{line}");
    }
    println!("{} events in {took:?}", home.said.len());
    assert_eq!(alarms(&rehearsed), Vec::<String>::new(), "no alarm on a night left as recorded");
    assert_eq!(home.nights.len(), 15, "fourteen days touch fifteen nights");
    // The person and the bed agree on when it was night.
    for night in &home.nights {
        let clock = vaka::rules::care::when::local(home.zone(), night.to_bed_at).strftime("slept %H:%M").to_string();
        let noted = notes.get(&night.date);
        assert!(
            noted.is_none_or(|noted| noted[..10] == clock[..10] || noted[..8] == clock[..8]),
            "{night:?}: {noted:?}"
        );
    }
}

#[test]
fn every_absence_longer_than_agreed_is_found_and_no_shorter_one() {
    let home = home();
    let mut chance = Chance::from_environment();
    let agreed_ms = home.night().absence_care_ms.expect("an absence is agreed");
    let (mut longer, mut shorter) = (0, 0);
    for _ in 0..setting("VAKA_ABSENCE_ROUNDS", 20) {
        let mut more = Vec::new();
        let mut expected = Vec::new();
        for (from, until) in home.watched() {
            let lasts_ms = 1_000 * (60 + chance.below(89 * 60 + 1) as i64);
            let room_ms = until - from - lasts_ms - 2 * MINUTE_MS;
            // Whoever is up when the night ends has risen; and as long as agreed to the second is no question.
            if room_ms <= agreed_ms || lasts_ms == agreed_ms {
                continue;
            }
            let left = from + MINUTE_MS + 1_000 * chance.below(room_ms as u64 / 1_000) as i64;
            more.extend([home.bed_says(left, false), home.bed_says(left + lasts_ms, true)]);
            if lasts_ms > agreed_ms {
                expected.push(left + agreed_ms);
                longer += 1;
            } else {
                shorter += 1;
            }
        }
        let rehearsed = play(&home.with(more), &home.config);
        assert_eq!(raised(&rehearsed, "night", "absence"), expected);
    }
    println!("{longer} longer than agreed, {shorter} shorter");
    assert!(longer > 20 && shorter > 20);
}

#[test]
fn every_missed_return_is_found() {
    let home = home();
    let mut chance = Chance::from_environment();
    let night = home.night();
    let (care_ms, life_ms) = (night.absence_care_ms.expect("agreed"), night.absence_life_ms.expect("agreed"));
    for (from, until) in home.watched() {
        let room_ms = until - from - life_ms - 2 * MINUTE_MS;
        assert!(room_ms > 0, "a night too short for this test");
        let left = from + MINUTE_MS + 1_000 * chance.below(room_ms as u64 / 1_000) as i64;
        // Nothing more of this night: nobody comes back, and nobody is seen anywhere until noon.
        let gone = |said: &&Said| !(left..until.max(left + 6 * 3_600_000)).contains(&said.at_ms);
        let mut said: Vec<Said> = home.said.iter().filter(gone).cloned().collect();
        said.push(home.bed_says(left, false));
        said.sort_by_key(|said| said.at_ms);
        // The last night is the recording's end: what is due after it comes as well.
        let rehearsed = rehearse(&with_signs_of_life(&said, SIGN_OF_LIFE_MS), &home.config, life_ms);
        assert_eq!(raised(&rehearsed, "night", "absence"), [left + care_ms]);
        assert_eq!(raised(&rehearsed, "night", "absence-life"), [left + life_ms]);
    }
}

#[test]
fn every_door_opened_at_night_is_found_and_none_by_day() {
    let home = home();
    let mut chance = Chance::from_environment();
    for _ in 0..setting("VAKA_DOOR_ROUNDS", 5) {
        let mut more = Vec::new();
        let mut expected = Vec::new();
        for (from, until) in home.watched() {
            let opened = from + 1_000 * chance.below((until - from) as u64 / 1_000 - 60) as i64;
            more.extend([home.door_says(opened, true), home.door_says(opened + 20_000, false)]);
            expected.push(opened);
        }
        let rehearsed = play(&home.with(more), &home.config);
        assert_eq!(raised(&rehearsed, "night", "door"), expected);
    }
}

#[test]
fn every_sensor_that_falls_silent_is_found() {
    let home = home();
    let mut chance = Chance::from_environment();
    for (from, until) in home.watched() {
        let silent = from + 1_000 * chance.below((until - from) as u64 / 1_000) as i64;
        let said = with_signs_of_life(&home.said, SIGN_OF_LIFE_MS);
        let (before, mut after): (Vec<Said>, Vec<Said>) = said.into_iter().partition(|said| said.at_ms < silent);
        after.retain(|said| said.device != home.bed);
        let heard = before.iter().rev().find(|said| said.device == home.bed).map_or(silent, |said| said.at_ms);
        let quiet_ms = home
            .config
            .agreed
            .devices
            .get(&home.bed)
            .expect("the bed is listed")
            .silence
            .quiet_ms
            .expect("the bed is supervised");
        let rehearsed = rehearse(&[before, after].concat(), &home.config, quiet_ms);
        let of_bed = |decision: &Decision| matches!(decision, Decision::Raise(raise) if raise.rule == "silence" && raise.device == home.bed);
        let found = rehearsed.log.iter().find(|(_, decision)| of_bed(decision)).map(|(at, _)| *at);
        assert_eq!(found, Some(heard + quiet_ms), "silent from {silent}: {:?}", alarms(&rehearsed));
    }
}
