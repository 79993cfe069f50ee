//! What the demo proves: what the devices were told, held against what the journal and the alarm list say.
//!
//! Enters: acknowledged identities, lines of `vaka journal export`, rows of `vaka alarm list`, the alarm centre's book.
//! Leaves: [`Summary`]. Pure. Lost: acknowledged and not in the journal, raised and never accepted, or a call that raised nothing.
//! Duplicated: one identity twice in the journal, or one cause raised twice. The alarm centre hearing one reference
//! twice is neither: that is a retransmission, which it is told apart by.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use vaka_protocol::DeviceId;

use super::desk::Identity;
use super::teller::in_words;

/// What was done and what is known of it.
#[derive(Debug, Default)]
pub struct Evidence {
    /// Events said by devices that number them.
    pub sent: usize,
    pub acked: BTreeSet<Identity>,
    pub refused: usize,
    /// Acknowledged calls for help: each must have raised an alarm or joined one.
    pub calls: BTreeSet<Identity>,
    /// Topic and payload of what a bridge published and was acknowledged for.
    pub bridged: Vec<(String, Value)>,
    /// Lines of `vaka journal export`.
    pub export: Vec<Value>,
    /// Rows of `vaka alarm list --json --all`.
    pub alarms: Vec<Value>,
    /// (controller, reference) of every alarm message that the centre took, repeats included.
    pub centre: Vec<(String, String)>,
    /// From a call to the device hearing `accepted`, while everything worked.
    pub latencies: Vec<Duration>,
    /// The same, for calls made while the centre or the gateway was away.
    pub outage_latencies: Vec<Duration>,
    pub took: Duration,
}

/// Latencies in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Latency {
    pub calls: usize,
    pub p50_ms: f64,
    pub max_ms: f64,
}

/// The figures. `lost` and `duplicated` must be 0.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    pub raised: usize,
    pub accepted: usize,
    pub lost: usize,
    pub duplicated: usize,
    pub events_sent: usize,
    pub events_acked: usize,
    pub events_stored: usize,
    pub events_refused: usize,
    /// Alarm messages that the centre got more than once, and knew for the same.
    pub retransmitted: usize,
    pub call_to_accepted: Latency,
    pub call_to_accepted_in_outage: Latency,
    pub took_ms: u64,
    /// Of a municipality alone.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub town: Option<TownFigures>,
    /// What is wrong, in words; empty if nothing.
    pub troubles: Vec<String>,
}

/// What there is to say of a hub and its homes.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TownFigures {
    pub homes: usize,
    /// Alarms of the homes that the hub has.
    pub at_hub: usize,
    /// Different alarm messages that the centre took, from the hub alone.
    pub at_centre: usize,
    /// Memory of all gateways together at the end, in KiB, and the hub's own share.
    pub memory_kib: u64,
    pub hub_memory_kib: u64,
}

impl Summary {
    pub fn is_clean(&self) -> bool {
        self.lost == 0 && self.duplicated == 0
    }
}

/// Troubles told one by one; the rest is counted.
const TROUBLES_SHOWN: usize = 8;

/// What the journal's export says, counted.
#[derive(Debug, Default)]
struct Journal {
    stored: BTreeMap<Identity, usize>,
    bridged: BTreeMap<(String, String), usize>,
    events: usize,
    /// Alarms by (device, restart, seq, cause).
    raised: BTreeMap<(Identity, String), Vec<String>>,
    /// Causes that raised or joined an alarm.
    heard: BTreeSet<(u32, u64, String)>,
}

pub fn summarise(evidence: &Evidence) -> Summary {
    let mut out = Summary {
        events_sent: evidence.sent + evidence.bridged.len(),
        events_acked: evidence.acked.len() + evidence.bridged.len(),
        events_refused: evidence.refused,
        call_to_accepted: latency(&evidence.latencies),
        call_to_accepted_in_outage: latency(&evidence.outage_latencies),
        took_ms: evidence.took.as_millis() as u64,
        ..Summary::default()
    };
    let mut troubles = Vec::new();
    let journal = read(&evidence.export);
    out.events_stored = journal.events;

    for identity in evidence.acked.iter().filter(|identity| !journal.stored.contains_key(identity)) {
        out.lost += 1;
        troubles.push(format!(
            "lost: event {} of {} was acknowledged and is not in the journal",
            identity.seq, identity.device
        ));
    }
    for (identity, count) in journal.stored.iter().filter(|(_, count)| **count > 1) {
        out.duplicated += count - 1;
        troubles
            .push(format!("duplicated: event {} of {} is in the journal {count} times", identity.seq, identity.device));
    }
    let mut published: BTreeMap<(String, String), usize> = BTreeMap::new();
    for (topic, payload) in &evidence.bridged {
        *published.entry((topic.clone(), payload.to_string())).or_default() += 1;
    }
    for (message, sent) in &published {
        let stored = journal.bridged.get(message).copied().unwrap_or(0);
        if stored < *sent {
            out.lost += sent - stored;
            troubles.push(format!(
                "lost: {} of {sent} messages on {} are not in the journal",
                sent - stored,
                message.0
            ));
        }
        if stored > *sent {
            out.duplicated += stored - sent;
            troubles.push(format!(
                "duplicated: a message on {} is in the journal {stored} times, sent {sent} times",
                message.0
            ));
        }
    }
    for call in
        evidence.calls.iter().filter(|call| !journal.heard.contains(&(call.restart, call.seq, call.device.to_string())))
    {
        out.lost += 1;
        troubles.push(format!("lost: call {} of {} raised no alarm", call.seq, call.device));
    }
    let accepted: BTreeSet<&str> =
        evidence.alarms.iter().filter(|row| was_accepted(row)).filter_map(|row| row["id"].as_str()).collect();
    for ((identity, cause), alarms) in &journal.raised {
        out.raised += 1;
        if alarms.len() > 1 {
            out.duplicated += alarms.len() - 1;
            troubles.push(format!(
                "duplicated: {cause} {} of {} was raised {} times",
                identity.seq,
                identity.device,
                alarms.len()
            ));
        }
        if alarms.iter().any(|id| accepted.contains(id.as_str())) {
            out.accepted += 1;
        } else {
            out.lost += 1;
            troubles
                .push(format!("lost: the alarm {cause} of {} was never accepted by the alarm centre", identity.device));
        }
    }
    let different: BTreeSet<_> = evidence.centre.iter().collect();
    out.retransmitted = evidence.centre.len() - different.len();
    out.troubles = shortened(troubles);
    out
}

/// The first of them, and how many more there are.
pub fn shortened(mut troubles: Vec<String>) -> Vec<String> {
    let more = troubles.len().saturating_sub(TROUBLES_SHOWN);
    troubles.truncate(TROUBLES_SHOWN);
    if more > 0 {
        troubles.push(format!("and {more} more"));
    }
    troubles
}

/// True if some notice of the alarm was accepted, whatever came after.
pub fn was_accepted(row: &Value) -> bool {
    row["rungs"].as_array().into_iter().flatten().any(|step| step["rung"] == "accepted")
}

fn read(export: &[Value]) -> Journal {
    let mut journal = Journal::default();
    let mut subject: BTreeMap<u64, DeviceId> = BTreeMap::new();
    for line in export {
        match line["kind"].as_str() {
            Some("event") => {
                journal.events += 1;
                let Some(identity) = identity(line) else { continue };
                if let Some(record) = line["record"].as_u64() {
                    subject.insert(record, identity.device.clone());
                }
                if let Some(topic) = line["via"]["topic"].as_str() {
                    *journal.bridged.entry((topic.to_string(), line["payload"].to_string())).or_default() += 1;
                } else if line["conflict"] != true {
                    *journal.stored.entry(identity).or_default() += 1;
                }
            }
            Some("decisions") => {
                let judged = line["cursor"].as_u64().and_then(|cursor| subject.get(&cursor));
                for decision in line["decisions"].as_array().into_iter().flatten() {
                    let (raise, join) = (&decision["raise"], &decision["join"]);
                    if let (Some(identity), Some(cause), Some(alarm)) =
                        (identity(raise), raise["cause"].as_str(), raise["alarm"].as_str())
                    {
                        journal.heard.insert((identity.restart, identity.seq, identity.device.to_string()));
                        journal.raised.entry((identity, cause.to_string())).or_default().push(alarm.to_string());
                    }
                    if let (Some(device), Some(restart), Some(seq)) =
                        (judged, join["restart"].as_u64(), join["seq"].as_u64())
                    {
                        journal.heard.insert((restart as u32, seq, device.to_string()));
                    }
                }
            }
            _ => {}
        }
    }
    journal
}

/// `device`, `restart` and `seq` of a JSON object.
fn identity(line: &Value) -> Option<Identity> {
    let device = DeviceId::try_from(line["device"].as_str()?).ok()?;
    Some(Identity { device, restart: u32::try_from(line["restart"].as_u64()?).ok()?, seq: line["seq"].as_u64()? })
}

pub fn latency(all: &[Duration]) -> Latency {
    let mut sorted = all.to_vec();
    sorted.sort();
    let ms = |at: Option<&Duration>| at.map_or(0.0, |d| (d.as_secs_f64() * 10_000.0).round() / 10.0);
    Latency { calls: sorted.len(), p50_ms: ms(sorted.get(sorted.len() / 2)), max_ms: ms(sorted.last()) }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |ms: f64| in_words(Duration::from_secs_f64(ms / 1_000.0));
        let calls = |latency: &Latency| match latency.calls {
            0 => "–".to_string(),
            calls => format!("p50 {}, longest {} ({calls} calls)", time(latency.p50_ms), time(latency.max_ms)),
        };
        match &self.town {
            None => {
                writeln!(f, "  alarms raised      {:>6}", self.raised)?;
                writeln!(f, "  accepted           {:>6}   by the alarm centre", self.accepted)?;
            }
            Some(town) => {
                let (homes, at_hub) = (town.homes, town.at_hub);
                let own = self.raised.saturating_sub(at_hub);
                writeln!(f, "  homes              {homes:>6}")?;
                write!(
                    f,
                    "  alarms raised      {:>6}   {at_hub} in the homes, each of them at the hub too",
                    self.raised
                )?;
                writeln!(f, "{}", if own > 0 { format!("; {own} by the hub itself") } else { String::new() })?;
                writeln!(f, "  accepted           {:>6}   by the alarm centre, through the hub", self.accepted)?;
            }
        }
        writeln!(f, "  lost               {:>6}", self.lost)?;
        writeln!(
            f,
            "  duplicated         {:>6}   (sent again and recognised as the same: {})",
            self.duplicated, self.retransmitted
        )?;
        writeln!(
            f,
            "  events             {:>6} sent, {} acknowledged, {} in the journal, {} refused",
            self.events_sent, self.events_acked, self.events_stored, self.events_refused
        )?;
        writeln!(f, "  call to accepted   {}", calls(&self.call_to_accepted))?;
        if self.call_to_accepted_in_outage.calls > 0 {
            writeln!(f, "  … during outages   {}", calls(&self.call_to_accepted_in_outage))?;
        }
        if let Some(town) = &self.town {
            let mib = |kib: u64| kib as f64 / 1_024.0;
            writeln!(
                f,
                "  memory             {:>6.0} MiB, all {} gateways; the hub {:.0} MiB of it",
                mib(town.memory_kib),
                town.homes + 1,
                mib(town.hub_memory_kib)
            )?;
        }
        write!(f, "  all of it took     {}", in_words(Duration::from_millis(self.took_ms)))?;
        for trouble in &self.troubles {
            write!(f, "\n  ! {trouble}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn identity(seq: u64) -> Identity {
        Identity { device: DeviceId::try_from("p1").expect("an id"), restart: 1, seq }
    }

    fn event(record: u64, seq: u64) -> Value {
        json!({"record": record, "kind": "event", "device": "p1", "enrolment": 1, "restart": 1, "seq": seq, "event": {"button": {"press": "short"}}})
    }

    fn raise(record: u64, seq: u64, alarm: &str) -> Value {
        json!({"record": record, "kind": "decisions", "cursor": record - 1, "decisions": [
            {"raise": {"alarm": alarm, "device": "p1", "restart": 1, "seq": seq, "cause": "button"}}]})
    }

    fn row(alarm: &str, rung: &str) -> Value {
        json!({"id": alarm, "rung": rung, "rungs": [{"rung": "stored"}, {"rung": rung}]})
    }

    fn whole() -> Evidence {
        Evidence {
            sent: 2,
            acked: [identity(1), identity(2)].into(),
            calls: [identity(1), identity(2)].into(),
            export: vec![
                event(2, 1),
                raise(3, 1, "a1"),
                event(4, 2),
                json!({"record": 5, "kind": "decisions", "cursor": 4, "decisions": [{"join": {"alarm": "a1", "what": "again", "restart": 1, "seq": 2}}]}),
            ],
            alarms: vec![row("a1", "accepted")],
            centre: vec![("1".into(), "r0".into()), ("1".into(), "r1".into()), ("1".into(), "r1".into())],
            latencies: [3, 1, 9].map(Duration::from_millis).into(),
            ..Evidence::default()
        }
    }

    #[test]
    fn all_well() {
        let summary = summarise(&whole());
        assert_eq!(
            (summary.raised, summary.accepted, summary.lost, summary.duplicated),
            (1, 1, 0, 0),
            "{:?}",
            summary.troubles
        );
        assert_eq!((summary.events_stored, summary.retransmitted), (2, 1));
        assert_eq!(summary.call_to_accepted, Latency { calls: 3, p50_ms: 3.0, max_ms: 9.0 });
        assert!(summary.is_clean() && summary.troubles.is_empty());
    }

    #[test]
    fn what_was_acknowledged_and_is_not_there_is_lost() {
        let mut evidence = whole();
        evidence.acked.insert(identity(3));
        assert_eq!(summarise(&evidence).lost, 1);
    }

    #[test]
    fn an_alarm_that_nobody_accepted_is_lost_and_one_that_was_claimed_after_is_not() {
        let mut evidence = whole();
        evidence.alarms = vec![row("a1", "received")];
        assert_eq!(summarise(&evidence).lost, 1);
        evidence.alarms = vec![
            json!({"id": "a1", "rung": "closed", "rungs": [{"rung": "accepted"}, {"rung": "claimed"}, {"rung": "closed"}]}),
        ];
        assert!(summarise(&evidence).is_clean());
    }

    #[test]
    fn a_call_without_an_alarm_is_lost() {
        let mut evidence = whole();
        evidence.export.remove(1);
        let summary = summarise(&evidence);
        assert_eq!((summary.lost, summary.raised), (1, 0), "{:?}", summary.troubles);
    }

    #[test]
    fn an_identity_or_an_alarm_twice_is_duplicated() {
        let mut evidence = whole();
        evidence.export.push(event(6, 1));
        evidence.export.push(raise(7, 1, "a1"));
        assert_eq!(summarise(&evidence).duplicated, 2);
    }

    #[test]
    fn a_bridges_messages_are_counted_one_by_one() {
        let mut evidence = whole();
        let message = ("z/hall".to_string(), json!({"contact": true}));
        let stored = json!({"record": 9, "kind": "event", "device": "hall", "restart": 0, "seq": 1, "assigned": true,
            "via": {"bridge": "z", "topic": "z/hall"}, "payload": {"contact": true}});
        evidence.bridged = vec![message.clone(), message];
        evidence.export.push(stored.clone());
        assert_eq!(summarise(&evidence).lost, 1);
        evidence.export.extend([stored.clone(), stored]);
        assert_eq!((summarise(&evidence).lost, summarise(&evidence).duplicated), (0, 1));
    }
}
