//! Brings what the rules have decided to the people who are to know it, and proves how far it came.
//!
//! Enters: [`Notice`]s that are owed, settlements, and the configuration. Leaves: [`Report`]s.
//! Invariants: a notice is tried until a receiver has accepted it or its alarm is settled; `(cid, reference)` stays
//! the same through every try and restart, so that a receiver can tell repeats; a life notice waits for no other lane; one receiver's
//! failure, or panic, leaves the others working. Absent: the disk (what is owed is a fold of the journal), the rules, the devices.
//!
//! [`attempts`] decides what is tried next and is pure; [`link`] is what each kind of receiver looks like; [`scaip`] is one.

mod asking;
mod attempts;
mod backoff;
pub mod config;
pub(crate) mod connection;
mod counts;
pub mod dc09;
pub mod first;
mod hub;
mod link;
pub mod parcels;
mod routes;
pub mod scaip;
#[cfg(feature = "sim")]
pub mod sim;
pub mod sip;
pub mod sos_access;
pub(crate) mod stream;
mod supervision;
pub mod tls;
pub mod webhook;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::Instant;
use vaka_protocol::{AlarmId, DeviceId, Lane, Rung};

pub use self::backoff::Pace;
pub use self::config::{Bind, ConfigError, DispatchConfig, PathConfig, ReceiverConfig, ReceiverKind};
pub use self::counts::{Counts, Sums};
pub(crate) use self::hub::call::open as call_hub;
pub use self::link::{Failure, Regime};
pub use self::parcels::{HealthWord, HomeAct, Parcel, ParcelId, ParcelWhat, RoundWord, TelemetryWord};
pub use self::routes::{Hours, Route, first_gap};
pub(crate) use self::stream::{OpenError, Stream};

use self::attempts::{Ledger, Reach, Way};
use self::backoff::Dice;
use self::link::{LinkContext, LinkEvent, Order, Telling, Told};
use self::parcels::{Carry, Parcels};
use self::routes::Routes;
use self::scaip::mrq::Sender;
use crate::clock::{Clock, Confidence};
use crate::journal::record::{ActWhat, Whereabouts};

/// What a notice says of its alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeWhat {
    Raise,
    /// Pressed again while nobody had taken it.
    Again,
    Cancel,
    /// What raised it has ended (smoke is gone).
    Over,
}

/// One thing a receiver is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// [`reference`] of alarm and number: 16 letters and digits.
    pub reference: String,
    pub alarm: AlarmId,
    /// Counts the notices of one alarm.
    pub number: u32,
    pub lane: Lane,
    pub what: NoticeWhat,
    pub device: DeviceId,
    pub room: Option<String>,
    /// SCAIP device type and status code.
    pub dty: u16,
    pub stc: u16,
    /// UTC milliseconds.
    pub happened_at: i64,
    /// When its alarm happened.
    pub alarm_at: i64,
    /// Some receiver has accepted it already: it is told on only because that one's people have not claimed it.
    pub accepted: bool,
    /// A person wants everybody told: no receiver is waited for.
    pub to_all: bool,
    /// Known to be old already when it was stored.
    pub delayed: bool,
    /// How often it was pressed.
    pub count: u32,
    /// Plain words for a person.
    pub text: String,
    pub test: bool,
    /// Name of the event behind it.
    pub cause: String,
    /// Whom it is about: an id, never a name.
    pub resident: Option<String>,
    /// At a hub: the gateway of the home it comes from.
    pub home: Option<DeviceId>,
    /// Of the home it comes from, at a hub: SCAIP `cid` and `crd` in place of the hub's own.
    pub controller_id: Option<String>,
    pub caller: Option<String>,
    /// Where its device was. The text says so too.
    pub whereabouts: Option<Whereabouts>,
}

impl Notice {
    /// Sorts what waits at a receiver: life first and of it the newest alarm, of the others the oldest; an alarm's notices in their order.
    pub(crate) fn turn(&self) -> (Lane, i64, u32) {
        let rank = if self.lane == Lane::Life { self.alarm_at.saturating_neg() } else { self.alarm_at };
        (self.lane, rank, self.number)
    }
}

/// What dispatch has to say.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    /// A notice reached a rung at a receiver. Each (notice, receiver, rung) once while this process runs.
    Rung {
        alarm: AlarmId,
        notice: u32,
        rung: Rung,
        receiver: String,
        path: String,
        /// Beside the rung: `mre=1 tnu=…` when the centre wants to speak. Often empty.
        detail: String,
        /// The receiver can prove nothing beyond this rung: the notice is handed over.
        last: bool,
    },
    /// A person behind the receiver has claimed or closed the alarm.
    /// It is of what was told up to `notice`: what came after is another call.
    Person { alarm: AlarmId, notice: u32, act: ActWhat, by: String },
    /// A supervised path was lost, is back, or was judged for the first time.
    Path { receiver: String, path: String, up: bool, detail: String },
    /// Nobody has accepted this notice in time. It is tried on; the home is told.
    Nobody { alarm: AlarmId, notice: u32, lane: Lane },
    /// A receiver known by its pinned key shows a certificate that has ended (UTC seconds), or a good one again.
    Certificate { receiver: String, ended: Option<i64> },
    /// People at the hub that is this receiver have a device here do something: `command` is an order, `id` and `expires_at` (UTC
    /// milliseconds, by the hub's clock) are its message's. Said again until it is answered.
    Order { receiver: String, id: u64, expires_at: i64, command: Box<vaka_protocol::Command> },
    /// The receiver has what it was told beside alarms.
    Parcel { receiver: String, id: ParcelId },
    /// What the lane owes beyond what dispatch could hold may be owed again.
    Room { lane: Lane },
    /// Nobody is being told of this notice: no route, or too many wait. It stays owed in the journal.
    Unserved { alarm: AlarmId, notice: u32, lane: Lane, detail: String },
}

/// The reference of an alarm's notice: 16 letters and digits, always the same for the same pair.
///
/// Base 62 of the first 12 bytes of SHA-256: two of a home's notices share one with a chance far below 1 in 10^18.
pub fn reference(alarm: &AlarmId, number: u32) -> String {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let hash = ring::digest::digest(&ring::digest::SHA256, format!("{alarm}/{number}").as_bytes());
    let mut number = hash.as_ref().iter().take(12).fold(0u128, |sum, byte| sum << 8 | u128::from(*byte));
    (0..16)
        .map(|_| {
            let letter = LETTERS[(number % 62) as usize];
            number /= 62;
            char::from(letter)
        })
        .collect()
}

/// Where reports go. Called from dispatch's own task: it must not block.
pub type Reports = Arc<dyn Fn(Report) + Send + Sync>;

enum Command {
    Owe(Box<Notice>),
    Settled(AlarmId),
    Pass(Box<Parcel>),
    Reconfigure(DispatchConfig),
    Pulse(Box<dyn FnOnce() + Send>),
}

/// A handle; clones speak to the same dispatch.
#[derive(Clone)]
pub struct Dispatcher {
    commands: mpsc::UnboundedSender<Command>,
    counts: Counts,
}

impl Dispatcher {
    /// Starts in the running tokio runtime, and ends when `shutdown` turns true or its sender is gone.
    ///
    /// A receiver whose configuration fails [`DispatchConfig::check`] is reported as a lost path; the others work.
    pub fn start(
        config: DispatchConfig,
        clock: Arc<dyn Clock>,
        reports: Reports,
        shutdown: watch::Receiver<bool>,
    ) -> Self {
        Self::start_with(config, clock, reports, shutdown, Pace::default())
    }

    /// [`Dispatcher::start`] with waits of its own: for tests and the demo.
    pub fn start_with(
        config: DispatchConfig,
        clock: Arc<dyn Clock>,
        reports: Reports,
        shutdown: watch::Receiver<bool>,
        pace: Pace,
    ) -> Self {
        let (commands, queue) = mpsc::unbounded_channel();
        let (events, told) = mpsc::channel(1_024);
        let ledger = Ledger::new(Routes::default(), pace, Dice::fresh());
        let actor = Actor {
            ledger,
            parcels: Parcels::new(pace, Dice::fresh()),
            clock,
            reports,
            pace,
            links: BTreeMap::new(),
            running: JoinSet::new(),
            events,
            generations: 0,
            started: Instant::now(),
            config: DispatchConfig::default(),
            routes: Routes::default(),
            counts: Counts::default(),
        };
        let counts = actor.counts.clone();
        let task = tokio::spawn(actor.run(config, queue, told, shutdown));
        tokio::spawn(async move {
            if task.await.is_err_and(|error| error.is_panic()) {
                // No alarm would leave the home any more: end, be started again, and replay what is owed.
                tracing::error!("dispatch failed; the process ends so that it is started anew");
                std::process::exit(70);
            }
        });
        Self { commands, counts }
    }

    /// What happened at each receiver since the start.
    pub fn counts(&self) -> Sums {
        self.counts.sums()
    }

    /// A notice to be told until it is accepted. Owing it again changes nothing.
    pub fn owe(&self, notice: Notice) {
        self.command(Command::Owe(Box::new(notice)));
    }

    /// A person has taken or closed the alarm: no further tries for its notices.
    pub fn settled(&self, alarm: &AlarmId) {
        self.command(Command::Settled(alarm.clone()));
    }

    /// Something for one receiver beside alarms, until it has it. Passing it again changes nothing.
    pub fn pass(&self, parcel: Parcel) {
        self.command(Command::Pass(Box::new(parcel)));
    }

    /// New receivers and routes. Receivers that stay as they were keep their connections; what is owed takes the new routes.
    pub fn reconfigure(&self, config: DispatchConfig) {
        self.command(Command::Reconfigure(config));
    }

    /// Calls `done` when dispatch has come through what it had to do: proof that it goes on.
    pub fn pulse(&self, done: Box<dyn FnOnce() + Send>) {
        self.command(Command::Pulse(done));
    }

    fn command(&self, command: Command) {
        // Closed only while everything stops: what is owed stands in the journal.
        let _ = self.commands.send(command);
    }
}

/// Receiver and path.
type LinkKey = (String, Arc<str>);

struct RunningLink {
    config: ReceiverConfig,
    sender: (String, Option<String>, String),
    generation: u64,
    orders: mpsc::UnboundedSender<Order>,
    parcels: mpsc::UnboundedSender<Arc<Parcel>>,
    regime: watch::Sender<Regime>,
    renewed: watch::Sender<()>,
    /// None: not judged yet.
    up: Option<bool>,
    task: AbortHandle,
}

impl Drop for RunningLink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Actor {
    ledger: Ledger,
    parcels: Parcels,
    clock: Arc<dyn Clock>,
    reports: Reports,
    pace: Pace,
    links: BTreeMap<LinkKey, RunningLink>,
    running: JoinSet<()>,
    events: mpsc::Sender<Told>,
    generations: u64,
    started: Instant,
    config: DispatchConfig,
    /// Those that hold now.
    routes: Routes,
    counts: Counts,
}

impl Actor {
    async fn run(
        mut self,
        config: DispatchConfig,
        mut commands: mpsc::UnboundedReceiver<Command>,
        mut told: mpsc::Receiver<Told>,
        mut shutdown: watch::Receiver<bool>,
    ) {
        self.reconfigure(config);
        let mut minute = tokio::time::interval(Duration::from_secs(60));
        minute.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            self.start_ready();
            let due = self.ledger.next_due_ms().into_iter().chain(self.parcels.next_due_ms(self.now_ms())).min();
            let due = due.map(|ms| self.started + Duration::from_millis(ms));
            let wait = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            let has_hours = self.config.routes.iter().any(|route| route.hours.is_some());
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.obey(command),
                    None => break,
                },
                Some(told) = told.recv() => self.hear(told),
                Some(ended) = self.running.join_next_with_id() => {
                    if let Err(error) = ended && error.is_panic() {
                        self.link_panicked(error.id());
                    }
                }
                () = wait => {
                    let late = self.ledger.nobody_has(self.now_ms());
                    self.report(late);
                }
                _ = minute.tick(), if has_hours => self.reroute(),
                changed = shutdown.changed() => if changed.is_err() || *shutdown.borrow() { break },
            }
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Owe(notice) => {
                let report = self.ledger.owe(*notice, self.now_ms());
                self.report(report);
            }
            Command::Settled(alarm) => {
                self.ledger.settled(&alarm);
                let room = self.ledger.has_room();
                self.report(room);
            }
            Command::Pass(parcel) => {
                if let ParcelWhat::Known(notice) = &parcel.what {
                    self.ledger.know(notice, &parcel.receiver);
                }
                self.parcels.pass(*parcel);
            }
            Command::Reconfigure(config) => self.reconfigure(config),
            Command::Pulse(done) => done(),
        }
    }

    fn hear(&mut self, told: Told) {
        let key = (told.receiver.to_string(), told.path.clone());
        let Some(link) = self.links.get_mut(&key).filter(|l| l.generation == told.generation) else {
            return;
        };
        match &told.event {
            // The lost path is told once; not for every notice that finds it lost.
            LinkEvent::Failed { failure: Failure::NotConnected(_), .. } => {}
            LinkEvent::Failed { failure, .. } => {
                tracing::warn!(receiver = &*told.receiver, path = &*told.path, %failure, "a notice was not taken; it is tried again");
            }
            LinkEvent::Path { up, .. } => link.up = Some(*up),
            _ => {}
        }
        self.counts.add(&told.receiver, &told.path, &told.event);
        match told.event {
            LinkEvent::Parcel { id, ref taken } => {
                if let Err(failure) = taken {
                    tracing::debug!(receiver = &*told.receiver, %failure, ?id, "not taken; it is tried again");
                }
                if self.parcels.ended(&told.receiver, id, taken.is_ok(), self.now_ms()) {
                    self.report([Report::Parcel { receiver: told.receiver.to_string(), id }]);
                }
                return;
            }
            LinkEvent::Connected => self.parcels.connected(&told.receiver),
            _ => {}
        }
        let is_path = matches!(told.event, LinkEvent::Path { .. });
        let reports = self.ledger.happened(&told.receiver, &told.path, told.event, self.now_ms());
        self.report(reports);
        let room = self.ledger.has_room();
        self.report(room);
        if is_path {
            self.set_regimes(&told.receiver);
        }
    }

    /// While the first path of a receiver is lost, its others are watched as closely.
    fn set_regimes(&mut self, receiver: &str) {
        let Some(config) = self.config.receivers.iter().find(|r| r.name == receiver) else { return };
        let mut before_are_lost = true;
        for (path, _) in config.over_each_path() {
            let Some(link) = self.links.get(&(receiver.to_owned(), path)) else { continue };
            let regime = if before_are_lost { Regime::Active } else { Regime::Standby };
            link.regime.send_if_modified(|now| std::mem::replace(now, regime) != regime);
            before_are_lost &= link.up == Some(false);
        }
    }

    fn report(&self, reports: impl IntoIterator<Item = Report>) {
        for report in reports {
            match &report {
                Report::Rung { alarm, notice, rung, receiver, .. } => {
                    tracing::info!(alarm.id = %alarm, notice, rung = rung.as_str(), receiver, "rung reached");
                }
                Report::Path { receiver, up: true, detail, .. } => tracing::info!(receiver, detail, "path up"),
                Report::Path { receiver, detail, .. } => tracing::error!(receiver, detail, "path lost"),
                Report::Person { alarm, by, act, .. } => {
                    tracing::info!(alarm.id = %alarm, by, ?act, "a person has the alarm")
                }
                Report::Nobody { alarm, lane, .. } => {
                    tracing::error!(alarm.id = %alarm, lane = lane.as_str(), "nobody has accepted this alarm yet; it is tried on");
                }
                Report::Certificate { receiver, ended: Some(ended_s) } => {
                    tracing::warn!(
                        receiver,
                        ended_s,
                        "the receiver's certificate has ended; its key is the pinned one"
                    );
                }
                Report::Certificate { receiver, ended: None } => {
                    tracing::info!(receiver, "the receiver's certificate is good again")
                }
                Report::Parcel { receiver, id } => tracing::debug!(receiver, ?id, "the receiver has it"),
                Report::Order { receiver, id, .. } => tracing::info!(receiver, id, "people there order something here"),
                Report::Room { lane } => tracing::info!(lane = lane.as_str(), "there is room for what had to wait"),
                Report::Unserved { alarm, lane, detail, .. } => {
                    tracing::error!(alarm.id = %alarm, lane = lane.as_str(), detail, "nobody is being told");
                }
            }
            (self.reports)(report);
        }
    }

    fn start_ready(&mut self) {
        // A receiver that is not there fails at once, and so frees the next start.
        loop {
            let now_ms = self.now_ms();
            let starts = self.ledger.start_ready(now_ms);
            if starts.is_empty() {
                return self.start_parcels(now_ms);
            }
            for start in starts {
                let order = Order { attempt: start.attempt, notice: start.notice };
                let key = (start.receiver, start.path);
                let taken = self.links.get(&key).is_some_and(|link| link.orders.send(order).is_ok());
                if !taken {
                    let failure = Failure::LinkStopped;
                    let failed = LinkEvent::Failed { attempt: start.attempt, failure };
                    self.ledger.happened(&key.0, &key.1, failed, now_ms);
                }
            }
        }
    }

    /// After the alarms.
    fn start_parcels(&mut self, now_ms: u64) {
        for Carry { receiver, parcel } in self.parcels.start_ready(now_ms) {
            let id = parcel.id;
            let taken = self.path_in_use(&receiver).is_some_and(|key| {
                self.parcels.started(&receiver, id, &key.1);
                self.links.get(&key).is_some_and(|link| link.parcels.send(parcel).is_ok())
            });
            if !taken {
                self.parcels.ended(&receiver, id, false, now_ms);
            }
        }
    }

    /// The first path of a receiver that is not known to be lost; the first of all where every one is.
    fn path_in_use(&self, receiver: &str) -> Option<LinkKey> {
        let config = self.config.receivers.iter().find(|config| config.name == receiver)?;
        let keys: Vec<LinkKey> =
            config.over_each_path().into_iter().map(|(path, _)| (receiver.to_owned(), path)).collect();
        let is_lost = |key: &LinkKey| self.links.get(key).is_none_or(|link| link.up == Some(false));
        keys.iter().find(|key| !is_lost(key)).or(keys.first()).cloned()
    }

    fn reconfigure(&mut self, config: DispatchConfig) {
        let sender = (config.controller_id.clone(), config.caller.clone(), config.time_zone.clone());
        let each_path = |receiver: &ReceiverConfig| {
            let name = receiver.name.clone();
            receiver.over_each_path().into_iter().map(move |(path, over)| ((name.clone(), path), over))
        };
        let wanted: BTreeMap<LinkKey, ReceiverConfig> = config.receivers.iter().flat_map(each_path).collect();
        let keeps = |key: &LinkKey, link: &RunningLink| link.sender == sender && wanted.get(key) == Some(&link.config);
        let gone: Vec<LinkKey> =
            self.links.iter().filter(|(key, l)| !keeps(key, l)).map(|(key, _)| key.clone()).collect();
        let reach = |receiver: &ReceiverConfig| {
            let ways =
                receiver.over_each_path().into_iter().map(|(name, over)| Way { name, url: over.url, lost: false });
            let claimed_deadline_ms = receiver.claimed_deadline_s.map(|s| u64::from(s) * 1_000);
            let reach = Reach { last_rung: receiver.kind.last_rung(), claimed_deadline_ms, paths: ways.collect() };
            (receiver.name.clone(), reach)
        };
        self.ledger.set_reach(config.receivers.iter().map(reach).collect());
        let telemetry = config.routes.iter().filter(|route| route.lanes.contains(&Lane::Telemetry));
        let telemetry = telemetry.flat_map(|route| &route.to).collect();
        self.parcels.set_receivers(config.receivers.iter().map(|r| (r.name.clone(), r.kind)).collect(), &telemetry);
        self.config = config;
        for key in gone {
            self.links.remove(&key);
            self.ledger.link_stopped(&key.0, &key.1, self.now_ms());
            self.parcels.link_stopped(&key.0, &key.1, self.now_ms());
        }
        for (key, over) in wanted {
            match self.links.get(&key) {
                // It looks at its files, and changes its connection when nothing is under way on it.
                Some(link) => link.renewed.send_replace(()),
                None => self.start_link(key, over, Duration::ZERO),
            }
        }
        let names: Vec<String> = self.config.receivers.iter().map(|r| r.name.clone()).collect();
        names.iter().for_each(|name| self.set_regimes(name));
        self.routes = self.routes_now();
        let reports = self.ledger.reroute(self.routes.clone());
        self.report(reports);
    }

    /// The routes that hold at this hour; all of them, in their order, where the hour is not known.
    fn routes_now(&self) -> Routes {
        let now = self.clock.now();
        if now.confidence == Confidence::Floor {
            return Routes::new(&self.config.routes);
        }
        let zone = self.config.time_zone().unwrap_or(jiff::tz::TimeZone::UTC);
        let at = jiff::Timestamp::from_millisecond(now.wall_ms).unwrap_or_default();
        Routes::at(&self.config.routes, zone.to_datetime(at))
    }

    /// Takes the routes that hold at this hour. What they do not change stays as it is.
    fn reroute(&mut self) {
        let routes = self.routes_now();
        if routes != self.routes {
            self.routes = routes.clone();
            let reports = self.ledger.reroute(routes);
            self.report(reports);
        }
    }

    fn start_link(&mut self, key: LinkKey, receiver: ReceiverConfig, after: Duration) {
        let (name, path) = key.clone();
        let mut wrong = Vec::new();
        receiver.check(&mut wrong);
        if let Some(error) = wrong.first() {
            let (path, detail) = (path.to_string(), error.to_string());
            return self.report([Report::Path { receiver: name, path, up: false, detail }]);
        }
        self.generations += 1;
        let (orders, queue) = mpsc::unbounded_channel();
        let (parcels, parcel_queue) = mpsc::unbounded_channel();
        let (regime, regimes) = watch::channel(Regime::Active);
        let (renewed, renewals) = watch::channel(());
        let telling =
            Telling { receiver: name.into(), path, generation: self.generations, events: self.events.clone() };
        let context = LinkContext {
            config: receiver.clone(),
            sender: Sender {
                controller_id: self.config.controller_id.clone(),
                caller: self.config.caller.clone(),
                time_zone: self.config.time_zone().unwrap_or(jiff::tz::TimeZone::UTC),
            },
            clock: self.clock.clone(),
            pace: self.pace,
            orders: queue,
            parcels: parcel_queue,
            regime: regimes,
            renewed: renewals,
            telling,
        };
        let task = self.running.spawn(async move {
            tokio::time::sleep(after).await;
            link::run(context).await;
        });
        let sender = (self.config.controller_id.clone(), self.config.caller.clone(), self.config.time_zone.clone());
        let generation = self.generations;
        let running =
            RunningLink { config: receiver, sender, generation, orders, parcels, regime, renewed, up: None, task };
        self.links.insert(key, running);
    }

    /// One path's link failed by a fault of ours: the others go on, and it is started anew.
    fn link_panicked(&mut self, id: Id) {
        let Some(key) = self.links.iter().find(|(_, l)| l.task.id() == id).map(|(key, _)| key.clone()) else {
            return;
        };
        let Some(link) = self.links.remove(&key) else {
            return;
        };
        let detail = "its link failed and is started anew; please report this".to_owned();
        let (receiver, path) = (key.0.clone(), key.1.to_string());
        self.report([Report::Path { receiver, path, up: false, detail }]);
        self.ledger.link_stopped(&key.0, &key.1, self.now_ms());
        self.parcels.link_stopped(&key.0, &key.1, self.now_ms());
        self.start_link(key.clone(), link.config.clone(), Duration::from_millis(self.pace.retry_ms_min));
        self.set_regimes(&key.0);
    }
}

#[cfg(test)]
pub(crate) mod tests;
