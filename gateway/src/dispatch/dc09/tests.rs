//! The link against scripted receivers, in memory and on paused time: every deadline comes when it is due, and at once.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::tz::TimeZone;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::watch;

use super::cipher::Key;
use super::config::Protocol;
use super::frame::{checksum, read_timestamp, timestamp};
use super::*;
use crate::clock::ManualClock;
use crate::dispatch::link::{Regime, Telling, Told};
use crate::dispatch::scaip::mrq;
use crate::dispatch::tests::{AT, notice};
use crate::dispatch::{Pace, ReceiverConfig, ReceiverKind};
use crate::limits::STANDBY_TEST_S;

mod heartbeats;
mod hostile;
mod time;

/// A link, and the receiver's end of every connection that it opens.
struct Stage {
    orders: mpsc::UnboundedSender<Order>,
    told: mpsc::Receiver<Told>,
    lines: mpsc::UnboundedReceiver<DuplexStream>,
    regime: watch::Sender<Regime>,
    clock: Arc<ManualClock>,
    refuses: Arc<AtomicBool>,
    attempts: u64,
    /// What it has told, in words.
    heard: Vec<String>,
    _task: tokio::task::JoinHandle<()>,
}

/// The receiver's end of one connection.
struct Far {
    stream: DuplexStream,
}

/// A message as the receiver sees it, read by hand so that it owes nothing to the gateway's reader.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Message {
    id: String,
    number: String,
    /// From the bracket to the end.
    content: String,
}

/// The name makes the numbers of a test its own.
fn stage(name: &str, config: Dc09Config) -> Stage {
    let (orders, queue) = mpsc::unbounded_channel();
    let (events, told) = mpsc::channel(1_024);
    let (near, lines) = mpsc::unbounded_channel();
    let (regime, regimes) = watch::channel(Regime::Active);
    let clock = Arc::new(ManualClock::new(AT));
    let refuses = Arc::new(AtomicBool::new(false));
    let context = LinkContext {
        config: ReceiverConfig::new(name, ReceiverKind::Dc09, "tcp:127.0.0.1:1"),
        sender: mrq::Sender { controller_id: String::new(), caller: None, time_zone: TimeZone::UTC },
        clock: clock.clone(),
        pace: Pace::default(),
        orders: queue,
        parcels: mpsc::unbounded_channel().1,
        regime: regimes,
        renewed: tokio::sync::watch::channel(()).1,
        telling: Telling { receiver: name.into(), path: "p".into(), generation: 1, events },
    };
    let refusing = refuses.clone();
    let dialler: Dialler = Box::new(move |_| {
        let (near, refusing) = (near.clone(), refusing.clone());
        Box::pin(async move {
            if refusing.load(Ordering::Relaxed) {
                let source = io::ErrorKind::ConnectionRefused.into();
                return Err(OpenError::Connect { to: "it".to_owned(), source });
            }
            let (ours, theirs) = tokio::io::duplex(8 * 1024);
            let _ = near.send(theirs);
            let at = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
            Ok(Opened { stream: Box::new(ours), local: at, peer: at, expired_at_s: None })
        })
    });
    let _task = tokio::spawn(run_over(context, config, dialler));
    Stage { orders, told, lines, regime, clock, refuses, attempts: 0, heard: Vec::new(), _task }
}

fn plain() -> Dc09Config {
    Dc09Config { timestamps: false, extended: false, ..Dc09Config::new("1234") }
}

impl Stage {
    async fn far(&mut self) -> Far {
        Far { stream: self.lines.recv().await.expect("the link runs") }
    }

    /// True where it has dialled again since the last connection was taken.
    fn has_dialled(&mut self) -> bool {
        !self.lines.is_empty()
    }

    fn order(&mut self, notice: Notice) -> u64 {
        self.attempts += 1;
        self.orders.send(Order { attempt: self.attempts, notice: Arc::new(notice) }).expect("the link runs");
        self.attempts
    }

    /// The next event but `Sent`, in words.
    async fn event(&mut self) -> String {
        loop {
            let told = self.told.recv().await.expect("the link runs");
            let said = match told.event {
                LinkEvent::Sent { .. } => continue,
                LinkEvent::Accepted { attempt, reference, detail, .. } => {
                    format!("accepted {} {reference}{detail}", attempt.map_or("late".to_owned(), |a| a.to_string()))
                }
                LinkEvent::Failed { attempt, failure } => {
                    let permanent = if failure.is_permanent() { " (for good)" } else { "" };
                    format!("failed {attempt}: {failure}{permanent}")
                }
                LinkEvent::Connected => "connected".to_owned(),
                LinkEvent::Path { up, detail } => format!("{}: {detail}", if up { "up" } else { "down" }),
                other => format!("{other:?}"),
            };
            self.heard.push(said.clone());
            return said;
        }
    }

    /// Waits for an event that begins so.
    async fn until(&mut self, start: &str) -> String {
        loop {
            let said = self.event().await;
            if said.starts_with(start) {
                return said;
            }
        }
    }
}

impl Far {
    /// The next message of any kind; `None` when the gateway has closed.
    async fn any(&mut self) -> Option<Message> {
        let mut frame = Vec::new();
        loop {
            frame.push(self.stream.read_u8().await.ok()?);
            if frame.ends_with(b"\r") {
                break;
            }
        }
        let text = String::from_utf8(frame).expect("ASCII");
        let body = text.trim_end_matches('\r').get(9..).expect("a head");
        let head = format!("\n{:04X}0{:03X}", checksum(body.as_bytes()), body.len());
        assert_eq!(&text[..9], head, "{text}");
        let (id, rest) = body.trim_start_matches('"').split_once('"').expect("an id");
        let (names, content) = rest.split_once('[').expect("a bracket");
        assert_eq!(&names[4..], "R0L0#1234");
        Some(Message { id: id.to_owned(), number: names[..4].to_owned(), content: content.to_owned() })
    }

    /// The next alarm; heartbeats before it are acknowledged.
    async fn alarm(&mut self) -> Message {
        loop {
            let message = self.any().await.expect("an alarm");
            if !message.id.contains("NULL") {
                return message;
            }
            self.say("ACK", &message.number).await;
        }
    }

    /// Says a frame with this body.
    async fn body(&mut self, body: &str) {
        let frame = format!("\n{:04X}0{:03X}{body}\r", checksum(body.as_bytes()), body.len());
        self.raw(frame.as_bytes()).await;
    }

    async fn say(&mut self, id: &str, number: &str) {
        self.body(&format!("\"{id}\"{number}R0L0#1234[]")).await;
    }

    async fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the gateway reads");
    }
}

#[tokio::test(start_paused = true)]
async fn an_ack_accepts_and_the_next_follows_on_the_same_connection() {
    let mut stage = stage("one", plain());
    let mut far = stage.far().await;
    for name in ["a1", "a2", "a3"] {
        let attempt = stage.order(notice(name, 1));
        let message = far.alarm().await;
        assert_eq!((message.id.as_str(), message.content.as_str()), ("ADM-CID", "#1234|1101 00 000]"));
        far.say("ACK", &message.number).await;
        assert_eq!(stage.until("acc").await, format!("accepted {attempt} {}", notice(name, 1).reference));
    }
    assert!(!stage.has_dialled());
}

#[tokio::test(start_paused = true)]
async fn one_is_under_way_at_a_time_and_the_most_urgent_goes_next() {
    let mut stage = stage("urgent", Dc09Config { extended: true, ..plain() });
    let mut far = stage.far().await;
    stage.order(Notice { lane: Lane::Test, text: "test".into(), ..notice("t", 1) });
    let first = far.alarm().await;
    for (name, lane, happened_at) in [
        ("care", Lane::Care, AT),
        ("old", Lane::Life, AT - 20_000),
        ("new", Lane::Life, AT),
        ("fault", Lane::Technical, AT),
        ("mid", Lane::Life, AT - 10_000),
    ] {
        stage.order(Notice { lane, happened_at, text: name.into(), ..notice(name, 1) });
    }
    tokio::task::yield_now().await;
    let mut unread = [0];
    assert!(tokio::time::timeout(Duration::from_millis(1), far.stream.read(&mut unread)).await.is_err());
    far.say("ACK", &first.number).await;
    let mut order = Vec::new();
    for _ in 0..5 {
        let message = far.alarm().await;
        far.say("ACK", &message.number).await;
        order.push(message.content.split_once("[I").unwrap().1.split_once(',').unwrap().0.to_owned());
    }
    assert_eq!(order, ["new", "mid", "old", "care", "fault"]);
}

#[tokio::test(start_paused = true)]
async fn every_order_ends_once_and_numbers_differ() {
    let mut stage = stage("many", Dc09Config { protocol: Protocol::SiaDcs, ..plain() });
    let mut far = stage.far().await;
    for n in 0..200 {
        stage.order(notice(&format!("a{n}"), 1));
    }
    let mut numbers = BTreeSet::new();
    for n in 0..200 {
        let message = far.alarm().await;
        assert!(numbers.insert(message.number.clone()));
        match n % 3 {
            0 => far.say("ACK", &message.number).await,
            1 => far.say("DUH", &message.number).await,
            _ => far.say("RSP", &message.number).await,
        }
    }
    let mut ended = BTreeSet::new();
    while ended.len() < 200 {
        let said = stage.event().await;
        if let Some(attempt) =
            said.split([' ', ':']).nth(1).filter(|_| said.starts_with("acc") || said.starts_with("fail"))
        {
            assert!(ended.insert(attempt.to_owned()), "{said}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_closes_after_every_answer_is_dialled_when_there_is_something_to_say() {
    let mut stage = stage("closes", plain());
    let mut far = stage.far().await;
    let proof = far.any().await.unwrap();
    far.say("ACK", &proof.number).await;
    drop(far);
    assert_eq!(stage.until("up").await, "up: heartbeat answered");
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(!stage.has_dialled());
    for name in ["a1", "a2"] {
        stage.order(notice(name, 1));
        let mut far = stage.far().await;
        let message = far.any().await.unwrap();
        assert_eq!(message.id, "ADM-CID");
        far.say("ACK", &message.number).await;
        stage.until("accepted").await;
    }
    // The heartbeat is such a thing too.
    let mut far = stage.far().await;
    assert_eq!(far.any().await.unwrap().id, "NULL");
    assert!(
        !stage.heard.iter().any(|said| said.starts_with("down") || said.starts_with("failed")),
        "{:?}",
        stage.heard
    );
}

#[tokio::test(start_paused = true)]
async fn two_that_wait_on_a_receiver_that_closes_after_each_both_come_through() {
    let mut stage = stage("closes-two", plain());
    let mut far = stage.far().await;
    stage.order(notice("a1", 1));
    stage.order(notice("a2", 1));
    let first = far.alarm().await;
    far.say("ACK", &first.number).await;
    // It closes with the second on its way to it already.
    drop(far);
    let mut far = stage.far().await;
    let second = far.alarm().await;
    far.say("ACK", &second.number).await;
    stage.until("accepted 1").await;
    stage.until("accepted 2").await;
    assert_ne!(first.number, second.number);
}

#[tokio::test(start_paused = true)]
async fn while_it_is_down_orders_go_back_at_once_and_life_hurries_the_next_try() {
    let mut stage = stage("down", plain());
    stage.refuses.store(true, Ordering::Relaxed);
    let first = stage.order(notice("a1", 1));
    // The first connection is waited for.
    assert!(stage.until("failed").await.starts_with(&format!("failed {first}: no connection: connecting to it")));
    stage.until("down").await;
    let next = stage.order(notice("a2", 1));
    assert!(stage.until("failed").await.starts_with(&format!("failed {next}: no connection")));
    stage.refuses.store(false, Ordering::Relaxed);
    let before = Instant::now();
    stage.order(notice("a2", 1));
    stage.until("connected").await;
    assert!(before.elapsed() <= Duration::from_millis(Pace::default().retry_ms_min));
}

#[tokio::test(start_paused = true)]
async fn the_same_notice_ordered_twice_is_sent_once() {
    let mut stage = stage("twice", plain());
    let mut far = stage.far().await;
    let first = stage.order(notice("a1", 1));
    let message = far.alarm().await;
    let second = stage.order(notice("a1", 1));
    assert_eq!(stage.until("failed").await, format!("failed {first}: its link stopped"));
    far.say("ACK", &message.number).await;
    assert!(stage.until("accepted").await.starts_with(&format!("accepted {second}")));
}
