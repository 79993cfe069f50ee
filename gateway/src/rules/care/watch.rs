//! When to look at whom: the next moment at which something can become due, for each person and for the home itself.
//!
//! Enters: that an event of a device was folded in; the moment. Leaves: decisions. In memory alone: made anew at every start
//! and with every agreement, when everybody is looked at at once. Invariant: nobody is looked at later than something of theirs
//! becomes due; being looked at too early costs time and nothing else.

use std::sync::Arc;

use vaka_protocol::{DeviceId, Event};

use super::agreed::Agreed;
use super::moment::Moment;
use super::{Care, View, hurries, judge_home, judge_person};
use crate::journal::record::Decision;
use crate::limits::JUDGE_ROUNDS_MAX;
use crate::rules::Home;
use crate::rules::alarms::Alarms;

/// Difference between the two clocks, in milliseconds, beyond which the wall clock has been set: what is planned by it is looked up anew.
const SET_MS: i64 = 1_000;

/// Whom to look at when.
#[derive(Debug)]
pub struct Watch {
    agreed: Arc<Agreed>,
    /// The home itself, then each person: monotonic milliseconds. `None`: only an event can change anything.
    look_at: Vec<Option<i64>>,
    /// The earliest of them.
    next: Option<i64>,
    /// Whose every sign of activity may decide something.
    eager: Vec<bool>,
    /// Wall clock less running clock when it was looked at last.
    offset_ms: Option<i64>,
    /// How often something was due at this moment of the running clock.
    rounds: (u64, usize),
}

impl Default for Watch {
    fn default() -> Self {
        Watch::new(Arc::new(Agreed::default()))
    }
}

impl Watch {
    pub fn new(agreed: Arc<Agreed>) -> Self {
        let units = agreed.people.len() + 1;
        Watch {
            agreed,
            look_at: vec![Some(i64::MIN); units],
            next: Some(i64::MIN),
            eager: vec![false; units],
            offset_ms: None,
            rounds: (0, 0),
        }
    }

    pub fn agreed(&self) -> &Arc<Agreed> {
        &self.agreed
    }

    /// An event of this device was folded in: whose it is, is looked at with the next [`Watch::due`].
    pub fn heard(&mut self, device: &DeviceId, event: &Event) {
        let person = self.agreed.person_of(device).map(|person| person + 1);
        if let Some(unit) = person
            && (hurries(event) || self.eager[unit])
        {
            self.hurry(unit);
        }
        if matches!(event, Event::Mains { .. } | Event::Battery { .. } | Event::Tamper {}) || self.eager[0] {
            self.hurry(0);
        }
    }

    /// A device came or went, an alarm was closed: the home itself and, if it is somebody's, that person are looked at.
    pub fn stirred(&mut self, device: &DeviceId) {
        self.hurry(0);
        if let Some(person) = self.agreed.person_of(device) {
            self.hurry(person + 1);
        }
    }

    /// Something has changed that belongs to no device: everybody is looked at.
    pub fn look_at_all(&mut self) {
        (0..self.look_at.len()).for_each(|unit| self.hurry(unit));
    }

    fn hurry(&mut self, unit: usize) {
        self.look_at[unit] = Some(i64::MIN);
        self.next = Some(i64::MIN);
    }

    /// What is due now of one person or of the home itself. Empty: nothing more is. The caller folds the decisions in and asks again.
    pub fn due(&mut self, care: &Care, alarms: &Alarms, home: &Home, now: Moment) -> Vec<Decision> {
        let mono_ms = i64::try_from(now.mono_ms).unwrap_or(i64::MAX);
        let offset_ms = now.wall_ms - mono_ms;
        if self.offset_ms.is_none_or(|known| (known - offset_ms).abs() > SET_MS) {
            self.offset_ms = Some(offset_ms);
            self.look_at_all();
        }
        if self.next.is_none_or(|next| next > mono_ms) {
            return Vec::new();
        }
        self.rounds = (now.mono_ms, if self.rounds.0 == now.mono_ms { self.rounds.1 + 1 } else { 0 });
        if self.rounds.1 > JUDGE_ROUNDS_MAX * self.look_at.len() {
            // A rule that decides again and again would hold up every press.
            self.look_at.iter_mut().flatten().for_each(|at| *at = (*at).max(mono_ms.saturating_add(1_000)));
            self.next = self.look_at.iter().flatten().min().copied();
            return Vec::new();
        }
        let agreed = self.agreed.clone();
        let view = View { care, alarms, home, agreed: &agreed, now };
        for unit in 0..self.look_at.len() {
            if self.look_at[unit].is_none_or(|at| at > mono_ms) {
                continue;
            }
            let out = match unit {
                0 => judge_home(view),
                _ => judge_person(view, &agreed.people[unit - 1]),
            };
            self.eager[unit] = out.eager;
            if !out.decisions.is_empty() {
                return out.decisions;
            }
            self.look_at[unit] = out.next_ms().map(|ms| mono_ms.saturating_add(ms));
        }
        self.next = self.look_at.iter().flatten().min().copied();
        Vec::new()
    }

    /// Milliseconds until [`Watch::due`] may have something. `None`: only an event can change anything.
    pub fn wait_ms(&self, mono_ms: u64) -> Option<u64> {
        let now_ms = i64::try_from(mono_ms).unwrap_or(i64::MAX);
        self.next.map(|next| u64::try_from(next.saturating_sub(now_ms)).unwrap_or(0))
    }
}
