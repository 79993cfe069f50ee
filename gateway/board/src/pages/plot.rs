//! A night as a bar: when somebody was in bed, and marks. It shows nothing that the words beside it do not say.

use maud::{Markup, html};

use super::view::View;
use crate::gateway::{Night, NightOf};

/// Width and height of the drawing's own units.
const WIDTH: i64 = 480;
const HOUR_MS: i64 = 3_600_000;

pub fn night_bar(view: &View, night: &Night, of: &NightOf) -> Markup {
    let length = (night.until - night.from).max(1);
    // Nothing is drawn outside the night, nor after now.
    let known = view.times.now_ms.clamp(night.from, night.until);
    let x = |at: i64| (at.clamp(night.from, night.until) - night.from) * WIDTH / length;
    let in_bed: Vec<(i64, i64)> = of.in_bed.iter().map(|(from, until)| (x(*from), x(until.unwrap_or(known)))).collect();
    let hours = hours(night);
    html! {
        svg.bar-of-night viewBox={ "0 0 " (WIDTH) " 46" } role="img" aria-label=(spoken(view, of)) {
            rect.none x="0" y="10" width=(WIDTH) height="16" rx="4" {}
            @for (from, until) in in_bed { rect.bed x=(from) y="10" width=((until - from).max(1)) height="16" rx="3" {} }
            @for mark in &of.marks { path.mark d={ "M" (x(mark.at)) " 4v28" } {} }
            @if known < night.until { path.now d={ "M" (x(known)) " 0v34" } {} }
            @for (at, hour) in hours { text x=(at * WIDTH / length) y="44" text-anchor=(if at == 0 { "start" } else { "middle" }) { (hour_word(view, hour)) } }
        }
        @if !of.marks.is_empty() {
            ul.marks { @for mark in &of.marks { li { time { (view.times.minute(mark.at)) } " " (mark.said.in_(view.lang)) } } }
        }
    }
}

/// Every second full hour of the night: from its beginning, and when it is.
fn hours(night: &Night) -> Vec<(i64, i64)> {
    let first = night.from.div_euclid(HOUR_MS) * HOUR_MS;
    let every = (0..).map(|n| first + n * 2 * HOUR_MS);
    let within = every.skip_while(|at| *at < night.from).take_while(|at| *at + HOUR_MS / 2 < night.until);
    within.map(|at| (at - night.from, at)).collect()
}

fn hour_word(view: &View, at: i64) -> String {
    view.times.minute(at).get(..2).unwrap_or_default().to_owned()
}

fn spoken(view: &View, of: &NightOf) -> String {
    let span = |(from, until): &(i64, Option<i64>)| {
        let until = until.map(|until| view.times.minute(until));
        let until = until.unwrap_or_else(|| view.t("nu", "now").to_owned());
        view.say(
            format!("{} till {until}", view.times.minute(*from)),
            format!("{} to {until}", view.times.minute(*from)),
        )
    };
    match of.in_bed.is_empty() {
        true => view.t("Ingen tid i sängen är känd", "No time in bed is known").to_owned(),
        false => {
            let spans: Vec<String> = of.in_bed.iter().map(span).collect();
            format!("{} {}", view.t("I sängen", "In bed"), spans.join(", "))
        }
    }
}
