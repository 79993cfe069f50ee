use jiff::Timestamp;
use proptest::prelude::*;

use super::super::state::{Attempt, Stage};
use super::*;
use crate::config::DeviceKind as K;

fn image(version: &str) -> Image {
    Image {
        kind: "pendant".into(),
        board: "b".into(),
        version: version.parse().unwrap(),
        file: "f".into(),
        size: 10_000,
        sha256: "ab".repeat(32),
        rings: Vec::new(),
    }
}

fn attempt(version: &str, stage: Stage) -> Attempt {
    Attempt {
        record: 1,
        version: version.into(),
        sha256: String::new(),
        size_bytes: 10_000,
        path: String::new(),
        stage,
        asked_at: 0,
        heard_at: 0,
        fetched_bytes: 0,
        why: "signature".into(),
        looked: false,
        by_hand: false,
    }
}

fn id(name: &str) -> DeviceId {
    DeviceId::try_from(name).unwrap()
}

/// A pendant of r1's that may be updated.
fn pendant<'a>(id: &'a DeviceId, image: &'a Image) -> Device<'a> {
    Device {
        id,
        kind: K::Pendant,
        resident: Some("r1"),
        version: Some("1.0.0"),
        is_alive: true,
        is_behind: false,
        battery_percent: Some(90),
        is_low: false,
        has_someone: false,
        is_wanted: false,
        has_care_alarm: false,
        attempt: None,
        offered: Ok(Offered { image, has_come: Ok(()), is_here: true }),
    }
}

fn home(devices: Vec<Device<'_>>) -> View<'_> {
    View { devices, stopped: None, quiet: Ok(()), quiet_by_hand: Ok(()), is_shared: true }
}

#[test]
fn one_of_two_may_and_an_only_one_waits_until_somebody_is_there() {
    let (image, p1, cord) = (image("1.1.0"), id("p1"), id("cord"));
    let one = pendant(&p1, &image);
    let alone = |other: Option<Device<'_>>, one: &Device<'_>| {
        let view = home([Some(one.clone()), other].into_iter().flatten().collect());
        judge(&view, one).err()
    };
    let only = Some(Why::OnlyOne("r1".into(), p1.clone()));
    assert_eq!(alone(None, &one), only);
    assert_eq!(alone(None, &Device { has_someone: true, ..one.clone() }), None);
    let wall = Device { kind: K::FixedTrigger, ..pendant(&cord, &image) };
    assert_eq!(alone(Some(wall.clone()), &one), None);
    for unfit in [
        Device { is_alive: false, ..wall.clone() },
        Device { is_low: true, ..wall.clone() },
        Device { battery_percent: Some(FIRMWARE_BATTERY_MIN_PERCENT - 1), ..wall.clone() },
        Device { resident: Some("r2"), ..wall.clone() },
        Device { kind: K::SmokeDetector, ..wall.clone() },
        Device { kind: K::BedSensor, ..wall.clone() },
    ] {
        assert_eq!(alone(Some(unfit.clone()), &one), only, "{unfit:?}");
    }
    // Nobody's cord is everybody's in a home, and not in a service house.
    let nobodys = Device { resident: None, ..wall };
    assert_eq!(alone(Some(nobodys.clone()), &one), None);
    let house = View { is_shared: false, ..home(vec![one.clone(), nobodys]) };
    assert_eq!(judge(&house, &one).err(), only);
    // A detector is stood in for by its like alone; a lock by nobody, and needs nobody.
    assert!(alone(None, &Device { kind: K::SmokeDetector, ..one.clone() }).is_some());
    assert_eq!(alone(None, &Device { kind: K::Lock, ..one.clone() }), None);
}

#[test]
fn what_is_in_the_way_is_said_by_its_name() {
    let (newer, p1, p2) = (image("1.1.0"), id("p1"), id("p2"));
    let (one, two) = (pendant(&p1, &newer), pendant(&p2, &newer));
    let judged = |one: Device<'_>, change: &dyn Fn(&mut View<'_>)| {
        let mut view = home(vec![one.clone(), two.clone()]);
        change(&mut view);
        judge(&view, &one).map(|image| image.version).map_err(|why| why.to_string())
    };
    let free: &dyn Fn(&mut View<'_>) = &|_| {};
    assert_eq!(judged(one.clone(), free), Ok(Version(1, 1, 0)));
    let refused = attempt("1.1.0", Stage::Failed);
    let older = attempt("1.0.5", Stage::Silent);
    let later = Wait::NotBefore(Timestamp::UNIX_EPOCH);
    let come = |has_come, is_here| Ok(Offered { image: &newer, has_come, is_here });
    for (device, said) in [
        (Device { is_behind: true, ..one.clone() }, "behind a bridge"),
        (Device { version: None, ..one.clone() }, "never said which version"),
        (Device { version: Some(""), ..one.clone() }, "never said which version"),
        (Device { version: Some("factory"), ..one.clone() }, "`factory` is not three numbers"),
        (Device { version: Some("1.1.0"), ..one.clone() }, "it has the newest"),
        (Device { version: Some("2.0.0"), ..one.clone() }, "it has the newest"),
        (Device { offered: Err(NoImage::Boards(2)), ..one.clone() }, "2 boards"),
        (Device { offered: come(Err(later), true), ..one.clone() }, "it begins at"),
        (Device { offered: come(Ok(()), false), ..one.clone() }, "not here yet"),
        (Device { is_alive: false, ..one.clone() }, "not heard"),
        (Device { battery_percent: Some(10), ..one.clone() }, "battery is low"),
        (Device { has_care_alarm: true, ..one.clone() }, "care alarm"),
        (Device { attempt: Some(&refused), ..one.clone() }, "came to nothing here (signature)"),
    ] {
        let found = judged(device.clone(), free).unwrap_err();
        assert!(found.contains(said), "{said}: {found}");
    }
    // An older version's failure is not this one's, and a newer version is looking enough.
    assert!(judged(Device { attempt: Some(&older), ..one.clone() }, free).is_ok());
    assert!(judged(Device { attempt: Some(&refused), is_wanted: true, ..one.clone() }, free).is_ok());
    let stopped: &dyn Fn(&mut View<'_>) = &|view| view.stopped = Some("ture");
    assert!(judged(one.clone(), stopped).unwrap_err().contains("ture has stopped"));
    let night: &dyn Fn(&mut View<'_>) = &|view| view.quiet = Err(Wait::Night);
    assert!(judged(one.clone(), night).unwrap_err().contains("night"));
    assert!(judged(Device { is_wanted: true, ..one.clone() }, night).is_ok(), "a person knows the hour");
    let life: &dyn Fn(&mut View<'_>) = &|view| view.quiet_by_hand = Err(Wait::Life);
    assert!(judged(Device { is_wanted: true, has_someone: true, ..one.clone() }, life).unwrap_err().contains("life"));
}

#[test]
fn after_one_that_came_to_nothing_no_other_begins_until_somebody_has_looked() {
    let (newer, newest, p1, p2) = (image("1.1.0"), image("1.2.0"), id("p1"), id("p2"));
    for stage in [Stage::Failed, Stage::Silent] {
        let failed = attempt("1.1.0", stage);
        let looked = Attempt { looked: true, ..failed.clone() };
        let one = Device { attempt: Some(&failed), ..pendant(&p1, &newer) };
        let two = pendant(&p2, &newer);
        let view = home(vec![one.clone(), two.clone()]);
        assert_eq!(next(&view), None);
        assert_eq!(judge(&view, &two), Err(Why::Halted { device: p1.clone(), why: "signature".into() }));
        let view = home(vec![Device { attempt: Some(&looked), ..one.clone() }, two.clone()]);
        assert_eq!(next(&view).map(|(device, _)| device), Some(&p2), "the first is not tried again by itself");
        let offered = Ok(Offered { image: &newest, has_come: Ok(()), is_here: true });
        let view = home(vec![Device { offered, ..one }, two]);
        assert_eq!(next(&view).map(|(device, image)| (device, image.version)), Some((&p1, Version(1, 2, 0))));
    }
}

fn stage() -> impl Strategy<Value = Option<Stage>> {
    use Stage as S;
    let stages = [S::Asked, S::Fetching, S::Restarting, S::Trial, S::Confirmed, S::Failed, S::Silent];
    prop_oneof![4 => Just(None), 1 => proptest::sample::select(stages.to_vec()).prop_map(Some)]
}

proptest! {
    /// Whatever a home has in it: never two at once, never the only one of somebody alone, nothing while stopped or while help is waited for.
    #[test]
    fn never_two_never_the_only_one_never_while_somebody_waits(
        made in proptest::collection::vec(
            (0_usize..4, 0_usize..3, any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), stage(), 0_u8..100),
            1..6,
        ),
        stopped in any::<bool>(),
        life in any::<bool>(),
        is_shared in any::<bool>(),
    ) {
        let newer = image("1.1.0");
        let ids: Vec<DeviceId> = (0..made.len()).map(|n| id(&format!("d{n}"))).collect();
        let attempts: Vec<Option<Attempt>> =
            made.iter().map(|made| made.6.map(|stage| attempt("1.1.0", stage))).collect();
        let kinds = [K::Pendant, K::FixedTrigger, K::SmokeDetector, K::Lock];
        let devices: Vec<Device<'_>> = made.iter().zip(&ids).zip(&attempts).map(|((made, id), attempt)| Device {
            kind: kinds[made.0],
            resident: [None, Some("r1"), Some("r2")][made.1],
            is_alive: made.2,
            is_low: made.3,
            has_someone: made.4,
            is_wanted: made.5,
            battery_percent: Some(made.7),
            attempt: attempt.as_ref(),
            ..pendant(id, &newer)
        }).collect();
        let quiet = if life { Err(Wait::Life) } else { Ok(()) };
        let view = View {
            stopped: stopped.then_some("ture"), quiet: quiet.clone(), quiet_by_hand: quiet, is_shared, devices,
        };
        let Some((chosen, _)) = next(&view) else { return Ok(()) };
        prop_assert!(!stopped && !life);
        prop_assert!(attempts.iter().flatten().all(|attempt| !attempt.stage.is_under_way()), "two at once");
        let one = view.devices.iter().find(|device| device.id == chosen).unwrap();
        prop_assert!(one.is_alive && !one.is_low);
        let is_call = |kind| matches!(kind, K::Pendant | K::FixedTrigger);
        let another = view.devices.iter().any(|other| {
            other.id != one.id && other.is_alive && !other.is_low
                && (other.resident == one.resident || other.resident.is_none())
                && (other.kind == one.kind || is_call(other.kind) && is_call(one.kind))
        });
        prop_assert!(another || one.has_someone || one.kind == K::Lock, "the only one of {:?}", one.resident);
    }
}
