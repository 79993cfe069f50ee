//! A hub without sockets: what homes tell it, what their silence means; and what a home is told when nobody has its alarm.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use vaka_protocol::{Command, CommandMessage, DeviceId, Lane, Light, Rung};

use super::keeper::{Ask, Input, Keeper};
use super::restore;
use super::view::Labels;
use crate::clock::ManualClock;
use crate::dispatch::{ParcelId, Report};
use crate::ingest::roster::{Listed, Peer, Roster};
use crate::ingest::{Submission, ToSession, What, admission};
use crate::journal::record::{Act, ActWhat};
use crate::limits::{HOME_SILENT_AGAIN_MS, HOME_SILENT_MS};
use crate::rules::alarms::Alarm;
use crate::rules::{DeviceFacts, Home};

pub(super) const AT: i64 = 1_795_000_000_000;

pub(super) struct Stage {
    pub(super) dir: tempfile::TempDir,
    pub(super) clock: Arc<ManualClock>,
    pub(super) keeper: Keeper,
    pub(super) roster: Roster,
    /// What each listening device has heard.
    heard: BTreeMap<DeviceId, mpsc::UnboundedReceiver<ToSession>>,
}

pub(super) fn device(name: &str) -> DeviceId {
    DeviceId::try_from(name).expect("a valid id")
}

pub(super) fn home() -> Home {
    let facts = |dty, speaks, home| DeviceFacts { dty, fixed: false, speaks, home };
    let devices = [("gw-1", facts(2, false, true)), ("p1", facts(3, false, false)), ("lamp", facts(48, true, false))];
    let devices = devices.into_iter().map(|(name, facts)| (device(name), facts)).collect();
    Home { devices, english: true, ..Home::default() }
}

impl Stage {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let clock = Arc::new(ManualClock::new(AT));
        let roster = Roster {
            devices: home().devices.iter().map(|(id, _)| (id.clone(), Listed { bridge: false, home: false })).collect(),
            ..Roster::default()
        };
        let keeper = Self::open(&dir, &clock, home());
        Self { dir, clock, keeper, roster, heard: BTreeMap::new() }
    }

    fn open(dir: &tempfile::TempDir, clock: &Arc<ManualClock>, home: Home) -> Keeper {
        let restored = restore::open(dir.path(), 64 * 1024 * 1024).expect("the journal opens");
        let mut keeper = Keeper::new(restored, home, Labels::default(), clock.clone(), None);
        keeper.begin();
        keeper
    }

    /// As after a kill, on the same disk.
    pub(super) fn restart(self) -> Self {
        self.restart_as(home())
    }

    pub(super) fn restart_as(self, home: Home) -> Self {
        let Self { dir, clock, keeper, roster, .. } = self;
        drop(keeper);
        let keeper = Self::open(&dir, &clock, home);
        Self { dir, clock, keeper, roster, heard: BTreeMap::new() }
    }

    pub(super) fn publish(&mut self, from: &str, payload: &str) {
        let peer = Peer { device: device(from), enrolment: 1, serial: String::new(), not_after: i64::MAX };
        let topic = format!("vaka/v1/{from}/event");
        let admitted = admission::admit(&peer, &self.roster, &topic, payload.as_bytes().to_vec(), false);
        self.keeper.run_batch(&mut vec![Input::Submission(admitted.submission)]);
    }

    fn note(&mut self, from: &str, what: What) {
        let (device, lane) = (device(from), Lane::Telemetry);
        let submission = Submission {
            device,
            enrolment: 1,
            lane,
            what,
            has_ended: false,
            since_ms: None,
            for_many: true,
            reply: None,
        };
        self.keeper.run_batch(&mut vec![Input::Submission(submission)]);
    }

    pub(super) fn listen(&mut self, name: &str) {
        let (replies, heard) = mpsc::unbounded_channel();
        self.note(name, What::Listening(replies));
        self.heard.insert(device(name), heard);
    }

    pub(super) fn commands(&mut self, name: &str) -> Vec<CommandMessage> {
        let heard = self.heard.get_mut(&device(name)).expect("it listens");
        let command = |message| if let ToSession::Command(message, _) = message { Some(*message) } else { None };
        std::iter::from_fn(|| heard.try_recv().ok()).filter_map(command).collect()
    }

    pub(super) fn pass(&mut self, ms: u64) {
        self.clock.advance(ms);
        self.keeper.run_batch(&mut Vec::new());
    }

    pub(super) fn report(&mut self, report: Report) {
        self.keeper.run_batch(&mut vec![Input::Report(report)]);
    }

    pub(super) fn alarms(&self) -> Vec<&Alarm> {
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
fn what_a_home_tells_again_says_what_it_says_now_and_is_counted_as_the_home_does() {
    let mut hub = Stage::new();
    hub.publish("gw-1", &told(1, "a1", 0, "raise", 1));
    let located = told(2, "a1", 1, "again", 1).replace("Larmknapp", "Larmknapp Senast 59.33379,18.06860 10:01.");
    hub.publish("gw-1", &located);
    let words =
        |hub: &Stage| hub.alarms()[0].notices.iter().map(|notice| notice.words.as_deref().cloned()).collect::<Vec<_>>();
    let where_it_is = "Larmknapp Senast 59.33379,18.06860 10:01.".to_owned();
    assert_eq!(words(&hub), [None, Some((where_it_is.clone(), where_it_is))]);
    assert_eq!(hub.causes(), [("button", 1, false)], "nobody has pressed again");
    hub.publish("gw-1", &told(3, "a1", 2, "again", 2));
    assert_eq!((words(&hub).pop(), hub.alarms()[0].count), (Some(None), 2));
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
fn an_alarm_whose_closed_forerunner_is_forgotten_is_still_found() {
    let mut hub = Stage::new();
    let close = |hub: &mut Stage, of: &str| {
        let is_it = |alarm: &&&crate::rules::alarms::Alarm| {
            alarm.raise.home.as_deref().is_some_and(|home| home.alarm.as_ref() as &str == of)
        };
        let alarm = hub.alarms().iter().find(is_it).map(|alarm| alarm.id().clone()).expect("it is open");
        hub.report(Report::Person { alarm, notice: 9, act: ActWhat::Close, by: "anna".into() });
    };
    hub.publish("gw-1", &told(1, "a1", 0, "raise", 1));
    close(&mut hub, "a1");
    hub.publish("gw-1", &told(2, "a1", 1, "again", 2));
    for other in 0..crate::limits::CLOSED_ALARMS_KEPT as u64 {
        hub.publish("gw-1", &told(100 + other, &format!("b{other}"), 0, "raise", 1));
        close(&mut hub, &format!("b{other}"));
    }
    hub.publish("gw-1", &told(3, "a1", 2, "again", 3));
    assert_eq!(hub.causes(), [("button", 3, false)], "the same alarm, not one beside it");
    hub.publish("gw-1", &told(2, "a1", 1, "again", 2));
    assert_eq!(hub.alarms().len(), 1);
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

/// What the home says of its person's act, as [`told`].
fn acted(seq: u64, alarm: &str, number: u32, rung: &str, by: &str) -> String {
    format!(
        r#"{{"v":1,"restart":0,"seq":{seq},"event":{{"alarm":{{"alarm":"{alarm}","lane":"life","rung":"{rung}","number":{number},"by":"{by}"}}}}}}"#
    )
}

#[test]
fn what_people_in_a_home_do_settles_that_alarm_at_the_hub_and_no_other() {
    let mut hub = Stage::new();
    hub.listen("gw-1");
    hub.publish("gw-1", &told(1, "a1", 0, "raise", 1));
    hub.publish("gw-1", &told(2, "a2", 0, "raise", 1));
    hub.commands("gw-1");
    hub.publish("gw-1", &acted(90, "a1", 0, "claimed", "anna"));
    hub.publish("gw-1", &acted(90, "a1", 0, "claimed", "anna"));
    let by = |hub: &Stage| hub.alarms().iter().filter_map(|alarm| alarm.claimed_by.clone()).collect::<Vec<_>>();
    assert_eq!(by(&hub), ["gw-1: anna"]);
    assert_eq!(hub.keeper.state().alarms.owed().count(), 1, "the other alarm is still owed");
    let mut hub = hub.restart();
    hub.listen("gw-1");
    hub.commands("gw-1");
    // In its own words again, after the restart; then somebody else's claim, which comes too late.
    hub.publish("gw-1", &acted(90, "a1", 0, "claimed", "anna"));
    hub.publish("gw-1", &acted(92, "a1", 0, "claimed", "bo"));
    assert_eq!(by(&hub), ["gw-1: anna"]);
    hub.publish("gw-1", &acted(91, "a1", 2, "closed", "anna"));
    assert!(hub.commands("gw-1").is_empty(), "the home knows what its own people did");
    assert_eq!(hub.alarms().len(), 1);
    let closed = hub.keeper.state().alarms.closed().next().expect("one is closed");
    assert_eq!(closed.closed_by.as_deref(), Some("gw-1: anna"));
    // Told before the close and late: no news. Told after it: an alarm again.
    hub.publish("gw-1", &told(3, "a1", 2, "again", 3));
    assert_eq!(hub.alarms().len(), 1);
    hub.publish("gw-1", &told(4, "a1", 3, "again", 4));
    assert_eq!(hub.alarms().len(), 2);
    // Of an alarm that was never told here, or that is closed here already, there is nothing to do.
    let records = hub.keeper.state().cursor;
    hub.publish("gw-1", &acted(93, "a9", 0, "closed", "anna"));
    assert_eq!(hub.keeper.state().cursor, records + 1, "the event alone");
    // Nor does anybody but a home close anything so.
    hub.publish("p1", &acted(1, "a2", 0, "closed", "p1"));
    assert!(hub.alarms().iter().any(|alarm| alarm.raise.home.as_ref().is_some_and(|of| of.alarm.as_ref() == "a2")));
}

#[test]
fn what_people_in_a_home_give_back_waits_at_the_hub_again() {
    let mut hub = Stage::new();
    hub.publish("gw-1", &told(1, "a1", 0, "raise", 1));
    hub.publish("gw-1", &acted(90, "a1", 0, "claimed", "anna"));
    assert_eq!(hub.keeper.state().alarms.owed().count(), 0);
    // Old news, then the telling by which anna gave it back.
    hub.publish("gw-1", &told(2, "a1", 0, "again", 1));
    assert_eq!(hub.alarms()[0].claimed_by.as_deref(), Some("gw-1: anna"));
    hub.publish("gw-1", &told(3, "a1", 1, "again", 1));
    for _ in 0..2 {
        let alarms = hub.alarms();
        assert_eq!((alarms.len(), alarms[0].claimed_by.as_deref(), alarms[0].rung()), (1, None, Rung::Stored));
        let owed: Vec<u32> = hub.keeper.state().alarms.owed().map(|(_, notice)| notice.number).collect();
        assert_eq!(owed, [1], "told again, once");
        hub = hub.restart();
    }
    // What the hub's own people have stays theirs.
    let alarm = hub.alarms()[0].id().clone();
    hub.report(Report::Person { alarm, notice: 9, act: ActWhat::Claim, by: "bo".into() });
    hub.publish("gw-1", &told(4, "a1", 2, "again", 2));
    assert_eq!(hub.alarms()[0].claimed_by.as_deref(), Some("bo"));
}

#[test]
fn a_close_that_comes_before_its_alarm_settles_that_alarm_alone() {
    let mut hub = Stage::new();
    hub.listen("gw-1");
    hub.publish("gw-1", &acted(90, "a1", 1, "closed", "anna"));
    let mut hub = hub.restart();
    hub.publish("gw-1", &told(1, "a1", 0, "raise", 1));
    assert_eq!(hub.causes(), []);
    let closed = hub.keeper.state().alarms.closed().next().expect("raised, and closed at once");
    assert_eq!((closed.closed_by.as_deref(), closed.count), (Some("gw-1: anna"), 1));
    assert_eq!(hub.keeper.state().alarms.owed().count(), 0, "nobody is told");
    // Told before the close: old news. After it: an alarm, as is any other of that home, and that of another home.
    hub.publish("gw-1", &told(2, "a1", 1, "again", 2));
    assert_eq!(hub.causes(), []);
    hub.publish("gw-1", &told(3, "a1", 2, "again", 3));
    hub.publish("gw-1", &told(4, "a2", 0, "raise", 1));
    assert_eq!(hub.causes().len(), 2);
    // A home made anew uses its ids again: what happened at another time is another alarm.
    let mut hub = Stage::new();
    hub.publish("gw-1", &acted(90, "a1", 1, "closed", "anna"));
    let other = told(1, "a1", 0, "raise", 1).replace(r#""number":0"#, r#""number":0,"happened_at":1795000000000"#);
    hub.publish("gw-1", &other);
    assert_eq!(hub.causes().len(), 1);
    // Nobody closed it, or the device is no home: nothing is kept for it.
    let mut hub = Stage::new();
    hub.publish("gw-1", &acted(90, "a1", 1, "closed", ""));
    hub.publish("gw-1", &told(1, "a1", 0, "raise", 1));
    assert_eq!(hub.causes().len(), 1);
}

#[test]
fn only_the_newest_early_closes_of_a_home_are_kept() {
    let mut hub = Stage::new();
    let many = crate::limits::EARLY_CLOSES_PER_HOME_MAX as u64 + 1;
    for number in 0..many {
        hub.publish("gw-1", &acted(100 + number, &format!("a{number}"), 0, "closed", "anna"));
    }
    for number in 0..many {
        hub.publish("gw-1", &told(1 + number, &format!("a{number}"), 0, "raise", 1));
    }
    let open: Vec<&str> =
        hub.alarms().iter().filter_map(|alarm| alarm.raise.home.as_deref()).map(|of| of.alarm.as_ref()).collect();
    assert_eq!(open, ["a0"], "the oldest was let go: open rather than muted");
}

#[test]
fn a_hub_that_has_closed_it_already_has_nothing_new() {
    let mut hub = Stage::new();
    hub.publish("gw-1", &told(1, "a1", 0, "raise", 1));
    let alarm = hub.alarms()[0].id().clone();
    hub.report(Report::Person { alarm, notice: 9, act: ActWhat::Close, by: "centre: bo".into() });
    let records = hub.keeper.state().cursor;
    hub.publish("gw-1", &acted(90, "a1", 0, "closed", "anna"));
    assert_eq!(hub.keeper.state().cursor, records + 1, "the event alone");
    assert_eq!(
        hub.keeper.state().alarms.closed().next().and_then(|alarm| alarm.closed_by.clone()).as_deref(),
        Some("centre: bo")
    );
}

#[test]
fn a_home_owes_its_hubs_what_its_people_did_until_they_have_it() {
    let with_hubs = || Home { hubs: [(Lane::Life, vec!["kommun".into(), "region".into()])].into(), ..home() };
    let mut stage = Stage::new();
    let owed = |stage: &Stage| {
        let counts = stage.keeper.state().passing.counts();
        counts.into_iter().map(|(hub, count)| format!("{hub} {count}")).collect::<Vec<_>>()
    };
    let press = |seq: u64| format!(r#"{{"v":1,"restart":1,"seq":{seq},"event":{{"button":{{}}}}}}"#);
    stage.keeper.run_batch(&mut vec![Input::Ask(Ask::Home {
        home: with_hubs(),
        labels: Labels::default(),
        agreed: Default::default(),
    })]);
    stage.publish("p1", &press(1));
    let alarm = stage.alarms()[0].id().clone();
    let (reply, _) = tokio::sync::oneshot::channel();
    let act = Act::new(alarm.clone(), ActWhat::Claim, "anna".into(), String::new());
    stage.keeper.run_batch(&mut vec![Input::Ask(Ask::Act { act, reply })]);
    assert_eq!(owed(&stage), ["kommun 1", "region 1"]);
    let claimed = stage.keeper.state().cursor;
    stage.report(Report::Parcel { receiver: "kommun".into(), id: ParcelId::Act(claimed) });
    stage.report(Report::Parcel { receiver: "kommun".into(), id: ParcelId::Act(claimed) });
    assert_eq!(owed(&stage), ["region 1"]);
    // Closed by the people of one hub: the other hears of it, that one need not.
    stage.report(Report::Person { alarm, notice: 9, act: ActWhat::Close, by: "kommun: staff".into() });
    assert_eq!(owed(&stage), ["region 2"]);
    let mut stage = stage.restart_as(with_hubs());
    assert_eq!(owed(&stage), ["region 2"]);
    // Who is no receiver any more waits for nothing.
    stage.keeper.run_batch(&mut vec![Input::Ask(Ask::Home {
        home: home(),
        labels: Labels::default(),
        agreed: Default::default(),
    })]);
    assert!(owed(&stage).is_empty());
    // Without a hub nobody is owed anything.
    stage.publish("p1", &press(2));
    let alarm = stage.alarms()[0].id().clone();
    stage.report(Report::Person { alarm, notice: 9, act: ActWhat::Close, by: "centre: bo".into() });
    assert!(owed(&stage).is_empty());
}

#[test]
fn a_hub_that_has_an_open_alarm_is_asked_after_a_restart_and_nobody_else_is() {
    let with_hubs = || Home { hubs: [(Lane::Technical, vec!["kommun".into(), "region".into()])].into(), ..home() };
    let low = |seq: u64| format!(r#"{{"v":1,"restart":1,"seq":{seq},"event":{{"battery":{{"low":true}}}}}}"#);
    let mut stage = Stage::new().restart_as(with_hubs());
    stage.publish("p1", &low(1));
    let alarm = stage.alarms()[0].id().clone();
    let rung = |rung| Report::Rung {
        alarm: alarm.clone(),
        notice: 0,
        rung,
        receiver: "kommun".into(),
        path: "fibre".into(),
        detail: String::new(),
        last: false,
    };
    let asked = |stage: &Stage| stage.keeper.open_at_hubs().map(|parcel| parcel.receiver).collect::<Vec<_>>();
    stage.report(rung(Rung::Received));
    stage.report(rung(Rung::Accepted));
    assert!(asked(&stage).is_empty(), "still owed: it is told again by itself");
    let claim = || Report::Person { alarm: alarm.clone(), notice: 0, act: ActWhat::Claim, by: "kommun: staff".into() };
    stage.report(claim());
    let mut stage = stage.restart_as(with_hubs());
    assert_eq!(asked(&stage), ["kommun"], "the other hub never had it");
    // Its answer: the claim is known, the close is news.
    let records = stage.keeper.state().cursor;
    stage.report(claim());
    assert_eq!(stage.keeper.state().cursor, records);
    stage.report(Report::Person { alarm, notice: 0, act: ActWhat::Close, by: "kommun: staff".into() });
    assert!(asked(&stage).is_empty() && stage.alarms().is_empty());
    // The same cause is an alarm again.
    stage.publish("p1", &low(2));
    assert_eq!(stage.causes(), [("battery", 1, false)]);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]

    /// However the tellings and the close arrive, in which order and how often, and whenever the hub restarts.
    #[test]
    fn a_close_at_home_ends_the_alarm_at_the_hub_in_every_order(
        last in 0u32..4,
        order in proptest::collection::vec(0u32..6, 1..12),
        restarts in proptest::collection::vec(proptest::bool::weighted(0.2), 12),
    ) {
        let mut hub = Stage::new();
        let mut is_closed = false;
        for (index, step) in order.iter().enumerate() {
            if *step > last {
                hub.publish("gw-1", &acted(90, "a1", last, "closed", "anna"));
                is_closed = true;
            } else {
                let what = if *step == 0 { "raise" } else { "again" };
                hub.publish("gw-1", &told(u64::from(*step), "a1", *step, what, step + 1));
            }
            if restarts[index] {
                hub = hub.restart();
            }
            proptest::prop_assert!(hub.alarms().len() <= 1);
            if is_closed {
                proptest::prop_assert!(hub.alarms().is_empty(), "open after its close: {:?}", hub.causes());
                proptest::prop_assert!(hub.keeper.state().alarms.closed().count() <= 1);
            }
        }
    }
}

#[test]
fn a_home_that_stays_silent_is_told_again_after_its_alarm_was_closed() {
    let mut hub = Stage::new();
    hub.pass(HOME_SILENT_MS);
    for round in 0..2 {
        assert_eq!(hub.causes(), [("silent", 1, false)], "round {round}");
        let close = |hub: &mut Stage| {
            let alarm = hub.alarms()[0].id().clone();
            hub.report(Report::Person { alarm, notice: 9, act: ActWhat::Close, by: "anna".into() });
        };
        close(&mut hub);
        hub.pass(HOME_SILENT_AGAIN_MS - 1);
        assert_eq!(hub.causes(), [], "round {round}");
        hub.pass(1);
    }
    // While it stands open it is told no more; and once the home is back, a close is the end of it.
    hub.pass(HOME_SILENT_AGAIN_MS * 3);
    assert_eq!(hub.causes(), [("silent", 1, false)]);
    hub.note("gw-1", What::Alive { online: true });
    let alarm = hub.alarms()[0].id().clone();
    hub.report(Report::Person { alarm, notice: 9, act: ActWhat::Close, by: "anna".into() });
    hub.pass(HOME_SILENT_AGAIN_MS * 3);
    assert_eq!(hub.causes(), []);
}

#[test]
fn how_a_home_is_stands_at_the_hub_and_is_an_alarm_only_where_nothing_else_is() {
    let mut hub = Stage::new();
    let said = |at: i64, lane: &str, ok: bool, text: &str| {
        format!(
            r#"{{"v":1,"at":{at},"event":{{"health":{{"lane":"{lane}","ok":{ok},"faults":{},"text":"{text}"}}}}}}"#,
            u8::from(!ok)
        )
    };
    hub.publish("gw-1", &said(AT + 2, "telemetry", false, "p1: Batteriet"));
    // Late: it says nothing about now.
    hub.publish("gw-1", &said(AT + 1, "telemetry", true, ""));
    let shown = |hub: &Stage| {
        let health = hub.keeper.state().devices[&device("gw-1")].health.clone().expect("it has said so");
        (health.ok, health.faults, health.text)
    };
    assert_eq!(shown(&hub), (false, 1, "p1: Batteriet".to_owned()));
    assert_eq!(hub.causes(), [], "its technical alarm comes here by itself");
    let mut hub = hub.restart();
    assert_eq!(shown(&hub).1, 1);
    hub.publish("gw-1", &said(AT + 3, "technical", false, "p1: Batteriet"));
    hub.publish("gw-1", &said(AT + 4, "technical", false, "p1: Batteriet"));
    assert_eq!(hub.causes(), [("health", 2, false)]);
    hub.publish("gw-1", &said(AT + 5, "technical", true, ""));
    assert_eq!(hub.causes(), [("health", 2, true)]);
    assert_eq!(shown(&hub), (true, 0, String::new()));
}
