//! Out and home: the front door, and that nothing moves after it.

use super::super::agreed::Person;
use super::super::moment::At;
use super::super::out::Finding;
use super::super::{Out, Subject, View, seen_at};
use super::{NAME, Presence, RESTORAL, Signs, VERSION, VISIT, newer, number, open_alarm, words};
use vaka_protocol::Lane;

/// True while the person is out.
pub(super) fn judge(view: View<'_>, person: &Person, agreed: &Presence, signs: &Signs<'_>, out: &mut Out) -> bool {
    match view.care.presence.out(&person.id) {
        Some(since) => is_still_out(view, person, agreed, signs, since, out),
        None => {
            leaves(view, person, agreed, signs, out);
            false
        }
    }
}

fn leaves(view: View<'_>, person: &Person, agreed: &Presence, signs: &Signs<'_>, out: &mut Out) {
    let exits = person.devices.iter().filter(|device| view.agreed.is_exit(device));
    let doors = exits.filter_map(|device| Some((device, view.care.facts.get(device)?.door.as_ref()?.since)));
    let Some(door) = doors.fold(None, |known, (device, at)| newer(view, known, device, at)) else { return };
    let age_ms = |at: &At| view.now.signed_age_ms(at);
    let moved = signs.inside.is_some_and(|inside| age_ms(&inside.at) <= age_ms(&door.at));
    // Whoever lies or sits has not gone out: somebody else has.
    if moved || signs.occupied || !out.has_lasted(view, &door.at, agreed.away_after_ms) {
        return;
    }
    let finding = Finding {
        cause: "away".to_owned(),
        upto: number(door.at.record),
        said: words::away(),
        happened_at: Some(door.at.wall_ms),
        seen: vec![seen_at(door.device, &door.at, "front door, nothing after it")],
        agreed: vec![("presence.away_after_min".to_owned(), (agreed.away_after_ms / 60_000).to_string())],
        prevented: None,
        due_at: None,
    };
    out.note(view, (NAME, VERSION), Some(&person.id), "away", "", finding);
}

fn is_still_out(
    view: View<'_>,
    person: &Person,
    agreed: &Presence,
    signs: &Signs<'_>,
    since: super::hours::Away,
    out: &mut Out,
) -> bool {
    // The next thing that moves in the home is somebody who is home.
    out.eager = true;
    if let Some(inside) =
        signs.inside.filter(|inside| inside.at.wall_ms > since.at_ms && inside.at.record > since.record)
    {
        if let Some((alarm, upto)) = open_alarm(view, person, "out-long") {
            let subject = Subject { rule: (NAME, VERSION), resident: Some(&person.id), device: &alarm.raise.device };
            out.over(view, subject, ("out-long", upto), RESTORAL, words::home());
        }
        let finding = Finding {
            cause: "home".to_owned(),
            upto: number(inside.at.record),
            said: words::home(),
            seen: vec![seen_at(inside.device, &inside.at, "activity")],
            ..Finding::default()
        };
        out.note(view, (NAME, VERSION), Some(&person.id), "home", "", finding);
        return false;
    }
    // Of the day's scale, and told by the wall: no boot is known of it.
    let left = At { wall_ms: since.at_ms, mono_ms: 0, boot: u32::MAX, record: since.record };
    if out.has_lasted(view, &left, agreed.away_max_ms)
        && let Some(device) = person.devices.iter().find(|device| view.agreed.is_exit(device))
    {
        let subject = Subject { rule: (NAME, VERSION), resident: Some(&person.id), device };
        let finding = Finding {
            cause: "out-long".to_owned(),
            upto: number(since.record),
            said: words::out_long(view.now.age_ms(&left)),
            happened_at: None,
            seen: vec![seen_at(device, &left, "front door, nothing after it")],
            agreed: vec![("presence.away_max_h".to_owned(), (agreed.away_max_ms / 3_600_000).to_string())],
            prevented: Some(words::any_activity()),
            due_at: Some(view.now.wall_ms.saturating_add(agreed.visit_within_ms)),
        };
        out.raise(view, subject, Lane::Care, VISIT, finding);
    }
    true
}
