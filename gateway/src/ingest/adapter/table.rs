//! What a pile of messages turned into, one row per capability: printed by the replay, held by a golden file in the tests.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::zigbee2mqtt::read;

/// One capability's row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Row {
    messages: u32,
    /// Events by name with what they say, e.g. `door{open:true}`.
    events: BTreeMap<String, u32>,
    measured: u32,
    unknown: u32,
}

/// Rows by capability (the field's name in the message).
#[derive(Debug, Clone, Default)]
pub struct Table {
    rows: BTreeMap<String, Row>,
    /// Field, value and how often, for what goes to a person.
    unknown: BTreeMap<(String, String), u32>,
    messages: u32,
    unreadable: u32,
}

impl Table {
    /// Counts one message. Each of its fields is judged by itself, so that a row shows what that field gave.
    pub fn add(&mut self, topic: &str, payload: &[u8]) {
        self.messages += 1;
        let Ok(Value::Object(fields)) = serde_json::from_slice(payload) else {
            self.unreadable += u32::from(read(topic, payload).is_err());
            return;
        };
        for (key, value) in fields {
            let row = self.rows.entry(key.clone()).or_default();
            row.messages += 1;
            let alone = serde_json::json!({ key: value }).to_string();
            let Ok(adapted) = read(topic, alone.as_bytes()) else {
                continue;
            };
            for event in &adapted.events {
                *row.events.entry(words(event)).or_default() += 1;
            }
            row.measured += adapted.measurements;
            row.unknown += adapted.unknown.len() as u32;
            for unknown in adapted.unknown {
                *self.unknown.entry(unknown).or_default() += 1;
            }
        }
    }

    pub fn messages(&self) -> u32 {
        self.messages
    }
}

/// `door{open:true}`; figures are left out, so that a thousand temperatures are one entry.
fn words(event: &vaka_protocol::Event) -> String {
    let fields = match serde_json::to_value(event) {
        Ok(Value::Object(map)) => {
            map.into_iter().next().and_then(|(_, body)| body.as_object().cloned()).unwrap_or_default()
        }
        _ => Default::default(),
    };
    let said: Vec<String> = fields
        .iter()
        .filter(|(_, v)| v.is_boolean() || v.is_string())
        .map(|(k, v)| format!("{k}:{}", v.to_string().trim_matches('"')))
        .collect();
    if said.is_empty() { event.name().to_string() } else { format!("{}{{{}}}", event.name(), said.join(",")) }
}

impl fmt::Display for Table {
    /// Capabilities that gave an event or a question first, then the plain measurements and settings in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (telling, plain): (Vec<_>, Vec<_>) =
            self.rows.iter().partition(|(_, row)| !row.events.is_empty() || row.unknown > 0);
        writeln!(f, "{:<28} {:>8} {:>8} {:>7}  events", "capability", "messages", "measured", "unknown")?;
        for (name, row) in telling {
            let events: Vec<String> = row.events.iter().map(|(event, count)| format!("{event} ×{count}")).collect();
            writeln!(
                f,
                "{name:<28} {:>8} {:>8} {:>7}  {}",
                row.messages,
                row.measured,
                row.unknown,
                events.join(", ")
            )?;
        }
        let fields: u32 = plain.iter().map(|(_, row)| row.measured).sum();
        writeln!(f, "{:<28} {:>8} {fields:>8} {:>7}  {} names", "measurements and settings", "", 0, plain.len())?;
        if !self.unknown.is_empty() {
            writeln!(f, "to a person:")?;
            for ((key, value), count) in &self.unknown {
                writeln!(f, "  {key} = {value} ×{count}")?;
            }
        }
        if self.unreadable > 0 {
            writeln!(f, "to quarantine: {} messages", self.unreadable)?;
        }
        Ok(())
    }
}
