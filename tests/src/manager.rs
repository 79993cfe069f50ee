//! A service manager's end of sd_notify: hears what the gateway tells.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The socket that `$NOTIFY_SOCKET` names.
pub struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    pub fn listen(dir: &Path) -> Manager {
        let path = dir.join("notify.sock");
        let socket = UnixDatagram::bind(&path).expect("a socket in a temporary directory");
        socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a deadline");
        Manager { socket, path }
    }

    pub fn path(&self) -> &str {
        self.path.to_str().expect("a temporary path is text")
    }

    /// The next word; fails the test where none comes.
    #[track_caller]
    pub fn hear(&self) -> String {
        let mut word = [0; 256];
        let length = self.socket.recv(&mut word).expect("a word of the gateway in time");
        String::from_utf8_lossy(&word[..length]).into_owned()
    }

    /// Everything that has come by now.
    pub fn heard(&self) -> Vec<String> {
        self.socket.set_nonblocking(true).expect("a socket of ours");
        let mut words = Vec::new();
        let mut word = [0; 256];
        while let Ok(length) = self.socket.recv(&mut word) {
            words.push(String::from_utf8_lossy(&word[..length]).into_owned());
        }
        self.socket.set_nonblocking(false).expect("a socket of ours");
        words
    }
}
