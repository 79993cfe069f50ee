//! No sign of life by the agreed time, and what changes of the agreement do.

use super::*;

const NONE: [&str; 0] = [];
const MORNING: &str = "absence_care_min = 0\nup_by = \"09:00\"";

#[test]
fn no_sign_by_the_agreed_time_is_told_and_its_end_too() {
    let mut story = Story::new(MORNING);
    story.at("22:30").bed(true).at("03:00").bed(false).at("03:10").bed(true).at("09:40").bed(false).at("11:00");
    assert_eq!(story.told(), ["09:00 care no-sign", "09:40 over"]);
    assert_eq!(story.words()[0].0, "Inget livstecken före 09:00. Det senaste var 03:10.");
    let agreed = &story.raises()[0].basis.as_ref().unwrap().agreed;
    assert!(agreed.contains(&("night.up_from".into(), "06:00".into())), "{agreed:?}");
}

#[test]
fn any_movement_in_the_morning_is_a_sign_and_a_sensor_that_repeats_itself_is_none() {
    let mut story = Story::new(MORNING);
    story.at("22:30").bed(true).at("07:00").motion().at("11:00");
    assert_eq!(story.told(), NONE);
    let mut story = Story::new(MORNING);
    story.at("22:30").bed(true).at("06:30").bed(true).at("08:00").bed(true).at("11:00");
    assert_eq!(story.told(), ["09:00 care no-sign"]);
    let mut story = Story::new(&format!("{MORNING}\nup_from = \"02:00\""));
    story.at("22:30").bed(true).at("03:00").bed(false).at("03:10").bed(true).at("11:00");
    assert_eq!(story.told(), NONE, "agreed so");
}

#[test]
fn movement_ends_what_no_sign_began() {
    let mut story = Story::new(MORNING);
    story.at("22:30").bed(true).at("09:20").motion().at("11:00");
    assert_eq!(story.told(), ["09:00 care no-sign", "09:20 over"]);
    assert_eq!(story.words()[1].1, "A sign of life at 09:20.");
}

#[test]
fn what_is_agreed_by_day_is_not_held_against_the_night_before() {
    let mut story = Story::new("absence_care_min = 720");
    story.at("22:30").bed(true).at("02:00").bed(false).at("03:30").bed(true).at("05:10").bed(false);
    story.at("09:00");
    let stricter = "absence_care_min = 10\nin_bed_by = \"22:15\"\nup_by = \"08:00\"\nvisits_up_max = 1\nrounds = [{ at = \"03:00\", latest = \"03:30\" }]";
    story.home.agree(agreed(stricter));
    story.at("11:00");
    assert_eq!(story.told(), NONE);
}

#[test]
fn what_was_missed_while_the_gateway_was_down_is_told_when_it_is_back() {
    let mut story =
        Story::new("absence_care_min = 30\nrounds = [{ at = \"03:00\", latest = \"03:30\" }]\nup_by = \"09:00\"");
    story.at("22:30").bed(true).at("02:00").bed(false);
    story.home.down_until(local("2026-11-21 10:00"));
    story.at("11:00");
    assert_eq!(
        story.told(),
        ["10:00 care absence", "10:00 life absence-life", "10:00 care round 03:00", "10:00 care no-sign"]
    );
    assert!(story.raises().iter().all(|raise| !raise.sv.is_empty()));
}
