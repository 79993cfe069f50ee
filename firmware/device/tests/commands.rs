//! Commands: each id once, nothing late, no door without a clock.

use std::collections::BTreeSet;

use proptest::prelude::*;
use vaka_device::{Commands, Judged};
use vaka_protocol::{AlarmId, Command, CommandMessage, Event, Outcome, Rung};

const ROOM: usize = 4;

fn lock(id: u64) -> CommandMessage {
    CommandMessage::new(id, 1_000, Command::Lock { open: true, until: None, by: "s1".into() })
}

fn locate(id: u64) -> CommandMessage {
    CommandMessage::new(id, 1_000, Command::Locate {})
}

fn receipt(id: u64) -> CommandMessage {
    let alarm = AlarmId::try_from("a1").expect("a valid id");
    CommandMessage::new(id, 1_000, Command::Receipt { restart: 1, seq: 1, alarm, rung: Rung::Accepted, last: false })
}

fn answer(id: u64, outcome: Outcome) -> Judged {
    Judged::Answer(Event::Done { id, outcome })
}

#[test]
fn in_doubt_the_first_that_comes_is_not_carried_out_and_the_next_is() {
    let mut commands = Commands::<ROOM>::doubtful();
    assert_eq!(commands.judge(&receipt(5), Some(1)), Judged::Execute, "what only shows is shown");
    let forgotten = || Outcome::Other("forgotten".into());
    assert_eq!(commands.judge(&lock(7), Some(1)), answer(7, forgotten()));
    assert_eq!(commands.judge(&lock(6), Some(1)), answer(6, forgotten()));
    assert_eq!(commands.judge(&lock(8), Some(1)), Judged::Execute);
}

#[test]
fn a_command_delivered_again_is_answered_and_not_carried_out() {
    let mut commands = Commands::<ROOM>::new(None);
    assert_eq!(commands.judge(&lock(1), Some(0)), Judged::Execute);
    assert_eq!(commands.judge(&lock(1), Some(0)), Judged::Underway);
    assert_eq!(commands.done(1, Outcome::Failed), Event::Done { id: 1, outcome: Outcome::Failed });
    assert_eq!(commands.judge(&lock(1), Some(0)), answer(1, Outcome::Failed));
    assert_eq!(commands.judge(&lock(1), Some(5_000)), answer(1, Outcome::Failed));
}

#[test]
fn the_clock_decides_and_without_one_no_door_opens() {
    let mut commands = Commands::<ROOM>::new(None);
    assert_eq!(commands.judge(&lock(1), Some(1_000)), answer(1, Outcome::Expired));
    assert_eq!(commands.judge(&lock(2), Some(999)), Judged::Execute);
    assert_eq!(commands.judge(&lock(3), None), answer(3, Outcome::Refused));
    // It stays refused when the clock comes: the gateway was told so and a person acts on it.
    assert_eq!(commands.judge(&lock(3), Some(0)), answer(3, Outcome::Refused));
    let schedule = Command::Schedule { slots: Default::default() };
    assert_eq!(commands.judge(&CommandMessage::new(4, 1_000, schedule), None), answer(4, Outcome::Refused));
    assert_eq!(commands.judge(&locate(5), None), Judged::Execute);
    let unknown = Command::Unknown { name: "dance".into() };
    assert_eq!(commands.judge(&CommandMessage::new(6, 1_000, unknown), None), answer(6, Outcome::Refused));
}

#[test]
fn what_may_be_forgotten_is_not_carried_out_again() {
    let mut commands = Commands::<ROOM>::new(None);
    assert_eq!(commands.judge(&lock(1), Some(0)), Judged::Execute);
    for id in 2..=5 {
        assert_eq!(commands.judge(&receipt(id), Some(0)), Judged::Execute);
    }
    assert_eq!(commands.judge(&lock(1), Some(0)), answer(1, Outcome::Other("forgotten".into())));
    let mut after_boot = Commands::<ROOM>::new(commands.highest());
    assert_eq!(after_boot.judge(&lock(5), Some(0)), answer(5, Outcome::Other("forgotten".into())));
    assert_eq!(after_boot.judge(&receipt(5), Some(0)), Judged::Execute);
    assert_eq!(after_boot.judge(&lock(6), Some(0)), Judged::Execute);
}

proptest! {
    #[test]
    fn no_id_is_carried_out_twice(
        deliveries in prop::collection::vec((0u64..12, any::<bool>(), prop::option::of(0i64..2_000)), 0..80)
    ) {
        let mut commands = Commands::<ROOM>::new(None);
        let mut carried_out = BTreeSet::new();
        for (id, finish, now) in deliveries {
            let message = if id % 2 == 0 { lock(id) } else { locate(id) };
            if commands.judge(&message, now) == Judged::Execute {
                prop_assert!(carried_out.insert(id), "{id} twice");
                prop_assert!(now.is_none_or(|now| now < message.expires_at), "{id} expired");
                prop_assert!(now.is_some() || !message.command.needs_clock(), "{id} without a clock");
                if finish {
                    commands.done(id, Outcome::Done);
                }
            }
        }
    }
}
