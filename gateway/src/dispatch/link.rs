//! What every kind of receiver looks like to the dispatcher: a task that takes [`Order`]s and tells [`LinkEvent`]s.
//!
//! Invariant: each order ends in exactly one `Accepted` or `Failed` that carries its attempt, within the receiver's deadlines.
//! A kind is one `run(context)`; adding one adds a line to [`spawn`] and to [`super::config::ReceiverConfig::check`].

use std::sync::Arc;

use tokio::sync::mpsc;

use super::backoff::Pace;
use super::config::ReceiverConfig;
use super::scaip;
use super::{Notice, scaip::mrq::Sender};
use crate::clock::Clock;

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
    },
    Failed {
        attempt: u64,
        failure: Failure,
    },
    /// A new connection stands: what waits may be tried now.
    Connected,
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
    #[error("its link stopped")]
    LinkStopped,
}

impl Failure {
    /// The same message will be refused there again: no hurry to repeat it. It is repeated all the same,
    /// because a refusal does not end an alarm and the receiver's configuration may be mended.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Status { status, .. } => !matches!(status, 408 | 429 | 480 | 486 | 500..=599),
            Self::Snu { snu } => scaip::mrs::snu_is_permanent(*snu),
            Self::Login(_) => true,
            Self::NotConnected(_)
            | Self::Closed(_)
            | Self::NotReceived(_)
            | Self::NotAccepted(_)
            | Self::LinkStopped => false,
        }
    }
}

/// Where a link tells what happened. Waits while the dispatcher is behind, so that a flooding peer is slowed, not stored.
#[derive(Debug, Clone)]
pub(crate) struct Telling {
    pub receiver: Arc<str>,
    /// Tells a link from its predecessor of the same name.
    pub generation: u64,
    pub events: mpsc::Sender<Told>,
}

/// An event and whose it is.
#[derive(Debug)]
pub(crate) struct Told {
    pub receiver: Arc<str>,
    pub generation: u64,
    pub event: LinkEvent,
}

impl Telling {
    pub async fn tell(&self, event: LinkEvent) {
        let told = Told { receiver: self.receiver.clone(), generation: self.generation, event };
        // The dispatcher is gone only when everything stops.
        let _ = self.events.send(told).await;
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
    pub telling: Telling,
}

/// Runs the link of a checked configuration until its orders end.
pub(crate) async fn run(context: LinkContext) {
    match context.config.kind.as_str() {
        #[cfg(test)]
        "test-panic" => {
            let mut orders = context.orders;
            if orders.recv().await.is_some() {
                panic!("a link that fails, for the test of what that does to the others");
            }
        }
        _ => scaip::run(context).await,
    }
}
