//! Vaka itself, as a home that `vaka init` and `vaka device add` have made.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

use crate::centre::Returning;
use crate::mqtt::Version;
use crate::outage::{Upstream, Way};
use crate::peer::{Peer, Server};
use crate::process::{Process, free_port};
use crate::session::{Identity, Target};

pub struct Vaka {
    program: PathBuf,
    home: PathBuf,
    store: PathBuf,
    /// The journal as `init` made it.
    empty: PathBuf,
    version: Version,
    devices: Vec<Identity>,
}

impl Vaka {
    /// Makes a home with devices, and an alarm centre on that port.
    pub fn new(program: PathBuf, dir: &Path, version: Version, devices: usize, centre_port: u16) -> Result<Vaka> {
        let home = dir.join("vaka");
        let mut vaka = Vaka {
            program,
            store: home.join("journal"),
            empty: dir.join("vaka-empty-journal"),
            home,
            version,
            devices: Vec::new(),
        };
        vaka.command(&["init"], &vaka.home)?;
        for index in 0..devices {
            let id = format!("d{index:02}");
            let out = vaka.home.join(&id);
            vaka.command(&["device", "add", &id, "--kind", "pendant", "--config", "vaka.toml", "--out"], &out)?;
            vaka.devices.push(Identity { id, dir: out });
        }
        vaka.configure(centre_port)?;
        fs::create_dir_all(&vaka.store)?;
        copy(&vaka.store, &vaka.empty)?;
        Ok(vaka)
    }

    fn config(&self) -> PathBuf {
        self.home.join("vaka.toml")
    }

    /// Runs a command to its end, inside the home once there is one; what it said on stderr is the error.
    fn command(&self, words: &[&str], last: &Path) -> Result<Vec<u8>> {
        let mut command = Command::new(&self.program);
        command.args(words).arg(last);
        if self.home.exists() {
            command.current_dir(&self.home);
        }
        let output = command.output().with_context(|| format!("starting {command:?}"))?;
        if !output.status.success() {
            bail!("{command:?} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        Ok(output.stdout)
    }

    /// A disk that is large enough for the load, nothing on fixed ports, and a receiver.
    fn configure(&self, centre_port: u16) -> Result<()> {
        self.edit(|config| {
            config["journal"]["size_max_mib"] = value(8192);
            config.remove("board");
            config.remove("metrics");
            let mut receiver = Table::new();
            receiver["name"] = value("larmcentral");
            receiver["kind"] = value("scaip");
            receiver["url"] = value(format!("sip:127.0.0.1:{centre_port};transport=tcp"));
            let mut route = Table::new();
            route["lanes"] = value(toml_edit::Array::from_iter(["life", "care", "technical", "test"]));
            route["to"] = value(toml_edit::Array::from_iter(["larmcentral"]));
            config["receiver"] = Item::ArrayOfTables(ArrayOfTables::from_iter([receiver]));
            config["route"] = Item::ArrayOfTables(ArrayOfTables::from_iter([route]));
        })
    }

    fn edit(&self, change: impl FnOnce(&mut DocumentMut)) -> Result<()> {
        let text = fs::read_to_string(self.config())?;
        let mut config: DocumentMut = text.parse().context("reading vaka.toml")?;
        change(&mut config);
        fs::write(self.config(), config.to_string())?;
        Ok(())
    }

    fn log_tail(&self) -> String {
        let log = fs::read_to_string(self.home.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }
}

impl Peer for Vaka {
    fn name(&self) -> &'static str {
        "vaka"
    }

    fn about(&self) -> String {
        let said = Command::new(&self.program)
            .arg("--version")
            .output()
            .map(|o| String::from_utf8_lossy(&o.stdout).into_owned());
        format!("{}; acknowledges after fdatasync", said.unwrap_or_default().trim())
    }

    fn devices(&self) -> &[Identity] {
        &self.devices
    }

    fn program(&self) -> Option<&Path> {
        Some(&self.program)
    }

    fn store(&self) -> &Path {
        &self.store
    }

    fn start_empty(&mut self) -> Result<Server> {
        fs::remove_dir_all(&self.store)?;
        copy(&self.empty, &self.store)?;
        self.start_again()
    }

    fn start_again(&mut self) -> Result<Server> {
        let port = free_port()?;
        self.edit(|config| config["ingest"]["listen"] = value(format!("127.0.0.1:{port}")))?;
        let log = fs::File::create(self.home.join("log"))?;
        let mut command = Command::new(&self.program);
        command.args(["run", "--config", "vaka.toml"]).current_dir(&self.home);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let spawned = Instant::now();
        let mut process = Process::spawn("vaka", &mut command)?;
        process.wait_listening(port, Duration::from_secs(10)).with_context(|| self.log_tail())?;
        let listening_ms = spawned.elapsed().as_secs_f64() * 1e3;
        Ok(Server { process, target: Target { port, version: self.version }, spawned, listening_ms })
    }

    fn alarm_centre(&mut self, port: u16) -> Result<bool> {
        self.configure(port)?;
        Ok(true)
    }

    fn upstream(&mut self, _: &Path, way: Way) -> Result<Option<Box<dyn Upstream>>> {
        // There is one way: nothing to tune.
        if way == Way::AsShipped {
            return Ok(None);
        }
        let centre = Returning::new()?;
        self.configure(centre.port)?;
        Ok(Some(Box::new(centre)))
    }

    fn prepare_keeping(&mut self, _: &Server) -> Result<()> {
        // The journal keeps every event; nobody has to listen.
        Ok(())
    }

    fn kept(&mut self, _: &Server, restart: u32) -> Result<BTreeSet<(String, u64)>> {
        let lines = self.command(&["journal", "export", "--config"], Path::new("vaka.toml"))?;
        let mut kept = BTreeSet::new();
        for line in String::from_utf8(lines)?.lines() {
            let record: serde_json::Value = serde_json::from_str(line)?;
            if let (Some(device), Some(seq)) = (record["device"].as_str(), record["seq"].as_u64())
                && record["kind"] == "event"
                && record["restart"] == restart
            {
                kept.insert((device.to_owned(), seq));
            }
        }
        Ok(kept)
    }
}

/// Copies a folder with everything in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
