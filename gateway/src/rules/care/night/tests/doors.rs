//! The door that leads out.

use super::*;

const NONE: [&str; 0] = [];

fn door(story: &mut Story, open: bool) -> &mut Story {
    story.event("front", Event::Door { open })
}

#[test]
fn an_opened_door_is_told_at_once_and_only_in_the_night() {
    let mut story = Story::new("");
    door(story.at("21:59"), true).at("21:59");
    door(&mut story, false).at("22:30").bed(true).at("03:10").bed(false);
    door(story.at("03:12"), true);
    assert_eq!(story.told(), ["03:12 care door"]);
    assert_eq!(story.words()[0].0, "Ytterdörren öppnades 03:12.");
    door(story.at("03:13"), false).at("03:20").bed(true).at("11:00");
    assert_eq!(story.told(), ["03:12 care door", "03:20 over"]);
}

#[test]
fn opened_and_closed_in_one_delivery_counts() {
    let mut story = Story::new("");
    story.at("22:30").bed(true).at("03:20");
    let front = device("front");
    story.home.late(&front, &Event::Door { open: true }, Some(local("2026-11-21 03:12")));
    story.home.late(&front, &Event::Door { open: false }, Some(local("2026-11-21 03:13")));
    story.at("11:00");
    assert_eq!(story.told(), ["03:20 care door"]);
    let raise = story.raises()[0];
    assert!(raise.delayed && raise.happened_at == local("2026-11-21 03:12"));
}

#[test]
fn a_door_that_stands_open_is_one_opening_and_the_next_joins_the_alarm_that_waits() {
    let mut story = Story::new("");
    story.at("22:30").bed(true);
    door(door(story.at("03:12"), true).at("03:20"), true);
    door(door(story.at("03:30"), false).at("03:40"), true).at("03:41");
    assert_eq!(story.told(), ["03:12 care door", "03:40 door-again", "03:40 again"]);
    // Once a person has closed it, the next is another.
    let alarm = story.raises()[0].alarm.clone();
    story.home.close(&alarm);
    door(door(&mut story, false).at("04:00"), true).at("11:00");
    assert_eq!(story.told()[3..], ["04:00 care door"]);
    assert_ne!(story.raises()[1].alarm, alarm);
}

#[test]
fn two_doors_opened_together_are_both_told() {
    let second = format!("{DEVICES}[[device]]\nid = \"balcony\"\nkind = \"door-sensor\"\nexit = true\n");
    let agreed = unsupervised(&parse(STOCKHOLM, "", &second).unwrap().0);
    let mut story = Story::of(STOCKHOLM, "2026-11-20", agreed);
    story.at("22:30").bed(true).at("03:20");
    for (id, at) in [("front", "03:12"), ("balcony", "03:10")] {
        story.home.late(&device(id), &Event::Door { open: true }, Some(local(&format!("2026-11-21 {at}"))));
    }
    story.at("11:00");
    assert_eq!(story.told(), ["03:20 care door", "03:20 care door"]);
}

#[test]
fn a_door_may_be_left_out_of_the_agreement() {
    let mut story = Story::new("door = \"off\"");
    door(story.at("03:12"), true).at("11:00");
    assert_eq!(story.told(), NONE);
}

#[test]
fn staff_in_the_home_explain_an_alarm_and_mute_none() {
    let mut story = Story::new("absence_care_min = 30");
    story.at("22:30").bed(true).at("02:30").bed(false).at("02:50").staff();
    door(story.at("03:15"), true).at("11:00");
    assert_eq!(story.told(), ["03:00 care absence", "03:15 care door", "04:00 life absence-life"]);
    let words = story.words();
    assert_eq!(words[1].0, "Ytterdörren öppnades 03:15. Personal var här 02:50.");
    assert!(words[0].1.ends_with("Staff was here at 02:50."));
    assert!(!words[2].1.contains("Staff"), "that visit is over");
    assert!(story.raises()[1].basis.as_ref().unwrap().seen.iter().any(|seen| seen.what == "staff"));
}

#[test]
fn what_comes_in_the_wrong_order_opens_the_door_once() {
    use crate::rules::care::Sight;
    use crate::rules::care::facts::Facts;
    use crate::rules::care::moment::At;
    use crate::rules::care::night::Nights;
    let (mut facts, mut nights) = (Facts::default(), Nights::default());
    let mut see = |seq: u64, open: bool, minutes: i64, record: u64| {
        let at = |minutes: i64| At { wall_ms: minutes * MIN, mono_ms: minutes * MIN, boot: 1, record };
        let (front, event) = (device("front"), Event::Door { open });
        let sight = Sight {
            device: &front,
            restart: 1,
            seq,
            event: &event,
            at: at(minutes),
            recorded: at(40),
            delayed: true,
            suspect: false,
        };
        nights.see(&sight, facts.see(&sight));
        nights.opened(&front).map(|at| at.wall_ms / MIN)
    };
    assert_eq!(see(1, false, 1, 1), None);
    assert_eq!(see(3, false, 13, 2), None);
    assert_eq!(see(2, true, 12, 3), Some(12), "told after it was closed, and an opening all the same");
    assert_eq!(see(2, true, 12, 4), Some(12));
    assert_eq!(see(4, true, 20, 5), Some(20));
    assert_eq!(see(5, true, 25, 6), Some(20), "stands open");
    // The device's clock was set back: its numbers say that it was closed and opened again.
    assert_eq!(see(6, false, 2, 7), Some(20));
    assert_eq!(see(7, true, 3, 8), Some(40));
}
