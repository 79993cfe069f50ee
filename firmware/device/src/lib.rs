//! What every Vaka device does, whatever its board: keep events until they are acknowledged, carry out commands once,
//! and tell the resident no more than is true.
//!
//! Enters: events with the time they happened, acknowledgements, commands. Leaves: messages to send, what to show, what
//! to carry out. Invariants: no I/O, no clock, no allocator, no `std`; every bound is a parameter of the type.
//! Absent: MQTT, TLS, flash and pins; they are the board's. The demo's devices run this same code.
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod commands;
mod feedback;
mod outbox;

pub use commands::{Commands, Judged};
pub use feedback::{Feedback, PRESS_ACK_MS_MAX, Shown, calling, not_through, shown};
pub use outbox::Outbox;
