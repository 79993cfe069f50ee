//! A receiver that takes alarms by HTTPS: a POST with a JSON body, signed in the form of Standard Webhooks, or over mutual TLS.
//!
//! Enters: orders. Leaves: link events ([`super::asking`] carries them). Last provable rung: received, by any 2xx; whoever wants more
//! than that from a webhook has to be a hub. Invariants: `webhook-id` is the notice's reference in every try, so that a receiver can
//! tell repeats; a redirect is never followed; no more of an answer is read than tells its fate. Absent: cookies, proxies, HTTP/2.

pub mod body;
pub mod config;
mod post;
pub mod sign;

pub use self::config::WebhookConfig;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use vaka_protocol::Lane;

use self::config::Target;
use self::post::{Answer, Client};
use super::asking::{self, Asks, Errand, Progress, Proof};
use super::link::{Failure, LinkContext};
use super::parcels::{Parcel, ParcelWhat};
use super::scaip::mrq::Sender;
use super::sip::write::token;
use crate::clock::Clock;
use crate::limits::{RETRY_LIFE_MS_MAX, RETRY_MS_MAX};

/// Runs until the orders end.
pub(crate) async fn run(context: LinkContext) {
    let (Ok(target), Some(own)) = (Target::parse(&context.config.url), context.config.webhook.clone()) else {
        // The configuration was checked before the link was started.
        return tracing::error!(receiver = context.config.name, "link not started: its configuration is not whole");
    };
    let kind = Webhook {
        client: Client::new(context.config.clone(), target, context.clock.clone()),
        own,
        sender: context.sender.clone(),
        clock: context.clock.clone(),
        left_alone: Mutex::new(None),
    };
    asking::run(context, kind).await;
}

struct Webhook {
    client: Client,
    own: WebhookConfig,
    sender: Sender,
    clock: Arc<dyn Clock>,
    /// When it asked to be left alone, and for how long.
    left_alone: Mutex<Option<(Instant, Duration)>>,
}

impl Asks for Webhook {
    /// A receiver that takes 100 ms for each gets 40 alarms in a second; more at once would need a hub.
    const PLACES: usize = 4;
    const PLACES_FOR_LIFE: usize = 1;

    async fn alarm(&self, errand: &Errand, progress: &Progress) -> Result<Proof, Failure> {
        let notice = &errand.notice;
        let now = Instant::now();
        if self.left_alone_until(notice.lane).is_some_and(|until| now < until) {
            let detail = "it asked to be left alone for a while (Retry-After)".to_owned();
            return Err(Failure::Refused { detail, permanent: false });
        }
        let body = body::alarm(&self.own.gateway, &self.sender, notice, self.clock.now().wall_ms);
        let answer = self.post(&notice.reference, body, errand.received_by, progress).await?;
        if let (true, Some(wait)) = (answer.is_temporary(), answer.retry_after) {
            *self.left_alone() = Some((Instant::now(), wait));
        }
        match answer.refusal() {
            None => Ok(Proof::Received(String::new())),
            Some(failure) => Err(failure),
        }
    }

    async fn beat(&self, until: Instant, progress: &Progress) -> Result<String, Failure> {
        if !self.own.ping {
            self.client.connect(until, progress).await?;
            return Ok("connected".to_owned());
        }
        let body = body::ping(&self.own.gateway, self.clock.now().wall_ms);
        let answer = self.post(&format!("ping-{}", token()), body, until, progress).await?;
        match answer.refusal() {
            None => Ok("heartbeat answered".to_owned()),
            Some(Failure::Refused { detail, permanent: true }) => {
                let detail = format!("{detail}; a receiver that takes no `ping` needs `ping = false`");
                Err(Failure::Refused { detail, permanent: true })
            }
            Some(failure) => Err(failure),
        }
    }

    async fn parcel(&self, parcel: &Parcel, until: Instant, progress: &Progress) -> Result<(), Failure> {
        let ParcelWhat::Telemetry(word) = &parcel.what else {
            return Err(Failure::Refused {
                detail: "a webhook is told alarms and telemetry alone".to_owned(),
                permanent: true,
            });
        };
        if self.left_alone_until(Lane::Telemetry).is_some_and(|until| Instant::now() < until) {
            let detail = "it asked to be left alone for a while (Retry-After)".to_owned();
            return Err(Failure::Refused { detail, permanent: false });
        }
        let id = format!("telemetry-{}-{}-{}-{}", self.own.gateway, word.stream, word.record, word.index);
        let answer = self.post(&id, body::telemetry(&self.own.gateway, word), until, progress).await?;
        answer.refusal().map_or(Ok(()), Err)
    }

    fn has_heartbeat(&self) -> bool {
        self.own.ping
    }
}

impl Webhook {
    async fn post(&self, id: &str, body: Vec<u8>, until: Instant, progress: &Progress) -> Result<Answer, Failure> {
        let timestamp_s = self.clock.now().wall_ms.div_euclid(1_000);
        let signature = match self.own.secrets.as_slice() {
            [] => None,
            secrets => Some(sign::signature(secrets, id, timestamp_s, &body)),
        };
        self.client.post(&post::Message { id, timestamp_s, signature, body: body.into() }, until, progress).await
    }

    fn left_alone(&self) -> MutexGuard<'_, Option<(Instant, Duration)>> {
        self.left_alone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the receiver asks for, but never longer than a lane waits between two tries anyway.
    fn left_alone_until(&self, lane: Lane) -> Option<Instant> {
        let most = Duration::from_millis(if lane == Lane::Life { RETRY_LIFE_MS_MAX } else { RETRY_MS_MAX });
        self.left_alone().map(|(since, asked)| since + asked.min(most))
    }
}

#[cfg(test)]
mod tests;
