//! One publish becomes one submission, or is turned away.
//!
//! Enters: topic and payload from a device whose certificate is known. Leaves: what the journal shall hold, and what
//! the device hears once it does. A device may use its own topics; a bridge its maker's too.

use serde_bytes::ByteBuf;
use vaka_protocol::{Event, Lane, topic};

use super::adapter::zigbee2mqtt;
use super::payload::{self, Parsed, Unreadable};
use super::roster::{Peer, Roster};
use super::{PublishReason, Submission, What};
use crate::journal::record::{Quarantine, Via};
use crate::limits::{EVENT_BYTES_MAX, QUARANTINE_BYTES_MAX};

/// A submission, and the answer it earns once it is on the disk.
pub struct Admitted {
    pub submission: Submission,
    pub reason: PublishReason,
}

/// Reads a publish of `peer`. Never fails: what is wrong is kept in quarantine.
///
/// `has_ended`: the device's certificate has. Then only a call for help is taken, and marked.
pub fn admit(peer: &Peer, roster: &Roster, topic: &str, payload: Vec<u8>, has_ended: bool) -> Admitted {
    let mut admitted = read(peer, roster, topic, payload);
    let is_call = matches!(admitted.submission.what, What::Event { .. }) && admitted.submission.lane == Lane::Life;
    if has_ended && !is_call {
        admitted.submission.what = What::Ended;
        admitted.reason = PublishReason::NotAuthorized;
    }
    admitted.submission.has_ended = has_ended;
    admitted.submission.for_many = roster.many.contains(&peer.device);
    admitted
}

fn read(peer: &Peer, roster: &Roster, topic: &str, payload: Vec<u8>) -> Admitted {
    let bridge = roster.devices.get(&peer.device).is_some_and(|listed| listed.bridge);
    match topic::parse(topic) {
        Some((device, _)) if device != peer.device => {
            quarantine(peer, topic, &payload, "another device's topic".into(), PublishReason::NotAuthorized)
        }
        Some((_, topic::Kind::Command)) => {
            quarantine(peer, topic, &payload, "only the gateway sends commands".into(), PublishReason::NotAuthorized)
        }
        Some((_, topic::Kind::Time)) => {
            quarantine(peer, topic, &payload, "only the gateway tells the time".into(), PublishReason::NotAuthorized)
        }
        Some((_, topic::Kind::Certificate)) => quarantine(
            peer,
            topic,
            &payload,
            "only the gateway gives certificates".into(),
            PublishReason::NotAuthorized,
        ),
        // Asked for on a connection, it never comes here.
        Some((_, topic::Kind::Renew)) => {
            quarantine(peer, topic, &payload, "a renewal is no last will".into(), PublishReason::NotAuthorized)
        }
        Some((_, topic::Kind::Alive)) => match payload.as_slice() {
            b"0" => stored(peer, Lane::Telemetry, What::Alive { online: false }),
            b"1" => stored(peer, Lane::Telemetry, What::Alive { online: true }),
            _ => unreadable(peer, topic, &payload, "alive is `1` (here) or `0` (gone)".into()),
        },
        Some((_, topic::Kind::Event)) => event(peer, roster, topic, payload, None),
        None if bridge => {
            // The bridge's own coming and going, its Will included, is its connection's.
            if let Some(online) = payload::bridge_online(topic, &payload) {
                return stored(peer, Lane::Telemetry, What::Alive { online });
            }
            let named = zigbee2mqtt::source(topic).map(|source| roster.behind(&peer.device, source));
            let calls = named.is_some_and(|device| roster.callers.contains(&device));
            let via = Via { bridge: peer.device.clone(), topic: topic.to_owned(), calls };
            from_bridge(peer, roster, payload, via)
        }
        None => {
            let reason = format!("not a topic of this device: it may use vaka/v1/{}/event and …/alive", peer.device);
            quarantine(peer, topic, &payload, reason, PublishReason::NotAuthorized)
        }
    }
}

fn event(peer: &Peer, roster: &Roster, topic: &str, payload: Vec<u8>, via: Option<Via>) -> Admitted {
    if payload.len() > EVENT_BYTES_MAX {
        let reason = format!("{} bytes; at most {EVENT_BYTES_MAX} are taken", payload.len());
        return unreadable(peer, topic, &payload, reason);
    }
    match payload::read(&payload, via.as_ref()) {
        // Whoever reads it on the round believes that somebody is looked in on.
        Ok(parsed) if tells_of_look_ins(&parsed) && !roster.devices.get(&peer.device).is_some_and(|it| it.home) => {
            let reason = "`round` is a home's word to its hub, and this device is no gateway; list it as `kind = \"gateway\"` if it is one";
            unreadable(peer, topic, &payload, reason.into())
        }
        Ok(parsed) => stored(peer, parsed.lane(), What::Event { parsed, payload, via }),
        Err(Unreadable(reason)) => unreadable(peer, topic, &payload, reason),
    }
}

fn tells_of_look_ins(parsed: &Parsed) -> bool {
    parsed.events.iter().any(|event| matches!(event, Event::Round { .. }))
}

fn from_bridge(peer: &Peer, roster: &Roster, payload: Vec<u8>, via: Via) -> Admitted {
    let topic = via.topic.clone();
    let mut admitted = event(peer, roster, &topic, payload, Some(via));
    if let What::Event { parsed, .. } = &admitted.submission.what
        && let Some(source) = &parsed.source
    {
        admitted.submission.device = roster.behind(&peer.device, source);
        admitted.submission.enrolment = 0;
    }
    admitted
}

fn stored(peer: &Peer, lane: Lane, what: What) -> Admitted {
    let (device, enrolment) = (peer.device.clone(), peer.enrolment);
    let submission =
        Submission { device, enrolment, lane, what, has_ended: false, since_ms: None, for_many: false, reply: None };
    Admitted { submission, reason: PublishReason::Success }
}

fn unreadable(peer: &Peer, topic: &str, payload: &[u8], reason: String) -> Admitted {
    quarantine(peer, topic, payload, reason, PublishReason::PayloadFormatInvalid)
}

fn quarantine(peer: &Peer, topic: &str, payload: &[u8], why: String, reason: PublishReason) -> Admitted {
    let kept = &payload[..payload.len().min(QUARANTINE_BYTES_MAX)];
    let record = Quarantine {
        device: peer.device.clone(),
        topic: topic.chars().take(128).collect(),
        reason: why,
        payload: ByteBuf::from(kept),
        length: payload.len() as u64,
    };
    // Technical, not telemetry: somebody has to look at it.
    let mut admitted = stored(peer, Lane::Technical, What::Quarantine(record));
    admitted.reason = reason;
    admitted
}
