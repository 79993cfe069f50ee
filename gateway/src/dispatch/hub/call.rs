//! A connection of its own to a hub, beside that of the alarms: what goes over it never stands before an alarm.
//!
//! Enters: the hub's configuration, what the connection is for (ALPN). Leaves: a stream that stands, over the first path that leads there.

use super::super::config::ReceiverConfig;
use super::super::stream::{self, OpenError, Stream};
use super::address;

/// Opens it with our own certificate.
///
/// # Errors
/// [`OpenError`] of the last path tried.
pub(crate) async fn open(receiver: &ReceiverConfig, alpn: &[u8]) -> Result<Box<dyn Stream>, OpenError> {
    let mut last = OpenError::NoAddress { to: receiver.url.clone() };
    for (_, over) in receiver.over_each_path() {
        let Some((host, port)) = address(&over.url) else { continue };
        match stream::open_for(&over, &host, port, alpn).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}
