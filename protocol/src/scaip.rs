//! The table of SCAIP codes. Enters: an event. Leaves: device type (`dty`) and status code (`stc`) as numbers; they are
//! written with four digits. Source: the public code tables of SCAIP implementations.

use crate::event::Event;
use crate::words::{DoseOutcome, Lane};

/// Status code "unauthorised access": what rules send for a lock or a cabinet opened by nobody they know.
pub const SCAIP_UNAUTHORISED: u16 = 107;

const AUTOMATIC: u16 = 9;
const RESTORAL: u16 = 94;
const MALFUNCTION: u16 = 67;

impl Event {
    /// `(dty, stc)` under which the event goes to an alarm centre, if it, or a rule on it, raises an alarm.
    ///
    /// `fixed` tells a button on the wall (0004) from a pendant (0003). `cancel` goes under the device type of the alarm
    /// it joins; the caller knows that one. `None`: it never goes there by itself. So are temperature and vital values:
    /// only a threshold that a named professional has set sends them, under 0100 and 0101.
    pub fn scaip(&self, fixed: bool) -> Option<(u16, u16)> {
        let own = if fixed { 4 } else { 3 };
        let alarm_or_over = |active: bool| if active { AUTOMATIC } else { RESTORAL };
        Some(match self {
            Event::Button { .. } => (own, 10),
            Event::Cancel {} => (own, 19),
            Event::Fall { .. } => (5, AUTOMATIC),
            Event::Seizure {} => (17, AUTOMATIC),
            Event::Smoke { active } => (23, alarm_or_over(*active)),
            Event::Gas { active } => (21, alarm_or_over(*active)),
            Event::Co { active } => (26, alarm_or_over(*active)),
            Event::Heat { active } => (25, alarm_or_over(*active)),
            Event::Flood { active } => (33, alarm_or_over(*active)),
            Event::Enuresis {} => (16, AUTOMATIC),
            Event::Bed { .. } => (12, AUTOMATIC),
            Event::Chair { .. } => (44, AUTOMATIC),
            Event::Mat { .. } => (13, AUTOMATIC),
            Event::Door { .. } => (14, AUTOMATIC),
            Event::Motion {} => (10, AUTOMATIC),
            Event::Position { .. } => (51, AUTOMATIC),
            Event::Dose { outcome, .. } => match outcome {
                DoseOutcome::Dispensed => return None,
                DoseOutcome::Reminded => (11, 82),
                DoseOutcome::Taken => (11, 83),
                DoseOutcome::Missed | DoseOutcome::Refused => (11, 81),
                DoseOutcome::Jammed => (11, 52),
                // 0000 "unknown": 0081 would say that the pill was not taken.
                DoseOutcome::Unknown => (11, 0),
            },
            Event::Stock { .. } => (11, 64),
            Event::Lock { locked: true, .. } | Event::Cabinet { open: false, .. } => (43, 118),
            Event::Lock { locked: false, .. } | Event::Cabinet { open: true, .. } => (43, 127),
            // 0015 "battery OK" ends what 0016 began.
            Event::Battery { low, .. } => (own, if *low { 16 } else { 15 }),
            Event::Mains { on } => (41, if *on { 86 } else { 85 }),
            Event::Tamper {} => (38, 125),
            Event::Lost { .. } => (own, 79),
            Event::Fault { active, .. } => (own, if *active { MALFUNCTION } else { RESTORAL }),
            Event::Started { .. } if self.lane() == Lane::Technical => (own, MALFUNCTION),
            Event::Test {} => (own, 102),
            Event::Alarm { dty, stc, .. } => return dty.zip(*stc),
            Event::Temperature { .. }
            | Event::Vital { .. }
            | Event::Staff { .. }
            | Event::Privacy { .. }
            | Event::Decline { .. }
            | Event::Signal { .. }
            | Event::Started { .. }
            | Event::Alive {}
            | Event::Done { .. }
            | Event::Task { .. }
            | Event::Health { .. }
            | Event::Round { .. }
            | Event::Unknown { .. } => return None,
        })
    }
}
