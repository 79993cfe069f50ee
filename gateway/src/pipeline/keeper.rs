//! The one thread that owns the journal and the state.
//!
//! Enters: inputs from sessions, dispatch and people. Leaves, after the commit and never before: answers to devices,
//! notices to dispatch, commands to connected devices. An event and what the rules decide on it go to the disk in one
//! commit. A commit that fails: nothing is answered, the journal is opened and folded anew, in the process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tracing::{error, info, warn};
use vaka_protocol::{AlarmId, Command, CommandMessage, DeviceId, Event, Lane, Rung};

use super::ageing::Ageing;
use super::fold::{Outcome, State, happening};
use super::follow::{Follower, Touched};
use super::health::Health;
use super::homes::Homes;
use super::looks::{LookReply, Lookers};
use super::measures;
use super::orders::HubOrders;
use super::restore::{self, Restored};
use super::rounds::Rounds;
use super::shortage::{Room, Shortage, Why};
use super::streams::{Desk, Window};
use super::view::{self, AlarmRow, Labels};

use super::visits::{VisitReply, Wish};
use super::watchdog::Turns;
use crate::clock::{Clock, Confidence};
use crate::dispatch::{self, Dispatcher, Report};
use crate::firmware::{self, May};
use crate::ingest::inbox::Rank;
use crate::ingest::quota::Shares;
use crate::ingest::window::Verdict;
use crate::ingest::{Parsed, PublishReason, Replies, Submission, ToSession, What};
use crate::journal::record::{
    Act, ActWhat, Alive, CloseOutcome, Decisions, Erased, EventRecord, Fault, Nobody, PathRecord, Record, Release,
    RungRecord, Silent, Trace, Update, Via,
};
use crate::journal::{Concerns, Damage, Header, Journal, Reserve, Stamp};
use crate::limits;
use crate::metrics::Meters;
use crate::rules::alarms::{Alarm, Change, Notice};
use crate::rules::care::agreed::Agreed;
use crate::rules::care::dose::rows::{self, DoseRow};
use crate::rules::care::look::{self, OpenLook};
use crate::rules::care::moment::Moment;
use crate::rules::care::{View, Watch, place, signed};
use crate::rules::{self, Happening, Home, Input as Judged, orders};

/// The fault that says that something is refused because the disk is short.
const DISK_FULL: &str = "disk-full";

/// Something for the keeper to do.
pub enum Input {
    Submission(Submission),
    Report(Report),
    Ask(Ask),
    /// After the batch it stands in, the fold is saved and the thread ends.
    Stop,
}

impl Input {
    /// Its place in the queue: presses first, and what a person or a receiver says of them; then lane by lane.
    pub fn rank(&self) -> Rank {
        match self {
            Input::Submission(submission) => match submission.lane {
                Lane::Life => Rank::Urgent,
                Lane::Care => Rank::Soon,
                Lane::Technical | Lane::Test => Rank::Usual,
                Lane::Telemetry => Rank::Last,
            },
            Input::Report(_) | Input::Ask(_) => Rank::Urgent,
            Input::Stop => Rank::Last,
        }
    }

    pub fn is_urgent(&self) -> bool {
        self.rank() == Rank::Urgent
    }
}

/// A question or an act from the command line or the board.
pub enum Ask {
    Alarms {
        all: bool,
        reply: oneshot::Sender<Vec<AlarmRow>>,
    },
    Show {
        alarm: AlarmId,
        reply: oneshot::Sender<Option<serde_json::Value>>,
    },
    Act {
        act: Act,
        reply: oneshot::Sender<Result<AlarmRow, String>>,
    },
    Stat {
        reply: oneshot::Sender<serde_json::Value>,
    },
    /// The doses that are planned, and what became of them.
    Doses {
        reply: oneshot::Sender<Vec<DoseRow>>,
    },
    /// A person releases a dose that is locked. Without a date: the newest such.
    Release {
        resident: String,
        slot: String,
        date: Option<String>,
        by: String,
        note: String,
        reply: oneshot::Sender<Result<Release, String>>,
    },
    /// A person has a device do something.
    Order {
        wish: orders::Wish,
        /// Who asked has written it down already.
        traced: bool,
        reply: OrderReply,
    },
    /// A person signs for something on the round.
    Sign {
        wish: signed::Wish,
        by: String,
        reply: SignReply,
    },
    /// Somebody, or the gateway by itself, wants something of a camera: answered with the look's number once it is on the disk.
    Look {
        wish: look::Wish,
        by: String,
        reply: LookReply,
    },
    /// How a look stands, now and after each commit until it is over.
    LookWatch {
        look: u64,
        to: tokio::sync::watch::Sender<OpenLook>,
    },
    /// Hears once what became of an order.
    OrderWatch {
        order: u64,
        to: oneshot::Sender<String>,
    },
    /// A technician's visit.
    Visit {
        wish: Wish,
        reply: VisitReply,
    },
    /// A step of an update of this program.
    Updated(Update),
    /// A test alarm of the gateway's own, by which a program proves itself: its id.
    Prove {
        version: String,
        reply: oneshot::Sender<AlarmId>,
    },
    /// Firmware of the devices.
    Firmware(firmware::Ask),
    /// Any other question, answered after the commit.
    See(Box<dyn FnOnce(&Keeper) + Send>),
    /// What people read or did at the board: answered once it is on the disk.
    Traces {
        traces: Vec<Trace>,
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// What is known of each device, for the doctor.
    Devices {
        reply: oneshot::Sender<serde_json::Value>,
    },
    /// The config was read anew.
    Home {
        home: Home,
        labels: Labels,
        agreed: Arc<Agreed>,
    },
    /// Something in the gateway is wrong, or well again.
    Fault(Fault),
    /// Telemetry that was read off the journal beside the keeper.
    Window(Window),
    /// One resident's data is made unreadable, for good.
    Erase {
        resident: String,
        by: String,
        reply: oneshot::Sender<Result<Erased, String>>,
    },
    /// How a part of the gateway is: said only where that is news.
    Part(Fault),
    /// What reading the whole journal beside the keeper has found.
    Damaged {
        records: u64,
        found: Vec<Damage>,
    },
}

/// How an event came.
struct Came {
    via: Option<Via>,
    /// With a certificate that had ended.
    has_ended: bool,
    /// Over a connection that began then, by the running clock.
    since_ms: Option<u64>,
}

/// What is answered once the batch is on the disk.
pub(super) enum Answer {
    /// Neighbours of one session, as [`ToSession::Answers`].
    Device {
        to: Replies,
        first: u64,
        count: u64,
        reason: PublishReason,
    },
    Person(AlarmId, oneshot::Sender<Result<AlarmRow, String>>),
    Released(Release, oneshot::Sender<Result<Release, String>>),
    Traced(oneshot::Sender<Result<(), String>>),
    Signed(SignReply),
    Ordered(u64, OrderReply),
    /// Whether a device may have its firmware's next bytes, or restart: what it does next rests on the record of it.
    Firmware(May, oneshot::Sender<May>),
}

/// The number of the order's record, or why it is not done.
pub type OrderReply = oneshot::Sender<Result<u64, NotOrdered>>;

/// Why an order is not on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotOrdered {
    #[error("not ordered: {}", .0.said().1)]
    Refused(orders::Why),
    #[error("ordering: the journal could not be written; try again")]
    Disk,
}

/// `Err`: why it cannot be signed, or that the disk did not take it.
pub type SignReply = oneshot::Sender<Result<(), NotSigned>>;

/// Why a signature is not on the disk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSigned {
    #[error(transparent)]
    Refused(#[from] signed::Refusal),
    #[error("signing: the journal could not be written; try again")]
    Disk,
}

pub struct Keeper {
    pub(super) restored: Restored,
    pub(super) home: Home,
    pub(super) labels: Labels,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) dispatcher: Option<Dispatcher>,
    listening: BTreeMap<DeviceId, Replies>,
    answers: Vec<Answer>,
    /// Technicians' steps of this batch: answered after its commit.
    pub(super) visit_answers: Vec<VisitReply>,
    pub(super) lookers: Lookers,
    outcomes: Vec<Outcome>,
    pub(super) room: Room,
    /// When that was looked up, in monotonic milliseconds; `None`: it has to be again.
    room_at_ms: Option<u64>,
    /// When the last batch was taken, in monotonic milliseconds.
    batch_at_ms: u64,
    shortage: Shortage,
    pub(super) shares: Shares,
    /// Devices that listen from this batch on: what they are owed is sent after its commit.
    new_listeners: Vec<(DeviceId, Replies)>,
    /// Questions, answered after the commit: nobody is shown what is not on the disk.
    questions: Vec<Ask>,
    /// Records of this batch that nobody would send again, should the commit fail.
    unrepeatable: Vec<(Record, Lane)>,
    stopping: Arc<AtomicBool>,
    /// For which this gateway is the hub.
    homes: Homes,
    /// When to look at whom by the care rules.
    watch: Watch,
    judges: bool,
    pub(super) health: Health,
    pub(super) rounds: Rounds,
    pub(super) streams: Desk,
    follower: Option<Follower>,
    pub(super) touched: Touched,
    pub(super) hub_orders: HubOrders,
    pub(super) meters: Meters,
    turns: Turns,
    /// Why somebody has no key of their own; empty: everybody has.
    pub(super) keyless: String,
    /// Why an erasure is not finished; empty: all are. The next start tries again.
    pub(super) unerased: String,
    pub(super) ageing: Ageing,
}

impl Keeper {
    /// `dispatcher` is absent where nothing is to be sent: a command line acting on a stopped gateway's journal.
    pub fn new(
        restored: Restored,
        home: Home,
        labels: Labels,
        clock: Arc<dyn Clock>,
        dispatcher: Option<Dispatcher>,
    ) -> Self {
        let mut keeper = Self {
            restored,
            home,
            labels,
            clock,
            dispatcher,
            listening: BTreeMap::new(),
            answers: Vec::new(),
            visit_answers: Vec::new(),
            lookers: Lookers::default(),
            outcomes: Vec::new(),
            room: Room::default(),
            room_at_ms: None,
            batch_at_ms: 0,
            shortage: Shortage::default(),
            shares: Shares::default(),
            new_listeners: Vec::new(),
            questions: Vec::new(),
            unrepeatable: Vec::new(),
            stopping: Arc::new(AtomicBool::new(false)),
            homes: Homes::default(),
            watch: Watch::default(),
            judges: true,
            health: Health::default(),
            rounds: Rounds::default(),
            streams: Desk::default(),
            follower: None,
            touched: Touched::default(),
            hub_orders: HubOrders::default(),
            meters: Meters::default(),
            turns: Turns::default(),
            keyless: String::new(),
            unerased: String::new(),
            ageing: Ageing::default(),
        };
        keeper.live_here();
        keeper
    }

    /// For a person's act on the journal of a gateway that is stopped: what is due is the gateway's to find.
    pub fn judge_nothing(&mut self) {
        self.judges = false;
    }

    /// With what was agreed with the people who live here; without it nothing is judged by time.
    pub fn agree(&mut self, agreed: Arc<Agreed>) {
        self.watch = Watch::new(agreed);
        self.turn();
    }

    pub(super) fn watch_whole(&self) -> &Agreed {
        self.watch.whole()
    }

    /// Agreements begin and end by themselves.
    fn turn(&mut self) {
        if self.watch.turn(self.clock.now().wall_ms) {
            // What a dispenser says of a dose that is not agreed now is judged by itself.
            self.home.planned = self.watch.agreed().planned();
        }
    }

    /// From now on `follower` hears of every change, after its commit.
    pub fn follow_with(&mut self, follower: Follower) {
        self.follower = Some(follower);
    }

    /// Counts each commit that has returned, and each try to open the journal anew.
    pub fn turns(&self) -> Turns {
        self.turns.clone()
    }

    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// UTC milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.clock.now().wall_ms
    }

    pub fn home(&self) -> &Home {
        &self.home
    }

    pub fn agreed(&self) -> &Agreed {
        self.watch.agreed()
    }

    /// How long nothing has to be done if nothing comes.
    pub fn patience(&self) -> Duration {
        let mono_ms = self.clock.now().mono_ms;
        let waits_ms = [
            self.homes.wait_ms(mono_ms),
            self.watch.wait_ms(mono_ms),
            self.health_wait_ms(),
            self.rounds_wait_ms(),
            self.streams_wait_ms(),
        ];
        let wait_ms = waits_ms.into_iter().flatten().min().unwrap_or(u64::MAX);
        Duration::from_millis(wait_ms.min(limits::IDLE_MS))
    }

    fn watch_homes(&mut self) {
        let homes = self.home.devices.iter().filter(|(_, facts)| facts.home).map(|(device, _)| device.clone());
        self.homes.set(homes.collect(), self.clock.now().mono_ms);
    }

    fn tell_silent_homes(&mut self) {
        for (device, for_s) in self.homes.due(self.clock.now().mono_ms) {
            warn!(device.id = %device, for_s, "a home is silent");
            self.append_unrepeatable(Record::Silent(Silent { device, for_s }), Lane::Technical);
        }
    }

    /// Now, as the care rules are told.
    pub fn moment(&self) -> Moment {
        let at = self.clock.now();
        let sure = at.confidence != Confidence::Floor;
        let boot = self.restored.boot();
        let ran_ms = self.restored.state.care.ran_ms(boot, at.mono_ms);
        Moment { wall_ms: at.wall_ms, mono_ms: at.mono_ms, boot, ran_ms, sure }
    }

    /// What the care rules decide at this moment. Each decision is folded in before the next is looked for.
    fn watch_over(&mut self) {
        self.turn();
        if !self.judges {
            return;
        }
        let now = self.moment();
        loop {
            let state = &self.restored.state;
            let mut decisions = self.watch.due(&state.care, &state.alarms, &self.home, now);
            place::carry(&state.care.place, &state.alarms, &mut decisions);
            let Some(lane) = decisions.iter().map(|decision| self.lane_of(decision)).min() else { return };
            // No record is their input but the passing of time: each says itself what it rests on. Each one's are sealed with their key.
            for decisions in self.restored.apart(decisions) {
                self.append(Record::Decisions(Decisions { cursor: 0, decisions }), lane);
            }
        }
    }

    /// As the care rules are asked, now.
    pub fn view(&self) -> View<'_> {
        let state = &self.restored.state;
        let (care, alarms, agreed) = (&state.care, &state.alarms, self.watch.agreed());
        View { care, alarms, home: &self.home, agreed, now: self.moment() }
    }

    /// Something has changed that belongs to no device: everybody is looked at.
    pub(super) fn look_at_all(&mut self) {
        self.watch.look_at_all();
        self.watch_over();
    }

    /// Set by whoever wants the thread to end even while the disk refuses.
    pub fn stopping(&self) -> Arc<AtomicBool> {
        self.stopping.clone()
    }

    pub fn state(&self) -> &State {
        &self.restored.state
    }

    /// Says that the process runs, judges what was left unjudged, and owes again what is still owed.
    pub fn begin(&mut self) {
        self.watch_homes();
        self.tell_start();
        self.end_looks();
        self.go_on_with_floods();
        self.watch_over();
        self.forget_receivers();
        self.begin_streams();
        self.tell_keys();
        self.commit();
        self.call_for_unread();
        self.say_what_can_be_read_again();
        self.commit();
        self.finish_erasures();
        self.owe_everything();
    }

    /// What opening the journal found, and the decisions that are missing in it.
    fn tell_start(&mut self) {
        let found = self.restored.begin();
        for record in found.records {
            let header = self.append(record.clone(), Lane::Technical);
            self.judge_record(&header, &record);
        }
        for input in found.unjudged {
            let before = self.restored.state.cursor;
            self.judge_record(&input.header, &input.record);
            if self.restored.state.cursor == before {
                // Nothing decided: said once, so that no later start asks again when the alarms stand otherwise.
                let nothing = Decisions { cursor: input.header.seq, decisions: Vec::new() };
                self.append(Record::Decisions(nothing), Lane::Telemetry);
            }
        }
    }

    /// Takes a batch to the disk and answers it.
    pub fn run_batch(&mut self, batch: &mut Vec<Input>) {
        self.look_for_room();
        for (record, lane) in self.shortage.late(&self.room) {
            // Looked at when it came, and nothing was folded in then.
            if let Record::Alive(alive) = &record {
                self.watch.stirred(&alive.device);
            }
            self.append_unrepeatable(record, lane);
        }
        self.tell_disk_is_short();
        self.tell_keys();
        self.tell_silent_homes();
        self.tell_open_visit();
        // What has come due by now was so before what this batch brings.
        self.watch_over();
        let mut stops = false;
        for input in batch.drain(..) {
            stops |= matches!(input, Input::Stop);
            self.take(input);
        }
        self.tell_floods();
        for (record, lane) in self.shortage.refusals(&self.room, &self.shares, stops) {
            // What it said before is no evidence any more.
            if let Record::Refusal(refusal) = &record {
                self.watch.stirred(&refusal.device);
            }
            self.append(record, lane);
        }
        self.save_streams();
        self.commit();
        self.tell_health();
        self.tell_rounds();
        self.read_streams();
    }

    /// Refusals that were acknowledged and wait for the record of their sum.
    pub fn refusals_waiting(&self) -> u64 {
        self.shortage.waiting()
    }

    /// Asking the file system costs as much as storing five events: not done between batches that follow each other closely.
    /// Where room is short, and after a pause, it is asked.
    fn look_for_room(&mut self) {
        let now_ms = self.clock.now().mono_ms;
        let is_busy = now_ms.saturating_sub(std::mem::replace(&mut self.batch_at_ms, now_ms)) < limits::ROOM_PAUSE_MS;
        let fresh = is_busy && self.room_at_ms.is_some_and(|at_ms| now_ms.saturating_sub(at_ms) < limits::ROOM_MS);
        let ample = self.room == Room::default() && self.restored.journal.reserve() != Reserve::Gone;
        if !(fresh && ample) {
            self.room = self.restored.room();
            self.room_at_ms = Some(now_ms);
        }
    }

    /// Between batches: saves the fold, and makes room by removing what is settled.
    pub fn keep_house(&mut self, is_idle: bool) {
        if let Err(e) = self.restored.keep_house(is_idle, self.clock.as_ref()) {
            error!("keeping house in the journal: {e}");
            self.recover();
        }
        self.age();
    }

    /// Nothing more comes: the fold is saved, so that the next start replays nothing.
    pub fn finish(mut self) {
        self.restored.save();
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Submission(submission) => self.take_submission(submission),
            Input::Report(report) => self.take_report(report),
            Input::Ask(ask) => self.take_ask(ask),
            Input::Stop => {}
        }
    }

    fn take_submission(&mut self, submission: Submission) {
        let why = self.refuses(&submission);
        let Submission { device, enrolment, lane, what, has_ended, since_ms, for_many: _, reply } = submission;
        let mut reason = PublishReason::Success;
        match what {
            _ if why.is_some() => {
                // What stands behind a bridge is counted as the bridge's: it may invent any number of names.
                let payer = if let What::Event { via: Some(via), .. } = what { via.bridge } else { device };
                if let Some(why) = why {
                    self.meters.refused(lane, why.as_str());
                    self.shortage.refuse(payer.clone(), lane, why);
                }
                reason = PublishReason::QuotaExceeded;
            }
            What::Event { parsed, payload, via } => {
                let came = Came { via, has_ended, since_ms };
                self.store_event(device, enrolment, lane, &parsed, payload, came);
            }
            // The session has the reason for the device.
            What::Ended => {
                self.meters.refused(lane, Why::Ended.as_str());
                self.shortage.refuse(device, lane, Why::Ended);
            }
            What::Quarantine(quarantine) => {
                self.meters.quarantined();
                let record = Record::Quarantine(quarantine);
                let header = self.append(record.clone(), lane);
                self.judge_record(&header, &record);
            }
            What::Alive { online } => {
                self.homes.heard(&device, online, self.clock.now().mono_ms);
                self.watch.stirred(&device);
                self.append_unrepeatable(Record::Alive(Alive { device, online }), lane);
                self.watch_over();
            }
            What::Listening(replies) => self.new_listeners.push((device, replies)),
            What::Deaf(replies) => {
                self.new_listeners.retain(|(_, new)| !new.same_channel(&replies));
                if self.listening.get(&device).is_some_and(|current| current.same_channel(&replies)) {
                    self.listening.remove(&device);
                    // However its connection ended: who presses there is heard by nobody from now.
                    self.homes.heard(&device, false, self.clock.now().mono_ms);
                }
            }
        }
        if let Some((to, number)) = reply {
            self.answer_device(to, number, reason);
        }
    }

    /// What a session submitted together is answered together.
    fn answer_device(&mut self, to: Replies, number: u64, reason: PublishReason) {
        match self.answers.last_mut() {
            Some(Answer::Device { to: same, first, count, reason: alike })
                if *first + *count == number && *alike == reason && same.same_channel(&to) =>
            {
                *count += 1;
            }
            _ => self.answers.push(Answer::Device { to, first: number, count: 1, reason }),
        }
    }

    fn store_event(
        &mut self,
        device: DeviceId,
        enrolment: u32,
        lane: Lane,
        parsed: &Parsed,
        payload: Vec<u8>,
        Came { via, has_ended, since_ms }: Came,
    ) {
        let journal = &self.restored.journal;
        let (restart, seq, assigned) = match parsed.identity {
            Some((restart, seq)) => (restart, seq, false),
            None => (limits::ASSIGNED_RESTART, journal.stat().next_seq, true),
        };
        let windows = &self.restored.state.windows;
        let conflict = match windows.judge(&device, enrolment, restart, seq, &payload) {
            _ if assigned => false,
            Verdict::New => false,
            // A home's number stands for alarm and telling: other words under it are the same telling after a change of its config.
            Verdict::Conflict if self.home.facts(&device).home => {
                return self.repeat_receipt(&device, enrolment, restart, seq, parsed);
            }
            Verdict::Retransmission => {
                self.meters.repeated();
                return self.repeat_receipt(&device, enrolment, restart, seq, parsed);
            }
            Verdict::Conflict => {
                warn!(device.id = %device, "the device used number {restart}/{seq} for two different events: both are kept");
                true
            }
        };
        let record = Record::Event(EventRecord {
            device,
            enrolment,
            restart,
            seq,
            assigned,
            conflict,
            has_ended,
            via,
            payload: payload.into(),
        });
        self.meters.stores(lane);
        let header = self.restored.append(&record, lane, self.clock.as_ref());
        let Record::Event(event) = &record else { return };
        self.restored.state.apply_event(&header, event, Some(parsed));
        self.answer_orders(&event.device, parsed);
        if parsed.events.iter().any(|event| matches!(event, Event::Round { .. })) {
            self.touch(None);
        }
        let behind_ms = self.restored.state.care.facts.behind_ms(&event.device);
        let since_ms = since_ms.and_then(|ms| i64::try_from(ms).ok());
        let happening = Happening { since_ms, ..happening(event, parsed, behind_ms) };
        let is_told = self.judge(&header, rules::What::Event(happening));
        for read in &parsed.events {
            self.watch.heard(&event.device, read, &self.restored.state.care.facts);
        }
        if let Some(via) = &event.via {
            self.watch.heard(&via.bridge, &Event::Alive {}, &self.restored.state.care.facts);
        }
        self.watch_over();
        self.act_for_homes(&happening);
        // Old news, or of an alarm that somebody has: it raised nothing here, and the home waits for an answer all the same.
        if !is_told {
            self.repeat_receipt(&event.device, enrolment, restart, seq, parsed);
        }
    }

    /// A home says again what is stored here: it may have lost our word on it, so it gets that again, with no id to answer.
    fn repeat_receipt(&mut self, device: &DeviceId, enrolment: u32, restart: u32, seq: u64, parsed: &Parsed) {
        let told = parsed.events.iter().find_map(|event| match event {
            // Of what its own people did a home waits for no answer.
            Event::Alarm { alarm, rung, .. } if *rung < Rung::Claimed => Some(alarm),
            _ => None,
        });
        let Some(told) = told.filter(|_| self.home.facts(device).home) else { return };
        let happening = Happening {
            device,
            enrolment,
            restart,
            seq,
            at: parsed.at,
            uptime_ms: parsed.uptime_ms,
            since_ms: None,
            behind_ms: 0,
            events: &parsed.events,
            unknown: &parsed.unknown,
            conflict: false,
            has_ended: false,
            of: parsed.of.as_ref(),
        };
        let (alarm, rung, last) = match rules::homes::find(&self.restored.state.alarms, &happening, told) {
            Some(known) => {
                let own = known.notices.iter().find(|notice| (notice.restart, notice.seq) == (restart, seq));
                (known.id(), own.map_or(known.rung(), |notice| notice.rung), known.is_handed_over())
            }
            // Only what was closed is forgotten.
            None => (told, Rung::Closed, false),
        };
        let command = Command::Receipt { restart, seq, alarm: alarm.clone(), rung, last };
        let expires_at = self.clock.now().wall_ms + limits::RECEIPT_EXPIRES_MS;
        let message = Box::new(CommandMessage::new(0, expires_at, command));
        self.outcomes.push(Outcome::Command { device: device.clone(), message });
    }

    /// Refusing anything is itself a technical alarm, once, until there is room again.
    fn tell_disk_is_short(&mut self) {
        let is_short = !self.room.refused.is_empty();
        // Read off the alarms, so that neither a failed commit nor a restart forgets what was told.
        let told = self.restored.state.fault_is_active(DISK_FULL);
        if is_short == told {
            return;
        }
        let lanes: Vec<&str> = self.room.refused.iter().map(|lane| lane.as_str()).collect();
        let detail = if is_short { format!("refused: {}", lanes.join(", ")) } else { String::new() };
        self.take_ask(Ask::Fault(Fault { fault: DISK_FULL.into(), device: None, detail, active: is_short }));
    }

    fn listen(&mut self, device: DeviceId, replies: Replies) {
        let state = &self.restored.state;
        let encoding = state.devices.get(&device).map(|seen| seen.encoding).unwrap_or_default();
        for command in state.commands.owed(&device, self.clock.now().wall_ms) {
            // A closed session hears nothing; the next one asks again.
            let _ = replies.send(ToSession::Command(Box::new(command.clone()), encoding));
        }
        self.listening.insert(device, replies);
    }

    fn take_report(&mut self, report: Report) {
        match report {
            Report::Rung { alarm, notice, rung, receiver, path, detail, last } => {
                let Some(known) = self.restored.state.alarms.get(&alarm) else { return };
                let lane = known.raise.lane;
                if known.notice(notice).is_some_and(|known| known.rung < rung) {
                    let after_ms = self.clock.now().wall_ms.saturating_sub(measures::stored_at(known, notice));
                    self.meters.climbed(lane, rung, after_ms);
                }
                if rung == Rung::Accepted {
                    info!(alarm.id = %alarm, alarm.lane = lane.as_str(), receiver = %receiver, "alarm accepted");
                }
                self.append_unrepeatable(
                    Record::Rung(RungRecord { alarm, notice, rung, receiver, path, detail, last }),
                    lane,
                );
            }
            Report::Person { alarm, notice, act, by } => {
                let known = self.restored.state.alarms.get(&alarm);
                // Pressed again meanwhile, not yet told there: that call has nobody, and the act was not of it.
                if known.is_some_and(|known| known.notices.iter().any(|later| later.number > notice)) {
                    info!(alarm.id = %alarm, by, "a person's act of an earlier call; a later one is on its way");
                    return;
                }
                // Said again by the receiver, or claimed here meanwhile: nothing new.
                let is_claimed = act == ActWhat::Claim && known.is_some_and(Alarm::is_claimed);
                let act = Act::new(alarm, act, by, String::new());
                if !is_claimed && let Ok(lane) = self.check_act(&act) {
                    let alarm = act.alarm.clone();
                    self.count_act(&act, lane);
                    self.append_unrepeatable(Record::Act(self.with_hubs(act, lane)), lane);
                    self.stir(&alarm);
                }
            }
            Report::Path { receiver, path, up, detail } => {
                self.append_unrepeatable(Record::Path(PathRecord { receiver, path, up, detail }), Lane::Technical);
            }
            Report::Parcel { receiver, id } => self.parcel_taken(receiver, id),
            Report::Order { receiver, id, expires_at, command } => {
                self.take_hubs_order(receiver, id, expires_at, *command)
            }
            Report::Room { lane } => self.owe_lane(lane),
            Report::Nobody { alarm, notice, lane } => {
                let record = Record::Nobody(Nobody { alarm, notice });
                self.append_unrepeatable(record, lane);
            }
            Report::Certificate { receiver, ended } => {
                let ended_at = ended.and_then(|s| jiff::Timestamp::from_second(s).ok());
                let detail = ended_at.map(|at| format!("ended {at}; its key is the pinned one: have it renewed"));
                let fault = format!("certificate-{receiver}");
                let told = self.restored.state.fault_is_active(&fault);
                if told != ended.is_some() {
                    let detail = detail.unwrap_or_default();
                    let fault = Fault { fault, device: None, detail, active: ended.is_some() };
                    self.append_unrepeatable(Record::Fault(fault), Lane::Technical);
                }
            }
            // Owed all the same; `check-config` and the start say so too.
            Report::Unserved { alarm, notice, lane, detail } => {
                error!(alarm.id = %alarm, alarm.lane = lane.as_str(), alarm.notice = notice, "nobody is told: {detail}");
            }
        }
    }

    pub(super) fn take_ask(&mut self, ask: Ask) {
        // Whoever asked may have gone away: then nobody hears the answer.
        match ask {
            question @ (Ask::Alarms { .. }
            | Ask::Show { .. }
            | Ask::Stat { .. }
            | Ask::Doses { .. }
            | Ask::Devices { .. }
            | Ask::See(_)
            | Ask::Visit { wish: Wish::Status | Wish::Protocol, .. }) => {
                self.questions.push(question);
            }
            Ask::Visit { wish, reply } => self.take_wish(wish, reply),
            Ask::Sign { wish, by, reply } => self.take_signature(wish, &by, reply),
            Ask::Order { wish, traced, reply } => self.take_order(wish, traced, reply),
            Ask::Look { wish, by, reply } => self.take_look(wish, &by, reply),
            Ask::LookWatch { look, to } => self.lookers.watch(look, to),
            Ask::OrderWatch { order, to } => self.lookers.watch_order(order, to),
            Ask::Traces { traces, reply } => {
                if self.room.refused.contains(&Lane::Technical) {
                    let _ = reply.send(Err("the disk is full: what is read cannot be recorded".to_owned()));
                    return;
                }
                for trace in traces {
                    let before = self.restored.state.trace.clone();
                    let trace = Trace { at: self.clock.now().wall_ms, before, ..trace };
                    self.append(Record::Trace(trace), Lane::Technical);
                }
                self.answers.push(Answer::Traced(reply));
            }
            Ask::Release { resident, slot, date, by, note, reply } => {
                let state = &self.restored.state;
                let (care, alarms, agreed) = (&state.care, &state.alarms, self.watch.agreed());
                let view = View { care, alarms, home: &self.home, agreed, now: self.moment() };
                match rows::releasable(view, &resident, &slot, date.as_deref()) {
                    Err(why) => {
                        let _ = reply.send(Err(why));
                    }
                    Ok(date) => {
                        let release = Release { resident, slot, date, by, note };
                        self.append(Record::Release(release.clone()), Lane::Care);
                        self.watch.look_at_all();
                        self.watch_over();
                        self.answers.push(Answer::Released(release, reply));
                    }
                }
            }
            Ask::Act { act, reply } => match self.check_act(&act) {
                Err(why) => {
                    let _ = reply.send(Err(why));
                }
                Ok(lane) => {
                    let alarm = act.alarm.clone();
                    self.count_act(&act, lane);
                    self.append(Record::Act(self.with_hubs(act, lane)), lane);
                    self.stir(&alarm);
                    self.answers.push(Answer::Person(alarm, reply));
                }
            },
            Ask::Home { home, labels, agreed } => {
                self.home = home;
                self.labels = labels;
                self.live_here();
                self.watch_homes();
                self.agree(agreed);
                self.forget_receivers();
                self.begin_streams();
                // Rooms and groups may be others.
                self.touched = Touched::anew();
            }
            Ask::Window(window) => self.take_window(window),
            Ask::Erase { resident, by, reply } => {
                let _ = reply.send(self.erase(&resident, &by));
            }
            Ask::Fault(fault) => self.append_unrepeatable(Record::Fault(fault), Lane::Technical),
            Ask::Updated(update) => self.append_unrepeatable(Record::Update(update), Lane::Technical),
            Ask::Firmware(ask) => self.take_firmware(ask),
            Ask::Prove { version, reply } => {
                let _ = reply.send(self.prove(&version));
            }
            Ask::Part(fault) => {
                // Read off the alarms, so that no restart tells it again.
                if self.restored.state.part_is_bad(&fault) != fault.active {
                    self.append_unrepeatable(Record::Fault(fault), Lane::Technical);
                }
            }
            Ask::Damaged { records, found } => {
                info!(journal.records = records, "the whole journal has been read");
                let news = self.restored.journal.news_of_damage(found);
                if let Some(fault) = restore::damaged(news.iter().map(ToString::to_string)) {
                    self.append_unrepeatable(Record::Fault(fault), Lane::Technical);
                }
            }
        }
    }

    /// What is signed is recorded; a visit that was asked for is closed as made, by whoever signs for it.
    fn take_signature(&mut self, wish: signed::Wish, by: &str, reply: SignReply) {
        let state = &self.restored.state;
        let (care, alarms, agreed) = (&state.care, &state.alarms, self.watch.agreed());
        let view = View { care, alarms, home: &self.home, agreed, now: self.moment() };
        match signed::judge(view, wish, by) {
            Err(why) => {
                let _ = reply.send(Err(why.into()));
            }
            Ok(verdict) => {
                if let signed::Verdict::New(signed, asked) = verdict {
                    self.append(Record::Signed(signed.clone()), Lane::Care);
                    if let Some(alarm) = asked {
                        let outcome = Some(CloseOutcome::Helped);
                        let act =
                            Act { outcome, ..Act::new(alarm, ActWhat::Close, by.to_owned(), signed.note.clone()) };
                        if let Ok(lane) = self.check_act(&act) {
                            self.append(Record::Act(self.with_hubs(act, lane)), lane);
                        }
                    }
                    self.watch.look_at_all();
                    self.watch_over();
                }
                self.answers.push(Answer::Signed(reply));
            }
        }
    }

    /// How long it took until a person had the alarm, or had closed it.
    fn count_act(&mut self, act: &Act, lane: Lane) {
        let rung = match act.act {
            ActWhat::Claim => Rung::Claimed,
            ActWhat::Close => Rung::Closed,
            _ => return,
        };
        let raised_at = self.restored.state.alarms.get(&act.alarm).map_or(i64::MAX, |alarm| alarm.raised_at);
        self.meters.climbed(lane, rung, self.clock.now().wall_ms.saturating_sub(raised_at));
    }

    /// A person has done something about an alarm: its rule may have something to say.
    fn stir(&mut self, alarm: &AlarmId) {
        if let Some(known) = self.restored.state.alarms.get(alarm) {
            self.watch.attended(&known.raise);
            self.watch_over();
        }
    }

    pub(super) fn check_act(&self, act: &Act) -> Result<Lane, String> {
        let Some(alarm) = self.restored.state.alarms.get(&act.alarm) else {
            return Err(format!("there is no alarm {}; `vaka alarm list --all` shows those there are", act.alarm));
        };
        match (&alarm.closed_by, &alarm.claimed_by, act.act) {
            (Some(by), _, _) => Err(format!("alarm {} was closed by {by} already", act.alarm)),
            (None, Some(by), ActWhat::Claim) if *by != act.by && act.other.as_ref() != Some(by) => {
                Err(format!("alarm {} has been taken by {by} already", act.alarm))
            }
            (None, Some(by), ActWhat::HandOver) if *by != act.by => {
                Err(format!("alarm {} is {by}'s: take it over first", act.alarm))
            }
            (None, None, ActWhat::HandOver) => {
                Err(format!("nobody has alarm {}: there is nothing to hand over", act.alarm))
            }
            _ => Ok(alarm.raise.lane),
        }
    }

    fn answer(&self, question: Ask) {
        // Whoever asked may have gone away: then nobody hears the answer.
        match question {
            Ask::Alarms { all, reply } => {
                let _ = reply.send(view::rows(&self.restored.state, &self.labels, all));
            }
            Ask::Show { alarm, reply } => {
                let _ = reply.send(view::show(&self.restored.state, &self.labels, &alarm));
            }
            Ask::Stat { reply } => {
                let mut stat = view::stat(&self.restored);
                stat["clock"] = view::clock(self.clock.as_ref());
                let _ = reply.send(stat);
            }
            Ask::Doses { reply } => {
                let _ = reply.send(self.doses());
            }
            Ask::Devices { reply } => {
                let _ = reply.send(view::devices(&self.restored.state));
            }
            Ask::See(look) => look(self),
            Ask::Visit { wish: Wish::Protocol, reply } => {
                let _ = reply.send(self.last_protocol());
            }
            Ask::Visit { reply, .. } => {
                let _ = reply.send(Ok(self.visit_status()));
            }
            Ask::Act { .. }
            | Ask::Release { .. }
            | Ask::Sign { .. }
            | Ask::Order { .. }
            | Ask::Look { .. }
            | Ask::LookWatch { .. }
            | Ask::OrderWatch { .. }
            | Ask::Traces { .. }
            | Ask::Home { .. }
            | Ask::Fault(_)
            | Ask::Updated(_)
            | Ask::Prove { .. }
            | Ask::Firmware(_)
            | Ask::Part(_)
            | Ask::Window(_)
            | Ask::Erase { .. }
            | Ask::Damaged { .. } => {}
        }
    }

    fn doses(&self) -> Vec<DoseRow> {
        rows::rows(&self.restored.state.care, self.watch.agreed(), self.clock.now().wall_ms)
    }

    /// As [`Keeper::append`], judged, and kept until the commit: its sender says it once.
    pub(super) fn append_unrepeatable(&mut self, record: Record, lane: Lane) {
        if self.shortage.postpones(&record, lane, &self.room) {
            return;
        }
        let header = self.append(record.clone(), lane);
        self.judge_record(&header, &record);
        self.unrepeatable.push((record, lane));
    }

    /// Appends a record and folds it in.
    pub(super) fn append(&mut self, record: Record, lane: Lane) -> Header {
        let header = self.restored.append(&record, lane, self.clock.as_ref());
        self.restored.state.apply(&header, &record, &mut self.outcomes);
        if self.follower.is_some() {
            self.touched.by(&record);
        }
        header
    }

    /// To be released once the batch is on the disk.
    pub(super) fn put_out(&mut self, outcome: Outcome) {
        self.outcomes.push(outcome);
    }

    pub(super) fn answer_later(&mut self, answer: Answer) {
        self.answers.push(answer);
    }

    pub(super) fn dispatcher(&self) -> Option<&Dispatcher> {
        self.dispatcher.as_ref()
    }

    pub(super) fn is_short_for(&self, lane: Lane) -> bool {
        self.room.refused.contains(&lane)
    }

    /// Pages that show it are told.
    pub(super) fn touch(&mut self, alarm: Option<AlarmId>) {
        match alarm {
            Some(alarm) => drop(self.touched.alarms.insert(alarm)),
            None => self.touched.others = true,
        }
    }

    fn judge_record(&mut self, header: &Header, record: &Record) {
        match record {
            Record::Quarantine(quarantine) => {
                self.judge(header, rules::What::Quarantine(quarantine));
            }
            Record::Path(path) => {
                self.judge(header, rules::What::Path(path));
            }
            Record::Fault(fault) => {
                self.judge(header, rules::What::Fault(fault));
            }
            Record::Nobody(nobody) => {
                self.judge(header, rules::What::Nobody(nobody));
            }
            Record::Silent(silent) => {
                self.judge(header, rules::What::Silent(silent));
            }
            Record::Alive(alive) if alive.online => {
                self.judge(header, rules::What::Back(&alive.device));
            }
            Record::Event(event) => {
                if let Ok(parsed) = crate::ingest::payload::read(&event.payload, event.via.as_ref()) {
                    let behind_ms = self.restored.state.care.facts.behind_ms(&event.device);
                    let happening = happening(event, &parsed, behind_ms);
                    self.judge(header, rules::What::Event(happening));
                    self.act_for_homes(&happening);
                }
            }
            _ => {}
        }
    }

    /// True if a receiver is told of it.
    fn judge(&mut self, header: &Header, what: rules::What<'_>) -> bool {
        use crate::journal::record::Decision;
        // The one press that a technician agreed on is a test, and nothing else; what else its message tells is judged as ever.
        let agreed = match &what {
            rules::What::Event(happening) => self.agreed_press(header, happening),
            _ => None,
        };
        let mut others = Vec::new();
        let (what, agreed) = match (what, agreed) {
            (rules::What::Event(happening), Some((place, decision))) => {
                others.extend_from_slice(happening.events);
                others.remove(place);
                (rules::What::Event(Happening { events: &others, ..happening }), Some(decision))
            }
            (what, _) => (what, None),
        };
        let input = Judged { cursor: header.seq, recorded_at: header.wall_ms, what };
        let state = &self.restored.state;
        let mut decisions = rules::step(&state.alarms, &state.reach, &self.home, &input);
        decisions.extend(agreed);
        place::carry(&state.care.place, &state.alarms, &mut decisions);
        let Some(lane) = decisions.iter().map(|decision| self.lane_of(decision)).min() else { return false };
        let told = |decision: &Decision| match decision {
            Decision::Raise(_) => true,
            Decision::Join(join) => join.notify,
            _ => false,
        };
        let is_told = decisions.iter().any(told);
        self.append(Record::Decisions(Decisions { cursor: header.seq, decisions }), lane);
        is_told
    }

    fn lane_of(&self, decision: &crate::journal::record::Decision) -> Lane {
        use crate::journal::record::Decision;
        match decision {
            Decision::Raise(raise) => raise.lane,
            Decision::Tell(_) | Decision::Say(_) => Lane::Life,
            // Medicine and reminders are as much care as an alarm about them.
            Decision::Send(_) => Lane::Care,
            Decision::Note(_) => Lane::Telemetry,
            Decision::Join(join) => {
                self.restored.state.alarms.get(&join.alarm).map_or(Lane::Technical, |a| a.raise.lane)
            }
        }
    }

    pub(super) fn commit(&mut self) {
        let (records, began) = (self.restored.journal.pending(), Instant::now());
        if let Err(e) = self.restored.journal.commit() {
            self.meters.commit_failed();
            error!("committing to the journal: {e}; nothing of this batch is acknowledged");
            return self.recover();
        }
        if records > 0 {
            self.meters.committed(records, began.elapsed());
        }
        self.turns.turned();
        for answer in self.answers.drain(..) {
            match answer {
                Answer::Device { to, first, count, reason } => {
                    let _ = to.send(ToSession::Answers { first, count, reason });
                }
                Answer::Person(alarm, reply) => {
                    let row = view::row_of(&self.restored.state, &self.labels, &alarm);
                    let _ = reply.send(row.ok_or_else(|| format!("alarm {alarm} is gone")));
                }
                Answer::Released(release, reply) => {
                    let _ = reply.send(Ok(release));
                }
                Answer::Traced(reply) => {
                    let _ = reply.send(Ok(()));
                }
                Answer::Signed(reply) => {
                    let _ = reply.send(Ok(()));
                }
                Answer::Ordered(record, reply) => {
                    let _ = reply.send(Ok(record));
                }
                Answer::Firmware(may, reply) => {
                    let _ = reply.send(may);
                }
            }
        }
        self.tell_follower();
        self.answer_visits();
        self.answer_looks();
        self.unrepeatable.clear();
        self.shortage.committed(&self.room, &self.shares);
        for outcome in std::mem::take(&mut self.outcomes) {
            self.release(outcome);
        }
        self.attend();
    }

    fn tell_follower(&mut self) {
        let touched = std::mem::take(&mut self.touched);
        if let Some(follower) = self.follower.as_ref().filter(|_| touched.is_any()) {
            follower(self, &touched);
        }
    }

    /// New listeners and questions, once what they see is on the disk.
    fn attend(&mut self) {
        for (device, replies) in std::mem::take(&mut self.new_listeners) {
            self.listen(device, replies);
        }
        for question in std::mem::take(&mut self.questions) {
            self.answer(question);
        }
        self.tell_lookers();
    }

    fn release(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Change(Change::Owed { alarm, notice }) => self.owe(&alarm, notice),
            Outcome::Change(Change::Settled { alarm }) => {
                if let Some(home) = self.restored.state.alarms.get(&alarm).and_then(rules::homes::silence_closed) {
                    self.homes.closed(home, self.clock.now().mono_ms);
                }
                if let Some(dispatcher) = &self.dispatcher {
                    dispatcher.settled(&alarm);
                }
            }
            Outcome::Change(Change::Receipt { .. } | Change::Feedback { .. } | Change::Command { .. }) => {}
            Outcome::Pass(act) => self.pass_on(act),
            Outcome::Look(look) => self.lookers.open_for_hub(look),
            Outcome::Answer { receiver, id, outcome } => self.answer_hub(receiver, id, &outcome),
            Outcome::Command { device, message } => {
                if let Some(to) = self.listening.get(&device) {
                    let seen = self.restored.state.devices.get(&device);
                    let encoding = seen.map(|seen| seen.encoding).unwrap_or_default();
                    let _ = to.send(ToSession::Command(message, encoding));
                }
            }
        }
    }

    fn owe(&self, alarm: &AlarmId, number: u32) {
        let Some(dispatcher) = &self.dispatcher else { return };
        // Taken in the batch that raised it: there is nobody to be told any more.
        let Some(alarm) = self.restored.state.alarms.get(alarm).filter(|alarm| !alarm.is_claimed()) else { return };
        if let Some(notice) = alarm.notice(number) {
            dispatcher.owe(self.notice(alarm, notice));
        }
    }

    pub(super) fn notice(&self, alarm: &Alarm, notice: &Notice) -> dispatch::Notice {
        view::notice(alarm, notice, &self.labels)
    }

    fn owe_everything(&self) {
        self.pass_on_everything();
        self.answer_hubs_again();
        self.ask_hubs();
        Lane::ALL.iter().for_each(|lane| self.owe_lane(*lane));
    }

    /// What a lane owes: of life the newest first, of the others the oldest, as they are to be told.
    fn owe_lane(&self, lane: Lane) {
        let Some(dispatcher) = &self.dispatcher else { return };
        let of_lane = self.restored.state.alarms.owed().filter(|(alarm, _)| alarm.raise.lane == lane);
        let mut owed: Vec<_> = of_lane.collect();
        // Of life the alarm with the newest call first; an alarm's notices always in their order.
        let newest = |alarm: &Alarm| alarm.notices.iter().map(|notice| notice.happened_at).max().unwrap_or_default();
        owed.sort_by_cached_key(|(alarm, notice)| {
            let rank = if lane == Lane::Life { newest(alarm).saturating_neg() } else { alarm.raise.happened_at };
            (rank, alarm.id().clone(), notice.number)
        });
        for (alarm, notice) in owed {
            dispatcher.owe(self.notice(alarm, notice));
        }
    }

    /// The journal could not be written. Nothing is acknowledged; what the disk holds is read anew, until that works.
    pub(super) fn recover(&mut self) {
        for answer in self.answers.drain(..) {
            match answer {
                Answer::Device { to, .. } => {
                    let _ = to.send(ToSession::Failed);
                }
                Answer::Person(alarm, reply) => {
                    let _ = reply.send(Err(format!("alarm {alarm}: the journal could not be written; try again")));
                }
                Answer::Released(release, reply) => {
                    let date = release.date;
                    let _ = reply.send(Err(format!("dose of {date}: the journal could not be written; try again")));
                }
                Answer::Signed(reply) => {
                    let _ = reply.send(Err(NotSigned::Disk));
                }
                Answer::Ordered(_, reply) => {
                    let _ = reply.send(Err(NotOrdered::Disk));
                }
                Answer::Firmware(_, reply) => {
                    let _ = reply.send(Some(Err("the journal could not be written".to_owned())));
                }
                Answer::Traced(reply) => {
                    let _ = reply.send(Err("the journal could not be written; try again".to_owned()));
                }
            }
        }
        self.fail_visits();
        self.lookers.fail();
        self.shortage.failed();
        self.streams.forget();
        self.room_at_ms = None;
        let unrepeatable = std::mem::take(&mut self.unrepeatable);
        while !self.stopping.load(Ordering::Acquire) {
            self.outcomes.clear();
            match self.start_anew(&unrepeatable) {
                Ok(()) => {
                    warn!("the journal is open again");
                    for outcome in std::mem::take(&mut self.outcomes) {
                        self.release(outcome);
                    }
                    self.owe_everything();
                    self.touched = Touched::anew();
                    self.tell_follower();
                    return self.attend();
                }
                Err(e) => {
                    error!("opening the journal anew: {e}; trying again in {} ms", limits::REOPEN_MS);
                    self.turns.turned();
                    self.clock.pause(limits::REOPEN_MS);
                }
            }
        }
        self.outcomes.clear();
    }

    /// As at a start; then what nobody would say again, and that the commit failed.
    fn start_anew(&mut self, unrepeatable: &[(Record, Lane)]) -> Result<(), restore::RestoreError> {
        restore::reopen(&mut self.restored)?;
        // What was decided is no longer: everybody is looked at anew.
        self.agree(self.watch.whole().clone());
        self.tell_start();
        // Whoever was connected still is, though this is another opening of the journal: nobody would say so again.
        let devices = &self.restored.state.devices;
        let is_online = |device: &&DeviceId| devices.get(*device).is_some_and(|seen| seen.online);
        let here: Vec<DeviceId> = self.listening.keys().filter(is_online).cloned().collect();
        for device in here {
            self.append(Record::Alive(Alive { device, online: true }), Lane::Telemetry);
        }
        let fault = |active| Fault { fault: "commit-failed".into(), device: None, detail: String::new(), active };
        let told = [(Record::Fault(fault(true)), Lane::Technical), (Record::Fault(fault(false)), Lane::Technical)];
        for (record, lane) in unrepeatable.iter().chain(&told) {
            let header = self.append(record.clone(), *lane);
            self.judge_record(&header, record);
        }
        Ok(self.restored.journal.commit()?)
    }
}

/// The stamp of a record made now.
pub fn stamp(clock: &dyn Clock) -> Stamp {
    let now = clock.now();
    Stamp { mono_ms: now.mono_ms, wall_ms: now.wall_ms }
}

/// So that `restore` and the keeper append in one way.
pub fn append(
    journal: &mut Journal,
    boot: u32,
    record: &Record,
    lane: Lane,
    clock: &dyn Clock,
    concerns: Concerns<'_>,
    class: Option<&str>,
) -> Header {
    let stamp = stamp(clock);
    let kind = record.kind() as u8;
    let seq = journal.append_of(record, lane, stamp, concerns, class);
    Header { seq, kind, lane: lane as u8, key_id: 0, boot, mono_ms: stamp.mono_ms, wall_ms: stamp.wall_ms }
}
