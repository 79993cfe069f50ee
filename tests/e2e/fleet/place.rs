//! A home whose devices are programs, and a publisher of their firmware.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use toml_edit::{Array, table, value};
use vaka_tests::{Centre, Gateway, Home, Publisher, eventually_within, free_port, run_vaka};

/// What a device trusts, and what it does not.
pub const MAKER: u8 = 1;
pub const STRANGER: u8 = 2;

fn host_device() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_host-device"))
}

/// A home with a publisher, and devices that are programs.
pub struct Place {
    pub publisher: Publisher,
    pub home: Home,
    _centre: Centre,
    address: String,
    /// Where images are given out.
    pub port: u16,
}

impl Place {
    #[track_caller]
    pub fn new(devices: &[(&str, &str)]) -> Place {
        Place::on(Home::init(), devices)
    }

    #[track_caller]
    pub fn on(home: Home, devices: &[(&str, &str)]) -> Place {
        let (publisher, centre) = (Publisher::start(), Centre::start("ok"));
        home.centre(centre.port);
        for (id, kind) in devices {
            home.device(id, kind);
        }
        let keys = publisher.beside("keys").display().to_string();
        let key = run_vaka(home.dir(), &["release", "key", &keys]).ok().stdout;
        let port = free_port();
        let mut address = String::new();
        home.edit(|config| {
            config["update"] = table();
            config["update"]["url"] = value(publisher.url());
            config["update"]["ca"] = value(publisher.ca().display().to_string());
            config["update"]["keys"] = value(Array::from_iter([key.trim()]));
            config["firmware"] = table();
            config["firmware"]["listen"] = value(format!("127.0.0.1:{port}"));
            config["firmware"]["url"] = value(format!("http://127.0.0.1:{port}"));
            address = config["ingest"]["listen"].as_str().expect("an address").to_owned();
        });
        Place { publisher, home, _centre: centre, address, port }
    }

    #[track_caller]
    pub fn image(&self, kind: &str, number: u32, version: &str, maker: u8) -> String {
        let file = self.publisher.beside(&format!("{kind}-{version}-{maker}.img")).display().to_string();
        let words = ["image", kind, &number.to_string(), version, &maker.to_string(), &file];
        assert!(Command::new(host_device()).args(words).status().expect("host-device is built").success());
        file
    }

    #[track_caller]
    pub fn publish(&self, images: &[String]) {
        let key = self.publisher.beside("keys/release.key").display().to_string();
        let out = self.publisher.files().display().to_string();
        let mut words = vec!["release", "sign-devices", "--key", &key, "--out", &out];
        words.extend(images.iter().map(String::as_str));
        run_vaka(self.home.dir(), &words).ok();
    }

    /// Switches a device on, with version 1.0.0 from its factory.
    #[track_caller]
    pub fn device(&self, id: &str, kind: &str) -> HostDevice {
        let factory = self.image(kind, 1, "1.0.0", MAKER);
        let log = self.home.dir().join(format!("{id}.log"));
        let out = File::options().create(true).append(true).open(&log).expect("a log");
        let pem = self.home.path(id).display().to_string();
        let flash = self.home.dir().join(format!("{id}.flash")).display().to_string();
        let child = Command::new(host_device())
            .args(["run", id, &self.address, &pem, &flash, &factory])
            .stdin(Stdio::null())
            .stderr(out.try_clone().expect("another handle"))
            .stdout(out)
            .spawn()
            .expect("host-device is built");
        HostDevice { child, log }
    }

    pub fn list(&self) -> Vec<Value> {
        let shown = self.home.vaka(&["device", "update", "list", "--json"]);
        let shown: Value = serde_json::from_str(&shown.stdout).unwrap_or_default();
        shown["devices"].as_array().cloned().unwrap_or_default()
    }

    #[track_caller]
    pub fn wait(&self, gateway: &Gateway<'_>, what: &str, fits: impl Fn(&[Value]) -> bool) {
        let patience = std::time::Duration::from_secs(120);
        let said = || format!("{:#?}\n{}", self.list(), gateway.tail());
        eventually_within(patience, what, said, || fits(&self.list()).then_some(()));
    }

    pub fn asked(&self) -> usize {
        self.home.records("firmware").iter().filter(|record| record["step"]["asked"].is_object()).count()
    }
}

/// The program; ended when dropped.
pub struct HostDevice {
    pub child: Child,
    log: PathBuf,
}

impl HostDevice {
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Where the pieces that it has fetched began.
    pub fn pieces(&self) -> Vec<u64> {
        self.log().lines().filter_map(|line| line.strip_prefix("piece ")?.parse().ok()).collect()
    }
}

impl HostDevice {
    /// As when its power goes.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for HostDevice {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The row of a device.
pub fn of<'r>(rows: &'r [Value], device: &str) -> &'r Value {
    rows.iter().find(|row| row["device"] == device).unwrap_or(&Value::Null)
}
