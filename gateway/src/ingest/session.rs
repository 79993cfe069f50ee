//! One device's connection, from the finished TLS handshake to its end.
//!
//! Enters: bytes and the answers of the pipeline. Leaves: submissions, acknowledgements after the commit, commands.
//! Invariants: acknowledgements go out in the order of their publishes; at most
//! [`IN_FLIGHT_PER_CONNECTION_MAX`](limits::IN_FLIGHT_PER_CONNECTION_MAX) wait, then nothing is read;
//! a failed commit ends the connection without an acknowledgement, so that the device sends again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, info, warn};
use vaka_protocol::{Command, CommandMessage, DeviceId, Lane, Time, encode_time_cbor, topic};

use super::listener::{CONNECTIONS_FULL, DoorCounts};
use super::renewal::{Renewals, Wish};
use super::roster::{Peer, Roster};
use super::sessions::{Kept, Seat, Sessions};
use super::window::fingerprint;
use super::wire::{Connect, ConnectRefusal, Goodbye, Incoming, Publish, Will, Wire};
use super::{Encoding, Intake, PublishReason, Submission, ToSession, What, admission};
use crate::clock::{Clock, Confidence};
use crate::journal::record::Fault;
use crate::limits;

/// What every connection shares.
pub struct Hall {
    pub intake: Arc<dyn Intake>,
    pub renewals: Arc<dyn Renewals>,
    pub roster: watch::Receiver<Arc<Roster>>,
    pub sessions: Sessions,
    pub clock: Arc<dyn Clock>,
    pub shutdown: watch::Receiver<bool>,
    pub counts: DoorCounts,
    /// At a hub: homes that call for a look. A connection of its own, without a session.
    pub callers: Option<mpsc::Sender<Caller>>,
}

/// A home that calls for a look: who it is, is proven.
pub struct Caller {
    pub home: DeviceId,
    pub stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>,
}

impl Hall {
    /// A known home with a certificate in force, that has said that it calls for a look. Too many at once: turned away.
    pub(super) fn call(
        &self,
        peer: Peer,
        stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>,
    ) -> Result<(), String> {
        let roster = self.roster.borrow().clone();
        roster.admit(&peer).map_err(|refusal| format!("{} calls for a look: {}", peer.device, refusal.as_str()))?;
        if peer.has_ended(self.clock.now().wall_ms) {
            return Err(format!("{} calls for a look with a certificate that has ended", peer.device));
        }
        let callers = self.callers.as_ref().ok_or("nobody looks from here")?;
        let caller = Caller { home: peer.device, stream };
        callers.try_send(caller).map_err(|_| "as many homes call for a look as may at once".to_owned())
    }

    /// As many as may are connected: counted, and told once until there is room again.
    fn turned_away_full(&self) {
        self.counts.turned_away_full.fetch_add(1, Ordering::Relaxed);
        if !self.counts.is_full.swap(true, Ordering::AcqRel) {
            let detail = format!("{} devices are connected; a further one was turned away", self.sessions.most());
            self.intake.tell(Fault { fault: CONNECTIONS_FULL.into(), device: None, detail, active: true });
        }
    }

    fn left(&self) {
        let most = self.sessions.most();
        let has_room = || self.sessions.connected() <= most - most / limits::CONNECTIONS_FREE;
        if self.counts.is_full.load(Ordering::Acquire)
            && has_room()
            && self.counts.is_full.swap(false, Ordering::AcqRel)
        {
            let detail = String::new();
            self.intake.tell(Fault { fault: CONNECTIONS_FULL.into(), device: None, detail, active: false });
        }
    }
}

/// Bytes read at once from a device. Most packets are far shorter; a longer one comes in pieces.
const READ_BYTES: usize = 4096;

/// A publish that waits for its commit.
struct Waiting {
    id: Option<u16>,
    qos: u8,
    fingerprint: u32,
    /// What will be answered once it is stored.
    reason: PublishReason,
    answered: bool,
}

struct Session {
    hall: Arc<Hall>,
    peer: Peer,
    wire: Wire,
    waiting: VecDeque<Waiting>,
    /// Number of the front of `waiting`.
    first: u64,
    batch: Vec<Submission>,
    replies: mpsc::UnboundedSender<ToSession>,
    will: Option<Will>,
    /// When it sent its CONNECT, by the running clock.
    since_ms: u64,
    /// It has said that it is here, and not that it is gone.
    is_here: bool,
    keep_alive: Option<Duration>,
    subscribed: Option<u8>,
    /// When the time is told next, where the topic is subscribed.
    time_due: Option<Instant>,
    /// The topic of its next certificate is subscribed.
    wants_certificate: bool,
    /// Given to it and not sent yet.
    certificate: Option<Vec<u8>>,
    /// One request at a time: the number of that which waits.
    renewing: Option<u64>,
    /// Commands that the peer's receive maximum or its missing subscription holds back.
    commands: BTreeMap<u64, (CommandMessage, Encoding)>,
    remembers: bool,
    /// QoS 2 publishes between PUBREC and PUBREL: packet id, fingerprint of the bytes.
    half_received: BTreeMap<u16, u32>,
    epoch: u64,
    clean_end: bool,
}

/// A device that is connected.
pub struct Open<S> {
    stream: S,
    session: Session,
    buffer: Box<[u8]>,
    unread: Unread,
    seat: Seat,
    answers: mpsc::UnboundedReceiver<ToSession>,
}

/// Reads until CONNECT, and admits the device or says why not. `stream` is past its TLS handshake; `peer` is what its
/// certificate says. Cancelled, it leaves nothing behind.
pub async fn open<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    peer: Peer,
    hall: Arc<Hall>,
    deadline: Instant,
) -> Option<Open<S>> {
    let mut buffer = vec![0_u8; READ_BYTES].into_boxed_slice();
    let (replies, answers) = mpsc::unbounded_channel();
    let mut session = Session {
        wire: Wire::new(),
        waiting: VecDeque::new(),
        first: 0,
        batch: Vec::new(),
        replies,
        will: None,
        since_ms: 0,
        is_here: false,
        keep_alive: None,
        subscribed: None,
        time_due: None,
        wants_certificate: false,
        certificate: None,
        renewing: None,
        commands: BTreeMap::new(),
        remembers: false,
        half_received: BTreeMap::new(),
        epoch: 0,
        clean_end: false,
        hall,
        peer,
    };
    let (seat, unread) = session.open(&mut stream, &mut buffer, deadline).await?;
    Some(Open { stream, session, buffer, unread, seat, answers })
}

impl<S: AsyncRead + AsyncWrite + Unpin> Open<S> {
    /// Serves the device until either side ends it.
    pub async fn run(self) {
        let Open { mut stream, mut session, mut buffer, mut unread, mut seat, mut answers } = self;
        let device = session.peer.device.clone();
        let why = session.run(&mut stream, &mut buffer, &mut unread, &mut seat, &mut answers).await;
        let said_why = session.wire.is_closing();
        session.end(&device, &seat, why);
        if said_why {
            farewell(&mut stream, &mut buffer).await;
        }
    }
}

/// Closes towards the device, and for a moment reads and drops what it still sends: closing over unread bytes makes the
/// kernel reset the connection, and the reset would overtake the reason in the DISCONNECT.
async fn farewell<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, buffer: &mut [u8]) {
    let drain = async {
        stream.shutdown().await?;
        while stream.read(buffer).await? > 0 {}
        std::io::Result::Ok(())
    };
    // The device is gone either way.
    let _ = timeout(Duration::from_millis(limits::FAREWELL_MS_MAX), drain).await;
}

/// Bytes read but not yet given to the protocol: `buffer[start..end]`.
#[derive(Default)]
struct Unread {
    start: usize,
    end: usize,
}

impl Session {
    /// Reads until CONNECT, and admits or refuses the device.
    async fn open<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        buffer: &mut [u8],
        deadline: Instant,
    ) -> Option<(Seat, Unread)> {
        loop {
            let mut unread = match tokio::time::timeout_at(deadline, stream.read(buffer)).await {
                Ok(Ok(read)) if read > 0 => Unread { start: 0, end: read },
                Ok(_) => return None,
                Err(_) => {
                    info!(device.id = %self.peer.device, "no CONNECT in time: connection closed");
                    return None;
                }
            };
            while unread.start < unread.end {
                unread.start += self.wire.receive(&buffer[unread.start..unread.end]);
                while let Some(incoming) = self.wire.take_incoming() {
                    match incoming {
                        Incoming::Connect(connect) => {
                            let seat = self.connect(&connect);
                            if self.write_out(stream).await.is_err() {
                                if let Some(seat) = seat {
                                    self.hall.sessions.leave(&self.peer.device, seat.epoch, seat.resumed);
                                }
                                return None;
                            }
                            return seat.map(|seat| (seat, unread));
                        }
                        Incoming::KeepAlive(ms) => self.set_keep_alive(ms),
                        other => {
                            info!(device.id = %self.peer.device, "no CONNECT but {other:?}: connection closed");
                            let _ = self.write_out(stream).await;
                            return None;
                        }
                    }
                }
            }
        }
    }

    fn connect(&mut self, connect: &Connect) -> Option<Seat> {
        let device = self.peer.device.clone();
        let roster = self.hall.roster.borrow().clone();
        if let Err(refusal) = roster.admit(&self.peer) {
            warn!(device.id = %device, serial = %self.peer.serial, "connection refused: {}", refusal.as_str());
            self.wire.refuse(ConnectRefusal::NotAuthorized);
            return None;
        }
        let assigned = connect.client_id.is_empty();
        if !assigned && connect.client_id != device.as_ref() {
            warn!(device.id = %device, client.id = %connect.client_id.chars().take(64).collect::<String>(),
                "connection refused: the client id must be the certificate's common name, or empty");
            self.wire.refuse(ConnectRefusal::ClientIdNotValid);
            return None;
        }
        if self.hall.intake.is_overwhelmed() {
            warn!(device.id = %device, "connection refused: more waits for the disk than may");
            self.wire.refuse(ConnectRefusal::ServerBusy);
            return None;
        }
        let Some(seat) = self.hall.sessions.take(&device, connect.clean) else {
            warn!(device.id = %device, "connection refused: {} devices are connected, more may not be", self.hall.sessions.most());
            self.hall.turned_away_full();
            self.wire.refuse(ConnectRefusal::ServerBusy);
            return None;
        };
        if self.has_ended() {
            self.hall.counts.ended.fetch_add(1, Ordering::Relaxed);
            warn!(device.id = %device, serial = %self.peer.serial,
                "connected with a certificate that has ended: it may renew it and call for help, nothing else");
        }
        let own = (device.clone(), self.peer.enrolment);
        if roster.renewed.get(&own).is_some_and(|newest| *newest == self.peer.serial) {
            self.hall.renewals.ask(&self.peer, Wish::Used, &self.replies);
        }
        self.remembers = connect.session_expiry_s > 0;
        self.will = connect.will.clone();
        self.epoch = seat.epoch;
        self.since_ms = self.hall.clock.now().mono_ms;
        if let Some(kept) = &seat.resumed {
            self.half_received.clone_from(&kept.half_received);
        }
        self.wire.accept(connect, assigned.then_some(device.as_ref()), seat.resumed.is_some());
        if seat.resumed.as_ref().is_some_and(|kept| kept.wants_time) {
            self.tell_time();
        }
        if seat.resumed.as_ref().is_some_and(|kept| kept.wants_certificate) {
            self.listen_for_certificate();
        }
        if let Some(qos) = seat.resumed.as_ref().and_then(|kept| kept.subscribed) {
            self.listen(qos);
        }
        debug!(device.id = %device, mqtt.version = if self.wire.is_version5() { 5 } else { 4 }, "device connected");
        Some(seat)
    }

    async fn run<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        buffer: &mut [u8],
        unread: &mut Unread,
        seat: &mut Seat,
        answers: &mut mpsc::UnboundedReceiver<ToSession>,
    ) -> &'static str {
        let (mut roster, mut shutdown) = (self.hall.roster.clone(), self.hall.shutdown.clone());
        let mut heard = Vec::new();
        let mut last_heard = Instant::now();
        loop {
            self.parse(buffer, unread);
            if !self.batch.is_empty() {
                self.hall.intake.submit(&mut self.batch);
            }
            if self.write_out(stream).await.is_err() {
                return "the peer does not take what it is sent";
            }
            if self.clean_end || self.wire.is_closing() {
                return "ended";
            }
            let may_read = self.waiting.len() < usize::from(limits::IN_FLIGHT_PER_CONNECTION_MAX);
            // While we do not read we cannot blame the peer for silence.
            let patience = self.keep_alive.filter(|_| may_read);
            tokio::select! {
                read = stream.read(buffer), if may_read && unread.start == unread.end => match read {
                    Ok(0) | Err(_) => return "the peer closed",
                    Ok(read) => {
                        *unread = Unread { start: 0, end: read };
                        last_heard = Instant::now();
                    }
                },
                count = answers.recv_many(&mut heard, 64) => {
                    if count == 0 {
                        return "the pipeline is gone";
                    }
                    for message in heard.drain(..) {
                        self.hear(message);
                    }
                    if !may_read {
                        last_heard = Instant::now();
                    }
                }
                () = sleep_until(last_heard + patience.unwrap_or_default()), if patience.is_some() => {
                    self.wire.goodbye(Goodbye::KeepAliveTimeout);
                    let _ = self.write_out(stream).await;
                    return "silent beyond its keep-alive";
                }
                () = sleep_until(self.time_due.unwrap_or(last_heard)), if self.time_due.is_some() => self.tell_time(),
                _ = &mut seat.kicked => {
                    self.end_in_silence();
                    self.wire.goodbye(Goodbye::TakenOver);
                    let _ = self.write_out(stream).await;
                    return "taken over by a newer connection";
                }
                _ = roster.changed() => {
                    if roster.borrow().admit(&self.peer).is_err() {
                        warn!(device.id = %self.peer.device, "connection ended: the device is no longer admitted");
                        self.wire.goodbye(Goodbye::NotAuthorized);
                        let _ = self.write_out(stream).await;
                        return "no longer admitted";
                    }
                }
                _ = shutdown.changed() => {
                    self.end_in_silence();
                    self.wire.goodbye(Goodbye::ShuttingDown);
                    let _ = self.write_out(stream).await;
                    return "the gateway stops";
                }
            }
        }
    }

    /// Hands bytes to the protocol as long as more publishes may wait.
    fn parse(&mut self, buffer: &[u8], unread: &mut Unread) {
        while unread.start < unread.end
            && !self.clean_end
            && !self.wire.is_closing()
            && self.waiting.len() < usize::from(limits::IN_FLIGHT_PER_CONNECTION_MAX)
        {
            let used = self.wire.receive(&buffer[unread.start..unread.end]);
            unread.start += used;
            self.handle_incoming();
            if used == 0 {
                return;
            }
        }
        self.handle_incoming();
    }

    fn handle_incoming(&mut self) {
        while let Some(incoming) = self.wire.take_incoming() {
            match incoming {
                Incoming::Publish(publish) => self.publish(publish),
                Incoming::Acknowledged(_) => {
                    self.give_certificate();
                    self.send_commands();
                }
                Incoming::Release(id) => {
                    self.half_received.remove(&id);
                    self.wire.complete(id);
                }
                Incoming::Subscribe { id, filters } => self.subscribe(id, &filters),
                Incoming::Unsubscribe { id, filters } => {
                    if filters.iter().any(|filter| self.is_own_filter(filter)) && self.subscribed.take().is_some() {
                        self.note(What::Deaf(self.replies.clone()));
                    }
                    if filters.iter().any(|filter| self.is_time(filter)) {
                        self.time_due = None;
                    }
                    if filters.iter().any(|filter| self.is_certificate(filter)) {
                        self.wants_certificate = false;
                    }
                    self.wire.unsubscribed(id, filters.len());
                    self.keep();
                }
                Incoming::Ping => self.wire.pong(),
                Incoming::Disconnect { with_will } => {
                    self.clean_end = true;
                    if !with_will {
                        self.will = None;
                    }
                }
                Incoming::KeepAlive(ms) => self.set_keep_alive(ms),
                Incoming::Connect(_) => self.wire.goodbye(Goodbye::ImplementationError),
                Incoming::Broken(what) => {
                    warn!(device.id = %self.peer.device, "the device broke the MQTT protocol ({what}): its connection is closed");
                    self.wire.goodbye(Goodbye::ImplementationError);
                }
            }
        }
    }

    fn publish(&mut self, publish: Publish) {
        let fingerprint = fingerprint(&publish.payload);
        if publish.qos == 2
            && let Some(id) = publish.id
        {
            if self.half_received.get(&id) == Some(&fingerprint) {
                // It is stored: the PUBREC was lost on the way.
                return self.wire.answer(id, 2, PublishReason::Success);
            }
            if self.waiting.iter().any(|waiting| waiting.id == Some(id) && waiting.fingerprint == fingerprint) {
                return; // The answer to the first one is the answer to this.
            }
        }
        let number = self.first + self.waiting.len() as u64;
        if publish.topic == topic::renew(&self.peer.device).as_str() {
            return self.renew(publish, fingerprint, number);
        }
        let roster = self.hall.roster.borrow().clone();
        let has_ended = self.has_ended();
        let mut admitted = admission::admit(&self.peer, &roster, &publish.topic, publish.payload, has_ended);
        if let What::Alive { online } = admitted.submission.what {
            self.is_here = online;
        }
        admitted.submission.since_ms = Some(self.since_ms);
        admitted.submission.reply = Some((self.replies.clone(), number));
        self.waiting.push_back(Waiting {
            id: publish.id,
            qos: publish.qos,
            fingerprint,
            reason: admitted.reason,
            answered: false,
        });
        self.batch.push(admitted.submission);
    }

    /// Judged anew each time: a certificate may end, and a clock be set, while its connection lasts.
    ///
    /// A clock that is only held at its floor knows nothing of it: what a device tells must not be lost over a wrong year.
    fn has_ended(&self) -> bool {
        let now = self.hall.clock.now();
        now.confidence != Confidence::Floor && self.peer.has_ended(now.wall_ms)
    }

    /// Its next certificate is asked for. Signing waits for the disk: it is done elsewhere, and answered in its turn.
    fn renew(&mut self, publish: Publish, fingerprint: u32, number: u64) {
        let (id, qos) = (publish.id, publish.qos);
        self.waiting.push_back(Waiting { id, qos, fingerprint, reason: PublishReason::Success, answered: false });
        let wish = Wish::Renew { request: publish.payload, number };
        if self.renewing.is_none() && self.hall.renewals.ask(&self.peer, wish, &self.replies) {
            self.renewing = Some(number);
        } else {
            self.hear(ToSession::Answers { first: number, count: 1, reason: PublishReason::QuotaExceeded });
        }
    }

    /// An answer of the pipeline, or a command.
    fn hear(&mut self, message: ToSession) {
        match message {
            ToSession::Answers { first, count, reason } => {
                self.renewing = self.renewing.filter(|number| !(first..first + count).contains(number));
                let from = (first - self.first) as usize;
                for waiting in self.waiting.iter_mut().skip(from).take(count as usize) {
                    waiting.answered = true;
                    if reason != PublishReason::Success {
                        waiting.reason = reason;
                    }
                }
                while self.waiting.front().is_some_and(|front| front.answered) {
                    let Some(done) = self.waiting.pop_front() else { break };
                    self.first += 1;
                    if let Some(id) = done.id {
                        if done.qos == 2 && (done.reason == PublishReason::Success || !self.wire.is_version5()) {
                            self.half_received.insert(id, done.fingerprint);
                        }
                        self.wire.answer(id, done.qos, done.reason);
                    }
                }
            }
            ToSession::Failed => {
                self.end_in_silence();
                self.wire.goodbye(Goodbye::ImplementationError);
            }
            ToSession::Certificate(certificate) => {
                self.certificate = Some(certificate);
                self.give_certificate();
            }
            ToSession::Command(command, encoding) => {
                self.commands.insert(command.id, (*command, encoding));
                self.send_commands();
            }
        }
    }

    fn subscribe(&mut self, id: u16, filters: &[(String, u8)]) {
        let commands = |(filter, qos): &(String, u8)| self.is_own_filter(filter).then_some((*qos).min(1));
        let asks_time = |(filter, _): &(String, u8)| self.is_time(filter);
        let asks_certificate = |(filter, _): &(String, u8)| self.is_certificate(filter);
        let own = |filter: &(String, u8)| asks_certificate(filter).then_some(filter.1.min(1));
        let grant = |filter| commands(filter).or_else(|| asks_time(filter).then_some(0)).or_else(|| own(filter));
        let granted: Vec<Option<u8>> = filters.iter().map(grant).collect();
        let listens = filters.iter().filter_map(commands).max();
        let wants_time = filters.iter().any(asks_time);
        let wants_certificate = filters.iter().any(asks_certificate);
        self.wire.subscribed(id, &granted);
        if wants_certificate {
            self.listen_for_certificate();
            self.keep();
        }
        if wants_time {
            self.tell_time();
            self.keep();
        }
        if let Some(qos) = listens {
            // Subscribing once more is not a reason to send everything again.
            if self.subscribed != Some(qos) {
                self.listen(qos);
            }
            self.keep();
        } else if !wants_time && !wants_certificate {
            info!(device.id = %self.peer.device, "subscription refused: a device may listen to its own topics `command`, `time` and `certificate` only");
        }
    }

    /// A filter that the device's own command topic matches, and no other device's.
    fn is_own_filter(&self, filter: &str) -> bool {
        let own = topic::command(&self.peer.device);
        let rest = own.strip_suffix("command").and_then(|prefix| filter.strip_prefix(prefix));
        matches!(rest, Some("command" | "+" | "#"))
    }

    /// A filter that asks for the time. One with a wildcard does not: what is under it was always commands alone.
    fn is_time(&self, filter: &str) -> bool {
        filter == topic::time(&self.peer.device)
    }

    fn is_certificate(&self, filter: &str) -> bool {
        filter == topic::certificate(&self.peer.device)
    }

    /// What it was given on an earlier connection and has not come with is sent once more.
    fn listen_for_certificate(&mut self) {
        self.wants_certificate = true;
        let roster = self.hall.roster.borrow().clone();
        let own = (self.peer.device.clone(), self.peer.enrolment);
        if self.certificate.is_some() {
            self.give_certificate();
        } else if self.renewing.is_none() && roster.renewed.get(&own).is_some_and(|newest| *newest != self.peer.serial)
        {
            self.hall.renewals.ask(&self.peer, Wish::Listening, &self.replies);
        }
    }

    fn give_certificate(&mut self) {
        if let Some(certificate) = self.certificate.as_ref().filter(|_| self.wants_certificate)
            && self.wire.publish(&topic::certificate(&self.peer.device), certificate, 1)
        {
            self.certificate = None;
        }
    }

    /// A device that has no clock of its own needs one for what may only be done in time. A clock nobody trusts is not told.
    fn tell_time(&mut self) {
        self.time_due = Some(Instant::now() + Duration::from_millis(limits::TIME_TOLD_EVERY_MS));
        let now = self.hall.clock.now();
        let mut payload = [0; Time::BYTES_MAX];
        if self.hall.clock.is_trusted(&now)
            && let Ok(length) = encode_time_cbor(Time::new(now.wall_ms), &mut payload)
        {
            self.wire.publish(&topic::time(&self.peer.device), &payload[..length], 0);
        }
    }

    /// What a later connection may take over stands ready, should this one be taken over.
    fn keep(&self) {
        if self.remembers {
            self.hall.sessions.keep(&self.peer.device, self.epoch, self.kept());
        }
    }

    fn kept(&self) -> Kept {
        Kept {
            subscribed: self.subscribed,
            wants_time: self.time_due.is_some(),
            wants_certificate: self.wants_certificate,
            half_received: self.half_received.clone(),
        }
    }

    fn listen(&mut self, qos: u8) {
        self.subscribed = Some(qos);
        self.note(What::Listening(self.replies.clone()));
    }

    fn send_commands(&mut self) {
        let Some(qos) = self.subscribed else { return };
        let has_ended = self.has_ended();
        while let Some((&id, (command, encoding))) = self.commands.first_key_value() {
            let now_ms = self.hall.clock.now().wall_ms;
            // Of a device whose certificate has ended nothing is asked: it hears what became of its call. The rest waits in the journal.
            let is_answer = matches!(command.command, Command::Receipt { .. } | Command::Feedback { .. });
            if command.expires_at <= now_ms || (has_ended && !is_answer) {
                self.commands.remove(&id);
                continue;
            }
            let payload = encoding.command(command);
            if !self.wire.publish(&topic::command(&self.peer.device), &payload, qos) {
                return;
            }
            self.commands.remove(&id);
        }
    }

    /// Tells the pipeline something that the device has no answer to. It takes a place in flight like a publish, so that
    /// no flood of subscriptions piles up.
    fn note(&mut self, what: What) {
        let number = self.first + self.waiting.len() as u64;
        let reason = PublishReason::Success;
        self.waiting.push_back(Waiting { id: None, qos: 0, fingerprint: 0, reason, answered: false });
        self.batch.push(Submission {
            device: self.peer.device.clone(),
            enrolment: self.peer.enrolment,
            lane: Lane::Telemetry,
            what,
            has_ended: false,
            since_ms: None,
            for_many: false,
            reply: Some((self.replies.clone(), number)),
        });
    }

    fn set_keep_alive(&mut self, ms: u64) {
        self.keep_alive = (ms > 0).then(|| Duration::from_millis(ms));
    }

    async fn write_out<S: AsyncWrite + Unpin>(&mut self, stream: &mut S) -> std::io::Result<()> {
        let output = self.wire.output();
        if output.is_empty() {
            return Ok(());
        }
        let write = async {
            stream.write_all(output).await?;
            stream.flush().await
        };
        let written = timeout(Duration::from_millis(limits::WRITE_MS_MAX), write).await;
        output.clear();
        if output.capacity() > 4096 {
            output.shrink_to(1024);
        }
        written.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
    }

    /// That this connection ends says nothing of the device: it is back on another at once.
    fn end_in_silence(&mut self) {
        self.will = None;
        self.is_here = false;
    }

    /// The connection is over: the Will is stored, or that the device is gone which said it is here; and what a later connection may take over is kept.
    fn end(mut self, device: &DeviceId, seat: &Seat, why: &'static str) {
        debug!(device.id = %device, "device disconnected: {why}");
        self.note(What::Deaf(self.replies.clone()));
        if let Some(will) = self.will.take() {
            let roster = self.hall.roster.borrow().clone();
            let has_ended = self.has_ended();
            let admitted = admission::admit(&self.peer, &roster, &will.topic, will.payload, has_ended);
            self.is_here &= !matches!(admitted.submission.what, What::Alive { .. });
            self.batch.push(admitted.submission);
        }
        // A clean end has no Will, and is an end all the same.
        if self.is_here {
            self.batch.push(Submission {
                device: self.peer.device.clone(),
                enrolment: self.peer.enrolment,
                lane: Lane::Telemetry,
                what: What::Alive { online: false },
                has_ended: false,
                since_ms: None,
                for_many: false,
                reply: None,
            });
        }
        self.hall.intake.submit(&mut self.batch);
        let kept = self.kept();
        self.hall.sessions.leave(device, seat.epoch, self.remembers.then_some(kept));
        self.hall.left();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::roster::Listed;
    use super::*;
    use crate::clock::ManualClock;

    /// What the session has said of the device's coming and going.
    #[derive(Default)]
    struct Desk(Mutex<Vec<bool>>);

    impl Intake for Desk {
        fn submit(&self, batch: &mut Vec<Submission>) {
            let alive = |submission: Submission| match submission.what {
                What::Alive { online } => Some(online),
                _ => None,
            };
            self.0.lock().unwrap().extend(batch.drain(..).filter_map(alive));
        }

        fn is_overwhelmed(&self) -> bool {
            false
        }

        fn tell(&self, _: Fault) {}
    }

    fn publish(payload: &[u8]) -> Publish {
        Publish { qos: 0, id: None, topic: "vaka/v1/p1/alive".into(), payload: payload.to_vec() }
    }

    /// A clock that shows the same time, believed so far.
    struct Stands(Confidence);

    impl Clock for Stands {
        fn now(&self) -> crate::clock::Now {
            crate::clock::Now { mono_ms: 0, wall_ms: 1_000, confidence: self.0 }
        }
    }

    /// A session that says `said` and ends.
    fn told(said: &[&[u8]], will: Option<&[u8]>, is_silent: bool) -> Vec<bool> {
        told_at(Arc::new(ManualClock::new(0)), i64::MAX, said, will, is_silent)
    }

    /// As [`told`], with a certificate that ends at `not_after`.
    fn told_at(
        clock: Arc<dyn Clock>,
        not_after: i64,
        said: &[&[u8]],
        will: Option<&[u8]>,
        is_silent: bool,
    ) -> Vec<bool> {
        let device = DeviceId::try_from("p1").unwrap();
        let devices = [(device.clone(), Listed { bridge: false, home: false })].into_iter().collect();
        let (desk, sessions) = (Arc::new(Desk::default()), Sessions::default());
        let seat = sessions.take(&device, true).unwrap();
        let (_stop, shutdown) = watch::channel(false);
        let (_roster, roster) = watch::channel(Arc::new(Roster { devices, ..Roster::default() }));
        let counts = DoorCounts::default();
        let renewals = Arc::new(super::super::renewal::NoRenewals);
        let callers = None;
        let hall =
            Arc::new(Hall { intake: desk.clone(), renewals, roster, sessions, clock, shutdown, counts, callers });
        let (replies, _answers) = mpsc::unbounded_channel();
        let mut session = Session {
            wire: Wire::new(),
            waiting: VecDeque::new(),
            first: 0,
            batch: Vec::new(),
            replies,
            will: will.map(|payload| Will { topic: "vaka/v1/p1/alive".into(), payload: payload.to_vec() }),
            since_ms: 0,
            is_here: false,
            keep_alive: None,
            subscribed: None,
            time_due: None,
            wants_certificate: false,
            certificate: None,
            renewing: None,
            commands: BTreeMap::new(),
            remembers: false,
            half_received: BTreeMap::new(),
            epoch: seat.epoch,
            clean_end: true,
            hall,
            peer: Peer { device: device.clone(), enrolment: 1, serial: String::new(), not_after },
        };
        said.iter().for_each(|payload| session.publish(publish(payload)));
        if is_silent {
            session.end_in_silence();
        }
        session.end(&device, &seat, "ended");
        let told = desk.0.lock().unwrap();
        told.clone()
    }

    #[test]
    fn who_said_that_it_is_here_is_gone_when_its_connection_ends() {
        assert_eq!(told(&[b"1"], None, false), [true, false], "a clean end");
        assert_eq!(told(&[b"1"], Some(b"0"), false), [true, false], "its Will says it once");
        assert_eq!(told(&[b"1", b"0"], None, false), [true, false], "it has said so itself");
        assert_eq!(told(&[], None, false), [false; 0], "it never said that it is here");
        assert_eq!(told(&[b"1"], Some(b"0"), true), [true], "taken over, or the gateway stops");
    }

    #[test]
    fn a_clock_that_is_only_held_at_its_floor_ends_no_certificate() {
        let told = |confidence| told_at(Arc::new(Stands(confidence)), 999, &[b"1"], None, true);
        assert_eq!(told(Confidence::Synchronised), [false; 0], "it has ended: a call for help and a renewal, no more");
        assert_eq!(told(Confidence::Held), [false; 0]);
        assert_eq!(told(Confidence::Floor), [true], "who knows?");
    }
}
