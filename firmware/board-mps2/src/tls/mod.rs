//! TLS 1.3 with certificates on both sides, over any byte stream. Enters and leaves: bytes of the connection.
//!
//! rustls without `std`, so that the gateway's certificate is judged as completely as the gateway judges ours
//! ([`verify`]), with a provider that knows one suite, one curve and one signature ([`provider`]). Absent: TLS 1.2,
//! resumption, early data: each connection shows and checks certificates.

pub mod provider;
mod stream;
pub mod verify;

pub use stream::{INCOMING_BYTES_MAX, OUTGOING_BYTES_MAX, Stream, Trouble};
