//! `vaka dose`: asks the running gateway; where none runs, reads (and to release writes) the journal itself.

use std::path::Path;

use super::{DoseCommand, Exit, Failure, local_time, print_json, print_line, stopped};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::journal::record::Release;
use crate::pipeline::control::{self, Request};
use crate::pipeline::keeper::Ask;
use crate::pipeline::restore;
use crate::rules::care::dose::rows::{self, DoseRow};

pub fn run(command: DoseCommand, config: &Path) -> Result<Exit, Failure> {
    let (config, _) = Config::load(config).map_err(|e| Failure::config(&e))?;
    match command {
        DoseCommand::List { json } => list(&config, json),
        DoseCommand::Release { resident, slot, date, by, note } => {
            release(&config, resident, slot, date, by, note.unwrap_or_default())
        }
    }
}

fn list(config: &Config, json: bool) -> Result<Exit, Failure> {
    let attempt = "list the doses";
    let rows: Vec<DoseRow> = match control::request(&config.journal.dir, &Request::Doses) {
        Some(answer) => {
            let value = answer.map_err(|e| Failure::new(Exit::Internal, attempt, e, ""))?;
            serde_json::from_value(value).map_err(|e| Failure::new(Exit::Internal, attempt, e, ""))?
        }
        None => {
            let state =
                restore::read_only(&config.journal.dir).map_err(|e| Failure::new(Exit::Disk, attempt, e, ""))?;
            let now_ms = SystemClock::new().now().wall_ms;
            rows::rows(&state.care, &config.agreed.at(now_ms).0, now_ms)
        }
    };
    if json {
        print_json(&rows)?;
        return Ok(Exit::Ok);
    }
    if rows.is_empty() {
        print_line("No doses are planned; a [[dose]] in the configuration plans one.")?;
    }
    for row in &rows {
        print_line(&line(row, config))?;
    }
    Ok(Exit::Ok)
}

fn line(row: &DoseRow, config: &Config) -> String {
    let at = row.due_at.map_or_else(|| row.date.clone(), |due_at| local_time(due_at, &config.gateway.time_zone));
    let mut said = row.state.clone();
    if row.locked {
        said.push_str(", locked");
    }
    if let Some(by) = &row.released_by {
        said.push_str(&format!(", released by {by}"));
    }
    if let Some(note) = &row.note {
        said.push_str(&format!(" ({note})"));
    }
    format!("{at}  resident {}  {}  {}  {said}", row.resident, row.device, row.slot)
}

fn release(
    config: &Config,
    resident: String,
    slot: String,
    date: Option<String>,
    by: String,
    note: String,
) -> Result<Exit, Failure> {
    let attempt = format!("release the dose of slot {slot} of resident {resident}");
    if by.trim().is_empty() {
        return Err(Failure::new(Exit::Usage, attempt, "--by is empty", "say who releases it"));
    }
    let parts = || (resident.clone(), slot.clone(), date.clone(), by.clone(), note.clone());
    let request = {
        let (resident, slot, date, by, note) = parts();
        Request::Release { resident, slot, date, by, note }
    };
    let released: Release = match control::request(&config.journal.dir, &request) {
        Some(answer) => {
            let value = answer.map_err(|e| Failure::new(Exit::FoundWrong, &*attempt, e, ""))?;
            serde_json::from_value(value).map_err(|e| Failure::new(Exit::Internal, &*attempt, e, ""))?
        }
        None => {
            let (resident, slot, date, by, note) = parts();
            let released =
                stopped::ask(config, &attempt, |reply| Ask::Release { resident, slot, date, by, note, reply })?;
            released.map_err(|e| Failure::new(Exit::FoundWrong, &*attempt, e, ""))?
        }
    };
    let Release { resident, slot, date, by, .. } = released;
    print_line(&format!("{date}  resident {resident}  {slot}  released by {by}"))?;
    Ok(Exit::Ok)
}
