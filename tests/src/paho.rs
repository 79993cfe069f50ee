//! paho-mqtt, the most used MQTT client, in its own Python process: one client driven step by step, or several under load.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::{Home, MqttVersion, eventually_within, python, root};

/// Longer than any request's own timeout in `peers/paho_client.py`.
const ANSWER: Duration = Duration::from_secs(90);

/// A Python child that answers line by line.
pub struct Script {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Script {
    pub fn start(script: &str, args: &[&str]) -> Script {
        let mut child = Command::new(python())
            .arg("-u")
            .arg(root().join("tests/peers").join(script))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("starting {}: {e}; `tests/run` makes it", python().display()));
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("its output is a pipe");
        let (send, lines) = channel();
        std::thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| send.send(line))
        });
        Script { child, stdin, lines }
    }

    #[track_caller]
    pub fn line(&self) -> String {
        self.lines.recv_timeout(ANSWER).expect("an answer from the Python peer")
    }

    fn say(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("its input is open");
        writeln!(stdin, "{line}").and_then(|()| stdin.flush()).expect("writing to the Python peer");
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One paho client.
pub struct Paho {
    script: Script,
    base: Value,
}

impl Paho {
    /// A client with a device's three files; not connected yet.
    pub fn new(home: &Home, device: &str, version: MqttVersion) -> Paho {
        let pem = |file| home.pem(device, file).display().to_string();
        let base = json!({
            "do": "connect", "port": home.mqtt_port, "client_id": device,
            "version": if version == MqttVersion::V5 { 5 } else { 4 },
            "ca": pem("ca.pem"), "cert": pem("cert.pem"), "key": pem("key.pem"),
        });
        Paho { script: Script::start("paho_client.py", &[]), base }
    }

    /// Sets a field of its CONNECT: `client_id`, `clean`, `will`, `keepalive_s`, `manual_ack`, `session_expiry_s`; null removes one.
    pub fn with(mut self, field: &str, setting: Value) -> Paho {
        let base = self.base.as_object_mut().expect("an object");
        if setting.is_null() {
            base.remove(field);
        } else {
            base.insert(field.to_owned(), setting);
        }
        self
    }

    #[track_caller]
    fn ask(&mut self, request: &Value) -> Value {
        self.script.say(&request.to_string());
        let line = self.script.line();
        let answer: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(answer.get("broken").is_none(), "the peer itself failed: {answer}");
        answer
    }

    /// CONNECT, and what came: `connected`, `reason`, `session_present`, `limits`, or `error`.
    #[track_caller]
    pub fn try_connect(&mut self) -> Value {
        let request = self.base.clone();
        self.ask(&request)
    }

    /// CONNECT that must be accepted.
    #[track_caller]
    pub fn connect(mut self) -> Paho {
        self.reconnect();
        self
    }

    /// CONNECT again as the same client.
    #[track_caller]
    pub fn reconnect(&mut self) -> Value {
        let answer = self.try_connect();
        assert_eq!(answer["connected"], true, "{answer}");
        answer
    }

    /// PUBLISH, and what came: `acked`, `reason`, or `error` (`closed`, `no answer`).
    #[track_caller]
    pub fn publish(&mut self, topic: &str, payload: &str, qos: u8) -> Value {
        self.ask(&json!({"do": "publish", "topic": topic, "payload": payload, "qos": qos}))
    }

    /// [`Paho::publish`] with any bytes.
    #[track_caller]
    pub fn publish_bytes(&mut self, topic: &str, payload: &[u8], qos: u8) -> Value {
        let hex: String = payload.iter().map(|byte| format!("{byte:02x}")).collect();
        self.ask(&json!({"do": "publish", "topic": topic, "hex": hex, "qos": qos}))
    }

    /// An event on the device's own topic at QoS 1, which must be acknowledged with success.
    #[track_caller]
    pub fn event(&mut self, payload: &str) {
        let topic = format!("vaka/v1/{}/event", self.base["client_id"].as_str().unwrap_or_default());
        let answer = self.publish(&topic, payload, 1);
        assert!(answer["acked"] == true && answer["reason"].as_u64() < Some(0x80), "{payload}: {answer}");
    }

    /// SUBSCRIBE: the granted QoS or reason.
    #[track_caller]
    pub fn subscribe(&mut self, topic: &str) -> u64 {
        let answer = self.ask(&json!({"do": "subscribe", "topic": topic}));
        answer["granted"][0].as_u64().unwrap_or_else(|| panic!("no SUBACK for {topic}: {answer}"))
    }

    /// Waits until a message with this text has come, then takes all that have.
    #[track_caller]
    pub fn take_until(&mut self, text: &str) -> Vec<Value> {
        let answer = self.ask(&json!({"do": "take", "until": text}));
        answer["messages"].as_array().cloned().unwrap_or_default()
    }

    /// Waits until the gateway has closed: `{reason, from_server}`, or null.
    #[track_caller]
    pub fn wait_closed(&mut self) -> Value {
        self.ask(&json!({"do": "wait_closed"}))["closed"].clone()
    }

    #[track_caller]
    pub fn disconnect(&mut self) {
        self.ask(&json!({"do": "disconnect"}));
    }

    /// Loses the connection without DISCONNECT.
    #[track_caller]
    pub fn lose(&mut self) {
        self.ask(&json!({"do": "drop"}));
    }
}

/// An identity as the load writes it: device, restart, seq.
pub type Identity = (String, u64, u64);

/// Several paho clients under load; see `peers/load.py`.
pub struct Load {
    script: Script,
    acked: BTreeSet<Identity>,
    refused: Vec<String>,
}

impl Load {
    /// Starts one client a device; every `press_every`-th event is a press.
    pub fn start(home: &Home, devices: &[&str], in_flight: u32, press_every: u32) -> Load {
        Load::start_at(home.mqtt_port, |id, file| home.pem(id, file), devices, in_flight, press_every)
    }

    /// The same against a gateway on this port of the thread's own network; `pem`: where a device's file is.
    pub fn start_at(
        port: u16,
        pem: impl Fn(&str, &str) -> PathBuf,
        devices: &[&str],
        in_flight: u32,
        press_every: u32,
    ) -> Load {
        let devices: Vec<Value> = devices
            .iter()
            .enumerate()
            .map(|(i, id)| {
                let pem = |file| pem(id, file).display().to_string();
                json!({"id": id, "ca": pem("ca.pem"), "cert": pem("cert.pem"), "key": pem("key.pem"), "version": if i % 2 == 0 { 5 } else { 4 }})
            })
            .collect();
        let argument =
            json!({"port": port, "devices": devices, "in_flight": in_flight, "restart": 1, "press_every": press_every});
        Load { script: Script::start("load.py", &[&argument.to_string()]), acked: BTreeSet::new(), refused: Vec::new() }
    }

    fn note(&mut self, line: &str) -> bool {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["ACK", device, restart, seq] => {
                let number = |text: &str| text.parse().expect("a number");
                self.acked.insert((device.to_owned(), number(restart), number(seq)));
            }
            ["REFUSED", ..] => self.refused.push(line.to_owned()),
            ["DONE", ..] => return true,
            _ => panic!("an unknown line from load.py: {line}"),
        }
        false
    }

    /// Waits until at least this many more events have been acknowledged.
    #[track_caller]
    pub fn wait_more(&mut self, count: usize, context: impl Fn() -> String) {
        let goal = self.acked.len() + count;
        eventually_within(Duration::from_secs(60), "acknowledged events under load", context, || {
            while let Ok(line) = self.script.lines.try_recv() {
                self.note(&line);
            }
            (self.acked.len() >= goal).then_some(())
        });
    }

    /// Every identity that has been acknowledged so far.
    #[track_caller]
    pub fn acked(&mut self) -> &BTreeSet<Identity> {
        while let Ok(line) = self.script.lines.try_recv() {
            self.note(&line);
        }
        &self.acked
    }

    /// Stops publishing, waits for what is unacknowledged; gives every acknowledged identity and every refusal.
    #[track_caller]
    pub fn finish(mut self) -> (BTreeSet<Identity>, Vec<String>) {
        self.script.say("stop");
        while !{
            let line = self.script.line();
            self.note(&line)
        } {}
        (std::mem::take(&mut self.acked), std::mem::take(&mut self.refused))
    }
}
