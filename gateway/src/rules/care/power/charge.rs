//! What is remembered of charge and mains: whatever is agreed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vaka_protocol::{DeviceId, Event};

use super::super::Sight;
use super::super::moment::At;
use crate::limits::{CHARGED_PERCENT, CHARGES_MAX, DRAIN_MS_MIN, DRAIN_PERCENT_MIN};

/// What is remembered.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Powers(BTreeMap<DeviceId, Charge>);

/// One device's charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// The first word of this discharge.
    pub since: At,
    /// The lowest it was in it, in percent.
    lowest: u8,
    /// The newest word.
    percent: Option<u8>,
    /// When mains was lost; absent: it is there, or was never told of.
    lost: Option<At>,
    /// What the battery had then, as it had said.
    pub at_loss: Option<u8>,
    /// The first and the newest word on battery.
    first: Option<(u8, At)>,
    newest: Option<(u8, At)>,
    /// How long the newest loss that is over lasted, in milliseconds.
    outage_ms: Option<i64>,
    /// The newest word on mains, by the wall: older ones change nothing.
    mains_at: Option<i64>,
}

impl Powers {
    /// Every device that has said anything of charge or mains.
    pub fn devices(&self) -> impl Iterator<Item = &DeviceId> {
        self.0.keys()
    }

    pub fn see(&mut self, sight: &Sight<'_>) {
        if !matches!(sight.event, Event::Mains { .. } | Event::Battery { .. }) {
            return;
        }
        if !self.0.contains_key(sight.device) && self.0.len() >= CHARGES_MAX {
            return;
        }
        let fresh = Charge {
            since: sight.at,
            lowest: u8::MAX,
            percent: None,
            lost: None,
            at_loss: None,
            first: None,
            newest: None,
            outage_ms: None,
            mains_at: None,
        };
        let charge = self.0.entry(sight.device.clone()).or_insert(fresh);
        match sight.event {
            Event::Battery { percent: Some(percent), .. } => charge.battery(*percent, sight.at),
            Event::Mains { on } => charge.mains(*on, sight.at),
            _ => {}
        }
    }

    pub fn charge(&self, device: &DeviceId) -> Option<&Charge> {
        self.0.get(device)
    }

    /// How long the newest loss of mains lasted, in milliseconds.
    pub fn outage_ms(&self, device: &DeviceId) -> Option<i64> {
        self.charge(device)?.outage_ms
    }
}

impl Charge {
    fn battery(&mut self, percent: u8, at: At) {
        if percent >= self.lowest.saturating_add(CHARGED_PERCENT) {
            (self.since, self.lowest) = (at, percent);
            // Charged while mains was said to be away: the fall begins anew.
            self.first = None;
        }
        self.lowest = self.lowest.min(percent);
        self.percent = Some(percent);
        if self.lost.is_some() {
            self.first = self.first.or(Some((percent, at)));
            self.newest = Some((percent, at));
        }
    }

    fn mains(&mut self, on: bool, at: At) {
        if self.mains_at.is_some_and(|known_ms| at.wall_ms < known_ms) {
            return;
        }
        self.mains_at = Some(at.wall_ms);
        match (on, self.lost) {
            (true, Some(lost)) => {
                self.outage_ms = Some(at.since_ms(&lost));
                (self.lost, self.at_loss, self.first, self.newest) = (None, None, None, None);
            }
            (false, None) => (self.lost, self.at_loss) = (Some(at), self.percent),
            _ => {}
        }
    }

    /// How long the battery lasts from its newest word, in milliseconds, at the rate at which it fell on battery. None: not known.
    pub fn left_ms(&self) -> Option<i64> {
        let ((first, from), (now, to)) = (self.first?, self.newest?);
        let fell = first.checked_sub(now).filter(|fell| *fell >= DRAIN_PERCENT_MIN)?;
        let in_ms = Some(to.since_ms(&from)).filter(|ms| *ms >= DRAIN_MS_MIN)?;
        Some(in_ms / i64::from(fell) * i64::from(now))
    }
}
