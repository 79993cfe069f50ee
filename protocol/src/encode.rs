//! Messages to bytes. Enters: a message. Leaves: CBOR in the caller's buffer, or JSON text.

use serde::{Serialize, Serializer};

use crate::command::{Command, CommandMessage};
use crate::event::{Event, EventMessage};
use crate::limits::MESSAGE_BYTES_MAX;

/// A message that could not be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The buffer is too small.
    #[error("writing the {what}: it does not fit in {buffer_bytes} bytes; {MESSAGE_BYTES_MAX} always suffice")]
    Full {
        /// `event` or `command`.
        what: &'static str,
        /// Size of the buffer.
        buffer_bytes: usize,
    },
}

/// Writes an event as CBOR; returns its length in bytes. [`MESSAGE_BYTES_MAX`] always suffice.
pub fn encode_event_cbor(message: &EventMessage, buffer: &mut [u8]) -> Result<usize, EncodeError> {
    cbor("event", message, buffer)
}

/// Writes a command as CBOR; returns its length in bytes. [`MESSAGE_BYTES_MAX`] always suffice.
pub fn encode_command_cbor(message: &CommandMessage, buffer: &mut [u8]) -> Result<usize, EncodeError> {
    cbor("command", message, buffer)
}

pub(crate) fn cbor<T: Serialize>(what: &'static str, message: &T, buffer: &mut [u8]) -> Result<usize, EncodeError> {
    let buffer_bytes = buffer.len();
    // Nothing else can go wrong: every type is plain text, numbers and maps.
    minicbor_serde::to_slice(message, buffer).map_err(|_| EncodeError::Full { what, buffer_bytes })
}

/// An event as JSON, on one line.
#[cfg(feature = "json")]
pub fn encode_event_json(message: &EventMessage) -> alloc::string::String {
    serde_json::to_string(message).expect("plain text, numbers and maps serialise into memory")
}

/// A command as JSON, on one line.
#[cfg(feature = "json")]
pub fn encode_command_json(message: &CommandMessage) -> alloc::string::String {
    serde_json::to_string(message).expect("plain text, numbers and maps serialise into memory")
}

#[derive(Serialize)]
struct NoFields {}

fn unknown<S: Serializer>(name: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map([(name, NoFields {})])
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Event::Unknown { name } => unknown(name, serializer),
            known => Event::serialize(known, serializer),
        }
    }
}

impl Serialize for Command {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Command::Unknown { name } => unknown(name, serializer),
            known => Command::serialize(known, serializer),
        }
    }
}
