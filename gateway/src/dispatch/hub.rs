//! A receiver that is another Vaka: the municipality's hub, for which this gateway is a device.
//!
//! Enters: orders. Leaves: link events. An alarm is an event `alarm` on our own topic there: its PUBACK means that it is on
//! the hub's disk (`received`); `accepted`, `claimed` and `closed` come down as receipts, as to any device.
//! Invariants: an event's identity is made from alarm, number and time, so that it stays the same through every try, restart and
//! change of the configuration; a connection never comes back (the client is made anew); a receipt is answered `done` only when its notice is known.
//! While another path is in use this one only proves that the hub answers.

mod beside;
pub(crate) mod call;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use ring::digest::{SHA256, digest};
use tokio::time::Instant;
use vaka_protocol::{
    Command, DeviceId, Event, EventMessage, Lane, Outcome, Rung, Telling, command_id, decode_command,
    encode_event_json, topic,
};

use super::backoff::{Dice, next_wait_ms};
use super::link::{Failure, LinkContext, LinkEvent, Order, Regime};
use super::supervision::Supervision;
use super::{Notice, NoticeWhat, Parcel, ParcelId, ParcelWhat, stream, tls};
use crate::journal::record::ActWhat;
use crate::limits::{IN_FLIGHT_PER_CONNECTION_MAX, PARCEL_MS_MAX, PAST_NOTICES_MAX, PATH_STABLE_MS};
use crate::uplink::{Door, Link as Uplink, News};

/// The `restart` of every event towards a hub: a gateway's events are numbered by what they say, not by its boots.
const RESTART: u32 = 0;
/// Number of a publish that no order waits for.
const NO_ORDER: u64 = 0;
/// Numbers of publishes from here on carry no alarm.
const PARCELS_FROM: u64 = 1 << 63;

/// Host and port of `mqtts:HOST[:PORT]`.
pub fn address(url: &str) -> Option<(String, u16)> {
    let rest = url.strip_prefix("mqtts:")?;
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':').or(port.is_empty().then_some("8883"))?),
        None => rest.split_once(':').unwrap_or((rest, "8883")),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':');
    let port = port.parse().ok().filter(|port| *port != 0)?;
    (!host.is_empty() && host.chars().all(plain)).then(|| (host.to_owned(), port))
}

/// Runs until the orders end.
pub(crate) async fn run(context: LinkContext) {
    let (Some((host, port)), Some(device)) = (address(&context.config.url), context.config.device.clone()) else {
        // The configuration was checked before the link was started.
        return tracing::error!(receiver = context.config.name, "link not started: no address or no id of our own");
    };
    let link = Link {
        context,
        host,
        port,
        device,
        line: Line::Down { dial_at: Instant::now() },
        dialled_at: Instant::now(),
        redial_ms: 0,
        refusal: "not connected yet".to_owned(),
        dice: Dice::fresh(),
        supervision: Supervision::default(),
        pending: BTreeMap::new(),
        unsent: VecDeque::new(),
        known: Known::default(),
        early: BTreeMap::new(),
        parcels: BTreeMap::new(),
        parcels_sent: PARCELS_FROM,
        shown: tls::Shown::default(),
        certificate_ended: None,
        change: Change::default(),
    };
    link.run().await;
}

/// The connection.
enum Line {
    Down { dial_at: Instant },
    Opening(Box<Uplink>),
    Up { link: Box<Uplink>, since: Instant },
}

/// An order under way.
struct Pending {
    notice: Arc<Notice>,
    payload: String,
    received: bool,
    received_by: Instant,
    accepted_by: Instant,
}

/// Which notice an event's number stands for, also after its order has ended.
#[derive(Default)]
struct Known {
    by_seq: BTreeMap<u64, String>,
    order: VecDeque<u64>,
}

impl Known {
    fn add(&mut self, seq: u64, reference: &str) {
        if self.by_seq.insert(seq, reference.to_owned()).is_none() {
            self.order.push_back(seq);
        }
        if self.order.len() > PAST_NOTICES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_seq.remove(&oldest);
        }
    }
}

struct Link {
    context: LinkContext,
    host: String,
    port: u16,
    device: DeviceId,
    line: Line,
    dialled_at: Instant,
    redial_ms: u64,
    /// Why there is no connection.
    refusal: String,
    dice: Dice,
    supervision: Supervision,
    /// By attempt.
    pending: BTreeMap<u64, Pending>,
    /// Attempts that wait for room on the connection, most urgent first.
    unsent: VecDeque<u64>,
    known: Known,
    /// Receipts that came before their notice was ordered again (after a restart): rung, whether it is the last, command id; by number.
    early: BTreeMap<u64, (Rung, bool, u64)>,
    /// Beside alarms, under way: by the number of its publish, and when it has to be there.
    parcels: BTreeMap<u64, (ParcelId, Instant)>,
    parcels_sent: u64,
    /// What the hub's verifier saw: the connection itself is the client's.
    shown: tls::Shown,
    /// When the hub's certificate ended: UTC seconds.
    certificate_ended: Option<i64>,
    change: Change,
}

/// From a connection with our old certificate to one with the new: the hub takes the new one in the old one's place, and nobody is gone.
#[derive(Default)]
struct Change {
    /// What the newest connection shows.
    worn: tls::Worn,
    /// The file may be another: it is looked at when nothing is under way.
    is_due: bool,
    /// Opens beside the one that stands.
    opening: Option<Box<Uplink>>,
}

impl Link {
    async fn run(mut self) {
        loop {
            let due = self.next_due();
            tokio::select! {
                order = self.context.orders.recv() => match order {
                    Some(order) => self.take_up(order).await,
                    None => return,
                },
                Some(parcel) = self.context.parcels.recv() => self.carry(&parcel).await,
                news = next_news(&mut self.line) => self.hear(news).await,
                news = next_of(&mut self.change.opening) => self.hear_of_change(news).await,
                Ok(()) = self.context.renewed.changed() => self.change.is_due = true,
                // A path that is needed now is opened now; one that is not is left.
                Ok(()) = self.context.regime.changed() => self.dial_by(Instant::now()),
                () = tokio::time::sleep_until(due) => {}
            }
            self.keep_time(Instant::now()).await;
            self.change_certificate();
            self.send_waiting();
        }
    }

    fn is_needed(&self) -> bool {
        *self.context.regime.borrow() == Regime::Active || !self.pending.is_empty()
    }

    fn next_due(&self) -> Instant {
        let far = Instant::now() + Duration::from_secs(3_600);
        let dial = if let Line::Down { dial_at } = self.line { dial_at } else { far };
        let orders = self.pending.values().map(|p| if p.received { p.accepted_by } else { p.received_by });
        let parcels = self.parcels.values().map(|(_, by)| *by);
        orders.chain(parcels).chain([dial]).min().unwrap_or(far)
    }

    async fn keep_time(&mut self, now: Instant) {
        let is_late = |p: &Pending| now >= if p.received { p.accepted_by } else { p.received_by };
        let late: Vec<u64> = self.pending.iter().filter(|(_, p)| is_late(p)).map(|(attempt, _)| *attempt).collect();
        let mut is_stuck = false;
        for attempt in late {
            let Some(pending) = self.pending.remove(&attempt) else { continue };
            let config = &self.context.config;
            is_stuck |= !pending.received;
            let failure = match pending.received {
                true => Failure::NotAccepted(config.accepted_deadline_ms),
                false => Failure::NotReceived(config.received_deadline_ms),
            };
            self.tell(LinkEvent::Failed { attempt, failure }).await;
        }
        is_stuck |= self.parcels.values().any(|(_, by)| now >= *by);
        if is_stuck && !matches!(self.line, Line::Down { .. }) {
            // A client that gets nothing through is not waited for: it is made anew.
            self.lost("something was not taken in time").await;
            self.dial_by(now);
        }
        if !self.is_needed() && matches!(self.line, Line::Up { .. }) {
            self.leave(now).await;
        }
        if let Line::Down { dial_at } = self.line
            && now >= dial_at
        {
            if self.is_needed() { self.dial(now).await } else { self.prove(now).await }
        }
    }

    async fn dial(&mut self, now: Instant) {
        self.dialled_at = now;
        match self.open() {
            Ok(link) => self.line = Line::Opening(link),
            Err(error) => self.lost(&error.to_string()).await,
        }
    }

    /// With our certificate as it is on the disk now.
    fn open(&mut self) -> Result<Box<Uplink>, tls::TlsError> {
        self.change.worn = tls::Worn::now(&self.context.config);
        let tls = tls::client_showing(&self.context.config, self.shown.clone())?;
        Ok(Box::new(Uplink::open(&Door {
            host: self.host.clone(),
            port: self.port,
            device: self.device.clone(),
            tls,
            interface: self.context.config.bind.interface.clone(),
            keep_alive_s: u16::try_from(self.context.config.heartbeat_interval_s).unwrap_or(u16::MAX),
        })))
    }

    /// A renewed certificate is shown on a new connection, which is opened while nothing is under way on the old one.
    fn change_certificate(&mut self) {
        let is_idle = self.pending.values().all(|pending| pending.received) && self.parcels.is_empty();
        if !self.change.is_due || !is_idle || !matches!(self.line, Line::Up { .. }) {
            return;
        }
        self.change.is_due = false;
        if !self.change.worn.is_renewed(&self.context.config) {
            return;
        }
        match self.open() {
            Ok(link) => self.change.opening = Some(link),
            Err(error) => {
                tracing::warn!(receiver = self.context.config.name, %error, "our renewed certificate cannot be shown")
            }
        }
    }

    async fn hear_of_change(&mut self, news: News) {
        match news {
            News::Connected => {
                if let Some(link) = self.change.opening.take() {
                    self.line = Line::Up { link, since: Instant::now() };
                    tracing::info!(receiver = self.context.config.name, "our renewed certificate is in use");
                }
            }
            News::Ended(why) => {
                self.change.opening = None;
                tracing::warn!(
                    receiver = self.context.config.name,
                    why,
                    "the hub did not take our renewed certificate; the connection stays"
                );
            }
            // Nothing else comes before it is connected.
            News::Acked { .. } | News::Command(_) => {}
        }
    }

    /// The second path: that the hub answers, and is the hub. A session of its own would end the first path's.
    async fn prove(&mut self, now: Instant) {
        self.dialled_at = now;
        let wall_ms = self.context.clock.now().wall_ms;
        match stream::open(&self.context.config, &self.host, self.port, true, wall_ms).await {
            Ok(opened) => {
                self.certificate(opened.expired_at_s).await;
                self.redial_ms = 0;
                self.path_is_up("the hub answers").await;
                let wait = self.context.heartbeat(true);
                self.line = Line::Down { dial_at: Instant::now() + wait };
            }
            Err(error) => self.lost(&error.to_string()).await,
        }
    }

    /// A certificate that ended with the pinned key is used, and told.
    async fn certificate(&mut self, ended: Option<i64>) {
        if self.certificate_ended != ended {
            self.certificate_ended = ended;
            self.tell(LinkEvent::Certificate { ended }).await;
        }
    }

    async fn path_is_up(&mut self, detail: &str) {
        if self.supervision.answered() {
            self.tell(LinkEvent::Path { up: true, detail: detail.to_owned() }).await;
        }
    }

    /// The connection is not needed any more.
    async fn leave(&mut self, now: Instant) {
        self.change.opening = None;
        let before = std::mem::replace(&mut self.line, Line::Down { dial_at: now + self.context.heartbeat(true) });
        if let Line::Up { link, .. } = before {
            // What was under way beside alarms goes over the other path.
            for (id, _) in std::mem::take(&mut self.parcels).into_values() {
                self.tell(LinkEvent::Parcel { id, taken: Err(Failure::LinkStopped) }).await;
            }
            tokio::spawn(link.close());
        }
    }

    /// Brings the next dial forward to `at`.
    fn dial_by(&mut self, at: Instant) {
        if let Line::Down { dial_at } = &mut self.line {
            *dial_at = (*dial_at).min(at);
        }
    }

    async fn take_up(&mut self, order: Order) {
        let Order { attempt, notice } = order;
        if matches!(self.line, Line::Down { .. }) && self.redial_ms > 0 {
            if notice.lane == Lane::Life {
                self.dial_by(self.dialled_at + Duration::from_millis(self.context.pace.hurry_ms()));
            }
            let failure = Failure::NotConnected(self.refusal.clone());
            return self.tell(LinkEvent::Failed { attempt, failure }).await;
        }
        let now = Instant::now();
        let (seq, payload) =
            event(&notice, self.context.sender.controller_id.as_str(), self.context.sender.caller.as_deref());
        self.known.add(seq, &notice.reference);
        let config = &self.context.config;
        let pending = Pending {
            notice,
            payload,
            received: false,
            received_by: now + Duration::from_millis(config.received_deadline_ms.into()),
            accepted_by: now + Duration::from_millis(config.accepted_deadline_ms.into()),
        };
        self.pending.insert(attempt, pending);
        self.unsent.push_back(attempt);
        self.dial_by(now);
        if let Some((rung, last, id)) = self.early.remove(&seq) {
            self.receipt(seq, rung, last, id).await;
        }
    }

    /// Something beside alarms. Where there is no connection it fails: whoever has more to tell opens one.
    async fn carry(&mut self, parcel: &Parcel) {
        let id = parcel.id;
        let (Line::Up { link, .. }, None) = (&mut self.line, &self.change.opening) else {
            let taken = Err(Failure::NotConnected(self.refusal.clone()));
            return self.tell(LinkEvent::Parcel { id, taken }).await;
        };
        let mut asked = None;
        let payload = match &parcel.what {
            ParcelWhat::Act(act) => beside::of_act(act),
            ParcelWhat::Known(notice) => {
                let sender = &self.context.sender;
                let (seq, payload) = event(notice, sender.controller_id.as_str(), sender.caller.as_deref());
                self.known.add(seq, &notice.reference);
                asked = Some(seq);
                payload
            }
            ParcelWhat::Done { id, outcome } => {
                encode_event_json(&EventMessage::new(Event::Done { id: *id, outcome: outcome.clone() }))
            }
            ParcelWhat::Health(word) => beside::of_health(word),
            ParcelWhat::Round(word) => beside::of_round(word),
            ParcelWhat::RoundAnew { at } => beside::of_round_anew(*at),
            ParcelWhat::Telemetry(word) => beside::of_telemetry(word),
        };
        self.parcels_sent += 1;
        if !link.publish(self.parcels_sent, topic::event(&self.device).as_str(), payload.into_bytes()) {
            let taken = Err(Failure::NotConnected("the connection has no room now".to_owned()));
            return self.tell(LinkEvent::Parcel { id, taken }).await;
        }
        self.parcels.insert(self.parcels_sent, (id, Instant::now() + Duration::from_millis(PARCEL_MS_MAX)));
        if let Some(seq) = asked
            && let Some((rung, last, id)) = self.early.remove(&seq)
        {
            self.receipt(seq, rung, last, id).await;
        }
    }

    /// Hands over what the connection has room for, most urgent first, the newest of life before the others.
    fn send_waiting(&mut self) {
        // What the old connection takes while the new one opens may be lost with it.
        let (Line::Up { link, .. }, None) = (&mut self.line, &self.change.opening) else { return };
        self.unsent.retain(|attempt| self.pending.contains_key(attempt));
        if self.unsent.is_empty() {
            return;
        }
        let key = |attempt: &u64| (self.pending[attempt].notice.turn(), *attempt);
        self.unsent.make_contiguous().sort_by_key(key);
        while link.in_flight() < usize::from(IN_FLIGHT_PER_CONNECTION_MAX)
            && let Some(attempt) = self.unsent.front()
        {
            let payload = self.pending[attempt].payload.clone().into_bytes();
            if !link.publish(*attempt, topic::event(&self.device).as_str(), payload) {
                return;
            }
            let attempt = *attempt;
            self.unsent.pop_front();
            self.context.telling.tell_soon(LinkEvent::Sent { attempt });
        }
    }

    async fn hear(&mut self, news: News) {
        match news {
            News::Connected => {
                let before = std::mem::replace(&mut self.line, Line::Down { dial_at: Instant::now() });
                if let Line::Opening(link) = before {
                    self.line = Line::Up { link, since: Instant::now() };
                }
                let wall_ms = self.context.clock.now().wall_ms;
                let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner).take();
                self.certificate(shown.and_then(|certificate| tls::expired(&certificate, wall_ms))).await;
                self.path_is_up("connected").await;
                self.tell(LinkEvent::Connected).await;
            }
            News::Acked { number: NO_ORDER, .. } => {}
            News::Acked { number, refused } if number >= PARCELS_FROM => {
                if let Some((id, _)) = self.parcels.remove(&number) {
                    let refusal = |reason| Failure::Refused { detail: format!("MQTT {reason:?}"), permanent: false };
                    self.tell(LinkEvent::Parcel { id, taken: refused.map_or(Ok(()), |reason| Err(refusal(reason))) })
                        .await;
                }
            }
            News::Acked { number: attempt, refused: None } => {
                if let Some(pending) = self.pending.get_mut(&attempt) {
                    pending.received = true;
                    self.tell(LinkEvent::Received { attempt, detail: String::new() }).await;
                }
            }
            News::Acked { number: attempt, refused: Some(reason) } => {
                if self.pending.remove(&attempt).is_some() {
                    // The hub's disk is short, mostly: it may take it later.
                    let failure = Failure::Refused { detail: format!("MQTT {reason:?}"), permanent: false };
                    self.tell(LinkEvent::Failed { attempt, failure }).await;
                }
            }
            News::Command(bytes) => self.obey(&bytes).await,
            News::Ended(why) => match self.change.opening.take() {
                // The hub has taken the new one in its place.
                Some(link) => self.line = Line::Opening(link),
                None => self.lost(&why).await,
            },
        }
    }

    async fn obey(&mut self, bytes: &[u8]) {
        let message = match decode_command(bytes) {
            Ok(message) => message,
            Err(error) => {
                tracing::warn!(receiver = self.context.config.name, %error, "the hub sent what cannot be read");
                // A newer hub's word, mostly: who ordered it hears so, instead of nothing.
                return command_id(bytes).into_iter().for_each(|id| self.done(id, Outcome::Refused));
            }
        };
        match message.command {
            Command::Receipt { restart: RESTART, seq, rung, last, .. } => {
                self.receipt(seq, rung, last, message.id).await
            }
            // Where nothing may be ordered it is refused here: it costs the home nothing.
            Command::Order { .. } if self.context.config.orders => {
                let command = Box::new(message.command);
                self.tell(LinkEvent::Order { id: message.id, expires_at: message.expires_at, command }).await
            }
            // Nothing else is for a gateway, and a receipt for another number is of no alarm of ours.
            Command::Receipt { .. } => self.done(message.id, Outcome::Done),
            _ => self.done(message.id, Outcome::Refused),
        }
    }

    /// How far one of our alarms has come at the hub.
    async fn receipt(&mut self, seq: u64, rung: Rung, last: bool, id: u64) {
        let Some(reference) = self.known.by_seq.get(&seq).cloned() else {
            // After a restart it may come before what it answers is ordered anew. Not answered: the hub keeps it.
            self.early.insert(seq, (rung, last, id));
            if self.early.len() > PAST_NOTICES_MAX {
                self.early.pop_first();
            }
            return;
        };
        // On the hub's disk: known so also while the PUBACK waits behind that of telemetry.
        let taken = |p: &&mut Pending| p.notice.reference == reference && !p.received;
        for (attempt, pending) in
            self.pending.iter_mut().filter_map(|(attempt, p)| Some(p).filter(taken).map(|p| (*attempt, p)))
        {
            pending.received = true;
            self.context.telling.tell(LinkEvent::Received { attempt, detail: String::new() }).await;
        }
        if rung >= Rung::Accepted {
            let of_it = |p: &Pending| p.notice.reference == reference;
            let attempt = self.pending.iter().find(|(_, p)| of_it(p)).map(|(attempt, _)| *attempt);
            self.pending.retain(|_, p| !of_it(p));
            self.tell(LinkEvent::Accepted { attempt, reference: reference.clone(), detail: String::new(), last }).await;
        }
        let act = match rung {
            Rung::Claimed => Some(ActWhat::Claim),
            Rung::Closed => Some(ActWhat::Close),
            _ => None,
        };
        if let Some(act) = act {
            self.tell(LinkEvent::Person { reference, act, by: "staff".to_owned() }).await;
        }
        self.done(id, Outcome::Done);
    }

    fn done(&mut self, id: u64, outcome: Outcome) {
        // The hub's word on an event that it has taken twice: nothing waits for its end.
        if id == 0 {
            return;
        }
        if let Line::Up { link, .. } = &mut self.line {
            let done = encode_event_json(&EventMessage::new(Event::Done { id, outcome }));
            // No room: the hub says it again at the next connection.
            let _ = link.publish(NO_ORDER, topic::event(&self.device).as_str(), done.into_bytes());
        }
    }

    /// There is no connection: what the hub has not taken fails; what it has may still be accepted in time.
    async fn lost(&mut self, why: &str) {
        self.change.opening = None;
        self.refusal = why.to_owned();
        let now = Instant::now();
        let was_stable = |since: &Instant| now.duration_since(*since) >= Duration::from_millis(PATH_STABLE_MS);
        if matches!(&self.line, Line::Up { since, .. } if was_stable(since)) {
            self.redial_ms = 0;
        }
        let pace = &self.context.pace;
        self.redial_ms = next_wait_ms(&mut self.dice, self.redial_ms, pace.retry_ms_min, pace.redial_ms_max);
        let was_up = matches!(self.line, Line::Up { .. });
        self.line = Line::Down { dial_at: now + Duration::from_millis(self.redial_ms) };
        let untaken: Vec<u64> = self.pending.iter().filter(|(_, p)| !p.received).map(|(attempt, _)| *attempt).collect();
        for attempt in untaken {
            self.pending.remove(&attempt);
            let why = why.to_owned();
            let failure = if was_up { Failure::Closed(why) } else { Failure::NotConnected(why) };
            self.tell(LinkEvent::Failed { attempt, failure }).await;
        }
        for (id, _) in std::mem::take(&mut self.parcels).into_values() {
            self.tell(LinkEvent::Parcel { id, taken: Err(Failure::Closed(why.to_owned())) }).await;
        }
        if self.supervision.missed() {
            self.tell(LinkEvent::Path { up: false, detail: why.to_owned() }).await;
        }
    }

    async fn tell(&self, event: LinkEvent) {
        self.context.telling.tell(event).await;
    }
}

async fn next_news(line: &mut Line) -> News {
    match line {
        Line::Down { .. } => std::future::pending().await,
        Line::Opening(link) | Line::Up { link, .. } => link.next().await,
    }
}

async fn next_of(link: &mut Option<Box<Uplink>>) -> News {
    match link {
        Some(link) => link.next().await,
        None => std::future::pending().await,
    }
}

/// The event that tells a hub of a notice, and its number, which is the same after any restart.
fn event(notice: &Notice, controller_id: &str, caller: Option<&str>) -> (u64, String) {
    let label = |text: &Option<String>| text.as_deref().map(Into::into);
    let controller_id = notice.controller_id.as_deref().unwrap_or(controller_id);
    let mut message = EventMessage::new(Event::Alarm {
        alarm: notice.alarm.clone(),
        lane: notice.lane,
        rung: Rung::Stored,
        device: Some(notice.device.clone()),
        resident: label(&notice.resident),
        room: label(&notice.room),
        cause: notice.cause.as_str().into(),
        happened_at: Some(notice.happened_at),
        delayed: notice.delayed,
        count: notice.count,
        dty: Some(notice.dty),
        stc: Some(notice.stc),
        text: notice.text.as_str().into(),
        number: notice.number,
        what: match notice.what {
            NoticeWhat::Raise => Telling::Raise,
            NoticeWhat::Again => Telling::Again,
            NoticeWhat::Cancel => Telling::Cancel,
            NoticeWhat::Over => Telling::Over,
        },
        controller_id: Some(controller_id).filter(|cid| !cid.is_empty()).map(Into::into),
        caller: notice.caller.as_deref().or(caller).map(Into::into),
        by: None,
    });
    // Of what no change of the configuration touches.
    let seq = number_of(&format!("{}/{}/{}", notice.alarm, notice.number, notice.happened_at));
    message.restart = Some(RESTART);
    message.seq = Some(seq);
    (seq, encode_event_json(&message))
}

/// A number made from what is said. JSON readers in other languages keep 53 bits.
fn number_of(is: &str) -> u64 {
    let number = digest(&SHA256, is.as_bytes()).as_ref().iter().take(8).fold(0u64, |n, byte| n << 8 | u64::from(*byte));
    number >> 11
}

#[cfg(test)]
mod tests {
    use super::super::tests::notice;
    use super::*;

    #[test]
    fn addresses() {
        let is = |url: &str, host: &str, port| assert_eq!(address(url), Some((host.to_owned(), port)), "{url}");
        is("mqtts:hub.example", "hub.example", 8883);
        is("mqtts://hub.example:18883", "hub.example", 18883);
        is("mqtts:[::1]:1", "::1", 1);
        for bad in ["mqtt:hub", "mqtts:", "mqtts:h:0", "mqtts:h:99999", "mqtts:a b", "mqtts:[::1", "mqtts:[::1]x"] {
            assert_eq!(address(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_same_notice_is_the_same_event_and_another_is_another() {
        let (seq, said) = event(&notice("a1", 1), "10149471", Some("tel:+4681234"));
        assert_eq!((seq, said.clone()), event(&notice("a1", 1), "10149471", Some("tel:+4681234")));
        assert!(said.contains(r#""number":1"#) && said.contains(r#""controller_id":"10149471""#), "{said}");
        let others = [notice("a1", 2), notice("a2", 1), Notice { happened_at: 2, ..notice("a1", 1) }];
        assert!(others.iter().all(|other| event(other, "10149471", None).0 != seq));
        assert!(seq < 1 << 53);
    }
}
