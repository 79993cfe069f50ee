//! Look-ins by camera of the homes, as each tells its hub: the least that somebody there needs to look.
//!
//! Enters: a home's event `round`. Leaves: what is known of each look-in. Invariants: the newest word on a look-in holds, by the home's own
//! clock; what a home that tells all anew tells no more is gone; bounded per home. Absent: whether somebody may look, which the home alone knows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vaka_protocol::{AlarmId, DeviceId, Event};

use crate::limits::{HOME_LOOKS_MAX, LOOKS_TOLD_BACK_MS};

/// It is agreed no longer.
const GONE: &str = "gone";

/// As the state of no look-in: the home tells all of them anew.
pub const ROUND_ANEW: &str = "anew";

/// One look-in of a home.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HomeLook {
    /// Whose: an id, never a name.
    pub resident: String,
    /// The home's alarm that opens the camera, by the home's own id. Absent: it is planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<AlarmId>,
    /// Local time at which it begins: its name. Empty for an alarm.
    pub slot: String,
    /// UTC milliseconds. 0 for an alarm.
    pub at_ms: i64,
    /// UTC milliseconds.
    pub latest_ms: i64,
    /// How far it is: as in the event `round`.
    pub state: String,
    /// How long one look lasts, seconds.
    pub look_s: u16,
    pub may_see_clearly: bool,
    /// When the home said so, UTC milliseconds.
    pub said_at: i64,
}

/// By home.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct HomeLooks(BTreeMap<DeviceId, Vec<HomeLook>>);

impl HomeLooks {
    /// `said_at`, by the home's clock where that is believed, `now_ms`: UTC milliseconds. True: something is new.
    pub fn see(&mut self, home: &DeviceId, event: &Event, said_at: Option<i64>, now_ms: i64) -> bool {
        let Event::Round { slot, resident, due_at, from_at, state, look_s, may_see_clearly, alarm, .. } = event else {
            return false;
        };
        if resident.is_none() && state.as_ref().is_some_and(|state| state.as_str() == ROUND_ANEW) {
            return self.begin_anew(home, said_at);
        }
        let said_at = said_at.unwrap_or(now_ms);
        let begins = if alarm.is_some() { Some(0) } else { *from_at };
        let (Some(resident), Some(latest_ms), Some(at_ms), Some(state)) = (resident, due_at, begins, state) else {
            return false;
        };
        let told = HomeLook {
            resident: resident.as_str().to_owned(),
            alarm: alarm.clone(),
            slot: slot.as_str().to_owned(),
            at_ms,
            latest_ms: *latest_ms,
            state: state.as_str().to_owned(),
            look_s: look_s.unwrap_or(0),
            may_see_clearly: *may_see_clearly,
            said_at,
        };
        let of_home = self.0.entry(home.clone()).or_default();
        of_home.retain(|known| known.latest_ms.saturating_add(LOOKS_TOLD_BACK_MS) > now_ms);
        let is_it = |known: &&mut HomeLook| {
            (&known.resident, &known.alarm, known.at_ms) == (&told.resident, &told.alarm, told.at_ms)
        };
        match of_home.iter_mut().find(is_it) {
            // One that was late says nothing about now.
            Some(known) if known.said_at > told.said_at => return false,
            Some(known) => *known = told,
            None => of_home.push(told),
        }
        of_home.retain(|known| known.state != GONE);
        of_home.sort_by(|a, b| (a.latest_ms, &a.resident).cmp(&(b.latest_ms, &b.resident)));
        // What lies farthest ahead can wait to be told; what is open now cannot.
        of_home.truncate(HOME_LOOKS_MAX);
        true
    }

    /// What is told anew may overtake this: it was said at the same moment, and stays. By a clock that is not believed nothing is dropped.
    fn begin_anew(&mut self, home: &DeviceId, said_at: Option<i64>) -> bool {
        let (Some(of_home), Some(said_at)) = (self.0.get_mut(home), said_at) else { return false };
        let known = of_home.len();
        of_home.retain(|look| look.said_at >= said_at);
        of_home.len() < known
    }

    pub fn get(&self, home: &DeviceId, resident: &str, at_ms: i64) -> Option<&HomeLook> {
        let planned = |known: &&HomeLook| known.alarm.is_none() && known.at_ms == at_ms;
        self.0.get(home)?.iter().filter(planned).find(|known| known.resident == resident)
    }

    /// What this alarm of the home's opens, by the home's own id.
    pub fn of_alarm(&self, home: &DeviceId, alarm: &AlarmId) -> Option<&HomeLook> {
        self.0.get(home)?.iter().find(|known| known.alarm.as_ref() == Some(alarm))
    }

    /// All that is known, but for what alarms open.
    pub fn planned(&self) -> impl Iterator<Item = (&DeviceId, &HomeLook)> {
        self.0
            .iter()
            .flat_map(|(home, looks)| looks.iter().map(move |look| (home, look)))
            .filter(|(_, look)| look.alarm.is_none())
    }
}

#[cfg(test)]
mod tests {
    use vaka_protocol::Lane;

    use super::*;

    fn round(resident: &str, from_at: i64, state: &str) -> Event {
        Event::Round {
            lane: Lane::Telemetry,
            slot: "02:00".into(),
            resident: Some(resident.into()),
            due_at: Some(from_at + 1_000),
            done: false,
            text: Default::default(),
            from_at: Some(from_at),
            state: Some(state.into()),
            look_s: Some(30),
            may_see_clearly: false,
            alarm: None,
        }
    }

    #[test]
    fn what_an_alarm_opens_is_known_by_the_alarm_and_is_on_no_round() {
        let (mut looks, home) = (HomeLooks::default(), DeviceId::try_from("gw-0007").unwrap());
        let opens = |id: &str, state: &str| {
            let Event::Round { lane, slot, resident, done, text, look_s, .. } = round("r1", 0, state) else { panic!() };
            let (due_at, state, alarm) = (Some(9_000), Some(state.into()), Some(AlarmId::try_from(id).unwrap()));
            Event::Round {
                lane,
                slot,
                resident,
                due_at,
                done,
                text,
                from_at: None,
                state,
                look_s,
                may_see_clearly: false,
                alarm,
            }
        };
        assert!(looks.see(&home, &opens("a1", "open"), Some(100), 100));
        assert!(looks.see(&home, &opens("a2", "open"), Some(100), 100));
        assert!(looks.see(&home, &opens("a1", "unsaid"), Some(200), 200));
        let state = |looks: &HomeLooks, id| {
            looks.of_alarm(&home, &AlarmId::try_from(id).unwrap()).map(|look| look.state.clone())
        };
        assert_eq!((state(&looks, "a1").as_deref(), state(&looks, "a2").as_deref()), (Some("unsaid"), Some("open")));
        assert_eq!((looks.planned().count(), looks.get(&home, "r1", 0)), (0, None));
        assert!(looks.see(&home, &opens("a1", "gone"), Some(300), 300));
        assert_eq!(state(&looks, "a1"), None);
    }

    #[test]
    fn the_newest_word_holds_and_one_that_was_late_changes_nothing() {
        let (mut looks, home) = (HomeLooks::default(), DeviceId::try_from("gw-0007").unwrap());
        assert!(looks.see(&home, &round("r1", 5_000, "planned"), Some(100), 100));
        assert!(looks.see(&home, &round("r2", 5_000, "planned"), Some(100), 100));
        assert!(looks.see(&home, &round("r1", 5_000, "open"), Some(5_000), 5_000));
        assert!(!looks.see(&home, &round("r1", 5_000, "planned"), Some(4_000), 5_001));
        assert_eq!(looks.get(&home, "r1", 5_000).map(|look| look.state.as_str()), Some("open"));
        assert_eq!(looks.get(&home, "r2", 5_000).map(|look| look.state.as_str()), Some("planned"));
        assert!(looks.see(&home, &round("r1", 5_000, "gone"), Some(5_100), 5_100));
        assert_eq!(looks.get(&home, "r1", 5_000), None);
        // What is long over makes room, and a home that tells too much fills nothing.
        let later = 6_000 + LOOKS_TOLD_BACK_MS;
        assert!(looks.see(&home, &round("r3", later, "open"), Some(later), later));
        assert_eq!(looks.planned().count(), 1);
        for more in 0..2 * HOME_LOOKS_MAX {
            looks.see(&home, &round("r1", later + more as i64, "open"), Some(later), later);
        }
        assert_eq!(looks.planned().count(), HOME_LOOKS_MAX);
        assert!(!looks.see(&home, &Event::Motion {}, Some(0), 0));
    }
    #[test]
    fn what_a_home_tells_no_more_once_it_tells_all_anew_is_gone() {
        let (mut looks, home) = (HomeLooks::default(), DeviceId::try_from("gw-0007").unwrap());
        let other = DeviceId::try_from("gw-0008").unwrap();
        let anew = Event::Round {
            lane: Lane::Telemetry,
            slot: "".into(),
            resident: None,
            due_at: None,
            done: false,
            text: Default::default(),
            from_at: None,
            state: Some(ROUND_ANEW.into()),
            look_s: None,
            may_see_clearly: false,
            alarm: None,
        };
        let told = |looks: &HomeLooks| looks.planned().map(|(_, look)| look.resident.clone()).collect::<Vec<_>>();
        assert!(!looks.see(&home, &anew, Some(100), 100), "there was nothing");
        assert!(looks.see(&home, &round("r1", 5_000, "planned"), Some(100), 100));
        assert!(looks.see(&home, &round("r2", 5_000, "planned"), Some(100), 100));
        assert!(looks.see(&other, &round("r9", 5_000, "planned"), Some(100), 100));
        // One that is told anew may come first.
        assert!(looks.see(&home, &round("r2", 5_000, "planned"), Some(200), 200));
        assert!(!looks.see(&home, &anew, None, 300), "by no clock that is believed");
        assert!(looks.see(&home, &anew, Some(200), 300));
        assert_eq!(told(&looks), ["r2", "r9"]);
        // Said twice, after more was told, it drops nothing of that.
        assert!(looks.see(&home, &round("r1", 6_000, "planned"), Some(250), 300));
        assert!(!looks.see(&home, &anew, Some(200), 400));
        assert_eq!(told(&looks), ["r2", "r1", "r9"]);
    }
}
