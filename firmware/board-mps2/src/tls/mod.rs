//! TLS 1.3 with certificates on both sides, over any byte stream. Enters and leaves: bytes of the connection.
//!
//! rustls without `std`, so that the gateway's certificate is judged as completely as the gateway judges ours
//! ([`verify`]), with a provider that knows one suite, one curve and one signature ([`provider`]). Before a device has a
//! certificate it shows none, and knows its gateway by a code ([`door`]). Absent: TLS 1.2,
//! resumption, early data: each connection shows and checks certificates.

pub mod door;
pub mod provider;
mod stream;
pub mod verify;

use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

pub use stream::{INCOMING_BYTES_MAX, OUTGOING_BYTES_MAX, Stream, Trouble};

/// For a client whose verifier has its own idea of the time.
#[derive(Debug)]
pub struct NoTime;

impl TimeProvider for NoTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(core::time::Duration::ZERO))
    }
}
