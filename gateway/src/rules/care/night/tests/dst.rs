//! The two nights a year on which clocks are set, and other places.

use super::*;
use crate::rules::care::night::tonights_rounds;

const NONE: [&str; 0] = [];

/// When each decision fell, UTC, and what.
fn utc_told(story: &Story) -> Vec<String> {
    let at = |ms: &i64| Timestamp::from_millisecond(*ms).unwrap().strftime("%dT%H:%M").to_string();
    story.home.log.iter().filter_map(|(ms, decision)| Some(format!("{} {}", at(ms), short(decision)?))).collect()
}

#[test]
fn the_night_of_25_hours() {
    let rounds = "rounds = [{ at = \"02:30\", latest = \"03:15\" }, { at = \"05:00\", latest = \"05:30\" }]";
    let night =
        format!("absence_care_min = 90\nabsence_life_min = 0\nin_bed_by = \"23:30\"\nup_by = \"08:00\"\n{rounds}");
    let mut story = Story::of(STOCKHOLM, "2026-10-24", agreed(&night));
    story.at("22:30").bed(true);
    story.home.until(utc("2026-10-25T00:10:00Z"));
    // 02:10 summer time; 90 minutes later it is 02:40 winter time.
    story.bed(false).at("06:30").motion().at("11:00");
    let told = [
        // The first 02:30 is 00:30 UTC; 15 minutes before 03:15 is 02:00 UTC.
        "25T01:40 care absence",
        "25T02:00 care round 02:30",
        "25T04:15 care round 05:00",
        // Both visits hear that somebody is up.
        "25T05:30 over",
        "25T05:30 over",
    ];
    assert_eq!(utc_told(&story), told);
    assert_eq!(story.words()[0].0, "Inte i sängen på 1 timme 30 minuter. Lämnade den 02:10.");
}

#[test]
fn in_the_hour_that_comes_twice_a_look_in_is_made_at_the_first_and_once() {
    let mut story = Story::of(STOCKHOLM, "2026-10-24", agreed("rounds = [{ at = \"02:10\", latest = \"02:40\" }]"));
    story.at("22:30").bed(true).at("11:00");
    assert_eq!(utc_told(&story), ["25T00:10 round-done 02:10"]);
}

#[test]
fn the_night_of_23_hours() {
    let night = "absence_care_min = 30\nabsence_life_min = 0\nup_by = \"08:00\"\nrounds = [{ at = \"05:00\", latest = \"05:30\" }]";
    let mut story = Story::of(STOCKHOLM, "2027-03-27", agreed(night));
    story.at("22:30").bed(true).at("01:50").bed(false).at("11:00");
    // 01:50 and half an hour is 03:20.
    assert_eq!(story.told(), ["03:20 care absence", "05:15 care round 05:00", "08:00 care no-sign"]);
    assert_eq!(utc_told(&story)[0], "28T01:20 care absence");
}

#[test]
fn a_look_in_at_an_hour_that_does_not_exist_begins_as_much_sooner() {
    let agreed = agreed("absence_care_min = 0\nrounds = [{ at = \"02:10\", latest = \"02:40\" }]");
    let mut story = Story::of(STOCKHOLM, "2027-03-27", agreed.clone());
    story.at("22:30").bed(true).at("00:30").bed(false);
    let round = &tonights_rounds(&story.home.care, &agreed, &agreed.people[0], story.home.now_ms())[0];
    assert_eq!((round.at_ms, round.latest_ms), (utc("2027-03-28T00:30:00Z"), utc("2027-03-28T01:00:00Z")));
    story.at("11:00");
    assert_eq!(utc_told(&story), ["28T00:45 care round 02:10"], "and a visit is asked for before its latest time");
}

#[test]
fn other_places_have_their_own_nights() {
    let night = "absence_care_min = 30\nin_bed_by = \"23:30\"\nrounds = [{ at = \"01:30\", latest = \"02:15\" }]";
    // Clocks in New York are set at 02:00, a week after Stockholm's; Kolkata's never.
    for (zone, day, visit) in [
        ("America/New_York", "2026-10-31", "01T06:00 care round 01:30"),
        ("America/New_York", "2026-10-24", "25T06:00 care round 01:30"),
        ("Asia/Kolkata", "2026-10-24", "24T20:30 care round 01:30"),
    ] {
        let mut story = Story::of(zone, day, agreed_in(zone, night));
        story.at("20:00").bed(true).at("21:00").bed(false).at("11:00");
        assert_eq!(story.told()[0], "23:30 care not-in-bed", "{zone} {day}");
        let expected = match day {
            // 15 minutes before 02:15, which is an hour later than it would be: 01:30 comes twice.
            "2026-10-31" => "01T07:00 care round 01:30",
            _ => visit,
        };
        assert_eq!(utc_told(&story)[1..], [expected], "{zone} {day}");
    }
}

#[test]
fn a_window_within_one_day_has_its_night() {
    let night = "from = \"00:30\"\nuntil = \"06:30\"\nabsence_care_min = 30\nabsence_life_min = 0\nup_by = \"08:00\"\nrounds = [{ at = \"03:00\", latest = \"03:30\" }]";
    let mut story = Story::new(night);
    story
        .at("22:30")
        .bed(true)
        .at("23:00")
        .bed(false)
        .at("23:50")
        .bed(true)
        .at("01:00")
        .bed(false)
        .at("02:00")
        .bed(true);
    story.at("11:00");
    assert_eq!(story.told(), ["01:30 care absence", "02:00 over", "03:00 round-done 03:00", "08:00 care no-sign"]);
    let mut story = Story::new("from = \"00:30\"\nuntil = \"06:30\"\nabsence_care_min = 30");
    story.at("22:30").bed(true).at("23:00").bed(false).at("00:20").bed(true).at("11:00");
    assert_eq!(story.told(), NONE);
}
