//! One alarm as an article: what, how old, where, why, how far it has come, and what can be done.

use maud::{Markup, html};
use vaka_protocol::{Lane, Rung};

use super::view::View;
use super::words;
use crate::auth::Right;
use crate::gateway::{Alarm, Outcome, Step};

/// Where somebody would go: never a name.
pub fn place(view: &View, alarm: &Alarm) -> String {
    match (&alarm.home, &alarm.resident) {
        (Some(home), _) => view.say(format!("Hem {home}"), format!("Home {home}")),
        (None, Some(resident)) => view.say(format!("Boende {resident}"), format!("Resident {resident}")),
        (None, None) => view.say(format!("Enhet {}", alarm.device), format!("Device {}", alarm.device)),
    }
}

/// `Nödlarm · trygghetsknapp, 2 gånger`.
pub fn headline(view: &View, alarm: &Alarm) -> Markup {
    let what = alarm.what.in_(view.lang);
    html! {
        span.lane { (words::lane(view.lang, alarm.lane)) " · " (what)
            @if alarm.count > 1 { ", " (alarm.count) (view.t(" gånger", " times")) }
        }
    }
}

fn where_(view: &View, alarm: &Alarm) -> String {
    let kind = words::kind(view.lang, &alarm.kind);
    let device = format!("{kind} {}", alarm.device);
    let resident = alarm.home.as_ref().and(alarm.resident.as_ref());
    let resident = resident.map(|id| view.say(format!("boende {id}"), format!("resident {id}")));
    let said = [alarm.room.clone(), resident, Some(device)].into_iter().flatten().collect::<Vec<_>>().join(" · ");
    words::sentence(&said)
}

/// What a person must know beside it, in whole sentences.
pub fn notes(view: &View, alarm: &Alarm) -> Markup {
    let times = &view.times;
    let is_open = alarm.closed_by.is_none();
    let loud = |sv: String, en: String| html! { p.note.strong { (view.say(sv, en)) } };
    html! {
        @if alarm.nobody && is_open {
            (loud("Ingen mottagare har svarat i tid. Alla är tillsagda.".into(), "No receiver has answered in time. Everybody has been told.".into()))
        }
        @if let Some(due) = alarm.due_at.filter(|_| is_open) {
            @let at = times.minute(due);
            (loud(format!("Någon ska vara där senast {at}."), format!("Somebody has to be there by {at}.")))
        }
        @if alarm.delayed {
            @let at = times.when(alarm.happened_at);
            (loud(format!("Försenat: det hände {at}."), format!("Delayed: it happened at {at}.")))
        }
        @if alarm.cancelled && is_open {
            (loud("Den boende har tagit tillbaka larmet. Det står kvar tills någon avslutar det.".into(),
                "The resident has taken it back. It stays until a person closes it.".into()))
        }
        @if alarm.over && is_open {
            p.note { (view.t("Orsaken är över. Larmet står kvar tills någon avslutar det.", "The cause is over. The alarm stays until a person closes it.")) }
        }
        @if alarm.handed_over && !alarm.test && alarm.claimed_by.is_none() && is_open {
            p.note.soft { (view.t("Mottagaren har larmet. Att en människa tagit det är inte bekräftat.",
                "The receiver has the alarm. That a person has taken it is not confirmed.")) }
        }
    }
}

/// When it was taken, where it is.
pub fn claimed_at(alarm: &Alarm) -> Option<i64> {
    alarm.steps.iter().rev().find(|step| step.rung == Rung::Claimed).map(|step| step.at)
}

/// The first of each rung, in their order.
fn reached(alarm: &Alarm) -> Vec<&Step> {
    let first = |rung: &Rung| alarm.steps.iter().filter(|step| step.rung == *rung).min_by_key(|step| step.at);
    Rung::ALL.iter().filter_map(first).collect()
}

pub fn rungs(view: &View, alarm: &Alarm) -> Markup {
    let me = view.session.as_ref().map(|session| session.person.id.as_str());
    let missing = match (&alarm.claimed_by, &alarm.closed_by) {
        (_, Some(_)) => None,
        (Some(by), _) if Some(by.as_str()) == me => Some(view.t("Du avslutar", "You close it").to_owned()),
        (Some(by), _) => Some(view.say(format!("{by} avslutar"), format!("{by} closes it"))),
        _ if alarm.nobody => Some(view.t("Ingen har svarat", "Nobody has answered").to_owned()),
        _ if view.may(Right::ActOnAlarms) => Some(view.t("Väntar på dig", "Waits for you").to_owned()),
        _ => Some(view.t("Väntar på en människa", "Waits for a person").to_owned()),
    };
    html! {
        ol.rungs aria-label=(view.t("Så långt har larmet kommit", "How far the alarm has come")) {
            @for step in reached(alarm) {
                li.done {
                    @match (&step.receiver, step.rung) {
                        (receiver, Rung::Accepted) if !receiver.is_empty() => (words::sentence(receiver)),
                        _ => (words::rung(view.lang, step.rung)),
                    }
                    time { (view.times.when(step.at)) }
                }
            }
            @if let Some(missing) = missing { li.wait { (missing) } }
        }
    }
}

/// A form of one button that does something with an alarm.
pub fn one_tap(alarm: &Alarm, act: &str, name: &str, class: &str, spoken: &str) -> Markup {
    html! {
        form method="post" action={ "/alarms/" (alarm.id) "/" (act) } class=(class) {
            button class=(class) name="act" value=(act) { (name) span.sr { ": " (spoken) } }
        }
    }
}

/// How it ended: one tap each, with a note where there is something to say.
pub fn close_form(view: &View, alarm: &Alarm, open: bool) -> Markup {
    let outcomes = [Outcome::Helped, Outcome::False, Outcome::Technical, Outcome::HandedOver];
    html! {
        details.act-form data-keep={ "close-" (alarm.id) } open[open] {
            summary.button { (view.t("Avsluta …", "Close …")) span.sr { (place(view, alarm)) } }
            form method="post" action={ "/alarms/" (alarm.id) "/close" } {
                input type="hidden" name="seen" value=(alarm.count);
                label { (view.t("Vad hände? (frivilligt)", "What happened? (optional)")) textarea name="note" rows="2" maxlength="500" {} }
                p.soft { (view.t("Så slutade det:", "How it ended:")) }
                div.act {
                    @for outcome in outcomes {
                        button name="outcome" value=(outcome_word(outcome)) { (words::outcome(view.lang, outcome)) }
                    }
                }
            }
        }
    }
}

pub fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Helped => "helped",
        Outcome::False => "false",
        Outcome::Technical => "technical",
        Outcome::HandedOver => "handed-over",
    }
}

/// What can be done about an open alarm, the one main act first. `whole`: on its own page, everything is at hand.
pub fn acts(view: &View, alarm: &Alarm, whole: bool) -> Markup {
    if !view.may(Right::ActOnAlarms) || alarm.closed_by.is_some() {
        return html! {};
    }
    let me = view.session.as_ref().map(|session| session.person.id.as_str());
    let spoken = place(view, alarm);
    let mine = alarm.claimed_by.as_deref().is_some_and(|by| Some(by) == me);
    html! {
        div.act {
            @match &alarm.claimed_by {
                None => (one_tap(alarm, "claim", view.t("Jag tar det", "I take it"), "main", &spoken)),
                Some(_) if mine => (close_form(view, alarm, whole)),
                Some(by) if whole => {
                    form.main method="post" action={ "/alarms/" (alarm.id) "/claim" } {
                        input type="hidden" name="from" value=(by);
                        button.main { (view.say(format!("Ta över från {by}"), format!("Take over from {by}"))) }
                    }
                }
                Some(_) => {}
            }
            @if whole {
                @if !mine { (close_form(view, alarm, false)) }
                details.act-form {
                    summary.button { (view.t("Lämna över …", "Hand over …")) }
                    form method="post" action={ "/alarms/" (alarm.id) "/hand-over" } {
                        label { (view.t("Till vem? Tomt: till alla, larmet är öppet igen.", "To whom? Empty: to everybody, the alarm is open again."))
                            input name="to" maxlength="64" autocomplete="off"; }
                        label { (view.t("Vad behöver de veta?", "What do they need to know?")) textarea name="note" rows="2" maxlength="500" {} }
                        button { (view.t("Lämna över", "Hand over")) }
                    }
                }
                (one_tap(alarm, "escalate", view.t("Larma nästa nu", "Tell the next now"), "", &spoken))
                details.act-form {
                    summary.button { (view.t("Anteckna …", "Note …")) }
                    form method="post" action={ "/alarms/" (alarm.id) "/note" } {
                        label { (view.t("Anteckning till larmet", "Note on the alarm")) textarea name="note" rows="2" maxlength="500" required {} }
                        button { (view.t("Spara", "Save")) }
                    }
                }
            } @else {
                a.button href={ "/alarms/" (alarm.id) } { (view.t("Mer", "More")) span.sr { ": " (spoken) } }
            }
        }
    }
}

/// An alarm in the list. `small`: taken already, or a test.
pub fn article(view: &View, alarm: &Alarm, small: bool) -> Markup {
    let why = alarm.why.in_(view.lang);
    let lane = words::lane_class(alarm.lane);
    let open = if alarm.claimed_by.is_none() { "open" } else { "" };
    let new_life = alarm.lane == Lane::Life && !alarm.test && alarm.claimed_by.is_none();
    html! {
        article class={ "alarm " (lane) " " (open) } data-alarm=(alarm.id) aria-labelledby={ "a-" (alarm.id) }
            data-life=[new_life.then(|| format!("{}, {}", place(view, alarm), alarm.what.in_(view.lang)))] {
            div.top {
                (headline(view, alarm))
                span.age { span.sr { (view.t("Ålder ", "Age ")) } time data-at=(alarm.raised_at) { (view.times.age(alarm.raised_at)) } }
            }
            h2 id={ "a-" (alarm.id) } { a href={ "/alarms/" (alarm.id) } { (place(view, alarm)) } }
            p.where { (where_(view, alarm)) }
            @if let Some(by) = &alarm.claimed_by {
                p.note { (view.t("Tagen av ", "Taken by ")) strong { (by) }
                    @if let Some(at) = claimed_at(alarm) { (view.t(" kl. ", " at ")) (view.times.when(at)) }
                }
            }
            (notes(view, alarm))
            @if !small && !why.is_empty() { p.why { (why) } }
            @if !small { (rungs(view, alarm)) }
            (acts(view, alarm, false))
        }
    }
}
