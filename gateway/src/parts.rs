//! The gateway's own parts: its clock, its certificates and its devices', its temperature.
//!
//! Enters: readings. Leaves: faults that begin or end, each told once, with room between its beginning and its end. Invariant:
//! without a clock that can be right no certificate is judged. Absent: the disk and the paths, which are told where they are met
//! (`pipeline/shortage`, dispatch), and the certificates of receivers (`Report::Certificate`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use vaka_protocol::DeviceId;

use crate::clock::{Confidence, Now};
use crate::journal::record::Fault;
use crate::provision::{Issued, Pki};

/// Time between two looks at the gateway's parts, in milliseconds. Longer: a hot box is told later.
pub const LOOK_MS: u64 = 60_000;
/// Looks between two readings of the certificates: each is a file. About every hour.
pub const CERTIFICATES_EVERY: u32 = 60;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// Days before its end at which a certificate is told, and told again. Source: our choice; a month is a round of visits, a week
/// is the last of them.
const ENDS_DAYS: [(i64, &str); 2] = [(30, "certificate-ends-30d"), (7, "certificate-ends-7d")];
/// A device has not renewed its certificate by five sixths of its life: it should have asked at two thirds.
const NOT_RENEWED: &str = "certificate-not-renewed";
/// As [`ENDS_DAYS`], of the gateway's own.
const OWN_ENDS_DAYS: [(i64, &str); 2] = [(30, "own-certificate-ends-30d"), (7, "own-certificate-ends-7d")];
/// A step of the clock beyond this is told, in milliseconds: what was planned by it was early or late by as much.
const STEP_MS: i64 = 5 * 60_000;
/// After this long without another step it is over, in milliseconds of the running clock.
const STEADY_MS: u64 = 60 * 60_000;
/// Hot, in thousandths of a degree Celsius: common single-board computers slow themselves down at 80 °C.
const HOT_MILLI_C: i64 = 80_000;
/// And cool again: ten degrees of room, so that a fan that comes and goes is one fault.
const COOL_MILLI_C: i64 = 70_000;

/// One certificate's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ends {
    /// Whose it is; absent: the gateway's own, and the first to end of those.
    pub device: Option<DeviceId>,
    /// UTC milliseconds.
    pub not_after: i64,
    /// When it should long have been renewed, UTC milliseconds: by its device, or by the gateway itself. A short life is no fault before that.
    pub overdue_at: Option<i64>,
}

/// One look at the parts.
#[derive(Debug, Clone)]
pub struct Reading {
    pub now: Now,
    /// Absent: not read this time.
    pub certificates: Option<Vec<Ends>>,
    /// The hottest sensor, in thousandths of a degree Celsius. Absent: the machine has none.
    pub milli_c: Option<i64>,
}

/// What was read before, and what was told of it.
#[derive(Debug, Default)]
pub struct Parts {
    told: BTreeSet<(String, Option<DeviceId>)>,
    /// Wall clock less running clock.
    offset_ms: Option<i64>,
    stepped_at_ms: Option<u64>,
    looked: bool,
}

impl Parts {
    /// The faults that this reading begins or ends. The first says also of everything well that it is: what was told before a
    /// restart may be over.
    pub fn judge(&mut self, reading: &Reading) -> Vec<Fault> {
        let mut faults = Vec::new();
        let now = reading.now;
        let lost = now.confidence == Confidence::Floor;
        let detail = "the clock is not known: times are counted from the newest in the journal";
        self.turn("clock-lost", None, Some(lost), detail, &mut faults);
        self.step(now, lost, &mut faults);
        let hot = reading.milli_c.and_then(|milli_c| match milli_c {
            HOT_MILLI_C.. => Some(true),
            ..=COOL_MILLI_C => Some(false),
            _ => None,
        });
        let detail = reading.milli_c.map(|milli_c| format!("{} °C", milli_c / 1_000)).unwrap_or_default();
        self.turn("too-hot", None, hot, &detail, &mut faults);
        if let Some(certificates) = reading.certificates.as_ref().filter(|_| !lost) {
            self.ends(certificates, now.wall_ms, &mut faults);
        }
        self.looked = true;
        faults
    }

    fn step(&mut self, now: Now, lost: bool, faults: &mut Vec<Fault>) {
        let offset_ms = now.wall_ms.saturating_sub(i64::try_from(now.mono_ms).unwrap_or(i64::MAX));
        let step_ms = self.offset_ms.map_or(0, |known| offset_ms.saturating_sub(known));
        self.offset_ms = Some(offset_ms);
        // A floor stands still: what it does is no step.
        if step_ms.abs() >= STEP_MS && !lost {
            self.stepped_at_ms = Some(now.mono_ms);
        }
        let steady = self.stepped_at_ms.is_none_or(|at_ms| now.mono_ms.saturating_sub(at_ms) >= STEADY_MS);
        let detail = format!("set by {} s", step_ms / 1_000);
        self.turn("clock-set", None, Some(!steady), &detail, faults);
    }

    fn ends(&mut self, certificates: &[Ends], now_ms: i64, faults: &mut Vec<Fault>) {
        let mut earliest: BTreeMap<&Option<DeviceId>, &Ends> = BTreeMap::new();
        for one in certificates {
            let known = earliest.entry(&one.device).or_insert(one);
            *known = if one.not_after < known.not_after { one } else { known };
        }
        // A device that is no longer in the list has no certificate to renew.
        let gone: Vec<_> = self
            .told
            .iter()
            .filter(|(_, device)| device.is_some() && !earliest.contains_key(device))
            .cloned()
            .collect();
        for (name, device) in gone {
            self.turn(&name, device, Some(false), "", faults);
        }
        for (device, ends) in earliest {
            let left_ms = ends.not_after.saturating_sub(now_ms);
            let detail = format!("{} days left", left_ms.div_euclid(DAY_MS));
            for (days, name) in if device.is_some() { ENDS_DAYS } else { OWN_ENDS_DAYS } {
                // Only a new certificate ends it: then it has months left.
                let is_late = device.is_some() || ends.overdue_at.is_none_or(|at| now_ms >= at);
                self.turn(name, device.clone(), Some(is_late && left_ms < days * DAY_MS), &detail, faults);
            }
            let overdue = ends.overdue_at.filter(|_| device.is_some()).map(|at| now_ms >= at);
            self.turn(NOT_RENEWED, device.clone(), overdue, &detail, faults);
        }
    }

    /// `bad`: absent leaves it as it is.
    fn turn(&mut self, name: &str, device: Option<DeviceId>, bad: Option<bool>, detail: &str, faults: &mut Vec<Fault>) {
        let what = (name.to_owned(), device);
        let Some(active) = bad else { return };
        let told = self.told.contains(&what);
        if told == active && (self.looked || active) {
            return;
        }
        if active {
            self.told.insert(what.clone())
        } else {
            self.told.remove(&what)
        };
        let (fault, device) = what;
        let detail = if active { detail.to_owned() } else { String::new() };
        faults.push(Fault { fault, device, detail, active });
    }
}

/// When the certificates end that this home shows and has issued: its own, and of each of these devices the one that it uses.
/// What cannot be read is left out; `vaka check` and the start say so.
pub fn certificates<'d>(pki: &Pki, devices: impl Iterator<Item = &'d DeviceId>) -> Vec<Ends> {
    let own = [pki.server_cert(), pki.client_cert()];
    let mut ends: Vec<Ends> = own
        .iter()
        .filter_map(|path| life_of(path))
        .map(|(from, not_after)| {
            let overdue_at = Some(not_after - not_after.saturating_sub(from) / 6);
            Ends { device: None, not_after, overdue_at }
        })
        .collect();
    let Ok((issued, _)) = Issued::load(&pki.issued()) else { return ends };
    for device in devices {
        if let Some(row) = issued.used(device) {
            let (not_after, overdue_at) = (row.not_after, Some(row.overdue_at()));
            ends.push(Ends { device: Some(device.clone()), not_after, overdue_at });
        }
    }
    ends
}

/// From when until when, UTC milliseconds.
fn life_of(path: &Path) -> Option<(i64, i64)> {
    let pem = std::fs::read(path).ok()?;
    let certificate = CertificateDer::from_pem_slice(&pem).ok()?;
    let (_, x509) = x509_parser::parse_x509_certificate(&certificate).ok()?;
    let ms = |time: &x509_parser::time::ASN1Time| time.timestamp().saturating_mul(1_000);
    Some((ms(&x509.validity().not_before), ms(&x509.validity().not_after)))
}

/// The hottest of the machine's own sensors, in thousandths of a degree Celsius. `folder`: `/sys/class/thermal`.
pub fn hottest(folder: &Path) -> Option<i64> {
    let zones = std::fs::read_dir(folder).ok()?;
    let read = |zone: std::fs::DirEntry| -> Option<i64> {
        std::fs::read_to_string(zone.path().join("temp")).ok()?.trim().parse().ok()
    };
    // Beyond what electronics survive is a sensor that is not there.
    zones.flatten().filter_map(read).filter(|milli_c| (-60_000..200_000).contains(milli_c)).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_795_212_000_000;

    fn at(minutes: i64, set_ms: i64) -> Reading {
        let mono_ms = u64::try_from(minutes * 60_000).unwrap();
        let now = Now { mono_ms, wall_ms: START + minutes * 60_000 + set_ms, confidence: Confidence::Held };
        Reading { now, certificates: None, milli_c: None }
    }

    fn said(faults: Vec<Fault>) -> Vec<String> {
        let word = |fault: Fault| {
            let device = fault.device.map(|id| format!(" {id}")).unwrap_or_default();
            format!("{}{}{device}", if fault.active { "+" } else { "-" }, fault.fault)
        };
        faults.into_iter().map(word).collect()
    }

    #[test]
    fn the_first_look_says_of_everything_what_it_is_and_the_next_only_what_changed() {
        let mut parts = Parts::default();
        assert_eq!(said(parts.judge(&at(0, 0))), ["-clock-lost", "-clock-set"]);
        assert_eq!(said(parts.judge(&at(1, 0))), [""; 0]);
        let mut floor = at(2, 0);
        floor.now.confidence = Confidence::Floor;
        assert_eq!(said(parts.judge(&floor)), ["+clock-lost"]);
        assert_eq!(said(parts.judge(&floor)), [""; 0]);
        assert_eq!(said(parts.judge(&at(3, 0))), ["-clock-lost"]);
    }

    #[test]
    fn a_clock_that_is_set_is_told_until_it_has_been_steady_for_an_hour() {
        let mut parts = Parts::default();
        let _ = parts.judge(&at(0, 0));
        assert_eq!(said(parts.judge(&at(1, 299_000))), [""; 0], "under five minutes is the kernel's drift");
        assert_eq!(said(parts.judge(&at(2, 900_000))), ["+clock-set"]);
        assert_eq!(said(parts.judge(&at(40, 0))), [""; 0], "set again: still the same");
        assert_eq!(said(parts.judge(&at(99, 0))), [""; 0]);
        assert_eq!(said(parts.judge(&at(100, 0))), ["-clock-set"]);
    }

    #[test]
    fn heat_has_room_between_its_beginning_and_its_end() {
        let mut parts = Parts::default();
        let hot = |minute, milli_c| Reading { milli_c: Some(milli_c), ..at(minute, 0) };
        let _ = parts.judge(&hot(0, 50_000));
        let told: Vec<Vec<String>> = [79_900, 80_000, 75_000, 81_000, 70_001, 70_000]
            .into_iter()
            .enumerate()
            .map(|(minute, milli_c)| said(parts.judge(&hot(minute as i64 + 1, milli_c))))
            .collect();
        assert_eq!(told, [vec![], vec!["+too-hot"], vec![], vec![], vec![], vec!["-too-hot"]]);
    }

    #[test]
    fn certificates_are_told_a_month_and_a_week_before_their_end_and_over_when_renewed() {
        let p1 = DeviceId::try_from("p1").unwrap();
        let mut parts = Parts::default();
        let ends = |minute, own_days: i64, days: Option<i64>| {
            let own = Ends { device: None, not_after: START + own_days * DAY_MS, overdue_at: None };
            let device =
                days.map(|days| Ends { device: Some(p1.clone()), not_after: START + days * DAY_MS, overdue_at: None });
            Reading { certificates: Some([own].into_iter().chain(device).collect()), ..at(minute, 0) }
        };
        let _ = parts.judge(&ends(0, 7_000, Some(400)));
        assert_eq!(said(parts.judge(&ends(1, 7_000, Some(30)))), ["+certificate-ends-30d p1"]);
        assert_eq!(said(parts.judge(&ends(2, 7_000, Some(7)))), ["+certificate-ends-7d p1"]);
        assert_eq!(
            said(parts.judge(&ends(3, 20, Some(400)))),
            ["+own-certificate-ends-30d", "-certificate-ends-30d p1", "-certificate-ends-7d p1"]
        );
        let _ = parts.judge(&ends(4, 7_000, Some(1)));
        assert_eq!(said(parts.judge(&ends(5, 7_000, None))), ["-certificate-ends-30d p1", "-certificate-ends-7d p1"]);
        let mut floor = ends(6, 1, Some(1));
        floor.now.confidence = Confidence::Floor;
        assert_eq!(said(parts.judge(&floor)), ["+clock-lost"], "without a clock nothing is known to end");
    }

    #[test]
    fn a_short_life_of_the_gateways_own_is_no_fault_before_it_should_have_been_renewed() {
        let mut parts = Parts::default();
        let day = |day: i64| {
            let own = Ends { device: None, not_after: START + 12 * DAY_MS, overdue_at: Some(START + 10 * DAY_MS) };
            Reading { certificates: Some(vec![own]), ..at(day * 24 * 60, 0) }
        };
        let _ = parts.judge(&day(0));
        assert_eq!(said(parts.judge(&day(9))), [""; 0]);
        assert_eq!(said(parts.judge(&day(10))), ["+own-certificate-ends-30d", "+own-certificate-ends-7d"]);
    }

    #[test]
    fn a_device_that_does_not_renew_is_told_until_it_has() {
        let p1 = DeviceId::try_from("p1").unwrap();
        let mut parts = Parts::default();
        let day = |day: i64, overdue_day: i64| {
            let (not_after, overdue_at) = (START + 400 * DAY_MS, Some(START + overdue_day * DAY_MS));
            let device = Ends { device: Some(p1.clone()), not_after, overdue_at };
            Reading { certificates: Some(vec![device]), ..at(day * 24 * 60, 0) }
        };
        let _ = parts.judge(&day(0, 333));
        assert_eq!(said(parts.judge(&day(332, 333))), [""; 0]);
        assert_eq!(said(parts.judge(&day(333, 333))), ["+certificate-not-renewed p1"]);
        assert_eq!(said(parts.judge(&day(334, 333))), [""; 0]);
        assert_eq!(said(parts.judge(&day(335, 700))), ["-certificate-not-renewed p1"]);
    }

    #[test]
    fn what_the_home_has_issued_is_read_from_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let zone = folder.path().join("thermal_zone0");
        std::fs::create_dir(&zone).unwrap();
        std::fs::write(zone.join("temp"), "48312\n").unwrap();
        assert_eq!(hottest(folder.path()), Some(48_312));
        assert_eq!(hottest(&folder.path().join("none")), None);

        let home = folder.path().join("home");
        let new = crate::provision::NewHome {
            gateway: DeviceId::try_from("gw-1").unwrap(),
            controller_id: "1".to_owned(),
            listen: ([127, 0, 0, 1], 0).into(),
        };
        crate::provision::create(&home, &new, START).unwrap();
        let pki = Pki::beside(&home);
        let ends = certificates(&pki, [].into_iter());
        assert_eq!(ends.len(), 2);
        let days = (ends[0].not_after - START) / DAY_MS;
        assert!((crate::provision::GATEWAY_DAYS - 1..=crate::provision::GATEWAY_DAYS).contains(&days), "{days}");
    }
}
