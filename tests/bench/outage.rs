//! The way up is gone; telemetry, then one press; the way up is back. When does the press arrive, and behind how much?

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use crate::broker::Broker;
use crate::cells::{Load, generator, result};
use crate::centre::Returning;
use crate::load::Work;
use crate::mqtt::{self, Packet};
use crate::peer::{Peer, Server};
use crate::press;
use crate::session::{ANSWER_S_MAX, Identity, Session, Target};
use crate::table::Table;

/// Boot counters of the telemetry and of the press.
const TELEMETRY: u32 = 5;
const PRESS: u32 = 6;

/// Longest wait for the alarm once the way up is back, in seconds. Longer than any pause between two tries of a bridge.
const ARRIVAL_S_MAX: u64 = 40;

/// Messages came, then none for this long, in seconds: what has not come by now was dropped.
const SILENCE_S: u64 = 4;

/// How a peer's way up is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The queue as it is shipped.
    AsShipped,
    /// Everything set so that alarms arrive, and soon.
    Tuned,
}

/// What stands above a peer: an alarm centre, or another broker. It is down until `back`, and ends with this.
pub trait Upstream {
    /// It comes back; returns once the alarm has come, or will not come any more.
    fn back(&mut self, patience: Duration) -> Result<Arrival>;
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Arrival {
    /// From listening again to the alarm; None: it did not come.
    pub alarm_ms: Option<f64>,
    /// Other messages that came before it.
    pub before: u64,
}

/// The rows' beginning.
pub fn row(way: Way, what: &str) -> String {
    match way {
        Way::AsShipped => format!("outage, queue as shipped: {what}"),
        Way::Tuned => format!("outage: {what}"),
    }
}

pub const TAKEN: &str = "telemetry acknowledged";
pub const DELIVERED: &str = "alarm delivered";
pub const AFTER: &str = "alarm after the receiver is back";
pub const BEFORE: &str = "messages before it";

/// One outage. None: the peer has no such way up. `rest`: how long it lasts beyond the press.
pub fn outage(
    table: &mut Table,
    dir: &Path,
    peer: &mut dyn Peer,
    way: Way,
    telemetry: u64,
    rest: Duration,
) -> Result<Option<Arrival>> {
    let Some(mut above) = peer.upstream(dir, way)? else { return Ok(None) };
    let server = peer.start_empty()?;
    let load = Load { connections: 10, window: 4 };
    let role = generator(dir, &server, peer, load, TELEMETRY, Work::Count { per_device: telemetry / 10 })?;
    let published = result(role)?;
    ensure!(published.refused == 0, "{} refused telemetry", peer.name());
    Broker::runtime()?.block_on(one_press(&server, &peer.devices()[0]))?;
    std::thread::sleep(rest);
    let arrival = above.back(Duration::from_secs(ARRIVAL_S_MAX))?;
    table.add(&row(way, TAKEN), "ev/s", peer.name(), published.acked_total as f64 / published.seconds);
    let delivered = f64::from(u8::from(arrival.alarm_ms.is_some()));
    table.add(&row(way, DELIVERED), "of 1", peer.name(), delivered);
    table.add(&row(way, AFTER), "ms", peer.name(), arrival.alarm_ms.unwrap_or(f64::NAN));
    table.add(&row(way, BEFORE), "messages", peer.name(), arrival.before as f64);
    // The centre first: it would tell of a gateway that was killed.
    drop(above);
    drop(server);
    peer.no_upstream();
    Ok(Some(arrival))
}

/// A press that the server acknowledges.
async fn one_press(server: &Server, device: &Identity) -> Result<()> {
    let pressing = async {
        let mut session = Session::open(&server.target, device, false).await?;
        let version = session.version;
        let payload = press::event(PRESS, 1, press::BUTTON);
        mqtt::publish(&mut session.out, version, &device.event_topic(), 1, payload.as_bytes());
        session.flush().await?;
        loop {
            while let Some(packet) = session.inbox.next(version)? {
                if let Packet::PubAck { id: 1, refused } = packet {
                    ensure!(!refused, "the press was refused");
                    return session.close().await;
                }
            }
            session.fill().await?;
        }
    };
    match tokio::time::timeout(Duration::from_secs(3 * ANSWER_S_MAX), pressing).await {
        Ok(pressed) => pressed,
        Err(_) => bail!("the press had no PUBACK in {} s", 3 * ANSWER_S_MAX),
    }
}

/// What a subscriber above a bridge sees: waits for the press among what comes.
pub async fn arrived(
    target: &Target,
    subscriber: &Identity,
    listening: Instant,
    patience: Duration,
) -> Result<Arrival> {
    let mut session = Session::open(target, subscriber, true).await?;
    ensure!(session.session_present, "the broker above has forgotten its subscriber");
    let mut arrival = Arrival::default();
    loop {
        let version = session.version;
        while let Some(packet) = session.inbox.next(version)? {
            let Packet::Publish { id, payload, .. } = packet else { continue };
            let event: serde_json::Value = serde_json::from_slice(payload)?;
            if event["restart"] == PRESS {
                arrival.alarm_ms = Some(listening.elapsed().as_secs_f64() * 1e3);
                return Ok(arrival);
            }
            arrival.before += 1;
            if let Some(id) = id {
                mqtt::puback(&mut session.out, id);
            }
        }
        session.flush().await?;
        let left = patience.saturating_sub(listening.elapsed());
        let wait = if arrival.before > 0 { left.min(Duration::from_secs(SILENCE_S)) } else { left };
        match tokio::time::timeout(wait, session.fill()).await {
            Ok(filled) => filled?,
            Err(_) => return Ok(arrival),
        }
    }
}

/// The alarm centre that was away.
impl Upstream for Returning {
    fn back(&mut self, patience: Duration) -> Result<Arrival> {
        self.start(patience)
    }
}
