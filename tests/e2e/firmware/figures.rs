//! What the images need, printed and bounded: memory, and work in instructions. Milliseconds are printed alone: they are
//! this machine's.

use std::process::Command;
use std::time::Instant;

use vaka_tests::{Board, Gateway, Home, firmware, lacks_firmware};

use crate::{flash, flash_for, numbers, pendant};

/// The images, the kind of device that each is, and how many bytes of code and constants it may have. A pendant: our goal,
/// 360 KiB of the 512 that controllers for such devices have. The others leave a tenth of the 512 for what is to come.
const IMAGES: [(&str, &str, u64); 3] = [
    ("pendant", "pendant", 360 * 1024),
    ("dispenser", "dispenser", 460 * 1024),
    // The role with the most to remember.
    ("device", "gps-alarm", 460 * 1024),
];

/// All of the controller's RAM, bytes. Source: our goal.
const RAM_MAX: u64 = 96 * 1024;

/// Instructions from a press on the UART to its PUBACK: 140,000 to 170,000 measured, and 20 % (QEMU 7.2, 2026-11-22). The 20 ms in
/// which its contact bounces are slept: a core that looks around instead works 20 million.
const PRESS_MAX: u64 = 200_000;

/// Instructions of a handshake, both sides with certificates: measured and 20 % (QEMU 7.2, 2026-11-22).
const HANDSHAKE_MAX: u64 = 90_000_000;

/// Each is measured so often, and the least taken: looks at the network while it waits fall into some.
const TIMES: usize = 5;

/// Instructions in one cycle of the board's 25 MHz, at a nanosecond each.
const PER_CYCLE: u64 = 40;

/// Bytes of code and constants, and of static memory, as the linker laid them out.
fn sizes(role: &str) -> (u64, u64) {
    let output = Command::new("arm-none-eabi-size").arg(firmware::image(role)).output().expect("binutils are there");
    let said = String::from_utf8_lossy(&output.stdout);
    let row: Vec<u64> = said.lines().nth(1).unwrap_or("").split_whitespace().map_while(|n| n.parse().ok()).collect();
    let [text, data, bss, ..] = row[..] else { panic!("arm-none-eabi-size: {said}") };
    // What is not zero at the start lies in both.
    (text + data, data + bss)
}

#[test]
fn each_image_fits_into_the_memory_that_such_devices_have() {
    if lacks_firmware() {
        return;
    }
    for (role, kind, text_max) in IMAGES {
        let home = Home::init();
        let flash = flash_for(&home, "d1", kind, "");
        let _gateway = Gateway::start(&home);
        let mut board = Board::start(&firmware::image(role), &flash);
        board.wait("connected");
        board.wait("acked");
        // Nothing happens but in a pendant; its stack is the deepest while a call is on its way.
        board.say("press 60");
        board.say("skip 5000");
        board.wait("skipped");
        board.say("sizes");
        let said = board.wait("sizes ");
        let [heap, stack, room] = numbers(&said)[..] else { panic!("{said}") };
        let (text, fixed) = sizes(role);
        println!(
            "{role}: text {text} B; RAM {} B: static {fixed} B (heap used {heap} B), stack {stack} B",
            fixed + stack
        );
        assert!(text <= text_max, "{role}: {text} bytes of code and constants, at most {text_max}");
        assert!(fixed + room <= RAM_MAX && stack < room, "{role}: {fixed} bytes static, stack {stack} of {room}");
    }
}

#[test]
fn a_press_and_a_handshake_take_no_more_instructions_than_they_did() {
    if lacks_firmware() {
        return;
    }
    let home = Home::init();
    let flash = flash(&home, "p1", "pendant");
    let mut gateway = Gateway::start(&home);
    let mut board = Board::start_with(&firmware::image("pendant"), &flash, &["-icount", "shift=0"]);
    board.wait("connected");
    board.wait("acked");
    board.say("measure");
    let least = |board: &mut Board, what: &str, again: &mut dyn FnMut(&mut Board)| {
        let taken: Vec<u64> = (0..TIMES)
            .map(|_| {
                again(board);
                let line = board.wait(&format!("work {what} "));
                board.say("skip 2000");
                board.wait("skipped");
                numbers(&line)[0] * PER_CYCLE
            })
            .collect();
        println!("{what}: {taken:?} instructions");
        taken.into_iter().min().expect("measured at least once")
    };
    let press = least(&mut board, "press", &mut |board| board.say("press 60"));
    let handshake = least(&mut board, "handshake", &mut |_| {
        gateway.kill();
        gateway.restart();
    });
    assert!(press <= PRESS_MAX, "a press takes {press} instructions, at most {PRESS_MAX}");
    assert!(handshake <= HANDSHAKE_MAX, "a handshake takes {handshake} instructions, at most {HANDSHAKE_MAX}");
}

/// A figure for the README, not a promise: `--nocapture` shows it. What must hold is only that it all comes.
#[test]
fn a_press_and_a_cold_boot_reach_the_gateway() {
    if lacks_firmware() {
        return;
    }
    let home = Home::init();
    let flash = flash(&home, "p1", "pendant");
    let _gateway = Gateway::start(&home);
    // Made if it is not yet: that is no part of a boot.
    firmware::image("pendant");
    let began = Instant::now();
    let mut board = pendant(&flash);
    let acked = |board: &mut Board| board.wait_when("acked", |line| line.starts_with("acked ")).0;
    let mut boots = vec![acked(&mut board) - began];
    let mut presses = Vec::new();
    for _ in 1..TIMES {
        board.kill();
        let began = Instant::now();
        board.restart();
        boots.push(acked(&mut board) - began);
        for _ in 0..TIMES {
            let began = Instant::now();
            board.say("press 60");
            let told = board.wait("told ").replace("told", "acked");
            presses.push(board.wait_when(&told, |line| line == told).0 - began);
            board.say("skip 1000");
            board.wait("skipped");
        }
    }
    for (what, mut times) in [("cold boot to its first PUBACK", boots), ("press to PUBACK", presses)] {
        times.sort();
        let (middle, longest) = (times[times.len() / 2], times[times.len() - 1]);
        println!("{what}: median {:.0?}, longest {longest:.0?}, {} times", middle, times.len());
    }
}
