//! One request and its answer on a connection of their own.
//!
//! Invariant: something has come back by the first deadline and the whole answer by the second; after either the failure is told,
//! and the connection listened on for a while longer, because the answer still says whether the receiver has the alarm.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::super::asking::{Errand, Progress};
use super::super::config::ReceiverConfig;
use super::super::link::Failure;
use super::Answer;
use crate::limits::LATE_ANSWER_MS_MAX;

/// When what must have come, with the limits as configured, for what is said of them.
pub(super) struct Deadlines {
    received_by: Instant,
    received_ms: u32,
    accepted_by: Instant,
    accepted_ms: u32,
}

impl Deadlines {
    pub fn of(errand: &Errand, config: &ReceiverConfig) -> Self {
        Self {
            received_by: errand.received_by,
            received_ms: config.received_deadline_ms,
            accepted_by: errand.accepted_by,
            accepted_ms: config.accepted_deadline_ms,
        }
    }

    /// The whole answer by `until`.
    pub fn both(until: Instant, ms: u32) -> Self {
        Self { received_by: until, received_ms: ms, accepted_by: until, accepted_ms: ms }
    }
}

/// Says `request` and hears the answer.
pub(super) async fn exchange(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    request: &[u8],
    deadlines: &Deadlines,
    progress: &Progress,
) -> Result<Answer, Failure> {
    let closed = |error: std::io::Error| Failure::Closed(error.to_string());
    let writing = async {
        stream.write_all(request).await?;
        stream.flush().await
    };
    let written = timeout_at(deadlines.received_by, writing).await;
    written.map_err(|_| Failure::NotReceived(deadlines.received_ms))?.map_err(closed)?;
    progress.sent();
    let (mut come, mut buffer, mut late_until) = (Vec::new(), vec![0; 4 * 1024], None);
    loop {
        let (by, failure) = match come.is_empty() {
            true => (deadlines.received_by, Failure::NotReceived(deadlines.received_ms)),
            false => (deadlines.accepted_by, Failure::NotAccepted(deadlines.accepted_ms)),
        };
        let count = match timeout_at(late_until.unwrap_or(by), stream.read(&mut buffer)).await {
            Ok(read) => read.map_err(closed)?,
            Err(_) if late_until.is_none() => {
                progress.late(failure);
                late_until = Some(Instant::now() + Duration::from_millis(LATE_ANSWER_MS_MAX));
                continue;
            }
            Err(_) => return Err(failure),
        };
        if count == 0 {
            let how = if come.is_empty() {
                "closed by the receiver"
            } else {
                "closed by the receiver in the middle of its answer"
            };
            return Err(Failure::Closed(how.to_owned()));
        }
        come.extend_from_slice(&buffer[..count]);
        match Answer::read(&come) {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) => {}
            Err(error) => return Err(Failure::Closed(error.to_string())),
        }
    }
}
