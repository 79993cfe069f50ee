//! Receivers that others wrote, in Python processes of their own: each says what it was told, judged by its own packages.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::kamailio::write_certificates;
use crate::paho::Script;
use crate::root;

/// One request, as the receiver's packages read it.
pub type Told = Value;

/// A running receiver; ended when dropped.
pub struct Receiver {
    pub port: u16,
    /// SHA-256 of its public key (SPKI) in hexadecimal.
    pub pin: String,
    script: Script,
    dir: TempDir,
}

impl Receiver {
    /// The package sos-access, over TLS. `settings`: see `peers/sos_receiver.py`.
    #[track_caller]
    pub fn sos_access(settings: &Value) -> Receiver {
        Receiver::start("sos_receiver.py", settings, &["cert", "key"])
    }

    /// Python's HTTPS server with standardwebhooks and jsonschema; wants a client certificate. `settings`: see
    /// `peers/webhook_receiver.py`.
    #[track_caller]
    pub fn webhook(settings: &Value) -> Receiver {
        let mut settings = settings.clone();
        settings["schema"] = json!(root().join("protocol/webhook.schema.json"));
        Receiver::start("webhook_receiver.py", &settings, &["cert", "key", "ca"])
    }

    #[track_caller]
    fn start(script: &str, settings: &Value, tls: &[&str]) -> Receiver {
        let dir = TempDir::with_prefix("vaka-receiver-").expect("a temporary directory");
        let pin = write_certificates(dir.path(), 2100);
        let mut settings = settings.clone();
        for (key, file) in [("cert", "server-cert.pem"), ("key", "server-key.pem"), ("ca", "ca.pem")] {
            if tls.contains(&key) {
                settings[key] = json!(dir.path().join(file));
            }
        }
        let script = Script::start(script, &[&settings.to_string()]);
        let first: Value = serde_json::from_str(&script.line()).expect("the receiver says its port");
        let port = first["port"].as_u64().and_then(|port| u16::try_from(port).ok()).expect("a port");
        Receiver { port, pin, script, dir }
    }

    /// A file beside it: `ca.pem`, `client-cert.pem`, `client-key.pem`.
    pub fn file(&self, name: &str) -> PathBuf {
        let dir: &Path = self.dir.path();
        dir.join(name)
    }

    /// The next request, whatever it is; one that its packages refuse fails the test.
    #[track_caller]
    pub fn next(&self) -> Told {
        let line = self.script.line();
        let told: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(told.get("broken").is_none(), "the receiver's package refuses it: {told}");
        told
    }

    /// The next request that fits; others before it are passed over.
    #[track_caller]
    pub fn next_that(&self, fits: impl Fn(&Told) -> bool) -> Told {
        loop {
            let told = self.next();
            if fits(&told) {
                return told;
            }
        }
    }
}
