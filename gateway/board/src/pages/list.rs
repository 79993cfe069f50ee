//! The list of open alarms: what stands in which part, in which order, and the words that count them.
//!
//! Enters: open alarms, and whose they are. Leaves: the parts, as a whole or one article at a time. Invariant: an alarm that
//! nobody has taken stands above one that somebody has; the newest life first; a test stands apart.

use std::cmp::Reverse;
use std::sync::Arc;

use maud::{Markup, html};
use vaka_protocol::Lane;

use super::article::article;
use super::live::Now;
use super::seen::sees_alarm;
use super::view::View;
use super::words::many;
use crate::auth::{Right, Role};
use crate::gateway::Alarm;
use crate::limits::ALARMS_SHOWN_MAX;

/// A part of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Nobody has taken it, and a person is waiting.
    Waiting,
    /// Nobody has taken it; something stopped protecting.
    Technical,
    Taken,
    Tests,
}

impl Part {
    pub const ALL: [Part; 4] = [Part::Waiting, Part::Technical, Part::Taken, Part::Tests];

    pub fn id(self) -> &'static str {
        match self {
            Part::Waiting => "waiting",
            Part::Technical => "technical",
            Part::Taken => "taken",
            Part::Tests => "tests",
        }
    }

    fn of(alarm: &Alarm) -> Part {
        match (alarm.test || alarm.lane == Lane::Test, &alarm.claimed_by, alarm.lane) {
            (true, ..) => Part::Tests,
            (_, Some(_), _) => Part::Taken,
            (_, None, Lane::Life | Lane::Care) => Part::Waiting,
            _ => Part::Technical,
        }
    }

    fn is_small(self) -> bool {
        matches!(self, Part::Taken | Part::Tests)
    }
}

/// Most urgent lane first, newest first within it.
pub fn order(alarm: &Alarm) -> (Lane, Reverse<i64>, String) {
    (alarm.lane, Reverse(alarm.raised_at), alarm.id.clone())
}

/// What one person sees of the open alarms.
pub struct List {
    parts: [Vec<Arc<Alarm>>; 4],
}

impl List {
    pub fn of(now: &Now, view: &View) -> List {
        let mut parts: [Vec<Arc<Alarm>>; 4] = Default::default();
        let units = view.session.as_ref().map(|session| &session.person.units);
        for alarm in now.alarms.iter().filter(|alarm| units.is_some_and(|units| sees_alarm(units, alarm))) {
            parts[Part::of(alarm) as usize].push(Arc::clone(alarm));
        }
        List { parts }
    }

    fn of_part(&self, part: Part) -> &[Arc<Alarm>] {
        &self.parts[part as usize]
    }

    /// Those that stand on the page, with the part they stand in.
    pub fn shown(&self, part: Part) -> &[Arc<Alarm>] {
        let all = self.of_part(part);
        &all[..all.len().min(ALARMS_SHOWN_MAX)]
    }

    /// Alarms of residents that wait for a person.
    pub fn waiting(&self) -> usize {
        self.of_part(Part::Waiting).len()
    }

    /// Life alarms that nobody has taken.
    pub fn life(&self) -> impl Iterator<Item = &Arc<Alarm>> {
        self.of_part(Part::Waiting).iter().filter(|alarm| alarm.lane == Lane::Life)
    }

    /// The heading: who waits, or that nobody does.
    pub fn heading(&self, view: &View, now: &Now) -> String {
        let life = self.life().count();
        let (waiting, technical) = (self.waiting(), self.of_part(Part::Technical).len());
        let and_life = match life {
            0 => String::new(),
            n if n == waiting => view.t(", nödlarm", ", emergency").to_owned(),
            n => view.say(format!(", varav {n} nödlarm"), format!(", {n} of them emergencies")),
        };
        match (waiting, technical) {
            (0, 0) => format!("{} {}", view.t("Inga öppna larm.", "No open alarms."), now.heard(view)),
            (0, n) => {
                let waits = many(
                    view.lang,
                    n,
                    ("tekniskt larm väntar", "tekniska larm väntar"),
                    ("technical alarm waits", "technical alarms wait"),
                );
                view.say(format!("Ingen boende väntar. {waits}."), format!("No resident waits. {waits}."))
            }
            (n, _) => {
                let waits = many(view.lang, n, ("larm väntar", "larm väntar"), ("alarm waits", "alarms wait"));
                view.say(format!("{waits} på en människa{and_life}"), format!("{waits} for a person{and_life}"))
            }
        }
    }

    /// The heading's colour, beside its words: somebody waits, all is calm, or neither can be said.
    pub fn mood(&self, now: &Now) -> &'static str {
        let all_heard =
            now.health.heard_of > 0 && now.health.heard >= now.health.heard_of && now.health.wrong.is_empty();
        match self.waiting() {
            0 if all_heard && self.of_part(Part::Technical).is_empty() => "calm",
            0 => "unsure",
            _ => "waits",
        }
    }

    /// What stands above a part.
    pub fn summary(&self, view: &View, part: Part) -> String {
        let all = self.of_part(part).len();
        let name = match part {
            Part::Waiting => return self.beyond(view, part),
            Part::Technical => view.t("Teknik som ingen tagit", "Technical, not taken"),
            Part::Taken => view.t("Tagna", "Taken"),
            Part::Tests => view.t("Prov, inte på riktigt", "Tests, not real"),
        };
        format!("{name}: {all}{}", self.beyond(view, part))
    }

    /// More than the page shows.
    fn beyond(&self, view: &View, part: Part) -> String {
        let (all, shown) = (self.of_part(part).len(), self.shown(part).len());
        match all - shown {
            0 => String::new(),
            more => view.say(
                format!(" {more} till visas när dessa är tagna. Alla finns under Alla larm."),
                format!(" {more} more come when these are taken. All are under All alarms."),
            ),
        }
    }

    pub fn article(&self, view: &View, part: Part, alarm: &Alarm) -> Markup {
        article(view, alarm, part.is_small())
    }

    pub fn markup(&self, view: &View, now: &Now) -> Markup {
        let technician = view.session.as_ref().is_some_and(|session| session.person.role == Role::Technician);

        html! {
            h1 #count class=(self.mood(now)) aria-live="polite" { (self.heading(view, now)) }
            p #beyond .soft hidden[self.summary(view, Part::Waiting).is_empty()] { (self.summary(view, Part::Waiting)) }
            @for part in Part::ALL {
                @let articles = html! {
                    div.alarms id=(part.id()) { @for alarm in self.shown(part) { (self.article(view, part, alarm)) } }
                };
                @match part {
                    Part::Waiting => (articles),
                    Part::Taken => section id={ "in-" (part.id()) } hidden[self.of_part(part).is_empty()] {
                        h2 id={ "sum-" (part.id()) } { (self.summary(view, part)) } (articles)
                    },
                    _ => details.fold id={ "in-" (part.id()) } hidden[self.of_part(part).is_empty()]
                        open[technician && part == Part::Technical] {
                        summary id={ "sum-" (part.id()) } { (self.summary(view, part)) } (articles)
                    },
                }
            }
            p { a href="/alarms" { (view.t("Alla larm, även avslutade", "All alarms, closed ones too")) } }
        }
    }
}

/// What is wrong with the gateway itself, said before anything else.
pub fn wrong(view: &View, now: &Now) -> Markup {
    let down: Vec<_> = now.health.paths.iter().filter(|path| !path.up).collect();
    html! {
        div #wrong {
            @if !now.health.wrong.is_empty() || !down.is_empty() {
                div.wrong {
                    @for said in &now.health.wrong { p { strong { (said.in_(view.lang)) } } }
                    @for path in down {
                        p { (view.t("Vägen ", "The path ")) (path.path) (view.t(" till ", " to ")) (path.receiver) (view.t(" är nere", " is down"))
                            @if let Some(since) = path.since { (view.t(" sedan ", " since ")) (view.times.when(since)) } "." }
                    }
                    @if view.may(Right::ChangeDevices) { p { a href="/check" { (view.t("Se kontrollen", "See the check")) } } }
                }
            }
        }
    }
}
