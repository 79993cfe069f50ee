//! Dispatch against real connections on loopback: a well-behaved centre here, hostile peers in [`hostile`].

mod dc09;
mod hostile;
mod hub;
pub(super) mod memory;
mod outage;
mod regime;
pub(super) mod scripted;
pub(super) mod strangers;
pub(super) mod tls;

use std::sync::Mutex;

use super::*;
use crate::clock::ManualClock;
use crate::demo::centre::Centre;

/// UTC milliseconds at which these tests play.
pub(crate) const AT: i64 = 1_795_212_345_000;

pub(crate) fn notice(alarm: &str, number: u32) -> Notice {
    let alarm: AlarmId = alarm.parse().expect("an alarm id");
    Notice {
        reference: reference(&alarm, number),
        alarm,
        number,
        lane: Lane::Life,
        what: NoticeWhat::Raise,
        device: "p1".parse().expect("a device id"),
        room: None,
        dty: 3,
        stc: 10,
        happened_at: AT,
        alarm_at: AT,
        accepted: false,
        to_all: false,
        delayed: false,
        count: 1,
        text: "Larmknapp".to_owned(),
        test: false,
        cause: "button".to_owned(),
        resident: None,
        home: None,
        controller_id: None,
        caller: None,
        whereabouts: None,
    }
}

pub(super) const PACE: Pace = Pace { retry_ms_min: 5, retry_life_ms_max: 40, retry_ms_max: 80, redial_ms_max: 20 };

/// A receiver with short deadlines, so that a test of silence is soon over; nothing asserts how long it took.
pub(super) fn receiver(name: &str, url: &str) -> ReceiverConfig {
    ReceiverConfig {
        heartbeat_interval_s: 3_600,
        received_deadline_ms: 200,
        accepted_deadline_ms: 400,
        ..ReceiverConfig::new(name, ReceiverKind::Scaip, url)
    }
}

/// A receiver that is given time: for tests in which nothing is silent.
pub(super) fn patient(name: &str, url: &str) -> ReceiverConfig {
    ReceiverConfig { received_deadline_ms: 20_000, accepted_deadline_ms: 40_000, ..receiver(name, url) }
}

pub(super) fn config(receivers: Vec<ReceiverConfig>) -> DispatchConfig {
    let to = receivers.iter().map(|r| r.name.clone()).collect();
    let lanes = vec![Lane::Life, Lane::Care, Lane::Technical, Lane::Test];
    DispatchConfig {
        controller_id: "10149471".to_owned(),
        receivers,
        routes: vec![Route { lanes, to, hours: None }],
        ..DispatchConfig::default()
    }
}

/// A running dispatch and everything it has reported.
pub(super) struct Stage {
    pub dispatcher: Dispatcher,
    reports: mpsc::UnboundedReceiver<Report>,
    pub heard: Vec<Report>,
    _shutdown: watch::Sender<bool>,
}

impl Stage {
    pub fn new(config: DispatchConfig) -> Self {
        Self::paced(config, PACE)
    }

    pub fn paced(config: DispatchConfig, pace: Pace) -> Self {
        let (tell, reports) = mpsc::unbounded_channel();
        let tell = Mutex::new(tell);
        let sink: Reports = Arc::new(move |report| {
            let _ = tell.lock().expect("one task tells").send(report);
        });
        let (shutdown, watch) = watch::channel(false);
        let clock = Arc::new(ManualClock::new(AT));
        let dispatcher = Dispatcher::start_with(config, clock, sink, watch, pace);
        Self { dispatcher, reports, heard: Vec::new(), _shutdown: shutdown }
    }

    /// Waits for a report; those before it are kept in `heard` too.
    pub async fn until(&mut self, wished: impl Fn(&Report) -> bool) -> Report {
        self.until_within(Duration::from_secs(60), wished).await
    }

    /// [`Stage::until`], where the next report may take longer: on a paused clock.
    pub async fn until_within(&mut self, limit: Duration, wished: impl Fn(&Report) -> bool) -> Report {
        loop {
            let next = tokio::time::timeout(limit, self.reports.recv());
            let report = next.await.expect("a report in time").expect("dispatch runs");
            self.heard.push(report.clone());
            if wished(&report) {
                return report;
            }
        }
    }

    pub async fn accepted(&mut self, alarm: &str) -> Report {
        self.until(|r| matches!(r, Report::Rung { alarm: a, rung: Rung::Accepted, .. } if a.as_ref() == alarm)).await
    }

    /// Rungs heard so far of an alarm: `rung@receiver`.
    pub fn rungs(&self, alarm: &str) -> Vec<String> {
        let of = |r: &Report| match r {
            Report::Rung { alarm: a, rung, receiver, .. } if a.as_ref() == alarm => {
                Some(format!("{}@{receiver}", rung.as_str()))
            }
            _ => None,
        };
        self.heard.iter().filter_map(of).collect()
    }

    /// Waits until a receiver's path is judged so.
    pub async fn path(&mut self, name: &str, wished: bool) -> String {
        let report =
            self.until(|r| matches!(r, Report::Path { receiver, up, .. } if receiver == name && *up == wished)).await;
        match report {
            Report::Path { detail, .. } => detail,
            _ => unreachable!(),
        }
    }
}

#[test]
fn a_reference_is_stable_and_fits_the_schema() {
    let alarm: AlarmId = "a1".parse().unwrap();
    assert_eq!(reference(&alarm, 1), "DL6AHwQHxAcgnMtM");
    assert_ne!(reference(&alarm, 1), reference(&alarm, 2));
    assert_ne!(reference(&"a".parse().unwrap(), 11), reference(&"a1".parse().unwrap(), 1));
}

#[tokio::test]
async fn an_alarm_climbs_to_accepted_and_is_told_once() {
    let centre = Centre::start(None).await.unwrap();
    let mut stage = Stage::new(config(vec![patient("c", &centre.url())]));
    let mut press = notice("a1", 1);
    press.room = Some("Badrum".into());
    stage.dispatcher.owe(press.clone());
    stage.dispatcher.owe(press.clone());
    stage.accepted("a1").await;
    assert_eq!(stage.rungs("a1"), ["sent@c", "received@c", "accepted@c"]);
    let taken = centre.taken();
    assert_eq!((taken.len(), centre.count().duplicates), (1, 0));
    let one = &taken[0];
    assert_eq!(
        (one.reference.as_str(), one.cid.as_str(), one.mty.as_str()),
        (press.reference.as_str(), "10149471", "ME")
    );
    assert_eq!((one.dty, one.stc, one.text.as_str(), one.room.as_str()), (3, 10, "Larmknapp", "Badrum"));
}

#[tokio::test]
async fn a_thousand_notices_go_over_one_connection() {
    let centre = Centre::start(None).await.unwrap();
    let mut stage = Stage::new(config(vec![patient("c", &centre.url())]));
    for n in 0..1_000 {
        stage.dispatcher.owe(notice(&format!("a{}", n / 10), n));
    }
    let count = centre.until(|c| c.alarms == 1_000).await;
    for _ in 0..1_000 {
        stage.until(|r| matches!(r, Report::Rung { rung: Rung::Accepted, .. })).await;
    }
    assert_eq!((count.connections, centre.count().duplicates), (1, 0));
}

#[tokio::test]
async fn a_centre_that_goes_and_comes_back_gets_everything_newest_first() {
    let mut centre = Centre::start(None).await.unwrap();
    // No wait of a single notice ends here: the connection that stands again is what sends them.
    let pace = Pace { retry_life_ms_max: 600_000, retry_ms_min: 600_000, ..PACE };
    let mut stage = Stage::paced(config(vec![patient("c", &centre.url())]), pace);
    stage.path("c", true).await;
    centre.stop().await;
    stage.path("c", false).await;
    for (name, happened_at) in [("old", AT - 600_000), ("new", AT), ("mid", AT - 60_000)] {
        stage.dispatcher.owe(Notice { happened_at, ..notice(name, 1) });
    }
    centre.restart().await.unwrap();
    for _ in 0..3 {
        stage.until(|r| matches!(r, Report::Rung { rung: Rung::Accepted, .. })).await;
    }
    let taken: Vec<(String, bool)> =
        centre.taken().iter().map(|t| (t.reference.clone(), t.status_text.starts_with("DELAYED"))).collect();
    let expected = [("new", false), ("mid", true), ("old", true)].map(|(name, late)| (notice(name, 1).reference, late));
    assert_eq!(taken, expected);
}

#[tokio::test]
async fn a_second_receiver_takes_what_the_first_cannot() {
    let mut away = Centre::start(None).await.unwrap();
    away.stop().await;
    let backup = Centre::start(None).await.unwrap();
    let mut stage = Stage::new(config(vec![patient("first", &away.url()), patient("backup", &backup.url())]));
    stage.dispatcher.owe(notice("a1", 1));
    stage.accepted("a1").await;
    assert_eq!(stage.rungs("a1"), ["sent@backup", "received@backup", "accepted@backup"]);
}

#[tokio::test]
async fn a_hung_centre_is_overtaken() {
    let (hung, backup) = (Centre::start(None).await.unwrap(), Centre::start(None).await.unwrap());
    let mut stage = Stage::new(config(vec![receiver("hung", &hung.url()), patient("backup", &backup.url())]));
    stage.path("hung", true).await;
    hung.pause(true);
    stage.dispatcher.owe(notice("a1", 1));
    stage.accepted("a1").await;
    let rungs = ["sent@hung", "sent@backup", "received@backup", "accepted@backup"];
    assert_eq!(stage.rungs("a1"), rungs);
    assert_eq!(backup.taken()[0].reference, notice("a1", 1).reference);
}

#[tokio::test]
async fn the_second_path_takes_over_and_the_first_is_used_again_when_it_is_back() {
    let (mut first, second) = (Centre::start(None).await.unwrap(), Centre::start(None).await.unwrap());
    let way = |name: &str, centre: &Centre| PathConfig {
        name: name.to_owned(),
        url: Some(centre.url()),
        ..PathConfig::default()
    };
    let receiver = ReceiverConfig {
        paths: vec![way("fibre", &first), way("mobile", &second)],
        ..patient("centre", "sip:127.0.0.1:1;transport=tcp")
    };
    let mut stage = Stage::new(config(vec![receiver]));
    stage.path("centre", true).await;
    stage.path("centre", true).await;
    stage.dispatcher.owe(notice("a1", 1));
    stage.accepted("a1").await;
    assert_eq!((first.count().alarms, second.count().alarms), (1, 0));
    let lost = |r: &Report| matches!(r, Report::Path { path, up: false, .. } if path.starts_with("fibre "));
    first.stop().await;
    stage.until(lost).await;
    stage.dispatcher.owe(notice("a2", 1));
    let rung = stage.accepted("a2").await;
    assert!(matches!(rung, Report::Rung { path, .. } if path.starts_with("mobile ")));
    first.restart().await.unwrap();
    stage.until(|r| matches!(r, Report::Path { path, up: true, .. } if path.starts_with("fibre "))).await;
    stage.dispatcher.owe(notice("a3", 1));
    stage.accepted("a3").await;
    assert_eq!((first.count().alarms, second.count().alarms), (2, 1));
}

#[tokio::test]
async fn a_refusal_is_tried_again_with_the_same_reference() {
    let centre = Centre::start(None).await.unwrap();
    centre.answer_with(6);
    let mut stage = Stage::new(config(vec![patient("c", &centre.url())]));
    stage.dispatcher.owe(notice("a1", 1));
    centre.until(|c| c.duplicates >= 2).await;
    centre.answer_with(0);
    stage.accepted("a1").await;
    assert_eq!(stage.rungs("a1"), ["sent@c", "received@c", "accepted@c"]);
    assert_eq!((centre.count().alarms, centre.count().connections), (1, 1));
}

#[tokio::test]
async fn a_settled_alarm_is_tried_no_more() {
    let centre = Centre::start(None).await.unwrap();
    centre.answer_with(5);
    let mut stage = Stage::new(config(vec![patient("c", &centre.url())]));
    stage.dispatcher.owe(notice("a1", 1));
    centre.until(|c| c.alarms == 1).await;
    stage.dispatcher.settled(&"a1".parse().unwrap());
    centre.answer_with(0);
    stage.dispatcher.owe(notice("a2", 1));
    stage.accepted("a2").await;
    // What was under way has come before the second alarm; nothing of the first may come after it.
    let first = notice("a1", 1).reference;
    let of_first = || centre.taken().iter().filter(|t| t.reference == first).count();
    let before = of_first();
    stage.dispatcher.owe(notice("a3", 1));
    stage.accepted("a3").await;
    assert_eq!(of_first(), before);
}

#[tokio::test]
async fn heartbeats_go_on_and_three_misses_lose_the_path() {
    let centre = Centre::start(None).await.unwrap();
    let quick = ReceiverConfig { heartbeat_interval_s: 1, received_deadline_ms: 100, ..receiver("c", &centre.url()) };
    let mut stage = Stage::new(config(vec![quick]));
    assert_eq!(stage.path("c", true).await, "heartbeat answered");
    centre.until(|c| c.heartbeats >= 2).await;
    centre.pause(true);
    assert!(stage.path("c", false).await.contains("heartbeat"));
    centre.pause(false);
    stage.path("c", true).await;
}

#[tokio::test]
async fn a_new_configuration_moves_what_is_owed_and_keeps_other_connections() {
    let (kept, other) = (Centre::start(None).await.unwrap(), Centre::start(None).await.unwrap());
    let mut dispatch = config(vec![patient("kept", &kept.url())]);
    dispatch.routes[0].lanes = vec![Lane::Care];
    let mut stage = Stage::new(dispatch.clone());
    stage.dispatcher.owe(notice("a1", 1));
    stage.until(|r| matches!(r, Report::Unserved { lane: Lane::Life, .. })).await;
    stage.path("kept", true).await;
    dispatch.receivers.push(patient("other", &other.url()));
    dispatch.routes.push(Route { lanes: vec![Lane::Life], to: vec!["other".into()], hours: None });
    stage.dispatcher.reconfigure(dispatch);
    stage.accepted("a1").await;
    assert_eq!(stage.rungs("a1"), ["sent@other", "received@other", "accepted@other"]);
    stage.dispatcher.owe(Notice { lane: Lane::Care, ..notice("a2", 1) });
    stage.accepted("a2").await;
    assert_eq!(kept.count().connections, 1);
}

#[tokio::test]
async fn a_link_that_panics_leaves_the_others_working() {
    let centre = Centre::start(None).await.unwrap();
    let broken = ReceiverConfig { kind: ReceiverKind::Panics, ..patient("broken", "x") };
    let mut stage = Stage::new(config(vec![broken, patient("c", &centre.url())]));
    stage.dispatcher.owe(notice("a1", 1));
    stage.accepted("a1").await;
    assert_eq!(stage.rungs("a1"), ["sent@c", "received@c", "accepted@c"]);
    assert!(stage.heard.iter().any(|r| matches!(r, Report::Path { receiver, up: false, .. } if receiver == "broken")));
}

#[tokio::test]
async fn a_receiver_that_is_misconfigured_is_told_and_the_others_work() {
    let centre = Centre::start(None).await.unwrap();
    let bad = ReceiverConfig::new("bad", ReceiverKind::Scaip, "x");
    let mut stage = Stage::new(config(vec![bad, patient("c", &centre.url())]));
    assert!(stage.path("bad", false).await.contains("no SIP address"));
    stage.dispatcher.owe(notice("a1", 1));
    stage.accepted("a1").await;
}
