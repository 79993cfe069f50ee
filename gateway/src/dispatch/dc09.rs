//! A receiver that speaks SIA DC-09, as public implementations do, over TCP or TLS.
//!
//! Enters: orders. Leaves: link events. One task owns everything of one path: its connection, what is under way, its heartbeat.
//! Invariants: one message is under way at a time, the most urgent first; a message that is sent again bears its number again; an answer
//! counts by that number, on whichever connection and whenever it comes; a message told encrypted is accepted by an encrypted answer alone.
//! An ACK is received and accepted in one, and the last rung that such a receiver can prove.
//! Absent: voice, commands from the receiver, keys that it sends.

pub mod answer;
pub mod cipher;
mod codes;
pub mod config;
mod exchange;
pub mod frame;
mod line;
mod message;
mod numbers;
mod queue;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use vaka_protocol::Lane;

use self::config::{Dc09Config, Endpoint};
use self::line::{Line, Wire};
use self::numbers::Shared;
use self::queue::{Queue, Waiting};
use super::Notice;
use super::backoff::{Dice, next_wait_ms};
use super::link::{Failure, LinkContext, LinkEvent, Order};
use super::stream::{self, OpenError, Opened};
use super::supervision::Supervision;
use crate::limits::{DC09_LATE_CONNECTIONS_MAX, DC09_PROOF_AFTER_MS, PATH_STABLE_MS};

/// Runs until the orders end.
pub(crate) async fn run(context: LinkContext) {
    let (config, endpoint) = match (&context.config.dc09, Endpoint::parse(&context.config.url)) {
        (Some(config), Ok(endpoint)) => (config.clone(), endpoint),
        // The configuration was checked before the link was started.
        (config, endpoint) => {
            let error = endpoint.err().map(|error| error.to_string());
            return tracing::error!(
                receiver = context.config.name,
                has_config = config.is_some(),
                error,
                "link not started"
            );
        }
    };
    let receiver = context.config.clone();
    let dialler: Dialler = Box::new(move |wall_ms| {
        let (receiver, endpoint) = (receiver.clone(), endpoint.clone());
        Box::pin(async move {
            let Endpoint { host, port, over_tls } = endpoint;
            stream::open(&receiver, &host, port, over_tls, wall_ms).await
        })
    });
    run_over(context, config, dialler).await;
}

/// Opens a connection at that wall time (UTC milliseconds).
type Dialler = Box<dyn Fn(i64) -> Pin<Box<dyn Future<Output = Result<Opened, OpenError>> + Send>> + Send + Sync>;

/// [`run`], whatever the connections are.
async fn run_over(context: LinkContext, config: Dc09Config, dialler: Dialler) {
    let numbers = Shared::of_receiver(&context.config.name, context.clock.now().wall_ms);
    let (wire, events) = mpsc::channel(16);
    let now = Instant::now();
    let link = Link {
        context,
        config,
        dialler,
        numbers,
        wire,
        diallers: JoinSet::new(),
        dial: Dial::After(now),
        is_down: false,
        refusal: String::new(),
        redial_ms: 0,
        failed_at: now,
        dialled_at: now,
        dice: Dice::fresh(),
        open: None,
        late: VecDeque::new(),
        ids: 0,
        queue: Queue::default(),
        flight: None,
        supervision: Supervision::default(),
        heartbeat_due: now,
        offset_ms: 0,
        certificate_ended: None,
    };
    link.run(events).await;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dial {
    After(Instant),
    Dialling,
    Stands,
    /// The receiver closes when it has answered: it is dialled when there is something to say.
    WhenNeeded,
}

/// The connection that is written to.
#[derive(Debug)]
struct Open {
    id: u64,
    line: Line,
    heard_at: Option<Instant>,
}

/// The message under way.
#[derive(Debug)]
struct Flight {
    what: What,
    number: u16,
    /// Its connection.
    line: u64,
    sent_at: Instant,
    until: Instant,
    /// Sent anew already, after the receiver had said what time it is.
    corrected: bool,
}

#[derive(Debug)]
enum What {
    Alarm(Waiting),
    Heartbeat,
}

struct Link {
    context: LinkContext,
    config: Dc09Config,
    dialler: Dialler,
    numbers: Shared,
    wire: mpsc::Sender<Wire>,
    diallers: JoinSet<()>,
    dial: Dial,
    /// The last connection, or try for one, failed: what waits for the next waits in the ledger.
    is_down: bool,
    /// Why.
    refusal: String,
    redial_ms: u64,
    failed_at: Instant,
    dialled_at: Instant,
    dice: Dice,
    open: Option<Open>,
    /// Connections on which the receiver was silent too long: still read, never written.
    late: VecDeque<(u64, Line)>,
    ids: u64,
    queue: Queue,
    flight: Option<Flight>,
    supervision: Supervision,
    heartbeat_due: Instant,
    /// How far the receiver's clock is ahead of ours, in milliseconds, as its NAK said.
    offset_ms: i64,
    /// What was told of the receiver's certificate: when it ended, UTC seconds.
    certificate_ended: Option<i64>,
}

impl Link {
    async fn run(mut self, mut events: mpsc::Receiver<Wire>) {
        loop {
            let due = self.next_due();
            let wait = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                order = self.context.orders.recv() => match order {
                    Some(order) => self.take_up(order).await,
                    None => return,
                },
                Some(event) = events.recv() => self.hear(event).await,
                Some(ended) = self.diallers.join_next() => if let Err(error) = ended && error.is_panic() {
                    // A link without its dialler would be silent for ever: let it be started anew.
                    std::panic::resume_unwind(error.into_panic());
                },
                // A second path that is needed now is proven now.
                Ok(()) = self.context.regime.changed() => self.heartbeat_due = Instant::now(),
                () = wait => {}
            }
            // Orders that came together are sorted before one of them leaves.
            while let Ok(order) = self.context.orders.try_recv() {
                self.take_up(order).await;
            }
            self.keep_time(Instant::now()).await;
        }
    }

    fn next_due(&self) -> Option<Instant> {
        let idle = self.open.is_some() && self.flight.is_none();
        let heartbeat = (idle || self.dial == Dial::WhenNeeded).then_some(self.heartbeat_due);
        let dial = if let Dial::After(at) = self.dial { Some(at) } else { None };
        let flight = self.flight.as_ref().map(|flight| flight.until);
        [heartbeat, dial, flight, self.queue.next_due()].into_iter().flatten().min()
    }

    async fn keep_time(&mut self, now: Instant) {
        if self.flight.as_ref().is_some_and(|flight| now >= flight.until) {
            self.give_up(now).await;
        }
        let deadline_ms = self.context.config.accepted_deadline_ms;
        for waiting in self.queue.expired(now) {
            self.fail(waiting.attempt, Failure::NotReceived(deadline_ms)).await;
        }
        let is_needed = !self.queue.is_empty() || now >= self.heartbeat_due;
        if self.dial == Dial::WhenNeeded && is_needed {
            self.dial = Dial::After(now);
        }
        if let Dial::After(at) = self.dial
            && now >= at
        {
            self.dial(now);
        }
        if self.open.is_some() && self.flight.is_none() && is_needed {
            let what = self.queue.pop().map_or(What::Heartbeat, What::Alarm);
            self.send(what, now).await;
        }
    }

    fn dial(&mut self, now: Instant) {
        self.dial = Dial::Dialling;
        self.dialled_at = now;
        let (opening, wire) = ((self.dialler)(self.context.clock.now().wall_ms), self.wire.clone());
        self.diallers.spawn(async move {
            let _ = wire.send(Wire::Dialled(opening.await)).await;
        });
    }

    async fn take_up(&mut self, order: Order) {
        let Order { attempt, notice } = order;
        if self.open.is_none() && self.is_down {
            if notice.lane == Lane::Life {
                self.hurry();
            }
            return self.fail(attempt, Failure::NotConnected(self.refusal.clone())).await;
        }
        if let Some(under_way) = self.flight.as_mut().and_then(|flight| flight.is_about(&notice)) {
            // It is with the receiver already: its answer is for the newer attempt.
            let before = std::mem::replace(&mut under_way.attempt, attempt);
            return self.fail(before, Failure::LinkStopped).await;
        }
        let until = Instant::now() + Duration::from_millis(self.context.config.accepted_deadline_ms.into());
        if let Some(before) = self.queue.push(Waiting { attempt, notice, until, again: false }) {
            self.fail(before.attempt, Failure::LinkStopped).await;
        }
    }

    /// A life alarm waits: the receiver is dialled again at the shortest wait, however long the path has been down.
    fn hurry(&mut self) {
        if let Dial::After(at) = self.dial {
            let soonest = self.dialled_at + Duration::from_millis(self.context.pace.hurry_ms());
            self.dial = Dial::After(at.min(soonest));
        }
    }

    async fn hear(&mut self, event: Wire) {
        let now = Instant::now();
        match event {
            Wire::Dialled(Ok(opened)) => self.opened(opened, now).await,
            Wire::Dialled(Err(error)) => self.down(&error.to_string(), now).await,
            Wire::Answer(id, answer) => {
                if let Some(open) = self.open.as_mut().filter(|open| open.id == id) {
                    open.heard_at = Some(now);
                }
                self.answered(id, answer, now).await;
            }
            Wire::Closed(id, why) => self.closed(id, &why, now).await,
        }
    }

    async fn opened(&mut self, opened: Opened, now: Instant) {
        if opened.expired_at_s != self.certificate_ended {
            self.certificate_ended = opened.expired_at_s;
            self.tell(LinkEvent::Certificate { ended: opened.expired_at_s }).await;
        }
        self.ids += 1;
        let line = Line::start(self.ids, opened.stream, self.config.key.clone(), self.wire.clone());
        self.open = Some(Open { id: self.ids, line, heard_at: None });
        (self.dial, self.is_down) = (Dial::Stands, false);
        if !self.supervision.is_proven() {
            // Alarms that waited for this connection come first.
            self.heartbeat_due = now + Duration::from_millis(DC09_PROOF_AFTER_MS);
        }
        self.tell(LinkEvent::Connected).await;
    }

    async fn closed(&mut self, id: u64, why: &str, now: Instant) {
        self.late.retain(|(late, _)| *late != id);
        let Some(open) = self.open.take_if(|open| open.id == id) else { return };
        match (self.flight.take(), open.heard_at) {
            // As some receivers do after every answer, and all after a while.
            (None, Some(_)) => self.dial = Dial::WhenNeeded,
            (Some(Flight { what: What::Alarm(alarm), .. }), Some(_)) if !alarm.again => {
                // It worked before, and may have closed just when this was sent: once more, under the same number.
                self.queue.push(Waiting { again: true, ..alarm });
                self.dial = Dial::After(now);
            }
            (flight, _) => {
                if let Some(Flight { what: What::Alarm(alarm), .. }) = flight {
                    self.fail(alarm.attempt, Failure::Closed(why.to_owned())).await;
                }
                self.down(why, now).await;
            }
        }
    }

    /// Nothing came back in time. The connection is listened to further, but whatever else there is goes over a new one.
    async fn give_up(&mut self, now: Instant) {
        let Some(flight) = self.flight.take() else { return };
        let is_silent = |open: &Open| open.heard_at.is_none_or(|heard_at| heard_at < flight.sent_at);
        let silent = self.open.take_if(|open| open.id == flight.line && is_silent(open));
        let deadline_ms = self.context.config.received_deadline_ms;
        let why = match flight.what {
            What::Alarm(alarm) => {
                self.fail(alarm.attempt, Failure::NotReceived(deadline_ms)).await;
                "nothing was heard on it since an alarm was sent"
            }
            What::Heartbeat => "heartbeat not answered",
        };
        let Some(silent) = silent else { return self.missed(why).await };
        self.late.push_back((silent.id, silent.line));
        if self.late.len() > DC09_LATE_CONNECTIONS_MAX {
            self.late.pop_front();
        }
        self.down(why, now).await;
        if silent.heard_at.is_some() {
            // It worked before: a new connection may work at once.
            self.dial = Dial::After(now);
        }
    }

    /// There is no connection: what waits for it goes back to the ledger, and it is dialled again later.
    async fn down(&mut self, why: &str, now: Instant) {
        self.is_down = true;
        self.refusal = why.to_owned();
        if now.duration_since(self.failed_at) >= Duration::from_millis(PATH_STABLE_MS) {
            self.redial_ms = 0;
        }
        self.failed_at = now;
        let pace = &self.context.pace;
        self.redial_ms = next_wait_ms(&mut self.dice, self.redial_ms, pace.retry_ms_min, pace.redial_ms_max);
        self.dial = Dial::After(now + Duration::from_millis(self.redial_ms));
        for waiting in self.queue.drain() {
            self.fail(waiting.attempt, Failure::NotConnected(why.to_owned())).await;
        }
        self.missed(why).await;
    }

    async fn missed(&mut self, why: &str) {
        if self.supervision.missed() {
            self.tell(LinkEvent::Path { up: false, detail: why.to_owned() }).await;
        }
    }

    async fn fail(&self, attempt: u64, failure: Failure) {
        self.tell(LinkEvent::Failed { attempt, failure }).await;
    }

    async fn tell(&self, event: LinkEvent) {
        self.context.telling.tell(event).await;
    }
}

impl Flight {
    fn is_about(&mut self, notice: &Arc<Notice>) -> Option<&mut Waiting> {
        match &mut self.what {
            What::Alarm(alarm) if alarm.notice.reference == notice.reference => Some(alarm),
            What::Alarm(_) | What::Heartbeat => None,
        }
    }
}

#[cfg(test)]
mod tests;
