//! What a commit has changed, for whoever shows it to people.
//!
//! Enters: records as they are folded in. Leaves, after the commit: which alarms are to be shown anew. A follower must only hand
//! on: events wait while it runs.

use std::collections::BTreeSet;

use vaka_protocol::AlarmId;

use super::keeper::Keeper;
use crate::journal::record::{Decision, Record};

/// Hears what has changed, with everything as it is now.
pub type Follower = Box<dyn Fn(&Keeper, &Touched) + Send>;

/// What records have changed since it was last told.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Touched {
    pub alarms: BTreeSet<AlarmId>,
    /// Something on a round: a look-in, a dose, a visit.
    pub others: bool,
    /// The journal was read anew: all that was told may be otherwise.
    pub anew: bool,
}

impl Touched {
    pub fn anew() -> Self {
        Touched { anew: true, ..Touched::default() }
    }

    pub fn is_any(&self) -> bool {
        self.anew || self.others || !self.alarms.is_empty()
    }

    pub fn by(&mut self, record: &Record) {
        let alarm = match record {
            Record::Act(act) => &act.alarm,
            Record::Rung(rung) => &rung.alarm,
            Record::Nobody(nobody) => &nobody.alarm,
            Record::Decisions(decisions) => {
                return decisions.decisions.iter().for_each(|decision| self.by_decision(decision));
            }
            Record::Release(_) | Record::Signed(_) | Record::Visit(_) | Record::Look(_) => {
                self.others = true;
                return;
            }
            Record::Order(order) => match &order.alarm {
                Some(alarm) => alarm,
                None => {
                    self.others = true;
                    return;
                }
            },
            _ => return,
        };
        self.alarms.insert(alarm.clone());
    }

    fn by_decision(&mut self, decision: &Decision) {
        match decision {
            Decision::Raise(raise) => {
                self.alarms.insert(raise.alarm.clone());
            }
            Decision::Join(join) => {
                self.alarms.insert(join.alarm.clone());
            }
            Decision::Note(_) => self.others = true,
            Decision::Tell(_) | Decision::Say(_) | Decision::Send(_) => {}
        }
    }
}
