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
use crate::auth::{Right, Role, Units};
use crate::gateway::Alarm;
use crate::limits::{ALARMS_SHOWN_MAX, OTHERS_SHOWN_MAX};

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

    fn shown_max(self) -> usize {
        if self == Part::Waiting { ALARMS_SHOWN_MAX } else { OTHERS_SHOWN_MAX }
    }
}

/// Most urgent lane first, newest first within it.
pub fn order(alarm: &Alarm) -> (Lane, Reverse<i64>, &str) {
    (alarm.lane, Reverse(alarm.raised_at), &alarm.id)
}

/// What a group of people sees of the open alarms: how many there are, and those that stand on the page.
#[derive(Debug, Default)]
pub struct List {
    shown: [Vec<Arc<Alarm>>; 4],
    counts: [usize; 4],
    /// Life alarms that nobody has taken: how many, and the newest.
    life: usize,
    newest_life: Vec<Arc<Alarm>>,
}

impl List {
    pub fn of(now: &Now, units: &Units) -> List {
        let mut list = List::default();
        for alarm in now.alarms.iter().filter(|alarm| sees_alarm(units, alarm)) {
            let part = Part::of(alarm);
            list.counts[part as usize] += 1;
            if list.shown[part as usize].len() < part.shown_max() {
                list.shown[part as usize].push(Arc::clone(alarm));
            }
            if part == Part::Waiting && alarm.lane == Lane::Life {
                list.life += 1;
                if list.newest_life.len() < ALARMS_SHOWN_MAX {
                    list.newest_life.push(Arc::clone(alarm));
                }
            }
        }
        list
    }

    fn count(&self, part: Part) -> usize {
        self.counts[part as usize]
    }

    /// Those that stand on the page.
    pub fn shown(&self, part: Part) -> &[Arc<Alarm>] {
        &self.shown[part as usize]
    }

    /// Alarms of residents that wait for a person.
    pub fn waiting(&self) -> usize {
        self.count(Part::Waiting)
    }

    /// The newest life alarms that nobody has taken, newest first: as many as stand on a page. Those beyond ring with them.
    pub fn newest_life(&self) -> &[Arc<Alarm>] {
        &self.newest_life
    }

    /// The heading: who waits, or that nobody does.
    pub fn heading(&self, view: &View, now: &Now) -> String {
        let life = self.life;
        let (waiting, technical) = (self.waiting(), self.count(Part::Technical));
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
            0 if all_heard && self.count(Part::Technical) == 0 => "calm",
            0 => "unsure",
            _ => "waits",
        }
    }

    /// What stands above a part.
    pub fn summary(&self, view: &View, part: Part) -> String {
        let all = self.count(part);
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
        let (all, shown) = (self.count(part), self.shown(part).len());
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
                    Part::Taken => section id={ "in-" (part.id()) } hidden[self.count(part) == 0] {
                        h2 id={ "sum-" (part.id()) } { (self.summary(view, part)) } (articles)
                    },
                    _ => details.fold id={ "in-" (part.id()) } hidden[self.count(part) == 0]
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
