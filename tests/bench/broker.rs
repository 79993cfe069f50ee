//! What the MQTT brokers have in common: certificates, a folder, and a subscriber that is away while messages come for it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::mqtt::{self, Packet, Version};
use crate::peer::Server;
use crate::pki;
use crate::process::Process;
use crate::session::{Identity, Session, Target};

/// Silence after which the subscriber has got what there is, in seconds.
const SILENCE_S: u64 = 1;

/// What every device publishes to.
pub const EVENTS: &str = "vaka/v1/+/event";

pub struct Broker {
    pub name: &'static str,
    /// Certificates, configuration, log.
    pub dir: PathBuf,
    pub store: PathBuf,
    pub version: Version,
    pub devices: Vec<Identity>,
    /// The persistent subscriber's certificate.
    pub subscriber: Identity,
}

impl Broker {
    pub fn new(name: &'static str, dir: &Path, version: Version, devices: usize) -> Result<Broker> {
        let dir = dir.join(name);
        fs::create_dir_all(&dir)?;
        let mut devices = pki::make(&dir, devices + 1)?;
        let subscriber = devices.pop().context("no certificate for the subscriber")?;
        Ok(Broker { name, store: dir.join("store"), dir, version, devices, subscriber })
    }

    pub fn empty(&self) -> Result<()> {
        let _ = fs::remove_dir_all(&self.store);
        Ok(fs::create_dir_all(&self.store)?)
    }

    /// Spawns the server and waits until it listens; what it says goes to a log, whose end is the error if it does not.
    pub fn start(&self, command: &mut Command, port: u16) -> Result<Server> {
        let path = self.dir.join("log");
        let log = fs::File::create(&path)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let spawned = Instant::now();
        let mut process = Process::spawn(self.name, command)?;
        process.wait_listening(port, Duration::from_secs(10)).with_context(|| {
            let log = fs::read_to_string(&path).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            format!("starting {}: {}", self.name, lines[lines.len().saturating_sub(5)..].join("\n"))
        })?;
        let listening_ms = spawned.elapsed().as_secs_f64() * 1e3;
        Ok(Server { process, target: Target { port, version: self.version }, spawned, listening_ms })
    }

    pub fn runtime() -> Result<tokio::runtime::Runtime> {
        Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
    }

    /// Subscribes in a session that outlives its connection, and goes away.
    pub fn subscribe(&self, server: &Server) -> Result<()> {
        Self::runtime()?.block_on(async {
            let mut session = Session::open(&server.target, &self.subscriber, true).await?;
            session.subscribe(EVENTS).await?;
            session.close().await
        })
    }

    /// The subscriber comes back: device and seq of every event of that restart which was kept for it.
    pub fn kept(&self, server: &Server, restart: u32) -> Result<BTreeSet<(String, u64)>> {
        Self::runtime()?.block_on(async {
            let mut kept = BTreeSet::new();
            let mut session = Session::open(&server.target, &self.subscriber, true).await?;
            if !session.session_present {
                return Ok(kept);
            }
            loop {
                let version = session.version;
                while let Some(packet) = session.inbox.next(version)? {
                    let Packet::Publish { topic, id, payload } = packet else {
                        continue;
                    };
                    let event: serde_json::Value = serde_json::from_slice(payload)?;
                    let device = topic.split('/').nth(2).unwrap_or_default().to_owned();
                    let Some(seq) = event["seq"].as_u64() else { bail!("an event without seq on {topic}") };
                    if event["restart"] == restart {
                        kept.insert((device, seq));
                    }
                    if let Some(id) = id {
                        mqtt::puback(&mut session.out, id);
                    }
                }
                session.flush().await?;
                match tokio::time::timeout(Duration::from_secs(SILENCE_S), session.fill()).await {
                    Ok(filled) => filled?,
                    Err(_) => return Ok(kept),
                }
            }
        })
    }
}
