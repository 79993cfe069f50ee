//! A receiver that speaks SCAIP (SS 91100, as public implementations do) over SIP.
//!
//! Enters: orders. Leaves: link events. One task owns everything of one receiver: its connections, what is under way, its heartbeat.
//! Invariants: an answer (`mrs`) is matched by its reference alone, on whichever connection and whenever it comes; every request
//! of the peer is answered; a connection is closed only when its framing or its peer is lost.
//! Absent: voice, and listening, unless `listen` is configured.

mod exchange;
mod inbound;
mod lines;
pub mod mrq;
pub mod mrs;
pub mod xml;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use vaka_protocol::Lane;

use super::Notice;
use super::backoff::Dice;
use super::connection::{self, Connection, Wire};
use super::link::{Failure, LinkContext, LinkEvent, Order};
use super::sip::SipUri;
use super::sip::digest::Credentials;
use super::supervision::Supervision;
use super::tls;

/// Registered with IANA for SCAIP.
pub const CONTENT_TYPE: &str = "application/scaip+xml";

/// Heartbeats whose own `mrs` is still recognised.
const HEARTBEATS_KEPT: usize = 8;

/// Runs until the orders end.
pub(crate) async fn run(context: LinkContext) {
    let uri = match SipUri::parse(&context.config.url) {
        Ok(uri) => uri,
        // The configuration was checked before the link was started.
        Err(error) => {
            return tracing::error!(receiver = context.config.name, %error, "link not started");
        }
    };
    let (wire, events) = mpsc::channel(256);
    let mut helpers = JoinSet::new();
    if let Some(at) = context.config.listen {
        helpers.spawn(connection::listen(context.config.clone(), uri.transport, at, wire.clone()));
    }
    let credentials = match (&context.config.user, &context.config.password) {
        (Some(user), Some(password)) => Some(Credentials { user: user.clone(), password: password.clone() }),
        _ => None,
    };
    let heartbeat_due = Instant::now() + context.heartbeat(false);
    let link = Link {
        context,
        uri,
        credentials,
        wire,
        helpers,
        dial: Dial::After(Instant::now()),
        refusal: "not connected yet".to_owned(),
        redial_ms: 0,
        dialled_at: Instant::now(),
        dice: Dice::fresh(),
        connections: BTreeMap::new(),
        main: None,
        ids: 0,
        receiver_ip: None,
        pending: BTreeMap::new(),
        transactions: BTreeMap::new(),
        supervision: Supervision::default(),
        heartbeat_due,
        heartbeats: VecDeque::new(),
        certificate_ended: None,
        worn: tls::Worn::default(),
        is_change_due: false,
    };
    link.run(events).await;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dial {
    After(Instant),
    Dialling,
    Stands,
}

/// An order under way.
#[derive(Debug)]
struct Pending {
    attempt: u64,
    notice: Arc<Notice>,
    received: bool,
    received_by: Instant,
    accepted_by: Instant,
    /// The connection it was sent on.
    connection: Option<u64>,
}

/// A request that waits for its response, by branch.
#[derive(Debug)]
struct Transaction {
    /// None: a heartbeat.
    reference: Option<String>,
    connection: u64,
    call_id: String,
    from_tag: String,
    cseq: u32,
    body: String,
    logins: u32,
    sent_at: Instant,
    until: Instant,
}

#[derive(Debug)]
struct Open {
    connection: Connection,
    local: SocketAddr,
    since: Instant,
    heard_at: Option<Instant>,
    heartbeats_missed: u32,
    inbound: bool,
}

struct Link {
    context: LinkContext,
    uri: SipUri,
    credentials: Option<Credentials>,
    wire: mpsc::Sender<Wire>,
    helpers: JoinSet<()>,
    dial: Dial,
    /// Why there is no connection.
    refusal: String,
    redial_ms: u64,
    dialled_at: Instant,
    dice: Dice,
    connections: BTreeMap<u64, Open>,
    /// The connection we dialled.
    main: Option<u64>,
    ids: u64,
    receiver_ip: Option<IpAddr>,
    pending: BTreeMap<String, Pending>,
    transactions: BTreeMap<String, Transaction>,
    supervision: Supervision,
    heartbeat_due: Instant,
    heartbeats: VecDeque<String>,
    /// What was told of the receiver's certificate: when it ended, UTC seconds.
    certificate_ended: Option<i64>,
    /// Which certificate of ours the newest connection shows.
    worn: tls::Worn,
    /// It may be another by now: a connection that shows it is opened when nothing is under way.
    is_change_due: bool,
}

impl Link {
    async fn run(mut self, mut events: mpsc::Receiver<Wire>) {
        loop {
            let due = self.next_due();
            tokio::select! {
                order = self.context.orders.recv() => match order {
                    Some(order) => self.take_up(order).await,
                    None => return,
                },
                Some(event) = events.recv() => self.hear(event).await,
                Some(ended) = self.helpers.join_next() => if let Err(error) = ended && error.is_panic() {
                    // A link without its dialler would be silent for ever: let it be started anew.
                    std::panic::resume_unwind(error.into_panic());
                },
                // A second path that is needed now is proven now.
                Ok(()) = self.context.renewed.changed() => self.is_change_due = true,
                Ok(()) = self.context.regime.changed() => self.heartbeat_due = Instant::now(),
                () = tokio::time::sleep_until(due) => {}
            }
            self.keep_time(Instant::now()).await;
        }
    }

    fn next_due(&self) -> Instant {
        let orders = self.pending.values().map(|p| if p.received { p.accepted_by } else { p.received_by });
        let requests = self.transactions.values().map(|t| t.until);
        let dial = if let Dial::After(at) = self.dial { at } else { self.heartbeat_due };
        orders.chain(requests).chain([dial, self.heartbeat_due]).min().unwrap_or(self.heartbeat_due)
    }

    async fn keep_time(&mut self, now: Instant) {
        let late: Vec<String> = self
            .pending
            .iter()
            .filter(|(_, p)| now >= if p.received { p.accepted_by } else { p.received_by })
            .map(|(reference, _)| reference.clone())
            .collect();
        for reference in late {
            self.give_up(&reference, now).await;
        }
        let silent: Vec<String> =
            self.transactions.iter().filter(|(_, t)| now >= t.until).map(|(branch, _)| branch.clone()).collect();
        for branch in silent {
            let Some(transaction) = self.transactions.remove(&branch) else {
                continue;
            };
            if transaction.reference.is_none() {
                self.heartbeat_missed(transaction.connection, "heartbeat not answered").await;
            }
        }
        if now >= self.heartbeat_due {
            self.heartbeat_due = now + self.context.heartbeat(self.supervision.is_proven());
            self.beat(now);
        }
        if self.is_change_due && self.main.is_some() && self.pending.is_empty() && self.transactions.is_empty() {
            self.is_change_due = false;
            if self.worn.is_renewed(&self.context.config) {
                self.dial = Dial::After(now);
            }
        }
        if let Dial::After(at) = self.dial
            && now >= at
        {
            self.dial = Dial::Dialling;
            self.dialled_at = now;
            let (config, uri, wire) = (self.context.config.clone(), self.uri.clone(), self.wire.clone());
            let wall_ms = self.context.clock.now().wall_ms;
            self.worn = tls::Worn::now(&config);
            self.helpers.spawn(async move {
                let result = connection::dial(&config, &uri, wall_ms).await;
                let _ = wire.send(Wire::Dialled(result)).await;
            });
        }
    }

    async fn take_up(&mut self, order: Order) {
        let Order { attempt, notice } = order;
        // Lost or refused before: what waits for the connection waits in the ledger, in its order. Only the first dial is waited for.
        if self.main.is_none() && self.redial_ms > 0 {
            if notice.lane == Lane::Life {
                self.hurry();
            }
            let failure = Failure::NotConnected(self.refusal.clone());
            return self.tell(LinkEvent::Failed { attempt, failure }).await;
        }
        let now = Instant::now();
        let config = &self.context.config;
        let pending = Pending {
            attempt,
            notice: notice.clone(),
            received: false,
            received_by: now + Duration::from_millis(config.received_deadline_ms.into()),
            accepted_by: now + Duration::from_millis(config.accepted_deadline_ms.into()),
            connection: None,
        };
        let reference = notice.reference.clone();
        if let Some(before) = self.pending.insert(reference.clone(), pending) {
            self.tell(LinkEvent::Failed { attempt: before.attempt, failure: Failure::LinkStopped }).await;
        }
        self.send(&reference).await;
    }

    /// A life alarm waits: the receiver is dialled again at the shortest wait, however long the path has been down.
    fn hurry(&mut self) {
        if let Dial::After(at) = self.dial {
            let soonest = self.dialled_at + Duration::from_millis(self.context.pace.hurry_ms());
            self.dial = Dial::After(at.min(soonest));
        }
    }

    async fn give_up(&mut self, reference: &str, now: Instant) {
        let Some(pending) = self.pending.get(reference) else {
            return;
        };
        let config = &self.context.config;
        if pending.received {
            let failure = Failure::NotAccepted(config.accepted_deadline_ms);
            return self.fail(reference, failure).await;
        }
        let failure = Failure::NotReceived(config.received_deadline_ms);
        let sent_at = self.transactions.values().find(|t| t.reference.as_deref() == Some(reference)).map(|t| t.sent_at);
        let heard_at = pending.connection.and_then(|id| self.connections.get(&id)).and_then(|open| open.heard_at);
        let silent = sent_at.is_some_and(|sent_at| heard_at.is_none_or(|heard_at| heard_at < sent_at));
        let dead = pending.connection.filter(|_| silent);
        self.fail(reference, failure).await;
        if let Some(id) = dead {
            // Nothing at all came back since: more likely a dead path than a slow centre.
            self.closed(id, "nothing was heard on it since an alarm was sent").await;
            if heard_at.is_some() {
                // It worked before: a new connection may work at once.
                self.dial = Dial::After(now);
            }
        }
    }

    async fn fail(&mut self, reference: &str, failure: Failure) {
        if let Some(pending) = self.pending.remove(reference) {
            self.tell(LinkEvent::Failed { attempt: pending.attempt, failure }).await;
        }
    }

    async fn tell(&self, event: LinkEvent) {
        self.context.telling.tell(event).await;
    }
}
