//! A link of requests and answers: each notice is one exchange with the receiver, on a connection of its own or out of a few.
//!
//! Enters: orders. Leaves: link events. What is said, and how, is the kind's ([`Asks`]); which order goes next, how the path is
//! judged and when an unreachable receiver is tried again is here. Invariants: life goes before everything, the newest first, and
//! has places of its own; an order ends within its deadlines, also one that waits for its place; an answer after its deadline still
//! counts where the kind can tell whose it is; an unreachable receiver is tried by one probe at a time, not by every order.

mod queue;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use vaka_protocol::Lane;

use self::queue::Queue;
use super::Notice;
use super::backoff::{Dice, next_wait_ms};
use super::link::{Failure, LinkContext, LinkEvent, Order};
use super::parcels::{Parcel, ParcelId};
use super::supervision::Supervision;
use crate::limits::{LATE_EXCHANGES_MAX, PATH_STABLE_MS};

/// How a kind of receiver carries one message.
pub(crate) trait Asks: Send + Sync + 'static {
    /// Exchanges under way at once.
    const PLACES: usize;
    /// Of these, kept free for life. Smaller than [`Asks::PLACES`].
    const PLACES_FOR_LIFE: usize;

    /// Brings a notice to the receiver. Has ended, or told [`Progress::late`], by the errand's deadlines.
    fn alarm(&self, errand: &Errand, progress: &Progress) -> impl Future<Output = Result<Proof, Failure>> + Send;

    /// Proves by `until` that the receiver is there; with what a person should know of it, often nothing.
    fn beat(&self, until: Instant, progress: &Progress) -> impl Future<Output = Result<String, Failure>> + Send;

    /// Brings something beside alarms there by `until`. Of kinds that take any.
    fn parcel(&self, _: &Parcel, _: Instant, _: &Progress) -> impl Future<Output = Result<(), Failure>> + Send {
        let detail = "it takes alarms only".to_owned();
        std::future::ready(Err(Failure::Refused { detail, permanent: true }))
    }

    /// False: the path is judged by alarms alone, and [`Asks::beat`] only looks for a receiver that was lost.
    fn has_heartbeat(&self) -> bool {
        true
    }
}

/// One notice on its way.
#[derive(Debug, Clone)]
pub(crate) struct Errand {
    pub attempt: u64,
    pub notice: Arc<Notice>,
    /// Something must have come back by then.
    pub received_by: Instant,
    /// The whole answer must have come by then.
    pub accepted_by: Instant,
}

/// What an answer proves, with what a person should know beside it.
#[derive(Debug)]
pub(crate) enum Proof {
    Received(String),
    Accepted(String),
}

enum Step {
    Opened { ended: Option<i64> },
    Sent(u64),
    Late(u64, Failure),
}

enum Done {
    Alarm(u64, Result<Proof, Failure>),
    Beat(Result<String, Failure>),
    Parcel(ParcelId, Result<(), Failure>),
}

/// Where an exchange tells how far it is.
pub(crate) struct Progress {
    /// None: a heartbeat.
    attempt: Option<u64>,
    steps: mpsc::UnboundedSender<Step>,
}

impl Progress {
    /// A new connection stands; `ended`: UTC seconds when the receiver's certificate ended.
    pub fn opened(&self, ended: Option<i64>) {
        self.tell(Step::Opened { ended });
    }

    /// The whole request is on the connection.
    pub fn sent(&self) {
        if let Some(attempt) = self.attempt {
            self.tell(Step::Sent(attempt));
        }
    }

    /// Its time is over, but its answer would still be heard.
    pub fn late(&self, failure: Failure) {
        if let Some(attempt) = self.attempt {
            self.tell(Step::Late(attempt, failure));
        }
    }

    fn tell(&self, step: Step) {
        // The link is gone only when everything stops.
        let _ = self.steps.send(step);
    }
}

#[derive(Debug)]
enum Line {
    /// Nothing is known yet: orders find out.
    New,
    Stands {
        since: Instant,
    },
    Down {
        why: String,
        probe_at: Instant,
    },
}

struct Under {
    reference: String,
    task: AbortHandle,
    /// Its failure has been told; only a late answer is waited for.
    late: bool,
}

struct Link<K> {
    context: LinkContext,
    kind: Arc<K>,
    queue: Queue,
    running: JoinSet<Done>,
    under: BTreeMap<u64, Under>,
    late: VecDeque<u64>,
    steps: mpsc::UnboundedSender<Step>,
    line: Line,
    supervision: Supervision,
    beating: bool,
    beat_due: Instant,
    probed_at: Instant,
    /// When the receiver's certificate ended: UTC seconds.
    ended: Option<i64>,
    redial_ms: u64,
    dice: Dice,
}

/// Runs until the orders end.
pub(crate) async fn run<K: Asks>(context: LinkContext, kind: K) {
    let (steps, heard) = mpsc::unbounded_channel();
    let link = Link {
        context,
        kind: Arc::new(kind),
        queue: Queue::default(),
        running: JoinSet::new(),
        under: BTreeMap::new(),
        late: VecDeque::new(),
        steps,
        line: Line::New,
        supervision: Supervision::default(),
        beating: false,
        beat_due: Instant::now(),
        probed_at: Instant::now(),
        ended: None,
        redial_ms: 0,
        dice: Dice::fresh(),
    };
    link.run(heard).await;
}

impl<K: Asks> Link<K> {
    async fn run(mut self, mut heard: mpsc::UnboundedReceiver<Step>) {
        loop {
            let due = self.next_due();
            tokio::select! {
                // What an exchange told before it ended is heard before its end.
                biased;
                Some(step) = heard.recv() => self.step(step).await,
                Some(done) = self.running.join_next() => match done {
                    Ok(done) => self.done(done).await,
                    // A fault of ours: let the link be started anew, with everything it had under way.
                    Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                    Err(_) => {}
                },
                order = self.context.orders.recv() => match order {
                    Some(order) => self.take_up(order).await,
                    None => return,
                },
                Some(parcel) = self.context.parcels.recv() => self.carry(parcel).await,
                Ok(()) = self.context.regime.changed() => self.beat_due = Instant::now(),
                () = tokio::time::sleep_until(due) => {}
            }
            self.keep_time(Instant::now()).await;
            self.start();
        }
    }

    fn next_due(&self) -> Instant {
        let far = Instant::now() + Duration::from_secs(3_600);
        let beat = match &self.line {
            _ if self.beating => far,
            Line::Down { probe_at, .. } => *probe_at,
            _ if self.kind.has_heartbeat() => self.beat_due,
            _ => far,
        };
        self.queue.first_deadline().map_or(beat, |deadline| deadline.min(beat))
    }

    async fn take_up(&mut self, Order { attempt, notice }: Order) {
        let now = Instant::now();
        let urgent = notice.lane == Lane::Life;
        if let Line::Down { why, probe_at } = &mut self.line {
            if urgent {
                // However long the path has been down, a life alarm has it tried at the shortest wait.
                *probe_at = (*probe_at).min(self.probed_at + Duration::from_millis(self.context.pace.hurry_ms()));
            }
            let failure = Failure::NotConnected(why.clone());
            return self.tell(LinkEvent::Failed { attempt, failure }).await;
        }
        let config = &self.context.config;
        let within = |ms: u32| now + Duration::from_millis(ms.into());
        let (received_by, accepted_by) = (within(config.received_deadline_ms), within(config.accepted_deadline_ms));
        self.queue.put(Errand { attempt, notice, received_by, accepted_by });
    }

    /// Beside the alarms' places, so that it takes none of them.
    async fn carry(&mut self, parcel: Arc<Parcel>) {
        let id = parcel.id;
        if let Line::Down { why, .. } = &self.line {
            let taken = Err(Failure::NotConnected(why.clone()));
            return self.tell(LinkEvent::Parcel { id, taken }).await;
        }
        let until = Instant::now() + Duration::from_millis(self.context.config.received_deadline_ms.into());
        let (kind, progress) = (self.kind.clone(), self.progress(None));
        self.running.spawn(async move { Done::Parcel(id, kind.parcel(&parcel, until, &progress).await) });
    }

    fn start(&mut self) {
        loop {
            let busy = self.under.values().filter(|under| !under.late).count();
            let Some(errand) = self.queue.take(K::PLACES.saturating_sub(busy), K::PLACES_FOR_LIFE) else { return };
            let (attempt, reference) = (errand.attempt, errand.notice.reference.clone());
            let (kind, progress) = (self.kind.clone(), self.progress(Some(attempt)));
            let task = self.running.spawn(async move { Done::Alarm(attempt, kind.alarm(&errand, &progress).await) });
            self.under.insert(attempt, Under { reference, task, late: false });
        }
    }

    fn progress(&self, attempt: Option<u64>) -> Progress {
        Progress { attempt, steps: self.steps.clone() }
    }

    async fn keep_time(&mut self, now: Instant) {
        for errand in self.queue.overdue(now) {
            let failure = Failure::NotReceived(self.context.config.received_deadline_ms);
            self.tell(LinkEvent::Failed { attempt: errand.attempt, failure }).await;
        }
        let due = match &self.line {
            Line::Down { probe_at, .. } => now >= *probe_at,
            _ => self.kind.has_heartbeat() && now >= self.beat_due,
        };
        if due && !self.beating {
            self.beating = true;
            self.probed_at = now;
            let until = now + Duration::from_millis(self.context.config.received_deadline_ms.into());
            let (kind, progress) = (self.kind.clone(), self.progress(None));
            self.running.spawn(async move { Done::Beat(kind.beat(until, &progress).await) });
        }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Opened { ended } => {
                if self.ended != ended {
                    self.ended = ended;
                    self.tell(LinkEvent::Certificate { ended }).await;
                }
                self.stands().await;
            }
            Step::Sent(attempt) => self.tell(LinkEvent::Sent { attempt }).await,
            Step::Late(attempt, failure) => {
                let Some(under) = self.under.get_mut(&attempt).filter(|under| !under.late) else { return };
                under.late = true;
                self.late.push_back(attempt);
                if self.late.len() > LATE_EXCHANGES_MAX
                    && let Some(oldest) = self.late.pop_front().and_then(|oldest| self.under.remove(&oldest))
                {
                    oldest.task.abort();
                }
                self.failed(attempt, failure).await;
            }
        }
    }

    async fn done(&mut self, done: Done) {
        match done {
            Done::Beat(result) => {
                self.beating = false;
                self.beat_due = Instant::now() + self.context.heartbeat(result.is_ok());
                match result {
                    Ok(detail) => self.proven(&detail).await,
                    Err(Failure::NotConnected(why)) => self.down(why, true).await,
                    Err(failure) => self.missed(&failure.to_string()).await,
                }
            }
            // What it says of the path, the next alarm or heartbeat says too.
            Done::Parcel(id, taken) => self.tell(LinkEvent::Parcel { id, taken }).await,
            Done::Alarm(attempt, result) => {
                let Some(Under { reference, late, .. }) = self.under.remove(&attempt) else { return };
                self.late.retain(|known| *known != attempt);
                match (result, late) {
                    (Ok(Proof::Accepted(detail)), _) => {
                        let attempt = (!late).then_some(attempt);
                        self.tell(LinkEvent::Accepted { attempt, reference, detail, last: false }).await;
                        self.proven("an alarm was answered").await;
                    }
                    (Ok(Proof::Received(detail)), _) => {
                        self.tell(LinkEvent::Received { attempt, detail }).await;
                        self.proven("an alarm was answered").await;
                    }
                    (Err(failure), false) => self.failed(attempt, failure).await,
                    (Err(_), true) => {}
                }
            }
        }
    }

    /// An exchange has failed: its order is told, and what that says of the path.
    async fn failed(&mut self, attempt: u64, failure: Failure) {
        self.tell(LinkEvent::Failed { attempt, failure: failure.clone() }).await;
        match failure {
            Failure::NotConnected(why) => self.down(why, false).await,
            // Whoever refuses is there.
            Failure::Refused { .. } => self.stands().await,
            // Silent or cut off: the heartbeat finds out at once, and where there is none, this was it.
            _ if self.kind.has_heartbeat() => self.beat_due = Instant::now(),
            failure => self.missed(&failure.to_string()).await,
        }
    }

    async fn stands(&mut self) {
        if !matches!(self.line, Line::Stands { .. }) {
            self.line = Line::Stands { since: Instant::now() };
            self.tell(LinkEvent::Connected).await;
        }
    }

    async fn down(&mut self, why: String, probe: bool) {
        let now = Instant::now();
        match &mut self.line {
            Line::Down { why: before, .. } if probe => why.clone_into(before),
            // One of several that found it lost at the same time.
            Line::Down { .. } => return,
            Line::Stands { since } if now.duration_since(*since) >= Duration::from_millis(PATH_STABLE_MS) => {
                self.redial_ms = 0;
            }
            Line::Stands { .. } | Line::New => {}
        }
        let pace = &self.context.pace;
        self.redial_ms = next_wait_ms(&mut self.dice, self.redial_ms, pace.retry_ms_min, pace.redial_ms_max);
        self.line = Line::Down { why: why.clone(), probe_at: now + Duration::from_millis(self.redial_ms) };
        for errand in self.queue.empty() {
            let failure = Failure::NotConnected(why.clone());
            self.tell(LinkEvent::Failed { attempt: errand.attempt, failure }).await;
        }
        self.missed(&why).await;
    }

    async fn proven(&mut self, detail: &str) {
        self.stands().await;
        if self.supervision.answered() {
            self.tell(LinkEvent::Path { up: true, detail: detail.to_owned() }).await;
        }
    }

    async fn missed(&mut self, why: &str) {
        if self.supervision.missed() {
            self.tell(LinkEvent::Path { up: false, detail: why.to_owned() }).await;
        }
    }

    async fn tell(&self, event: LinkEvent) {
        self.context.telling.tell(event).await;
    }
}

#[cfg(test)]
pub(crate) use self::tests::watched;

#[cfg(test)]
mod tests {
    use super::*;

    /// What an exchange has told.
    pub(crate) struct Watched(mpsc::UnboundedReceiver<Step>);

    /// The progress of one attempt, and what it was told.
    pub(crate) fn watched(attempt: u64) -> (Progress, Watched) {
        let (steps, heard) = mpsc::unbounded_channel();
        (Progress { attempt: Some(attempt), steps }, Watched(heard))
    }

    impl Watched {
        pub(crate) fn all(&mut self) -> Vec<String> {
            let mut all = Vec::new();
            while let Ok(step) = self.0.try_recv() {
                all.push(match step {
                    Step::Opened { ended } => format!("opened {ended:?}"),
                    Step::Sent(attempt) => format!("sent {attempt}"),
                    Step::Late(attempt, failure) => format!("late {attempt}: {failure}"),
                });
            }
            all
        }
    }
}
