//! When quiet has lasted too long, by the parts of the day.
//!
//! Each part that the quiet touches counts it from its own beginning at the earliest; the smallest of what remains decides. So a
//! night that was slept through is no alarm when the day begins, and what remains of an afternoon is not given away at its end.
//! Where no part begins when another ends nothing is agreed: the count begins anew after it.

use super::super::View;
use super::super::when::{local, next};
use super::Part;

/// Until when it may be quiet, and by which part.
pub(super) struct Due {
    /// UTC milliseconds.
    pub at_ms: i64,
    pub part: Part,
}

/// Quiet longer ago than this does not matter, in milliseconds: the longest agreed time is two days.
const BACK_MS: i64 = 4 * 24 * 3_600_000;

/// `None`: at no time soon. `in_bed`: parts in which whoever is in bed is not missed do not count.
pub(super) fn due(view: View<'_>, parts: &[Part], since_ms: i64, in_bed: bool) -> Option<Due> {
    let zone = &view.agreed.zone;
    let now_ms = view.now.wall_ms;
    let from_ms = since_ms.max(now_ms.saturating_sub(BACK_MS));
    let mut date = local(zone, from_ms).date().yesterday().ok()?;
    let last = next(next(local(zone, now_ms.max(from_ms)).date()));
    let mut spans = Vec::new();
    while date <= last {
        spans.extend(parts.iter().map(|part| (part.daily.on(zone, date), *part)));
        date = next(date);
    }
    spans.retain(|(span, _)| span.end_ms > from_ms && span.start_ms < span.end_ms);
    spans.sort_by_key(|(span, _)| span.start_ms);
    let (mut ends_ms, mut smallest) = (i64::MIN, None::<Due>);
    for (index, (span, part)) in spans.iter().enumerate() {
        if span.start_ms > ends_ms {
            smallest = None;
        }
        ends_ms = ends_ms.max(span.end_ms);
        let at_ms = span.start_ms.max(from_ms).saturating_add(part.quiet_ms);
        if !(in_bed && part.in_bed) && smallest.as_ref().is_none_or(|known| at_ms < known.at_ms) {
            smallest = Some(Due { at_ms, part: *part });
        }
        let goes_on = spans.get(index + 1).is_some_and(|(after, _)| after.start_ms <= ends_ms);
        // What fell due in hours that are over is due still, as long as the agreed hours have gone on since.
        let is_over = !goes_on && ends_ms <= now_ms;
        if smallest.as_ref().is_some_and(|due| due.at_ms < ends_ms)
            && !is_over
            && reaches_now(&spans[index..], ends_ms, now_ms)
        {
            return smallest;
        }
    }
    None
}

/// The agreed hours go on without a gap from these to now, or are still to come.
fn reaches_now(spans: &[(super::super::when::Span, Part)], ends_ms: i64, now_ms: i64) -> bool {
    let mut ends_ms = ends_ms;
    for (span, _) in spans {
        if ends_ms > now_ms {
            return true;
        }
        if span.start_ms > ends_ms {
            return false;
        }
        ends_ms = ends_ms.max(span.end_ms);
    }
    ends_ms > now_ms
}
