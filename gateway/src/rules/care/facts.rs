//! What the sensors have said last: facts that do not depend on what is agreed, so that a new agreement holds at once.
//!
//! Enters: events, as they happened and were recorded; that a device came or went. Leaves: for each device its newest word.
//! Invariant: old news (an event that happened before what is known, and whose number is lower) changes no state; it still shows
//! that the device is heard. A device's numbers say more than its clock: what has a higher number is news, whatever the clock says.

use crate::rules::gone::Gone;
use serde::{Deserialize, Serialize};
use vaka_protocol::{DeviceId, Event, Lane};

use super::Sight;
use super::clocks::{Clock, Stamp};
use super::moment::{At, Moment};
use crate::limits::{ASSIGNED_RESTART, CATCH_UP_MS_MAX, CATCH_UP_QUIET_MS, FACTS_DEVICES_MAX};
use crate::rules::lookup::Lookup;

/// Something that is one way or the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    pub on: bool,
    /// Since when it is so: the first word of it.
    pub since: At,
    /// The newest word of it.
    pub said: At,
    /// When it was the other way last. Absent: never known.
    #[serde(default)]
    pub other: Option<At>,
}

/// What a word of a device's is to what it said before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// It says again how a bed, seat, mat or door is: that it was heard is all the news.
    Again,
    /// Nobody knows that a bed, seat, mat or door was ever otherwise. With its first word what its device was known for before, a button or a
    /// look-in declined, is no sign of life any more.
    First,
    /// Whatever else.
    Other,
}

/// A device's charge, as it said last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Battery {
    pub percent: Option<u8>,
    pub low: bool,
    pub at: At,
}

/// Telemetry that was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Since nothing of it is taken.
    pub since: At,
    pub last: At,
    /// Something was taken after it.
    is_over: bool,
}

/// One device's newest words. What few devices say is boxed: a hub keeps this for each of its homes.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// The newest record of it, its coming and going included: when it was recorded.
    #[serde(default)]
    pub heard: Option<At>,
    /// It has a connection. Absent: it never had one, as a device behind a bridge.
    #[serde(default)]
    pub online: Option<bool>,
    /// When it connected last.
    #[serde(default)]
    pub came: Option<At>,
    /// When its connection ended last.
    #[serde(default)]
    pub gone: Option<At>,
    #[serde(default)]
    pub bed: Option<Box<Switch>>,
    #[serde(default)]
    pub chair: Option<Box<Switch>>,
    #[serde(default)]
    pub mat: Option<Box<Switch>>,
    /// On: open.
    #[serde(default)]
    pub door: Option<Box<Switch>>,
    #[serde(default)]
    pub mains: Option<Box<Switch>>,
    #[serde(default)]
    pub privacy: Option<Box<Switch>>,
    /// On: locked.
    #[serde(default)]
    pub lock: Option<Box<Switch>>,
    /// On: open.
    #[serde(default)]
    pub cabinet: Option<Box<Switch>>,
    #[serde(default)]
    pub battery: Option<Battery>,
    #[serde(default)]
    pub motion: Option<At>,
    /// The newest event that a person was behind, of whatever kind.
    #[serde(default)]
    pub activity: Option<At>,
    /// A member of staff held a tag to it.
    #[serde(default)]
    pub staff: Option<At>,
    /// Telemetry of it was refused: it said something that nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
    /// The highest (restart, seq) of its own numbers.
    #[serde(default)]
    number: (u32, u64),
    #[serde(default, skip_serializing_if = "Clock::is_unknown")]
    clock: Clock,
    /// It sends what had waited: since when, and the newest of it, as recorded.
    #[serde(default)]
    catching_up: Option<(At, At)>,
}

/// Every device's newest words.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Facts(Lookup<DeviceId, Box<Device>>);

impl Facts {
    /// Of their devices only that they are there, and how they are themselves, stays.
    pub fn forget(&mut self, gone: &Gone<'_>) {
        let theirs: Vec<DeviceId> = self.0.iter().map(|(id, _)| id.clone()).filter(|id| (gone.is_theirs)(id)).collect();
        for id in theirs {
            if let Some(known) = self.0.get_mut(&id) {
                let Device { bed, chair, mat, door, privacy, lock, cabinet, .. } = &mut **known;
                for switch in [bed, chair, mat, door, privacy, lock, cabinet] {
                    *switch = None;
                }
                (known.motion, known.activity, known.staff) = (None, None, None);
            }
        }
    }

    pub fn get(&self, device: &DeviceId) -> Option<&Device> {
        self.0.get(device).map(|known| &**known)
    }

    /// Every device that was heard, listed or not, by id.
    pub fn iter(&self) -> impl Iterator<Item = (&DeviceId, &Device)> {
        self.0.iter().map(|(id, known)| (id, &**known))
    }

    /// Leaves: how the bed or the door that it speaks of stands now. None: it speaks of neither.
    pub fn see(&mut self, sight: &Sight<'_>) -> Option<Switch> {
        self.with(sight.device, |device| {
            device.see(sight);
            let switch = match sight.event {
                Event::Bed { .. } => &device.bed,
                Event::Door { .. } => &device.door,
                _ => return None,
            };
            switch.as_deref().copied()
        })?
    }

    /// What this event, the newest that was folded in, is to its device.
    pub fn word(&self, device: &DeviceId, event: &Event) -> Word {
        let switch = |known: &'_ Device| match event {
            Event::Bed { .. } => known.bed.as_deref().copied(),
            Event::Chair { .. } => known.chair.as_deref().copied(),
            Event::Mat { .. } => known.mat.as_deref().copied(),
            Event::Door { .. } => known.door.as_deref().copied(),
            _ => None,
        };
        let is_switch =
            matches!(event, Event::Bed { .. } | Event::Chair { .. } | Event::Mat { .. } | Event::Door { .. });
        let known = self.get(device).filter(|_| is_switch);
        let Some((switch, heard)) = known.and_then(|known| switch(known).zip(known.heard)) else { return Word::Other };
        let is_again = switch.said.record == heard.record && switch.since.record != heard.record;
        match switch.other {
            _ if is_again => Word::Again,
            None => Word::First,
            Some(_) => Word::Other,
        }
    }

    /// None: there are too many to remember another.
    fn with<T>(&mut self, id: &DeviceId, change: impl FnOnce(&mut Device) -> T) -> Option<T> {
        // Nearly always it is there: found once, and its name need not be made.
        if let Some(known) = self.0.get_mut(id) {
            return Some(change(known));
        }
        (self.0.len() < FACTS_DEVICES_MAX).then(|| {
            let mut device = Box::<Device>::default();
            let changed = change(&mut device);
            self.0.insert(id.clone(), device);
            changed
        })
    }

    /// What an event says of its device's clock: so far is that behind, in milliseconds.
    pub fn tell_time(&mut self, device: &DeviceId, stamp: &Stamp, recorded: At) -> i64 {
        let behind_ms = self.with(device, |known| {
            let came = known.came.filter(|_| known.online == Some(true));
            let catching_up = known.catching_up.filter(|(_, last)| Device::goes_on(last, &recorded));
            known.clock.tell(stamp, recorded, came, catching_up.map(|(since, _)| since));
            known.clock.behind_ms()
        });
        behind_ms.unwrap_or(0)
    }

    /// So far is this device's clock known to be behind, in milliseconds.
    pub fn behind_ms(&self, device: &DeviceId) -> i64 {
        self.0.get(device).map_or(0, |known| known.clock.behind_ms())
    }

    /// Something was heard by way of this device: it is awake itself.
    pub fn heard(&mut self, device: &DeviceId, recorded: At) {
        let known = self.0.or_default(device);
        known.hear(recorded);
        known.is_taken();
    }

    /// Telemetry of this device was refused. Of one that was never heard nothing is known that could have changed.
    pub fn refused(&mut self, device: &DeviceId, recorded: At) {
        if let Some(known) = self.0.get_mut(device) {
            let since = known.refused.filter(|refused| !refused.is_over).map_or(recorded, |refused| refused.since);
            known.refused = Some(Refused { since, last: recorded, is_over: false });
        }
    }

    /// The device came (`online`) or went.
    pub fn alive(&mut self, device: &DeviceId, online: bool, recorded: At) {
        let known = self.0.or_default(device);
        if !online && known.online != Some(false) {
            known.gone = Some(recorded);
        }
        known.online = Some(online);
        // That its connection ended is no sign of life.
        if online {
            known.heard = Some(recorded);
            known.came = Some(recorded);
        }
    }
}

impl Device {
    fn hear(&mut self, recorded: At) {
        self.heard = Some(recorded);
        // What speaks has a connection, whether it said so or not.
        if self.online == Some(false) {
            self.online = Some(true);
            self.came = Some(recorded);
        }
    }

    /// Telemetry is taken again.
    fn is_taken(&mut self) {
        if let Some(refused) = &mut self.refused {
            refused.is_over = true;
        }
    }

    fn see(&mut self, sight: &Sight<'_>) {
        self.hear(sight.recorded);
        if sight.event.lane() == Lane::Telemetry {
            self.is_taken();
        }
        self.catching_up = match (sight.delayed, self.catching_up) {
            (true, Some((since, last))) if Self::goes_on(&last, &sight.recorded) => Some((since, sight.recorded)),
            (true, _) => Some((sight.recorded, sight.recorded)),
            (false, known) => known,
        };
        let number = (sight.restart, sight.seq);
        // Numbers that the gateway assigned say only in which order events came, as the records do.
        let is_news = sight.restart == ASSIGNED_RESTART || number > self.number;
        if is_news && sight.restart != ASSIGNED_RESTART {
            self.number = number;
        }
        let news = News { at: sight.at, recorded: sight.recorded, is_news };
        // Many sensors say again what they said, every hour or with their charge: only a change has a person behind it.
        let mut is_change = true;
        match sight.event {
            Event::Bed { occupied } => is_change = news.turn(&mut self.bed, *occupied),
            Event::Chair { occupied } => is_change = news.turn(&mut self.chair, *occupied),
            Event::Mat { pressed } => is_change = news.turn(&mut self.mat, *pressed),
            Event::Door { open } => is_change = news.turn(&mut self.door, *open),
            Event::Mains { on } => is_change = news.turn(&mut self.mains, *on),
            Event::Privacy { on } => is_change = news.turn(&mut self.privacy, *on),
            Event::Lock { locked, .. } => is_change = news.turn(&mut self.lock, *locked),
            Event::Cabinet { open, .. } => is_change = news.turn(&mut self.cabinet, *open),
            Event::Battery { percent, low } => {
                if let Some(at) = news.after(self.battery.map(|known| known.at)) {
                    self.battery = Some(Battery { percent: *percent, low: *low, at });
                }
            }
            Event::Motion {} => news.newer(&mut self.motion),
            Event::Staff { .. } => news.newer(&mut self.staff),
            _ => {}
        }
        if is_change && is_activity(sight.event) {
            news.newer(&mut self.activity);
        }
    }

    fn goes_on(last: &At, recorded: &At) -> bool {
        last.boot == recorded.boot && recorded.mono_ms - last.mono_ms < CATCH_UP_QUIET_MS
    }

    /// Judging waits so long for what this device still has to say, in milliseconds: it is sending what had waited, and what it
    /// says next may be the end of what it said before.
    pub fn waits_ms(&self, now: Moment) -> i64 {
        let Some((since, last)) = self.catching_up else { return 0 };
        let quiet_in_ms = CATCH_UP_QUIET_MS - now.age_ms(&last);
        let at_most_ms = CATCH_UP_MS_MAX - now.age_ms(&since);
        quiet_in_ms.min(at_most_ms).max(0)
    }
}

/// A person was behind it.
pub fn is_activity(event: &Event) -> bool {
    matches!(
        event,
        Event::Button { .. }
            | Event::Cancel {}
            | Event::Bed { .. }
            | Event::Chair { .. }
            | Event::Mat { .. }
            | Event::Door { .. }
            | Event::Motion {}
            | Event::Lock { .. }
            | Event::Cabinet { .. }
            | Event::Privacy { .. }
            | Event::Decline { .. }
            | Event::Dose { outcome: vaka_protocol::DoseOutcome::Taken, .. }
    )
}

/// An event against what is known.
struct News {
    at: At,
    recorded: At,
    /// It comes after everything its device has said.
    is_news: bool,
}

impl News {
    /// When it happened, if it did after what is `known`; `None`: old news.
    fn after(&self, known: Option<At>) -> Option<At> {
        match known {
            Some(known) if self.at.is_before(&known) && !self.is_news => None,
            // Said after it and stamped before it: the device's clock was set back, and is not believed.
            Some(known) if self.at.is_before(&known) => Some(self.recorded),
            _ => Some(self.at),
        }
    }

    /// True where it is the other way now, or was not known before.
    fn turn(&self, switch: &mut Option<Box<Switch>>, on: bool) -> bool {
        let Some(at) = self.after(switch.as_ref().map(|known| known.said)) else { return false };
        match switch {
            Some(known) if known.on == on => {
                known.said = at;
                return false;
            }
            Some(known) => **known = Switch { on, since: at, said: at, other: Some(known.said) },
            None => *switch = Some(Box::new(Switch { on, since: at, said: at, other: None })),
        }
        true
    }

    fn newer(&self, known: &mut Option<At>) {
        if let Some(at) = self.after(*known) {
            *known = Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    /// The bed's events: (number, occupied, happened and recorded in minutes of one boot).
    fn bed(events: &[((u32, u64), bool, i64, i64)]) -> Switch {
        let device: DeviceId = "bed-1".try_into().unwrap();
        let mut facts = Facts::default();
        for (record, ((restart, seq), occupied, happened, recorded)) in events.iter().enumerate() {
            let at = |minutes: i64| At {
                wall_ms: 1_800_000_000_000 + minutes * MINUTE,
                mono_ms: minutes * MINUTE,
                boot: 1,
                record: record as u64,
            };
            let recorded = at(*recorded);
            let event = Event::Bed { occupied: *occupied };
            facts.see(&Sight {
                device: &device,
                restart: *restart,
                seq: *seq,
                event: &event,
                at: At { record: recorded.record, ..at(*happened) },
                recorded,
                delayed: happened != &recorded.mono_ms,
                suspect: false,
            });
        }
        facts.get(&device).and_then(|device| device.bed.as_deref().copied()).unwrap()
    }

    #[test]
    fn a_lower_number_that_happened_before_is_old_news() {
        let left_then_late = bed(&[((1, 1), true, 0, 0), ((1, 3), false, 30, 30), ((1, 2), true, 20, 31)]);
        assert!(!left_then_late.on && left_then_late.since.mono_ms == 30 * MINUTE);
    }

    #[test]
    fn a_higher_number_is_news_whatever_the_devices_clock_says() {
        let set_back = bed(&[((1, 1), true, 60, 60), ((1, 2), false, 5, 70)]);
        assert!(!set_back.on, "the bed is empty though the stamp is older");
        assert_eq!(set_back.since.mono_ms, 70 * MINUTE, "and since it was said, not for an hour");
    }

    #[test]
    fn a_device_that_lost_its_numbers_is_believed_from_its_first_word() {
        let forgot = bed(&[((7, 900), true, 60, 60), ((0, 0), false, 70, 70)]);
        assert!(!forgot.on && forgot.since.mono_ms == 70 * MINUTE);
    }

    #[test]
    fn without_numbers_the_order_of_arrival_counts() {
        let set_back = bed(&[((ASSIGNED_RESTART, 1), true, 60, 60), ((ASSIGNED_RESTART, 2), false, 5, 70)]);
        assert!(!set_back.on && set_back.since.mono_ms == 70 * MINUTE);
    }

    #[test]
    fn only_a_change_has_a_person_behind_it() {
        let device: DeviceId = "door-1".try_into().unwrap();
        let mut facts = Facts::default();
        for (minutes, open) in [(0, true), (10, false), (20, false), (30, false)] {
            let at = At { wall_ms: minutes * MINUTE, mono_ms: minutes * MINUTE, boot: 1, record: 1 };
            let (restart, seq) = (ASSIGNED_RESTART, 1);
            let event = &Event::Door { open };
            let (recorded, delayed, suspect) = (at, false, false);
            facts.see(&Sight { device: &device, restart, seq, event, at, recorded, delayed, suspect });
        }
        let door = facts.get(&device).unwrap();
        assert_eq!(door.activity.map(|at| at.mono_ms), Some(10 * MINUTE));
        assert_eq!(door.heard.map(|at| at.mono_ms), Some(30 * MINUTE));
    }

    #[test]
    fn the_same_word_again_keeps_since() {
        let again = bed(&[((1, 1), true, 0, 0), ((1, 2), false, 10, 10), ((1, 3), false, 15, 15)]);
        assert_eq!((again.since.mono_ms, again.said.mono_ms), (10 * MINUTE, 15 * MINUTE));
        assert_eq!(again.other.map(|at| at.mono_ms), Some(0));
    }
}
