//! What every kind of receiver looks like to the dispatcher: a task that takes [`Order`]s and tells [`LinkEvent`]s.
//!
//! Invariant: each order ends in exactly one `Accepted`, `Failed`, or (where that is all the kind can prove) `Received` that
//! carries its attempt, within the receiver's deadlines. A link is one path of one receiver.
//! A kind is one `run(context)`: a further one adds a line to [`run`], to [`super::config::ReceiverKind`] and to its check.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use vaka_protocol::Command;

use super::backoff::Pace;
use super::config::{ReceiverConfig, ReceiverKind};
use super::parcels::{Parcel, ParcelId};
use super::{Notice, scaip::mrq::Sender};
use super::{dc09, hub, scaip, sos_access, webhook};
use crate::clock::Clock;
use crate::journal::record::ActWhat;
use crate::limits::STANDBY_TEST_S;

/// Bring this notice to the receiver.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub attempt: u64,
    pub notice: Arc<Notice>,
}

/// What happened at a receiver.
#[derive(Debug)]
pub enum LinkEvent {
    /// Handed to an open connection.
    Sent {
        attempt: u64,
    },
    /// The receiver's transport took it.
    Received {
        attempt: u64,
        detail: String,
    },
    /// The receiver says that it has the alarm; without an attempt when the answer came after its deadline.
    Accepted {
        attempt: Option<u64>,
        reference: String,
        detail: String,
        /// Nobody behind the receiver will prove more either.
        last: bool,
    },
    /// A person behind the receiver has claimed or closed the alarm that `reference` told of. Of kinds that can prove it.
    Person {
        reference: String,
        act: ActWhat,
        by: String,
    },
    Failed {
        attempt: u64,
        failure: Failure,
    },
    /// Something beside alarms was taken, or not.
    Parcel {
        id: ParcelId,
        taken: Result<(), Failure>,
    },
    /// People at the hub that is this receiver have a device here do something.
    Order {
        /// Of the hub's command.
        id: u64,
        /// By the hub's clock, UTC milliseconds.
        expires_at: i64,
        command: Box<Command>,
    },
    /// A new connection stands: what waits may be tried now.
    Connected,
    /// The receiver's certificate has ended (and its key is the pinned one), or is well again.
    Certificate {
        /// UTC seconds.
        ended: Option<i64>,
    },
    /// The supervised path changed, or was judged for the first time.
    Path {
        up: bool,
        detail: String,
    },
}

/// Why an attempt at a receiver failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("no connection: {0}")]
    NotConnected(String),
    #[error("the connection was lost before the receiver had answered: {0}")]
    Closed(String),
    #[error("the receiver did not take it within {0} ms")]
    NotReceived(u32),
    #[error("the receiver took it but did not answer within {0} ms")]
    NotAccepted(u32),
    #[error("the receiver refused it: SIP {status} {reason}")]
    Status { status: u16, reason: String },
    #[error("the receiver refused it: snu={snu} ({})", scaip::mrs::snu_meaning(*snu))]
    Snu { snu: u32 },
    #[error("the receiver asks for a login: {0}")]
    Login(&'static str),
    /// Of kinds other than SCAIP, in the receiver's own words.
    #[error("the receiver refused it: {detail}")]
    Refused { detail: String, permanent: bool },
    #[error("its link stopped")]
    LinkStopped,
}

impl Failure {
    /// The receiver was reached, and the alarm came back from itself: another path to it would end the same.
    pub fn was_there(&self) -> bool {
        matches!(
            self,
            Self::NotAccepted(_) | Self::Status { .. } | Self::Snu { .. } | Self::Login(_) | Self::Refused { .. }
        )
    }

    /// The same message will be refused there again: no hurry to repeat it. It is repeated all the same,
    /// because a refusal does not end an alarm and the receiver's configuration may be mended.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Status { status, .. } => !matches!(status, 408 | 429 | 480 | 486 | 500..=599),
            Self::Snu { snu } => scaip::mrs::snu_is_permanent(*snu),
            Self::Login(_) => true,
            Self::Refused { permanent, .. } => *permanent,
            Self::NotConnected(_)
            | Self::Closed(_)
            | Self::NotReceived(_)
            | Self::NotAccepted(_)
            | Self::LinkStopped => false,
        }
    }
}

/// How closely a path is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Regime {
    /// In use: a heartbeat at the receiver's own interval.
    Active,
    /// A second path while the first one works: proven every few hours ([`crate::limits::STANDBY_TEST_S`]).
    Standby,
}

/// Where a link tells what happened. Waits while the dispatcher is behind, so that a flooding peer is slowed, not stored.
#[derive(Debug, Clone)]
pub(crate) struct Telling {
    pub receiver: Arc<str>,
    pub path: Arc<str>,
    /// Tells a link from its predecessor of the same name.
    pub generation: u64,
    pub events: mpsc::Sender<Told>,
}

/// An event and whose it is.
#[derive(Debug)]
pub(crate) struct Told {
    pub receiver: Arc<str>,
    pub path: Arc<str>,
    pub generation: u64,
    pub event: LinkEvent,
}

impl Telling {
    pub async fn tell(&self, event: LinkEvent) {
        let told =
            Told { receiver: self.receiver.clone(), path: self.path.clone(), generation: self.generation, event };
        // The dispatcher is gone only when everything stops.
        let _ = self.events.send(told).await;
    }

    /// As [`Telling::tell`], of what may be left out: a later rung tells it too.
    pub fn tell_soon(&self, event: LinkEvent) {
        let told =
            Told { receiver: self.receiver.clone(), path: self.path.clone(), generation: self.generation, event };
        let _ = self.events.try_send(told);
    }
}

/// All a link needs.
pub(crate) struct LinkContext {
    pub config: ReceiverConfig,
    pub sender: Sender,
    pub clock: Arc<dyn Clock>,
    pub pace: Pace,
    /// Bounded by the lanes' windows: the dispatcher never has more under way.
    pub orders: mpsc::UnboundedReceiver<Order>,
    /// Few at a time. Of kinds that take any; the others are never sent one.
    pub parcels: mpsc::UnboundedReceiver<Arc<Parcel>>,
    /// May change at any time.
    pub regime: watch::Receiver<Regime>,
    /// Changes when our certificate on the disk may be another.
    pub renewed: watch::Receiver<()>,
    pub telling: Telling,
}

impl LinkContext {
    /// Until the next heartbeat. A second path that the newest heartbeat proved is left alone for hours.
    pub fn heartbeat(&self, is_proven: bool) -> Duration {
        let standby = *self.regime.borrow() == Regime::Standby && is_proven;
        let interval_s = self.config.heartbeat_interval_s;
        Duration::from_secs(if standby { interval_s.max(STANDBY_TEST_S) } else { interval_s }.into())
    }
}

/// Runs the link of a checked configuration until its orders end.
pub(crate) async fn run(context: LinkContext) {
    match context.config.kind {
        ReceiverKind::Scaip => scaip::run(context).await,
        ReceiverKind::Hub => hub::run(context).await,
        ReceiverKind::SosAccess => sos_access::run(context).await,
        ReceiverKind::Webhook => webhook::run(context).await,
        ReceiverKind::Dc09 => dc09::run(context).await,
        #[cfg(test)]
        ReceiverKind::Panics => {
            let mut orders = context.orders;
            if orders.recv().await.is_some() {
                panic!("a link that fails, for the test of what that does to the others");
            }
        }
    }
}
