//! What a full disk must not lose, and must not be filled with: counts of what was refused, and what can be said later.
//!
//! Enters: refusals (for want of room, or beyond a device's share), presence, paths. Leaves: the records that are due in this batch. Invariants: a device's first refusal
//! in a lane is recorded before it is acknowledged; the sums are exact again when there is room. Bounded by devices and
//! receivers, not by time.

use std::collections::BTreeMap;

use vaka_protocol::{DeviceId, Lane};

use crate::ingest::quota::Shares;
use crate::journal::record::{Record, Refusal};
use crate::limits;

/// How much room the file system leaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Room {
    /// Lanes whose events are refused; never `life`.
    pub refused: Vec<Lane>,
    /// Refusals are recorded in sums.
    pub sums_refusals: bool,
    /// Only `life` is taken: what can wait is said later.
    pub life_alone: bool,
}

/// Why something is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// The disk is short.
    NoRoom,
    /// It is beyond the share of its device, or of the home's tests. Always recorded in sums: a flood must not become one of records.
    OverShare,
    /// The device's certificate has ended, and it is no call for help. In sums: such a device goes on as it always did.
    Ended,
}

impl Why {
    /// As `metrics::families::REFUSALS` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Why::NoRoom => "disk",
            Why::OverShare => "share",
            Why::Ended => "certificate",
        }
    }
}

#[derive(Debug, Default)]
struct Refused {
    /// Refused in this batch, not acknowledged yet.
    now: u64,
    /// Acknowledged, but in no record yet.
    waiting: u64,
    recorded: u64,
    is_due: bool,
}

/// What a record that can wait is about: a later one of the same replaces it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum About {
    Path(String, String),
    Device(DeviceId),
}

#[derive(Debug, Default)]
pub struct Shortage {
    refused: BTreeMap<(DeviceId, Lane, Why), Refused>,
    /// To be said when there is room.
    postponed: BTreeMap<About, (Record, Lane)>,
}

impl Shortage {
    pub fn refuse(&mut self, device: DeviceId, lane: Lane, why: Why) {
        self.refused.entry((device, lane, why)).or_default().now += 1;
    }

    /// True if this record is kept until there is room: presence and paths come and go for as long as the disk is full.
    pub fn postpones(&mut self, record: &Record, lane: Lane, room: &Room) -> bool {
        let about = match record {
            Record::Path(path) => About::Path(path.receiver.clone(), path.path.clone()),
            Record::Alive(alive) => About::Device(alive.device.clone()),
            _ => return false,
        };
        if room.life_alone {
            self.postponed.insert(about, (record.clone(), lane));
        } else {
            self.postponed.remove(&about);
        }
        room.life_alone
    }

    /// What there is room for again.
    pub fn late(&mut self, room: &Room) -> Vec<(Record, Lane)> {
        if room.life_alone { Vec::new() } else { std::mem::take(&mut self.postponed).into_values().collect() }
    }

    /// Records of refusals that have to be in this batch. `to_the_last`: everything that was counted.
    pub fn refusals(&mut self, room: &Room, shares: &Shares, to_the_last: bool) -> Vec<(Record, Lane)> {
        let mut records = Vec::new();
        for ((device, lane, why), refused) in &mut self.refused {
            let count = refused.now + refused.waiting;
            let enough = count > refused.recorded.min(limits::REFUSALS_SUMMED_MAX);
            let over = !lasts(room, shares, device, *lane, *why);
            let in_sums = room.sums_refusals || *why != Why::NoRoom;
            refused.is_due = count > 0 && (!in_sums || enough || over || to_the_last);
            if refused.is_due {
                let reason = match why {
                    Why::NoRoom => format!("no room left on the disk for {}", lane.as_str()),
                    Why::OverShare => format!("more than its share of {}", lane.as_str()),
                    Why::Ended => format!("its certificate has ended: renewal and life alone, no {}", lane.as_str()),
                };
                let record = Refusal { device: device.clone(), lane: *lane, reason, count };
                records.push((Record::Refusal(record), *lane));
            }
        }
        records
    }

    /// The batch is on the disk.
    pub fn committed(&mut self, room: &Room, shares: &Shares) {
        for refused in self.refused.values_mut() {
            let count = std::mem::take(&mut refused.now) + std::mem::take(&mut refused.waiting);
            if std::mem::take(&mut refused.is_due) { refused.recorded += count } else { refused.waiting = count }
        }
        self.refused
            .retain(|(device, lane, why), refused| refused.waiting > 0 || lasts(room, shares, device, *lane, *why));
    }

    /// Acknowledged, counted, and in no record yet: what a crash takes off the count.
    pub fn waiting(&self) -> u64 {
        self.refused.values().map(|refused| refused.waiting).sum()
    }

    /// The batch is not on the disk: its events were not acknowledged and come again.
    pub fn failed(&mut self) {
        for refused in self.refused.values_mut() {
            (refused.now, refused.is_due) = (0, false);
        }
    }
}

/// More of the same may be refused.
fn lasts(room: &Room, shares: &Shares, device: &DeviceId, lane: Lane, why: Why) -> bool {
    match why {
        Why::NoRoom => room.refused.contains(&lane),
        Why::OverShare => shares.is_flooded(device, lane),
        // Until the next start: there is one such device, or a few.
        Why::Ended => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::record::PathRecord;

    fn room(life_alone: bool) -> Room {
        Room { refused: vec![Lane::Telemetry], sums_refusals: life_alone, life_alone }
    }

    fn counts(records: Vec<(Record, Lane)>) -> Vec<u64> {
        let count = |(record, _)| if let Record::Refusal(refusal) = record { refusal.count } else { 0 };
        records.into_iter().map(count).collect()
    }

    #[test]
    fn sums_are_few_and_exact_in_the_end() {
        let device = DeviceId::try_from("p1").unwrap();
        let mut shortage = Shortage::default();
        let (mut records, mut recorded) = (0, 0);
        for refused in 1..=10_000_u64 {
            shortage.refuse(device.clone(), Lane::Telemetry, Why::NoRoom);
            let due = counts(shortage.refusals(&room(true), &Shares::default(), false));
            shortage.committed(&room(true), &Shares::default());
            records += due.len();
            recorded += due.iter().sum::<u64>();
            assert!(recorded >= 1 && recorded * 2 + 1 >= refused, "{recorded} of {refused}");
        }
        assert!(records < 25, "{records}");
        recorded += counts(shortage.refusals(&Room::default(), &Shares::default(), false)).iter().sum::<u64>();
        shortage.committed(&Room::default(), &Shares::default());
        assert_eq!(recorded, 10_000);
        assert!(shortage.refused.is_empty());
    }

    #[test]
    fn many_refused_in_one_batch_are_not_left_to_memory() {
        let device = DeviceId::try_from("p1").unwrap();
        let mut shortage = Shortage::default();
        for many in [1, 9] {
            (0..many).for_each(|_| shortage.refuse(device.clone(), Lane::Telemetry, Why::NoRoom));
            assert_eq!(counts(shortage.refusals(&room(true), &Shares::default(), false)), [many]);
            shortage.committed(&room(true), &Shares::default());
        }
    }

    #[test]
    fn what_a_failed_commit_held_is_not_counted_twice() {
        let device = DeviceId::try_from("p1").unwrap();
        let mut shortage = Shortage::default();
        shortage.refuse(device, Lane::Telemetry, Why::NoRoom);
        assert_eq!(counts(shortage.refusals(&room(false), &Shares::default(), false)), [1]);
        shortage.failed();
        assert!(shortage.refusals(&room(false), &Shares::default(), false).is_empty(), "the device sends it again");
    }

    #[test]
    fn what_can_wait_waits_for_room_and_only_the_newest_is_kept() {
        let path =
            |up| Record::Path(PathRecord { receiver: "r".into(), path: "tcp".into(), up, detail: String::new() });
        let mut shortage = Shortage::default();
        assert!(shortage.postpones(&path(false), Lane::Technical, &room(true)));
        assert!(shortage.postpones(&path(true), Lane::Technical, &room(true)));
        assert!(shortage.late(&room(true)).is_empty());
        assert_eq!(shortage.late(&room(false)), [(path(true), Lane::Technical)]);
        assert!(!shortage.postpones(&path(true), Lane::Technical, &room(false)));
    }

    #[test]
    fn two_paths_of_one_receiver_are_two_things_to_say() {
        let of = |path: &str, up| {
            Record::Path(PathRecord { receiver: "r".into(), path: path.into(), up, detail: String::new() })
        };
        let mut shortage = Shortage::default();
        for (path, up) in [("fibre sip:a", false), ("mobile sip:b", true)] {
            assert!(shortage.postpones(&of(path, up), Lane::Technical, &room(true)));
        }
        assert_eq!(shortage.late(&room(false)).len(), 2);
    }
}
