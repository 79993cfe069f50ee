//! Visits up: how often the bed was left tonight.

use std::borrow::Cow;

use super::super::moment::At;
use super::super::{Finding, Out, seen_at};
use super::memory::Up;
use super::{AUTOMATIC, Tonight, words};
use crate::limits::VISIT_UP_MS;
use vaka_protocol::Lane;

pub(super) const VISITS_UP: &str = "visits-up";
pub(super) const MORE: &str = "visits-up-again";

pub(super) fn judge(tonight: &Tonight<'_>, out: &mut Out) {
    let Some(max) = tonight.night.visits_up_max else { return };
    let Some(bed) = tonight.anchor() else { return };
    let (view, span) = (tonight.view, tonight.span);
    let ups = nobody_in_any(tonight);
    let lasted_ms = |up: &Up| up.back_ms.min(view.now.wall_ms).saturating_sub(up.left_ms);
    let tonights = || ups.iter().filter(|up| span.contains(up.left_ms));
    let visits = || tonights().filter(|up| lasted_ms(up) >= VISIT_UP_MS);
    let (mut newest, mut count, mut last) = (None, 0, None);
    for up in tonights() {
        newest = Some(up);
        if lasted_ms(up) >= VISIT_UP_MS {
            (count, last) = (count + 1, Some(up));
        }
    }
    if let Some(up) = newest.filter(|up| up.back_ms == i64::MAX && lasted_ms(up) < VISIT_UP_MS) {
        out.look_in(VISIT_UP_MS - lasted_ms(up));
    }
    let Some(last) = last.filter(|_| count > max) else { return };
    let finding = || {
        let evidence = visits().map(|up| {
            let at = At { wall_ms: up.left_ms, mono_ms: 0, boot: 0, record: up.record };
            seen_at(bed, &at, super::bed::SAID.1)
        });
        let said = words::visits_up(count, max);
        Finding {
            agreed: words::settings(tonight.night, &[("visits_up_max", max)]),
            prevented: Some(words::visits_up_prevented(count)),
            ..tonight.finding(VISITS_UP, span.start_ms, said, evidence.collect())
        }
    };
    if !tonight.is_decided(VISITS_UP, span.start_ms) {
        out.raise(view, tonight.subject(bed), Lane::Care, AUTOMATIC, finding());
        return;
    }
    // One a night: more of them are counted and not told again.
    let Some((_, alarm)) = tonight.open(VISITS_UP).filter(|(upto, _)| *upto == span.start_ms) else { return };
    let told_ms = alarm.raise.basis.as_ref().and_then(|basis| basis.seen.last()).map_or(i64::MIN, |seen| seen.at);
    if last.left_ms > told_ms && !tonight.is_decided(MORE, last.left_ms) {
        let finding = Finding { cause: MORE.to_owned(), upto: last.left_ms, ..finding() };
        tonight.join(out, alarm, AUTOMATIC, false, finding);
    }
}

/// When nobody was in any of the beds, oldest first: who goes from one bed to another is not up.
fn nobody_in_any<'a>(tonight: &Tonight<'a>) -> Cow<'a, [Up]> {
    const ALWAYS: &[Up] = &[Up { left_ms: i64::MIN, back_ms: i64::MAX, record: 0 }];
    // One that says nothing is always empty.
    let mut known = tonight.night.beds.iter().filter_map(|bed| tonight.view.care.night.ups(bed));
    let first = Cow::from(known.next().unwrap_or(ALWAYS));
    known.fold(first, |ups, empty| both(&ups, empty).into())
}

/// Where two lists of spans, each in order and without overlap, overlap.
fn both(one: &[Up], other: &[Up]) -> Vec<Up> {
    let mut found = Vec::new();
    for b in other {
        for a in one {
            let later = if a.left_ms > b.left_ms { *a } else { *b };
            let back_ms = a.back_ms.min(b.back_ms);
            if later.left_ms < back_ms {
                found.push(Up { back_ms, ..later });
            }
        }
    }
    found
}
