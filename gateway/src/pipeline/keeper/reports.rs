//! What dispatch reports of alarms on their way, and of the ways.
//!
//! Enters: reports. Leaves: records with what the rules decide on them; nobody reports twice, so they are kept until the commit.

use tracing::{error, info};
use vaka_protocol::{Lane, Rung};

use super::Keeper;
use crate::dispatch::Report;
use crate::journal::record::{Act, ActWhat, Fault, Nobody, PathRecord, Record, RungRecord};
use crate::pipeline::measures;
use crate::rules::alarms::Alarm;

impl Keeper {
    pub(super) fn take_report(&mut self, report: Report) {
        match report {
            Report::Rung { alarm, notice, rung, receiver, path, detail, last } => {
                let Some(known) = self.restored.state.alarms.get(&alarm) else { return };
                let lane = known.raise.lane;
                if known.notice(notice).is_some_and(|known| known.rung < rung) {
                    let after_ms = self.clock.now().wall_ms.saturating_sub(measures::stored_at(known, notice));
                    self.meters.climbed(lane, rung, after_ms);
                }
                if rung == Rung::Accepted {
                    info!(alarm.id = %alarm, alarm.lane = lane.as_str(), receiver = %receiver, "alarm accepted");
                }
                self.append_unrepeatable(
                    Record::Rung(RungRecord { alarm, notice, rung, receiver, path, detail, last }),
                    lane,
                );
            }
            Report::Person { alarm, notice, act, by } => {
                let known = self.restored.state.alarms.get(&alarm);
                // Pressed again meanwhile, not yet told there: that call has nobody, and the act was not of it.
                if known.is_some_and(|known| known.notices.iter().any(|later| later.number > notice)) {
                    info!(alarm.id = %alarm, by, "a person's act of an earlier call; a later one is on its way");
                    return;
                }
                // Said again by the receiver, or claimed here meanwhile: nothing new.
                let is_claimed = act == ActWhat::Claim && known.is_some_and(Alarm::is_claimed);
                let act = Act::new(alarm, act, by, String::new());
                if !is_claimed && let Ok(lane) = self.check_act(&act) {
                    let alarm = act.alarm.clone();
                    self.count_act(&act, lane);
                    self.append_unrepeatable(Record::Act(self.with_hubs(act, lane)), lane);
                    self.stir(&alarm);
                }
            }
            Report::Path { receiver, path, up, detail } => {
                self.append_unrepeatable(Record::Path(PathRecord { receiver, path, up, detail }), Lane::Technical);
            }
            Report::Parcel { receiver, id } => self.parcel_taken(receiver, id),
            Report::Order { receiver, id, expires_at, command } => {
                self.take_hubs_order(receiver, id, expires_at, *command)
            }
            Report::Room { lane } => self.owe_lane(lane),
            Report::Nobody { alarm, notice, lane } => {
                let record = Record::Nobody(Nobody { alarm, notice });
                self.append_unrepeatable(record, lane);
            }
            Report::Certificate { receiver, ended } => {
                let ended_at = ended.and_then(|s| jiff::Timestamp::from_second(s).ok());
                let detail = ended_at.map(|at| format!("ended {at}; its key is the pinned one: have it renewed"));
                let fault = format!("certificate-{receiver}");
                let told = self.restored.state.fault_is_active(&fault);
                if told != ended.is_some() {
                    let detail = detail.unwrap_or_default();
                    let fault = Fault { fault, device: None, detail, active: ended.is_some() };
                    self.append_unrepeatable(Record::Fault(fault), Lane::Technical);
                }
            }
            // Owed all the same; `check-config` and the start say so too.
            Report::Unserved { alarm, notice, lane, detail } => {
                error!(alarm.id = %alarm, alarm.lane = lane.as_str(), alarm.notice = notice, "nobody is told: {detail}");
            }
        }
    }
}
