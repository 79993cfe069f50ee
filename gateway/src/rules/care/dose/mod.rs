//! Rule `dose`: medicine by schedule: dispensed, taken, missed, and never twice.
//!
//! Enters: what dispensers have said, what was decided, what is agreed, the moment. Leaves: for each planned dose (a slot on a local
//! date) exactly one outcome; at most one alarm of it; one reminder; the schedule of each dispenser. Invariants: an outcome is only
//! `missed` while the dispenser could have told otherwise, and `unknown` where it could not; what it tells later corrects the outcome by
//! a note; nobody is ever told to take anything. Absent: any judgement of medicine; what is taken when is the prescriber's.

mod contact;
mod judge;
mod memory;
mod planned;
#[cfg(test)]
mod proofs;
#[cfg(test)]
mod release_tests;
pub mod rows;
mod schedule;
#[cfg(test)]
mod schedule_tests;
mod stock;
#[cfg(test)]
pub(super) mod tests;
mod words;

use jiff::civil::{Date, Time};
use vaka_protocol::DeviceId;

use super::agreed::Person;
use super::term::Term;
use super::when::Days;
use super::{Out, Subject, View};
pub use memory::{Doses, Outcome, Released, Told};
pub use planned::{Planned, number};

pub const NAME: &str = "dose";
pub const VERSION: u16 = 1;

const RULE: (&str, u16) = (NAME, VERSION);

/// Until when after its time a dose counts as taken, where nothing else is agreed, in minutes. Source: our choice, to be set by whoever
/// prescribes; long enough to finish a breakfast, short enough to be seen to within the same visit.
pub const GRACE_MIN: i64 = 60;
/// When a dose that is not taken is reminded of, in minutes after its time. Source: our choice: a quarter of the grace.
pub const REMINDER_AFTER_MIN: i64 = 15;
/// How early a dose may be given out where that is allowed and nothing else is agreed, in minutes. Source: our choice, as the grace.
pub const EARLY_MIN: i64 = 60;

/// A time at which one dose of a slot is agreed.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The dispenser.
    pub device: DeviceId,
    /// Its name on the wire.
    pub slot: String,
    pub days: Days,
    /// Local time.
    pub at: Time,
    pub grace_ms: i64,
    /// None: it is not reminded of.
    pub reminder_after_ms: Option<i64>,
    /// How early it may be given out; 0: not before its time.
    pub early_ms: i64,
    pub pauses: Vec<Pause>,
    /// The dispenser is to be refilled when it holds for so many days or fewer.
    pub stock_low_days: u16,
    pub term: Term,
}

/// Days on which the dose is not given: travel, hospital.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    pub from: Date,
    /// The last day of it.
    pub until: Date,
    pub why: String,
}

/// All the plans of one slot: one dose a day at the most.
struct Slot<'a> {
    device: &'a DeviceId,
    name: &'a str,
    plans: Vec<&'a Plan>,
}

fn slots(person: &Person) -> Vec<Slot<'_>> {
    let mut slots: Vec<Slot<'_>> = Vec::new();
    for plan in &person.doses {
        match slots.iter_mut().find(|slot| *slot.device == plan.device && slot.name == plan.slot) {
            Some(slot) => slot.plans.push(plan),
            None => slots.push(Slot { device: &plan.device, name: &plan.slot, plans: vec![plan] }),
        }
    }
    slots
}

fn subject<'a>(person: &'a Person, device: &'a DeviceId) -> Subject<'a> {
    Subject { rule: RULE, resident: Some(&person.id), device }
}

pub fn judge(view: View<'_>, person: &Person, out: &mut Out) {
    let slots = slots(person);
    for slot in &slots {
        judge::slot(view, person, slot, out);
    }
    schedule::judge(view, person, &slots, out);
    stock::judge(view, person, out);
}
