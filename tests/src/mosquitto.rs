//! `mosquitto_pub`, with the three PEM files and nothing else, as anybody would call it.

use std::process::{Command, Stdio};

use crate::home::Output;
use crate::{Home, program};

/// As `mosquitto_pub -V` names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MqttVersion {
    V311,
    V5,
}

impl MqttVersion {
    pub fn name(self) -> &'static str {
        match self {
            MqttVersion::V311 => "mqttv311",
            MqttVersion::V5 => "mqttv5",
        }
    }
}

/// Publishes one message at QoS 1; returns when it is acknowledged or refused.
pub fn mosquitto_pub(home: &Home, device: &str, version: MqttVersion, topic: &str, payload: &str) -> Output {
    mosquitto_pub_with(&[], home, device, version, topic, payload)
}

/// As [`mosquitto_pub`], with more of its options.
pub fn mosquitto_pub_with(
    options: &[&str],
    home: &Home,
    device: &str,
    version: MqttVersion,
    topic: &str,
    payload: &str,
) -> Output {
    let output = Command::new(program("mosquitto_pub"))
        .args(["-h", "127.0.0.1", "-p", &home.mqtt_port.to_string(), "-V", version.name(), "-q", "1", "-i", device])
        .arg("--cafile")
        .arg(home.pem(device, "ca.pem"))
        .arg("--cert")
        .arg(home.pem(device, "cert.pem"))
        .arg("--key")
        .arg(home.pem(device, "key.pem"))
        .args(["-t", topic, "-m", payload])
        .args(options)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("starting mosquitto_pub: {e}; `tests/run` installs it"));
    Output {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
