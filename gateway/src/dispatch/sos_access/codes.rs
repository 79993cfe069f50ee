//! Which `<eventcode>` an alarm goes under. The codes are agreed with each operator; these are where an agreement can begin:
//! the two letters of SIA that public lists have for such an alarm.

use std::collections::BTreeMap;

use vaka_protocol::Lane;

use super::super::Notice;

/// What the configuration calls an alarm, and its code unless it says otherwise.
pub const WORDS: [(&str, &str); 23] = [
    ("help", "QA"),
    ("fall", "MA"),
    ("seizure", "MA"),
    ("smoke", "FA"),
    ("heat", "KA"),
    ("gas", "GA"),
    ("co", "GA"),
    ("flood", "WA"),
    ("enuresis", "MA"),
    ("bed", "MA"),
    ("chair", "MA"),
    ("mat", "MA"),
    ("door", "UA"),
    ("motion", "MA"),
    ("position", "QA"),
    ("dose", "MA"),
    ("lock", "UA"),
    ("battery", "XT"),
    ("mains", "AT"),
    ("tamper", "TA"),
    ("care", "MA"),
    ("technical", "UT"),
    ("test", "RX"),
];

/// The word of [`WORDS`] for a notice, by its SCAIP codes. Source: the gateway's own table of events (`vaka_protocol::scaip`).
pub fn word(notice: &Notice) -> &'static str {
    match (notice.test || notice.lane == Lane::Test, notice.dty, notice.stc) {
        (true, ..) => "test",
        (_, _, 15 | 16) => "battery",
        (_, 41, _) | (_, _, 85 | 86) => "mains",
        (_, 38, _) | (_, _, 125) => "tamper",
        (_, 5, _) => "fall",
        (_, 17, _) => "seizure",
        (_, 23, _) => "smoke",
        (_, 25, _) => "heat",
        (_, 21, _) => "gas",
        (_, 26, _) => "co",
        (_, 33, _) => "flood",
        (_, 16, _) => "enuresis",
        (_, 12, _) => "bed",
        (_, 44, _) => "chair",
        (_, 13, _) => "mat",
        (_, 14, _) => "door",
        (_, 10, _) => "motion",
        (_, 51, _) => "position",
        (_, 11, _) => "dose",
        (_, 43, _) => "lock",
        _ => match notice.lane {
            Lane::Life => "help",
            Lane::Care => "care",
            Lane::Technical | Lane::Telemetry => "technical",
            Lane::Test => "test",
        },
    }
}

/// The code that a notice goes under.
pub fn event_code<'a>(agreed: &'a BTreeMap<String, String>, notice: &Notice) -> &'a str {
    let word = word(notice);
    let usual = WORDS.iter().find(|(known, _)| *known == word).map_or("UA", |(_, code)| code);
    agreed.get(word).map_or(usual, String::as_str)
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::notice;
    use super::*;

    #[test]
    fn an_alarm_and_its_end_go_under_one_code_and_agreements_go_first() {
        let with = |dty, stc, lane| Notice { dty, stc, lane, ..notice("a1", 1) };
        let none = BTreeMap::new();
        let expected = [
            (3, 10, Lane::Life, "QA"),
            (4, 19, Lane::Life, "QA"),
            (23, 9, Lane::Life, "FA"),
            (23, 94, Lane::Life, "FA"),
            (3, 16, Lane::Technical, "XT"),
            (3, 15, Lane::Technical, "XT"),
            (41, 85, Lane::Technical, "AT"),
            (41, 86, Lane::Technical, "AT"),
            (3, 79, Lane::Technical, "UT"),
            (11, 81, Lane::Care, "MA"),
            (99, 0, Lane::Care, "MA"),
            (3, 102, Lane::Test, "RX"),
        ];
        for (dty, stc, lane, code) in expected {
            assert_eq!(event_code(&none, &with(dty, stc, lane)), code, "{dty} {stc}");
        }
        let agreed = BTreeMap::from([("fall".to_owned(), "FALL-1".to_owned())]);
        assert_eq!(event_code(&agreed, &with(5, 9, Lane::Life)), "FALL-1");
        assert_eq!(event_code(&agreed, &Notice { test: true, ..with(5, 9, Lane::Life) }), "RX");
    }

    #[test]
    fn every_word_is_given_its_code() {
        let given = |dty, stc, lane| word(&Notice { dty, stc, lane, ..notice("a1", 1) });
        for dty in 0..200 {
            for stc in 0..200 {
                for lane in [Lane::Life, Lane::Care, Lane::Technical, Lane::Telemetry, Lane::Test] {
                    let word = given(dty, stc, lane);
                    assert!(WORDS.iter().any(|(known, _)| *known == word), "{word}");
                }
            }
        }
    }
}
