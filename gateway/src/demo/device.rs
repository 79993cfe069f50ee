//! A device of the demo: `vaka-device`, as it runs on a board, on a real MQTT connection of its own. Its flash is a model of the
//! part; its button, reed and mattress are wires (`parts`); what was recorded, or takes longer than a demo, is told to it.
//!
//! Enters: what happens to it ([`Device::press`], [`Device::say`] …), commands from the gateway. Leaves: events, and facts on
//! the desk. Invariants: an event is let go of on its PUBACK alone; after every reconnect, what is left goes again, life first.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use vaka_device::flash::Flash;
use vaka_device::{Boot, EVENTS_MAX, Now, Panel, Ticket};
use vaka_parts::nor::Nor;
use vaka_protocol::limits::MESSAGE_BYTES_MAX;
use vaka_protocol::{Command, DeviceId, Event, Light, Sound, StartCause, decode_command, decode_event, topic};

use super::desk::{Desk, Identity, OnPanel};
use super::parts::{Hand, Kind, Parts};
use crate::clock::{Clock, SystemClock};
use crate::uplink::{Door, Link, News};

/// New events wait outside while this many are kept, so that `done` and `lost` always find room.
const OUTBOX_FULL: usize = EVENTS_MAX - 16;
/// Publishes in flight at once.
const IN_FLIGHT: usize = 16;
/// First and longest wait before the next connection, in milliseconds.
const RETRY_MS: (u64, u64) = (50, 1_000);
/// The longest that a device looks at nothing, in milliseconds: what happens to it in the demo is no interrupt.
const LOOK_MS_MAX: u64 = 100;
/// A finger that has let go presses again after this time, in milliseconds: sooner, the button has not seen that it was let go.
const FINGER_MS: u64 = 100;
/// Flash of a device, bytes: 16 pages.
const FLASH_BYTES: usize = 64 * 1024;

/// What happens to a device.
enum Happens {
    /// Its parts would feel it: told at `at` (UTC milliseconds).
    Told(Box<Event>, Option<i64>),
    /// Somebody does something with it.
    Done(Hand),
}

struct Order {
    happens: Happens,
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
        match &self.happens {
            Happens::Told(event, _) => write!(f, "{event:?}"),
            Happens::Done(hand) => write!(f, "{hand:?}"),
        }
    }
}

impl Device {
    /// Starts the device; it connects by itself, as often as it has to.
    pub fn start(door: Door, desk: Arc<Desk>, kind: Kind) -> Device {
        // One at a time: the outbox decides when there is room for the next.
        let (orders, wanted) = mpsc::channel(1);
        let id = door.device.clone();
        Device { id, orders, task: tokio::spawn(Core::new(door, desk, kind).live(wanted)) }
    }

    /// A finger presses the pendant's button until the device has told it.
    pub async fn press(&self) -> Identity {
        self.feel(Hand::Presses).await
    }

    /// Somebody does this with the device, until it has told it.
    pub async fn feel(&self, hand: Hand) -> Identity {
        self.begin(Happens::Done(hand)).await.identity().await
    }

    /// Something happens now.
    pub async fn say(&self, event: Event) -> Identity {
        self.say_at(event, Some(SystemClock::new().now().wall_ms)).await
    }

    /// Something happened at `at` (UTC milliseconds). Waits while the outbox is full.
    pub async fn say_at(&self, event: Event, at: Option<i64>) -> Identity {
        self.begin(Happens::Told(Box::new(event), at)).await.identity().await
    }

    /// As [`Device::press`]; others may begin before this is through.
    pub async fn begin_to_press(&self) -> Begun {
        self.begin(Happens::Done(Hand::Presses)).await
    }

    async fn begin(&self, happens: Happens) -> Begun {
        let (number, told) = oneshot::channel();
        let sent = self.orders.send(Order { happens, number }).await;
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

/// The demo's devices are new, with a blank flash: this is their first boot.
const RESTART: u32 = 1;

/// What a device shows, until it was looked at.
#[derive(Debug, Default)]
struct Display(Option<OnPanel>);

impl Panel for Display {
    fn show(&mut self, light: Option<Light>, sound: Option<Sound>, text: Option<&str>, _now: Now) {
        let before = self.0.take().unwrap_or_default();
        self.0 = Some(OnPanel {
            light: light.unwrap_or(before.light),
            sound: sound.unwrap_or(before.sound),
            text: text.map_or(before.text, str::to_owned),
        });
    }

    fn pass(&mut self, _now: Now) -> Option<u64> {
        None
    }
}

type Body = vaka_device::Device<Flash<Nor<Vec<u8>>>, Parts, Display>;

struct Core {
    door: Door,
    desk: Arc<Desk>,
    began: Instant,
    body: Body,
    last_shown: OnPanel,
    /// Whoever waits for what a hand does to be told.
    hand: Option<(Hand, oneshot::Sender<Option<u64>>)>,
    /// When a hand may do something again.
    free_at: Instant,
    /// The newest number that the desk knows.
    noted: u64,
    /// Handed to the present connection, by the number that it knows them by.
    handed: BTreeMap<u64, Ticket>,
    numbers: u64,
    connected: bool,
}

impl Core {
    fn new(door: Door, desk: Arc<Desk>, kind: Kind) -> Self {
        let flash = Flash::open(Nor::over(vec![0xff; FLASH_BYTES]));
        let boot = Boot { room: EVENTS_MAX, chance: 0, cause: StartCause::Power, version: env!("CARGO_PKG_VERSION") };
        let body = Body::boot(flash, Parts::new(kind), Display::default(), boot, now(0, None));
        Core {
            door,
            desk,
            began: Instant::now(),
            body,
            last_shown: OnPanel::default(),
            hand: None,
            free_at: Instant::now(),
            noted: 0,
            handed: BTreeMap::new(),
            numbers: 0,
            connected: false,
        }
    }

    async fn live(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut retry = Duration::from_millis(RETRY_MS.0);
        let mut link = Some(Link::open(&self.door));
        let mut next_link = Instant::now();
        loop {
            let rest_ms = self.look();
            if let Some(link) = link.as_mut().filter(|_| self.connected) {
                self.send(link);
            }
            let apart = link.is_none();
            let may_happen =
                self.hand.is_none() && Instant::now() >= self.free_at && self.body.waiting().count() < OUTBOX_FULL;
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
                        self.body.apart();
                        self.desk.disconnected(&self.door.device, why);
                        next_link = Instant::now() + retry;
                        retry = (retry * 2).min(Duration::from_millis(RETRY_MS.1));
                    }
                },
                order = orders.recv(), if may_happen => match order {
                    Some(order) => self.happen(order),
                    None => break,
                },
                () = tokio::time::sleep(Duration::from_millis(rest_ms)) => {}
                () = tokio::time::sleep_until(next_link.into()), if apart => link = Some(Link::open(&self.door)),
            }
        }
        if let Some(link) = link {
            link.close().await;
        }
    }

    fn now(&self) -> Now {
        now(self.began.elapsed().as_millis() as u64, Some(SystemClock::new().now().wall_ms))
    }

    fn identity(&self, seq: u64) -> Identity {
        Identity { device: self.door.device.clone(), restart: RESTART, seq }
    }

    fn happen(&mut self, order: Order) {
        match order.happens {
            Happens::Told(event, at) => {
                let moment = Now { at, ..self.now() };
                let is_call = matches!(*event, Event::Button { .. } | Event::Fall { .. });
                let told = if is_call { self.body.call(*event, moment) } else { self.body.tell(*event, moment) };
                self.note();
                // Who ordered may have gone meanwhile.
                let _ = order.number.send(told.map(|identity| identity.seq));
            }
            Happens::Done(hand) => {
                self.body.role.feel(hand);
                self.hand = Some((hand, order.number));
            }
        }
    }

    /// Looks at the device's parts; returns for how long nothing needs to be.
    fn look(&mut self) -> u64 {
        let rest_ms = self.body.pass(self.now());
        self.note();
        // What followed a receipt is told beside it.
        if let Some(shown) = self.body.panel.0.take().filter(|shown| *shown != self.last_shown) {
            self.desk.shown(&self.door.device, &shown);
            self.last_shown = OnPanel { sound: Sound::Off, ..shown };
        }
        rest_ms.clamp(1, LOOK_MS_MAX)
    }

    /// Lets the desk know what the device has taken in since.
    fn note(&mut self) {
        let new: Vec<_> =
            self.body.waiting().map(|(identity, _)| identity).filter(|identity| identity.seq > self.noted).collect();
        let mut buffer = [0; MESSAGE_BYTES_MAX];
        for identity in new {
            self.noted = self.noted.max(identity.seq);
            let Some(Ok(message)) = self.body.message(identity, &mut buffer).map(decode_event) else { continue };
            self.desk.said(self.identity(identity.seq), &message.event, Instant::now());
            if let Some((_, number)) = self.hand.take_if(|(hand, _)| hand.is_told_by(&message.event)) {
                self.body.role.let_go();
                self.free_at = Instant::now() + Duration::from_millis(FINGER_MS);
                let _ = number.send(Some(identity.seq));
            }
        }
    }

    /// Hands over what is waiting, life first.
    fn send(&mut self, link: &mut Link) {
        let topic = topic::event(&self.door.device);
        let mut buffer = [0; MESSAGE_BYTES_MAX];
        while link.in_flight() < IN_FLIGHT {
            let Some((ticket, bytes)) = self.body.next(&mut buffer) else { return };
            if !link.publish(self.numbers, &topic, bytes.to_vec()) {
                return;
            }
            self.handed.insert(self.numbers, ticket);
            self.numbers += 1;
            self.body.handed(ticket);
        }
    }

    fn acked(&mut self, number: u64, refused: Option<String>) {
        let moment = self.now();
        if let Some(ticket) = self.handed.remove(&number)
            && let Some(identity) = self.body.acked(ticket, moment)
        {
            self.desk.acked(&self.identity(identity.seq), refused.as_deref());
        }
    }

    fn command(&mut self, bytes: &[u8]) {
        let moment = self.now();
        if let Err(why) = self.body.command(bytes, moment) {
            return self.desk.teller.trouble(&self.door.device, &format!("cannot read a command: {why}"));
        }
        self.note();
        if let Ok(message) = decode_command(bytes)
            && let Command::Receipt { restart, seq, rung, .. } = message.command
        {
            let shown = self.body.panel.0.take();
            self.desk.rung(&Identity { device: self.door.device.clone(), restart, seq }, rung, shown.as_ref());
        }
    }
}

fn now(uptime_ms: u64, at: Option<i64>) -> Now {
    Now { uptime_ms, at }
}
