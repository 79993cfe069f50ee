//! What the journal says of a span of days, in figures.
//!
//! Enters: records in their order. Leaves: [`Figures`]. Pure: the same records make the same figures, wherever and whenever
//! they are counted. Invariants: how long something took is measured on the running clock where one boot saw all of it; what
//! is not in the journal is not guessed at (a journal that begins later says so).

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};
use vaka_protocol::{AlarmId, DeviceId, Event, Lane, Rung};

use super::nights::{Bed, Night, night_of};
use crate::ingest::payload;
use crate::journal::Header;
use crate::journal::record::{ActWhat, CloseOutcome, Decision, JoinWhat, Raise, Record};
use crate::rules::care::agreed::Agreed;
use crate::rules::care::moment::{At, Moment};
use crate::rules::care::{night, silence, when};
use crate::rules::trigger::time_of;

/// What the rule `night` notes where a planned look-in was made by a sensor.
const LOOK_IN_MADE: &str = "round-done";
/// How its alarm is called where one could not be: a visit takes its place.
const LOOK_IN_NOT_MADE: &str = "round";

/// Local days, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days {
    pub from: Date,
    pub to: Date,
}

/// Everything that the page shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    pub gateway: String,
    #[serde(serialize_with = "as_text")]
    pub from: Date,
    #[serde(serialize_with = "as_text")]
    pub to: Date,
    /// UTC milliseconds of the first and the last record there is. Absent: the journal is empty.
    pub journal: Option<(i64, i64)>,
    /// Records read; places that could not be.
    pub records: u64,
    pub damaged: usize,
    /// Records of those days that nobody can read any more: their agreed days are over, or whose they were is erased.
    pub gone: u64,
    /// Starts of the gateway.
    pub starts: u64,
    pub beds: Vec<BedNights>,
    pub doses: Vec<Doses>,
    pub ladder: Vec<Ladder>,
    pub causes: Vec<Cause>,
    /// What the alarms that were closed in those days came to, tests apart.
    pub closed: Vec<Closed>,
    pub tests: u64,
    /// Alarms that the resident took back. They count in `causes` too.
    pub taken_back: u64,
    pub silences: Vec<Silence>,
    pub outages: Vec<Outage>,
    pub look_ins: Vec<LookIns>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BedNights {
    pub resident: Option<String>,
    pub device: DeviceId,
    pub nights: Vec<Night>,
}

/// How the doses of one dispenser ended: the last that was said of each.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Doses {
    pub resident: Option<String>,
    pub device: DeviceId,
    /// By outcome, in the protocol's words.
    pub outcomes: BTreeMap<&'static str, u64>,
}

/// How fast the alarms of a lane climbed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ladder {
    pub lane: Lane,
    pub raised: u64,
    /// From being on the disk until a receiver had answered for it.
    pub accepted: Times,
    /// From there until a person had it.
    pub claimed: Times,
}

/// Milliseconds; absent where there was none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Times {
    pub count: u64,
    pub median_ms: Option<i64>,
    pub slowest_ms: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cause {
    pub lane: Lane,
    pub rule: String,
    pub cause: String,
    pub count: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Closed {
    /// Absent: whoever closed them did not say.
    pub outcome: Option<CloseOutcome>,
    pub count: u64,
}

/// When nothing was heard of a device although something was due.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Silence {
    pub resident: Option<String>,
    pub device: DeviceId,
    /// UTC milliseconds, from the last word until the next.
    pub spans: Vec<(i64, i64)>,
}

/// When a path to a receiver was lost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outage {
    pub receiver: String,
    pub path: String,
    /// UTC milliseconds.
    pub spans: Vec<(i64, i64)>,
}

/// The planned look-ins of one night, of everybody.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LookIns {
    #[serde(serialize_with = "as_text")]
    pub date: Date,
    /// Made by a sensor: a visit that was not needed.
    pub made: u64,
    /// Not to be proven: a visit was asked for.
    pub visits: u64,
}

pub(super) fn as_text<S: Serializer>(date: &Date, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(date)
}

/// How long all of it was, in milliseconds.
pub fn total_ms(spans: &[(i64, i64)]) -> i64 {
    spans.iter().map(|(from, until)| until - from).sum()
}

/// An alarm on its way.
struct Climb {
    lane: Lane,
    stored: At,
    accepted: Option<At>,
    accepted_ms: Option<i64>,
    claimed_ms: Option<i64>,
}

/// Counts a journal.
pub struct Count<'a> {
    agreed: &'a Agreed,
    days: Days,
    /// UTC milliseconds of the first day's beginning and the last day's end.
    start_ms: i64,
    end_ms: i64,
    journal: Option<(i64, i64)>,
    records: u64,
    gone: u64,
    starts: u64,
    beds: BTreeMap<DeviceId, Bed>,
    doses: BTreeMap<(DeviceId, String, Date), (i64, &'static str)>,
    alarms: BTreeMap<AlarmId, Climb>,
    causes: BTreeMap<(Lane, String, String), u64>,
    /// Those closed are not closed again, so each record of it is an alarm.
    closed: BTreeMap<Option<CloseOutcome>, u64>,
    /// Test alarms that are open.
    tests_open: BTreeSet<AlarmId>,
    tests: u64,
    taken_back: u64,
    /// When each device was heard last, and since when it is known to be silent.
    heard: BTreeMap<DeviceId, i64>,
    silent: BTreeMap<DeviceId, i64>,
    silences: BTreeMap<DeviceId, Vec<(i64, i64)>>,
    lost: BTreeMap<(String, String), i64>,
    outages: BTreeMap<(String, String), Vec<(i64, i64)>>,
    look_ins: BTreeMap<Date, (u64, u64)>,
}

impl<'a> Count<'a> {
    pub fn new(agreed: &'a Agreed, days: Days) -> Self {
        let midnight = |date: Date| when::instant(&agreed.zone, date, jiff::civil::Time::midnight());
        Count {
            agreed,
            days,
            start_ms: midnight(days.from),
            end_ms: midnight(when::next(days.to)),
            journal: None,
            records: 0,
            gone: 0,
            starts: 0,
            beds: BTreeMap::new(),
            doses: BTreeMap::new(),
            alarms: BTreeMap::new(),
            causes: BTreeMap::new(),
            closed: BTreeMap::new(),
            tests_open: BTreeSet::new(),
            tests: 0,
            taken_back: 0,
            heard: BTreeMap::new(),
            silent: BTreeMap::new(),
            silences: BTreeMap::new(),
            lost: BTreeMap::new(),
            outages: BTreeMap::new(),
            look_ins: BTreeMap::new(),
        }
    }

    fn within(&self, at_ms: i64) -> bool {
        (self.start_ms..self.end_ms).contains(&at_ms)
    }

    fn zone(&self) -> &'a TimeZone {
        &self.agreed.zone
    }

    /// The next record.
    pub fn take(&mut self, header: &Header, record: &Record) {
        let wall_ms = header.wall_ms;
        self.records += 1;
        self.journal = Some(self.journal.map_or((wall_ms, wall_ms), |(from, to)| (from.min(wall_ms), to.max(wall_ms))));
        match record {
            Record::Gone if self.within(wall_ms) => self.gone += 1,
            Record::Boot(_) if self.within(wall_ms) => self.starts += 1,
            Record::Event(event) => {
                self.hears(&event.device, wall_ms);
                let Ok(parsed) = payload::read(&event.payload, event.via.as_ref()) else { return };
                let at = time_of(parsed.at, wall_ms).happened_at;
                parsed.events.iter().for_each(|said| self.event(&event.device, header.seq, at, said));
            }
            Record::Alive(alive) if alive.online => self.hears(&alive.device, wall_ms),
            Record::Decisions(decisions) => {
                decisions.decisions.iter().for_each(|decision| self.decision(header, decision))
            }
            Record::Rung(rung) if rung.rung >= Rung::Accepted && rung.notice == 0 => {
                self.climbs(&rung.alarm, Rung::Accepted, header);
            }
            Record::Act(act) => {
                let claims = matches!(act.act, ActWhat::Claim | ActWhat::Close);
                claims.then(|| self.climbs(&act.alarm, Rung::Claimed, header));
                let was_test = act.act == ActWhat::Close && self.tests_open.remove(&act.alarm);
                if act.act == ActWhat::Close && !was_test && self.within(wall_ms) {
                    *self.closed.entry(act.outcome).or_default() += 1;
                }
            }
            Record::Path(path) => {
                let key = (path.receiver.clone(), path.path.clone());
                if !path.up {
                    self.lost.entry(key).or_insert(wall_ms);
                } else if let Some(since) = self.lost.remove(&key) {
                    self.lasted(since, wall_ms)
                        .into_iter()
                        .for_each(|span| self.outages.entry(key.clone()).or_default().push(span));
                }
            }
            Record::Silent(silent) => self.falls_silent(&silent.device, wall_ms),
            _ => {}
        }
    }

    fn event(&mut self, device: &DeviceId, record: u64, at: i64, said: &Event) {
        // A day before and after: a night has its evening and its morning.
        if !(self.start_ms - 86_400_000..self.end_ms + 86_400_000).contains(&at) {
            return;
        }
        match said {
            Event::Bed { occupied } => {
                self.beds.entry(device.clone()).or_default().said(at, record, *occupied);
            }
            Event::Dose { slot, outcome } if self.within(at) => {
                let day = when::local(self.zone(), at).date();
                let known =
                    self.doses.entry((device.clone(), slot.as_str().to_owned(), day)).or_insert((at, outcome.as_str()));
                if known.0 <= at {
                    *known = (at, outcome.as_str());
                }
            }
            _ => {}
        }
    }

    fn decision(&mut self, header: &Header, decision: &Decision) {
        match decision {
            Decision::Raise(raise) => self.raised(header, raise),
            Decision::Join(join) if join.what == JoinWhat::Cancel && self.within(header.wall_ms) => {
                self.taken_back += 1
            }
            Decision::Note(note) if note.rule == night::NAME && note.what == LOOK_IN_MADE => {
                let at = note.basis.upto;
                self.look_in(at).0 += 1;
            }
            _ => {}
        }
    }

    /// Look-ins made and not made of the night that `at` (UTC milliseconds) is in.
    fn look_in(&mut self, at: i64) -> &mut (u64, u64) {
        self.look_ins.entry(night_of(self.zone(), at)).or_default()
    }

    fn raised(&mut self, header: &Header, raise: &Raise) {
        if raise.rule == silence::NAME {
            self.falls_silent(&raise.device, header.wall_ms);
        }
        if raise.rule == night::NAME && raise.cause.starts_with(LOOK_IN_NOT_MADE) {
            let at = raise.basis.as_ref().map_or(raise.happened_at, |basis| basis.upto);
            self.look_in(at).1 += 1;
        }
        if raise.lane == Lane::Test {
            self.tests_open.insert(raise.alarm.clone());
        }
        if !self.within(header.wall_ms) {
            return;
        }
        if raise.lane == Lane::Test {
            self.tests += 1;
            return;
        }
        *self.causes.entry((raise.lane, raise.rule.clone(), raise.cause.clone())).or_default() += 1;
        let climb = Climb { lane: raise.lane, stored: at(header), accepted: None, accepted_ms: None, claimed_ms: None };
        self.alarms.insert(raise.alarm.clone(), climb);
    }

    fn climbs(&mut self, alarm: &AlarmId, rung: Rung, header: &Header) {
        let Some(climb) = self.alarms.get_mut(alarm) else { return };
        let now = at(header);
        match rung {
            Rung::Accepted if climb.accepted.is_none() => {
                climb.accepted = Some(now);
                climb.accepted_ms = Some(took_ms(&climb.stored, &now));
            }
            Rung::Claimed if climb.claimed_ms.is_none() => {
                climb.claimed_ms = Some(took_ms(climb.accepted.as_ref().unwrap_or(&climb.stored), &now));
            }
            _ => {}
        }
    }

    fn hears(&mut self, device: &DeviceId, wall_ms: i64) {
        match self.heard.get_mut(device) {
            Some(known) => *known = wall_ms,
            None => drop(self.heard.insert(device.clone(), wall_ms)),
        }
        if let Some(since) = self.silent.remove(device)
            && let Some(span) = self.lasted(since, wall_ms)
        {
            self.silences.entry(device.clone()).or_default().push(span);
        }
    }

    fn falls_silent(&mut self, device: &DeviceId, wall_ms: i64) {
        let since = self.heard.get(device).copied().unwrap_or(wall_ms);
        self.silent.entry(device.clone()).or_insert(since);
    }

    /// The part of it that lies within the days asked for.
    fn lasted(&self, from: i64, until: i64) -> Option<(i64, i64)> {
        let span = (from.max(self.start_ms), until.min(self.end_ms));
        (span.0 < span.1).then_some(span)
    }

    /// Everything counted. `gateway`: its id; `damaged`: places that could not be read.
    pub fn finish(mut self, gateway: &str, damaged: usize) -> Figures {
        let end = self.journal.map_or(self.end_ms, |(_, to)| to);
        for (device, since) in std::mem::take(&mut self.silent) {
            let span = self.lasted(since, end);
            self.silences.entry(device).or_default().extend(span);
        }
        for (path, since) in std::mem::take(&mut self.lost) {
            let span = self.lasted(since, end);
            self.outages.entry(path).or_default().extend(span);
        }
        let whose = |device: &DeviceId| {
            let person = self.agreed.person_of(device).and_then(|index| self.agreed.people.get(index));
            person.map(|person| person.id.clone())
        };
        let days = self.days;
        let during = |date: &Date| (days.from..=days.to).contains(date);
        let nights = |bed: &Bed| bed.nights(self.zone()).into_iter().filter(|night| during(&night.date)).collect();
        let beds = self.beds.iter().map(|(device, bed)| BedNights {
            resident: whose(device),
            device: device.clone(),
            nights: nights(bed),
        });
        let mut doses: BTreeMap<&DeviceId, BTreeMap<&'static str, u64>> = BTreeMap::new();
        for ((device, ..), (_, outcome)) in &self.doses {
            *doses.entry(device).or_default().entry(outcome).or_default() += 1;
        }
        let doses = doses.into_iter().map(|(device, outcomes)| Doses {
            resident: whose(device),
            device: device.clone(),
            outcomes,
        });
        let silences = self.silences.iter().filter(|(_, spans)| !spans.is_empty());
        let silences = silences.map(|(device, spans)| Silence {
            resident: whose(device),
            device: device.clone(),
            spans: spans.clone(),
        });
        let outages = self.outages.iter().filter(|(_, spans)| !spans.is_empty());
        let outages = outages.map(|((receiver, path), spans)| Outage {
            receiver: receiver.clone(),
            path: path.clone(),
            spans: spans.clone(),
        });
        let look_ins = self.look_ins.iter().filter(|(date, _)| during(date));
        Figures {
            gateway: gateway.to_owned(),
            from: days.from,
            to: days.to,
            journal: self.journal,
            records: self.records,
            damaged,
            gone: self.gone,
            starts: self.starts,
            beds: beds.filter(|bed| !bed.nights.is_empty()).collect(),
            doses: doses.collect(),
            ladder: Lane::ALL.iter().filter_map(|lane| ladder(*lane, self.alarms.values())).collect(),
            causes: self
                .causes
                .iter()
                .map(|((lane, rule, cause), count)| Cause {
                    lane: *lane,
                    rule: rule.clone(),
                    cause: cause.clone(),
                    count: *count,
                })
                .collect(),
            closed: self.closed.iter().map(|(outcome, count)| Closed { outcome: *outcome, count: *count }).collect(),
            tests: self.tests,
            taken_back: self.taken_back,
            silences: silences.collect(),
            outages: outages.collect(),
            look_ins: look_ins
                .map(|(date, (made, visits))| LookIns { date: *date, made: *made, visits: *visits })
                .collect(),
        }
    }
}

fn ladder<'c>(lane: Lane, climbs: impl Iterator<Item = &'c Climb> + Clone) -> Option<Ladder> {
    let of_lane = climbs.filter(move |climb| climb.lane == lane);
    let raised = of_lane.clone().count() as u64;
    let accepted = times(of_lane.clone().filter_map(|climb| climb.accepted_ms));
    (raised > 0).then(|| Ladder {
        lane,
        raised,
        accepted,
        claimed: times(of_lane.filter_map(|climb| climb.claimed_ms)),
    })
}

/// The middle one (of two in the middle the slower) and the slowest: both were measured, none is an average.
fn times(ms: impl Iterator<Item = i64>) -> Times {
    let mut ms: Vec<i64> = ms.collect();
    ms.sort_unstable();
    Times { count: ms.len() as u64, median_ms: ms.get(ms.len() / 2).copied(), slowest_ms: ms.last().copied() }
}

fn at(header: &Header) -> At {
    let mono_ms = i64::try_from(header.mono_ms).unwrap_or(i64::MAX);
    At { wall_ms: header.wall_ms, mono_ms, boot: header.boot, record: header.seq }
}

fn took_ms(from: &At, to: &At) -> i64 {
    let mono_ms = u64::try_from(to.mono_ms).unwrap_or(0);
    Moment { wall_ms: to.wall_ms, mono_ms, boot: to.boot, ran_ms: 0, sure: true }.age_ms(from)
}
