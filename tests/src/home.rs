//! A home as `vaka init` and `vaka device add` make it, in a temporary directory, with every port replaced by a free one.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

use crate::{free_port, vaka_bin};

/// What a command of `vaka` printed and how it ended.
#[derive(Debug)]
pub struct Output {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// Panics with everything printed unless the command ended well.
    #[track_caller]
    pub fn ok(self) -> Output {
        assert_eq!(self.code, 0, "exit {}\nstdout: {}\nstderr: {}", self.code, self.stdout, self.stderr);
        self
    }

    /// The rows of a `--json` answer: an array, or one object a line.
    #[track_caller]
    pub fn rows(&self) -> Vec<Value> {
        let mut rows = Vec::new();
        for value in serde_json::Deserializer::from_str(&self.stdout).into_iter::<Value>() {
            match value.unwrap_or_else(|e| panic!("not JSON ({e}): {}", self.stdout)) {
                Value::Array(many) => rows.extend(many),
                one => rows.push(one),
            }
        }
        rows
    }
}

/// Runs `vaka` with these arguments in a directory, to its end.
pub fn run_vaka(dir: &Path, args: &[&str]) -> Output {
    run_vaka_with(dir, &[], args)
}

/// The same with something in its environment.
fn run_vaka_with(dir: &Path, environment: &[(&str, &str)], args: &[&str]) -> Output {
    let output = Command::new(vaka_bin())
        .args(args)
        .envs(environment.iter().copied())
        .current_dir(dir)
        .env_remove("VAKA_CONFIG")
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| {
            panic!("starting {}: {e}; build it with `cargo build --release -p vaka`", vaka_bin().display())
        });
    Output {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A home on disk. Removed when dropped.
pub struct Home {
    dir: TempDir,
    pub mqtt_port: u16,
}

impl Home {
    /// `vaka init h`, with free ports. No receiver: add one.
    #[track_caller]
    pub fn init() -> Home {
        Home::init_in(TempDir::with_prefix("vaka-home-").expect("a temporary directory"))
    }

    /// [`Home::init`] on another disk.
    #[track_caller]
    pub fn init_on(disk: &Path) -> Home {
        Home::init_in(TempDir::with_prefix_in("vaka-home-", disk).expect("a temporary directory"))
    }

    /// `vaka restore`: what a backup of `old` makes on another box, with the same ports.
    #[track_caller]
    pub fn restored(old: &Home, backup: &Path, key: &Path) -> Home {
        let dir = TempDir::with_prefix("vaka-home-").expect("a temporary directory");
        let (backup, key) = (backup.to_str().expect("a path"), key.to_str().expect("a path"));
        run_vaka(dir.path(), &["restore", backup, "--identity", key, "--to", "h"]).ok();
        Home { dir, mqtt_port: old.mqtt_port }
    }

    #[track_caller]
    fn init_in(dir: TempDir) -> Home {
        run_vaka(dir.path(), &["init", "h"]).ok();
        let home = Home { dir, mqtt_port: free_port() };
        home.edit(|config| {
            config["ingest"]["listen"] = value(format!("127.0.0.1:{}", home.mqtt_port));
            for table in ["board", "metrics"] {
                if config.get(table).and_then(|t| t.get("listen")).is_some() {
                    config[table]["listen"] = value(format!("127.0.0.1:{}", free_port()));
                }
            }
            config.remove("receiver");
            config.remove("route");
        });
        home
    }

    /// `vaka init h`, then words of `vaka.toml` replaced as `sed` would: the url, and the ports, which other tests use too.
    #[track_caller]
    pub fn literal(centre_port: u16) -> Home {
        let dir = TempDir::with_prefix("vaka-home-").expect("a temporary directory");
        run_vaka(dir.path(), &["init", "h"]).ok();
        let home = Home { dir, mqtt_port: free_port() };
        let text = std::fs::read_to_string(home.config()).expect("init wrote vaka.toml");
        let url = text.lines().find_map(|line| line.trim().strip_prefix("url = ")).expect("vaka.toml has a url line");
        let url = url.split('"').nth(1).expect("the url is quoted").to_owned();
        let text = text
            .replace(&url, &format!("sip:127.0.0.1:{centre_port};transport=tcp"))
            .replace(":8883", &format!(":{}", home.mqtt_port))
            .replace(":8443", &format!(":{}", free_port()))
            .replace(":9464", &format!(":{}", free_port()));
        std::fs::write(home.config(), text).expect("writing vaka.toml");
        home
    }

    /// Where the staff's board listens.
    #[track_caller]
    pub fn board_port(&self) -> u16 {
        self.port_of("board")
    }

    /// Where the figures for Prometheus are.
    #[track_caller]
    pub fn metrics_port(&self) -> u16 {
        self.port_of("metrics")
    }

    #[track_caller]
    fn port_of(&self, table: &str) -> u16 {
        let text = std::fs::read_to_string(self.config()).expect("init wrote vaka.toml");
        let config: DocumentMut = text.parse().expect("vaka.toml is TOML");
        let listen = config[table]["listen"].as_str().expect("a table with listen");
        listen.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port")
    }

    /// The temporary directory; the home itself is `h` in it.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Opens an enrolment door, on the port that this returns.
    pub fn door(&self) -> u16 {
        let port = free_port();
        self.edit(|config| {
            config["enrol"] = toml_edit::table();
            config["enrol"]["listen"] = value(format!("127.0.0.1:{port}"));
        });
        port
    }

    /// Invites a pendant: the code, and the QR code's text.
    #[track_caller]
    pub fn invite(&self, device: &str, more: &[&str]) -> (String, String) {
        let mut args = vec!["device", "invite", device, "--kind", "pendant", "--json"];
        args.extend(more);
        let row = self.vaka(&args).ok().rows().remove(0);
        let text = |key: &str| row[key].as_str().unwrap_or_else(|| panic!("no {key} in {row}")).to_owned();
        (text("code"), text("url"))
    }

    /// A path in the home.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("h").join(name)
    }

    pub fn config(&self) -> PathBuf {
        self.path("vaka.toml")
    }

    /// Changes `vaka.toml`.
    pub fn edit(&self, change: impl FnOnce(&mut DocumentMut)) {
        let text = std::fs::read_to_string(self.config()).expect("init wrote vaka.toml");
        let mut config: DocumentMut = text.parse().unwrap_or_else(|e| panic!("vaka.toml is not TOML: {e}\n{text}"));
        change(&mut config);
        std::fs::write(self.config(), config.to_string()).expect("writing vaka.toml");
    }

    /// Adds a SCAIP receiver and makes it the last in the one route.
    pub fn receiver(&self, name: &str, url: &str, more: &[(&str, &str)]) {
        self.edit(|config| {
            let mut receiver = Table::new();
            for (key, text) in [("name", name), ("kind", "scaip"), ("url", url)].iter().chain(more) {
                receiver[key] = value(*text);
            }
            tables(config, "receiver").push(receiver);
            let routes = tables(config, "route");
            if routes.is_empty() {
                let mut route = Table::new();
                route["lanes"] = value(toml_edit::Array::from_iter(["life", "care", "technical", "test"]));
                route["to"] = value(toml_edit::Array::new());
                routes.push(route);
            }
            let route = routes.get_mut(0).expect("there is one route");
            route["to"].as_array_mut().expect("a route's `to` is a list").push(name);
        });
    }

    /// Adds the stand-in centre on that port as the receiver `larmcentral`.
    pub fn centre(&self, port: u16) -> &Home {
        self.receiver("larmcentral", &format!("sip:127.0.0.1:{port};transport=tcp"), &[]);
        self
    }

    /// `vaka device add`; the certificate lies in `h/<id>`.
    #[track_caller]
    pub fn device(&self, id: &str, kind: &str) -> &Home {
        let out = format!("h/{id}");
        self.vaka(&["device", "add", id, "--kind", kind, "--out", &out]).ok();
        self
    }

    /// Lists `count` devices of one kind at once, for a [`Crowd`](crate::Crowd), which makes its certificates itself:
    /// thousands of `vaka device add` would take longer than the test.
    pub fn crowd(&self, prefix: &str, count: usize, kind: &str) -> Vec<String> {
        let ids: Vec<String> = (0..count).map(|n| format!("{prefix}{n:05}")).collect();
        let mut text = std::fs::read_to_string(self.config()).expect("init wrote vaka.toml");
        for id in &ids {
            text.push_str(&format!("\n[[device]]\nid = \"{id}\"\nkind = \"{kind}\"\n"));
        }
        std::fs::write(self.config(), text).expect("writing vaka.toml");
        ids
    }

    /// A file of a device's three: `cert.pem`, `key.pem`, `ca.pem`.
    pub fn pem(&self, device: &str, file: &str) -> PathBuf {
        self.path(device).join(file)
    }

    /// Runs a command of `vaka` on this home.
    pub fn vaka(&self, args: &[&str]) -> Output {
        let mut all = args.to_vec();
        all.extend(["--config", "h/vaka.toml"]);
        run_vaka(self.dir(), &all)
    }

    /// The same with something in its environment.
    pub fn vaka_with(&self, environment: &[(&str, &str)], args: &[&str]) -> Output {
        let mut all = args.to_vec();
        all.extend(["--config", "h/vaka.toml"]);
        run_vaka_with(self.dir(), environment, &all)
    }

    /// Runs `vaka` in the temporary directory with these arguments only.
    pub fn vaka_plain(&self, args: &[&str]) -> Output {
        run_vaka(self.dir(), args)
    }

    /// `vaka alarm list --json`: the rows.
    #[track_caller]
    pub fn alarms(&self) -> Vec<Value> {
        self.vaka(&["alarm", "list", "--json"]).ok().rows()
    }

    /// Alarms of the residents: all lanes but `technical`.
    #[track_caller]
    pub fn alarms_not_technical(&self) -> Vec<Value> {
        self.alarms().into_iter().filter(|row| row["lane"] != "technical").collect()
    }

    /// Records of one kind in the export, such as `event` or `quarantine`.
    #[track_caller]
    pub fn records(&self, kind: &str) -> Vec<Value> {
        self.export().into_iter().filter(|record| record["kind"] == kind).collect()
    }

    /// How often the export has the event of that identity.
    #[track_caller]
    pub fn events(&self, device: &str, restart: u64, seq: u64) -> usize {
        let fits = |record: &&Value| record["device"] == device && record["restart"] == restart && record["seq"] == seq;
        self.records("event").iter().filter(fits).count()
    }

    /// `vaka journal export`: a JSON value per record.
    #[track_caller]
    pub fn export(&self) -> Vec<Value> {
        self.vaka(&["journal", "export"]).ok().rows()
    }
}

fn tables<'a>(config: &'a mut DocumentMut, name: &str) -> &'a mut ArrayOfTables {
    if config.get(name).is_none() {
        config.insert(name, Item::ArrayOfTables(ArrayOfTables::new()));
    }
    config[name].as_array_of_tables_mut().unwrap_or_else(|| panic!("[[{name}]] is a list of tables"))
}
