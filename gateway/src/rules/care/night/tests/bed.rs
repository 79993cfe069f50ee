//! Out of bed, not in bed, and a bed that cannot be seen.

use super::*;

const NONE: [&str; 0] = [];

#[test]
fn an_absence_is_told_to_care_and_then_as_life_and_its_end_with_its_length() {
    let mut story = Story::new("absence_care_min = 30");
    story.at("22:30").bed(true).at("02:10").bed(false).at("04:00").bed(true).at("11:00");
    assert_eq!(story.told(), ["02:40 care absence", "03:40 life absence-life", "04:00 over", "04:00 over"]);
    let words = story.words();
    assert_eq!(words[0].0, "Inte i sängen på 30 minuter. Lämnade den 02:10.");
    assert_eq!(words[1].1, "Out of bed for 1 hour 30 minutes. Left it at 02:10.");
    assert_eq!(words[2].0, "Åter i sängen 04:00 efter 1 timme 50 minuter.");
    let raises = story.raises();
    assert_ne!(raises[0].alarm, raises[1].alarm, "each its own alarm");
    let basis = raises[0].basis.as_ref().unwrap();
    assert_eq!(basis.resident.as_deref(), Some("resident"));
    assert!(basis.agreed.contains(&("night.absence_care_min".into(), "30".into())), "{:?}", basis.agreed);
    assert_eq!((basis.seen[0].what.as_str(), basis.seen[0].at), ("bed empty", local("2026-11-21 02:10")));
}

/// Noon's clock was set two hours back before the sensor ever spoke: nothing in its numbers shows that.
#[test]
fn a_bed_whose_clock_is_behind_is_judged_by_when_its_word_comes() {
    const BEHIND: i64 = 120 * MIN;
    let bed = device("bed");
    let mut story = Story::new("absence_care_min = 30");
    story.home.alive(&bed, true);
    for (time, occupied) in [("22:30", true), ("02:10", false), ("02:50", true), ("04:00", false), ("04:20", true)] {
        story.at(time);
        let at = story.home.now_ms() - BEHIND;
        story.home.late(&bed, &Event::Bed { occupied }, Some(at));
    }
    story.at("11:00");
    assert_eq!(story.told(), ["02:40 care absence", "02:50 over"]);
    assert_eq!(story.words()[0].0, "Inte i sängen på 30 minuter. Lämnade den 02:10.");
    // What waits through an outage of its connection is late by more than its clock is, and keeps the order in which it happened.
    let mut story = Story::new("absence_care_min = 30");
    story.home.alive(&bed, true);
    story.at("22:30");
    let said = |occupied, at: &str| (Event::Bed { occupied }, local(at) - BEHIND);
    story.home.together(&bed, &[said(true, "2026-11-20 22:30")]);
    story.at("00:30").home.alive(&bed, false);
    story.at("02:55").home.alive(&bed, true);
    story.home.together(
        &bed,
        &[said(false, "2026-11-21 01:00"), said(true, "2026-11-21 01:20"), said(false, "2026-11-21 02:50")],
    );
    story.at("11:00");
    assert_eq!(story.told(), ["00:45 care bed-dark", "02:55 over", "03:20 care absence", "04:20 life absence-life"]);
    assert_eq!(story.words()[2].0, "Inte i sängen på 30 minuter. Lämnade den 02:50.");
}

#[test]
fn what_waited_though_the_connection_stood_keeps_its_time_where_the_uptime_shows_it() {
    let bed = device("bed");
    let mut story = Story::new("absence_care_min = 30");
    story.home.alive(&bed, true);
    let started = story.home.now_ms();
    let say = |story: &mut Story, now: &str, occupied: bool, happened: &str| {
        let at = local(happened);
        let uptime_ms = u64::try_from(at - started).expect("after its start");
        story.at(now).home.stamped(&bed, &Event::Bed { occupied }, Some(at), (1, uptime_ms));
    };
    say(&mut story, "22:30", true, "2026-11-20 22:30");
    // Nobody has heard that the line hung: 02:10 comes at 02:30.
    say(&mut story, "02:30", false, "2026-11-21 02:10");
    story.at("11:00");
    assert_eq!(story.told(), ["02:40 care absence", "03:40 life absence-life"]);
}

#[test]
fn who_is_back_in_time_or_gets_up_in_the_morning_is_not_told_of() {
    let mut story = Story::new("absence_care_min = 30");
    story.at("22:30").bed(true).at("02:10").bed(false).at("02:39").bed(true);
    // 30 minutes after 05:31 the night is over.
    story.at("05:31").bed(false).at("11:00");
    assert_eq!(story.told(), NONE);
    let mut story = Story::new("absence_care_min = 30");
    story.at("22:30").bed(true).at("05:29").bed(false).at("11:00");
    assert_eq!(story.told(), ["05:59 care absence"], "this one lasted within the night");
}

#[test]
fn a_nap_before_the_night_is_no_absence_and_a_bed_not_entered_is_told_once() {
    let mut story = Story::new("in_bed_by = \"23:30\"");
    story.at("20:00").bed(true).at("21:50").bed(false).at("00:40").bed(true).at("11:00");
    assert_eq!(story.told(), ["23:30 care not-in-bed", "00:40 over"]);
    assert_eq!(story.words()[0].0, "Inte i säng kl 23:30 som avtalat.");
    assert_eq!(story.words()[1].1, "In bed since 00:40.");
    let mut story = Story::new("in_bed_by = \"23:30\"\nabsence_care_min = 60");
    story.at("22:05").bed(true).at("23:20").bed(false).at("23:40").bed(true).at("11:00");
    assert_eq!(story.told(), NONE, "up for a while at that time, after having been in bed");
}

#[test]
fn a_bed_sensor_gone_dark_is_told_and_never_read_as_in_bed() {
    let mut story = Story::new("rounds = [{ at = \"03:00\", latest = \"03:30\" }]");
    story.home.alive(&device("bed"), true);
    story.at("22:30").bed(true).at("02:00").home.alive(&device("bed"), false);
    story.at("11:00");
    assert_eq!(story.told(), ["02:15 care bed-dark", "03:15 care round 03:00"]);
    assert_eq!(
        story.words()[0].0,
        "Sängsensorn tyst: titta till. Den hördes senast 22:30. Ingen vet om sängen är tom."
    );
    let due = |n: usize| story.raises()[n].basis.as_ref().unwrap().due_at.unwrap();
    assert_eq!((due(0), due(1)), (local("2026-11-21 02:45"), local("2026-11-21 03:30")));
}

#[test]
fn a_sensor_that_is_away_for_a_short_while_is_not_told_of() {
    let mut story = Story::new("");
    story.home.alive(&device("bed"), true);
    story.at("22:30").bed(true).at("02:00").home.alive(&device("bed"), false);
    story.at("02:14").home.alive(&device("bed"), true);
    story.at("11:00");
    assert_eq!(story.told(), NONE);
    // Away again, for long, and again: the alarm that waits is told of it, no other is raised.
    let mut story = Story::new("");
    story.home.alive(&device("bed"), true);
    for (gone, back) in [("02:00", "02:20"), ("03:00", "03:20")] {
        story.at(gone).home.alive(&device("bed"), false);
        story.at(back).home.alive(&device("bed"), true);
    }
    story.at("11:00");
    let told = ["02:15 care bed-dark", "02:20 over", "03:15 bed-dark-again", "03:15 again", "03:20 over"];
    assert_eq!(story.told(), told);
}

#[test]
fn a_sensor_behind_a_bridge_proves_nothing_when_it_was_silent_too_long() {
    let mut story = Story::new(
        "bed_heard_min = 120\nrounds = [{ at = \"23:00\", latest = \"23:30\" }, { at = \"03:00\", latest = \"03:30\" }]",
    );
    story.at("21:00").event("bed", Event::Alive {}).at("22:30").bed(true);
    story.at("00:20").event("bed", Event::Alive {}).at("01:00").event("bed", Event::Alive {}).at("11:00");
    // Its last word was at 01:00; from 03:00 on it counts for nothing.
    assert_eq!(story.told(), ["23:00 round-done 23:00", "03:00 care bed-dark", "03:15 care round 03:00"]);
    assert!(story.words()[2].0.ends_with("gick inte att göra genom sensor. Sängsensorn hörs inte."));
    assert_eq!(story.words()[0].1, "Look-in 23:00: in bed since 22:30. The sensor was last heard at 22:30.");
}

#[test]
fn an_absence_goes_on_while_its_sensor_is_silent() {
    let mut story = Story::new("absence_care_min = 30");
    story.home.alive(&device("bed"), true);
    story.at("22:30").bed(true).at("02:00").bed(false).at("02:05").home.alive(&device("bed"), false);
    story.at("11:00");
    assert_eq!(story.told(), ["02:30 care absence", "03:30 life absence-life"]);
    assert!(story.words()[0].0.ends_with("Sängsensorn hörs inte längre."));
}

#[test]
fn a_connection_of_before_the_gateway_started_proves_nothing_until_the_device_is_back() {
    let rounds = "rounds = [{ at = \"03:00\", latest = \"03:30\" }]";
    let mut story = Story::new(rounds);
    story.home.alive(&device("bed"), true);
    story.at("22:30").bed(true).at("02:59").home.restart();
    story.at("03:04").home.alive(&device("bed"), true);
    story.at("11:00");
    assert_eq!(story.told(), ["03:04 round-done 03:00"]);
    let mut story = Story::new(rounds);
    story.home.alive(&device("bed"), true);
    story.at("22:30").bed(true).at("02:59").home.restart();
    story.at("11:00");
    assert_eq!(story.told(), ["03:14 care bed-dark", "03:15 care round 03:00"]);
}

#[test]
fn with_two_beds_who_lies_in_either_is_in_bed() {
    let second = format!("{DEVICES}[[device]]\nid = \"sofa\"\nkind = \"bed-sensor\"\n");
    let agreed = unsupervised(&parse(STOCKHOLM, "absence_care_min = 30\nvisits_up_max = 1", &second).unwrap().0);
    let mut story = Story::of(STOCKHOLM, "2026-11-20", agreed);
    let sofa = |occupied| ("sofa", Event::Bed { occupied });
    story.event("sofa", Event::Bed { occupied: false });
    story.at("22:30").bed(true).at("01:00").bed(false).at("01:10").event(sofa(true).0, sofa(true).1);
    story.at("03:00").event("sofa", Event::Bed { occupied: false }).at("03:05").bed(true);
    story.at("04:00").event("sofa", Event::Bed { occupied: true }).at("04:05").bed(false).at("05:00").bed(true);
    story.at("05:01").event("sofa", Event::Bed { occupied: false }).at("05:05").bed(false).at("11:00");
    // 01:00 and 03:00 are two visits up; at 04:05 and 05:01 the other bed had somebody in it.
    assert_eq!(
        story.told(),
        ["03:01 care visits-up", "05:06 visits-up-again", "05:06 again counted", "05:35 care absence"]
    );
}

#[test]
fn many_visits_up_are_one_alarm_a_night() {
    let mut story = Story::new("visits_up_max = 2");
    story.at("22:30").bed(true);
    for hour in ["23", "00", "01", "02", "03"] {
        story.at(&format!("{hour}:10")).bed(false).at(&format!("{hour}:14")).bed(true);
    }
    // A turn in bed is none.
    story.at("04:00").bed(false);
    let turned = story.home.now_ms() + 20_000;
    story.home.until(turned);
    story.bed(true).at("11:00");
    let told = story.told();
    let expected = [
        "01:11 care visits-up",
        "02:11 visits-up-again",
        "02:11 again counted",
        "03:11 visits-up-again",
        "03:11 again counted",
    ];
    assert_eq!(told, expected);
    assert_eq!(story.words()[0].0, "Uppe 3 gånger i natt. Avtalat är högst 2.");
    assert_eq!(story.home.alarms.open().next().unwrap().count, 3);
}

#[test]
fn what_was_delivered_late_is_judged_by_when_it_happened() {
    // Left and back during an outage: no alarm between the two words.
    let mut story = Story::new("absence_care_min = 30");
    story.at("22:30").bed(true).at("04:00");
    let bed = device("bed");
    story.home.late(&bed, &Event::Bed { occupied: false }, Some(local("2026-11-21 02:10")));
    story.home.late(&bed, &Event::Bed { occupied: true }, Some(local("2026-11-21 03:10")));
    story.at("11:00");
    assert_eq!(story.told(), NONE);
    // Left, and not back: told as soon as the device has nothing more to say.
    let mut story = Story::new("absence_care_min = 30");
    story.at("22:30").bed(true).at("04:00");
    story.home.late(&bed, &Event::Bed { occupied: false }, Some(local("2026-11-21 02:10")));
    story.at("11:00");
    assert_eq!(story.told(), ["04:00 care absence", "04:00 life absence-life"]);
    assert_eq!(story.words()[0].1, "Out of bed for 1 hour 50 minutes. Left it at 02:10.");
}

#[test]
fn a_bed_that_is_dark_hides_no_absence_from_another() {
    let second = format!("{DEVICES}[[device]]\nid = \"sofa\"\nkind = \"bed-sensor\"\n");
    let agreed = || unsupervised(&parse(STOCKHOLM, "absence_care_min = 30", &second).unwrap().0);
    // The sofa's sensor died in the afternoon with somebody on it, and before that was never heard of.
    let mut died = Story::of(STOCKHOLM, "2026-11-20", agreed());
    died.home.alive(&device("sofa"), true);
    died.event("sofa", Event::Bed { occupied: true }).at("15:00").home.alive(&device("sofa"), false);
    let never = Story::of(STOCKHOLM, "2026-11-20", agreed());
    for mut story in [died, never] {
        story.at("22:30").bed(true).at("02:00").bed(false).at("11:00");
        let told = story.told();
        assert!(told.contains(&"02:30 care absence".to_owned()), "{told:?}");
    }
    // The bed dies with somebody in it after the sofa was left: nobody knows, and a person is asked to look.
    let mut story = Story::of(STOCKHOLM, "2026-11-20", agreed());
    story.home.alive(&device("bed"), true);
    story.event("sofa", Event::Bed { occupied: true }).at("22:20").event("sofa", Event::Bed { occupied: false });
    story.at("22:30").bed(true).at("02:00").home.alive(&device("bed"), false);
    story.at("03:00").event("sofa", Event::Bed { occupied: true }).at("05:00");
    assert_eq!(story.told(), ["02:15 care bed-dark", "03:00 over"]);
    assert_eq!(story.words().last().unwrap().1, "In bed since 03:00.");
    // A restart makes every connection dark for a moment: no absence comes of it.
    let mut story = Story::of(STOCKHOLM, "2026-11-20", agreed());
    story.home.alive(&device("bed"), true);
    story.event("sofa", Event::Bed { occupied: false });
    story.at("22:30").bed(true).at("01:00").event("sofa", Event::Bed { occupied: true });
    story.at("01:01").event("sofa", Event::Bed { occupied: false }).at("03:00").home.restart();
    story.at("03:05").home.alive(&device("bed"), true);
    story.at("06:00");
    assert_eq!(story.told(), NONE);
}
