//! The figures of a running gateway, for `/metrics`: what the keeper's state says, and what stands around it.
//!
//! Enters: a look. Leaves: a [`Page`]. Invariants: the keeper is asked behind every alarm and before telemetry, one look at a time; if it
//! does not answer in time, all that needs no keeper is shown. Nothing here names a device, a resident or an alarm.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use vaka_protocol::{DeviceId, Lane, Rung};

use super::keeper::{Ask, Input, Keeper};
use crate::backup::last;
use crate::clock::{Clock, Confidence};
use crate::config::{Config, Role};
use crate::dispatch::Dispatcher;
use crate::firmware::state::{Attempt, Stage};
use crate::ingest::inbox::{Inbox, Rank};
use crate::ingest::session::Hall;
use crate::limits::METRICS_ANSWER_MS_MAX;
use crate::metrics::server::Look;
use crate::metrics::{Page, families, process};
use crate::parts::{self, Ends};
use crate::rules::alarms::Alarm;

/// Where the figures are.
pub struct Measures {
    pub inbox: Arc<Inbox<Input>>,
    pub hall: Arc<Hall>,
    pub dispatcher: Dispatcher,
    pub enrolment: Arc<crate::enrol::Counts>,
    /// Which version runs, and how updates stand.
    pub updates: (vaka_update::Version, crate::update::Standing),
    pub config: watch::Receiver<Arc<Config>>,
    /// As they were read last.
    pub certificates: watch::Receiver<Vec<Ends>>,
    pub clock: Arc<dyn Clock>,
}

impl Measures {
    pub async fn look(self: Arc<Self>) -> Look {
        let config = self.config.borrow().clone();
        let mut page = Page::default();
        let role = match config.gateway.role {
            Role::Home => "home",
            Role::House => "house",
            Role::Hub => "hub",
        };
        page.put(&families::BUILD, &[&self.updates.0.to_string(), role], 1.0);
        let standing = self.updates.1.get().state;
        for state in crate::update::STATES {
            page.put(&families::UPDATE, &[state], f64::from(u8::from(state == standing)));
        }
        self.door(&mut page);
        self.receivers(&mut page);
        self.parts(&mut page, &config);
        process::show(&mut page);

        let (reply, answer) = oneshot::channel();
        let question = Box::new(move |keeper: &Keeper| {
            // Whoever asked may have given up.
            let _ = reply.send(of_keeper(keeper, &config));
        });
        self.inbox.put([(Rank::Usual, Input::Ask(Ask::See(question)))]);
        let answer = tokio::time::timeout(Duration::from_millis(METRICS_ANSWER_MS_MAX), answer).await;
        let told = answer.ok().and_then(Result::ok);
        let is_alive = told.is_some();
        told.into_iter().for_each(|told| page.append(told));
        page.put(&families::ANSWERS, &[], f64::from(u8::from(is_alive)));
        Look { text: page.text(), is_alive }
    }

    fn door(&self, page: &mut Page) {
        let counts = &self.hall.counts;
        page.put(&families::INBOX, &[], self.inbox.len() as f64);
        page.put(&families::CONNECTIONS, &[], self.hall.sessions.connected() as f64);
        page.put(&families::CONNECTIONS_MAX, &[], self.hall.sessions.most() as f64);
        let mut door = |what: &str, counter: &AtomicU64| {
            page.put(&families::DOOR, &[what], counter.load(Ordering::Relaxed) as f64);
        };
        door("handshake", &counts.accepted);
        door("handshake_failed", &counts.handshake_failed);
        door("certificate_ended", &counts.ended);
        door("turned_away_full", &counts.turned_away_full);
        door("turned_away_unknown", &counts.turned_away_unknown);
        for (what, count) in self.enrolment.all() {
            page.put(&families::ENROLMENT, &[what], count as f64);
        }
    }

    fn receivers(&self, page: &mut Page) {
        for (receiver, paths) in self.dispatcher.counts() {
            for (path, sums) in paths {
                for (what, count) in sums {
                    page.put(&families::RECEIVER, &[&receiver, &path, what], count as f64);
                }
            }
        }
    }

    fn parts(&self, page: &mut Page, config: &Config) {
        let now = self.clock.now();
        for (word, confidence) in
            [("synchronised", Confidence::Synchronised), ("held", Confidence::Held), ("floor", Confidence::Floor)]
        {
            page.put(&families::CLOCK, &[word], f64::from(u8::from(now.confidence == confidence)));
        }
        if let Some(milli_c) = parts::hottest(std::path::Path::new("/sys/class/thermal")) {
            page.put(&families::TEMPERATURE, &[], milli_c as f64 / 1_000.0);
        }
        // Without a clock nobody knows when anything ends.
        if now.confidence == Confidence::Floor {
            return;
        }
        match last::age(config, now.wall_ms) {
            last::Age::NotAgreed => {}
            last::Age::Never => page.put(&families::BACKUP_AGE, &[], f64::INFINITY),
            last::Age::Old(age_ms) => page.put(&families::BACKUP_AGE, &[], age_ms as f64 / 1_000.0),
        }
        let mut first: BTreeMap<&str, i64> = BTreeMap::new();
        let certificates = self.certificates.borrow();
        for ends in certificates.iter() {
            let whose = ends.device.as_ref().map_or("gateway", |device| kind_of(config, device));
            let known = first.entry(whose).or_insert(i64::MAX);
            *known = ends.not_after.min(*known);
        }
        for (whose, not_after) in first {
            let left_s = not_after.saturating_sub(now.wall_ms) as f64 / 1_000.0;
            page.put(&families::CERTIFICATE_LEFT, &[whose], left_s);
        }
    }
}

fn kind_of(config: &Config, device: &DeviceId) -> &'static str {
    config.devices.get(device).map_or("other", |device| device.kind.as_str())
}

fn of_keeper(keeper: &Keeper, config: &Config) -> Page {
    let mut page = Page::default();
    keeper.meters.show(&mut page);
    journal(keeper, &mut page);
    alarms(keeper, &mut page);
    reach(keeper, config, &mut page);
    devices(keeper, config, &mut page);
    firmware(keeper, config, &mut page);
    homes(keeper, &mut page);
    page
}

fn journal(keeper: &Keeper, page: &mut Page) {
    let restored = &keeper.restored;
    let stat = restored.journal.stat();
    page.put(&families::JOURNAL_BYTES, &[], stat.bytes as f64);
    page.put(&families::JOURNAL_BYTES_MAX, &[], restored.size_max_bytes() as f64);
    page.put(&families::REPLAYED, &[], restored.replayed as f64);
    if let Some(free) = restored.journal.free_bytes() {
        page.put(&families::DISK_FREE, &[], free as f64);
    }
    for lane in Lane::ALL.iter() {
        let is_refused = keeper.room.refused.contains(lane);
        page.put(&families::LANE_REFUSED, &[lane.as_str()], f64::from(u8::from(is_refused)));
    }
}

/// Seconds from `at_ms` until `now_ms`; a clock that was set back makes nothing younger than new.
fn age_s(now_ms: i64, at_ms: i64) -> f64 {
    now_ms.saturating_sub(at_ms).max(0) as f64 / 1_000.0
}

fn alarms(keeper: &Keeper, page: &mut Page) {
    let alarms = &keeper.state().alarms;
    let now_ms = keeper.now_ms();
    for lane in Lane::ALL.iter().copied().filter(|lane| *lane != Lane::Telemetry) {
        let word = lane.as_str();
        let of_lane = || alarms.open().filter(|alarm| alarm.raise.lane == lane);
        for rung in Rung::ALL.iter().copied().filter(|rung| *rung < Rung::Closed) {
            let count = of_lane().filter(|alarm| alarm.rung() == rung).count();
            page.put(&families::ALARMS_OPEN, &[word, rung.as_str()], count as f64);
        }
        let oldest = of_lane().filter(|alarm| !alarm.is_claimed()).map(|alarm| alarm.raised_at).min();
        page.put(&families::ALARM_OLDEST, &[word], oldest.map_or(0.0, |at| age_s(now_ms, at)));
        page.put(&families::ALARMS_NOBODY, &[word], of_lane().filter(|alarm| alarm.nobody).count() as f64);
        let owed = alarms.owed().filter(|(alarm, _)| alarm.raise.lane == lane);
        let (mut waiting, mut since) = (0_u64, None);
        for (alarm, notice) in owed {
            waiting += 1;
            since = since.into_iter().chain([stored_at(alarm, notice.number)]).min();
        }
        page.put(&families::LANE_WAITING, &[word], waiting as f64);
        page.put(&families::LANE_OLDEST, &[word], since.map_or(0.0, |at| age_s(now_ms, at)));
    }
}

/// When this telling of the alarm was on the disk, UTC milliseconds.
pub(super) fn stored_at(alarm: &Alarm, notice: u32) -> i64 {
    let stored = alarm.steps.iter().find(|step| step.notice == notice && step.rung == Rung::Stored);
    stored.map_or(alarm.raised_at, |step| step.at)
}

fn reach(keeper: &Keeper, config: &Config, page: &mut Page) {
    let state = keeper.state();
    let now_ms = keeper.now_ms();
    for receiver in &config.receivers {
        for label in receiver.path_labels() {
            // Not judged yet is not lost.
            let Some(path) = state.reach.get(&receiver.name, &label) else { continue };
            page.put(&families::PATH_UP, &[&receiver.name, &label], f64::from(u8::from(path.up)));
            page.put(&families::PATH_SINCE, &[&receiver.name, &label], age_s(now_ms, path.since));
        }
    }
    for (receiver, (pending, lost)) in state.streams.counts() {
        page.put(&families::TELEMETRY_WAITING, &[receiver], pending as f64);
        page.put(&families::TELEMETRY_LOST, &[receiver], lost as f64);
    }
}

#[derive(Default)]
struct OfKind {
    heard: u64,
    silent: u64,
    never: u64,
    silent_for_s: f64,
    low: u64,
    lowest: Option<u8>,
}

fn devices(keeper: &Keeper, config: &Config, page: &mut Page) {
    let state = keeper.state();
    let now_ms = keeper.now_ms();
    let mut kinds: BTreeMap<&str, OfKind> = BTreeMap::new();
    for device in config.devices.values() {
        let of = kinds.entry(device.kind.as_str()).or_default();
        let known = state.care.facts.get(&device.id);
        let heard = known.and_then(|known| known.heard);
        if state.alarms.of(&device.id).any(|alarm| alarm.raise.rule == "silence" && !alarm.over) {
            of.silent += 1;
            // Only of those: when a sensor that works was heard last says when somebody moved.
            of.silent_for_s = heard.map_or(of.silent_for_s, |at| of.silent_for_s.max(age_s(now_ms, at.wall_ms)));
        } else if heard.is_some() {
            of.heard += 1;
        } else {
            of.never += 1;
        }
        if let Some(battery) = known.and_then(|known| known.battery) {
            of.low += u64::from(battery.low);
            of.lowest = of.lowest.into_iter().chain(battery.percent).min();
        }
    }
    for (kind, of) in kinds {
        for (word, count) in [("heard", of.heard), ("silent", of.silent), ("never", of.never)] {
            page.put(&families::DEVICES, &[kind, word], count as f64);
        }
        page.put(&families::SILENT_LONGEST, &[kind], of.silent_for_s);
        page.put(&families::BATTERY_LOW, &[kind], of.low as f64);
        if let Some(percent) = of.lowest {
            page.put(&families::BATTERY_MIN, &[kind], f64::from(percent));
        }
    }
}

/// What came to nothing and was looked at is nobody's work any more.
pub(super) fn firmware(keeper: &Keeper, config: &Config, page: &mut Page) {
    if config.firmware.is_none() {
        return;
    }
    let fleet = &keeper.state().fleet;
    let attempts = || config.devices.keys().filter_map(|device| fleet.attempt(device));
    let is_looked = |attempt: &Attempt| attempt.stage.has_failed() && attempt.looked;
    for stage in Stage::ALL {
        let count = attempts().filter(|attempt| attempt.stage == stage && !is_looked(attempt)).count();
        page.put(&families::FIRMWARE, &[stage.as_str()], count as f64);
    }
    page.put(&families::FIRMWARE, &["looked"], attempts().filter(|attempt| is_looked(attempt)).count() as f64);
    let oldest = fleet.under_way().map_or(0.0, |(_, attempt)| age_s(keeper.now_ms(), attempt.asked_at));
    page.put(&families::FIRMWARE_OLDEST, &[], oldest);
}

/// At a hub.
fn homes(keeper: &Keeper, page: &mut Page) {
    let told: Vec<_> =
        keeper.state().devices.values().filter_map(|seen| Some((seen.online, seen.health.as_ref()?.ok))).collect();
    if told.is_empty() {
        return;
    }
    let count = |fits: fn(&(bool, bool)) -> bool| told.iter().filter(|home| fits(home)).count() as f64;
    page.put(&families::HOMES, &["ok"], count(|(online, ok)| *online && *ok));
    page.put(&families::HOMES, &["faulty"], count(|(online, ok)| *online && !*ok));
    page.put(&families::HOMES, &["away"], count(|(online, _)| !*online));
}
