//! A small SIP layer: what SCAIP needs of RFC 3261 and no more (MESSAGE both ways on a held stream).
//!
//! Enters: bytes of a stream. Leaves: [`Message`]s with their head taken apart, and bytes to send.
//! Invariants: nothing here does I/O or reads a clock; outside input never panics and never costs more than
//! the caps below; a message that cannot be read is answered, the connection is given up only when it is no longer
//! known where the next message begins. Absent: UDP, dialogs, calls, proxies.

pub mod digest;
pub mod frame;
pub mod head;
pub mod uri;
pub mod write;

pub use frame::{Decoder, Frame, FramingLost};
pub use head::{Defect, Message, Start};
pub use uri::{SipUri, Transport, UriError};

/// Largest head (start line and headers), in bytes. Beyond: the framing counts as lost and the connection is closed.
/// Real heads here are under 1 kB; some header forms cost more than linear time elsewhere. Source: fuzzing of five stacks.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Most headers in one head. Beyond: the message is answered with 400.
pub const HEADERS_MAX: usize = 100;

/// Largest body kept, in bytes. Beyond: the body is skipped unread and the message is answered with 413.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
