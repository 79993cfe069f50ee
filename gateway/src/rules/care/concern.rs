//! Which of a person's rules an event or a decision concerns: the table by which [`super::Watch`] looks at a rule and leaves the others alone.
//!
//! Enters: an event, and what a device is to its person's agreement; which rule has decided. Leaves: the rules to look at now.
//! Invariant: an event that may make something of a rule due *sooner* than the rule has said concerns it. Everything else only puts off
//! what is due, or ends what is open; where it may end something the rule has said that it is eager, and is looked at whatever is heard.
//!
//! What each rule reads of events, and so what can hurry it:
//! - `night`: beds, a door that is opened, a look-in declined, a member of staff. A door that is closed, chairs, mats and movement are signs
//!   of life: they put off. That a bed's sensor is heard at all counts only where it was not: then the rule is eager.
//! - `presence`: beds, chairs, mats and doors: who sits or lies has not gone out, and who gets up may have. Everything else is activity,
//!   or shows that a sensor is awake: it puts off.
//! - Neither: a bed, seat, mat or door that says again how it is ([`Word::Again`]). To `night` its first word is more: with it an earlier sign of
//!   life of its device may count no more.
//! - `place`: positions; alarms of any rule on the device that is carried, which events outside the telemetry lane raise. Nothing else:
//!   whether the device is awake is asked only at the agreed time itself.
//! - `dose`: what dispensers say of doses and stock, and their answers. That one is heard decides what it could have told only while that
//!   is not clear: then it is eager for that one.
//! - `reminder`: answers. `vital`: readings; a thermometer's where a limit on temperature was set. `look`: a look-in declined, privacy.

use vaka_protocol::{DeviceId, Event, Lane};

use super::agreed::Person;
use super::facts::Word;
use super::{dose, look, night, place, presence, reminder, vital};

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

    /// By the name under which it raises alarms. None: it is none of a person's.
    pub fn of(name: &str) -> Option<Rule> {
        Some(match name {
            night::NAME => Rule::Night,
            presence::NAME => Rule::Presence,
            place::NAME => Rule::Place,
            dose::NAME => Rule::Dose,
            reminder::NAME => Rule::Reminder,
            vital::NAME => Rule::Vital,
            look::NAME => Rule::Look,
            _ => return None,
        })
    }

    /// The rules that what this one decides concerns: itself, as one decision may make another due, and `place`, which asks a device with
    /// an alarm of whatever rule where it is. What a rule has settled, and its alarms, no other reads.
    pub fn concerned(self) -> Rules {
        Rules::of(self).and(Rules::of(Rule::Place))
    }
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

    /// Among them, or not.
    pub fn set(&mut self, rule: Rule, is_so: bool) {
        self.0 = self.0 & !(1 << rule as u8) | u8::from(is_so) << rule as u8;
    }

    /// In the order in which they are judged.
    pub fn iter(self) -> impl Iterator<Item = Rule> {
        // Nearly always there are none.
        let rules = if self == Rules::NONE { &[][..] } else { &Rule::ALL };
        rules.iter().copied().filter(move |rule| self.has(*rule))
    }

    fn when(self, is_so: bool) -> Rules {
        if is_so { self } else { Rules::NONE }
    }

    fn only(self, these: Rules) -> Rules {
        Rules(self.0 & these.0)
    }

    /// Without this one, where that is so.
    fn unless(self, rule: Rule, is_so: bool) -> Rules {
        Rules(self.0 & !Rules::of(rule).when(is_so).0)
    }
}

/// What a device is to its person's agreement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Part {
    /// What is agreed with its person, or may have to be ended still.
    agreed: Rules,
    /// Where these are eager, whatever is heard of it concerns them.
    heeded: Rules,
    /// Concerned by its readings of temperature.
    temperature: Rules,
}

impl Part {
    pub fn of(person: &Person, device: &DeviceId) -> Part {
        let has_limit = person.vitals.iter().any(|threshold| threshold.kind == vital::TEMPERATURE.0);
        let is_dispenser = person.doses.iter().any(|plan| plan.device == *device);
        // The others decide something where nothing is agreed too: a dispenser is told so, a device with an alarm is asked where it is.
        let agreed = Rules::ALL
            .unless(Rule::Night, person.night.is_none())
            .unless(Rule::Presence, person.presence.is_none())
            .unless(Rule::Vital, person.vitals.is_empty())
            .unless(Rule::Look, person.look.is_none());
        let heeded = agreed.unless(Rule::Dose, !is_dispenser);
        Part { agreed, heeded, temperature: Rules::of(Rule::Vital).when(has_limit) }
    }

    /// The rules of its person's that this event of it concerns, `eager` being those that want to hear of anything.
    pub fn concerned(self, event: &Event, word: Word, eager: Rules) -> Rules {
        let rules = match word {
            Word::Again => Rules::NONE,
            Word::First => self.of_event(event).and(Rules::of(Rule::Night)),
            Word::Other => self.of_event(event),
        };
        rules.and(eager.only(self.heeded)).only(self.agreed)
    }

    fn of_event(self, event: &Event) -> Rules {
        const NIGHT: Rules = Rules::of(Rule::Night);
        const PRESENCE: Rules = Rules::of(Rule::Presence);
        match event {
            Event::Motion {} | Event::Alive {} => Rules::NONE,
            Event::Bed { .. } | Event::Door { open: true } => NIGHT.and(PRESENCE),
            Event::Chair { .. } | Event::Mat { .. } | Event::Door { open: false } => PRESENCE,
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
        }
    }
}
