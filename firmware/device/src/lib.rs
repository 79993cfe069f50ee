//! What every Vaka device does, whatever its board: keep events until they are acknowledged, carry out commands once,
//! and tell the resident no more than is true; and what makes a device a pendant, a door sensor or a dispenser.
//!
//! Enters: the time, what the parts show ([`Role`], generic over `embedded-hal`), what the connection brings. Leaves:
//! messages to send, what to show ([`Panel`]), what to drive. Invariants: no clock, no allocator, no `std`, no waiting;
//! every bound is a constant. Absent: MQTT, TLS and pins; they are the board's. The demo's devices run this same code.
//!
//! The way through: [`Device`] is what all devices do, around a [`Role`]; [`keep`] is what survives a power cut;
//! [`Outbox`] holds what the gateway has not acknowledged.
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod keep;

pub mod access;
pub mod contact;
pub mod dispenser;
pub mod fall;
pub mod flash;
pub mod identity;
pub mod motion;
pub mod part;
pub mod pendant;
pub mod pins;
pub mod power;
pub mod seizure;
pub mod signal;
pub mod tracker;
pub mod update;

mod commands;
mod device;
mod feedback;
mod now;
mod outbox;
mod panel;
mod role;
mod settings;
mod told;
mod trouble;

pub use commands::{Commands, Judged};
pub use device::{Boot, COMMANDS_MAX, Device};
pub use feedback::{Feedback, PRESS_ACK_MS_MAX, Shown, calling, not_through, shown};
pub use keep::{Fault, Keep, Key};
pub use now::Now;
pub use outbox::{EVENTS_MAX, Identity, Outbox, Ticket};
pub use panel::{NoWords, Panel, PinPanel, Words};
pub use role::{Carried, Cx, Role};
pub use settings::{ALIVE_INTERVAL_S, Settings};
pub use told::TELL_AGAIN_MS;
pub use trouble::TROUBLE_MS;
pub use vaka_protocol::enrol;
