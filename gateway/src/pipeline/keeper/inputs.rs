//! What the keeper is given, and what it answers: shapes alone.

use std::sync::Arc;

use tokio::sync::oneshot;
use vaka_protocol::{AlarmId, Lane};

use super::Keeper;
use crate::dispatch::Report;
use crate::firmware::{self, May};
use crate::ingest::inbox::Rank;
use crate::ingest::{PublishReason, Replies, Submission};
use crate::journal::Damage;
use crate::journal::record::{Act, Erased, Fault, Release, Trace, Update};
use crate::pipeline::looks::LookReply;
use crate::pipeline::streams::Window;
use crate::pipeline::view::{AlarmRow, Labels};
use crate::pipeline::visits::{VisitReply, Wish};
use crate::rules::care::agreed::Agreed;
use crate::rules::care::dose::rows::DoseRow;
use crate::rules::care::look::{self, OpenLook};
use crate::rules::care::signed;
use crate::rules::{Home, orders};

/// Something for the keeper to do.
pub enum Input {
    Submission(Submission),
    Report(Report),
    Ask(Ask),
    /// After the batch it stands in, the fold is saved and the thread ends.
    Stop,
}

impl Input {
    /// Its place in the queue: presses first, and what a person or a receiver says of them; then lane by lane.
    pub fn rank(&self) -> Rank {
        match self {
            Input::Submission(submission) => match submission.lane {
                Lane::Life => Rank::Urgent,
                Lane::Care => Rank::Soon,
                Lane::Technical | Lane::Test => Rank::Usual,
                Lane::Telemetry => Rank::Last,
            },
            Input::Report(_) | Input::Ask(_) => Rank::Urgent,
            Input::Stop => Rank::Last,
        }
    }

    pub fn is_urgent(&self) -> bool {
        self.rank() == Rank::Urgent
    }
}

/// A question or an act from the command line or the board.
pub enum Ask {
    Alarms {
        all: bool,
        reply: oneshot::Sender<Vec<AlarmRow>>,
    },
    Show {
        alarm: AlarmId,
        reply: oneshot::Sender<Option<serde_json::Value>>,
    },
    Act {
        act: Act,
        reply: oneshot::Sender<Result<AlarmRow, String>>,
    },
    Stat {
        reply: oneshot::Sender<serde_json::Value>,
    },
    /// The doses that are planned, and what became of them.
    Doses {
        reply: oneshot::Sender<Vec<DoseRow>>,
    },
    /// A person releases a dose that is locked. Without a date: the newest such.
    Release {
        resident: String,
        slot: String,
        date: Option<String>,
        by: String,
        note: String,
        reply: oneshot::Sender<Result<Release, String>>,
    },
    /// A person has a device do something.
    Order {
        wish: orders::Wish,
        /// Who asked has written it down already.
        traced: bool,
        reply: OrderReply,
    },
    /// A person signs for something on the round.
    Sign {
        wish: signed::Wish,
        by: String,
        reply: SignReply,
    },
    /// Somebody, or the gateway by itself, wants something of a camera: answered with the look's number once it is on the disk.
    Look {
        wish: look::Wish,
        by: String,
        reply: LookReply,
    },
    /// How a look stands, now and after each commit until it is over.
    LookWatch {
        look: u64,
        to: tokio::sync::watch::Sender<OpenLook>,
    },
    /// Hears once what became of an order.
    OrderWatch {
        order: u64,
        to: oneshot::Sender<String>,
    },
    /// A technician's visit.
    Visit {
        wish: Wish,
        reply: VisitReply,
    },
    /// A step of an update of this program.
    Updated(Update),
    /// A test alarm of the gateway's own, by which a program proves itself: its id.
    Prove {
        version: String,
        reply: oneshot::Sender<AlarmId>,
    },
    /// Firmware of the devices.
    Firmware(firmware::Ask),
    /// Any other question, answered after the commit.
    See(Box<dyn FnOnce(&Keeper) + Send>),
    /// What people read or did at the board: answered once it is on the disk.
    Traces {
        traces: Vec<Trace>,
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// What is known of each device, for the doctor.
    Devices {
        reply: oneshot::Sender<serde_json::Value>,
    },
    /// The config was read anew.
    Home {
        home: Home,
        labels: Labels,
        agreed: Arc<Agreed>,
    },
    /// Something in the gateway is wrong, or well again.
    Fault(Fault),
    /// Telemetry that was read off the journal beside the keeper.
    Window(Window),
    /// One resident's data is made unreadable, for good.
    Erase {
        resident: String,
        by: String,
        reply: oneshot::Sender<Result<Erased, String>>,
    },
    /// How a part of the gateway is: said only where that is news.
    Part(Fault),
    /// What reading the whole journal beside the keeper has found.
    Damaged {
        records: u64,
        found: Vec<Damage>,
        /// Numbers of those that their key does not open.
        unopened: Vec<u64>,
    },
}

/// What is answered once the batch is on the disk.
pub(in crate::pipeline) enum Answer {
    /// Neighbours of one session, as [`ToSession::Answers`].
    Device {
        to: Replies,
        first: u64,
        count: u64,
        reason: PublishReason,
    },
    Person(AlarmId, oneshot::Sender<Result<AlarmRow, String>>),
    Released(Release, oneshot::Sender<Result<Release, String>>),
    Traced(oneshot::Sender<Result<(), String>>),
    Signed(SignReply),
    Ordered(u64, OrderReply),
    /// Whether a device may have its firmware's next bytes, or restart: what it does next rests on the record of it.
    Firmware(May, oneshot::Sender<May>),
}

/// The number of the order's record, or why it is not done.
pub type OrderReply = oneshot::Sender<Result<u64, NotOrdered>>;

/// Why an order is not on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotOrdered {
    #[error("not ordered: {}", .0.said().1)]
    Refused(orders::Why),
    #[error("ordering: the journal could not be written; try again")]
    Disk,
}

/// `Err`: why it cannot be signed, or that the disk did not take it.
pub type SignReply = oneshot::Sender<Result<(), NotSigned>>;

/// Why a signature is not on the disk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSigned {
    #[error(transparent)]
    Refused(#[from] signed::Refusal),
    #[error("signing: the journal could not be written; try again")]
    Disk,
}
