//! What a retention time can be agreed for: a lane, or what is finer than a lane.
//!
//! Enters: a record with its lane. Leaves: its class, or none: what the gateway's own working rests on has no time of its own.

use std::collections::BTreeMap;

use vaka_protocol::{Event, Lane};

use crate::ingest::payload;
use crate::journal::record::{EventRecord, Record};

/// Records that are kept equally long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    Life,
    Care,
    Technical,
    Telemetry,
    Test,
    /// Where somebody was: events of positions, on any lane but `life`. What comes with a call for help is kept as that.
    Positions,
    /// Looks through a camera, and checks of one.
    Looks,
}

/// Days by class; a class that is absent has no time of its own.
pub type Days = BTreeMap<Class, u32>;

impl Class {
    pub const ALL: [Class; 7] =
        [Class::Life, Class::Care, Class::Technical, Class::Telemetry, Class::Test, Class::Positions, Class::Looks];

    /// As vaka.toml and the file of keys have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Life => "life",
            Class::Care => "care",
            Class::Technical => "technical",
            Class::Telemetry => "telemetry",
            Class::Test => "test",
            Class::Positions => "positions",
            Class::Looks => "looks",
        }
    }

    /// The lane whose records these are, where it is a whole one.
    pub fn lane(self) -> Option<Lane> {
        match self {
            Class::Life => Some(Lane::Life),
            Class::Care => Some(Lane::Care),
            Class::Technical => Some(Lane::Technical),
            Class::Telemetry => Some(Lane::Telemetry),
            Class::Test => Some(Lane::Test),
            Class::Positions | Class::Looks => None,
        }
    }

    /// The finest class of a record that `is_timed` says has a time. `None`: it is kept as long as the journal's size allows.
    pub fn of(record: &Record, lane: Lane, is_timed: impl Fn(Class) -> bool) -> Option<Class> {
        let finer = match record {
            // Each line of the log of who read what rests on the one before; of the others the next start rests.
            Record::Trace(_)
            | Record::Erased(_)
            | Record::Aged(_)
            | Record::Checkpoint(_)
            | Record::Boot(_)
            | Record::Path(_)
            | Record::Told(_)
            | Record::Carried(_)
            | Record::Update(_)
            | Record::Gone => return None,
            Record::Look(_) => Some(Class::Looks),
            // Opening a payload costs: only where it can be one, and somebody asks.
            Record::Event(event) if lane != Lane::Life && is_timed(Class::Positions) && is_position(event) => {
                Some(Class::Positions)
            }
            _ => None,
        };
        let of_lane = Class::ALL.into_iter().find(|class| class.lane() == Some(lane));
        finer.into_iter().chain(of_lane).find(|class| is_timed(*class))
    }
}

fn is_position(event: &EventRecord) -> bool {
    payload::read(&event.payload, event.via.as_ref())
        .is_ok_and(|sent| sent.events.iter().any(|event| matches!(event, Event::Position { .. })))
}
