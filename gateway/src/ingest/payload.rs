//! Reading what a device sent, in Vaka's own payload or a bridge's.
//!
//! Pure: the same bytes always read the same, live and on replay. Leaves: the events in them, and what nobody can classify.

use serde::{Deserialize, Serialize};
use vaka_protocol::{
    CommandMessage, DeviceId, Event, Lane, decode_event, encode_command_cbor, encode_command_json,
    limits::MESSAGE_BYTES_MAX,
};

use super::adapter::{Presses, zigbee2mqtt};
use crate::journal::record::Via;

/// How a device writes, and wants to be written to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    #[default]
    Json,
    Cbor,
}

impl Encoding {
    pub fn command(self, message: &CommandMessage) -> Vec<u8> {
        let mut buffer = [0; MESSAGE_BYTES_MAX];
        match self {
            Encoding::Cbor => match encode_command_cbor(message, &mut buffer) {
                Ok(length) => buffer[..length].to_vec(),
                // Longer than a device must take: it can still tell what it got.
                Err(_) => encode_command_json(message).into_bytes(),
            },
            Encoding::Json => encode_command_json(message).into_bytes(),
        }
    }
}

/// A payload, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// (restart, seq), where the device numbers its events.
    pub identity: Option<(u32, u64)>,
    /// UTC milliseconds by the device's clock.
    pub at: Option<i64>,
    /// Since the device started, when it happened.
    pub uptime_ms: Option<u64>,
    pub encoding: Encoding,
    pub events: Vec<Event>,
    /// Capability and value that nobody can classify: they go to a person.
    pub unknown: Vec<(String, String)>,
    /// Behind a bridge: what the bridge calls the device.
    pub source: Option<String>,
    /// From a home: the home's device that it is of.
    pub of: Option<DeviceId>,
}

impl Parsed {
    /// The most urgent lane of what it holds.
    pub fn lane(&self) -> Lane {
        let unknown = (!self.unknown.is_empty()).then_some(Lane::Technical);
        self.events.iter().map(Event::lane).chain(unknown).min().unwrap_or(Lane::Telemetry)
    }
}

/// Why a payload cannot be read, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable(pub String);

/// What a bridge says of itself on its own topic: that it is here, or gone. `None`: it says something else.
pub fn bridge_online(topic: &str, payload: &[u8]) -> Option<bool> {
    if topic.split_once('/')?.1 != "bridge/state" {
        return None;
    }
    zigbee2mqtt::read(topic, payload).ok()?.online
}

/// Reads a payload; `via` names the bridge and topic where an adapter has to.
///
/// # Errors
/// [`Unreadable`] says what is wrong; the payload then belongs in quarantine.
pub fn read(payload: &[u8], via: Option<&Via>) -> Result<Parsed, Unreadable> {
    if let Some(via) = via {
        let presses = if via.calls { Presses::Resident } else { Presses::Undecided };
        let adapted = zigbee2mqtt::read_as(&via.topic, payload, presses).map_err(|e| Unreadable(e.to_string()))?;
        return Ok(Parsed {
            identity: None,
            at: None,
            uptime_ms: None,
            encoding: Encoding::Json,
            events: adapted.events,
            unknown: adapted.unknown,
            source: Some(adapted.source),
            of: None,
        });
    }
    let message = decode_event(payload).map_err(|e| Unreadable(e.to_string()))?;
    let is_text = payload.first().is_some_and(|&byte| byte == b'{' || byte.is_ascii_whitespace());
    Ok(Parsed {
        identity: message.identity(),
        at: message.at,
        uptime_ms: message.uptime_ms,
        encoding: if is_text { Encoding::Json } else { Encoding::Cbor },
        events: vec![message.event],
        unknown: Vec::new(),
        source: None,
        of: message.of,
    })
}
