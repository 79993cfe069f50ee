//! From a device's bytes to something the journal can store.
//!
//! Enters: TCP connections. Leaves: [`Submission`]s, each answered after its commit. Invariants: no acknowledgement
//! before the answer; a device speaks only for itself; what cannot be read is kept, not dropped. Absent: rules, the
//! disk, and any knowledge of receivers.

pub mod adapter;
pub mod admission;
pub mod inbox;
pub mod listener;
pub mod lobby;
pub mod payload;
pub mod quota;
pub mod renewal;
pub mod roster;
pub mod session;
pub mod sessions;
pub mod window;
pub mod wire;

use tokio::sync::mpsc;
use vaka_protocol::{CommandMessage, DeviceId, Lane};

use crate::journal::record::{Fault, Quarantine, Via};

pub use payload::{Encoding, Parsed};
pub use wire::PublishReason;

/// Where a session's answers and commands arrive. Bounded by what one connection may have in flight and open.
pub type Replies = mpsc::UnboundedSender<ToSession>;

/// Something a device (or the gateway for it) wants stored.
#[derive(Debug)]
pub struct Submission {
    pub device: DeviceId,
    pub enrolment: u32,
    pub lane: Lane,
    pub what: What,
    /// Its certificate has ended.
    pub has_ended: bool,
    /// When the connection that it came over began, by the running clock; `None`: over none.
    pub since_ms: Option<u64>,
    /// From a bridge or a gateway: these speak for many devices, and have the share of many.
    pub for_many: bool,
    /// Whom to answer, and the number by which the session knows this submission.
    pub reply: Option<(Replies, u64)>,
}

#[derive(Debug)]
pub enum What {
    Event {
        parsed: Parsed,
        payload: Vec<u8>,
        via: Option<Via>,
    },
    Quarantine(Quarantine),
    Alive {
        online: bool,
    },
    /// Something else than a call for help, of a device whose certificate has ended.
    Ended,
    /// The device listens for its commands from now on.
    Listening(Replies),
    /// The connection that listened is gone.
    Deaf(Replies),
}

/// What a session hears back.
#[derive(Debug)]
pub enum ToSession {
    /// `count` submissions numbered from `first` are on the disk, or durably refused. In one message, so that a session
    /// wakes once for them.
    Answers {
        first: u64,
        count: u64,
        reason: PublishReason,
    },
    /// The commit failed: nothing may be acknowledged, the connection ends.
    Failed,
    Command(Box<CommandMessage>, Encoding),
    /// Its next certificate, DER.
    Certificate(Vec<u8>),
}

/// Takes submissions towards the journal.
pub trait Intake: Send + Sync + 'static {
    /// Empties `batch`. Never blocks: what is in flight is bounded per connection.
    fn submit(&self, batch: &mut Vec<Submission>);

    /// So much waits that nobody new is let in.
    fn is_overwhelmed(&self) -> bool;

    /// Something at the door is wrong, or well again: a person is told.
    fn tell(&self, fault: Fault);
}
