use std::sync::Arc;

use jiff::civil::date;
use proptest::prelude::*;
use vaka_protocol::Event;

use super::*;
use crate::journal::record::{Decision, SendCommand};
use crate::rules::Home;
use crate::rules::care::agreed::{Agreed, Person};
use crate::rules::care::dose;
use crate::rules::care::night::tests::{agreed, device, local, parse};
use crate::rules::care::rehearsal::Rehearsal;

fn raised(story: &Rehearsal) -> Vec<(i64, String)> {
    let raised = story.log.iter().filter_map(|(at, decision)| match decision {
        Decision::Raise(raise) => Some((*at, raise.cause.clone())),
        _ => None,
    });
    raised.collect()
}

/// In bed but for half an hour from each of these local times on; until noon of the 22nd.
fn up(consent: &str, times: &[&str]) -> Vec<(i64, String)> {
    let night = format!("absence_care_min = 20\nabsence_life_min = 0\nconsent = {consent}");
    let mut story = Rehearsal::new(agreed(&night), Home::default(), local("2026-11-20 21:00"));
    story.event(&device("bed"), &Event::Bed { occupied: true });
    for time in times {
        story.until(local(time));
        story.event(&device("bed"), &Event::Bed { occupied: false });
        story.until(local(time) + 30 * 60_000);
        story.event(&device("bed"), &Event::Bed { occupied: true });
    }
    story.until(local("2026-11-22 12:00"));
    raised(&story).into_iter().filter(|(_, cause)| cause == "absence").collect()
}

const UPS: [&str; 4] = ["2026-11-20 23:00", "2026-11-21 01:00", "2026-11-21 23:00", "2026-11-22 01:00"];

#[test]
fn an_agreement_begins_and_ends_by_itself_at_midnight() {
    let of = |consent| up(consent, &UPS).into_iter().map(|(at, _)| at).collect::<Vec<_>>();
    let told = |index: usize| local(UPS[index]) + 20 * 60_000;
    assert_eq!(of("{}"), [told(0), told(1), told(2), told(3)], "without dates it always holds");
    assert_eq!(of("{ from = \"2026-11-21\" }"), [told(1), told(2), told(3)]);
    assert_eq!(of("{ until = \"2026-11-20\" }"), [told(0)]);
    assert_eq!(of("{ from = \"2026-11-21\", until = \"2026-11-21\" }"), [told(1), told(2)], "its last day is of it");
    assert_eq!(of("{ withdrawn = \"2026-11-21T01:10\" }"), [told(0)], "an absence that runs is nobody's from then on");
    assert_eq!(of("{ from = \"2027-01-01\" }"), [0; 0]);
}

#[test]
fn a_look_in_of_before_its_dates_was_not_missed() {
    // The night has begun, and one of its look-ins is over, when the agreement begins: twice the same, so that it has been agreed before.
    let night = "rounds = [{ at = \"22:30\", latest = \"23:30\" }, { at = \"01:00\", latest = \"02:00\" }]\nconsent = { from = \"2026-11-21\" }";
    let mut story = Rehearsal::new(agreed(night), Home::default(), local("2026-11-20 12:00"));
    story.event(&device("bed"), &Event::Bed { occupied: true });
    story.event(&device("bed"), &Event::Bed { occupied: false });
    story.until(local("2026-11-21 12:00"));
    let rounds = raised(&story).into_iter().filter(|(_, cause)| cause.starts_with("round"));
    assert_eq!(rounds.collect::<Vec<_>>(), [(local("2026-11-21 01:45"), "round 01:00".to_owned())]);
}

#[test]
fn a_dispenser_is_given_no_schedule_beyond_the_last_day() {
    let zone = TimeZone::get("Europe/Stockholm").unwrap();
    let mut plan = dose::tests::plan("morning", 8);
    plan.term = Term { until: Some(date(2026, 11, 22)), ..Term::default() }.in_zone(&zone);
    let mut story = dose::tests::story("2026-11-20T12:00:00Z", vec![plan]);
    story.until(local("2026-11-24 12:00"));
    let sent: Vec<usize> = story
        .log
        .iter()
        .filter_map(|(_, decision)| match decision {
            Decision::Send(send) => match &**send {
                SendCommand { command: vaka_protocol::Command::Schedule { slots }, .. } => Some(slots.len()),
                _ => None,
            },
            _ => None,
        })
        .collect();
    assert_eq!(sent.first(), Some(&2), "the 21st and the 22nd: {sent:?}");
    assert!(sent.iter().all(|slots| *slots <= 2), "{sent:?}");
}

#[test]
fn what_is_wrong_with_a_consent_is_said() {
    let wrong = |consent: &str| parse("Etc/UTC", &format!("consent = {consent}"), "").unwrap_err();
    assert!(
        wrong("{ from = \"2026-12-02\", until = \"2026-12-01\" }").contains("`until` is before `from` (2026-12-02)")
    );
    assert!(wrong("{ withdrawn = \"2026-12-02\" }").contains("expected a local time such as"));
    assert!(wrong("{ by = \"\" }").contains("who gave the consent"));
    assert!(wrong("{ form = \"x\" }").contains("from"), "the nearest key is named");
}

proptest! {
    /// Whatever is agreed from when until when: what is said to be in force at a moment is, and for as long as it is said.
    #[test]
    fn what_is_in_force_is_so_for_as_long_as_said(
        terms in prop::collection::vec((prop::option::of(0_i64..50), prop::option::of(0_i64..50)), 0..6),
        now in -5_i64..60,
    ) {
        let doses = terms.iter().enumerate().map(|(index, (from_ms, end_ms))| {
            let mut plan = dose::tests::plan(&index.to_string(), 8);
            plan.term = Term { from_ms: *from_ms, end_ms: *end_ms, ..Term::default() };
            plan
        });
        let person = Person { id: "r1".into(), doses: doses.collect(), ..Person::default() };
        let agreed = Arc::new(Agreed { people: vec![person], ..Agreed::default() });
        let (held, during) = agreed.at(now);
        prop_assert!(during.contains(&now));
        for plan in &agreed.people[0].doses {
            prop_assert_eq!(held.people[0].doses.contains(plan), plan.term.holds(now));
        }
        for moment in -6..61 {
            let same = agreed.at(moment).0.people[0].doses == held.people[0].doses;
            prop_assert!(!during.contains(&moment) || same);
        }
    }
}
