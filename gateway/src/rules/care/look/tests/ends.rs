//! Looks and checks whose end nobody tells, on a clock that is set: each is over in its time, its light out, and somebody goes.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Slot,
    Alarm,
    Check,
}

/// Opens one in a home where its time has come. Leaves: its number.
fn open(story: &mut Story, kind: Kind) -> u64 {
    match kind {
        Kind::Slot => story.at("23:05").open("23:00", "anna").unwrap(),
        Kind::Check => {
            let wish = Wish::Check { resident: "r1".into(), slot_at: Story::slot_at("23:00") };
            story.at("22:56").wish(wish, "gateway").unwrap()
        }
        Kind::Alarm => {
            story.at("20:00").event("reader", Event::Fall { impact_mg: None, still_s: None });
            let alarm = story.home.log.iter().rev().find_map(|(_, decision)| match decision {
                Decision::Raise(raise) => Some(raise.alarm.clone()),
                _ => None,
            });
            assert!(alarm.is_some(), "a fall is an alarm");
            let purpose = "alarm".into();
            story
                .wish(Wish::Open { resident: "r1".into(), slot_at: None, alarm, purpose, clear: false }, "anna")
                .unwrap()
        }
    }
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Slot), Just(Kind::Alarm), Just(Kind::Check)]
}

/// Minutes by which the clock is set, also not at all.
fn step() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0), -600_i64..600]
}

/// Time passes on the running clock, milliseconds.
fn pass(story: &mut Story, ms: i64) {
    story.home.until(story.home.now_ms() + ms);
}

fn visits(story: &Story, cause: &str) -> usize {
    story.raises().iter().filter(|raise| raise.cause.starts_with(cause)).count()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_nobody_ends_is_over_in_its_time_and_dark_however_the_clock_is_set(kind in kind(), step_min in step()) {
        let mut story = Story::new();
        let look = open(&mut story, kind);
        prop_assert_eq!(story.lights(), [Light::Steady]);
        let longest_ms = story.home.care.look.get(look).unwrap().longest_ms();
        story.home.set_clock(story.home.now_ms() + step_min * 60_000);
        pass(&mut story, longest_ms);
        let seen = story.home.care.look.get(look).unwrap();
        prop_assert!(seen.is_over(story.home.now()), "{:?}", seen);
        prop_assert!(story.home.must_end(look));
        // To be over is not enough: the resident must not believe that somebody looks.
        prop_assert_eq!(story.lights(), [Light::Steady, Light::Off]);
    }

    #[test]
    fn a_look_for_an_alarm_that_nobody_ends_sends_somebody_once(step_min in step(), restarts in any::<bool>()) {
        let mut story = Story::new();
        let look = open(&mut story, Kind::Alarm);
        let longest_ms = story.home.care.look.get(look).unwrap().longest_ms();
        story.home.set_clock(story.home.now_ms() + step_min * 60_000);
        pass(&mut story, longest_ms + LOOK_OUTCOME_MS - 1_000);
        prop_assert_eq!(visits(&story, OF_ALARM), 0, "whoever looked has their time to answer");
        pass(&mut story, 1_000);
        prop_assert_eq!(visits(&story, OF_ALARM), 1, "{:?}", story.told());
        if restarts {
            story.home.restart();
        }
        pass(&mut story, 24 * 3_600_000);
        prop_assert_eq!(visits(&story, OF_ALARM), 1, "{:?}", story.told());
    }

    #[test]
    fn after_an_end_that_was_lost_the_camera_is_free(kind in kind(), step_min in -30_i64..0) {
        let mut story = Story::new();
        let look = open(&mut story, kind);
        let longest_ms = story.home.care.look.get(look).unwrap().longest_ms();
        story.home.set_clock(story.home.now_ms() + step_min * 60_000);
        pass(&mut story, longest_ms);
        // Late: its end is told all the same, and counts once.
        for _ in 0..2 {
            story.wish(Wish::End { look, shown_ms: 0, why: "time".into() }, "gateway").unwrap();
        }
        let off = story.lights().iter().filter(|light| **light == Light::Off).count();
        prop_assert_eq!(off, 1, "{:?}", story.lights());
        story.at("01:31").open("01:30", "bo").unwrap();
    }
}
