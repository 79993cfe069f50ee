//! The one wire format that Vaka's devices and gateway both compile (version 1).
//!
//! Enters: bytes of a topic's payload, CBOR or JSON. Leaves: an [`EventMessage`] or a [`CommandMessage`], or a
//! [`DecodeError`] that names the field; and the way back.
//!
//! Invariants: no I/O, no clock, no `std`; nothing is allocated unless feature `json` is on; decoding never panics and
//! never recurses on what came from outside. An alarm is never lost over a missing or an unknown field: every default
//! is written at its field. Absent: what an event *means* for a resident; that is for the gateway's rules.
//!
//! The way through: [`topic`] says what a payload is, [`decode_event`] and [`decode_command`] read it, [`Event::lane`]
//! and [`Event::scaip`] are the tables beside it. `GLOSSARY.md` has the field's words.
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

#[cfg(feature = "json")]
extern crate alloc;
#[cfg(test)]
extern crate std;

#[cfg(feature = "enrol")]
pub mod enrol;
pub mod limits;
pub mod look;
pub mod topic;

mod command;
mod decode;
mod encode;
mod event;
mod fields;
mod id;
mod lanes;
mod reader;
mod scaip;
mod text;
mod time;
mod words;

pub use command::{Command, CommandMessage, Ordered, Slot};
pub use decode::{DecodeError, Note, command_id, decode_command, decode_event};
pub use encode::{EncodeError, encode_command_cbor, encode_event_cbor};
#[cfg(feature = "json")]
pub use encode::{encode_command_json, encode_event_json};
pub use event::{Event, EventMessage};
pub use id::{AlarmId, DeviceId, IdError};
pub use scaip::SCAIP_UNAUTHORISED;
pub use text::{Label, Name, Text, Words};
pub use time::{Time, decode_time, encode_time_cbor};
pub use words::{DoseOutcome, Lane, Light, Outcome, Press, Rung, Sound, StartCause, Telling, UnknownWord};

/// The version of the wire format that this crate speaks: the field `v` of every message.
pub const VERSION: u8 = 1;
