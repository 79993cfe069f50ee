//! The pipeline without sockets: what the keeper does with inputs, and that the disk says the same as its memory.

mod acts;
mod ageing;
mod doses;
mod fleet;
mod hub_looks;
mod kept;
mod keys;
mod looks;
mod paths;
mod rounds;
mod updates;
mod visits;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;
use tokio::sync::{mpsc, oneshot};
use vaka_protocol::{AlarmId, DeviceId, Lane, Rung};

use self::paths::{FIBRE, MOBILE, home_with_lamp};
use super::keeper::{Ask, Input, Keeper};
use super::restore;
use super::view::{AlarmRow, Labels};
use crate::clock::{Clock, ManualClock};
use crate::dispatch::Report;
use crate::ingest::roster::{Listed, Peer, Roster};
use crate::ingest::{PublishReason, ToSession, What, admission};
use crate::journal::record::{Act, ActWhat, CloseOutcome, EventRecord, Record};
use crate::journal::{Journal, Options, Stamp};
use crate::limits;
use crate::rules::Home;
use crate::rules::care::agreed::Agreed;

const SIZE_MAX_BYTES: u64 = 64 * 1024 * 1024;

struct Bench {
    _dir: tempfile::TempDir,
    journal: PathBuf,
    labels: Labels,
    clock: Arc<ManualClock>,
    keeper: Option<Keeper>,
    roster: Roster,
    home: Home,
    agreed: Arc<Agreed>,
    /// When the connections of all devices began, by the running clock.
    since_ms: u64,
}

fn device(name: &str) -> DeviceId {
    DeviceId::try_from(name).expect("a valid id")
}

impl Bench {
    fn new() -> Self {
        let names = ["p1", "p2", "bed", "disp", "z2m"];
        let listed = |name: &&str| (device(name), Listed { bridge: **name == *"z2m", home: false });
        let roster = Roster { devices: names.iter().map(listed).collect(), ..Roster::default() };
        let dir = tempfile::tempdir().expect("a temporary folder");
        let clock = Arc::new(ManualClock::new(1_795_000_000_000));
        let (home, agreed, labels) = (Home::default(), Arc::default(), Labels::default());
        let journal = dir.path().join("journal");
        let mut bench = Self { _dir: dir, journal, labels, clock, keeper: None, roster, home, agreed, since_ms: 0 };
        bench.start();
        bench
    }

    fn dir(&self) -> &Path {
        &self.journal
    }

    fn start(&mut self) {
        let restored = restore::open(self.dir(), SIZE_MAX_BYTES).expect("the journal opens");
        let mut keeper = Keeper::new(restored, self.home.clone(), self.labels.clone(), self.clock.clone(), None);
        keeper.agree(self.agreed.clone());
        keeper.begin();
        self.keeper = Some(keeper);
    }

    /// As after a kill: nothing is saved beyond what was committed.
    fn kill_and_start(&mut self) {
        self.keeper = None;
        self.start();
    }

    fn stop_and_start(&mut self) {
        if let Some(keeper) = self.keeper.take() {
            keeper.finish();
        }
        self.start();
    }

    fn keeper(&mut self) -> &mut Keeper {
        self.keeper.as_mut().expect("started")
    }

    fn publish_as(&mut self, from: &str, topic: &str, payload: &str) -> PublishReason {
        let peer = Peer { device: device(from), enrolment: 1, serial: String::new(), not_after: i64::MAX };
        let mut admitted = admission::admit(&peer, &self.roster, topic, payload.as_bytes().to_vec(), false);
        let (replies, mut answers) = mpsc::unbounded_channel();
        admitted.submission.since_ms = Some(self.since_ms);
        admitted.submission.reply = Some((replies, 7));
        self.keeper().run_batch(&mut vec![Input::Submission(admitted.submission)]);
        match answers.try_recv() {
            Ok(ToSession::Answers { first: 7, count: 1, reason: PublishReason::Success }) => admitted.reason,
            Ok(ToSession::Answers { first: 7, count: 1, reason }) => reason,
            other => panic!("no answer but {other:?}"),
        }
    }

    fn publish(&mut self, from: &str, payload: &str) -> PublishReason {
        let topic = format!("vaka/v1/{from}/event");
        self.publish_as(from, &topic, payload)
    }

    fn press(&mut self, from: &str, seq: u64) -> PublishReason {
        self.publish(from, &format!(r#"{{"v":1,"restart":1,"seq":{seq},"event":{{"button":{{"press":"short"}}}}}}"#))
    }

    fn rows(&mut self) -> Vec<AlarmRow> {
        let (reply, mut answer) = oneshot::channel();
        self.keeper().run_batch(&mut vec![Input::Ask(Ask::Alarms { all: true, reply })]);
        answer.try_recv().expect("rows")
    }

    fn act(&mut self, row: &AlarmRow, act: ActWhat, by: &str) -> Result<AlarmRow, String> {
        let (reply, mut answer) = oneshot::channel();
        let act = Act::new(row.id.clone(), act, by.into(), String::new());
        self.keeper().run_batch(&mut vec![Input::Ask(Ask::Act { act, reply })]);
        answer.try_recv().expect("an answer")
    }

    fn accept(&mut self, row: &AlarmRow, notice: u32) {
        for rung in [Rung::Sent, Rung::Received, Rung::Accepted] {
            let report = Report::Rung {
                alarm: row.id.clone(),
                notice,
                rung,
                receiver: "larmcentral".into(),
                path: "tcp".into(),
                detail: String::new(),
                last: rung == Rung::Accepted,
            };
            self.keeper().run_batch(&mut vec![Input::Report(report)]);
        }
    }

    /// A path of the receiver is lost or back.
    fn path(&mut self, receiver: &str, path: &str, up: bool) {
        let (receiver, path, detail) = (receiver.to_owned(), path.to_owned(), String::new());
        self.keeper().run_batch(&mut vec![Input::Report(Report::Path { receiver, path, up, detail })]);
    }

    fn owed(&mut self) -> usize {
        self.keeper().state().alarms.owed().count()
    }

    /// What the disk folds to, and what memory holds, as bytes.
    fn disk_and_memory(&mut self) -> (Vec<u8>, Vec<u8>) {
        let disk = restore::read_only(self.dir()).expect("readable");
        let bytes = |state| minicbor_serde::to_vec(state).expect("serialises");
        let memory = bytes(self.keeper().state());
        (bytes(&disk), memory)
    }
}

#[test]
fn a_press_raises_once_and_a_retransmission_never_again() {
    let mut bench = Bench::new();
    assert_eq!(bench.press("p1", 1), PublishReason::Success);
    assert_eq!(bench.press("p1", 1), PublishReason::Success);
    bench.kill_and_start();
    assert_eq!(bench.press("p1", 1), PublishReason::Success);
    let rows = bench.rows();
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].count, rows[0].lane, rows[0].cause.as_str()), (1, Lane::Life, "button"));
}

#[test]
fn presses_join_until_a_person_has_the_alarm_and_are_told_each_time() {
    let mut bench = Bench::new();
    bench.press("p1", 1);
    let row = bench.rows().remove(0);
    bench.accept(&row, 0);
    assert_eq!(bench.owed(), 0);
    bench.press("p1", 2);
    bench.press("p2", 1);
    assert_eq!(bench.owed(), 2, "the second press of p1 and the first of p2");
    assert_eq!(bench.rows().iter().map(|row| row.count).max(), Some(2));
    bench.act(&row, ActWhat::Claim, "anna").expect("claimed");
    assert_eq!(bench.owed(), 1, "a person has p1's alarm");
    bench.press("p1", 3);
    assert_eq!(bench.rows().len(), 3, "a press after the claim is a new alarm");
}

#[test]
fn only_one_person_has_an_alarm_and_nobody_closes_it_twice() {
    let mut bench = Bench::new();
    bench.press("p1", 1);
    let row = bench.rows().remove(0);
    bench.act(&row, ActWhat::Claim, "anna").expect("claimed");
    let refused = bench.act(&row, ActWhat::Claim, "bo").expect_err("taken");
    assert!(refused.contains("taken by anna"), "{refused}");
    assert_eq!(bench.act(&row, ActWhat::Close, "anna").expect("closed").rung, Rung::Closed);
    assert!(bench.act(&row, ActWhat::Close, "anna").expect_err("closed already").contains("closed by anna"));
    bench.press("p1", 2);
    assert_eq!(bench.rows().len(), 2, "closing mutes nothing");
}

#[test]
fn what_an_alarm_came_to_stands_in_the_record_of_its_close_and_survives_a_restart() {
    let mut bench = Bench::new();
    bench.press("p1", 1);
    bench.press("p2", 1);
    for (row, outcome) in bench.rows().iter().zip([Some(CloseOutcome::False), None]) {
        let act = Act::new(row.id.clone(), ActWhat::Close, "anna".into(), String::new());
        let (reply, mut answer) = oneshot::channel();
        bench.keeper().run_batch(&mut vec![Input::Ask(Ask::Act { act: Act { outcome, ..act }, reply })]);
        assert_eq!(answer.try_recv().expect("an answer").expect("closed").outcome, outcome);
    }
    let came_to = |bench: &mut Bench| bench.rows().iter().map(|row| row.outcome).collect::<Vec<_>>();
    assert_eq!(came_to(&mut bench), [Some(CloseOutcome::False), None]);
    bench.kill_and_start();
    assert_eq!(came_to(&mut bench), [Some(CloseOutcome::False), None]);
    let (disk, memory) = bench.disk_and_memory();
    assert_eq!(disk, memory);
}

#[test]
fn an_act_of_an_older_gateway_is_read_and_one_without_an_outcome_is_written_as_then() {
    let act = Act::new(AlarmId::try_from("a1").expect("an id"), ActWhat::Close, "anna".into(), "well".into());
    let mut bytes = Vec::new();
    Record::Act(act.clone()).encode_into(&mut bytes);
    let older = b"\xa4\x65alarm\x62a1\x63act\x65close\x62by\x64anna\x64note\x64well";
    assert_eq!(bytes, older, "{bytes:02x?}");
    assert_eq!(Record::decode(8, older).expect("an act"), Record::Act(act));
}

#[test]
fn a_press_of_a_device_whose_clock_is_behind_is_a_press_of_now() {
    let mut bench = Bench::new();
    let alive = |bench: &mut Bench| bench.publish_as("p1", "vaka/v1/p1/alive", "1");
    let press = |bench: &mut Bench, seq: u64| {
        let at = bench.clock.now().wall_ms - 7_200_000;
        let event = format!(r#"{{"v":1,"restart":1,"seq":{seq},"at":{at},"event":{{"button":{{}}}}}}"#);
        bench.publish("p1", &event);
    };
    alive(&mut bench);
    bench.clock.advance(60_000);
    press(&mut bench, 1);
    let raised =
        |bench: &mut Bench| bench.keeper().state().alarms.open().map(|alarm| alarm.raise.clone()).collect::<Vec<_>>();
    let first = raised(&mut bench).remove(0);
    assert!(first.delayed && !first.clock_suspect, "just connected: it may have waited for that");
    let row = bench.rows().remove(0);
    bench.act(&row, ActWhat::Close, "anna").expect("closed");
    bench.clock.advance(900_000);
    for seq in [2, 3] {
        press(&mut bench, seq);
        let raise = raised(&mut bench).remove(0);
        assert_eq!((raise.happened_at, raise.delayed, raise.clock_suspect), (bench.clock.now().wall_ms, false, true));
        let row = bench.rows().remove(0);
        bench.act(&row, ActWhat::Close, "anna").expect("closed");
        bench.kill_and_start();
        // After a restart it has just connected again; that its clock is behind is known.
        alive(&mut bench);
    }
    let (disk, memory) = bench.disk_and_memory();
    assert_eq!(disk, memory);
}

#[test]
fn a_cancel_is_passed_on_and_hides_nothing() {
    let mut bench = Bench::new();
    bench.publish("p1", r#"{"v":1,"restart":1,"seq":9,"event":{"cancel":{}}}"#);
    assert!(bench.rows().is_empty());
    bench.press("p1", 10);
    bench.publish("p1", r#"{"v":1,"restart":1,"seq":11,"event":{"cancel":{}}}"#);
    assert_eq!(bench.rows().len(), 1);
    assert_eq!(bench.owed(), 2);
}

#[test]
fn one_number_for_two_events_keeps_both_and_says_so() {
    let mut bench = Bench::new();
    bench.press("p1", 1);
    bench.publish("p1", r#"{"v":1,"restart":1,"seq":1,"event":{"fall":{}}}"#);
    let causes: Vec<String> = bench.rows().into_iter().map(|row| row.cause).collect();
    assert_eq!(causes, ["fall", "button", "number-reused"]);
}

#[test]
fn what_lasts_is_counted_and_told_once_and_its_end_is_told() {
    let mut bench = Bench::new();
    for seq in 1..=5 {
        bench.publish("p1", &format!(r#"{{"v":1,"restart":1,"seq":{seq},"event":{{"battery":{{"low":true}}}}}}"#));
    }
    assert_eq!(bench.rows()[0].count, 5);
    assert_eq!(bench.owed(), 1);
    for seq in 6..=8 {
        bench.publish("p1", &format!(r#"{{"v":1,"restart":1,"seq":{seq},"event":{{"battery":{{"low":false}}}}}}"#));
    }
    assert_eq!(bench.owed(), 2);
    assert_eq!(bench.rows().len(), 1, "rules close nothing");
}

#[test]
fn bad_input_is_kept_and_answered_with_its_reason() {
    let mut bench = Bench::new();
    assert_eq!(bench.publish("p1", "no json"), PublishReason::PayloadFormatInvalid);
    assert_eq!(bench.publish_as("p1", "vaka/v1/p2/event", "{}"), PublishReason::NotAuthorized);
    assert_eq!(bench.publish_as("p1", "vaka/v1/p1/command", "{}"), PublishReason::NotAuthorized);
    assert_eq!(bench.publish_as("p1", "zigbee2mqtt/x", "{}"), PublishReason::NotAuthorized);
    let rows = bench.rows();
    assert_eq!((rows.len(), rows[0].count, rows[0].lane), (1, 4, Lane::Technical));
}

#[test]
fn an_unlisted_device_behind_a_bridge_still_raises_its_alarm() {
    let mut bench = Bench::new();
    let reason = bench.publish_as("z2m", "zigbee2mqtt/Kök Brand", r#"{"smoke":true,"battery":77,"linkquality":5}"#);
    assert_eq!(reason, PublishReason::Success);
    let rows = bench.rows();
    assert_eq!((rows[0].lane, rows[0].cause.as_str()), (Lane::Life, "smoke"));
}

#[test]
fn an_event_whose_decision_the_power_cut_took_is_judged_at_the_next_start() {
    let mut bench = Bench::new();
    bench.keeper = None;
    {
        let (mut journal, _) = Journal::open(bench.dir(), Options::default()).expect("opens");
        let payload = br#"{"v":1,"restart":1,"seq":1,"event":{"button":{}}}"#.to_vec();
        let event = EventRecord {
            device: device("p1"),
            enrolment: 1,
            restart: 1,
            seq: 1,
            assigned: false,
            conflict: false,
            has_ended: false,
            via: None,
            payload: payload.into(),
        };
        journal.append(&Record::Event(event), Lane::Life, Stamp { mono_ms: 0, wall_ms: 1_795_000_000_000 });
        journal.commit().expect("committed");
    }
    bench.start();
    assert_eq!(bench.rows().len(), 1);
    bench.kill_and_start();
    bench.kill_and_start();
    assert_eq!(bench.rows().len(), 1, "judged once");
    assert_eq!(bench.rows()[0].count, 1);
}

#[test]
fn receipts_wait_for_the_device_until_done_or_expiry() {
    let mut bench = Bench::new();
    bench.press("p1", 1);
    let row = bench.rows().remove(0);
    bench.accept(&row, 0);
    let owed = |bench: &mut Bench| -> Vec<u64> {
        let now = crate::clock::Clock::now(bench.clock.as_ref()).wall_ms;
        bench.keeper().state().commands.owed(&device("p1"), now).map(|command| command.id).collect()
    };
    let waiting = owed(&mut bench);
    assert_eq!(waiting.len(), 1, "the highest rung alone");
    bench.kill_and_start();
    assert_eq!(owed(&mut bench), waiting);
    bench.publish("p1", &format!(r#"{{"v":1,"restart":1,"seq":2,"event":{{"done":{{"id":{}}}}}}}"#, waiting[0]));
    assert!(owed(&mut bench).is_empty());
    bench.press("p1", 3);
    bench.clock.advance(crate::limits::RECEIPT_EXPIRES_MS as u64 + 1);
    assert!(owed(&mut bench).is_empty(), "expired");
}

#[test]
fn an_assigned_number_is_never_taken_for_a_devices_own() {
    let mut bench = Bench::new();
    bench.publish("p1", r#"{"v":1,"event":{"button":{}}}"#);
    let row = bench.rows().remove(0);
    bench.act(&row, ActWhat::Close, "anna").expect("closed");
    for seq in 0..8 {
        bench.press("p1", seq);
    }
    assert_eq!(bench.rows()[0].count, 8, "every numbered press is heard");
}

#[test]
fn a_number_used_again_after_it_was_forgotten_is_another_alarm() {
    let mut bench = Bench::new();
    bench.press("p1", 1);
    let row = bench.rows().remove(0);
    bench.act(&row, ActWhat::Close, "anna").expect("closed");
    // The same number with other bytes: as far as alarms go, the same as a forgotten one.
    bench.publish("p1", r#"{"v":1,"restart":1,"seq":1,"event":{"button":{"press":"long"}}}"#);
    assert!(bench.rows().iter().any(|row| row.cause == "button" && row.rung < Rung::Closed));
}

#[test]
fn words_nobody_knows_are_one_alarm_however_many_they_are() {
    let mut bench = Bench::new();
    for n in 0..50 {
        bench.publish("p1", &format!(r#"{{"v":1,"event":{{"x{n}":{{}}}}}}"#));
    }
    assert_eq!(bench.rows().len(), 1);
    assert_eq!(bench.rows()[0].count, 50);
}

#[test]
fn a_claimed_technical_alarm_does_not_mute_the_next_one() {
    let mut bench = Bench::new();
    let battery = |bench: &mut Bench, seq: u64, low: bool| {
        bench.publish("p1", &format!(r#"{{"v":1,"restart":1,"seq":{seq},"event":{{"battery":{{"low":{low}}}}}}}"#))
    };
    battery(&mut bench, 1, true);
    let row = bench.rows().remove(0);
    bench.act(&row, ActWhat::Claim, "anna").expect("claimed");
    battery(&mut bench, 2, true);
    assert_eq!(bench.rows().len(), 1, "the same low battery");
    battery(&mut bench, 3, false);
    battery(&mut bench, 4, true);
    assert_eq!(bench.rows().len(), 2, "low again after it was good");
}

#[test]
fn a_press_that_nobody_has_accepted_yet_holds_the_row_back() {
    let mut bench = Bench::new();
    bench.press("p1", 1);
    let row = bench.rows().remove(0);
    bench.accept(&row, 0);
    assert_eq!(bench.rows()[0].rung, Rung::Accepted);
    bench.press("p1", 2);
    assert_eq!(bench.rows()[0].rung, Rung::Stored);
}

#[test]
fn a_button_behind_a_bridge_calls_when_it_was_enrolled_to() {
    let mut bench = Bench::new();
    bench.roster.behind.entry(device("z2m")).or_default().insert("hall".into(), device("hall-button"));
    let press = r#"{"action":"single","battery":90}"#;
    bench.publish_as("z2m", "zigbee2mqtt/hall", press);
    assert_eq!(bench.rows()[0].lane, Lane::Technical, "a person has to say what it is");
    bench.roster.callers.insert(device("hall-button"));
    bench.publish_as("z2m", "zigbee2mqtt/hall", press);
    assert_eq!((bench.rows()[0].lane, bench.rows()[0].cause.as_str()), (Lane::Life, "button"));
    bench.kill_and_start();
    let (disk, memory) = bench.disk_and_memory();
    assert_eq!(disk, memory);
}

#[test]
fn a_bridge_is_heard_by_what_it_passes_on_and_by_its_own_state() {
    let mut bench = Bench::new();
    let bridge = device("z2m");
    bench.roster.behind.entry(bridge.clone()).or_default().insert("hall".into(), device("hall-motion"));
    let payload = r#"{"battery":97,"illuminance":12,"linkquality":87,"occupancy":true,"voltage":3000}"#;
    bench.publish_as("z2m", "zigbee2mqtt/hall", payload);
    let known = |bench: &mut Bench| bench.keeper().state().care.facts.get(&device("z2m")).cloned().expect("heard");
    let first = known(&mut bench);
    assert!(first.heard.is_some() && first.online.is_none());
    // Its own words are no device's, and none of a device that is called so.
    bench.publish_as("z2m", "zigbee2mqtt/bridge/state", r#"{"state":"online"}"#);
    assert_eq!(known(&mut bench).online, Some(true));
    bench.publish_as("z2m", "zigbee2mqtt/bridge/state", "offline");
    assert_eq!(known(&mut bench).online, Some(false));
    assert!(!bench.keeper().state().devices[&bridge].online);
    assert!(!bench.keeper().state().devices.contains_key(&device("bridge")));
    bench.publish_as("z2m", "zigbee2mqtt/hall", payload);
    assert_eq!(known(&mut bench).online, Some(true), "what passes something on is here");
    bench.kill_and_start();
    let (disk, memory) = bench.disk_and_memory();
    assert_eq!(disk, memory);
}

#[test]
fn a_bridge_does_not_speak_for_a_device_with_a_certificate_of_its_own() {
    let mut bench = Bench::new();
    bench.publish("p1", r#"{"v":1,"restart":1,"seq":1,"event":{"smoke":{}}}"#);
    bench.publish_as("z2m", "zigbee2mqtt/p1", r#"{"smoke":false}"#);
    assert_eq!(bench.owed(), 1, "p1's smoke is not over");
}

#[test]
fn what_was_sent_again_under_a_number_used_twice_is_known() {
    let mut bench = Bench::new();
    let fall = r#"{"v":1,"restart":1,"seq":1,"event":{"fall":{}}}"#;
    for _ in 0..3 {
        bench.press("p1", 1);
        bench.publish("p1", fall);
    }
    assert!(bench.rows().iter().all(|row| row.count == 1), "{:?}", bench.rows());
}

#[test]
fn a_will_and_a_subscription_change_no_alarm() {
    let mut bench = Bench::new();
    assert_eq!(bench.publish_as("p1", "vaka/v1/p1/alive", "0"), PublishReason::Success);
    let (replies, _) = mpsc::unbounded_channel();
    let submission = crate::ingest::Submission {
        device: device("p1"),
        enrolment: 1,
        lane: Lane::Telemetry,
        what: What::Listening(replies),
        has_ended: false,
        since_ms: None,
        for_many: false,
        reply: None,
    };
    bench.keeper().run_batch(&mut vec![Input::Submission(submission)]);
    assert!(bench.rows().is_empty());
    assert!(!bench.keeper().state().devices[&device("p1")].online);
}

#[test]
fn a_flood_is_refused_beyond_its_share_told_once_and_over_when_it_ends() {
    let mut bench = Bench::new();
    let pad = "x".repeat(15_000);
    let mut seq = 0;
    let mut send = |bench: &mut Bench, restart: u32| {
        seq += 1;
        let payload = format!(r#"{{"v":1,"restart":{restart},"seq":{seq},"event":{{"motion":{{"pad":"{pad}"}}}}}}"#);
        (bench.publish_as("p1", "vaka/v1/p1/event", &payload), payload)
    };
    let mut stored = Vec::new();
    let first_refused = loop {
        match send(&mut bench, 1) {
            (PublishReason::Success, payload) => stored.push(payload),
            (_, payload) => break payload,
        }
    };
    assert!(first_refused.len() as u64 * stored.len() as u64 > limits::SHARE_EVENTS_BURST * 1_000);
    let told = |bench: &mut Bench| bench.rows().into_iter().filter(|row| row.cause == "overload").collect::<Vec<_>>();
    assert_eq!(told(&mut bench).len(), 1);
    // A large event leaves tokens that a small one may still have.
    while bench.publish_as("p1", "vaka/v1/p1/event", "garbage") == PublishReason::PayloadFormatInvalid {}
    // What is stored already is not refused when its acknowledgement was lost; a press, care and the others never are.
    let last = stored.last().expect("some").clone();
    assert_eq!(bench.publish_as("p1", "vaka/v1/p1/event", &last), PublishReason::Success);
    for (from, event) in [("p1", "button"), ("p1", "cancel"), ("p1", "enuresis"), ("p2", "motion"), ("bed", "tamper")] {
        let payload = format!(r#"{{"v":1,"restart":2,"seq":1,"event":{{"{event}":{{}}}}}}"#);
        let payload = payload.replace(r#""seq":1"#, &format!(r#""seq":{}"#, event.len()));
        assert_eq!(
            bench.publish_as(from, &format!("vaka/v1/{from}/event"), &payload),
            PublishReason::Success,
            "{event}"
        );
    }
    for (topic, payload) in [("vaka/v1/p1/event", "garbage"), ("vaka/v1/p1/alive", "1")] {
        assert_eq!(bench.publish_as("p1", topic, payload), PublishReason::QuotaExceeded, "{topic}");
    }
    // Killed in the middle: no new share, no second alarm.
    bench.kill_and_start();
    assert_eq!(send(&mut bench, 1).0, PublishReason::QuotaExceeded);
    let alarms = told(&mut bench);
    assert_eq!((alarms.len(), alarms[0].count, alarms[0].device.as_ref() as &str), (1, 1, "p1"));
    // It ends by itself, and the next flood is news again.
    bench.clock.advance(limits::FLOOD_OVER_MS);
    bench.keeper().run_batch(&mut Vec::new());
    let is_over =
        |bench: &mut Bench| bench.keeper().state().alarms.newest(&device("p1"), "overload").is_some_and(|a| a.over);
    assert!(is_over(&mut bench));
    while send(&mut bench, 3).0 == PublishReason::Success {}
    assert!(!is_over(&mut bench));
    assert_eq!(told(&mut bench)[0].count, 2);
}

/// What may happen to a gateway, in any order.
#[derive(Debug, Clone)]
enum Step {
    Publish { from: usize, restart: u32, seq: u64, event: usize },
    Garbage { from: usize },
    Accept { which: usize },
    Claim { which: usize },
    Close { which: usize },
    Path { mobile: bool, up: bool },
    Later { ms: u64 },
    Kill,
    Stop,
}

const EVENTS: &[&str] = &[
    r#"{"button":{"press":"short"}}"#,
    r#"{"cancel":{}}"#,
    r#"{"fall":{}}"#,
    r#"{"smoke":{"active":true}}"#,
    r#"{"smoke":{"active":false}}"#,
    r#"{"battery":{"low":true}}"#,
    r#"{"battery":{"low":false}}"#,
    r#"{"bed":{"occupied":true}}"#,
    r#"{"test":{}}"#,
    r#"{"from_the_future":{"x":[1,2]}}"#,
    r#"{"done":{"id":512}}"#,
];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3_usize, 1..3_u32, 0..6_u64, 0..EVENTS.len())
            .prop_map(|(from, restart, seq, event)| Step::Publish { from, restart, seq, event }),
        1 => (0..3_usize).prop_map(|from| Step::Garbage { from }),
        2 => (0..8_usize).prop_map(|which| Step::Accept { which }),
        1 => (0..8_usize).prop_map(|which| Step::Claim { which }),
        1 => (0..8_usize).prop_map(|which| Step::Close { which }),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(mobile, up)| Step::Path { mobile, up }),
        1 => (0..4_000_000_u64).prop_map(|ms| Step::Later { ms }),
        1 => Just(Step::Kill),
        1 => Just(Step::Stop),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Restart at any point: what the disk folds to is what memory holds; no alarm is lost, none comes twice.
    #[test]
    fn the_disk_says_what_memory_says(steps in prop::collection::vec(step(), 1..40)) {
        let names = ["p1", "p2", "bed"];
        let mut bench = Bench::new();
        bench.home = home_with_lamp(&[("arc", &[FIBRE, MOBILE])]);
        bench.kill_and_start();
        let mut alarms = std::collections::BTreeSet::new();
        for step in steps {
            match step {
                Step::Publish { from, restart, seq, event } => {
                    let event = EVENTS[event];
                    let payload = format!(r#"{{"v":1,"restart":{restart},"seq":{seq},"event":{event}}}"#);
                    prop_assert_eq!(bench.publish(names[from], &payload), PublishReason::Success);
                }
                Step::Garbage { from } => {
                    prop_assert_eq!(bench.publish(names[from], "{"), PublishReason::PayloadFormatInvalid);
                }
                Step::Accept { which } => {
                    if let Some(row) = bench.rows().get(which).cloned() {
                        bench.accept(&row, 0);
                    }
                }
                Step::Claim { which } => {
                    if let Some(row) = bench.rows().get(which).cloned() {
                        let _ = bench.act(&row, ActWhat::Claim, "anna");
                    }
                }
                Step::Close { which } => {
                    if let Some(row) = bench.rows().get(which).cloned() {
                        let _ = bench.act(&row, ActWhat::Close, "anna");
                    }
                }
                Step::Path { mobile, up } => bench.path("arc", if mobile { MOBILE } else { FIBRE }, up),
                Step::Later { ms } => bench.clock.advance(ms),
                Step::Kill => bench.kill_and_start(),
                Step::Stop => bench.stop_and_start(),
            }
            let rows = bench.rows();
            let now: std::collections::BTreeSet<_> = rows.iter().map(|row| row.id.clone()).collect();
            prop_assert_eq!(now.len(), rows.len(), "an alarm twice");
            prop_assert!(alarms.is_subset(&now), "an alarm is gone");
            alarms = now;
            let (disk, memory) = bench.disk_and_memory();
            prop_assert_eq!(disk, memory);
        }
    }
}
