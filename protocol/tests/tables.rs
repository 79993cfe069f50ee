//! Lanes and SCAIP codes, row by row as the table in the design has them.

use vaka_protocol::*;

#[test]
fn lanes_and_codes_are_those_of_the_table() {
    use Lane::*;
    let label = |text: &str| Label::from(text);
    let dose = |outcome| Event::Dose { slot: label("a"), outcome };
    let pendant = 3;
    let started = |cause| Event::Started { cause, version: label("1.4") };
    let rows = [
        (Event::Button { press: Press::Short }, Life, Some((pendant, 10))),
        (Event::Button { press: Press::Long }, Life, Some((pendant, 10))),
        (Event::Cancel {}, Life, Some((pendant, 19))),
        (Event::Fall { impact_mg: None, still_s: None }, Life, Some((5, 9))),
        (Event::Seizure {}, Life, Some((17, 9))),
        (Event::Smoke { active: true }, Life, Some((23, 9))),
        (Event::Smoke { active: false }, Life, Some((23, 94))),
        (Event::Gas { active: true }, Life, Some((21, 9))),
        (Event::Co { active: true }, Life, Some((26, 9))),
        (Event::Heat { active: true }, Life, Some((25, 9))),
        (Event::Flood { active: true }, Life, Some((33, 9))),
        (Event::Enuresis {}, Care, Some((16, 9))),
        (Event::Bed { occupied: false }, Telemetry, Some((12, 9))),
        (Event::Chair { occupied: false }, Telemetry, Some((44, 9))),
        (Event::Mat { pressed: true }, Telemetry, Some((13, 9))),
        (Event::Door { open: true }, Telemetry, Some((14, 9))),
        (Event::Motion {}, Telemetry, Some((10, 9))),
        (Event::Temperature { centi_c: 4_000 }, Telemetry, None),
        (dose(DoseOutcome::Reminded), Telemetry, Some((11, 82))),
        (dose(DoseOutcome::Dispensed), Telemetry, None),
        (dose(DoseOutcome::Taken), Telemetry, Some((11, 83))),
        (dose(DoseOutcome::Missed), Care, Some((11, 81))),
        (dose(DoseOutcome::Refused), Care, Some((11, 81))),
        (dose(DoseOutcome::Jammed), Care, Some((11, 52))),
        (dose(DoseOutcome::Unknown), Care, Some((11, 0))),
        (Event::Stock { days_left: 3 }, Technical, Some((11, 64))),
        (Event::Stock { days_left: 4 }, Telemetry, Some((11, 64))),
        (Event::Lock { locked: true, by: None }, Telemetry, Some((43, 118))),
        (Event::Lock { locked: false, by: None }, Telemetry, Some((43, 127))),
        (Event::Cabinet { open: true, by: None }, Telemetry, Some((43, 127))),
        (Event::Staff { tag: label("t") }, Telemetry, None),
        (Event::Privacy { on: true }, Telemetry, None),
        (Event::Decline { slot: label("") }, Telemetry, None),
        (Event::Battery { percent: None, low: true }, Technical, Some((pendant, 16))),
        (Event::Battery { percent: Some(90), low: false }, Technical, Some((pendant, 15))),
        (Event::Mains { on: false }, Technical, Some((41, 85))),
        (Event::Mains { on: true }, Technical, Some((41, 86))),
        (Event::Tamper {}, Technical, Some((38, 125))),
        (Event::Lost { count: 1 }, Technical, Some((pendant, 79))),
        (Event::Fault { part: label("motor"), active: true }, Technical, Some((pendant, 67))),
        (Event::Fault { part: label("motor"), active: false }, Technical, Some((pendant, 94))),
        (started(StartCause::Power), Telemetry, None),
        (started(StartCause::Update), Telemetry, None),
        (started(StartCause::Other), Telemetry, None),
        (started(StartCause::Watchdog), Technical, Some((pendant, 67))),
        (started(StartCause::Panic), Technical, Some((pendant, 67))),
        (started(StartCause::RolledBack), Technical, Some((pendant, 67))),
        (Event::Signal { rssi_dbm: -71 }, Telemetry, None),
        (Event::Alive {}, Telemetry, None),
        (Event::Done { id: 1, outcome: Outcome::Done }, Telemetry, None),
        (Event::Test {}, Test, Some((pendant, 102))),
        (Event::Unknown { name: "choking".into() }, Technical, None),
    ];
    for (event, lane, codes) in rows {
        assert_eq!((event.lane(), event.scaip(false)), (lane, codes), "{event:?}");
        // On the wall, only what goes under the device's own type changes.
        let fixed = codes.map(|(dty, stc)| (if dty == pendant { 4 } else { dty }, stc));
        assert_eq!(event.scaip(true), fixed, "{event:?}");
    }
}
