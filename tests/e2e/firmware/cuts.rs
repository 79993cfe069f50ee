//! Power cuts of the device and of the gateway, at random: what the device has taken in arrives, and once.

use std::collections::BTreeSet;
use std::time::Duration;

use vaka_tests::{Centre, Chance, Gateway, Home, lacks, lacks_firmware, setting};

use crate::{all_arrived_once, flash, identities, pendant, stored};

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

    let count = all_arrived_once(&home, "p1", &board, &gateway);
    println!("{rounds} rounds: {} taken in, {count} stored, none doubled", identities(&board, "told ").len());
    let boots: BTreeSet<u64> = stored(&home, "p1").into_iter().map(|(restart, _)| restart).collect();
    assert!(boots.len() as u64 >= rounds / 2, "boots are counted: {boots:?}");
}
