//! The one thread that owns the journal and the state.
//!
//! Enters: inputs from sessions, dispatch and people. Leaves, after the commit and never before: answers to devices,
//! notices to dispatch, commands to connected devices. An event and what the rules decide on it go to the disk in one
//! commit. A commit that fails: nothing is answered, the journal is opened and folded anew, in the process.

mod asked;
mod commit;
mod inputs;
mod reports;
mod submissions;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tracing::{error, warn};
use vaka_protocol::{AlarmId, DeviceId, Lane};

use super::ageing::Ageing;
use super::fold::{Outcome, State, happening};
use super::follow::{Follower, Touched};
use super::health::Health;
use super::homes::Homes;
use super::looks::Lookers;
use super::orders::HubOrders;
use super::restore::Restored;
use super::rounds::Rounds;
use super::shortage::{Room, Shortage};
use super::streams::Desk;
use super::view::Labels;
use super::visits::VisitReply;
use super::watchdog::Turns;
use crate::clock::{Clock, Confidence};
use crate::dispatch::Dispatcher;
use crate::ingest::Replies;
use crate::ingest::quota::Shares;
use crate::journal::record::{Decisions, Fault, Record, Silent};
use crate::journal::{Concerns, Header, Journal, Reserve, Stamp};
use crate::limits;
use crate::metrics::Meters;
use crate::rules::care::agreed::Agreed;
use crate::rules::care::moment::Moment;
use crate::rules::care::{View, Watch, place};
use crate::rules::{self, Happening, Home, Input as Judged};

pub(in crate::pipeline) use inputs::Answer;
pub use inputs::{Ask, Input, NotOrdered, NotSigned, OrderReply, SignReply};

/// The fault that says that something is refused because the disk is short.
const DISK_FULL: &str = "disk-full";

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
        self.settle_told();
        self.call_for_unread();
        self.say_what_can_be_read_again();
        self.commit();
        self.finish_erasures();
        self.tell_keys();
        self.commit();
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
