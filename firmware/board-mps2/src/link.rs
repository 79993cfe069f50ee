//! The connection to the gateway: DHCP, TCP, TLS, MQTT 5, for ever again. Enters: what the device has to say, the
//! gateway's commands, its time, the device's next certificate. Leaves: messages with QoS 1, their PUBACKs to the device,
//! and, at two thirds of its certificate's life, a request for the next one.
//!
//! Invariants: a message goes once over each connection, and again over the next unless its PUBACK came: each connection
//! begins a new session, so that only the outbox repeats. A PUBACK is final whatever its reason says: the gateway has the
//! event, or the record that it refused it. A command is acknowledged after the device has taken it up. A path that is
//! dead is noticed: by the keep-alive while nothing is said, by a missing PUBACK else. Of two certificates the newer is
//! shown first, and the older after the newer was refused.

use alloc::sync::Arc;
use core::cell::{Cell, RefCell};

use embassy_futures::select::{Either4, select, select4};
use embassy_net::tcp::TcpSocket;
use embassy_net::{IpAddress, Stack};
use embassy_time::{Duration, Instant, Timer, with_timeout};
use heapless::Vec;
use minimq::{Buffers, ConfigBuilder, Connection, Error, Op, PeerError, Publication, QoS, Session, TopicFilter, Will};
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::{PrivateKeyDer, ServerName, UnixTime};
use static_cell::ConstStaticCell;
use vaka_device::identity::{Facts, Renewing, Which, keep_renewed, next_key, settle};
use vaka_device::{Device, Keep, Panel, Role, Ticket};
use vaka_protocol::limits::{MESSAGE_BYTES_MAX, TOPIC_BYTES_MAX};
use vaka_protocol::{DeviceId, Lane, decode_time, topic};

use crate::bell::Bell;
use crate::clock::Clock;
use crate::provisioning::Provisioning;
use crate::tls::provider::provider;
use crate::tls::verify::Verifier;
use crate::tls::{NoTime, Stream, Trouble};
use crate::who::{Who, who};
use crate::{entropy, pause, say, tls, work};

/// Between two signs of life of a silent connection, seconds. With the 5 s that minimq waits for the answer, a dead path
/// is noticed within 35 s. Shorter: a radio that sleeps wakes more often. Source: our choice.
const KEEP_ALIVE_S: u16 = 30;

/// From the first packet to the subscription, at most. Longer: the device holds on to a peer that does not answer, and
/// a call for help waits with it. A handshake takes 0.5 s on a controller of 100 MHz (estimate), 10 s leave room for a
/// gateway with hundreds of devices that all come back. Source: our choice.
pub(crate) const OPEN: Duration = Duration::from_secs(10);

/// From a message to its PUBACK, at most. Beyond: the connection is given up and a new one tried. The gateway answers
/// when its disk has it; ten seconds of a disk are a broken one. Source: our choice.
const PUBACK: Duration = Duration::from_secs(10);

/// Between two looks at a device that must not be held up, milliseconds: a wheel turns for a second.
const BUSY_LOOK_MS: u64 = 50;

/// Messages under way at once. More: more memory for what is nearly always one. Source: our choice.
const WINDOW: usize = 4;

/// What one connection needs, used by one after the other.
pub struct Memory {
    pub(crate) below_in: [u8; 2048],
    pub(crate) below_out: [u8; 2048],
    pub(crate) incoming: [u8; tls::INCOMING_BYTES_MAX],
    pub(crate) outgoing: [u8; tls::OUTGOING_BYTES_MAX],
    /// One packet that comes: a command, or a certificate, and its topic.
    packet: [u8; MESSAGE_BYTES_MAX + 256],
    /// Packets that go and are not acknowledged: several of the usual size, or two of the longest.
    pub(crate) packets: [u8; 2 * MESSAGE_BYTES_MAX + 512],
    message: [u8; MESSAGE_BYTES_MAX],
}

/// Taken once, by whoever runs the image.
pub static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory {
    below_in: [0; 2048],
    below_out: [0; 2048],
    incoming: [0; tls::INCOMING_BYTES_MAX],
    outgoing: [0; tls::OUTGOING_BYTES_MAX],
    packet: [0; MESSAGE_BYTES_MAX + 256],
    packets: [0; 2 * MESSAGE_BYTES_MAX + 512],
    message: [0; MESSAGE_BYTES_MAX],
});

/// What the link shares with the rest of the image.
pub struct Link<'a, K, R, P> {
    /// The device.
    pub device: &'a RefCell<Device<K, R, P>>,
    /// Its time.
    pub clock: &'a Clock,
    /// The network.
    pub stack: Stack<'static>,
    /// What a technician has written.
    pub provisioning: Provisioning,
    /// Rung by the device: it has something to say.
    pub news: &'a Bell,
    /// Rung by the device: a life is at stake.
    pub urgent: &'a Bell,
    /// Rung here: the device is to be looked at.
    pub touched: &'a Bell,
    /// The gateway has an event of this boot, and so knows that commands are to be CBOR: one that has never heard a
    /// device writes JSON, which this image cannot read. Before, no command is asked for.
    pub is_heard: Cell<bool>,
    /// Which certificate is shown, where there are two.
    pub which: Cell<Which>,
    /// When the next one was asked for last, milliseconds since boot.
    pub asked_ms: Cell<Option<u64>>,
    /// A new one has come since the connection began.
    pub is_renewed: Cell<bool>,
}

/// The device's topics.
struct Topics {
    events: Topic,
    commands: Topic,
    alive: Topic,
    times: Topic,
    requests: Topic,
    certificates: Topic,
}

type Topic = heapless::String<TOPIC_BYTES_MAX>;

impl Topics {
    fn of(id: &DeviceId) -> Self {
        Self {
            events: topic::event(id),
            commands: topic::command(id),
            alive: topic::alive(id),
            times: topic::time(id),
            requests: topic::renew(id),
            certificates: topic::certificate(id),
        }
    }
}

/// Why a connection ended.
enum End {
    /// The network below.
    Network,
    /// It took longer than [`OPEN`] or [`PUBACK`].
    Late,
    /// TLS, or the stream below it.
    Tls(Trouble),
    /// MQTT: refused, or something that should not be.
    Mqtt,
    /// The gateway ended it.
    Gone,
    /// What the device was given cannot be used: the word says what.
    Unusable(&'static str),
    /// There is a new certificate to come with.
    Renewed,
}

impl core::fmt::Display for End {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Network => f.write_str("network"),
            Self::Late => f.write_str("late"),
            Self::Tls(trouble) => trouble.fmt(f),
            Self::Mqtt => f.write_str("mqtt"),
            Self::Gone => f.write_str("gone"),
            Self::Unusable(what) => f.write_str(what),
            Self::Renewed => f.write_str("renewed"),
        }
    }
}

impl From<Error<Trouble>> for End {
    fn from(error: Error<Trouble>) -> Self {
        match error {
            Error::Transport(trouble) => Self::Tls(trouble),
            Error::Disconnected => Self::Gone,
            _ => Self::Mqtt,
        }
    }
}

impl<K: Keep, R: Role, P: Panel> Link<'_, K, R, P> {
    /// For ever.
    pub async fn run(&self, memory: &mut Memory) -> core::convert::Infallible {
        let mut failures = 0;
        loop {
            self.stack.wait_config_up().await;
            // A handshake's arithmetic holds everything up, 0.2 s at a time on a controller of 100 MHz: a wheel passes its stop.
            while self.device.borrow().is_moving() {
                Timer::after_millis(BUSY_LOOK_MS).await;
            }
            if let Some(config) = self.stack.config_v4() {
                say!("network {}", config.address.address());
            }
            let mut was_open = false;
            let end = match self.once(memory, &mut was_open).await {
                Ok(never) => match never {},
                Err(end) => end,
            };
            self.device.borrow_mut().apart();
            say!("{} {end}", if was_open { "apart" } else { "refused" });
            let is_unreached = matches!(end, End::Network | End::Late);
            self.which.set(match self.which.get() {
                Which::Renewed if !was_open && !is_unreached => Which::Own,
                _ => Which::Renewed,
            });
            failures = if was_open { 0 } else { failures + 1 };
            let is_urgent = self.device.borrow().waiting().any(|(_, lane)| lane == Lane::Life);
            let pause_ms = pause::ms(failures, is_urgent, entropy::chance());
            self.urgent.take();
            select(Timer::after_millis(pause_ms.into()), self.urgent.rung()).await;
        }
    }

    /// One connection, from its beginning to its end.
    async fn once(&self, memory: &mut Memory, was_open: &mut bool) -> Result<core::convert::Infallible, End> {
        let Memory { below_in, below_out, incoming, outgoing, packet, packets, message } = memory;
        let who = who(self.device.borrow_mut().keep(), &self.provisioning, self.which.get()).map_err(End::Unusable)?;
        self.which.set(who.which);
        let topics = Topics::of(&who.id);
        let renewing = Facts::read(&who.certificate).map(|facts| Renewing::of(&facts, self.asked_ms.get()));
        self.is_renewed.set(false);
        let mut session = session(&who.id, &topics.alive, packet, packets).ok_or(End::Unusable("id"))?;
        let open = async {
            let mut socket = TcpSocket::new(self.stack, below_in, below_out);
            socket.set_nagle_enabled(false);
            let [a, b, c, d] = who.address;
            socket.connect((IpAddress::v4(a, b, c, d), who.port)).await.map_err(|_| End::Network)?;
            let name = ServerName::try_from(who.name.as_str()).map_err(|_| End::Unusable("name"))?.to_owned();
            let config = self.config(who)?;
            let began = work::done();
            let stream = Stream::open(socket, config, name, incoming, outgoing).await.map_err(End::Tls)?;
            work::tell("handshake", began);
            let mut connection = session.connect(stream).await?;
            // A gateway that does not tell the time is one all the same.
            match self.subscribe(&mut connection, &topics.times, &topics).await {
                Ok(()) | Err(Error::Peer(PeerError::Rejected(_))) => {}
                Err(error) => return Err(error.into()),
            }
            if self.is_heard.get() {
                self.subscribe(&mut connection, &topics.commands, &topics).await?;
            }
            Ok::<_, End>(connection)
        };
        let mut connection = with_timeout(OPEN, open).await.map_err(|_| End::Late)??;
        *was_open = true;
        say!("connected");
        if self.which.get() == Which::Renewed && settle(self.device.borrow_mut().keep()).is_ok() {
            say!("renewal used");
        }
        let mut renewing = renewing;
        let mut is_asking = false;
        with_timeout(PUBACK, publish(&mut connection, &topics.alive, topic::BACK)).await.map_err(|_| End::Late)??;
        // Asked for like an event is sent, beside the others: nothing waits for its answer.
        let mut subscribing = None;
        let mut is_subscribed = self.is_heard.get();
        let mut under_way: Vec<(Ticket, Op, Instant), WINDOW> = Vec::new();
        loop {
            while !under_way.is_full() && connection.can_publish(QoS::AtLeastOnce) {
                // Lent out only until the message is copied: the device goes on while it is sent.
                let next = self.device.borrow_mut().next(message).map(|(ticket, bytes)| (ticket, bytes.len()));
                let Some((ticket, length)) = next else { break };
                let sent = with_timeout(PUBACK, publish(&mut connection, &topics.events, &message[..length]));
                match sent.await.map_err(|_| End::Late)? {
                    Ok(Some(op)) => {
                        self.device.borrow_mut().handed(ticket);
                        // There is room: just looked at.
                        let _ = under_way.push((ticket, op, Instant::now()));
                    }
                    // No room for one as long as this: the next PUBACK makes some.
                    Ok(None) => break,
                    Err(end) => return Err(end),
                }
            }
            let mut due_ms = u64::MAX;
            if let Some(renewing) = &mut renewing {
                due_ms = renewing.rest_ms(self.clock.now());
                if due_ms == 0 && under_way.is_empty() {
                    // A gateway that renews nothing is one all the same.
                    if !is_asking {
                        match with_timeout(PUBACK, self.subscribe(&mut connection, &topics.certificates, &topics)).await
                        {
                            Ok(Ok(()) | Err(Error::Peer(PeerError::Rejected(_)))) => is_asking = true,
                            Ok(Err(error)) => return Err(error.into()),
                            Err(_) => return Err(End::Late),
                        }
                    }
                    // What it was given on an earlier connection may have come with that.
                    if !self.is_renewed.get() {
                        self.ask(&mut connection, &topics).await?;
                    }
                    renewing.asked(self.clock.now());
                    self.asked_ms.set(renewing.asked_ms());
                    continue;
                }
            }
            if self.is_renewed.get() && under_way.is_empty() {
                return Err(End::Renewed);
            }
            let late = under_way.iter().map(|(_, _, since)| *since + PUBACK).min().unwrap_or(Instant::MAX);
            // What is due waits for what is under way; a day is as good as for ever.
            let due = Instant::now() + Duration::from_millis(due_ms.clamp(1_000, 86_400_000));
            let late = Timer::at(late.min(due));
            let down = self.stack.wait_config_down();
            match select4(connection.poll(), self.news.rung(), late, down).await {
                Either4::First(Ok(Some(publication))) => {
                    self.take(publication.topic(), publication.payload(), &topics);
                }
                // A refusal is a PUBACK too.
                Either4::First(Ok(None) | Err(Error::Peer(PeerError::Rejected(_)))) | Either4::Second(()) => {}
                Either4::First(Err(error)) => return Err(error.into()),
                Either4::Third(()) => {
                    let now = Instant::now();
                    if under_way.iter().any(|(_, _, since)| *since + PUBACK <= now) {
                        return Err(End::Late);
                    }
                }
                Either4::Fourth(()) => return Err(End::Network),
            }
            under_way.retain(|(ticket, op, _)| {
                let is_acked = connection.is_complete(op);
                if is_acked {
                    let identity = self.device.borrow_mut().acked(*ticket, self.clock.now());
                    self.is_heard.set(true);
                    if let Some(identity) = identity {
                        say!("acked {} {}", identity.restart, identity.seq);
                        work::acked(identity.seq);
                    }
                    self.touched.ring();
                }
                !is_acked
            });
            if self.is_heard.get() && !is_subscribed {
                let filters = [TopicFilter::new(&topics.commands)];
                let asked = with_timeout(PUBACK, connection.subscribe(&filters, &[]));
                subscribing = Some(asked.await.map_err(|_| End::Late)??);
                is_subscribed = true;
            }
            subscribing.take_if(|asked| !connection.is_pending(asked));
        }
    }

    /// Subscribes, and takes what comes meanwhile.
    async fn subscribe<S>(
        &self,
        connection: &mut Connection<'_, '_, S>,
        topic: &str,
        topics: &Topics,
    ) -> Result<(), Error<Trouble>>
    where
        S: embedded_io_async::Read + embedded_io_async::Write + embedded_io_async::ErrorType<Error = Trouble>,
    {
        let subscribed = connection.subscribe(&[TopicFilter::new(topic)], &[]).await?;
        while connection.is_pending(&subscribed) {
            if let Some(publication) = connection.poll().await? {
                self.take(publication.topic(), publication.payload(), topics);
            }
        }
        Ok(())
    }

    /// Asks for the next certificate.
    async fn ask<S>(&self, connection: &mut Connection<'_, '_, S>, topics: &Topics) -> Result<(), End>
    where
        S: embedded_io_async::Read + embedded_io_async::Write + embedded_io_async::ErrorType<Error = Trouble>,
    {
        // Without a key that is kept nothing is asked: an hour later the flash may take one.
        let Ok(key) = next_key(self.device.borrow_mut().keep(), &mut entropy::key) else { return Ok(()) };
        let request = key.request();
        let asked = with_timeout(PUBACK, publish(connection, &topics.requests, &request));
        asked.await.map_err(|_| End::Late)??;
        say!("renewing");
        Ok(())
    }

    /// Something came from the gateway.
    fn take(&self, topic: &str, payload: &[u8], topics: &Topics) {
        if topic == topics.commands {
            if self.device.borrow_mut().command(payload, self.clock.now()).is_err() {
                say!("unreadable command");
            }
            self.touched.ring();
        } else if topic == topics.certificates {
            match keep_renewed(self.device.borrow_mut().keep(), self.provisioning.mark(), payload) {
                Ok(is_new) => {
                    say!("renewed");
                    self.is_renewed.set(is_new);
                }
                Err(_) => say!("unusable certificate"),
            }
        } else if topic == topics.times
            && let Some(at) = decode_time(payload)
        {
            self.clock.set(at);
            say!("time {at}");
            self.touched.ring();
        }
    }

    fn config(&self, who: Who) -> Result<Arc<ClientConfig>, End> {
        // A call for help goes even to a gateway whose certificate ran out.
        let is_urgent = self.device.borrow().waiting().any(|(_, lane)| lane == Lane::Life);
        let at = self.clock.now().at.filter(|_| !is_urgent).and_then(|at| u64::try_from(at).ok());
        let verifier = Verifier {
            authority: who.authority,
            at: at.map(|at| UnixTime::since_unix_epoch(core::time::Duration::from_millis(at))),
        };
        let mut config = ClientConfig::builder_with_details(Arc::new(provider()), Arc::new(NoTime))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|_| End::Unusable("tls"))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_auth_cert(alloc::vec![who.certificate], PrivateKeyDer::Pkcs8(who.key))
            .map_err(|_| End::Unusable("key"))?;
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }
}

/// A session that ends with its connection; `None`: the id does not fit, which a checked one does.
fn session<'m>(id: &DeviceId, alive: &str, packet: &'m mut [u8], packets: &'m mut [u8]) -> Option<Session<'m>> {
    let will = Will::new(alive, topic::GONE, &[]).ok()?.qos(QoS::AtLeastOnce);
    let config = ConfigBuilder::new(Buffers::new(packet, packets)).client_id(id.as_str()).ok()?;
    Some(Session::new(config.keepalive_interval(KEEP_ALIVE_S).will(will).ok()?))
}

/// With QoS 1. `None`: there is no room for it now.
async fn publish<S>(connection: &mut Connection<'_, '_, S>, topic: &str, bytes: &[u8]) -> Result<Option<Op>, End>
where
    S: embedded_io_async::Read + embedded_io_async::Write + embedded_io_async::ErrorType<Error = Trouble>,
{
    match connection.publish(Publication::bytes(topic, bytes).qos(QoS::AtLeastOnce)).await {
        Ok(op) => Ok(op),
        Err(minimq::PubError::Session(Error::NotReady | Error::Resource(_))) => Ok(None),
        Err(minimq::PubError::Session(error)) => Err(error.into()),
        Err(minimq::PubError::Payload(_)) => Err(End::Mqtt),
    }
}
