//! A hub without sockets: what homes tell it, what their silence means; and what a home is told when nobody has its alarm.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use vaka_protocol::{Command, CommandMessage, DeviceId, Lane, Light, Rung};

use super::keeper::{Input, Keeper};
use super::restore;
use super::view::Labels;
use crate::clock::ManualClock;
use crate::dispatch::Report;
use crate::ingest::roster::{Listed, Peer, Roster};
use crate::ingest::{Submission, ToSession, What, admission};
use crate::journal::record::ActWhat;
use crate::limits::HOME_SILENT_MS;
use crate::rules::alarms::Alarm;
use crate::rules::{DeviceFacts, Home};

const AT: i64 = 1_795_000_000_000;

struct Stage {
    dir: tempfile::TempDir,
    clock: Arc<ManualClock>,
    keeper: Keeper,
    roster: Roster,
    /// What each listening device has heard.
    heard: BTreeMap<DeviceId, mpsc::UnboundedReceiver<ToSession>>,
}

fn device(name: &str) -> DeviceId {
    DeviceId::try_from(name).expect("a valid id")
}

fn home() -> Home {
    let facts = |dty, speaks, home| DeviceFacts { dty, fixed: false, speaks, home };
    let devices = [("gw-1", facts(2, false, true)), ("p1", facts(3, false, false)), ("lamp", facts(48, true, false))];
    let devices = devices.into_iter().map(|(name, facts)| (device(name), facts)).collect();
    Home { devices, english: true, ..Home::default() }
}

impl Stage {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let clock = Arc::new(ManualClock::new(AT));
        let roster = Roster {
            devices: home().devices.keys().map(|id| (id.clone(), Listed { bridge: false })).collect(),
            ..Roster::default()
        };
        let keeper = Self::open(&dir, &clock);
        Self { dir, clock, keeper, roster, heard: BTreeMap::new() }
    }

    fn open(dir: &tempfile::TempDir, clock: &Arc<ManualClock>) -> Keeper {
        let restored = restore::open(dir.path(), 64 * 1024 * 1024).expect("the journal opens");
        let mut keeper = Keeper::new(restored, home(), Labels::default(), clock.clone(), None);
        keeper.begin();
        keeper
    }

    /// As after a kill, on the same disk.
    fn restart(self) -> Self {
        let Self { dir, clock, keeper, roster, .. } = self;
        drop(keeper);
        let keeper = Self::open(&dir, &clock);
        Self { dir, clock, keeper, roster, heard: BTreeMap::new() }
    }

    fn publish(&mut self, from: &str, payload: &str) {
        let peer = Peer { device: device(from), enrolment: 1, serial: String::new() };
        let topic = format!("vaka/v1/{from}/event");
        let admitted = admission::admit(&peer, &self.roster, &topic, payload.as_bytes().to_vec());
        self.keeper.run_batch(&mut vec![Input::Submission(admitted.submission)]);
    }

    fn note(&mut self, from: &str, what: What) {
        let (device, lane) = (device(from), Lane::Telemetry);
        let submission = Submission { device, enrolment: 1, lane, what, for_many: true, reply: None };
        self.keeper.run_batch(&mut vec![Input::Submission(submission)]);
    }

    fn listen(&mut self, name: &str) {
        let (replies, heard) = mpsc::unbounded_channel();
        self.note(name, What::Listening(replies));
        self.heard.insert(device(name), heard);
    }

    fn commands(&mut self, name: &str) -> Vec<CommandMessage> {
        let heard = self.heard.get_mut(&device(name)).expect("it listens");
        let command = |message| if let ToSession::Command(message, _) = message { Some(*message) } else { None };
        std::iter::from_fn(|| heard.try_recv().ok()).filter_map(command).collect()
    }

    fn pass(&mut self, ms: u64) {
        self.clock.advance(ms);
        self.keeper.run_batch(&mut Vec::new());
    }

    fn report(&mut self, report: Report) {
        self.keeper.run_batch(&mut vec![Input::Report(report)]);
    }

    fn alarms(&self) -> Vec<&Alarm> {
        self.keeper.state().alarms.open().collect()
    }

    fn causes(&self) -> Vec<(&str, u32, bool)> {
        self.alarms().iter().map(|alarm| (alarm.raise.cause.as_str(), alarm.count, alarm.over)).collect()
    }
}

fn told(seq: u64, alarm: &str, number: u32, what: &str, count: u32) -> String {
    format!(
        r#"{{"v":1,"restart":0,"seq":{seq},"event":{{"alarm":{{"alarm":"{alarm}","lane":"life","cause":"button","device":"p9","resident":"r1","count":{count},"number":{number},"what":"{what}","stc":10,"dty":3,"text":"Larmknapp"}}}}}}"#
    )
}

#[test]
fn a_homes_alarm_is_one_alarm_however_often_and_in_whatever_order_it_is_told() {
    let mut hub = Stage::new();
    hub.publish("gw-1", &told(1, "a1", 0, "raise", 1));
    hub.publish("gw-1", &told(3, "a1", 2, "cancel", 2));
    // Old news: the second press comes after the cancel, over another path.
    hub.publish("gw-1", &told(2, "a1", 1, "again", 2));
    hub.publish("gw-1", &told(4, "a1", 0, "raise", 1));
    assert_eq!(hub.causes(), [("button", 2, false)]);
    let alarm = hub.alarms()[0];
    assert!(alarm.cancelled && alarm.notices.len() == 2, "{alarm:?}");
    let of = alarm.raise.home.as_ref().expect("it is a home's");
    assert_eq!(
        (of.alarm.as_ref(), of.device.as_ref(), of.resident.as_deref()),
        ("a1", Some(&device("p9")), Some("r1"))
    );
    // The same in another home is another alarm.
    let mut other = Stage::new();
    other.publish("p1", &told(1, "a1", 0, "raise", 1));
    assert_eq!(other.alarms()[0].raise.lane, Lane::Technical, "a pendant is no home: a person has to look");
}

#[test]
fn a_close_at_the_hub_is_of_that_alarm_alone_and_what_comes_after_it_raises_again() {
    let mut hub = Stage::new();
    for round in 0..3 {
        hub.publish("gw-1", &told(10 + round, "a1", round as u32, "again", 1));
        let alarm = hub.alarms()[0].id().clone();
        hub.report(Report::Person { alarm, notice: 9, act: ActWhat::Close, by: "anna".into() });
        assert_eq!(hub.alarms().len(), 0);
        hub.publish("gw-1", &told(20 + round, "a1", round as u32, "again", 1));
        assert_eq!(hub.alarms().len(), 0, "old news of a closed alarm");
    }
    assert_eq!(hub.keeper.state().alarms.closed().count(), 3);
}

#[test]
fn a_home_that_has_lost_our_word_gets_it_again() {
    let mut hub = Stage::new();
    hub.listen("gw-1");
    hub.publish("gw-1", &told(1, "a1", 0, "raise", 1));
    assert_eq!(hub.commands("gw-1").len(), 1, "stored");
    let alarm = hub.alarms()[0].id().clone();
    hub.report(Report::Person { alarm, notice: 9, act: ActWhat::Claim, by: "anna".into() });
    assert_eq!(hub.commands("gw-1").len(), 1, "claimed");
    hub.publish("gw-1", &told(1, "a1", 0, "raise", 1));
    let again = hub.commands("gw-1");
    assert!(
        matches!(
            &again[..],
            [CommandMessage { id: 0, command: Command::Receipt { rung: Rung::Claimed, seq: 1, .. }, .. }]
        ),
        "{again:?}"
    );
}

#[test]
fn a_silent_home_is_told_once_also_after_a_restart_and_its_return_too() {
    let mut hub = Stage::new();
    hub.note("gw-1", What::Alive { online: true });
    hub.pass(HOME_SILENT_MS * 3);
    assert_eq!(hub.causes(), []);
    hub.note("gw-1", What::Alive { online: false });
    hub.pass(HOME_SILENT_MS - 1);
    assert_eq!((hub.causes(), hub.keeper.patience()), (vec![], Duration::from_millis(1)));
    hub.pass(1);
    assert_eq!(hub.causes(), [("silent", 1, false)]);
    // A restart neither forgets nor repeats it.
    let mut hub = hub.restart();
    hub.pass(HOME_SILENT_MS * 2);
    assert_eq!(hub.causes(), [("silent", 1, false)]);
    hub.note("gw-1", What::Alive { online: true });
    assert_eq!(hub.causes(), [("silent", 1, true)]);
    // Nor is a home forgotten that was silent through it.
    let mut hub = hub.restart();
    hub.pass(HOME_SILENT_MS);
    assert_eq!(hub.causes(), [("silent", 2, false)]);
}

#[test]
fn the_home_hears_that_nobody_has_its_alarm_and_hears_when_somebody_has() {
    let mut home = Stage::new();
    home.listen("lamp");
    home.listen("p1");
    home.publish("p1", r#"{"v":1,"restart":1,"seq":1,"event":{"button":{"press":"short"}}}"#);
    home.commands("p1");
    let alarm = home.alarms()[0].id().clone();
    let nobody = |notice| Report::Nobody { alarm: alarm.clone(), notice, lane: Lane::Life };
    home.report(nobody(0));
    for name in ["lamp", "p1"] {
        let said = home.commands(name);
        let [CommandMessage { command: Command::Feedback { light, text: Some(text), .. }, .. }] = &said[..] else {
            panic!("{said:?}")
        };
        assert_eq!((*light, text.as_str()), (Some(Light::Flash), "Nobody has taken the alarm yet. We keep trying."));
    }
    assert!(home.alarms()[0].nobody);
    // Once is enough, also where a restart has dispatch say it again.
    home.report(nobody(0));
    assert!(home.commands("lamp").is_empty());
    let mut home = home.restart();
    home.listen("lamp");
    home.commands("lamp");
    home.report(nobody(0));
    assert!(home.commands("lamp").is_empty());
    home.report(Report::Rung {
        alarm: alarm.clone(),
        notice: 0,
        rung: Rung::Accepted,
        receiver: "larmcentral".into(),
        path: "fibre".into(),
        detail: String::new(),
        last: true,
    });
    let said = home.commands("lamp");
    assert!(
        matches!(&said[..], [CommandMessage { command: Command::Feedback { light: Some(Light::Steady), .. }, .. }]),
        "{said:?}"
    );
    assert!(!home.alarms()[0].nobody && home.alarms()[0].is_handed_over());
}
