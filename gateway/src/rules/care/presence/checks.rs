//! Look-ins by day: made by any activity, else a visit before its latest time.

use vaka_protocol::Lane;

use super::super::agreed::Person;
use super::super::out::Finding;
use super::super::when::{Span, local, next};
use super::super::{Out, Subject, View, key, seen_at};
use super::{Check, NAME, Presence, Signs, VERSION, VISIT, words};

pub(super) fn judge(
    view: View<'_>,
    person: &Person,
    agreed: &Presence,
    signs: &Signs<'_>,
    is_out: bool,
    out: &mut Out,
) {
    for check in &agreed.checks {
        let (current, coming) = around(view, check);
        out.look_at(view, coming.start_ms);
        let Some(span) = current else { continue };
        let cause = format!("check {}", check.daily.from.strftime("%H:%M"));
        let key = key(NAME, Some(&person.id), &cause);
        if view.care.settled.has(&key, span.start_ms) {
            over(view, person, &cause, signs, out);
            continue;
        }
        // Agreed on only after it was over.
        if view.care.settled.upto(&key).is_none() && view.now.wall_ms >= span.end_ms {
            continue;
        }
        one(view, person, agreed, (cause, span), signs, is_out, out);
    }
}

/// The newest that has begun, and the next that will.
fn around(view: View<'_>, check: &Check) -> (Option<Span>, Span) {
    let zone = &view.agreed.zone;
    let today = local(zone, view.now.wall_ms).date();
    let days = [today.yesterday().unwrap_or(today), today, next(today), next(next(today))];
    let spans = days.map(|date| check.daily.on(zone, date));
    let begun = spans.iter().rev().find(|span| span.start_ms <= view.now.wall_ms);
    let coming = spans.iter().find(|span| span.start_ms > view.now.wall_ms);
    (begun.copied(), coming.copied().unwrap_or(spans[3]))
}

/// Activity after a visit was asked for: whoever is on the way hears so.
fn over(view: View<'_>, person: &Person, cause: &str, signs: &Signs<'_>, out: &mut Out) {
    let Some((alarm, planned_ms)) = super::open_alarm(view, person, cause) else { return };
    out.eager = true;
    // What its evidence was is not news.
    let known = alarm.raise.basis.as_ref().and_then(|basis| basis.seen.last()).map_or(0, |seen| seen.record);
    if signs.newest.is_some_and(|newest| newest.at.record > known) {
        let subject = Subject { rule: (NAME, VERSION), resident: Some(&person.id), device: &alarm.raise.device };
        let newest = signs.newest.map_or(&alarm.raise.device, |newest| newest.device);
        out.over(view, subject, (cause, planned_ms), super::RESTORAL, words::again(newest));
    }
}

fn one(
    view: View<'_>,
    person: &Person,
    agreed: &Presence,
    (cause, span): (String, Span),
    signs: &Signs<'_>,
    is_out: bool,
    out: &mut Out,
) {
    let slot = cause.strip_prefix("check ").unwrap_or_default().to_owned();
    let seen = signs.newest.map(|newest| seen_at(newest.device, &newest.at, "last activity"));
    let agreed_as = vec![
        ("presence.checks".to_owned(), slot.clone()),
        ("presence.proof_min".to_owned(), (agreed.proof_ms / 60_000).to_string()),
    ];
    let finding = Finding {
        cause,
        upto: span.start_ms,
        seen: seen.into_iter().collect(),
        agreed: agreed_as,
        ..Finding::default()
    };
    let since_ms = signs.newest.map(|newest| view.now.wall_ms.saturating_sub(view.now.age_ms(&newest.at)));
    if since_ms.is_some_and(|at_ms| at_ms >= span.start_ms.saturating_sub(agreed.proof_ms)) {
        let said = words::check_done(&slot);
        out.note(view, (NAME, VERSION), Some(&person.id), "check-done", &slot, Finding { said, ..finding });
        return;
    }
    if is_out {
        let said = words::check_out(&slot);
        out.note(view, (NAME, VERSION), Some(&person.id), "check-out", &slot, Finding { said, ..finding });
        return;
    }
    // The next sign of life makes it.
    out.eager = true;
    let visit_ms = match signs.dark {
        // No sensor could see any: nothing is worth waiting for.
        true => span.start_ms,
        false => span.end_ms.saturating_sub(agreed.visit_before_ms).max(span.start_ms),
    };
    if !out.has_come(view, visit_ms) {
        return;
    }
    let Some(device) = signs.newest.map(|newest| newest.device).or_else(|| person.devices.first()) else { return };
    let subject = Subject { rule: (NAME, VERSION), resident: Some(&person.id), device };
    let latest = local(&view.agreed.zone, span.end_ms).strftime("%H:%M").to_string();
    let finding = Finding {
        said: words::check_visit(&slot, &latest, signs.dark),
        prevented: Some(words::any_activity()),
        due_at: Some(span.end_ms),
        ..finding
    };
    out.raise(view, subject, Lane::Care, VISIT, finding);
}
