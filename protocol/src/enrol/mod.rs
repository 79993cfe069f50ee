//! Enrolment by a one-time code: what a new device and the gateway say to each other before the device has a certificate.
//!
//! Enters: the code that a technician types, the key exporter of the TLS connection, bytes. Leaves: bytes to send, and on the device's
//! side a certificate that the holder of the same code has vouched for.
//!
//! The way: the gateway makes a [`Code`] and keeps its [`Secret`]; device and gateway shake hands over TLS 1.3 ([`ALPN`]), the device
//! without a certificate and, where it was not told the authority's fingerprint, without a way to judge the gateway's. Both export
//! [`EXPORTER_BYTES`] of the connection ([`EXPORTER_LABEL`], no context: RFC 5705, RFC 8446 §7.5). The device sends a [`Request`] with
//! [`Secret::device_proof`], the gateway answers with [`Secret::gateway_proof`]. Whoever stands between has two connections with two
//! exporters: neither proof fits the other, and neither can be made without the code.
//!
//! Invariants: no I/O, no clock, no random source, no `std`; nothing here prints a code, a key or a proof. Absent: X.509, which both
//! sides leave to what they have for it; and what makes a code single and short-lived, which is the gateway's.

mod code;
mod proof;
mod wire;

pub use code::{Code, CodeError, CodeText};
pub use proof::{LOCATOR_BYTES, Locator, Proof, ROUNDS, Secret, Stretching};
pub use wire::{Answer, Granted, Malformed, Refused, Request, length};

/// What both sides name in TLS (ALPN). A server that does not choose it is no enrolment door.
pub const ALPN: &[u8] = b"vaka-enrol/1";

/// Label of the TLS exporter.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-vaka-enrol";

/// Length of what is exported, in bytes.
pub const EXPORTER_BYTES: usize = 32;

/// Longest request without its length, in bytes: a P-256 request for a certificate is about 300. Beyond: refused unread.
pub const REQUEST_BYTES_MAX: usize = 2_048;

/// Longest answer without its length, in bytes: two certificates of about 600. Beyond: refused unread.
pub const ANSWER_BYTES_MAX: usize = 8_192;
