//! Bytes to messages. Enters: a payload from outside. Leaves: a message, or a [`DecodeError`] that names the field.
//!
//! Invariants: no panic, no recursion on the payload's depth (both parsers skip unknown values in a loop), no allocation
//! for CBOR unless feature `json` brings an allocator. The serde types decide what a message is; `reader` keeps track
//! of where in it the reader stands.
//!
//! Not read: indefinite-length text, and without feature `json` an unknown field that holds an indefinite-length list
//! within a definite one. Nothing that Vaka writes has either.

use serde::de::{DeserializeSeed, Deserializer, MapAccess};

use crate::command::{Command, CommandMessage};
use crate::event::{Event, EventMessage};
use crate::fields;
use crate::id::DeviceId;
use crate::limits::DECODE_BYTES_MAX;
use crate::reader::{Head, MessageSeed, Parts, Subject, Trace};
use crate::text::Name;

/// Words of a [`DecodeError`], at most 160 bytes of them; without feature `json` cut to 40, in place.
#[cfg(feature = "json")]
pub type Note = alloc::string::String;
/// Words of a [`DecodeError`], at most 160 bytes of them; without feature `json` cut to 40, in place.
#[cfg(not(feature = "json"))]
pub type Note = crate::text::Text<{ crate::limits::NOTE_BYTES_MAX }>;

/// A payload that is not a message. Sending the same bytes again gives the same error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No bytes at all.
    #[error("reading the {what}: it is empty; send one map, as CBOR or JSON")]
    Empty {
        /// `event` or `command`.
        what: &'static str,
    },
    /// Longer than any message may be.
    #[error("reading the {what}: it has {bytes} bytes; send at most {DECODE_BYTES_MAX}")]
    TooLong {
        /// `event` or `command`.
        what: &'static str,
        /// Its length.
        bytes: usize,
    },
    /// The first byte begins neither a CBOR map nor a JSON object.
    #[error("reading the {what}: byte {first:#04x} begins neither a CBOR map (0xa0 to 0xbf) nor a JSON object")]
    NotAMap {
        /// `event` or `command`.
        what: &'static str,
        /// The first byte.
        first: u8,
    },
    /// JSON, and this build has no feature `json`.
    #[error("reading the {what}: it is JSON, and this device reads CBOR only; send CBOR")]
    JsonNotBuilt {
        /// `event` or `command`.
        what: &'static str,
    },
    /// `v` names another version of the wire format.
    #[error("reading the {what}: v is {found}, and this version reads only 1; send v = 1")]
    Version {
        /// `event` or `command`.
        what: &'static str,
        /// What was found.
        found: u64,
    },
    /// A field of the message is missing.
    #[error("reading the {what}: the field {field} is missing; add it")]
    Missing {
        /// `event` or `command`.
        what: &'static str,
        /// The field.
        field: &'static str,
    },
    /// `event` or `command` is an empty map.
    #[error("reading the {what}: the map {what} is empty; give it exactly one key, the name of the {what}")]
    NoName {
        /// `event` or `command`.
        what: &'static str,
    },
    /// `event` or `command` has more than one key, or stands there twice.
    #[error("reading the {what}: {first} and {second} in one message; send each {what} as a message of its own")]
    TwoNames {
        /// `event` or `command`.
        what: &'static str,
        /// The first name.
        first: Name,
        /// The next.
        second: Name,
    },
    /// A field has the wrong type or a value that cannot be, or the bytes are damaged there.
    #[error("reading the {what} at {path}: {reason}")]
    Field {
        /// `event` or `command`.
        what: &'static str,
        /// Where, e.g. `event.button.press`; `message` for the message as a whole.
        path: Note,
        /// What is wrong.
        reason: Note,
    },
    /// There is more after the message.
    #[error("reading the {what}: bytes follow after its end; send one message at a time")]
    Trailing {
        /// `event` or `command`.
        what: &'static str,
    },
}

/// Reads an event: CBOR or (feature `json`) JSON, told apart by the first byte.
pub fn decode_event(bytes: &[u8]) -> Result<EventMessage, DecodeError> {
    let (v, head, event) = decode::<EventHead, Event>(bytes)?;
    let EventHead { restart, seq, uptime_ms, at, of } = head;
    Ok(EventMessage { v, restart, seq, uptime_ms, at, of, event })
}

/// Reads a command: CBOR or (feature `json`) JSON, told apart by the first byte.
pub fn decode_command(bytes: &[u8]) -> Result<CommandMessage, DecodeError> {
    let (v, head, command) = decode::<CommandHead, Command>(bytes)?;
    let missing = |field| DecodeError::Missing { what: "command", field };
    let id = head.id.ok_or(missing("id"))?;
    let expires_at = head.expires_at.ok_or(missing("expires_at"))?;
    Ok(CommandMessage { v, id, expires_at, command })
}

#[derive(Default)]
struct EventHead {
    restart: Option<u32>,
    seq: Option<u64>,
    uptime_ms: Option<u64>,
    at: Option<i64>,
    of: Option<DeviceId>,
}

impl Head for EventHead {
    fn take<'de, A: MapAccess<'de>>(&mut self, field: &str, map: &mut A) -> Result<bool, A::Error> {
        match field {
            "restart" => self.restart = map.next_value()?,
            "seq" => self.seq = map.next_value()?,
            "uptime_ms" => self.uptime_ms = map.next_value()?,
            "at" => self.at = map.next_value()?,
            // Whatever else stands there is no reason to lose the event.
            "of" => self.of = map.next_value::<fields::MaybeId>()?.0,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

#[derive(Default)]
struct CommandHead {
    id: Option<u64>,
    expires_at: Option<i64>,
}

impl Head for CommandHead {
    fn take<'de, A: MapAccess<'de>>(&mut self, field: &str, map: &mut A) -> Result<bool, A::Error> {
        match field {
            "id" => self.id = map.next_value()?,
            "expires_at" => self.expires_at = map.next_value()?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Subject for Event {
    const WHAT: &'static str = "event";

    fn known<'de, D: Deserializer<'de>>(body: D) -> Result<Self, D::Error> {
        Event::deserialize(body)
    }

    fn unknown(name: Name) -> Self {
        Event::Unknown { name }
    }
}

impl Subject for Command {
    const WHAT: &'static str = "command";

    fn known<'de, D: Deserializer<'de>>(body: D) -> Result<Self, D::Error> {
        Command::deserialize(body)
    }

    fn unknown(name: Name) -> Self {
        Command::Unknown { name }
    }
}

fn decode<H: Head, T: Subject>(bytes: &[u8]) -> Result<Parts<H, T>, DecodeError> {
    let what = T::WHAT;
    let first = *bytes.first().ok_or(DecodeError::Empty { what })?;
    if bytes.len() > DECODE_BYTES_MAX {
        return Err(DecodeError::TooLong { what, bytes: bytes.len() });
    }
    match first {
        0xa0..=0xbf => cbor(bytes),
        b'{' | b' ' | b'\t' | b'\r' | b'\n' => json(bytes),
        _ => Err(DecodeError::NotAMap { what, first }),
    }
}

fn cbor<H: Head, T: Subject>(bytes: &[u8]) -> Result<Parts<H, T>, DecodeError> {
    let mut trace = Trace::default();
    let mut reader = minicbor_serde::Deserializer::new(bytes);
    let parts = match MessageSeed::new(&mut trace).deserialize(&mut reader) {
        Ok(parts) => parts,
        Err(error) => {
            let version = minicbor_serde::from_slice::<Version>(bytes).ok();
            return Err(other_version(T::WHAT, version).unwrap_or_else(|| trace.explain(T::WHAT, error)));
        }
    };
    if reader.decoder().position() < bytes.len() {
        return Err(DecodeError::Trailing { what: T::WHAT });
    }
    Ok(parts)
}

#[cfg(feature = "json")]
fn json<H: Head, T: Subject>(bytes: &[u8]) -> Result<Parts<H, T>, DecodeError> {
    let mut trace = Trace::default();
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let parts = match MessageSeed::new(&mut trace).deserialize(&mut reader) {
        Ok(parts) => parts,
        Err(error) => {
            let version = serde_json::from_slice::<Version>(bytes).ok();
            return Err(other_version(T::WHAT, version).unwrap_or_else(|| trace.explain(T::WHAT, error)));
        }
    };
    reader.end().map_err(|_| DecodeError::Trailing { what: T::WHAT })?;
    Ok(parts)
}

#[cfg(not(feature = "json"))]
fn json<H: Head, T: Subject>(_: &[u8]) -> Result<Parts<H, T>, DecodeError> {
    Err(DecodeError::JsonNotBuilt { what: T::WHAT })
}

/// Read alone after a failure: what another version means by its other fields is not for this one to judge.
#[derive(serde::Deserialize)]
struct Version {
    v: u64,
}

/// The id of a command that cannot be read whole, so that whoever sent it hears that it is refused. `None`: not even that can be read,
/// or it is another version's.
pub fn command_id(bytes: &[u8]) -> Option<u64> {
    #[derive(serde::Deserialize)]
    struct Numbered {
        v: u64,
        id: u64,
    }
    if bytes.len() > DECODE_BYTES_MAX {
        return None;
    }
    let read: Option<Numbered> = match bytes.first()? {
        0xa0..=0xbf => minicbor_serde::from_slice(bytes).ok(),
        #[cfg(feature = "json")]
        _ => serde_json::from_slice(bytes).ok(),
        #[cfg(not(feature = "json"))]
        _ => None,
    };
    read.filter(|read| read.v == u64::from(crate::VERSION)).map(|read| read.id)
}

fn other_version(what: &'static str, version: Option<Version>) -> Option<DecodeError> {
    let found = version?.v;
    (found != u64::from(crate::VERSION)).then_some(DecodeError::Version { what, found })
}
