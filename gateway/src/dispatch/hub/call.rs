//! A connection of its own to a hub, beside that of the alarms: what goes over it never stands before an alarm.
//!
//! Enters: the hub's configuration, what the connection is for (ALPN). Leaves: a stream that stands, over the first path that leads there: one that
//! says nothing does not use up the time of the next.

use std::time::Duration;

use super::super::config::ReceiverConfig;
use super::super::first::{Try, first_of};
use super::super::stream::{self, OpenError, Stream};
use super::address;
use crate::limits::LOOK_PATH_MS;

/// Opens it with our own certificate.
///
/// # Errors
/// [`OpenError`] of the last path tried.
pub(crate) async fn open(receiver: &ReceiverConfig, alpn: &[u8]) -> Result<Box<dyn Stream>, OpenError> {
    let paths = receiver.over_each_path().into_iter();
    let ways = paths.filter_map(|(_, over)| address(&over.url).map(|(host, port)| (over, host, port)));
    let ways = ways.map(|(over, host, port)| -> Try<'_, Box<dyn Stream>, OpenError> {
        Box::pin(async move { stream::open_for(&over, &host, port, alpn).await })
    });
    let none = || Err(OpenError::NoAddress { to: receiver.url.clone() });
    first_of(ways, Duration::from_millis(LOOK_PATH_MS)).await.unwrap_or_else(none)
}
