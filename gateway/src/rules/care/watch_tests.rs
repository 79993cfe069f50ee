//! That looking only at the rules which an event concerns finds what looking at everybody finds, at the same moment.

use std::path::Path;

use proptest::prelude::*;
use vaka_protocol::{DeviceId, DoseOutcome, Event, Outcome};

use super::super::rehearsal::Rehearsal;
use crate::config::Config;
use crate::journal::record::Decision;

const MIN: i64 = 60_000;
/// 21 November 2026, 15:00 UTC: the stories go on into the night and through it.
const START_MS: i64 = 1_795_273_200_000;

/// Everything that can be agreed, with two people.
fn config() -> Config {
    let mut text = String::from(
        "[gateway]\nid = \"gw-1\"\ntime_zone = \"Europe/Stockholm\"\n[ingest]\nlisten = \"127.0.0.1:0\"\n\
         [night]\nin_bed_by = \"23:30\"\nup_by = \"08:00\"\nvisits_up_max = 2\nrounds = [{ at = \"01:00\", latest = \"02:00\" }, { at = \"04:00\", latest = \"05:00\" }]\n\
         [presence]\nparts = [{ from = \"07:00\", until = \"22:00\", quiet_min = 120 }]\nchecks = [{ at = \"17:00\", latest = \"18:00\" }, { at = \"10:00\", latest = \"11:30\" }]\n\
         [[device]]\nid = \"zb\"\nkind = \"bridge\"\n[[device]]\nid = \"shared\"\nkind = \"door-sensor\"\n",
    );
    for who in ["a", "b"] {
        text.push_str(&format!("[[resident]]\nid = \"{who}\"\n"));
        for (name, kind, more) in [
            ("bed", "bed-sensor", ""),
            ("door", "door-sensor", "exit = true\n"),
            ("hall", "motion-sensor", ""),
            ("chair", "chair-sensor", "via = \"zb\"\naddress = \"ADDRESS\"\n"),
            ("disp", "dispenser", ""),
            ("gps", "gps-alarm", ""),
            ("reader", "other", ""),
        ] {
            let more = more.replace("ADDRESS", who);
            text.push_str(&format!(
                "[[device]]\nid = \"{who}-{name}\"\nkind = \"{kind}\"\nresident = \"{who}\"\n{more}"
            ));
        }
        text.push_str(&format!(
            "[[dose]]\nresident = \"{who}\"\ndevice = \"{who}-disp\"\nslot = \"evening\"\nat = \"18:00\"\n\
             [[dose]]\nresident = \"{who}\"\ndevice = \"{who}-disp\"\nslot = \"morning\"\nat = \"08:00\"\n\
             [[reminder]]\nresident = \"{who}\"\ndevice = \"{who}-disp\"\nat = \"19:00\"\ntext = \"Dags\"\n\
             [[threshold]]\nresident = \"{who}\"\nkind = \"heart_rate\"\nunit = \"1/min\"\nabove = \"120\"\nset_by = \"Anna Ek\"\nset_on = \"2026-11-01\"\n\
             [[threshold]]\nresident = \"{who}\"\nkind = \"temperature\"\nunit = \"°C\"\nbelow = \"16\"\nset_by = \"Anna Ek\"\nset_on = \"2026-11-01\"\n\
             [[fence]]\nname = \"Hem {who}\"\nresident = \"{who}\"\nlat = 59.3293\nlon = 18.0686\nradius_m = 200\ndwell_s = 60\nback_by = \"20:00\"\n"
        ));
    }
    Config::parse(text.as_bytes(), Path::new("v.toml")).unwrap().0
}

const NAMES: [&str; 7] = ["bed", "door", "hall", "chair", "disp", "gps", "reader"];

#[allow(clippy::large_enum_variant, reason = "sixty of them at a time")]
#[derive(Debug, Clone)]
enum Step {
    Wait(i64),
    /// What the device of this name says, of so many minutes ago.
    Say(&'static str, Event, i64),
    Alive(usize, bool),
    /// Its connection ends and comes back so often, all within a minute.
    Flap(usize, usize),
    Refuse(usize),
    Confirm,
    /// A person takes the newest alarm on, or closes it.
    Claim,
    Close,
    Restart,
    SetClock(i64),
}

fn event() -> impl Strategy<Value = (&'static str, Event)> {
    let switch = (0..3_usize, any::<bool>()).prop_map(|(index, on)| match index {
        0 => ("bed", Event::Bed { occupied: on }),
        1 => ("door", Event::Door { open: on }),
        _ => ("chair", Event::Chair { occupied: on }),
    });
    let of_any = (0..NAMES.len(), 0..5_usize).prop_map(|(index, what)| {
        let event = match what {
            0 => Event::Battery { percent: Some(50), low: false },
            1 => Event::Decline { slot: "".into() },
            2 => Event::Staff { tag: "t-1".into() },
            3 => Event::Privacy { on: true },
            _ => Event::Alive {},
        };
        (NAMES[index], event)
    });
    let position = any::<bool>().prop_map(|out| {
        let lat_e7 = if out { 593_493_000 } else { 593_293_000 };
        let event =
            Event::Position { lat_e7, lon_e7: 180_686_000, accuracy_m: Some(10), speed_cm_s: None, fix_age_s: None };
        ("gps", event)
    });
    let dose = (prop::sample::select(DoseOutcome::ALL), any::<bool>()).prop_map(|(outcome, morning)| {
        ("disp", Event::Dose { slot: if morning { "morning" } else { "evening" }.into(), outcome })
    });
    let reading = (0..3_i32).prop_map(|more| match more {
        0 => (
            "reader",
            Event::Vital { kind: "heart_rate".into(), value: "130".try_into().unwrap(), unit: "1/min".into() },
        ),
        1 => (
            "reader",
            Event::Vital { kind: "heart_rate".into(), value: "80".try_into().unwrap(), unit: "1/min".into() },
        ),
        _ => ("hall", Event::Temperature { centi_c: 1_500 }),
    });
    prop_oneof![
        6 => switch,
        3 => Just(("hall", Event::Motion {})),
        1 => Just(("hall", Event::Temperature { centi_c: 2_000 })),
        2 => of_any,
        2 => position,
        1 => dose,
        1 => reading,
        1 => Just(("gps", Event::Button { press: vaka_protocol::Press::Short })),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (1..150_i64).prop_map(Step::Wait),
        10 => (event(), prop_oneof![6 => Just(0), 1 => 1..60_i64]).prop_map(|((name, event), ago)| Step::Say(name, event, ago)),
        // The one after the last is the bridge.
        2 => (0..=NAMES.len(), any::<bool>()).prop_map(|(index, online)| Step::Alive(index, online)),
        1 => (0..=NAMES.len(), 1..8_usize).prop_map(|(index, times)| Step::Flap(index, times)),
        1 => (0..=NAMES.len()).prop_map(Step::Refuse),
        1 => Just(Step::Confirm),
        1 => Just(Step::Claim),
        1 => Just(Step::Close),
        1 => Just(Step::Restart),
        1 => (-200..200_i64).prop_map(Step::SetClock),
    ]
}

/// What was decided: when, and of which cause.
fn tell(config: &Config, steps: &[(bool, Step)], looks_at_everybody: bool) -> Vec<(i64, String)> {
    let mut story = Rehearsal::new(config.agreed.clone(), crate::pipeline::home(config), START_MS);
    let id = |first: bool, name: &str| {
        DeviceId::try_from(format!("{}-{name}", if first { "a" } else { "b" }).as_str()).unwrap()
    };
    let bridge: DeviceId = "zb".try_into().unwrap();
    let id_at = |first: bool, index: usize| NAMES.get(index).map_or_else(|| bridge.clone(), |name| id(first, name));
    // What stands behind a bridge has no connection of its own.
    for name in NAMES.iter().filter(|name| **name != "chair") {
        story.alive(&id(true, name), true);
        story.alive(&id(false, name), true);
    }
    for (first, step) in steps {
        match step {
            Step::Wait(minutes) => story.until(story.now_ms() + minutes * MIN),
            Step::Say(name, event, 0) => story.event(&id(*first, name), event),
            Step::Say(name, event, ago) => story.late(&id(*first, name), event, Some(story.now_ms() - ago * MIN)),
            Step::Alive(index, online) => story.alive(&id_at(*first, *index), *online),
            Step::Flap(index, times) => {
                (0..2 * times).for_each(|time| story.alive(&id_at(*first, *index), time % 2 == 1));
            }
            Step::Refuse(index) => story.refused(&id_at(*first, *index)),
            Step::Confirm => {
                let device = id(*first, "disp");
                let pushed = story.care.dose.dispenser(&device).and_then(|known| known.pushed.as_ref());
                if let Some(id) = pushed.map(|pushed| pushed.id) {
                    story.event(&device, &Event::Done { id, outcome: Outcome::Done });
                }
            }
            Step::Claim | Step::Close => {
                let newest = story.alarms.open().max_by_key(|alarm| alarm.raised_at).map(|alarm| alarm.id().clone());
                match (newest, step) {
                    (Some(alarm), Step::Claim) => story.claim(&alarm),
                    (Some(alarm), _) => story.close(&alarm),
                    (None, _) => {}
                }
            }
            Step::Restart => story.restart(),
            Step::SetClock(minutes) => story.set_clock(story.now_ms() + minutes * MIN),
        }
        if looks_at_everybody {
            story.look_at_everybody();
        }
    }
    let short = |(at, decision): &(i64, Decision)| {
        let said = match decision {
            Decision::Raise(raise) => format!("raise {} {} {}", raise.rule, raise.cause, raise.alarm),
            Decision::Note(note) => format!("note {} {}", note.basis.key, note.basis.upto),
            Decision::Send(send) => format!("send {} {}", send.basis.key, send.basis.upto),
            Decision::Join(join) => format!("join {} {:?}", join.alarm, join.what),
            Decision::Tell(_) | Decision::Say(_) => "tell".to_owned(),
        };
        (*at, said)
    };
    story.log.iter().map(short).collect()
}

proptest! {
    #[test]
    fn looking_at_what_an_event_concerns_finds_what_looking_at_everybody_finds(
        steps in prop::collection::vec((any::<bool>(), step()), 1..60)
    ) {
        let config = config();
        prop_assert_eq!(tell(&config, &steps, false), tell(&config, &steps, true));
    }
}

/// What was looked at too late once: something that becomes due by time alone.
#[test]
fn what_ends_by_time_alone_is_looked_at_in_time() {
    let config = config();
    let waits = |minutes: &[i64]| minutes.iter().map(|minutes| Step::Wait(*minutes)).collect::<Vec<_>>();
    let chair = Step::Say("chair", Event::Chair { occupied: false }, 0);
    let until = [107, 144, 78, 106, 79, 1];
    let after = [1, 1, 111, 124, 8, 68, 51, 71, 142, 102, 82];
    // A sensor that nobody hears any more, of a quiet that was told.
    let told = [waits(&until), vec![chair], waits(&after), vec![Step::Restart], waits(&[124, 41, 119])].concat();
    // A device that came and went is steady again; its alarm was closed.
    let steady = vec![Step::Flap(0, 6), Step::Close, Step::Restart, Step::Wait(15)];
    // Staff leave a resident whose bed a sensor sees.
    let clock = vec![Step::SetClock(26)];
    let bed = vec![
        Step::Say("bed", Event::Staff { tag: "t-1".into() }, 0),
        Step::Say("bed", Event::Bed { occupied: true }, 0),
        Step::Wait(30),
        Step::Flap(0, 6),
    ];
    let staff = [waits(&[68, 1, 132, 31, 58, 15]), clock, waits(&[134, 106, 14]), bed].concat();
    // A position whose time is still to come, of somebody who was to be back: the clock was set back.
    let position = Event::Position {
        lat_e7: 593_293_000,
        lon_e7: 180_686_000,
        accuracy_m: Some(10),
        speed_cm_s: None,
        fix_age_s: None,
    };
    let back = vec![Step::Say("gps", position, 0), Step::SetClock(-5), Step::Wait(5)];
    let back = [waits(&[385]), vec![Step::Restart], waits(&[96]), back].concat();
    // A front door whose time is still to come, and somebody who moves after it.
    let door = vec![Step::Say("door", Event::Door { open: false }, 0), Step::SetClock(-89), Step::Restart];
    let moved = vec![Step::Say("hall", Event::Motion {}, 0)];
    let door = [waits(&[161]), door, waits(&[30]), moved, waits(&[21, 53])].concat();
    for story in [told, steady, staff, back, door] {
        let steps: Vec<_> = story.into_iter().map(|step| (false, step)).collect();
        assert_eq!(tell(&config, &steps, false), tell(&config, &steps, true), "{steps:?}");
    }
}

/// What begins to count with a sign of life, where nothing was planned that the sign could put off.
#[test]
fn a_sign_of_life_begins_a_quiet_of_its_own() {
    let config = config();
    let moves = |ago| Step::Say("hall", Event::Motion {}, ago);
    let bed = Step::Say("bed", Event::Bed { occupied: false }, 0);
    // The quiet was told, and a person has closed it: the next one is told too.
    let closed = vec![bed, Step::Wait(120), Step::Close, Step::Close, moves(0), Step::Wait(120)];
    // The first sign of all, of a time before that from which quiet counts without one.
    let late = vec![Step::SetClock(-48), Step::Flap(0, 1), moves(13), Step::Wait(107)];
    for story in [closed, late] {
        let steps: Vec<_> = story.into_iter().map(|step| (false, step)).collect();
        let found = tell(&config, &steps, false);
        assert_eq!(found, tell(&config, &steps, true), "{steps:?}");
        let is_quiet = |(_, said): &&(i64, String)| said.starts_with("raise presence quiet");
        assert!(found.iter().rfind(is_quiet).is_some_and(|(at, _)| *at == found[found.len() - 1].0), "{found:?}");
    }
}
