//! Mosquitto from Debian, with Debian's configuration and one listener that demands certificates.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::mqtt::{self, Packet, Version};
use crate::peer::{Peer, Server};
use crate::pki;
use crate::process::{Process, free_port};
use crate::session::{Identity, Session, Target};

/// Silence after which the subscriber has got what there is, in seconds.
const SILENCE_S: u64 = 1;

pub struct Mosquitto {
    name: &'static str,
    /// Lines added to the configuration: what makes a variant a peer of its own.
    settings: &'static str,
    program: PathBuf,
    dir: PathBuf,
    store: PathBuf,
    version: Version,
    devices: Vec<Identity>,
    /// The persistent subscriber's certificate.
    subscriber: Identity,
}

impl Mosquitto {
    /// As Debian ships it; `settings` are further lines, none for the default.
    pub fn new(
        name: &'static str,
        settings: &'static str,
        dir: &Path,
        version: Version,
        devices: usize,
    ) -> Result<Mosquitto> {
        let program = ["/usr/sbin/mosquitto", "/usr/bin/mosquitto", "/usr/local/sbin/mosquitto"];
        let program = program.iter().map(PathBuf::from).find(|path| path.exists());
        let program = program.context("mosquitto is not installed: apt-get install mosquitto")?;
        let dir = dir.join(name);
        fs::create_dir_all(&dir)?;
        let mut devices = pki::make(&dir, devices + 1)?;
        let subscriber = devices.pop().context("no certificate for the subscriber")?;
        let store = dir.join("store");
        Ok(Mosquitto { name, settings, program, store, dir, version, devices, subscriber })
    }

    fn runtime() -> Result<tokio::runtime::Runtime> {
        Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
    }
}

impl Peer for Mosquitto {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> String {
        let said =
            Command::new(&self.program).arg("-h").output().map(|o| String::from_utf8_lossy(&o.stdout).into_owned());
        let version = said.unwrap_or_default().lines().next().unwrap_or("mosquitto").to_owned();
        let settings =
            if self.settings.is_empty() { "Debian's defaults".to_owned() } else { self.settings.replace('\n', ", ") };
        format!("{version}; {settings}; require_certificate; acknowledges from memory")
    }

    fn devices(&self) -> &[Identity] {
        &self.devices
    }

    fn program(&self) -> &Path {
        &self.program
    }

    fn store(&self) -> &Path {
        &self.store
    }

    fn start_empty(&mut self) -> Result<Server> {
        let _ = fs::remove_dir_all(&self.store);
        fs::create_dir_all(&self.store)?;
        self.start_again()
    }

    fn start_again(&mut self) -> Result<Server> {
        let port = free_port()?;
        let dir = self.dir.display();
        // Debian: persistence on, saved every 30 minutes and at a graceful stop, a log file.
        // `user root` only so that a root user's temporary folder can be read; elsewhere it has no effect.
        let config = format!(
            "user root\npersistence true\npersistence_location {dir}/store/\nlog_dest file {dir}/mosquitto.log\n\
             listener {port} 127.0.0.1\ncafile {dir}/device-ca.pem\ncertfile {dir}/server-cert.pem\n\
             keyfile {dir}/server-key.pem\nrequire_certificate true\nuse_identity_as_username true\n{}\n",
            self.settings
        );
        let path = self.dir.join("mosquitto.conf");
        fs::write(&path, config)?;
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(&path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let spawned = Instant::now();
        let mut process = Process::spawn(self.name, &mut command)?;
        process.wait_listening(port, Duration::from_secs(10))?;
        let listening_ms = spawned.elapsed().as_secs_f64() * 1e3;
        Ok(Server { process, target: Target { port, version: self.version }, spawned, listening_ms })
    }

    fn prepare_keeping(&mut self, server: &Server) -> Result<()> {
        Self::runtime()?.block_on(async {
            let mut session = Session::open(&server.target, &self.subscriber, true).await?;
            session.subscribe("vaka/v1/+/event").await?;
            session.close().await
        })
    }

    fn kept(&mut self, server: &Server, restart: u32) -> Result<BTreeSet<(String, u64)>> {
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
