//! Other makers' payloads, read into Vaka's events.
//!
//! Enters: a topic and the bytes that came on it. Leaves: [`Adapted`]: whose message it is, the events in it with the most
//! urgent first, and every word of it that no table knows. Pure: no clock, no config, no state.
//!
//! Invariant: each field of a message is counted exactly once: as part of an event, as a measurement, or as unknown.
//! Absent: who the device is and what it is for. The enrolment says that, and the rules decide.

mod action;
mod message;
mod names;
pub mod table;
mod values;
pub mod zigbee2mqtt;

use vaka_protocol::Event;

/// What the presses of an ordinary push button mean. Only the enrolment of the device behind the bridge can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Presses {
    /// Nobody has said: a press that does not command a light, a cover or a scene goes to a person.
    #[default]
    Undecided,
    /// The resident's button: every press of it is a call for help.
    Resident,
    /// A light switch or a remote control: no press of it is an event, except one that says panic, emergency or SOS.
    Ordinary,
}

/// One message of another maker, read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Adapted {
    /// The device's name in the topic: a friendly name or an IEEE address. `bridge` for the bridge's own messages.
    pub source: String,
    /// What the message says, the most urgent lane first.
    pub events: Vec<Event>,
    /// Field and value, as text of at most 64 characters each, that only a person can judge.
    pub unknown: Vec<(String, String)>,
    /// Fields that are known and say nothing by themselves: measurements, settings, and things at rest.
    pub measurements: u32,
    /// Fields that became part of an event, alone or with others.
    pub told: u32,
    /// The bridge says that the device (or the bridge itself) came or went.
    pub online: Option<bool>,
}

/// A message that cannot be read at all; it belongs in quarantine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdapterError {
    #[error("reading a Zigbee2MQTT message: the topic {topic:?} names no device; expected BASE/DEVICE")]
    Topic { topic: String },
    #[error("reading a Zigbee2MQTT message on {topic:?}: not JSON ({what}); set Zigbee2MQTT's output to `json`")]
    NotJson { topic: String, what: String },
    #[error("reading a Zigbee2MQTT message on {topic:?}: {found} where an object of capabilities is expected")]
    NotAnObject { topic: String, found: &'static str },
}

/// Longest text of an unknown field or value that is handed on, in characters; the raw message keeps the whole.
pub const UNKNOWN_TEXT_CHARS_MAX: usize = 64;

/// Cuts `text` to what a person's queue can show.
fn shown(text: &str) -> String {
    text.chars().take(UNKNOWN_TEXT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests;
