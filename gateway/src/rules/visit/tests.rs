//! Records of visits as they stand in homes' journals: never edit the bytes; a new field gets a test of its own.
//! The expected bytes were made by another program (Python), not by this code.

use vaka_protocol::{AlarmId, DeviceId};

use crate::journal::record::{Record, Visit, VisitStep};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_steps_of_a_visit_v1() {
    let p1 = || DeviceId::try_from("p1").expect("an id");
    let measured = VisitStep::Measured {
        device: p1(),
        signal_dbm: Some(-71),
        wired: false,
        battery_percent: None,
        no_battery: true,
    };
    let hand_over = VisitStep::HandOver {
        line: "p1/press".into(),
        reason: "away".into(),
        to: "Ulla".into(),
        alarm: AlarmId::try_from("k3f9x2").expect("an id"),
    };
    let golden = [
        (VisitStep::Start {}, "a262627964747572656473746570a1657374617274a0"),
        (VisitStep::Arm { device: p1() }, "a262627964747572656473746570a16361726da166646576696365627031"),
        (
            measured,
            "a262627964747572656473746570a1686d65617375726564a3666465766963656270316a7369676e616c5f64626d38466a6e6f5f62617474657279f5",
        ),
        (VisitStep::Seen { device: p1() }, "a262627964747572656473746570a1647365656ea166646576696365627031"),
        (
            hand_over,
            "a262627964747572656473746570a16968616e645f6f766572a4646c696e656870312f707265737366726561736f6e646177617962746f64556c6c6165616c61726d666b3366397832",
        ),
        (
            VisitStep::Finish { protocol: "{}".into() },
            "a262627964747572656473746570a16666696e697368a16870726f746f636f6c627b7d",
        ),
    ];
    for (step, bytes) in golden {
        let record = Record::Visit(Visit { by: "ture".into(), step });
        let mut written = Vec::new();
        record.encode_into(&mut written);
        assert_eq!(hex(&written), bytes, "{record:?}");
        assert_eq!(Record::decode(40, &written).expect("readable"), record);
    }
}
