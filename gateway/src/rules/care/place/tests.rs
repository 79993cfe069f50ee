//! Stories of people who carry a GPS alarm.

mod properties;
mod shapes;
mod walks;

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::{Weekday, time};
use jiff::tz::TimeZone;
use vaka_protocol::{DeviceId, Event, Lane, Press};

use super::*;
use crate::journal::record::{Decision, JoinWhat, Note, Raise};
use crate::rules::care::agreed::{self, Agreed};
use crate::rules::care::moment::At;
use crate::rules::care::rehearsal::Rehearsal;
use crate::rules::care::when::{Daily, Days};
use crate::rules::lookup::Lookup;
use crate::rules::{DeviceFacts, Home};

const MIDDLE: (f64, f64) = (59.3293, 18.0686);
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

fn utc(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

fn start() -> i64 {
    utc("2026-11-20T09:00:00Z")
}

fn gps() -> DeviceId {
    "gps1".parse().unwrap()
}

/// So many metres north of the middle.
fn north(metres: f64) -> Event {
    at_m(metres, 0.0, Some(10))
}

fn at_m(north_m: f64, east_m: f64, accuracy_m: Option<u32>) -> Event {
    let lat = MIDDLE.0 + north_m / 111_400.0;
    let lon = MIDDLE.1 + east_m / (111_600.0 * MIDDLE.0.to_radians().cos());
    let e7 = |degrees: f64| (degrees * 1e7).round() as i32;
    Event::Position { lat_e7: e7(lat), lon_e7: e7(lon), accuracy_m, speed_cm_s: None, fix_age_s: None }
}

fn aged(event: Event, age_s: u32) -> Event {
    let Event::Position { lat_e7, lon_e7, accuracy_m, speed_cm_s, .. } = event else { return event };
    Event::Position { lat_e7, lon_e7, accuracy_m, speed_cm_s, fix_age_s: Some(age_s) }
}

/// 200 m around the middle, 30 m of hysteresis, a minute of dwell.
fn park() -> Fence {
    Fence {
        name: "Parken".into(),
        area: Area::circle(MIDDLE.0, MIDDLE.1, 200.0),
        leave: true,
        enter: false,
        lane: Lane::Care,
        hysteresis_m: 30.0,
        dwell_ms: MINUTE,
        hours: None,
        back_by: None,
        watched: vec![Watched::new("r1", "Parken", &gps())],
        agreed: Vec::new(),
        term: Term::default(),
    }
}

fn agreed_in(zone: TimeZone, fences: Vec<Fence>) -> Arc<Agreed> {
    let person = Person { id: "r1".into(), devices: vec![gps()], fences, ..Person::default() };
    let device = agreed::Device { person: Some(0), kind: "gps-alarm", ..agreed::Device::default() };
    Arc::new(Agreed { zone, people: vec![person], devices: Lookup::from([(gps(), device)]) })
}

fn agreed(fences: Vec<Fence>) -> Arc<Agreed> {
    agreed_in(TimeZone::get("Europe/Stockholm").unwrap(), fences)
}

fn home() -> Home {
    let facts = DeviceFacts { dty: 51, fixed: false, speaks: false, home: false };
    Home { devices: Lookup::from([(gps(), facts)]), ..Home::default() }
}

fn story(fences: Vec<Fence>) -> Rehearsal {
    Rehearsal::new(agreed(fences), home(), start())
}

fn raised(entry: &(i64, Decision)) -> Option<(i64, &Raise)> {
    if let (at, Decision::Raise(raise)) = entry { Some((*at, raise)) } else { None }
}

fn raises(story: &Rehearsal) -> Vec<(i64, &Raise)> {
    story.log.iter().filter_map(raised).collect()
}

fn noted(entry: &(i64, Decision)) -> Option<&Note> {
    if let (_, Decision::Note(note)) = entry { Some(note) } else { None }
}

fn notes(story: &Rehearsal) -> Vec<&Note> {
    story.log.iter().filter_map(noted).collect()
}

/// Notes of coming and going. That a question was answered is [`located`].
fn whats(story: &Rehearsal) -> Vec<&str> {
    notes(story).into_iter().map(|note| note.what.as_str()).filter(|what| *what != "located").collect()
}

fn asked(story: &Rehearsal) -> Vec<i64> {
    let sent = story.log.iter().filter(|(_, decision)| matches!(decision, Decision::Send(_)));
    sent.map(|(at, _)| *at).collect()
}

fn overs(story: &Rehearsal) -> usize {
    let over = |decision: &Decision| matches!(decision, Decision::Join(join) if join.what == JoinWhat::Over);
    story.log.iter().filter(|(_, decision)| over(decision)).count()
}

/// One position each minute, so many metres north.
fn walk(story: &mut Rehearsal, metres: &[f64]) {
    for metres in metres {
        story.event(&gps(), &north(*metres));
        story.until(story.now_ms() + MINUTE);
    }
}

#[test]
fn who_leaves_is_told_of_after_the_dwell_and_where_and_when() {
    let mut story = story(vec![Fence { lane: Lane::Life, ..park() }]);
    walk(&mut story, &[0.0, 50.0, 150.0, 300.0]);
    let raised = raises(&story);
    let left = start() + 3 * MINUTE;
    assert_eq!(raised.len(), 1);
    let (at, raise) = raised[0];
    assert_eq!((at, raise.happened_at, raise.delayed), (left + MINUTE, left + MINUTE, false));
    assert_eq!((raise.lane, raise.dty, raise.stc), (Lane::Life, 51, 9));
    assert_eq!((raise.sv.as_str(), raise.en.as_str()), ("Utanför Parken sedan 10:03.", "Outside Parken since 10:03."));
    let where_at = raise.whereabouts.as_ref().unwrap();
    assert_eq!((where_at.accuracy_m, where_at.at), (Some(10), left));
    let basis = raise.basis.as_ref().unwrap();
    assert_eq!(basis.seen[0].what, "position 100 m outside the edge, error 10 m");
    assert_eq!(basis.upto, left);
    assert_eq!(asked(&story), [left], "asked where it is as soon as it seems to be outside, and not at once again");

    walk(&mut story, &[400.0, 300.0, 150.0, 0.0]);
    assert_eq!((raises(&story).len(), overs(&story)), (1, 1));
    assert_eq!(whats(&story), ["inside", "entered"]);
    walk(&mut story, &[0.0, 300.0, 300.0]);
    assert_eq!(raises(&story).len(), 2, "another leaving is another alarm");
}

#[test]
fn along_the_edge_nothing_is_told_and_a_moment_outside_is_none() {
    let mut story = story(vec![park()]);
    walk(&mut story, &[0.0, 195.0, 205.0, 220.0, 239.0, 210.0, 185.0, 100.0]);
    story.event(&gps(), &north(300.0));
    story.until(story.now_ms() + MINUTE - 1);
    story.event(&gps(), &north(100.0));
    story.until(story.now_ms() + HOUR);
    assert_eq!((raises(&story).len(), whats(&story)), (0, vec!["inside"]));
}

#[test]
fn poor_positions_alone_raise_nothing_and_several_that_agree_do() {
    let poor = |metres| at_m(metres, 0.0, Some(800));
    let mut alone = story(vec![park()]);
    walk(&mut alone, &[0.0]);
    alone.event(&gps(), &poor(5_000.0));
    alone.until(alone.now_ms() + 10 * MINUTE);
    walk(&mut alone, &[0.0]);
    // As old when it was sent as no walk takes; out of reach; in the Gulf of Guinea.
    for event in [aged(north(3_000.0), 1_200), north(40_000.0)] {
        alone.event(&gps(), &event);
        alone.until(alone.now_ms() + MINUTE);
        walk(&mut alone, &[0.0]);
    }
    let nowhere = Event::Position { lat_e7: 0, lon_e7: 0, accuracy_m: Some(5), speed_cm_s: None, fix_age_s: None };
    alone.event(&gps(), &nowhere);
    alone.until(alone.now_ms() + HOUR);
    assert_eq!(raises(&alone).len(), 0);

    let mut far = story(vec![park()]);
    walk(&mut far, &[0.0]);
    far.until(far.now_ms() + 10 * MINUTE);
    for metres in [5_000.0, 5_100.0, 5_050.0] {
        assert_eq!(raises(&far).len(), 0);
        far.event(&gps(), &poor(metres));
        far.until(far.now_ms() + MINUTE);
    }
    assert_eq!(raises(&far).len(), 1);
    assert!(raises(&far)[0].1.sv.contains("10:11"), "{}", raises(&far)[0].1.sv);
}

#[test]
fn a_position_is_of_when_it_was_taken() {
    let mut story = story(vec![park()]);
    walk(&mut story, &[0.0, 0.0]);
    story.event(&gps(), &aged(north(300.0), 50));
    story.until(story.now_ms() + 9_999);
    assert_eq!(raises(&story).len(), 0);
    story.until(story.now_ms() + 1);
    assert_eq!(raises(&story).len(), 1);
    // The same fix again with another age is no news; inside, and older than what is known, changes nothing.
    let trail = |story: &Rehearsal| story.care.place.get(&gps()).unwrap().fixes().len();
    let before = trail(&story);
    story.event(&gps(), &aged(north(300.0), 60));
    assert_eq!(trail(&story), before);
    story.event(&gps(), &aged(north(0.0), 120));
    story.until(story.now_ms() + HOUR);
    assert_eq!((raises(&story).len(), overs(&story)), (1, 0));
}

#[test]
fn what_an_outage_brings_is_told_as_it_was_and_alarms_only_where_it_is_not_over() {
    for still_out in [false, true] {
        let mut story = story(vec![park()]);
        walk(&mut story, &[0.0; 5]);
        let gone = story.now_ms();
        story.until(gone + 3 * HOUR);
        let mut late = |minutes: i64, metres: f64| story.late(&gps(), &north(metres), Some(gone + minutes * MINUTE));
        for minutes in 10..30 {
            late(minutes, 400.0);
        }
        for minutes in 30..40 {
            late(minutes, 20.0);
        }
        if still_out {
            for minutes in 60..178 {
                late(minutes, 500.0);
            }
        }
        story.until(story.now_ms() + HOUR);
        let mut told = vec!["inside", "left", "entered"];
        let raised = raises(&story);
        assert_eq!(whats(&story), told, "{still_out}");
        let left = notes(&story)[1];
        assert_eq!((left.sv.as_str(), left.basis.upto), ("Var utanför Parken från 10:15.", gone + 10 * MINUTE));
        assert_eq!(notes(&story)[2].sv, "Kom till Parken 10:35.");
        if still_out {
            assert_eq!(raised.len(), 1);
            assert!(raised[0].1.delayed && raised[0].1.happened_at == gone + 61 * MINUTE);
            assert!(asked(&story).contains(&raised[0].0), "and the device is asked where it is now");
        } else {
            assert_eq!((raised.len(), asked(&story).len()), (0, 0));
            told.clear();
        }
    }
}

#[test]
fn a_return_that_is_known_already_is_waited_for() {
    let mut story = story(vec![park()]);
    walk(&mut story, &[0.0]);
    story.until(start() + 20 * MINUTE);
    // The newest comes first; then what had been five minutes before.
    story.event(&gps(), &north(10.0));
    story.late(&gps(), &north(400.0), Some(start() + 15 * MINUTE));
    story.until(story.now_ms() + HOUR);
    assert_eq!((raises(&story).len(), whats(&story)), (0, vec!["inside", "left", "entered"]));
}

#[test]
fn one_that_comes_too_late_to_matter_raises_nothing_until_there_is_news() {
    let mut story = story(vec![park()]);
    walk(&mut story, &[0.0]);
    let gone = story.now_ms();
    story.until(gone + 14 * HOUR);
    story.late(&gps(), &north(400.0), Some(gone + HOUR));
    story.until(story.now_ms() + HOUR);
    assert_eq!(raises(&story).len(), 0);
    walk(&mut story, &[450.0]);
    assert_eq!(raises(&story).len(), 1, "still outside: now somebody can be found");
    assert!(raises(&story)[0].1.delayed);
}

#[test]
fn hours_are_those_agreed_and_outside_them_nothing_is_noted() {
    let night = Hours { days: Days::ALL, daily: Daily { from: time(20, 0, 0, 0), until: time(7, 0, 0, 0) } };
    let mut story = story(vec![Fence { hours: Some(night), ..park() }]);
    walk(&mut story, &[0.0, 400.0, 0.0, 0.0]);
    assert!(story.log.is_empty(), "ten in the morning is nobody's concern");
    story.until(utc("2026-11-20T18:40:00Z"));
    walk(&mut story, &[0.0, 400.0]);
    story.until(utc("2026-11-20T18:59:59.999Z"));
    assert!(story.log.is_empty());
    story.until(utc("2026-11-20T19:00:00Z"));
    let raised = raises(&story);
    assert_eq!(raised.len(), 1, "who is outside when the hours begin is outside");
    assert_eq!(raised[0].1.sv, "Utanför Parken sedan 19:41.");
    assert!(!raised[0].1.delayed && raised[0].0 == utc("2026-11-20T19:00:00Z"));
    // Back after the hours: the alarm that is open hears of it.
    story.until(utc("2026-11-21T06:30:00Z"));
    walk(&mut story, &[0.0, 0.0, 0.0]);
    assert_eq!((raises(&story).len(), overs(&story)), (1, 1));
    // The next night somebody is at home, as the night's first note says.
    story.until(utc("2026-11-22T05:00:00Z"));
    assert_eq!((raises(&story).len(), whats(&story)), (1, vec!["entered", "inside"]));
}

#[test]
fn a_leaving_in_the_hours_that_becomes_known_after_them_is_told() {
    let night = Hours { days: Days::ALL, daily: Daily { from: time(20, 0, 0, 0), until: time(7, 0, 0, 0) } };
    let mut story = story(vec![Fence { hours: Some(night), ..park() }]);
    story.until(utc("2026-11-20T20:00:00Z"));
    walk(&mut story, &[0.0]);
    story.until(utc("2026-11-21T07:00:00Z"));
    for minute in 0..50 {
        story.late(&gps(), &north(700.0), Some(utc("2026-11-21T03:00:00Z") + minute * MINUTE));
    }
    story.until(story.now_ms() + MINUTE);
    assert_eq!(raises(&story).len(), 1);
    assert_eq!(raises(&story)[0].1.sv, "Utanför Parken sedan 04:00.");
}

#[test]
fn a_place_to_keep_away_from_is_told_when_it_is_entered() {
    let quay = Fence { leave: false, enter: true, dwell_ms: 0, ..park() };
    let mut story = story(vec![quay]);
    walk(&mut story, &[900.0, 700.0, 400.0, 210.0, 185.0, 150.0]);
    let raised = raises(&story);
    assert_eq!((raised.len(), raised[0].0), (1, start() + 4 * MINUTE));
    assert_eq!(raised[0].1.sv, "Inne i Parken sedan 10:04.");
    assert_eq!(whats(&story), ["left"]);
    walk(&mut story, &[500.0, 900.0, 100.0]);
    assert_eq!(raises(&story).len(), 2);
}

#[test]
fn both_ways_tell_of_each_change_and_not_of_being_where_one_is_at_first() {
    let mut story = story(vec![Fence { enter: true, ..park() }]);
    walk(&mut story, &[0.0, 0.0, 400.0, 400.0, 0.0, 0.0]);
    let causes: Vec<&str> = raises(&story).iter().map(|(_, raise)| raise.cause.as_str()).collect();
    assert_eq!(causes, ["left Parken gps1", "entered Parken gps1"]);
    assert_eq!(overs(&story), 1);
}

#[test]
fn who_is_not_back_in_time_is_cared_for_and_who_is_leaves_a_note() {
    let walker = || {
        let back_by = BackBy { days: Days::ALL, time: time(12, 0, 0, 0) };
        Fence { leave: false, back_by: Some(back_by), lane: Lane::Life, ..park() }
    };
    let noon = utc("2026-11-20T11:00:00Z");
    let mut out = story(vec![walker()]);
    walk(&mut out, &[0.0, 400.0, 900.0, 2_000.0]);
    out.until(noon - 1);
    assert!(out.log.is_empty(), "until then a walk is nobody's concern");
    out.until(noon);
    let raised = raises(&out);
    assert_eq!((raised.len(), raised[0].0, raised[0].1.lane), (1, noon, Lane::Care));
    assert_eq!(raised[0].1.sv, "Inte åter vid Parken 12:00. Var utanför 10:03.");
    walk(&mut out, &[400.0, 100.0]);
    assert_eq!(overs(&out), 1);
    out.until(noon + 23 * HOUR);
    assert_eq!(raises(&out).len(), 1);

    let mut back = story(vec![walker()]);
    walk(&mut back, &[0.0, 900.0, 0.0]);
    back.until(noon + HOUR);
    walk(&mut back, &[900.0, 900.0]);
    assert_eq!((raises(&back).len(), whats(&back)), (0, vec!["back"]));

    let mut silent = story(vec![walker()]);
    silent.until(noon);
    assert_eq!(raises(&silent)[0].1.sv, "Inte åter vid Parken 12:00. Larmet har inte sagt var det är.");
    assert!(raises(&silent)[0].1.whereabouts.is_none());
    let weekdays = BackBy { days: Days::of(&[Weekday::Monday]), time: time(12, 0, 0, 0) };
    let mut friday = story(vec![Fence { back_by: Some(weekdays), ..walker() }]);
    friday.until(noon + 24 * HOUR);
    assert!(friday.log.is_empty());
}

#[test]
fn yesterdays_position_of_an_alarm_that_is_not_awake_shows_nobody_back() {
    let back_by = BackBy { days: Days::ALL, time: time(12, 0, 0, 0) };
    let walker = Fence { leave: false, back_by: Some(back_by), ..park() };
    let noon = utc("2026-11-20T11:00:00Z");
    let mut dead = story(vec![walker.clone()]);
    walk(&mut dead, &[0.0]);
    dead.until(noon + HOUR);
    assert_eq!((raises(&dead).len(), whats(&dead)), (0, vec!["back"]), "of the same morning");
    dead.until(noon + 24 * HOUR);
    {
        let raised = raises(&dead);
        let [(_, raise)] = raised[..] else { panic!("{raised:?}") };
        let told = "Okänt om åter vid Parken 12:00. Senast känd där 2026-11-20 10:00; ingen position sedan.";
        assert_eq!((raise.sv.as_str(), overs(&dead)), (told, 0));
    }
    walk(&mut dead, &[0.0]);
    assert_eq!(overs(&dead), 1);

    let mut awake = story(vec![walker]);
    awake.alive(&gps(), true);
    walk(&mut awake, &[0.0]);
    awake.until(noon + 24 * HOUR);
    assert_eq!((raises(&awake).len(), whats(&awake)), (0, vec!["back", "back"]), "at rest it says nothing new");
}

#[test]
fn while_an_alarm_is_open_the_device_is_asked_where_it_is_and_not_for_ever() {
    let mut story = story(vec![park()]);
    walk(&mut story, &[0.0]);
    story.until(start() + 30 * MINUTE);
    story.event(&gps(), &Event::Button { press: Press::Short });
    let pressed = story.now_ms();
    assert_eq!(asked(&story), [pressed], "the position is half an hour old");
    let raise = raises(&story)[0].1;
    assert_eq!(raise.whereabouts.as_ref().unwrap().at, start(), "the old one goes with it, and says how old it is");
    let id = raise.alarm.clone();
    story.until(pressed + 10 * HOUR);
    let all = asked(&story);
    assert_eq!(all.len(), 48);
    assert!(all.windows(2).all(|two| two[1] - two[0] >= crate::limits::LOCATE_EVERY_MS));
    story.close(&id);
    story.event(&gps(), &Event::Battery { percent: Some(10), low: true });
    story.until(story.now_ms() + HOUR);
    assert_eq!(asked(&story).len(), 48, "nobody is searched for because of a battery");
    assert!(raises(&story)[1].1.whereabouts.is_none(), "and nobody needs to know where it is");
}

/// When receivers were told where somebody is by now, and from when that position was.
fn located(story: &Rehearsal) -> Vec<(i64, i64)> {
    let told = |(at, decision): &(i64, Decision)| match decision {
        Decision::Join(join) if join.what == JoinWhat::Where => {
            assert!(join.notify);
            Some((*at, join.whereabouts.as_ref().expect("that is what it tells").at))
        }
        _ => None,
    };
    story.log.iter().filter_map(told).collect()
}

#[test]
fn an_answer_where_somebody_is_goes_at_once_to_those_who_have_the_alarm_and_once() {
    for restarts in [false, true] {
        let mut story = story(Vec::new());
        walk(&mut story, &[0.0]);
        story.until(start() + 30 * MINUTE);
        story.event(&gps(), &Event::Button { press: Press::Short });
        let id = raises(&story)[0].1.alarm.clone();
        assert_eq!((asked(&story).len(), located(&story).len()), (1, 0));
        if restarts {
            story.restart();
        }
        let pressed = story.now_ms();
        story.until(pressed + 20_000);
        // Indoors: where it was a minute ago, which is newer than what went with the press.
        story.event(&gps(), &aged(north(700.0), 60));
        assert_eq!(located(&story), [(pressed + 20_000, pressed - 40_000)]);
        if restarts {
            story.restart();
        }
        story.until(pressed + 30_000);
        story.event(&gps(), &north(720.0));
        assert_eq!(located(&story).len(), 1, "once for each answer, not for each position");
        let alarm = story.alarms.get(&id).expect("it is open");
        assert_eq!((alarm.count, alarm.notices.len()), (1, 2), "nobody has pressed again");
        assert_eq!(alarm.notices[1].whereabouts.as_ref().map(|at| at.at), Some(pressed - 40_000));
        // Asked again once that is old; the next answer is told too.
        story.until(pressed + 6 * MINUTE);
        assert_eq!(asked(&story).len(), 2);
        story.event(&gps(), &north(900.0));
        assert_eq!(located(&story).len(), 2);
        // Nobody is told anything of a closed alarm, nor without one.
        story.until(pressed + 12 * MINUTE);
        assert_eq!(asked(&story).len(), 3);
        story.close(&id);
        story.event(&gps(), &north(950.0));
        assert_eq!(located(&story).len(), 2);
    }
}

#[test]
fn what_was_asked_without_an_alarm_is_told_to_nobody() {
    let mut story = story(vec![Fence { dwell_ms: 10 * MINUTE, ..park() }]);
    walk(&mut story, &[0.0, 400.0]);
    assert_eq!(asked(&story).len(), 1, "it seems to be outside");
    story.event(&gps(), &north(150.0));
    assert_eq!(located(&story), []);
    // The alarm that comes later takes its own position along, and the old answer is no news.
    story.event(&gps(), &Event::Button { press: Press::Short });
    assert_eq!(located(&story), []);
    assert!(raises(&story)[0].1.whereabouts.is_some());
}

#[test]
fn a_press_far_from_home_takes_the_newest_position_along() {
    let mut story = story(Vec::new());
    walk(&mut story, &[0.0]);
    story.event(&gps(), &Event::Button { press: Press::Short });
    walk(&mut story, &[500.0]);
    story.event(&gps(), &Event::Button { press: Press::Short });
    let Decision::Join(join) = &story.log.last().unwrap().1 else { panic!("{:?}", story.log) };
    assert_eq!(join.whereabouts.as_ref().unwrap().at, start() + MINUTE);
    let text = join.whereabouts.as_ref().unwrap().text(&agreed(Vec::new()).zone, story.now_ms());
    assert_eq!(text, "59.33379,18.06860 ±10 m 10:01");
    assert_eq!(
        join.whereabouts.as_ref().unwrap().text(&TimeZone::UTC, start() + 24 * HOUR),
        "59.33379,18.06860 ±10 m 2026-11-20 09:01"
    );
}

#[test]
fn another_agreement_holds_from_now() {
    let mut story = story(vec![park()]);
    walk(&mut story, &[0.0, 150.0, 150.0]);
    let smaller = Fence { area: Area::circle(MIDDLE.0, MIDDLE.1, 50.0), ..park() };
    story.agree(agreed(vec![smaller]));
    story.until(story.now_ms() + MINUTE);
    assert_eq!(raises(&story).len(), 1);
    story.agree(agreed(vec![park()]));
    walk(&mut story, &[150.0]);
    assert_eq!((raises(&story).len(), overs(&story)), (1, 1));
    story.agree(agreed(Vec::new()));
    walk(&mut story, &[900.0, 900.0, 900.0]);
    assert_eq!(raises(&story).len(), 1);
}

#[test]
fn a_clock_that_is_set_back_hides_nobody() {
    let at = |minute: i64, record| At { wall_ms: start() + minute * MINUTE, mono_ms: minute * MINUTE, boot: 1, record };
    let (device, mut trail) = (gps(), Trail::default());
    let mut see = |seq, at, recorded, event: &Event| {
        trail.see(&Sight { device: &device, restart: 3, seq, event, at, recorded, delayed: false, suspect: false });
    };
    see(1, at(0, 1), at(0, 1), &north(0.0));
    see(3, at(60, 2), at(60, 2), &north(0.0));
    // Its clock loses an hour; what it says is new by its number.
    see(4, At { record: 3, ..at(1, 3) }, at(61, 3), &north(500.0));
    // What it had kept comes late, and is of then.
    see(2, At { record: 4, ..at(30, 4) }, at(62, 4), &north(10.0));
    let minutes: Vec<i64> = trail.fixes().iter().map(|fix| (fix.at.wall_ms - start()) / MINUTE).collect();
    assert_eq!(minutes, [0, 30, 60, 61]);
    assert!(trail.newest().unwrap().degrees().0 > MIDDLE.0 + 0.004);
}

#[test]
fn what_is_remembered_is_bounded_and_keeps_what_matters() {
    let mut story = story(Vec::new());
    // A position each second for six hours at home, with one walk around the block.
    for second in 0..21_600_i64 {
        let out = (7_200..7_800).contains(&second);
        let wobble = f64::from(i32::try_from(second % 7).unwrap());
        story.late(&gps(), &north(wobble + if out { 400.0 } else { 0.0 }), Some(start() + second * 1_000 - 21_600_000));
    }
    let trail = story.care.place.get(&gps()).unwrap();
    assert_eq!(trail.fixes().len(), crate::limits::TRAIL_FIXES_MAX);
    assert!(trail.fixes().is_sorted_by_key(|fix| fix.at.wall_ms));
    let out = trail.fixes().iter().filter(|fix| fix.degrees().0 > MIDDLE.0 + 0.003).count();
    assert!(out >= 2, "{out}");
    let bytes = minicbor_serde::to_vec(&story.care.place).unwrap().len();
    assert!(bytes <= 6_000, "{bytes}");
}
