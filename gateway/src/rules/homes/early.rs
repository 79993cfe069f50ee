//! Closes by people in a home that reached its hub before the alarm that they close.
//!
//! Enters: what homes say, as it is folded in. Leaves: the close that waits for an alarm. Invariants: a close is of one alarm of one
//! home, by its id and by when it happened; it can settle no other and mutes none; used once. Bounded per home.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use vaka_protocol::{AlarmId, DeviceId, Event, Rung};

use super::super::Happening;
use super::super::alarms::{Alarm, Alarms};
use super::find;
use crate::journal::record::{Act, ActWhat};
use crate::limits::EARLY_CLOSES_PER_HOME_MAX;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct EarlyClose {
    enrolment: u32,
    alarm: AlarmId,
    /// The home had told it up to this number.
    number: u32,
    /// When the alarm happened by the home's own clock, UTC milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    happened_at: Option<i64>,
    by: String,
}

/// By home, the oldest first.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct EarlyCloses(BTreeMap<DeviceId, VecDeque<EarlyClose>>);

impl EarlyCloses {
    /// Keeps a close of an alarm that is not known here. Before anything is judged.
    pub fn see(&mut self, alarms: &Alarms, happening: &Happening<'_>, event: &Event) {
        let Event::Alarm { alarm, rung: Rung::Closed, number, happened_at, by, .. } = event else { return };
        // Without a person there is nobody who has closed it.
        let Some(by) = by.as_deref().filter(|by| !by.is_empty()) else { return };
        if find(alarms, happening, alarm).is_some() {
            return;
        }
        let close = EarlyClose {
            enrolment: happening.enrolment,
            alarm: alarm.clone(),
            number: *number,
            happened_at: *happened_at,
            by: by.to_owned(),
        };
        let of_home = self.0.entry(happening.device.clone()).or_default();
        if of_home.contains(&close) {
            return;
        }
        of_home.push_back(close);
        if of_home.len() > EARLY_CLOSES_PER_HOME_MAX {
            of_home.pop_front();
        }
    }

    /// The act that waited for the alarm that this event tells of.
    pub fn act(&self, alarms: &Alarms, happening: &Happening<'_>, event: &Event) -> Option<Act> {
        let Event::Alarm { alarm, .. } = event else { return None };
        let of_home = self.0.get(happening.device)?;
        let known = find(alarms, happening, alarm).filter(|known| known.closed_by.is_none())?;
        let close = of_home.iter().find(|close| close.enrolment == happening.enrolment && close.is_of(known))?;
        let by = format!("{}: {}", happening.device, close.by);
        let act = Act::new(known.id().clone(), ActWhat::Close, by, String::new());
        Some(Act { told_up_to: Some(close.number), ..act })
    }

    /// An act on this alarm is folded in: what waited for it has no use any more.
    pub fn acted(&mut self, alarm: &Alarm) {
        let home = &alarm.raise.device;
        if let Some(of_home) = self.0.get_mut(home) {
            of_home.retain(|close| !close.is_of(alarm));
            if of_home.is_empty() {
                self.0.remove(home);
            }
        }
    }
}

impl EarlyClose {
    /// Of this alarm and of nothing that was told after it. A home made anew begins its ids and numbers anew: what happened at another
    /// time is another alarm.
    fn is_of(&self, alarm: &Alarm) -> bool {
        alarm.raise.home.as_deref().is_some_and(|told| {
            told.alarm == self.alarm
                && alarm.told_up_to <= self.number
                && (told.number > 0 || told.said_at == self.happened_at)
        })
    }
}
