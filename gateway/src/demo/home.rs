//! A throw-away home (or hub) on this machine: its folder, its certificates, its gateway as a process of its own.
//!
//! Enters: nothing but a temporary folder. Leaves: a running `vaka run` that can be killed as power cuts kill.
//! Invariants: the process ends with this value, whatever ends the demo; a Ctrl-C at the terminal reaches the demo alone,
//! which then ends its gateways.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::ClientConfig;
use serde_json::Value;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};
use vaka_protocol::DeviceId;

use super::centre::CentreTls;
use super::stage::{Folder, Ports};
use crate::clock::{Clock, SystemClock};
use crate::config::DeviceKind;
use crate::pipeline::control;
use crate::provision::{self, AddDevice, NewHome, Pki, tls};

/// Longest time the gateway may take from start to its open door, in milliseconds. Beyond: the demo gives up and shows its log.
/// An empty journal is ready in well under a second; a build machine under load may take several. Source: our choice.
const READY_MS_MAX: u64 = 20_000;

/// Longest time the gateway may take to say goodbye, in milliseconds. Beyond: it is killed.
const GOODBYE_MS_MAX: u64 = 5_000;

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
    /// Where the devices' certificates go.
    dir: PathBuf,
    config: PathBuf,
    log: PathBuf,
    program: PathBuf,
    pub id: DeviceId,
    pub address: SocketAddr,
    gateway: Option<Child>,
    began: Instant,
}

impl Home {
    /// Makes the folder, the home and the alarm centre's certificates, as `vaka init` does.
    pub fn make(folder: &Folder) -> Result<(Home, CentreTls), DemoError> {
        let dir = folder.path().to_path_buf();
        let home = Home::make_at(dir.join("home"), dir, "gw-demo", "10149471", Ports::default().take()?)?;
        let centre = home.certify_centre()?;
        Ok((home, centre))
    }

    /// Makes a home of that id in a folder of its own, which holds its devices too.
    pub fn make_in(folder: &Folder, id: &str, controller_id: &str, at: SocketAddr) -> Result<Home, DemoError> {
        let dir = folder.path().join(id);
        Home::make_at(dir.clone(), dir, id, controller_id, at)
    }

    fn make_at(
        home: PathBuf,
        dir: PathBuf,
        id: &str,
        controller_id: &str,
        address: SocketAddr,
    ) -> Result<Home, DemoError> {
        let program = std::env::current_exe().map_err(|source| DemoError::Spawn { program: "vaka".into(), source })?;
        let id = device_id(id);
        let new = NewHome { gateway: id.clone(), controller_id: controller_id.into(), listen: address };
        let config = provision::create(&home, &new, now_ms())?;
        let log = dir.join("gateway.log");
        let home = Home { dir, config, log, program, id, address, gateway: None, began: Instant::now() };
        // The demo uses neither; a fixed port would be taken by the next home.
        home.edit(|settings| {
            settings.remove("board");
            settings.remove("metrics");
            Ok(())
        })?;
        Ok(home)
    }

    /// Writes where the alarm centre is into vaka.toml.
    pub fn point_to_centre(&self, url: &str) -> Result<(), DemoError> {
        let file = |name: &str| name.to_owned();
        let keys = [("url", url.to_owned()), ("ca", file("centre-ca.pem"))];
        self.receiver(&[&keys[..], &[("cert", file("pki/client.pem")), ("key", file("pki/client.key"))]].concat())
    }

    /// Writes the hub into vaka.toml as the one receiver, with what `vaka device add` made at the hub in `badge`.
    pub fn point_to_hub(&self, hub: SocketAddr, badge: &Path) -> Result<(), DemoError> {
        let file = |name: &str| badge.join(name).display().to_string();
        let keys = [("name", "kommunen".to_owned()), ("kind", "hub".to_owned()), ("url", format!("mqtts:{hub}"))];
        let files = [("ca", file("ca.pem")), ("cert", file("cert.pem")), ("key", file("key.pem"))];
        self.receiver(&[&keys[..], &files].concat())?;
        self.edit(|settings| {
            let route = settings.get_mut("route").and_then(|item| item.as_array_of_tables_mut());
            let route = route.and_then(|tables| tables.get_mut(0)).ok_or("no [[route]] in it")?;
            route["to"] = value(toml_edit::Array::from_iter(["kommunen"]));
            Ok(())
        })
    }

    fn receiver(&self, keys: &[(&str, String)]) -> Result<(), DemoError> {
        self.edit(|settings| {
            let receivers = settings.get_mut("receiver").and_then(|item| item.as_array_of_tables_mut());
            let receiver = receivers.and_then(|tables| tables.get_mut(0)).ok_or("no [[receiver]] in it")?;
            keys.iter().for_each(|(key, text)| receiver[key] = value(text));
            Ok(())
        })
    }

    /// Makes it a municipality's hub.
    pub fn be_hub(&self) -> Result<(), DemoError> {
        self.edit(|settings| {
            settings["gateway"]["role"] = value("hub");
            Ok(())
        })
    }

    /// Writes a resident into vaka.toml: an id, never a name.
    pub fn resident(&self, id: &str) -> Result<(), DemoError> {
        self.edit(|settings| {
            let residents = settings.entry("resident").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
            let residents = residents.as_array_of_tables_mut().ok_or("[[resident]] is no list of tables")?;
            residents.push(Table::from_iter([("id", id)]));
            Ok(())
        })
    }

    fn edit(&self, change: impl FnOnce(&mut DocumentMut) -> Result<(), &'static str>) -> Result<(), DemoError> {
        let wrong = |e: &dyn std::fmt::Display| DemoError::Settings(format!("{}: {e}", self.config.display()));
        let text = std::fs::read_to_string(&self.config).map_err(|e| wrong(&e))?;
        let mut document: DocumentMut = text.parse().map_err(|e: toml_edit::TomlError| wrong(&e))?;
        change(&mut document).map_err(|e| wrong(&e))?;
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
        let via = via.map(|(bridge, address)| (bridge.clone(), address.to_string()));
        let Some(out) = self.add(id, kind, Place { room, resident: None, via })? else { return Ok(None) };
        self.tls(id, &out).map(Some)
    }

    /// As [`Home::enrol`], of a device that belongs to a resident.
    pub fn enrol_of(
        &self,
        id: &DeviceId,
        kind: &str,
        room: &str,
        resident: &str,
    ) -> Result<Arc<ClientConfig>, DemoError> {
        let place = Place { room: Some(room), resident: Some(resident), via: None };
        let out = self.add(id, kind, place)?.unwrap_or_default();
        self.tls(id, &out)
    }

    /// Enrols a home at this hub: the folder with what it shows there.
    pub fn enrol_home(&self, id: &DeviceId) -> Result<PathBuf, DemoError> {
        Ok(self.add(id, "gateway", Place::default())?.unwrap_or_default())
    }

    fn add(&self, id: &DeviceId, kind: &str, place: Place<'_>) -> Result<Option<PathBuf>, DemoError> {
        let kind: DeviceKind = kind.parse().map_err(|e| DemoError::Settings(format!("{e}")))?;
        let out = place.via.is_none().then(|| self.dir.join(id.as_str()));
        let wish = AddDevice {
            id: id.clone(),
            kind,
            room: place.room.map(str::to_string),
            resident: place.resident.map(str::to_string),
            via: place.via,
            out: out.clone(),
        };
        provision::add(&self.config, &wish, now_ms())?;
        Ok(out)
    }

    fn tls(&self, id: &DeviceId, out: &Path) -> Result<Arc<ClientConfig>, DemoError> {
        let (cert, key) = (out.join("cert.pem"), out.join("key.pem"));
        let tls = tls::client_config(&out.join("ca.pem"), Some((&cert, &key)));
        tls.map_err(|source| DemoError::Tls { device: id.clone(), source: Box::new(source) })
    }

    /// Starts `vaka run` and waits for its open door. Returns how long that took.
    pub async fn start_gateway(&mut self) -> Result<Duration, DemoError> {
        self.spawn_gateway()?;
        self.gateway_is_ready().await
    }

    /// Starts `vaka run`.
    pub fn spawn_gateway(&mut self) -> Result<(), DemoError> {
        let open = |source| DemoError::Open { path: self.log.clone(), source };
        let log = File::options().create(true).append(true).open(&self.log).map_err(open)?;
        let spawn = |source| DemoError::Spawn { program: self.program.clone(), source };
        self.began = Instant::now();
        let child = Command::new(&self.program)
            .args(["run", "--config"])
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(open)?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .map_err(spawn)?;
        self.gateway = Some(child);
        Ok(())
    }

    /// Waits for the open door. Returns how long after its start that was.
    pub async fn gateway_is_ready(&mut self) -> Result<Duration, DemoError> {
        let control = control::socket(&self.config.with_file_name("journal"));
        loop {
            // Opened after the devices' door, and a knock here leaves no failed handshake in the log.
            if UnixStream::connect(&control).is_ok() {
                return Ok(self.began.elapsed());
            }
            if let Some(Ok(Some(status))) = self.gateway.as_mut().map(Child::try_wait) {
                self.gateway = None;
                return Err(DemoError::Ended(status));
            }
            if self.began.elapsed() > Duration::from_millis(READY_MS_MAX) {
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

    /// SIGTERM alone; [`Home::stop_gateway`] then waits.
    pub fn tell_gateway_to_stop(&self) {
        let pid = self.gateway.as_ref().and_then(|child| i32::try_from(child.id()).ok());
        if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
    }

    /// SIGTERM, and SIGKILL where it does not go.
    pub async fn stop_gateway(&mut self) {
        self.tell_gateway_to_stop();
        let Some(child) = &mut self.gateway else { return };
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
        let mut run = Command::new(&self.program);
        run.args(command).arg("--config").arg(&self.config).stdin(Stdio::null());
        let output = run.process_group(0).output().map_err(|e| failed(e.to_string()))?;
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

    /// Memory of the gateway's process, in KiB; 0 where there is none.
    pub fn memory_kib(&self) -> u64 {
        self.gateway.as_ref().map_or(0, |child| super::stage::memory_kib(child.id()))
    }

    /// The alarm centre's own authority, which the gateway trusts; the centre lets in only the home's gateway.
    pub fn certify_centre(&self) -> Result<CentreTls, DemoError> {
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
    }
}

/// Where a device is, and whose.
#[derive(Default)]
struct Place<'a> {
    room: Option<&'a str>,
    resident: Option<&'a str>,
    via: Option<(DeviceId, String)>,
}

/// For ids written in this program.
pub fn device_id(id: &str) -> DeviceId {
    DeviceId::try_from(id).expect("a device id of the demo")
}

fn now_ms() -> i64 {
    SystemClock::new().now().wall_ms
}
