//! The power goes at every write and erase of a whole update, and again while the device recovers.

use proptest::prelude::*;
use vaka_device::update::boot::{self, Slot, State, Trial};
use vaka_protocol::{Event, Outcome};

use crate::rig::{LAYOUT, Rig, file};

/// A device whose factory image was started once, and its operations up to there.
fn fresh() -> Rig {
    let mut rig = Rig::new(&file(1, "one"));
    rig.settle();
    rig.told.clear();
    rig.booted.clear();
    rig
}

/// Operations of a whole update without a cut, the boot before it included.
fn operations(to: &str) -> u64 {
    let mut rig = fresh();
    let before = rig.operations();
    rig.update(1, &file(2, to), to);
    rig.operations() - before
}

#[test]
fn cut_anywhere_the_device_boots_and_the_update_comes_through() {
    let all = operations("two");
    let (mut by_itself, mut repeated) = (0, 0);
    for operation in 0..all {
        let mut rig = fresh();
        rig.nor.borrow_mut().cut_after(operation, operation);
        rig.update(1, &file(2, "two"), "two");
        assert_eq!(rig.cuts, 1, "the cut at {operation} has come");
        // `Rig::boot` has held that each boot found an image; it is the old or the new one.
        assert!(rig.booted.iter().all(|name| ["one", "two"].contains(&name.as_str())), "{operation}");
        if rig.confirmed() == "two" {
            by_itself += 1;
        } else {
            repeated += 1;
            rig.update(2, &file(2, "two"), "two");
        }
        assert_eq!(rig.confirmed(), "two", "cut at {operation}: {:?} {:?}", rig.booted, rig.told);
        assert_eq!(rig.booted.last().map(String::as_str), Some("two"), "cut at {operation}");
        let said = rig.told.iter().any(|event| matches!(event, Event::Done { outcome: Outcome::Done, .. }));
        assert!(said, "cut at {operation}: the gateway hears of it: {:?}", rig.told);
    }
    println!("{all} operations: {by_itself} cuts came through by themselves, {repeated} by the command's repetition");
    assert!(by_itself > repeated * 4, "what was cut goes on by itself");
}

#[test]
fn cut_anywhere_a_bad_image_boots_once_at_most() {
    let all = operations("bad");
    for operation in 0..all {
        let mut rig = fresh();
        rig.nor.borrow_mut().cut_after(operation, !operation);
        rig.update(1, &file(2, "bad"), "bad");
        assert_eq!(rig.cuts, 1, "the cut at {operation} has come");
        let boots = rig.booted.iter().filter(|name| *name == "bad").count();
        assert!(boots <= 1, "cut at {operation}: {:?}", rig.booted);
        assert_eq!((rig.confirmed().as_str(), rig.booted.last().map(String::as_str)), ("one", Some("one")));
        assert!(!rig.told.contains(&Event::Done { id: 1, outcome: Outcome::Done }), "cut at {operation}");
        rig.update(2, &file(3, "three"), "three");
        assert_eq!(rig.confirmed(), "three", "cut at {operation}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 24, ..ProptestConfig::default() })]

    /// Several cuts in a row, also in the bootloader and while the device recovers.
    #[test]
    fn cut_again_and_again_it_still_boots(cuts in prop::collection::vec((0u64..70, any::<u64>()), 1..6)) {
        let mut rig = fresh();
        let two = file(2, "two");
        for (id, (after, chance)) in cuts.into_iter().enumerate() {
            rig.nor.borrow_mut().cut_after(after, chance);
            if let Some(mut device) = rig.boot() {
                rig.file.clone_from(&two);
                crate::rig::deliver(&mut device, id as u64 + 1, &crate::rig::command(&two, "two"));
                rig.run(&mut device);
            }
            // Not every cut comes in this boot; those that do not come in the next.
            if rig.nor.borrow().is_off() {
                rig.nor.borrow_mut().power_on();
            }
        }
        rig.nor.borrow_mut().power_on();
        rig.settle();
        rig.update(100, &two, "two");
        prop_assert_eq!(rig.confirmed(), "two");
    }

    /// The record is the one before or the one after, whatever was cut, for as long as it is written.
    #[test]
    fn a_record_is_never_torn(writes in prop::collection::vec((0u32..9, prop::option::of((0u64..2, any::<u64>()))), 1..400)) {
        let rig = Rig::new(&file(1, "one"));
        let mut kept: Option<State> = None;
        for (floor, cut) in writes {
            let confirmed = if floor % 2 == 0 { Slot::A } else { Slot::B };
            let trial = [Trial::None, Trial::Armed, Trial::Running, Trial::RolledBack][floor as usize % 4];
            let state = State { confirmed, trial, floor };
            if let Some((after, chance)) = cut {
                rig.nor.borrow_mut().cut_after(after, chance);
            }
            let written = boot::write(&mut rig.slots(), &LAYOUT, state);
            rig.nor.borrow_mut().power_on();
            let read = boot::read(&mut rig.slots(), &LAYOUT).expect("the flash reads");
            prop_assert!(read == Some(state) || written.is_err() && read == kept, "{:?} {:?} {:?}", read, kept, state);
            kept = read;
        }
    }
}
