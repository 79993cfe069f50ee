//! Who may look.

use super::*;

fn wish(slot: Option<&str>, clear: bool) -> Wish {
    let slot_at = slot.map(Story::slot_at);
    Wish::Open { resident: "r1".into(), slot_at, alarm: None, purpose: "round".into(), clear }
}

#[test]
fn only_in_its_slot_once_and_one_at_a_time() {
    let mut story = Story::new();
    refused(story.at("22:59").open("23:00", "anna"), "has not come");
    let look = story.at("23:00").open("23:00", "anna").unwrap();
    refused(story.open("23:00", "bo"), "open for anna");
    story.wish(Wish::End { look, shown_ms: 30_000, why: "time".into() }, "gateway").unwrap();
    refused(story.open("23:00", "bo"), "looked at already");
    refused(story.at("23:31").open("23:00", "anna"), "is over");
    refused(story.wish(wish(None, false), "anna"), "one of them");
    refused(story.at("01:31").wish(wish(Some("01:30"), true), "anna"), "seen clearly");
    refused(story.at("01:32").open("01:00", "anna"), "no look-in is planned");
    refused(story.open("01:30", " "), "who looks");
}

#[test]
fn a_try_without_a_picture_may_be_made_again_but_not_for_ever() {
    let mut story = Story::new();
    story.at("23:01");
    for _ in 0..crate::limits::LOOK_TRIES_MAX {
        let look = story.open("23:00", "anna").unwrap();
        story.wish(Wish::End { look, shown_ms: 0, why: "path_down".into() }, "gateway").unwrap();
    }
    refused(story.open("23:00", "anna"), "tried 5 times");
}

#[test]
fn an_alarm_opens_the_camera_where_that_is_agreed_while_it_is_new_and_open() {
    let mut story = Story::new();
    let raise = |story: &mut Story, id: &str, event: Event| {
        story.home.event(&device(id), &event);
        let raised = story.home.log.iter().rev().find_map(|(_, decision)| match decision {
            Decision::Raise(raise) => Some(raise.alarm.clone()),
            _ => None,
        });
        raised.expect("an alarm")
    };
    let open = |alarm: &vaka_protocol::AlarmId| Wish::Open {
        resident: "r1".into(),
        slot_at: None,
        alarm: Some(alarm.clone()),
        purpose: "alarm".into(),
        clear: false,
    };
    story.at("20:00");
    let fall = raise(&mut story, "reader", Event::Fall { impact_mg: None, still_s: None });
    let smoke = raise(&mut story, "reader", Event::Smoke { active: true });
    refused(story.wish(open(&smoke), "anna"), "not agreed");
    let look = story.wish(open(&fall), "anna").unwrap();
    story.wish(Wish::End { look, shown_ms: 30_000, why: "time".into() }, "gateway").unwrap();
    refused(story.wish(open(&fall), "bo"), "looked at already");
    let old = raise(&mut story, "lamp", Event::Fall { impact_mg: None, still_s: None });
    story.at("20:31");
    refused(story.wish(open(&old), "anna"), "too old");
    let closed = raise(&mut story, "lamp", Event::Smoke { active: true });
    story.home.close(&closed);
    refused(story.wish(open(&closed), "anna"), "not agreed");
}

#[test]
fn only_whoever_looked_says_what_they_saw_once() {
    let mut story = Story::new();
    let look = story.at("23:05").look("23:00", None);
    refused(story.wish(Wish::Outcome { look, outcome: LookOutcome::Calm }, "bo"), "only anna looked");
    story.wish(Wish::Outcome { look, outcome: LookOutcome::Calm }, "anna").unwrap();
    story.wish(Wish::Outcome { look, outcome: LookOutcome::Calm }, "anna").expect("a second tap of the same finger");
    refused(story.wish(Wish::Outcome { look, outcome: LookOutcome::NeedsVisit }, "anna"), "already");
    refused(story.wish(Wish::Outcome { look: 999_999, outcome: LookOutcome::Calm }, "anna"), "no look");
}

#[test]
fn a_no_ends_a_look_that_is_open() {
    let mut story = Story::new();
    let look = story.at("23:05").open("23:00", "anna").unwrap();
    assert!(!story.home.must_end(look));
    story.decline("");
    assert!(story.home.must_end(look));
}

#[test]
fn checks_are_due_before_each_slot_and_again_until_somebody_has_looked() {
    let mut story = Story::new();
    let due = |story: &Story| story.home.checks_due().len();
    assert_eq!(due(story.at("22:54")), 0);
    assert_eq!(due(story.at("22:55")), 1);
    story.check("23:00", "well");
    assert_eq!(due(story.at("23:00")), 0, "fresh");
    assert_eq!(due(story.at("23:06")), 1);
    story.look("23:00", Some(LookOutcome::Calm));
    assert_eq!(due(story.at("23:20")), 0, "settled");
    story.decline("");
    assert_eq!(due(story.at("01:31")), 0, "not while the resident says no");
}

#[test]
fn not_tonight_holds_for_an_alarm_too_and_ends_a_look_that_one_opened() {
    let mut story = Story::new();
    let fall = |story: &mut Story, id: &str| {
        story.event(id, Event::Fall { impact_mg: None, still_s: None });
        let raised = story.home.log.iter().rev().find_map(|(_, decision)| match decision {
            Decision::Raise(raise) if raise.rule != NAME => Some(raise.alarm.clone()),
            _ => None,
        });
        let alarm = raised.expect("an alarm");
        Wish::Open { resident: "r1".into(), slot_at: None, alarm: Some(alarm), purpose: "alarm".into(), clear: false }
    };
    let open = fall(story.at("20:00"), "reader");
    let look = story.wish(open, "anna").unwrap();
    assert!(!story.home.must_end(look));
    story.decline("");
    assert!(story.home.must_end(look), "said while somebody looks");
    story.wish(Wish::End { look, shown_ms: 9_000, why: "said_no".into() }, "gateway").unwrap();
    let open = fall(story.at("02:00"), "lamp");
    refused(story.wish(open, "anna"), "does not want");
}

#[test]
fn who_looked_for_an_alarm_and_did_not_call_it_calm_sends_somebody() {
    for (outcome, goes) in [
        (Some(LookOutcome::Calm), 0),
        (Some(LookOutcome::NeedsVisit), 1),
        (Some(LookOutcome::CouldNotTell), 1),
        (None, 1),
    ] {
        let mut story = Story::new();
        story.at("20:00").event("reader", Event::Fall { impact_mg: None, still_s: None });
        let alarm = story.home.log.iter().rev().find_map(|(_, decision)| match decision {
            Decision::Raise(raise) => Some(raise.alarm.clone()),
            _ => None,
        });
        let open = Wish::Open { resident: "r1".into(), slot_at: None, alarm, purpose: "alarm".into(), clear: false };
        let look = story.wish(open, "anna").unwrap();
        story.wish(Wish::End { look, shown_ms: 15_000, why: "time".into() }, "gateway").unwrap();
        if let Some(outcome) = outcome {
            story.wish(Wish::Outcome { look, outcome }, "anna").unwrap();
        }
        story.at("20:10");
        let sent = story.raises().iter().filter(|raise| raise.cause == OF_ALARM).count();
        assert_eq!(sent, goes, "{outcome:?}: {:?}", story.told());
    }
}

#[test]
fn calm_in_a_picture_that_stands_still_is_no_look_in() {
    for (found, calm) in [("well", true), ("dark", true), ("frozen", false), ("moved", false)] {
        let mut story = Story::new();
        story.at("22:55").check("23:00", found);
        story.at("23:02").look("23:00", Some(LookOutcome::Calm));
        story.at("23:20");
        let visits = story.raises().iter().filter(|raise| raise.cause == "look 23:00").count();
        assert_eq!(visits == 0, calm, "{found}: {:?}", story.told());
    }
}

#[test]
fn a_check_makes_no_sound_and_a_look_is_over_when_its_light_goes_out() {
    let mut story = Story::with("instead", "instead = \"visit\"\nsound = true");
    story.at("22:55").check("23:00", "well");
    let sounds = |story: &Story| {
        let sent = story.home.log.iter().filter_map(|(_, decision)| match decision {
            Decision::Send(send) => Some(&send.command),
            _ => None,
        });
        sent.filter(|command| matches!(command, Command::Feedback { sound: Some(_), .. })).count()
    };
    assert_eq!(sounds(&story), 0);
    let look = story.at("23:00").open("23:00", "anna").unwrap();
    assert!(!story.home.must_end(look));
    let ends_at = story.home.care.look.get(look).expect("known").asked.ends_at;
    story.home.until(ends_at);
    assert!(story.home.must_end(look));
}

#[test]
fn a_check_that_somebody_asks_for_lights_the_lamp_shows_nobody_anything_and_makes_no_look_in() {
    let mut story = Story::new();
    let camera = || device("cam");
    let look = story.at("20:00").wish(Wish::Try { camera: camera() }, "ture").unwrap();
    let seen = story.home.care.look.get(look).unwrap();
    assert_eq!((seen.asked.by.as_deref(), seen.asked.purpose.as_str(), seen.asked.slot), (None, "check by ture", None));
    assert_eq!(story.lights(), [Light::Steady]);
    refused(story.wish(Wish::Try { camera: camera() }, "bo"), "being checked");
    let accept = |look| Wish::Accept { look, reference: "aa".into(), why: "moved to the other wall".into() };
    refused(story.wish(accept(look), "ture"), "found `nothing`");
    story.wish(Wish::Checked { look, found: "moved".into(), reference: Some("aa".into()) }, "gateway").unwrap();
    story.wish(Wish::End { look, shown_ms: 0, why: "checked".into() }, "gateway").unwrap();
    assert_eq!(story.lights(), [Light::Steady, Light::Off]);
    refused(story.wish(accept(look), ""), "nobody is named");
    refused(story.wish(Wish::Accept { look, reference: "aa".into(), why: " ".into() }, "ture"), "purpose");
    story.wish(accept(look), "ture").expect("a view of a room, also of another");
    let known = camera_known(&story.home.care, &camera(), story.home.now_ms());
    assert_eq!((known.found.as_deref(), known.is_open), (Some("moved"), false));

    let dark = story.wish(Wish::Try { camera: camera() }, "ture").unwrap();
    assert!(camera_known(&story.home.care, &camera(), story.home.now_ms()).is_open);
    story.wish(Wish::Checked { look: dark, found: "dark".into(), reference: Some("bb".into()) }, "gateway").unwrap();
    refused(story.wish(accept(dark), "ture"), "found `dark`");
    story.wish(Wish::End { look: dark, shown_ms: 0, why: "checked".into() }, "gateway").unwrap();
    story.at("03:00");
    let made = story.told().iter().any(|told| told.contains("look-done"));
    assert!(!made, "{:?}", story.told());
}

#[test]
fn a_check_that_somebody_asks_for_needs_an_agreement_and_no_no_and_gives_way_to_whoever_looks() {
    let mut story = Story::new();
    let wish = || Wish::Try { camera: device("cam") };
    refused(story.at("20:00").wish(Wish::Try { camera: device("cam-2") }, "ture"), "nobody has agreed");
    refused(story.wish(wish(), " "), "nobody is named");
    let looking = story.at("23:05").open("23:00", "anna").unwrap();
    refused(story.wish(wish(), "ture"), "open for anna");
    story.wish(Wish::End { look: looking, shown_ms: 0, why: "viewer".into() }, "gateway").unwrap();
    let check = story.wish(wish(), "ture").unwrap();
    assert!(!story.home.must_end(check));
    story.open("23:00", "anna").expect("a check stands in nobody's way");
    assert!(story.home.must_end(check), "it gives way");

    let mut story = Story::new();
    let check = story.at("20:00").wish(wish(), "ture").unwrap();
    story.decline("");
    assert!(story.home.must_end(check), "said while it is open");
    story.wish(Wish::End { look: check, shown_ms: 0, why: "gave_way".into() }, "gateway").unwrap();
    refused(story.wish(wish(), "ture"), "does not want");
}

#[test]
fn the_veil_comes_off_in_the_same_look_for_whoever_looks_where_that_is_agreed_and_while_it_lasts() {
    let mut story = Story::new();
    let look = story.at("23:05").open("23:00", "anna").unwrap();
    refused(story.wish(Wish::Unveil { look, resident: "r1".into() }, "anna"), "seen clearly");

    let mut story = Story::with("may_see_clearly", "may_see_clearly = true");
    let look = story.at("23:05").open("23:00", "anna").unwrap();
    let is_unveiled = |story: &Story, look| story.home.care.look.state(look).is_unveiled;
    assert!(!is_unveiled(&story, look), "veiled until it is asked otherwise");
    refused(story.wish(Wish::Unveil { look, resident: "r1".into() }, "bo"), "only anna looks");
    refused(story.wish(Wish::Unveil { look, resident: "r2".into() }, "anna"), "no look");
    assert!(!is_unveiled(&story, look));
    story.wish(Wish::Unveil { look, resident: "r1".into() }, "anna").unwrap();
    assert!(is_unveiled(&story, look));
    story.wish(Wish::Unveil { look, resident: "r1".into() }, "anna").expect("a second tap of the same finger");
    let ends_at = story.home.care.look.get(look).unwrap().asked.ends_at;
    story.wish(Wish::End { look, shown_ms: 30_000, why: "time".into() }, "gateway").unwrap();
    refused(story.wish(Wish::Unveil { look, resident: "r1".into() }, "anna"), "is over");
    assert_eq!(story.home.care.look.get(look).unwrap().asked.ends_at, ends_at, "no longer for it");
    refused(story.wish(Wish::Unveil { look: 999_999, resident: "r1".into() }, "anna"), "no look");

    // A check shows nobody anything, veiled or not.
    let mut story = Story::with("may_see_clearly", "may_see_clearly = true");
    let check = story.at("20:00").wish(Wish::Try { camera: device("cam") }, "ture").unwrap();
    refused(story.wish(Wish::Unveil { look: check, resident: "r1".into() }, "ture"), "only the gateway looks");
}
