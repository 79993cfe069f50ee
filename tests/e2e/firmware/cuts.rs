//! Power cuts of the device and of the gateway, at random: what the device has taken in arrives, and once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use vaka_tests::{Centre, Chance, Gateway, Home, eventually_within, lacks, lacks_firmware, setting};

use crate::{flash, numbers, pendant, stored};

#[test]
fn what_the_firmware_took_in_arrives_once_over_cuts_of_device_and_gateway() {
    if lacks(&["sipp"]) || lacks_firmware() {
        return;
    }
    let rounds = setting("VAKA_FIRMWARE_CUTS", 50);
    let mut chance = Chance::from_environment();
    let centre = Centre::start("ok");
    let home = Home::init();
    home.centre(centre.port);
    let flash = flash(&home, "p1", "pendant");
    let mut gateway = Gateway::start(&home);
    let mut board = pendant(&flash);
    for round in 0..rounds {
        // Connected or not, at another point of its work each time.
        if chance.below(3) > 0 {
            board.wait("connected");
        } else {
            board.wait("started");
        }
        for _ in 0..=chance.below(2) {
            board.say("press 60");
            // Sometimes cut before it is taken in, sometimes after, sometimes in between.
            match chance.below(3) {
                0 => {}
                1 => drop(board.wait("told")),
                _ => drop(board.wait("light blink")),
            }
        }
        let pause = Duration::from_micros(chance.below(150_000));
        #[allow(clippy::disallowed_methods, reason = "the moment of the cut is left to chance")]
        std::thread::sleep(pause);
        if round % 3 == 2 {
            gateway.kill();
            board.restart();
            gateway.restart();
        } else {
            board.restart();
        }
    }
    board.wait("connected");

    let identities = |start: &str| -> BTreeSet<(u64, u64)> {
        let lines = board.lines();
        let lines = lines.iter().filter(|line| line.starts_with(start)).map(|line| numbers(line));
        // A line that the cut broke off counts as unsaid.
        lines.filter_map(|numbers| <[u64; 2]>::try_from(numbers).ok()).map(|[restart, seq]| (restart, seq)).collect()
    };
    let told = identities("told ");
    let missing = || -> Vec<(u64, u64)> {
        let stored: BTreeSet<_> = stored(&home, "p1").into_iter().collect();
        told.difference(&stored).copied().collect()
    };
    eventually_within(
        Duration::from_secs(90),
        "every event that was taken in",
        || format!("missing: {:?}\n{}\n{}", missing(), board.tail(), gateway.tail()),
        || missing().is_empty().then_some(()),
    );
    // Before the journal is read: the device goes on.
    let acked = identities("acked ");
    let mut count: BTreeMap<(u64, u64), u32> = BTreeMap::new();
    for identity in stored(&home, "p1") {
        *count.entry(identity).or_default() += 1;
    }
    let doubled: Vec<_> = count.iter().filter(|(_, count)| **count > 1).collect();
    println!("{rounds} rounds: {} taken in, {} stored, {} doubled", told.len(), count.len(), doubled.len());
    assert!(doubled.is_empty(), "{doubled:?}");
    assert!(acked.iter().all(|identity| count.contains_key(identity)), "acknowledged, not stored");
    let boots: BTreeSet<u64> = count.keys().map(|(restart, _)| *restart).collect();
    assert!(boots.len() as u64 >= rounds / 2, "boots are counted: {boots:?}");
    let lost = home.records("event").iter().filter(|record| record["event"].get("lost").is_some()).count();
    assert_eq!(lost, 0, "the device counts nothing as lost");
}
