//! The firmware's own failures: each ends in a reset, and the gateway is told the cause.

use vaka_tests::{Gateway, Home, lacks_firmware};

use crate::{flash, pendant, wait_event};

#[test]
fn a_panic_and_a_program_that_hangs_end_in_a_reset_whose_cause_is_told() {
    if lacks_firmware() {
        return;
    }
    let home = Home::init();
    let flash = flash(&home, "p1", "pendant");
    let gateway = Gateway::start(&home);
    let mut board = pendant(&flash);
    board.wait("started power");
    board.wait("connected");

    board.say("panic");
    board.wait("panic ");
    let started = board.wait("started panic");
    assert!(started.contains("inputs.rs:"), "the place of the panic: {started}");
    board.wait("connected");
    let cause = |cause: &'static str| move |record: &serde_json::Value| record["event"]["started"]["cause"] == cause;
    wait_event(&home, &gateway, "the panic told", cause("panic"));

    board.say("hang");
    board.wait("watchdog");
    board.wait("started watchdog");
    board.wait("connected");
    wait_event(&home, &gateway, "the watchdog's reset told", cause("watchdog"));
    wait_event(&home, &gateway, "the power's first boot told", cause("power"));

    board.restart();
    board.wait("started power");
}
