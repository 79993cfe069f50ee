//! The way of each alarm as spans, for a collector that speaks OpenTelemetry (OTLP 1, JSON over HTTP).
//!
//! Enters: alarms as they stand, asked for last of all questions. Leaves: spans that are over, to the collector on this machine that `[otlp]`
//! names; it sends on by TLS, if anywhere. Invariants: an alarm waits for no span; a collector that is away costs spans alone, which are
//! told when it is back; nobody is named: no resident, no device, no room. In memory alone: after a start what is older is not told.

mod json;
mod spans;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};
use tracing::{info, warn};

use self::spans::{Span, SpanId};
use crate::clock::Clock;
use crate::ingest::inbox::{Inbox, Rank};
use crate::limits::{OTLP_ANSWER_MS_MAX, OTLP_BACK_MS, OTLP_EVERY_MS, OTLP_SPANS_MAX};
use crate::pipeline::keeper::{Ask, Input, Keeper};

/// Tells the collector at `to`, until the gateway stops.
pub struct Teller {
    pub to: SocketAddr,
    pub gateway: String,
    pub version: String,
    pub inbox: Arc<Inbox<Input>>,
    pub clock: Arc<dyn Clock>,
}

impl Teller {
    pub async fn run(self, mut shutdown: watch::Receiver<bool>) {
        let begun_ms = self.clock.now().wall_ms;
        // What the collector has, and when it was over: so long as it would be found again.
        let mut told: BTreeMap<SpanId, i64> = BTreeMap::new();
        let mut is_away = false;
        loop {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(OTLP_EVERY_MS)) => {}
                _ = shutdown.changed() => return,
            }
            let since_ms = begun_ms.max(self.clock.now().wall_ms.saturating_sub(OTLP_BACK_MS));
            told.retain(|_, over_ms| *over_ms >= since_ms);
            let Some(mut spans) = self.over_since(since_ms).await else { continue };
            spans.retain(|span| !told.contains_key(&span.id));
            // The oldest first: what is left is told in the next round.
            spans.sort_by_key(|span| span.end_ms);
            spans.truncate(OTLP_SPANS_MAX);
            if spans.is_empty() {
                continue;
            }
            match self.post(json::request(&self.gateway, &self.version, &spans)).await {
                Ok(()) => {
                    told.extend(spans.iter().map(|span| (span.id, span.end_ms)));
                    if std::mem::take(&mut is_away) {
                        info!(to = %self.to, "the collector of spans answers again");
                    }
                }
                // Said once: it is nobody's alarm.
                Err(e) if !std::mem::replace(&mut is_away, true) => {
                    warn!(
                        "telling spans to {} ([otlp] to): {e}; alarms go on, trying again every {OTLP_EVERY_MS} ms",
                        self.to
                    );
                }
                Err(_) => {}
            }
        }
    }

    /// `None`: the gateway stops.
    async fn over_since(&self, since_ms: i64) -> Option<Vec<Span>> {
        let (reply, answer) = oneshot::channel();
        let gateway = self.gateway.clone();
        let look = move |keeper: &Keeper| {
            let alarms = &keeper.state().alarms;
            let found = alarms.open().chain(alarms.closed()).flat_map(|alarm| spans::of(&gateway, alarm));
            // Whoever asked may have gone away.
            let _ = reply.send(found.filter(|span| span.end_ms >= since_ms).collect());
        };
        self.inbox.put([(Rank::Last, Input::Ask(Ask::See(Box::new(look))))]);
        answer.await.ok()
    }

    async fn post(&self, body: String) -> Result<(), String> {
        let asking = async {
            let stream = TcpStream::connect(self.to).await.map_err(|e| format!("connecting: {e}"))?;
            let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
            let (mut sender, connection) = handshake.map_err(|e| format!("speaking HTTP: {e}"))?;
            let driver = tokio::spawn(connection);
            let request = Request::builder()
                .method(Method::POST)
                .uri("/v1/traces")
                .header(HOST, self.to.to_string())
                .header(CONTENT_TYPE, "application/json")
                .body(Full::new(Bytes::from(body)))
                .map_err(|e| format!("writing the request: {e}"))?;
            let answer = sender.send_request(request).await;
            driver.abort();
            let status = answer.map_err(|e| format!("waiting for the answer: {e}"))?.status();
            if status.is_success() { Ok(()) } else { Err(format!("it answered {status}")) }
        };
        let limit = Duration::from_millis(OTLP_ANSWER_MS_MAX);
        tokio::time::timeout(limit, asking).await.unwrap_or_else(|_| Err("no answer in time".to_owned()))
    }
}
