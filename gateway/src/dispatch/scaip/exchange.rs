//! What the link says and what comes back: requests, their responses, logins, and the alarm centre's answers.

use std::time::Duration;

use tokio::time::Instant;

use super::super::link::{Failure, LinkEvent};
use super::super::sip::digest::challenge;
use super::super::sip::{Message, Start, write};
use super::mrs::Mrs;
use super::{CONTENT_TYPE, Dial, HEARTBEATS_KEPT, Link, Transaction, mrq};
use crate::limits::HEARTBEAT_MISSES_MAX;

impl Link {
    /// Sends a pending notice if a connection stands; else it goes when one does.
    pub(super) async fn send(&mut self, reference: &str) {
        let Some(main) = self.main else { return };
        let wall_ms = self.context.clock.now().wall_ms;
        let Some(pending) = self.pending.get_mut(reference) else {
            return;
        };
        pending.connection = Some(main);
        let (attempt, until) = (pending.attempt, pending.received_by);
        let body = mrq::alarm(&self.context.sender, &pending.notice, wall_ms);
        if self.request(main, Some(reference.to_owned()), body, until) {
            self.tell(LinkEvent::Sent { attempt }).await;
        } else {
            self.closed(main, "the receiver does not read").await;
        }
    }

    pub(super) fn beat(&mut self, now: Instant) {
        let Some(main) = self.main else { return };
        let reference = write::token();
        let body = mrq::heartbeat(&self.context.sender, &reference);
        if self.heartbeats.len() == HEARTBEATS_KEPT {
            self.heartbeats.pop_front();
        }
        self.heartbeats.push_back(reference);
        let until = now + Duration::from_millis(self.context.config.received_deadline_ms.into());
        // Not sent: its silence counts as a miss when its time is over.
        let _ = self.request(main, None, body, until);
    }

    pub(super) fn request(&mut self, main: u64, reference: Option<String>, body: String, until: Instant) -> bool {
        let transaction = Transaction {
            reference,
            connection: main,
            call_id: write::token(),
            from_tag: write::token(),
            cseq: 1,
            body,
            logins: 0,
            sent_at: Instant::now(),
            until,
        };
        self.transmit(transaction, None)
    }

    /// Writes a request under a new branch and waits for its response under that.
    pub(super) fn transmit(&mut self, transaction: Transaction, authorization: Option<&str>) -> bool {
        let Some(open) = self.connections.get(&transaction.connection) else {
            return false;
        };
        let branch = write::branch();
        let bytes = write::message_request(
            &write::Request {
                uri: &self.uri.text,
                transport: self.uri.transport,
                local: &self.context.config.listen.unwrap_or(open.local).to_string(),
                user: &self.context.sender.controller_id,
                branch: &branch,
                from_tag: &transaction.from_tag,
                call_id: &transaction.call_id,
                cseq: transaction.cseq,
                authorization,
                content_type: CONTENT_TYPE,
            },
            transaction.body.as_bytes(),
        );
        let sent = open.connection.send(bytes);
        self.transactions.insert(branch, transaction);
        sent
    }

    pub(super) async fn response(&mut self, message: Message) {
        let Start::Response { status, ref reason } = message.start else {
            return;
        };
        let ours = message.cseq().is_some_and(|(_, method)| method == "MESSAGE");
        let Some(branch) = message.branch().filter(|_| ours && status >= 200) else {
            return;
        };
        let Some(transaction) = self.transactions.remove(branch) else {
            return tracing::debug!(receiver = self.context.config.name, status, "a response to nothing that waits");
        };
        if matches!(status, 401 | 407) {
            return self.login(transaction, &message).await;
        }
        let failure = Failure::Status { status, reason: reason.chars().filter(|c| !c.is_control()).take(64).collect() };
        match &transaction.reference {
            None if (200..300).contains(&status) => {
                if let Some(open) = self.connections.get_mut(&transaction.connection) {
                    open.heartbeats_missed = 0;
                }
                if self.supervision.answered() {
                    let detail = "heartbeat answered".to_owned();
                    self.tell(LinkEvent::Path { up: true, detail }).await;
                }
            }
            None => self.heartbeat_missed(transaction.connection, &failure.to_string()).await,
            Some(reference) if (200..300).contains(&status) => {
                if let Some(pending) = self.pending.get_mut(reference) {
                    pending.received = true;
                    let received = LinkEvent::Received { attempt: pending.attempt, detail: String::new() };
                    self.tell(received).await;
                }
                // Some receivers put their answer into the 200 itself.
                if !message.body.is_empty()
                    && let Ok(mrs) = Mrs::parse(&message.body)
                {
                    self.answered(mrs).await;
                }
            }
            Some(reference) => self.fail(reference, failure).await,
        }
    }

    pub(super) async fn login(&mut self, mut transaction: Transaction, message: &Message) {
        let asked = challenge(message);
        let refused = match (&self.credentials, &asked) {
            (None, _) => Some("set its `user` and `password`"),
            (_, None) => Some("it offers no form of digest that is known here (MD5, SHA-256)"),
            // A second time only where nothing but the nonce was too old.
            (_, Some(asked)) if transaction.logins == 1 && asked.stale => None,
            _ if transaction.logins > 0 => Some("it refuses `user` and `password`; correct them"),
            _ => None,
        };
        let line = match (refused, &self.credentials, asked) {
            (None, Some(login), Some(asked)) => Ok(asked.answer(login, "MESSAGE", &self.uri.text, &write::token())),
            (why, ..) => Err(why.unwrap_or("it cannot be answered")),
        };
        let reference = transaction.reference.clone();
        match (line, reference) {
            (Ok(line), _) => {
                transaction.logins += 1;
                transaction.cseq += 1;
                let id = transaction.connection;
                if !self.transmit(transaction, Some(&line)) {
                    self.closed(id, "the receiver does not read").await;
                }
            }
            (Err(why), Some(reference)) => self.fail(&reference, Failure::Login(why)).await,
            (Err(why), None) => self.heartbeat_missed(transaction.connection, why).await,
        }
    }

    /// The alarm centre's answer, wherever it came from.
    pub(super) async fn answered(&mut self, mrs: Mrs) {
        if self.heartbeats.contains(&mrs.reference) {
            return;
        }
        let detail = mrs.detail();
        let Mrs { reference, snu, .. } = mrs;
        match (snu, self.pending.contains_key(&reference)) {
            (0, _) => {
                let attempt = self.pending.remove(&reference).map(|p| p.attempt);
                self.tell(LinkEvent::Accepted { attempt, reference, detail, last: false }).await;
            }
            (snu, true) => self.fail(&reference, Failure::Snu { snu }).await,
            (snu, false) => {
                tracing::warn!(receiver = self.context.config.name, snu, "a refusal of nothing that waits");
            }
        }
    }

    pub(super) async fn heartbeat_missed(&mut self, id: u64, why: &str) {
        self.missed(why).await;
        let now = Instant::now();
        let Some(open) = self.connections.get_mut(&id) else {
            return;
        };
        open.heartbeats_missed += 1;
        // Left alone for hours, as a second path is: the network may have forgotten the connection, and a new one tells at once.
        let left_alone = self.context.heartbeat(false) * (HEARTBEAT_MISSES_MAX + 1);
        let is_forgotten = open.heard_at.is_some_and(|heard_at| now.duration_since(heard_at) > left_alone);
        if is_forgotten || open.heartbeats_missed >= HEARTBEAT_MISSES_MAX {
            self.closed(id, why).await;
        }
        if is_forgotten {
            self.dial = Dial::After(now);
        }
    }

    pub(super) async fn missed(&mut self, why: &str) {
        if self.supervision.missed() {
            self.tell(LinkEvent::Path { up: false, detail: why.to_owned() }).await;
        }
    }
}
