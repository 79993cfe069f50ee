//! A device renews its certificate by itself, on the connection that the present one has opened; and comes back with one
//! that has ended.

use std::time::Duration;

use serde_json::json;
use vaka_tests::{Board, Chance, Flash, Gateway, Home, eventually, lacks, lacks_firmware, now_ms};

use crate::{pendant, wait_event};

const DAY_MS: i64 = 86_400_000;

/// A home whose gateway's clock is told by a file, and a pendant that has enrolled itself.
struct Years {
    home: Home,
    clock: std::path::PathBuf,
}

impl Years {
    fn new() -> Years {
        let home = Home::init();
        home.door();
        let clock = home.dir().join("clock");
        let years = Years { home, clock };
        years.set_gateway(0);
        years
    }

    fn start(&self) -> Gateway<'_> {
        Gateway::start_by_clock(&self.home, &self.clock)
    }

    fn enrol(&self, id: &str) -> Board {
        let (_, url) = self.home.invite(id, &[]);
        let mut board = pendant(&Flash::blank(&self.home.dir().join(format!("{id}.flash"))));
        board.wait("unenrolled");
        board.say(&format!("enrol {}", url.replace("127.0.0.1", "10.0.2.2")));
        board.wait("enrolled");
        board.wait("connected");
        board.wait("acked");
        board
    }

    /// So many days have passed at the gateway.
    fn set_gateway(&self, days: i64) {
        std::fs::write(&self.clock, format!("+{days}d\n")).expect("written");
    }

    /// And on the device's clock.
    fn set_device(&self, board: &mut Board, days: i64) {
        board.say(&format!("time {}", now_ms() + days * DAY_MS));
        board.wait("time ");
    }

    /// Certificates of that device: those in force, and all.
    fn certificates(&self, id: &str) -> (usize, usize) {
        let list = std::fs::read_to_string(self.home.path("pki/issued.jsonl")).expect("the list");
        let mut rows = std::collections::BTreeMap::new();
        for line in list.lines() {
            let row: serde_json::Value = serde_json::from_str(line).expect("a row");
            if row["id"] == id {
                rows.insert(row["serial"].to_string(), row["superseded_at"].is_null() && row["revoked_at"].is_null());
            }
        }
        (rows.values().filter(|is_in_force| **is_in_force).count(), rows.len())
    }
}

#[test]
fn at_two_thirds_of_its_life_a_certificate_is_renewed_and_the_press_goes_on() {
    if lacks(&["faketime"]) || lacks_firmware() {
        return;
    }
    let years = Years::new();
    let gateway = years.start();
    let mut board = years.enrol("p1");
    years.set_gateway(260);
    years.set_device(&mut board, 260);
    board.say("press 60");
    gateway.wait_alarm("a press before it", |row| row["device"] == "p1" && row["count"] == 1);
    assert!(!board.lines().iter().any(|line| line == "renewing"), "too early: {}", board.tail());

    years.set_gateway(270);
    years.set_device(&mut board, 270);
    board.wait("renewing");
    board.wait("renewed");
    board.wait("connected");
    board.wait("renewal used");
    board.say("press 60");
    gateway.wait_alarm("a press after it", |row| row["device"] == "p1" && row["count"] == 2);
    gateway.wait_log("those before it are superseded");
    assert_eq!(years.certificates("p1"), (1, 2));
    // It is kept: the old one opens nothing any more.
    board.restart();
    board.wait("connected");
    years.set_device(&mut board, 300);
    board.say("press 60");
    gateway.wait_alarm("a press after a boot", |row| row["device"] == "p1" && row["count"] == 3);
    assert_eq!(board.lines().iter().filter(|line| *line == "renewing").count(), 1, "{}", board.tail());
}

#[test]
fn a_device_comes_back_with_a_certificate_that_has_ended_calls_and_renews() {
    if lacks(&["faketime"]) || lacks_firmware() {
        return;
    }
    let years = Years::new();
    let gateway = years.start();
    let mut board = years.enrol("p1");
    board.kill();
    drop(gateway);
    years.set_gateway(800);
    let gateway = years.start();
    // A drawer's two years later, without a clock: somebody presses.
    board.power_on();
    board.wait("started");
    board.say("press 60");
    board.wait("connected");
    wait_event(&years.home, &gateway, "the press, marked", |record| {
        record["event"].get("button").is_some() && record["certificate_ended"] == json!(true)
    });
    years.set_device(&mut board, 800);
    board.wait("renewing");
    board.wait("renewed");
    board.wait("connected");
    board.wait("renewal used");
    // What is no call for help is taken again.
    board.restart();
    board.wait("connected");
    wait_event(&years.home, &gateway, "its boot told", |record| {
        record["event"].get("started").is_some()
            && record["certificate_ended"] != json!(true)
            && record["restart"].as_u64() >= Some(3)
    });
    assert_eq!(years.certificates("p1"), (1, 2));
}

#[test]
fn a_power_cut_while_it_renews_leaves_a_certificate_that_opens_the_door() {
    if lacks(&["faketime"]) || lacks_firmware() {
        return;
    }
    let mut chance = Chance::from_environment();
    for _ in 0..4 {
        let years = Years::new();
        let gateway = years.start();
        let mut board = years.enrol("p1");
        years.set_gateway(270);
        let is_used = |board: &Board| board.lines().iter().any(|line| line == "renewal used");
        for _ in 0..3 {
            // Said at once after `connected`, and so before this is answered.
            years.set_device(&mut board, 270);
            if is_used(&board) {
                break;
            }
            match chance.below(4) {
                0 => drop(board.wait_for("a renewal under way", |line| line.starts_with("renew"))),
                1 => drop(board.wait_for("a renewal kept", |line| line == "renewed" || line == "renewal used")),
                _ => {
                    let pause = Duration::from_micros(chance.below(1_200_000));
                    #[allow(clippy::disallowed_methods, reason = "the moment of the cut is left to chance")]
                    std::thread::sleep(pause);
                }
            }
            board.restart();
            board.wait("connected");
        }
        years.set_device(&mut board, 270);
        eventually("the renewed one in use", || board.tail(), || is_used(&board).then_some(()));
        board.say("press 60");
        gateway.wait_alarm("a press", |row| row["device"] == "p1" && row["lane"] == "life");
        assert_eq!(years.certificates("p1").0, 1, "one in force");
    }
}
