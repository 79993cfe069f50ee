//! Paths that are lost and back: what people are told of them, and the home itself.

use vaka_protocol::{Command, CommandMessage};

use super::super::view;
use super::*;
use crate::rules::DeviceFacts;

pub(super) const FIBRE: &str = "fibre sips:arc.example";
pub(super) const MOBILE: &str = "mobile sips:arc.example";

/// A home with a lamp that speaks, whose receivers of life alarms have these paths.
pub(super) fn home_with_lamp(life_paths: &[(&str, &[&str])]) -> Home {
    let lamp = DeviceFacts { dty: 48, fixed: false, speaks: true, home: false };
    let of = |(name, labels): &(&str, &[&str])| ((*name).to_owned(), labels.iter().map(ToString::to_string).collect());
    Home {
        devices: [(device("lamp"), lamp)].into(),
        life_paths: life_paths.iter().map(of).collect(),
        ..Home::default()
    }
}

/// What the lamp is told to say and has not said yet.
fn said(bench: &mut Bench) -> Vec<String> {
    let now = crate::clock::Clock::now(bench.clock.as_ref()).wall_ms;
    let lamp = device("lamp");
    let owed = bench.keeper().state().commands.owed(&lamp, now);
    let text = |message: &CommandMessage| match &message.command {
        Command::Feedback { text: Some(text), .. } => Some(text.to_string()),
        _ => None,
    };
    owed.filter_map(text).collect()
}

#[test]
fn each_path_of_a_receiver_is_an_alarm_of_its_own_and_its_return_says_how_long_it_was_away() {
    let mut bench = Bench::new();
    bench.path("arc", FIBRE, true);
    bench.path("arc", MOBILE, true);
    assert!(bench.rows().is_empty(), "judged for the first time, and well");
    bench.path("arc", FIBRE, false);
    bench.clock.advance(60_000);
    bench.path("arc", MOBILE, false);
    let causes = |bench: &mut Bench| -> Vec<String> { bench.rows().into_iter().map(|row| row.cause).collect() };
    assert_eq!(causes(&mut bench), ["path mobile", "path fibre"]);
    // A restart judges anew what it knows: the outage is still the same one.
    bench.kill_and_start();
    bench.path("arc", FIBRE, false);
    bench.clock.advance(11 * 60_000);
    bench.path("arc", FIBRE, true);
    let told = |bench: &mut Bench, cause: &str| -> Vec<(u16, String)> {
        let id = bench.rows().into_iter().find(|row| row.cause == cause).expect("an alarm").id;
        let alarm = bench.keeper().state().alarms.get(&id).expect("known").clone();
        let all = alarm.notices.iter();
        all.map(|notice| {
            let said = view::notice(&alarm, notice, &Labels::default());
            (said.stc, said.text)
        })
        .collect()
    };
    let lost = (23, "Avbrott på fibre till arc.".to_owned());
    let back = (112, "fibre åter efter 12 minuter: arc nås igen.".to_owned());
    assert_eq!(told(&mut bench, "path fibre"), [lost, back]);
    assert_eq!(told(&mut bench, "path mobile").len(), 1, "still lost");
    let paths = &bench.keeper().state().reach;
    assert!(
        paths.get("arc", FIBRE).is_some_and(|path| path.up) && paths.get("arc", MOBILE).is_some_and(|path| !path.up)
    );
    let (disk, memory) = bench.disk_and_memory();
    assert_eq!(disk, memory);
}

#[test]
fn the_home_hears_when_a_receiver_of_life_alarms_is_lost_over_all_its_paths_and_when_it_is_back() {
    let mut bench = Bench::new();
    bench.home = home_with_lamp(&[("arc", &[FIBRE, MOBILE])]);
    bench.kill_and_start();
    bench.path("arc", FIBRE, true);
    bench.path("arc", MOBILE, true);
    bench.path("arc", FIBRE, false);
    assert!(said(&mut bench).is_empty(), "the second path carries on");
    bench.path("arc", MOBILE, false);
    assert_eq!(said(&mut bench).len(), 1);
    assert!(said(&mut bench)[0].contains("når ingen just nu"), "{:?}", said(&mut bench));
    // Judged anew after a restart: the same loss, told once.
    bench.kill_and_start();
    bench.path("arc", FIBRE, false);
    bench.path("arc", MOBILE, false);
    assert_eq!(said(&mut bench).len(), 1);
    bench.path("arc", MOBILE, true);
    assert_eq!(said(&mut bench).pop().as_deref(), Some("Förbindelsen med arc är tillbaka."));
    bench.path("arc", FIBRE, true);
    assert_eq!(said(&mut bench).len(), 2, "it was back already");
    bench.path("arc", FIBRE, false);
    bench.path("arc", MOBILE, false);
    assert_eq!(said(&mut bench).len(), 3, "each loss anew");
}

#[test]
fn a_lost_receiver_is_told_by_what_it_means_and_others_than_those_of_life_alarms_are_not() {
    let mut bench = Bench::new();
    bench.home = home_with_lamp(&[("arc", &[FIBRE]), ("hub", &["mqtts:hub.example"])]);
    bench.kill_and_start();
    bench.path("archive", "sips:archive.example", false);
    // Of a path that stands no more in the config.
    bench.path("arc", "satellite sips:arc.example", false);
    assert!(said(&mut bench).is_empty());
    bench.path("arc", FIBRE, false);
    assert_eq!(said(&mut bench), ["arc nås inte just nu. Larm går till nästa mottagare."]);
    bench.path("hub", "mqtts:hub.example", false);
    assert!(said(&mut bench)[1].contains("når ingen just nu"));
}
