//! Ports on 127.0.0.1 that no other test has, in this process or another.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::Mutex;

/// Claims live as long as the process: an abstract socket's name is freed by the kernel, also after a panic.
static CLAIMS: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());

/// Below the kernel's ephemeral range (from 32,768), so that no outgoing connection takes a port between two runs of a gateway.
const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;

/// A port that nobody listens on and no other test is given, also while a gateway restarts on it.
pub fn free_port() -> u16 {
    let mut claims = CLAIMS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let start = (std::process::id().wrapping_mul(37)) % u32::from(COUNT);
    for step in 0..u32::from(COUNT) {
        let port = FIRST + ((start + step) % u32::from(COUNT)) as u16;
        let name = SocketAddr::from_abstract_name(format!("vaka-tests-port-{port}")).expect("a short name");
        let Ok(claim) = UnixListener::bind_addr(&name) else { continue };
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            claims.push(claim);
            return port;
        }
    }
    panic!("no free port between {FIRST} and {}", FIRST + COUNT);
}

/// True if a socket listens on that port of this machine, or of the network namespace this thread is in. Read from the kernel: connecting would show in the log of what listens.
pub fn is_listening(port: u16) -> bool {
    const LISTEN: &str = "0A";
    ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"]
        .iter()
        .filter_map(|file| std::fs::read_to_string(file).ok())
        .any(|table| {
            table.lines().skip(1).any(|line| {
                let mut fields = line.split_whitespace().skip(1);
                let local = fields.next().unwrap_or_default();
                let state = fields.nth(1).unwrap_or_default();
                state == LISTEN && local.rsplit(':').next() == Some(format!("{port:04X}").as_str())
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_once_and_seen_when_it_listens() {
        let (a, b) = (free_port(), free_port());
        assert_ne!(a, b);
        assert!(!is_listening(a));
        let _listener = TcpListener::bind(("127.0.0.1", a)).expect("the port was free");
        assert!(is_listening(a));
    }
}
