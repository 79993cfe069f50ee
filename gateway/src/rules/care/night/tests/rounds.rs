//! The planned look-ins.

use super::*;
use crate::rules::care::night::{RoundState, tonights_rounds};

const NONE: [&str; 0] = [];
const ROUNDS: &str =
    "absence_care_min = 0\nrounds = [{ at = \"23:00\", latest = \"23:30\" }, { at = \"03:00\", latest = \"03:30\" }]";

fn with(more: &str) -> Story {
    Story::new(&format!("{ROUNDS}\n{more}"))
}

#[test]
fn in_bed_by_a_sensor_that_is_heard_is_a_look_in_made() {
    let mut story = with("");
    story.at("22:31").bed(true).at("11:00");
    assert_eq!(story.told(), ["23:00 round-done 23:00", "03:00 round-done 03:00"]);
    assert_eq!(story.words()[1].0, "Tillsyn 03:00: i sängen sedan 22:31. Sensorn hördes senast 22:31.");
}

#[test]
fn what_a_full_disk_refused_of_the_bed_leaves_nothing_proven() {
    let refused = |story: &mut Story| story.home.refused(&device("bed"));
    let mut story = with("");
    story.at("22:31").bed(true).at("02:00");
    refused(&mut story);
    story.at("02:10");
    refused(&mut story);
    // Its charge is heard, which says nothing of the bed.
    story.at("02:30").event("bed", Event::Battery { percent: Some(80), low: false }).at("11:00");
    assert_eq!(story.told(), ["23:00 round-done 23:00", "02:15 care bed-dark", "03:15 care round 03:00"]);
    assert_eq!(
        story.words()[1].1,
        "Bed not known: please visit. What the bed sensor said was not taken. It was last heard at 22:31. Nobody knows whether the bed is empty."
    );
    assert_eq!(
        story.words()[2].1,
        "Visit by 03:30. The 03:00 look-in could not be made by sensor. What the bed sensor said was not taken."
    );
    // Once it says anew how the bed is, it is believed again; also across a restart between.
    let mut story = with("");
    story.at("22:31").bed(true).at("02:00");
    refused(&mut story);
    story.home.restart();
    story.at("02:03").bed(true).at("11:00");
    assert_eq!(story.told(), ["23:00 round-done 23:00", "03:00 round-done 03:00"]);
    // What another device could not say is not of the bed.
    let mut story = with("");
    story.at("22:31").bed(true).at("02:00");
    story.home.refused(&device("hall"));
    story.at("11:00");
    assert_eq!(story.told(), ["23:00 round-done 23:00", "03:00 round-done 03:00"]);
}

#[test]
fn what_was_refused_of_a_bridge_may_have_been_of_the_bed_behind_it() {
    let mut agreed = Agreed::clone(&agreed(ROUNDS));
    let bed = agreed.devices.get_mut(&device("bed")).expect("it is agreed");
    bed.silence.via = Some(device("z2m"));
    let mut story = Story::of(STOCKHOLM, "2026-11-20", Arc::new(agreed));
    story.at("22:31").event("z2m", Event::Alive {}).bed(true).at("02:00");
    story.home.refused(&device("z2m"));
    story.at("11:00");
    assert_eq!(story.told().last().map(String::as_str), Some("03:15 care round 03:00"));
}

#[test]
fn what_no_sensor_proves_is_a_visit_asked_for_before_the_latest_time() {
    let mut story = with("");
    story.at("22:30").bed(true).at("02:40").bed(false).at("11:00");
    assert_eq!(story.told(), ["23:00 round-done 23:00", "03:15 care round 03:00"]);
    let raise = story.raises()[0];
    assert_eq!(raise.stc, 10, "help needed");
    assert_eq!(raise.basis.as_ref().unwrap().due_at, Some(local("2026-11-21 03:30")));
    let (sv, en) = &story.words()[1];
    assert_eq!(
        sv,
        "Besök före 03:30. Tillsynen 03:00 gick inte att göra genom sensor. Sängen är tom sedan 02:40 och ingen rörelse har synts."
    );
    assert!(en.starts_with("Visit by 03:30. The 03:00 look-in could not be made by sensor."));
}

#[test]
fn who_comes_back_to_bed_in_time_needs_no_visit_and_after_it_the_visit_hears_of_it() {
    let mut story = with("");
    story.at("22:30").bed(true).at("02:40").bed(false).at("03:07").bed(true).at("11:00");
    assert_eq!(story.told()[1..], ["03:07 round-done 03:00"]);
    let mut story = with("");
    story.at("22:30").bed(true).at("02:40").bed(false).at("03:20").bed(true).at("11:00");
    assert_eq!(story.told()[1..], ["03:15 care round 03:00", "03:20 over"]);
    assert_eq!(story.words()[2].1, "Look-in 03:00: in bed since 03:20. The sensor was last heard at 03:20.");
}

#[test]
fn who_is_up_and_moves_is_seen() {
    let mut story = with("");
    story.at("22:30").bed(true).at("02:40").bed(false).at("03:02").motion().at("11:00");
    assert_eq!(story.told()[1..], ["03:02 round-done 03:00"]);
    assert_eq!(
        story.words()[1],
        ("Tillsyn 03:00: uppe, rörde sig 03:02.".into(), "Look-in 03:00: up, moved at 03:02.".into())
    );
    // A moment before counts; what moved before the bed was left, or long before, does not.
    let mut story = with("");
    story.at("22:30").bed(true).at("02:40").bed(false).at("02:52").motion().at("11:00");
    assert_eq!(story.told()[1..], ["03:00 round-done 03:00"]);
    for (moved, left) in [("02:54", "02:55"), ("02:49", "02:40")] {
        let mut story = with("");
        story.at("22:30").bed(true);
        if moved < left {
            story.at(moved).motion().at(left).bed(false);
        } else {
            story.at(left).bed(false).at(moved).motion();
        }
        story.at("11:00");
        assert_eq!(story.told()[1..], ["03:15 care round 03:00"]);
    }
}

#[test]
fn a_button_by_the_bed_does_not_say_that_anybody_is_up() {
    let mut story = with("");
    story.at("22:30").bed(true).at("02:40").bed(false).at("03:05").decline("another").at("11:00");
    assert_eq!(story.told()[1..], ["03:15 care round 03:00"]);
}

#[test]
fn the_way_out_is_no_proof() {
    let mut story = with("door = \"off\"");
    story.at("22:30").bed(true).at("02:58").bed(false);
    story
        .at("03:02")
        .event("front", Event::Door { open: true })
        .at("03:03")
        .event("front", Event::Door { open: false })
        .at("11:00");
    assert_eq!(story.told()[1..], ["03:15 care round 03:00"]);
}

#[test]
fn staff_in_the_home_make_the_look_in() {
    let mut story = with("");
    story.at("22:30").bed(true).at("02:40").bed(false).at("02:50").staff().at("11:00");
    assert_eq!(story.told()[1..], ["03:00 round-done 03:00"]);
    assert_eq!(story.words()[1].0, "Tillsyn 03:00: personal var här 02:50.");
    // A visit that ended before does not.
    let mut story = with("staff_visit_min = 10");
    story.at("22:30").bed(true).at("02:40").bed(false).at("02:50").staff().at("11:00");
    assert_eq!(story.told()[1..], ["03:15 care round 03:00"]);
}

#[test]
fn a_look_in_declined_is_a_visit_or_nothing_as_agreed() {
    let mut story = with("declined = \"nothing\"");
    story.at("22:30").bed(true).at("22:40").decline("03:00").at("11:00");
    assert_eq!(story.told(), ["23:00 round-done 23:00", "03:00 round-declined 03:00"]);
    assert_eq!(story.words()[1].1, "Look-in 03:00: declined at 22:40. Nobody comes, as agreed.");
    let mut story = with("");
    story.at("22:30").bed(true).at("22:40").decline("03:00").at("11:00");
    assert_eq!(story.told(), ["23:00 round-done 23:00", "03:00 care round 03:00"]);
    assert!(story.words()[1].0.starts_with("Besök före 03:30. Tillsynen 03:00 genom sensor avböjdes 22:40"));
}

#[test]
fn not_tonight_is_the_next_one_and_holds_once() {
    let mut story = with("declined = \"nothing\"");
    story.at("21:00").decline("").at("22:30").bed(true).at("11:00");
    assert_eq!(story.told(), ["23:00 round-declined 23:00", "03:00 round-done 03:00"]);
    let (evening, next) = (local("2026-11-21 20:00"), local("2026-11-22 11:00"));
    story.home.until(evening);
    story.bed(true).home.until(next);
    assert_eq!(story.told()[2..], ["23:00 round-done 23:00", "03:00 round-done 03:00"]);
    // Of another night's, and of what nobody calls so: nothing.
    let mut story = with("declined = \"nothing\"");
    story.at("12:40").decline("04:00").at("22:30").bed(true).at("03:10").decline("03:00");
    story.home.until(evening);
    story.bed(true).home.until(next);
    assert_eq!(story.told()[2..], ["23:00 round-done 23:00", "03:00 round-done 03:00"], "declined after it was made");
}

#[test]
fn a_look_in_that_fell_into_an_outage_is_made_late_by_what_is_proven_then() {
    let mut story = with("");
    story.at("22:30").bed(true).at("02:00").home.down_until(local("2026-11-21 04:00"));
    story.at("11:00");
    assert_eq!(story.told()[1..], ["04:00 round-done 03:00"]);
    assert!(story.words()[1].1.ends_with("Late: agreed was by 03:30."));
    let mut story = with("");
    story.at("22:30").bed(true).at("02:00").bed(false).home.down_until(local("2026-11-21 04:00"));
    story.at("11:00");
    assert_eq!(story.told()[1..], ["04:00 care round 03:00"]);
}

#[test]
fn nothing_is_missed_before_anything_was_agreed() {
    let mut story = Story::of(STOCKHOLM, "2026-11-20", Arc::new(Agreed::default()));
    story.at("23:50").home.agree(agreed("in_bed_by = \"23:00\"\nrounds = [{ at = \"23:00\", latest = \"23:30\" }]"));
    story.at("04:00");
    assert_eq!(story.told(), NONE);
}

#[test]
fn the_board_reads_how_far_each_is() {
    let agreed = agreed(&format!("{ROUNDS}\ndeclined = \"nothing\""));
    let mut story = Story::of(STOCKHOLM, "2026-11-20", agreed.clone());
    let states = |story: &Story| -> Vec<(String, RoundState)> {
        let rounds = tonights_rounds(&story.home.care, &agreed, &agreed.people[0], story.home.now_ms());
        rounds.into_iter().map(|round| (round.slot, round.state)).collect()
    };
    let planned = |slot: &str| (slot.to_owned(), RoundState::Planned);
    assert_eq!(states(&story), [planned("23:00"), planned("03:00")]);
    story.at("23:05");
    assert_eq!(states(&story), [("23:00".into(), RoundState::Trying), planned("03:00")]);
    story.at("23:10").bed(true);
    let done = RoundState::Done { said: story.words()[0].clone() };
    assert_eq!(states(&story)[0].1, done);
    story.at("23:40").decline("03:00");
    assert_eq!(states(&story), [("23:00".into(), done), ("03:00".into(), RoundState::Declined)]);
    story.at("05:00");
    assert_eq!(states(&story)[1].1, RoundState::Declined);
    // The night after begins anew.
    let late = local("2026-11-21 23:20");
    story.bed(false).home.until(late);
    let alarm = story.raises().last().unwrap().alarm.clone();
    assert_eq!(states(&story), [("23:00".into(), RoundState::Visit { alarm }), planned("03:00")]);
}
