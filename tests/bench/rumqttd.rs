//! rumqttd, from `bench/rumqttd`: a workspace of its own, so that none of its crates comes into this one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::broker::Broker;
use crate::mqtt::Version;
use crate::peer::{Peer, Server};
use crate::process::free_port;
use crate::session::Identity;

const VERSION: &str = "0.20.0";

pub struct Rumqttd {
    program: PathBuf,
    broker: Broker,
}

impl Rumqttd {
    /// `workshop`: where it is built, unless it stands there.
    pub fn new(workshop: &Path, dir: &Path, version: Version, devices: usize) -> Result<Rumqttd> {
        Ok(Rumqttd { program: build(workshop)?, broker: Broker::new("rumqttd", dir, version, devices)? })
    }
}

/// Builds `bench/rumqttd`; only the first time takes more than a moment.
fn build(workshop: &Path) -> Result<PathBuf> {
    let target = workshop.join("rumqttd");
    let program = target.join("release/vaka-bench-rumqttd");
    if !program.exists() {
        eprintln!("building rumqttd {VERSION}: once, some minutes");
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/rumqttd/Cargo.toml");
    let said = Command::new(cargo)
        .args(["build", "--release", "--locked", "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(&target)
        .stdin(Stdio::null())
        .output()
        .context("starting cargo")?;
    let text = String::from_utf8_lossy(&said.stderr);
    let reason = text.lines().find(|line| line.starts_with("error")).unwrap_or("no reason given");
    ensure!(said.status.success(), "building rumqttd {VERSION}: {reason}");
    Ok(program)
}

impl Peer for Rumqttd {
    fn name(&self) -> &'static str {
        self.broker.name
    }

    fn about(&self) -> String {
        format!("rumqttd {VERSION}; its own example configuration, verify-client-cert; keeps everything in memory")
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

    fn start_empty(&mut self) -> Result<Server> {
        self.broker.empty()?;
        self.start_again()
    }

    fn start_again(&mut self) -> Result<Server> {
        let port = free_port()?;
        let dir = self.broker.dir.display();
        let listener = if self.broker.version == Version::V5 { "v5" } else { "v4" };
        let config = format!(
            "id = 0\n[router]\nid = 0\nmax_connections = 10010\nmax_outgoing_packet_count = 200\n\
             max_segment_size = 104857600\nmax_segment_count = 10\n\
             [{listener}.1]\nname = \"bench\"\nlisten = \"127.0.0.1:{port}\"\nnext_connection_delay_ms = 1\n\
             [{listener}.1.tls]\ncapath = \"{dir}/device-ca.pem\"\ncertpath = \"{dir}/server-cert.pem\"\n\
             keypath = \"{dir}/server-key.pem\"\n\
             [{listener}.1.connections]\nconnection_timeout_ms = 60000\nmax_payload_size = 20480\n\
             max_inflight_count = 100\ndynamic_filters = true\n"
        );
        let path = self.broker.dir.join("rumqttd.toml");
        fs::write(&path, config)?;
        self.broker.start(Command::new(&self.program).arg(&path), port)
    }

    fn prepare_keeping(&mut self, server: &Server) -> Result<()> {
        self.broker.subscribe(server)
    }

    fn kept(&mut self, server: &Server, restart: u32) -> Result<BTreeSet<(String, u64)>> {
        self.broker.kept(server, restart)
    }
}
