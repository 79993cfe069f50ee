//! Lock and cabinet: opened once, for somebody, for a time; never against a hand; locked when anything fails.

mod bench;

use bench::{Bench, Memory};
use embedded_hal::digital::{ErrorType, InputPin};
use proptest::prelude::*;
use vaka_device::access::{
    Cabinet, CabinetPins, Lock, LockPins, MOTOR_ON_MS_MAX, OPEN_MS, OPEN_MS_MAX, RELEASE_MS, RELOCK_MS_MAX,
};
use vaka_device::{Role, keep};
use vaka_parts::door::{Door, Input, Output, Sensor, Winding};
use vaka_protocol::{Command, Event, Label, Outcome};

const AT: i64 = 1_795_000_000_000;
const STEP_MS: u64 = 10;
/// For a hand pressed between two looks of the device.
const REACTION_MS: u64 = 2 * STEP_MS;

type DoorLock<'d> = Lock<Input<'d>, Output<'d>>;
type KeyCabinet<'d> = Cabinet<Input<'d>, Output<'d>>;

fn lock(door: &Door) -> DoorLock<'_> {
    Lock::new(LockPins {
        bolt: door.sensor(Sensor::Bolt),
        door: door.sensor(Sensor::Door),
        handle: door.sensor(Sensor::Handle),
        key: door.sensor(Sensor::Key),
        case: door.sensor(Sensor::Case),
        throw: door.winding(Winding::Throw),
        draw: door.winding(Winding::Draw),
    })
}

fn cabinet(door: &Door) -> KeyCabinet<'_> {
    Cabinet::new(CabinetPins {
        latch: door.sensor(Sensor::Bolt),
        door: door.sensor(Sensor::Door),
        key: door.sensor(Sensor::Key),
        case: door.sensor(Sensor::Case),
        release: door.winding(Winding::Draw),
    })
}

/// Device and mechanics in step.
fn pass<R: Role>(bench: &mut Bench<R>, door: &Door, ms: u64) {
    for _ in 0..ms / STEP_MS {
        bench.device.pass(bench.now);
        bench.now.uptime_ms += STEP_MS;
        bench.now.at = bench.now.at.map(|at| at + STEP_MS as i64);
        door.pass(STEP_MS);
    }
    bench.run(0);
}

fn open(bench: &Bench<impl Role>, open_ms: i64, by: &str) -> Command {
    Command::Lock { open: true, until: bench.now.at.map(|at| at + open_ms), by: by.into() }
}

fn shut(by: &str) -> Command {
    Command::Lock { open: false, until: None, by: by.into() }
}

fn locked(locked: bool, by: Option<&str>) -> Event {
    Event::Lock { locked, by: by.map(Label::from) }
}

fn is_open(open: bool, by: Option<&str>) -> Event {
    Event::Cabinet { open, by: by.map(Label::from) }
}

fn done(id: u64, outcome: Outcome) -> Event {
    Event::Done { id, outcome }
}

fn fault(part: &str, active: bool) -> Event {
    Event::Fault { part: part.into(), active }
}

fn ready<'d>(door: &'d Door) -> Bench<DoorLock<'d>> {
    let mut bench = Bench::new(lock(door), Some(AT));
    pass(&mut bench, door, 2_000);
    assert_eq!(bench.events(), [locked(true, None)], "after a boot its state");
    bench
}

#[test]
fn it_opens_for_somebody_and_locks_when_the_time_is_over() {
    let door = Door::new();
    let mut bench = ready(&door);
    let command = open(&bench, 20_000, "s1");
    let id = bench.command(command.clone(), 60_000);
    pass(&mut bench, &door, 5_000);
    assert_eq!(bench.events(), [locked(false, Some("s1")), done(id, Outcome::Done)]);
    assert!(door.open());
    pass(&mut bench, &door, 30_000);
    assert_eq!((bench.events(), door.is_locked()), (vec![], false), "no bolt is thrown into an open door");
    door.shut();
    pass(&mut bench, &door, RELOCK_MS_MAX);
    assert_eq!(bench.events(), [locked(true, Some("s1"))]);
    assert!(door.is_locked() && !door.is_driven());
    // The same order again opens nothing.
    bench.deliver(id, command, AT + 600_000);
    pass(&mut bench, &door, 5_000);
    assert_eq!(bench.events(), [done(id, Outcome::Done)]);
    assert_eq!((door.draws(), door.is_locked()), (1, true));
}

#[test]
fn its_own_time_holds_where_none_is_said_and_bounds_what_is() {
    for (until, open_ms) in [(None, OPEN_MS), (Some(AT + 10 * OPEN_MS_MAX), OPEN_MS_MAX)] {
        let door = Door::new();
        let mut bench = ready(&door);
        bench.command(Command::Lock { open: true, until, by: "s1".into() }, 60_000);
        pass(&mut bench, &door, open_ms as u64 - 1_000);
        assert!(!door.is_locked());
        pass(&mut bench, &door, 1_000 + RELOCK_MS_MAX);
        assert!(door.is_locked(), "open for {open_ms} ms");
    }
}

#[test]
fn it_is_refused_without_a_clock_or_a_name_and_when_it_is_late() {
    let door = Door::new();
    let mut bench = Bench::new(lock(&door), None);
    pass(&mut bench, &door, 1_000);
    bench.events();
    let command = Command::Lock { open: true, until: None, by: "s1".into() };
    let id = bench.command(command.clone(), 60_000);
    assert_eq!(bench.events(), [done(id, Outcome::Refused)], "without a clock it may have expired");
    bench.now.at = Some(AT);
    bench.deliver(20, command, AT - 1);
    assert_eq!(bench.events(), [done(20, Outcome::Expired)]);
    bench.deliver(21, Command::Lock { open: true, until: Some(AT - 1), by: "s1".into() }, AT + 60_000);
    assert_eq!(bench.events(), [done(21, Outcome::Expired)]);
    bench.deliver(22, Command::Lock { open: true, until: None, by: "".into() }, AT + 60_000);
    assert_eq!(bench.events(), [done(22, Outcome::Refused)], "nobody is accountable");
    pass(&mut bench, &door, 10_000);
    assert_eq!((door.draws(), door.is_locked()), (0, true));
}

#[test]
fn a_power_cut_while_open_forgets_neither_who_nor_until_when() {
    let door = Door::new();
    let mut bench = ready(&door);
    let command = open(&bench, 60_000, "s1");
    let id = bench.command(command.clone(), 600_000);
    pass(&mut bench, &door, 5_000);
    bench.events();
    door.cut();
    let mut bench = bench.cut(lock(&door));
    pass(&mut bench, &door, 10_000);
    assert_eq!(bench.events(), [locked(false, Some("s1"))]);
    bench.deliver(id, command, AT + 600_000);
    assert_eq!(bench.events(), [done(id, Outcome::Other("forgotten".into()))]);
    pass(&mut bench, &door, 50_000);
    assert_eq!(bench.events(), [locked(true, Some("s1"))]);
    assert_eq!(door.draws(), 1);
}

#[test]
fn after_a_power_cut_it_locks_when_the_time_has_passed_or_is_not_known() {
    for at in [None, Some(AT + 3_600_000), Some(AT - 86_400_000)] {
        let door = Door::new();
        let mut bench = ready(&door);
        let command = open(&bench, 60_000, "s1");
        bench.command(command, 600_000);
        pass(&mut bench, &door, 5_000);
        bench.events();
        door.cut();
        bench.now.at = at;
        let mut bench = bench.cut(lock(&door));
        pass(&mut bench, &door, RELOCK_MS_MAX);
        assert_eq!(bench.events(), [locked(false, Some("s1")), locked(true, Some("s1"))], "{at:?}");
        assert!(door.is_locked());
        door.cut();
        let mut bench = bench.cut(lock(&door));
        pass(&mut bench, &door, RELOCK_MS_MAX);
        assert_eq!(bench.events(), [locked(true, None)]);
    }
}

#[test]
fn what_cannot_be_kept_is_not_opened() {
    let door = Door::new();
    let mut bench = ready(&door);
    let mut memory: Memory = bench.device.into_keep();
    memory.fails = true;
    bench = Bench::boot(memory, lock(&door), Some(AT));
    pass(&mut bench, &door, 1_000);
    bench.events();
    let command = open(&bench, 60_000, "s1");
    bench.command(command, 600_000);
    pass(&mut bench, &door, 5_000);
    assert!(door.is_locked() && door.draws() == 0);
}

#[test]
fn the_handle_inside_always_opens_and_the_motor_never_works_against_it() {
    let door = Door::new();
    let mut bench = ready(&door);
    door.press_handle(true);
    pass(&mut bench, &door, 100);
    assert!(door.open());
    door.press_handle(false);
    assert_eq!(bench.events(), [locked(false, None)], "from inside: nobody is named, and it is not forced");
    door.shut();
    pass(&mut bench, &door, 60_000);
    assert!(!door.is_locked(), "who fetches the newspaper is not locked out");
    let id = bench.command(shut("s2"), 60_000);
    pass(&mut bench, &door, 500);
    assert!(door.is_driven());
    // In the middle of it somebody wants out.
    door.press_handle(true);
    assert!(door.open());
    pass(&mut bench, &door, 20_000);
    assert!(!door.is_driven() && door.against_hand_ms() <= REACTION_MS, "{} ms", door.against_hand_ms());
    assert_eq!(bench.events(), [done(id, Outcome::Failed)]);
    door.press_handle(false);
    door.shut();
    pass(&mut bench, &door, RELOCK_MS_MAX);
    assert_eq!(bench.events(), [locked(true, Some("s2"))], "and then it locks");
}

#[test]
fn a_stuck_motor_is_told_once_and_the_door_stays_locked() {
    let door = Door::new();
    let mut bench = ready(&door);
    door.jam(true);
    let command = open(&bench, 60_000, "s1");
    let id = bench.command(command, 600_000);
    pass(&mut bench, &door, 10_000);
    assert_eq!(bench.events(), [fault("motor", true), done(id, Outcome::Failed)]);
    assert!(door.is_locked() && !door.open() && !door.is_driven());
    assert!(door.longest_on_ms() <= MOTOR_ON_MS_MAX + REACTION_MS);
    let command = open(&bench, 60_000, "s1");
    let id = bench.command(command, 600_000);
    pass(&mut bench, &door, 10_000);
    assert_eq!(bench.events(), [done(id, Outcome::Failed)], "the fault is known");
    door.jam(false);
    let command = open(&bench, 5_000, "s1");
    let id = bench.command(command, 600_000);
    pass(&mut bench, &door, 20_000);
    let told = [locked(false, Some("s1")), fault("motor", false), done(id, Outcome::Done), locked(true, Some("s1"))];
    assert_eq!(bench.events(), told);
}

#[test]
fn a_bolt_that_does_not_come_out_is_tried_again_and_not_for_ever_fast() {
    let door = Door::new();
    let mut bench = ready(&door);
    let command = open(&bench, 10_000, "s1");
    bench.command(command, 600_000);
    pass(&mut bench, &door, 5_000);
    bench.events();
    door.jam(true);
    pass(&mut bench, &door, 15 * 60_000);
    assert_eq!(bench.events(), [fault("motor", true)]);
    assert!(door.longest_on_ms() <= MOTOR_ON_MS_MAX + REACTION_MS);
    door.jam(false);
    pass(&mut bench, &door, 11 * 60_000);
    assert_eq!(bench.events(), [locked(true, Some("s1")), fault("motor", false)]);
}

#[test]
fn keys_and_force_are_told_without_a_name() {
    let door = Door::new();
    let mut bench = ready(&door);
    door.turn_key(false);
    pass(&mut bench, &door, 1_000);
    door.turn_key(true);
    pass(&mut bench, &door, 1_000);
    assert_eq!(bench.events(), [locked(false, None), locked(true, None)]);
    door.force();
    pass(&mut bench, &door, 1_000);
    door.shut();
    door.open_case(true);
    pass(&mut bench, &door, 1_000);
    assert_eq!(bench.events(), [Event::Tamper {}, Event::Tamper {}]);
    door.hold_key(true);
    pass(&mut bench, &door, 200_000);
    assert_eq!(bench.events(), [fault("handle", true)], "a key left turned keeps the motor from locking");
}

/// A sensor of the door, or one that shows a hand whatever happens.
struct Shows<'d>(Option<Input<'d>>);

impl ErrorType for Shows<'_> {
    type Error = core::convert::Infallible;
}

impl InputPin for Shows<'_> {
    fn is_high(&mut self) -> Result<bool, Self::Error> {
        self.0.as_mut().map_or(Ok(true), InputPin::is_high)
    }

    fn is_low(&mut self) -> Result<bool, Self::Error> {
        self.is_high().map(|is_high| !is_high)
    }
}

#[test]
fn staff_get_in_though_the_handles_sensor_is_broken() {
    let door = Door::new();
    let sensor = |sensor| Shows(Some(door.sensor(sensor)));
    let role = Lock::new(LockPins {
        bolt: sensor(Sensor::Bolt),
        door: sensor(Sensor::Door),
        handle: Shows(None),
        key: sensor(Sensor::Key),
        case: sensor(Sensor::Case),
        throw: door.winding(Winding::Throw),
        draw: door.winding(Winding::Draw),
    });
    let mut bench = Bench::new(role, Some(AT));
    pass(&mut bench, &door, 130_000);
    assert_eq!(bench.events(), [locked(true, None), fault("handle", true)]);
    let command = open(&bench, 20_000, "s1");
    let id = bench.command(command, 60_000);
    pass(&mut bench, &door, 5_000);
    assert_eq!(bench.events(), [locked(false, Some("s1")), done(id, Outcome::Done)]);
    assert!(door.open());
}

#[test]
fn a_door_that_is_shut_anew_is_locked_at_once_after_tries_in_vain() {
    let door = Door::new();
    let mut bench = ready(&door);
    let command = open(&bench, 10_000, "s1");
    bench.command(command, 600_000);
    pass(&mut bench, &door, 5_000);
    bench.events();
    door.jam(true);
    pass(&mut bench, &door, 5 * 60_000);
    assert_eq!(bench.events(), [fault("motor", true)]);
    door.jam(false);
    assert!(door.open());
    pass(&mut bench, &door, 2_000);
    door.shut();
    pass(&mut bench, &door, RELOCK_MS_MAX);
    assert!(door.is_locked());
}

#[test]
fn no_update_comes_between_while_a_door_is_driven() {
    let door = Door::new();
    let mut bench = ready(&door);
    assert!(!bench.device.role.is_busy());
    let command = open(&bench, 20_000, "s1");
    bench.command(command, 60_000);
    assert!(bench.device.role.is_busy());
    pass(&mut bench, &door, 5_000);
    assert!(!bench.device.role.is_busy());
}

#[test]
fn a_second_person_is_told_though_it_stands_open() {
    let door = Door::new();
    let mut bench = ready(&door);
    for by in ["s1", "s2"] {
        let command = open(&bench, 30_000, by);
        let id = bench.command(command, 60_000);
        pass(&mut bench, &door, 5_000);
        assert_eq!(bench.events(), [locked(false, Some(by)), done(id, Outcome::Done)]);
    }
    let id = bench.command(shut("s3"), 60_000);
    pass(&mut bench, &door, RELOCK_MS_MAX);
    assert_eq!(bench.events(), [locked(true, Some("s3")), done(id, Outcome::Done)]);
}

#[derive(Debug, Clone)]
enum Move {
    Open(i64),
    Again,
    Shut,
    Pass(u64),
    Cut(bool),
    Handle,
    Walk,
    Key(bool),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        3 => (1_000i64..40_000).prop_map(Move::Open),
        1 => Just(Move::Again),
        1 => Just(Move::Shut),
        5 => (1u64..2_000).prop_map(|steps| Move::Pass(steps * STEP_MS)),
        4 => (1u64..200).prop_map(|steps| Move::Pass(steps * STEP_MS)),
        3 => any::<bool>().prop_map(Move::Cut),
        2 => Just(Move::Handle),
        1 => Just(Move::Walk),
        1 => any::<bool>().prop_map(Move::Key),
    ];
    prop::collection::vec(one, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn never_open_beyond_its_time_never_twice_never_against_a_hand(moves in moves()) {
        let door = Door::new();
        let mut bench = Bench::new(lock(&door), Some(AT));
        bench.run(100);
        // Time over all boots; the motor may have it open until here.
        let (mut time_ms, mut until_ms, mut by_hand, mut orders, mut presses) = (100u64, 0u64, false, 0, 0);
        let mut last = None;
        let go = |bench: &mut Bench<_>, ms: u64, time_ms: &mut u64, until_ms: u64, by_hand: &mut bool| {
            for _ in 0..ms / STEP_MS {
                pass(bench, &door, STEP_MS);
                *time_ms += STEP_MS;
                *by_hand &= !door.is_locked();
                let is_late = *time_ms > until_ms;
                prop_assert!(door.is_locked() || *by_hand || !is_late, "open at {} ms, until {} ms", time_ms, until_ms);
            }
            Ok(())
        };
        for step in moves {
            match step {
                Move::Open(open_ms) => {
                    let command = open(&bench, open_ms, "s1");
                    let id = bench.command(command.clone(), 3_600_000);
                    // One that was refused for want of a clock has not been carried out: another matter.
                    if bench.now.at.is_some() {
                        last = Some((id, command));
                        orders += 1;
                        until_ms = until_ms.max(time_ms + open_ms as u64 + RELOCK_MS_MAX);
                    }
                }
                Move::Again => if let Some((id, command)) = last.clone() {
                    bench.deliver(id, command, i64::MAX);
                },
                Move::Shut => drop(bench.command(shut("s2"), 3_600_000)),
                Move::Pass(ms) => go(&mut bench, ms, &mut time_ms, until_ms, &mut by_hand)?,
                Move::Cut(has_clock) => {
                    door.cut();
                    let at = AT + time_ms as i64;
                    bench.now.at = Some(at).filter(|_| has_clock);
                    bench = bench.cut(lock(&door));
                    // A boot takes the motor's time anew.
                    until_ms = until_ms.max(time_ms + RELOCK_MS_MAX).min(until_ms + RELOCK_MS_MAX);
                }
                Move::Handle | Move::Walk => {
                    presses += 1;
                    by_hand = true;
                    door.press_handle(true);
                    prop_assert!(door.open(), "it always opens from inside");
                    for _ in 0..50 {
                        pass(&mut bench, &door, STEP_MS);
                        time_ms += STEP_MS;
                    }
                    if matches!(step, Move::Walk) {
                        door.press_handle(false);
                        time_ms += 2_000;
                        pass(&mut bench, &door, 2_000);
                    }
                    door.press_handle(false);
                    door.shut();
                    until_ms = until_ms.max(time_ms + RELOCK_MS_MAX);
                }
                Move::Key(locks) => {
                    by_hand |= !locks;
                    door.turn_key(locks);
                    until_ms = until_ms.max(time_ms + RELOCK_MS_MAX);
                }
            }
            prop_assert!(door.draws() <= orders, "{} draws for {orders} orders", door.draws());
            prop_assert!(door.against_hand_ms() <= presses * REACTION_MS);
            prop_assert_eq!(door.both_ms(), 0);
            prop_assert!(door.longest_on_ms() <= MOTOR_ON_MS_MAX + REACTION_MS);
        }
        // Undisturbed, it ends locked, and what is told last is what is so.
        go(&mut bench, until_ms.saturating_sub(time_ms) + 2 * RELOCK_MS_MAX, &mut time_ms, until_ms, &mut by_hand)?;
        prop_assert!(door.is_locked() || by_hand);
        let told = bench.events().into_iter().rfind(|event| event.name() == "lock");
        if let Some(Event::Lock { locked, .. }) = told {
            prop_assert_eq!(locked, door.is_locked());
        }
        if door.is_locked() {
            prop_assert!(!bench.device.into_keep().values.contains_key(&(keep::ROLE.start + 3)), "nothing is owed");
        }
    }
}

fn ready_cabinet<'d>(door: &'d Door) -> Bench<KeyCabinet<'d>> {
    let mut bench = Bench::new(cabinet(door), Some(AT));
    pass(&mut bench, door, 2_000);
    assert_eq!(bench.events(), [is_open(false, None)]);
    bench
}

#[test]
fn a_cabinet_opens_for_somebody_who_is_told_and_shuts_by_its_spring() {
    let door = Door::with_spring();
    let mut bench = ready_cabinet(&door);
    let command = open(&bench, 60_000, "s1");
    let id = bench.command(command, 60_000);
    pass(&mut bench, &door, 2_000);
    assert_eq!(bench.events(), [done(id, Outcome::Done)], "released, not yet open");
    assert!(door.open());
    pass(&mut bench, &door, 1_000);
    assert_eq!(bench.events(), [is_open(true, Some("s1"))]);
    assert!(!door.is_driven(), "the coil is off as soon as the door stands open");
    pass(&mut bench, &door, 60_000);
    assert_eq!(bench.device.panel.sounds, [vaka_protocol::Sound::Warn], "left open");
    door.shut();
    pass(&mut bench, &door, 2_000);
    assert_eq!(bench.events(), [is_open(false, Some("s1"))]);
    assert!(door.is_locked() && !door.open());
}

#[test]
fn a_cabinet_that_nobody_opens_locks_again() {
    let door = Door::with_spring();
    let mut bench = ready_cabinet(&door);
    let command = open(&bench, 60_000, "s1");
    bench.command(command, 60_000);
    pass(&mut bench, &door, RELEASE_MS + 2_000);
    assert!(door.is_locked() && !door.is_driven());
    assert!(door.longest_on_ms() <= RELEASE_MS + REACTION_MS);
    door.force();
    pass(&mut bench, &door, 1_000);
    let told = bench.events();
    assert_eq!(told[1..], [Event::Tamper {}, is_open(true, None)], "and whoever opens it later is not s1");
}

#[test]
fn a_cabinet_fails_locked() {
    let door = Door::with_spring();
    let mut bench = ready_cabinet(&door);
    door.jam(true);
    let command = open(&bench, 60_000, "s1");
    let id = bench.command(command, 60_000);
    pass(&mut bench, &door, 10_000);
    assert_eq!(bench.events(), [fault("coil", true), done(id, Outcome::Failed)]);
    assert!(!door.is_driven() && door.is_locked());
    door.jam(false);
    let command = open(&bench, 60_000, "s1");
    bench.command(command, 60_000);
    pass(&mut bench, &door, 1_500);
    door.cut();
    let mut bench = bench.cut(cabinet(&door));
    pass(&mut bench, &door, 3_000);
    assert!(door.is_locked() && !door.is_driven(), "a power cut locks it, and it opens for nobody afterwards");
}

#[test]
fn a_cabinet_that_stands_open_over_a_power_cut_knows_for_whom() {
    let door = Door::with_spring();
    let mut bench = ready_cabinet(&door);
    let command = open(&bench, 60_000, "s1");
    bench.command(command, 60_000);
    pass(&mut bench, &door, 1_500);
    assert!(door.open());
    pass(&mut bench, &door, 1_000);
    bench.events();
    door.cut();
    let mut bench = bench.cut(cabinet(&door));
    pass(&mut bench, &door, 1_000);
    door.shut();
    pass(&mut bench, &door, 3_000);
    assert_eq!(bench.events(), [is_open(true, Some("s1")), is_open(false, Some("s1"))]);
}

#[test]
fn a_key_opens_the_cabinet_without_a_name_and_a_latch_that_does_not_hold_is_a_fault() {
    let door = Door::with_spring();
    let mut bench = ready_cabinet(&door);
    door.hold_key(true);
    door.turn_key(false);
    pass(&mut bench, &door, 100);
    assert!(door.open());
    pass(&mut bench, &door, 100);
    door.hold_key(false);
    pass(&mut bench, &door, 1_000);
    assert_eq!(bench.events(), [is_open(true, None)], "by key: not forced");
    door.turn_key(false);
    door.jam(true);
    door.shut();
    pass(&mut bench, &door, 10_000);
    assert_eq!(bench.events(), [is_open(false, None), fault("latch", true)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_cabinet_is_locked_whenever_nobody_is_let_in(moves in moves()) {
        let door = Door::with_spring();
        let mut bench = Bench::new(cabinet(&door), Some(AT));
        let (mut orders, mut last, mut told) = (0, None, Vec::new());
        for step in moves {
            match step {
                Move::Open(open_ms) => {
                    let command = open(&bench, open_ms, "s1");
                    let id = bench.command(command.clone(), 3_600_000);
                    if bench.now.at.is_some() {
                        orders += 1;
                        last = Some((id, command));
                    }
                }
                Move::Again => if let Some((id, command)) = last.clone() {
                    bench.deliver(id, command, i64::MAX);
                },
                Move::Shut => drop(bench.command(shut("s2"), 3_600_000)),
                Move::Pass(ms) => pass(&mut bench, &door, ms),
                Move::Cut(has_clock) => {
                    door.cut();
                    bench.now.at = bench.now.at.filter(|_| has_clock);
                    bench = bench.cut(cabinet(&door));
                    prop_assert!(!door.is_driven());
                }
                Move::Handle | Move::Key(_) => drop(door.open()),
                Move::Walk => door.shut(),
            }
            pass(&mut bench, &door, STEP_MS);
            told.extend(bench.events());
            prop_assert!(door.draws() <= orders, "{} draws for {orders} orders", door.draws());
            prop_assert!(door.longest_on_ms() <= RELEASE_MS + REACTION_MS);
        }
        pass(&mut bench, &door, RELEASE_MS + 5_000);
        told.extend(bench.events());
        prop_assert!(!door.is_driven());
        let state = told.iter().rfind(|event| event.name() == "cabinet");
        prop_assert!(matches!(state, Some(Event::Cabinet { open, .. }) if *open == door.is_open()), "{:?}", state);
        prop_assert!(door.is_open() || door.is_locked());
        prop_assert!(!told.contains(&Event::Tamper {}), "nothing was forced: {told:?}");
    }
}
