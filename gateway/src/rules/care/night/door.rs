//! The doors that lead out: one opened in the night is told at once, closed again or not.

use super::super::moment::At;
use super::super::{Finding, Out, seen_at};
use super::{AUTOMATIC, Tonight, words};

pub(super) const DOOR: &str = "door";

pub(super) fn judge(tonight: &Tonight<'_>, out: &mut Out) {
    let care = tonight.view.care;
    let opened = tonight.night.exits.iter().filter_map(|id| Some((id, care.night.opened(id)?)));
    let upto = |at: &At| i64::try_from(at.record).unwrap_or(i64::MAX);
    let is_news = |at: &At| tonight.span.contains(at.wall_ms) && !tonight.is_told(DOOR, upto(at));
    let mut opened: Vec<_> = opened.filter(|(_, at)| is_news(at)).collect();
    // What is decided is decided up to a record: the earlier one first.
    opened.sort_by_key(|(_, at)| at.record);
    for (id, at) in opened {
        let upto = upto(&at);
        let said = words::door(tonight.zone(), &at);
        let finding = Finding {
            happened_at: Some(at.wall_ms),
            agreed: words::settings(tonight.night, &[("door", "alarm")]),
            prevented: Some(words::door_prevented()),
            ..tonight.finding(DOOR, upto, said, vec![seen_at(id, &at, "door open")])
        };
        tonight.raise_or_join(out, id, AUTOMATIC, finding);
    }
}

/// In bed again after it: nobody has gone astray.
pub(super) fn overs(tonight: &Tonight<'_>, out: &mut Out) {
    let Some((_, bed, _)) = tonight.beds.in_bed else { return };
    let opened = tonight.night.exits.iter().filter_map(|id| tonight.view.care.night.opened(id));
    let last_ms = opened.map(|at| at.wall_ms).max();
    if let Some(known) = tonight.open(DOOR)
        && last_ms.is_none_or(|last_ms| bed.since.wall_ms > last_ms)
    {
        tonight.end(out, DOOR, known, words::in_bed(tonight.zone(), bed.since.wall_ms));
    }
}
