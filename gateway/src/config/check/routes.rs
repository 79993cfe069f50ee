//! [[route]]: which lanes go to whom, and when.

use jiff::civil::{Time, Weekday};
use toml::Spanned;
use vaka_protocol::Lane;

use super::super::explain::shown;
use super::super::*;
use super::{Check, Text};
use crate::dispatch::{Hours, first_gap};

const LANES: &[(&str, Lane)] = &[
    ("life", Lane::Life),
    ("care", Lane::Care),
    ("technical", Lane::Technical),
    ("telemetry", Lane::Telemetry),
    ("test", Lane::Test),
];

pub(super) const DAYS: &[(&str, Weekday)] = &[
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

pub(super) fn routes(c: &mut Check<'_>, file: &file::File, receivers: &[ReceiverConfig]) -> Vec<Route> {
    let names: Vec<&str> = file.receiver.iter().map(|r| r.get_ref().name.get_ref().as_str()).collect();
    let mut routes = Vec::new();
    for (route, whole) in file.route.iter().map(|whole| (whole.get_ref(), whole)) {
        for (key, list) in [("lanes", &route.lanes), ("to", &route.to)] {
            if list.is_empty() {
                c.wrong(whole, format!("`{key}` of this [[route]] is empty; name at least one"));
            }
        }
        let mut lanes = Vec::new();
        for word in &route.lanes {
            let lane = c.choice("lane", word, LANES);
            if lane == Some(Lane::Telemetry) {
                telemetry(c, word, route, receivers);
            }
            lanes.extend(lane);
        }
        for name in route.to.iter().filter(|name| !names.contains(&name.get_ref().as_str())) {
            let hint = match nearest(name.get_ref(), names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "add its [[receiver]]".to_owned(),
            };
            c.wrong(name, format!("this [[route]] names the unknown receiver `{}`; {hint}", shown(name.get_ref())));
        }
        let to = route.to.iter().map(|name| name.get_ref().clone()).collect();
        routes.push(Route { lanes, to, hours: hours(c, route, whole) });
    }
    warn_of_gaps(c, file, &routes, receivers);
    routes
}

/// Telemetry leaves the home by an explicit route, and only to those who can take it.
fn telemetry(c: &mut Check<'_>, word: &Text, route: &file::Route, receivers: &[ReceiverConfig]) {
    let to = route.to.iter().filter_map(|name| receivers.iter().find(|receiver| receiver.name == *name.get_ref()));
    let takes_it = |receiver: &&ReceiverConfig| matches!(receiver.kind, ReceiverKind::Hub | ReceiverKind::Webhook);
    for receiver in to.filter(|receiver| !takes_it(receiver)) {
        let kind = ReceiverKind::ALL.iter().find(|(_, kind)| *kind == receiver.kind).map_or("other", |(kind, _)| kind);
        let name = shown(&receiver.name);
        c.wrong(word, format!("`telemetry` goes to a hub or a webhook only, and `{name}` is of kind {kind}; give it a [[route]] of its own, or remove it from `lanes`"));
    }
    if route.days.is_some() || route.from.is_some() || route.until.is_some() {
        let text = "`telemetry` goes at all hours; give it a [[route]] of its own, without `days`, `from` and `until`";
        c.wrong(word, text.to_owned());
    }
}

/// `days`, `from` and `until`: absent means every day, from midnight, until midnight.
fn hours(c: &mut Check<'_>, route: &file::Route, whole: &Spanned<file::Route>) -> Option<Hours> {
    if route.days.is_none() && route.from.is_none() && route.until.is_none() {
        return None;
    }
    let days = match &route.days {
        None => DAYS.iter().map(|(_, day)| *day).collect(),
        Some(words) => words.iter().filter_map(|word| c.choice("day", word, DAYS)).collect(),
    };
    if route.days.as_ref().is_some_and(Vec::is_empty) {
        c.wrong(whole, "`days` names no day, so this [[route]] never holds; name one, or leave `days` out".to_owned());
    }
    let from = route.from.as_ref().map_or(Time::midnight(), |word| time(c, "from", word));
    let until = route.until.as_ref().map_or(Time::midnight(), |word| time(c, "until", word));
    Some(Hours { days, from, until })
}

pub(super) fn time(c: &mut Check<'_>, key: &str, word: &Text) -> Time {
    Time::strptime("%H:%M", word.get_ref()).unwrap_or_else(|_| {
        c.wrong(word, format!("`{key}`: expected a local time such as \"22:00\", found `{}`", shown(word.get_ref())));
        Time::midnight()
    })
}

/// A route that can lose an alarm is said loud; the gateway runs all the same.
fn warn_of_gaps(c: &mut Check<'_>, file: &file::File, routes: &[Route], receivers: &[ReceiverConfig]) {
    if !file.receiver.is_empty() {
        match first_gap(routes, Lane::Life) {
            Some(_) if !routes.iter().any(|route| route.lanes.contains(&Lane::Life)) => c.warn_of_all(
                "no [[route]] for the lane `life`: LIFE ALARMS GO TO NOBODY; add lanes = [\"life\"] and to = [...]",
            ),
            Some((day, from)) => {
                let day = DAYS.iter().find(|(_, d)| *d == day).map_or("", |(name, _)| name);
                let from = from.strftime("%H:%M");
                c.warn_of_all(&format!(
                    "no [[route]] for the lane `life` on {day} from {from}: LIFE ALARMS GO TO NOBODY THEN; add a [[route]] without days and hours as the last"
                ));
            }
            None => {}
        }
    }
    // An alarm that nobody can prove to have taken must not end the way of others.
    for lane in [Lane::Life, Lane::Care] {
        let to: Vec<&ReceiverConfig> = routes
            .iter()
            .filter(|route| route.lanes.contains(&lane))
            .flat_map(|route| &route.to)
            .filter_map(|name| receivers.iter().find(|r| r.name == *name))
            .collect();
        if !to.is_empty() && to.iter().all(|receiver| receiver.kind.last_rung() < vaka_protocol::Rung::Accepted) {
            let lane = lane.as_str();
            c.warn_of_all(&format!("lane `{lane}` goes to webhooks alone, which prove no more than that a server took it: NOBODY CONFIRMS; add a receiver that accepts alarms"));
        }
    }
    if !file.receiver.is_empty() {
        let unrouted: Vec<&str> = [Lane::Care, Lane::Technical]
            .iter()
            .filter(|lane| first_gap(routes, **lane).is_some())
            .map(|lane| lane.as_str())
            .collect();
        if !unrouted.is_empty() && routes.iter().any(|route| route.lanes.contains(&Lane::Life)) {
            let lanes = unrouted.join(", ");
            c.warn_of_all(&format!("no [[route]] at all hours for {lanes}: such alarms are kept and shown here, and NOBODY OUTSIDE IS TOLD; add the lanes to a [[route]]"));
        }
    }
    for r in file.receiver.iter().map(Spanned::get_ref) {
        if !routes.iter().any(|route| route.to.contains(r.name.get_ref())) {
            c.warn(&r.name, format!("no [[route]] leads to receiver `{}`", shown(r.name.get_ref())));
        }
    }
}
