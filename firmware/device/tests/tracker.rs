//! The GPS alarm: help first, positions only where they are wanted, and an honest receiver.

mod bench;
mod wires;

use bench::{Bench, Memory};
use proptest::prelude::*;
use vaka_device::Keep;
use vaka_device::pins::{Active, Input};
use vaka_device::tracker::{
    ALARM_INTERVAL_MS, ALARM_TRACK_MS, FENCE_KEY, Fence, Fix, Gga, GpsAlarm, LOOK_MS_MAX, Lines, NO_FIX_MS, Sentence,
    TrackerPins, look_interval_ms, parse,
};
use vaka_parts::gnss::{FIRST_FIX_MS, Feed, Gnss, Line, Port, Sky};
use vaka_protocol::{Command, Event, Outcome, Press, Sound};
use wires::Wire;

const STEP_MS: u64 = 250;
const MINUTE_MS: u64 = 60_000;
/// Stockholm's old town.
const HOME: (i32, i32) = (593_250_000, 180_700_000);
/// Some kilometre north of it.
const AWAY: (i32, i32) = (593_350_000, 180_700_000);

type Alarm<'g> = GpsAlarm<Port<'g>, Wire, Feed<'g>>;

struct World {
    gnss: Gnss,
    button: Wire,
    moves: Wire,
}

impl World {
    fn new() -> Self {
        let world = World { gnss: Gnss::new("GN"), button: Wire::new(false), moves: Wire::new(false) };
        world.at(HOME);
        world
    }

    fn at(&self, (lat_e7, lon_e7): (i32, i32)) {
        self.gnss.sky(Some(Sky { lat_e7, lon_e7, hdop_centi: 110, speed_milli_kn: 2_500 }));
    }

    fn alarm(&self) -> Alarm<'_> {
        let pins = TrackerPins {
            button: Input::new(self.button.clone(), Active::High),
            moves: self.moves.clone(),
            receiver: self.gnss.feed(),
        };
        GpsAlarm::new(self.gnss.port(), pins)
    }

    fn bench(&self) -> Bench<Alarm<'_>> {
        let mut bench = Bench::new(self.alarm(), None);
        bench.step_ms = STEP_MS;
        bench
    }

    fn fenced(&self) -> Bench<Alarm<'_>> {
        let fence = Fence { lat_e7: HOME.0, lon_e7: HOME.1, radius_m: 300 };
        let mut memory = Memory::default();
        memory.write(FENCE_KEY, &fence.to_bytes()).expect("memory");
        let mut bench = Bench::boot(memory, self.alarm(), None);
        bench.step_ms = STEP_MS;
        bench
    }

    fn pass(&self, bench: &mut Bench<Alarm<'_>>, ms: u64) {
        for _ in 0..ms / STEP_MS {
            bench.device.pass(bench.now);
            bench.now.uptime_ms += STEP_MS;
            self.gnss.pass(STEP_MS);
        }
        bench.run(0);
    }

    fn press(&self, bench: &mut Bench<Alarm<'_>>) {
        bench.step_ms = 10;
        self.button.set(true);
        bench.run(30);
        self.button.set(false);
        bench.run(70);
        bench.step_ms = STEP_MS;
    }
}

fn settings(position_interval_s: u32) -> Command {
    Command::Settings {
        heartbeat_interval_s: Some(86_400),
        position_interval_s: Some(position_interval_s),
        volume_percent: None,
        language: None,
    }
}

fn names(events: &[Event]) -> Vec<&str> {
    events.iter().map(Event::name).collect()
}

fn places(events: &[Event]) -> Vec<(i32, i32, u32)> {
    let place = |event: &Event| match event {
        Event::Position { lat_e7, lon_e7, fix_age_s, .. } => Some((*lat_e7, *lon_e7, fix_age_s.expect("with its age"))),
        _ => None,
    };
    events.iter().filter_map(place).collect()
}

/// To a ten-thousandth of a minute, as the receiver writes it.
fn is_at((lat_e7, lon_e7, _): (i32, i32, u32), place: (i32, i32)) -> bool {
    lat_e7.abs_diff(place.0) < 20 && lon_e7.abs_diff(place.1) < 20
}

fn fault(active: bool) -> Event {
    Event::Fault { part: "gnss".into(), active }
}

fn done(id: u64, outcome: Outcome) -> Event {
    Event::Done { id, outcome }
}

#[test]
fn a_press_is_told_at_once_and_positions_follow_for_a_while() {
    let world = World::new();
    let mut bench = world.bench();
    world.pass(&mut bench, MINUTE_MS);
    assert_eq!(bench.events(), []);
    world.press(&mut bench);
    assert_eq!(bench.events(), [Event::Button { press: Press::Short }], "it waits for no fix");
    world.pass(&mut bench, FIRST_FIX_MS + 5_000);
    let told = bench.events();
    assert_eq!(names(&told), ["position"]);
    assert!(
        is_at(places(&told)[0], HOME) && matches!(told[0], Event::Position { accuracy_m: Some(6), .. }),
        "{told:?}"
    );
    assert!(matches!(told[0], Event::Position { speed_cm_s: Some(128), .. }), "2.5 knots: {told:?}");
    assert!(!world.gnss.is_on());
    world.pass(&mut bench, ALARM_TRACK_MS + 5 * MINUTE_MS);
    let told = bench.events();
    let most = ALARM_TRACK_MS / ALARM_INTERVAL_MS;
    assert!((15..=most as usize).contains(&told.len()), "{} positions", told.len());
    world.pass(&mut bench, 60 * MINUTE_MS);
    assert_eq!(bench.events(), [], "and then no more");
    world.press(&mut bench);
    let told = bench.events();
    assert_eq!(names(&told), ["button", "position"], "the last one goes along");
    assert!(places(&told)[0].2 > 3_600, "with its age");
}

#[test]
fn a_button_that_bounces_is_held_or_stuck_calls_once() {
    let world = World::new();
    let mut bench = world.bench();
    bench.step_ms = 1;
    for _ in 0..5 {
        world.button.set(!world.button.get());
        bench.run(3);
    }
    bench.run(100);
    assert_eq!(bench.events(), [Event::Button { press: Press::Short }]);
    bench.run(4_000);
    assert_eq!(bench.events(), [Event::Button { press: Press::Long }], "a hold adds");
    world.pass(&mut bench, 6 * MINUTE_MS);
    let told = bench.events();
    assert!(told.contains(&Event::Fault { part: "button".into(), active: true }), "{told:?}");
    assert!(!names(&told).contains(&"button"), "{told:?}");
}

#[test]
fn locate_is_answered_by_a_fix_the_last_one_or_honestly_not() {
    let world = World::new();
    world.gnss.sky(None);
    let mut bench = world.bench();
    let id = bench.command(Command::Locate {}, 0);
    world.pass(&mut bench, LOOK_MS_MAX + 1_000);
    assert_eq!(bench.events(), [done(id, Outcome::Failed)], "never a fix since the boot");
    world.at(HOME);
    let id = bench.command(Command::Locate {}, 0);
    world.pass(&mut bench, FIRST_FIX_MS + 5_000);
    let told = bench.events();
    assert_eq!((names(&told), &told[1]), (vec!["position", "done"], &done(id, Outcome::Done)));
    let again = bench.command(Command::Locate {}, 0);
    assert_eq!(names(&bench.events()), ["position", "done"], "a fresh one answers at once");
    world.gnss.sky(None);
    world.pass(&mut bench, 10 * MINUTE_MS);
    let ids = [0; 5].map(|_| bench.command(Command::Locate {}, 0));
    assert!(again < ids[0]);
    world.pass(&mut bench, LOOK_MS_MAX + 1_000);
    let told = bench.events();
    assert_eq!(told[0], done(ids[4], Outcome::Failed), "more than four at once");
    assert_eq!(names(&told)[1..], ["position", "done", "done", "done", "done"]);
    assert!(places(&told)[0].2 >= 690, "the last one with its age: {told:?}");
}

#[test]
fn an_interval_is_told_where_the_settings_allow_it_and_over_a_boot() {
    let world = World::new();
    let mut bench = world.bench();
    bench.command(settings(600), 0);
    bench.events();
    world.pass(&mut bench, 60 * MINUTE_MS);
    let told = bench.events();
    assert!((5..=6).contains(&told.len()), "{}", told.len());
    let mut bench = bench.cut(world.alarm());
    world.pass(&mut bench, 30 * MINUTE_MS);
    assert!(!bench.events().is_empty());
    bench.command(settings(0), 0);
    bench.events();
    world.pass(&mut bench, 60 * MINUTE_MS);
    assert_eq!(bench.events(), []);
}

#[test]
fn the_fence_tells_leaving_and_coming_back_and_nothing_else() {
    let world = World::new();
    let mut bench = world.fenced();
    world.moves.set(true);
    world.pass(&mut bench, 30 * MINUTE_MS);
    assert_eq!(bench.events(), []);
    for place in [AWAY, HOME] {
        world.at(place);
        let mut told = Vec::new();
        for _ in 0..30 {
            world.pass(&mut bench, MINUTE_MS);
            told.extend(bench.events());
        }
        assert!(names(&told) == ["position"] && is_at(places(&told)[0], place), "{told:?}");
        assert_eq!(bench.device.panel.sounds, [], "the gateway hears it");
    }
}

#[test]
fn a_crossing_that_nobody_hears_of_is_shown_to_the_wearer() {
    let world = World::new();
    let mut bench = world.fenced();
    world.moves.set(true);
    world.pass(&mut bench, 10 * MINUTE_MS);
    bench.events();
    world.at(AWAY);
    // Nothing is taken: no connection.
    world.pass(&mut bench, 20 * MINUTE_MS);
    assert!(
        bench.device.panel.sounds.len() >= 2 && bench.device.panel.sounds.iter().all(|sound| *sound == Sound::Warn)
    );
    assert_eq!(names(&bench.events()), ["position"], "it raises nothing of its own");
    let shown = bench.device.panel.sounds.len();
    world.pass(&mut bench, 30 * MINUTE_MS);
    assert_eq!(bench.device.panel.sounds.len(), shown);
}

#[test]
fn a_receiver_that_says_nothing_or_rubbish_is_a_fault_once() {
    for line in [Line::Silent, Line::Torn, Line::Flipped] {
        let world = World::new();
        world.gnss.line(line);
        let mut bench = world.fenced();
        world.pass(&mut bench, 45 * MINUTE_MS);
        assert_eq!(bench.events(), [fault(true)], "{line:?}");
        let id = bench.command(Command::Locate {}, 0);
        world.pass(&mut bench, LOOK_MS_MAX);
        assert_eq!(bench.events(), [done(id, Outcome::Failed)]);
        world.gnss.line(Line::Good);
        world.pass(&mut bench, 60 * MINUTE_MS);
        assert_eq!(bench.events(), [fault(false)], "{line:?}");
    }
}

#[test]
fn no_fix_is_a_fault_only_for_one_who_walks_about_for_long() {
    let world = World::new();
    world.gnss.sky(None);
    let mut bench = world.fenced();
    world.pass(&mut bench, 6 * 60 * MINUTE_MS);
    assert_eq!(bench.events(), [], "in a chair indoors");
    world.moves.set(true);
    world.pass(&mut bench, 3 * NO_FIX_MS);
    assert_eq!(bench.events(), [fault(true)]);
}

#[test]
fn the_receiver_rests_with_battery_and_wearer() {
    let on_share = |moves: bool, battery: Option<u8>| {
        let world = World::new();
        world.moves.set(moves);
        let mut bench = world.fenced();
        bench.device.role.battery_percent = battery;
        world.pass(&mut bench, 2 * 60 * MINUTE_MS);
        world.gnss.on_ms() * 1_000 / (2 * 60 * MINUTE_MS)
    };
    let shares =
        [(true, None), (true, Some(30)), (true, Some(15)), (false, Some(80)), (false, Some(15)), (true, Some(5))]
            .map(|(moves, battery)| on_share(moves, battery));
    println!("the receiver is on, thousandths of the time: {shares:?}");
    assert!(shares.is_sorted_by(|a, b| a >= b), "{shares:?}");
    assert_eq!(shares[5], 0, "what is left is for the button");
    assert!(shares[4] < 20 && shares[0] < 400, "{shares:?}");
    assert_eq!(look_interval_ms(Some(9), true), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_position_leaves_of_its_own_accord(
        moves in prop::collection::vec((0u8..7, 1u64..10), 1..16), is_fenced: bool,
    ) {
        let world = World::new();
        let mut bench = if is_fenced { world.fenced() } else { world.bench() };
        for (what, minutes) in moves {
            match what {
                // Inside the fence however it goes about.
                0 => world.at((HOME.0 + 10_000, HOME.1 - 10_000)),
                1 => world.at(HOME),
                2 => world.gnss.sky(None),
                3 => world.moves.set(!world.moves.get()),
                4 => world.gnss.line(Line::Torn),
                5 => world.gnss.line(Line::Good),
                _ if !is_fenced => world.at(AWAY),
                _ => bench = { let mut next = bench.cut(world.alarm()); next.step_ms = STEP_MS; next },
            }
            world.pass(&mut bench, minutes * MINUTE_MS);
            let told = bench.events();
            prop_assert_eq!(places(&told), vec![]);
        }
        prop_assert!(is_fenced || world.gnss.on_ms() == 0, "and nobody looks where nobody asks");
    }

    #[test]
    fn rubbish_on_the_line_is_no_position(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let mut lines = Lines::new();
        prop_assert!(bytes.iter().all(|byte| !matches!(lines.push(*byte), Some(Sentence::Gga(_)))));
    }
}

fn sentence(body: &str) -> String {
    format!("{body}*{:02X}", body.bytes().fold(0, |sum, byte| sum ^ byte))
}

fn gga(line: &str) -> Option<Gga> {
    match parse(line.as_bytes())? {
        Sentence::Gga(gga) => Some(gga),
        _ => None,
    }
}

#[test]
fn sentences_as_receivers_write_them() {
    let known = gga("GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47").expect("whole");
    assert_eq!(known.place_e7, Some((481_173_000, 115_166_667)));
    assert_eq!((known.quality, known.hdop_centi, known.time_ms), (1, Some(90), Some(45_319_000)));
    let south = gga(&sentence("GNGGA,000000.50,3351.1234,S,07032.5,W,2,12,1.25,,M,,M,,0000")).expect("whole");
    assert_eq!(south.place_e7, Some((-338_520_567, -705_416_667)));
    assert_eq!((south.hdop_centi, south.time_ms), (Some(125), Some(500)));
    let none = gga(&sentence("GPGGA,,,,,,0,00,99.99,,,,,,")).expect("whole");
    assert_eq!((none.place_e7, none.quality), (None, 0));
    let small = sentence("GNGGA,171647.25,2008.23398,S,01033.96178,E,2,09,10.00,10.0,M,20.0,M,,");
    assert_ne!(small, small.to_lowercase());
    let (body, sum) = small.split_at(small.len() - 2);
    assert_eq!(gga(&format!("{body}{}", sum.to_lowercase())), gga(&small), "some receivers write the sum so");
    let rmc = parse(sentence("GPRMC,225446.33,A,4916.45,N,12311.12,W,010.0,054.7,191194,020.3,E,A").as_bytes());
    assert!(matches!(rmc, Some(Sentence::Rmc(rmc)) if rmc.is_valid && rmc.speed_cm_s == Some(514)), "{rmc:?}");
    for wrong in [
        "GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*48",
        &sentence("GPGGA,123519,4867.038,N,01131.324,E,1,08,0.9,545.4,M,46.9,M,,"),
        &sentence("GPGGA,123519,9107.038,N,01131.324,E,1,08,0.9,545.4,M,46.9,M,,"),
        &sentence("GPGGA,123519,4807.038,,01131.324,E,1,08,0.9,545.4,M,46.9,M,,"),
        &sentence("GPGGA,123519,4807.038,N,01131.324,E,x,08,0.9,545.4,M,46.9,M,,"),
        &sentence("GPGGA,253519,4807.038,N,01131.324,E,1,08,0.9,545.4,M,46.9,M,,"),
        &sentence("GPGGA,123519,4807.038,N,01131.324,E,1,08,0.9"),
        "",
        "*00",
        "GPGGA*4",
    ] {
        assert_eq!(gga(wrong), None, "{wrong}");
    }
}

#[test]
fn a_fence_is_a_circle_everywhere() {
    let fix = |lat_e7, lon_e7| Fix { lat_e7, lon_e7, accuracy_m: 5, speed_cm_s: None, uptime_ms: 0 };
    // Metres east for a degree of longitude at that latitude.
    for (lat, degree_m) in [(0, 111_195.0), (593_250_000, 56_720.0), (-690_000_000, 39_849.0)] {
        for lon in [0, 180_700_000, 1_799_999_000, -1_799_999_000] {
            let fence = Fence { lat_e7: lat, lon_e7: lon, radius_m: 1_000 };
            for (metres, side) in [(950.0, Some(false)), (1_010.0, None), (1_060.0, Some(true))] {
                let east = (metres / degree_m * 1e7) as i64 + i64::from(lon);
                let east = if east > 1_800_000_000 { east - 3_600_000_000 } else { east };
                assert_eq!(fence.side_of(&fix(lat, east as i32)), side, "{lat} {lon} {metres}");
                let north = lat + (metres / 111_195.0 * 1e7) as i32;
                assert_eq!(fence.side_of(&fix(north, lon)), side, "{lat} {lon} {metres} north");
            }
            assert_eq!(fence.side_of(&fix(-lat, lon.wrapping_sub(900_000_000))), Some(true), "across the world");
        }
    }
    assert_eq!(
        Fence::from_bytes(&Fence { lat_e7: -1, lon_e7: 2, radius_m: 3 }.to_bytes()).map(|f| f.radius_m),
        Some(3)
    );
    assert_eq!(Fence::from_bytes(&[2; 13]), None);
}

proptest! {
    /// The crate `nmea` is the judge.
    #[test]
    fn as_the_judge_reads(
        lat in 0u32..90, lat_min in 0u32..6_000_000, lon in 0u32..180, lon_min in 0u32..6_000_000,
        south: bool, west: bool, quality in 0u8..=8, hdop in 1u32..5_000, talker in "(GP|GN|GL|GA)", second in 0u32..86_400,
    ) {
        let body = format!(
            "{talker}GGA,{:02}{:02}{:02}.25,{lat:02}{:02}.{:05},{},{lon:03}{:02}.{:05},{},{quality},09,{}.{:02},10.0,M,20.0,M,,",
            second / 3_600, second / 60 % 60, second % 60,
            lat_min / 100_000, lat_min % 100_000, if south { 'S' } else { 'N' },
            lon_min / 100_000, lon_min % 100_000, if west { 'W' } else { 'E' }, hdop / 100, hdop % 100,
        );
        let line = sentence(&body);
        let ours = gga(&line).expect("whole");
        let whole = format!("${line}");
        let judged = nmea::parse_str(&whole).expect("the judge reads it");
        let nmea::ParseResult::GGA(judged) = judged else { panic!("another sentence") };
        let (lat_e7, lon_e7) = ours.place_e7.expect("a place");
        prop_assert!((f64::from(lat_e7) / 1e7 - judged.latitude.expect("a latitude")).abs() < 1e-7);
        prop_assert!((f64::from(lon_e7) / 1e7 - judged.longitude.expect("a longitude")).abs() < 1e-7);
        prop_assert!((ours.hdop_centi.expect("told") as f32 / 100.0 - judged.hdop.expect("told")).abs() < 0.01);
        // One byte disturbed: another sentence, or none; a sum in small letters is the same sum.
        let mut disturbed = line.clone().into_bytes();
        let place = second as usize % disturbed.len();
        disturbed[place] ^= 1 << (second % 7);
        let is_same_sum = place >= line.len() - 2 && disturbed.eq_ignore_ascii_case(line.as_bytes());
        let read = parse(&disturbed).filter(|read| matches!(read, Sentence::Gga(_)));
        prop_assert_eq!(read, is_same_sum.then_some(Sentence::Gga(ours)));
    }
}
