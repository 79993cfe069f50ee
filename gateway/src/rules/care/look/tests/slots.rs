//! How look-ins end.

use super::*;

#[test]
fn a_calm_look_makes_it_and_nothing_else_does() {
    let mut story = Story::new();
    story.at("23:05").look("23:00", Some(LookOutcome::Calm));
    // Who is up and about is not seen by anybody.
    story.event("reader", Event::Motion {}).at("01:35").event("reader", Event::Motion {}).at("02:40");
    assert_eq!(story.told(), ["14:30 visit look 14:00", "23:05 look-done 23:00", "02:20 visit look 01:30"]);
    let raise = story.raises()[1];
    assert_eq!(raise.lane, Lane::Care);
    let basis = raise.basis.as_ref().unwrap();
    assert_eq!(basis.due_at, Some(local("2026-11-21 02:30")));
    assert!(raise.sv.starts_with("Besök före 02:30.") && raise.sv.ends_with("Ingen har tittat."), "{}", raise.sv);
    assert!(basis.agreed.contains(&("look.lead_min".into(), "10".into())), "{:?}", basis.agreed);
}

#[test]
fn who_is_needed_is_sent_for_at_once() {
    let mut story = Story::new();
    story.at("23:05").look("23:00", Some(LookOutcome::NeedsVisit));
    assert_eq!(story.told().last().unwrap(), "23:05 visit look 23:00");
    assert!(story.raises()[1].en.contains("Somebody is needed, saw anna."), "{}", story.raises()[1].en);
}

#[test]
fn who_could_not_tell_looks_again_once_where_that_is_agreed_and_there_is_time() {
    let mut story = Story::new();
    story.at("01:31").look("01:30", Some(LookOutcome::CouldNotTell));
    assert_eq!(story.told().last().unwrap(), "23:20 visit look 23:00", "none yet for this one");
    refused(story.open("01:30", "anna"), "15 minutes");
    story.at("01:47").look("01:30", Some(LookOutcome::CouldNotTell));
    assert_eq!(story.told().last().unwrap(), "01:47 visit look 01:30", "once");
    // No time before the visit has to be asked for, and none agreed.
    let mut late = Story::new();
    late.at("23:06").look("23:00", Some(LookOutcome::CouldNotTell));
    assert_eq!(late.told().last().unwrap(), "23:06 visit look 23:00");
    let mut once = Story::with("second", "second_look_after_min = 0");
    once.at("01:31").look("01:30", Some(LookOutcome::CouldNotTell));
    assert_eq!(once.told().last().unwrap(), "01:31 visit look 01:30");
}

#[test]
fn a_second_look_that_nobody_makes_is_a_visit_in_time() {
    let mut story = Story::new();
    story.at("01:31").look("01:30", Some(LookOutcome::CouldNotTell));
    story.at("02:40");
    assert_eq!(story.told().last().unwrap(), "02:20 visit look 01:30");
}

#[test]
fn who_says_nothing_is_asked_again_and_then_somebody_is_sent() {
    let mut story = Story::new();
    story.at("23:05").look("23:00", None);
    story.at("23:29");
    assert_eq!(story.told()[1..], ["23:06 look-asked-again", "23:07 visit look 23:00"]);
    assert!(story.raises()[1].en.contains("anna who looked has not said"), "{}", story.raises()[1].en);
}

#[test]
fn a_fault_is_a_visit_with_its_reason_in_time_and_a_camera_that_is_well_again_none() {
    for (found, sv) in [("dark", "för mörkt"), ("path_down", "går inte att nå"), ("no_light", "lampa svarar inte")]
    {
        let mut story = Story::new();
        story.at("22:56").check("23:00", found);
        story.at("23:29");
        assert_eq!(story.told().last().unwrap(), "23:20 visit look 23:00");
        assert!(story.raises()[1].sv.contains(sv), "{}", story.raises()[1].sv);
    }
    let mut story = Story::new();
    story.at("22:56").check("23:00", "dark");
    story.at("23:06").check("23:00", "well");
    story.at("23:10").look("23:00", Some(LookOutcome::Calm));
    assert_eq!(story.told().last().unwrap(), "23:10 look-done 23:00");
}

#[test]
fn a_look_without_a_picture_is_none() {
    let mut story = Story::new();
    let look = story.at("23:05").open("23:00", "anna").unwrap();
    story.wish(Wish::Outcome { look, outcome: LookOutcome::Calm }, "anna").unwrap();
    story.wish(Wish::End { look, shown_ms: 0, why: "silent".into() }, "gateway").unwrap();
    story.at("23:29");
    assert_eq!(story.told().last().unwrap(), "23:20 visit look 23:00");
    assert!(story.raises()[1].en.contains("does not answer"), "{}", story.raises()[1].en);
}

#[test]
fn not_tonight_is_done_as_agreed_instead_and_ends_by_noon() {
    let mut story = Story::new();
    story.at("20:00").decline("").at("11:00");
    let expected = ["14:30 visit look 14:00", "23:00 visit look 23:00", "01:30 visit look 01:30"];
    assert_eq!(story.told(), expected, "put on the round when its time comes");
    assert!(story.raises()[1].en.contains("Not tonight, said the resident at 20:00."), "{}", story.raises()[1].en);
    let mut calls = Story::with("instead", "instead = \"call\"");
    calls.at("20:00").decline("01:30").at("23:10").look("23:00", Some(LookOutcome::Calm));
    calls.at("02:00");
    assert!(calls.raises()[1].sv.starts_with("Ring före 02:30."), "{}", calls.raises()[1].sv);
    let mut nobody = Story::with("instead", "instead = \"nothing\"");
    nobody.at("20:00").decline("").at("11:00");
    assert_eq!(nobody.told()[1..], ["23:00 look-declined 23:00", "01:30 look-declined 01:30"]);
    // The next afternoon it is over.
    nobody.home.until(local("2026-11-21 14:35"));
    assert_eq!(nobody.told().last().unwrap(), "14:30 visit look 14:00");
}

#[test]
fn privacy_holds_until_it_is_over() {
    let mut story = Story::new();
    story.at("22:50").event("lamp", Event::Privacy { on: true });
    refused(story.at("23:01").open("23:00", "anna"), "does not want");
    // The shutter may open again while there is time; then somebody goes.
    assert_eq!(story.told().last().unwrap(), "14:30 visit look 14:00");
    assert_eq!(story.at("23:20").told().last().unwrap(), "23:20 visit look 23:00");
    story.event("lamp", Event::Privacy { on: false }).at("01:31").look("01:30", Some(LookOutcome::Calm));
    assert_eq!(story.told().last().unwrap(), "01:31 look-done 01:30");
}

#[test]
fn a_consent_that_was_taken_back_lets_nobody_look_and_a_person_comes() {
    let look =
        format!("{LOOK}\nconsent = {{ by = \"the resident\", on = \"2026-11-01\", withdrawn = \"2026-11-20T22:00\" }}");
    let mut story = Story::of(&look);
    refused(story.at("23:01").open("23:00", "anna"), "consent");
    story.at("02:31");
    assert_eq!(story.told(), ["14:30 visit look 14:00", "23:00 visit look 23:00", "01:30 visit look 01:30"]);
    assert!(story.raises()[1].en.contains("withdrawn"));
    // Its dates end it, and then nothing is agreed.
    let ended = format!("{LOOK}\nconsent = {{ by = \"the resident\", on = \"2026-11-01\", until = \"2026-11-20\" }}");
    let mut story = Story::of(&ended);
    story.at("11:00");
    assert_eq!(story.told(), ["14:30 visit look 14:00", "23:20 visit look 23:00"]);
}

#[test]
fn the_light_is_on_from_the_request_until_the_end_and_out_after_a_crash() {
    let mut story = Story::new();
    let look = story.at("23:05").open("23:00", "anna").unwrap();
    assert_eq!(story.lights(), [Light::Steady]);
    assert!(story.home.care.look.state(look).is_lit);
    story.wish(Wish::End { look, shown_ms: 9_000, why: "viewer".into() }, "gateway").unwrap();
    assert_eq!(story.lights(), [Light::Steady, Light::Off]);
    let look = story.at("01:31").open("01:30", "anna").unwrap();
    story.home.restart();
    assert_eq!(story.lights().last(), Some(&Light::Steady), "a restart alone puts nothing out before its end is known");
    story.wish(Wish::End { look, shown_ms: 1, why: "restart".into() }, "gateway").unwrap();
    assert_eq!(story.lights().last(), Some(&Light::Off));
    // An end that nobody tells is one all the same.
    story.home.look(Wish::Outcome { look, outcome: LookOutcome::Calm }, "anna").unwrap();
    let mut lost = Story::new();
    lost.at("23:05").open("23:00", "anna").unwrap();
    lost.at("23:07");
    assert_eq!(lost.lights().last(), Some(&Light::Off));
    lost.at("23:29");
    assert_eq!(lost.told().last().unwrap(), "23:08 visit look 23:00", "nobody said how it was");
}

#[test]
fn a_lamp_that_does_not_answer_is_not_lit() {
    let mut story = Story::new();
    story.lamp = false;
    let look = story.at("23:05").open("23:00", "anna").unwrap();
    assert!(!story.home.care.look.state(look).is_lit);
    let id = story.home.care.look.get(look).unwrap().light.unwrap().0;
    story.event("lamp", Event::Done { id, outcome: Outcome::Failed });
    let state = story.home.care.look.state(look);
    assert!(!state.is_lit && state.is_refused);
}

#[test]
fn a_late_calm_look_ends_the_visit_s_cause_and_a_signature_makes_the_look_in() {
    let mut story = Story::new();
    story.at("23:21").look("23:00", Some(LookOutcome::Calm));
    assert_eq!(story.told()[1..], ["23:20 visit look 23:00", "23:21 over"]);
    let mut story = Story::new();
    let wish = crate::rules::care::signed::Wish::Visit {
        resident: "r1".into(),
        planned_at: Some(Story::slot_at("01:30")),
        note: String::new(),
    };
    story.at("01:35").home.sign(wish, "bo").unwrap();
    story.at("02:31");
    assert_eq!(story.raises().len(), 2, "only those before: {:?}", story.told());
    refused(story.open("01:30", "anna"), "over");
}

#[test]
fn over_both_changes_of_clocks_each_look_in_comes_once() {
    for (day, expected) in [("2026-10-24", "2026-10-25 02:20"), ("2027-03-27", "2027-03-28 02:50")] {
        let look = format!(
            "{}\n{CONSENT}",
            LOOK.replace("23:00", "01:30")
                .replace("23:30", "03:00")
                .replace("{ at = \"01:30\", latest = \"02:30\" }, ", "",)
        );
        let mut home = Rehearsal::new(agreed(&look), Home::default(), local(&format!("{day} 20:00")));
        home.until(local(&format!("{day} 20:00")) + 12 * 3_600_000);
        let raised: Vec<i64> =
            home.log.iter().filter_map(|(at, d)| matches!(d, Decision::Raise(_)).then_some(*at)).collect();
        assert_eq!(raised.len(), 1, "{day}: {raised:?} {expected}");
    }
}
