use proptest::prelude::*;
use vaka_protocol::StartCause;

use super::*;

const DEVICES: [&str; 2] = ["p1", "p2"];

fn id(name: &str) -> DeviceId {
    DeviceId::try_from(name).unwrap()
}

fn step(step: FirmwareStep) -> Firmware {
    Firmware { step, by: "ture".into() }
}

fn asked(device: &str, version: &str) -> Firmware {
    step(FirmwareStep::Asked {
        device: id(device),
        version: version.into(),
        url: "http://10.0.0.1:8081/00112233445566778899aabbccddeeff".into(),
        size_bytes: 1_000,
        sha256: "ab".repeat(32),
        expires_at: 1,
    })
}

/// Command ids are the records' numbers here.
fn see(fleet: &mut Fleet, device: &str, event: &Event) {
    fleet.see(&id(device), event, |id| id, 5);
}

fn started(version: &str) -> Event {
    Event::Started { cause: StartCause::Update, version: version.into() }
}

#[test]
fn an_attempt_goes_from_asked_to_confirmed_by_what_the_device_says() {
    let mut fleet = Fleet::default();
    let stage = |fleet: &Fleet| fleet.attempt(&id("p1")).map(|attempt| attempt.stage);
    see(&mut fleet, "p1", &started("1.0.0"));
    assert_eq!((fleet.version(&id("p1")), stage(&fleet)), (Some("1.0.0"), None));
    fleet.apply(7, &asked("p1", "1.1.0"), 1);
    assert_eq!(fleet.under_way().map(|(device, _)| device.clone()), Some(id("p1")));
    assert_eq!(fleet.attempt(&id("p1")).unwrap().path, "00112233445566778899aabbccddeeff");
    fleet.apply(8, &step(FirmwareStep::Fetched { device: id("p1"), bytes: 400 }), 2);
    assert_eq!(stage(&fleet), Some(Stage::Fetching));
    // A power cut on the way: the old one starts again.
    see(&mut fleet, "p1", &started("1.0.0"));
    assert_eq!(stage(&fleet), Some(Stage::Fetching));
    let bytes = |fleet: &Fleet| fleet.attempt(&id("p1")).map(|attempt| attempt.fetched_bytes);
    fleet.apply(9, &step(FirmwareStep::Fetched { device: id("p1"), bytes: 200 }), 3);
    assert_eq!(bytes(&fleet), Some(200), "the cut cost it some");
    fleet.apply(9, &step(FirmwareStep::Fetched { device: id("p1"), bytes: 1_000 }), 3);
    assert_eq!(stage(&fleet), Some(Stage::Fetching), "it has all, and was not told that it may restart");
    fleet.apply(10, &step(FirmwareStep::Restarts { device: id("p1") }), 4);
    assert_eq!((stage(&fleet), bytes(&fleet)), (Some(Stage::Restarting), Some(1_000)));
    assert_eq!(fleet.attempt(&id("p1")).map(|attempt| attempt.heard_at), Some(4));
    fleet.apply(11, &step(FirmwareStep::Fetched { device: id("p1"), bytes: 1_000 }), 5);
    assert_eq!(stage(&fleet), Some(Stage::Fetching), "somebody called before it did: it asked again");
    fleet.apply(12, &step(FirmwareStep::Restarts { device: id("p1") }), 6);
    see(&mut fleet, "p1", &started("1.1.0"));
    assert_eq!(stage(&fleet), Some(Stage::Trial), "it has still to keep itself");
    fleet.apply(13, &step(FirmwareStep::Restarts { device: id("p1") }), 6);
    fleet.apply(14, &step(FirmwareStep::Fetched { device: id("p1"), bytes: 7 }), 6);
    assert_eq!(stage(&fleet), Some(Stage::Trial), "what comes late changes nothing");
    see(&mut fleet, "p1", &Event::Done { id: 6, outcome: Outcome::Done });
    see(&mut fleet, "p2", &Event::Done { id: 7, outcome: Outcome::Done });
    assert_eq!(stage(&fleet), Some(Stage::Trial), "another's answer");
    see(&mut fleet, "p1", &Event::Done { id: 7, outcome: Outcome::Done });
    assert_eq!((stage(&fleet), fleet.under_way()), (Some(Stage::Confirmed), None));
}

#[test]
fn what_is_said_of_another_attempt_changes_nothing_and_what_comes_late_is_true_all_the_same() {
    let mut fleet = Fleet::default();
    let stage = |fleet: &Fleet| fleet.attempt(&id("p1")).map(|attempt| attempt.stage);
    fleet.apply(7, &asked("p1", "1.1.0"), 1);
    see(&mut fleet, "p1", &started("1.0.9"));
    assert_eq!(stage(&fleet), Some(Stage::Asked), "another version");
    fleet.apply(8, &step(FirmwareStep::Silent { device: id("p1"), why: "w".into() }), 2);
    assert_eq!((stage(&fleet), fleet.under_way()), (Some(Stage::Silent), None));
    fleet.apply(9, &step(FirmwareStep::Fetched { device: id("p1"), bytes: 10 }), 3);
    fleet.apply(9, &step(FirmwareStep::Restarts { device: id("p1") }), 3);
    see(&mut fleet, "p1", &started("1.1.0"));
    assert_eq!(stage(&fleet), Some(Stage::Silent), "it was given up");
    see(&mut fleet, "p1", &Event::Done { id: 7, outcome: Outcome::Done });
    assert_eq!(stage(&fleet), Some(Stage::Confirmed), "late, and true");
    see(&mut fleet, "p1", &Event::Done { id: 7, outcome: Outcome::Failed });
    assert_eq!(stage(&fleet), Some(Stage::Confirmed), "what was confirmed stays so");
}

#[test]
fn why_it_came_to_nothing_is_kept_and_who_looked_is_known() {
    let mut fleet = Fleet::default();
    fleet.apply(7, &asked("p1", "1.1.0"), 1);
    see(&mut fleet, "p1", &Event::Fault { part: "update: signature".into(), active: true });
    see(&mut fleet, "p1", &Event::Done { id: 7, outcome: Outcome::Refused });
    let attempt = fleet.attempt(&id("p1")).unwrap();
    assert_eq!((attempt.stage, attempt.why.as_str(), attempt.looked), (Stage::Failed, "refused: signature", false));
    let mut other = fleet.clone();
    other.apply(8, &step(FirmwareStep::Wanted { device: id("p1") }), 2);
    assert!(other.attempt(&id("p1")).unwrap().looked, "whoever wants it again has looked");
    fleet.apply(8, &step(FirmwareStep::Stopped {}), 2);
    assert_eq!(fleet.stopped(), Some("ture"));
    fleet.apply(9, &step(FirmwareStep::Resumed {}), 2);
    assert!(fleet.stopped().is_none() && fleet.attempt(&id("p1")).unwrap().looked);
    fleet.apply(10, &step(FirmwareStep::Someone { device: id("p1"), until: 100 }), 2);
    assert!(fleet.has_someone(&id("p1"), 99) && !fleet.has_someone(&id("p1"), 100));
    fleet.apply(11, &step(FirmwareStep::Wanted { device: id("p1") }), 2);
    assert!(fleet.is_wanted(&id("p1")));
    fleet.apply(11, &step(FirmwareStep::Stopped {}), 2);
    assert!(!fleet.is_wanted(&id("p1")), "who stops it stops that too");
    fleet.apply(11, &step(FirmwareStep::Resumed {}), 2);
    fleet.apply(11, &step(FirmwareStep::Wanted { device: id("p1") }), 2);
    fleet.apply(12, &asked("p1", "1.1.0"), 3);
    assert!(!fleet.is_wanted(&id("p1")), "once, not for ever");
    let by_hand = |fleet: &Fleet| fleet.attempt(&id("p1")).is_some_and(|attempt| attempt.by_hand);
    assert!(by_hand(&fleet), "and it is known as a person's");
    fleet.apply(13, &asked("p1", "1.2.0"), 3);
    assert!(!by_hand(&fleet));
    fleet.apply(14, &step(FirmwareStep::Wanted { device: id("p1") }), 3);
    assert!(by_hand(&fleet) && !fleet.is_wanted(&id("p1")), "of what is under way it is another word, not another try");
    fleet.forget(&id("p1"));
    assert_eq!((fleet.attempt(&id("p1")), fleet.has_someone(&id("p1"), 0)), (None, false));
}

fn any_step() -> impl Strategy<Value = (usize, u8)> {
    (0..DEVICES.len(), 0_u8..9)
}

fn take(fleet: &mut Fleet, number: u64, (device, what): (usize, u8)) {
    let device = DEVICES[device];
    match what {
        0 => fleet.apply(number, &asked(device, "1.1.0"), 1),
        1 => fleet.apply(number, &step(FirmwareStep::Fetched { device: id(device), bytes: 10 }), 1),
        2 => fleet.apply(number, &step(FirmwareStep::Restarts { device: id(device) }), 1),
        3 => fleet.apply(number, &step(FirmwareStep::Silent { device: id(device), why: "w".into() }), 1),
        4 => fleet.apply(number, &step(FirmwareStep::Wanted { device: id(device) }), 1),
        5 => fleet.apply(number, &step(FirmwareStep::Resumed {}), 1),
        6 => see(fleet, device, &started("1.1.0")),
        7 => see(fleet, device, &Event::Done { id: number / 2, outcome: Outcome::Done }),
        _ => see(fleet, device, &Event::Done { id: number / 2, outcome: Outcome::Failed }),
    }
}

proptest! {
    /// A restart at any point, from the fold that was saved, comes to the same.
    #[test]
    fn a_restart_anywhere_comes_to_the_same(steps in proptest::collection::vec(any_step(), 1..30), cut in 0_usize..30) {
        let (mut whole, mut cut_off) = (Fleet::default(), Fleet::default());
        for (number, given) in steps.iter().enumerate() {
            if number == cut {
                let saved = minicbor_serde::to_vec(&cut_off).unwrap();
                cut_off = minicbor_serde::from_slice(&saved).unwrap();
            }
            take(&mut whole, number as u64, *given);
            take(&mut cut_off, number as u64, *given);
        }
        prop_assert_eq!(whole, cut_off);
    }
}
