//! What of an alarm's way is over, as spans.
//!
//! `alarm`: from what happened until the first receiver accepted it. Under it `store`: until the decision was on the disk; `dispatch`, for each
//! receiver and path: from sent until accepted; `claim`: from accepted until a person took it; `care`: until it was closed. A home's alarm
//! has one trace id there and at its hub: it is made of the home's and the alarm's ids.

use ring::digest::{SHA256, digest};
use vaka_protocol::Rung;

use crate::rules::alarms::{Alarm, Step};

pub type SpanId = [u8; 8];

/// A span that is over.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    pub trace: [u8; 16],
    pub id: SpanId,
    pub parent: Option<SpanId>,
    pub name: &'static str,
    /// UTC milliseconds.
    pub start_ms: i64,
    /// UTC milliseconds, never before the start.
    pub end_ms: i64,
    /// Keys as METRICS.md lists them.
    pub attributes: Vec<(&'static str, String)>,
    /// Moments within it: UTC milliseconds.
    pub events: Vec<(i64, &'static str)>,
}

fn first_bytes<const N: usize>(of: &[&str]) -> [u8; N] {
    // Parts are kept apart: no two lists give the same text.
    let text = of.join("\n");
    let whole = digest(&SHA256, text.as_bytes());
    let mut bytes = [0; N];
    bytes.copy_from_slice(&whole.as_ref()[..N]);
    bytes
}

/// `gateway`: our own id. Empty until somebody has accepted it: before, nothing is over.
pub fn of(gateway: &str, alarm: &Alarm) -> Vec<Span> {
    let raise = &alarm.raise;
    let whose = match &raise.home {
        Some(home) => (raise.device.to_string(), home.alarm.to_string()),
        None => (gateway.to_owned(), alarm.id().to_string()),
    };
    let reached = |rung: Rung| alarm.steps.iter().filter(move |step| step.rung == rung);
    let Some(accepted_ms) = reached(Rung::Accepted).map(|step| step.at).min() else { return Vec::new() };
    let trace = first_bytes(&["vaka alarm", &whose.0, &whose.1]);
    let span = |name: &'static str, more: [&str; 2], start_ms: i64, end_ms: i64| Span {
        trace,
        id: first_bytes(&["vaka span", gateway, &whose.0, &whose.1, name, more[0], more[1]]),
        parent: None,
        name,
        start_ms: start_ms.min(end_ms),
        end_ms,
        attributes: Vec::new(),
        events: Vec::new(),
    };
    let root = Span {
        attributes: vec![
            ("vaka.alarm.id", alarm.id().to_string()),
            ("vaka.alarm.lane", raise.lane.as_str().to_owned()),
            ("vaka.alarm.rule", raise.rule.clone()),
        ],
        ..span("alarm", ["", ""], raise.happened_at, accepted_ms)
    };
    let parent = Some(root.id);
    let mut spans = vec![Span { parent, ..span("store", ["", ""], raise.happened_at, alarm.raised_at) }];
    for accepted in reached(Rung::Accepted).filter(|step| step.notice == 0) {
        let same = |step: &&Step| (&step.receiver, &step.path, step.notice) == (&accepted.receiver, &accepted.path, 0);
        let Some(sent) = reached(Rung::Sent).find(same) else { continue };
        let more = [accepted.receiver.as_str(), accepted.path.as_str()];
        spans.push(Span {
            parent,
            attributes: vec![("vaka.receiver", accepted.receiver.clone()), ("vaka.path", accepted.path.clone())],
            events: reached(Rung::Received).filter(same).map(|step| (step.at, "received")).collect(),
            ..span("dispatch", more, sent.at, accepted.at)
        });
    }
    let claimed_ms = reached(Rung::Claimed).map(|step| step.at).min();
    let closed_ms = reached(Rung::Closed).map(|step| step.at).min();
    spans.extend(claimed_ms.map(|at| Span { parent, ..span("claim", ["", ""], accepted_ms, at) }));
    spans.extend(closed_ms.map(|at| Span { parent, ..span("care", ["", ""], claimed_ms.unwrap_or(accepted_ms), at) }));
    spans.push(root);
    spans
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn step(rung: &str, at: i64, receiver: &str) -> Value {
        json!({"rung": rung, "at": at, "notice": 0, "receiver": receiver, "path": "fibre"})
    }

    fn alarm(device: &str, home: Option<&str>, steps: &[Value]) -> Alarm {
        let home = home.map(|alarm| json!({"alarm": alarm, "number": 0, "resident": "astrid", "count": 1}));
        let raise = json!({
            "alarm": "k3f9x2", "lane": "life", "rule": "events", "rule_version": 1, "device": device, "restart": 1, "seq": 1, "cause": "button",
            "dty": 3, "stc": 10, "happened_at": 1_000, "sv": "Larmknapp hos astrid", "en": "Button of astrid", "home": home,
        });
        let alarm = json!({
            "raise": raise, "raised_at": 1_005, "count": 1, "notices": [], "steps": steps, "claimed_by": null, "closed_by": null, "note": "",
            "cancelled": false, "over": false,
        });
        serde_json::from_value(alarm).expect("an alarm")
    }

    fn told(spans: &[Span]) -> Vec<(&'static str, i64, i64)> {
        spans.iter().map(|span| (span.name, span.start_ms, span.end_ms)).collect()
    }

    #[test]
    fn nothing_is_over_before_somebody_has_accepted_it_and_then_each_part_once() {
        let mut steps =
            vec![step("sent", 1_010, "centre"), step("sent", 1_011, "other"), step("received", 1_020, "centre")];
        assert_eq!(of("gw-1", &alarm("p1", None, &steps)), []);
        steps.push(step("accepted", 1_030, "centre"));
        let accepted = of("gw-1", &alarm("p1", None, &steps));
        assert_eq!(told(&accepted), [("store", 1_000, 1_005), ("dispatch", 1_010, 1_030), ("alarm", 1_000, 1_030)]);
        let root = accepted.last().expect("the alarm");
        assert!(accepted.iter().all(|span| span.trace == root.trace));
        assert!(accepted[..2].iter().all(|span| span.parent == Some(root.id)) && root.parent.is_none());
        assert_eq!(accepted[1].events, [(1_020, "received")]);
        steps.extend([step("claimed", 1_500, ""), step("closed", 9_000, "")]);
        let closed = of("gw-1", &alarm("p1", None, &steps));
        assert_eq!(told(&closed)[2..4], [("claim", 1_030, 1_500), ("care", 1_500, 9_000)]);
        // What was told stays the same span: it is told once.
        assert!(accepted.iter().all(|span| closed.contains(span)));
        let ids: std::collections::BTreeSet<_> = closed.iter().map(|span| span.id).collect();
        assert_eq!(ids.len(), closed.len());
    }

    #[test]
    fn a_homes_alarm_is_one_trace_there_and_at_its_hub_and_nobody_is_named() {
        let steps = [step("sent", 1_010, "centre"), step("accepted", 1_030, "centre")];
        let there = of("gw-7", &alarm("p1", None, &steps));
        let here = of("hub-1", &alarm("gw-7", Some("k3f9x2"), &steps));
        let another = of("gw-8", &alarm("p1", None, &steps));
        assert_eq!(there[0].trace, here[0].trace);
        assert!(there.iter().all(|span| here.iter().all(|other| other.id != span.id)));
        assert_ne!(there[0].trace, another[0].trace);
        let said = format!("{there:?} {here:?}");
        assert!(!said.contains("astrid") && !said.contains("p1\"") && said.contains("life"), "{said}");
    }
}
