//! The GPS alarm: a call with its position, and nothing of where somebody is without an alarm, the fence or a question.

use serde_json::Value;
use vaka_tests::{Board, Centre, Gateway, Home, lacks, lacks_firmware};

use crate::{chosen, count, flash_for, wait_event};

/// Stockholm, in ten-millionths of a degree; the fence is 500 m around it.
const FENCE: &str = "593293000 180686000 500";

fn is_position(event: &Value) -> bool {
    event.get("position").is_some()
}

/// Lets so many seconds pass.
fn passes(board: &mut Board, s: u32) {
    board.say(&format!("skip {}", s * 1_000));
    board.wait("skipped");
}

#[test]
fn a_gps_alarm_tells_its_position_at_the_fence_and_with_a_call_and_never_of_its_own_accord() {
    if lacks(&["sipp"]) || lacks_firmware() {
        return;
    }
    let centre = Centre::start("ok");
    let home = Home::init();
    home.centre(centre.port);
    let flash = flash_for(&home, "g1", "gps-alarm", FENCE);
    let gateway = Gateway::start(&home);
    let mut board = chosen(&flash);
    board.wait("connected");
    board.wait("acked");
    let told = |home: &Home| count(home, "g1", is_position);

    // It looks where it is, at home and in the street before it, and keeps it to itself.
    for line in ["moves 1", "sky 593293000 180686000 90"] {
        board.say(line);
    }
    passes(&mut board, 300);
    board.say("sky 593310000 180686000 90");
    passes(&mut board, 300);
    board.say("receiver");
    let on = board.wait("receiver ");
    assert!(crate::numbers(&on)[0] > 60_000, "it has looked for the fence: {on}");
    assert_eq!(told(&home), 0, "{}", board.tail());

    // A kilometre away: one position, for the crossing.
    board.say("sky 593383000 180686000 90");
    passes(&mut board, 300);
    wait_event(&home, &gateway, "the crossing", |record| is_position(&record["event"]));
    let crossing = position(&home);
    assert_eq!((&crossing["lat_e7"], &crossing["lon_e7"]), (&593_383_000.into(), &180_686_000.into()), "{crossing}");
    assert_eq!(told(&home), 1);
    assert!(home.alarms_not_technical().is_empty(), "nothing was agreed on it");

    // A call goes at once, with what is known, and is followed up.
    board.say("sky 593400000 180700000 90");
    board.say("press 60");
    board.wait("light blink");
    gateway.wait_alarm("the call accepted", |row| row["cause"] == "button" && row["rung"] == "accepted");
    board.wait("light steady");
    passes(&mut board, 60);
    let is_new = |record: &Value| record["event"]["position"]["lat_e7"] == 593_400_000;
    wait_event(&home, &gateway, "where the caller is now", is_new);
    assert!(told(&home) >= 3, "the last position went along with the press");
    let alarms = home.alarms_not_technical();
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    let shown = home.vaka(&["alarm", "show", alarms[0]["id"].as_str().expect("an id"), "--json"]).ok().rows();
    assert!(shown[0]["position"].is_object(), "the alarm says where: {}", shown[0]);
}

#[test]
fn a_gps_alarm_without_a_fence_is_asked_where_its_caller_is_and_never_looks_before() {
    if lacks(&["sipp"]) || lacks_firmware() {
        return;
    }
    let centre = Centre::start("ok");
    let home = Home::init();
    home.centre(centre.port);
    let flash = flash_for(&home, "g2", "gps-alarm", "");
    let gateway = Gateway::start(&home);
    let mut board = chosen(&flash);
    board.wait("connected");
    board.wait("acked");
    for line in ["moves 1", "sky 593293000 180686000 90"] {
        board.say(line);
    }
    passes(&mut board, 3_600);
    board.say("receiver");
    assert_eq!(board.wait("receiver "), "receiver 0", "nobody needs to know where it is");

    board.say("press 60");
    board.wait("light steady");
    let is_answer = |record: &Value| record["event"]["done"]["outcome"] == "done";
    let is_locate = |record: &Value| record["kind"] == "decisions" && record.to_string().contains("locate");
    vaka_tests::eventually("`locate`", || gateway.tail(), || home.export().iter().any(is_locate).then_some(()));
    passes(&mut board, 60);
    wait_event(&home, &gateway, "where the caller is", |record| is_position(&record["event"]));
    wait_event(&home, &gateway, "the answer to `locate`", is_answer);
    let position = position(&home);
    assert_eq!((&position["lat_e7"], &position["lon_e7"]), (&593_293_000.into(), &180_686_000.into()), "{position}");
}

/// The newest position in the journal.
fn position(home: &Home) -> Value {
    let mut told = home.records("event").into_iter().filter(|record| is_position(&record["event"]));
    told.next_back().expect("a position")["event"]["position"].clone()
}
