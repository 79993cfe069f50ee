//! Twelve years ahead: a box whose hardware clock is wrong boots in 2038, works, and is given the right time, while it runs and at a start.
//!
//! The running clock is the machine's, as on a real one; only what the time of day is lies. Needs libfaketime.

use serde_json::{Value, json};
use vaka_tests::{Centre, Gateway, Home, RawMqtt, lacks, press, publish_packet};

/// Years that the clock is ahead: beyond every certificate that a home makes but its authorities'.
const AHEAD: &str = "+12y";
const YEAR_MS: i64 = 365 * 24 * 60 * 60 * 1_000;

/// A device presses on a connection of its own, and the alarm centre takes it.
#[track_caller]
fn press_is_accepted(home: &Home, gateway: &Gateway<'_>, seq: u64, when: &str) {
    let mut raw = RawMqtt::connect_v5(home, "p1");
    raw.send(&publish_packet("vaka/v1/p1/event", press(1, seq).as_bytes()));
    assert_eq!(raw.read_exact(1)[0], 0x40, "{when}: an acknowledgement\n{}", gateway.tail());
    gateway.wait_alarm(&format!("{when}: press {seq} accepted"), |row| {
        let notice = |step: &Value| step["rung"] == "accepted" && step["notice"] == seq - 1;
        row["lane"] == "life" && row["rungs"].as_array().is_some_and(|rungs| rungs.iter().any(notice))
    });
}

fn seqs(home: &Home) -> Vec<u64> {
    home.records("event").iter().map(|record| record["seq"].as_u64().expect("a number")).collect()
}

#[test]
fn a_box_that_boots_twelve_years_ahead_and_is_set_right_loses_and_refuses_nothing() {
    if lacks(&["faketime", "sipp"]) {
        return;
    }
    let centre = Centre::start("ok");
    let home = Home::init();
    home.centre(centre.port).device("p1", "pendant");
    let clock = home.dir().join("clock");
    let set = |offset: &str| std::fs::write(&clock, format!("{offset}\n")).expect("written");
    set("+0");
    {
        let gateway = Gateway::start_by_clock(&home, &clock);
        press_is_accepted(&home, &gateway, 1, "in the right year");
    }
    // In the cupboard, until the battery of its clock made it 2038.
    set(AHEAD);
    {
        let gateway = Gateway::start_by_clock(&home, &clock);
        press_is_accepted(&home, &gateway, 2, "twelve years ahead");
        let ended: Vec<Value> =
            home.records("event").iter().map(|record| record["certificate_ended"].clone()).collect();
        assert_eq!(ended.last(), Some(&json!(true)), "said of the press, and no reason to refuse it: {ended:?}");

        // The network is there at last, and with it the time: at once, while everything runs.
        set("+0");
        press_is_accepted(&home, &gateway, 3, "set right while it runs");
        let floor = gateway.stat()["clock"]["floor"].as_i64().expect("a floor");
        assert!(floor < vaka_tests::now_ms() + YEAR_MS, "no year that was wrong is the earliest from now on: {floor}");
    }
    {
        let gateway = Gateway::start_by_clock(&home, &clock);
        press_is_accepted(&home, &gateway, 4, "started in the right year");
        assert_eq!(seqs(&home), [1, 2, 3, 4], "nothing was thought to be old enough to go");
        let alarm = home.alarms().into_iter().find(|row| row["lane"] == "life").expect("the alarm");
        assert_eq!(alarm["count"], 4, "one alarm, unclaimed: {alarm}");
        home.vaka(&["journal", "verify"]).ok();
        let id = alarm["id"].as_str().expect("an id");
        home.vaka(&["alarm", "close", id, "--by", "anna"]).ok();
    }
    let log = std::fs::read_to_string(home.dir().join("gateway.log")).unwrap_or_default();
    assert!(!log.contains("panicked"), "{log}");
}
