//! Falls are found, and what resembles them is not. What each movement looks like stands with its function.

mod traces;

use std::f64::consts::PI;

use proptest::prelude::*;
use traces::{ON_BACK, ON_BELLY, ON_LEFT, ON_RIGHT, SEATED, Sample, Trace, UPRIGHT};
use vaka_device::fall::{Fall, Falls, HARD_IMPACT_MG_MIN, IMPACT_MG_MIN, STILL_S_MIN};
use vaka_device::motion::Felt;
use vaka_protocol::Event;

const RATES_HZ: [u32; 2] = [50, 100];

/// Stands, drops for 350 ms down to 0.3 g while turning, hits the floor with `peak_mg`, rebounds, and lies there.
fn fall(rate_hz: u32, to: Sample, peak_mg: f64) -> Trace {
    Trace::new(rate_hz)
        .rest(UPRIGHT, 5_000)
        .drop(UPRIGHT, to, 300.0, 350)
        .impact(to, peak_mg, 100)
        .rebound(to, 800.0, 500)
        .rest(to, 20_000)
}

/// Drops into a chair: a short dip to 0.55 g, 2.5 g on the seat, then sits still, leaning back.
fn sits_down_hard(rate_hz: u32) -> Trace {
    Trace::new(rate_hz)
        .rest(UPRIGHT, 5_000)
        .drop(UPRIGHT, SEATED, 550.0, 250)
        .impact(SEATED, 2_500.0, 120)
        .rest(SEATED, 60_000)
}

/// The same into a hard chair: 4 g, and still upright.
fn sits_down_on_wood(rate_hz: u32) -> Trace {
    Trace::new(rate_hz)
        .rest(UPRIGHT, 5_000)
        .drop(UPRIGHT, SEATED, 400.0, 300)
        .impact(SEATED, 4_000.0, 80)
        .rest(SEATED, 60_000)
}

/// Throws themselves into bed: weightless for 300 ms, but the mattress takes it in 200 ms at 2.6 g; then lies still.
fn jumps_into_bed(rate_hz: u32) -> Trace {
    Trace::new(rate_hz)
        .rest(UPRIGHT, 5_000)
        .drop(UPRIGHT, ON_BACK, 300.0, 300)
        .impact(ON_BACK, 2_600.0, 200)
        .rebound(ON_BACK, 400.0, 800)
        .rest(ON_BACK, 60_000)
}

/// Walks down a stair: two steps a second, each from 0.7 to 1.8 g, for half a minute; then stands.
fn stairs(rate_hz: u32) -> Trace {
    let step = |rate_hz| {
        Trace::new(rate_hz)
            .part(350, |_, share| [0.0, 1_000.0 - 300.0 * (PI * share).sin(), 0.0])
            .impact(UPRIGHT, 1_800.0, 150)
    };
    let walked = (0..60).fold(Trace::new(rate_hz).rest(UPRIGHT, 5_000), |trace, _| trace.then(step(rate_hz)));
    walked.rest(UPRIGHT, 30_000)
}

/// Claps with the device on the wrist: three times a second a swing that takes the weight off for 60 ms and a blow of 6 g;
/// then the hands lie in the lap.
fn claps(rate_hz: u32) -> Trace {
    let clap = |rate_hz| {
        Trace::new(rate_hz).swing(ON_RIGHT, 1, 900.0, 3.0, 240).rest([300, 100, 0], 60).impact(ON_RIGHT, 6_000.0, 40)
    };
    let clapped = (0..30).fold(Trace::new(rate_hz).rest(UPRIGHT, 5_000), |trace, _| trace.then(clap(rate_hz)));
    clapped.rest(ON_BELLY, 60_000)
}

/// Falls from a table: weightless as no body is, for 400 ms, a blow beyond the range, two rebounds, and lies on its back.
fn device_dropped(rate_hz: u32) -> Trace {
    Trace::new(rate_hz)
        .rest(ON_BACK, 5_000)
        .part(400, |_, _| [20.0, -30.0, 15.0])
        .impact(ON_LEFT, 12_000.0, 40)
        .part(150, |_, _| [10.0, 20.0, 30.0])
        .impact(ON_BACK, 4_000.0, 40)
}

/// Slides from a chair: turns in two seconds without dropping, meets the floor at 1.5 g, lies.
fn slides_from_a_chair(rate_hz: u32) -> Trace {
    Trace::new(rate_hz)
        .rest(SEATED, 5_000)
        .turn(SEATED, ON_BACK, 2_000)
        .impact(ON_BACK, 1_500.0, 200)
        .rest(ON_BACK, 60_000)
}

/// Gets up and walks: two steps a second, 0.3 g.
fn walks(rate_hz: u32, ms: u32) -> Trace {
    Trace::new(rate_hz).swing(UPRIGHT, 1, 300.0, 2.0, ms)
}

fn found(trace: &Trace) -> Vec<(u32, Fall)> {
    let mut falls = Falls::new(trace.rate_hz);
    let each = trace.samples.iter().enumerate();
    each.filter_map(|(place, sample)| Some((place as u32 * 1_000 / trace.rate_hz, falls.feel(Felt::Sample(*sample))?)))
        .collect()
}

#[test]
fn falls_to_all_sides_are_found_once_with_their_impact() {
    for rate_hz in RATES_HZ {
        for to in [ON_BELLY, ON_BACK, ON_RIGHT, ON_LEFT] {
            let found = found(&fall(rate_hz, to, 3_800.0));
            let [(at_ms, fall)] = found[..] else { panic!("{to:?} at {rate_hz} Hz: {found:?}") };
            // 5 s before, 350 ms weightless, the second of the impact, ten of stillness.
            assert!((16_350..16_600).contains(&at_ms), "{at_ms} ms");
            assert_eq!(fall.still_s, STILL_S_MIN);
            assert!(fall.impact_mg.abs_diff(3_800) < 150, "{} mg", fall.impact_mg);
        }
    }
}

#[test]
fn a_fall_is_told_with_what_was_felt() {
    let event = Event::from(Fall { impact_mg: 4_200, still_s: 10 });
    assert_eq!(event, Event::Fall { impact_mg: Some(4_200), still_s: Some(10) });
}

#[test]
fn a_hard_fall_is_found_in_an_unchanged_posture_too() {
    // Out of bed onto the floor, on the back before and after.
    let out_of_bed = |peak_mg| {
        Trace::new(50)
            .rest(ON_BACK, 5_000)
            .drop(ON_BACK, ON_BACK, 200.0, 300)
            .impact(ON_BACK, peak_mg, 80)
            .rest(ON_BACK, 20_000)
    };
    assert_eq!(found(&out_of_bed(f64::from(HARD_IMPACT_MG_MIN) + 500.0)).len(), 1);
    assert_eq!(found(&out_of_bed(f64::from(IMPACT_MG_MIN) + 500.0)), []);
}

#[test]
fn what_resembles_a_fall_is_none() {
    for rate_hz in RATES_HZ {
        for (name, trace) in [
            ("sits down hard", sits_down_hard(rate_hz)),
            ("sits down on wood", sits_down_on_wood(rate_hz)),
            ("jumps into bed", jumps_into_bed(rate_hz)),
            ("stairs", stairs(rate_hz)),
            ("claps", claps(rate_hz)),
            ("picks the device up", device_dropped(rate_hz).rest(ON_BACK, 4_000).then(walks(rate_hz, 90_000))),
            ("walks", walks(rate_hz, 120_000)),
        ] {
            assert_eq!(found(&trace), [], "{name} at {rate_hz} Hz");
        }
    }
}

#[test]
fn a_device_that_fell_and_is_left_lying_calls() {
    for rate_hz in RATES_HZ {
        assert_eq!(found(&device_dropped(rate_hz).rest(ON_BACK, 20_000)).len(), 1);
    }
}

#[test]
fn a_slow_slide_is_not_found_and_is_known_not_to_be() {
    for rate_hz in RATES_HZ {
        assert_eq!(found(&slides_from_a_chair(rate_hz)), []);
    }
}

#[test]
fn who_moves_after_a_fall_is_found_when_they_lie_still() {
    let hit = |rate_hz| {
        Trace::new(rate_hz).rest(UPRIGHT, 5_000).drop(UPRIGHT, ON_RIGHT, 300.0, 350).impact(ON_RIGHT, 4_000.0, 100)
    };
    let struggles = |rate_hz, ms| Trace::new(rate_hz).swing(ON_RIGHT, 2, 400.0, 1.0, ms);
    for rate_hz in RATES_HZ {
        let lies = hit(rate_hz).then(struggles(rate_hz, 20_000)).rest(ON_RIGHT, 20_000);
        assert_eq!(found(&lies).len(), 1);
        let gets_up = hit(rate_hz).then(struggles(rate_hz, 5_000)).then(walks(rate_hz, 10_000)).rest(UPRIGHT, 60_000);
        assert_eq!(found(&gets_up), [], "upright again");
        let awake = hit(rate_hz).then(struggles(rate_hz, 70_000)).rest(ON_RIGHT, 60_000);
        assert_eq!(found(&awake), [], "moved for more than a minute: awake, with a button");
    }
}

#[test]
fn two_falls_are_two_and_lying_on_is_not_another() {
    let up_again = Trace::new(50).turn(ON_BELLY, UPRIGHT, 2_000).then(walks(50, 10_000));
    let twice = fall(50, ON_BELLY, 4_000.0).rest(ON_BELLY, 600_000).then(up_again).then(fall(50, ON_BACK, 3_500.0));
    assert_eq!(found(&twice).len(), 2);
}

#[test]
fn missing_samples_neither_make_a_fall_nor_hide_one() {
    let trace = fall(50, ON_BACK, 4_000.0);
    for hole in (0..trace.samples.len()).step_by(7) {
        let mut falls = Falls::new(50);
        let fell = 5 * 50 + 20;
        let mut found = 0;
        for (place, sample) in trace.samples.iter().enumerate() {
            // Nothing for a fifth of a second.
            let felt = if (hole..hole + 10).contains(&place) { Felt::Gap } else { Felt::Sample(*sample) };
            found += usize::from(falls.feel(felt).is_some());
        }
        // A hole over the drop or the impact itself hides it: what was not felt cannot be found.
        if !(5 * 50 - 10..fell + 5).contains(&hole) {
            assert_eq!(found, 1, "hole at {hole}");
        }
    }
}

#[test]
fn it_fits_a_small_device() {
    assert!(size_of::<Falls>() <= 128, "{} bytes", size_of::<Falls>());
}

#[test]
fn the_strongest_samples_there_are_do_not_overflow() {
    let samples = [vec![[i16::MIN; 3]; 250], vec![[0; 3]; 20], vec![[i16::MIN; 3]; 1_500]].concat();
    let trace = Trace { rate_hz: 50, samples };
    assert_eq!(found(&trace).len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn noise_alone_is_never_a_fall(
        posture in prop::sample::select(vec![UPRIGHT, ON_BACK, ON_BELLY, ON_RIGHT, ON_LEFT, SEATED]),
        seed in any::<u64>(),
        rate_hz in prop::sample::select(RATES_HZ.to_vec()),
    ) {
        prop_assert_eq!(found(&Trace::new(rate_hz).rest(posture, 60_000).with_noise(50, seed)), []);
    }

    #[test]
    fn noise_neither_hides_a_fall_nor_makes_one(
        to in prop::sample::select(vec![ON_BELLY, ON_BACK, ON_RIGHT, ON_LEFT]),
        peak_mg in 3_300..8_000i32,
        seed in any::<u64>(),
        rate_hz in prop::sample::select(RATES_HZ.to_vec()),
    ) {
        let fall = fall(rate_hz, to, f64::from(peak_mg)).with_noise(50, seed);
        prop_assert_eq!(found(&fall).len(), 1);
        for calm in [sits_down_hard(rate_hz), jumps_into_bed(rate_hz), stairs(rate_hz), claps(rate_hz)] {
            prop_assert_eq!(found(&calm.with_noise(50, seed)), []);
        }
    }

    #[test]
    fn no_samples_whatever_make_it_panic(
        samples in prop::collection::vec(prop::option::of(any::<[i16; 3]>()), 0..2_000)
    ) {
        let mut falls = Falls::new(50);
        for sample in samples {
            falls.feel(sample.map_or(Felt::Gap, Felt::Sample));
        }
    }
}
