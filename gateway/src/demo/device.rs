//! A device of the demo: the logic of `vaka-device` on a real MQTT connection of its own.
//!
//! Enters: what happens to it ([`Device::say`]), commands from the gateway. Leaves: events, and facts on the desk.
//! Invariants: an event is let go of on its PUBACK alone; after every reconnect, what is left goes again, life first.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use vaka_device::{Commands, Feedback, Judged, Outbox};
use vaka_protocol::limits::MESSAGE_BYTES_MAX;
use vaka_protocol::{Command, DeviceId, Event, Outcome, decode_command, encode_event_cbor, topic};

use super::desk::{Desk, Identity};
use crate::clock::{Clock, SystemClock};
use crate::uplink::{Door, Link, News};

/// Events that one device keeps: what a pendant's flash holds.
const OUTBOX: usize = 64;
/// New events wait outside while this many are kept, so that `done` and `lost` always find room.
const OUTBOX_FULL: usize = OUTBOX - 16;
/// Command ids that a device remembers.
const COMMANDS: usize = 32;
/// Publishes in flight at once.
const IN_FLIGHT: usize = 16;
/// First and longest wait before the next connection, in milliseconds.
const RETRY_MS: (u64, u64) = (50, 1_000);
/// How often a device looks at its clock, in milliseconds.
const TICK_MS: u64 = 100;

struct Order {
    event: Event,
    at: Option<i64>,
    /// Told its number, when the outbox has it.
    number: oneshot::Sender<Option<u64>>,
}

/// A handle on a running device.
#[derive(Debug)]
pub struct Device {
    pub id: DeviceId,
    orders: mpsc::Sender<Order>,
    task: JoinHandle<()>,
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.event)
    }
}

impl Device {
    /// Starts the device; it connects by itself, as often as it has to.
    pub fn start(door: Door, desk: Arc<Desk>) -> Device {
        // One at a time: the outbox decides when there is room for the next.
        let (orders, wanted) = mpsc::channel(1);
        let id = door.device.clone();
        Device { id, orders, task: tokio::spawn(Core::new(door, desk).live(wanted)) }
    }

    /// Something happens now.
    pub async fn say(&self, event: Event) -> Identity {
        self.say_at(event, Some(SystemClock::new().now().wall_ms)).await
    }

    /// Something happened at `at` (UTC milliseconds). Waits while the outbox is full.
    pub async fn say_at(&self, event: Event, at: Option<i64>) -> Identity {
        self.begin(event, at).await.identity().await
    }

    /// Something happens now; others may begin before this is through.
    pub async fn begin_to_say(&self, event: Event) -> Begun {
        self.begin(event, Some(SystemClock::new().now().wall_ms)).await
    }

    async fn begin(&self, event: Event, at: Option<i64>) -> Begun {
        let (number, told) = oneshot::channel();
        let sent = self.orders.send(Order { event, at, number }).await;
        debug_assert!(sent.is_ok(), "a device's task runs as long as its handle");
        Begun { device: self.id.clone(), told }
    }

    /// Says goodbye. What was not acknowledged is gone with it.
    pub async fn leave(self) {
        drop(self.orders);
        let _ = self.task.await;
    }
}

/// What a device has begun to say.
#[derive(Debug)]
pub struct Begun {
    device: DeviceId,
    told: oneshot::Receiver<Option<u64>>,
}

impl Begun {
    /// Its number, when the device's outbox has it.
    pub async fn identity(self) -> Identity {
        let seq = self.told.await.ok().flatten().unwrap_or(0);
        Identity { device: self.device, restart: RESTART, seq }
    }
}

/// The demo's devices are new: this is their first boot.
const RESTART: u32 = 1;

struct Core {
    door: Door,
    desk: Arc<Desk>,
    began: Instant,
    outbox: Outbox<OUTBOX>,
    feedback: Feedback,
    commands: Commands<COMMANDS>,
    /// Sequence numbers handed to the present connection.
    handed: BTreeSet<u64>,
    connected: bool,
}

impl Core {
    fn new(door: Door, desk: Arc<Desk>) -> Self {
        Core {
            door,
            desk,
            began: Instant::now(),
            outbox: Outbox::new(RESTART),
            feedback: Feedback::new(),
            commands: Commands::new(None),
            handed: BTreeSet::new(),
            connected: false,
        }
    }

    async fn live(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut tick = tokio::time::interval(Duration::from_millis(TICK_MS));
        let mut retry = Duration::from_millis(RETRY_MS.0);
        let mut link = Some(Link::open(&self.door));
        let mut next_link = Instant::now();
        loop {
            if let Some(link) = link.as_mut().filter(|_| self.connected) {
                self.send(link);
            }
            let apart = link.is_none();
            let news = async {
                match &mut link {
                    Some(link) => link.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                news = news => match news {
                    News::Connected => {
                        self.connected = true;
                        retry = Duration::from_millis(RETRY_MS.0);
                        self.desk.connected(&self.door.device);
                    }
                    News::Acked { number, refused } => self.acked(number, refused.map(|reason| format!("{reason:?}"))),
                    News::Command(bytes) => self.command(&bytes),
                    News::Ended(why) => {
                        link = None;
                        self.connected = false;
                        self.handed.clear();
                        self.desk.disconnected(&self.door.device, why);
                        next_link = Instant::now() + retry;
                        retry = (retry * 2).min(Duration::from_millis(RETRY_MS.1));
                    }
                },
                order = orders.recv(), if self.outbox.len() < OUTBOX_FULL => match order {
                    Some(order) => {
                        let seq = self.put(order.event, order.at);
                        // Who ordered may have gone meanwhile.
                        let _ = order.number.send(seq);
                    }
                    None => break,
                },
                _ = tick.tick() => if let Some(shown) = self.feedback.tick(self.uptime_ms()) {
                    self.desk.shown(&self.door.device, shown);
                },
                () = tokio::time::sleep_until(next_link.into()), if apart => link = Some(Link::open(&self.door)),
            }
        }
        if let Some(link) = link {
            link.close().await;
        }
    }

    fn uptime_ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    fn identity(&self, seq: u64) -> Identity {
        Identity { device: self.door.device.clone(), restart: RESTART, seq }
    }

    /// Hands over what is waiting, life first.
    fn send(&mut self, link: &mut Link) {
        let topic = topic::event(&self.door.device);
        for message in self.outbox.iter() {
            let Some(seq) = message.seq.filter(|seq| !self.handed.contains(seq)) else { continue };
            let mut buffer = [0; MESSAGE_BYTES_MAX];
            // A message of this size always fits; one that does not would stay and be seen in the summary.
            let Ok(length) = encode_event_cbor(message, &mut buffer) else { continue };
            if link.in_flight() >= IN_FLIGHT || !link.publish(seq, &topic, buffer[..length].to_vec()) {
                return;
            }
            self.handed.insert(seq);
        }
    }

    fn put(&mut self, event: Event, at: Option<i64>) -> Option<u64> {
        let uptime_ms = self.uptime_ms();
        let seq = self.outbox.put(event.clone(), uptime_ms, at)?;
        self.desk.said(self.identity(seq), &event, Instant::now());
        if matches!(event, Event::Button { .. } | Event::Fall { .. }) {
            self.feedback.called(RESTART, seq, uptime_ms);
        }
        Some(seq)
    }

    fn acked(&mut self, seq: u64, refused: Option<String>) {
        self.handed.remove(&seq);
        if self.outbox.acked(seq) {
            self.desk.acked(&self.identity(seq), refused.as_deref());
        }
    }

    fn command(&mut self, bytes: &[u8]) {
        let message = match decode_command(bytes) {
            Ok(message) => message,
            Err(why) => return self.desk.teller.trouble(&self.door.device, &format!("cannot read a command: {why}")),
        };
        let answer = match self.commands.judge(&message, Some(SystemClock::new().now().wall_ms)) {
            Judged::Execute => {
                if let Command::Receipt { restart, seq, rung, .. } = message.command {
                    let shown = self.feedback.receipt(restart, seq, rung);
                    self.desk.rung(&Identity { device: self.door.device.clone(), restart, seq }, rung, shown);
                }
                self.commands.done(message.id, Outcome::Done)
            }
            Judged::Answer(answer) => answer,
            Judged::Underway => return,
        };
        self.put(answer, None);
    }
}
