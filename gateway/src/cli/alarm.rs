//! `vaka alarm`: asks the running gateway; where none runs, reads (and for an act writes) the journal itself.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use vaka_protocol::AlarmId;

use super::{AlarmCommand, Exit, Failure, local_time, print_json, print_line};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::journal::record::{Act, ActWhat};
use crate::pipeline::control::{self, Request};
use crate::pipeline::keeper::{Ask, Input, Keeper};
use crate::pipeline::view::{self, AlarmRow, Labels};
use crate::pipeline::{home, restore};

pub fn run(command: AlarmCommand, config: &Path) -> Result<Exit, Failure> {
    let (config, _) = Config::load(config).map_err(|e| Failure::config(&e))?;
    match command {
        AlarmCommand::List { all, json } => list(&config, all, json),
        AlarmCommand::Show { id, json } => show(&config, &id, json),
        AlarmCommand::Claim { id, by } => act(&config, &id, ActWhat::Claim, by, String::new()),
        AlarmCommand::Close { id, by, note } => act(&config, &id, ActWhat::Close, by, note.unwrap_or_default()),
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
    for row in &rows {
        let zone = &config.gateway.time_zone;
        let times = if row.count > 1 { format!(" ×{}", row.count) } else { String::new() };
        let late = if row.delayed { ", delayed" } else { "" };
        let line = format!(
            "{}  {}  {:<9}  {:<9}  {} {}{times}{late}",
            row.id,
            local_time(row.raised_at, zone),
            row.lane.as_str(),
            row.rung.as_str(),
            row.device,
            row.cause
        );
        print_line(&line)?;
    }
    Ok(Exit::Ok)
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
    print_line(&format!("  {}\n  {}", text("sv"), text("en")))?;
    print_line(&format!(
        "  device {}, rule {} version {}, cause {}",
        text("device"),
        text("rule"),
        found["rule_version"],
        text("cause")
    ))?;
    print_line(&format!("  happened {}, raised {}", time("happened_at"), time("raised_at")))?;
    for rung in found["rungs"].as_array().into_iter().flatten() {
        let part = |key: &str| rung[key].as_str().unwrap_or_default();
        let at = local_time(rung["at"].as_i64().unwrap_or_default(), zone);
        let via = [part("receiver"), part("path"), part("detail")].into_iter().filter(|p| !p.is_empty());
        let via = via.collect::<Vec<_>>().join(", ");
        print_line(&format!("  {at}  notice {}  {:<8}  {via}", rung["notice"], part("rung")))?;
    }
    Ok(Exit::Ok)
}

fn act(config: &Config, id: &str, act: ActWhat, by: Option<String>, note: String) -> Result<Exit, Failure> {
    let word = if act == ActWhat::Claim { "claim" } else { "close" };
    let attempt = format!("{word} alarm {id}");
    let alarm = alarm_id(id, &attempt)?;
    let by =
        by.or_else(|| std::env::var("USER").ok()).filter(|name| !name.is_empty()).unwrap_or_else(|| "unknown".into());
    let request = Request::Act { alarm: alarm.clone(), act, by: by.clone(), note: note.clone() };
    let answer = match control::request(&config.journal.dir, &request) {
        Some(answer) => answer,
        None => on_the_journal(config, Act { alarm, act, by, note }, &attempt)?,
    };
    let row: Value = answer.map_err(|e| Failure::new(Exit::FoundWrong, &*attempt, e, ""))?;
    print_line(&format!(
        "{} {} by {}",
        row["id"].as_str().unwrap_or_default(),
        row["rung"].as_str().unwrap_or_default(),
        row["rungs"]
            .as_array()
            .and_then(|rungs| rungs.last())
            .and_then(|step| step["detail"].as_str())
            .unwrap_or_default()
    ))?;
    Ok(Exit::Ok)
}

/// No gateway runs: the same keeper writes the act into its journal.
fn on_the_journal(config: &Config, act: Act, attempt: &str) -> Result<control::Response, Failure> {
    let restored = restore::open(&config.journal.dir, config.journal.size_max_mib * 1024 * 1024)
        .map_err(|e| Failure::new(Exit::Disk, attempt, e, ""))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let mut keeper = Keeper::new(restored, home(config), Labels::from_config(config), clock, None);
    keeper.begin();
    let (reply, mut answer) = tokio::sync::oneshot::channel();
    keeper.run_batch(&mut vec![Input::Ask(Ask::Act { act, reply })]);
    let row = answer.try_recv().map_err(|e| Failure::new(Exit::Internal, attempt, e, ""))?;
    keeper.finish();
    Ok(row.and_then(|row| serde_json::to_value(row).map_err(|e| e.to_string())))
}

fn read(config: &Config, attempt: &str) -> Result<crate::pipeline::fold::State, Failure> {
    restore::read_only(&config.journal.dir).map_err(|e| Failure::new(Exit::Disk, attempt, e, ""))
}

fn alarm_id(id: &str, attempt: &str) -> Result<AlarmId, Failure> {
    AlarmId::try_from(id).map_err(|e| Failure::new(Exit::Usage, attempt, e, "`vaka alarm list` shows the ids"))
}
