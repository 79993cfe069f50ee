//! What holds of every night.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::rules::care::night::{RoundState, rounds_of};

/// `NIGHT` less what is counted in hours and not planned by the clock.
const PLANNED: &str = "from = \"22:00\"\nuntil = \"06:30\"\nabsence_care_min = 0\nin_bed_by = \"23:30\"\nup_by = \"08:30\"\n\
    rounds = [{ at = \"23:00\", latest = \"23:30\" }, { at = \"01:30\", latest = \"02:00\" }, { at = \"04:00\", latest = \"04:40\" }]";
const NIGHT: &str = "from = \"22:00\"\nuntil = \"06:30\"\nin_bed_by = \"23:30\"\nup_by = \"08:30\"\nvisits_up_max = 3\nbed_heard_min = 240\n\
    rounds = [{ at = \"23:00\", latest = \"23:30\" }, { at = \"01:30\", latest = \"02:00\" }, { at = \"04:00\", latest = \"04:40\" }]";

#[derive(Debug, Clone, Copy, PartialEq)]
enum Scene {
    Bed(bool),
    Motion,
    Door(bool),
    Staff,
    Decline(u8),
    Word,
}

impl Scene {
    fn event(self) -> (&'static str, Event) {
        match self {
            Scene::Bed(occupied) => ("bed", Event::Bed { occupied }),
            Scene::Motion => ("hall", Event::Motion {}),
            Scene::Door(open) => ("front", Event::Door { open }),
            Scene::Staff => ("reader", Event::Staff { tag: "t".into() }),
            Scene::Decline(n) => {
                let slot = ["", "23:00", "01:30", "04:00"][usize::from(n % 4)];
                ("reader", Event::Decline { slot: slot.into() })
            }
            Scene::Word => ("bed", Event::Alive {}),
        }
    }
}

fn scene() -> impl Strategy<Value = Scene> {
    prop_oneof![
        6 => any::<bool>().prop_map(Scene::Bed),
        4 => Just(Scene::Motion),
        2 => any::<bool>().prop_map(Scene::Door),
        1 => Just(Scene::Staff),
        1 => any::<u8>().prop_map(Scene::Decline),
        3 => Just(Scene::Word),
    ]
}

/// What happens, at so many seconds after noon, within two days.
fn trace() -> impl Strategy<Value = Vec<(i64, Scene)>> {
    prop::collection::vec((0..48 * 3_600_i64, scene()), 0..60).prop_map(|mut trace| {
        trace.sort_by_key(|(at, _)| *at);
        trace
    })
}

fn play(start_ms: i64, agreed: Arc<Agreed>, trace: &[(i64, Scene)], restart: &dyn Fn(usize) -> bool) -> Rehearsal {
    let mut home = Rehearsal::new(agreed, Home::default(), start_ms);
    for (n, (at_s, scene)) in trace.iter().enumerate() {
        home.until(start_ms + at_s * 1_000);
        let (id, event) = scene.event();
        home.event(&device(id), &event);
        if restart(n) {
            home.restart();
        }
    }
    home.until(start_ms + 48 * 3_600_000);
    home
}

/// Every decision: when, counted from the start, its cause, and what was said.
fn told(home: &Rehearsal, start_ms: i64) -> Vec<(i64, String)> {
    let of = |decision: &Decision| match decision {
        Decision::Raise(raise) => format!("raise {} {} {}", raise.cause, raise.sv, raise.basis.as_ref().unwrap().key),
        Decision::Note(note) => format!("note {} {} {}", note.what, note.slot, note.sv),
        Decision::Join(join) => format!("join {:?} {:?}", join.what, join.words),
        other => format!("{other:?}"),
    };
    home.log.iter().map(|(at, decision)| (at - start_ms, of(decision))).collect()
}

fn noon(zone: &str, day: &str) -> i64 {
    there(zone, &format!("{day} 12:00"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn no_cause_is_decided_twice_and_every_look_in_ends_once(trace in trace()) {
        let agreed = agreed(NIGHT);
        let start = noon(STOCKHOLM, "2026-11-20");
        let home = play(start, agreed.clone(), &trace, &|_| false);
        let mut causes = BTreeSet::new();
        let mut alarms = BTreeSet::new();
        let mut ends: BTreeMap<(String, i64), usize> = BTreeMap::new();
        for (at, decision) in &home.log {
            let basis = match decision {
                Decision::Raise(raise) => {
                    prop_assert!(alarms.insert(raise.alarm.clone()), "raised twice: {raise:?}");
                    raise.basis.as_deref()
                }
                Decision::Note(note) => Some(&note.basis),
                _ => None,
            };
            let Some(basis) = basis else { continue };
            prop_assert!(causes.insert((basis.key.clone(), basis.upto)), "decided twice: {basis:?}");
            if basis.key.contains(" round ") {
                *ends.entry((basis.key.clone(), basis.upto)).or_default() += 1;
                // Asked for while there is time for it.
                prop_assert!(*at < basis.upto, "{at} {basis:?}");
            }
        }
        prop_assert_eq!(ends.len(), 6, "three look-ins in each of two nights: {:?}", ends);
        let person = &agreed.people[0];
        let span = person.night.as_ref().unwrap().window.around(&agreed.zone, local("2026-11-21 03:00"));
        let rounds = rounds_of(&home.care, &agreed, person, &span, home.now_ms());
        // The board shows the newest night's ends; the night before is only known to have ended.
        prop_assert!(rounds.iter().all(|round| !matches!(round.state, RoundState::Planned)));
    }

    #[test]
    fn a_restart_anywhere_decides_the_same(trace in trace(), every in 1usize..4) {
        let start = noon(STOCKHOLM, "2026-11-20");
        let whole = play(start, agreed(NIGHT), &trace, &|_| false);
        let broken = play(start, agreed(NIGHT), &trace, &|n| n % every == 0);
        let differs = whole.log.iter().zip(&broken.log).find(|(whole, broken)| whole != broken);
        prop_assert_eq!(differs, None);
        prop_assert_eq!(whole.log.len(), broken.log.len(), "{:?}", told(&broken, start).last());
    }

    #[test]
    fn nobody_is_in_bed_by_a_sensor_that_is_gone(trace in trace(), mut gone in prop::collection::vec(0..48 * 3_600_i64, 2..6)) {
        gone.sort_unstable();
        let start = noon(STOCKHOLM, "2026-11-20");
        let mut home = Rehearsal::new(agreed(NIGHT), Home::default(), start);
        home.alive(&device("bed"), true);
        // Away from each odd one to the even one after it; nothing comes from it then.
        let away = |at_s: i64| gone.chunks(2).any(|pair| pair[0] <= at_s && pair.get(1).is_none_or(|back| at_s < *back));
        let turns = gone.iter().enumerate().map(|(n, at_s)| (*at_s, None, n % 2 == 1));
        let scenes = trace.iter().filter(|(at_s, scene)| scene.event().0 != "bed" || !away(*at_s));
        let mut all: Vec<_> = turns.chain(scenes.map(|(at_s, scene)| (*at_s, Some(*scene), false))).collect();
        all.sort_by_key(|(at_s, ..)| *at_s);
        for (at_s, scene, is_back) in all {
            home.until(start + at_s * 1_000);
            match scene {
                None => home.alive(&device("bed"), is_back),
                Some(scene) => {
                    let (id, event) = scene.event();
                    home.event(&device(id), &event);
                }
            }
        }
        home.until(start + 48 * 3_600_000);
        for (at, decision) in &home.log {
            if let Decision::Note(note) = decision {
                let in_bed = note.what == "round-done" && note.basis.seen.iter().any(|seen| seen.what == "bed occupied");
                prop_assert!(!in_bed || !away((at - start) / 1_000), "{at} {note:?}");
            }
        }
    }

    #[test]
    fn other_days_and_places_decide_the_same_then_and_there(trace in trace(), days in 1i64..30) {
        let start = noon(STOCKHOLM, "2026-11-01");
        let here = told(&play(start, agreed(NIGHT), &trace, &|_| false), start);
        let later = start + days * 86_400_000;
        prop_assert_eq!(&here, &told(&play(later, agreed(NIGHT), &trace, &|_| false), later));
        for zone in ["Asia/Kolkata", "America/New_York", "Pacific/Auckland"] {
            let there = noon(zone, "2026-11-10");
            prop_assert_eq!(&here, &told(&play(there, agreed_in(zone, NIGHT), &trace, &|_| false), there));
        }
    }

    #[test]
    fn what_is_planned_falls_at_its_local_time_when_clocks_are_set(moved in prop::collection::vec(0..3usize, 0..4)) {
        // Who is in bed all night, but for the look-ins at which nobody is.
        let planned = |day: &str| {
            let mut story = Story::of(STOCKHOLM, day, agreed(PLANNED));
            story.at("22:30").bed(true);
            for (n, (left, back)) in [("22:50", "23:40"), ("01:10", "01:55"), ("03:50", "04:50")].into_iter().enumerate() {
                if moved.contains(&n) {
                    story.at(left).bed(false).at(back).bed(true);
                }
            }
            story.at("11:00").told()
        };
        let ordinary = planned("2026-11-20");
        prop_assert_eq!(&ordinary, &planned("2026-10-24"));
        prop_assert_eq!(&ordinary, &planned("2027-03-27"));
    }

    #[test]
    fn an_event_stamped_in_the_future_is_judged_when_it_comes(trace in trace(), ahead_s in 6i64..100_000) {
        let start = noon(STOCKHOLM, "2026-11-20");
        let now = told(&play(start, agreed(NIGHT), &trace, &|_| false), start);
        let mut home = Rehearsal::new(agreed(NIGHT), Home::default(), start);
        for (at_s, scene) in &trace {
            home.until(start + at_s * 1_000);
            let (id, event) = scene.event();
            let stamped = home.now_ms() + ahead_s * 1_000;
            home.late(&device(id), &event, Some(stamped));
        }
        home.until(start + 48 * 3_600_000);
        prop_assert_eq!(now, told(&home, start));
    }

    #[test]
    fn a_longer_grace_raises_neither_sooner_nor_more(trace in trace(), grace in 5i64..120, longer in 1i64..120) {
        let start = noon(STOCKHOLM, "2026-11-20");
        let absences = |minutes: i64| -> BTreeMap<i64, i64> {
            let agreed = agreed(&format!("absence_care_min = {minutes}\nabsence_life_min = 0"));
            let home = play(start, agreed, &trace, &|_| false);
            let raised = home.log.iter().filter_map(|(at, decision)| match decision {
                Decision::Raise(raise) if raise.cause == "absence" => {
                    Some((raise.basis.as_ref()?.seen.last()?.at, *at))
                }
                _ => None,
            });
            raised.collect()
        };
        let (short, long) = (absences(grace), absences(grace + longer));
        for (left, at) in &long {
            prop_assert!(short.get(left).is_some_and(|sooner| sooner < at), "{left}: {short:?} {long:?}");
        }
    }
}
