//! Brings what the rules have decided to the people who are to know it, and proves how far it came.
//!
//! Enters: [`Notice`]s that are owed, settlements, and the configuration. Leaves: [`Report`]s.
//! Invariants: a notice is tried until a receiver has accepted it or its alarm is settled; `(cid, reference)` stays
//! the same through every try and restart, so that a receiver can tell repeats; a life notice waits for no other lane; one receiver's
//! failure, or panic, leaves the others working. Absent: the disk (what is owed is a fold of the journal), the rules, the devices.
//!
//! [`attempts`] decides what is tried next and is pure; [`link`] is what each kind of receiver looks like; [`scaip`] is one.

mod attempts;
mod backoff;
pub mod config;
pub(crate) mod connection;
mod link;
mod routes;
pub mod scaip;
#[cfg(feature = "sim")]
pub mod sim;
pub mod sip;
pub mod tls;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::Instant;
use vaka_protocol::{AlarmId, DeviceId, Lane, Rung};

pub use self::backoff::Pace;
pub use self::config::{ConfigError, DispatchConfig, ReceiverConfig, Route};
pub use self::link::Failure;

use self::attempts::Ledger;
use self::backoff::Dice;
use self::link::{LinkContext, LinkEvent, Order, Telling, Told};
use self::routes::Routes;
use self::scaip::mrq::Sender;
use crate::clock::Clock;

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
    /// Known to be old already when it was stored.
    pub delayed: bool,
    /// How often it was pressed.
    pub count: u32,
    /// Plain words for a person.
    pub text: String,
    pub test: bool,
}

/// What dispatch has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    },
    /// A supervised path was lost, is back, or was judged for the first time.
    Path { receiver: String, path: String, up: bool, detail: String },
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
    Owe(Notice),
    Settled(AlarmId),
    Reconfigure(DispatchConfig),
}

/// A handle; clones speak to the same dispatch.
#[derive(Clone)]
pub struct Dispatcher {
    commands: mpsc::UnboundedSender<Command>,
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
        let ledger = Ledger::new(Routes::new(&config.routes), pace, Dice::fresh());
        let actor = Actor {
            ledger,
            clock,
            reports,
            pace,
            links: BTreeMap::new(),
            running: JoinSet::new(),
            events,
            generations: 0,
            started: Instant::now(),
            config: DispatchConfig::default(),
        };
        let task = tokio::spawn(actor.run(config, queue, told, shutdown));
        tokio::spawn(async move {
            if task.await.is_err_and(|error| error.is_panic()) {
                // No alarm would leave the home any more: end, be started again, and replay what is owed.
                tracing::error!("dispatch failed; the process ends so that it is started anew");
                std::process::exit(70);
            }
        });
        Self { commands }
    }

    /// A notice to be told until it is accepted. Owing it again changes nothing.
    pub fn owe(&self, notice: Notice) {
        self.command(Command::Owe(notice));
    }

    /// A person has taken or closed the alarm: no further tries for its notices.
    pub fn settled(&self, alarm: &AlarmId) {
        self.command(Command::Settled(alarm.clone()));
    }

    /// New receivers and routes. Receivers that stay as they were keep their connections; what is owed takes the new routes.
    pub fn reconfigure(&self, config: DispatchConfig) {
        self.command(Command::Reconfigure(config));
    }

    fn command(&self, command: Command) {
        // Closed only while everything stops: what is owed stands in the journal.
        let _ = self.commands.send(command);
    }
}

struct RunningLink {
    config: ReceiverConfig,
    sender: (String, Option<String>, String),
    generation: u64,
    orders: mpsc::UnboundedSender<Order>,
    task: AbortHandle,
}

impl Drop for RunningLink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Actor {
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    reports: Reports,
    pace: Pace,
    links: BTreeMap<String, RunningLink>,
    running: JoinSet<()>,
    events: mpsc::Sender<Told>,
    generations: u64,
    started: Instant,
    config: DispatchConfig,
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
        loop {
            self.start_ready();
            let due = self.ledger.next_due_ms().map(|ms| self.started + Duration::from_millis(ms));
            let wait = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
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
                () = wait => {}
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
                let report = self.ledger.owe(notice);
                self.report(report);
            }
            Command::Settled(alarm) => self.ledger.settled(&alarm),
            Command::Reconfigure(config) => self.reconfigure(config),
        }
    }

    fn hear(&mut self, told: Told) {
        let Some(link) = self.links.get(&*told.receiver).filter(|l| l.generation == told.generation) else {
            return;
        };
        match &told.event {
            // The lost path is told once; not for every notice that finds it lost.
            LinkEvent::Failed { failure: Failure::NotConnected(_), .. } => {}
            LinkEvent::Failed { failure, .. } => {
                tracing::warn!(receiver = &*told.receiver, %failure, "a notice was not taken; it is tried again");
            }
            _ => {}
        }
        let path = link.config.url.clone();
        let reports = self.ledger.happened(&told.receiver, &path, told.event, self.now_ms());
        self.report(reports);
    }

    fn report(&self, reports: impl IntoIterator<Item = Report>) {
        for report in reports {
            match &report {
                Report::Rung { alarm, notice, rung, receiver, .. } => {
                    tracing::info!(alarm.id = %alarm, notice, rung = rung.as_str(), receiver, "rung reached");
                }
                Report::Path { receiver, up: true, detail, .. } => tracing::info!(receiver, detail, "path up"),
                Report::Path { receiver, detail, .. } => tracing::error!(receiver, detail, "path lost"),
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
                return;
            }
            for start in starts {
                let order = Order { attempt: start.attempt, notice: start.notice };
                let taken = self.links.get(&start.receiver).is_some_and(|link| link.orders.send(order).is_ok());
                if !taken {
                    let failure = Failure::LinkStopped;
                    let failed = LinkEvent::Failed { attempt: start.attempt, failure };
                    self.ledger.happened(&start.receiver, "", failed, now_ms);
                }
            }
        }
    }

    fn reconfigure(&mut self, config: DispatchConfig) {
        let sender = (config.controller_id.clone(), config.caller.clone(), config.time_zone.clone());
        let keeps = |link: &RunningLink| link.sender == sender && config.receivers.contains(&link.config);
        let gone: Vec<String> = self.links.iter().filter(|(_, l)| !keeps(l)).map(|(name, _)| name.clone()).collect();
        self.config = config.clone();
        for name in gone {
            self.links.remove(&name);
            self.ledger.link_stopped(&name, self.now_ms());
        }
        for receiver in &config.receivers {
            if !self.links.contains_key(&receiver.name) {
                self.start_link(receiver.clone(), Duration::ZERO);
            }
        }
        let reports = self.ledger.reroute(Routes::new(&config.routes));
        self.report(reports);
    }

    fn start_link(&mut self, receiver: ReceiverConfig, after: Duration) {
        let mut wrong = Vec::new();
        receiver.check(&mut wrong);
        if cfg!(test) && receiver.kind.starts_with("test-") {
            wrong.clear();
        }
        if let Some(error) = wrong.first() {
            let (name, path, detail) = (receiver.name.clone(), receiver.url.clone(), error.to_string());
            return self.report([Report::Path { receiver: name, path, up: false, detail }]);
        }
        self.generations += 1;
        let (orders, queue) = mpsc::unbounded_channel();
        let name: Arc<str> = receiver.name.as_str().into();
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
            telling: Telling { receiver: name, generation: self.generations, events: self.events.clone() },
        };
        let task = self.running.spawn(async move {
            tokio::time::sleep(after).await;
            link::run(context).await;
        });
        let sender = (self.config.controller_id.clone(), self.config.caller.clone(), self.config.time_zone.clone());
        let running = RunningLink { config: receiver, sender, generation: self.generations, orders, task };
        self.links.insert(running.config.name.clone(), running);
    }

    /// One receiver's link failed by a fault of ours: the others go on, and it is started anew.
    fn link_panicked(&mut self, id: Id) {
        let Some(name) = self.links.iter().find(|(_, l)| l.task.id() == id).map(|(name, _)| name.clone()) else {
            return;
        };
        let Some(link) = self.links.remove(&name) else {
            return;
        };
        let detail = "its link failed and is started anew; please report this".to_owned();
        self.report([Report::Path { receiver: name.clone(), path: link.config.url.clone(), up: false, detail }]);
        self.ledger.link_stopped(&name, self.now_ms());
        self.start_link(link.config.clone(), Duration::from_millis(self.pace.retry_ms_min));
    }
}

#[cfg(test)]
pub(crate) mod tests;
