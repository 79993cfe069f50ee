//! Against receivers that a test plays by hand: well-behaved, silent, broken, and wrong.

mod over_tls;

use super::super::config::{ReceiverConfig, ReceiverKind};
use super::super::tests::scripted::{Line, Peer};
use super::super::tests::strangers::{TAKEN_BY_GOOD, with_backup};
use super::super::tests::{self, Stage, config, notice};
use super::super::{Notice, Report};
use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

fn own() -> WebhookConfig {
    let text = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\nwhsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
    let secrets = sign::Secret::read_all(text).unwrap();
    WebhookConfig { gateway: "gw-1".into(), secrets, secret_file: None, ping: true }
}

fn of_this_kind(receiver: ReceiverConfig) -> ReceiverConfig {
    ReceiverConfig { kind: ReceiverKind::Webhook, webhook: Some(own()), ..receiver }
}

fn patient(name: &str, peer: &Peer) -> ReceiverConfig {
    of_this_kind(tests::patient(name, &format!("http://{}/vaka?home=1", peer.address())))
}

fn impatient(name: &str, peer: &Peer) -> ReceiverConfig {
    of_this_kind(tests::receiver(name, &format!("http://{}/vaka?home=1", peer.address())))
}

/// A receiver that is told alarms only: every request at it is one.
fn unpinged(receiver: ReceiverConfig) -> ReceiverConfig {
    ReceiverConfig { webhook: Some(WebhookConfig { ping: false, ..own() }), ..receiver }
}

struct Request {
    head: String,
    body: String,
}

impl Request {
    fn header(&self, name: &str) -> &str {
        let named = |line: &&str| line.split_once(": ").is_some_and(|(key, _)| key.eq_ignore_ascii_case(name));
        self.head.lines().find(named).and_then(|line| line.split_once(": ")).map_or("", |(_, value)| value)
    }

    fn is_ping(&self) -> bool {
        self.body.contains(r#""type":"ping""#)
    }
}

/// The next request on a connection; `None` when the gateway has closed it.
async fn any(line: &mut Line) -> Option<Request> {
    let head = line.until("\r\n\r\n").await?;
    let request = Request { head, body: String::new() };
    let length = request.header("content-length").parse().expect("a length");
    let body = String::from_utf8(line.bytes(length).await?).unwrap();
    Some(Request { body, ..request })
}

async fn alarm(line: &mut Line) -> Request {
    loop {
        let request = any(line).await.expect("an alarm");
        if !request.is_ping() {
            return request;
        }
        line.say(OK).await;
    }
}

async fn received(stage: &mut Stage, alarm: &str) -> Report {
    let of = |r: &Report| matches!(r, Report::Rung { alarm: a, rung: vaka_protocol::Rung::Received, .. } if a.as_ref() == alarm);
    stage.until(of).await
}

#[tokio::test]
async fn any_2xx_is_received_and_then_the_alarm_is_handed_over() {
    let peer = Peer::new().await;
    let mut stage = Stage::new(config(vec![unpinged(patient("c", &peer))]));
    let press = Notice { room: Some("Badrum".into()), ..notice("a1", 1) };
    stage.dispatcher.owe(press.clone());
    let mut line = peer.line().await;
    let request = alarm(&mut line).await;
    assert!(request.head.starts_with("POST /vaka?home=1 HTTP/1.1\r\n"), "{}", request.head);
    assert_eq!(request.header("host"), peer.address());
    assert_eq!(request.header("content-type"), "application/json");
    assert_eq!(request.header("webhook-id"), press.reference);
    assert_eq!(request.header("webhook-timestamp"), (tests::AT / 1_000).to_string());
    let signatures: Vec<&str> = request.header("webhook-signature").split(' ').collect();
    assert!(signatures.len() == 2 && signatures.iter().all(|one| one.starts_with("v1,")), "{signatures:?}");
    assert!(request.body.contains(r#""room":"Badrum""#), "{}", request.body);
    line.say("HTTP/1.1 202 Accepted\r\ncontent-length: 4\r\n\r\nthx!").await;
    let told = received(&mut stage, "a1").await;
    assert!(matches!(told, Report::Rung { last: true, .. }), "{told:?}");
    // The connection stays for the next.
    for name in ["a2", "a3"] {
        stage.dispatcher.owe(notice(name, 1));
        assert_eq!(alarm(&mut line).await.header("webhook-id"), notice(name, 1).reference);
        line.say("HTTP/1.1 204 No Content\r\n\r\n").await;
        received(&mut stage, name).await;
    }
    assert_eq!(stage.rungs("a1"), ["sent@c", "received@c"]);
}

#[tokio::test]
async fn silence_is_overtaken_by_the_next_receiver_and_a_late_answer_is_nobodys() {
    let peer = Peer::new().await;
    let (mut stage, _centre) = with_backup(unpinged(impatient("bad", &peer))).await;
    stage.dispatcher.owe(notice("a1", 1));
    let mut line = peer.line().await;
    alarm(&mut line).await;
    stage.accepted("a1").await;
    assert_eq!(stage.rungs("a1"), [&["sent@bad"], TAKEN_BY_GOOD.as_slice()].concat());
    line.closed().await;
    line.say(OK).await;
    stage.dispatcher.owe(notice("a2", 1));
    let mut line = peer.line().await;
    assert_eq!(alarm(&mut line).await.header("webhook-id"), notice("a2", 1).reference);
    line.say(OK).await;
    received(&mut stage, "a2").await;
    assert!(!stage.rungs("a1").contains(&"received@bad".to_owned()));
}

#[tokio::test]
async fn garbage_and_half_answers_cost_one_try_and_not_the_alarm() {
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(20_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(65));
    let breakers: [&[u8]; 8] = [
        b"",
        b"\x00\xff\x13garbage\r\n\r\n",
        b"HTTP/1.1 200",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-len",
        b"<alarmresponse><status>0</status></alarmresponse>\r\n\r\n",
        long.as_bytes(),
        many.as_bytes(),
    ];
    for bytes in breakers {
        let peer = Peer::new().await;
        let mut stage = Stage::new(config(vec![unpinged(patient("c", &peer))]));
        stage.dispatcher.owe(notice("a1", 1));
        let mut line = peer.line().await;
        let first = alarm(&mut line).await;
        line.say(bytes).await;
        drop(line);
        let mut line = peer.line().await;
        let again = alarm(&mut line).await;
        assert_eq!(again.header("webhook-id"), first.header("webhook-id"));
        assert_eq!(again.body, first.body);
        line.say(OK).await;
        received(&mut stage, "a1").await;
        assert_eq!(stage.rungs("a1"), ["sent@c", "received@c"], "{}", String::from_utf8_lossy(bytes));
    }
}

#[tokio::test]
async fn what_follows_the_head_never_holds_the_alarm_or_the_next_one() {
    let endless = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let huge = format!("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n{}", "x".repeat(100_000));
    let lying = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel";
    let chunks = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n";
    for said in [endless, &huge, lying, chunks] {
        let peer = Peer::new().await;
        let mut stage = Stage::new(config(vec![unpinged(patient("c", &peer))]));
        stage.dispatcher.owe(notice("a1", 1));
        let mut first = peer.line().await;
        alarm(&mut first).await;
        first.say(said).await;
        received(&mut stage, "a1").await;
        stage.dispatcher.owe(notice("a2", 1));
        let mut second = peer.line().await;
        alarm(&mut second).await;
        second.say(OK).await;
        received(&mut stage, "a2").await;
    }
}

#[tokio::test]
async fn an_answer_said_twice_is_never_the_next_alarms() {
    let peer = Peer::new().await;
    let mut stage = Stage::new(config(vec![unpinged(patient("c", &peer))]));
    stage.dispatcher.owe(notice("a1", 1));
    let mut line = peer.line().await;
    alarm(&mut line).await;
    line.say(format!("{OK}{OK}")).await;
    received(&mut stage, "a1").await;
    line.closed().await;
    stage.dispatcher.owe(notice("a2", 1));
    let mut line = peer.line().await;
    alarm(&mut line).await;
    assert!(!stage.rungs("a2").contains(&"received@c".to_owned()));
    line.say(OK).await;
    received(&mut stage, "a2").await;
}

#[tokio::test]
async fn a_connection_that_went_idle_and_away_costs_nothing() {
    let peer = Peer::new().await;
    let mut stage = Stage::new(config(vec![unpinged(patient("c", &peer))]));
    stage.dispatcher.owe(notice("a1", 1));
    let mut line = peer.line().await;
    alarm(&mut line).await;
    line.say(OK).await;
    received(&mut stage, "a1").await;
    stage.dispatcher.owe(notice("a2", 1));
    // It is taken up on the old connection, and that is closed without a word.
    alarm(&mut line).await;
    drop(line);
    let mut line = peer.line().await;
    assert_eq!(alarm(&mut line).await.header("webhook-id"), notice("a2", 1).reference);
    line.say(OK).await;
    received(&mut stage, "a2").await;
    assert_eq!(stage.rungs("a2"), ["sent@c", "received@c"]);
}

#[tokio::test]
async fn a_redirect_is_refused_and_not_followed() {
    let (peer, elsewhere) = (Peer::new().await, Peer::new().await);
    let (mut stage, _centre) = with_backup(unpinged(patient("c", &peer))).await;
    stage.dispatcher.owe(notice("a1", 1));
    let mut line = peer.line().await;
    alarm(&mut line).await;
    let to = elsewhere.address();
    line.say(format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{to}/\r\ncontent-length: 0\r\n\r\n")).await;
    stage.accepted("a1").await;
    assert_eq!(stage.rungs("a1"), [&["sent@c"], TAKEN_BY_GOOD.as_slice()].concat());
    // Nobody has come there: the next connection is the test's own.
    let own = tokio::net::TcpStream::connect(&to).await.unwrap();
    assert_eq!(own.local_addr().unwrap(), elsewhere.bare().await.peer_addr().unwrap());
}

#[tokio::test]
async fn refusals_go_round_with_the_same_id() {
    let peer = Peer::new().await;
    let mut stage = Stage::new(config(vec![unpinged(patient("c", &peer))]));
    stage.dispatcher.owe(notice("a1", 1));
    let mut line = peer.line().await;
    let mut ids = Vec::new();
    for status in [400, 401, 404, 410, 408, 425, 429, 500, 503] {
        ids.push(alarm(&mut line).await.header("webhook-id").to_owned());
        line.say(format!("HTTP/1.1 {status} No\r\ncontent-length: 0\r\n\r\n")).await;
    }
    ids.push(alarm(&mut line).await.header("webhook-id").to_owned());
    line.say(OK).await;
    received(&mut stage, "a1").await;
    ids.dedup();
    assert_eq!(ids, [notice("a1", 1).reference]);
}

#[tokio::test]
async fn who_asks_to_be_left_alone_is_and_others_are_told() {
    let peer = Peer::new().await;
    let (mut stage, _centre) = with_backup(unpinged(patient("c", &peer))).await;
    stage.dispatcher.owe(Notice { lane: Lane::Care, ..notice("a1", 1) });
    let mut line = peer.line().await;
    alarm(&mut line).await;
    line.say("HTTP/1.1 503 Service Unavailable\r\nretry-after: 86400\r\ncontent-length: 0\r\n\r\n").await;
    stage.accepted("a1").await;
    stage.dispatcher.owe(Notice { lane: Lane::Care, ..notice("a2", 1) });
    stage.accepted("a2").await;
    assert_eq!(stage.rungs("a2"), TAKEN_BY_GOOD, "it was not asked again");
}

#[tokio::test(start_paused = true)]
async fn it_is_left_alone_no_longer_than_a_lane_waits_anyway() {
    let receiver = of_this_kind(ReceiverConfig::new("c", ReceiverKind::Webhook, "http://127.0.0.1:9/"));
    let clock = Arc::new(crate::clock::ManualClock::new(tests::AT));
    let webhook = Webhook {
        client: Client::new(receiver.clone(), Target::parse(&receiver.url).unwrap(), clock.clone()),
        own: own(),
        sender: Sender { controller_id: String::new(), caller: None, time_zone: jiff::tz::TimeZone::UTC },
        clock,
        left_alone: Mutex::new(None),
    };
    let now = Instant::now();
    let waits = |asked_s| {
        *webhook.left_alone() = Some((now, Duration::from_secs(asked_s)));
        [Lane::Life, Lane::Care]
            .map(|lane| webhook.left_alone_until(lane).map(|until| (until - now).as_millis() as u64))
    };
    assert_eq!(waits(86_400), [Some(RETRY_LIFE_MS_MAX), Some(RETRY_MS_MAX)]);
    assert_eq!(waits(2), [Some(2_000), Some(2_000)]);
}

#[tokio::test]
async fn a_slow_answer_does_not_hold_other_alarms_back() {
    let peer = Peer::new().await;
    let mut stage = Stage::new(config(vec![unpinged(patient("c", &peer))]));
    let mut slow = Vec::new();
    for name in ["a1", "a2", "a3"] {
        stage.dispatcher.owe(Notice { lane: Lane::Care, ..notice(name, 1) });
        let mut line = peer.line().await;
        alarm(&mut line).await;
        slow.push(line);
    }
    // Three places are taken, the fourth is kept: one more of care waits, life goes.
    stage.dispatcher.owe(Notice { lane: Lane::Care, ..notice("a4", 1) });
    stage.dispatcher.owe(notice("a5", 1));
    let mut line = peer.line().await;
    assert_eq!(alarm(&mut line).await.header("webhook-id"), notice("a5", 1).reference);
    line.say(OK).await;
    received(&mut stage, "a5").await;
    for line in &mut slow {
        line.say(OK).await;
    }
    let later = tokio::spawn(async move {
        slow.push(line);
        let lines = slow.into_iter().map(|mut line| {
            tokio::spawn(async move {
                while let Some(request) = any(&mut line).await {
                    assert!(request.body.contains("a4"), "{}", request.body);
                    line.say(OK).await;
                }
            })
        });
        for line in lines.collect::<Vec<_>>() {
            line.await.unwrap();
        }
    });
    received(&mut stage, "a4").await;
    for name in ["a1", "a2", "a3"] {
        assert_eq!(stage.rungs(name), ["sent@c", "received@c"]);
    }
    drop(stage);
    later.await.unwrap();
}

#[tokio::test]
async fn pings_are_signed_and_three_refused_lose_the_path() {
    let peer = Peer::new().await;
    let quick = ReceiverConfig { heartbeat_interval_s: 1, ..patient("c", &peer) };
    let mut stage = Stage::new(config(vec![quick]));
    let mut line = peer.line().await;
    let ping = any(&mut line).await.unwrap();
    assert!(ping.is_ping() && ping.header("webhook-id").starts_with("ping-"), "{}", ping.head);
    assert!(ping.header("webhook-signature").starts_with("v1,"));
    line.say(OK).await;
    stage.path("c", true).await;
    for _ in 0..3 {
        any(&mut line).await.unwrap();
        line.say("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await;
    }
    let why = stage.path("c", false).await;
    assert!(why.contains("404") && why.contains("ping = false"), "{why}");
    any(&mut line).await.unwrap();
    line.say(OK).await;
    stage.path("c", true).await;
}

#[tokio::test]
async fn without_pings_a_lost_receiver_is_looked_for_and_told_at_once() {
    let gone = Peer::new().await.address();
    let receiver = tests::patient("c", &format!("http://{gone}/"));
    let mut stage = Stage::new(config(vec![unpinged(of_this_kind(receiver))]));
    stage.dispatcher.owe(notice("a1", 1));
    stage.path("c", false).await;
    let peer = Peer::on(tokio::net::TcpListener::bind(&gone).await.unwrap());
    loop {
        let mut line = peer.line().await;
        if let Some(request) = any(&mut line).await {
            assert!(!request.is_ping());
            line.say(OK).await;
            break;
        }
    }
    received(&mut stage, "a1").await;
}

#[tokio::test]
async fn telemetry_is_told_with_an_id_of_its_own_until_it_is_taken_and_takes_no_alarms_place() {
    use super::super::{Parcel, ParcelId, ParcelWhat, Route, TelemetryWord};
    let peer = Peer::new().await;
    let mut config = config(vec![unpinged(patient("c", &peer))]);
    config.routes.push(Route { lanes: vec![vaka_protocol::Lane::Telemetry], to: vec!["c".into()], hours: None });
    let mut stage = Stage::new(config);
    let word = TelemetryWord {
        stream: 7,
        record: 42,
        index: 0,
        device: "bed-1".parse().unwrap(),
        at: tests::AT,
        event: vaka_protocol::Event::Bed { occupied: false },
    };
    let id = ParcelId::Telemetry(42, 0);
    let parcel = Parcel { receiver: "c".into(), id, what: ParcelWhat::Telemetry(Box::new(word)) };
    stage.dispatcher.pass(parcel.clone());
    stage.dispatcher.pass(parcel);
    let mut line = peer.line().await;
    let request = any(&mut line).await.expect("telemetry");
    assert_eq!(
        request.body,
        r#"{"type":"telemetry","timestamp":"2026-11-20T22:05:45Z","data":{"gateway":"gw-1","device":"bed-1","event":{"bed":{"occupied":false}}}}"#
    );
    assert_eq!(request.header("webhook-id"), "telemetry-gw-1-7-42-0");
    // While it is not answered an alarm goes by.
    stage.dispatcher.owe(notice("a1", 1));
    let mut beside = peer.line().await;
    alarm(&mut beside).await;
    beside.say(OK).await;
    received(&mut stage, "a1").await;
    line.say("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").await;
    // The same again, over whichever connection; then it is taken.
    let again = |request: Option<Request>| request.expect("telemetry").header("webhook-id").to_owned();
    let (id_again, over) = tokio::select! {
        request = any(&mut line) => (again(request), &mut line),
        request = any(&mut beside) => (again(request), &mut beside),
    };
    assert_eq!(id_again, "telemetry-gw-1-7-42-0");
    over.say(OK).await;
    stage.until(|report| *report == Report::Parcel { receiver: "c".into(), id }).await;
}
