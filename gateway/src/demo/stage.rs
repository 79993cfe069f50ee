//! What a play stands on: its folder, its ports, and the word to end.
//!
//! Leaves: a folder that only its owner can read and that ends with its last user, ports that stay free through a kill.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::home::DemoError;

/// Lines of a gateway's log that a failure shows.
const LOG_LINES_SHOWN: usize = 20;

/// A new folder that only its owner can read: there are private keys in it. Gone with this value, unless it is to be kept.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    keep: AtomicBool,
}

impl Folder {
    pub fn make(keep: bool) -> Result<Folder, DemoError> {
        use std::os::unix::fs::DirBuilderExt;
        let stem = format!("vaka-demo-{}", std::process::id());
        let mut tries = 0;
        loop {
            let path = std::env::temp_dir().join(if tries == 0 { stem.clone() } else { format!("{stem}-{tries}") });
            match std::fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Folder { path, keep: AtomicBool::new(keep) }),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && tries < 100 => tries += 1,
                Err(source) => return Err(DemoError::Folder { path, source }),
            }
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// It stays: somebody wants to look into it.
    pub fn keep(&self) {
        self.keep.store(true, Ordering::Relaxed);
    }

    pub fn is_kept(&self) -> bool {
        self.keep.load(Ordering::Relaxed)
    }

    /// The last lines of a gateway's log: of the one home, or of the hub.
    pub fn log_tail(&self) -> String {
        let logs = ["gateway.log", "hub/gateway.log"].map(|name| self.path.join(name));
        let [home, hub] = &logs;
        let log = if hub.exists() { hub } else { home };
        let text = std::fs::read_to_string(log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n  ");
        format!("the gateway's log is {}; its last lines:\n  {last}", log.display())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.is_kept() {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Ports that are free now and stay so while a gateway is killed and started again: below the kernel's ephemeral
/// range (from 32,768), where any outgoing connection, also another demo's, could take it in between.
#[derive(Debug, Default)]
pub struct Ports {
    taken: u32,
}

impl Ports {
    /// One that this value has not given before.
    pub fn take(&mut self) -> Result<SocketAddr, DemoError> {
        const FIRST: u16 = 10_240;
        const COUNT: u32 = 22_000;
        // Demos side by side begin this far apart: as many as the most homes need.
        let start = std::process::id().wrapping_mul(61);
        let mut last = std::io::Error::from(std::io::ErrorKind::AddrInUse);
        while self.taken < COUNT {
            let port = FIRST + (start.wrapping_add(self.taken) % COUNT) as u16;
            self.taken += 1;
            match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
                Ok(listener) => return listener.local_addr().map_err(DemoError::Port),
                Err(e) => last = e,
            }
        }
        Err(DemoError::Port(last))
    }
}

/// Ctrl-C, or a supervisor's SIGTERM or SIGHUP. Heard from its making on.
#[derive(Debug)]
pub struct Ending([Option<Signal>; 3]);

impl Ending {
    /// In a running tokio runtime.
    pub fn listen() -> Ending {
        // Where one cannot be heard, its default action ends the demo.
        Ending([SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(|kind| signal(kind).ok()))
    }

    pub async fn told(&mut self) {
        async fn one(signal: &mut Option<Signal>) {
            match signal {
                Some(signal) => {
                    signal.recv().await;
                }
                None => std::future::pending().await,
            }
        }
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            () = one(interrupt) => {}
            () = one(terminate) => {}
            () = one(hangup) => {}
        }
    }
}

/// Memory of a process, in KiB: what it has in RAM alone and its share of what several have (PSS), so that fifty copies of
/// one program can be added up. 0 where the system does not say.
pub fn memory_kib(pid: u32) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|rest| rest.split_whitespace().next()).and_then(|kib| kib.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_with_its_owner_unless_it_is_kept() {
        let folder = Folder::make(false).expect("a folder");
        let path = folder.path().to_path_buf();
        assert!(path.is_dir());
        drop(folder);
        assert!(!path.exists());
        let folder = Folder::make(false).expect("a folder");
        folder.keep();
        let path = folder.path().to_path_buf();
        drop(folder);
        assert!(path.is_dir());
        std::fs::remove_dir(&path).expect("removed by hand");
    }

    #[test]
    fn no_port_is_given_twice() {
        let mut ports = Ports::default();
        let taken: std::collections::BTreeSet<SocketAddr> = (0..8).map(|_| ports.take().expect("a port")).collect();
        assert_eq!(taken.len(), 8);
    }
}
