//! Stands before SIPp, which ends itself when a connection is reset under a call (seen with 3.6.1; its `-max_reconnect` aborts instead).
//!
//! Bytes pass unchanged both ways. When the gateway's side is gone, SIPp's side stays open and what it still says is read and dropped.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// The listener and its connections; all closed when dropped.
pub struct Doorman {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    closing: AtomicBool,
    streams: Mutex<Vec<TcpStream>>,
}

impl Shared {
    fn keep(&self, stream: &TcpStream) {
        self.streams
            .lock()
            .expect("no thread panics while it holds this")
            .push(stream.try_clone().expect("a second handle"));
    }
}

impl Doorman {
    /// Listens on `port` and leads every connection to `inner`.
    pub fn start(port: u16, inner: u16) -> Doorman {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap_or_else(|e| panic!("listening on {port}: {e}"));
        let shared = Arc::new(Shared::default());
        let serving = shared.clone();
        std::thread::spawn(move || {
            for outer in listener.incoming().flatten() {
                if serving.closing.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(inner) = TcpStream::connect(("127.0.0.1", inner)) else { continue };
                for stream in [&outer, &inner] {
                    let _ = stream.set_nodelay(true);
                    serving.keep(stream);
                }
                lead(&outer, &inner);
            }
        });
        Doorman { port, shared }
    }
}

impl Drop for Doorman {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        // Wakes the listener, so that the port is free again.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        for stream in self.shared.streams.lock().expect("no thread panics while it holds this").iter() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        crate::eventually("the doorman's port to be free", String::new, || {
            (!crate::is_listening(self.port)).then_some(())
        });
    }
}

/// Two threads a connection, one each way.
fn lead(outer: &TcpStream, inner: &TcpStream) {
    let copies = || (outer.try_clone().expect("a second handle"), inner.try_clone().expect("a second handle"));
    let (mut from_outer, mut to_inner) = copies();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_outer, &mut to_inner);
        // Not passed on: SIPp would take an end in the middle of a call as its own.
    });
    let (mut to_outer, mut from_inner) = copies();
    std::thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(n) = from_inner.read(&mut buffer) {
            if n == 0 {
                let _ = to_outer.shutdown(Shutdown::Both);
                return;
            }
            let _ = to_outer.write_all(&buffer[..n]);
        }
    });
}
