//! A throw-away home on this machine: its folder, its certificates, its gateway as a process of its own.
//!
//! Enters: nothing but a temporary folder. Leaves: a running `vaka run` that can be killed as power cuts kill.
//! Invariant: the process and (unless it is to be kept) the folder end with this value, whatever ends the demo.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::ClientConfig;
use serde_json::Value;
use toml_edit::{DocumentMut, value};
use vaka_protocol::DeviceId;

use super::centre::CentreTls;
use crate::clock::{Clock, SystemClock};
use crate::config::DeviceKind;
use crate::pipeline::control;
use crate::provision::{self, AddDevice, NewHome, Pki, tls};

/// Longest time the gateway may take from start to its open door, in milliseconds. Beyond: the demo gives up and shows its log.
/// An empty journal is ready in well under a second; a build machine under load may take several. Source: our choice.
const READY_MS_MAX: u64 = 20_000;

/// Longest time the gateway may take to say goodbye, in milliseconds. Beyond: it is killed.
const GOODBYE_MS_MAX: u64 = 5_000;

/// Lines of the gateway's log that a failure shows.
const LOG_LINES_SHOWN: usize = 20;

/// What went wrong on the stage, not in the play.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("making the demo's folder {}: {source}", path.display())]
    Folder { path: PathBuf, source: std::io::Error },
    #[error("finding a free port on 127.0.0.1: {0}")]
    Port(std::io::Error),
    #[error("making the demo's home: {0}")]
    Provision(#[from] provision::ProvisionError),
    #[error("making the alarm centre's certificates: {0}")]
    Certificates(#[from] rcgen::Error),
    #[error("setting up TLS for {device}: {source}")]
    Tls { device: DeviceId, source: Box<tls::TlsError> },
    #[error("writing the home's settings: {0}")]
    Settings(String),
    #[error(transparent)]
    Centre(#[from] super::centre::CentreError),
    #[error("starting the gateway ({}): {source}", program.display())]
    Spawn { program: PathBuf, source: std::io::Error },
    #[error("starting the gateway: it ended with {0}")]
    Ended(std::process::ExitStatus),
    #[error("starting the gateway: no answer on {address} within {READY_MS_MAX} ms")]
    Silent { address: SocketAddr },
    #[error("running `vaka {command}`: {what}")]
    Tool { command: String, what: String },
    #[error("reading {}: {source}", path.display())]
    Recording { path: PathBuf, source: Box<super::replay::ReplayError> },
    #[error("opening {}: {source}", path.display())]
    Open { path: PathBuf, source: std::io::Error },
    #[error("replaying: nothing was acknowledged for {0} s")]
    Stuck(u64),
}

/// The folder, its settings and the gateway's process.
#[derive(Debug)]
pub struct Home {
    dir: PathBuf,
    config: PathBuf,
    log: PathBuf,
    program: PathBuf,
    pub address: SocketAddr,
    keep: bool,
    gateway: Option<Child>,
}

impl Home {
    /// Makes the folder, the home and the alarm centre's certificates, as `vaka init` does.
    pub fn make(keep: bool) -> Result<(Home, CentreTls), DemoError> {
        let dir = folder()?;
        let program = std::env::current_exe().map_err(|source| DemoError::Spawn { program: "vaka".into(), source })?;
        let address = free_port()?;
        let mut home = Home {
            config: dir.join("home/vaka.toml"),
            log: dir.join("gateway.log"),
            dir,
            program,
            address,
            keep,
            gateway: None,
        };
        let new = NewHome { gateway: device_id("gw-demo"), controller_id: "10149471".into(), listen: address };
        home.config = provision::create(&home.dir.join("home"), &new, now_ms())?;
        let centre = home.certify_centre()?;
        Ok((home, centre))
    }

    /// Writes where the alarm centre is into vaka.toml, and leaves out what the demo does not use (board, metrics).
    pub fn point_to_centre(&self, url: &str) -> Result<(), DemoError> {
        let wrong = |e: &dyn std::fmt::Display| DemoError::Settings(format!("{}: {e}", self.config.display()));
        let text = std::fs::read_to_string(&self.config).map_err(|e| wrong(&e))?;
        let mut document: DocumentMut = text.parse().map_err(|e: toml_edit::TomlError| wrong(&e))?;
        document.remove("board");
        document.remove("metrics");
        let receivers = document.get_mut("receiver").and_then(|item| item.as_array_of_tables_mut());
        let receiver = receivers.and_then(|tables| tables.get_mut(0)).ok_or_else(|| wrong(&"no [[receiver]] in it"))?;
        receiver["url"] = value(url);
        receiver["ca"] = value("centre-ca.pem");
        receiver["cert"] = value("pki/client.pem");
        receiver["key"] = value("pki/client.key");
        std::fs::write(&self.config, document.to_string()).map_err(|e| wrong(&e))
    }

    /// Enrols a device as `vaka device add` does, and returns its side of mutual TLS; none behind a bridge.
    pub fn enrol(
        &self,
        id: &DeviceId,
        kind: &str,
        room: Option<&str>,
        via: Option<(&DeviceId, &str)>,
    ) -> Result<Option<Arc<ClientConfig>>, DemoError> {
        let kind: DeviceKind = kind.parse().map_err(|e| DemoError::Settings(format!("{e}")))?;
        let out = via.is_none().then(|| self.dir.join(id.as_str()));
        let wish = AddDevice {
            id: id.clone(),
            kind,
            room: room.map(str::to_string),
            resident: None,
            via: via.map(|(bridge, address)| (bridge.clone(), address.to_string())),
            out: out.clone(),
        };
        provision::add(&self.config, &wish, now_ms())?;
        let Some(out) = out else { return Ok(None) };
        let (cert, key) = (out.join("cert.pem"), out.join("key.pem"));
        let tls = tls::client_config(&out.join("ca.pem"), Some((&cert, &key)));
        tls.map(Some).map_err(|source| DemoError::Tls { device: id.clone(), source: Box::new(source) })
    }

    /// Starts `vaka run` and waits for its open door. Returns how long that took.
    pub async fn start_gateway(&mut self) -> Result<Duration, DemoError> {
        let open = |source| DemoError::Open { path: self.log.clone(), source };
        let log = File::options().create(true).append(true).open(&self.log).map_err(open)?;
        let spawn = |source| DemoError::Spawn { program: self.program.clone(), source };
        let control = control::socket(&self.config.with_file_name("journal"));
        let begun = Instant::now();
        let child = Command::new(&self.program)
            .args(["run", "--config"])
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(open)?)
            .stderr(log)
            .spawn()
            .map_err(spawn)?;
        let child = self.gateway.insert(child);
        loop {
            // Opened after the devices' door, and a knock here leaves no failed handshake in the log.
            if UnixStream::connect(&control).is_ok() {
                return Ok(begun.elapsed());
            }
            if let Ok(Some(status)) = child.try_wait() {
                self.gateway = None;
                return Err(DemoError::Ended(status));
            }
            if begun.elapsed() > Duration::from_millis(READY_MS_MAX) {
                return Err(DemoError::Silent { address: self.address });
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// SIGKILL: no goodbye, nothing written any more.
    pub fn kill_gateway(&mut self) {
        if let Some(mut child) = self.gateway.take() {
            // Only fails where it is gone already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGTERM, and SIGKILL where it does not go.
    pub async fn stop_gateway(&mut self) {
        let Some(child) = &mut self.gateway else { return };
        let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(GOODBYE_MS_MAX) {
            if !matches!(child.try_wait(), Ok(None)) {
                self.gateway = None;
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.kill_gateway();
    }

    /// Runs `vaka COMMAND` on this home as a user would, and returns what it prints.
    pub fn vaka(&self, command: &[&str]) -> Result<String, DemoError> {
        let failed = |what: String| DemoError::Tool { command: command.join(" "), what };
        let output =
            Command::new(&self.program).args(command).arg("--config").arg(&self.config).stdin(Stdio::null()).output();
        let output = output.map_err(|e| failed(e.to_string()))?;
        if !output.status.success() {
            return Err(failed(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim())));
        }
        String::from_utf8(output.stdout).map_err(|e| failed(e.to_string()))
    }

    /// As [`Home::vaka`], each line read as JSON.
    pub fn vaka_json(&self, command: &[&str]) -> Result<Vec<Value>, DemoError> {
        let failed = |e: serde_json::Error| DemoError::Tool {
            command: command.join(" "),
            what: format!("its output is no JSON: {e}"),
        };
        self.vaka(command)?.lines().map(|line| serde_json::from_str(line).map_err(failed)).collect()
    }

    /// Rows of `vaka alarm list --json`, closed ones too with `all`.
    pub fn alarms(&self, all: bool) -> Result<Vec<Value>, DemoError> {
        let command: &[&str] = if all { &["alarm", "list", "--json", "--all"] } else { &["alarm", "list", "--json"] };
        // A list on one line, or a row a line.
        let rows = self.vaka_json(command)?.into_iter().flat_map(|line| match line {
            Value::Array(rows) => rows,
            row => vec![row],
        });
        Ok(rows.collect())
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The folder stays: somebody wants to look into it.
    pub fn keep(&mut self) {
        self.keep = true;
    }

    pub fn is_kept(&self) -> bool {
        self.keep
    }

    /// The gateway's log: where it is, and its last lines.
    pub fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n  ");
        format!("the gateway's log is {}; its last lines:\n  {last}", self.log.display())
    }

    /// The alarm centre's own authority, which the gateway trusts; the centre lets in only the home's gateway.
    fn certify_centre(&self) -> Result<CentreTls, DemoError> {
        let mut authority = CertificateParams::default();
        authority.distinguished_name.push(DnType::CommonName, "Demo alarm centre");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate()?;
        let ca = authority.self_signed(&authority_key)?;
        let issuer = Issuer::new(authority, authority_key);
        let mut own = CertificateParams::new(vec!["localhost".into(), Ipv4Addr::LOCALHOST.to_string()])?;
        own.distinguished_name.push(DnType::CommonName, "alarm-centre");
        own.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        let key = KeyPair::generate()?;
        let cert = own.signed_by(&key, &issuer)?;
        let home = self.config.parent().unwrap_or(&self.dir);
        let path = home.join("centre-ca.pem");
        std::fs::write(&path, ca.pem()).map_err(|source| DemoError::Folder { path, source })?;
        let path = Pki::beside(home).device_ca();
        let client_ca = std::fs::read(&path).map_err(|source| DemoError::Open { path, source })?;
        Ok(CentreTls {
            cert_pem: cert.pem().into_bytes(),
            key_pem: key.serialize_pem().into_bytes(),
            client_ca_pem: Some(client_ca),
        })
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.kill_gateway();
        if !self.keep {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

/// A new folder that only its owner can read: there are private keys in it.
fn folder() -> Result<PathBuf, DemoError> {
    use std::os::unix::fs::DirBuilderExt;
    let stem = format!("vaka-demo-{}", std::process::id());
    let mut tries = 0;
    loop {
        let path = std::env::temp_dir().join(if tries == 0 { stem.clone() } else { format!("{stem}-{tries}") });
        match std::fs::DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => return Ok(path),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && tries < 100 => tries += 1,
            Err(source) => return Err(DemoError::Folder { path, source }),
        }
    }
}

/// A port that is free now and stays so while the gateway is killed and started again: below the kernel's ephemeral
/// range (from 32,768), where any outgoing connection, also another demo's, could take it in between.
fn free_port() -> Result<SocketAddr, DemoError> {
    const FIRST: u16 = 10_240;
    const COUNT: u32 = 22_000;
    let start = std::process::id().wrapping_mul(61);
    let mut last = std::io::Error::from(std::io::ErrorKind::AddrInUse);
    for step in 0..COUNT {
        let port = FIRST + (start.wrapping_add(step) % COUNT) as u16;
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(listener) => return listener.local_addr().map_err(DemoError::Port),
            Err(e) => last = e,
        }
    }
    Err(DemoError::Port(last))
}

/// For ids written in this program.
pub fn device_id(id: &str) -> DeviceId {
    DeviceId::try_from(id).expect("a device id of the demo")
}

fn now_ms() -> i64 {
    SystemClock::new().now().wall_ms
}
