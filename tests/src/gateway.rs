//! `vaka run` on a home: started, killed, started again on the same port, its log kept.

use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use crate::{Home, Process, eventually_within, is_listening, vaka_bin};

/// Start on an empty journal takes under 0.5 s; replaying a full one on two busy cores takes longer, and a program built without
/// optimisation longer still (`VAKA_READY_S`).
fn ready() -> Duration {
    Duration::from_secs(crate::setting("VAKA_READY_S", 20))
}

/// Where Debian's package `libfaketime` has it; the loader puts the machine's own folder in place of `$LIB`.
const LIBFAKETIME: &str = "/usr/$LIB/faketime/libfaketimeMT.so.1";

/// The running gateway; killed when dropped.
pub struct Gateway<'h> {
    home: &'h Home,
    /// A program and its arguments that start it in turn.
    through: Vec<String>,
    process: Process,
}

impl<'h> Gateway<'h> {
    /// Starts `vaka run` and waits until it listens.
    #[track_caller]
    pub fn start(home: &'h Home) -> Gateway<'h> {
        Gateway::start_through(home, Vec::new())
    }

    #[track_caller]
    fn start_through(home: &'h Home, through: Vec<String>) -> Gateway<'h> {
        let process = spawn(home, &through);
        let mut gateway = Gateway { home, through, process };
        gateway.wait_ready();
        gateway
    }

    /// The same with something in its environment.
    #[track_caller]
    pub fn start_with(home: &'h Home, environment: &[(&str, &str)]) -> Gateway<'h> {
        let words = environment.iter().map(|(name, value)| format!("{name}={value}"));
        Gateway::start_through(home, ["env".to_owned()].into_iter().chain(words).collect())
    }

    /// The same with at most so many descriptors, as on a small machine.
    #[track_caller]
    pub fn start_with_descriptors(home: &'h Home, descriptors: u64) -> Gateway<'h> {
        Gateway::start_through(home, vec!["prlimit".to_owned(), format!("--nofile={descriptors}:{descriptors}")])
    }

    /// The same with the wall clock that `file` says, as an offset of the machine's (`-56y`, `+30d`): changed there, it is set while
    /// the gateway runs. The running clock stays the machine's, as it does on a real one. Needs libfaketime.
    #[track_caller]
    pub fn start_by_clock(home: &'h Home, file: &std::path::Path) -> Gateway<'h> {
        let path = format!("FAKETIME_TIMESTAMP_FILE={}", file.display());
        let library = format!("LD_PRELOAD={LIBFAKETIME}");
        let through = ["env", &library, &path, "FAKETIME_NO_CACHE=1", "DONT_FAKE_MONOTONIC=1"];
        Gateway::start_through(home, through.map(str::to_owned).to_vec())
    }

    #[track_caller]
    fn wait_ready(&mut self) {
        let port = self.home.mqtt_port;
        let log = log_file(self.home);
        let context = || std::fs::read_to_string(&log).unwrap_or_default();
        let process = &mut self.process;
        eventually_within(ready(), "the gateway to listen", context, || {
            if let Some(status) = process.exited() {
                panic!("the gateway ended with {status} instead of listening\n{}", context());
            }
            is_listening(port).then_some(())
        });
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// SIGSTOP, and waits until no thread of it does anything more.
    #[track_caller]
    pub fn freeze(&self) {
        self.process.signal("STOP");
        let tasks = format!("/proc/{}/task", self.id());
        let is_still = |task: std::io::Result<std::fs::DirEntry>| {
            let stat = task.and_then(|task| std::fs::read_to_string(task.path().join("stat"))).unwrap_or_default();
            stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
        };
        crate::eventually(
            "every thread to stand still",
            || self.tail(),
            || std::fs::read_dir(&tasks).expect("its threads").all(is_still).then_some(()),
        );
    }

    /// Starts again on the same home and port, and in the same way.
    #[track_caller]
    pub fn restart(&mut self) {
        self.process.kill();
        self.process = spawn(self.home, &self.through);
        self.wait_ready();
    }

    /// SIGTERM, and how it ended.
    #[track_caller]
    pub fn stop(&mut self) -> ExitStatus {
        self.process.signal("TERM");
        self.process.wait()
    }

    /// How it ended by itself, or by somebody else's word.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        self.process.wait()
    }

    /// SIGHUP: read the configuration again.
    pub fn reload(&self) {
        self.process.signal("HUP");
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// A line of `/proc/PID/status` in KiB: `VmRSS` is its memory now, `VmHWM` the most it ever had.
    #[track_caller]
    pub fn memory_kib(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).expect("the gateway runs");
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse().ok());
        kib.unwrap_or_else(|| panic!("no {name} in {status}"))
    }

    /// `vaka journal stat --json`: what the running gateway says of itself.
    #[track_caller]
    pub fn stat(&self) -> serde_json::Value {
        let rows = self.home.vaka(&["journal", "stat", "--json"]).ok().rows();
        rows.into_iter().next().map_or(serde_json::Value::Null, |mut facts| facts["running"].take())
    }

    /// Its log over all starts.
    pub fn log(&self) -> String {
        self.process.output()
    }

    /// The log's last lines, for a failing test's message.
    pub fn tail(&self) -> String {
        self.process.tail()
    }

    /// Waits until the log has a line with this text.
    #[track_caller]
    pub fn wait_log(&self, text: &str) {
        crate::eventually(
            &format!("`{text}` in the gateway's log"),
            || self.tail(),
            || self.log().contains(text).then_some(()),
        );
    }

    /// Waits until an alarm of the list fits, and gives its row.
    #[track_caller]
    pub fn wait_alarm(&self, what: &str, fits: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
        self.wait_alarm_within(Duration::from_secs(30), what, fits)
    }

    /// [`Gateway::wait_alarm`] with an own deadline.
    #[track_caller]
    pub fn wait_alarm_within(
        &self,
        deadline: Duration,
        what: &str,
        fits: impl Fn(&serde_json::Value) -> bool,
    ) -> serde_json::Value {
        let context = || format!("alarms: {:#?}\n{}", self.home.vaka(&["alarm", "list", "--json"]).stdout, self.tail());
        eventually_within(deadline, what, context, || self.home.alarms().into_iter().find(&fits))
    }
}

fn log_file(home: &Home) -> PathBuf {
    home.dir().join("gateway.log")
}

fn spawn(home: &Home, through: &[String]) -> Process {
    let vaka = vaka_bin();
    let mut command = match through {
        [] => Command::new(vaka),
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(vaka);
            command
        }
    };
    command
        .args(["run", "--config", "h/vaka.toml"])
        .current_dir(home.dir())
        .env_remove("VAKA_CONFIG")
        .env_remove("RUST_LOG");
    Process::start(&command, &log_file(home))
}
