//! Which device takes its firmware next. Pure: what is offered, how the devices stand and what goes on come in as arguments.
//!
//! Enters: the home at one moment. Leaves: for each device whether it may, or what is waited for; and the one that is next. Invariants:
//! one device at a time in a home; never a person's only way to call while nobody is with them; after one that came to nothing no other
//! begins before a person has looked, or the publisher has a newer version; nobody's word goes above an open life alarm.

use vaka_protocol::DeviceId;
use vaka_update::Version;
use vaka_update::devices::{Image, NoImage};
use vaka_update::policy::Wait;

use super::state::Attempt;
use crate::config::DeviceKind;
use crate::limits::FIRMWARE_BATTERY_MIN_PERCENT;

/// The home at one moment.
#[derive(Debug, Clone)]
pub struct View<'a> {
    /// In the order of their ids.
    pub devices: Vec<Device<'a>>,
    /// Who has stopped it.
    pub stopped: Option<&'a str>,
    /// What goes on that is in the way of it, and what of that also a person's word does not move.
    pub quiet: Result<(), Wait>,
    pub quiet_by_hand: Result<(), Wait>,
    /// A device that is nobody's is everybody's: so in a home, not in a service house.
    pub is_shared: bool,
}

/// A device of the config, and what is known of it.
#[derive(Debug, Clone)]
pub struct Device<'a> {
    pub id: &'a DeviceId,
    pub kind: DeviceKind,
    pub resident: Option<&'a str>,
    /// As it said at its last start.
    pub version: Option<&'a str>,
    /// It is within what `[silence]` allows, and can be believed to be awake.
    pub is_alive: bool,
    /// A bridge speaks for it: what stands behind is not ours to update.
    pub is_behind: bool,
    /// Its battery, in percent. Absent: it never said.
    pub battery_percent: Option<u8>,
    /// It says itself that its battery is low.
    pub is_low: bool,
    /// A person says that somebody is with its resident now.
    pub has_someone: bool,
    /// A person wants it now.
    pub is_wanted: bool,
    /// A care alarm of its resident's is open.
    pub has_care_alarm: bool,
    pub attempt: Option<&'a Attempt>,
    pub offered: Result<Offered<'a>, NoImage>,
}

/// What there is for a device.
#[derive(Debug, Clone)]
pub struct Offered<'a> {
    pub image: &'a Image,
    /// Its time and its share.
    pub has_come: Result<(), Wait>,
    /// The gateway has all its bytes.
    pub is_here: bool,
}

/// What a device waits for, or why there is nothing to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    #[error("it has the newest")]
    Current,
    #[error(transparent)]
    NoImage(#[from] NoImage),
    #[error("it stands behind a bridge, which updates it itself")]
    Behind,
    #[error("it is being updated")]
    UnderWay,
    #[error("{0} is being updated; one at a time")]
    OneAtATime(DeviceId),
    #[error("it has never said which version runs in it; restart it")]
    NoVersion,
    #[error("its version `{0}` is not three numbers, so nobody knows which is newer")]
    OddVersion(String),
    #[error("version {version} came to nothing here ({why}); try again: vaka device update take {device}")]
    Failed { device: DeviceId, version: String, why: String },
    #[error("{device} came to nothing ({why}); look at it, then: vaka device update resume")]
    Halted { device: DeviceId, why: String },
    #[error("{0} has stopped all updates of devices; go on with: vaka device update resume")]
    Stopped(String),
    #[error("{0}")]
    Wait(#[from] Wait),
    #[error("its image is not here yet")]
    NotHere,
    #[error("it is not heard within its time")]
    NotAlive,
    #[error("its battery is low")]
    Battery,
    #[error("a care alarm of its resident is open")]
    Care,
    #[error("[firmware] is not in vaka.toml any more")]
    Off,
    #[error(
        "it is the only alarm of {0} that works; while somebody is with them: vaka device update take {1} --someone-is-there"
    )]
    OnlyOne(String, DeviceId),
}

impl Why {
    /// There is newer firmware for it, and it has not got it.
    pub fn is_waiting(&self) -> bool {
        !matches!(self, Why::Current | Why::NoImage(_) | Why::Behind | Why::Failed { .. })
    }
}

/// How a person calls, or is called for: another of the same takes a device's place while it restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guard {
    /// They call themselves: any of these will do.
    Call,
    /// It notices by itself: only another of its kind does.
    Notice(DeviceKind),
}

fn guard(kind: DeviceKind) -> Option<Guard> {
    use DeviceKind as K;
    match kind {
        K::Pendant | K::FixedTrigger | K::GpsAlarm | K::FallDetector => Some(Guard::Call),
        K::SmokeDetector | K::GasDetector | K::CoDetector | K::HeatDetector | K::SeizureSensor => {
            Some(Guard::Notice(kind))
        }
        _ => None,
    }
}

/// The device and the image that are next. `None`: nothing may begin.
pub fn next<'a>(view: &View<'a>) -> Option<(&'a DeviceId, &'a Image)> {
    view.devices.iter().find_map(|device| Some((device.id, judge(view, device).ok()?)))
}

/// The image that the device may take now.
///
/// # Errors
/// [`Why`] not.
pub fn judge<'a>(view: &View<'a>, device: &Device<'a>) -> Result<&'a Image, Why> {
    if device.is_behind {
        return Err(Why::Behind);
    }
    if device.attempt.is_some_and(|attempt| attempt.stage.is_under_way()) {
        return Err(Why::UnderWay);
    }
    let offered = device.offered.clone()?;
    let said = device.version.filter(|said| !said.is_empty()).ok_or(Why::NoVersion)?;
    let runs: Version = said.parse().map_err(|_| Why::OddVersion(said.to_owned()))?;
    if offered.image.version <= runs {
        return Err(Why::Current);
    }
    let version = offered.image.version.to_string();
    let failed = device.attempt.filter(|attempt| attempt.version == version && attempt.stage.has_failed());
    if let Some(attempt) = failed.filter(|_| !device.is_wanted) {
        let (device, why) = (device.id.clone(), attempt.why.clone());
        return Err(Why::Failed { device, version, why });
    }
    may_begin(view, device)?;
    if !device.is_wanted {
        offered.has_come?;
        view.quiet.clone()?;
    }
    if !offered.is_here {
        return Err(Why::NotHere);
    }
    may_be_apart(view, device)?;
    Ok(offered.image)
}

/// Nothing in the home is in the way of any device.
fn may_begin(view: &View<'_>, device: &Device<'_>) -> Result<(), Why> {
    if let Some(who) = view.stopped {
        return Err(Why::Stopped(who.to_owned()));
    }
    let under_way = |other: &&Device<'_>| other.attempt.is_some_and(|attempt| attempt.stage.is_under_way());
    if let Some(other) = view.devices.iter().find(under_way) {
        return Err(Why::OneAtATime(other.id.clone()));
    }
    let halts = |other: &&Device<'_>| other.attempt.is_some_and(|attempt| is_halting(other, attempt));
    if let Some(other) = view.devices.iter().find(halts).filter(|_| !device.is_wanted) {
        let why = other.attempt.map(|attempt| attempt.why.clone()).unwrap_or_default();
        return Err(Why::Halted { device: other.id.clone(), why });
    }
    view.quiet_by_hand.clone()?;
    Ok(())
}

/// It came to nothing, nobody has looked, and there is no newer version that may do better.
pub fn is_halting(device: &Device<'_>, attempt: &Attempt) -> bool {
    let tried: Option<Version> = attempt.version.parse().ok();
    let newest = device.offered.as_ref().ok().map(|offered| offered.image.version);
    attempt.stage.has_failed() && !attempt.looked && newest.is_none_or(|newest| Some(newest) <= tried)
}

/// The device that is being updated may have bytes, or restart. Asked again and again while it fetches, for a home does not stand still.
///
/// # Errors
/// [`Why`] not now.
pub fn may_go_on(view: &View<'_>, device: &Device<'_>) -> Result<(), Why> {
    if let Some(who) = view.stopped {
        return Err(Why::Stopped(who.to_owned()));
    }
    let by_hand = device.attempt.is_some_and(|attempt| attempt.by_hand);
    if by_hand { &view.quiet_by_hand } else { &view.quiet }.clone()?;
    // It asks, so it lives, whether or not it is connected besides.
    may_be_apart(view, &Device { is_alive: true, ..device.clone() })
}

/// The device can restart without anybody being the worse for it.
///
/// # Errors
/// [`Why`] not.
pub fn may_be_apart(view: &View<'_>, device: &Device<'_>) -> Result<(), Why> {
    if !device.is_alive {
        return Err(Why::NotAlive);
    }
    if !has_charge(device) {
        return Err(Why::Battery);
    }
    if device.has_care_alarm {
        return Err(Why::Care);
    }
    let Some(guard) = guard(device.kind).filter(|_| !device.has_someone) else { return Ok(()) };
    let stands_in = |other: &&Device<'_>| {
        let same_person = other.resident == device.resident || view.is_shared && other.resident.is_none();
        let fits = self::guard(other.kind) == Some(guard);
        other.id != device.id && same_person && fits && other.is_alive && has_charge(other)
    };
    match view.devices.iter().find(stands_in) {
        Some(_) => Ok(()),
        None => Err(Why::OnlyOne(device.resident.unwrap_or("whoever lives here").to_owned(), device.id.clone())),
    }
}

fn has_charge(device: &Device<'_>) -> bool {
    !device.is_low && device.battery_percent.is_none_or(|percent| percent >= FIRMWARE_BATTERY_MIN_PERCENT)
}

#[cfg(test)]
#[path = "choose_tests.rs"]
mod tests;
