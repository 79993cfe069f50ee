//! A relay before a peer, that makes the way there slow, silent or broken: what the kernel's `netem` would do, where there is none.
//!
//! Enters: TCP connections. Leaves: the same bytes at the peer, or not, as its mood says; and who has said what.

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::is_listening;

/// What happens to bytes from now on, also on connections that stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Passes,
    /// So much later, each way.
    Delays(Duration),
    /// Half-open: connections stand and new ones are taken, and nothing comes through in either direction.
    Swallows,
    /// Connections end when the peer has been told of an alarm, before its answer is through.
    CutsAfterAlarm,
}

/// The relay; its port and connections are closed when dropped.
pub struct Relay {
    pub port: u16,
    at: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
}

struct State {
    way: Way,
    closing: bool,
    streams: Vec<TcpStream>,
    /// What each caller has said and was passed on.
    heard: Vec<(IpAddr, Vec<u8>)>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics while it holds this")
    }

    /// The peer was told of an alarm.
    fn has_alarm(&self) -> bool {
        self.state().heard.iter().any(|(_, said)| String::from_utf8_lossy(said).contains("<mty>ME</mty>"))
    }

    fn close_all(&self) {
        for stream in self.state().streams.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Relay {
    /// Listens at `at` (port 0: a free one) and leads every connection to `inner` on loopback, in the namespace of this thread.
    #[track_caller]
    pub fn start(at: SocketAddr, inner: u16) -> Relay {
        let listener = TcpListener::bind(at).unwrap_or_else(|e| panic!("listening on {at}: {e}"));
        let at = listener.local_addr().expect("it listens");
        let state = State { way: Way::Passes, closing: false, streams: Vec::new(), heard: Vec::new() };
        let shared = Arc::new(Shared { state: Mutex::new(state) });
        let serving = shared.clone();
        std::thread::spawn(move || {
            for outer in listener.incoming().flatten() {
                if serving.state().closing {
                    return;
                }
                lead(&outer, inner, &serving);
            }
        });
        Relay { port: at.port(), at, shared }
    }

    pub fn is(&self, way: Way) {
        self.shared.state().way = way;
    }

    /// Ends every connection that stands.
    pub fn cut(&self) {
        self.shared.close_all();
    }

    /// Messages of this kind (`PI`: heartbeats; `ME`: alarms) that came through from a caller of that address.
    pub fn count(&self, from: &str, kind: &str) -> usize {
        let from: IpAddr = from.parse().expect("an address");
        let mark = format!("<mty>{kind}</mty>");
        let state = self.shared.state();
        let all = state.heard.iter().filter(|(caller, _)| *caller == from);
        all.map(|(_, said)| String::from_utf8_lossy(said).matches(&mark).count()).sum()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.state().closing = true;
        // Wakes the listener, so that the port is free again.
        let _ = TcpStream::connect(self.at);
        self.shared.close_all();
        crate::eventually("the relay's port to be free", String::new, || (!is_listening(self.port)).then_some(()));
    }
}

fn lead(outer: &TcpStream, inner: u16, shared: &Arc<Shared>) {
    let Ok(inner) = TcpStream::connect(("127.0.0.1", inner)) else { return };
    let Ok(caller) = outer.peer_addr() else { return };
    let place = {
        let mut state = shared.state();
        for stream in [outer, &inner] {
            let _ = stream.set_nodelay(true);
            state.streams.push(stream.try_clone().expect("a second handle"));
        }
        state.heard.push((caller.ip(), Vec::new()));
        state.heard.len() - 1
    };
    for (from, to, heard) in [(outer, &inner, Some(place)), (&inner, outer, None)] {
        let (from, to) = (from.try_clone().expect("a second handle"), to.try_clone().expect("a second handle"));
        let (later, due) = channel();
        let (reading, writing) = (shared.clone(), shared.clone());
        std::thread::spawn(move || take(from, heard.is_none(), &reading, &later));
        std::thread::spawn(move || pass_on(to, heard, &writing, &due));
    }
}

/// When bytes are due at the other end.
type Due = (Instant, Vec<u8>);

/// Reads one direction until its end is gone.
fn take(mut from: TcpStream, is_answer: bool, shared: &Shared, later: &Sender<Due>) {
    let mut buffer = [0; 8192];
    while let Ok(count) = from.read(&mut buffer)
        && count > 0
    {
        let way = shared.state().way;
        let delay = match way {
            Way::Swallows => continue,
            Way::CutsAfterAlarm if is_answer && shared.has_alarm() => return shared.close_all(),
            Way::Delays(delay) => delay,
            Way::Passes | Way::CutsAfterAlarm => Duration::ZERO,
        };
        if later.send((Instant::now() + delay, buffer[..count].to_vec())).is_err() {
            return;
        }
    }
}

/// Writes one direction, each piece at its time; then closes it.
fn pass_on(mut to: TcpStream, heard: Option<usize>, shared: &Shared, due: &Receiver<Due>) {
    while let Ok((at, bytes)) = due.recv() {
        #[allow(clippy::disallowed_methods, reason = "the delay is what this relay is for")]
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        // Before it is passed on: the answer may be back at once.
        if let Some(place) = heard {
            shared.state().heard[place].1.extend_from_slice(&bytes);
        }
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
