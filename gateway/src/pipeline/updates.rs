//! The keeper's side of an update: the test alarm by which a program proves itself, and what goes on that an update waits for.
//!
//! Enters: a question of `update`. Leaves: an alarm in the lane `test`, as a trigger's would be, and a [`Scene`]. Invariant: the gateway
//! ends no alarm but this test of its own.

use vaka_protocol::{AlarmId, Lane, Rung};
use vaka_update::policy::{LifeAlarm, Scene};

use super::keeper::Keeper;
use crate::clock::Confidence;
use crate::journal::record::{Decision, Decisions, Raise, Record};
use crate::limits::ASSIGNED_RESTART;
use crate::rules::alarms::Alarm;
use crate::rules::{alarm_id, gateway_part};

/// Name of the rule, and who ends the test.
pub const NAME: &str = "update";
const VERSION: u16 = 1;
/// SCAIP: device type of the gateway's own parts, status code of a test.
const LOCAL_UNIT: u16 = 2;
const TEST: u16 = 102;

impl Keeper {
    /// Raises a test alarm of its own: it goes the way of every other, through the journal to a receiver.
    pub(super) fn prove(&mut self, version: &str) -> AlarmId {
        let now = self.clock.now();
        // Another each time: the number of a record is used once.
        let number = self.restored.journal.stat().next_seq.to_string();
        let alarm = alarm_id(NAME, &[version, &number]);
        let Some(device) = gateway_part(NAME) else { return alarm };
        let raise = Raise {
            alarm: alarm.clone(),
            lane: Lane::Test,
            rule: NAME.to_owned(),
            rule_version: VERSION,
            device,
            restart: ASSIGNED_RESTART,
            seq: 0,
            cause: format!("version {version}"),
            dty: LOCAL_UNIT,
            stc: TEST,
            happened_at: now.wall_ms,
            delayed: false,
            clock_suspect: now.confidence == Confidence::Floor,
            sv: format!("Prov av gatewayens program {version}. Ingen behöver göra något."),
            en: format!("Test of the gateway's program {version}. Nobody has to do anything."),
            basis: None,
            home: None,
            whereabouts: None,
        };
        let decisions = vec![Decision::Raise(Box::new(raise))];
        self.append(Record::Decisions(Decisions { cursor: 0, decisions }), Lane::Test);
        alarm
    }

    /// A receiver has this test as far as it can prove. `None`: there is no such alarm.
    pub fn is_accepted(&self, alarm: &AlarmId) -> Option<bool> {
        self.restored.state.alarms.get(alarm).map(is_settled)
    }

    /// Open tests of programs, such as one that did not get through.
    pub fn own_tests(&self) -> Vec<AlarmId> {
        let is_own = |alarm: &&Alarm| alarm.raise.rule == NAME && alarm.raise.lane == Lane::Test;
        self.restored.state.alarms.open().filter(is_own).map(|alarm| alarm.id().clone()).collect()
    }

    /// What goes on in the home. `is_provable`: somebody gets test alarms.
    pub fn scene(&self, is_provable: bool) -> Scene {
        let state = &self.restored.state;
        let (now, agreed) = (self.moment(), self.agreed());
        let life = state.alarms.open().filter(|alarm| alarm.raise.lane == Lane::Life).map(|alarm| LifeAlarm {
            settled: is_settled(alarm),
            newest_ms: alarm.notices.iter().map(|notice| notice.happened_at).fold(alarm.raised_at, i64::max),
        });
        let mut nights = agreed.people.iter().filter_map(|person| person.night.as_ref());
        Scene {
            life: life.collect(),
            visit: state.visits.open.is_some(),
            look: state.care.look.open().any(|(_, seen)| !seen.is_over(now)),
            night: nights.any(|night| night.window.around(&agreed.zone, now.wall_ms).contains(now.wall_ms)),
            disk_is_short: !self.room.refused.is_empty(),
            is_provable,
        }
    }
}

fn is_settled(alarm: &Alarm) -> bool {
    alarm.is_claimed() || alarm.notices.iter().all(|notice| notice.handed_over || notice.rung >= Rung::Accepted)
}
