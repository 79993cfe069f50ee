//! Rule `silence`: a device that has not been heard for longer than it may be.
//!
//! Enters: that devices are heard, come and go; that the process started. Leaves: for each trouble of a device one technical
//! alarm, told as over when the device has been steady for a while; a visit where it stays silent. Invariants: a device that
//! comes and goes is one trouble with a count; devices behind a silent bridge are the bridge's alarm; what could not be heard
//! because this process did not run, or the bridge was away, is not held against a device. A connection that stands proves a
//! device awake; one without a connection of its own proves it by saying anything at all.

mod heard;
#[cfg(test)]
mod tests;
mod words;

use vaka_protocol::{DeviceId, Lane};

use super::facts::Refused;
use super::moment::At;
use super::out::Finding;
use super::{Out, Subject, View, agreed, alarm_of, key, seen_at};
use crate::journal::record::{Decision, Join, JoinWhat};
use crate::limits::{ASSIGNED_RESTART, LISTENING_MS, STEADY_MS};
use crate::rules::alarms::Alarm;
use heard::Line;
pub use heard::Silences;

pub const NAME: &str = "silence";
pub const VERSION: u16 = 1;

/// SCAIP status codes: malfunction, restoral, and "help needed" of a visit.
const MALFUNCTION: u16 = 67;
const RESTORAL: u16 = 94;
const VISIT: u16 = 10;
/// Until the clock is known, this long between two looks at what is listed and was never heard, in milliseconds.
const UNSURE_LOOK_MS: i64 = 60_000;

/// What is agreed of one device. By itself: not supervised.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Supervision {
    /// Its connection may have ended for so long, in milliseconds. Absent: not supervised.
    pub gone_ms: Option<i64>,
    /// It may say nothing at all for so long, in milliseconds, where no connection proves it awake. Absent: not supervised.
    pub quiet_ms: Option<i64>,
    /// Silent for so long beyond that, in milliseconds: somebody is asked to come.
    pub visit_after_ms: i64,
    /// And to be there within so long, in milliseconds.
    pub visit_within_ms: i64,
    /// Goings without a rest between them after which it is not to be relied on. 0: never.
    pub flaps: u32,
    /// The bridge it stands behind.
    pub via: Option<DeviceId>,
}

/// Why a device counts as silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// Its connection ended and has not come back.
    Gone,
    /// Nothing was heard of it.
    Quiet,
    /// Nothing was ever heard of it.
    Never,
    /// It comes and goes.
    Unsteady,
}

/// How a device stands.
#[derive(Debug, Clone, Copy)]
enum Standing {
    /// By what is known of it alone that may change in so many milliseconds, if nothing is heard; `None`: only by an event.
    Heard { next_ms: Option<i64> },
    /// Since `since` by what can be held against it; silent once that is older than `limit_ms`. `upto` names the trouble.
    Silent { why: Why, since: At, limit_ms: i64, upto: u64 },
    /// Behind a bridge that is away: the bridge's matter.
    Held,
}

/// Whether a device can be believed to be awake: it, and the bridge it stands behind, are within what `[silence]` allows. An
/// unsupervised device is, as long as it was heard and its connection has not ended. So lasts what it said last, unless what it said
/// since was refused.
pub fn is_provable(view: View<'_>, device: &DeviceId) -> bool {
    let Some(agreed) = view.agreed.devices.get(device) else { return false };
    let Some(heard) = view.care.facts.get(device).and_then(|known| known.heard) else { return false };
    let is_known = refused(view, device).is_none_or(|refused| refused.last.record < heard.record);
    is_known && matches!(standing(view, device, agreed), Standing::Heard { .. })
}

/// When telemetry of the device was refused last, by itself or under the bridge it stands behind: what it had said before need not be so
/// any more.
pub fn refused(view: View<'_>, device: &DeviceId) -> Option<Refused> {
    let of = |id: &DeviceId| view.care.facts.get(id).and_then(|known| known.refused);
    let bridge = view.agreed.devices.get(device).and_then(|agreed| agreed.silence.via.as_ref());
    [of(device), bridge.and_then(of)].into_iter().flatten().max_by_key(|refused| refused.last.record)
}

/// In how many milliseconds it may change, if nothing more is heard, how the device or the bridge it stands behind stands. None: only by
/// an event.
pub fn turns_in_ms(view: View<'_>, device: &DeviceId) -> Option<i64> {
    let agreed = view.agreed.devices.get(device)?;
    let bridge = agreed.silence.via.as_ref().and_then(|bridge| Some((bridge, view.agreed.devices.get(bridge)?)));
    let turns_in = |id, agreed, via| match standing_alone(view, id, agreed, via) {
        Standing::Heard { next_ms } => next_ms,
        // One that came and went is steady again by time alone.
        Standing::Silent { why: Why::Unsteady, .. } => {
            let line = view.care.silence.line(id).filter(|line| line.online)?;
            Some(STEADY_MS - view.now.age_ms(&line.at))
        }
        Standing::Silent { .. } | Standing::Held => None,
    };
    let own = turns_in(device, agreed, bridge.map(|(bridge, _)| bridge));
    let of_bridge = bridge.and_then(|(bridge, agreed)| turns_in(bridge, agreed, None));
    own.into_iter().chain(of_bridge).min()
}

/// For how long, in milliseconds, this device has been watched without a gap worth the name: 0 where it cannot be believed to be
/// awake. What was not heard before that may have happened.
pub fn watched_ms(view: View<'_>, device: &DeviceId) -> i64 {
    if !is_provable(view, device) {
        return 0;
    }
    let silences = &view.care.silence;
    let bridge = view.agreed.devices.get(device).and_then(|agreed| agreed.silence.via.as_ref());
    let since = [
        silences.back(device),
        bridge.and_then(|bridge| silences.back(bridge)),
        silences.listening_since(view.now),
        refused(view, device).map(|refused| refused.last),
    ];
    since.iter().flatten().map(|at| view.now.age_ms(at)).min().unwrap_or(i64::MAX)
}

fn standing(view: View<'_>, id: &DeviceId, agreed: &agreed::Device) -> Standing {
    let rule = &agreed.silence;
    let bridge = rule.via.as_ref().and_then(|bridge| Some((bridge, view.agreed.devices.get(bridge)?)));
    if let Some((bridge, of_bridge)) = bridge {
        if !matches!(standing_alone(view, bridge, of_bridge, None), Standing::Heard { .. }) {
            return Standing::Held;
        }
        let away = view.care.facts.get(bridge).is_some_and(|known| known.online == Some(false));
        let own = standing_alone(view, id, agreed, Some(bridge));
        // It may be the bridge: that is known within its own time.
        return if away && matches!(own, Standing::Silent { .. }) { Standing::Held } else { own };
    }
    standing_alone(view, id, agreed, None)
}

fn standing_alone(view: View<'_>, id: &DeviceId, agreed: &agreed::Device, bridge: Option<&DeviceId>) -> Standing {
    let rule = &agreed.silence;
    let known = view.care.facts.get(id);
    let silences = &view.care.silence;
    let judged = |why, since: At, limit_ms: i64, upto| {
        let age_ms = view.now.age_ms(&since);
        match age_ms >= limit_ms {
            true => Standing::Silent { why, since, limit_ms, upto },
            false => Standing::Heard { next_ms: Some(limit_ms - age_ms) },
        }
    };
    let (online, heard) = known.map_or((None, None), |known| (known.online, known.heard));
    let line = silences.line(id);
    if let (Some(line), true) = (line, rule.flaps > 0)
        && rule.gone_ms.is_some()
        && line.run >= rule.flaps
        && !(line.online && view.now.age_ms(&line.at) >= STEADY_MS)
        && let Some(since) = line.since
    {
        return Standing::Silent { why: Why::Unsteady, since, limit_ms: 0, upto: since.record };
    }
    match (online, line, heard) {
        (Some(false), Some(line), _) if !line.online => {
            // The trouble is the whole run of goings; how long it has been silent counts from the last, or from what it said after.
            let upto = line.since.map_or(line.at.record, |since| since.record);
            let since = heard.filter(|heard| heard.record > line.at.record).unwrap_or(line.at);
            match rule.gone_ms {
                Some(limit_ms) => judged(Why::Gone, since, limit_ms, upto),
                // Nobody supervises it; that it is gone is known all the same.
                None => Standing::Silent { why: Why::Gone, since, limit_ms: i64::MAX, upto },
            }
        }
        // It has a connection, or had one when this process began to listen: then it has so long to come back.
        (Some(_), _, Some(heard)) => {
            match (silences.started_in(view.now.boot).filter(|_| heard.boot != view.now.boot), rule.gone_ms) {
                (Some(started), Some(limit_ms)) => judged(Why::Gone, started, limit_ms, heard.record),
                _ => Standing::Heard { next_ms: None },
            }
        }
        (_, _, Some(heard)) => match rule.quiet_ms {
            Some(limit_ms) => {
                let back = bridge.and_then(|bridge| silences.back(bridge));
                let since = [back, silences.listening_since(view.now)].into_iter().flatten();
                let since = since.fold(heard, |last, at| {
                    if view.now.signed_age_ms(&at) < view.now.signed_age_ms(&last) { at } else { last }
                });
                judged(Why::Quiet, since, limit_ms, heard.record)
            }
            None => Standing::Heard { next_ms: None },
        },
        (_, _, None) => match (rule.quiet_ms, listed(view, id)) {
            (Some(limit_ms), Some(at_ms)) => {
                // Of another boot than any: measured on the wall; but listed in a year that is still to come, from this start.
                let by_wall = At { wall_ms: at_ms, mono_ms: 0, boot: u32::MAX, record: 0 };
                let started = silences.started_in(view.now.boot).filter(|_| at_ms > view.now.wall_ms);
                judged(Why::Never, started.unwrap_or(by_wall), limit_ms, 0)
            }
            _ => Standing::Heard { next_ms: None },
        },
    }
}

/// When the device was first seen in the agreement, UTC milliseconds.
fn listed(view: View<'_>, id: &DeviceId) -> Option<i64> {
    view.care.settled.upto(&key(NAME, None, &format!("listed {id}")))
}

pub fn judge(view: View<'_>, id: &DeviceId, agreed: &agreed::Device, out: &mut Out) {
    if agreed.silence.gone_ms.is_none() && agreed.silence.quiet_ms.is_none() {
        return;
    }
    let never_heard = view.care.facts.get(id).is_none_or(|known| known.heard.is_none());
    if never_heard && listed(view, id).is_none() {
        list(view, id, out);
    }
    if let Standing::Silent { why, since, limit_ms, upto } = standing(view, id, agreed) {
        trouble(view, (id, agreed), (why, since, limit_ms, i64::try_from(upto).unwrap_or(i64::MAX)), out);
    }
    turns_in_ms(view, id).into_iter().for_each(|ms| out.look_in(ms));
    for alarm in view.alarms.of(id).filter(|alarm| alarm.raise.rule == NAME && !alarm.over) {
        // The next thing it says may be the end of it.
        out.eager = true;
        end(view, alarm, out);
    }
}

/// In a quiet home the record that this process listens: what was not heard was not said.
pub(super) fn listens(view: View<'_>, out: &mut Out) {
    let is_supervised = |agreed: &agreed::Device| agreed.silence.gone_ms.is_some() || agreed.silence.quiet_ms.is_some();
    if !view.agreed.devices.any(is_supervised) {
        return;
    }
    let Some(newest) = view.care.silence.newest() else { return out.look_in(LISTENING_MS) };
    if out.has_lasted(view, &newest, LISTENING_MS) {
        let said =
            ("Gatewayen lyssnar; inget har sagts.".to_owned(), "The gateway listens; nothing was said.".to_owned());
        let upto = i64::try_from(newest.record).unwrap_or(i64::MAX);
        let finding = Finding { cause: "listens".to_owned(), upto, said, ..Finding::default() };
        out.note(view, (NAME, VERSION), None, "listens", "", finding);
    }
}

/// Of a device that was never heard its time counts from here. Only by a clock that can be right.
fn list(view: View<'_>, id: &DeviceId, out: &mut Out) {
    if !view.now.sure {
        return out.look_in(UNSURE_LOOK_MS);
    }
    let said = (format!("{id} är med från nu."), format!("{id} is listed from now on."));
    let finding = Finding { cause: format!("listed {id}"), upto: view.now.wall_ms, said, ..Finding::default() };
    out.note(view, (NAME, VERSION), None, "listed", id.as_str(), finding);
}

/// The newest trouble of this kind whose alarm is open and not over.
fn open_trouble<'a>(view: View<'a>, resident: Option<&str>, cause: &str) -> Option<&'a Alarm> {
    let upto = view.care.settled.upto(&key(NAME, resident, cause))?;
    view.alarms.get_open(&alarm_of(NAME, resident, cause, upto)).filter(|alarm| !alarm.over)
}

fn trouble(
    view: View<'_>,
    (id, agreed): (&DeviceId, &agreed::Device),
    (why, since, limit_ms, upto): (Why, At, i64, i64),
    out: &mut Out,
) {
    if limit_ms == i64::MAX {
        return;
    }
    let rule = &agreed.silence;
    // Goings before a rest are another trouble's.
    let is_run = |line: &&Line| why == Why::Unsteady || (why == Why::Gone && !line.online);
    let run = view.care.silence.line(id).filter(is_run).map_or(0, |line| line.run);
    let heard = view.care.facts.get(id).and_then(|known| known.heard);
    let behind = view.agreed.devices.iter().filter(|(_, other)| other.silence.via.as_ref() == Some(id)).count();
    let evidence = match (why, heard) {
        (Why::Gone | Why::Unsteady, _) => seen_at(id, &since, "gone"),
        (_, Some(heard)) => seen_at(id, &heard, "last heard"),
        (_, None) => seen_at(id, &since, "listed, never heard"),
    };
    let silent_ms = match heard.filter(|_| why != Why::Unsteady) {
        Some(heard) if why == Why::Quiet => view.now.age_ms(&heard),
        _ => view.now.age_ms(&since),
    };
    let setting = match why {
        Why::Gone => ("silence.gone_min", limit_ms / 60_000),
        Why::Quiet | Why::Never => ("silence.quiet_h", limit_ms / 3_600_000),
        Why::Unsteady => ("silence.comes_and_goes", i64::from(rule.flaps)),
    };
    let agreed_as = vec![(setting.0.to_owned(), setting.1.to_string())];
    let cause = format!("silent {id}");
    let open = open_trouble(view, None, &cause);
    if let Some(alarm) = open {
        count(alarm, run, view, out);
    } else {
        let subject = Subject { rule: (NAME, VERSION), resident: None, device: id };
        let finding = Finding {
            cause,
            upto,
            said: words::silent(id, why == Why::Unsteady, why == Why::Never, run, silent_ms, behind),
            happened_at: None,
            seen: vec![evidence.clone()],
            agreed: agreed_as.clone(),
            prevented: Some(words::prevented(rule.via.is_some())),
            due_at: None,
        };
        out.raise(view, subject, Lane::Technical, MALFUNCTION, finding);
    }
    let visit_ms = limit_ms.saturating_add(rule.visit_after_ms);
    // A device that comes and goes has its visit counted from when it began to.
    if !out.has_lasted(view, &since, visit_ms) {
        return;
    }
    let resident = resident(view, agreed);
    let cause = format!("visit {id}");
    if open_trouble(view, resident, &cause).is_some() {
        return;
    }
    let subject = Subject { rule: (NAME, VERSION), resident, device: id };
    let mut agreed_as = agreed_as;
    agreed_as.push(("silence.visit_after_h".to_owned(), (rule.visit_after_ms / 3_600_000).to_string()));
    let finding = Finding {
        cause,
        upto,
        said: words::visit(id, why == Why::Unsteady, silent_ms, behind),
        happened_at: None,
        seen: vec![evidence],
        agreed: agreed_as,
        prevented: Some(words::prevented(rule.via.is_some())),
        due_at: Some(view.now.wall_ms.saturating_add(rule.visit_within_ms)),
    };
    out.raise(view, subject, Lane::Care, VISIT, finding);
}

fn resident<'a>(view: View<'a>, agreed: &agreed::Device) -> Option<&'a str> {
    Some(view.agreed.people.get(agreed.person?)?.id.as_str())
}

/// The alarm's count is how often the device has gone: shown, not told again.
fn count(alarm: &Alarm, run: u32, view: View<'_>, out: &mut Out) {
    for _ in alarm.count..run {
        out.decisions.push(Decision::Join(Join {
            alarm: alarm.id().clone(),
            what: JoinWhat::Again,
            restart: ASSIGNED_RESTART,
            seq: alarm.raise.seq,
            stc: MALFUNCTION,
            happened_at: view.now.wall_ms,
            delayed: false,
            notify: false,
            home: None,
            whereabouts: None,
            words: None,
        }));
    }
}

/// The device is heard, and steadily: its open alarms are over.
fn end(view: View<'_>, alarm: &Alarm, out: &mut Out) {
    let id = &alarm.raise.device;
    let Some(basis) = alarm.raise.basis.as_ref().filter(|_| view.agreed.devices.contains_key(id)) else { return };
    let line = view.care.silence.line(id);
    let heard = view.care.facts.get(id).and_then(|known| known.heard);
    if let Some(line) = line {
        // After a restart it has to be heard anew before it is believed.
        let waits =
            view.care.silence.started_in(view.now.boot).is_some() && heard.is_none_or(|at| at.boot != view.now.boot);
        if !line.online || waits || !out.has_lasted(view, &line.at, STEADY_MS) {
            return;
        }
    }
    // That nobody listened for a while excuses a silence, and ends none.
    let is_heard = heard.is_some_and(|at| i64::try_from(at.record).is_ok_and(|record| record > basis.upto));
    if !is_heard || !is_provable(view, id) {
        return;
    }
    let subject = Subject { rule: (NAME, VERSION), resident: basis.resident.as_deref(), device: id };
    let back_at = line.map(|line| line.at).or(heard).map_or(view.now.wall_ms, |at| at.wall_ms);
    let silent_at = basis.seen.first().map_or(alarm.raise.happened_at, |seen| seen.at);
    // As in `trouble`: the goings since it began, not those of another time.
    let began = |since: At| i64::try_from(since.record).is_ok_and(|record| record >= basis.upto);
    let run = line.filter(|line| line.since.is_some_and(began)).map_or(0, |line| line.run);
    let said = words::back(id, run, back_at.saturating_sub(silent_at));
    out.over(view, subject, (&alarm.raise.cause, basis.upto), RESTORAL, said);
}
