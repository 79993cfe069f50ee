//! Mosquitto from Debian, with Debian's configuration and one listener that demands certificates; and, for the outage, one
//! mosquitto that is a bridge and one above it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::broker::Broker;
use crate::mqtt::Version;
use crate::outage::{self, Arrival, Upstream, Way};
use crate::peer::{Peer, Server};
use crate::process::free_port;
use crate::session::Identity;

/// As Debian ships it.
pub const DEFAULT: &str = "";
/// Everything it offers to keep what it acknowledged: written at every change, and no end to the queue.
pub const AUTOSAVE: &str = "autosave_on_changes true\nautosave_interval 1\nmax_queued_messages 0";
/// No end to the queue nor to what is in flight: for the bridge that is tuned, and for whoever stands above one.
const UNLIMITED: &str = "max_queued_messages 0\nmax_inflight_messages 0";

/// Events that `AUTOSAVE` writes its whole database for, each of them: more would take minutes and terabytes.
const AUTOSAVE_EVENTS_MAX: u64 = 960;

pub struct Mosquitto {
    /// Lines added to the configuration: what makes a variant a peer of its own.
    settings: &'static str,
    /// Further lines, for the outage only.
    bridge: String,
    program: PathBuf,
    broker: Broker,
}

impl Mosquitto {
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
        Ok(Mosquitto { settings, bridge: String::new(), program, broker: Broker::new(name, dir, version, devices)? })
    }

    fn is_autosave(&self) -> bool {
        self.settings == AUTOSAVE
    }
}

impl Peer for Mosquitto {
    fn name(&self) -> &'static str {
        self.broker.name
    }

    fn about(&self) -> String {
        let said =
            Command::new(&self.program).arg("-h").output().map(|o| String::from_utf8_lossy(&o.stdout).into_owned());
        let version = said.unwrap_or_default().lines().next().unwrap_or("mosquitto").to_owned();
        let settings =
            if self.settings.is_empty() { "Debian's defaults".to_owned() } else { self.settings.replace('\n', ", ") };
        let acknowledges = if self.is_autosave() { "acknowledges before it saves" } else { "acknowledges from memory" };
        format!("{version}; {settings}; require_certificate; {acknowledges}")
    }

    fn devices(&self) -> &[Identity] {
        &self.broker.devices
    }

    fn program(&self) -> Option<&Path> {
        Some(&self.program)
    }

    fn store(&self) -> &Path {
        &self.broker.store
    }

    fn keeps_only_for_somebody(&self) -> bool {
        self.is_autosave()
    }

    fn disk_events_max(&self) -> u64 {
        if self.is_autosave() { AUTOSAVE_EVENTS_MAX } else { u64::MAX }
    }

    fn start_empty(&mut self) -> Result<Server> {
        self.broker.empty()?;
        self.start_again()
    }

    fn start_again(&mut self) -> Result<Server> {
        let port = free_port()?;
        let dir = self.broker.dir.display();
        // Debian: persistence on, saved every 30 minutes and at a graceful stop, a log file.
        // `user root` only so that a root user's temporary folder can be read; elsewhere it has no effect.
        let config = format!(
            "user root\npersistence true\npersistence_location {dir}/store/\nlog_dest file {dir}/mosquitto.log\n{}\n\
             listener {port} 127.0.0.1\ncafile {dir}/device-ca.pem\ncertfile {dir}/server-cert.pem\n\
             keyfile {dir}/server-key.pem\nrequire_certificate true\nuse_identity_as_username true\n{}\n",
            self.settings, self.bridge
        );
        let path = self.broker.dir.join("mosquitto.conf");
        fs::write(&path, config)?;
        self.broker.start(Command::new(&self.program).arg("-c").arg(&path), port)
    }

    fn prepare_keeping(&mut self, server: &Server) -> Result<()> {
        self.broker.subscribe(server)
    }

    fn kept(&mut self, server: &Server, restart: u32) -> Result<BTreeSet<(String, u64)>> {
        self.broker.kept(server, restart)
    }

    fn upstream(&mut self, dir: &Path, way: Way) -> Result<Option<Box<dyn Upstream>>> {
        if self.is_autosave() && way == Way::AsShipped {
            return Ok(None);
        }
        let port = free_port()?;
        let limits = match way {
            Way::AsShipped => "",
            // The first of its two lines stands in AUTOSAVE already; twice does no harm.
            Way::Tuned => UNLIMITED,
        };
        self.bridge = format!(
            "{limits}\nconnection up\naddress 127.0.0.1:{port}\ntopic {} out 1\ncleansession false\nrestart_timeout 1\n\
             keepalive_interval 5\nnotifications false\nbridge_protocol_version mqttv311",
            crate::broker::EVENTS
        );
        Ok(Some(Box::new(Above::new(dir, port, self.broker.version)?)))
    }

    fn no_upstream(&mut self) {
        self.bridge.clear();
    }
}

/// The broker above the bridge, with a subscriber that was there before the outage.
struct Above {
    mosquitto: Mosquitto,
    server: Option<Server>,
}

impl Above {
    /// Its queue is without end and its plain listener costs no handshake: what is measured is the bridge.
    fn new(dir: &Path, port: u16, version: Version) -> Result<Above> {
        let dir = tempfile::Builder::new().prefix("above-").tempdir_in(dir)?.keep();
        let mut mosquitto = Mosquitto::new("above", UNLIMITED, &dir, version, 1)?;
        mosquitto.bridge = format!("listener {port} 127.0.0.1\nallow_anonymous true");
        let mut server = mosquitto.start_empty()?;
        mosquitto.prepare_keeping(&server)?;
        server.process.terminate(Duration::from_secs(10))?;
        Ok(Above { mosquitto, server: None })
    }
}

impl Upstream for Above {
    fn back(&mut self, patience: Duration) -> Result<Arrival> {
        let server = self.server.insert(self.mosquitto.start_again()?);
        let listening = server.spawned + Duration::from_secs_f64(server.listening_ms / 1e3);
        let arrived = outage::arrived(&server.target, &self.mosquitto.broker.subscriber, listening, patience);
        Broker::runtime()?.block_on(arrived)
    }
}
