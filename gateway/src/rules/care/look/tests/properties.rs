//! What holds of every day.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone, Copy)]
enum Scene {
    Look(u8),
    /// A look whose end is never told, as when the line broke or the process was slow to say so.
    Lost,
    /// A look that ends without a picture.
    Try,
    Check(bool),
    Decline(bool),
    Privacy(bool),
}

fn scene() -> impl Strategy<Value = Scene> {
    prop_oneof![
        4 => (0u8..4).prop_map(Scene::Look),
        1 => Just(Scene::Lost),
        2 => Just(Scene::Try),
        2 => any::<bool>().prop_map(Scene::Check),
        1 => any::<bool>().prop_map(Scene::Decline),
        1 => any::<bool>().prop_map(Scene::Privacy),
    ]
}

fn trace() -> impl Strategy<Value = Vec<(i64, Scene)>> {
    prop::collection::vec((0..48 * 60_i64, scene()), 0..60).prop_map(|mut trace| {
        trace.sort_by_key(|(at, _)| *at);
        trace
    })
}

const SLOTS: [&str; 3] = ["23:00", "01:30", "14:00"];

/// Two days from the noon of the 20th, minute by minute.
fn play(trace: &[(i64, Scene)], every: usize) -> Story {
    let mut story = Story::new();
    let start_ms = story.home.now_ms();
    for (n, (at_min, scene)) in trace.iter().enumerate() {
        story.home.until(start_ms + at_min * 60_000);
        let slots = looks_now(&story);
        match scene {
            Scene::Look(what) => {
                for slot_at in slots {
                    let wish = Wish::Open {
                        resident: "r1".into(),
                        slot_at: Some(slot_at),
                        alarm: None,
                        purpose: "p".into(),
                        clear: false,
                    };
                    let Ok(look) = story.wish(wish, "anna") else { continue };
                    story.home.until(story.home.now_ms() + 30_000);
                    story.wish(Wish::End { look, shown_ms: 30_000, why: "time".into() }, "gateway").unwrap();
                    let outcome = [LookOutcome::Calm, LookOutcome::NeedsVisit, LookOutcome::CouldNotTell];
                    if let Some(outcome) = outcome.get(usize::from(*what)) {
                        story.wish(Wish::Outcome { look, outcome: *outcome }, "anna").unwrap();
                    }
                }
            }
            Scene::Lost => {
                for slot_at in slots {
                    let wish = Wish::Open {
                        resident: "r1".into(),
                        slot_at: Some(slot_at),
                        alarm: None,
                        purpose: "p".into(),
                        clear: false,
                    };
                    let _ = story.wish(wish, "anna");
                }
            }
            Scene::Try => {
                for slot_at in slots {
                    let wish = Wish::Open {
                        resident: "r1".into(),
                        slot_at: Some(slot_at),
                        alarm: None,
                        purpose: "p".into(),
                        clear: false,
                    };
                    let Ok(look) = story.wish(wish, "bo") else { continue };
                    story.wish(Wish::End { look, shown_ms: 0, why: "silent".into() }, "gateway").unwrap();
                }
            }
            Scene::Check(well) => {
                for due in story.home.checks_due() {
                    let wish = Wish::Check { resident: due.resident, slot_at: due.slot_at };
                    let look = story.wish(wish, "gateway").unwrap();
                    let found = if *well { "well" } else { "dark" };
                    story.wish(Wish::Checked { look, found: found.into(), reference: None }, "gateway").unwrap();
                    story.wish(Wish::End { look, shown_ms: 0, why: "checked".into() }, "gateway").unwrap();
                }
            }
            Scene::Decline(named) => {
                story.decline(if *named { "01:30" } else { "" });
            }
            Scene::Privacy(on) => {
                story.event("lamp", Event::Privacy { on: *on });
            }
        }
        if n % every == 0 {
            story.home.restart();
        }
    }
    story.home.until(start_ms + 48 * 3_600_000);
    story
}

/// The beginnings of the slots that are open, of both days.
fn looks_now(story: &Story) -> Vec<i64> {
    let zone = jiff::tz::TimeZone::get("Europe/Stockholm").unwrap();
    let now_ms = story.home.now_ms();
    let today = crate::rules::care::when::local(&zone, now_ms).date();
    let days = [today.yesterday().unwrap(), today];
    let all = days.into_iter().flat_map(|day| SLOTS.map(|slot| local(&format!("{day} {slot}"))));
    all.filter(|at| *at <= now_ms && now_ms < at + 3_600_000).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn each_look_in_ends_once_and_only_a_calm_look_makes_it(trace in trace()) {
        let story = play(&trace, usize::MAX);
        let mut ends: BTreeMap<i64, usize> = BTreeMap::new();
        for (at, decision) in &story.home.log {
            let (basis, done) = match decision {
                Decision::Raise(raise) if raise.rule == NAME => (raise.basis.as_deref().unwrap(), false),
                Decision::Note(note) if note.what == DONE || note.what == DECLINED => (&note.basis, note.what == DONE),
                _ => continue,
            };
            *ends.entry(basis.upto).or_default() += 1;
            prop_assert!(*at < basis.upto, "while there is time for it: {at} {basis:?}");
            if done {
                prop_assert!(basis.seen.iter().any(|seen| seen.what == "look calm"), "{basis:?}");
            }
        }
        // Six look-ins in two days, each once.
        prop_assert_eq!(ends.len(), 6, "{:?}", story.told());
        prop_assert!(ends.values().all(|count| *count == 1), "{:?}", story.told());
    }

    #[test]
    fn a_restart_anywhere_decides_the_same(mut trace in trace(), every in 1usize..4) {
        // A start ends what is open: a look whose end is lost is over sooner with one.
        trace.retain(|(_, scene)| !matches!(scene, Scene::Lost));
        let (whole, broken) = (play(&trace, usize::MAX), play(&trace, every));
        prop_assert_eq!(whole.told(), broken.told());
        prop_assert_eq!(whole.lights(), broken.lights());
    }

    #[test]
    fn the_light_is_out_whenever_nobody_looks(trace in trace()) {
        let story = play(&trace, usize::MAX);
        let lights = story.lights();
        prop_assert_ne!(lights.last(), Some(&Light::Steady));
        let on = lights.iter().filter(|light| **light == Light::Steady).count();
        let looks = story.home.care.look.of("r1").count();
        prop_assert_eq!(on, looks, "each look and each check has its light");
    }
}

/// One look that an alarm opens, and how the time passes after it.
#[derive(Debug, Clone, Copy)]
struct AlarmLook {
    /// Which of two devices raises it.
    fall_at_reader: bool,
    /// Its end is told, and with a picture or without.
    ends: Option<bool>,
    /// As [`Scene::Look`]: calm, needs a visit, could not tell, nothing.
    outcome: u8,
    /// Seconds until the next.
    pause_s: i64,
    /// Minutes by which the clock is set while it is open.
    clock_min: i64,
    restarts: bool,
    closes: bool,
}

fn alarm_look() -> impl Strategy<Value = AlarmLook> {
    let ends = prop_oneof![3 => Just(Some(true)), 1 => Just(Some(false)), 2 => Just(None)];
    let pause_s = prop_oneof![3 => 0..90_i64, 1 => 0..1_800_i64];
    let clock_min = prop_oneof![4 => Just(0), 1 => -600_i64..600];
    let rest = (pause_s, clock_min, prop::bool::weighted(0.1), prop::bool::weighted(0.3));
    (any::<bool>(), ends, 0_u8..4, rest).prop_map(
        |(fall_at_reader, ends, outcome, (pause_s, clock_min, restarts, closes))| AlarmLook {
            fall_at_reader,
            ends,
            outcome,
            pause_s,
            clock_min,
            restarts,
            closes,
        },
    )
}

/// Leaves: whether it could be opened.
fn play_alarm(story: &mut Story, drawn: AlarmLook) -> bool {
    let of = device(if drawn.fall_at_reader { "reader" } else { "lamp" });
    story.event(of.as_str(), Event::Fall { impact_mg: None, still_s: None });
    let alarm = story.home.alarms.newest(&of, "fall").map(|alarm| alarm.id().clone());
    let wish = Wish::Open {
        resident: "r1".into(),
        slot_at: None,
        alarm: alarm.clone(),
        purpose: "alarm".into(),
        clear: false,
    };
    let look = story.wish(wish, "anna").ok();
    if drawn.clock_min != 0 {
        story.home.set_clock(story.home.now_ms() + drawn.clock_min * 60_000);
    }
    if let Some(look) = look {
        if let Some(is_shown) = drawn.ends {
            let shown_ms = if is_shown { 9_000 } else { 0 };
            story.home.until(story.home.now_ms() + 10_000);
            story.wish(Wish::End { look, shown_ms, why: "time".into() }, "gateway").unwrap();
        }
        let outcome = [LookOutcome::Calm, LookOutcome::NeedsVisit, LookOutcome::CouldNotTell];
        if let Some(outcome) = outcome.get(usize::from(drawn.outcome)) {
            story.wish(Wish::Outcome { look, outcome: *outcome }, "anna").unwrap();
        }
    }
    story.home.until(story.home.now_ms() + drawn.pause_s * 1_000);
    if drawn.restarts {
        story.home.restart();
    }
    if let Some(alarm) = alarm.filter(|_| drawn.closes) {
        story.home.close(&alarm);
    }
    look.is_some()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn each_look_of_an_alarm_is_called_calm_or_stands_in_one_visit_however_it_ends(
        drawn in prop::collection::vec(alarm_look(), 1..12)
    ) {
        let mut story = Story::new();
        let opened = drawn.iter().filter(|drawn| play_alarm(&mut story, **drawn)).count();
        story.home.until(story.home.now_ms() + 3_600_000);
        let now = story.home.now();
        let mut named: BTreeMap<u64, usize> = BTreeMap::new();
        for visit in story.raises().iter().filter(|raise| raise.cause == OF_ALARM) {
            for seen in &visit.basis.as_deref().expect("a reason").seen {
                *named.entry(seen.record).or_default() += 1;
                let look = story.home.care.look.get(seen.record).expect("known");
                let alarm = look.asked.alarm.as_ref().expect("of an alarm");
                prop_assert!(visit.sv.contains(alarm.as_ref()) && visit.en.contains(alarm.as_ref()), "{}", visit.en);
            }
        }
        let looks: Vec<_> = story.home.care.look.of("r1").filter(|(_, seen)| seen.asked.alarm.is_some()).collect();
        prop_assert_eq!(looks.len(), opened);
        for (id, seen) in looks {
            let is_calm = matches!(seen.outcome, Some((LookOutcome::Calm, ..)));
            let visits = named.get(id).copied().unwrap_or(0);
            let needs_one = seen.shown(now) && !is_calm;
            prop_assert_eq!(visits, usize::from(needs_one), "look {}: {:?}; {:?}", id, seen, story.told());
        }
        let lights = story.lights();
        prop_assert_ne!(lights.last(), Some(&Light::Steady));
    }
}
