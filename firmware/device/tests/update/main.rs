//! Updates: what is not signed never gets in, and no power cut leaves a device that does not boot.

#[path = "../bench/mod.rs"]
mod bench;
mod cuts;
mod rig;
#[path = "../../examples/sign.rs"]
mod sign;

use rig::{BOARD, ROLE, Rig, Word, command, deliver, file, header_of, key, release};
use sign::{Release, image};
use vaka_device::update::boot::{self, Slot, State, Trial, decide};
use vaka_device::update::image::{HEADER_BYTES, NAME_BYTES};
use vaka_device::update::{
    FETCH_PAUSE_MS, FETCH_PAUSE_MS_MAX, FETCH_TRIES_MAX, NOT_NOW_PAUSE_MS_MAX, NotTaken, Reason,
};
use vaka_device::{Now, Role};
use vaka_protocol::limits::MESSAGE_BYTES_MAX;
use vaka_protocol::{AlarmId, Command, Event, Outcome, Rung, StartCause, decode_event};

fn done(id: u64, outcome: Outcome) -> Event {
    Event::Done { id, outcome }
}

fn fault(reason: Reason, active: bool) -> Event {
    Event::Fault { part: reason.part(), active }
}

#[test]
fn a_signed_image_is_tried_confirmed_and_stays() {
    let mut rig = Rig::new(&file(1, "one"));
    rig.settle();
    rig.told.clear();
    rig.update(1, &file(2, "two"), "two");
    assert_eq!(rig.told[0], Event::Started { cause: StartCause::Power, version: "0".into() });
    assert_eq!(rig.told[1], Event::Started { cause: StartCause::Update, version: "0".into() });
    assert_eq!(rig.answers(), [done(1, Outcome::Done)]);
    assert_eq!((rig.confirmed().as_str(), rig.booted.last().map(String::as_str)), ("two", Some("two")));
    rig.settle();
    assert_eq!(rig.told[0], Event::Started { cause: StartCause::Power, version: "0".into() }, "the trial is over");
    // The next goes where the first was.
    rig.update(2, &file(3, "three"), "three");
    assert_eq!(rig.confirmed(), "three");
    assert_eq!(rig.nor.borrow().counts().rewritten_words, 0, "flash with error correction takes it too");
}

#[test]
fn what_is_not_ours_is_refused_before_anything_is_erased() {
    let good = file(2, "two");
    let body = &good[HEADER_BYTES..];
    let make = |release: &Release<'_>, number| image(release, body, &key(number)).expect("an image");
    let spoiled = |at: usize| {
        let mut file = good.clone();
        header_of(&mut file)[at] ^= 1;
        file
    };
    let unsigned = {
        let mut file = good.clone();
        header_of(&mut file)[HEADER_BYTES - 64..].fill(0);
        file
    };
    let cases = [
        ("bytes of anything", vec![7; 9_000], Reason::NotAnImage),
        ("another version of the format", spoiled(8), Reason::NotAnImage),
        ("unsigned", unsigned, Reason::Signature),
        ("signed by a stranger", make(&release(2, "two"), 9), Reason::Signature),
        ("signed by the other key", make(&release(2, "two"), 1), Reason::Signature),
        ("a key that there is not", make(&Release { key: 2, ..release(2, "two") }, 0), Reason::Signature),
        ("a flipped bit in the version", spoiled(12), Reason::Signature),
        ("a flipped bit where nothing is yet", spoiled(300), Reason::Signature),
        ("a flipped bit in the signature", spoiled(500), Reason::Signature),
        ("another role", make(&Release { role: "door", ..release(2, "two") }, 0), Reason::Target),
        ("another board", make(&Release { board: "bench2", ..release(2, "two") }, 0), Reason::Target),
        ("truncated", good[..good.len() - 1].to_vec(), Reason::Size),
        ("longer", [&good[..], &[0]].concat(), Reason::Size),
        ("a header alone", good[..HEADER_BYTES].to_vec(), Reason::Size),
        ("more than a slot", vec![0; 5 * 4_096], Reason::Size),
        ("older", make(&release(0, "zero"), 0), Reason::Downgrade),
        ("the same version under another name", make(&release(1, "uno"), 0), Reason::Downgrade),
    ];
    for (what, file_there, reason) in cases {
        let mut rig = Rig::new(&file(1, "one"));
        rig.update(1, &file_there, "two");
        assert_eq!(rig.answers(), [fault(reason, true), done(1, Outcome::Refused)], "{what}");
        assert!((0..10).all(|page| rig.nor.borrow().wear(page) == 0), "{what}: nothing was erased");
        rig.update(2, &file_there, "two");
        assert_eq!(rig.answers(), [done(2, Outcome::Refused)], "{what}: the fault is told once");
        rig.update(3, &good, "two");
        assert_eq!(rig.answers(), [fault(reason, false), done(3, Outcome::Done)], "{what}: over with a good one");
        assert_eq!(rig.confirmed(), "two");
    }
}

#[test]
fn a_body_that_is_not_what_was_signed_never_boots() {
    let mut flipped = file(2, "two");
    flipped[5_000] ^= 0x10;
    // The command names this very file: the signature decides.
    let mut rig = Rig::new(&file(1, "one"));
    rig.update(1, &flipped, "two");
    assert_eq!(rig.answers(), [fault(Reason::Damaged, true), done(1, Outcome::Failed)]);
    assert_eq!(rig.booted, ["one"]);
    // Signed, and not what was commanded.
    let mut rig = Rig::new(&file(1, "one"));
    let mut device = rig.boot().expect("it boots");
    deliver(&mut device, 1, &command(&flipped, "two"));
    rig.file = file(2, "two");
    rig.run(&mut device);
    assert_eq!(rig.answers(), [fault(Reason::Damaged, true), done(1, Outcome::Failed)]);
    // A byte of the flash that does not take its value: seen, because it is read back.
    let mut rig = Rig::new(&file(1, "one"));
    rig.nor.borrow_mut().weaken(4 * 4_096 + 6_000);
    rig.update(1, &file(2, "two"), "two");
    assert_eq!(rig.answers(), [fault(Reason::Damaged, true), done(1, Outcome::Failed)]);
    assert_eq!(rig.booted, ["one"]);
}

#[test]
fn a_key_can_be_replaced() {
    let mut rig = Rig::new(&file(1, "one"));
    let body = &file(2, "two")[HEADER_BYTES..];
    let by_the_second = image(&Release { key: 1, ..release(2, "two") }, body, &key(1)).expect("an image");
    rig.update(1, &by_the_second, "two");
    assert_eq!(rig.answers(), [done(1, Outcome::Done)]);
}

#[test]
fn firmware_that_is_not_heard_is_rolled_back_told_once_and_may_be_tried_again() {
    let mut rig = Rig::new(&file(1, "one"));
    rig.update(1, &file(2, "bad"), "bad");
    assert_eq!(rig.booted, ["one", "bad", "one"]);
    let started = |cause| Event::Started { cause, version: "0".into() };
    // What the bad one wanted to say is heard when the one before is back.
    assert!(rig.told.contains(&started(StartCause::Update)) && rig.told.contains(&started(StartCause::RolledBack)));
    assert_eq!(rig.answers(), [fault(Reason::RolledBack, true), done(1, Outcome::Failed)]);
    rig.settle();
    assert_eq!(rig.told, [started(StartCause::Power)]);
    rig.update(2, &file(2, "two"), "two");
    assert_eq!(rig.confirmed(), "two");
    rig.told.clear();
    rig.update(3, &file(1, "one"), "one");
    assert_eq!(rig.answers(), [fault(Reason::Downgrade, true), done(3, Outcome::Refused)], "no way back by an update");
}

#[test]
fn a_watchdog_in_the_trial_ends_it() {
    let mut rig = Rig::new(&file(1, "one"));
    rig.file = file(2, "two");
    let mut device = rig.boot().expect("it boots");
    deliver(&mut device, 1, &command(&rig.file, "two"));
    assert_eq!(rig.run(&mut device), rig::Ran::Restart);
    drop(rig.boot());
    rig.settle();
    assert_eq!(rig.booted, ["one", "two", "one"]);
    assert_eq!(rig.confirmed(), "one");
}

#[test]
fn nothing_is_written_and_nothing_restarts_while_somebody_calls_or_a_hand_is_full() {
    let mut rig = Rig::new(&file(1, "one"));
    rig.file = file(2, "two");
    let mut device = rig.boot().expect("it boots");
    let now = Now::booted(0);
    device.pass(now);
    rig.hear(&mut device, now);
    deliver(&mut device, 1, &command(&rig.file, "two"));
    rig.hands.busy.set(true);
    assert_eq!(rig.serve(&mut device, now), Some(Err(NotTaken::Busy)));
    rig.hands.busy.set(false);
    rig.hands.press.set(true);
    device.pass(now);
    assert_eq!(rig.serve(&mut device, now), Some(Err(NotTaken::Busy)), "the call waits for the gateway");
    rig.hear(&mut device, now);
    assert_eq!(rig.serve(&mut device, now), Some(Err(NotTaken::Busy)), "nobody has closed it");
    let alarm = AlarmId::try_from("a1").expect("a valid id");
    let close = |rung| Command::Receipt { restart: 1, seq: 2, alarm: alarm.clone(), rung, last: false };
    deliver(&mut device, 2, &close(Rung::Accepted));
    assert_eq!(rig.serve(&mut device, now), Some(Err(NotTaken::Busy)), "it is heard, not over");
    deliver(&mut device, 3, &close(Rung::Closed));
    while device.role.0.fetch(now).is_some() {
        assert!(rig.serve(&mut device, now).expect("it is fetched").is_ok());
    }
    for _ in 0..20 {
        device.pass(now);
    }
    assert!(!device.role.0.wants_restart(), "nobody has said that it may");
    rig.hands.busy.set(true);
    rig.serve(&mut device, now);
    device.pass(now);
    assert!(!device.role.0.wants_restart(), "the word came while it was busy");
    rig.hands.busy.set(false);
    device.pass(now);
    assert!(!device.role.0.wants_restart(), "and is over");
    let now = Now::booted(FETCH_PAUSE_MS);
    rig.serve(&mut device, now);
    device.pass(now);
    assert!(device.role.0.wants_restart());
    rig.hands.press.set(true);
    device.pass(now);
    device.pass(now);
    assert!(!device.role.0.wants_restart(), "pressed right before the restart");
    assert!(device.role.0.fetch(now).is_none(), "while it is armed it has nothing to ask");
    let mut buffer = [0; MESSAGE_BYTES_MAX];
    let (_, bytes) = device.next(&mut buffer).expect("the press waits");
    let seq = decode_event(bytes).expect("a device's own message").seq.expect("a number");
    rig.hear(&mut device, now);
    deliver(&mut device, 4, &Command::Receipt { restart: 1, seq, alarm, rung: Rung::Closed, last: false });
    device.pass(now);
    device.pass(now);
    assert!(!device.role.0.wants_restart(), "the word of before is over");
    let state = boot::read(&mut rig.slots(), &rig::LAYOUT).expect("the flash reads").expect("a record");
    assert_eq!(state.trial, Trial::None, "a power cut now boots the one that is proven");
    rig.serve(&mut device, now);
    device.pass(now);
    assert!(device.role.0.wants_restart(), "asked again");
}

#[test]
fn it_boots_into_another_only_by_the_gateways_word_and_asks_until_it_has_it() {
    for word in [Word::NotNow, Word::Odd] {
        let mut rig = Rig::new(&file(1, "one"));
        rig.file = file(2, "two");
        let mut device = rig.boot().expect("it boots");
        let mut now = Now::booted(0);
        deliver(&mut device, 1, &command(&rig.file, "two"));
        while rig.serve(&mut device, now).is_some() {}
        rig.word = word;
        let mut asked_ms = Vec::new();
        while rig.questions < u32::from(FETCH_TRIES_MAX) - 1 {
            let before = rig.questions;
            rig.serve(&mut device, now);
            if rig.questions > before {
                asked_ms.push(now.uptime_ms);
            }
            device.pass(now);
            assert!(!device.role.0.wants_restart(), "{word:?}");
            now.uptime_ms += device.role.rest_ms(now).clamp(1, 60_000);
        }
        let state = boot::read(&mut rig.slots(), &rig::LAYOUT).expect("the flash reads");
        assert!(state.is_none_or(|state| state.trial == Trial::None), "{word:?}: {state:?}");
        let pauses: Vec<u64> = asked_ms.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(pauses[0] >= FETCH_PAUSE_MS && pauses.is_sorted(), "{word:?}: {pauses:?}");
        let most = if word == Word::NotNow { NOT_NOW_PAUSE_MS_MAX } else { FETCH_PAUSE_MS_MAX };
        assert!(pauses.last().is_some_and(|last| (most..most + 60_000).contains(last)), "{word:?}: {pauses:?}");
        assert_eq!(device.role.underway(), Some(1), "{word:?}: it is still on it");
        // A restart by a power cut is the old one, and it asks again.
        let mut device = rig.boot().expect("it boots");
        assert_eq!(rig.booted, ["one", "one"]);
        rig.word = Word::May;
        assert_eq!(rig.run(&mut device), rig::Ran::Restart);
        rig.settle();
        assert_eq!(rig.confirmed(), "two");
    }
}

#[test]
fn not_now_is_no_failure_however_often() {
    let mut rig = Rig::new(&file(1, "one"));
    rig.file = file(2, "two");
    let mut device = rig.boot().expect("it boots");
    let mut now = Now::booted(0);
    deliver(&mut device, 1, &command(&rig.file, "two"));
    assert_eq!(rig.serve(&mut device, now), Some(Ok(1_500)));
    rig.word = Word::NotNow;
    for _ in 0..10 * FETCH_TRIES_MAX {
        rig.serve(&mut device, now);
        assert!(device.role.0.fetch(now).is_none(), "not at once again");
        let rest_ms = device.role.rest_ms(now);
        assert!((FETCH_PAUSE_MS..=NOT_NOW_PAUSE_MS_MAX).contains(&rest_ms), "{rest_ms}");
        now.uptime_ms += rest_ms;
    }
    rig.hear(&mut device, now);
    assert_eq!(rig.answers(), [], "a night long");
    // One that was refused is one that is there: what had failed before counts no more.
    rig.word = Word::May;
    rig.is_served = false;
    for _ in 0..FETCH_TRIES_MAX - 1 {
        rig.serve(&mut device, now);
        now.uptime_ms += device.role.rest_ms(now);
    }
    rig.word = Word::NotNow;
    rig.serve(&mut device, now);
    now.uptime_ms += device.role.rest_ms(now);
    rig.word = Word::May;
    rig.serve(&mut device, now);
    rig.is_served = true;
    now.uptime_ms += device.role.rest_ms(now);
    assert_eq!(device.role.0.fetch(now).map(|fetch| fetch.offset), Some(1_500), "and it goes on from there");
}

#[test]
fn a_newer_command_takes_the_place_of_one_that_waits_for_the_word() {
    let mut rig = Rig::new(&file(1, "one"));
    rig.file = file(2, "two");
    let mut device = rig.boot().expect("it boots");
    deliver(&mut device, 1, &command(&rig.file, "two"));
    let now = Now::booted(0);
    while rig.serve(&mut device, now).is_some() {}
    rig.word = Word::NotNow;
    for _ in 0..20 {
        device.pass(now);
    }
    rig.serve(&mut device, now);
    assert_eq!(rig.questions, 1);
    rig.word = Word::May;
    rig.file = file(3, "three");
    deliver(&mut device, 2, &command(&rig.file, "three"));
    assert_eq!(rig.run(&mut device), rig::Ran::Restart);
    rig.settle();
    assert_eq!(rig.answers(), [done(1, Outcome::Failed), done(2, Outcome::Done)]);
    assert_eq!(rig.confirmed(), "three");
}

#[test]
fn a_chunk_out_of_order_changes_nothing_and_a_lost_server_is_given_up() {
    let mut rig = Rig::new(&file(1, "one"));
    rig.file = file(2, "two");
    let mut device = rig.boot().expect("it boots");
    let mut now = Now::booted(0);
    deliver(&mut device, 1, &command(&rig.file, "two"));
    assert_eq!(rig.serve(&mut device, now), Some(Ok(1_500)));
    let again = device.with_role(now, |role, cx| role.0.chunk(0, &[1, 2, 3], cx));
    assert_eq!(again, Err(NotTaken::OutOfOrder { wanted: 1_500 }));
    let ahead = device.with_role(now, |role, cx| role.0.chunk(1_501, &[1, 2, 3], cx));
    assert_eq!(ahead, Err(NotTaken::OutOfOrder { wanted: 1_500 }));
    rig.is_served = false;
    let mut tries = 0;
    while device.role.underway().is_some() {
        device.pass(now);
        if device.role.0.fetch(now).is_some() {
            rig.serve(&mut device, now);
            tries += 1;
            assert!(device.role.0.fetch(now).is_none(), "not at once again");
        }
        now.uptime_ms += device.role.rest_ms(now).clamp(1, 60_000);
    }
    assert_eq!(tries, FETCH_TRIES_MAX);
    rig.hear(&mut device, now);
    assert_eq!(rig.answers(), [fault(Reason::NotFetched, true), done(1, Outcome::Failed)]);
}

#[test]
fn a_newer_command_takes_the_place_of_one_and_what_runs_already_is_not_fetched() {
    let mut rig = Rig::new(&file(1, "one"));
    rig.file = file(3, "three");
    let mut device = rig.boot().expect("it boots");
    deliver(&mut device, 1, &command(&file(2, "two"), "two"));
    deliver(&mut device, 2, &command(&rig.file, "three"));
    deliver(&mut device, 2, &command(&rig.file, "three"));
    assert_eq!(rig.run(&mut device), rig::Ran::Restart);
    rig.settle();
    assert_eq!(rig.answers(), [done(1, Outcome::Failed), done(2, Outcome::Done)]);
    rig.update(3, &file(3, "three"), "three");
    assert_eq!(rig.answers(), [done(3, Outcome::Done)]);
    let mut device = rig.boot().expect("it boots");
    let mut unreadable = command(&rig.file, "four");
    if let Command::Update { sha256, .. } = &mut unreadable {
        *sha256 = "g".repeat(64).as_str().try_into().expect("it fits");
    }
    deliver(&mut device, 4, &unreadable);
    rig.hear(&mut device, Now::booted(0));
    assert_eq!(rig.answers(), [fault(Reason::Command, true), done(4, Outcome::Refused)]);
}

#[test]
fn a_command_delivered_again_after_a_boot_is_underway_and_not_forgotten() {
    let mut rig = Rig::new(&file(1, "one"));
    rig.file = file(2, "two");
    let mut device = rig.boot().expect("it boots");
    deliver(&mut device, 1, &command(&rig.file, "two"));
    rig.serve(&mut device, Now::booted(0));
    let mut device = rig.boot().expect("it boots");
    deliver(&mut device, 1, &command(&rig.file, "two"));
    rig.hear(&mut device, Now::booted(0));
    assert_eq!(rig.answers(), []);
    assert_eq!(device.role.0.fetch(Now::booted(0)).map(|fetch| fetch.offset), Some(HEADER_BYTES as u32));
}

#[test]
fn the_boot_decision() {
    let state = |trial| State { confirmed: Slot::B, trial, floor: 7 };
    let next = |trial| Some(State { confirmed: Slot::B, trial, floor: 7 });
    let both = [true, true];
    assert_eq!(decide(both, None), (Slot::A, None), "as the factory left it");
    assert_eq!(decide([false, true], None), (Slot::B, None), "the record is lost");
    assert_eq!(decide(both, Some(state(Trial::None))), (Slot::B, None));
    assert_eq!(decide(both, Some(state(Trial::Armed))), (Slot::A, next(Trial::Running)));
    assert_eq!(decide([false, true], Some(state(Trial::Armed))), (Slot::B, next(Trial::RolledBack)));
    assert_eq!(decide(both, Some(state(Trial::Running))), (Slot::B, next(Trial::RolledBack)));
    assert_eq!(decide(both, Some(state(Trial::RolledBack))), (Slot::B, None));
}

#[test]
fn names_in_a_header_are_exact() {
    assert!(image(&Release { role: &"r".repeat(NAME_BYTES + 1), ..release(1, "one") }, &[0], &key(0)).is_err());
    assert!((ROLE.len() < NAME_BYTES) && (BOARD.len() < NAME_BYTES));
}

#[test]
fn a_key_as_openssl_writes_it_is_read() {
    // RFC 5915, section 3: SEQUENCE, version 1, the private key; then the curve.
    let der = [&[0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20][..], &[1; 32], &[0xa0, 0x0a]].concat();
    assert_eq!(sign::private(&der).expect("a key").to_bytes(), key(0).to_bytes());
    assert!(sign::private(&der[..20]).is_err());
}
