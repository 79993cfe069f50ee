//! What holds of every story: nothing twice, restarts and shifts change nothing, a longer dwell never tells earlier or more.

use std::collections::BTreeSet;

use jiff::tz::Offset;
use proptest::prelude::*;

use super::*;
use crate::rules::care::when::{instant, local};

/// One step of a story.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// Where somebody is, metres north and the error of it.
    At(f64, u32),
    /// Where they were so many minutes ago.
    Late(f64, i64),
    Press,
    /// Nothing, for so many minutes.
    Quiet(i64),
}

fn metres() -> impl Strategy<Value = f64> {
    prop::sample::select(vec![0.0, 100.0, 180.0, 205.0, 225.0, 260.0, 400.0, 2_000.0])
}

fn live() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (metres(), Just(10_u32)).prop_map(|(metres, accuracy_m)| Act::At(metres, accuracy_m)),
        1 => (1..200_i64).prop_map(Act::Quiet),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (metres(), prop::sample::select(vec![5, 10, 60, 140, 800])).prop_map(|(metres, accuracy_m)| Act::At(metres, accuracy_m)),
        2 => (metres(), 1..90_i64).prop_map(|(metres, ago)| Act::Late(metres, ago)),
        1 => Just(Act::Press),
        1 => (1..200_i64).prop_map(Act::Quiet),
    ]
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    prop::collection::vec(act(), 1..24)
}

/// The fences that a story is told with: always, in hours, and with a time to be back.
fn fences() -> Vec<Fence> {
    let named = |name: &str, fence: Fence| Fence {
        name: name.into(),
        watched: vec![Watched::new("r1", name, &gps())],
        ..fence
    };
    let hours = Hours { days: Days::ALL, daily: Daily { from: time(11, 0, 0, 0), until: time(13, 0, 0, 0) } };
    let back_by = BackBy { days: Days::ALL, time: time(12, 30, 0, 0) };
    vec![
        named("Parken", park()),
        named("Kajen", Fence { enter: true, dwell_ms: 0, hours: Some(hours), ..park() }),
        named("Hemmet", Fence { leave: false, back_by: Some(back_by), ..park() }),
    ]
}

fn tell(story: &mut Rehearsal, act: Act) {
    match act {
        Act::At(metres, accuracy_m) => story.event(&gps(), &at_m(metres, 0.0, Some(accuracy_m))),
        Act::Late(metres, ago) => story.late(&gps(), &north(metres), Some(story.now_ms() - ago * MINUTE)),
        Act::Press => story.event(&gps(), &Event::Button { press: Press::Short }),
        Act::Quiet(minutes) => story.until(story.now_ms() + minutes * MINUTE),
    }
    story.until(story.now_ms() + 45_000);
}

fn told(agreed: Arc<Agreed>, start_ms: i64, acts: &[Act], restart_before: Option<usize>) -> Rehearsal {
    let mut story = Rehearsal::new(agreed, home(), start_ms);
    for (index, act) in acts.iter().enumerate() {
        if restart_before == Some(index) {
            story.restart();
        }
        tell(&mut story, *act);
    }
    story.until(story.now_ms() + 8 * HOUR);
    story
}

/// What was decided, without the moments: those are compared by themselves.
fn outline(story: &Rehearsal, from_ms: i64) -> Vec<(i64, String)> {
    let line = |(at, decision): &(i64, Decision)| {
        let what = match decision {
            Decision::Raise(raise) => format!("raise {} {:?} {}", raise.cause, raise.lane, raise.happened_at - from_ms),
            Decision::Note(note) => format!("note {} {}", note.what, note.basis.key),
            Decision::Send(send) => format!("send {}", send.basis.key),
            Decision::Join(join) => format!("join {:?} {}", join.what, join.notify),
            other => format!("{other:?}"),
        };
        (at - from_ms, what)
    };
    story.log.iter().map(line).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nothing_is_decided_twice(acts in acts()) {
        let story = told(agreed(fences()), start(), &acts, None);
        let mut ids = BTreeSet::new();
        let mut causes = BTreeSet::new();
        for (_, decision) in &story.log {
            let basis = match decision {
                Decision::Raise(raise) => {
                    prop_assert!(ids.insert(raise.alarm.clone()), "{} twice", raise.cause);
                    raise.basis.as_deref()
                }
                Decision::Note(note) => Some(&note.basis),
                Decision::Send(send) => Some(&send.basis),
                _ => None,
            };
            if let Some(basis) = basis {
                prop_assert!(causes.insert((basis.key.clone(), basis.upto)), "{} {} twice", basis.key, basis.upto);
            }
        }
        // Between two leavings somebody has come back, except into other hours.
        let parken = story.log.iter().filter_map(|(_, decision)| match decision {
            Decision::Raise(raise) => raise.basis.as_ref().map(|basis| basis.key.clone()),
            Decision::Note(note) => Some(note.basis.key.clone()),
            _ => None,
        });
        let turns: Vec<String> = parken.filter(|key| key.contains("Parken")).collect();
        prop_assert!(turns.windows(2).all(|two| two[0] != two[1]), "{turns:?}");
    }

    #[test]
    fn a_restart_at_any_point_changes_no_decision(acts in acts()) {
        let whole = told(agreed(fences()), start(), &acts, None);
        for index in 0..acts.len() {
            let broken = told(agreed(fences()), start(), &acts, Some(index));
            prop_assert_eq!(&whole.log, &broken.log, "restarted before {}", index);
        }
    }

    #[test]
    fn another_day_and_another_zone_decide_the_same(acts in acts(), days in 1..400_i64, hours in -11..12_i8) {
        let fixed = |hours: i8| TimeZone::fixed(Offset::constant(hours));
        let one = told(agreed_in(fixed(1), fences()), start(), &acts, None);
        let from_ms = start() + days * 24 * HOUR - i64::from(hours) * HOUR;
        let other = told(agreed_in(fixed(1 + hours), fences()), from_ms, &acts, None);
        prop_assert_eq!(outline(&one, start()), outline(&other, from_ms));
    }

    #[test]
    fn clocks_that_are_set_shift_what_is_planned_and_nothing_else(acts in acts(), spring in any::<bool>()) {
        // The story begins at ten, the day before and the day on which the clocks have been set at night.
        let zone = TimeZone::get("Europe/Stockholm").unwrap();
        let day = |day| instant(&zone, if spring { jiff::civil::date(2027, 3, day) } else { jiff::civil::date(2026, 10, day) }, time(10, 0, 0, 0));
        let (before_ms, after_ms) = if spring { (day(26), day(28)) } else { (day(23), day(25)) };
        prop_assert_ne!((after_ms - before_ms) % (24 * HOUR), 0);
        let day_long = told(agreed(fences()), before_ms, &acts, None);
        let other = told(agreed(fences()), after_ms, &acts, None);
        prop_assume!(local(&zone, day_long.now_ms()).date() == local(&zone, before_ms).date());
        prop_assert_eq!(outline(&day_long, before_ms), outline(&other, after_ms));
    }

    #[test]
    fn one_from_the_future_is_judged_when_it_comes(metres in metres(), ahead in 1..100_000_i64) {
        let tell = |ahead_ms: Option<i64>| {
            let mut story = story(vec![park()]);
            walk(&mut story, &[0.0, 0.0]);
            let at = ahead_ms.map(|ahead_ms| story.now_ms() + ahead_ms);
            story.late(&gps(), &north(metres), at);
            story.until(story.now_ms() + HOUR);
            outline(&story, start())
        };
        prop_assert_eq!(tell(None), tell(Some(ahead * MINUTE)));
    }

    #[test]
    fn a_longer_dwell_tells_neither_earlier_nor_more(acts in prop::collection::vec(live(), 1..30), short in 0..5_i64, more in 0..10_i64) {
        let left = |dwell: i64| {
            let fence = Fence { dwell_ms: dwell * MINUTE / 2, ..park() };
            let story = told(agreed(vec![fence]), start(), &acts, None);
            raises(&story).iter().map(|(at, _)| *at).collect::<Vec<_>>()
        };
        let (short, long) = (left(short), left(short + more));
        prop_assert!(long.len() <= short.len(), "{short:?} {long:?}");
        prop_assert!(short.iter().zip(&long).all(|(short, long)| short <= long), "{short:?} {long:?}");
    }
}
