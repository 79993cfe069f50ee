//! Against receivers that a test plays by hand: well-behaved, silent, broken, and wrong.

mod over_tls;

use std::time::Duration;

use vaka_protocol::Lane;

use super::super::config::{ReceiverConfig, ReceiverKind};
use super::super::tests::scripted::{Line, Peer};
use super::super::tests::strangers::{TAKEN_BY_GOOD, with_backup};
use super::super::tests::{self, Stage, config, notice};
use super::super::{Notice, NoticeWhat, Report};
use super::*;

const PASSWORD: &str = "hxp4x9nnwxjatv8";

fn own() -> SosAccessConfig {
    SosAccessConfig {
        transmitter_code: "1234567".into(),
        transmitter_type: "VAKA1".into(),
        receiver_id: "42".into(),
        ..SosAccessConfig::default()
    }
}

fn of_this_kind(receiver: ReceiverConfig) -> ReceiverConfig {
    let password = Some(PASSWORD.to_owned());
    ReceiverConfig { kind: ReceiverKind::SosAccess, sos_access: Some(own()), password, ..receiver }
}

fn patient(name: &str, peer: &Peer) -> ReceiverConfig {
    of_this_kind(tests::patient(name, &format!("tcp:{}", peer.address())))
}

fn impatient(name: &str, peer: &Peer) -> ReceiverConfig {
    of_this_kind(tests::receiver(name, &format!("tcp:{}", peer.address())))
}

/// A request, and the connection on which its answer is waited for.
struct Asked {
    line: Line,
    text: String,
}

impl Asked {
    fn field(&self, tag: &str) -> &str {
        let rest = self.text.split_once(&format!("<{tag}>")).map_or("", |(_, rest)| rest);
        rest.split_once('<').map_or("", |(value, _)| value)
    }

    async fn answer(&mut self, root: &str, status: u32) {
        let text = answer(root, self.field("reference"), status, "");
        self.line.say(text).await;
    }
}

/// Written by hand, so that it owes nothing to the gateway's own code.
fn answer(root: &str, reference: &str, status: u32, more: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<{root}>\n<reference>{reference}</reference>\n<status>{status}</status>\n\
         <info>said</info>\n{more}<arrivaltime>2026-11-20 22:05:45.000</arrivaltime>\n</{root}>\n"
    )
}

async fn asked(peer: &Peer) -> Asked {
    loop {
        let mut line = peer.line().await;
        let mut text = String::new();
        // Every document ends so; one that stands between ends its line otherwise.
        while let Some(more) = line.until(">\n").await {
            text.push_str(&more);
            if ["</alarmrequest>\n", "</pingrequest>\n", "</requestnewauthentication>\n"]
                .iter()
                .any(|end| text.ends_with(end))
            {
                return Asked { line, text };
            }
        }
    }
}

/// The next alarm; heartbeats before it are answered well.
async fn alarm(peer: &Peer) -> Asked {
    loop {
        let mut asked = asked(peer).await;
        if asked.text.contains("<alarmrequest>") {
            return asked;
        }
        asked.answer("pingresponse", 0).await;
    }
}

#[tokio::test]
async fn an_alarm_is_accepted_by_status_0_and_told_once() {
    let peer = Peer::new().await;
    let mut stage = Stage::new(config(vec![patient("c", &peer)]));
    let press = Notice { room: Some("Badrum".into()), ..notice("a1", 1) };
    stage.dispatcher.owe(press.clone());
    let mut told = alarm(&peer).await;
    let fields = [
        "reference",
        "authentication",
        "receiver",
        "transmittercode",
        "transmittertype",
        "alarmtype",
        "eventcode",
        "sectiontext",
    ];
    let said = fields.map(|tag| told.field(tag));
    assert_eq!(said, [&press.reference, PASSWORD, "42", "1234567", "VAKA1", "AL", "QA", "Badrum"]);
    told.answer("alarmresponse", 0).await;
    stage.accepted("a1").await;
    assert_eq!(stage.rungs("a1"), ["sent@c", "received@c", "accepted@c"]);
    stage.dispatcher.owe(Notice { what: NoticeWhat::Over, dty: 23, stc: 94, ..notice("a1", 2) });
    let mut over = alarm(&peer).await;
    assert_eq!((over.field("alarmtype"), over.field("eventcode")), ("RE", "FA"));
    over.answer("alarmresponse", 0).await;
    stage.accepted("a1").await;
}

#[tokio::test]
async fn silence_is_overtaken_by_the_next_receiver() {
    let peer = Peer::new().await;
    let (mut stage, _centre) = with_backup(impatient("bad", &peer)).await;
    stage.dispatcher.owe(notice("a1", 1));
    // Taken, and then nothing: neither on this connection nor on any other.
    let held = [peer.line().await, peer.line().await];
    stage.accepted("a1").await;
    assert_eq!(stage.rungs("a1"), [&["sent@bad"], TAKEN_BY_GOOD.as_slice()].concat());
    drop(held);
}

#[tokio::test]
async fn garbage_and_half_answers_cost_one_try_and_not_the_alarm() {
    let ok = answer("alarmresponse", "x", 0, "");
    let breakers: [&[u8]; 7] = [
        b"",
        b"\x00\xff\x13garbage",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"<html><status>0</status></html>",
        b"<!DOCTYPE a [<!ENTITY z \"0\">]><alarmresponse><status>&z;</status></alarmresponse>",
        &ok.as_bytes()[..ok.len() / 2],
        b"<alarmresponse><status>OK</status></alarmresponse>",
    ];
    for bytes in breakers {
        let peer = Peer::new().await;
        let mut stage = Stage::new(config(vec![patient("c", &peer)]));
        stage.dispatcher.owe(notice("a1", 1));
        let mut first = alarm(&peer).await;
        first.line.say(bytes).await;
        let reference = first.field("reference").to_owned();
        drop(first);
        let mut again = alarm(&peer).await;
        assert_eq!(again.field("reference"), reference);
        again.answer("alarmresponse", 0).await;
        stage.accepted("a1").await;
        assert_eq!(stage.rungs("a1"), ["sent@c", "received@c", "accepted@c"]);
    }
}

#[tokio::test]
async fn only_an_answer_to_this_alarm_accepts_it() {
    let peer = Peer::new().await;
    let mut stage = Stage::new(config(vec![patient("c", &peer)]));
    stage.dispatcher.owe(notice("a1", 1));
    alarm(&peer).await.line.say(answer("alarmresponse", "0000000000000000", 0, "")).await;
    alarm(&peer).await.answer("pingresponse", 0).await;
    let mut last = alarm(&peer).await;
    assert_eq!(stage.rungs("a1").iter().filter(|rung| rung.starts_with("accepted")).count(), 0);
    // A receiver need not say the reference on a connection that carries one request.
    last.line.say("<alarmresponse><status>0</status></alarmresponse>").await;
    stage.accepted("a1").await;
}

#[tokio::test]
async fn an_answer_said_twice_counts_once_and_the_first_counts() {
    let peer = Peer::new().await;
    let mut stage = Stage::new(config(vec![patient("c", &peer)]));
    stage.dispatcher.owe(notice("a1", 1));
    let mut told = alarm(&peer).await;
    let [yes, no] = [0, 5].map(|status| answer("alarmresponse", told.field("reference"), status, ""));
    told.line.say(format!("{no}{yes}")).await;
    let mut again = alarm(&peer).await;
    assert!(!stage.rungs("a1").contains(&"accepted@c".to_owned()));
    again.line.say(format!("{yes}{yes}{no}")).await;
    stage.accepted("a1").await;
    stage.dispatcher.owe(notice("a2", 1));
    alarm(&peer).await.answer("alarmresponse", 0).await;
    stage.accepted("a2").await;
    assert_eq!(stage.rungs("a1"), ["sent@c", "received@c", "accepted@c"]);
}

#[tokio::test]
async fn an_answer_after_its_deadline_still_counts_once() {
    let peer = Peer::new().await;
    let (mut stage, _centre) = with_backup(impatient("bad", &peer)).await;
    stage.dispatcher.owe(notice("a1", 1));
    let mut told = alarm(&peer).await;
    stage.accepted("a1").await;
    told.answer("alarmresponse", 0).await;
    let late = stage.accepted("a1").await;
    assert!(matches!(late, Report::Rung { receiver, .. } if receiver == "bad"));
    assert_eq!(stage.rungs("a1").iter().filter(|rung| *rung == "accepted@bad").count(), 1);
}

/// On the runtime's own clock: nothing waits, and an hour passes at once.
#[tokio::test(start_paused = true)]
async fn an_answer_an_hour_late_finds_a_closed_connection() {
    let (mut ours, mut theirs) = tokio::io::duplex(1_024);
    let (progress, mut told) = asking::watched(7);
    let at = |ms| Instant::now() + Duration::from_millis(ms);
    let errand = Errand { attempt: 7, notice: notice("a1", 1).into(), received_by: at(5_000), accepted_by: at(20_000) };
    let deadlines = exchange::Deadlines::of(&errand, &ReceiverConfig::new("c", ReceiverKind::SosAccess, ""));
    let begun = Instant::now();
    let ended = exchange::exchange(&mut ours, b"<x/>", &deadlines, &progress).await;
    assert_eq!(ended.unwrap_err(), Failure::NotReceived(5_000));
    assert_eq!(begun.elapsed(), Duration::from_secs(5 + 60));
    assert_eq!(told.all(), ["sent 7", "late 7: the receiver did not take it within 5000 ms"]);
    drop(ours);
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    use tokio::io::AsyncWriteExt;
    assert!(theirs.write_all(answer("alarmresponse", "x", 0, "").as_bytes()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn half_an_answer_is_waited_for_until_the_second_deadline() {
    let (mut ours, mut theirs) = tokio::io::duplex(4_096);
    let (progress, mut told) = asking::watched(7);
    let at = |ms| Instant::now() + Duration::from_millis(ms);
    let errand = Errand { attempt: 7, notice: notice("a1", 1).into(), received_by: at(5_000), accepted_by: at(20_000) };
    let deadlines = exchange::Deadlines::of(&errand, &ReceiverConfig::new("c", ReceiverKind::SosAccess, ""));
    let whole = answer("alarmresponse", "x", 0, "");
    let (half, rest) = whole.split_at(60);
    let slow = async {
        use tokio::io::AsyncWriteExt;
        theirs.write_all(half.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_secs(30)).await;
        theirs.write_all(rest.as_bytes()).await.unwrap();
    };
    let (ended, ()) = tokio::join!(exchange::exchange(&mut ours, b"<x/>", &deadlines, &progress), slow);
    assert_eq!(ended.unwrap().status, 0);
    assert_eq!(told.all(), ["sent 7", "late 7: the receiver took it but did not answer within 20000 ms"]);
}

#[tokio::test]
async fn refusals_go_round_and_what_is_had_already_is_accepted() {
    let peer = Peer::new().await;
    let mut stage = Stage::new(config(vec![patient("c", &peer)]));
    stage.dispatcher.owe(notice("a1", 1));
    let mut references = Vec::new();
    for status in [1, 2, 3, 4, 5, 7, 9, 98, 99, 100, 101, 6, 77] {
        let mut told = alarm(&peer).await;
        references.push(told.field("reference").to_owned());
        told.answer("alarmresponse", status).await;
    }
    references.dedup();
    assert_eq!(references.len(), 1);
    assert!(!stage.rungs("a1").contains(&"accepted@c".to_owned()));
    alarm(&peer).await.answer("alarmresponse", status::DUPLICATE).await;
    let accepted = stage.accepted("a1").await;
    assert!(matches!(accepted, Report::Rung { detail, .. } if detail.contains("already")));
}

#[tokio::test]
async fn a_slow_answer_does_not_hold_a_life_alarm_back() {
    let peer = Peer::new().await;
    let mut stage = Stage::new(config(vec![patient("c", &peer)]));
    stage.dispatcher.owe(Notice { lane: Lane::Care, ..notice("a1", 1) });
    let mut slow = alarm(&peer).await;
    // The one place for what is not life is taken: this waits, and life passes both.
    stage.dispatcher.owe(Notice { lane: Lane::Care, ..notice("a2", 1) });
    stage.dispatcher.owe(notice("a3", 1));
    let mut life = alarm(&peer).await;
    assert_eq!(life.field("reference"), notice("a3", 1).reference);
    life.answer("alarmresponse", 0).await;
    stage.accepted("a3").await;
    slow.answer("alarmresponse", 0).await;
    stage.accepted("a1").await;
    alarm(&peer).await.answer("alarmresponse", 0).await;
    stage.accepted("a2").await;
}

#[tokio::test]
async fn what_waits_for_its_place_fails_by_its_own_deadline() {
    let peer = Peer::new().await;
    let (mut stage, _centre) = with_backup(impatient("bad", &peer)).await;
    let alarms: Vec<String> = (1..=6).map(|n| format!("a{n}")).collect();
    for name in &alarms {
        stage.dispatcher.owe(notice(name, 1));
    }
    let hold = tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            held.push(peer.line().await);
        }
    });
    for _ in &alarms {
        stage.until(|r| matches!(r, Report::Rung { rung: vaka_protocol::Rung::Accepted, .. })).await;
    }
    for name in &alarms {
        assert!(stage.rungs(name).contains(&"accepted@good".to_owned()), "{name}: {:?}", stage.rungs(name));
    }
    hold.abort();
}

#[tokio::test]
async fn heartbeats_prove_the_path_and_say_what_the_receiver_thinks_of_them() {
    for (status, says) in [(0, "answered"), (101, "longer"), (9, "switched on")] {
        let peer = Peer::new().await;
        let mut stage = Stage::new(config(vec![patient("c", &peer)]));
        let mut ping = asked(&peer).await;
        assert!(ping.text.contains("<pingrequest>") && ping.field("authentication") == PASSWORD, "{}", ping.text);
        ping.answer("pingresponse", status).await;
        let said = stage.path("c", true).await;
        assert!(said.contains(says), "{status}: {said}");
    }
}

#[tokio::test]
async fn three_refused_heartbeats_lose_the_path_and_one_good_one_brings_it_back() {
    let peer = Peer::new().await;
    let quick = ReceiverConfig { heartbeat_interval_s: 1, ..patient("c", &peer) };
    let mut stage = Stage::new(config(vec![quick]));
    for _ in 0..3 {
        asked(&peer).await.answer("pingresponse", 4).await;
    }
    let why = stage.path("c", false).await;
    assert!(why.contains("not authorised"), "{why}");
    asked(&peer).await.answer("pingresponse", 0).await;
    stage.path("c", true).await;
}

#[tokio::test]
async fn a_receiver_that_comes_back_is_told_at_once() {
    let peer = Peer::new().await;
    let address = peer.address();
    drop(peer);
    let mut stage = Stage::new(config(vec![of_this_kind(tests::patient("c", &format!("tcp:{address}")))]));
    stage.dispatcher.owe(notice("a1", 1));
    stage.path("c", false).await;
    let listener = tokio::net::TcpListener::bind(&address).await.unwrap();
    let peer = Peer::on(listener);
    alarm(&peer).await.answer("alarmresponse", 0).await;
    stage.accepted("a1").await;
}

#[tokio::test]
async fn the_installers_password_is_exchanged_once() {
    const NEW: &str = "8usedlb54a234md";
    let dir = tempfile::tempdir().unwrap();
    let peer = Peer::new().await;
    let renewing = ReceiverConfig {
        password_file: Some(dir.path().join("sos.pass")),
        sos_access: Some(SosAccessConfig { rotate_password: true, ..own() }),
        ..patient("c", &peer)
    };
    let mut stage = Stage::new(config(vec![renewing.clone()]));
    let mut question = asked(&peer).await;
    assert!(question.text.contains("<requestnewauthentication>") && question.field("authentication") == PASSWORD);
    let more = format!("<newauthentication>{NEW}</newauthentication>\n");
    let said = answer("requestnewauthenticationresponse", question.field("reference"), 0, &more);
    question.line.say(said).await;
    let mut ping = asked(&peer).await;
    assert_eq!(ping.field("authentication"), NEW);
    ping.answer("pingresponse", 0).await;
    assert!(stage.path("c", true).await.contains("exchanged"));
    stage.dispatcher.owe(notice("a1", 1));
    assert_eq!(alarm(&peer).await.field("authentication"), NEW);
    // After a restart nothing is asked again.
    let _stage = Stage::new(config(vec![renewing]));
    loop {
        let next = asked(&peer).await;
        assert_eq!(next.field("authentication"), NEW);
        if next.text.contains("<pingrequest>") {
            break;
        }
    }
}
