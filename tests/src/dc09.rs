//! A DC-09 receiver in a Python process of its own: pysiaalarm or siadc09 (see `peers/dc09_receiver.py`), plain or over TLS.

use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use rcgen::{CertificateParams, KeyPair, PublicKeyData};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{eventually, python, root};

/// How a receiver is to be.
#[derive(Debug, Clone, Copy)]
pub struct Dc09Options {
    /// `pysiaalarm` or `siadc09`.
    pub peer: &'static str,
    /// Hexadecimal.
    pub key: Option<&'static str>,
    pub over_tls: bool,
    /// How far its clock is ahead, in seconds (siadc09 alone).
    pub ahead_s: i64,
}

/// A running receiver for the account `1234`; ended when dropped.
pub struct Dc09Receiver {
    child: std::process::Child,
    lines: Arc<Mutex<Vec<Value>>>,
    options: Dc09Options,
    port: u16,
    pin: String,
    dir: TempDir,
}

impl Dc09Receiver {
    #[track_caller]
    pub fn start(options: Dc09Options) -> Dc09Receiver {
        let dir = TempDir::with_prefix("vaka-dc09-").expect("a temporary directory");
        let file = |name: &str| dir.path().join(name).display().to_string();
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
        std::fs::write(file("cert.pem"), params.self_signed(&key).expect("a certificate").pem()).expect("written");
        std::fs::write(file("key.pem"), key.serialize_pem()).expect("written");
        let digest = ring::digest::digest(&ring::digest::SHA256, &key.subject_public_key_info());
        let pin = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        if let Some(key) = options.key {
            std::fs::write(file("dc09.key"), format!("{key}\n")).expect("written");
            let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o600);
            std::fs::set_permissions(file("dc09.key"), mode).expect("its owner's alone");
        }
        let tls = |name: &str| options.over_tls.then(|| file(name));
        let request = json!({"peer": options.peer, "account": "1234", "key": options.key, "cert": tls("cert.pem"), "cert_key": tls("key.pem"),
            "ahead_s": options.ahead_s});
        let mut child = Command::new(python())
            .arg("-u")
            .arg(root().join("tests/peers/dc09_receiver.py"))
            .arg(request.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("starting {}: {e}; `tests/run` makes it", python().display()));
        let stdout = child.stdout.take().expect("its output is a pipe");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = lines.clone();
        std::thread::spawn(move || {
            for line in std::io::BufRead::lines(std::io::BufReader::new(stdout)).map_while(Result::ok) {
                let said = serde_json::from_str(&line).unwrap_or(Value::String(line));
                kept.lock().expect("one reader").push(said);
            }
        });
        let mut receiver = Dc09Receiver { child, lines, options, port: 0, pin, dir };
        let said = eventually(
            "the receiver's port",
            || "it says why on stderr".to_owned(),
            || receiver.lines().first().cloned(),
        );
        receiver.port = said["port"].as_u64().and_then(|port| u16::try_from(port).ok()).expect("a port");
        receiver
    }

    /// For `[[receiver]]`.
    pub fn url(&self) -> String {
        format!("{}:127.0.0.1:{}", if self.options.over_tls { "tls" } else { "tcp" }, self.port)
    }

    /// What else its table needs.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = vec![("kind", "dc09".to_owned()), ("account", "1234".to_owned())];
        if self.options.over_tls {
            settings.push(("pin", self.pin.clone()));
        }
        if self.options.key.is_some() {
            settings.push(("key_file", self.dir.path().join("dc09.key").display().to_string()));
        }
        settings
    }

    /// Everything it has said.
    pub fn lines(&self) -> Vec<Value> {
        self.lines.lock().expect("one reader").clone()
    }

    /// What it took, heartbeats left out.
    pub fn events(&self) -> Vec<Value> {
        self.lines().into_iter().filter(|line| line["did"] == "ack" && line["id"] != "NULL").collect()
    }

    /// Heartbeats that it took.
    pub fn heartbeats(&self) -> usize {
        self.lines().iter().filter(|line| line["did"] == "ack" && line["id"] == "NULL").count()
    }

    /// What it refused, or could not read.
    pub fn refused(&self) -> Vec<Value> {
        self.lines().into_iter().skip(1).filter(|line| line["did"] != "ack").collect()
    }
}

impl Drop for Dc09Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
