//! What a service manager is told (sd_notify(3)): that the gateway is ready, and that it goes on.
//!
//! Enters: `$NOTIFY_SOCKET`, `$WATCHDOG_USEC`. Leaves: datagrams. Invariant: "it goes on" is said where the work has been done, see
//! `pipeline::watchdog`, never because time has passed. Without a manager nothing is said. Absent: anything that waits for an answer.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tracing::warn;

use crate::limits::WATCHDOG_LOOKS;

pub const READY: &str = "READY=1";
pub const GOES_ON: &str = "WATCHDOG=1";
pub const STOPPING: &str = "STOPPING=1";

/// Whoever started the gateway and wants to hear of it.
#[derive(Debug, Default)]
pub struct Manager {
    socket: Option<UnixDatagram>,
    /// After so long without [`GOES_ON`] the manager kills the gateway.
    patience: Option<Duration>,
}

impl Manager {
    /// The one that the environment names. A socket that cannot be reached is as none: the gateway runs all the same.
    pub fn from_environment() -> Self {
        let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return Self::default() };
        let socket = connect(&name).inspect_err(|e| warn!("telling the service manager at {name:?}: {e}")).ok();
        let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
        let is_meant = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let patience = number("WATCHDOG_USEC").filter(|us| is_meant && *us > 0).map(Duration::from_micros);
        Manager { socket, patience }
    }

    /// The one at this socket, who waits for so long.
    #[cfg(test)]
    pub fn at(path: &std::path::Path, patience: Duration) -> std::io::Result<Self> {
        Ok(Manager { socket: Some(connect(path.as_os_str())?), patience: Some(patience) })
    }

    /// Never waits: a manager that does not read loses the word.
    pub fn say(&self, word: &str) {
        if let Some(socket) = &self.socket {
            let _ = socket.send(word.as_bytes());
        }
    }

    /// Between [`GOES_ON`] and the next, where the manager asks for it.
    pub fn look_every(&self) -> Option<Duration> {
        self.patience.map(|patience| patience / WATCHDOG_LOOKS)
    }

    /// The config is read anew; [`READY`] says that it has been.
    pub fn reloading(&self, mono_ms: u64) {
        self.say(&format!("RELOADING=1\nMONOTONIC_USEC={}", mono_ms.saturating_mul(1_000)));
    }
}

fn connect(name: &OsStr) -> std::io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    match name.as_bytes().strip_prefix(b"@") {
        Some(name) => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
        None => socket.connect(name)?,
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_a_socket_in_a_folder_and_an_abstract_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("vaka-service-test-{}", std::process::id());
        let sockets = [
            (path.as_os_str().to_owned(), UnixDatagram::bind(&path).unwrap()),
            (
                format!("@{name}").into(),
                UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap(),
            ),
        ];
        for (address, manager) in sockets {
            let socket = connect(&address).unwrap();
            Manager { socket: Some(socket), patience: None }.say(READY);
            let mut word = [0; 32];
            let length = manager.recv(&mut word).unwrap();
            assert_eq!(&word[..length], READY.as_bytes(), "{address:?}");
        }
    }

    #[test]
    fn nobody_to_tell_is_no_error_and_four_looks_fit_into_the_managers_patience() {
        Manager::default().say(READY);
        assert_eq!(Manager::default().look_every(), None);
        let manager = Manager { socket: None, patience: Some(Duration::from_secs(60)) };
        assert_eq!(manager.look_every(), Some(Duration::from_secs(15)));
    }
}
