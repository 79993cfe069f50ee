//! Zigbee2MQTT: a flat JSON object of capabilities per device, or one capability per topic.
//!
//! Enters: topic and payload of one message. Leaves: [`Adapted`]. A message repeats the device's whole state; what has changed,
//! and what that means, is for the rules. Source: Zigbee2MQTT's "MQTT topics and messages" and its device definitions.

use serde_json::Value;

use super::message::{Fields, Message};
use super::{Adapted, AdapterError, Presses, shown};

/// Whose message a topic carries: the device's friendly name or IEEE address, `bridge` for the bridge's own.
/// `None`: no Zigbee2MQTT topic. A name may hold `/`; the first part is the base topic, whatever it is called.
pub fn source(topic: &str) -> Option<&str> {
    let (base, rest) = topic.split_once('/')?;
    if base.is_empty() || rest.is_empty() {
        return None;
    }
    if rest == "bridge" || rest.starts_with("bridge/") {
        return Some("bridge");
    }
    for ending in ["/availability", "/set", "/get"] {
        if let Some(name) = rest.strip_suffix(ending) {
            return (!name.is_empty()).then_some(name);
        }
    }
    for middle in ["/set/", "/get/"] {
        if let Some((name, _)) = rest.split_once(middle) {
            return (!name.is_empty()).then_some(name);
        }
    }
    Some(rest)
}

/// Reads a message of a device of which nobody has said what its presses mean.
pub fn read(topic: &str, payload: &[u8]) -> Result<Adapted, AdapterError> {
    read_as(topic, payload, Presses::Undecided)
}

/// Reads a message; `presses` is what the enrolment says about a push button ([`source`] tells whose message it is).
///
/// Errors: a topic without a device, a payload that is not JSON, a payload that is no object where no capability is in the topic.
pub fn read_as(topic: &str, payload: &[u8], presses: Presses) -> Result<Adapted, AdapterError> {
    let source = source(topic).ok_or_else(|| AdapterError::Topic { topic: shown(topic) })?;
    let mut message = Message::new(source, presses);
    let after = topic.split_once('/').map_or("", |(_, rest)| rest);
    // An empty payload takes back a retained message: it says nothing about the device.
    if payload.iter().all(u8::is_ascii_whitespace) {
        return Ok(message.out);
    }
    if source == "bridge" || after.ends_with("/availability") {
        message.out.measurements = 1;
        if after == "bridge/state" || after.ends_with("/availability") {
            message.out.online = online(payload);
            if message.out.online.is_none() {
                message.out.measurements = 0;
                message.unknown("availability", &Value::String(String::from_utf8_lossy(payload).into_owned()));
            }
        }
        return Ok(message.out);
    }
    // What somebody asks of a device is no news from it.
    if after != source {
        message.out.measurements = 1;
        return Ok(message.out);
    }
    let not_json = |what: String| AdapterError::NotJson { topic: shown(topic), what };
    match serde_json::from_slice::<Fields>(payload) {
        Ok(Fields(fields)) => message.fields(fields, 0),
        Err(_) => {
            let value = match serde_json::from_slice::<Value>(payload) {
                Ok(value) => value,
                // Attribute output writes bare words: `zigbee2mqtt/hall/action` with `single`.
                Err(e) => match std::str::from_utf8(payload) {
                    Ok(text) if source.contains('/') && !text.trim_start().starts_with(['{', '[', '"']) => {
                        Value::String(text.to_string())
                    }
                    _ => return Err(not_json(e.to_string())),
                },
            };
            match source.rsplit_once('/') {
                Some((device, key)) if !value.is_array() => {
                    message.out.source = device.to_string();
                    message.field(key, value, 0);
                }
                _ => {
                    return Err(AdapterError::NotAnObject { topic: shown(topic), found: kind_of(&value) });
                }
            }
        }
    }
    Ok(message.finish())
}

/// `online`/`offline`, bare or as `{"state": …}`.
fn online(payload: &[u8]) -> Option<bool> {
    let text = match serde_json::from_slice::<Value>(payload) {
        Ok(Value::Object(map)) => map.get("state")?.as_str()?.to_string(),
        Ok(Value::String(text)) => text,
        Ok(_) => return None,
        Err(_) => String::from_utf8_lossy(payload).into_owned(),
    };
    match text.trim() {
        "online" => Some(true),
        "offline" => Some(false),
        _ => None,
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "a list",
        Value::String(_) => "a text",
        Value::Number(_) => "a number",
        Value::Object(_) => "an object",
        Value::Bool(_) | Value::Null => "a single word",
    }
}
