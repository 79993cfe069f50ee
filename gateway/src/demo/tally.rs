//! What a municipality's demo proves: every home's word held against the hub's, and the hub's against the alarm centre's.
//!
//! Enters: evidence of each home and of the hub, as their own `vaka journal export` and `vaka alarm list` give it, and the
//! centre's book. Leaves: [`Summary`]. Pure. Lost: what a home alone would call lost; an alarm of a home that the hub has
//! not, or not as often; an alarm that the centre has not. Duplicated: what a gateway alone would call so; an alarm of a home
//! that is two at the hub.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use vaka_protocol::{AlarmId, DeviceId};

use super::summary::{self, Evidence, Summary, TownFigures, was_accepted};
use crate::dispatch;

/// Everything that was said, told and written.
#[derive(Debug, Default)]
pub struct TownEvidence {
    /// By home: what its devices were acknowledged for, its journal, its alarms.
    pub homes: BTreeMap<DeviceId, Evidence>,
    /// The hub's journal and alarms, and the centre's book.
    pub hub: Evidence,
    pub latencies: Vec<Duration>,
    pub outage_latencies: Vec<Duration>,
    pub memory_kib: u64,
    pub hub_memory_kib: u64,
    pub took: Duration,
}

/// An alarm that the hub has raised, its own or a home's.
struct Raised {
    alarm: AlarmId,
    /// Home, its id there, and the controller that the centre knows it by.
    home: Option<(DeviceId, String, String)>,
}

pub fn tally(evidence: &TownEvidence) -> Summary {
    let hub = summary::summarise(&evidence.hub);
    let raised = raised(&evidence.hub.export);
    let accepted = ids(&evidence.hub.alarms, was_accepted);
    let own: BTreeSet<&str> = raised.iter().filter(|raised| raised.home.is_none()).map(|r| r.alarm.as_ref()).collect();
    let mut told: BTreeMap<(&DeviceId, &str), Vec<&AlarmId>> = BTreeMap::new();
    for (alarm, (home, there, _)) in raised.iter().filter_map(|raised| Some((&raised.alarm, raised.home.as_ref()?))) {
        told.entry((home, there)).or_default().push(alarm);
    }
    let taken: BTreeSet<(&str, &str)> = evidence.hub.centre.iter().map(|(cid, r)| (cid.as_str(), r.as_str())).collect();
    let mut out = Summary {
        raised: own.len(),
        accepted: own.iter().filter(|alarm| accepted.contains(**alarm)).count(),
        lost: hub.lost,
        duplicated: hub.duplicated,
        retransmitted: hub.retransmitted,
        call_to_accepted: summary::latency(&evidence.latencies),
        call_to_accepted_in_outage: summary::latency(&evidence.outage_latencies),
        took_ms: evidence.took.as_millis() as u64,
        town: Some(TownFigures {
            homes: evidence.homes.len(),
            at_hub: told.len(),
            at_centre: taken.len(),
            memory_kib: evidence.memory_kib,
            hub_memory_kib: evidence.hub_memory_kib,
        }),
        ..Summary::default()
    };
    let mut troubles: Vec<String> = hub.troubles.iter().map(|trouble| format!("hub: {trouble}")).collect();
    for (home, evidence_there) in &evidence.homes {
        let there = summary::summarise(evidence_there);
        out.raised += there.raised;
        out.accepted += there.accepted;
        out.lost += there.lost;
        out.duplicated += there.duplicated;
        out.events_sent += there.events_sent;
        out.events_acked += there.events_acked;
        out.events_stored += there.events_stored;
        out.events_refused += there.events_refused;
        troubles.extend(there.troubles.iter().map(|trouble| format!("{home}: {trouble}")));
        for alarm in &evidence_there.alarms {
            let Some(id) = alarm["id"].as_str() else { continue };
            let Some(at_hub) = told.get(&(home, id)) else {
                out.lost += 1;
                troubles.push(format!("lost: the hub never had {home}'s alarm {} {id}", alarm["cause"]));
                continue;
            };
            if at_hub.len() > 1 {
                out.duplicated += at_hub.len() - 1;
                troubles.push(format!("duplicated: {home}'s alarm {id} is {} alarms at the hub", at_hub.len()));
            }
            let times = |row: &Value| row["count"].as_u64().unwrap_or(0);
            let row = evidence.hub.alarms.iter().find(|row| row["id"] == at_hub[0].as_ref());
            let (here, there) = (row.map_or(0, times), times(alarm));
            if here < there {
                out.lost += (there - here) as usize;
                troubles.push(format!("lost: {home}'s alarm {id} came {there} times, the hub knows of {here}"));
            }
            if here > there {
                out.duplicated += (here - there) as usize;
                troubles.push(format!("duplicated: {home}'s alarm {id} came {there} times, the hub counts {here}"));
            }
        }
    }
    for (alarm, (home, there, cid)) in raised.iter().filter_map(|raised| Some((&raised.alarm, raised.home.as_ref()?))) {
        let first = dispatch::reference(alarm, 0);
        if !taken.contains(&(cid.as_str(), first.as_str())) {
            out.lost += 1;
            troubles.push(format!("lost: the alarm centre never had {home}'s alarm {there} under its number {cid}"));
        }
    }
    out.troubles = summary::shortened(troubles);
    out
}

fn ids(rows: &[Value], fits: impl Fn(&Value) -> bool) -> BTreeSet<&str> {
    rows.iter().filter(|row| fits(row)).filter_map(|row| row["id"].as_str()).collect()
}

/// Every raise in the hub's journal, in its order.
fn raised(export: &[Value]) -> Vec<Raised> {
    let decisions = export.iter().filter(|line| line["kind"] == "decisions");
    let all = decisions.flat_map(|line| line["decisions"].as_array().into_iter().flatten());
    all.filter_map(|decision| {
        let raise = &decision["raise"];
        let home = &raise["home"];
        let of_home = || {
            let cid = home["controller_id"].as_str().unwrap_or_default();
            let device = DeviceId::try_from(raise["device"].as_str()?).ok()?;
            Some((device, home["alarm"].as_str()?.to_owned(), cid.to_owned()))
        };
        Some(Raised { alarm: AlarmId::try_from(raise["alarm"].as_str()?).ok()?, home: of_home() })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::desk::Identity;
    use super::*;

    fn id(text: &str) -> DeviceId {
        DeviceId::try_from(text).expect("an id")
    }

    fn rungs() -> Value {
        json!([{"rung": "stored"}, {"rung": "accepted"}])
    }

    /// One press in one home, that went all the way.
    fn whole() -> TownEvidence {
        let call = Identity { device: id("pendant-01"), restart: 1, seq: 1 };
        let home = Evidence {
            sent: 1,
            acked: [call.clone()].into(),
            calls: [call].into(),
            export: vec![
                json!({"record": 2, "kind": "event", "device": "pendant-01", "restart": 1, "seq": 1}),
                json!({"record": 3, "kind": "decisions", "cursor": 2, "decisions": [
                    {"raise": {"alarm": "a1", "device": "pendant-01", "restart": 1, "seq": 1, "cause": "button"}}]}),
            ],
            alarms: vec![json!({"id": "a1", "cause": "button", "count": 1, "rung": "accepted", "rungs": rungs()})],
            ..Evidence::default()
        };
        let hub = Evidence {
            export: vec![
                json!({"record": 2, "kind": "event", "device": "home-01", "restart": 0, "seq": 77}),
                json!({"record": 3, "kind": "decisions", "cursor": 2, "decisions": [
                    {"raise": {"alarm": "b1", "device": "home-01", "restart": 0, "seq": 77, "cause": "button",
                        "home": {"alarm": "a1", "number": 0, "count": 1, "controller_id": "46700001"}}}]}),
            ],
            alarms: vec![json!({"id": "b1", "cause": "button", "count": 1, "rung": "accepted", "rungs": rungs()})],
            centre: vec![("46700001".into(), dispatch::reference(&AlarmId::try_from("b1").expect("an id"), 0))],
            ..Evidence::default()
        };
        TownEvidence { homes: [(id("home-01"), home)].into(), hub, ..TownEvidence::default() }
    }

    fn wrong(evidence: &TownEvidence) -> (usize, usize) {
        let summary = tally(evidence);
        (summary.lost, summary.duplicated)
    }

    #[test]
    fn an_alarm_at_home_hub_and_centre_is_one() {
        let summary = tally(&whole());
        assert_eq!((summary.raised, summary.accepted, wrong(&whole())), (1, 1, (0, 0)), "{:?}", summary.troubles);
        let town = summary.town.expect("figures of the town");
        assert_eq!((town.homes, town.at_hub, town.at_centre), (1, 1, 1));
    }

    #[test]
    fn what_the_hub_never_had_is_lost() {
        let mut evidence = whole();
        evidence.hub = Evidence::default();
        assert_eq!(wrong(&evidence), (1, 0));
    }

    #[test]
    fn what_the_centre_never_had_or_under_another_number_is_lost() {
        let mut evidence = whole();
        evidence.hub.centre[0].0 = "10149471".into();
        assert_eq!(wrong(&evidence), (1, 0));
    }

    #[test]
    fn presses_are_counted_on_both_sides() {
        let mut evidence = whole();
        evidence.homes.values_mut().for_each(|home| home.alarms[0]["count"] = 3.into());
        assert_eq!(wrong(&evidence), (2, 0));
        evidence.hub.alarms[0]["count"] = 4.into();
        assert_eq!(wrong(&evidence), (0, 1));
    }

    #[test]
    fn one_alarm_of_a_home_that_is_two_at_the_hub_is_duplicated() {
        let mut evidence = whole();
        let mut again = evidence.hub.export[1].clone();
        again["decisions"][0]["raise"]["alarm"] = "b2".into();
        again["decisions"][0]["raise"]["seq"] = 78.into();
        evidence.hub.export.push(again);
        let reference = dispatch::reference(&AlarmId::try_from("b2").expect("an id"), 0);
        evidence.hub.centre.push(("46700001".into(), reference));
        evidence.hub.alarms.push(json!({"id": "b2", "count": 1, "rung": "accepted", "rungs": rungs()}));
        assert_eq!(wrong(&evidence), (0, 1));
    }

    #[test]
    fn the_hubs_own_alarms_count_once() {
        let mut evidence = whole();
        evidence.hub.export.push(json!({"record": 5, "kind": "decisions", "cursor": 4, "decisions": [
            {"raise": {"alarm": "b9", "device": "larmcentral", "restart": 0, "seq": 4, "cause": "path"}}]}));
        let summary = tally(&evidence);
        assert_eq!((summary.raised, summary.accepted, summary.lost), (2, 1, 1), "nobody accepted it");
        evidence.hub.alarms.push(json!({"id": "b9", "rung": "accepted", "rungs": rungs()}));
        let summary = tally(&evidence);
        assert_eq!((summary.raised, summary.accepted, summary.lost), (2, 2, 0));
    }
}
