//! Alarm centres in memory, for tests on tokio's paused clock: with real sockets a paused clock runs ahead of the kernel.
//!
//! Enters: what a link dials by a name under `.test`, and a mood. Leaves: what came, and when. Each test has a thread of its own, so
//! the names of one are unknown to the others.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use tokio::io::DuplexStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::super::connection::{Connection, Wire};
use super::super::scaip::xml::Fields;
use super::super::sip::{Frame, Start, write};
use super::hostile::mrs;

thread_local! {
    static CENTRES: RefCell<BTreeMap<String, Arc<Inner>>> = const { RefCell::new(BTreeMap::new()) };
}

/// How a centre, or the way to it, behaves from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Each message gets its 200 and its `mrs`, so long after it came.
    Answers { after: Duration },
    /// Half-open: connections stand and new ones are taken, nothing comes back.
    Swallows,
    /// Connections that stand get nothing any more, as when the network has forgotten them; new ones are answered at once.
    Forgets,
    /// Connections end at once, new ones are refused.
    Refuses,
    /// Nothing comes back, not even for a new connection.
    Hangs,
    /// Answered at once, and each connection ended so long after it was taken.
    Drops { after: Duration },
}

pub(crate) const AT_ONCE: Mood = Mood::Answers { after: Duration::ZERO };

/// What a centre wrote down, with the paused clock's time.
#[derive(Debug, Default, Clone)]
pub(crate) struct Book {
    pub dials: Vec<Instant>,
    pub heartbeats: Vec<Instant>,
    /// References as they came and as they were answered.
    pub alarms: Vec<(Instant, Step)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Came(String),
    Answered(String),
}

struct Inner {
    mood: watch::Sender<Mood>,
    book: Mutex<Book>,
}

/// A centre in memory.
pub(crate) struct Memory {
    name: String,
    inner: Arc<Inner>,
}

impl Memory {
    /// Answers at once, until told otherwise.
    pub fn new(name: &str) -> Self {
        let inner = Arc::new(Inner { mood: watch::Sender::new(AT_ONCE), book: Mutex::default() });
        CENTRES.with_borrow_mut(|centres| centres.insert(format!("{name}.test"), inner.clone()));
        Self { name: name.to_owned(), inner }
    }

    pub fn url(&self) -> String {
        format!("sip:{}.test:5060;transport=tcp", self.name)
    }

    pub fn is(&self, mood: Mood) {
        self.inner.mood.send_replace(mood);
    }

    pub fn book(&self) -> Book {
        self.inner.book.lock().expect("one thread").clone()
    }
}

/// A connection to the centre of that name; `None` if there is none in memory.
pub(crate) async fn dial(host: &str) -> Option<io::Result<DuplexStream>> {
    let inner = CENTRES.with_borrow(|centres| centres.get(host).cloned())?;
    note(&inner, |book, now| book.dials.push(now));
    let mood = *inner.mood.borrow();
    match mood {
        Mood::Refuses => Some(Err(io::ErrorKind::ConnectionRefused.into())),
        Mood::Hangs => std::future::pending().await,
        Mood::Answers { .. } | Mood::Swallows | Mood::Forgets | Mood::Drops { .. } => {
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            let moods = inner.mood.subscribe();
            tokio::spawn(serve(theirs, inner, moods));
            Some(Ok(ours))
        }
    }
}

fn note(inner: &Inner, write: impl FnOnce(&mut Book, Instant)) {
    write(&mut inner.book.lock().expect("one thread"), Instant::now());
}

async fn serve(stream: DuplexStream, inner: Arc<Inner>, mut moods: watch::Receiver<Mood>) {
    let (wire, mut events) = mpsc::channel(256);
    let connection = Arc::new(Connection::start(0, Box::new(stream), wire));
    let mut answers = JoinSet::new();
    let mut mood = *moods.borrow_and_update();
    let mut forgotten = false;
    let end = match mood {
        Mood::Drops { after } => Instant::now() + after,
        _ => Instant::now() + Duration::from_secs(1 << 32),
    };
    loop {
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(end) => return,
            changed = moods.changed() => {
                mood = *moods.borrow_and_update();
                forgotten |= mood == Mood::Forgets;
                if changed.is_err() || mood == Mood::Refuses {
                    return;
                }
            }
            Some(_) = answers.join_next() => {}
            event = events.recv() => {
                let message = match event {
                    Some(Wire::Frame(_, Frame::Message(message))) => message,
                    Some(Wire::Closed(..)) | None => return,
                    Some(_) => continue,
                };
                if forgotten || matches!(message.start, Start::Response { .. }) {
                    continue;
                }
                let fields = Fields::read(&message.body).expect("the gateway's own XML");
                let reference = fields.text("ref").expect("a reference").to_owned();
                let is_heartbeat = fields.text("mty") == Some("PI");
                note(&inner, |book, now| match is_heartbeat {
                    true => book.heartbeats.push(now),
                    false => book.alarms.push((now, Step::Came(reference.clone()))),
                });
                let after = match mood {
                    Mood::Answers { after } => after,
                    Mood::Forgets | Mood::Drops { .. } => Duration::ZERO,
                    Mood::Swallows | Mood::Refuses | Mood::Hangs => continue,
                };
                let mut bytes = write::answer(&message, 200, "OK", "t").expect("a well-formed request");
                bytes.extend(mrs(&reference, 0, ""));
                let (connection, inner) = (connection.clone(), inner.clone());
                answers.spawn(async move {
                    tokio::time::sleep(after).await;
                    if !is_heartbeat {
                        note(&inner, |book, now| book.alarms.push((now, Step::Answered(reference))));
                    }
                    let _ = connection.send(bytes);
                });
            }
        }
    }
}
