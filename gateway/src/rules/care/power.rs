//! Rule `power`: mains lost and back, batteries that run low.
//!
//! Enters: what devices say of mains and charge. Leaves: technical alarms, with the hours that are left where they can be
//! reckoned. Invariants: each loss of mains and each discharge of a battery is one alarm; that mains is back ends it and
//! closes nothing; hours left are reckoned only from a fall that was seen on battery, else said to be unknown. A device's own
//! "battery low", and tamper, are rule `trigger`'s.

mod charge;
#[cfg(test)]
mod tests;

use vaka_protocol::{DeviceId, Lane};

use super::facts;
use super::out::Finding;
use super::{Out, Subject, View, alarm_of, key, seen, seen_at};
use crate::journal::record::Decision;
use crate::rules::alarms::Alarm;
use crate::rules::words::lasting;
pub use charge::Powers;

pub const NAME: &str = "power";
pub const VERSION: u16 = 1;

/// Mains may be away for so long before anybody is told, in minutes: most losses are a fuse or a work of minutes, and the devices
/// have batteries. Longer: less of the battery's time is left to come. Source: our choice; alarm units in use are said to wait up to an hour.
pub const MAINS_DELAY_MIN: i64 = 10;
/// Below this charge a battery is told as one to be changed, in percent, also where the device itself does not say so.
pub const BATTERY_MIN_PERCENT: u8 = 10;
/// Charge below which a device without mains is about to go, in percent: told at once.
const LAST_PERCENT: u8 = 10;

/// SCAIP: power supply; power failure, power restored; battery low, battery OK.
const POWER_SUPPLY: u16 = 41;
const POWER_FAILURE: u16 = 85;
const POWER_RESTORED: u16 = 86;
const BATTERY_LOW: u16 = 16;
const BATTERY_OK: u16 = 15;

/// What is agreed of one device.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// 0: told at once.
    pub mains_delay_ms: i64,
    /// 0: only what the device itself calls low.
    pub battery_min_percent: u8,
}

impl Default for Policy {
    fn default() -> Self {
        Policy { mains_delay_ms: MAINS_DELAY_MIN * 60_000, battery_min_percent: BATTERY_MIN_PERCENT }
    }
}

pub fn judge(view: View<'_>, id: &DeviceId, policy: &Policy, out: &mut Out) {
    let Some(known) = view.care.facts.get(id) else { return };
    mains(view, (id, known), policy, out);
    battery(view, (id, known), policy, out);
}

fn open_alarm<'a>(view: View<'a>, cause: &str) -> Option<(&'a Alarm, i64)> {
    let upto = view.care.settled.upto(&key(NAME, None, cause))?;
    let alarm = view.alarms.get_open(&alarm_of(NAME, None, cause, upto))?;
    (!alarm.over).then_some((alarm, upto))
}

fn mains(view: View<'_>, (id, known): (&DeviceId, &facts::Device), policy: &Policy, out: &mut Out) {
    let Some(mains) = known.mains.as_deref().copied() else { return };
    let subject = Subject { rule: (NAME, VERSION), resident: None, device: id };
    let (lost, gasp) = (format!("mains {id}"), format!("last-gasp {id}"));
    if mains.on {
        for cause in [&lost, &gasp] {
            if let Some((_, upto)) = open_alarm(view, cause) {
                let lasted = view.care.power.outage_ms(id);
                out.over(view, subject, (cause, upto), POWER_RESTORED, back(id, lasted));
            }
        }
        return;
    }
    let charge = view.care.power.charge(id);
    let percent = known.battery.filter(|battery| battery.at.record >= mains.since.record).and_then(|b| b.percent);
    // What was said shortly before the loss counts too, until something is said on battery.
    let percent = percent.or(charge.and_then(|charge| charge.at_loss));
    let is_last = percent.is_some_and(|percent| percent < LAST_PERCENT);
    let upto = i64::try_from(mains.since.record).unwrap_or(i64::MAX);
    let is_told = |cause: &str| view.care.settled.has(&key(NAME, None, cause), upto);
    let left_ms = charge.and_then(|charge| charge.left_ms());
    let mut evidence = vec![seen(id, &mains, ("mains on", "mains off"))];
    if let Some(battery) = known.battery.filter(|battery| battery.percent.is_some()) {
        let percent = battery.percent.unwrap_or_default();
        evidence.push(seen_at(id, &battery.at, &format!("battery {percent} %")));
    }
    let agreed = vec![("power.mains_delay_min".to_owned(), (policy.mains_delay_ms / 60_000).to_string())];
    let for_ms = view.now.age_ms(&mains.since);
    let finding = |cause: String| Finding {
        cause,
        upto,
        said: lost_words(id, for_ms, percent, left_ms, is_last),
        happened_at: None,
        seen: evidence.clone(),
        agreed: agreed.clone(),
        prevented: Some((
            "Att strömmen hade kommit tillbaka inom den tiden.".to_owned(),
            "That mains power had come back within that time.".to_owned(),
        )),
        due_at: None,
    };
    if is_last {
        // It may not live to the end of the delay.
        raise(view, subject, finding(gasp), out);
    } else if !is_told(&gasp) && !is_told(&lost) && out.has_lasted(view, &mains.since, policy.mains_delay_ms) {
        raise(view, subject, finding(lost), out);
    }
}

/// As the table of codes has it: of the power supply, not of the device.
fn raise(view: View<'_>, subject: Subject<'_>, finding: Finding, out: &mut Out) {
    if out.raise(view, subject, Lane::Technical, POWER_FAILURE, finding)
        && let Some(Decision::Raise(raise)) = out.decisions.last_mut()
    {
        raise.dty = POWER_SUPPLY;
    }
}

fn lost_words(
    id: &DeviceId,
    for_ms: i64,
    percent: Option<u8>,
    left_ms: Option<i64>,
    is_last: bool,
) -> (String, String) {
    let (for_sv, for_en) = lasting(for_ms);
    let (mut sv, mut en) = match is_last {
        true => (
            format!("{id} slocknar snart: ingen ström och batteriet nästan slut."),
            format!("{id} is about to go dark: no mains power, battery nearly empty."),
        ),
        false => {
            (format!("{id} har ingen ström sedan {for_sv}."), format!("{id} is without mains power for {for_en}."))
        }
    };
    if let Some(percent) = percent {
        sv += &format!(" Batteriet har {percent} procent kvar.");
        en += &format!(" The battery has {percent} percent left.");
    }
    match left_ms.map(|ms| lasting(ms - ms % 60_000)) {
        Some((left_sv, left_en)) => {
            sv += &format!(" Det räcker ungefär {left_sv}.");
            en += &format!(" That lasts about {left_en}.");
        }
        None => {
            sv += " Hur länge batteriet räcker är okänt.";
            en += " How long the battery lasts is not known.";
        }
    }
    (sv, en)
}

fn back(id: &DeviceId, outage_ms: Option<i64>) -> (String, String) {
    match outage_ms.map(lasting) {
        Some((sv, en)) => (format!("{id} har ström igen, efter {sv}."), format!("{id} has power again, after {en}.")),
        None => (format!("{id} har ström igen."), format!("{id} has power again.")),
    }
}

fn battery(view: View<'_>, (id, known): (&DeviceId, &facts::Device), policy: &Policy, out: &mut Out) {
    let Some(charge) = view.care.power.charge(id) else { return };
    let Some((battery, percent)) = known.battery.and_then(|battery| Some((battery, battery.percent?))) else { return };
    let cause = format!("charge {id}");
    let subject = Subject { rule: (NAME, VERSION), resident: None, device: id };
    if percent >= policy.battery_min_percent {
        // A new or charged battery: what recovers by a few percent is the same discharge.
        if let Some((alarm, upto)) = open_alarm(view, &cause) {
            if upto < i64::try_from(charge.since.record).unwrap_or(i64::MAX) {
                let said = (
                    format!("{id}: batteriet är bra igen, {percent} procent."),
                    format!("{id}: the battery is good again, {percent} percent."),
                );
                out.over(view, subject, (&alarm.raise.cause, upto), BATTERY_OK, said);
            } else {
                out.eager = true;
            }
        }
        return;
    }
    if open_alarm(view, &cause).is_some() {
        // Its end is in what it says next. Until then a rebound that still is low is the same battery.
        out.eager = true;
        return;
    }
    // What the device calls low itself is told already.
    if battery.low {
        return;
    }
    let finding = Finding {
        cause,
        upto: i64::try_from(charge.since.record).unwrap_or(i64::MAX),
        said: (
            format!("{id}: batteriet är snart slut, {percent} procent kvar. Byt det."),
            format!("{id}: the battery is nearly empty, {percent} percent left. Change it."),
        ),
        happened_at: None,
        seen: vec![seen_at(id, &battery.at, &format!("battery {percent} %"))],
        agreed: vec![("power.battery_min_percent".to_owned(), policy.battery_min_percent.to_string())],
        prevented: Some(("Ett nytt batteri innan dess.".to_owned(), "A new battery before that.".to_owned())),
        due_at: None,
    };
    out.raise(view, subject, Lane::Technical, BATTERY_LOW, finding);
}
