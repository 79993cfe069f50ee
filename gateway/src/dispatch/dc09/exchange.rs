//! What the link says, and what an answer to it means.

use std::time::Duration;

use ring::rand::SecureRandom;
use tokio::time::Instant;

use super::answer::{Answer, Kind, plain_account};
use super::frame::{self, PAD_CHARS_MAX, Sender};
use super::{Flight, Link, What, message};
use crate::dispatch::link::{Failure, LinkEvent};

/// A difference between two clocks that no receiver refuses a message for, in milliseconds.
const SAME_TIME_MS: i64 = 1_000;

const NAK: &str =
    "NAK: it cannot read the message, or refuses its time; compare account, key and protocol with the receiver's";
const DUH: &str =
    "DUH: it has read the message and cannot process it; compare protocol and event codes with the receiver's";
const IN_CLEAR: &str =
    "it answers in clear what was told encrypted, which proves nothing; compare the key with the receiver's";

impl Link {
    pub(super) async fn send(&mut self, what: What, now: Instant) {
        let number = match &what {
            What::Alarm(alarm) => self.numbers.lock().of(&alarm.notice.reference),
            What::Heartbeat => {
                self.heartbeat_due = now + self.context.heartbeat(false);
                self.numbers.lock().fresh()
            }
        };
        let line = self.open.as_ref().map_or(0, |open| open.id);
        let until = now + Duration::from_millis(self.context.config.received_deadline_ms.into());
        let sent = match &what {
            What::Alarm(alarm) => Some(LinkEvent::Sent { attempt: alarm.attempt }),
            What::Heartbeat => None,
        };
        let flight = Flight { what, number, line, sent_at: now, until, corrected: false };
        let frame = self.frame(&flight);
        self.flight = Some(flight);
        if !self.write(frame) {
            return self.closed(line, "the receiver does not read", now).await;
        }
        if let Some(sent) = sent {
            self.tell(sent).await;
        }
    }

    fn write(&self, frame: Vec<u8>) -> bool {
        self.open.as_ref().is_some_and(|open| open.line.send(frame))
    }

    /// The message as it is told now.
    fn frame(&self, flight: &Flight) -> Vec<u8> {
        let wall_ms = self.context.clock.now().wall_ms;
        let content = match &flight.what {
            What::Alarm(alarm) => message::alarm(&self.config, &alarm.notice, wall_ms, self.offset_ms),
            What::Heartbeat => message::heartbeat(),
        };
        let config = &self.config;
        let sender = Sender { receiver: &config.receiver, prefix: &config.prefix, account: &config.account };
        let stamp_ms = (config.timestamps || config.key.is_some()).then(|| wall_ms.saturating_add(self.offset_ms));
        frame::write(&sender, flight.number, &content, stamp_ms, config.key.as_ref().map(|key| (key, pad())))
    }

    /// An answer, on whichever connection it came.
    pub(super) async fn answered(&mut self, line: u64, answer: Answer, now: Instant) {
        let receiver = self.context.config.name.clone();
        let account = plain_account(&self.config.account);
        // A NAK names none, or one that means nothing: what it could not read has no account.
        if answer.kind != Kind::Nak && answer.account.as_ref().is_some_and(|named| *named != account) {
            return tracing::warn!(receiver, named = answer.account, "an answer to somebody else");
        }
        match answer.kind {
            Kind::Nak => self.refused(line, &answer, now).await,
            Kind::Ack | Kind::Rsp if self.config.key.is_some() && !answer.encrypted => {
                if self.flight.as_ref().is_some_and(|flight| flight.number == answer.number) {
                    self.end_refused(IN_CLEAR).await;
                }
            }
            Kind::Ack | Kind::Rsp => self.accepted(&answer, now).await,
            Kind::Duh if self.flight.as_ref().is_some_and(|flight| flight.number == answer.number) => {
                match self.flight.take().map(|flight| flight.what) {
                    Some(What::Alarm(alarm)) => {
                        self.fail(alarm.attempt, Failure::Refused { detail: DUH.to_owned(), permanent: true }).await;
                    }
                    // Not every receiver has a use for it. It was read, and that is what it is for.
                    Some(What::Heartbeat) | None => {}
                }
                self.proven(now).await;
            }
            Kind::Duh => tracing::debug!(receiver, number = answer.number, "a refusal of nothing that waits"),
        }
    }

    async fn accepted(&mut self, answer: &Answer, now: Instant) {
        let detail = if answer.kind == Kind::Rsp { "RSP" } else { "" }.to_owned();
        let flight = self.flight.take_if(|flight| flight.number == answer.number);
        let (attempt, reference) = match flight.map(|flight| flight.what) {
            Some(What::Heartbeat) => return self.proven(now).await,
            Some(What::Alarm(alarm)) => (Some(alarm.attempt), alarm.notice.reference.clone()),
            None => {
                let reference = self.numbers.lock().reference(answer.number).map(str::to_owned);
                let Some(reference) = reference else {
                    let receiver = &self.context.config.name;
                    return tracing::warn!(receiver, number = answer.number, "an answer to nothing that waits");
                };
                // Late. It may be about to be sent again.
                (self.queue.take(&reference).map(|waiting| waiting.attempt), reference)
            }
        };
        self.numbers.lock().done(&reference);
        self.tell(LinkEvent::Accepted { attempt, reference, detail, last: false }).await;
        self.proven(now).await;
    }

    /// A NAK bears no number: it is for what is under way on its connection. Where its time is another than the one that the message
    /// bore, that may be all that is wrong: the message goes once more, in the receiver's time.
    async fn refused(&mut self, line: u64, answer: &Answer, now: Instant) {
        let Some(flight) = self.flight.as_mut().filter(|flight| flight.line == line) else {
            return tracing::debug!(receiver = self.context.config.name, "a refusal of nothing that waits");
        };
        let has_time = self.config.timestamps || self.config.key.is_some();
        let offset_ms = answer.stamp_ms.map(|stamp_ms| stamp_ms.saturating_sub(self.context.clock.now().wall_ms));
        match offset_ms {
            Some(offset_ms)
                if has_time
                    && !flight.corrected
                    && offset_ms.abs_diff(self.offset_ms) > SAME_TIME_MS.unsigned_abs() =>
            {
                flight.corrected = true;
                self.offset_ms = offset_ms;
                tracing::warn!(
                    receiver = self.context.config.name,
                    offset_ms,
                    "the receiver's clock differs; its time is used"
                );
                let frame = self.flight.as_ref().map(|flight| self.frame(flight));
                if !frame.is_some_and(|frame| self.write(frame)) {
                    self.closed(line, "the receiver does not read", now).await;
                }
            }
            _ => self.end_refused(NAK).await,
        }
    }

    async fn end_refused(&mut self, why: &str) {
        let Some(flight) = self.flight.take() else { return };
        match flight.what {
            What::Alarm(alarm) => {
                self.fail(alarm.attempt, Failure::Refused { detail: why.to_owned(), permanent: true }).await;
            }
            What::Heartbeat => self.missed(why).await,
        }
    }

    /// The receiver has answered: the path works.
    async fn proven(&mut self, now: Instant) {
        if self.supervision.answered() {
            self.tell(LinkEvent::Path { up: true, detail: "heartbeat answered".to_owned() }).await;
        }
        self.heartbeat_due = now + self.context.heartbeat(true);
    }
}

/// Letters and digits that nobody can foretell.
fn pad() -> [u8; PAD_CHARS_MAX] {
    const LETTERS: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-+";
    let mut bytes = [0; PAD_CHARS_MAX];
    if ring::rand::SystemRandom::new().fill(&mut bytes).is_err() {
        // Words that are hidden less well are better than no alarm.
        tracing::error!("the system gives no random bytes");
    }
    bytes.map(|byte| LETTERS[usize::from(byte & 63)])
}
