//! The timeline as it is printed: for a reader, or as JSON lines for a machine. Colours on a terminal only.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::Zoned;
use serde_json::json;
use vaka_protocol::{DeviceId, Rung, Sound};

use super::desk::OnPanel;
use crate::cli::colour;

/// Prints. One line per fact, each complete.
#[derive(Debug)]
pub struct Teller {
    json: bool,
    /// Off while something prints a progress line or nobody reads.
    detail: bool,
    /// What devices say is not told: they say much.
    hushed: AtomicBool,
    /// A reader is told of these devices alone; a machine of all. None: all.
    followed: Option<BTreeSet<String>>,
    /// Progress lines are for a terminal.
    progress: Option<Mutex<Instant>>,
}

impl Teller {
    /// `detail`: the timeline; else headings, troubles and the end alone.
    pub fn new(json: bool, detail: bool) -> Self {
        let progress = std::io::stderr().is_terminal().then(|| Mutex::new(Instant::now()));
        Self { json, detail, hushed: AtomicBool::new(false), followed: None, progress }
    }

    /// For a reader, only these devices are told of line by line.
    pub fn following(self, devices: BTreeSet<String>) -> Self {
        Self { followed: (!self.json).then_some(devices), ..self }
    }

    fn is_followed(&self, who: &DeviceId) -> bool {
        self.followed.as_ref().is_none_or(|followed| followed.contains(who.as_str()))
    }

    /// A new act of the play.
    pub fn act(&self, title: &str) {
        if self.json {
            self.line_json(json!({"time": clock(), "act": title}));
        } else {
            let (on, off) = colour(&std::io::stdout(), "1");
            self.line(&format!("\n{on}{title}{off}"));
        }
    }

    /// From here on what devices say is told, or is not.
    pub fn hush(&self, hushed: bool) {
        self.hushed.store(hushed, Ordering::Relaxed);
    }

    pub fn say(&self, who: &DeviceId, what: &str) {
        if !self.hushed.load(Ordering::Relaxed) && self.is_followed(who) {
            self.fact(who.as_str(), what, "36");
        }
    }

    /// The stage itself: gateway, alarm centre, staff.
    pub fn stage(&self, who: &str, what: &str) {
        self.fact(who, what, "35");
    }

    /// Something for those who look closely.
    pub fn quiet(&self, who: &DeviceId, what: &str) {
        if self.is_followed(who) {
            self.fact(who.as_str(), what, "2");
        }
    }

    pub fn trouble(&self, who: &DeviceId, what: &str) {
        self.print(who.as_str(), what, "31");
    }

    pub fn rung(&self, who: &DeviceId, rung: Rung, after: Duration, shown: Option<&OnPanel>) {
        if !self.detail || !self.is_followed(who) {
            return;
        }
        let latency_ms = after.as_secs_f64() * 1_000.0;
        if self.json {
            let text = shown.map(|shown| &shown.text);
            self.line_json(
                json!({"time": clock(), "who": who, "rung": rung, "latency_ms": round(latency_ms), "text": text}),
            );
            return;
        }
        let told =
            shown.filter(|_| rung >= Rung::Accepted).map_or(String::new(), |shown| format!("   {}", words(shown)));
        let (on, off) = colour(&std::io::stdout(), if rung >= Rung::Accepted { "32" } else { "2" });
        self.line(&format!(
            "{}  {:<10} {on}└ {:<9} {:>9}{off}{told}",
            clock(),
            who.as_str(),
            rung.as_str(),
            in_words(after)
        ));
    }

    /// The device shows something of its own accord.
    pub fn shown(&self, who: &DeviceId, shown: &OnPanel) {
        if self.is_followed(who) {
            self.fact(who.as_str(), &words(shown), "33");
        }
    }

    /// A line that overwrites itself, at most ten times a second.
    pub fn progress(&self, text: &str, last: bool) {
        let Some(previous) = &self.progress else { return };
        let mut previous = previous.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if last || previous.elapsed() >= Duration::from_millis(100) {
            *previous = Instant::now();
            eprint!("\r\x1b[K{text}{}", if last { "\n" } else { "" });
        }
    }

    fn fact(&self, who: &str, what: &str, sgr: &str) {
        if self.detail {
            self.print(who, what, sgr);
        }
    }

    fn print(&self, who: &str, what: &str, sgr: &str) {
        if self.json {
            self.line_json(json!({"time": clock(), "who": who, "what": what}));
        } else {
            let (on, off) = colour(&std::io::stdout(), sgr);
            self.line(&format!("{}  {who:<10} {on}{what}{off}", clock()));
        }
    }

    /// One line on stdout. A reader that has gone (`| head`) ends the demo's words, not its work: processes and folder
    /// are still cleared away, and the exit code says how it went.
    pub fn line(&self, text: &str) {
        let _ = writeln!(std::io::stdout(), "{text}");
    }

    pub fn line_json(&self, fact: serde_json::Value) {
        self.line(&fact.to_string());
    }
}

/// `21:04:05.123` of this machine.
fn clock() -> String {
    Zoned::now().strftime("%H:%M:%S%.3f").to_string()
}

fn words(shown: &OnPanel) -> String {
    let light = shown.light.as_str();
    let sound = if shown.sound == Sound::Off { String::new() } else { format!(", sound {}", shown.sound) };
    let known = Rung::ALL.iter().map(|rung| vaka_device::shown(*rung)).chain([vaka_device::not_through()]);
    let english = known.into_iter().find(|known| known.sv == shown.text).map_or("", |known| known.en);
    format!("light {light}{sound}: “{}” ({english})", shown.text)
}

/// `3.1 ms`, `2.4 s`.
pub fn in_words(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1_000.0;
    if ms < 1_000.0 { format!("{ms:.1} ms") } else { format!("{:.1} s", ms / 1_000.0) }
}

fn round(ms: f64) -> f64 {
    (ms * 10.0).round() / 10.0
}
