//! A receiver that speaks SOS Access v4, as public implementations do: XML over TCP or TLS, one connection for each message.
//!
//! Enters: orders. Leaves: link events ([`super::asking`] carries them). Last provable rung: accepted, by status 0. Invariants: an
//! answer counts on its own connection alone, and for its own reference; "the receiver has this alarm already" is an acceptance;
//! a password is never logged. Absent: voice, a clock set by the receiver, and the protocol's position (an alarm tells none).

mod answer;
pub mod codes;
pub mod config;
mod exchange;
mod message;
mod password;
pub mod status;

pub use self::answer::{Answer, AnswerError};
pub use self::config::SosAccessConfig;
pub use self::message::Request;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::{Instant, timeout_at};

use self::config::Address;
use self::password::Password;
use super::asking::{self, Asks, Errand, Progress, Proof};
use super::config::ReceiverConfig;
use super::link::{Failure, LinkContext};
use super::scaip::mrq::Sender;
use super::sip::write::token;
use super::stream::{self, Stream};
use crate::clock::Clock;

/// Runs until the orders end.
pub(crate) async fn run(context: LinkContext) {
    let (own, given) = (context.config.sos_access.clone(), context.config.password.clone());
    let (Ok(address), Some(own), Some(given)) = (Address::parse(&context.config.url), own, given) else {
        // The configuration was checked before the link was started.
        return tracing::error!(receiver = context.config.name, "link not started: its configuration is not whole");
    };
    let kept_in = context.config.password_file.as_deref().filter(|_| own.rotate_password);
    let kind = SosAccess {
        password: Password::new(given, kept_in),
        is_renewal_asked: AtomicBool::new(false),
        config: context.config.clone(),
        address,
        own,
        sender: context.sender.clone(),
        clock: context.clock.clone(),
    };
    asking::run(context, kind).await;
}

struct SosAccess {
    config: ReceiverConfig,
    address: Address,
    own: SosAccessConfig,
    password: Password,
    is_renewal_asked: AtomicBool,
    sender: Sender,
    clock: Arc<dyn Clock>,
}

impl Asks for SosAccess {
    /// A receiver of this kind sees transmitters that say one thing at a time; the second place is so that life need not wait.
    const PLACES: usize = 2;
    const PLACES_FOR_LIFE: usize = 1;

    async fn alarm(&self, errand: &Errand, progress: &Progress) -> Result<Proof, Failure> {
        let wall_ms = self.clock.now().wall_ms;
        let body = message::alarm(&self.own, &self.password.current(), &self.sender, &errand.notice, wall_ms);
        let mut stream = self.open(errand.received_by, progress).await?;
        let deadlines = exchange::Deadlines::of(errand, &self.config);
        let answer = exchange::exchange(&mut stream, &body, &deadlines, progress).await?;
        judge(&answer, &errand.notice.reference)
    }

    async fn beat(&self, until: Instant, progress: &Progress) -> Result<String, Failure> {
        let renewed = self.renew_password(until, progress).await;
        let answer = self.ask(Request::Ping, until, progress).await?;
        let note = match answer.status {
            status::OK => "heartbeat answered",
            status::PING_TOO_OFTEN => {
                "heartbeat answered: the receiver finds it too frequent; make `heartbeat_interval_s` longer"
            }
            status::SERVICE_UNAVAILABLE => {
                "heartbeat answered, but the receiver does not watch this home: it would not miss it; have its heartbeat service switched on"
            }
            _ => return Err(refused(&answer)),
        };
        Ok(format!("{note}{renewed}"))
    }
}

impl SosAccess {
    async fn open(&self, until: Instant, progress: &Progress) -> Result<Box<dyn Stream>, Failure> {
        let Address { tls, host, port } = &self.address;
        let opening = stream::open(&self.config, host, *port, *tls, self.clock.now().wall_ms);
        let opened =
            timeout_at(until, opening).await.map_err(|_| Failure::NotReceived(self.config.received_deadline_ms))?;
        let opened = opened.map_err(|error| Failure::NotConnected(error.to_string()))?;
        progress.opened(opened.expired_at_s);
        Ok(opened.stream)
    }

    async fn ask(&self, request: Request, until: Instant, progress: &Progress) -> Result<Answer, Failure> {
        let reference = token();
        let body = message::ask(request, &self.own, &self.password.current(), &reference);
        let mut stream = self.open(until, progress).await?;
        let deadlines = exchange::Deadlines::both(until, self.config.received_deadline_ms);
        let answer = exchange::exchange(&mut stream, &body, &deadlines, progress).await?;
        belongs(&answer, request, &reference)?;
        Ok(answer)
    }

    /// Has the installer's password exchanged for one that nobody has seen; says where that did not work.
    async fn renew_password(&self, until: Instant, progress: &Progress) -> String {
        // Asked once: a receiver that knows no such question would else be asked at every heartbeat.
        if self.is_renewal_asked.load(Ordering::Relaxed) {
            return String::new();
        }
        let Ok(Some(renewing)) = timeout_at(until, self.password.due()).await else { return String::new() };
        let why = match self.ask(Request::NewPassword, until, progress).await {
            Ok(Answer { status: status::OK, new_password: Some(new), .. }) => match renewing.keep(&new) {
                Ok(()) => return "; the password was exchanged for one that only this home knows".to_owned(),
                Err(error) => error.to_string(),
            },
            Ok(answer) if answer.status == status::OK => "its answer has no password of 15 characters".to_owned(),
            Ok(answer) => refused(&answer).to_string(),
            Err(Failure::NotConnected(_)) => return String::new(),
            Err(failure) => failure.to_string(),
        };
        self.is_renewal_asked.store(true, Ordering::Relaxed);
        tracing::warn!(receiver = self.config.name, why, "the installer's password stays in use: it was not exchanged");
        format!("; the installer's password stays in use: {why}")
    }
}

fn belongs(answer: &Answer, request: Request, reference: &str) -> Result<(), Failure> {
    let wrong = |detail: &str| Err(Failure::Refused { detail: detail.to_owned(), permanent: false });
    if answer.to != request {
        return wrong("it answered something that was not asked");
    }
    match &answer.reference {
        Some(other) if other != reference => wrong("its answer is for another reference"),
        _ => Ok(()),
    }
}

fn judge(answer: &Answer, reference: &str) -> Result<Proof, Failure> {
    belongs(answer, Request::Alarm, reference)?;
    match answer.status {
        status::OK => Ok(Proof::Accepted(String::new())),
        // Its answer to an earlier try was lost, or went to our other path.
        status::DUPLICATE => Ok(Proof::Accepted("the receiver says that it has it already".to_owned())),
        _ => Err(refused(answer)),
    }
}

fn refused(answer: &Answer) -> Failure {
    let Answer { status, info, .. } = answer;
    let detail = format!("status {status} ({}), in its words `{info}`", status::meaning(*status));
    Failure::Refused { detail, permanent: status::is_permanent(*status) }
}

#[cfg(test)]
mod tests;
