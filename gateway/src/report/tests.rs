//! A page from a real journal on the disk: the recorded fortnight with things gone wrong in it, judged by the real rules.

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::civil::date;
use vaka_protocol::{AlarmId, DeviceId, DoseOutcome, Event, EventMessage, Lane, Rung, encode_event_json};

use super::{Days, Figures, page, read};
use crate::clock::{Clock, Confidence, Now};
use crate::config::{Config, Language};
use crate::demo::replay;
use crate::journal::record::{
    Act, ActWhat, Alive, CloseOutcome, Decision, Decisions, EventRecord, PathRecord, Record, RungRecord,
};
use crate::pipeline::restore;
use crate::rehearse::{SIGN_OF_LIFE_MS, Said, agreement, rehearse, said, with_signs_of_life};
use crate::rules::care::silence;

const MINUTE_MS: i64 = 60_000;
const DAYS: Days = Days { from: date(2011, 11, 28), to: date(2011, 12, 11) };

/// The time at which the next record is written.
struct Told(AtomicI64);

impl Clock for Told {
    fn now(&self) -> Now {
        let wall_ms = self.0.load(Ordering::Relaxed);
        Now {
            mono_ms: u64::try_from(wall_ms - 1_322_000_000_000).unwrap_or(0),
            wall_ms,
            confidence: Confidence::Synchronised,
        }
    }
}

fn id(text: &str) -> DeviceId {
    DeviceId::try_from(text).unwrap()
}

fn utc(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

/// The recorded home with a dispenser in it, two long absences, and a bed sensor that is silent for a day.
fn story() -> (Config, Vec<Said>) {
    let recording = replay::read(include_str!("../../../tests/data/home-a/events.jsonl").as_bytes()).unwrap();
    let mut text = include_str!("../../../tests/traces/home-a.toml").to_owned();
    text.push_str("[[device]]\nid = \"disp1\"\nkind = \"dispenser\"\n");
    let config = agreement(&text, Path::new("home-a.toml"), &recording).unwrap();
    let mut all = with_signs_of_life(&said(&recording).unwrap(), SIGN_OF_LIFE_MS);
    let bed = id("bed-pressure-bedroom");
    for (left, back) in
        [("2011-12-01T03:10:00Z", "2011-12-01T03:52:00Z"), ("2011-12-06T02:30:00Z", "2011-12-06T02:41:00Z")]
    {
        for (at, occupied) in [(left, false), (back, true)] {
            all.push(Said { at_ms: utc(at), device: bed.clone(), event: Event::Bed { occupied } });
        }
    }
    for day in 0..14 {
        let at_ms = utc("2011-11-28T18:00:00Z") + day * 86_400_000;
        let outcome = if day % 6 == 5 { DoseOutcome::Missed } else { DoseOutcome::Taken };
        all.push(Said { at_ms, device: id("disp1"), event: Event::Dose { slot: "evening".into(), outcome } });
    }
    all.sort_by_key(|said| said.at_ms);
    (config, all)
}

/// Writes the story and what was decided on it as a gateway would have.
fn write(dir: &Path, config: &Config, story: &[Said]) {
    let mut records: Vec<(i64, Lane, Record)> = Vec::new();
    let mut numbers = 0;
    for said in story {
        numbers += 1;
        let message = EventMessage {
            of: None,
            v: 1,
            restart: Some(1),
            seq: Some(numbers),
            uptime_ms: None,
            at: Some(said.at_ms),
            event: said.event.clone(),
        };
        let payload = encode_event_json(&message).into_bytes().into();
        let event = EventRecord {
            device: said.device.clone(),
            enrolment: 1,
            restart: 1,
            seq: numbers,
            assigned: false,
            conflict: false,
            has_ended: false,
            via: None,
            payload,
        };
        records.push((said.at_ms, said.event.lane(), Record::Event(event)));
    }
    let rung = |alarm: &AlarmId, rung| {
        Record::Rung(RungRecord {
            alarm: alarm.clone(),
            notice: 0,
            rung,
            receiver: "centre".into(),
            path: "tls".into(),
            detail: String::new(),
            last: false,
        })
    };
    for (at, decision) in rehearse(story, config, 0).log {
        if let Decision::Raise(raise) = &decision {
            records.push((at + 1_300, Lane::Care, rung(&raise.alarm, Rung::Accepted)));
            let act = Act::new(raise.alarm.clone(), ActWhat::Claim, "staff".into(), String::new());
            records.push((at + 9 * MINUTE_MS, Lane::Care, Record::Act(act)));
        }
        records.push((at, Lane::Care, Record::Decisions(Decisions { cursor: 1, decisions: vec![decision] })));
    }
    for (at, up) in [("2011-12-03T11:00:00Z", false), ("2011-12-03T12:30:00Z", true)] {
        let path =
            PathRecord { receiver: "<centre>".into(), path: "fibre sip:192.0.2.1".into(), up, detail: String::new() };
        records.push((utc(at), Lane::Technical, Record::Path(path)));
    }
    records.push((
        utc("2011-12-02T00:00:00Z"),
        Lane::Technical,
        Record::Alive(Alive { device: id("disp1"), online: true }),
    ));
    // What is decided on an event comes after it.
    records.sort_by_key(|(at, _, record)| (*at, !matches!(record, Record::Event(_))));
    let clock = Told(AtomicI64::new(0));
    let mut restored = restore::open(dir, 64 << 20).unwrap();
    for (at, lane, record) in records {
        clock.0.store(at, Ordering::Relaxed);
        restored.append(&record, lane, &clock);
    }
    restored.journal.commit().unwrap();
}

fn made() -> (Config, Figures) {
    let dir = tempfile::tempdir().unwrap();
    let (config, story) = story();
    write(dir.path(), &config, &story);
    let figures = read(dir.path(), &config.agreed, "home-a", DAYS).unwrap();
    assert_eq!(
        figures,
        read(dir.path(), &config.agreed, "home-a", DAYS).unwrap(),
        "the same journal, the same figures"
    );
    (config, figures)
}

#[test]
fn a_fortnight_in_figures_and_on_a_page() {
    let (config, figures) = made();
    let [bed] = &figures.beds[..] else { panic!("{:?}", figures.beds) };
    assert_eq!(bed.nights.len(), 14);
    let absences: Vec<i64> =
        bed.nights.iter().flat_map(|night| &night.absences).map(|(from, until)| (until - from) / MINUTE_MS).collect();
    assert_eq!(absences, [42, 11]);
    let [doses] = &figures.doses[..] else { panic!("{:?}", figures.doses) };
    assert_eq!(
        doses.outcomes.iter().map(|(outcome, count)| (*outcome, *count)).collect::<Vec<_>>(),
        [("missed", 2), ("taken", 12)]
    );
    assert_eq!(
        figures.look_ins.iter().map(|night| (night.made, night.visits)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1)),
        (14, 0)
    );
    let care = figures.ladder.iter().find(|lane| lane.lane == Lane::Care).unwrap();
    assert_eq!((care.accepted.median_ms, care.accepted.slowest_ms), (Some(1_300), Some(1_300)));
    assert_eq!(care.claimed.median_ms, Some(9 * MINUTE_MS - 1_300));
    assert!(
        figures.causes.iter().any(|cause| cause.rule == "night" && cause.cause == "absence" && cause.count == 1),
        "{:?}",
        figures.causes
    );
    assert_eq!(super::figures::total_ms(&figures.outages[0].spans), 90 * MINUTE_MS);

    for (language, words) in [(Language::Sv, "lang=\"sv\""), (Language::En, "lang=\"en\"")] {
        let html = page(&figures, &config.gateway.time_zone, language);
        assert_eq!(html, page(&figures, &config.gateway.time_zone, language));
        assert!(html.contains(words));
        assert!(html.contains("&lt;centre&gt;") && !html.contains("<centre>"), "what others wrote is text");
        assert!(
            !html.contains("<script") && !html.contains("http:") && !html.contains("https:") && !html.contains("src=")
        );
        let count = |what: &str| html.matches(what).count();
        assert_eq!(count("<svg role=\"img\""), count("<desc id="), "a picture that nobody describes");
        assert!(count("<table>") >= count("<svg "), "a picture without its table");
        if let Some(dir) = std::env::var_os("VAKA_REPORT_DIR") {
            std::fs::write(Path::new(&dir).join(format!("report-{}.html", &words[6..8])), html).unwrap();
        }
    }
}

/// An alarm raised the evening before, closed within the days, is counted with what it came to.
#[test]
fn closed_alarms_are_counted_by_what_they_came_to() {
    let (config, _) = story();
    let mut count = super::Count::new(&config.agreed, DAYS);
    let header = |seq, at: &str| crate::journal::Header {
        seq,
        kind: 0,
        lane: 1,
        key_id: 0,
        boot: 1,
        mono_ms: 0,
        wall_ms: utc(at),
    };
    let close = |alarm: &str, outcome| {
        let alarm = AlarmId::try_from(alarm).unwrap();
        Record::Act(Act { outcome, ..Act::new(alarm, ActWhat::Close, "anna".into(), String::new()) })
    };
    let told = [
        ("2011-11-20T08:00:00Z", "early", Some(CloseOutcome::False)),
        ("2011-11-28T08:00:00Z", "a1", Some(CloseOutcome::False)),
        ("2011-11-28T09:00:00Z", "a2", None),
        ("2011-11-29T08:00:00Z", "a3", Some(CloseOutcome::False)),
        ("2011-11-29T09:00:00Z", "a4", Some(CloseOutcome::HandedOver)),
    ];
    for (number, (at, alarm, outcome)) in (1..).zip(told) {
        count.take(&header(number, at), &close(alarm, outcome));
    }
    let figures = count.finish("gw-1", 0);
    let counted: Vec<_> = figures.closed.iter().map(|closed| (closed.outcome, closed.count)).collect();
    assert_eq!(counted, [(None, 1), (Some(CloseOutcome::False), 2), (Some(CloseOutcome::HandedOver), 1)]);
    let html = page(&figures, &config.gateway.time_zone, Language::En);
    assert!(html.contains("<td>false alarm</td><td class=\"n\">2</td>"), "{html}");
}

#[test]
fn a_journal_with_nothing_in_those_days_says_so_in_words() {
    let (config, _) = made();
    let none = super::Count::new(&config.agreed, DAYS).finish("gw-1", 3);
    let html = page(&none, &config.gateway.time_zone, Language::En);
    for said in
        ["No alarms.", "No bed sensor", "No dispenser", "No look-in", "No path was lost.", "3 places in the journal"]
    {
        assert!(html.contains(said), "{said}");
    }
    assert!(!html.contains("<svg"));
}

#[test]
fn a_device_is_silent_from_its_last_word_to_its_next() {
    let (config, _) = story();
    let mut count = super::Count::new(&config.agreed, Days { from: date(2011, 11, 28), to: date(2011, 11, 28) });
    let header = |seq, at: &str| crate::journal::Header {
        seq,
        kind: 0,
        lane: 4,
        key_id: 0,
        boot: 1,
        mono_ms: 0,
        wall_ms: utc(at),
    };
    let alive = |online| Record::Alive(Alive { device: id("disp1"), online });
    count.take(&header(1, "2011-11-27T23:00:00Z"), &alive(true));
    count.take(&header(2, "2011-11-27T23:30:00Z"), &alive(false));
    let silent = crate::journal::record::Silent { device: id("disp1"), for_s: 3_600 };
    count.take(&header(3, "2011-11-28T01:00:00Z"), &Record::Silent(silent));
    count.take(&header(4, "2011-11-28T05:00:00Z"), &alive(true));
    let figures = count.finish("gw-1", 0);
    let day = utc("2011-11-28T00:00:00Z");
    assert_eq!(
        figures.silences[0].spans,
        [(day, day + 5 * 3_600_000)],
        "what lies before the first day is not counted"
    );
    assert_eq!(silence::NAME, "silence");
}

/// Contrast of two colours as WCAG 2 reckons it.
fn contrast(one: &str, other: &str) -> f64 {
    let luminance = |colour: &str| {
        let full: String =
            if colour.len() == 4 { colour[1..].chars().flat_map(|c| [c, c]).collect() } else { colour[1..].to_owned() };
        let part = |at: usize| {
            let value = f64::from(u8::from_str_radix(&full[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.03928 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(0) + 0.7152 * part(2) + 0.0722 * part(4)
    };
    let (a, b) = (luminance(one), luminance(other));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn every_ink_can_be_read_on_the_paper() {
    let css = include_str!("page.css");
    let colour = |name: &str| {
        let rest = css.split(&format!("--{name}: ")).nth(1).unwrap_or_else(|| panic!("no --{name}"));
        rest.split(';').next().unwrap().trim_end_matches(" }").to_owned()
    };
    let paper = colour("paper");
    assert!(contrast(&colour("ink"), &paper) >= 7.0 && contrast(&colour("soft"), &paper) >= 7.0);
    for name in ["calm", "care", "life", "tech"] {
        assert!(contrast(&colour(name), &paper) >= 4.5, "--{name}");
    }
}
