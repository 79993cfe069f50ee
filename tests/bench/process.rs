//! What Linux tells about a process, and processes that end with their owner.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A child that is killed when it goes out of scope: no server survives a failed bench.
pub struct Process {
    child: Child,
    name: String,
}

impl Process {
    pub fn spawn(name: &str, command: &mut Command) -> Result<Process> {
        let child = command.spawn().with_context(|| format!("starting {name} ({command:?})"))?;
        Ok(Process { child, name: name.to_owned() })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        // An error means that it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM, and waits until it has ended by itself.
    pub fn terminate(&mut self, patience: Duration) -> Result<()> {
        let asked = Command::new("kill").arg("-TERM").arg(self.pid().to_string()).status().context("starting kill")?;
        let start = Instant::now();
        while self.child.try_wait()?.is_none() {
            if !asked.success() || start.elapsed() > patience {
                bail!("{} did not end in {patience:?} after SIGTERM", self.name);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Waits until something listens on the port, without connecting to it. Ended or too late: an error.
    pub fn wait_listening(&mut self, port: u16, patience: Duration) -> Result<()> {
        let start = Instant::now();
        while !listening(port) {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status} before it listened on port {port}", self.name);
            }
            if start.elapsed() > patience {
                bail!("{} did not listen on port {port} in {patience:?}", self.name);
            }
            std::thread::sleep(Duration::from_micros(300));
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A child of this same program that answers in lines.
pub struct Role {
    pub process: Process,
    lines: BufReader<ChildStdout>,
}

impl Role {
    pub fn spawn(role: &str, arguments: &[&OsStr]) -> Result<Role> {
        Role::of(&format!("bench {role}"), Command::new(std::env::current_exe()?).arg(role).args(arguments))
    }

    /// Another program that does so.
    pub fn of(name: &str, command: &mut Command) -> Result<Role> {
        let mut process = Process::spawn(name, command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
        let stdout = process.child.stdout.take().context("a child without stdout")?;
        Ok(Role { process, lines: BufReader::new(stdout) })
    }

    /// The next line, without its end. The end of the output is an error; the child has said why on stderr.
    pub fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.lines.read_line(&mut line)? == 0 {
            bail!("{} ended early", self.process.name);
        }
        Ok(line.trim_end().to_owned())
    }
}

/// A port that is free now.
pub fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn listening(port: u16) -> bool {
    let wanted = format!(":{port:04X}");
    fs::read_to_string("/proc/net/tcp").is_ok_and(|table| {
        table.lines().skip(1).any(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let local = fields.next().unwrap_or("");
            // 0A is LISTEN.
            local.ends_with(&wanted) && fields.nth(1) == Some("0A")
        })
    })
}

/// Processor time of all threads that live now, in microseconds; 0 if the process is gone.
pub fn cpu_us(pid: u32) -> f64 {
    let run_ns = |text: String| text.split_whitespace().next().and_then(|ns| ns.parse::<f64>().ok());
    threads(pid, "schedstat").into_iter().filter_map(run_ns).sum::<f64>() / 1e3
}

/// Context switches of all threads that live now.
pub fn context_switches(pid: u32) -> f64 {
    threads(pid, "status")
        .iter()
        .map(|text| field(text, "voluntary_ctxt_switches") + field(text, "nonvoluntary_ctxt_switches"))
        .sum()
}

/// Resident memory now, and what of it is its own share, in MiB.
pub fn memory_mib(pid: u32) -> (f64, f64) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    (field(&status, "VmRSS") / 1024.0, field(&rollup, "Pss") / 1024.0)
}

/// Most resident memory since its start, in MiB.
pub fn peak_mib(pid: u32) -> f64 {
    field(&fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default(), "VmHWM") / 1024.0
}

/// How many processes wanted to run in the last minute: above the number of cores, figures are shared with somebody.
pub fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("?").to_owned()
}

/// Bytes the process caused to be written to the disk.
pub fn write_bytes(pid: u32) -> f64 {
    field(&fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default(), "write_bytes")
}

fn threads(pid: u32, file: &str) -> Vec<String> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join(file)).ok()).collect()
}

/// The number behind `name:`; NaN if it is not there.
fn field(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_seen_without_connecting() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(listening(port));
        drop(listener);
        assert!(!listening(port));
    }

    #[test]
    fn this_process_has_memory_and_threads() {
        let me = std::process::id();
        assert!(memory_mib(me).0 > 0.5);
        assert!(context_switches(me) >= 0.0);
        assert!(write_bytes(me) >= 0.0);
    }
}
