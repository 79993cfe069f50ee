//! The life of an alarm: rules raise it, receivers move it up the ladder, only a person closes it.
//!
//! Enters: records. Leaves: alarms, and what is still owed to receivers. State changes by [`Alarms`]' `apply` methods
//! alone, live and on replay alike. Absent: any way for a rule to close an alarm.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use vaka_protocol::{AlarmId, Command, DeviceId, Lane, Rung};

use crate::journal::record::{Act, ActWhat, CloseOutcome, Join, JoinWhat, Raise, RungRecord, Tell, Whereabouts};
use crate::limits::{CLOSED_ALARMS_KEPT, NOTICES_PER_ALARM_MAX};
use crate::rules::lookup::Lookup;

/// Each time a receiver is told of an alarm.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Notice {
    /// 0 is the first; part of the reference that receivers deduplicate by.
    pub number: u32,
    /// Absent for the first notice.
    pub what: Option<JoinWhat>,
    /// The event that it tells of: what a receipt names.
    pub restart: u32,
    pub seq: u64,
    pub stc: u16,
    pub happened_at: i64,
    pub delayed: bool,
    /// How often the cause had come when this was made.
    pub count: u32,
    pub rung: Rung,
    /// A receiver has it as far as that receiver can prove: nothing more is sent by itself.
    #[serde(default)]
    pub handed_over: bool,
    /// (Swedish, English) in place of the alarm's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<Box<(String, String)>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whereabouts: Option<Box<Whereabouts>>,
}

/// One step of the ladder, with time and path.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Step {
    pub rung: Rung,
    /// UTC milliseconds.
    pub at: i64,
    pub notice: u32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub receiver: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Alarm {
    pub raise: Raise,
    /// UTC milliseconds: when the decision was recorded.
    pub raised_at: i64,
    /// How often the cause has come.
    pub count: u32,
    pub notices: Vec<Notice>,
    pub steps: Vec<Step>,
    pub claimed_by: Option<String>,
    pub closed_by: Option<String>,
    pub note: String,
    /// What it came to, where whoever closed it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<CloseOutcome>,
    pub cancelled: bool,
    /// The cause is over (smoke gone); the alarm is not.
    pub over: bool,
    /// At a hub: the home's highest number of telling.
    #[serde(default)]
    pub told_up_to: u32,
    /// Nobody has accepted it in time.
    #[serde(default)]
    pub nobody: bool,
    /// Devices that say so, and what they say when somebody has it.
    #[serde(default)]
    pub told: Vec<(DeviceId, String)>,
}

/// What a record changed that somebody outside has to hear of.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A receiver is to be told.
    Owed { alarm: AlarmId, notice: u32 },
    /// The device is to hear of this rung, for the event (restart, seq).
    Receipt { device: DeviceId, alarm: AlarmId, restart: u32, seq: u64, rung: Rung, last: bool },
    /// People at this device are to hear that an alarm has not got through, or (`good`) that it has.
    Feedback { device: DeviceId, text: String, good: bool },
    /// A person has it: nothing is owed to receivers any more.
    Settled { alarm: AlarmId },
    /// A rule sends a command that must not be carried out from `expires_at` on (UTC milliseconds).
    Command { device: DeviceId, expires_at: i64, command: Box<Command> },
}

#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(from = "Saved")]
pub struct Alarms {
    /// Boxed, and so are the closed ones: a hub holds many, and a tree's nodes are half empty.
    open: BTreeMap<AlarmId, Box<Alarm>>,
    closed: VecDeque<Box<Alarm>>,
    /// The newest open alarm of a device and cause: the one that a repeated cause may join.
    newest: BTreeMap<DeviceId, BTreeMap<String, AlarmId>>,
    /// Counts the changes of technical alarms: whoever sums them up sees that there is something new.
    technical_changes: u64,
    /// Open alarms by rule and resident: read off the others.
    #[serde(skip)]
    of_rule: Lookup<String, Lookup<String, BTreeSet<AlarmId>>>,
    /// Of the closed ones: read off them.
    #[serde(skip)]
    closed_ids: BTreeSet<AlarmId>,
}

/// [`Alarms`] as they are saved.
#[derive(Deserialize)]
struct Saved {
    open: BTreeMap<AlarmId, Box<Alarm>>,
    closed: VecDeque<Box<Alarm>>,
    newest: BTreeMap<DeviceId, BTreeMap<String, AlarmId>>,
    #[serde(default)]
    technical_changes: u64,
}

impl From<Saved> for Alarms {
    fn from(Saved { open, closed, newest, technical_changes }: Saved) -> Self {
        let of_rule = Lookup::default();
        let closed_ids = closed.iter().map(|alarm| alarm.id().clone()).collect();
        let mut alarms = Alarms { open, closed, newest, technical_changes, of_rule, closed_ids };
        let raises: Vec<Raise> = alarms.open.values().map(|alarm| alarm.raise.clone()).collect();
        raises.iter().for_each(|raise| alarms.list(raise));
        alarms
    }
}

/// Whom an alarm is about, as far as its rule says.
fn resident_of(raise: &Raise) -> &str {
    raise.basis.as_ref().and_then(|basis| basis.resident.as_deref()).unwrap_or_default()
}

impl Alarm {
    pub fn id(&self) -> &AlarmId {
        &self.raise.alarm
    }

    /// How far all of it has come: a press that nobody has accepted yet holds the whole alarm back.
    pub fn rung(&self) -> Rung {
        match (&self.closed_by, &self.claimed_by) {
            (Some(_), _) => Rung::Closed,
            (None, Some(_)) => Rung::Claimed,
            (None, None) => self.notices.iter().map(|notice| notice.rung).min().unwrap_or(Rung::Stored),
        }
    }

    /// Every notice is with a receiver that can prove no more, and no person is known to have the alarm.
    pub fn is_handed_over(&self) -> bool {
        !self.is_claimed() && self.notices.iter().all(|notice| notice.handed_over)
    }

    pub fn notice(&self, number: u32) -> Option<&Notice> {
        self.notices.iter().find(|notice| notice.number == number)
    }

    pub fn is_claimed(&self) -> bool {
        self.claimed_by.is_some() || self.closed_by.is_some()
    }

    fn somebody_has_it(&mut self, changes: &mut Vec<Change>) {
        self.nobody = false;
        for (device, text) in std::mem::take(&mut self.told) {
            changes.push(Change::Feedback { device, text, good: true });
        }
    }

    /// Nobody has it any more: told again, so that somebody takes it.
    fn let_go(&mut self, act: &Act, what: JoinWhat, at: i64, changes: &mut Vec<Change>) {
        self.claimed_by = None;
        // What was told before is settled: this telling stands for all of it.
        self.notices.iter_mut().for_each(|notice| notice.handed_over = true);
        let number = self.notices.last().map_or(0, |notice| notice.number + 1);
        let raise = &self.raise;
        self.notices.push(Notice {
            number,
            what: Some(what),
            restart: raise.restart,
            seq: raise.seq,
            stc: raise.stc,
            happened_at: at,
            delayed: false,
            count: self.count,
            rung: Rung::Stored,
            handed_over: false,
            words: Some(Box::new(let_go_words(raise, act, what))),
            whereabouts: raise.whereabouts.clone(),
        });
        self.steps.push(stored(at, number));
        self.trim();
        changes.push(Change::Owed { alarm: self.raise.alarm.clone(), notice: number });
    }

    fn climb(&mut self, number: u32, step: Step) -> bool {
        let Some(notice) = self.notices.iter_mut().find(|notice| notice.number == number) else { return false };
        if step.rung <= notice.rung && self.steps.iter().any(|s| s.notice == number && s.rung == step.rung) {
            return false;
        }
        notice.rung = notice.rung.max(step.rung);
        self.steps.push(step);
        true
    }

    /// Lets go of what is settled, oldest first, so that eighty presses do not make eighty entries for ever.
    fn trim(&mut self) {
        while self.notices.len() > NOTICES_PER_ALARM_MAX {
            let settled = self.notices.iter().position(|n| n.number > 0 && n.rung >= Rung::Accepted);
            // Where nothing is settled yet the oldest repetition goes: the newest tells the whole count. A cancel stays.
            let repeats = |n: &Notice| matches!(n.what, Some(JoinWhat::Again | JoinWhat::Where));
            let again = || self.notices.iter().position(repeats);
            let gone = self.notices.remove(settled.or_else(again).unwrap_or(1)).number;
            self.steps.retain(|step| step.notice != gone);
        }
    }
}

impl Alarms {
    pub fn get(&self, id: &AlarmId) -> Option<&Alarm> {
        let closed = || self.closed.iter().rev().find(|alarm| alarm.id() == id);
        let known = || self.closed_ids.contains(id).then(closed).flatten();
        self.open.get(id).or_else(known).map(|alarm| &**alarm)
    }

    /// As [`Alarms::get`], while nobody has closed it.
    pub fn get_open(&self, id: &AlarmId) -> Option<&Alarm> {
        self.open.get(id).map(|alarm| &**alarm)
    }

    /// Open alarms by id.
    pub fn open(&self) -> impl Iterator<Item = &Alarm> {
        self.open.values().map(|alarm| &**alarm)
    }

    /// Closed alarms still held in memory, oldest first.
    pub fn closed(&self) -> impl DoubleEndedIterator<Item = &Alarm> {
        self.closed.iter().map(|alarm| &**alarm)
    }

    /// The newest open alarm of this device and cause.
    pub fn newest(&self, device: &DeviceId, cause: &str) -> Option<&Alarm> {
        self.newest.get(device)?.get(cause).and_then(|id| self.open.get(id)).map(|alarm| &**alarm)
    }

    /// Open alarms of this device, the newest of each cause.
    pub fn of(&self, device: &DeviceId) -> impl Iterator<Item = &Alarm> {
        let newest = self.newest.get(device).into_iter().flat_map(BTreeMap::values);
        newest.filter_map(|id| self.open.get(id)).map(|alarm| &**alarm)
    }

    /// Open alarms of this rule about this resident (`None`: about the home itself), by id.
    pub fn open_of(&self, rule: &str, resident: Option<&str>) -> impl Iterator<Item = &Alarm> {
        let ids = self.of_rule.get(rule).and_then(|residents| residents.get(resident.unwrap_or_default()));
        ids.into_iter().flatten().filter_map(|id| self.open.get(id)).map(|alarm| &**alarm)
    }

    fn list(&mut self, raise: &Raise) {
        let residents = self.of_rule.or_default(&raise.rule);
        residents.or_default(&resident_of(raise).to_owned()).insert(raise.alarm.clone());
    }

    fn unlist(&mut self, raise: &Raise) {
        let Some(residents) = self.of_rule.get_mut(&raise.rule) else { return };
        if let Some(ids) = residents.get_mut(resident_of(raise)) {
            ids.remove(&raise.alarm);
            if ids.is_empty() {
                residents.remove(resident_of(raise));
            }
        }
        if residents.is_empty() {
            self.of_rule.remove(&raise.rule);
        }
    }

    /// The newest open `life` alarm of this device, whatever its cause: what a cancel belongs to.
    pub fn newest_life(&self, device: &DeviceId) -> Option<&Alarm> {
        let alarms = self.newest.get(device)?.values().filter_map(|id| self.open.get(id)).map(|alarm| &**alarm);
        alarms.filter(|alarm| alarm.raise.lane == Lane::Life).max_by_key(|alarm| alarm.raised_at)
    }

    /// Notices that no receiver has as far as it can prove, of alarms that no person has.
    pub fn owed(&self) -> impl Iterator<Item = (&Alarm, &Notice)> {
        let unclaimed = self.open().filter(|alarm| !alarm.is_claimed());
        unclaimed.flat_map(|alarm| {
            alarm.notices.iter().filter(|notice| !notice.handed_over).map(move |notice| (alarm, notice))
        })
    }

    /// Changes whenever a technical alarm does.
    pub fn technical_changes(&self) -> u64 {
        self.technical_changes
    }

    pub fn apply_raise(&mut self, raise: &Raise, at: i64, changes: &mut Vec<Change>) {
        if self.get(&raise.alarm).is_some() {
            return; // Derived ids: a replay cannot raise twice.
        }
        self.technical_changes += u64::from(raise.lane == Lane::Technical);
        let notice = Notice {
            number: 0,
            what: None,
            restart: raise.restart,
            seq: raise.seq,
            stc: raise.stc,
            happened_at: raise.happened_at,
            delayed: raise.delayed,
            count: 1,
            rung: Rung::Stored,
            handed_over: false,
            words: None,
            whereabouts: raise.whereabouts.clone(),
        };
        let alarm = Alarm {
            raise: raise.clone(),
            raised_at: at,
            count: raise.home.as_ref().map_or(1, |home| home.count),
            notices: vec![notice],
            steps: vec![stored(at, 0)],
            claimed_by: None,
            closed_by: None,
            note: String::new(),
            outcome: None,
            cancelled: false,
            over: false,
            told_up_to: raise.home.as_ref().map_or(0, |home| home.number),
            nobody: false,
            told: Vec::new(),
        };
        self.newest.entry(raise.device.clone()).or_default().insert(raise.cause.clone(), raise.alarm.clone());
        self.list(raise);
        self.open.insert(raise.alarm.clone(), Box::new(alarm));
        changes.push(Change::Owed { alarm: raise.alarm.clone(), notice: 0 });
        changes.push(receipt(raise, raise.restart, raise.seq, Rung::Stored, false));
    }

    pub fn apply_join(&mut self, join: &Join, at: i64, changes: &mut Vec<Change>) {
        let Some(alarm) = self.open.get_mut(&join.alarm) else { return };
        self.technical_changes += u64::from(alarm.raise.lane == Lane::Technical);
        match join.what {
            JoinWhat::Again => {
                // A home says itself how often it had come there: it tells again for other reasons too.
                alarm.count = alarm.count.saturating_add(u32::from(join.home.is_none()));
                alarm.over = false;
            }
            JoinWhat::Where | JoinWhat::Escalated => {}
            // At a hub: the home's people have given it back.
            JoinWhat::HandedOver => {
                alarm.claimed_by = None;
                alarm.notices.iter_mut().for_each(|notice| notice.handed_over = true);
            }
            JoinWhat::Cancel => alarm.cancelled = true,
            JoinWhat::Over => alarm.over = true,
        }
        if let Some((number, count)) = join.home {
            alarm.told_up_to = alarm.told_up_to.max(number);
            alarm.count = alarm.count.max(count);
        }
        if !join.notify {
            return;
        }
        let number = alarm.notices.last().map_or(0, |notice| notice.number + 1);
        alarm.notices.push(Notice {
            number,
            what: Some(join.what),
            restart: join.restart,
            seq: join.seq,
            stc: join.stc,
            happened_at: join.happened_at,
            delayed: join.delayed,
            count: alarm.count,
            rung: Rung::Stored,
            handed_over: false,
            words: join.words.clone().map(Box::new),
            whereabouts: join.whereabouts.clone(),
        });
        alarm.steps.push(stored(at, number));
        alarm.trim();
        changes.push(Change::Owed { alarm: join.alarm.clone(), notice: number });
        changes.push(receipt(&alarm.raise, join.restart, join.seq, Rung::Stored, false));
    }

    pub fn apply_rung(&mut self, rung: &RungRecord, at: i64, changes: &mut Vec<Change>) {
        let Some(alarm) = self.open.get_mut(&rung.alarm) else { return };
        let Some((restart, seq, before)) = alarm.notice(rung.notice).map(|n| (n.restart, n.seq, n.rung)) else {
            return;
        };
        let step = Step {
            rung: rung.rung,
            at,
            notice: rung.notice,
            receiver: rung.receiver.clone(),
            path: rung.path.clone(),
            detail: rung.detail.clone(),
        };
        if rung.last
            && let Some(notice) = alarm.notices.iter_mut().find(|notice| notice.number == rung.notice)
        {
            notice.handed_over = true;
        }
        if alarm.climb(rung.notice, step) && rung.rung > before {
            changes.push(receipt(&alarm.raise, restart, seq, rung.rung, rung.last));
        }
        if rung.rung >= Rung::Accepted {
            alarm.somebody_has_it(changes);
        }
    }

    /// A device in the home says that nobody has the alarm.
    pub fn apply_tell(&mut self, tell: &Tell, changes: &mut Vec<Change>) {
        let Some(alarm) = self.open.get_mut(&tell.alarm) else { return };
        alarm.told.push((tell.device.clone(), tell.text_after.clone()));
        let (device, text) = (tell.device.clone(), tell.text.clone());
        changes.push(Change::Feedback { device, text, good: false });
    }

    pub fn apply_nobody(&mut self, alarm: &AlarmId) {
        if let Some(alarm) = self.open.get_mut(alarm).filter(|alarm| !alarm.is_claimed()) {
            alarm.nobody = true;
        }
    }

    pub fn apply_act(&mut self, act: &Act, at: i64, changes: &mut Vec<Change>) {
        let Some(alarm) = self.open.get_mut(&act.alarm) else { return };
        self.technical_changes += u64::from(alarm.raise.lane == Lane::Technical);
        if !act.note.is_empty() {
            alarm.note.clone_from(&act.note);
        }
        let Some(rung) = act.act.rung() else {
            match act.act {
                ActWhat::HandOver => alarm.let_go(act, JoinWhat::HandedOver, at, changes),
                ActWhat::Escalate => alarm.let_go(act, JoinWhat::Escalated, at, changes),
                ActWhat::Claim | ActWhat::Close | ActWhat::Note => {}
            }
            return;
        };
        if act.act == ActWhat::Close {
            alarm.closed_by = Some(act.by.clone());
            alarm.outcome = act.outcome;
        } else {
            alarm.claimed_by = Some(act.by.clone());
        }
        alarm.told_up_to = alarm.told_up_to.max(act.told_up_to.unwrap_or(0));
        // A person answers for the whole alarm: every event of it hears so.
        let newest = alarm.notices.last().map_or(0, |notice| notice.number);
        for notice in &mut alarm.notices {
            notice.rung = notice.rung.max(rung);
            // A home knows what its own people did.
            if act.told_up_to.is_none() {
                changes.push(receipt(&alarm.raise, notice.restart, notice.seq, rung, false));
            }
        }
        alarm.steps.push(Step {
            rung,
            at,
            notice: newest,
            receiver: String::new(),
            path: String::new(),
            detail: act.by.clone(),
        });
        alarm.somebody_has_it(changes);
        changes.push(Change::Settled { alarm: act.alarm.clone() });
        if act.act == ActWhat::Close {
            self.put_away(&act.alarm);
        }
    }

    /// Closed alarms whose raising `is_gone` names are forgotten; one that is open is somebody's call, and stays.
    pub fn forget(&mut self, is_gone: &dyn Fn(&Raise) -> bool) {
        self.keep_closed(|alarm| !is_gone(&alarm.raise));
    }

    /// Closed alarms of a class (the name of a lane) of which nothing was recorded after `until_ms` (UTC) are forgotten.
    pub fn age(&mut self, class: &str, until_ms: i64) {
        let newest_at = |alarm: &Alarm| alarm.steps.last().map_or(alarm.raised_at, |step| step.at.max(alarm.raised_at));
        self.keep_closed(|alarm| alarm.raise.lane.as_str() != class || newest_at(alarm) > until_ms);
    }

    fn keep_closed(&mut self, keep: impl Fn(&Alarm) -> bool) {
        self.closed.retain(|alarm| keep(alarm));
        self.closed_ids = self.closed.iter().map(|alarm| alarm.id().clone()).collect();
    }

    fn put_away(&mut self, id: &AlarmId) {
        let Some(alarm) = self.open.remove(id) else { return };
        self.unlist(&alarm.raise);
        if let Some(causes) = self.newest.get_mut(&alarm.raise.device) {
            causes.retain(|_, newest| newest != id);
            if causes.is_empty() {
                self.newest.remove(&alarm.raise.device);
            }
        }
        self.closed_ids.insert(alarm.id().clone());
        self.closed.push_back(alarm);
        if self.closed.len() > CLOSED_ALARMS_KEPT
            && let Some(oldest) = self.closed.pop_front()
        {
            self.closed_ids.remove(oldest.id());
        }
    }
}

/// (Swedish, English), what has happened first: a receiver may show 32 characters of it.
fn let_go_words(raise: &Raise, act: &Act, what: JoinWhat) -> (String, String) {
    let note = if act.note.is_empty() { String::new() } else { format!(" {}.", act.note.trim_end_matches('.')) };
    let by = &act.by;
    let (sv, en) = match (what, &act.other) {
        (JoinWhat::Escalated, _) => {
            (format!("Mer hjälp behövs, säger {by}."), format!("More help is needed, says {by}."))
        }
        (_, Some(to)) => (format!("Lämnat över av {by} till {to}."), format!("Handed over by {by} to {to}.")),
        (_, None) => (format!("Lämnat tillbaka av {by}."), format!("Given back by {by}.")),
    };
    (format!("{sv}{note} {}", raise.sv), format!("{en}{note} {}", raise.en))
}

fn stored(at: i64, notice: u32) -> Step {
    Step { rung: Rung::Stored, at, notice, receiver: String::new(), path: String::new(), detail: String::new() }
}

fn receipt(raise: &Raise, restart: u32, seq: u64, rung: Rung, last: bool) -> Change {
    Change::Receipt { device: raise.device.clone(), alarm: raise.alarm.clone(), restart, seq, rung, last }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::care::facts::Device;

    /// A hub holds thousands of these: what is large and rare in them stands in a box of its own.
    #[test]
    fn what_a_hub_holds_of_each_home_stays_small() {
        let sizes = [size_of::<Alarm>(), size_of::<Notice>(), size_of::<Step>(), size_of::<Device>()];
        eprintln!("alarm, notice, step, device: {sizes:?} bytes");
        assert!(sizes.iter().zip([400, 56, 88, 560]).all(|(size, most)| *size <= most), "{sizes:?} bytes");
    }
}
