//! What happens by itself, as agreed with this person: a sentence for each setting in force.

use jiff::civil::Time;
use jiff::civil::Weekday;
use vaka_protocol::Lane;

use super::say;
use crate::config::Language;
use crate::rules::care::agreed::Person;
use crate::rules::care::dose::Plan;
use crate::rules::care::look::{Instead, Look};
use crate::rules::care::night::{Declined, Night};
use crate::rules::care::place::Fence;
use crate::rules::care::presence::Presence;
use crate::rules::care::when::Days;
use crate::rules::lasting;

/// A line for each thing agreed; one that says so where nothing is.
pub(super) fn automatic(person: &Person, language: Language) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(night) = &person.night {
        at_night(night, language, &mut lines);
    }
    if let Some(presence) = &person.presence {
        by_day(presence, language, &mut lines);
    }
    if let Some(agreed) = &person.look {
        lines.extend(look(agreed, language));
    }
    lines.extend(person.fences.iter().flat_map(|fence| place(fence, language)));
    lines.extend(person.doses.iter().map(|plan| dose(plan, language)));
    for reminder in &person.reminders {
        let (at, days) = (hm(reminder.at), days(reminder.days, language));
        lines.push(say(
            language,
            format!("Kl. {at}{days}: du påminns, \"{}\".", reminder.text),
            format!("At {at}{days}: you are reminded, \"{}\".", reminder.text),
        ));
    }
    for threshold in &person.vitals {
        let limits = [(&threshold.below, "under", "below"), (&threshold.above, "över", "above")];
        let limits = limits.iter().filter_map(|(limit, sv, en)| {
            limit.as_ref().map(|limit| format!("{} {limit} {}", say(language, *sv, *en), threshold.unit))
        });
        let limits = limits.collect::<Vec<_>>().join(&say(language, " eller ", " or "));
        let (kind, by, on) = (&threshold.kind, &threshold.set_by, threshold.set_on);
        lines.push(say(
            language,
            format!("Är {kind} {limits} får personalen veta det. Gränsen satte {by} den {on}."),
            format!("If {kind} is {limits}, staff are told. The limit was set by {by} on {on}."),
        ));
    }
    if lines.is_empty() {
        lines.push(say(
            language,
            "Ingenting är överenskommet om att märka att något inte har hänt. Bara det du själv eller en varnare larmar om går vidare.",
            "Nothing is agreed about noticing what has not happened. Only what you or a detector raises is passed on.",
        ));
    }
    lines
}

/// Who may look through the camera, when, and what happens instead.
fn look(look: &Look, language: Language) -> Vec<String> {
    let mut lines = Vec::new();
    let seconds = look.look_ms / 1_000;
    if !look.rounds.is_empty() {
        let times = look.rounds.iter().map(|round| format!("{}–{}", hm(round.at), hm(round.latest)));
        let times = times.collect::<Vec<_>>().join(", ");
        lines.push(say(
            language,
            format!("Kl. {times}: en person i nattpatrullen tittar till dig genom kameran i högst {seconds} sekunder. Lampan lyser så länge."),
            format!("At {times}: one person of the night patrol looks in on you through the camera for at most {seconds} seconds. The light is on as long."),
        ));
    }
    if !look.alarms.is_empty() {
        let alarms = look.alarms.join(", ");
        lines.push(say(
            language,
            format!("Vid dessa larm får en person titta genom kameran en gång: {alarms}."),
            format!("At these alarms one person may look through the camera once: {alarms}."),
        ));
    }
    lines.push(match look.may_see_clearly {
        true => say(
            language,
            "Bilden är suddig tills den som tittar ber att få se klart.",
            "The picture is veiled until whoever looks asks to see clearly.",
        ),
        false => say(language, "Bilden är alltid suddig.", "The picture is always veiled."),
    });
    let instead = match look.instead {
        Instead::Visit => ("någon kommer i stället", "somebody comes instead"),
        Instead::Call => ("någon ringer i stället", "somebody telephones instead"),
        Instead::Nothing => ("ingen kommer", "nobody comes"),
    };
    lines.push(say(
        language,
        format!("Säger du \"inte i natt\" tittar ingen; {}. Ingenting spelas in. Du får veta vem som har tittat och varför.", instead.0),
        format!("If you say \"not tonight\" nobody looks; {}. Nothing is recorded. You are told who has looked, and why.", instead.1),
    ));
    lines
}

fn hm(time: Time) -> String {
    time.strftime("%H:%M").to_string()
}

/// How long, in the language.
fn long(ms: i64, language: Language) -> String {
    let (sv, en) = lasting(ms);
    say(language, sv, en)
}

/// " mån, tis"; nothing where it is every day.
fn days(days: Days, language: Language) -> String {
    if days == Days::ALL {
        return String::new();
    }
    let week = Weekday::Monday.cycle_forward().take(7).filter(|day| days.contains(*day));
    let names = week.map(|day| super::day_name(day, language)).collect::<Vec<_>>();
    format!(" {}", names.join(", "))
}

fn to_whom(lane: Lane, language: Language) -> String {
    match lane {
        Lane::Life => say(language, "ett nödlarm", "an emergency alarm"),
        _ => say(language, "ett larm till personalen", "an alarm to staff"),
    }
}

fn at_night(night: &Night, language: Language, lines: &mut Vec<String>) {
    let (from, until) = (hm(night.window.from), hm(night.window.until));
    let mut line = |sv: String, en: String| lines.push(say(language, sv, en));
    line(format!("Natten vakas kl. {from}–{until}."), format!("The night is watched from {from} to {until}."));
    if let Some(ms) = night.absence_care_ms {
        let for_ = long(ms, language);
        line(
            format!("Är du uppe ur sängen längre än {for_} får personalen ett larm."),
            format!("If you are out of bed for longer than {for_}, staff get an alarm."),
        );
    }
    if let Some(ms) = night.absence_life_ms {
        let for_ = long(ms, language);
        line(
            format!("Är du uppe längre än {for_} blir det ett nödlarm."),
            format!("Out of bed for longer than {for_}, it becomes an emergency alarm."),
        );
    }
    if let Some(by) = night.in_bed_by.map(hm) {
        line(
            format!("Har du inte lagt dig kl. {by} får personalen veta det."),
            format!("If you are not in bed by {by}, staff are told."),
        );
    }
    if let Some(max) = night.visits_up_max {
        line(
            format!("Är du uppe fler än {max} gånger en natt får personalen veta det."),
            format!("If you are up more than {max} times a night, staff are told."),
        );
    }
    if !night.exits.is_empty() {
        line(
            "Öppnas ytterdörren på natten får personalen ett larm.".into(),
            "If the front door is opened at night, staff get an alarm.".into(),
        );
    }
    if let Some(by) = night.morning.map(|morning| hm(morning.by)) {
        line(
            format!("Märks inget av dig kl. {by} på morgonen får personalen ett larm."),
            format!("If nothing is noticed of you by {by} in the morning, staff get an alarm."),
        );
    }
    for round in &night.rounds {
        let (at, latest) = (hm(round.at), hm(round.latest));
        line(
            format!(
                "Kl. {at} ser sensorerna efter att du är i sängen eller uppe. Går det inte att se kommer någon före kl. {latest}."
            ),
            format!(
                "At {at} the sensors look whether you are in bed or up. If they cannot tell, somebody comes before {latest}."
            ),
        );
    }
    if !night.rounds.is_empty() {
        match night.declined {
            Declined::Visit => line(
                "Säger du \"inte i natt\" kommer någon i stället.".into(),
                "If you say \"not tonight\", somebody comes instead.".into(),
            ),
            Declined::Nothing => line(
                "Säger du \"inte i natt\" ser ingen till dig den gången.".into(),
                "If you say \"not tonight\", nobody looks in that time.".into(),
            ),
        }
    }
}

fn by_day(presence: &Presence, language: Language, lines: &mut Vec<String>) {
    let alarm = to_whom(presence.lane, language);
    for part in &presence.parts {
        let (from, until) = (hm(part.daily.from), hm(part.daily.until));
        let for_ = long(part.quiet_ms, language);
        let bed = match part.in_bed {
            true => say(language, " och du inte ligger i sängen", " and you are not in bed"),
            false => String::new(),
        };
        lines.push(say(
            language,
            format!("Är det stilla hemma längre än {for_} kl. {from}–{until}{bed} blir det {alarm}."),
            format!(
                "If it is quiet at home for longer than {for_} between {from} and {until}{bed}, it becomes {alarm}."
            ),
        ));
    }
    if !presence.parts.is_empty() {
        let (after, max) = (long(presence.away_after_ms, language), long(presence.away_max_ms, language));
        lines.push(say(
            language,
            format!("Går du ut och det är stilla i {after} räknas du som ute. Är du ute längre än {max} hör någon efter."),
            format!("If you go out and it is quiet for {after}, you count as out. After {max} somebody finds out how you are."),
        ));
    }
    for check in &presence.checks {
        let (at, latest) = (hm(check.daily.from), hm(check.daily.until));
        lines.push(say(
            language,
            format!(
                "Kl. {at} ser sensorerna efter att du är i rörelse. Går det inte att se kommer någon före kl. {latest}."
            ),
            format!(
                "At {at} the sensors look whether you are about. If they cannot tell, somebody comes before {latest}."
            ),
        ));
    }
}

fn place(fence: &Fence, language: Language) -> Vec<String> {
    let (name, alarm) = (&fence.name, to_whom(fence.lane, language));
    let hours = fence.hours.as_ref().map(|hours| {
        let (from, until) = (hm(hours.daily.from), hm(hours.daily.until));
        format!("{} {from}–{until}", days(hours.days, language))
    });
    let hours = hours.unwrap_or_default();
    let mut lines = Vec::new();
    if fence.leave {
        lines.push(say(
            language,
            format!("Lämnar du området {name}{hours} blir det {alarm}, och larmet säger var du är."),
            format!("If you leave the area {name}{hours}, it becomes {alarm} that says where you are."),
        ));
    }
    if fence.enter {
        lines.push(say(
            language,
            format!("Kommer du in i området {name}{hours} blir det {alarm}, och larmet säger var du är."),
            format!("If you enter the area {name}{hours}, it becomes {alarm} that says where you are."),
        ));
    }
    if let Some(back) = &fence.back_by {
        let (by, days) = (hm(back.time), days(back.days, language));
        lines.push(say(
            language,
            format!("Är du inte tillbaka i området {name} kl. {by}{days} får personalen ett larm."),
            format!("If you are not back in the area {name} by {by}{days}, staff get an alarm."),
        ));
    }
    lines
}

fn dose(plan: &Plan, language: Language) -> String {
    let (slot, at, days, grace) = (&plan.slot, hm(plan.at), days(plan.days, language), long(plan.grace_ms, language));
    let reminded = match plan.reminder_after_ms {
        Some(ms) => {
            let after = long(ms, language);
            say(language, format!(" Du påminns efter {after}."), format!(" You are reminded after {after}."))
        }
        None => String::new(),
    };
    say(
        language,
        format!(
            "Dosen {slot} matas ut kl. {at}{days}.{reminded} Är den inte tagen inom {grace} får personalen veta det, och dosen låses."
        ),
        format!(
            "The dose {slot} is given out at {at}{days}.{reminded} If it is not taken within {grace}, staff are told and the dose is locked."
        ),
    )
}
