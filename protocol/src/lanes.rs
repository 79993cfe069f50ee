//! The table of lanes. Enters: an event. Leaves: how urgent it is by itself.

use crate::event::Event;
use crate::limits::STOCK_LOW_DAYS;
use crate::words::{DoseOutcome, Lane, StartCause};

impl Event {
    /// The lane in which the event travels and is kept. Where rules judge (a bed left, a door open), it is that of the
    /// bare fact; what they raise has a lane of its own.
    ///
    /// An unknown event is technical: kept as long as faults are, and a person looks at it.
    pub fn lane(&self) -> Lane {
        match self {
            Event::Button { .. }
            | Event::Cancel {}
            | Event::Fall { .. }
            | Event::Seizure {}
            | Event::Smoke { .. }
            | Event::Gas { .. }
            | Event::Co { .. }
            | Event::Heat { .. }
            | Event::Flood { .. } => Lane::Life,
            Event::Enuresis {} => Lane::Care,
            Event::Dose { outcome, .. } => match outcome {
                DoseOutcome::Reminded | DoseOutcome::Dispensed | DoseOutcome::Taken => Lane::Telemetry,
                DoseOutcome::Missed | DoseOutcome::Refused | DoseOutcome::Jammed | DoseOutcome::Unknown => Lane::Care,
            },
            Event::Stock { days_left } if *days_left <= STOCK_LOW_DAYS => Lane::Technical,
            Event::Battery { .. }
            | Event::Mains { .. }
            | Event::Tamper {}
            | Event::Lost { .. }
            | Event::Fault { .. }
            | Event::Unknown { .. } => Lane::Technical,
            // It stopped protecting for a while, and may again.
            Event::Started { cause: StartCause::Watchdog | StartCause::Panic | StartCause::RolledBack, .. } => {
                Lane::Technical
            }
            Event::Started { .. }
            | Event::Bed { .. }
            | Event::Chair { .. }
            | Event::Mat { .. }
            | Event::Door { .. }
            | Event::Motion {}
            | Event::Position { .. }
            | Event::Temperature { .. }
            | Event::Vital { .. }
            | Event::Stock { .. }
            | Event::Lock { .. }
            | Event::Cabinet { .. }
            | Event::Staff { .. }
            | Event::Privacy { .. }
            | Event::Decline { .. }
            | Event::Signal { .. }
            | Event::Alive {}
            | Event::Done { .. } => Lane::Telemetry,
            Event::Test {} => Lane::Test,
            Event::Alarm { lane, .. }
            | Event::Task { lane, .. }
            | Event::Health { lane, .. }
            | Event::Round { lane, .. } => *lane,
        }
    }
}
