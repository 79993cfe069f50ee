//! The table of event codes. Enters: what a notice is about. Leaves: its Contact ID code and its SIA code. Pure.
//!
//! Invariant: everything has a code. What the table does not know goes as a general alarm of its lane, never as nothing.
//! Source: the code tables of siadc09 (DC-05 and DC-03, as it names them) and pysiaalarm; which of them is meant, is our choice.
//! A life alarm keeps to codes of class 1 (alarms), which no receiver files away as a report.

use vaka_protocol::Lane;

use crate::dispatch::{Notice, NoticeWhat};

/// A code in both languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// Contact ID: three digits.
    pub contact_id: u16,
    /// Contact ID says the end of something with the same code and another qualifier.
    pub restore: bool,
    /// SIA: two letters, its own for the end.
    pub sia: &'static str,
}

/// A row: Contact ID, SIA when it begins, SIA when it ends.
type Row = (u16, &'static str, &'static str);

const MEDICAL: Row = (100, "MA", "MH");
const PERSONAL_EMERGENCY: Row = (101, "QA", "QH");
const FAILED_TO_REPORT: Row = (102, "NA", "NS");
const FALL: Row = (103, "QA", "QH");
const SMOKE: Row = (111, "FA", "FH");
const HEAT: Row = (114, "KA", "KH");
const NON_BURGLARY: Row = (150, "UA", "UH");
const GAS: Row = (151, "GA", "GH");
const WATER: Row = (154, "WA", "WH");
const TOO_WARM: Row = (158, "KA", "KH");
const TOO_COLD: Row = (159, "ZA", "ZH");
const CARBON_MONOXIDE: Row = (162, "GA", "GH");
const SYSTEM_TROUBLE: Row = (300, "YX", "YZ");
const MAINS: Row = (301, "AT", "AR");
const SYSTEM_BATTERY: Row = (302, "YT", "YR");
const COMMUNICATION: Row = (350, "YC", "YK");
const SENSOR_TROUBLE: Row = (380, "UT", "UJ");
const RADIO_SUPERVISION: Row = (381, "UY", "UJ");
const SENSOR_TAMPER: Row = (383, "TA", "TR");
const SENSOR_BATTERY: Row = (384, "XT", "XR");
const CANCEL: Row = (406, "OC", "OC");
const FORCED_ACCESS: Row = (423, "DF", "DR");
const MANUAL_TEST: Row = (601, "RX", "RX");
const LOG_OVERFLOW: Row = (624, "JO", "JO");

/// SCAIP device types: the gateway itself.
const OWN_PARTS: [u16; 4] = [2, 31, 45, 48];

/// What a notice is called.
pub fn of(notice: &Notice) -> Code {
    let is_over = notice.what == NoticeWhat::Over || matches!(notice.stc, 15 | 86 | 91..=94 | 112..=116 | 124);
    let row = row(notice);
    // A test and a cancel are reports: they have no end.
    let restore = is_over && !matches!(row, MANUAL_TEST | CANCEL | LOG_OVERFLOW);
    let (contact_id, begins, ends) = row;
    Code { contact_id, restore, sia: if restore { ends } else { begins } }
}

/// First by what it is called whatever the device (SCAIP `stc`), then by the device (`dty`), then by the lane.
fn row(notice: &Notice) -> Row {
    // Before everything else: a test must never read as an alarm.
    if notice.test || notice.lane == Lane::Test || matches!(notice.stc, 102 | 103) {
        return MANUAL_TEST;
    }
    if notice.what == NoticeWhat::Cancel || notice.stc == 19 {
        return CANCEL;
    }
    let is_own = OWN_PARTS.contains(&notice.dty);
    match notice.stc {
        // What may cost a life is never called a fault.
        _ if notice.lane == Lane::Life => {}
        14..=16 if is_own => return SYSTEM_BATTERY,
        14..=16 => return SENSOR_BATTERY,
        23..=27 | 112..=116 => return COMMUNICATION,
        79 => return LOG_OVERFLOW,
        85 | 86 => return MAINS,
        95 | 122..=124 => return RADIO_SUPERVISION,
        100 if notice.dty != 19 => return TOO_WARM,
        101 if notice.dty != 19 => return TOO_COLD,
        106 | 107 => return FORCED_ACCESS,
        125 => return SENSOR_TAMPER,
        _ => {}
    }
    match (notice.lane, notice.dty) {
        (Lane::Technical, 32) => COMMUNICATION,
        (Lane::Technical, 41) => MAINS,
        (Lane::Technical, 38) => SENSOR_TAMPER,
        (Lane::Technical, _) if is_own => SYSTEM_TROUBLE,
        // Also of a smoke detector: its trouble is no fire.
        (Lane::Technical, _) => SENSOR_TROUBLE,
        (_, 3 | 4 | 6 | 7) => PERSONAL_EMERGENCY,
        (_, 5 | 30) => FALL,
        (_, 10) => FAILED_TO_REPORT,
        (_, 17 | 19) => MEDICAL,
        (_, 21) => GAS,
        (_, 23 | 47) => SMOKE,
        (_, 25) => HEAT,
        (_, 26) => CARBON_MONOXIDE,
        (_, 33 | 34) => WATER,
        (Lane::Life, _) => MEDICAL,
        _ => NON_BURGLARY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::tests::notice;

    fn code(lane: Lane, dty: u16, stc: u16, what: NoticeWhat) -> String {
        let code = of(&Notice { lane, dty, stc, what, ..notice("a1", 1) });
        format!("{}{:03} {}", if code.restore { 'R' } else { 'E' }, code.contact_id, code.sia)
    }

    #[test]
    fn what_the_gateway_raises_has_the_code_that_receivers_know() {
        use Lane::{Care, Life, Technical, Test};
        use NoticeWhat::{Again, Cancel, Over, Raise};
        let table = [
            (Life, 3, 10, Raise, "E101 QA"),
            (Life, 4, 10, Again, "E101 QA"),
            (Life, 3, 19, Cancel, "E406 OC"),
            (Life, 5, 9, Raise, "E103 QA"),
            (Life, 17, 9, Raise, "E100 MA"),
            (Life, 23, 9, Raise, "E111 FA"),
            (Life, 23, 94, Over, "R111 FH"),
            (Life, 21, 9, Raise, "E151 GA"),
            (Life, 26, 94, Over, "R162 GH"),
            (Life, 25, 9, Raise, "E114 KA"),
            (Life, 33, 9, Raise, "E154 WA"),
            (Care, 16, 9, Raise, "E150 UA"),
            (Care, 10, 9, Raise, "E102 NA"),
            (Care, 12, 9, Raise, "E150 UA"),
            (Care, 11, 81, Raise, "E150 UA"),
            (Care, 11, 52, Raise, "E150 UA"),
            (Care, 19, 100, Raise, "E100 MA"),
            (Care, 20, 101, Raise, "E159 ZA"),
            (Care, 43, 107, Raise, "E423 DF"),
            (Technical, 11, 64, Raise, "E380 UT"),
            (Technical, 3, 16, Raise, "E384 XT"),
            (Technical, 3, 15, Over, "R384 XR"),
            (Technical, 2, 16, Raise, "E302 YT"),
            (Technical, 41, 85, Raise, "E301 AT"),
            (Technical, 41, 86, Over, "R301 AR"),
            (Technical, 38, 125, Raise, "E383 TA"),
            (Technical, 3, 79, Raise, "E624 JO"),
            (Technical, 32, 23, Raise, "E350 YC"),
            (Technical, 32, 112, Over, "R350 YK"),
            (Technical, 2, 67, Raise, "E300 YX"),
            (Technical, 2, 94, Over, "R300 YZ"),
            (Technical, 23, 67, Raise, "E380 UT"),
            (Technical, 1, 0, Raise, "E380 UT"),
            (Test, 3, 102, Raise, "E601 RX"),
            (Test, 23, 94, Over, "E601 RX"),
        ];
        for (lane, dty, stc, what, expected) in table {
            assert_eq!(code(lane, dty, stc, what), expected, "{lane:?} dty {dty} stc {stc} {what:?}");
        }
    }

    #[test]
    fn whatever_comes_has_a_code_and_an_unknown_life_alarm_is_an_alarm() {
        for dty in 0..1_000 {
            for stc in 0..130 {
                for lane in [Lane::Life, Lane::Care, Lane::Technical, Lane::Telemetry, Lane::Test] {
                    let code = of(&Notice { lane, dty, stc, ..notice("a1", 1) });
                    assert!((100..=699).contains(&code.contact_id) && code.sia.len() == 2);
                }
            }
            for stc in (0..130).filter(|stc| !matches!(stc, 19 | 102 | 103)) {
                let code = of(&Notice { dty, stc, ..notice("a1", 1) });
                assert!((100..200).contains(&code.contact_id), "dty {dty} stc {stc}: {code:?}");
            }
        }
        let code = of(&Notice { test: true, ..notice("a1", 1) });
        assert_eq!((code.contact_id, code.sia), (601, "RX"));
    }
}
