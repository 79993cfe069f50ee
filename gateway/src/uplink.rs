//! One MQTT 5 connection over mutual TLS, as a device holds it.
//!
//! Enters: publishes with the caller's own number. Leaves: [`News`]: that number acknowledged, commands, the end.
//! Invariant: a link never comes back. Its end is told once; the caller opens the next and sends again what was not acknowledged.
//! (rumqttc's own resending drops what was in flight when the gateway has forgotten the session.)

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode, LastWill, Packet, PubAckReason};
use rumqttc::v5::{AsyncClient, Event as MqttEvent, MqttOptions};
use rumqttc::{NetworkOptions, Outgoing, TlsConfiguration, Transport};
use rustls::ClientConfig;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use vaka_protocol::{DeviceId, topic};

use crate::limits::IN_FLIGHT_PER_CONNECTION_MAX;

/// How long the gateway keeps the session of a device that is away, in seconds.
const SESSION_S: u32 = 3_600;
/// Longest wait for the gateway to hear a goodbye, in milliseconds.
const GOODBYE_MS_MAX: u64 = 2_000;
/// Publishes that wait for the connection's writer.
const QUEUE: usize = 64;

/// Where a device connects, and as whom.
#[derive(Debug, Clone)]
pub struct Door {
    /// Name or address; the server's certificate carries it.
    pub host: String,
    pub port: u16,
    pub device: DeviceId,
    pub tls: Arc<ClientConfig>,
    /// The connection leaves over this interface alone.
    pub interface: Option<String>,
    /// A dead connection is known after at most twice as long.
    pub keep_alive_s: u16,
}

impl Door {
    /// A door on this machine or network.
    pub fn near(address: SocketAddr, device: DeviceId, tls: Arc<ClientConfig>) -> Self {
        let (host, port) = (address.ip().to_string(), address.port());
        Self { host, port, device, tls, interface: None, keep_alive_s: 15 }
    }
}

/// What a link tells.
#[derive(Debug)]
pub enum News {
    Connected,
    /// The publish with this number is on the gateway's disk; `refused`: the gateway says why it did not take it.
    Acked {
        number: u64,
        refused: Option<PubAckReason>,
    },
    Command(Vec<u8>),
    /// The link is over.
    Ended(String),
}

/// An open (or opening) connection.
#[derive(Debug)]
pub struct Link {
    client: AsyncClient,
    news: mpsc::UnboundedReceiver<Result<MqttEvent, String>>,
    pump: JoinHandle<()>,
    device: DeviceId,
    /// Numbers handed to the writer that have no packet id yet, in order.
    handed: VecDeque<Option<u64>>,
    /// Numbers by packet id.
    flying: BTreeMap<u16, Option<u64>>,
    ended: bool,
}

impl Link {
    /// Begins to connect; [`News::Connected`] or [`News::Ended`] follows.
    pub fn open(door: &Door) -> Link {
        let mut options = MqttOptions::new(door.device.as_str(), door.host.as_str(), door.port);
        options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(door.tls.clone())));
        options.set_keep_alive(Duration::from_secs(door.keep_alive_s.into())).set_clean_start(false);
        let mut network = NetworkOptions::new();
        // Else the next alarm waits until the other end has acknowledged our last word, which takes it up to 40 ms.
        network.set_tcp_nodelay(true);
        if let Some(interface) = &door.interface {
            network.set_bind_device(interface);
        }
        options.set_network_options(network);
        options.set_session_expiry_interval(Some(SESSION_S));
        // Without it rumqttc keeps room for 65,536 publishes from its first moment: 14 MiB for each connection.
        options.set_outgoing_inflight_upper_limit(IN_FLIGHT_PER_CONNECTION_MAX);
        let alive = topic::alive(&door.device);
        options.set_last_will(LastWill::new(alive.as_str(), *b"0", QoS::AtLeastOnce, false, None));
        let (client, mut events) = AsyncClient::new(options, QUEUE);
        let (tell, news) = mpsc::unbounded_channel();
        // In a task of its own: its future must not be dropped half way.
        let pump = tokio::spawn(async move {
            loop {
                let event = events.poll().await.map_err(|e| e.to_string());
                let over = event.is_err();
                if tell.send(event).is_err() || over {
                    return;
                }
            }
        });
        Link {
            client,
            news,
            pump,
            device: door.device.clone(),
            handed: VecDeque::new(),
            flying: BTreeMap::new(),
            ended: false,
        }
    }

    /// Hands over a QoS 1 publish. False: there is no room now, try again after the next news.
    pub fn publish(&mut self, number: u64, topic: &str, payload: Vec<u8>) -> bool {
        let handed = self.client.try_publish(topic, QoS::AtLeastOnce, false, payload).is_ok();
        if handed {
            self.handed.push_back(Some(number));
        }
        handed
    }

    /// Numbers handed over and not acknowledged yet.
    pub fn in_flight(&self) -> usize {
        self.handed.iter().chain(self.flying.values()).flatten().count()
    }

    /// The next news.
    pub async fn next(&mut self) -> News {
        loop {
            let event = match self.news.recv().await {
                Some(Ok(event)) => event,
                Some(Err(why)) => return self.end(why),
                None => return self.end("the connection's task is gone".into()),
            };
            match event {
                MqttEvent::Incoming(Packet::ConnAck(ack)) if ack.code == ConnectReturnCode::Success => {
                    // There is room: nothing else has been handed over yet.
                    let _ = self.client.try_subscribe(topic::command(&self.device).as_str(), QoS::AtLeastOnce);
                    if self
                        .client
                        .try_publish(topic::alive(&self.device).as_str(), QoS::AtLeastOnce, false, "1")
                        .is_ok()
                    {
                        self.handed.push_back(None);
                    }
                    return News::Connected;
                }
                MqttEvent::Incoming(Packet::ConnAck(ack)) => return self.end(format!("refused: {:?}", ack.code)),
                MqttEvent::Incoming(Packet::Publish(publish)) => return News::Command(publish.payload.to_vec()),
                MqttEvent::Outgoing(Outgoing::Publish(packet_id)) => {
                    let number = self.handed.pop_front().flatten();
                    self.flying.insert(packet_id, number);
                }
                MqttEvent::Incoming(Packet::PubAck(ack)) => {
                    if let Some(Some(number)) = self.flying.remove(&ack.pkid) {
                        let taken = matches!(ack.reason, PubAckReason::Success | PubAckReason::NoMatchingSubscribers);
                        return News::Acked { number, refused: (!taken).then_some(ack.reason) };
                    }
                }
                MqttEvent::Incoming(Packet::Disconnect(goodbye)) => {
                    return self.end(format!("the gateway said goodbye: {:?}", goodbye.reason_code));
                }
                _ => {}
            }
        }
    }

    /// Says goodbye, so that the gateway does not take it for lost.
    pub async fn close(mut self) {
        let _ = self.client.try_disconnect();
        let gone = async {
            while !self.ended {
                self.next().await;
            }
        };
        // A gateway that does not hear it has nothing more to lose: everything is acknowledged by now.
        let _ = tokio::time::timeout(Duration::from_millis(GOODBYE_MS_MAX), gone).await;
    }

    fn end(&mut self, why: String) -> News {
        self.ended = true;
        News::Ended(why)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use rustix::net::sockopt::tcp_nodelay;
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

    use super::*;

    /// This process's socket whose own end is `local`. None: the system does not let a process look at itself this way.
    fn socket(local: SocketAddr) -> Option<OwnedFd> {
        let me = pidfd_open(getpid(), PidfdFlags::empty()).ok()?;
        let open = std::fs::read_dir("/proc/self/fd").ok()?;
        open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter_map(|fd| pidfd_getfd(&me, fd, PidfdGetfdFlags::empty()).ok())
            .find(|fd| rustix::net::getsockname(fd).is_ok_and(|at| SocketAddr::try_from(at).ok() == Some(local)))
    }

    #[tokio::test]
    async fn a_small_packet_does_not_wait_for_the_hubs_tcp() {
        let hub = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("what ring knows")
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let device = DeviceId::try_from("gw-1").expect("an id");
        let _link = Link::open(&Door::near(hub.local_addr().expect("bound"), device, Arc::new(tls)));
        let (_stream, home) = hub.accept().await.expect("the link dials");
        let Some(socket) = socket(home) else {
            return println!("SKIP uplink::tests::a_small_packet_does_not_wait_for_the_hubs_tcp: no pidfd_getfd");
        };
        assert_eq!(tcp_nodelay(&socket), Ok(true));
    }
}
