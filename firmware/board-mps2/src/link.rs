//! The connection to the gateway: DHCP, TCP, TLS, MQTT 5, for ever again. Enters: what the device has to say, the
//! gateway's commands and its time. Leaves: messages with QoS 1, and their PUBACKs to the device.
//!
//! Invariants: a message goes once over each connection, and again over the next unless its PUBACK came: each connection
//! begins a new session, so that only the outbox repeats. A PUBACK is final whatever its reason says: the gateway has the
//! event, or the record that it refused it. A command is acknowledged after the device has taken it up. A path that is
//! dead is noticed: by the keep-alive while nothing is said, by a missing PUBACK else.

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
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use static_cell::ConstStaticCell;
use vaka_device::{Device, Keep, Panel, Role, Ticket};
use vaka_protocol::limits::MESSAGE_BYTES_MAX;
use vaka_protocol::{DeviceId, Lane, decode_time, topic};

use crate::bell::Bell;
use crate::clock::Clock;
use crate::provisioning::{Provisioning, tag};
use crate::tls::provider::provider;
use crate::tls::verify::Verifier;
use crate::tls::{Stream, Trouble};
use crate::{entropy, pause, say, tls, work};

/// Between two signs of life of a silent connection, seconds. With the 5 s that minimq waits for the answer, a dead path
/// is noticed within 35 s. Shorter: a radio that sleeps wakes more often. Source: our choice.
const KEEP_ALIVE_S: u16 = 30;

/// From the first packet to the subscription, at most. Longer: the device holds on to a peer that does not answer, and
/// a call for help waits with it. A handshake takes 0.5 s on a controller of 100 MHz (estimate), 10 s leave room for a
/// gateway with hundreds of devices that all come back. Source: our choice.
const OPEN: Duration = Duration::from_secs(10);

/// From a message to its PUBACK, at most. Beyond: the connection is given up and a new one tried. The gateway answers
/// when its disk has it; ten seconds of a disk are a broken one. Source: our choice.
const PUBACK: Duration = Duration::from_secs(10);

/// Messages under way at once. More: more memory for what is nearly always one. Source: our choice.
const WINDOW: usize = 4;

/// What one connection needs, used by one after the other.
struct Memory {
    below_in: [u8; 2048],
    below_out: [u8; 2048],
    incoming: [u8; tls::INCOMING_BYTES_MAX],
    outgoing: [u8; tls::OUTGOING_BYTES_MAX],
    /// One packet that comes: a command and its topic.
    packet: [u8; MESSAGE_BYTES_MAX + 256],
    /// Packets that go and are not acknowledged: several of the usual size, or two of the longest.
    packets: [u8; 2 * MESSAGE_BYTES_MAX + 512],
    message: [u8; MESSAGE_BYTES_MAX],
}

static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory {
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
    /// Whom to talk to, and as who.
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
    /// What was provisioned cannot be used: the word says what.
    Unusable(&'static str),
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

/// The verifier has its own idea of the time.
#[derive(Debug)]
struct NoTime;

impl TimeProvider for NoTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(core::time::Duration::ZERO))
    }
}

impl<K: Keep, R: Role, P: Panel> Link<'_, K, R, P> {
    /// For ever.
    pub async fn run(&self) -> core::convert::Infallible {
        let memory = MEMORY.take();
        let mut failures = 0;
        loop {
            self.stack.wait_config_up().await;
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
        let id = DeviceId::try_from(self.provisioning.text(tag::ID)).map_err(|_| End::Unusable("id"))?;
        let (events, commands) = (topic::event(&id), topic::command(&id));
        let alive = topic::alive(&id);
        let times = topic::time(&id);
        let mut session = session(&id, &alive, packet, packets).ok_or(End::Unusable("id"))?;
        let open = async {
            let mut socket = TcpSocket::new(self.stack, below_in, below_out);
            socket.set_nagle_enabled(false);
            let (address, port) = self.provisioning.address().ok_or(End::Unusable("address"))?;
            let [a, b, c, d] = address;
            socket.connect((IpAddress::v4(a, b, c, d), port)).await.map_err(|_| End::Network)?;
            let config = self.config()?;
            let name = ServerName::try_from(self.provisioning.text(tag::NAME)).map_err(|_| End::Unusable("name"))?;
            let began = work::done();
            let stream = Stream::open(socket, config, name, incoming, outgoing).await.map_err(End::Tls)?;
            work::tell("handshake", began);
            let mut connection = session.connect(stream).await?;
            // A gateway that does not tell the time is one all the same.
            match self.subscribe(&mut connection, &times, &commands, &times).await {
                Ok(()) | Err(Error::Peer(PeerError::Rejected(_))) => {}
                Err(error) => return Err(error.into()),
            }
            if self.is_heard.get() {
                self.subscribe(&mut connection, &commands, &commands, &times).await?;
            }
            Ok::<_, End>(connection)
        };
        let mut connection = with_timeout(OPEN, open).await.map_err(|_| End::Late)??;
        *was_open = true;
        say!("connected");
        with_timeout(PUBACK, publish(&mut connection, &alive, topic::BACK)).await.map_err(|_| End::Late)??;
        // Asked for like an event is sent, beside the others: nothing waits for its answer.
        let mut subscribing = None;
        let mut is_subscribed = self.is_heard.get();
        let mut under_way: Vec<(Ticket, Op, Instant), WINDOW> = Vec::new();
        loop {
            while !under_way.is_full() && connection.can_publish(QoS::AtLeastOnce) {
                // Lent out only until the message is copied: the device goes on while it is sent.
                let next = self.device.borrow_mut().next(message).map(|(ticket, bytes)| (ticket, bytes.len()));
                let Some((ticket, length)) = next else { break };
                let sent = with_timeout(PUBACK, publish(&mut connection, &events, &message[..length]));
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
            let late = under_way.iter().map(|(_, _, since)| *since + PUBACK).min();
            let late = Timer::at(late.unwrap_or(Instant::MAX));
            let down = self.stack.wait_config_down();
            match select4(connection.poll(), self.news.rung(), late, down).await {
                Either4::First(Ok(Some(publication))) => {
                    self.take(publication.topic(), publication.payload(), &commands, &times);
                }
                // A refusal is a PUBACK too.
                Either4::First(Ok(None) | Err(Error::Peer(PeerError::Rejected(_)))) | Either4::Second(()) => {}
                Either4::First(Err(error)) => return Err(error.into()),
                Either4::Third(()) => return Err(End::Late),
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
                let filters = [TopicFilter::new(&commands)];
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
        commands: &str,
        times: &str,
    ) -> Result<(), Error<Trouble>>
    where
        S: embedded_io_async::Read + embedded_io_async::Write + embedded_io_async::ErrorType<Error = Trouble>,
    {
        let subscribed = connection.subscribe(&[TopicFilter::new(topic)], &[]).await?;
        while connection.is_pending(&subscribed) {
            if let Some(publication) = connection.poll().await? {
                self.take(publication.topic(), publication.payload(), commands, times);
            }
        }
        Ok(())
    }

    /// Something came from the gateway.
    fn take(&self, topic: &str, payload: &[u8], commands: &str, times: &str) {
        if topic == commands {
            if self.device.borrow_mut().command(payload, self.clock.now()).is_err() {
                say!("unreadable command");
            }
            self.touched.ring();
        } else if topic == times
            && let Some(at) = decode_time(payload)
        {
            self.clock.set(at);
            say!("time {at}");
            self.touched.ring();
        }
    }

    fn config(&self) -> Result<Arc<ClientConfig>, End> {
        let der = |wanted| CertificateDer::from(self.provisioning.bytes(wanted));
        // A call for help goes even to a gateway whose certificate ran out.
        let is_urgent = self.device.borrow().waiting().any(|(_, lane)| lane == Lane::Life);
        let at = self.clock.now().at.filter(|_| !is_urgent).and_then(|at| u64::try_from(at).ok());
        let verifier = Verifier {
            authority: der(tag::AUTHORITY),
            at: at.map(|at| UnixTime::since_unix_epoch(core::time::Duration::from_millis(at))),
        };
        let key = PrivatePkcs8KeyDer::from(self.provisioning.bytes(tag::KEY));
        let mut config = ClientConfig::builder_with_details(Arc::new(provider()), Arc::new(NoTime))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|_| End::Unusable("tls"))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_auth_cert(alloc::vec![der(tag::CERTIFICATE)], PrivateKeyDer::Pkcs8(key))
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
