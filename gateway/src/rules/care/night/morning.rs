//! The morning: no sign of life by the agreed time.
//!
//! A sign is anything that changed or moved at any of the person's sensors from `up_from` on. A visit to the toilet at four is none of
//! nine in the morning, and a sensor that repeats itself is none at all.

use super::super::{Finding, Out, seen_at};
use super::{AUTOMATIC, Tonight, words};
use vaka_protocol::Lane;

pub(super) const NO_SIGN: &str = "no-sign";

pub(super) fn judge(tonight: &Tonight<'_>, out: &mut Out) {
    let (view, night) = (tonight.view, tonight.night);
    let (Some(morning), Some(anchor)) = (night.morning, tonight.anchor()) else { return };
    let Some((from_ms, by_ms)) = tonight.kept.calendar.morning else { return };
    // What was agreed after that hour was not broken at it.
    if by_ms < tonight.held.since_ms || !out.has_come(view, by_ms) {
        return;
    }
    if tonight.has_sign_since(from_ms) || tonight.is_decided(NO_SIGN, by_ms) {
        return;
    }
    let sign = tonight.sign();
    let evidence = sign.map(|(device, at)| seen_at(device, &at, "last sign")).into_iter().collect();
    let said = words::no_sign(tonight.zone(), by_ms, sign.map(|(_, at)| at));
    let of_day = |time: jiff::civil::Time| time.strftime("%H:%M").to_string();
    let finding = Finding {
        agreed: words::settings(night, &[("up_from", of_day(morning.from)), ("up_by", of_day(morning.by))]),
        prevented: Some(words::no_sign_prevented(morning)),
        ..tonight.finding(NO_SIGN, by_ms, said, evidence)
    };
    let device = sign.map_or(anchor, |(device, _)| device);
    out.raise(view, tonight.subject(device), Lane::Care, AUTOMATIC, finding);
}

pub(super) fn overs(tonight: &Tonight<'_>, out: &mut Out) {
    let Some((upto, alarm)) = tonight.open(NO_SIGN) else { return };
    let known_ms = alarm.raise.basis.as_ref().and_then(|basis| basis.seen.last()).map_or(i64::MIN, |seen| seen.at);
    match tonight.sign().filter(|(_, at)| at.wall_ms > known_ms) {
        Some((_, at)) => tonight.end(out, NO_SIGN, (upto, alarm), words::sign(tonight.zone(), &at)),
        None => out.eager = true,
    }
}
