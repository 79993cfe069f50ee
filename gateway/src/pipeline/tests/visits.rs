//! A technician's visit: one press of one device is a test, and nobody leaves a red line behind that is nobody's.

use serde_json::Value;

use super::*;
use crate::pipeline::visits::Wish;
use crate::rules::DeviceFacts;
use crate::rules::visit::Plan;
use crate::rules::visit::kinds::{self, Thresholds};

const FIVE_MINUTES_MS: u64 = 5 * 60_000;

fn visit_home() -> Home {
    let facts = |dty, speaks| DeviceFacts { dty, fixed: false, speaks, home: false };
    let want = |id: &str, kind: &str| (device(id), kinds::of(kind, None, Thresholds::default()));
    Home {
        devices: [(device("p1"), facts(3, false)), (device("p2"), facts(3, false)), (device("bed"), facts(12, false))]
            .into(),
        english: true,
        life_paths: [("arc".to_owned(), vec!["sips:arc".to_owned()])].into(),
        visit: Plan {
            gateway: "gw-1".into(),
            devices: [want("p1", "pendant"), want("p2", "pendant"), want("bed", "bed-sensor")].into(),
            test_receivers: vec!["arc".into()],
        },
        ..Home::default()
    }
}

impl Bench {
    /// With its devices connected and its receiver answering.
    fn visited() -> Bench {
        let mut bench = Bench::new();
        bench.home = visit_home();
        bench.kill_and_start();
        for id in ["p1", "p2", "bed"] {
            bench.publish_as(id, &format!("vaka/v1/{id}/alive"), "1");
        }
        bench.path("arc", "sips:arc", true);
        bench.clock.advance(crate::limits::VISIT_SETTLED_MS.unsigned_abs());
        bench
    }

    fn wish(&mut self, wish: Wish) -> Result<Value, String> {
        let (reply, mut answer) = oneshot::channel();
        self.keeper().run_batch(&mut vec![Input::Ask(Ask::Visit { wish, reply })]);
        answer.try_recv().expect("an answer")
    }

    fn begin_visit(&mut self) {
        self.wish(Wish::Start { by: "Ture".into() }).expect("begun");
    }

    fn arm(&mut self, id: &str) {
        self.wish(Wish::Arm { device: device(id), by: None }).expect("armed");
    }

    /// (light, words) of a line.
    fn line(&mut self, name: &str) -> (String, String) {
        let status = self.wish(Wish::Status).expect("a status");
        let lines = status["lines"].as_array().expect("lines").clone();
        let line = lines.iter().find(|line| line["line"] == name).unwrap_or_else(|| panic!("no {name} in {lines:#?}"));
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        (text("light"), text("en"))
    }

    /// Lanes of all alarms of a device, the oldest first.
    fn lanes_of(&mut self, id: &str) -> Vec<Lane> {
        let mut rows = self.rows();
        rows.retain(|row| row.device == device(id));
        rows.sort_by_key(|row| row.rungs.first().map(|step| step.at));
        rows.into_iter().map(|row| row.lane).collect()
    }

    fn event(&mut self, id: &str, seq: u64, event: &str) {
        let payload = format!(r#"{{"v":1,"restart":1,"seq":{seq},"event":{event}}}"#);
        assert_eq!(self.publish(id, &payload), PublishReason::Success);
        self.clock.advance(10);
    }

    /// All that a device has to show, but for its press and what is seen of it.
    fn measure(&mut self, id: &str) {
        let (signal_dbm, battery_percent) = (Some(-60), Some(90));
        let wish = Wish::Measured {
            device: device(id),
            by: None,
            signal_dbm,
            wired: false,
            battery_percent,
            no_battery: false,
        };
        self.wish(wish).expect("measured");
    }

    fn accept_test(&mut self, id: &str) {
        let row = self.rows().into_iter().find(|row| row.device == device(id) && row.test && row.rung < Rung::Accepted);
        let row = row.expect("a test alarm");
        self.accept(&row, 0);
    }
}

#[test]
fn the_armed_press_is_a_test_and_the_next_is_real_at_once() {
    let mut bench = Bench::visited();
    bench.begin_visit();
    bench.clock.advance(1_000);
    bench.arm("p1");
    bench.clock.advance(1_000);
    bench.press("p2", 1);
    bench.press("p1", 1);
    assert_eq!(bench.lanes_of("p2"), [Lane::Life], "another device is real");
    assert_eq!(bench.lanes_of("p1"), [Lane::Test]);
    let test = bench.rows().into_iter().find(|row| row.test).expect("a test");
    assert_eq!((test.rule.as_str(), test.cause.as_str()), ("visit", "visit-test"));
    bench.clock.advance(1_000);
    bench.press("p1", 2);
    assert_eq!(
        bench.lanes_of("p1"),
        [Lane::Test, Lane::Life],
        "the second press is a call for help, and joins no test"
    );
    let (disk, memory) = bench.disk_and_memory();
    assert_eq!(disk, memory);
    bench.kill_and_start();
    assert_eq!(bench.lanes_of("p1"), [Lane::Test, Lane::Life]);
    assert_eq!(bench.line("p1/press").0, "red", "not accepted yet");
}

#[test]
fn after_five_minutes_or_a_restart_or_another_arming_every_press_is_real() {
    let mut bench = Bench::visited();
    bench.begin_visit();
    bench.arm("p1");
    bench.clock.advance(FIVE_MINUTES_MS - 1);
    bench.press("p1", 1);
    assert_eq!(bench.lanes_of("p1"), [Lane::Test], "the last moment");
    bench.arm("p2");
    bench.clock.advance(FIVE_MINUTES_MS);
    bench.press("p2", 1);
    assert_eq!(bench.lanes_of("p2"), [Lane::Life], "too late");

    let mut bench = Bench::visited();
    bench.begin_visit();
    bench.arm("p1");
    bench.arm("p2");
    bench.press("p1", 1);
    assert_eq!(bench.lanes_of("p1"), [Lane::Life], "one device at a time");
    bench.kill_and_start();
    bench.press("p2", 1);
    assert_eq!(bench.lanes_of("p2"), [Lane::Life], "a power cut ends it");
}

#[test]
fn what_is_not_the_devices_own_trigger_stays_what_it_is() {
    let mut bench = Bench::visited();
    bench.begin_visit();
    bench.arm("p1");
    bench.event("p1", 1, r#"{"fall":{}}"#);
    bench.event("p1", 2, r#"{"battery":{"low":true}}"#);
    bench.press("p1", 3);
    assert_eq!(
        bench.lanes_of("p1"),
        [Lane::Life, Lane::Technical, Lane::Life],
        "somebody has fallen: no press is a test now"
    );
    // A sensor that raises nothing by itself is tried all the same.
    bench.arm("bed");
    bench.event("bed", 1, r#"{"bed":{"occupied":true}}"#);
    bench.event("bed", 2, r#"{"bed":{"occupied":false}}"#);
    assert_eq!(bench.lanes_of("bed"), [Lane::Test]);
}

#[test]
fn a_press_that_was_made_before_is_real_whenever_it_comes() {
    let mut bench = Bench::visited();
    bench.begin_visit();
    bench.clock.advance(60_000);
    let before = crate::clock::Clock::now(bench.clock.as_ref()).wall_ms - 10_000;
    bench.arm("p1");
    let stamped =
        |seq: u64, at: i64| format!(r#"{{"v":1,"restart":1,"seq":{seq},"at":{at},"event":{{"button":{{}}}}}}"#);
    bench.publish("p1", &stamped(1, before));
    assert_eq!(bench.lanes_of("p1"), [Lane::Life]);

    // Without a time of its own, from a device that was away: it may have waited there.
    let mut bench = Bench::visited();
    bench.begin_visit();
    bench.publish_as("p2", "vaka/v1/p2/alive", "0");
    bench.arm("p2");
    bench.publish_as("p2", "vaka/v1/p2/alive", "1");
    bench.press("p2", 1);
    assert_eq!(bench.lanes_of("p2"), [Lane::Life]);
    // With one it counts, connected or not.
    bench.arm("p1");
    bench.publish_as("p1", "vaka/v1/p1/alive", "0");
    bench.publish_as("p1", "vaka/v1/p1/alive", "1");
    let now = crate::clock::Clock::now(bench.clock.as_ref()).wall_ms;
    bench.publish("p1", &stamped(1, now));
    assert_eq!(bench.lanes_of("p1"), [Lane::Test]);
}

#[test]
fn what_had_waited_in_a_device_without_a_clock_is_real_also_where_its_connection_was_taken_over() {
    // Taken over without a word: who is connected stays connected.
    let settled_ms = crate::limits::VISIT_SETTLED_MS.unsigned_abs();
    for (ago_ms, lane) in [(0, Lane::Life), (settled_ms - 1, Lane::Life), (settled_ms, Lane::Test)] {
        let mut bench = Bench::visited();
        bench.begin_visit();
        bench.clock.advance(60_000);
        bench.since_ms = crate::clock::Clock::now(bench.clock.as_ref()).mono_ms;
        bench.clock.advance(ago_ms);
        bench.arm("p1");
        bench.press("p1", 1);
        assert_eq!(bench.lanes_of("p1"), [lane], "connected {ago_ms} ms before it was armed");
    }
    let mut bench = Bench::visited();
    bench.begin_visit();
    bench.arm("p1");
    bench.clock.advance(1_000);
    bench.since_ms = crate::clock::Clock::now(bench.clock.as_ref()).mono_ms;
    bench.press("p1", 1);
    assert_eq!(bench.lanes_of("p1"), [Lane::Life], "connected after it was armed");
}

#[test]
fn what_tcp_brings_late_is_real_where_the_device_says_how_long_it_had_run() {
    let ran = |seq: u64, uptime_ms: u64, event: &str| {
        format!(r#"{{"v":1,"restart":1,"seq":{seq},"uptime_ms":{uptime_ms},"event":{event}}}"#)
    };
    for (uptime_ms, lane) in [(19_999, Lane::Life), (20_000, Lane::Test), (24_000, Lane::Test)] {
        let mut bench = Bench::visited();
        bench.begin_visit();
        bench.publish("p1", &ran(1, 10_000, r#"{"alive":{}}"#));
        bench.clock.advance(10_000);
        bench.arm("p1");
        bench.clock.advance(4_000);
        bench.publish("p1", &ran(2, uptime_ms, r#"{"button":{}}"#));
        assert_eq!(bench.lanes_of("p1"), [lane], "made {uptime_ms} ms after its start, armed at 20000");
    }
    // What its uptime says of another boot of its is nothing.
    let mut bench = Bench::visited();
    bench.begin_visit();
    bench.publish("p1", &ran(1, 10_000, r#"{"alive":{}}"#));
    bench.arm("p1");
    bench.clock.advance(4_000);
    bench.publish("p1", &ran(1, 500, r#"{"button":{}}"#).replace(r#""restart":1"#, r#""restart":2"#));
    assert_eq!(bench.lanes_of("p1"), [Lane::Test]);
}

#[test]
fn no_test_is_armed_while_the_residents_own_alarm_is_open() {
    let mut bench = Bench::visited();
    bench.press("p1", 1);
    bench.begin_visit();
    let why = bench.wish(Wish::Arm { device: device("p1"), by: None }).expect_err("refused");
    assert!(why.contains("open alarm"), "{why}");
    let why = bench.wish(Wish::Arm { device: device("p9"), by: None }).expect_err("unknown");
    assert!(why.contains("there are: bed, p1, p2"), "{why}");
}

#[test]
fn a_visit_finishes_when_every_line_is_green_or_somebodys_and_never_before() {
    let mut bench = Bench::visited();
    assert!(bench.wish(Wish::Finish { by: None }).expect_err("none").contains("no visit is open"));
    bench.begin_visit();
    let refused = bench.wish(Wish::Start { by: "Ulla".into() }).expect_err("one at a time");
    assert!(refused.contains("Ture began"), "{refused}");
    for id in ["p1", "p2", "bed"] {
        bench.measure(id);
    }
    for (id, seq) in [("p1", 1), ("bed", 1)] {
        bench.arm(id);
        bench.clock.advance(2_000);
        let event = if id == "bed" { r#"{"bed":{"occupied":true}}"# } else { r#"{"button":{}}"# };
        bench.event(id, seq, event);
        bench.accept_test(id);
    }
    let early = bench.wish(Wish::Seen { device: device("p2"), by: None }).expect_err("nothing to see yet");
    assert!(early.contains("nothing to answer yet"), "{early}");
    bench.wish(Wish::Seen { device: device("p1"), by: None }).expect("seen");
    bench.kill_and_start();
    assert_eq!(bench.line("p1/press").0, "green", "a restart forgets nothing");

    let why = bench.wish(Wish::Finish { by: None }).expect_err("p2 was never pressed");
    let named: Vec<&str> = why.lines().skip(1).filter_map(|line| line.split(':').next()).collect();
    assert_eq!(named, ["p2/heard", "p2/press", "p2/seen"], "{why}");

    let hand = |line: &str| Wish::HandOver {
        line: line.into(),
        reason: "the resident is away with it".into(),
        to: "Ulla, 26 November".into(),
        by: None,
    };
    assert!(bench.wish(hand("p1/press")).expect_err("green").contains("not red"));
    assert!(bench.wish(hand("p3/press")).expect_err("unknown").contains("p2/press"));
    for line in ["p2/heard", "p2/press", "p2/seen"] {
        bench.wish(hand(line)).expect("handed over");
    }
    let handed = bench.rows().into_iter().find(|row| row.cause == "handed-over press").expect("a technical alarm");
    assert_eq!((handed.lane, handed.device.as_str()), (Lane::Technical, "p2"));
    bench.wish(Wish::Finish { by: None }).expect("finished");

    let rows = bench.rows();
    assert!(rows.iter().filter(|row| row.test).all(|row| row.rung == Rung::Closed), "tests are put away");
    assert!(rows.iter().any(|row| row.id == handed.id && row.rung < Rung::Closed), "what is handed over stays open");
    bench.act(&handed, ActWhat::Close, "Ulla").expect("a person closes it");

    bench.kill_and_start();
    let protocol = bench.wish(Wish::Protocol).expect("kept");
    assert_eq!((protocol["finished_by"].as_str(), protocol["gateway"].as_str()), (Some("Ture"), Some("gw-1")));
    let p1 = protocol["devices"].as_array().and_then(|all| all.iter().find(|row| row["device"] == "p1")).expect("p1");
    assert_eq!(
        (p1["signal"]["worst_dbm"].as_i64(), p1["press"]["receiver"].as_str()),
        (Some(-60), Some("larmcentral"))
    );
    let status = bench.wish(Wish::Status).expect("a status");
    assert!(status["open"].is_null() && status["lines"].as_array().is_some_and(Vec::is_empty), "{status}");
    let (disk, memory) = bench.disk_and_memory();
    assert_eq!(disk, memory);
}

#[test]
fn the_worst_of_what_a_device_measures_counts_and_one_probe_is_not_enough() {
    let mut bench = Bench::visited();
    bench.event("p1", 1, r#"{"signal":{"rssi_dbm":-99}}"#);
    bench.begin_visit();
    assert_eq!(bench.line("p1/signal"), ("red".into(), "Not measured. Measure at its place.".into()));
    for (seq, dbm) in [(2, -60), (3, -70)] {
        bench.event("p1", seq, &format!(r#"{{"signal":{{"rssi_dbm":{dbm}}}}}"#));
    }
    assert!(bench.line("p1/signal").1.contains("2 of 3"));
    bench.event("p1", 4, r#"{"signal":{"rssi_dbm":-65}}"#);
    assert_eq!(
        bench.line("p1/signal"),
        ("green".into(), "-70 dBm at worst (the device's own probes), -75 at least.".into())
    );
    bench.event("p1", 5, r#"{"signal":{"rssi_dbm":-80}}"#);
    assert_eq!(bench.line("p1/signal").0, "red");
    // Moved, and measured at its new place: what was before counts no longer.
    bench.measure("p1");
    assert_eq!(bench.line("p1/signal").0, "green");
    bench.event("p1", 6, r#"{"battery":{"percent":30}}"#);
    assert!(bench.line("p1/battery").1.contains("30 %"));
    bench.event("p1", 7, r#"{"battery":{"percent":80}}"#);
    assert_eq!(bench.line("p1/battery").0, "green");
}

#[test]
fn mains_has_to_be_seen_to_go_and_come_where_anything_tells_of_it() {
    let mut bench = Bench::visited();
    bench.begin_visit();
    assert_eq!(bench.line("gateway/mains").0, "yellow");
    bench.event("bed", 1, r#"{"mains":{"on":true}}"#);
    assert_eq!(bench.line("gateway/mains").0, "red");
    bench.event("bed", 2, r#"{"mains":{"on":false}}"#);
    assert!(bench.line("gateway/mains").1.contains("Switch it on"));
    bench.event("bed", 3, r#"{"mains":{"on":true}}"#);
    assert_eq!(bench.line("gateway/mains").0, "green");
    bench.path("arc", "sips:arc", false);
    assert_eq!(bench.line("gateway/paths").0, "red");
}

#[test]
fn a_visit_that_is_left_open_is_told_once_after_a_day_and_over_when_it_is_finished() {
    let mut bench = Bench::visited();
    bench.begin_visit();
    bench.clock.advance(24 * 3_600_000 - 1);
    let told = |bench: &mut Bench| bench.rows().into_iter().filter(|row| row.device == device("visit-open")).count();
    assert_eq!(told(&mut bench), 0);
    bench.clock.advance(1);
    bench.keeper().run_batch(&mut Vec::new());
    assert_eq!(told(&mut bench), 1);
    let row = bench.rows().into_iter().find(|row| row.device == device("visit-open")).expect("told");
    bench.act(&row, ActWhat::Close, "Ulla").expect("closed");
    bench.kill_and_start();
    bench.keeper().run_batch(&mut Vec::new());
    assert_eq!(told(&mut bench), 1, "closed by a person: not told again");
}

#[test]
fn a_device_that_was_replaced_has_to_ring_through_again() {
    let mut bench = Bench::visited();
    bench.press("p1", 1);
    let row = bench.rows().remove(0);
    assert!(bench.keeper().state().visits.proof(&device("p1")).is_none(), "not accepted yet");
    bench.accept(&row, 0);
    assert!(bench.keeper().state().visits.proof(&device("p1")).is_some());
    let peer = Peer { device: device("p1"), enrolment: 2, serial: String::new(), not_after: i64::MAX };
    let payload = br#"{"v":1,"restart":1,"seq":1,"event":{"alive":{}}}"#.to_vec();
    let admitted = admission::admit(&peer, &bench.roster, "vaka/v1/p1/event", payload, false);
    bench.keeper().run_batch(&mut vec![Input::Submission(admitted.submission)]);
    assert!(bench.keeper().state().visits.proof(&device("p1")).is_none(), "the new one has never rung through");
    // The one before it is still about: its word proves nothing for the new one.
    bench.event("p1", 2, r#"{"alive":{}}"#);
    assert!(bench.keeper().state().visits.proof(&device("p1")).is_none());
}

#[test]
fn a_device_that_is_replaced_during_a_visit_is_tried_anew() {
    let mut bench = Bench::visited();
    bench.begin_visit();
    bench.measure("p1");
    bench.arm("p1");
    bench.press("p1", 1);
    bench.accept_test("p1");
    assert_eq!((bench.line("p1/press").0, bench.line("p1/signal").0), ("green".into(), "green".into()));
    let peer = Peer { device: device("p1"), enrolment: 2, serial: String::new(), not_after: i64::MAX };
    let payload = br#"{"v":1,"restart":1,"seq":1,"event":{"alive":{}}}"#.to_vec();
    let admitted = admission::admit(&peer, &bench.roster, "vaka/v1/p1/event", payload, false);
    bench.keeper().run_batch(&mut vec![Input::Submission(admitted.submission)]);
    assert_eq!((bench.line("p1/press").0, bench.line("p1/signal").0), ("red".into(), "red".into()));
    let why = bench.wish(Wish::Finish { by: None }).expect_err("red lines");
    assert!(why.contains("p1/press"), "{why}");
}
