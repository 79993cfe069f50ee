//! The bed: left too long, not entered in time, or not to be seen.

use vaka_protocol::{DeviceId, Lane};

use super::super::facts::{Device, Refused, Switch};
use super::super::moment::At;
use super::super::{Finding, Out, View, seen, seen_at, silence};
use super::memory::Held;
use super::{AUTOMATIC, HELP, Night, Tonight, words};
use crate::limits::{BED_GONE_MS, BED_HEARD_MS};

const ABSENCE: &str = "absence";
const ABSENCE_LIFE: &str = "absence-life";
const NOT_IN_BED: &str = "not-in-bed";
const DARK: &str = "bed-dark";
pub(super) const CAUSES: [&str; 4] = [ABSENCE, ABSENCE_LIFE, NOT_IN_BED, DARK];

/// What a bed sensor is taken to say.
pub(super) const SAID: (&str, &str) = ("bed occupied", "bed empty");

/// What all the beds of one person say together.
pub(super) struct Beds<'a> {
    /// Somebody lies in this one, by a sensor that is heard; when it was heard last.
    pub in_bed: Option<(&'a DeviceId, Switch, At)>,
    /// A sensor that is not heard, and for how long not, in milliseconds: the longest.
    pub dark: Option<(&'a DeviceId, i64)>,
    /// The last word of every bed that is heard is that nobody is in it, and so is one bed's at least. A bed that fell silent with
    /// somebody in it is no reason to think so where another was left since.
    pub empty: bool,
    /// Then: the one of these that was left last, and when. `None`: none was ever known to be entered.
    pub left: Option<(&'a DeviceId, At)>,
    /// What is proven now is so for so long, in milliseconds, if nothing more is heard.
    pub proves_ms: Option<i64>,
}

impl<'a> Beds<'a> {
    pub fn read(view: View<'a>, night: &'a Night, held: Held) -> Beds<'a> {
        let mut beds = Beds { in_bed: None, dark: None, empty: !night.beds.is_empty(), left: None, proves_ms: None };
        // When a bed that is dark now said last that somebody is in it, by the wall.
        let mut dark_in_ms: Option<i64> = None;
        let mut is_off = false;
        for id in &night.beds {
            let known = view.care.facts.get(id);
            let said = known.and_then(|known| known.bed.as_deref().copied());
            let is_off_here = said.is_some_and(|switch| !switch.on);
            is_off |= is_off_here;
            // After a restart every connection is dark for a moment: only what stays so is passed over.
            let mut is_passed_over = false;
            match heard(view, night, (id, known), held) {
                Err(dark_ms) => {
                    if beds.dark.is_none_or(|(_, known)| known < dark_ms) {
                        beds.dark = Some((id, dark_ms));
                    }
                    dark_in_ms = dark_in_ms.max(said.filter(|switch| switch.on).map(|switch| switch.said.wall_ms));
                    is_passed_over = dark_ms >= BED_GONE_MS;
                    if !is_passed_over {
                        beds.proves(BED_GONE_MS - dark_ms);
                    }
                }
                Ok((proves_ms, heard)) => {
                    beds.proves(proves_ms);
                    if let Some(switch) = said.filter(|switch| switch.on) {
                        beds.in_bed = Some((id, switch, heard));
                    }
                }
            }
            beds.empty &= is_off_here || is_passed_over;
            if let Some(switch) = said.filter(|switch| !switch.on && switch.other.is_some())
                && beds.left.is_none_or(|(_, left)| left.wall_ms <= switch.since.wall_ms)
            {
                beds.left = Some((id, switch.since));
            }
        }
        let is_left_since = |in_ms: i64| beds.left.is_some_and(|(_, left)| left.wall_ms >= in_ms);
        beds.empty &= is_off && dark_in_ms.is_none_or(is_left_since);
        beds.left = beds.left.filter(|_| beds.empty);
        beds
    }

    fn proves(&mut self, ms: i64) {
        self.proves_ms = Some(self.proves_ms.map_or(ms, |known| known.min(ms)));
    }
}

/// A sensor that can be believed: for how many milliseconds more, and when it was heard last. Else for how long it has not been heard.
fn heard(
    view: View<'_>,
    night: &Night,
    (bed, known): (&DeviceId, Option<&Device>),
    held: Held,
) -> Result<(i64, At), i64> {
    let never = || view.now.wall_ms.saturating_sub(held.since_ms).max(0);
    let known = known.ok_or_else(never)?;
    let heard = known.heard.ok_or_else(never)?;
    // Whatever else it says: until it says anew how the bed is, nobody knows.
    if let Some(refused) = refused(view, bed) {
        return Err(view.now.age_ms(&refused.since));
    }
    if let (Some(false), gone) = (known.online, known.gone) {
        return Err(view.now.age_ms(&gone.unwrap_or(heard)));
    }
    // A connection of before the gateway started is none until the device is back.
    if known.online == Some(true) && heard.boot != view.now.boot {
        // Not the machine's uptime: the process may start anew on a box that has run for days.
        return Err(view.care.silence.started_in(view.now.boot).map_or(0, |at| view.now.age_ms(&at)));
    }
    let limit_ms = if known.online == Some(true) { BED_HEARD_MS } else { night.bed_heard_ms };
    let age_ms = view.now.age_ms(&heard);
    match age_ms < limit_ms {
        true => Ok((limit_ms - age_ms, heard)),
        // It has been given its time already.
        false => Err(BED_GONE_MS.saturating_add(age_ms - limit_ms)),
    }
}

/// When something of this bed was refused that it has not said anew.
pub(super) fn refused(view: View<'_>, bed: &DeviceId) -> Option<Refused> {
    let refused = silence::refused(view, bed)?;
    let said = view.care.facts.get(bed).and_then(|known| known.bed.as_deref()).map_or(0, |switch| switch.said.record);
    (refused.last.record > said).then_some(refused)
}

pub(super) fn judge(tonight: &Tonight<'_>, out: &mut Out) {
    if tonight.night.beds.is_empty() {
        return;
    }
    let span = tonight.span;
    let left_tonight = tonight.beds.left.filter(|(_, left)| span.contains(left.wall_ms));
    if let Some((device, left)) = left_tonight {
        absence(tonight, device, left, out);
    } else {
        not_in_bed(tonight, out);
    }
    // An absence that is running is told in its time whether or not its end can be seen.
    let is_told = left_tonight.is_some() && tonight.night.absence_care_ms.is_some();
    if tonight.is_running() && tonight.beds.in_bed.is_none() && !is_told {
        dark(tonight, out);
    }
}

fn absence(tonight: &Tonight<'_>, device: &DeviceId, left: At, out: &mut Out) {
    let (view, night) = (tonight.view, tonight.night);
    let limits = [
        (ABSENCE, night.absence_care_ms, Lane::Care, "absence_care_min"),
        (ABSENCE_LIFE, night.absence_life_ms, Lane::Life, "absence_life_min"),
    ];
    let age_ms = view.now.age_ms(&left);
    for (cause, limit_ms, lane, setting) in limits {
        let Some(limit_ms) = limit_ms else { continue };
        // Who gets up in the morning is not missing: it has to last within the night.
        let due_ms = view.now.wall_ms.saturating_sub(age_ms).saturating_add(limit_ms);
        if due_ms >= tonight.span.end_ms || !out.has_lasted(view, &left, limit_ms) {
            continue;
        }
        let upto = i64::try_from(left.record).unwrap_or(i64::MAX);
        if tonight.is_decided(cause, upto) || tonight.is_up_by_day() {
            continue;
        }
        let mut said = words::absence(tonight.zone(), &left, age_ms);
        if tonight.beds.dark.is_some() && tonight.is_running() {
            said = words::and(said, words::DARK_TOO);
        }
        let finding = tonight.finding(cause, upto, said, vec![seen_at(device, &left, SAID.1)]);
        let agreed = words::settings(night, &[(setting, limit_ms / 60_000)]);
        let prevented = Some(words::absence_prevented(limit_ms));
        out.raise(view, tonight.subject(device), lane, AUTOMATIC, Finding { agreed, prevented, ..finding });
    }
}

fn not_in_bed(tonight: &Tonight<'_>, out: &mut Out) {
    let (view, beds) = (tonight.view, &tonight.beds);
    let (Some(time), Some(by_ms)) = (tonight.night.in_bed_by, tonight.kept.calendar.in_bed_by_ms) else { return };
    if by_ms < tonight.held.first_ms || !out.has_come(view, by_ms) {
        return;
    }
    // A bed that cannot be seen is told as that, not as an empty one.
    if !beds.empty || beds.dark.is_some() || tonight.is_decided(NOT_IN_BED, by_ms) || tonight.is_up_by_day() {
        return;
    }
    let Some(device) = beds.left.map(|(device, _)| device).or(tonight.anchor()) else { return };
    let switch = view.care.facts.get(device).and_then(|known| known.bed.as_deref().copied());
    let evidence = switch.map(|switch| seen(device, &switch, SAID)).into_iter().collect();
    let said = words::not_in_bed(tonight.zone(), by_ms, view.now.wall_ms);
    let finding = tonight.finding(NOT_IN_BED, by_ms, said, evidence);
    let agreed = words::settings(tonight.night, &[("in_bed_by", time.strftime("%H:%M").to_string())]);
    let prevented = Some(words::not_in_bed_prevented(time));
    out.raise(view, tonight.subject(device), Lane::Care, AUTOMATIC, Finding { agreed, prevented, ..finding });
}

/// No sensor can say whether anybody is in bed: a person is asked to look.
fn dark(tonight: &Tonight<'_>, out: &mut Out) {
    let (view, night) = (tonight.view, tonight.night);
    let Some((device, dark_ms)) = tonight.beds.dark else { return };
    if dark_ms < BED_GONE_MS {
        out.look_in(BED_GONE_MS - dark_ms);
        return;
    }
    let known = view.care.facts.get(device);
    let switch = known.and_then(|known| known.bed.as_deref().copied());
    let is_refused = refused(view, device).is_some();
    let heard = known.and_then(|known| known.heard);
    // Where it was refused it is heard all the same, and only a word of the bed ends that.
    let last = if is_refused { switch.map(|switch| switch.said) } else { heard };
    let upto = last.map_or(i64::MIN, |last| last.wall_ms).max(tonight.span.start_ms);
    if tonight.is_told(DARK, upto) {
        return;
    }
    let evidence = switch.map(|switch| seen(device, &switch, SAID)).into_iter().collect();
    let said = words::dark(tonight.zone(), last, is_refused);
    let finding = Finding {
        due_at: Some(view.now.wall_ms + night.absence_care_ms.unwrap_or(BED_GONE_MS)),
        agreed: words::settings(night, &[("bed_heard_min", night.bed_heard_ms / 60_000)]),
        prevented: Some(words::dark_prevented()),
        ..tonight.finding(DARK, upto, said, evidence)
    };
    tonight.raise_or_join(out, device, HELP, finding);
}

pub(super) fn overs(tonight: &Tonight<'_>, out: &mut Out) {
    let beds = &tonight.beds;
    for cause in [ABSENCE, ABSENCE_LIFE] {
        let Some((upto, alarm)) = tonight.open(cause) else { continue };
        let left_ms = alarm.raise.basis.as_ref().and_then(|basis| basis.seen.last()).map_or(alarm.raised_at, |e| e.at);
        if let Some((_, switch, _)) = beds.in_bed.filter(|(_, switch, _)| switch.since.wall_ms >= left_ms) {
            let said = words::back(tonight.zone(), switch.since.wall_ms, switch.since.wall_ms - left_ms);
            tonight.end(out, cause, (upto, alarm), said);
        } else if beds.left.is_some_and(|(_, left)| i64::try_from(left.record).is_ok_and(|record| record > upto)) {
            // In and out again while nobody was looking.
            tonight.end(out, cause, (upto, alarm), words::was_back());
        }
    }
    if let (Some(known), Some((_, switch, _))) = (tonight.open(NOT_IN_BED), beds.in_bed) {
        tonight.end(out, NOT_IN_BED, known, words::in_bed(tonight.zone(), switch.since.wall_ms));
    }
    if let Some(known) = tonight.open(DARK) {
        match (beds.dark, beds.in_bed) {
            (None, _) => tonight.end(out, DARK, known, words::heard_again()),
            // The sensor is dark still; the person is seen in another bed.
            (Some(_), Some((_, switch, _))) => {
                tonight.end(out, DARK, known, words::in_bed(tonight.zone(), switch.since.wall_ms));
            }
            // Whatever is heard of it next ends it.
            (Some(_), None) => out.eager = true,
        }
    }
}
