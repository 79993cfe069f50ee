//! What one device may put into the journal: its share, so that no device takes the others' room, and when that is a flood.
//!
//! Enters: each event that is about to be stored, and the monotonic time. Leaves: taken or not, and the news that a flood
//! has begun or ended. Invariants: `life` and `care` are counted and never refused; a device's connection may come and go,
//! its share stays what it is. Bounded by the devices that have been listed since the start. Absent: the disk, and any clock.

use std::collections::BTreeMap;

use vaka_protocol::{DeviceId, Lane};

use crate::limits;

/// Name of the fault, and cause of its alarm, about a device that sends more than its share.
pub const OVERLOAD: &str = "overload";
/// Name of the fault that the home's tests are used up.
pub const TESTS_USED_UP: &str = "tests-used-up";

/// How large a share is: tokens at once, and tokens an hour after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) burst: u64,
    pub(crate) per_hour: u64,
}

impl Share {
    fn times(self, multiple: u64) -> Share {
        Share { burst: self.burst * multiple, per_hour: self.per_hour * multiple }
    }
}

const EVENTS: Share = Share { burst: limits::SHARE_EVENTS_BURST, per_hour: limits::SHARE_EVENTS_PER_HOUR };
const TESTS: Share = Share { burst: limits::SHARE_TESTS_BURST, per_hour: limits::SHARE_TESTS_PER_HOUR };
const HOME_TESTS: Share = Share { burst: limits::HOME_TESTS_BURST, per_hour: limits::HOME_TESTS_PER_HOUR };

/// Milliseconds of an hour: a token is so many parts, so that every rate is exact in whole numbers.
const PARTS: u64 = 60 * 60 * 1_000;

/// A token bucket. `spent` counts down from nothing: a bucket that was never used is full, whatever its share.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bucket {
    spent_parts: u64,
    at_ms: u64,
}

impl Bucket {
    /// Unused for so long that it may be forgotten.
    pub(crate) fn is_full(&self, share: Share, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.at_ms).saturating_mul(share.per_hour) >= self.spent_parts
    }

    /// With nothing left.
    fn empty(share: Share, now_ms: u64) -> Bucket {
        Bucket { spent_parts: share.burst * PARTS, at_ms: now_ms }
    }

    pub(crate) fn take(&mut self, share: Share, tokens: u64, now_ms: u64) -> bool {
        let passed_ms = now_ms.saturating_sub(self.at_ms);
        self.at_ms = self.at_ms.max(now_ms);
        self.spent_parts = self.spent_parts.saturating_sub(passed_ms.saturating_mul(share.per_hour));
        let spent_parts = self.spent_parts + tokens * PARTS;
        let has = spent_parts <= share.burst * PARTS;
        if has {
            self.spent_parts = spent_parts;
        }
        has
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Account {
    events: Bucket,
    tests: Bucket,
}

/// Who sends too much.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flood {
    Device(DeviceId),
    /// All tests of the home together.
    Tests,
}

#[derive(Debug)]
struct Ongoing {
    /// When something was last beyond the share, by the monotonic clock.
    newest_ms: u64,
    is_told: bool,
}

/// The shares of all devices.
#[derive(Debug, Default)]
pub struct Shares {
    accounts: BTreeMap<DeviceId, Account>,
    tests: Bucket,
    floods: BTreeMap<Flood, Ongoing>,
}

impl Shares {
    /// True if an event of `bytes` of `payer` may be stored. `for_many`: the payer is a bridge or a gateway.
    pub fn take(&mut self, payer: &DeviceId, for_many: bool, lane: Lane, bytes: usize, now_ms: u64) -> bool {
        if !self.accounts.contains_key(payer) {
            self.accounts.insert(payer.clone(), Account::default());
        }
        let Some(account) = self.accounts.get_mut(payer) else { return true };
        let multiple = if for_many { limits::SHARE_MULTIPLE } else { 1 };
        if lane == Lane::Test {
            if !account.tests.take(TESTS.times(multiple), 1, now_ms) {
                self.note(Flood::Device(payer.clone()), now_ms);
                return false;
            }
            let has = self.tests.take(HOME_TESTS, 1, now_ms);
            if !has {
                self.note(Flood::Tests, now_ms);
            }
            return has;
        }
        let tokens = 1 + bytes as u64 / limits::SHARE_BYTES_PER_TOKEN;
        let has = account.events.take(EVENTS.times(multiple), tokens, now_ms);
        if !has {
            self.note(Flood::Device(payer.clone()), now_ms);
        }
        has || matches!(lane, Lane::Life | Lane::Care)
    }

    fn note(&mut self, flood: Flood, now_ms: u64) {
        self.floods.entry(flood).or_insert(Ongoing { newest_ms: now_ms, is_told: false }).newest_ms = now_ms;
    }

    /// True while events of this device and lane are, or just were, beyond a share.
    pub fn is_flooded(&self, payer: &DeviceId, lane: Lane) -> bool {
        self.floods.keys().any(|flood| match flood {
            Flood::Device(device) => device == payer,
            Flood::Tests => lane == Lane::Test,
        })
    }

    /// Floods that have begun (true) or ended (false) since this was last asked.
    pub fn news(&mut self, now_ms: u64) -> Vec<(Flood, bool)> {
        let mut news = Vec::new();
        self.floods.retain(|flood, ongoing| {
            if !std::mem::replace(&mut ongoing.is_told, true) {
                news.push((flood.clone(), true));
            }
            let lasts = now_ms.saturating_sub(ongoing.newest_ms) < limits::FLOOD_OVER_MS;
            if !lasts {
                news.push((flood.clone(), false));
            }
            lasts
        });
        news
    }

    /// The process started in the middle of this flood: it does not begin anew with a full share.
    pub fn resume(&mut self, flood: Flood, now_ms: u64) {
        match &flood {
            Flood::Device(device) => {
                let events = Bucket::empty(EVENTS, now_ms);
                self.accounts.insert(device.clone(), Account { events, ..Account::default() });
            }
            Flood::Tests => self.tests = Bucket::empty(HOME_TESTS, now_ms),
        }
        self.floods.insert(flood, Ongoing { newest_ms: now_ms, is_told: true });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str) -> DeviceId {
        DeviceId::try_from(name).unwrap()
    }

    /// How many of `count` events are taken at that moment.
    fn taken(shares: &mut Shares, name: &str, lane: Lane, count: u64, now_ms: u64) -> u64 {
        (0..count).map(|_| u64::from(shares.take(&device(name), false, lane, 300, now_ms))).sum()
    }

    #[test]
    fn a_share_is_a_burst_and_then_its_rate_exactly() {
        let mut shares = Shares::default();
        let burst = limits::SHARE_EVENTS_BURST;
        assert_eq!(taken(&mut shares, "a", Lane::Telemetry, burst + 500, 1_000), burst);
        // An hour in uneven steps is one hour's tokens, not one more.
        let (mut now_ms, mut count) = (1_000, 0);
        for step in (1..).map(|n| 37 + n % 5) {
            now_ms = (now_ms + step).min(1_000 + PARTS);
            count += taken(&mut shares, "a", Lane::Technical, 3, now_ms);
            if now_ms == 1_000 + PARTS {
                break;
            }
        }
        assert_eq!(count, limits::SHARE_EVENTS_PER_HOUR);
        // However long it was silent, no more than a burst.
        assert_eq!(taken(&mut shares, "a", Lane::Telemetry, burst + 500, 1_000 * PARTS), burst);
    }

    #[test]
    fn others_keep_their_share_and_life_and_care_are_never_refused() {
        let mut shares = Shares::default();
        taken(&mut shares, "flood", Lane::Telemetry, limits::SHARE_EVENTS_BURST, 0);
        assert_eq!(taken(&mut shares, "flood", Lane::Telemetry, 1, 0), 0);
        assert_eq!(taken(&mut shares, "flood", Lane::Technical, 1, 0), 0);
        for lane in [Lane::Life, Lane::Care] {
            assert_eq!(taken(&mut shares, "flood", lane, 1_000, 0), 1_000);
        }
        assert_eq!(taken(&mut shares, "flood", Lane::Test, 1, 0), 1, "tests have a share of their own");
        assert_eq!(taken(&mut shares, "calm", Lane::Telemetry, 1_000, 0), 1_000);
        // Nobody is blamed but the one who floods.
        assert_eq!(shares.news(0), [(Flood::Device(device("flood")), true)]);
    }

    #[test]
    fn what_catches_up_or_speaks_for_many_never_meets_its_share() {
        let mut shares = Shares::default();
        // Days offline: an event every ten seconds for a week. A benchmark: 2,000 a second for half a minute.
        assert_eq!(taken(&mut shares, "offline", Lane::Telemetry, 60_480, 0), 60_480);
        assert_eq!(
            (0..30_u64).map(|s| taken(&mut shares, "bench", Lane::Telemetry, 2_000, s * 1_000)).sum::<u64>(),
            60_000
        );
        let hub = device("hub");
        assert!((0..1_000_000).all(|_| shares.take(&hub, true, Lane::Telemetry, 300, 0)));
        assert!(shares.news(0).is_empty());
    }

    #[test]
    fn large_events_cost_by_their_size() {
        let mut shares = Shares::default();
        let a = device("a");
        let bytes = limits::EVENT_BYTES_MAX;
        let count =
            (0..limits::SHARE_EVENTS_BURST).take_while(|_| shares.take(&a, false, Lane::Telemetry, bytes, 0)).count();
        assert!(count * bytes <= limits::SHARE_EVENTS_BURST as usize * limits::SHARE_BYTES_PER_TOKEN as usize);
    }

    #[test]
    fn a_flood_is_news_once_when_it_begins_and_once_when_it_ends() {
        let mut shares = Shares::default();
        let flood = || Flood::Device(device("a"));
        taken(&mut shares, "a", Lane::Telemetry, limits::SHARE_EVENTS_BURST, 0);
        assert!(shares.news(0).is_empty());
        for now_ms in (0..200_000).step_by(20) {
            taken(&mut shares, "a", Lane::Telemetry, 1, now_ms);
            let expected: &[_] = if now_ms == 0 { &[(flood(), true)] } else { &[] };
            assert_eq!(shares.news(now_ms), expected, "{now_ms}");
            assert!(shares.is_flooded(&device("a"), Lane::Telemetry));
        }
        assert!(shares.news(200_000 + limits::FLOOD_OVER_MS / 2).is_empty());
        assert_eq!(shares.news(200_000 + limits::FLOOD_OVER_MS), [(flood(), false)]);
        assert!(shares.news(u64::MAX).is_empty());
    }

    #[test]
    fn a_visit_fits_the_tests_and_a_storm_does_not() {
        let mut shares = Shares::default();
        // Ten devices, each tested every other minute for two hours.
        for minute in (0..120_u64).step_by(2) {
            for n in 0..10 {
                assert_eq!(taken(&mut shares, &format!("d{n}"), Lane::Test, 1, minute * 60_000), 1);
            }
        }
        assert!(shares.news(0).is_empty());
        // A whole house at once, and then a storm.
        let mut shares = Shares::default();
        assert_eq!((0..500).map(|n| taken(&mut shares, &format!("d{n}"), Lane::Test, 3, 0)).sum::<u64>(), 1_500);
        let storm: u64 = (0..500).map(|n| taken(&mut shares, &format!("d{n}"), Lane::Test, 20, 0)).sum();
        assert_eq!(storm, limits::HOME_TESTS_BURST - 1_500);
        assert_eq!(shares.news(0), [(Flood::Tests, true)], "no single device is to blame");
        assert_eq!(taken(&mut shares, "d0", Lane::Test, 1_000, 0), 0);
        assert_eq!(shares.news(0), [(Flood::Device(device("d0")), true)]);
    }

    #[test]
    fn a_restart_gives_a_flood_no_new_burst() {
        let mut shares = Shares::default();
        shares.resume(Flood::Device(device("a")), 5_000);
        shares.resume(Flood::Tests, 5_000);
        assert_eq!(taken(&mut shares, "a", Lane::Telemetry, 10, 5_000), 0);
        assert_eq!(taken(&mut shares, "b", Lane::Test, 1, 5_000), 0);
        assert!(shares.news(5_000).is_empty(), "it was told before");
        assert_eq!(shares.news(5_000 + limits::FLOOD_OVER_MS).len(), 2);
    }
}
