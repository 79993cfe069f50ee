//! The world around one gateway: devices, alarm centres, disk and time, and what is done to them.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::oneshot;
use vaka::clock::Clock;
use vaka::dispatch::sim::{Desk, LinkEvent};
use vaka::dispatch::{Failure, Pace, Route};
use vaka::ingest::inbox::Inbox;
use vaka::ingest::roster::{Listed, Roster};
use vaka::ingest::{Submission, What, admission};
use vaka::journal::index::Index;
use vaka::journal::record::{Act, ActWhat, Record};
use vaka::journal::simdisk::{Fault, SimDisk};
use vaka::journal::{Header, Options};
use vaka::pipeline::keeper::{Ask, Input, Keeper};
use vaka::pipeline::restore;
use vaka::pipeline::view::Labels;
use vaka::rules::Home;
use vaka_protocol::{AlarmId, DeviceId, Lane, Rung};

use crate::Rng;
use crate::centre::Centre;
use crate::home::{Device, Heard};
use crate::time::{Died, SimClock};

/// Room for the journal: small, so that settled segments go while it runs.
pub const SIZE_MAX_BYTES: u64 = 256 * 1024;
const SEGMENT_BYTES: u64 = 8 * 1024;
/// Held back for life when the disk is full.
const RESERVE_BYTES: u64 = 32 * 1024;
const START_MS: i64 = 1_795_000_000_000;

pub struct World {
    pub rng: Rng,
    pub disk: SimDisk,
    pub clock: Arc<SimClock>,
    index: tempfile::TempDir,
    roster: Roster,
    pub devices: Vec<Device>,
    pub centres: Vec<Centre>,
    /// True time since the beginning, in milliseconds; no clock in the home need agree.
    pub t_ms: u64,
    pub gateway: Option<Gateway>,
    /// What the links will tell: when, in which order, who, what.
    pub pending: BTreeMap<(u64, u64), (usize, LinkEvent)>,
    told: u64,
    /// Every record that a commit succeeded with or that a start read: all that was ever true.
    pub history: BTreeMap<u64, (Header, Record)>,
    /// The centres' side goes wrong.
    pub faults: bool,
    stops_cleanly: bool,
    /// Refusals whose sum waited for its record when the process was killed, or the power went.
    pub sums_lost: u64,
    pub trace: Vec<String>,
}

/// One life of the process.
pub struct Gateway {
    pub keeper: Keeper,
    pub desk: Desk,
    pub inbox: Inbox<Input>,
    /// Reference of each attempt under way.
    flying: BTreeMap<u64, String>,
    /// What the desk heard is accepted.
    taken: BTreeSet<String>,
}

pub fn journal_dir() -> PathBuf {
    PathBuf::from("/sim/journal")
}

/// The attempt that an event belongs to, and whether it is the attempt's last.
fn attempt(event: &LinkEvent) -> Option<(u64, bool)> {
    match event {
        LinkEvent::Sent { attempt } | LinkEvent::Received { attempt, .. } => Some((*attempt, false)),
        LinkEvent::Failed { attempt, .. } => Some((*attempt, true)),
        LinkEvent::Accepted { attempt, .. } => attempt.map(|attempt| (attempt, true)),
        LinkEvent::Connected
        | LinkEvent::Path { .. }
        | LinkEvent::Certificate { .. }
        | LinkEvent::Person { .. }
        | LinkEvent::Order { .. }
        | LinkEvent::Parcel { .. } => None,
    }
}

impl World {
    pub fn new(seed: u64) -> World {
        let mut rng = Rng::new(seed);
        let disk = SimDisk::new(rng.next_u64());
        let names = ["p1", "p2", "smoke", "bed"];
        let ids: Vec<DeviceId> = names.iter().map(|name| DeviceId::try_from(*name).expect("an id")).collect();
        let roster =
            Roster { devices: ids.iter().map(|id| (id.clone(), Listed::default())).collect(), ..Roster::default() };
        let devices = ids.iter().map(|id| Device::new(id, &mut rng)).collect();
        let centres = ["larmcentral", "jour"].iter().take(1 + rng.below(2) as usize).map(|name| Centre::new(name));
        let mut world = World {
            clock: Arc::new(SimClock::new(START_MS, disk.clone())),
            index: tempfile::tempdir().expect("a folder for the index"),
            roster,
            devices,
            centres: centres.collect(),
            t_ms: 0,
            gateway: None,
            pending: BTreeMap::new(),
            told: 0,
            history: BTreeMap::new(),
            faults: true,
            stops_cleanly: seed.is_multiple_of(25),
            sums_lost: 0,
            trace: Vec::new(),
            rng,
            disk,
        };
        world.start();
        world
    }

    pub fn say(&mut self, what: impl FnOnce() -> String) {
        let line = format!("{:>9} ms  {}", self.t_ms, what());
        self.trace.push(line);
    }

    pub fn right_ms(&self) -> i64 {
        START_MS + self.t_ms as i64
    }

    pub fn pass(&mut self, ms: u64) {
        self.t_ms += ms;
        self.clock.advance(ms);
    }

    /// The process starts, if it does not die of it.
    pub fn start(&mut self) {
        let mut tries = 0;
        let restored = loop {
            let options = Options {
                disk: Arc::new(self.disk.clone()),
                segment_bytes: SEGMENT_BYTES,
                reserve_bytes: RESERVE_BYTES,
                check_all: false,
            };
            let index = if self.stops_cleanly { self.index.path() } else { Path::new("/dev/null") };
            let index = Index::new(&index.join("index"));
            match restore::open_with(&journal_dir(), SIZE_MAX_BYTES, options, index) {
                Ok(restored) => break restored,
                Err(e) => self.say(|| format!("does not start: {e}")),
            }
            tries += 1;
            assert!(tries < 10, "a mended disk does not let the gateway start");
            self.bury_disk();
            self.disk.heal();
            self.disk.set_capacity(None);
        };
        self.clock.start(restored.newest_wall_ms());
        let first_seq = restored.journal.stat().first_seq;
        self.look_back(first_seq);
        let lanes = vec![Lane::Life, Lane::Care, Lane::Technical, Lane::Test];
        let to: Vec<String> = self.centres.iter().map(|centre| centre.name.clone()).collect();
        let (dispatcher, desk) = Desk::new(&[Route { lanes, to, hours: None }], Pace::default(), self.rng.next_u64());
        let clock: Arc<dyn Clock> = self.clock.clone();
        let keeper = Keeper::new(restored, Home::default(), Labels::default(), clock, Some(dispatcher));
        self.gateway =
            Some(Gateway { keeper, desk, inbox: Inbox::default(), flying: BTreeMap::new(), taken: BTreeSet::new() });
        self.say(|| format!("starts, journal from {first_seq}"));
        if self.faults && self.rng.one_in(3) {
            // The first commit of a life is the one that judges what the last life left.
            self.disk.inject(Fault::SyncFails(0));
        }
        self.keeper(Keeper::begin);
        for centre in 0..self.centres.len() {
            self.tell_path(centre);
        }
    }

    fn bury_disk(&mut self) {
        if self.rng.one_in(2) {
            self.disk.crash();
            self.clock.boot();
        } else {
            self.disk.kill();
        }
    }

    /// The process ends: killed, or with the power.
    pub fn die(&mut self) {
        self.disk.stop();
        let gateway = self.gateway.take();
        self.sums_lost += gateway.map_or(0, |gateway| gateway.keeper.refusals_waiting());
        self.bury_disk();
        self.forget_connections();
        self.say(|| "died".into());
    }

    /// A clean stop. In some worlds only, as there is an index in some only: it is slow, and on a real disk.
    pub fn stop(&mut self) {
        if !self.stops_cleanly {
            return self.die();
        }
        let Some(gateway) = self.gateway.take() else { return };
        gateway.keeper.finish();
        if self.disk.dying() {
            self.bury_disk();
        }
        self.forget_connections();
        self.say(|| "stopped".into());
    }

    fn forget_connections(&mut self) {
        for device in &mut self.devices {
            device.line = None;
        }
        // Receipts may still come, on the next connection.
        for (at, (centre, event)) in std::mem::take(&mut self.pending) {
            if let LinkEvent::Accepted { reference, detail, .. } = event
                && self.rng.one_in(2)
            {
                self.pending
                    .insert(at, (centre, LinkEvent::Accepted { attempt: None, reference, detail, last: false }));
            }
        }
    }

    /// Lets the keeper do something; it may die of it.
    pub fn keeper(&mut self, act: impl FnOnce(&mut Keeper)) {
        let Some(gateway) = &mut self.gateway else { return };
        let ended = catch_unwind(AssertUnwindSafe(|| act(&mut gateway.keeper)));
        match ended {
            Err(panic) if !panic.is::<Died>() => resume_unwind(panic),
            Ok(()) if !self.disk.dying() => self.look(),
            _ => self.die(),
        }
    }

    /// The keeper takes at most `most` inputs to the disk.
    pub fn batch(&mut self, most: usize) {
        let Some(gateway) = &self.gateway else { return };
        let mut batch = Vec::new();
        if !gateway.inbox.is_empty() {
            gateway.inbox.take(most, std::time::Duration::ZERO, &mut batch);
        }
        let idle = gateway.inbox.is_empty();
        self.keeper(|keeper| {
            keeper.run_batch(&mut batch);
            keeper.keep_house(idle);
        });
    }

    fn submit(&self, submission: Submission) {
        let Some(gateway) = &self.gateway else { return };
        let input = Input::Submission(submission);
        gateway.inbox.put([(input.rank(), input)]);
    }

    pub fn connect(&mut self, device: usize) {
        if self.gateway.is_some() && self.devices[device].line.is_none() {
            self.devices[device].connect();
        }
    }

    /// The connection ends; what the gateway had received of it goes on, or not.
    pub fn disconnect(&mut self, device: usize) {
        let received = self.rng.below(4) as usize;
        self.arrive(device, received, false);
        if let Some(line) = self.devices[device].line.take() {
            let Device { peer, .. } = &self.devices[device];
            let gone = What::Deaf(line.replies);
            let (device, enrolment) = (peer.device.clone(), peer.enrolment);
            self.submit(Submission {
                device,
                enrolment,
                lane: Lane::Telemetry,
                what: gone,
                has_ended: false,
                since_ms: None,
                for_many: false,
                reply: None,
            });
        }
    }

    /// What is on its way from a device reaches the gateway, the first of it perhaps twice.
    pub fn arrive(&mut self, device: usize, most: usize, twice: bool) {
        let Device { peer, line, .. } = &mut self.devices[device];
        let Some(line) = line else { return };
        let topic = format!("vaka/v1/{}/event", peer.device);
        let mut submissions = Vec::new();
        if !line.subscribed {
            line.subscribed = true;
            let what = What::Listening(line.replies.clone());
            let (device, enrolment) = (peer.device.clone(), peer.enrolment);
            submissions.push(Submission {
                device,
                enrolment,
                lane: Lane::Telemetry,
                what,
                has_ended: false,
                since_ms: None,
                for_many: false,
                reply: None,
            });
        }
        for copy in 0..most {
            let Some((number, payload)) = line.uplink.pop_front() else { break };
            for _ in 0..if copy == 0 && twice { 2 } else { 1 } {
                let mut admitted = admission::admit(peer, &self.roster, &topic, payload.clone(), false);
                admitted.submission.reply = Some((line.replies.clone(), number));
                submissions.push(admitted.submission);
            }
        }
        submissions.into_iter().for_each(|submission| self.submit(submission));
    }

    /// The device takes what the gateway has sent it.
    pub fn hear(&mut self, device: usize) {
        while let Some(heard) = self.devices[device].hear() {
            match heard {
                Heard::Hung => return self.disconnect(device),
                Heard::Acknowledged { identity, stored } => {
                    self.say(|| format!("{identity:?} acknowledged{}", if stored { "" } else { " as refused" }));
                    if stored {
                        self.check_stored(&identity);
                    }
                }
                Heard::Command(message) => {
                    let (t_ms, right_ms) = (self.t_ms, self.right_ms());
                    if self.devices[device].obey(&message, t_ms, right_ms) {
                        self.check_shown(&message.command);
                    }
                }
            }
        }
    }

    /// Dispatch does what can be done now, and what was told to it becomes reports.
    pub fn pump(&mut self) {
        let t_ms = self.t_ms;
        let Some(gateway) = &mut self.gateway else { return };
        let mut reports = gateway.desk.obey(t_ms);
        reports.extend(gateway.desk.nobody_has(t_ms));
        loop {
            while let Some(entry) = self.pending.first_entry().filter(|entry| entry.key().0 <= t_ms) {
                let (centre, event) = entry.remove();
                if let Some((attempt, true)) = attempt(&event) {
                    gateway.flying.remove(&attempt);
                }
                if let LinkEvent::Accepted { reference, .. } = &event {
                    gateway.taken.insert(reference.clone());
                }
                let name = &self.centres[centre].name;
                self.trace.push(format!("{t_ms:>9} ms  {name}: {event:?}"));
                reports.extend(gateway.desk.happened(name, "sim", event, t_ms));
            }
            let starts = gateway.desk.start_ready(t_ms);
            if starts.is_empty() {
                break;
            }
            assert!(starts.is_sorted_by_key(|start| start.notice.lane), "an urgent notice stood behind another lane");
            for start in starts {
                gateway.flying.insert(start.attempt, start.notice.reference.clone());
                let centre = self.centres.iter().position(|centre| centre.name == start.receiver);
                let centre = centre.expect("a receiver of the route");
                for (after_ms, event) in self.centres[centre].take(&start, &mut self.rng, self.faults) {
                    self.told += 1;
                    self.pending.insert((t_ms + after_ms, self.told), (centre, event));
                }
            }
        }
        gateway.inbox.put(reports.into_iter().map(|report| (true, Input::Report(report))));
    }

    fn tell(&mut self, centre: usize, event: LinkEvent) {
        self.told += 1;
        self.pending.insert((self.t_ms, self.told), (centre, event));
    }

    fn tell_path(&mut self, centre: usize) {
        let up = self.centres[centre].up;
        if up {
            self.tell(centre, LinkEvent::Connected);
        }
        self.tell(centre, LinkEvent::Path { up, detail: String::new() });
        self.pump();
        if up {
            self.check_nothing_urgent_waits();
        }
    }

    /// A centre goes, or comes back. What was under way there when it went has failed.
    pub fn set_centre(&mut self, centre: usize, up: bool) {
        if self.centres[centre].up == up {
            return;
        }
        self.centres[centre].up = up;
        if !up {
            for (at, (whose, event)) in std::mem::take(&mut self.pending) {
                match attempt(&event) {
                    Some((attempt, true)) if whose == centre => {
                        let failure = Failure::Closed("gone".into());
                        self.pending.insert((self.t_ms, at.1), (whose, LinkEvent::Failed { attempt, failure }));
                    }
                    Some((_, false)) if whose == centre => {}
                    _ => {
                        self.pending.insert(at, (whose, event));
                    }
                }
            }
        }
        let name = self.centres[centre].name.clone();
        self.say(|| format!("{name} is {}", if up { "back" } else { "gone" }));
        self.tell_path(centre);
    }

    /// Where there is one centre and it has just come back: every life and care notice is on its way to it, none waits.
    fn check_nothing_urgent_waits(&self) {
        let Some(gateway) = &self.gateway else { return };
        if self.centres.len() > 1 {
            return;
        }
        let under_way: BTreeSet<&String> = gateway.flying.values().chain(&gateway.taken).collect();
        for (alarm, notice) in gateway.keeper.state().alarms.owed() {
            let reference = vaka::dispatch::reference(alarm.id(), notice.number);
            let urgent = matches!(alarm.raise.lane, Lane::Life | Lane::Care);
            assert!(!urgent || under_way.contains(&reference), "{reference} waits though the centre is back");
        }
    }

    /// A person takes an open alarm, or closes it.
    pub fn act(&mut self, act: ActWhat) {
        let Some(gateway) = &self.gateway else { return };
        let open: Vec<AlarmId> = gateway.keeper.state().alarms.open().map(|alarm| alarm.id().clone()).collect();
        if open.is_empty() {
            return;
        }
        let alarm = open[self.rng.below(open.len() as u64) as usize].clone();
        let (reply, _) = oneshot::channel();
        let (by, note) = ("anna".to_owned(), String::new());
        self.say(|| format!("{act:?} {alarm}"));
        let Some(gateway) = &self.gateway else { return };
        gateway.inbox.put([(true, Input::Ask(Ask::Act { act: Act::new(alarm, act, by, note), reply }))]);
    }

    /// Nothing is on its way and nothing is owed.
    pub fn is_quiet(&self) -> bool {
        let Some(gateway) = &self.gateway else { return false };
        gateway.inbox.is_empty()
            && self.pending.is_empty()
            && gateway.desk.owed_count() == 0
            && gateway.keeper.state().alarms.owed().count() == 0
            && self.devices.iter().all(Device::is_quiet)
    }

    /// What keeps the world from being quiet.
    pub fn unrest(&self) -> String {
        let Some(gateway) = &self.gateway else { return "the gateway is down".into() };
        let owed: Vec<String> = gateway
            .keeper
            .state()
            .alarms
            .owed()
            .map(|(alarm, notice)| format!("{}/{} {}", alarm.id(), notice.number, alarm.raise.cause))
            .collect();
        let outboxes: Vec<usize> = self.devices.iter().map(|device| device.outbox.len()).collect();
        format!(
            "inbox {}, on the way {:?}, desk {}, owed {owed:?}, outboxes {outboxes:?}",
            gateway.inbox.len(),
            self.pending,
            gateway.desk.owed_count()
        )
    }

    /// Whether a rung of an alarm is true, as a device may show it.
    pub fn is_true(&self, alarm: &AlarmId, rung: Rung) -> bool {
        let mut accepted = self.centres.iter().flat_map(|centre| centre.accepted.values());
        match rung {
            Rung::Accepted => accepted.any(|accepted| accepted.notice.alarm == *alarm),
            Rung::Claimed | Rung::Closed => self.history.values().any(|(_, record)| match record {
                Record::Act(act) => act.alarm == *alarm,
                _ => false,
            }),
            Rung::Stored | Rung::Sent | Rung::Received => true,
        }
    }
}
