//! Seizures are found within a quarter of a minute, once, and what resembles them is not. All movements as a mattress passes
//! them on: z is up, gravity along it.

mod bench;
mod traces;

use std::cell::RefCell;

use bench::Bench;
use proptest::prelude::*;
use traces::Trace;
use vaka_device::motion::Felt;
use vaka_device::part::lis2dh12::{ADDRESS, Lis2dh12, Range};
use vaka_device::seizure::{MattressSensor, RATE_HZ, STRONG_MG_MIN, Seizures};
use vaka_parts::accelerometer::{Bus, Lis2dh12 as Part};
use vaka_protocol::Event;

/// Nobody moves.
const BED: [i16; 3] = [0, 0, 1_000];

fn quiet(ms: u32) -> Trace {
    Trace::new(RATE_HZ).rest(BED, ms)
}

/// Jerks along the body, so many a second: short blows rather than a sine, each with its recoil.
fn jerks(hz: f64, mg: f64, ms: u32) -> Trace {
    Trace::new(RATE_HZ).part(ms, |t, _| {
        let phase = (t * hz).fract();
        let blow = if phase < 0.5 {
            (std::f64::consts::TAU * phase).sin()
        } else {
            -0.6 * (std::f64::consts::TAU * (phase - 0.5)).sin()
        };
        [0.3 * mg * blow, mg * blow, 1_000.0]
    })
}

/// A clonic phase: a minute and a half of jerks that slow down from 5 to 2 a second and get stronger.
fn seizure() -> Trace {
    [5.0, 4.5, 4.0, 3.5, 3.0, 2.5, 2.2, 2.1, 2.05]
        .into_iter()
        .enumerate()
        .fold(quiet(10_000), |trace, (place, hz)| trace.then(jerks(hz, 150.0 + 25.0 * place as f64, 10_000)))
        .then(quiet(5_000))
}

/// Brushes teeth sitting on the bed: five strokes a second, in bouts of six seconds with as long to spit and rinse.
fn brushes_teeth() -> Trace {
    (0..10).fold(quiet(5_000), |trace, _| trace.then(jerks(5.0, 120.0, 6_000)).then(quiet(6_000)))
}

/// Scratches a leg: four seconds at 4 a second, now and then.
fn scratches() -> Trace {
    (0..10).fold(quiet(5_000), |trace, _| trace.then(jerks(4.0, 200.0, 4_000)).then(quiet(9_000)))
}

/// Walks about the room: two steps a second for two minutes, of which the bed gets 15 mg.
fn walks() -> Trace {
    Trace::new(RATE_HZ).swing(BED, 2, 15.0, 2.0, 120_000)
}

/// Turns over, every ten seconds: two seconds of one strong slow movement and a shorter one back.
fn turns_over() -> Trace {
    (0..12).fold(quiet(5_000), |trace, _| {
        trace.swing(BED, 0, 400.0, 0.4, 2_000).swing(BED, 1, -250.0, 0.7, 1_000).then(quiet(7_000))
    })
}

/// Breathes and the heart beats: a quarter and 1.2 a second, here ten times as strong as they are, with a tremor of 4 a
/// second on top, just too weak to count by itself.
fn breathes() -> Trace {
    Trace::new(RATE_HZ).part(120_000, |t, _| {
        let sine = |hz: f64| (std::f64::consts::TAU * hz * t).sin();
        [0.0, 200.0 * sine(0.25) + 50.0 * sine(4.0), 1_000.0 + 60.0 * sine(1.2)]
    })
}

/// Tosses about for two minutes: strong blows, as many a second as a seizure has, but no two alike in their time.
fn tosses(seed: u64) -> Trace {
    let mut state = seed;
    let mut trace = quiet(1_000);
    while trace.samples.len() < 120 * RATE_HZ as usize {
        // Knuth's linear congruence: any times that differ will do.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let ms = 150 + (state >> 40) as u32 % 750;
        trace = trace.then(jerks(1_000.0 / 180.0, 200.0, 180)).then(quiet(ms));
    }
    trace
}

/// A washing machine behind the wall: 13 a second, strong.
fn machine() -> Trace {
    Trace::new(RATE_HZ).swing(BED, 2, 100.0, 13.0, 120_000)
}

/// The seconds at which a seizure is found.
fn found(trace: &Trace) -> Vec<u32> {
    let mut seizures = Seizures::new();
    let each = trace.samples.iter().enumerate();
    each.filter(|(_, sample)| seizures.feel(Felt::Sample(**sample))).map(|(place, _)| place as u32 / RATE_HZ).collect()
}

#[test]
fn a_seizure_is_found_in_a_quarter_of_a_minute_and_once() {
    let at = found(&seizure());
    let [at_s] = at[..] else { panic!("{at:?}") };
    assert!((20..=25).contains(&at_s), "{at_s} s; it began at 10 s");
}

#[test]
fn jerks_from_two_to_six_a_second_are_found_and_others_not() {
    for tenths in (20..=60).step_by(2) {
        let hz = f64::from(tenths) / 10.0;
        assert_eq!(found(&jerks(hz, 150.0, 30_000)).len(), 1, "{hz} Hz");
    }
    for hz in [0.5, 1.0, 1.5, 8.0, 10.0, 20.0] {
        assert_eq!(found(&jerks(hz, 150.0, 30_000)), [0_u32; 0], "{hz} Hz");
    }
}

#[test]
fn what_resembles_a_seizure_is_none() {
    for (name, trace) in [
        ("brushes teeth", brushes_teeth()),
        ("scratches", scratches()),
        ("walks", walks()),
        ("turns over", turns_over()),
        ("breathes", breathes()),
        ("machine", machine()),
    ] {
        assert_eq!(found(&trace), [0_u32; 0], "{name}");
    }
}

#[test]
fn a_pause_is_no_end_and_half_a_minute_is() {
    let again = |pause_ms| jerks(3.0, 200.0, 20_000).then(quiet(pause_ms)).then(jerks(3.0, 200.0, 20_000));
    assert_eq!(found(&again(10_000)).len(), 1);
    assert_eq!(found(&again(60_000)).len(), 2);
}

#[test]
fn it_fits_a_small_device() {
    assert!(size_of::<Seizures>() <= 800, "{} bytes", size_of::<Seizures>());
}

#[test]
fn missing_samples_are_no_movement() {
    let mut seizures = Seizures::new();
    // A hole in every two seconds: no window is ever full.
    let jerks = jerks(3.0, 200.0, 60_000);
    let mut each = jerks.samples.iter().enumerate();
    assert!(
        !each
            .any(|(place, sample)| { seizures.feel(if place % 100 == 0 { Felt::Gap } else { Felt::Sample(*sample) }) })
    );
}

#[test]
fn a_seizure_goes_through_registers_and_role_to_the_outbox() {
    let part = RefCell::new(Part::new(ADDRESS));
    let mut bench = Bench::new(MattressSensor::new(Lis2dh12::<_, 50>::new(Bus(&part), Range::G2)), None);
    bench.run(20);
    for sample in seizure().with_noise(10, 3).samples {
        part.borrow_mut().feel(sample.map(i32::from));
        bench.run(20);
    }
    assert_eq!(bench.events(), [Event::Seizure {}]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn noise_is_never_a_seizure_and_hides_none(mg in 0..=50i16, seed in any::<u64>()) {
        // Twenty minutes of a bed, and of a bed in which somebody turns over.
        prop_assert_eq!(found(&quiet(1_200_000).with_noise(mg, seed)), Vec::<u32>::new());
        prop_assert_eq!(found(&turns_over().with_noise(mg, seed)), Vec::<u32>::new());
        prop_assert_eq!(found(&tosses(seed).with_noise(mg, seed)), Vec::<u32>::new());
        prop_assert_eq!(found(&seizure().with_noise(mg, seed)).len(), 1);
    }

    #[test]
    fn weak_jerks_are_none(mg in 0..STRONG_MG_MIN, hz in 2.0..6.0f64) {
        prop_assert_eq!(found(&jerks(hz, f64::from(mg), 60_000)), Vec::<u32>::new());
    }

    #[test]
    fn no_samples_whatever_make_it_panic(samples in prop::collection::vec(any::<[i16; 3]>(), 0..1_000)) {
        let mut seizures = Seizures::new();
        for sample in samples {
            seizures.feel(Felt::Sample(sample));
        }
    }
}
