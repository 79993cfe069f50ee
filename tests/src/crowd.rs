//! Many devices in a second process (`tests/crowd`), commanded line by line.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::Home;

/// Longest wait for one command's answer: a million events on two busy cores take minutes.
const ANSWER: Duration = Duration::from_secs(900);

/// The process and its connected devices; ended when dropped.
pub struct Crowd {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
    connected: Value,
}

/// How the devices come: see `tests/crowd/main.rs`.
#[derive(Debug, Clone, Copy)]
pub struct Rush {
    /// Handshakes at once.
    pub at_once: usize,
    /// Tries of each device.
    pub tries: u32,
    /// An address of this machine, 127.0.0.0/8.
    pub from: &'static str,
}

impl Default for Rush {
    fn default() -> Rush {
        Rush { at_once: 32, tries: 20, from: "127.0.0.1" }
    }
}

impl Crowd {
    /// Starts `program` (`env!("CARGO_BIN_EXE_crowd")`) and waits until every device is connected or refused.
    #[track_caller]
    pub fn start(program: &Path, home: &Home, devices: &[String], rush: Rush) -> Crowd {
        Crowd::start_with(program, home, devices, rush, None)
    }

    /// [`Crowd::start`], each device publishing `first` as soon as it is connected.
    #[track_caller]
    pub fn start_with(program: &Path, home: &Home, devices: &[String], rush: Rush, first: Option<&str>) -> Crowd {
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("starting {}: {e}", program.display()));
        let stdin = child.stdin.take().expect("its input is a pipe");
        let stdout = child.stdout.take().expect("its output is a pipe");
        let (send, lines) = channel();
        std::thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| send.send(line))
        });
        let mut crowd = Crowd { child, stdin, lines, connected: Value::Null };
        let Rush { at_once, tries, from } = rush;
        crowd.say(&json!({
            "port": home.mqtt_port, "pki": home.path("pki"), "devices": devices,
            "at_once": at_once, "tries": tries, "from": from, "first": first,
        }));
        crowd.connected = crowd.answer();
        crowd
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How many of them are `connected`, `busy` or `failed`.
    pub fn count(&self, what: &str) -> u64 {
        self.connected[what].as_u64().unwrap_or_else(|| panic!("no {what} in {}", self.connected))
    }

    /// The longest time from a device's connection to its first event's PUBACK, in milliseconds.
    pub fn slowest_first_ms(&self) -> f64 {
        self.connected["first_ms"].as_f64().unwrap_or_default()
    }

    /// The same from a device's first try to connect, with all that were turned away.
    pub fn slowest_back_ms(&self) -> f64 {
        self.connected["back_ms"].as_f64().unwrap_or_default()
    }

    /// Panics unless all of them are connected.
    #[track_caller]
    pub fn all(self, devices: usize) -> Crowd {
        assert_eq!(self.count("connected"), devices as u64, "{}", self.connected);
        self
    }

    fn say(&mut self, line: &Value) {
        writeln!(self.stdin, "{line}").and_then(|()| self.stdin.flush()).expect("writing to the crowd");
    }

    #[track_caller]
    fn answer(&self) -> Value {
        let line = self.lines.recv_timeout(ANSWER).expect("an answer from the crowd; its own words stand above");
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"))
    }

    /// Lets devices publish, all at once: `event`, `restart`, `seq`, `count` each, and if wanted `press_every` and `only`.
    pub fn begin(&mut self, command: &Value) {
        self.say(command);
    }

    /// What became of it, device by device: `stored`, `refused`, `presses`.
    #[track_caller]
    pub fn end(&mut self) -> Vec<Value> {
        let answer = self.answer();
        answer.as_array().cloned().unwrap_or_else(|| panic!("not counts: {answer}"))
    }

    /// [`Crowd::begin`] and [`Crowd::end`]; the sums of stored and refused.
    #[track_caller]
    pub fn publish(&mut self, command: &Value) -> (u64, u64) {
        self.begin(command);
        let counts = self.end();
        let sum = |name: &str| counts.iter().filter_map(|count| count[name].as_u64()).sum();
        (sum("stored"), sum("refused"))
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
