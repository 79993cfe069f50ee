//! How this gateway is, told to its hubs: its open technical faults, as a number and in plain words.
//!
//! Enters: that a technical alarm has changed, and the monotonic time. Leaves: parcels, a newer one in place of an older.
//! Invariants: told at every start, after every change, and at least every [`HEALTH_INTERVAL_MS`]; a hub that hears the technical alarms
//! themselves is told in the lane `telemetry`, as state to be shown, so that nothing is an alarm there twice. In memory alone:
//! what was not told before a restart is told after it.

use vaka_protocol::Lane;

use super::keeper::Keeper;
use crate::dispatch::{HealthWord, Parcel, ParcelId, ParcelWhat};
use crate::limits::{HEALTH_INTERVAL_MS, HEALTH_PAUSE_MS};
use crate::rules::Home;
use crate::rules::alarms::Alarms;

#[derive(Debug, Default)]
pub struct Health {
    /// When it was told last, monotonic milliseconds, and of which change.
    told: Option<(u64, u64)>,
    /// Counts the tellings.
    number: u64,
}

impl Health {
    /// Milliseconds until it has to be told, where `changes` are the technical alarms' now.
    fn wait_ms(&self, changes: u64, mono_ms: u64) -> u64 {
        let Some((at_ms, of)) = self.told else { return 0 };
        let pause_ms = if of == changes { HEALTH_INTERVAL_MS } else { HEALTH_PAUSE_MS };
        (at_ms + pause_ms).saturating_sub(mono_ms)
    }
}

/// The open technical faults, but for those that homes have told us of.
fn word(alarms: &Alarms, home: &Home, at: i64) -> HealthWord {
    let is_fault = |alarm: &&crate::rules::alarms::Alarm| {
        alarm.raise.lane == Lane::Technical && !alarm.over && alarm.raise.home.is_none()
    };
    let mut faults: Vec<_> = alarms.open().filter(is_fault).collect();
    faults.sort_by_key(|alarm| -alarm.raised_at);
    let said = |alarm: &&crate::rules::alarms::Alarm| {
        let words = if home.english { &alarm.raise.en } else { &alarm.raise.sv };
        format!("{}: {words}", alarm.raise.device)
    };
    HealthWord {
        faults: u32::try_from(faults.len()).unwrap_or(u32::MAX),
        text: faults.iter().map(said).collect::<Vec<_>>().join(" "),
        lane: Lane::Technical,
        at,
    }
}

impl Keeper {
    /// Milliseconds until the hubs have to be told; `None`: there is no hub.
    pub(super) fn health_wait_ms(&self) -> Option<u64> {
        let has_hub = self.dispatcher.is_some() && self.home.hubs.values().any(|hubs| !hubs.is_empty());
        let changes = self.restored.state.alarms.technical_changes();
        has_hub.then(|| self.health.wait_ms(changes, self.clock.now().mono_ms))
    }

    pub(super) fn tell_health(&mut self) {
        if self.health_wait_ms() != Some(0) {
            return;
        }
        let now = self.clock.now();
        let alarms = &self.restored.state.alarms;
        self.health.told = Some((now.mono_ms, alarms.technical_changes()));
        self.health.number += 1;
        let word = word(alarms, &self.home, now.wall_ms);
        let mut hubs: Vec<&String> = self.home.hubs.values().flatten().collect();
        hubs.sort_unstable();
        hubs.dedup();
        for receiver in hubs {
            let hears_alarms = self.home.hubs.get(&Lane::Technical).is_some_and(|hubs| hubs.contains(receiver));
            let lane = if hears_alarms { Lane::Telemetry } else { Lane::Technical };
            let what = ParcelWhat::Health(HealthWord { lane, ..word.clone() });
            let parcel = Parcel { receiver: receiver.clone(), id: ParcelId::Health(self.health.number), what };
            self.dispatcher.iter().for_each(|dispatcher| dispatcher.pass(parcel.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_at_the_start_after_a_change_and_at_least_every_interval() {
        let mut health = Health::default();
        assert_eq!(health.wait_ms(7, 5), 0);
        health.told = Some((5, 7));
        assert_eq!(health.wait_ms(7, 5), HEALTH_INTERVAL_MS);
        assert_eq!(health.wait_ms(8, 5), HEALTH_PAUSE_MS, "what changes often is not told each time");
        assert_eq!((health.wait_ms(8, 5 + HEALTH_PAUSE_MS), health.wait_ms(7, 5 + HEALTH_INTERVAL_MS)), (0, 0));
    }
}
