//! Which of a person's rules an event concerns: the table by which [`super::Watch`] looks at a rule and leaves the others alone.
//!
//! Enters: an event, and what a device is to its person's agreement. Leaves: the rules to look at now. Invariant: an event that may make
//! something of a rule due *sooner* than the rule has said concerns it. Everything else only puts off what is due, or ends what is open;
//! where it may end something the rule has said that it is eager, and is looked at whatever is heard.
//!
//! What each rule reads of events, and so what can hurry it:
//! - `night`: any word of a bed it reads (that it is heard counts, not only what it says), doors, a look-in declined, a member of staff.
//!   Chairs, mats and movement are signs of life: they put off.
//! - `presence`: beds, chairs, mats and doors: who sits or lies has not gone out, and who gets up may have. Everything else is activity,
//!   or shows that a sensor is awake: it puts off.
//! - `place`: positions; alarms of any rule on the device that is carried, which events outside the telemetry lane raise. Nothing else:
//!   whether the device is awake is asked only at the agreed time itself.
//! - `dose`: what dispensers say of doses and stock, and their answers. That one is heard decides what it could have told only while that
//!   is not clear: then it is eager.
//! - `reminder`: answers. `vital`: readings; a thermometer's where a limit on temperature was set. `look`: a look-in declined, privacy.

use vaka_protocol::{DeviceId, Event, Lane};

use super::agreed::Person;
use super::vital;

/// A rule of a person's, in the order in which they are judged at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    Night,
    Presence,
    Place,
    Dose,
    Reminder,
    Vital,
    Look,
}

impl Rule {
    pub const ALL: [Rule; 7] =
        [Rule::Night, Rule::Presence, Rule::Place, Rule::Dose, Rule::Reminder, Rule::Vital, Rule::Look];
}

/// Some of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Rules(u8);

impl Rules {
    pub const NONE: Rules = Rules(0);
    pub const ALL: Rules = Rules((1 << Rule::ALL.len()) - 1);

    pub const fn of(rule: Rule) -> Rules {
        Rules(1 << rule as u8)
    }

    pub const fn and(self, other: Rules) -> Rules {
        Rules(self.0 | other.0)
    }

    pub const fn has(self, rule: Rule) -> bool {
        self.0 & 1 << rule as u8 != 0
    }

    fn when(self, is_so: bool) -> Rules {
        if is_so { self } else { Rules::NONE }
    }
}

/// What a device is to its person's agreement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Part {
    /// Concerned by whatever is heard of it.
    always: Rules,
    /// Concerned by its readings of temperature.
    temperature: Rules,
}

impl Part {
    pub fn of(person: &Person, device: &DeviceId) -> Part {
        let is_bed = person.night.as_ref().is_some_and(|night| night.beds.contains(device));
        let has_limit = person.vitals.iter().any(|threshold| threshold.kind == vital::TEMPERATURE.0);
        Part { always: Rules::of(Rule::Night).when(is_bed), temperature: Rules::of(Rule::Vital).when(has_limit) }
    }

    /// The rules of its person's that this event of it concerns.
    pub fn concerned(self, event: &Event) -> Rules {
        const NIGHT: Rules = Rules::of(Rule::Night);
        const PRESENCE: Rules = Rules::of(Rule::Presence);
        let rules = match event {
            Event::Motion {} | Event::Alive {} => Rules::NONE,
            Event::Bed { .. } | Event::Door { .. } => NIGHT.and(PRESENCE),
            Event::Chair { .. } | Event::Mat { .. } => PRESENCE,
            Event::Staff { .. } => NIGHT,
            Event::Decline { .. } => NIGHT.and(Rules::of(Rule::Look)),
            Event::Privacy { .. } => Rules::of(Rule::Look),
            Event::Temperature { .. } => self.temperature,
            Event::Vital { .. } => Rules::of(Rule::Vital),
            Event::Position { .. } => Rules::of(Rule::Place),
            Event::Done { .. } => Rules::of(Rule::Dose).and(Rules::of(Rule::Reminder)),
            Event::Stock { .. } | Event::Dose { .. } if event.lane() == Lane::Telemetry => Rules::of(Rule::Dose),
            // Of what is not named here nobody has shown that it concerns a rule or does not, and it is rare.
            _ => Rules::ALL,
        };
        rules.and(self.always)
    }
}
