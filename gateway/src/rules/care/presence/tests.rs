//! Quiet, out, and look-ins by day, in stories.

use std::path::Path;

use proptest::prelude::*;
use vaka_protocol::{DeviceId, Event};

use super::*;
use crate::config::Config;
use crate::journal::record::{Decision, JoinWhat};
use crate::rules::care::rehearsal::Rehearsal;

const MIN: i64 = 60_000;
const HOUR: i64 = 60 * MIN;
const HOME: &str = "[[device]]\nid = \"hall\"\nkind = \"motion-sensor\"\n[[device]]\nid = \"bed\"\nkind = \"bed-sensor\"\n\
    [[device]]\nid = \"front\"\nkind = \"door-sensor\"\nexit = true\n[[device]]\nid = \"p1\"\nkind = \"pendant\"\n";
const DAY: &str = "[presence]\nparts = [{ from = \"07:00\", until = \"22:00\", quiet_min = 120 }, { from = \"22:00\", until = \"07:00\", quiet_min = 480, in_bed = true }]\n";

fn parse(zone: &str, more: &str) -> Result<Config, String> {
    let text =
        format!("[gateway]\nid = \"gw-1\"\ntime_zone = \"{zone}\"\n[ingest]\nlisten = \"127.0.0.1:0\"\n{HOME}{more}");
    Config::parse(text.as_bytes(), Path::new("v.toml")).map(|(config, _)| config).map_err(|e| e.to_string())
}

fn utc(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

/// A winter's day in Stockholm begins: midnight, local time.
fn midnight() -> i64 {
    utc("2026-11-20T23:00:00Z")
}

fn story_in(zone: &str, start_ms: i64, more: &str) -> Rehearsal {
    let config = parse(zone, more).unwrap();
    let mut story = Rehearsal::new(config.agreed.clone(), crate::pipeline::home(&config), start_ms);
    here(&mut story);
    story
}

fn story(more: &str) -> Rehearsal {
    story_in("Europe/Stockholm", midnight(), more)
}

fn here(story: &mut Rehearsal) {
    for device in ["hall", "bed", "front", "p1"] {
        story.alive(&id(device), true);
    }
}

fn id(text: &str) -> DeviceId {
    DeviceId::try_from(text).unwrap()
}

fn moves(story: &mut Rehearsal) {
    story.event(&id("hall"), &Event::Motion {});
}

/// Nobody is missed when the story begins.
fn morning(story: &mut Rehearsal) {
    story.until(by_hour(7) + 30 * MIN);
    moves(story);
}

fn door(story: &mut Rehearsal, open: bool) {
    story.event(&id("front"), &Event::Door { open });
}

/// By this rule: minutes since the start, lane or `note`, cause.
fn told(story: &Rehearsal, start_ms: i64) -> Vec<String> {
    let words = |(at, decision): &(i64, Decision)| {
        let minute = (at - start_ms) / MIN;
        match decision {
            Decision::Raise(raise) if raise.rule == NAME => {
                Some(format!("{minute} {} {}", raise.lane.as_str(), raise.cause))
            }
            Decision::Note(note) if note.rule == NAME && note.what != "begun" => {
                Some(format!("{minute} {}", note.what))
            }
            Decision::Join(join) if join.what == JoinWhat::Over => {
                let alarm = story.alarms.get(&join.alarm).filter(|alarm| alarm.raise.rule == NAME)?;
                Some(format!("{minute} over {}", alarm.raise.cause))
            }
            _ => None,
        }
    };
    story.log.iter().filter_map(words).collect()
}

fn by_hour(hour: i64) -> i64 {
    midnight() + hour * HOUR
}

#[test]
fn quiet_longer_than_agreed_is_told_once_and_activity_ends_it() {
    let mut story = story(DAY);
    morning(&mut story);
    story.until(by_hour(9));
    moves(&mut story);
    story.until(by_hour(14));
    assert_eq!(told(&story, midnight()), ["660 care quiet"]);
    let alarm = story.alarms.open().find(|alarm| alarm.raise.rule == NAME).unwrap();
    assert_eq!(alarm.raise.sv, "Ingen rörelse sedan 2 timmar. För 07:00-22:00 är högst 2 timmar överenskommet.");
    assert_eq!(alarm.raise.basis.as_ref().unwrap().seen[0].device, id("hall"));
    moves(&mut story);
    assert_eq!(told(&story, midnight())[1..], ["840 over quiet"]);
    story.until(by_hour(17));
    assert_eq!(told(&story, midnight())[2..], ["960 care quiet"], "another quiet is another cause");
}

#[test]
fn a_night_slept_through_is_no_alarm_when_the_day_begins() {
    let mut story = story(DAY);
    story.until(by_hour(23));
    story.event(&id("bed"), &Event::Bed { occupied: true });
    story.until(by_hour(32));
    assert!(!told(&story, midnight()).iter().any(|line| line.starts_with("18") || line.starts_with("19")));
    // In bed since eleven: the day's two hours count from seven.
    story.until(by_hour(33) + MIN);
    let told = told(&story, midnight());
    assert_eq!(told.last().unwrap(), &format!("{} care quiet", 33 * 60), "{told:?}");
}

#[test]
fn what_remains_of_a_part_is_not_given_away_at_its_end() {
    let parts = "[presence]\nparts = [{ from = \"07:00\", until = \"22:00\", quiet_min = 120 }, { from = \"22:00\", until = \"07:00\", quiet_min = 600 }]\n";
    let mut story = story(parts);
    story.until(by_hour(21) + 30 * MIN);
    moves(&mut story);
    story.until(by_hour(24));
    // Half past nine: the day's two hours end at half past eleven, before the night's ten.
    assert_eq!(told(&story, midnight()).last().unwrap(), &format!("{} care quiet", 23 * 60 + 30));
}

#[test]
fn hours_without_agreement_begin_the_count_anew() {
    let parts = "[presence]\nlane = \"life\"\nparts = [{ from = \"08:00\", until = \"12:00\", quiet_min = 120 }]\n";
    let mut story = story(parts);
    story.until(by_hour(11));
    moves(&mut story);
    story.until(by_hour(30));
    assert_eq!(told(&story, midnight()), ["600 life quiet", "660 over quiet"], "from eight, and none in the evening");
    story.until(by_hour(35));
    assert_eq!(told(&story, midnight())[2..], [format!("{} life quiet", 34 * 60)]);
}

#[test]
fn whoever_is_out_is_not_missed_until_home_again() {
    let mut story = story(DAY);
    morning(&mut story);
    story.until(by_hour(9));
    moves(&mut story);
    door(&mut story, true);
    story.until(by_hour(9) + MIN);
    door(&mut story, false);
    story.until(by_hour(14));
    assert_eq!(told(&story, midnight()), [format!("{} away", 9 * 60 + 16)]);
    door(&mut story, true);
    story.until(by_hour(14) + MIN);
    assert_eq!(told(&story, midnight()).len(), 1, "the door alone is nobody at home");
    moves(&mut story);
    story.until(by_hour(17));
    let told = told(&story, midnight());
    assert_eq!(told[1..], [format!("{} home", 14 * 60 + 1), format!("{} care quiet", 16 * 60 + 1)]);
}

#[test]
fn out_for_too_long_is_asked_about() {
    let mut story = story(&format!("{DAY}away_max_h = 6\n"));
    morning(&mut story);
    story.until(by_hour(9));
    door(&mut story, false);
    story.until(by_hour(16));
    assert_eq!(told(&story, midnight()), ["555 away".to_owned(), "900 care out-long".to_owned()]);
    moves(&mut story);
    assert_eq!(told(&story, midnight())[2..], ["960 over out-long", "960 home"]);
}

#[test]
fn a_visitor_who_leaves_takes_nobody_along_who_lies_in_bed() {
    let mut story = story(DAY);
    morning(&mut story);
    story.until(by_hour(9));
    story.event(&id("bed"), &Event::Bed { occupied: true });
    story.until(by_hour(9) + MIN);
    door(&mut story, true);
    story.until(by_hour(12));
    assert_eq!(told(&story, midnight()), ["661 care quiet"], "no part but the night lets whoever is in bed be");
}

#[test]
fn a_sensor_that_says_again_what_it_said_moves_nobody() {
    let mut story = story(DAY);
    morning(&mut story);
    door(&mut story, true);
    story.event(&id("bed"), &Event::Bed { occupied: false });
    for minutes in 1..60 {
        story.until(by_hour(7) + (30 + 3 * minutes) * MIN);
        door(&mut story, true);
        story.event(&id("bed"), &Event::Bed { occupied: false });
    }
    let told = told(&story, midnight());
    assert_eq!(told, [format!("{} care quiet", 9 * 60 + 30)], "nor does it put off what is due");
}

#[test]
fn where_no_sensor_is_heard_a_person_goes_instead() {
    let mut story = story(DAY);
    morning(&mut story);
    story.until(by_hour(9));
    moves(&mut story);
    for device in ["hall", "bed", "front"] {
        story.alive(&id(device), false);
    }
    story.until(by_hour(12));
    assert_eq!(told(&story, midnight()), ["660 care unproven"]);
    let visit = story.alarms.open().find(|alarm| alarm.raise.rule == NAME).unwrap();
    assert_eq!((visit.raise.stc, visit.raise.basis.as_ref().unwrap().due_at), (10, Some(by_hour(12))));
    assert!(visit.raise.en.contains("nobody knows how it is"), "{}", visit.raise.en);
    // Back at noon: from then on the two hours can be seen.
    for device in ["hall", "bed", "front"] {
        story.alive(&id(device), true);
    }
    story.until(by_hour(15));
    assert_eq!(told(&story, midnight())[1..], ["840 care quiet"]);
}

#[test]
fn nobody_was_ever_seen() {
    let mut story = story(DAY);
    story.until(by_hour(10));
    assert_eq!(told(&story, midnight()), ["480 care quiet"], "from midnight: the night's eight hours come first");
    let alarm = story.alarms.open().find(|alarm| alarm.raise.rule == NAME).unwrap();
    assert_eq!(alarm.raise.basis.as_ref().unwrap().seen[0].what, "no activity ever");
}

#[test]
fn a_look_in_by_day_is_made_by_activity_or_is_a_visit_before_its_latest_time() {
    let checks = "[presence]\nchecks = [{ at = \"10:00\", latest = \"11:00\" }]\n";
    let mut story = story(checks);
    story.until(by_hour(9) + 30 * MIN);
    moves(&mut story);
    story.until(by_hour(24));
    assert_eq!(told(&story, midnight()), ["600 check-done"]);
    story.until(by_hour(34) + 10 * MIN);
    moves(&mut story);
    assert_eq!(told(&story, midnight())[1..], [format!("{} check-done", 34 * 60 + 10)], "a little late is in time");
    story.until(by_hour(60));
    let visit = format!("{} care check 10:00", 58 * 60 + 30);
    assert_eq!(told(&story, midnight())[2..], [visit]);
    let alarm = story.alarms.open().find(|alarm| alarm.raise.rule == NAME).unwrap();
    assert_eq!(alarm.raise.sv, "Besök före 11:00: ingen rörelse märkt vid tillsyn 10:00.");
    assert_eq!(alarm.raise.basis.as_ref().unwrap().due_at, Some(by_hour(59)));
    moves(&mut story);
    assert_eq!(told(&story, midnight())[3..], [format!("{} over check 10:00", 60 * 60)]);
}

#[test]
fn a_look_in_without_sensors_is_a_visit_at_once_and_one_of_somebody_out_is_none() {
    let checks = "[presence]\nchecks = [{ at = \"10:00\", latest = \"11:00\" }]\n";
    let mut blind = story(checks);
    blind.until(by_hour(8));
    for device in ["hall", "bed", "front"] {
        blind.alive(&id(device), false);
    }
    blind.until(by_hour(12));
    assert_eq!(told(&blind, midnight()), ["600 care check 10:00"]);
    let mut out = story(checks);
    out.until(by_hour(8));
    door(&mut out, true);
    out.until(by_hour(12));
    assert_eq!(told(&out, midnight()), ["495 away", "600 check-out"]);
}

#[test]
fn what_is_agreed_after_its_time_is_for_tomorrow() {
    let checks = "[presence]\nchecks = [{ at = \"10:00\", latest = \"11:00\" }]\n";
    let mut story = story("[presence]\nchecks = [{ at = \"06:00\", latest = \"07:00\" }]\n");
    story.until(by_hour(14));
    assert_eq!(told(&story, midnight()), ["390 care check 06:00"]);
    story.agree(parse("Europe/Stockholm", checks).unwrap().agreed);
    story.until(by_hour(20));
    assert_eq!(told(&story, midnight()).len(), 1);
    story.until(by_hour(35));
    assert_eq!(told(&story, midnight())[1..], [format!("{} care check 10:00", 34 * 60 + 30)]);
}

#[test]
fn what_is_usual_is_told_in_local_hours_and_changes_nothing() {
    let config = parse("Europe/Stockholm", "").unwrap();
    let mut story = story("");
    for day in 0..30 {
        story.until(by_hour(day * 24 + 8));
        (0..10).for_each(|_| moves(&mut story));
    }
    let information = information(&story.care, &config.agreed, &config.agreed.people[0], story.now_ms());
    assert_eq!(information.days, 30);
    assert!((8.0..=10.5).contains(&information.per_hour[8]), "{:?}", information.per_hour);
    assert_eq!(information.per_hour.iter().filter(|count| **count > 0.0).count(), 1);
    assert_eq!(told(&story, midnight()), [""; 0]);
}

#[test]
fn wrong_agreements_name_the_fix() {
    for (wrong, said) in [
        (
            "[presence]\nparts = [{ from = \"07:00\", until = \"22:00\", quiet_min = 5 }]\n",
            "`quiet_min` must be from 10 to 2880, found 5",
        ),
        (
            "[presence]\nparts = [{ from = \"07:00\", until = \"22:00\", quiet_min = 60 }, { from = \"21:00\", until = \"07:00\", quiet_min = 60 }]\n",
            "overlaps the part 07:00-22:00",
        ),
        ("[presence]\nchecks = [{ at = \"10:00\", latest = \"10:00\" }]\n", "`latest` must be later than `at`"),
        ("[presence]\nlane = \"test\"\nchecks = [{ at = \"10:00\", latest = \"11:00\" }]\n", "unknown lane `test`"),
        ("[presence]\nchecks = [{ at = \"25:00\", latest = \"11:00\" }]\n", "`at`: expected a local time"),
        ("[presence]\nquiet = 1\n", "unknown key `quiet` in [presence]"),
    ] {
        let error = parse("Europe/Stockholm", wrong).unwrap_err();
        assert!(error.contains(said) && error.lines().count() == 1, "{error}");
    }
    // Said once, though it holds for two people.
    let two = "[[resident]]\nid = \"r1\"\n[[resident]]\nid = \"r2\"\n[presence]\nlane = \"test\"\n";
    assert_eq!(parse("Europe/Stockholm", two).unwrap_err().lines().count(), 1);
    let own = "[[resident]]\nid = \"r1\"\n[resident.presence]\nproof_min = 30\n[presence]\nlane = \"life\"\nchecks = [{ at = \"10:00\", latest = \"11:00\" }]\n";
    let config = parse("Europe/Stockholm", own).unwrap();
    let agreed = config.agreed.people[0].presence.clone().unwrap();
    assert_eq!((agreed.proof_ms, agreed.lane, agreed.checks.len()), (30 * MIN, Lane::Life, 1));
}

const ALL: &str = "[presence]\naway_max_h = 30\nparts = [{ from = \"07:00\", until = \"22:00\", quiet_min = QUIET }, { from = \"22:00\", until = \"07:00\", quiet_min = 300, in_bed = true }]\n\
    checks = [{ at = \"10:00\", latest = \"11:00\" }, { at = \"23:30\", latest = \"00:30\" }]\n";

/// What happens in a home, and how many minutes after the last.
fn steps() -> impl Strategy<Value = Vec<(u8, u16)>> {
    proptest::collection::vec((0_u8..8, 1_u16..200), 1..50)
}

struct Play<'a> {
    zone: &'a str,
    start_ms: i64,
    quiet_min: u32,
    restart_at: Option<usize>,
}

fn play(Play { zone, start_ms, quiet_min, restart_at }: Play<'_>, steps: &[(u8, u16)]) -> (Rehearsal, Vec<String>) {
    let mut story = story_in(zone, start_ms, &ALL.replace("QUIET", &quiet_min.to_string()));
    let (mut open, mut bed, mut hall) = (false, false, true);
    for (n, (what, minutes)) in steps.iter().enumerate() {
        story.until(story.now_ms() + i64::from(*minutes) * MIN);
        match what {
            0..=2 => moves(&mut story),
            3..=4 => door(&mut story, {
                open = !open;
                open
            }),
            5 => story.event(
                &id("bed"),
                &Event::Bed {
                    occupied: {
                        bed = !bed;
                        bed
                    },
                },
            ),
            6 => story.event(&id("p1"), &Event::Battery { percent: Some(80), low: false }),
            _ => story.alive(&id("hall"), {
                hall = !hall;
                hall
            }),
        }
        if restart_at == Some(n) {
            story.restart();
            ["bed", "front", "p1"].iter().for_each(|device| story.alive(&id(device), true));
            if hall {
                story.alive(&id("hall"), true);
            }
        }
    }
    story.until(story.now_ms() + 30 * HOUR);
    let told = told(&story, start_ms);
    (story, told)
}

const STOCKHOLM: &str = "Europe/Stockholm";

fn in_stockholm() -> Play<'static> {
    Play { zone: STOCKHOLM, start_ms: midnight(), quiet_min: 120, restart_at: None }
}

/// [`ALL`] less what is counted in hours through the night.
const PLANNED: &str = "[presence]\nparts = [{ from = \"07:00\", until = \"22:00\", quiet_min = 120 }]\n\
    checks = [{ at = \"10:00\", latest = \"11:00\" }, { at = \"23:30\", latest = \"00:30\" }]\n";

/// What happens at which local minute of which of three days, and what was decided, in local time. Clocks are set on the second.
fn play_local(first: &str, steps: &[(u8, u8, u16)]) -> Vec<String> {
    let zone = jiff::tz::TimeZone::get(STOCKHOLM).unwrap();
    let date: jiff::civil::Date = first.parse().unwrap();
    let instant = |day: u8, minute: u16| {
        let of_day = jiff::civil::time((minute / 60) as i8, (minute % 60) as i8, 0, 0);
        let date = date.saturating_add(jiff::Span::new().days(day));
        zone.to_timestamp(date.to_datetime(of_day)).unwrap().as_millisecond()
    };
    let start_ms = instant(0, 0);
    let mut story = story_in(STOCKHOLM, start_ms, PLANNED);
    let (mut open, mut bed) = (false, false);
    for (what, day, minute) in steps {
        story.until(instant(*day, *minute));
        match what {
            0..=2 => moves(&mut story),
            3..=4 => {
                open = !open;
                door(&mut story, open);
            }
            _ => {
                bed = !bed;
                story.event(&id("bed"), &Event::Bed { occupied: bed });
            }
        }
    }
    story.until(instant(4, 12 * 60));
    let local = |line: String| {
        let (minute, what) = line.split_once(' ').unwrap();
        let at = jiff::Timestamp::from_millisecond(start_ms + minute.parse::<i64>().unwrap() * MIN).unwrap();
        let at = zone.to_datetime(at);
        format!("{} {} {what}", (at.date() - date).get_days(), at.time())
    };
    // How long somebody is out is counted in hours, through the night.
    told(&story, start_ms).into_iter().filter(|line| !line.contains("out-long")).map(local).collect()
}

/// From four in the morning on: the hour that is missing or comes twice has no time of its own to compare.
fn local_steps() -> impl Strategy<Value = Vec<(u8, u8, u16)>> {
    proptest::collection::vec((0_u8..6, 0_u8..3, 240_u16..1_440), 0..40).prop_map(|mut steps| {
        steps.sort_by_key(|(_, day, minute)| (*day, *minute));
        steps
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn days_on_which_clocks_are_set_decide_the_same_at_the_same_local_times(steps in local_steps()) {
        let ordinary = play_local("2026-11-20", &steps);
        prop_assert_eq!(&ordinary, &play_local("2026-10-24", &steps), "the day of 25 hours");
        prop_assert_eq!(&ordinary, &play_local("2027-03-27", &steps), "the day of 23 hours");
    }

    #[test]
    fn a_restart_at_any_point_changes_nothing(steps in steps(), at in any::<prop::sample::Index>()) {
        let (_, whole) = play(in_stockholm(), &steps);
        let (_, broken) = play(Play { restart_at: Some(at.index(steps.len())), ..in_stockholm() }, &steps);
        prop_assert_eq!(whole, broken);
    }

    #[test]
    fn another_day_and_another_zone_are_the_same_day(steps in steps(), days in 1_i64..100) {
        let (_, here) = play(in_stockholm(), &steps);
        let kiritimati = utc("2026-11-20T10:00:00Z");
        let (_, there) = play(Play { zone: "Pacific/Kiritimati", start_ms: kiritimati + days * 24 * HOUR, ..in_stockholm() }, &steps);
        prop_assert_eq!(here, there);
    }

    /// Beside the hour that is missing or comes twice, a day is a day: what is decided before it is the same.
    #[test]
    fn what_comes_before_the_clocks_are_set_is_untouched(steps in steps(), spring in any::<bool>()) {
        let start_ms = utc(if spring { "2027-03-26T23:00:00Z" } else { "2026-10-23T22:00:00Z" });
        let (_, here) = play(in_stockholm(), &steps);
        let (_, there) = play(Play { start_ms, ..in_stockholm() }, &steps);
        let before = |lines: Vec<String>| -> Vec<String> {
            let minute = |line: &String| line.split(' ').next().unwrap().parse::<i64>().unwrap();
            lines.into_iter().take_while(|line| minute(line) < 26 * 60 - 1).collect()
        };
        prop_assert_eq!(before(here), before(there));
    }

    #[test]
    fn no_cause_is_told_twice(steps in steps()) {
        let (story, _) = play(in_stockholm(), &steps);
        let mut ids: Vec<_> = story.log.iter().filter_map(|(_, decision)| match decision {
            Decision::Raise(raise) => Some(raise.alarm.clone()),
            _ => None,
        }).collect();
        let all = ids.len();
        ids.sort();
        ids.dedup();
        prop_assert_eq!(ids.len(), all);
    }

    #[test]
    fn longer_quiet_never_tells_more_or_earlier(steps in steps()) {
        let quiet = |quiet_min| -> Vec<(i64, i64)> {
            let (story, _) = play(Play { quiet_min, ..in_stockholm() }, &steps);
            story.log.iter().filter_map(|(at, decision)| match decision {
                Decision::Raise(raise) if raise.cause == "quiet" => Some((raise.basis.as_ref()?.seen[0].at, *at)),
                _ => None,
            }).collect()
        };
        let (short, long) = (quiet(60), quiet(180));
        for (since, at) in &long {
            let sooner = short.iter().find(|(known, _)| known == since);
            prop_assert!(sooner.is_some_and(|(_, earlier)| earlier <= at), "{} at {}: {:?}", since, at, short);
        }
    }
}
