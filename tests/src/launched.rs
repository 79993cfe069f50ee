//! `vaka launch` on a home, started again whenever it ends, as a service manager does it: at once, and for ever.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::Value;

use crate::{Home, eventually, eventually_within, setting, vaka_bin};

/// Ends of the program before the test is given up: it ends in a loop.
const STARTS_MAX: u32 = 100;

/// The gateway and whoever starts it; both ended when dropped.
pub struct Launched<'h> {
    home: &'h Home,
    stop: Arc<AtomicBool>,
    /// What runs. The lock is held while another is started.
    child: Arc<Mutex<Option<Child>>>,
    starts: Arc<AtomicU32>,
    keeper: Option<JoinHandle<()>>,
}

impl<'h> Launched<'h> {
    /// Starts it and waits until it listens. `trial_s`: how long a new program may take to prove itself.
    #[track_caller]
    pub fn start(home: &'h Home, trial_s: u64) -> Launched<'h> {
        let (stop, child, starts) =
            (Arc::<AtomicBool>::default(), Arc::<Mutex<Option<Child>>>::default(), Arc::default());
        let mut launched = Launched { home, stop, child, starts, keeper: None };
        let mut command = Command::new(vaka_bin());
        command
            .args(["launch", "--config", "h/vaka.toml"])
            .current_dir(home.dir())
            .env_remove("VAKA_CONFIG")
            .env_remove("RUST_LOG")
            .env("VAKA_TRIAL_S", trial_s.to_string())
            .stdin(Stdio::null());
        let log = File::options().create(true).append(true).open(home.dir().join("gateway.log")).expect("a log");
        let (stop, child, starts) = (launched.stop.clone(), launched.child.clone(), launched.starts.clone());
        launched.keeper = Some(std::thread::spawn(move || {
            while starts.fetch_add(1, Ordering::SeqCst) < STARTS_MAX {
                let mut place = child.lock().expect("no panic holds it");
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let out = || log.try_clone().expect("another handle");
                *place = Some(command.stdout(out()).stderr(out()).spawn().expect("vaka starts"));
                drop(place);
                // Looked at now and then, so that whoever kills it can have it.
                while child.lock().expect("no panic holds it").as_mut().is_some_and(is_running) {
                    std::thread::park_timeout(std::time::Duration::from_millis(20));
                }
            }
        }));
        let ready = std::time::Duration::from_secs(setting("VAKA_READY_S", 20));
        eventually_within(ready, "the gateway to answer", || launched.tail(), || launched.status());
        launched
    }

    /// `kill -9` of whatever runs, and waits until it is gone.
    pub fn kill(&self) {
        if let Some(child) = self.child.lock().expect("no panic holds it").as_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// How often it has been started from outside; a program that gives its place to another by itself is not counted.
    pub fn starts(&self) -> u32 {
        self.starts.load(Ordering::SeqCst)
    }

    /// `vaka update status --json`, if a gateway runs.
    pub fn status(&self) -> Option<Value> {
        let output = self.home.vaka(&["update", "status", "--json"]);
        let status: Value = serde_json::from_str(&output.stdout).ok()?;
        status["running"].is_string().then_some(status)
    }

    /// Waits until updates stand so.
    #[track_caller]
    pub fn wait(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let patience = std::time::Duration::from_secs(setting("VAKA_READY_S", 20) + 60);
        eventually_within(
            patience,
            what,
            || format!("{:#?}\n{}", self.status(), self.tail()),
            || self.status().filter(&fits),
        )
    }

    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.home.dir().join("gateway.log")).unwrap_or_default()).into_owned()
    }

    pub fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// Waits until the log has this text so often.
    #[track_caller]
    pub fn wait_log(&self, text: &str, times: usize) {
        let what = format!("`{text}` {times} times in the gateway's log");
        eventually(&what, || self.tail(), || (self.log().matches(text).count() >= times).then_some(()));
    }
}

fn is_running(child: &mut Child) -> bool {
    child.try_wait().is_ok_and(|ended| ended.is_none())
}

impl Drop for Launched<'_> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.kill();
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}
