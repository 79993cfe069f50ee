//! The time that a gateway tells its devices. Enters and leaves: `{"v":1,"at":…}`.
//!
//! It is no command: it is true now or never, so it goes with QoS 0 and is never kept or sent again.

use serde::{Deserialize, Serialize};

use crate::encode::{EncodeError, cbor};

/// A message on a device's topic `time`. Sent when the device has subscribed, then every hour, and only while the
/// gateway's own clock is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Time {
    /// Version of the wire format: 1.
    pub v: u8,
    /// Now, UTC milliseconds since 1970.
    pub at: i64,
}

impl Time {
    /// Longest message in CBOR, in bytes.
    pub const BYTES_MAX: usize = 16;

    /// This moment, UTC milliseconds since 1970.
    pub fn new(at: i64) -> Self {
        Self { v: crate::VERSION, at }
    }
}

/// Writes the time as CBOR; returns its length in bytes. [`Time::BYTES_MAX`] always suffice.
///
/// # Errors
/// The buffer is too small.
pub fn encode_time_cbor(time: Time, buffer: &mut [u8]) -> Result<usize, EncodeError> {
    cbor("time", &time, buffer)
}

/// Reads the time from CBOR. `None`: it is none, or of another version; the device goes on as before.
pub fn decode_time(bytes: &[u8]) -> Option<i64> {
    let time: Time = minicbor_serde::from_slice(bytes).ok()?;
    (time.v == crate::VERSION).then_some(time.at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_read_as_it_is_written() {
        let mut buffer = [0; Time::BYTES_MAX];
        for at in [i64::MIN, 0, 1_795_212_345_123, i64::MAX] {
            let length = encode_time_cbor(Time::new(at), &mut buffer).unwrap();
            assert_eq!(decode_time(&buffer[..length]), Some(at));
        }
        assert_eq!(buffer[..5], [0xa2, 0x61, b'v', 0x01, 0x62]);
        assert_eq!(decode_time(b""), None);
        assert_eq!(decode_time(&[0xa2, 0x61, b'v', 0x02, 0x62, b'a', b't', 0x01]), None, "another version");
    }
}
