//! A receiver that speaks SCAIP (SS 91100, as public implementations do) over SIP.
//!
//! Enters: orders. Leaves: link events. One task owns everything of one receiver: its connections, what is under way, its heartbeat.
//! Invariants: an answer (`mrs`) is matched by its reference alone, on whichever connection and whenever it comes; every request
//! of the peer is answered; a connection is closed only when its framing or its peer is lost.
//! Absent: voice, and listening, unless `listen` is configured.

mod inbound;
pub mod mrq;
pub mod mrs;
mod supervision;
pub mod xml;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::mrs::Mrs;
use self::supervision::Supervision;
use super::Notice;
use super::backoff::{Dice, next_wait_ms};
use super::connection::{self, Connection, Opened, Wire};
use super::link::{Failure, LinkContext, LinkEvent, Order};
use super::sip::digest::{Credentials, challenge};
use super::sip::{Frame, Message, SipUri, Start, Transport, write};
use crate::limits::{DIAL_BACK_CONNECTIONS_MAX, HEARTBEAT_MISSES_MAX, PATH_STABLE_MS};

/// Registered with IANA for SCAIP.
pub const CONTENT_TYPE: &str = "application/scaip+xml";

/// Heartbeats whose own `mrs` is still recognised.
const HEARTBEATS_KEPT: usize = 8;

/// Runs until the orders end.
pub(crate) async fn run(context: LinkContext) {
    let uri = match SipUri::parse(&context.config.url) {
        Ok(uri) => uri,
        // The configuration was checked before the link was started.
        Err(error) => return tracing::error!(receiver = context.config.name, %error, "link not started"),
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
    let heartbeat = Duration::from_secs(context.config.heartbeat_interval_s.into());
    let link = Link {
        context,
        uri,
        credentials,
        wire,
        helpers,
        dial: Dial::After(Instant::now()),
        refusal: "not connected yet".to_owned(),
        redial_ms: 0,
        dice: Dice::fresh(),
        connections: BTreeMap::new(),
        main: None,
        ids: 0,
        receiver_ip: None,
        pending: BTreeMap::new(),
        transactions: BTreeMap::new(),
        supervision: Supervision::default(),
        heartbeat,
        heartbeat_due: Instant::now() + heartbeat,
        heartbeats: VecDeque::new(),
        note: String::new(),
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
    dice: Dice,
    connections: BTreeMap<u64, Open>,
    /// The connection we dialled.
    main: Option<u64>,
    ids: u64,
    receiver_ip: Option<IpAddr>,
    pending: BTreeMap<String, Pending>,
    transactions: BTreeMap<String, Transaction>,
    supervision: Supervision,
    heartbeat: Duration,
    heartbeat_due: Instant,
    heartbeats: VecDeque<String>,
    /// Told when the path comes up: that the receiver's certificate has ended.
    note: String,
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
            let Some(transaction) = self.transactions.remove(&branch) else { continue };
            if transaction.reference.is_none() {
                self.heartbeat_missed(transaction.connection, "heartbeat not answered").await;
            }
        }
        if now >= self.heartbeat_due {
            self.heartbeat_due = now + self.heartbeat;
            self.beat(now);
        }
        if let Dial::After(at) = self.dial
            && now >= at
        {
            self.dial = Dial::Dialling;
            let (config, uri, wire) = (self.context.config.clone(), self.uri.clone(), self.wire.clone());
            let wall_ms = self.context.clock.now().wall_ms;
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

    /// Sends a pending notice if a connection stands; else it goes when one does.
    async fn send(&mut self, reference: &str) {
        let Some(main) = self.main else { return };
        let wall_ms = self.context.clock.now().wall_ms;
        let Some(pending) = self.pending.get_mut(reference) else { return };
        pending.connection = Some(main);
        let (attempt, until) = (pending.attempt, pending.received_by);
        let body = mrq::alarm(&self.context.sender, &pending.notice, wall_ms);
        if self.request(main, Some(reference.to_owned()), body, until) {
            self.tell(LinkEvent::Sent { attempt }).await;
        } else {
            self.closed(main, "the receiver does not read").await;
        }
    }

    fn beat(&mut self, now: Instant) {
        let Some(main) = self.main else { return };
        let reference = write::token();
        let body = mrq::heartbeat(&self.context.sender, &reference);
        if self.heartbeats.len() == HEARTBEATS_KEPT {
            self.heartbeats.pop_front();
        }
        self.heartbeats.push_back(reference);
        let until = now + Duration::from_millis(self.context.config.received_deadline_ms.into());
        // Not sent: its silence counts as a miss when its time is over.
        let _ = self.request(main, None, body, until);
    }

    fn request(&mut self, main: u64, reference: Option<String>, body: String, until: Instant) -> bool {
        let transaction = Transaction {
            reference,
            connection: main,
            call_id: write::token(),
            from_tag: write::token(),
            cseq: 1,
            body,
            logins: 0,
            sent_at: Instant::now(),
            until,
        };
        self.transmit(transaction, None)
    }

    /// Writes a request under a new branch and waits for its response under that.
    fn transmit(&mut self, transaction: Transaction, authorization: Option<&str>) -> bool {
        let Some(open) = self.connections.get(&transaction.connection) else { return false };
        let branch = write::branch();
        let bytes = write::message_request(
            &write::Request {
                uri: &self.uri.text,
                transport: self.uri.transport,
                local: &self.context.config.listen.unwrap_or(open.local).to_string(),
                user: &self.context.sender.controller_id,
                branch: &branch,
                from_tag: &transaction.from_tag,
                call_id: &transaction.call_id,
                cseq: transaction.cseq,
                authorization,
                content_type: CONTENT_TYPE,
            },
            transaction.body.as_bytes(),
        );
        let sent = open.connection.send(bytes);
        self.transactions.insert(branch, transaction);
        sent
    }

    async fn hear(&mut self, event: Wire) {
        match event {
            Wire::Dialled(Ok(opened)) => self.opened(opened).await,
            Wire::Dialled(Err(error)) => {
                self.refusal = error.to_string();
                self.dial_later(Instant::now());
                let waiting: Vec<String> = self.pending.keys().cloned().collect();
                for reference in waiting {
                    if self.pending.get(&reference).is_some_and(|p| p.connection.is_none()) {
                        self.fail(&reference, Failure::NotConnected(self.refusal.clone())).await;
                    }
                }
                let refusal = self.refusal.clone();
                self.missed(&refusal).await;
            }
            Wire::DialledBack(opened) => self.dialled_back(opened),
            Wire::Frame(id, frame) => {
                if let Some(open) = self.connections.get_mut(&id) {
                    open.heard_at = Some(Instant::now());
                    self.frame(id, frame).await;
                }
            }
            Wire::Closed(id, why) => self.closed(id, &why).await,
        }
    }

    async fn opened(&mut self, opened: Opened) {
        self.receiver_ip = Some(opened.peer.ip());
        self.note = match opened.expired_at_s.and_then(|s| jiff::Timestamp::from_second(s).ok()) {
            Some(ended) => format!("; its certificate ended {ended}, its key is the pinned one: have it renewed"),
            None => String::new(),
        };
        if !self.note.is_empty() {
            tracing::warn!(
                receiver = self.context.config.name,
                note = self.note,
                "the receiver's certificate has ended"
            );
        }
        let id = self.add(opened, false);
        self.main = Some(id);
        self.dial = Dial::Stands;
        let mut waiting: Vec<_> =
            self.pending.iter().map(|(reference, p)| (p.notice.lane, p.attempt, reference.clone())).collect();
        waiting.sort();
        for (_, _, reference) in waiting {
            self.send(&reference).await;
        }
        let now = Instant::now();
        self.heartbeat_due = now + self.heartbeat;
        self.beat(now);
        self.tell(LinkEvent::Connected).await;
    }

    fn dialled_back(&mut self, opened: Opened) {
        // Without TLS there is nothing but the address to know the receiver by.
        let stranger = self.uri.transport == Transport::Tcp && self.receiver_ip != Some(opened.peer.ip());
        let full = self.connections.values().filter(|open| open.inbound).count() >= DIAL_BACK_CONNECTIONS_MAX;
        if stranger || full {
            return tracing::warn!(receiver = self.context.config.name, peer = %opened.peer, "a connection towards us was closed");
        }
        self.add(opened, true);
    }

    fn add(&mut self, opened: Opened, inbound: bool) -> u64 {
        self.ids += 1;
        let connection = Connection::start(self.ids, opened.stream, self.wire.clone());
        let open = Open {
            connection,
            local: opened.local,
            since: Instant::now(),
            heard_at: None,
            heartbeats_missed: 0,
            inbound,
        };
        self.connections.insert(self.ids, open);
        self.ids
    }

    async fn frame(&mut self, id: u64, frame: Frame) {
        match frame {
            Frame::Message(message) if matches!(message.start, Start::Response { .. }) => self.response(message).await,
            Frame::Ping => self.reply(id, b"\r\n".to_vec()).await,
            request => {
                let heard = inbound::judge(&request);
                if let Some(bytes) = heard.reply {
                    self.reply(id, bytes).await;
                }
                if let Some(mrs) = heard.mrs {
                    self.answered(mrs).await;
                }
            }
        }
    }

    async fn reply(&mut self, id: u64, bytes: Vec<u8>) {
        if self.connections.get(&id).is_some_and(|open| !open.connection.send(bytes)) {
            self.closed(id, "the receiver does not read").await;
        }
    }

    async fn response(&mut self, message: Message) {
        let Start::Response { status, ref reason } = message.start else { return };
        let ours = message.cseq().is_some_and(|(_, method)| method == "MESSAGE");
        let Some(branch) = message.branch().filter(|_| ours && status >= 200) else { return };
        let Some(transaction) = self.transactions.remove(branch) else {
            return tracing::debug!(receiver = self.context.config.name, status, "a response to nothing that waits");
        };
        if matches!(status, 401 | 407) {
            return self.login(transaction, &message).await;
        }
        let failure = Failure::Status { status, reason: reason.chars().filter(|c| !c.is_control()).take(64).collect() };
        match &transaction.reference {
            None if (200..300).contains(&status) => {
                if let Some(open) = self.connections.get_mut(&transaction.connection) {
                    open.heartbeats_missed = 0;
                }
                if self.supervision.answered() {
                    let detail = format!("heartbeat answered{}", self.note);
                    self.tell(LinkEvent::Path { up: true, detail }).await;
                }
            }
            None => self.heartbeat_missed(transaction.connection, &failure.to_string()).await,
            Some(reference) if (200..300).contains(&status) => {
                if let Some(pending) = self.pending.get_mut(reference) {
                    pending.received = true;
                    let received = LinkEvent::Received { attempt: pending.attempt, detail: String::new() };
                    self.tell(received).await;
                }
                // Some receivers put their answer into the 200 itself.
                if !message.body.is_empty()
                    && let Ok(mrs) = Mrs::parse(&message.body)
                {
                    self.answered(mrs).await;
                }
            }
            Some(reference) => self.fail(reference, failure).await,
        }
    }

    async fn login(&mut self, mut transaction: Transaction, message: &Message) {
        let asked = challenge(message);
        let refused = match (&self.credentials, &asked) {
            (None, _) => Some("set its `user` and `password`"),
            (_, None) => Some("it offers no form of digest that is known here (MD5, SHA-256)"),
            // A second time only where nothing but the nonce was too old.
            (_, Some(asked)) if transaction.logins == 1 && asked.stale => None,
            _ if transaction.logins > 0 => Some("it refuses `user` and `password`; correct them"),
            _ => None,
        };
        let line = match (refused, &self.credentials, asked) {
            (None, Some(login), Some(asked)) => Ok(asked.answer(login, "MESSAGE", &self.uri.text, &write::token())),
            (why, ..) => Err(why.unwrap_or("it cannot be answered")),
        };
        let reference = transaction.reference.clone();
        match (line, reference) {
            (Ok(line), _) => {
                transaction.logins += 1;
                transaction.cseq += 1;
                let id = transaction.connection;
                if !self.transmit(transaction, Some(&line)) {
                    self.closed(id, "the receiver does not read").await;
                }
            }
            (Err(why), Some(reference)) => self.fail(&reference, Failure::Login(why)).await,
            (Err(why), None) => self.heartbeat_missed(transaction.connection, why).await,
        }
    }

    /// The alarm centre's answer, wherever it came from.
    async fn answered(&mut self, mrs: Mrs) {
        if self.heartbeats.contains(&mrs.reference) {
            return;
        }
        let detail = mrs.detail();
        let Mrs { reference, snu, .. } = mrs;
        match (snu, self.pending.contains_key(&reference)) {
            (0, _) => {
                let attempt = self.pending.remove(&reference).map(|p| p.attempt);
                self.tell(LinkEvent::Accepted { attempt, reference, detail }).await;
            }
            (snu, true) => self.fail(&reference, Failure::Snu { snu }).await,
            (snu, false) => {
                tracing::warn!(receiver = self.context.config.name, snu, "a refusal of nothing that waits");
            }
        }
    }

    async fn give_up(&mut self, reference: &str, now: Instant) {
        let Some(pending) = self.pending.get(reference) else { return };
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

    /// A connection is gone: everything that waits on it fails at once, and the main one is dialled again.
    async fn closed(&mut self, id: u64, why: &str) {
        let Some(open) = self.connections.remove(&id) else { return };
        if self.main != Some(id) {
            return;
        }
        self.main = None;
        self.refusal = why.to_owned();
        let now = Instant::now();
        if now.duration_since(open.since) >= Duration::from_millis(PATH_STABLE_MS) {
            self.redial_ms = 0;
        }
        self.dial_later(now);
        self.transactions.retain(|_, t| t.connection != id);
        let lost: Vec<String> =
            self.pending.iter().filter(|(_, p)| p.connection == Some(id)).map(|(r, _)| r.clone()).collect();
        for reference in lost {
            self.fail(&reference, Failure::Closed(why.to_owned())).await;
        }
        self.missed(why).await;
    }

    fn dial_later(&mut self, now: Instant) {
        let pace = &self.context.pace;
        self.redial_ms = next_wait_ms(&mut self.dice, self.redial_ms, pace.retry_ms_min, pace.redial_ms_max);
        self.dial = Dial::After(now + Duration::from_millis(self.redial_ms));
    }

    async fn heartbeat_missed(&mut self, id: u64, why: &str) {
        self.missed(why).await;
        let Some(open) = self.connections.get_mut(&id) else { return };
        open.heartbeats_missed += 1;
        if open.heartbeats_missed >= HEARTBEAT_MISSES_MAX {
            self.closed(id, why).await;
        }
    }

    async fn missed(&mut self, why: &str) {
        if self.supervision.missed() {
            self.tell(LinkEvent::Path { up: false, detail: why.to_owned() }).await;
        }
    }

    async fn tell(&self, event: LinkEvent) {
        self.context.telling.tell(event).await;
    }
}
