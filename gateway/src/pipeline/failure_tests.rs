//! The keeper on a disk that fails: what it was told once it must not forget, and nobody hears what is not on the disk.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc;
use vaka_protocol::{DeviceId, Lane, Rung};

use super::keeper::{Input, Keeper};
use super::view::Labels;
use super::{missing_company, restore};
use crate::clock::ManualClock;
use crate::dispatch::Report;
use crate::ingest::roster::{Peer, Roster};
use crate::ingest::{PublishReason, Replies, Submission, ToSession, What, admission};
use crate::journal::disk::Disk;
use crate::journal::index::Index;
use crate::journal::record::{EventRecord, Record};
use crate::journal::simdisk::{Fault, SimDisk};
use crate::journal::{Journal, Options, Stamp};
use crate::limits;
use crate::metrics::Page;
use crate::rules::Home;

const PRESS: &[u8] = br#"{"v":1,"restart":1,"seq":1,"event":{"button":{}}}"#;

fn dir() -> &'static Path {
    Path::new("/sim/journal")
}

fn options(disk: &SimDisk) -> Options {
    Options { disk: Arc::new(disk.clone()), reserve_bytes: 64 * 1024, ..Options::default() }
}

fn p1() -> DeviceId {
    DeviceId::try_from("p1").expect("an id")
}

/// A keeper that has begun. Its index would be where nothing can be saved: no test here stops cleanly.
fn start(disk: &SimDisk) -> Keeper {
    start_at(disk, Arc::new(ManualClock::new(1_795_000_000_000)))
}

fn start_at(disk: &SimDisk, clock: Arc<ManualClock>) -> Keeper {
    let restored = restore::open_with(dir(), 1 << 26, options(disk), Index::new(Path::new("/dev/null/index")));
    let mut keeper = Keeper::new(restored.expect("opens"), Home::default(), Labels::default(), clock, None);
    keeper.begin();
    keeper
}

/// Telemetry of `device`, answered to `replies` under these numbers.
fn telemetry(device: &str, numbers: std::ops::Range<u64>, replies: &Replies) -> Vec<Input> {
    let device = DeviceId::try_from(device).expect("an id");
    let submission = |number: u64| {
        let peer = Peer { device: device.clone(), enrolment: 1, serial: String::new(), not_after: i64::MAX };
        let payload = format!(r#"{{"v":1,"restart":1,"seq":{number},"event":{{"motion":{{}}}}}}"#);
        let topic = vaka_protocol::topic::event(&device);
        let mut admitted = admission::admit(&peer, &Roster::default(), &topic, payload.into_bytes(), false);
        admitted.submission.reply = Some((replies.clone(), number));
        Input::Submission(admitted.submission)
    };
    numbers.map(submission).collect()
}

/// First number, count and success of every message of answers.
fn heard(answers: &mut mpsc::UnboundedReceiver<ToSession>) -> Vec<(u64, u64, bool)> {
    let mut heard = Vec::new();
    while let Ok(message) = answers.try_recv() {
        let ToSession::Answers { first, count, reason } = message else { panic!("{message:?}") };
        heard.push((first, count, reason == PublishReason::Success));
    }
    heard
}

fn press() -> Input {
    let peer = Peer { device: p1(), enrolment: 1, serial: String::new(), not_after: i64::MAX };
    Input::Submission(admission::admit(&peer, &Roster::default(), "vaka/v1/p1/event", PRESS.to_vec(), false).submission)
}

fn listening(replies: Replies) -> Input {
    let what = What::Listening(replies);
    Input::Submission(Submission {
        device: p1(),
        enrolment: 1,
        lane: Lane::Telemetry,
        what,
        has_ended: false,
        since_ms: None,
        for_many: false,
        reply: None,
    })
}

fn event() -> Record {
    Record::Event(EventRecord {
        device: p1(),
        enrolment: 1,
        restart: 1,
        seq: 1,
        assigned: false,
        conflict: false,
        has_ended: false,
        via: None,
        payload: PRESS.to_vec().into(),
    })
}

fn alarms(keeper: &Keeper) -> Vec<(String, u32)> {
    keeper.state().alarms.open().map(|alarm| (alarm.raise.cause.clone(), alarm.count)).collect()
}

#[test]
fn a_receipt_in_a_commit_that_fails_is_taken_again() {
    let disk = SimDisk::new(1);
    let mut keeper = start(&disk);
    keeper.run_batch(&mut vec![press()]);
    let alarm = keeper.state().alarms.open().next().expect("raised").id().clone();
    let report = Report::Rung {
        alarm,
        notice: 0,
        rung: Rung::Accepted,
        receiver: "larmcentral".into(),
        path: "tcp".into(),
        detail: String::new(),
        last: true,
    };
    disk.inject(Fault::SyncFails(0));
    keeper.run_batch(&mut vec![Input::Report(report)]);
    let owed = keeper.state().alarms.owed().filter(|(alarm, _)| alarm.raise.lane == Lane::Life).count();
    assert_eq!(owed, 0, "dispatch does not say it again");
    let disk = restore::read_only_on(&disk, dir()).expect("readable");
    assert_eq!(format!("{disk:?}"), format!("{:?}", keeper.state()));
}

#[test]
fn figures_count_what_is_on_the_disk_and_that_it_refused() {
    let disk = SimDisk::new(11);
    let mut keeper = start(&disk);
    let (replies, _heard) = mpsc::unbounded_channel();
    let figures = |keeper: &Keeper| {
        let mut page = Page::default();
        keeper.meters.show(&mut page);
        let text = page.text();
        move |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse::<u64>().ok())
    };
    keeper.run_batch(&mut vec![press()]);
    disk.inject(Fault::SyncFails(0));
    keeper.run_batch(&mut telemetry("p2", 1..4, &replies));
    let figure = figures(&keeper);
    assert_eq!(figure("vaka_commits_failed_total"), Some(1));
    let telemetry_is = |keeper: &Keeper| figures(keeper)(r#"vaka_events_total{lane="telemetry"}"#);
    assert_eq!((figure(r#"vaka_events_total{lane="life"}"#), telemetry_is(&keeper)), (Some(1), Some(0)));
    keeper.run_batch(&mut telemetry("p2", 1..4, &replies));
    assert_eq!(telemetry_is(&keeper), Some(3), "they came again");
    keeper.run_batch(&mut vec![press()]);
    assert_eq!(figures(&keeper)("vaka_events_repeated_total"), Some(1));
}

#[test]
fn a_session_is_answered_once_for_neighbours_and_each_hears_of_a_failure() {
    let disk = SimDisk::new(6);
    let mut keeper = start(&disk);
    let (p1, mut to_p1) = mpsc::unbounded_channel();
    let (p2, mut to_p2) = mpsc::unbounded_channel();
    let batch = || {
        let parts = [telemetry("p1", 0..5, &p1), telemetry("p2", 7..9, &p2), telemetry("p1", 5..6, &p1)];
        parts.into_iter().flatten().collect::<Vec<Input>>()
    };
    disk.inject(Fault::SyncFails(0));
    keeper.run_batch(&mut batch());
    for answers in [&mut to_p1, &mut to_p2] {
        assert!(matches!(answers.try_recv(), Ok(ToSession::Failed)));
        while let Ok(message) = answers.try_recv() {
            assert!(matches!(message, ToSession::Failed), "{message:?}");
        }
    }
    keeper.run_batch(&mut batch());
    assert_eq!(heard(&mut to_p1), [(0, 5, true), (5, 1, true)]);
    assert_eq!(heard(&mut to_p2), [(7, 2, true)]);
}

#[test]
fn room_is_looked_up_by_the_clock_and_while_it_is_short_for_every_batch() {
    let disk = SimDisk::new(7);
    let clock = Arc::new(ManualClock::new(1_795_000_000_000));
    let mut keeper = start_at(&disk, clock.clone());
    let (replies, mut answers) = mpsc::unbounded_channel();
    let mut number = 0;
    let mut is_taken = |keeper: &mut Keeper| {
        keeper.run_batch(&mut telemetry("p1", number..number + 1, &replies));
        number += 1;
        heard(&mut answers).pop().expect("answered").2
    };
    assert!(is_taken(&mut keeper));
    // An eighth of the budget must be free for telemetry.
    disk.set_capacity(Some(disk.used() + (7 << 20)));
    assert!(is_taken(&mut keeper), "known for a moment");
    clock.advance(limits::ROOM_MS);
    assert!(!is_taken(&mut keeper), "looked up again");
    disk.set_capacity(None);
    assert!(is_taken(&mut keeper), "nobody is refused a moment longer than needed");
}

#[test]
fn only_companions_in_no_hurry_are_waited_for() {
    let (replies, _) = mpsc::unbounded_channel();
    let two = || telemetry("p1", 0..2, &replies);
    assert_eq!(missing_company(14, &two()), Some(14));
    assert_eq!(missing_company(1, &two()), None, "a lone device");
    assert_eq!(missing_company(limits::GATHER_RECORDS_MAX, &two()), None, "enough");
    assert_eq!(missing_company(14, &[]), None, "idle");
    assert_eq!(missing_company(14, &[press()]), None, "a press");
    assert_eq!(missing_company(14, &[Input::Stop]), None);
}

#[test]
fn a_device_hears_nothing_that_is_not_on_the_disk() {
    let disk = SimDisk::new(2);
    let mut keeper = start(&disk);
    let (replies, mut heard) = mpsc::unbounded_channel();
    disk.inject(Fault::SyncFails(0));
    keeper.run_batch(&mut vec![press(), listening(replies)]);
    assert!(heard.try_recv().is_err(), "told of an alarm that there is not");
    keeper.run_batch(&mut vec![press()]);
    assert!(matches!(heard.try_recv(), Ok(ToSession::Command(..))), "it still listens");
}

#[test]
fn a_press_left_unjudged_is_judged_though_the_start_fails_too() {
    let disk = SimDisk::new(3);
    let (mut journal, _) = Journal::open(dir(), options(&disk)).expect("opens");
    journal.append(&event(), Lane::Life, Stamp { mono_ms: 0, wall_ms: 1_795_000_000_000 });
    journal.commit().expect("committed");
    drop(journal);
    // The first sync at the start is the tail's, the next one the commit's.
    disk.inject(Fault::SyncFails(2));
    let keeper = start(&disk);
    let told = alarms(&keeper);
    assert!(told.contains(&("fault".to_owned(), 1)), "the fault came elsewhere: {told:?}");
    assert!(told.contains(&("button".to_owned(), 1)), "{told:?}");
}

#[test]
fn damage_found_at_the_start_raises_a_technical_alarm() {
    let disk = SimDisk::new(5);
    let mut keeper = start(&disk);
    for _ in 0..3 {
        keeper.run_batch(&mut vec![press()]);
    }
    drop(keeper);
    let segments = dir().join("segments");
    let name = disk.list(&segments).expect("listed").pop().expect("a segment");
    disk.tamper(&segments.join(name), |bytes| bytes[100] ^= 1);
    let keeper = start(&disk);
    assert!(alarms(&keeper).contains(&("fault".to_owned(), 1)), "{:?}", alarms(&keeper));
}

#[test]
fn a_going_that_waited_for_room_is_looked_at_when_it_is_folded_in() {
    let text =
        "[gateway]\nid = \"gw-1\"\n[ingest]\nlisten = \"127.0.0.1:0\"\n[[device]]\nid = \"p1\"\nkind = \"pendant\"\n";
    let (config, _) = crate::config::Config::parse(text.as_bytes(), Path::new("v.toml")).expect("a config");
    let disk = SimDisk::new(8);
    let clock = Arc::new(ManualClock::new(1_795_000_000_000));
    let mut keeper = start_at(&disk, clock.clone());
    keeper.agree(config.agreed.clone());
    let alive = |online| {
        Input::Submission(crate::ingest::Submission {
            device: p1(),
            enrolment: 1,
            lane: vaka_protocol::Lane::Telemetry,
            what: crate::ingest::What::Alive { online },
            has_ended: false,
            since_ms: None,
            for_many: false,
            reply: None,
        })
    };
    keeper.run_batch(&mut vec![alive(true)]);
    clock.advance(limits::ROOM_MS + limits::ROOM_PAUSE_MS);
    // Only life has room.
    disk.set_capacity(Some(disk.used() + (256 << 10)));
    keeper.run_batch(&mut vec![alive(false)]);
    let is_online = |keeper: &Keeper| keeper.state().devices[&p1()].online;
    assert!(is_online(&keeper), "it is said later");
    disk.set_capacity(None);
    clock.advance(limits::ROOM_MS + limits::ROOM_PAUSE_MS);
    keeper.run_batch(&mut Vec::new());
    assert!(!is_online(&keeper));
    clock.advance(6 * 60_000);
    keeper.run_batch(&mut Vec::new());
    assert!(alarms(&keeper).iter().any(|(cause, _)| cause == "silent p1"), "{:?}", alarms(&keeper));
}
