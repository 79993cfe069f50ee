//! Lock and cabinet: a command opens once, for somebody and until a time, whatever is cut in between.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use vaka::clock::{Clock, SystemClock};
use vaka::journal::record::{Basis, Decision, Decisions, Record, SendCommand};
use vaka::journal::{Journal, Options, Stamp};
use vaka_protocol::{Command, DeviceId, Lane};
use vaka_tests::{Board, Gateway, Home, lacks_firmware, now_ms};

use crate::{chosen, flash_for, numbers, stored, wait_event};

/// A command that is sent now is not carried out later than this, milliseconds.
const HOUR_MS: i64 = 3_600_000;

/// The gateway is to send this. Nothing in it orders a door to be opened yet, so that the order is put into its journal, and
/// all that follows is its own: to send it until it is answered, over its restarts. Returns the command's id.
fn order(home: &Home, gateway: &mut Gateway<'_>, device: &str, open: bool, until: i64) -> u64 {
    gateway.kill();
    let options = Options { reserve_bytes: 0, ..Options::default() };
    let (mut journal, _) = Journal::open(&home.path("journal"), options).expect("a journal that nobody holds");
    let now = SystemClock::new().now();
    let send = SendCommand {
        rule: "order".to_owned(),
        rule_version: 1,
        device: DeviceId::try_from(device).expect("an id"),
        expires_at: now.wall_ms + HOUR_MS,
        command: Command::Lock { open, until: Some(until), by: "anna".into() },
        sv: "Dörren öppnas för anna.".to_owned(),
        en: "The door opens for anna.".to_owned(),
        basis: Basis::default(),
    };
    let decisions = Decisions { cursor: 0, decisions: vec![Decision::Send(Box::new(send))] };
    let stamp = Stamp { mono_ms: now.mono_ms, wall_ms: now.wall_ms };
    let seq = journal.append(&Record::Decisions(decisions), Lane::Care, stamp);
    journal.commit().expect("a disk with room");
    drop(journal);
    gateway.restart();
    // As the gateway numbers its commands: 256 to a record.
    seq * 256
}

/// Waits for the answer to that command: its outcome.
#[track_caller]
fn answer(home: &Home, gateway: &Gateway<'_>, board: &Board, id: u64) -> String {
    let is_answer = |record: &Value| record["event"]["done"]["id"] == id;
    vaka_tests::eventually(
        "an answer to the command",
        || format!("{}\n{}", board.tail(), gateway.tail()),
        || home.records("event").iter().any(is_answer).then_some(()),
    );
    let answers: Vec<Value> = home.records("event").into_iter().filter(is_answer).collect();
    assert_eq!(answers.len(), 1, "{answers:?}\n{}", board.tail());
    answers[0]["event"]["done"]["outcome"].as_str().expect("a word").to_owned()
}

/// The device is given a clock: one that nobody vouches for, as a test's machine has it, is not told by the gateway.
fn set_clock(board: &mut Board) {
    board.say(&format!("time {}", now_ms()));
    board.wait("time ");
}

/// The bolt: whether it is out, and how often it was drawn by motor or coil.
fn bolt(board: &mut Board) -> (bool, u64) {
    board.say("bolt");
    let said = board.wait("bolt ");
    let [out, draws] = numbers(&said)[..] else { panic!("{said}") };
    (out > 900, draws)
}

/// Whatever was cut: no event is in the journal twice.
#[track_caller]
fn assert_each_once(home: &Home, device: &str) {
    let stored = stored(home, device);
    let once: BTreeSet<_> = stored.iter().collect();
    assert_eq!(stored.len(), once.len(), "{stored:?}");
}

fn passes(board: &mut Board, ms: u32) {
    board.say(&format!("skip {ms}"));
    board.wait("skipped");
}

fn is_lock(locked: bool, by: Option<&'static str>) -> impl Fn(&Value) -> bool {
    move |event| event["lock"]["locked"] == locked && event["lock"]["by"].as_str() == by
}

#[test]
fn a_lock_opens_once_for_whom_it_was_ordered_and_a_power_cut_in_the_middle_does_not_open_it_again() {
    if lacks_firmware() {
        return;
    }
    let home = Home::init();
    let flash = flash_for(&home, "l1", "lock", "");
    let mut gateway = Gateway::start(&home);
    let mut board = chosen(&flash);
    board.wait("connected");
    wait_event(&home, &gateway, "it is locked", |record| is_lock(true, None)(&record["event"]));

    // Without a clock nothing is known to be in time; and what is too late is too late.
    let id = order(&home, &mut gateway, "l1", true, now_ms() + 60_000);
    assert_eq!(answer(&home, &gateway, &board, id), "refused", "{}", board.tail());
    set_clock(&mut board);
    let id = order(&home, &mut gateway, "l1", true, now_ms() - 1_000);
    assert_eq!(answer(&home, &gateway, &board, id), "expired", "{}", board.tail());
    assert_eq!(bolt(&mut board), (true, 0));

    // Opened for anna, for so long, and locked again for her.
    let id = order(&home, &mut gateway, "l1", true, now_ms() + 60_000);
    board.wait("motor runs");
    passes(&mut board, 5_000);
    assert_eq!(answer(&home, &gateway, &board, id), "done", "{}", board.tail());
    assert_eq!(bolt(&mut board), (false, 1));
    board.say("open");
    board.wait("door open");
    passes(&mut board, 90_000);
    assert_eq!(bolt(&mut board), (false, 1), "no bolt is thrown while the door stands open");
    board.say("shut");
    passes(&mut board, 10_000);
    assert_eq!(bolt(&mut board), (true, 1));
    wait_event(&home, &gateway, "opened for anna", |record| is_lock(false, Some("anna"))(&record["event"]));
    wait_event(&home, &gateway, "locked for anna", |record| is_lock(true, Some("anna"))(&record["event"]));

    // The power is cut while the motor draws: the command comes again, and is not carried out again.
    set_clock(&mut board);
    let id = order(&home, &mut gateway, "l1", true, now_ms() + 60_000);
    board.wait("motor runs");
    board.restart();
    board.wait("connected");
    set_clock(&mut board);
    assert_eq!(answer(&home, &gateway, &board, id), "forgotten", "{}", board.tail());
    passes(&mut board, 10_000);
    assert_eq!(bolt(&mut board), (true, 2), "drawn once for each order, and locked again\n{}", board.tail());
    assert_each_once(&home, "l1");

    // Whoever is inside gets out, also now.
    for (line, said) in [("handle 1", None), ("open", Some("door open"))] {
        board.say(line);
        if let Some(said) = said {
            board.wait(said);
        }
    }
}

#[test]
fn a_cabinet_opens_once_for_whom_it_was_ordered_and_is_locked_without_power() {
    if lacks_firmware() {
        return;
    }
    let home = Home::init();
    let flash = flash_for(&home, "k1", "cabinet", "");
    let mut gateway = Gateway::start(&home);
    let mut board = chosen(&flash);
    board.wait("connected");
    board.wait("acked");
    set_clock(&mut board);
    let is_open = |open: bool| move |event: &Value| event["cabinet"] == json!({"open": open, "by": "anna"});

    let id = order(&home, &mut gateway, "k1", true, now_ms() + 60_000);
    board.wait("motor runs");
    passes(&mut board, 1_500);
    board.say("open");
    board.wait("door open");
    assert_eq!(answer(&home, &gateway, &board, id), "done", "{}", board.tail());
    wait_event(&home, &gateway, "open for anna", |record| is_open(true)(&record["event"]));
    passes(&mut board, 1_000);
    board.say("shut");
    passes(&mut board, 5_000);
    wait_event(&home, &gateway, "shut for anna", |record| is_open(false)(&record["event"]));
    assert_eq!(bolt(&mut board), (true, 1));

    // The power is cut while the coil draws the latch.
    let id = order(&home, &mut gateway, "k1", true, now_ms() + 60_000);
    board.wait("motor runs");
    board.restart();
    board.wait("connected");
    set_clock(&mut board);
    // The latch lets go within a moment: it may have been answered before the cut.
    let outcome = answer(&home, &gateway, &board, id);
    assert!(["done", "forgotten"].contains(&&*outcome), "{outcome}\n{}", board.tail());
    passes(&mut board, 5_000);
    assert_eq!(bolt(&mut board), (true, 2), "{}", board.tail());
    board.say("open");
    board.wait("door shut");

    // Broken open, nobody is named, and somebody is told.
    board.say("force");
    passes(&mut board, 1_000);
    gateway.wait_alarm("a cabinet that was broken open", |row| row["device"] == "k1" && row["cause"] == "tamper");
    assert_each_once(&home, "k1");
}
