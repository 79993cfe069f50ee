//! aedes with LevelDB on Node.js: the packages of `aedes/package-lock.json`, installed once by `npm ci`.

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

/// What is laid into the folder where npm works.
const FILES: [(&str, &str); 3] = [
    ("package.json", include_str!("aedes/package.json")),
    ("package-lock.json", include_str!("aedes/package-lock.json")),
    ("server.mjs", include_str!("aedes/server.mjs")),
];

/// Lowest major version of Node.js that aedes runs on, from its package.
const NODE_MAJOR_MIN: u32 = 20;

pub struct Aedes {
    server: PathBuf,
    node: String,
    broker: Broker,
}

impl Aedes {
    /// `workshop`: where the packages are installed, if they are not there yet. It speaks MQTT 3.1.1 only.
    pub fn new(workshop: &Path, dir: &Path, devices: usize) -> Result<Aedes> {
        let node = node_version()?;
        let server = install(&workshop.join("aedes"))?;
        Ok(Aedes { server, node, broker: Broker::new("aedes", dir, Version::V311, devices)? })
    }
}

fn node_version() -> Result<String> {
    let said = Command::new("node").arg("--version").output().context("Node.js is not installed")?;
    let version = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    ensure!(
        major.is_some_and(|major| major >= NODE_MAJOR_MIN),
        "Node.js here is {version:?}; aedes needs {NODE_MAJOR_MIN} or later"
    );
    Ok(version)
}

fn install(folder: &Path) -> Result<PathBuf> {
    // Written last: without it, an earlier installation did not come to its end or was of other versions.
    let done = folder.join("installed");
    let same = fs::read_to_string(&done).is_ok_and(|lock| lock == FILES[1].1);
    fs::create_dir_all(folder)?;
    for (name, text) in FILES {
        fs::write(folder.join(name), text)?;
    }
    if !same {
        eprintln!("installing aedes");
        let said = Command::new("npm")
            // LevelDB comes ready built in its package: no scripts.
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", "--loglevel=error"])
            .current_dir(folder)
            .stdin(Stdio::null())
            .output()
            .context("npm is not installed")?;
        let reason = String::from_utf8_lossy(&said.stderr).lines().take(2).collect::<Vec<_>>().join("; ");
        ensure!(said.status.success(), "npm ci: {reason}");
        fs::write(&done, FILES[1].1)?;
    }
    Ok(folder.join("server.mjs"))
}

impl Peer for Aedes {
    fn name(&self) -> &'static str {
        self.broker.name
    }

    fn about(&self) -> String {
        let package: serde_json::Value = serde_json::from_str(FILES[0].1).unwrap_or_default();
        let of = |name: &str| package["dependencies"][name].as_str().unwrap_or("?").to_owned();
        format!(
            "aedes {}, aedes-persistence-level {}, level {} on Node.js {}; MQTT 3.1.1; writes to LevelDB, never syncs",
            of("aedes"),
            of("aedes-persistence-level"),
            of("level"),
            self.node
        )
    }

    fn devices(&self) -> &[Identity] {
        &self.broker.devices
    }

    fn program(&self) -> Option<&Path> {
        // A script on a runtime has no size to compare.
        None
    }

    fn store(&self) -> &Path {
        &self.broker.store
    }

    fn keeps_only_for_somebody(&self) -> bool {
        true
    }

    fn start_empty(&mut self) -> Result<Server> {
        self.broker.empty()?;
        self.start_again()
    }

    fn start_again(&mut self) -> Result<Server> {
        let port = free_port()?;
        let mut command = Command::new("node");
        command.arg(&self.server).arg(port.to_string()).arg(&self.broker.dir).arg(&self.broker.store);
        self.broker.start(&mut command, port)
    }

    fn prepare_keeping(&mut self, server: &Server) -> Result<()> {
        self.broker.subscribe(server)
    }

    fn kept(&mut self, server: &Server, restart: u32) -> Result<BTreeSet<(String, u64)>> {
        self.broker.kept(server, restart)
    }
}
