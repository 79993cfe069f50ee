//! Mains lost, back, and batteries: told once for each loss and each discharge.

use std::path::Path;

use proptest::prelude::*;
use vaka_protocol::{DeviceId, Event};

use super::*;
use crate::config::Config;
use crate::journal::record::JoinWhat;
use crate::rules::care::rehearsal::Rehearsal;

const MIN: i64 = 60_000;
const HOUR: i64 = 60 * MIN;
const START: i64 = 1_795_212_000_000;
const HOME: &str = "[gateway]\nid = \"gw-1\"\n[ingest]\nlisten = \"127.0.0.1:0\"\n[[device]]\nid = \"p1\"\nkind = \"pendant\"\n\
    [silence.device.p1]\nsupervised = false\n";

fn story(more: &str) -> Rehearsal {
    let (config, _) = Config::parse(format!("{HOME}{more}").as_bytes(), Path::new("v.toml")).unwrap();
    Rehearsal::new(config.agreed.clone(), crate::pipeline::home(&config), START)
}

fn p1() -> DeviceId {
    DeviceId::try_from("p1").unwrap()
}

fn mains(story: &mut Rehearsal, on: bool) {
    story.event(&p1(), &Event::Mains { on });
}

fn charge(story: &mut Rehearsal, percent: u8) {
    story.event(&p1(), &Event::Battery { percent: Some(percent), low: false });
}

/// By rule `power`: minute, cause, and whether it begins or is over.
fn told(story: &Rehearsal) -> Vec<String> {
    let words = |(at, decision): &(i64, Decision)| {
        let minute = (at - START) / MIN;
        match decision {
            Decision::Raise(raise) if raise.rule == NAME => Some(format!("{minute} {}", raise.cause)),
            Decision::Join(join) if join.what == JoinWhat::Over => {
                let alarm = story.alarms.get(&join.alarm).filter(|alarm| alarm.raise.rule == NAME)?;
                Some(format!("{minute} over {}", alarm.raise.cause))
            }
            _ => None,
        }
    };
    story.log.iter().filter_map(words).collect()
}

fn said(story: &Rehearsal, cause: &str) -> String {
    let alarm = story.alarms.open().find(|alarm| alarm.raise.cause == cause).unwrap();
    alarm.notices.last().unwrap().words.as_ref().map_or(alarm.raise.sv.clone(), |words| words.0.clone())
}

#[test]
fn a_battery_that_rebounds_and_still_is_low_is_told_once() {
    let mut story = story("");
    for (hour, percent) in [(1, 9), (2, 3), (3, 8), (4, 90)] {
        story.until(START + hour * HOUR);
        charge(&mut story, percent);
    }
    assert_eq!(told(&story), ["60 charge p1", "240 over charge p1"]);
}

#[test]
fn mains_lost_is_told_after_the_delay_and_back_with_its_duration() {
    let mut story = story("");
    story.until(START + HOUR);
    mains(&mut story, false);
    story.until(START + 69 * MIN);
    mains(&mut story, true);
    story.until(START + 2 * HOUR);
    assert_eq!(told(&story), [""; 0], "nine minutes are a fuse");
    mains(&mut story, false);
    story.until(START + 125 * MIN);
    // Said again on the way: it is the same loss.
    mains(&mut story, false);
    story.until(START + 3 * HOUR);
    assert_eq!(told(&story), ["130 mains p1"]);
    assert_eq!(said(&story, "mains p1"), "p1 har ingen ström sedan 10 minuter. Hur länge batteriet räcker är okänt.");
    let alarm = story.alarms.open().next().unwrap();
    assert_eq!((alarm.raise.dty, alarm.raise.stc), (41, 85));
    mains(&mut story, true);
    assert_eq!(told(&story)[1..], ["180 over mains p1"]);
    assert_eq!(said(&story, "mains p1"), "p1 har ström igen, efter 1 timme.");
    assert_eq!(story.alarms.open().next().unwrap().notices.last().unwrap().stc, 86);
}

#[test]
fn the_hours_left_are_reckoned_from_the_fall_on_battery() {
    let mut story = story("[power]\nmains_delay_min = 60\n");
    charge(&mut story, 90);
    story.until(START + HOUR);
    mains(&mut story, false);
    for (minutes, percent) in [(61, 90), (81, 85), (101, 80)] {
        story.until(START + minutes * MIN);
        charge(&mut story, percent);
    }
    story.until(START + 2 * HOUR);
    // Ten percent in 40 minutes: 80 percent are 320 minutes.
    let words =
        "p1 har ingen ström sedan 1 timme. Batteriet har 80 procent kvar. Det räcker ungefär 5 timmar 20 minuter.";
    assert_eq!(said(&story, "mains p1"), words);
}

#[test]
fn the_last_gasp_is_told_at_once() {
    let mut story = story("[power]\nbattery_min_percent = 0\n");
    charge(&mut story, 9);
    story.until(START + HOUR);
    mains(&mut story, false);
    assert_eq!(told(&story), ["60 last-gasp p1"], "it may not live to the end of the delay");
    let words = said(&story, "last-gasp p1");
    assert!(words.starts_with("p1 slocknar snart"), "{words}");
    story.until(START + 2 * HOUR);
    assert_eq!(told(&story).len(), 1, "one alarm says both");
    let mut later = self::story("[power]\nbattery_min_percent = 0\n");
    mains(&mut later, false);
    later.until(START + HOUR);
    charge(&mut later, 40);
    charge(&mut later, 9);
    charge(&mut later, 8);
    assert_eq!(told(&later), ["10 mains p1", "60 last-gasp p1"]);
    mains(&mut later, true);
    assert_eq!(told(&later)[2..], ["60 over mains p1", "60 over last-gasp p1"]);
}

#[test]
fn no_delay_is_at_once() {
    let mut story = story("[power]\nmains_delay_min = 0\n");
    mains(&mut story, false);
    mains(&mut story, true);
    assert_eq!(told(&story), ["0 mains p1", "0 over mains p1"]);
}

#[test]
fn a_battery_under_the_policy_is_one_alarm_until_it_is_changed() {
    let mut story = story("[power]\nbattery_min_percent = 20\n");
    for percent in [60, 30, 19, 18, 21, 19, 17] {
        charge(&mut story, percent);
    }
    assert_eq!(told(&story), ["0 charge p1"], "a warm day is no new battery");
    let alarm = story.alarms.open().next().unwrap().id().clone();
    story.close(&alarm);
    charge(&mut story, 16);
    assert_eq!(told(&story).len(), 1, "a person has closed it: the same discharge is not told again");
    charge(&mut story, 100);
    charge(&mut story, 15);
    assert_eq!(told(&story).len(), 2);
    charge(&mut story, 100);
    assert_eq!(told(&story)[2..], ["0 over charge p1"]);
    // What the device itself calls low is told by rule trigger, once.
    story.event(&p1(), &Event::Battery { percent: Some(5), low: true });
    assert_eq!(told(&story).len(), 3);
    assert_eq!(story.alarms.open().filter(|alarm| alarm.raise.rule == "trigger").count(), 1);
}

#[test]
fn wrong_values_name_the_key() {
    for (wrong, said) in [
        ("[power]\nmains_delay_min = 241\n", "`mains_delay_min` must be from 0 to 240, found 241"),
        ("[power]\nbattery_min_percent = 91\n", "`battery_min_percent` must be from 0 to 90, found 91"),
        ("[power]\nmain_delay_min = 1\n", "unknown key `main_delay_min` in [power]; did you mean `mains_delay_min`?"),
    ] {
        let error = Config::parse(format!("{HOME}{wrong}").as_bytes(), Path::new("v.toml")).unwrap_err().to_string();
        assert!(error.contains(said) && error.lines().count() == 1, "{error}");
    }
}

fn play(delay_min: u32, steps: &[(u8, u8)], restart_at: Option<usize>, shift_ms: i64) -> Vec<String> {
    let text = format!("{HOME}[power]\nmains_delay_min = {delay_min}\n");
    let (config, _) = Config::parse(text.as_bytes(), Path::new("v.toml")).unwrap();
    let start_ms = START + shift_ms;
    let mut story = Rehearsal::new(config.agreed.clone(), crate::pipeline::home(&config), start_ms);
    for (n, (what, minutes)) in steps.iter().enumerate() {
        story.until(story.now_ms() + i64::from(*minutes) * MIN);
        match what {
            0 => mains(&mut story, false),
            1 => mains(&mut story, true),
            percent => charge(&mut story, *percent),
        }
        if restart_at == Some(n) {
            story.restart();
        }
    }
    story.until(story.now_ms() + 5 * HOUR);
    let mut ids: Vec<String> = Vec::new();
    for (at, decision) in &story.log {
        match decision {
            Decision::Raise(raise) => {
                ids.push(format!(
                    "{} {} {}",
                    (at - start_ms) / MIN,
                    raise.cause,
                    raise.basis.as_ref().map_or(0, |b| (b.seen[0].at - start_ms) / MIN)
                ));
            }
            Decision::Join(_) => ids.push(format!("{} over", (at - start_ms) / MIN)),
            _ => {}
        }
    }
    ids
}

fn steps() -> impl Strategy<Value = Vec<(u8, u8)>> {
    proptest::collection::vec((prop_oneof![Just(0_u8), Just(1_u8), 2_u8..100], 1_u8..60), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_restart_at_any_point_changes_nothing(steps in steps(), at in any::<prop::sample::Index>(), days in 0_i64..400) {
        let whole = play(10, &steps, None, 0);
        prop_assert_eq!(&whole, &play(10, &steps, Some(at.index(steps.len())), 0));
        prop_assert_eq!(&whole, &play(10, &steps, None, days * 24 * HOUR));
    }

    #[test]
    fn a_longer_delay_never_tells_more_or_earlier(steps in steps()) {
        let lost = |delay_min| -> Vec<(i64, String)> {
            let lines = play(delay_min, &steps, None, 0).into_iter().filter(|line| line.contains(" mains "));
            lines.map(|line| {
                let (minute, cause) = line.split_once(' ').unwrap();
                (minute.parse().unwrap(), cause.to_owned())
            }).collect()
        };
        let (soon, late) = (lost(5), lost(30));
        for (minute, cause) in &late {
            let before = soon.iter().find(|(_, other)| other == cause);
            prop_assert!(before.is_some_and(|(earlier, _)| earlier <= minute), "{} at {}", cause, minute);
        }
        // No loss is told twice.
        let mut causes: Vec<&String> = soon.iter().map(|(_, cause)| cause).collect();
        causes.sort();
        causes.dedup();
        prop_assert_eq!(causes.len(), soon.len());
    }
}
