//! When a release begins. Pure: the moment and what goes on in the home come in as arguments.
//!
//! Enters: the release, the box's id, the moment, what goes on. Leaves: nothing (it may), or what is waited for. Invariants: a box is in
//! the same share however often it asks, and a larger share holds every box of a smaller one; an open life alarm is never interrupted.

use jiff::Timestamp;
use ring::digest::{SHA256, digest};

use crate::limits::LIFE_REST_MS;
use crate::manifest::Ring;
use crate::{Manifest, Version};

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wait {
    #[error("it begins at {0}")]
    NotBefore(Timestamp),
    #[error("{percent} % of the boxes have it now, this one is not among them; the next ring begins at {}", shown(.next))]
    Ring { percent: u8, next: Option<Timestamp> },
    #[error("the clock is not believed, so nobody knows whether its time has come")]
    Clock,
    #[error("a life alarm is open")]
    Life,
    #[error("a technician's visit is under way")]
    Visit,
    #[error("somebody looks through a camera")]
    Look,
    #[error("it is a resident's night")]
    Night,
    #[error("it is a quiet time ([update] quiet)")]
    Quiet,
    #[error("the disk is short")]
    Disk,
    #[error("no receiver gets test alarms ([[route]] lanes with \"test\"): a new program could not prove itself")]
    Unproven,
}

fn shown(next: &Option<Timestamp>) -> String {
    next.map_or_else(|| "no time that is said".to_owned(), |at| at.to_string())
}

/// A daily window, minutes of the local day; it may go over midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub from_min: u16,
    pub until_min: u16,
}

impl Window {
    /// Reads `HH:MM-HH:MM`.
    pub fn parse(text: &str) -> Option<Window> {
        let minute = |text: &str| {
            let (hours, minutes) = text.trim().split_once(':')?;
            let number = |text: &str| (text.len() == 2).then(|| text.parse::<u16>().ok())?;
            let (hours, minutes) = (number(hours)?, number(minutes)?);
            (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
        };
        let (from, until) = text.split_once('-')?;
        let window = Window { from_min: minute(from)?, until_min: minute(until)? };
        (window.from_min != window.until_min).then_some(window)
    }

    pub fn has(&self, minute: u16) -> bool {
        if self.from_min < self.until_min {
            (self.from_min..self.until_min).contains(&minute)
        } else {
            minute >= self.from_min || minute < self.until_min
        }
    }
}

/// The moment of the question.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// UTC milliseconds.
    pub wall_ms: i64,
    /// Time goes on from something that is known.
    pub sure: bool,
    /// Of the local day, 0 to 1439.
    pub local_min: u16,
}

/// One open life alarm.
#[derive(Debug, Clone, Copy)]
pub struct LifeAlarm {
    /// Nobody is owed a word of it any more: a receiver or a person has it.
    pub settled: bool,
    /// When it was called last, UTC milliseconds.
    pub newest_ms: i64,
}

/// What goes on in the home.
#[derive(Debug, Clone, Default)]
pub struct Scene {
    pub life: Vec<LifeAlarm>,
    pub visit: bool,
    pub look: bool,
    pub night: bool,
    pub disk_is_short: bool,
    /// Somebody gets test alarms.
    pub is_provable: bool,
}

/// In hundredths of a percent, 0 to 9,999: a box's place among all boxes, another for each version, so that it is not always the same
/// homes that go first.
pub fn place(id: &str, version: Version) -> u16 {
    let hash = digest(&SHA256, format!("vaka release {version} {id}").as_bytes());
    let number = hash.as_ref().iter().take(8).fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    (number % 10_000) as u16
}

/// The release has come to this box.
///
/// # Errors
/// [`Wait`]: not yet.
pub fn has_come(release: &Manifest, id: &str, now: Moment) -> Result<(), Wait> {
    has_come_to(release.not_before, &release.rings, release.version, id, now)
}

/// The same of anything that a publisher gives out by shares.
///
/// # Errors
/// [`Wait`]: not yet.
pub fn has_come_to(not_before: Timestamp, rings: &[Ring], version: Version, id: &str, now: Moment) -> Result<(), Wait> {
    if !now.sure {
        return Err(Wait::Clock);
    }
    if now.wall_ms < not_before.as_millisecond() {
        return Err(Wait::NotBefore(not_before));
    }
    if rings.is_empty() {
        return Ok(());
    }
    let begun = |ring: &&Ring| ring.from.as_millisecond() <= now.wall_ms;
    let percent = rings.iter().filter(begun).map(|ring| ring.percent).max().unwrap_or(0);
    if place(id, version) < u16::from(percent) * 100 {
        return Ok(());
    }
    let next = rings.iter().filter(|ring| !begun(ring) && ring.percent > percent).map(|ring| ring.from).min();
    Err(Wait::Ring { percent, next })
}

/// Nothing goes on that a restart would be in the way of. `by_hand`: a person says so, and knows the hour.
///
/// # Errors
/// [`Wait`]: not now.
pub fn is_quiet(scene: &Scene, quiet: &[Window], now: Moment, by_hand: bool) -> Result<(), Wait> {
    // Time that has gone backwards ends no alarm early.
    let holds = |alarm: &LifeAlarm| !alarm.settled || now.wall_ms.saturating_sub(alarm.newest_ms) < LIFE_REST_MS;
    if scene.life.iter().any(holds) {
        return Err(Wait::Life);
    }
    if scene.look {
        return Err(Wait::Look);
    }
    if scene.visit {
        return Err(Wait::Visit);
    }
    if scene.disk_is_short {
        return Err(Wait::Disk);
    }
    if !scene.is_provable {
        return Err(Wait::Unproven);
    }
    if by_hand {
        return Ok(());
    }
    // Whether it is night, nobody knows then.
    if !now.sure {
        return Err(Wait::Clock);
    }
    if scene.night {
        return Err(Wait::Night);
    }
    if quiet.iter().any(|window| window.has(now.local_min)) {
        return Err(Wait::Quiet);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::manifest::tests::manifest;

    const HOUR: i64 = 3_600_000;

    fn at(wall_ms: i64, local_min: u16) -> Moment {
        Moment { wall_ms, sure: true, local_min }
    }

    fn free() -> Scene {
        Scene { is_provable: true, ..Scene::default() }
    }

    fn rings(begin: i64) -> Manifest {
        let ring = |percent, hours| Ring { percent, from: Timestamp::from_millisecond(begin + hours * HOUR).unwrap() };
        Manifest { rings: vec![ring(5, 0), ring(25, 24), ring(100, 72)], ..manifest("0.2.0") }
    }

    #[test]
    fn a_share_grows_and_is_about_what_it_says() {
        let begin = manifest("0.2.0").not_before.as_millisecond();
        let release = rings(begin);
        let taken = |hours: i64| {
            let now = at(begin + hours * HOUR, 600);
            (0..1_000).filter(|n| has_come(&release, &format!("gw-{n}"), now).is_ok()).collect::<Vec<_>>()
        };
        assert!(taken(-1).is_empty());
        let (few, more, all) = (taken(0), taken(24), taken(72));
        assert!((20..=80).contains(&few.len()) && (200..=300).contains(&more.len()), "{} {}", few.len(), more.len());
        assert_eq!(all.len(), 1_000);
        assert!(few.iter().all(|n| more.contains(n)));
        let waits = has_come(&release, &format!("gw-{}", (0..).find(|n| !few.contains(n)).unwrap()), at(begin, 600));
        assert_eq!(waits, Err(Wait::Ring { percent: 5, next: Some(release.rings[1].from) }));
    }

    #[test]
    fn a_clock_that_is_lost_takes_nothing() {
        let release = manifest("0.2.0");
        let now = Moment { sure: false, ..at(release.not_before.as_millisecond(), 0) };
        assert_eq!(has_come(&release, "gw", now), Err(Wait::Clock));
        assert_eq!(has_come(&release, "gw", Moment { sure: true, ..now }), Ok(()));
    }

    #[test]
    fn it_waits_for_whoever_is_helped_looked_at_visited_or_asleep() {
        let now = at(100 * HOUR, 12 * 60);
        let quiet = [Window::parse("21:00-07:00").unwrap()];
        assert_eq!(is_quiet(&free(), &quiet, now, false), Ok(()));
        let alarm = |settled, hours_ago| LifeAlarm { settled, newest_ms: now.wall_ms - hours_ago * HOUR };
        let with = |life: Vec<LifeAlarm>| is_quiet(&Scene { life, ..free() }, &quiet, now, true);
        assert_eq!(with(vec![alarm(true, 5), alarm(false, 48)]), Err(Wait::Life), "owed, however old");
        assert_eq!(with(vec![alarm(true, 0)]), Err(Wait::Life));
        assert_eq!(with(vec![LifeAlarm { settled: true, newest_ms: now.wall_ms + HOUR }]), Err(Wait::Life));
        assert_eq!(with(vec![alarm(true, 1)]), Ok(()));
        for (scene, wait) in [
            (Scene { visit: true, ..free() }, Wait::Visit),
            (Scene { look: true, ..free() }, Wait::Look),
            (Scene { disk_is_short: true, ..free() }, Wait::Disk),
            (Scene { is_provable: false, ..free() }, Wait::Unproven),
        ] {
            assert_eq!(is_quiet(&scene, &quiet, now, true), Err(wait), "nobody's word goes above it");
        }
        let night = Scene { night: true, ..free() };
        assert_eq!(is_quiet(&night, &quiet, now, false), Err(Wait::Night));
        assert_eq!(is_quiet(&night, &quiet, now, true), Ok(()));
        for minute in [21 * 60, 23 * 60 + 59, 0, 7 * 60 - 1] {
            assert_eq!(is_quiet(&free(), &quiet, at(now.wall_ms, minute), false), Err(Wait::Quiet), "{minute}");
        }
        assert_eq!(is_quiet(&free(), &quiet, at(now.wall_ms, 7 * 60), false), Ok(()));
    }

    #[test]
    fn windows_are_read_or_not() {
        assert_eq!(Window::parse("06:30-22:00"), Some(Window { from_min: 390, until_min: 1_320 }));
        for wrong in ["", "06:30", "6:30-22:00", "06:30-24:00", "06:60-07:00", "07:00-07:00", "a-b"] {
            assert_eq!(Window::parse(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn once_it_has_come_it_stays_so(id in "[a-z0-9-]{1,32}", hours in 0_i64..100, later in 0_i64..100) {
            let begin = manifest("0.2.0").not_before.as_millisecond();
            let release = rings(begin);
            let come = |hours: i64| has_come(&release, &id, at(begin + hours * HOUR, 0)).is_ok();
            prop_assert!(!come(hours) || come(hours + later));
        }
    }
}
