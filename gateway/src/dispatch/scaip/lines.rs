//! The link's connections: dialled, dialled back, lost; and which of its parts each frame goes to.

use std::time::Duration;

use tokio::time::Instant;

use super::super::backoff::next_wait_ms;
use super::super::connection::{Connection, Wire};
use super::super::link::{Failure, LinkEvent};
use super::super::sip::{Frame, Start, Transport};
use super::super::stream::Opened;
use super::{Dial, Link, Open, inbound};
use crate::limits::{DIAL_BACK_CONNECTIONS_MAX, PATH_STABLE_MS};

impl Link {
    pub(super) async fn hear(&mut self, event: Wire) {
        match event {
            Wire::Dialled(Ok(opened)) => self.opened(opened).await,
            // The one that stands goes on, with the certificate that we had.
            Wire::Dialled(Err(error)) if self.main.is_some() => {
                self.dial = Dial::Stands;
                tracing::warn!(receiver = self.context.config.name, %error, "the receiver did not take our renewed certificate");
            }
            Wire::Dialled(Err(error)) => {
                self.refusal = error.to_string();
                self.dial_later(Instant::now());
                let waiting: Vec<String> = self.pending.keys().cloned().collect();
                for reference in waiting {
                    if self.pending.get(&reference).is_some_and(|p| p.connection.is_none()) {
                        self.fail(&reference, Failure::NotConnected(self.refusal.clone())).await;
                    }
                }
                let refusal = self.refusal.clone();
                self.missed(&refusal).await;
            }
            Wire::DialledBack(opened) => self.dialled_back(opened),
            Wire::Frame(id, frame) => {
                if let Some(open) = self.connections.get_mut(&id) {
                    open.heard_at = Some(Instant::now());
                    self.frame(id, frame).await;
                }
            }
            Wire::Closed(id, why) => self.closed(id, &why).await,
        }
    }

    pub(super) async fn opened(&mut self, opened: Opened) {
        self.receiver_ip = Some(opened.peer.ip());
        if opened.expired_at_s != self.certificate_ended {
            self.certificate_ended = opened.expired_at_s;
            self.tell(LinkEvent::Certificate { ended: opened.expired_at_s }).await;
        }
        let id = self.add(opened, false);
        // One with our old certificate ends with what was sent on it meanwhile; else now.
        if let Some(before) = self.main.replace(id)
            && !self.transactions.values().any(|t| t.connection == before)
        {
            self.connections.remove(&before);
        }
        self.dial = Dial::Stands;
        let unsent =
            self.pending.iter().filter(|(_, p)| p.connection.is_none_or(|on| !self.connections.contains_key(&on)));
        let mut waiting: Vec<_> = unsent.map(|(reference, p)| (p.notice.lane, p.attempt, reference.clone())).collect();
        waiting.sort();
        for (_, _, reference) in waiting {
            self.send(&reference).await;
        }
        let now = Instant::now();
        self.heartbeat_due = now + self.context.heartbeat(self.supervision.is_proven());
        self.beat(now);
        self.tell(LinkEvent::Connected).await;
    }

    pub(super) fn dialled_back(&mut self, opened: Opened) {
        // Without TLS there is nothing but the address to know the receiver by.
        let stranger = self.uri.transport == Transport::Tcp && self.receiver_ip != Some(opened.peer.ip());
        let full = self.connections.values().filter(|open| open.inbound).count() >= DIAL_BACK_CONNECTIONS_MAX;
        if stranger || full {
            return tracing::warn!(receiver = self.context.config.name, peer = %opened.peer, "a connection towards us was closed");
        }
        self.add(opened, true);
    }

    pub(super) fn add(&mut self, opened: Opened, inbound: bool) -> u64 {
        self.ids += 1;
        let connection = Connection::start(self.ids, opened.stream, self.wire.clone());
        let open = Open {
            connection,
            local: opened.local,
            since: Instant::now(),
            heard_at: None,
            heartbeats_missed: 0,
            inbound,
        };
        self.connections.insert(self.ids, open);
        self.ids
    }

    pub(super) async fn frame(&mut self, id: u64, frame: Frame) {
        match frame {
            Frame::Message(message) if matches!(message.start, Start::Response { .. }) => self.response(message).await,
            Frame::Ping => self.reply(id, b"\r\n".to_vec()).await,
            request => {
                let heard = inbound::judge(&request);
                if let Some(bytes) = heard.reply {
                    self.reply(id, bytes).await;
                }
                if let Some(mrs) = heard.mrs {
                    self.answered(mrs).await;
                }
            }
        }
    }

    pub(super) async fn reply(&mut self, id: u64, bytes: Vec<u8>) {
        if self.connections.get(&id).is_some_and(|open| !open.connection.send(bytes)) {
            self.closed(id, "the receiver does not read").await;
        }
    }

    /// A connection is gone: everything that waits on it fails at once, and the main one is dialled again.
    pub(super) async fn closed(&mut self, id: u64, why: &str) {
        let Some(open) = self.connections.remove(&id) else {
            return;
        };
        if self.main != Some(id) {
            return;
        }
        self.main = None;
        self.refusal = why.to_owned();
        let now = Instant::now();
        if now.duration_since(open.since) >= Duration::from_millis(PATH_STABLE_MS) {
            self.redial_ms = 0;
        }
        self.dial_later(now);
        self.transactions.retain(|_, t| t.connection != id);
        let lost: Vec<String> =
            self.pending.iter().filter(|(_, p)| p.connection == Some(id)).map(|(r, _)| r.clone()).collect();
        for reference in lost {
            self.fail(&reference, Failure::Closed(why.to_owned())).await;
        }
        self.missed(why).await;
    }

    pub(super) fn dial_later(&mut self, now: Instant) {
        let pace = &self.context.pace;
        self.redial_ms = next_wait_ms(&mut self.dice, self.redial_ms, pace.retry_ms_min, pace.redial_ms_max);
        self.dial = Dial::After(now + Duration::from_millis(self.redial_ms));
    }
}
