//! A recording, played: every line sent in the order of the file, as fast as acknowledgements come.
//!
//! Enters: a [`Recording`]. Leaves: facts on the desk, what the bridge was acknowledged for, tables.
//! Invariant: a line of one device waits until what another device said before it is acknowledged.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use vaka_protocol::DeviceId;

use super::desk::Desk;
use super::device::Device;
use super::home::{DemoError, Home, device_id};
use super::parts::Kind;
use super::replay::{Recording, Say};
use crate::ingest::adapter::table::Table;
use crate::uplink::{Door, Link, News};

/// Longest time without one acknowledgement, in seconds. Beyond: the replay gives up.
const STUCK_S: u64 = 30;
/// Devices in the table that are shown though all is well with them.
const ROWS_SHOWN: usize = 24;
/// Messages of the bridge in flight at once.
const BRIDGE_IN_FLIGHT: u64 = 16;

/// The doors of a recording's devices, enrolled.
pub struct Cast {
    doors: BTreeMap<DeviceId, Door>,
    bridge: Option<Door>,
}

/// Enrols every device of the recording. The gateway is to be started after.
pub fn enrol(home: &Home, recording: &Recording, desk: &Desk) -> Result<Cast, DemoError> {
    let mut cast = Cast { doors: BTreeMap::new(), bridge: None };
    let bridge = (0..)
        .map(|n| if n == 0 { "zigbee".to_string() } else { format!("zigbee-{n}") })
        .map(|id| device_id(&id))
        .find(|id| !recording.devices.contains_key(id))
        .expect("one of endlessly many names is free");
    if recording.has_bridge() {
        let tls = home.enrol(&bridge, "bridge", None, None)?;
        cast.bridge = tls.map(|tls| Door::near(home.address, bridge.clone(), tls));
    }
    let whole = recording.devices.len();
    for (done, (id, needed)) in recording.devices.iter().enumerate() {
        desk.teller.progress(&format!("enrolling {}/{whole} devices", done + 1), done + 1 == whole);
        let via = needed.bridged.then_some((&bridge, needed.name.as_str()));
        if let Some(tls) = home.enrol(id, needed.kind, needed.room.as_deref(), via)? {
            cast.doors.insert(id.clone(), Door::near(home.address, id.clone(), tls));
        }
    }
    Ok(cast)
}

/// What was played.
#[derive(Debug, Default)]
pub struct Played {
    /// Topic and payload of every acknowledged message of the bridge.
    pub bridged: Vec<(String, Value)>,
    /// Lines by device.
    pub lines: BTreeMap<DeviceId, u64>,
    /// What the adapter makes of the bridge's messages.
    pub capabilities: Option<Table>,
}

/// Plays the recording to its end.
pub async fn play(recording: &Recording, cast: Cast, desk: &Arc<Desk>) -> Result<Played, DemoError> {
    let devices: BTreeMap<DeviceId, Device> =
        cast.doors.into_iter().map(|(id, door)| (id, Device::start(door, desk.clone(), Kind::Told))).collect();
    let mut bridge = cast.bridge.map(Bridge::open);
    let mut played = Played::default();
    let mut speaking: Option<&DeviceId> = None;
    let whole = recording.steps.len();
    for (done, step) in recording.steps.iter().enumerate() {
        let device = match &step.say {
            Say::Own { device, .. } | Say::Bridged { device, .. } => device,
        };
        *played.lines.entry(device.clone()).or_default() += 1;
        match &step.say {
            Say::Own { at, event, .. } => {
                if speaking != Some(device) {
                    settled(desk, bridge.as_mut()).await?;
                }
                if let Some(device) = devices.get(device) {
                    device.say_at(*event.clone(), *at).await;
                }
                speaking = Some(device);
            }
            Say::Bridged { topic, payload, .. } => {
                // One connection keeps the order of all that come through it.
                if speaking.is_some() {
                    settled(desk, None).await?;
                }
                speaking = None;
                if let Some(bridge) = &mut bridge {
                    bridge.publish(topic, payload).await?;
                }
                played.capabilities.get_or_insert_with(Table::default).add(topic, payload);
            }
        }
        desk.teller.progress(&format!("replaying {}/{whole} lines", done + 1), done + 1 == whole);
    }
    settled(desk, bridge.as_mut()).await?;
    if let Some(bridge) = bridge {
        played.bridged = bridge.acked;
        bridge.link.close().await;
    }
    for device in devices.into_values() {
        device.leave().await;
    }
    Ok(played)
}

/// Waits until nothing is under way.
async fn settled(desk: &Desk, bridge: Option<&mut Bridge>) -> Result<(), DemoError> {
    if let Some(bridge) = bridge {
        bridge.settle(0).await?;
    }
    let mut waiting = usize::MAX;
    loop {
        let now = desk.facts().waiting();
        match now {
            0 => return Ok(()),
            // Slow, but it goes on.
            less if less < waiting => waiting = less,
            _ => return Err(DemoError::Stuck(STUCK_S)),
        }
        desk.until(Instant::now() + Duration::from_secs(STUCK_S), |facts| facts.waiting() < now).await;
    }
}

/// Zigbee2MQTT's side: plain publishes, no numbers of its own.
struct Bridge {
    door: Door,
    link: Link,
    connected: bool,
    /// Published and not acknowledged.
    waiting: BTreeMap<u64, (String, Vec<u8>)>,
    last: u64,
    /// The last number that this connection has.
    handed: u64,
    acked: Vec<(String, Value)>,
}

impl Bridge {
    fn open(door: Door) -> Self {
        let link = Link::open(&door);
        Bridge { door, link, connected: false, waiting: BTreeMap::new(), last: 0, handed: 0, acked: Vec::new() }
    }

    async fn publish(&mut self, topic: &str, payload: &[u8]) -> Result<(), DemoError> {
        self.settle(BRIDGE_IN_FLIGHT - 1).await?;
        self.last += 1;
        self.waiting.insert(self.last, (topic.to_string(), payload.to_vec()));
        self.hand_over();
        Ok(())
    }

    /// Gives the connection what it has not had yet, in order.
    fn hand_over(&mut self) {
        let new = self.waiting.range(self.handed + 1..);
        for (number, (topic, payload)) in new {
            if !self.connected || !self.link.publish(*number, topic, payload.clone()) {
                return;
            }
            self.handed = *number;
        }
    }

    /// Waits until at most `left` are under way.
    async fn settle(&mut self, left: u64) -> Result<(), DemoError> {
        while self.waiting.len() as u64 > left {
            self.step().await?;
        }
        Ok(())
    }

    async fn step(&mut self) -> Result<(), DemoError> {
        let news = tokio::time::timeout(Duration::from_secs(STUCK_S), self.link.next()).await;
        match news.map_err(|_| DemoError::Stuck(STUCK_S))? {
            News::Connected => {
                self.connected = true;
                self.handed = 0;
            }
            News::Acked { number, .. } => {
                if let Some((topic, payload)) = self.waiting.remove(&number) {
                    let payload = serde_json::from_slice(&payload)
                        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&payload).into_owned()));
                    self.acked.push((topic, payload));
                }
            }
            News::Command(_) => {}
            News::Ended(_) => {
                self.connected = false;
                tokio::time::sleep(Duration::from_millis(200)).await;
                self.link = Link::open(&self.door);
            }
        }
        self.hand_over();
        Ok(())
    }
}

/// Per device: its name in the recording, lines, events in the journal.
pub struct DeviceTable<'a> {
    pub recording: &'a Recording,
    pub played: &'a Played,
    pub export: &'a [Value],
}

impl fmt::Display for DeviceTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut stored: BTreeMap<&str, u64> = BTreeMap::new();
        for line in self.export.iter().filter(|line| line["kind"] == "event" && line["event"].get("done").is_none()) {
            *stored.entry(line["device"].as_str().unwrap_or_default()).or_default() += 1;
        }
        writeln!(f, "{:<32} {:<15} {:>7} {:>7}  recorded as", "device", "kind", "lines", "stored")?;
        let mut whole = 0;
        for (row, (id, needed)) in self.recording.devices.iter().enumerate() {
            let lines = self.played.lines.get(id).copied().unwrap_or(0);
            let stored = stored.get(id.as_str()).copied().unwrap_or(0);
            // A house has hundreds; what is not as it should be is always shown.
            if row >= ROWS_SHOWN && lines == stored {
                whole += 1;
                continue;
            }
            writeln!(f, "{:<32} {:<15} {lines:>7} {stored:>7}  {}", id.as_str(), needed.kind, needed.name)?;
        }
        if whole > 0 {
            writeln!(f, "and {whole} more, each with every line stored once")?;
        }
        Ok(())
    }
}
