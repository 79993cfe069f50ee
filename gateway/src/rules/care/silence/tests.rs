//! Silence, told and over: once for each trouble, however often the device comes and goes and the process starts.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use vaka_protocol::{DeviceId, Event, Lane};

use super::*;
use crate::config::Config;
use crate::rules::care::rehearsal::Rehearsal;

const MIN: i64 = 60_000;
const HOUR: i64 = 60 * MIN;
const START: i64 = 1_795_212_000_000;
const HEAD: &str = "[gateway]\nid = \"gw-1\"\n[ingest]\nlisten = \"127.0.0.1:0\"\n";
const HOME: &str = "[[device]]\nid = \"p1\"\nkind = \"pendant\"\n[[device]]\nid = \"bed\"\nkind = \"bed-sensor\"\n\
    [[device]]\nid = \"zb\"\nkind = \"bridge\"\n[[device]]\nid = \"hall\"\nkind = \"motion-sensor\"\nvia = \"zb\"\naddress = \"1\"\n\
    [[device]]\nid = \"door\"\nkind = \"door-sensor\"\nvia = \"zb\"\naddress = \"2\"\n";

fn story(more: &str) -> Rehearsal {
    let text = format!("{HEAD}{HOME}{more}");
    let (config, _) = Config::parse(text.as_bytes(), Path::new("v.toml")).unwrap();
    Rehearsal::new(config.agreed.clone(), crate::pipeline::home(&config), START)
}

fn id(text: &str) -> DeviceId {
    DeviceId::try_from(text).unwrap()
}

/// What was decided beside listing, each with its minute since the start.
fn told(story: &Rehearsal) -> Vec<String> {
    let words = |(at, decision): &(i64, Decision)| {
        let minute = (at - START) / MIN;
        match decision {
            Decision::Raise(raise) => Some(format!("{minute} {} {}", raise.lane.as_str(), raise.cause)),
            Decision::Join(join) if join.what == JoinWhat::Over => {
                let alarm = story.alarms.get(&join.alarm).unwrap();
                Some(format!("{minute} over {}", alarm.raise.cause))
            }
            _ => None,
        }
    };
    story.log.iter().filter_map(words).collect()
}

fn all_here(story: &mut Rehearsal) {
    for device in ["p1", "bed", "zb"] {
        story.alive(&id(device), true);
    }
    for device in ["hall", "door"] {
        story.event(&id(device), &Event::Battery { percent: Some(80), low: false });
    }
}

#[test]
fn a_pendant_that_is_gone_is_told_then_visited_and_over_when_it_is_steady() {
    let mut story = story("");
    all_here(&mut story);
    story.until(START + HOUR);
    story.alive(&id("p1"), false);
    story.until(START + 64 * MIN);
    assert_eq!(told(&story), [""; 0], "five minutes are its router's");
    story.until(START + 4 * HOUR);
    assert_eq!(told(&story), ["65 technical silent p1", "185 care visit p1"]);
    let visit = story.alarms.open().find(|alarm| alarm.raise.lane == Lane::Care).unwrap();
    let basis = visit.raise.basis.clone().unwrap();
    assert_eq!(basis.due_at, Some(START + 185 * MIN + 4 * HOUR));
    assert_eq!(basis.resident.as_deref(), Some("resident"));
    assert_eq!(basis.agreed[0], ("silence.gone_min".to_owned(), "5".to_owned()));
    assert_eq!(visit.raise.sv, "Besök behövs: p1 hörs inte, sedan 2 timmar 5 minuter.");
    story.alive(&id("p1"), true);
    story.until(START + 254 * MIN);
    assert_eq!(told(&story).len(), 2, "not yet steady");
    story.until(START + 6 * HOUR);
    let mut over = told(&story).split_off(2);
    over.sort();
    assert_eq!(over, ["255 over silent p1", "255 over visit p1"]);
}

#[test]
fn a_device_that_comes_and_goes_is_one_alarm_with_a_count() {
    let mut story = story("");
    all_here(&mut story);
    for n in 0..40_i64 {
        story.until(START + HOUR + n * 5 * MIN);
        story.alive(&id("bed"), n % 2 == 1);
    }
    story.until(START + 10 * HOUR);
    // Gone at 60, 70, 80, …: for the sixth time at 110; the last coming is at 255.
    assert_eq!(told(&story), ["110 technical silent bed", "270 over silent bed"]);
    let alarm = story.alarms.open().next().unwrap();
    assert_eq!(alarm.count, 20, "each going is counted");
    assert!(alarm.raise.sv.starts_with("bed hörs bara ibland."), "{}", alarm.raise.sv);
    let words = alarm.notices.last().unwrap().words.clone().unwrap();
    assert!(words.1.ends_with("It lost contact 20 times."), "{}", words.1);
    assert_eq!(alarm.notices.len(), 2, "told once, and once that it is over");
    // Another going, after a rest, is another trouble only if it lasts.
    story.alive(&id("bed"), false);
    story.until(START + 11 * HOUR);
    assert_eq!(told(&story)[2..], ["610 technical silent bed"]);
}

#[test]
fn a_sensor_behind_a_bridge_has_a_day_and_two_hours() {
    let mut story = story("");
    all_here(&mut story);
    story.until(START + 10 * HOUR);
    story.event(&id("door"), &Event::Door { open: true });
    story.until(START + 40 * HOUR);
    assert_eq!(told(&story), ["1560 technical silent hall", "2160 technical silent door"]);
    story.event(&id("hall"), &Event::Motion {});
    assert_eq!(told(&story)[2..], ["2400 over silent hall"], "what has no connection is heard by what it says");
}

#[test]
fn a_bridge_that_is_down_is_one_alarm_and_its_devices_get_their_time_anew() {
    let mut story = story("");
    all_here(&mut story);
    story.until(START + HOUR);
    story.alive(&id("zb"), false);
    story.until(START + 30 * HOUR);
    assert_eq!(told(&story), ["65 technical silent zb", "305 care visit zb"]);
    let alarm = story.alarms.open().find(|alarm| alarm.raise.lane == Lane::Technical).unwrap();
    assert!(alarm.raise.en.ends_with("Nor are the 2 devices behind it."), "{}", alarm.raise.en);
    story.alive(&id("zb"), true);
    story.until(START + 31 * HOUR);
    story.event(&id("hall"), &Event::Motion {});
    story.until(START + 55 * HOUR);
    assert_eq!(told(&story).len(), 4, "over, both: {:?}", told(&story));
    story.until(START + 56 * HOUR);
    assert_eq!(told(&story)[4..], ["3360 technical silent door"], "26 hours after the bridge was back");
}

#[test]
fn what_stands_behind_a_bridge_that_becomes_steady_by_time_is_looked_at_again() {
    let mut story = story("");
    all_here(&mut story);
    // The sensors have their time until 26:00; the bridge comes and goes until 25:59, never away for long.
    for n in 0..14_i64 {
        story.until(START + 25 * HOUR + (20 + n * 3) * MIN);
        story.alive(&id("zb"), n % 2 == 1);
    }
    story.until(START + 28 * HOUR);
    let told = told(&story);
    for line in ["1574 over silent zb", "1574 technical silent door", "1574 technical silent hall"] {
        assert!(told.iter().any(|told| told == line), "{line}: {told:?}");
    }
}

#[test]
fn goings_of_another_day_are_not_told_of_a_connection_lost_in_a_restart() {
    let mut story = story("[silence]\ncomes_and_goes = 20\n");
    all_here(&mut story);
    for n in 0..14_i64 {
        story.until(START + HOUR + n * MIN);
        story.alive(&id("bed"), n % 2 == 1);
    }
    story.until(START + 20 * HOUR);
    story.event(&id("bed"), &Event::Bed { occupied: true });
    story.until(START + 96 * HOUR);
    story.restart();
    for device in ["p1", "zb"] {
        story.alive(&id(device), true);
    }
    story.until(START + 97 * HOUR);
    let alarm = story.alarms.open().find(|alarm| alarm.raise.cause == "silent bed").unwrap();
    assert_eq!(alarm.count, 1, "one trouble: {}", alarm.raise.en);
    story.alive(&id("bed"), true);
    story.until(START + 98 * HOUR);
    let alarm = story.alarms.open().find(|alarm| alarm.raise.cause == "silent bed").unwrap();
    let words = alarm.notices.last().unwrap().words.clone().unwrap();
    assert!(words.1.contains("is heard again"), "{}", words.1);
}

#[test]
fn what_was_never_heard_is_told_after_its_time_in_the_list() {
    let mut story = story("");
    story.alive(&id("p1"), true);
    story.until(START + 27 * HOUR);
    let told = told(&story);
    // Of the bridge's devices nothing is said: it was never heard itself.
    assert_eq!(told, ["1560 technical silent bed", "1560 technical silent zb"]);
    let alarm = story.alarms.open().next().unwrap();
    assert!(alarm.raise.sv.contains("har aldrig hörts"), "{}", alarm.raise.sv);
}

#[test]
fn a_start_gives_every_connection_its_time_to_come_back() {
    let mut story = story("");
    all_here(&mut story);
    story.until(START + 3 * HOUR);
    story.restart();
    story.alive(&id("bed"), true);
    story.alive(&id("zb"), true);
    story.until(START + 3 * HOUR + 4 * MIN);
    assert_eq!(told(&story), [""; 0]);
    story.until(START + 4 * HOUR);
    assert_eq!(told(&story), ["185 technical silent p1"]);
    // Starts in a row do not begin another trouble.
    for n in 0..5 {
        story.until(START + (4 + n) * HOUR);
        story.restart();
    }
    story.alive(&id("p1"), true);
    story.until(START + 9 * HOUR);
    let told = told(&story);
    assert_eq!(told.iter().filter(|line| line.ends_with("technical silent p1")).count(), 1, "{told:?}");
    assert!(told.iter().any(|line| line.contains("over silent p1")), "{told:?}");
}

#[test]
fn per_kind_and_per_device_and_not_at_all() {
    let own =
        "[silence]\ngone_min = 20\n[silence.kind.pendant]\ngone_min = 2\n[silence.device.bed]\nsupervised = false\n";
    let mut story = story(own);
    all_here(&mut story);
    for device in ["p1", "bed", "zb"] {
        story.alive(&id(device), false);
    }
    story.until(START + HOUR);
    assert_eq!(told(&story), ["2 technical silent p1", "20 technical silent zb"]);
    for (wrong, said) in [
        ("[silence]\ngone_min = 0\n", "`gone_min` must be from 1 to 1440, found 0"),
        ("[silence.kind.pendent]\ngone_min = 2\n", "did you mean `pendant`?"),
        ("[silence.device.bad]\ngone_min = 2\n", "[silence.device.bad] names an unknown device; did you mean `bed`?"),
        ("[silence.kind.gateway]\ngone_min = 2\n", "a home at its hub is supervised by itself"),
    ] {
        let text = format!("{HEAD}{HOME}{wrong}");
        let error = Config::parse(text.as_bytes(), Path::new("v.toml")).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
        assert_eq!(error.lines().count(), 1, "said once: {error}");
    }
}

/// What is provable, seen through the facts of a story.
fn provable(story: &Rehearsal, agreed: &Arc<agreed::Agreed>, device: &str) -> bool {
    let home = crate::rules::Home::default();
    let view = View { care: &story.care, alarms: &story.alarms, home: &home, agreed, now: story.now() };
    is_provable(view, &id(device))
}

#[test]
fn a_device_is_believed_to_be_awake_within_what_is_agreed_and_no_longer() {
    let (config, _) = Config::parse(format!("{HEAD}{HOME}").as_bytes(), Path::new("v.toml")).unwrap();
    let mut story = story("");
    assert!(!provable(&story, &config.agreed, "bed"), "never heard");
    all_here(&mut story);
    assert!(provable(&story, &config.agreed, "bed") && provable(&story, &config.agreed, "hall"));
    story.alive(&id("bed"), false);
    story.alive(&id("zb"), false);
    story.until(START + 4 * MIN);
    assert!(provable(&story, &config.agreed, "bed") && provable(&story, &config.agreed, "hall"));
    story.until(START + 5 * MIN);
    assert!(!provable(&story, &config.agreed, "hall"), "its bridge is silent");
    story.until(START + 10 * MIN);
    assert!(!provable(&story, &config.agreed, "bed"));
}

/// What happens to the pendant and the hall's sensor, minute by minute.
fn steps() -> impl Strategy<Value = Vec<(u8, u8)>> {
    proptest::collection::vec((0_u8..6, 1_u8..90), 1..40)
}

fn play(more: &str, steps: &[(u8, u8)], restart_at: Option<usize>, shift_ms: i64) -> (Rehearsal, Vec<String>) {
    let text = format!("{HEAD}{HOME}{more}");
    let (config, _) = Config::parse(text.as_bytes(), Path::new("v.toml")).unwrap();
    let mut story = Rehearsal::new(config.agreed.clone(), crate::pipeline::home(&config), START + shift_ms);
    all_here(&mut story);
    let mut online = [true, true];
    for (n, (what, minutes)) in steps.iter().enumerate() {
        story.until(story.now_ms() + i64::from(*minutes) * MIN);
        match what {
            0..=1 => story.alive(&id("p1"), {
                online[0] = !online[0];
                online[0]
            }),
            2 => story.alive(&id("zb"), {
                online[1] = !online[1];
                online[1]
            }),
            3 => story.event(&id("hall"), &Event::Motion {}),
            4 => story.event(&id("door"), &Event::Door { open: true }),
            _ => story.until(story.now_ms() + 9 * HOUR),
        }
        if restart_at == Some(n) {
            story.restart();
            // What has a connection is back at once.
            for (device, online) in [("p1", online[0]), ("zb", online[1]), ("bed", true)] {
                if online {
                    story.alive(&id(device), true);
                }
            }
        }
    }
    story.until(story.now_ms() + 40 * HOUR);
    let told = told(&story).into_iter().map(|line| {
        let (minute, rest) = line.split_once(' ').unwrap();
        format!("{} {rest}", minute.parse::<i64>().unwrap() - shift_ms / MIN)
    });
    // What comes at one moment comes by the alarms' ids.
    let mut told: Vec<String> = told.collect();
    told.sort();
    (story, told)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_restart_at_any_point_changes_nothing(steps in steps(), at in any::<prop::sample::Index>()) {
        let (_, whole) = play("", &steps, None, 0);
        let (_, broken) = play("", &steps, Some(at.index(steps.len())), 0);
        prop_assert_eq!(whole, broken);
    }

    #[test]
    fn no_trouble_is_told_twice_and_each_has_its_own_end(steps in steps()) {
        let (story, _) = play("", &steps, None, 0);
        let mut ids: Vec<_> = story.log.iter().filter_map(|(_, decision)| match decision {
            Decision::Raise(raise) => Some(raise.alarm.clone()),
            _ => None,
        }).collect();
        let all = ids.len();
        ids.sort();
        ids.dedup();
        prop_assert_eq!(ids.len(), all);
        // Nothing is told of a device while an alarm of it is open and not over.
        let mut open: Vec<String> = Vec::new();
        for (_, decision) in &story.log {
            match decision {
                Decision::Raise(raise) => {
                    prop_assert!(!open.contains(&raise.cause), "{} twice", raise.cause);
                    open.push(raise.cause.clone());
                }
                Decision::Join(join) if join.what == JoinWhat::Over => {
                    let cause = story.alarms.get(&join.alarm).unwrap().raise.cause.clone();
                    prop_assert!(open.contains(&cause));
                    open.retain(|known| *known != cause);
                }
                _ => {}
            }
        }
    }

    #[test]
    fn longer_grace_never_tells_more_or_earlier(steps in steps()) {
        let count = |more: &str| {
            let (story, told) = play(more, &steps, None, 0);
            let first = story.log.iter().find_map(|(at, decision)| matches!(decision, Decision::Raise(_)).then_some(*at));
            (told.iter().filter(|line| line.contains("technical")).count(), first)
        };
        let (few, late) = count("[silence]\ngone_min = 60\nquiet_h = 40\ncomes_and_goes = 20\n");
        let (many, early) = count("[silence]\ngone_min = 20\nquiet_h = 30\ncomes_and_goes = 6\n");
        prop_assert!(few <= many, "{} > {}", few, many);
        if let (Some(late), Some(early)) = (late, early) {
            prop_assert!(early <= late);
        }
    }

    #[test]
    fn another_day_is_the_same_day(steps in steps(), days in 0_i64..400) {
        let (_, here) = play("", &steps, None, 0);
        let (_, there) = play("", &steps, None, days * 24 * HOUR);
        prop_assert_eq!(here, there);
    }
}

/// The clock of the box was twelve years ahead; it was set right, and the process began anew: what bears the wrong year is not awaited
/// until that year.
#[test]
fn what_was_silent_in_a_wrong_year_is_told_in_the_right_one() {
    const YEARS: i64 = 12 * 365 * 24 * HOUR;
    let mut story = story("");
    all_here(&mut story);
    story.until(START + HOUR);
    story.alive(&id("p1"), false);
    story.set_clock(START + HOUR - YEARS);
    story.restart();
    for device in ["bed", "zb"] {
        story.alive(&id(device), true);
    }
    story.event(&id("door"), &Event::Battery { percent: Some(80), low: false });
    story.until(START + 2 * HOUR - YEARS);
    let told_now = told(&story);
    assert!(told_now.iter().any(|row| row.ends_with("technical silent p1")), "{told_now:?}");
    for hour in 2..80 {
        story.until(START + hour * HOUR - YEARS);
        story.event(&id("door"), &Event::Battery { percent: Some(80), low: false });
    }
    let told_now = told(&story);
    assert!(told_now.iter().any(|row| row.ends_with("technical silent hall")), "{told_now:?}");
    assert!(!told_now.iter().any(|row| row.ends_with("silent door")), "{told_now:?}");
}
