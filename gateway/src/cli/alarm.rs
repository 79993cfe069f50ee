//! `vaka alarm`: asks the running gateway; where none runs, reads (and for an act writes) the journal itself.

use std::path::Path;

use jiff::tz::TimeZone;
use serde_json::Value;
use vaka_protocol::{AlarmId, Rung};

use super::{AlarmCommand, Exit, Failure, local_time, print_json, print_line, stopped};
use crate::config::Config;
use crate::journal::record::{Act, ActWhat, CloseOutcome};
use crate::pipeline::control::{self, Request};
use crate::pipeline::keeper::Ask;
use crate::pipeline::restore;
use crate::pipeline::view::{self, AlarmRow, Labels};

pub fn run(command: AlarmCommand, config: &Path) -> Result<Exit, Failure> {
    let (config, _) = Config::load(config).map_err(|e| Failure::config(&e))?;
    match command {
        AlarmCommand::List { all, json } => list(&config, all, json),
        AlarmCommand::Show { id, json } => show(&config, &id, json),
        AlarmCommand::Claim { id, by, from } => act(&config, &id, ActWhat::Claim, by, |act| Act { other: from, ..act }),
        AlarmCommand::HandOver { id, by, to, note } => {
            act(&config, &id, ActWhat::HandOver, by, |act| Act { other: to, note: note.unwrap_or_default(), ..act })
        }
        AlarmCommand::Escalate { id, by, note } => {
            act(&config, &id, ActWhat::Escalate, by, |act| Act { note: note.unwrap_or_default(), ..act })
        }
        AlarmCommand::Close { id, by, note, outcome } => act(&config, &id, ActWhat::Close, by, |act| Act {
            outcome: outcome.as_deref().and_then(CloseOutcome::named),
            note: note.unwrap_or_default(),
            ..act
        }),
    }
}

fn list(config: &Config, all: bool, json: bool) -> Result<Exit, Failure> {
    let attempt = "list the alarms";
    let rows: Vec<AlarmRow> = match control::request(&config.journal.dir, &Request::Alarms { all }) {
        Some(answer) => {
            let value = answer.map_err(|e| Failure::new(Exit::Internal, attempt, e, ""))?;
            serde_json::from_value(value).map_err(|e| Failure::new(Exit::Internal, attempt, e, ""))?
        }
        None => view::rows(&read(config, attempt)?, &Labels::from_config(config), all),
    };
    if json {
        print_json(&rows)?;
        return Ok(Exit::Ok);
    }
    if rows.is_empty() {
        print_line("No open alarms.")?;
    }
    let places: Vec<String> = rows.iter().map(place).collect();
    let width = places.iter().map(|place| place.chars().count()).max().unwrap_or(0);
    for (row, place) in rows.iter().zip(&places) {
        let line = format!(
            "{}  {}  {:<9}  {:<9}  {place:<width$}  {}",
            row.id,
            local_time(row.raised_at, &config.gateway.time_zone),
            row.lane.as_str(),
            row.rung.as_str(),
            what(row)
        );
        print_line(&line)?;
    }
    Ok(Exit::Ok)
}

/// Where to go, the widest first: at a hub the home, then whose and which room, then the device.
fn place(row: &AlarmRow) -> String {
    let home = row.home.as_ref();
    // A home's alarm of its own, such as a path of its: there the device is the home, and is said once.
    let device = match home {
        Some(home) => home.device.as_ref().filter(|device| **device != row.device),
        None => Some(&row.device),
    };
    let parts = [
        home.map(|_| row.device.to_string()),
        row.resident.as_ref().map(|resident| format!("resident {resident}")),
        row.room.clone(),
        device.map(ToString::to_string),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// What it is, how often, and what is not well with it.
fn what(row: &AlarmRow) -> String {
    let mut said = row.cause.clone();
    if row.count > 1 {
        said.push_str(&format!(" ×{}", row.count));
    }
    let open = row.rung < Rung::Claimed;
    let marks = [
        (row.delayed, ", delayed"),
        (row.cancelled, ", taken back"),
        (row.over, ", over"),
        (open && row.nobody, ", nobody has it"),
        (open && row.handed_over, ", person not confirmed"),
    ];
    said.extend(marks.iter().filter(|(is_so, _)| *is_so).map(|(_, mark)| *mark));
    if let Some(outcome) = row.outcome {
        said.push_str(&format!(", {}", came_to(outcome)));
    }
    said
}

fn came_to(outcome: CloseOutcome) -> &'static str {
    match outcome {
        CloseOutcome::Helped => "helped",
        CloseOutcome::False => "false alarm",
        CloseOutcome::Technical => "technical",
        CloseOutcome::HandedOver => "handed over",
    }
}

fn show(config: &Config, id: &str, json: bool) -> Result<Exit, Failure> {
    let attempt = format!("show alarm {id}");
    let alarm = alarm_id(id, &attempt)?;
    let found = match control::request(&config.journal.dir, &Request::Show { alarm: alarm.clone() }) {
        Some(answer) => answer,
        None => view::show(&read(config, &attempt)?, &Labels::from_config(config), &alarm)
            .ok_or_else(|| format!("there is no alarm {alarm}")),
    };
    let found = found
        .map_err(|e| Failure::new(Exit::FoundWrong, &*attempt, e, "`vaka alarm list --all` shows those there are"))?;
    if json {
        print_json(&found)?;
        return Ok(Exit::Ok);
    }
    let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
    let zone = &config.gateway.time_zone;
    let time = |key: &str| local_time(found[key].as_i64().unwrap_or_default(), zone);
    print_line(&format!("{}  {}  {}", text("id"), text("lane"), text("rung")))?;
    print_line(&format!("  {}", text("sv")))?;
    // A hub has the home's words in the home's language alone.
    if text("en") != text("sv") {
        print_line(&format!("  {}", text("en")))?;
    }
    if let Ok(row) = serde_json::from_value::<AlarmRow>(found.clone()) {
        print_line(&format!("  where: {}; what: {}", place(&row), what(&row)))?;
    }
    print_line(&format!(
        "  device {}, rule {} version {}, cause {}",
        text("device"),
        text("rule"),
        found["rule_version"],
        text("cause")
    ))?;
    print_line(&format!("  happened {}, raised {}", time("happened_at"), time("raised_at")))?;
    print_why(&found, zone)?;
    for rung in found["rungs"].as_array().into_iter().flatten() {
        let part = |key: &str| rung[key].as_str().unwrap_or_default();
        let at = local_time(rung["at"].as_i64().unwrap_or_default(), zone);
        let via = [part("receiver"), part("path"), part("detail")].into_iter().filter(|p| !p.is_empty());
        let via = via.collect::<Vec<_>>().join(", ");
        print_line(format!("  {at}  notice {}  {:<8}  {via}", rung["notice"], part("rung")).trim_end())?;
    }
    if !text("note").is_empty() {
        print_line(&format!("  note: {}", text("note")))?;
    }
    Ok(Exit::Ok)
}

/// From what it was raised, what was agreed, and what would have made it unnecessary.
fn print_why(found: &Value, zone: &TimeZone) -> Result<(), Failure> {
    let why = &found["why"];
    for seen in why["seen"].as_array().into_iter().flatten() {
        let at = local_time(seen["at"].as_i64().unwrap_or_default(), zone);
        let part = |key: &str| seen[key].as_str().unwrap_or_default();
        let record = seen["record"].as_u64().filter(|record| *record > 0);
        let record = record.map(|record| format!(" (record {record})")).unwrap_or_default();
        print_line(&format!("  seen    {at}  {}  {}{record}", part("device"), part("what")))?;
    }
    for (name, value) in why["agreed"].as_object().into_iter().flatten() {
        print_line(&format!("  agreed  {name} = {}", value.as_str().unwrap_or_default()))?;
    }
    if let Some(due_at) = found["due_at"].as_i64() {
        print_line(&format!("  somebody has to be there before {}", local_time(due_at, zone)))?;
    }
    for language in ["sv", "en"] {
        if let Some(text) = why["prevented"][language].as_str() {
            print_line(&format!("  {text}"))?;
        }
    }
    Ok(())
}

fn act(
    config: &Config,
    id: &str,
    what: ActWhat,
    by: Option<String>,
    more: impl FnOnce(Act) -> Act,
) -> Result<Exit, Failure> {
    let attempt = format!("{} alarm {id}", what.as_str());
    let alarm = alarm_id(id, &attempt)?;
    let by =
        by.or_else(|| std::env::var("USER").ok()).filter(|name| !name.is_empty()).unwrap_or_else(|| "unknown".into());
    let act = more(Act::new(alarm, what, by.clone(), String::new()));
    let answer = match control::request(&config.journal.dir, &Request::Act { act: act.clone() }) {
        Some(answer) => answer,
        None => {
            let row = stopped::ask(config, &attempt, |reply| Ask::Act { act, reply })?;
            row.and_then(|row| serde_json::to_value(row).map_err(|e| e.to_string()))
        }
    };
    let row: Value = answer.map_err(|e| Failure::new(Exit::FoundWrong, &*attempt, e, ""))?;
    let word = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
    print_line(&match what {
        ActWhat::Claim | ActWhat::Close => format!("{} {} by {by}", word("id"), word("rung")),
        ActWhat::HandOver => format!("{} open again, handed over by {by}", word("id")),
        ActWhat::Escalate => format!("{} open again, everybody is told", word("id")),
        ActWhat::Note => format!("{} has the note", word("id")),
    })?;
    Ok(Exit::Ok)
}

fn read(config: &Config, attempt: &str) -> Result<crate::pipeline::fold::State, Failure> {
    restore::read_only(&config.journal.dir).map_err(|e| Failure::new(Exit::Disk, attempt, e, ""))
}

pub(super) fn alarm_id(id: &str, attempt: &str) -> Result<AlarmId, Failure> {
    AlarmId::try_from(id).map_err(|e| Failure::new(Exit::Usage, attempt, e, "`vaka alarm list` shows the ids"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(more: serde_json::Value) -> AlarmRow {
        let mut row = json!({"id": "a1", "lane": "life", "rung": "accepted", "rungs": [], "device": "p1", "resident": null,
            "rule": "trigger", "cause": "button", "raised_at": 0, "delayed": false, "test": false, "count": 1});
        let (Some(row_map), Some(more)) = (row.as_object_mut(), more.as_object()) else { panic!("two objects") };
        row_map.extend(more.clone());
        serde_json::from_value(row).expect("a row, also from an older gateway")
    }

    #[test]
    fn a_home_lists_its_own_as_before() {
        let row = row(json!({"count": 2, "delayed": true, "cancelled": true}));
        assert_eq!((place(&row), what(&row)), ("p1".into(), "button ×2, delayed, taken back".into()));
    }

    #[test]
    fn what_it_came_to_stands_in_the_list_and_an_unmarked_one_says_nothing() {
        for (word, said) in [("false", "button, false alarm"), ("handed-over", "button, handed over")] {
            assert_eq!(what(&row(json!({"rung": "closed", "outcome": word}))), said);
        }
        assert_eq!(what(&row(json!({"rung": "closed"}))), "button");
    }

    #[test]
    fn a_hub_says_home_resident_room_and_device() {
        let home = json!({"alarm": "a7", "number": 0, "device": "pendant", "count": 1});
        let told =
            json!({"device": "gw-0007", "resident": "r-7", "room": "bedroom", "home": home, "handed_over": true});
        let row = row(told);
        assert_eq!(place(&row), "gw-0007, resident r-7, bedroom, pendant");
        assert_eq!(what(&row), "button, person not confirmed");
    }

    #[test]
    fn what_a_home_says_of_itself_names_it_once() {
        let own = json!({"device": "gw-0007", "cause": "path", "home": {"alarm": "a7", "number": 0, "device": "gw-0007", "count": 1}});
        assert_eq!(place(&row(own)), "gw-0007");
        assert_eq!(place(&row(json!({"device": "gw-0007", "cause": "silent"}))), "gw-0007", "the hub's own word on it");
        let claimed = row(json!({"rung": "claimed", "nobody": true, "handed_over": true}));
        assert_eq!(what(&claimed), "button", "a person has it");
    }
}
