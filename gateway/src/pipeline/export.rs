//! A journal record as a JSON line: what `vaka journal export` and `tail` print, and what leaves the house with its data.
//!
//! Keys: `record` (sequence number in the journal), `kind`, `lane`, `boot`, `recorded_at` (UTC ms), then the record's
//! own. An event carries `device`, `enrolment`, `restart`, `seq`, `at` if its device has a clock, at a hub `of` if it is of a home's
//! device, and `event` as sent.

use serde_json::{Map, Value, json};
use vaka_protocol::{Lane, decode_event, encode_event_json};

use crate::journal::Header;
use crate::journal::record::{EventRecord, Record};

pub fn line(header: &Header, body: &[u8]) -> Value {
    let mut line = Map::new();
    let mut put = |key: &str, value: Value| line.insert(key.to_owned(), value);
    put("record", header.seq.into());
    put("lane", Lane::from_u8(header.lane).map_or(Value::Null, |lane| lane.as_str().into()));
    put("boot", header.boot.into());
    put("recorded_at", header.wall_ms.into());
    let (kind, fields) = match Record::decode(header.kind, body) {
        // What a reader hands out in place of a body says how long that was kept.
        Ok(Record::Gone) => match <[u8; 4]>::try_from(body) {
            Ok(days) => ("gone", json!({"kept_days": u32::from_le_bytes(days)})),
            Err(_) => fields(&Record::Gone),
        },
        Ok(record) => fields(&record),
        Err(e) => ("unreadable", json!({"error": e.to_string(), "bytes": body.len()})),
    };
    put("kind", kind.into());
    if let Value::Object(fields) = fields {
        line.extend(fields);
    }
    Value::Object(line)
}

fn fields(record: &Record) -> (&'static str, Value) {
    fn plain<T: serde::Serialize>(body: &T) -> Value {
        serde_json::to_value(body).unwrap_or_default()
    }
    match record {
        Record::Event(event) => ("event", event_fields(event)),
        Record::Boot(body) => ("boot", plain(body)),
        Record::Quarantine(body) => {
            let text = String::from_utf8_lossy(&body.payload);
            let fields = json!({"device": body.device, "topic": body.topic, "reason": body.reason, "bytes": body.length, "payload": text});
            ("quarantine", fields)
        }
        Record::Refusal(body) => ("refusal", plain(body)),
        Record::Alive(body) => ("alive", plain(body)),
        Record::Decisions(body) => ("decisions", plain(body)),
        Record::Rung(body) => ("rung", plain(body)),
        Record::Act(body) => ("act", plain(body)),
        Record::Path(body) => ("path", plain(body)),
        Record::Checkpoint(body) => ("checkpoint", json!({"bytes": body.len()})),
        Record::Fault(body) => ("fault", plain(body)),
        Record::Nobody(body) => ("nobody", plain(body)),
        Record::Silent(body) => ("silent", plain(body)),
        Record::Told(body) => ("told", plain(body)),
        Record::Carried(body) => ("carried", plain(body)),
        Record::Release(body) => ("release", plain(body)),
        Record::Signed(body) => ("signed", plain(body)),
        Record::Order(body) => ("order", plain(body)),
        Record::Visit(body) => ("visit", plain(body)),
        Record::Look(body) => ("look", plain(body)),
        Record::Update(body) => ("update", plain(body)),
        Record::Firmware(body) => ("firmware", plain(body)),
        Record::Erased(body) => ("erased", plain(body)),
        Record::Aged(body) => ("aged", plain(body)),
        Record::Gone => ("gone", json!({})),
        Record::Trace(body) => {
            let mut fields = plain(body);
            fields["before"] = hex(&body.before).into();
            fields["hash"] = hex(&body.hash()).into();
            ("trace", fields)
        }
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn event_fields(event: &EventRecord) -> Value {
    let mut fields = json!({
        "device": event.device,
        "enrolment": event.enrolment,
        "restart": event.restart,
        "seq": event.seq,
    });
    let Value::Object(map) = &mut fields else { return fields };
    if event.assigned {
        map.insert("assigned".into(), true.into());
    }
    if event.has_ended {
        map.insert("certificate_ended".into(), true.into());
    }
    if event.conflict {
        map.insert("conflict".into(), true.into());
    }
    if let Some(via) = &event.via {
        map.insert("via".into(), json!({"bridge": via.bridge, "topic": via.topic}));
        map.insert("payload".into(), as_json(&event.payload));
        return fields;
    }
    let sent = match serde_json::from_slice::<Value>(&event.payload) {
        Ok(sent) => sent,
        // CBOR: the same text keys.
        Err(_) => decode_event(&event.payload)
            .ok()
            .and_then(|message| serde_json::from_str(&encode_event_json(&message)).ok())
            .unwrap_or_default(),
    };
    for key in ["at", "uptime_ms", "of", "event"] {
        if let Some(value) = sent.get(key) {
            map.insert(key.into(), value.clone());
        }
    }
    fields
}

fn as_json(payload: &[u8]) -> Value {
    serde_json::from_slice(payload).unwrap_or_else(|_| String::from_utf8_lossy(payload).into())
}
