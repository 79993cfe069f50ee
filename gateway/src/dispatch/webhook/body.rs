//! What a webhook is told, in JSON. Its shape is `protocol/webhook.schema.json`: fields may be added, none changes or goes.

use jiff::Timestamp;
use serde::Serialize;
use vaka_protocol::Event;

use super::super::scaip::mrq::Sender;
use super::super::{Notice, NoticeWhat, TelemetryWord};
use crate::limits::DELAYED_MS;

/// The form of Standard Webhooks: what, when it happened, and the rest.
#[derive(Debug, Serialize)]
struct Message<'a, T> {
    r#type: &'a str,
    /// RFC 3339, UTC. Of an alarm: when it happened; absent where the device's time is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
    data: T,
}

#[derive(Debug, Serialize)]
struct Alarm<'a> {
    gateway: &'a str,
    alarm: &'a str,
    /// Counts the notices of one alarm.
    notice: u32,
    lane: &'a str,
    device: &'a str,
    /// Name of the event behind it.
    cause: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    resident: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<&'a str>,
    text: &'a str,
    /// SCAIP device type and status code.
    dty: u16,
    stc: u16,
    /// It is older than it should be when it is sent.
    delayed: bool,
    count: u32,
    test: bool,
    /// SCAIP `cid`: at a hub that of the home it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    controller_id: Option<&'a str>,
    /// At a hub: the gateway of the home it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    home: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call_back: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<Position>,
}

/// Where the device was.
#[derive(Debug, Serialize)]
struct Position {
    /// Degrees (WGS 84).
    latitude: f64,
    longitude: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    accuracy_m: Option<u32>,
    /// RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
}

#[derive(Debug, Serialize)]
struct Ping<'a> {
    gateway: &'a str,
}

/// Names as in the payload of the device itself.
#[derive(Debug, Serialize)]
struct Telemetry<'a> {
    gateway: &'a str,
    device: &'a str,
    event: &'a Event,
}

/// One event of a device.
pub fn telemetry(gateway: &str, word: &TelemetryWord) -> Vec<u8> {
    written(&Message {
        r#type: "telemetry",
        timestamp: moment(word.at),
        data: Telemetry { gateway, device: word.device.as_ref(), event: &word.event },
    })
}

/// The alarm, as it is said at `wall_ms` (UTC milliseconds).
pub fn alarm(gateway: &str, sender: &Sender, notice: &Notice, wall_ms: i64) -> Vec<u8> {
    // Where a home is behind a hub, its own resident is called back, or nobody.
    let caller = if notice.controller_id.is_some() { &notice.caller } else { &sender.caller };
    let own = Some(sender.controller_id.as_str());
    written(&Message {
        r#type: match notice.what {
            NoticeWhat::Raise => "alarm.raised",
            NoticeWhat::Again => "alarm.repeated",
            NoticeWhat::Cancel => "alarm.cancelled",
            NoticeWhat::Over => "alarm.over",
        },
        timestamp: moment(notice.happened_at),
        data: Alarm {
            gateway,
            alarm: notice.alarm.as_ref(),
            notice: notice.number,
            lane: notice.lane.as_str(),
            device: notice.device.as_ref(),
            cause: &notice.cause,
            resident: notice.resident.as_deref(),
            room: notice.room.as_deref(),
            text: &notice.text,
            dty: notice.dty,
            stc: notice.stc,
            delayed: notice.delayed || wall_ms.saturating_sub(notice.happened_at) > DELAYED_MS,
            count: notice.count,
            test: notice.test,
            controller_id: notice.controller_id.as_deref().or(own).filter(|cid| !cid.is_empty()),
            home: notice.home.as_ref().map(AsRef::as_ref),
            call_back: caller.as_deref(),
            position: notice.whereabouts.as_ref().map(|whereabouts| Position {
                latitude: f64::from(whereabouts.lat_e7) / 1e7,
                longitude: f64::from(whereabouts.lon_e7) / 1e7,
                accuracy_m: whereabouts.accuracy_m,
                at: moment(whereabouts.at),
            }),
        },
    })
}

/// The heartbeat.
pub fn ping(gateway: &str, wall_ms: i64) -> Vec<u8> {
    written(&Message { r#type: "ping", timestamp: moment(wall_ms), data: Ping { gateway } })
}

fn moment(ms: i64) -> Option<String> {
    Timestamp::from_millisecond(ms).ok().map(|at| at.to_string())
}

fn written(message: &impl Serialize) -> Vec<u8> {
    // Maps with text keys and plain values: nothing of it can fail to be written.
    serde_json::to_vec(message).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::super::super::tests::{AT, notice};
    use super::*;

    fn sender() -> Sender {
        Sender { controller_id: String::new(), caller: None, time_zone: TimeZone::UTC }
    }

    #[test]
    fn a_press_reads_as_the_schema_says() {
        let press = Notice { room: Some("Badrum".into()), resident: Some("r1".into()), ..notice("a1", 1) };
        let expected = r#"{"type":"alarm.raised","timestamp":"2026-11-20T22:05:45Z","data":{"gateway":"gw-1","alarm":"a1","notice":1,"lane":"life","device":"p1","cause":"button","resident":"r1","room":"Badrum","text":"Larmknapp","dty":3,"stc":10,"delayed":false,"count":1,"test":false}}"#;
        assert_eq!(String::from_utf8(alarm("gw-1", &sender(), &press, AT)).unwrap(), expected);
    }

    #[test]
    fn what_is_late_or_without_a_time_says_so() {
        let mut late = Notice { what: NoticeWhat::Cancel, ..notice("a1", 2) };
        let caller = Some("tel:+4687000000".to_owned());
        let text = |notice: &Notice| {
            String::from_utf8(alarm("g", &Sender { caller: caller.clone(), ..sender() }, notice, AT + DELAYED_MS + 1))
                .unwrap()
        };
        let said = text(&late);
        assert!(said.contains(r#""delayed":true"#) && said.contains(r#""call_back":"tel:+4687000000""#), "{said}");
        assert!(said.contains(r#""type":"alarm.cancelled""#));
        let behind_a_hub = Notice { controller_id: Some("77".into()), ..notice("a1", 1) };
        let said = text(&behind_a_hub);
        assert!(said.contains(r#""controller_id":"77""#) && !said.contains("call_back"), "{said}");
        late.happened_at = i64::MAX;
        assert!(!text(&late).contains("timestamp"), "{}", text(&late));
        assert_eq!(ping("g", AT), br#"{"type":"ping","timestamp":"2026-11-20T22:05:45Z","data":{"gateway":"g"}}"#);
    }
}
